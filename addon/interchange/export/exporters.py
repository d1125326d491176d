"""Blender's exporters, run on copies of characters."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy

from ...interface import operator_message
from .files import move_into_place, temporary_folder, unwritable
from .names import CLEAN, distinct, original_names, rename_bones, usd_identifier
from .options import CENTIMETRES, ExportError, ExportOptions
from .samples import CharacterSamples, temporary_scene
from .staging import file_space, stage_character

# A binary USD file begins with a magic word and the position of its table of contents: a count, and for each section a
# name, a position and a length.
_USD_START, _USD_COUNT, _USD_SECTION = struct.Struct("<8s8xq"), struct.Struct("<Q"), struct.Struct("<16xqq")


def write_with_blender(
    samples: Sequence[CharacterSamples], path: Path, format: str, options: ExportOptions, scene: bpy.types.Scene
) -> None:
    """Write characters with Blender's exporter for a format.

    Raises:
        ExportError: the exporter failed, or the file can't be written.
    """
    write = _EXPORTERS[format]
    with original_names(samples) as names, temporary_scene(scene, path.stem) as staging:
        space = file_space(format, options.engine)
        if format == "usd":
            objects = [one for one in names if isinstance(one, bpy.types.Object)]
            clean = distinct([names[one] for one in objects], usd_identifier)
            names = {**names, **dict(zip(objects, clean, strict=True))}
        for sample in samples:
            armature = stage_character(sample, space, staging, names, options)
            if format in CLEAN:
                rename_bones(armature, CLEAN[format])
        staging.frame_start, staging.frame_end = 0, len(samples[0].world) - 1
        if format == "fbx":
            staging.unit_settings.system = "METRIC"
            staging.unit_settings.scale_length = 1.0 / CENTIMETRES
        layer = staging.view_layers[0]
        objects = list(staging.collection.objects)
        for one in objects:
            one.select_set(True, view_layer=layer)
        layer.objects.active = objects[0]
        staging.frame_set(0)
        context = {
            "scene": staging,
            "view_layer": layer,
            "selected_objects": objects,
            "active_object": objects[0],
            "object": objects[0],
        }
        with temporary_folder(path) as folder, bpy.context.temp_override(**context):
            file = folder / path.name
            try:
                # Exporters print progress.
                with contextlib.redirect_stdout(io.StringIO()):
                    write(file, options, staging)
            except (RuntimeError, AttributeError) as error:
                message = operator_message(error)
                if number := re.search(r"\[Errno (\d+)\]", message):
                    reason = OSError(int(number[1]), os.strerror(int(number[1])))
                    raise unwritable(path, reason) from error
                raise ExportError(
                    f"{path} can't be written: this Blender's {format} exporter says: {message}."
                ) from error
            if not file.is_file():
                raise ExportError(f"{path} can't be written: this Blender's {format} exporter wrote nothing.")
            if format == "usd" and not _is_whole_usd(file):
                raise ExportError(f"{path} can't be written whole: make room on its disk.")
            move_into_place(file, path)


def _is_whole_usd(file: Path) -> bool:
    """Whether a binary USD file holds all its sections: on a full disk USD writes what fits, without an error."""
    raw = file.read_bytes()
    if len(raw) < _USD_START.size:
        return False
    magic, contents = _USD_START.unpack_from(raw)
    if magic != b"PXR-USDC" or not 0 < contents < len(raw) - _USD_COUNT.size:
        return False
    (count,) = _USD_COUNT.unpack_from(raw, contents)
    rows = raw[contents + _USD_COUNT.size :][: count * _USD_SECTION.size]
    if not 0 < count * _USD_SECTION.size == len(rows):
        return False
    return all(begin + length <= len(raw) for begin, length in _USD_SECTION.iter_unpack(rows))


def _has_shapes(staging: bpy.types.Scene) -> bool:
    """Whether a skin has shape keys that are to be exported."""
    return any(one.type == "MESH" and one.data.shape_keys is not None for one in staging.objects)


def _export_fbx(file: Path, options: ExportOptions, staging: bpy.types.Scene) -> None:
    forward, up = ("-Z", "Y") if options.engine == "unity" else ("Y", "Z")
    bpy.ops.export_scene.fbx(
        filepath=str(file),
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        axis_forward=forward,
        axis_up=up,
        apply_unit_scale=True,
        apply_scale_options="FBX_SCALE_NONE",
        add_leaf_bones=False,
        use_custom_props=True,
        mesh_smooth_type="FACE",
        bake_anim=True,
        bake_anim_use_all_bones=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_simplify_factor=0.0,
    )


def _export_glb(file: Path, options: ExportOptions, staging: bpy.types.Scene) -> None:
    bpy.ops.export_scene.gltf(
        filepath=str(file),
        export_format="GLB",
        use_active_scene=True,
        export_yup=True,
        export_extras=True,
        export_animations=True,
        export_animation_mode="ACTIVE_ACTIONS",
        # Otherwise a single armature gets every action of the file.
        export_anim_single_armature=False,
        export_nla_strips_merged_animation_name=staging.name,
        export_force_sampling=True,
        export_optimize_animation_size=False,
        export_morph=_has_shapes(staging),
        export_morph_animation=_has_shapes(staging),
    )


def _export_usd(file: Path, options: ExportOptions, staging: bpy.types.Scene) -> None:
    if not bpy.app.build_options.usd:
        raise RuntimeError("it was built without USD.")
    bpy.ops.wm.usd_export(
        filepath=str(file),
        export_animation=True,
        export_armatures=True,
        export_shapekeys=_has_shapes(staging),
        export_materials=True,
        export_lights=False,
        export_cameras=False,
        convert_world_material=False,
        # Otherwise bone names in Japanese become underscores, and duplicates make the skeleton invalid.
        allow_unicode=True,
    )


def _export_bvh(file: Path, options: ExportOptions, staging: bpy.types.Scene) -> None:
    bpy.ops.export_anim.bvh(
        filepath=str(file),
        frame_start=staging.frame_start,
        frame_end=staging.frame_end,
        rotate_mode="ZXY",
        root_transform_only=True,
    )


_EXPORTERS: dict[str, Callable[[Path, ExportOptions, bpy.types.Scene], None]] = {
    "fbx": _export_fbx,
    "glb": _export_glb,
    "usd": _export_usd,
    "bvh": _export_bvh,
}
