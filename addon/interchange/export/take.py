"""Export of the characters of a take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ...scene.keyframes import OURS, scene_frame_rate, whole_frames
from ...scene.layers import captured_action
from ...scene.visibility import motion_curves
from .amass_writer import write_amass
from .exporters import write_with_blender
from .options import ENDINGS, ONE_EACH, ExportError, ExportOptions
from .samples import sample_characters


def export_take(
    armatures: Sequence[bpy.types.Object],
    path: Path,
    format: str,
    options: ExportOptions | None = None,
    scene: bpy.types.Scene | None = None,
) -> list[Path]:
    """Write characters with their motion on every whole frame of the scene, the first at time 0.

    Files are written completely or not at all. The user's objects, selection, mode and frame stay unchanged.

    - ``fbx``: centimetres, no scale and no rotation on any node; see `ExportOptions.engine`. Characters face −Y with z
      up (Unreal), or +Z with y up (Unity).
    - ``glb``: metres, y up, characters face +Z; one animation for all.
    - ``usd``: metres, z up.
    - ``bvh``: centimetres, y up, the armature's rest pose with its root at the origin, rotations in the order ZXY;
      only the root has positions.
    - ``amass``: SMPL's 72 pose values and ``trans`` in metres, world with z up. A motion for another body than SMPL
      keeps the path of its hips on SMPL's mean body.

    Args:
        armatures: of the characters, at least one; they are exported with the meshes that they deform.
        path: the file to write. In formats with one character per file the second's is NAME.person-2.SUFFIX and so on.
        format: one of `ENDINGS`.
        options: how to export.
        scene: the scene of the characters, the current one by default.

    Returns:
        The written files.

    Raises:
        ExportError: there is nothing to export, this Blender lacks the exporter, a character is not Video Motion's
            (AMASS), or a file can't be written.
    """
    options, scene = options or ExportOptions(), scene or bpy.context.scene
    if format not in ENDINGS:
        raise ExportError(f"There is no format {format}: choose one of {', '.join(ENDINGS)}.")
    if not armatures:
        raise ExportError("There is no character to export: select the armature of one.")
    first, last = options.frame_range or _frame_range(armatures, scene)
    if last < first:
        raise ExportError(f"The range from frame {first} to {last} is empty: make the last frame later than the first.")
    samples = sample_characters(armatures, scene, range(first, last + 1), options)
    if format not in ONE_EACH:
        write_with_blender(samples, path, format, options, scene)
        return [path]
    files = [path, *(path.with_name(f"{path.stem}.{_person(one, i)}{path.suffix}") for i, one in others(armatures))]
    for sample, file in zip(samples, files, strict=True):
        if format == "amass":
            write_amass(sample, file, options.body, scene_frame_rate(scene))
        else:
            write_with_blender([sample], file, format, replace(options, mesh=False), scene)
    return files


def others(armatures: Sequence[bpy.types.Object]) -> list[tuple[int, bpy.types.Object]]:
    """All but the first armature, each with its index."""
    return list(enumerate(armatures))[1:]


def characters_of(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The armatures to export: selected ones and those of selected skins, else all that Video Motion made."""
    chosen = [armature for one in context.selected_objects if (armature := _armature_of(one)) is not None]
    found = chosen or [one for one in context.scene.objects if one.type == "ARMATURE" and OURS in one]
    return list(dict.fromkeys(found))


def _armature_of(one: bpy.types.Object) -> bpy.types.Object | None:
    return one if one.type == "ARMATURE" else one.find_armature()


def _person(armature: bpy.types.Object, index: int) -> str:
    stored = armature.get(OURS)
    return f"person-{stored['person'] if stored is not None and 'person' in stored else index + 1}"


def _frame_range(armatures: Sequence[bpy.types.Object], scene: bpy.types.Scene) -> tuple[int, int]:
    """The range of whole frames around the armatures' actions; the scene's where one has no action."""
    ranges = []
    for armature in armatures:
        action = captured_action(armature)
        if action is None:
            return scene.frame_start, scene.frame_end
        moving = [] if action.use_frame_range else motion_curves(armature)
        ranges += [curve.range() for curve in moving] or [action.frame_range]
    first, last = whole_frames(np.array([min(start for start, _ in ranges), max(end for _, end in ranges)]))
    return first, max(last, first)
