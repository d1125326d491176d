"""Export: characters with their motion, as files for game engines and other programs.

Blender's own exporters write. They get copies in a scene of their own, whose bones have a key on every frame and whose
axes and unit are those of the file, so that nothing of the user's changes and no node of the file is turned or scaled.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper
from mathutils import Matrix

from ...inference.atomic import atomic_write
from ...inference.body import rotations
from ...inference.body.skeleton import JOINT_NAMES
from ...inference.body.smpl import Body, BodyError
from ...inference.errors import VideoMotionError
from ...inference.motion.formats.conventions import SMPL_PELVIS, is_smpl
from ...inference.registry import RegistryError
from .. import preferences
from ..compatibility import new_channels
from ..scene.armature import BODY_TO_ARMATURE, rest_bones
from ..scene.keyframes import CORRECTIVE_NAMES, OURS, scene_frame_rate, write_curve

ENDINGS = {"fbx": ".fbx", "glb": ".glb", "usd": ".usd", "bvh": ".bvh", "amass": ".npz"}
"""The formats, and how their files' names end."""

ONE_EACH = ("bvh", "amass")
"""Formats whose files hold one character; of several each gets a file of its own."""

ENGINES = ("unreal", "unity")

CENTIMETRES = 100.0
"""Units of FBX and BVH in a metre."""

_Y_UP = Matrix.Rotation(-math.pi / 2, 4, "X")
# What is less than this, in metres or of a whole, is no movement.
_STILL = 1e-5
# SMPL's betas in files of AMASS.
_AMASS_BETAS = 16
_LENT = "video motion lends"
# A binary USD file begins with a magic word and where its table of contents lies: a count, and for each section a name,
# a place and a length.
_USD_START, _USD_COUNT, _USD_SECTION = struct.Struct("<8s8xq"), struct.Struct("<Q"), struct.Struct("<16xqq")
# A body's bones may be this far from an armature's that was made for it, metres.
_SAME_BODY = 1e-3


class ExportError(VideoMotionError):
    """Characters that can't be exported; the message is one sentence for the user."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        engine: whose conventions FBX follows, one of `ENGINES`: Unreal's has z up, Unity's y up.
        frame_range: first and last frame of the scene; None for those that the characters' actions take.
        mesh: whether skins go with the bones, in formats that have them.
        shape_keys: whether shape keys go with the skins; without, skins have the shape that the keys give them now, but
            for the correctives of a pose, which are left out.
        body: what the characters' motion was made for; AMASS needs it.
    """

    engine: str = ENGINES[0]
    frame_range: tuple[int, int] | None = None
    mesh: bool = True
    shape_keys: bool = False
    body: Body | None = None


@dataclass
class _Samples:
    """One character, on every frame.

    Attributes:
        armature: its object.
        meshes: its skins.
        world: (N, 4, 4) world matrices of the armature object.
        pose: (N, B, 4, 4) matrices of the bones in armature space.
        keys: (N, K) values of the shape keys by skin, for those that have some.
    """

    armature: bpy.types.Object
    meshes: list[bpy.types.Object]
    world: np.ndarray
    pose: np.ndarray
    keys: dict[bpy.types.Object, np.ndarray] = field(default_factory=dict)


def export_take(
    armatures: Sequence[bpy.types.Object],
    path: Path,
    format: str,
    options: ExportOptions | None = None,
    scene: bpy.types.Scene | None = None,
) -> list[Path]:
    """Write characters with their motion on every whole frame of the scene, the first at time 0.

    The files are there whole or not at all. Objects, selection, mode and frame of the user's stay as they are.

    - ``fbx``: centimetres, no scale and no turn on any node; see `ExportOptions.engine`. Characters face −Y with z up
      (Unreal), or +Z with y up (Unity).
    - ``glb``: metres, y up, characters face +Z; one animation for all.
    - ``usd``: metres, z up.
    - ``bvh``: centimetres, y up, rest pose the armature's with its root at the origin, rotations in the order ZXY;
      only the root is moved.
    - ``amass``: SMPL's 72 pose values and ``trans`` in metres, world with z up. A motion for a body that is not SMPL's
      keeps the path of its hips on the mean body of SMPL.

    Args:
        armatures: of the characters, in the order of their files' numbers; at least one. They are exported with the
            meshes that they deform.
        path: what to write. For formats of one character the second's file is NAME.person-2.ENDING and so on.
        format: one of `ENDINGS`.
        options: how to export.
        scene: where they move, the current scene by default.

    Returns:
        The files that were written.

    Raises:
        ExportError: there is nothing to export, this Blender lacks the exporter, a character is not Video Motion's
            (AMASS), or the file can't be written.
    """
    options, scene = options or ExportOptions(), scene or bpy.context.scene
    if format not in ENDINGS:
        raise ExportError(f"There is no format {format}: choose one of {', '.join(ENDINGS)}.")
    if not armatures:
        raise ExportError("There is no character to export: select the armature of one.")
    first, last = options.frame_range or _frame_range(armatures, scene)
    if last < first:
        raise ExportError(f"The frames from {first} to {last} are none: let the last one be later than the first.")
    samples = _sample(armatures, scene, range(first, last + 1), options)
    if format not in ONE_EACH:
        _write(samples, path, format, options, scene)
        return [path]
    files = [path, *(path.with_name(f"{path.stem}.{_person(one, i)}{path.suffix}") for i, one in others(armatures))]
    for sample, file in zip(samples, files, strict=True):
        if format == "amass":
            _write_amass(sample, file, options.body, scene_frame_rate(scene))
        else:
            _write([sample], file, format, replace(options, mesh=False), scene)
    return files


def others(armatures: Sequence[bpy.types.Object]) -> list[tuple[int, bpy.types.Object]]:
    """All but the first armature, each with its place from 2."""
    return list(enumerate(armatures))[1:]


def characters_of(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The armatures that the user means: the selected ones and those of selected skins, else the scene's own takes."""
    chosen = [armature for one in context.selected_objects if (armature := _armature_of(one)) is not None]
    found = chosen or [one for one in context.scene.objects if one.type == "ARMATURE" and OURS in one]
    return list(dict.fromkeys(found))


def _armature_of(one: bpy.types.Object) -> bpy.types.Object | None:
    return one if one.type == "ARMATURE" else one.find_armature()


def _person(armature: bpy.types.Object, index: int) -> str:
    told = armature.get(OURS)
    return f"person-{told['person'] if told is not None and 'person' in told else index + 1}"


def _frame_range(armatures: Sequence[bpy.types.Object], scene: bpy.types.Scene) -> tuple[int, int]:
    """The whole frames around the armatures' actions; the scene's where one has none."""
    ranges = []
    for armature in armatures:
        action = armature.animation_data.action if armature.animation_data is not None else None
        if action is None:
            return scene.frame_start, scene.frame_end
        ranges.append(action.frame_range)
    # A rounded frame rate leaves a last key a hair after its frame.
    first = math.floor(min(start for start, _ in ranges) + 1e-3)
    return first, max(math.ceil(max(end for _, end in ranges) - 1e-3), first)


def _skins(armature: bpy.types.Object, scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [one for one in scene.objects if one.type == "MESH" and _deforms(armature, one)]


def _deforms(armature: bpy.types.Object, mesh: bpy.types.Object) -> bool:
    return any(modifier.type == "ARMATURE" and modifier.object == armature for modifier in mesh.modifiers)


@contextlib.contextmanager
def _scene_like(scene: bpy.types.Scene, name: str) -> Iterator[bpy.types.Scene]:
    """A scene for a while that plays as fast as another; everything that is new in the file goes with it."""
    kinds = ("objects", "armatures", "meshes", "actions", "materials", "images")
    before = {kind: set(getattr(bpy.data, kind)) for kind in (*kinds, "shape_keys")}
    staging = bpy.data.scenes.new(name)
    staging.render.fps, staging.render.fps_base = scene.render.fps, scene.render.fps_base
    try:
        yield staging
    finally:
        bpy.data.scenes.remove(staging)
        # Shape keys go with their mesh, unless they lost it.
        for kind in (*kinds, "shape_keys"):
            bpy.data.batch_remove(list(set(getattr(bpy.data, kind)) - before[kind]))


def _sample(
    armatures: Sequence[bpy.types.Object], scene: bpy.types.Scene, frames: range, options: ExportOptions
) -> list[_Samples]:
    """Look at the characters on every frame, alone in a scene, so that nothing else is calculated."""
    bones = [len(armature.data.bones) for armature in armatures]
    samples = [
        _Samples(
            armature,
            _skins(armature, scene) if options.mesh else [],
            np.empty((len(frames), 4, 4)),
            np.empty((len(frames), count, 4, 4)),
        )
        for armature, count in zip(armatures, bones, strict=True)
    ]
    with _scene_like(scene, "sampling") as staging, _enabled(armatures):
        for sample in samples:
            staging.collection.objects.link(sample.armature)
            for mesh in sample.meshes:
                keys = mesh.data.shape_keys
                if options.shape_keys and keys is not None:
                    staging.collection.objects.link(mesh)
                    sample.keys[mesh] = np.empty((len(frames), len(keys.key_blocks)))
        layer = staging.view_layers[0]
        for row, frame in enumerate(frames):
            staging.frame_set(frame)
            for sample in samples:
                evaluated = sample.armature.evaluated_get(layer.depsgraph)
                sample.world[row] = evaluated.matrix_world
                flat = np.empty(16 * sample.pose.shape[1], dtype=np.float32)
                evaluated.pose.bones.foreach_get("matrix", flat)
                sample.pose[row] = np.swapaxes(flat.reshape(-1, 4, 4), 1, 2)
                for mesh, values in sample.keys.items():
                    blocks = mesh.data.shape_keys.evaluated_get(layer.depsgraph).key_blocks
                    values[row] = [block.value for block in blocks]
    return samples


@contextlib.contextmanager
def _enabled(objects: Sequence[bpy.types.Object]) -> Iterator[None]:
    """Let objects that the user has disabled be calculated for a while."""
    disabled = [one for one in objects if one.hide_viewport]
    try:
        for one in disabled:
            one.hide_viewport = False
        yield
    finally:
        for one in disabled:
            one.hide_viewport = True


def _write(
    samples: Sequence[_Samples], path: Path, format: str, options: ExportOptions, scene: bpy.types.Scene
) -> None:
    """Let Blender's exporter of a format write copies of the characters."""
    write = _EXPORTERS[format]
    # What it says to a terminal is nothing that users of the file ask for.
    with _lent_names(samples) as names, _scene_like(scene, path.stem) as staging:
        space = _space(format, options.engine)
        if format == "usd":
            objects = [one for one in names if isinstance(one, bpy.types.Object)]
            clean = _distinct([names[one] for one in objects], _identifier)
            names = {**names, **dict(zip(objects, clean, strict=True))}
        for sample in samples:
            armature = _stage(sample, space, staging, names, options)
            if format in _CLEAN:
                _rename_bones(armature, _CLEAN[format])
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
        with _folder_for(path) as folder, bpy.context.temp_override(**context):
            file = folder / path.name
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    write(file, options, staging)
            except (RuntimeError, AttributeError) as error:
                said = told_by_operator(error)
                if number := re.search(r"\[Errno (\d+)\]", said):
                    reason = OSError(int(number[1]), os.strerror(int(number[1])))
                    raise _unwritable(path, reason) from error
                raise ExportError(f"{path} can't be written: this Blender's {format} exporter says: {said}") from error
            if not file.is_file():
                raise ExportError(f"{path} can't be written: this Blender's {format} exporter wrote nothing.")
            if format == "usd" and not _is_whole_usd(file):
                raise ExportError(f"{path} can't be written whole: make room on its disk.")
            _put(file, path)


def told_by_operator(error: Exception) -> str:
    """What an operator of Blender's says has gone wrong, on one line; those in Python tell it with a traceback.

    Raises:
        KeyboardInterrupt: that is what it says.
    """
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Location: ")]
    said = lines[-1:] if any("Traceback" in line for line in lines) else lines
    if said == ["KeyboardInterrupt"]:
        raise KeyboardInterrupt from error
    return " ".join(" ".join(said).split()).removeprefix("Error: ") or type(error).__name__


def _is_whole_usd(file: Path) -> bool:
    """Whether a binary USD file holds all its sections: on a full disk USD writes what fits, without a word."""
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


@dataclass(frozen=True)
class _Space:
    """How a file's coordinates follow from Blender's.

    Attributes:
        axes: (4, 4) the rotation to them.
        scale: units in a metre.
        exporter: (4, 4) what the exporter turns objects by, which copies are turned back by beforehand.
        root_at_origin: whether the rest pose's root lies there.
    """

    axes: Matrix = field(default_factory=lambda: Matrix.Identity(4))
    scale: float = 1.0
    exporter: Matrix = field(default_factory=lambda: Matrix.Identity(4))
    root_at_origin: bool = False


def _space(format: str, engine: str) -> _Space:
    if format == "fbx":
        return _Space(_Y_UP, CENTIMETRES, _Y_UP) if engine == "unity" else _Space(scale=CENTIMETRES)
    if format == "bvh":
        # The file's channels say where the root is. Some readers add its rest place to that, others don't.
        return _Space(_Y_UP, CENTIMETRES, root_at_origin=True)
    return _Space()


def _stage(
    sample: _Samples, space: _Space, staging: bpy.types.Scene, names: dict[bpy.types.ID, str], options: ExportOptions
) -> bpy.types.Object:
    """Put copies of a character into a scene, in the coordinates of a file, keyed on every frame from 0.

    The copy of the armature is returned.
    """
    original = sample.armature
    to_file = space.axes @ Matrix.Scale(space.scale, 4)
    at_first = to_file @ Matrix(sample.world[0])
    data = original.data.copy()
    data.name = names[original.data]
    data.pose_position = "POSE"
    data.animation_data_clear()
    rest = at_first
    if space.root_at_origin:
        root = next(bone for bone in data.bones if bone.parent is None)
        rest = Matrix.Translation(-(at_first @ root.head_local)) @ at_first
    data.transform(rest)
    for bone in data.bones:
        bone.use_inherit_rotation, bone.inherit_scale, bone.use_local_location = True, "FULL", True
        bone.hide = False
    armature = bpy.data.objects.new(names[original], data)
    armature.matrix_world = space.exporter.inverted()
    staging.collection.objects.link(armature)
    # Only now are there bones to pose.
    staging.view_layers[0].update()
    to_file_array = np.array(to_file)
    scale = np.cbrt(abs(np.linalg.det(np.array(at_first)[:3, :3])))
    pose = to_file_array @ sample.world[:, None] @ sample.pose
    pose[..., :3, :3] /= scale
    _key(armature, pose, space.scale)
    for mesh in sample.meshes:
        copy = _copy_skin(mesh, sample, names, options)
        copy.data.transform(at_first @ original.matrix_world.inverted() @ mesh.matrix_world, shape_keys=True)
        for modifier in copy.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == original:
                modifier.object = armature
        copy.parent, copy.parent_type = armature, "OBJECT"
        copy.matrix_parent_inverse = copy.matrix_basis = Matrix.Identity(4)
        staging.collection.objects.link(copy)
    return armature


def _rename_bones(armature: bpy.types.Object, clean: Callable[[str], str]) -> None:
    """Give bones, with their curves and vertex groups, names that a format can hold."""
    bones = list(armature.data.bones)
    for bone, name in zip(bones, _distinct([bone.name for bone in bones], clean), strict=True):
        if bone.name != name:
            bone.name = name


def _distinct(names: Sequence[str], clean: Callable[[str], str]) -> list[str]:
    """Cleaned names, no two alike; those that are clean stay."""
    taken = {name for name in names if clean(name) == name}
    found = []
    for name in names:
        unique, number = clean(name), 2
        while unique != name and unique in taken:
            unique, number = f"{clean(name)}_{number}", number + 1
        taken.add(unique)
        found.append(unique)
    return found


def _identifier(name: str) -> str:
    """A name in USD: letters of any script, digits and underscores."""
    allowed = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in name)
    return allowed if allowed.isidentifier() else f"_{allowed}"


def _word(name: str) -> str:
    """A name in BVH, which ends at a space."""
    return "_".join(name.split()) or "_"


_CLEAN: dict[str, Callable[[str], str]] = {"usd": _identifier, "bvh": _word}


def _key(armature: bpy.types.Object, pose: np.ndarray, unit: float) -> None:
    """Key every bone on every frame so that its matrix in armature space is ``pose`` (N, B, 4, 4)."""
    bones = list(armature.data.bones)
    number = {bone.name: index for index, bone in enumerate(bones)}
    frames = np.arange(len(pose))
    _, channels = new_channels(armature, armature.name)
    for index, bone in enumerate(bones):
        posed = armature.pose.bones[bone.name]
        posed.rotation_mode = "QUATERNION"
        rest, basis = np.array(bone.matrix_local, dtype=np.float64), pose[:, index]
        if bone.parent is not None:
            rest = np.linalg.inv(np.array(bone.parent.matrix_local, dtype=np.float64)) @ rest
            basis = np.linalg.inv(pose[:, number[bone.parent.name]]) @ basis
        basis = np.linalg.inv(rest) @ basis
        sizes = np.linalg.norm(basis[:, :3, :3], axis=1)
        turned = rotations.make_continuous(
            rotations.matrix_to_quaternion(basis[:, :3, :3] / np.maximum(sizes, 1e-9)[:, None])
        )
        group = channels.groups.new(bone.name)
        path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]'
        parts = [("rotation_quaternion", turned)]
        # A bone that sticks to its parent has no place of its own.
        if np.abs(basis[:, :3, 3]).max() > _STILL * unit:
            parts.append(("location", basis[:, :3, 3]))
        if np.abs(sizes - 1.0).max() > _STILL:
            parts.append(("scale", sizes))
        for name, values in parts:
            for axis in range(values.shape[1]):
                write_curve(channels, f"{path}.{name}", axis, frames, values[:, axis], group)


def _copy_skin(
    mesh: bpy.types.Object, sample: _Samples, names: dict[bpy.types.ID, str], options: ExportOptions
) -> bpy.types.Object:
    copy = mesh.copy()
    copy.data = mesh.data.copy()
    copy.name, copy.data.name = names[mesh], names[mesh.data]
    copy.animation_data_clear()
    copy.constraints.clear()
    copy.hide_viewport = copy.hide_render = False
    keys = copy.data.shape_keys
    if keys is None:
        return copy
    keys.animation_data_clear()
    if not options.shape_keys:
        for block in keys.key_blocks:
            # The present pose's correctives would stay for every other pose.
            if block.name in CORRECTIVE_NAMES:
                block.value = 0.0
        mixed = copy.shape_key_add(name="mixed", from_mix=True)
        places = np.empty(3 * len(copy.data.vertices), dtype=np.float32)
        mixed.data.foreach_get("co", places)
        copy.shape_key_clear()
        copy.data.vertices.foreach_set("co", places)
        copy.data.update()
        return copy
    values = sample.keys[mesh]
    moving = np.flatnonzero(np.ptp(values, axis=0) > _STILL)
    for block, value in zip(keys.key_blocks, values[0], strict=True):
        block.value = value
    if len(moving):
        _, channels = new_channels(keys, copy.name)
        for index in moving:
            name = bpy.utils.escape_identifier(keys.key_blocks[index].name)
            write_curve(channels, f'key_blocks["{name}"].value', 0, np.arange(len(values)), values[:, index])
    return copy


@contextlib.contextmanager
def _lent_names(samples: Sequence[_Samples]) -> Iterator[dict[bpy.types.ID, str]]:
    """Let copies have the names of the user's objects and data for a while, as files keep them; yield those names."""
    objects = [one for sample in samples for one in (sample.armature, *sample.meshes)]
    names = {block: block.name for block in (*objects, *(one.data for one in objects))}
    for index, block in enumerate(names):
        if block.library is None:
            block.name = f"{_LENT} {index}"
    try:
        yield names
    finally:
        for block, name in names.items():
            if block.library is None:
                block.name = name


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
        export_animations=True,
        export_animation_mode="ACTIVE_ACTIONS",
        # Otherwise a single armature gets every action of the file.
        export_anim_single_armature=False,
        export_nla_strips_merged_animation_name=staging.name,
        export_force_sampling=True,
        export_optimize_animation_size=False,
        export_morph=options.shape_keys,
        export_morph_animation=options.shape_keys,
    )


def _export_usd(file: Path, options: ExportOptions, staging: bpy.types.Scene) -> None:
    if not bpy.app.build_options.usd:
        raise RuntimeError("it was built without USD.")
    bpy.ops.wm.usd_export(
        filepath=str(file),
        export_animation=True,
        export_armatures=True,
        export_shapekeys=options.shape_keys,
        export_materials=True,
        export_lights=False,
        export_cameras=False,
        convert_world_material=False,
        # Without, bones called in Japanese are all underscores, several of which alike are no skeleton.
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


_EXPORTERS: dict[str, Any] = {
    "fbx": _export_fbx,
    "glb": _export_glb,
    "usd": _export_usd,
    "bvh": _export_bvh,
}


def _write_amass(sample: _Samples, path: Path, body: Body | None, frame_rate: float) -> None:
    armature = sample.armature
    told = armature.get(OURS)
    names = [bone.name for bone in armature.data.bones]
    if told is None or "betas" not in told or not set(JOINT_NAMES) <= set(names):
        raise ExportError(f"{armature.name} is no character of Video Motion, and AMASS knows no other bones.")
    if body is None:
        raise ExportError(f"{path} can't be written without the body that {armature.name} was made for.")
    betas = np.array(told["betas"])[: body.shapedirs.shape[2]]
    order = [names.index(name) for name in JOINT_NAMES]
    rest = np.array([armature.data.bones[name].matrix_local for name in JOINT_NAMES], dtype=np.float64)
    if np.abs(rest_bones(body, betas).heads - rest[:, :3, 3]).max() > _SAME_BODY:
        raise ExportError(
            f"{armature.name} was made for another body than {body.name}: choose that in the preferences."
        )
    moved = sample.world[:, None] @ sample.pose[:, order]
    turned = rotations.project(moved[..., :3, :3] @ np.linalg.inv(rest[:, :3, :3])) @ BODY_TO_ARMATURE
    local = turned.copy()
    parents = list(body.parents[1:])
    local[:, 1:] = np.swapaxes(turned[:, parents], -1, -2) @ turned[:, 1:]
    poses = rotations.matrix_to_axis_angle(local)
    # Another body's β mean nothing to a reader of SMPL, which knows no other hips than its own.
    shape, pelvis = np.zeros(_AMASS_BETAS), SMPL_PELVIS
    if is_smpl(body):
        shape[: len(betas)] = betas[:_AMASS_BETAS]
        pelvis = body.rest_joints(betas)[0]
    _make_folder(path)
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                poses=poses.reshape(len(poses), -1),
                trans=moved[:, 0, :3, 3] - pelvis,
                betas=shape,
                gender=np.str_(told["gender"] if is_smpl(body) else "neutral"),
                mocap_framerate=np.float64(frame_rate),
            )
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def _folder_for(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` for a while: exporters want a file's own name, and may write others beside it."""
    _make_folder(path)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _put(file: Path, path: Path) -> None:
    try:
        os.replace(file, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ExportError:
    return ExportError(f"{path} can't be written ({error.strerror or error}): check the folder and its disk.")


class ExportTake(bpy.types.Operator, ExportHelper):
    """Write the characters with their motion for game engines and other programs"""

    bl_idname = "video_motion.export_take"
    bl_label = "Export Video Motion"

    filename_ext = ENDINGS["fbx"]
    filter_glob: StringProperty(default=";".join(f"*{ending}" for ending in ENDINGS.values()), options={"HIDDEN"})

    format: EnumProperty(
        name="Format",
        items=(
            ("fbx", "FBX", "Unreal, Unity and most other programs"),
            ("glb", "glTF", "The web, Godot and others; one binary file"),
            ("usd", "USD", "Omniverse, Houdini, Unreal and others"),
            ("bvh", "BVH", "Bones alone, a file for each character"),
            ("amass", "AMASS", "SMPL's pose and place of each frame, a file for each character"),
        ),
        update=lambda self, context: self.check(context),
    )
    engine: EnumProperty(
        name="For",
        description="Whose axes the file has; either has centimetres and nothing that is scaled or turned",
        items=(("unreal", "Unreal", "Z up, characters face −Y"), ("unity", "Unity", "Y up, characters face Z")),
    )
    frames: EnumProperty(
        name="Frames",
        items=(
            ("TAKE", "Take", "All frames that the characters move in"),
            ("SCENE", "Scene", "The frames that the scene plays"),
            ("CHOSEN", "Chosen", "The frames chosen here"),
        ),
    )
    first: IntProperty(name="First", default=1)
    last: IntProperty(name="Last", default=250)
    mesh: BoolProperty(name="Body", description="Write the skin with the bones", default=True)
    shape_keys: BoolProperty(name="Shape Keys", description="Write the skin's shape keys with it")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a character."""
        found = bool(characters_of(context))
        if not found:
            cls.poll_message_set("Select the armature of a character")
        return found

    def check(self, context: bpy.types.Context) -> bool:
        """Let the file's name end as its format wants."""
        self.filename_ext = ENDINGS[self.format]
        if self.filepath:
            stem = Path(self.filepath)
            stem = stem.with_suffix("") if stem.suffix in ENDINGS.values() else stem
            self.filepath = str(stem.with_name(stem.name + self.filename_ext))
        return True

    def draw(self, context: bpy.types.Context) -> None:
        """Show the options that the format has."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "format")
        if self.format == "fbx":
            layout.prop(self, "engine")
        layout.prop(self, "frames")
        if self.frames == "CHOSEN":
            layout.prop(self, "first")
            layout.prop(self, "last")
        if self.format not in ONE_EACH:
            layout.prop(self, "mesh")
            keys = layout.column()
            keys.enabled = self.mesh
            keys.prop(self, "shape_keys")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Export the selected characters, or all that Video Motion made."""
        scene = context.scene
        ranges = {"SCENE": (scene.frame_start, scene.frame_end), "CHOSEN": (self.first, self.last)}
        try:
            body = Body.load(preferences.body_path()) if self.format == "amass" else None
            options = ExportOptions(self.engine, ranges.get(self.frames), self.mesh, self.shape_keys, body)
            files = export_take(characters_of(context), Path(self.filepath), self.format, options, scene)
        except (ExportError, RegistryError, BodyError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Written: {', '.join(file.name for file in files)}.")
        return {"FINISHED"}


def _draw_menu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.operator(ExportTake.bl_idname, text="Video Motion (.fbx/.glb/.usd/.bvh/.npz)")


classes: tuple[type, ...] = (ExportTake,)


def register() -> None:
    """Add the entry to File > Export."""
    bpy.types.TOPBAR_MT_file_export.append(_draw_menu)


def unregister() -> None:
    """Take it away."""
    bpy.types.TOPBAR_MT_file_export.remove(_draw_menu)
