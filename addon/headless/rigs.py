"""Characters from files, and the motion for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bpy

from ...inference.errors import VideoMotionError
from ...inference.motion.motion import Motion
from ..interchange.fbx import FbxError, check_fbx
from ..interchange.gltf import GltfError, check_gltf
from ..interchange.vrm import ImportedCharacter, VrmError, import_vrm
from ..interface import operator_message
from ..retarget.action import RetargetOptions, retarget
from ..retarget.bones import RetargetError, read_rig
from ..retarget.mapping import BoneMapping
from ..retarget.presets import ENDING, find_mapping
from ..scene.take import Take
from ..scene.visibility import set_only_while_seen
from .scenes import empty_file

_GIVE_PRESET = f"check them in Blender's panel and save them beside it as NAME{ENDING}."


class RigError(VideoMotionError):
    """A character file can't be used."""


def check_rig(rig: Path) -> None:
    """Check that a character file can receive a motion. Replaces the open file by an empty one.

    Raises:
        RigError: it can't receive one.
    """
    if rig.suffix.lower() not in _READERS:
        raise RigError(f"{rig} is not a character file: give one that ends in {', '.join(_READERS)}.")
    if not rig.is_file():
        raise RigError(f"{rig} does not exist: give a character file to --rig.")
    empty_file()
    target, mapping, _ = _append_rig(rig, bpy.context.scene.collection)
    try:
        bones = read_rig(target)
        (mapping or find_mapping(bones, rig)).indices(bones)
    except RetargetError as error:
        raise RigError(f"{rig} can't have a motion: {error}") from error


def retarget_take(
    take: Take, rig: Path, name: str, motions: Sequence[Motion]
) -> tuple[list[bpy.types.Object], list[str]]:
    """Give each person's motion to a character of its own from a file, and hide the body.

    Returns:
        The armatures of the characters, and warnings.

    Raises:
        RigError: the file can't be read, or its character can't have the motion.
    """
    armatures, warnings = [], []
    options = RetargetOptions(match_world=True, only_while_seen=True)
    for character, motion in zip(take.characters, motions, strict=True):
        target, mapping, more = _append_rig(rig, take.collection)
        warnings += more
        target.name = f"{name} {rig.stem} {motion.person}"
        try:
            mapping = mapping or find_mapping(read_rig(target), rig)
            if mapping.is_guess:
                warnings.append(f"Most bones of {rig} are guesses by its shape: {_GIVE_PRESET}")
            made = retarget(character.armature, target, mapping, options)
        except RetargetError as error:
            raise RigError(f"{rig} can't have the motion: {error}") from error
        warnings += made.warnings
        armatures.append(target)
        set_only_while_seen(character.armature, False)
        for one in (character.armature, character.mesh):
            if one is not None:
                one.hide_render = True
                one.hide_set(True)
    return armatures, list(dict.fromkeys(warnings))


def _append_rig(rig: Path, collection: Any) -> tuple[Any, BoneMapping | None, list[str]]:
    """Bring the objects of a character file into a collection.

    Returns:
        The armature of the character, its bone mapping if the file has one, and warnings.
    """
    before = set(bpy.data.objects)
    rate = (bpy.context.scene.render.fps, bpy.context.scene.render.fps_base)
    span = (bpy.context.scene.frame_start, bpy.context.scene.frame_end)
    try:
        imported = _READERS[rig.suffix.lower()](rig)
    except (FbxError, GltfError, VrmError) as error:
        raise RigError(str(error)) from error
    except (RuntimeError, OSError) as error:
        raise RigError(f"{rig} can't be read ({operator_message(error)}): export it again.") from error
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = rate
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = span
    new = [one for one in bpy.data.objects if one not in before]
    armatures = [one for one in new if one.type == "ARMATURE"]
    if not armatures:
        # Objects that a .blend links from another file are not among its own.
        raise RigError(f"{rig} holds no armature of its own: give the file of a character with bones.")
    for one in new:
        for other in list(one.users_collection):
            other.objects.unlink(one)
        collection.objects.link(one)
    if imported is not None:
        return imported.armature, imported.mapping, imported.warnings
    target = max(armatures, key=lambda one: len(one.data.bones))
    several = f"{rig} holds {len(armatures)} armatures: {target.name}, which has the most bones, gets the motion."
    return target, None, [several] if len(armatures) > 1 else []


def _read_blend(rig: Path) -> None:
    with bpy.data.libraries.load(str(rig)) as (available, loaded):
        loaded.objects = list(available.objects)
    for one in loaded.objects:
        if one is not None and one.type in ("ARMATURE", "MESH", "EMPTY"):
            bpy.context.scene.collection.objects.link(one)
        elif one is not None:
            bpy.data.objects.remove(one)


def _read_fbx(rig: Path) -> None:
    check_fbx(rig)
    bpy.ops.import_scene.fbx(filepath=str(rig), use_anim=False)


def _read_gltf(rig: Path) -> None:
    check_gltf(rig)
    bpy.ops.import_scene.gltf(filepath=str(rig), disable_bone_shape=True)


def _read_vrm(rig: Path) -> ImportedCharacter:
    return import_vrm(rig)


_READERS: dict[str, Callable[[Path], ImportedCharacter | None]] = {
    ".blend": _read_blend,
    ".fbx": _read_fbx,
    ".glb": _read_gltf,
    ".gltf": _read_gltf,
    ".vrm": _read_vrm,
}
