"""Copies of characters for Blender's exporters.

Exporters get copies in a scene of their own, whose bones have a key on every frame and whose axes and unit are those of
the file, so that nothing of the user's changes and no node of the file is rotated or scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Matrix

from ....inference.body import rotations
from ....inference.body.face import COEFFICIENTS
from ...compatibility import new_channels
from ...scene.keyframes import CORRECTIVE_NAMES, scene_frame_rate, write_curve
from .options import CENTIMETRES, ExportOptions
from .samples import CharacterSamples

SEEN_FROM, SEEN_UNTIL = "seen_from", "seen_until"
"""Custom properties of armatures: the seconds of the file between which the character is visible."""

_Y_UP = Matrix.Rotation(-math.pi / 2, 4, "X")
# Smaller changes, in metres or as a fraction, are no movement.
_STILL = 1e-5


@dataclass(frozen=True)
class FileSpace:
    """The coordinates of a file, relative to Blender's.

    Attributes:
        axes: (4, 4) the rotation to them.
        scale: units per metre.
        exporter: (4, 4) the rotation that the exporter applies to objects; copies get its inverse.
        root_at_origin: whether the root of the rest pose is moved to the origin.
    """

    axes: Matrix = field(default_factory=lambda: Matrix.Identity(4))
    scale: float = 1.0
    exporter: Matrix = field(default_factory=lambda: Matrix.Identity(4))
    root_at_origin: bool = False


def file_space(format: str, engine: str) -> FileSpace:
    """Return the coordinates of a format's files; ``engine`` matters to FBX."""
    if format == "fbx":
        return FileSpace(_Y_UP, CENTIMETRES, _Y_UP) if engine == "unity" else FileSpace(scale=CENTIMETRES)
    if format == "bvh":
        # The file's channels hold the root's position. Some readers add its rest position to that, others don't.
        return FileSpace(_Y_UP, CENTIMETRES, root_at_origin=True)
    return FileSpace()


def stage_character(
    sample: CharacterSamples,
    space: FileSpace,
    staging: bpy.types.Scene,
    names: dict[bpy.types.ID, str],
    options: ExportOptions,
) -> bpy.types.Object:
    """Copy a character into a scene, in the coordinates of a file, with keys on every frame from 0.

    Returns:
        The copy of the armature.
    """
    original = sample.armature
    to_file = space.axes @ Matrix.Scale(space.scale, 4)
    at_first = to_file @ Matrix(sample.world[0])
    data = original.data.copy()
    data.name = names[original.data]
    data.pose_position = "POSE"
    data.animation_data_clear()
    _clear_properties(data, *data.bones)
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
    # Pose bones exist only after an update.
    staging.view_layers[0].update()
    to_file_array = np.array(to_file)
    scale = np.cbrt(abs(np.linalg.det(np.array(at_first)[:3, :3])))
    pose = to_file_array @ sample.world[:, None] @ sample.pose
    pose[..., :3, :3] /= scale
    _key_bones(armature, pose, space.scale)
    for mesh in sample.meshes:
        copy = _copy_skin(mesh, sample, names, options)
        copy.data.transform(at_first @ original.matrix_world.inverted() @ mesh.matrix_world, shape_keys=True)
        for modifier in copy.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == original:
                modifier.object = armature
        copy.parent, copy.parent_type = armature, "OBJECT"
        copy.matrix_parent_inverse = copy.matrix_basis = Matrix.Identity(4)
        staging.collection.objects.link(copy)
    if sample.seen is not None and sample.seen.any():
        # Of these formats only USD has visibility over time, which Blender doesn't write for skins.
        rate = scene_frame_rate(staging)
        first, last = np.flatnonzero(sample.seen)[[0, -1]]
        armature[SEEN_FROM], armature[SEEN_UNTIL] = float(first / rate), float(last / rate)
    return armature


def _clear_properties(*owners: bpy.types.bpy_struct) -> None:
    """Remove the user's own custom properties from copies, as they are no part of the motion."""
    for owner in owners:
        for name in list(owner.keys()):
            del owner[name]


def _key_bones(armature: bpy.types.Object, pose: np.ndarray, unit: float) -> None:
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
        scales = np.linalg.norm(basis[:, :3, :3], axis=1)
        quaternions = rotations.make_continuous(
            rotations.matrix_to_quaternion(basis[:, :3, :3] / np.maximum(scales, 1e-9)[:, None])
        )
        group = channels.groups.new(bone.name)
        path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]'
        parts = [("rotation_quaternion", quaternions)]
        # Bones that keep their rest position need no location keys.
        if np.abs(basis[:, :3, 3]).max() > _STILL * unit:
            parts.append(("location", basis[:, :3, 3]))
        if np.abs(scales - 1.0).max() > _STILL:
            parts.append(("scale", scales))
        for name, values in parts:
            for axis in range(values.shape[1]):
                write_curve(channels, f"{path}.{name}", axis, frames, values[:, axis], group)


def _copy_skin(
    mesh: bpy.types.Object, sample: CharacterSamples, names: dict[bpy.types.ID, str], options: ExportOptions
) -> bpy.types.Object:
    copy = mesh.copy()
    copy.data = mesh.data.copy()
    copy.name, copy.data.name = names[mesh], names[mesh.data]
    copy.animation_data_clear()
    copy.constraints.clear()
    _clear_properties(copy, copy.data)
    copy.hide_viewport = copy.hide_render = False
    keys = copy.data.shape_keys
    if keys is None:
        return copy
    keys.animation_data_clear()
    values = sample.keys.get(mesh)
    if not options.shape_keys:
        kept = [] if values is None else moving_face(keys, values)
        _apply(copy, [keys.key_blocks[index].name for index in kept])
        if values is None or not kept:
            return copy
        keys, values = copy.data.shape_keys, values[:, [0, *kept]]
    assert values is not None
    moving = np.flatnonzero(np.ptp(values, axis=0) > _STILL)
    for block, value in zip(keys.key_blocks, values[0], strict=True):
        block.value = value
    if len(moving):
        _, channels = new_channels(keys, copy.name)
        for index in moving:
            name = bpy.utils.escape_identifier(keys.key_blocks[index].name)
            write_curve(channels, f'key_blocks["{name}"].value', 0, np.arange(len(values)), values[:, index])
    return copy


def moving_face(keys: bpy.types.Key, values: np.ndarray) -> list[int]:
    """Which shape keys are ARKit's and move, given their values (N, K) over time."""
    return [
        index
        for index, block in enumerate(keys.key_blocks)
        if block.name in COEFFICIENTS and np.ptp(values[:, index]) > _STILL
    ]


def _apply(copy: bpy.types.Object, kept: Sequence[str]) -> None:
    """Apply the current values of a skin's shape keys but for those that are kept, which come to rest."""
    blocks = copy.data.shape_keys.key_blocks
    for block in blocks:
        # Correctives of the current pose would be wrong in every other pose.
        if block.name in CORRECTIVE_NAMES or block.name in kept:
            block.value = 0.0
    mixed = copy.shape_key_add(name="mixed", from_mix=True)
    size = 3 * len(copy.data.vertices)
    positions, before = np.empty(size, np.float32), np.empty(size, np.float32)
    mixed.data.foreach_get("co", positions)
    blocks[0].data.foreach_get("co", before)
    faces = {}
    for name in kept:
        shape = np.empty(size, np.float32)
        blocks[name].data.foreach_get("co", shape)
        faces[name] = shape - before + positions
    limits = {name: (blocks[name].slider_min, blocks[name].slider_max) for name in kept}
    copy.shape_key_clear()
    copy.data.vertices.foreach_set("co", positions)
    copy.data.update()
    if kept:
        copy.shape_key_add(name="Basis", from_mix=False)
    for name, shape in faces.items():
        key = copy.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", shape)
        key.slider_min, key.slider_max = limits[name]
