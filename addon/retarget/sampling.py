"""The source's motion: world rotations and joints of an armature's bones over time.

Where only plain curves move the bones, they are read in bulk and combined in closed form; with constraints, drivers,
NLA tracks or moving objects Blender evaluates frame by frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy
import numpy as np

from ...inference.body import rotations
from ..compatibility import channels_of
from ..scene.keyframes import CONTACT, read_keys
from ..scene.layers import captured_channels
from ..scene.visibility import motion_curves
from .bones import RetargetError, Rig

_EULER_AXES = {"X": 0, "Y": 1, "Z": 2}
_SIZES = {"rotation_quaternion": 4, "rotation_axis_angle": 4, "rotation_euler": 3, "location": 3}


@dataclass(frozen=True)
class Samples:
    """A motion at N moments, in the world.

    Attributes:
        frames: (N,) scene frames, whole or not.
        global_rotations: (N, J, 3, 3) rotations of the requested bones.
        heads: (N, J, 3) their joints.
    """

    frames: np.ndarray
    global_rotations: np.ndarray
    heads: np.ndarray


def key_frames(armature: bpy.types.Object) -> np.ndarray:
    """The frames (N,) at which the active action of an armature has keys on its bones or object, increasing.

    Raises:
        RetargetError: there is no action with keys.
    """
    curves = motion_curves(armature)
    if not curves:
        raise RetargetError(f"{armature.name} has no action with keys: choose a source with a motion.")
    # Usually all curves have the same keys.
    different = {frames.tobytes(): frames for frames in (read_keys(curve)[:, 0] for curve in curves)}
    # Keys are single precision: the same moment may differ in the last digits.
    together = np.unique(np.concatenate(list(different.values())))
    return together[np.concatenate([[True], np.diff(together) > 1e-3])]


def stepped_frames(armature: bpy.types.Object, step: float) -> np.ndarray:
    """Frames (N,) from the first key to the last, ``step`` apart, the last included; step 0 means the keys."""
    keys = key_frames(armature)
    if step <= 0.0:
        return keys
    frames = np.arange(keys[0], keys[-1] + 1e-6, step)
    return frames if keys[-1] - frames[-1] < 1e-3 else np.append(frames, keys[-1])


def sample(armature: bpy.types.Object, rig: Rig, bones: np.ndarray, frames: np.ndarray) -> Samples:
    """Read the motion of bones (J,), indices in ``rig``, at ``frames`` (N,)."""
    if is_plain(armature, rig, bones):
        return read_curves(armature, rig, bones, frames)
    return evaluate_frames(armature, rig, bones, frames)


def is_plain(armature: bpy.types.Object, rig: Rig, bones: np.ndarray) -> bool:
    """Whether the curves of the active action alone determine how bones (J,) move."""
    animation, channels = armature.animation_data, channels_of(armature)
    if animation is None or channels is None or armature.parent is not None or len(armature.constraints):
        return False
    if len(animation.drivers) or any(not track.mute for track in animation.nla_tracks) or animation.use_tweak_mode:
        return False
    if armature.mode == "EDIT" or armature.data.pose_position == "REST":
        return False
    names = {rig.names[bone] for bone in rig.closed_upwards(map(int, bones))}
    for name in names:
        pose = armature.pose.bones[name]
        if any(not constraint.mute for constraint in pose.constraints) or any(abs(s - 1) > 1e-4 for s in pose.scale):
            return False
    return not any(
        not curve.data_path.startswith("pose.bones[")
        or (curve.data_path.endswith(".scale") and bone_of(curve.data_path) in names and _scales(curve))
        for curve in motion_curves(armature)
    )


def read_contacts(armature: bpy.types.Object, feet: tuple[str, ...], frames: np.ndarray) -> np.ndarray | None:
    """The keyed probabilities (N, F) that feet stand at ``frames`` (N,); None unless all these bones have them."""
    channels = captured_channels(armature)
    curves: dict[str, bpy.types.FCurve] = {}
    for curve in channels.fcurves if channels else ():
        if curve.data_path.endswith(f'["{CONTACT}"]') and not curve.mute:
            curves[bone_of(curve.data_path)] = curve
    if not set(feet) <= curves.keys():
        return None
    return np.stack([curve_values(curves[foot], frames) for foot in feet], axis=-1)


def bone_of(data_path: str) -> str:
    """The bone's name in the data path of a curve, empty where it has none."""
    parts = data_path.split('"')
    return parts[1] if len(parts) > 2 and data_path.startswith("pose.bones[") else ""


def channels_to_matrix(values: np.ndarray, mode: str) -> np.ndarray:
    """Rotations (..., 3, 3) of a pose bone's channels (..., 3 or 4) in a rotation mode."""
    if mode == "QUATERNION":
        return rotations.quaternion_to_matrix(values)
    if mode == "AXIS_ANGLE":
        axes = values[..., 1:] / np.maximum(np.linalg.norm(values[..., 1:], axis=-1, keepdims=True), 1e-12)
        return rotations.axis_angle_to_matrix(values[..., :1] * axes)
    return euler_to_matrix(values, mode)


def euler_to_matrix(angles: np.ndarray, order: str) -> np.ndarray:
    """Rotations (..., 3, 3) of Blender's Euler angles (..., 3) for x, y and z, applied in ``order`` such as XYZ."""
    matrices = np.eye(3)
    for letter in order:
        axis = _EULER_AXES[letter]
        matrices = rotations.axis_angle_to_matrix(angles[..., axis, None] * np.eye(3)[axis]) @ matrices
    return matrices


def read_curves(armature: bpy.types.Object, rig: Rig, bones: np.ndarray, frames: np.ndarray) -> Samples:
    """`sample` in closed form; correct where `is_plain` holds."""
    channels = channels_of(armature)
    curves: dict[tuple[str, str, int], bpy.types.FCurve] = {}
    for curve in channels.fcurves if channels else ():
        if not curve.mute:
            name, kind = bone_of(curve.data_path), curve.data_path.rsplit(".", 1)[-1]
            curves[name, kind, curve.array_index] = curve
    # Quaternions by component, bone by bone: faster than matrices, and each bone fits the processor's cache.
    global_rotations: dict[int, np.ndarray] = {}
    heads: dict[int, np.ndarray] = {}
    axes = rotations.project(rig.rest[:, :3, :3])
    rest = rotations.matrix_to_quaternion(axes)
    joints = rig.rest[:, :3, 3]
    for bone in rig.closed_upwards(map(int, bones)):
        pose = armature.pose.bones[rig.names[bone]]
        basis = _basis(pose, curves, frames)
        location = None if rig.connected[bone] else _values(pose, "location", curves, frames)
        parent = int(rig.parents[bone])
        if parent < 0:
            global_rotations[bone] = _multiply(rest[bone], basis)
            heads[bone] = np.repeat(joints[bone][:, None], len(frames), axis=1)
        else:
            to_parent = rotations.quaternion_multiply(rotations.quaternion_conjugate(rest[parent]), rest[bone])
            inherited = _multiply(global_rotations[parent], to_parent) if rig.inherits_rotation[bone] else rest[bone]
            global_rotations[bone] = _multiply(inherited, basis)
            heads[bone] = heads[parent] + _rotate(
                global_rotations[parent], axes[parent].T @ (joints[bone] - joints[parent])
            )
        if location is not None and location.any():
            # Along its own axes, else along its parent's.
            own = axes[bone] @ location if parent < 0 else axes[parent].T @ axes[bone] @ location
            along = own if rig.local_location[bone] else location
            heads[bone] = heads[bone] + (along if parent < 0 else _rotate(global_rotations[parent], along))
    matrices = np.empty((len(bones), 3, 3, len(frames)))
    to_world = rotations.matrix_to_quaternion(rig.rotation)
    for index, bone in enumerate(bones):
        _write_matrices(_multiply(to_world, global_rotations[int(bone)]), matrices[index])
    return Samples(
        frames,
        matrices.transpose(3, 0, 1, 2),
        rig.to_world(np.stack([heads[int(bone)] for bone in bones]).transpose(2, 0, 1)),
    )


def evaluate_frames(armature: bpy.types.Object, rig: Rig, bones: np.ndarray, frames: np.ndarray) -> Samples:
    """`sample` by setting the scene's frame, which is restored."""
    scene = bpy.context.scene
    before = scene.frame_current, scene.frame_subframe
    global_rotations = np.empty((len(frames), len(bones), 3, 3))
    heads = np.empty((len(frames), len(bones), 3))
    matrices = np.empty(16 * len(armature.pose.bones), dtype=np.float32)
    order = np.array([armature.pose.bones.find(rig.names[bone]) for bone in bones])
    try:
        for index, frame in enumerate(frames):
            whole = math.floor(frame)
            scene.frame_set(whole, subframe=float(frame - whole))
            posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
            posed.pose.bones.foreach_get("matrix", matrices)
            # Blender gives matrices column by column.
            own = matrices.reshape(-1, 4, 4)[order].transpose(0, 2, 1).astype(np.float64)
            world = np.array(posed.matrix_world, dtype=np.float64)
            global_rotations[index] = world[:3, :3] @ own[:, :3, :3]
            heads[index] = own[:, :3, 3] @ world[:3, :3].T + world[:3, 3]
    finally:
        scene.frame_set(before[0], subframe=before[1])
    return Samples(frames, rotations.project(global_rotations), heads)


def _basis(pose: bpy.types.PoseBone, curves: dict, frames: np.ndarray) -> np.ndarray:
    """The rotation, a unit quaternion (4, N), that its curves give a bone in any rotation mode."""
    mode = pose.rotation_mode
    kind = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(mode, "rotation_euler")
    values = _values(pose, kind, curves, frames)
    if mode == "QUATERNION":
        length = np.sqrt(np.einsum("in,in->n", values, values))
        return np.where(length > 1e-12, values / np.maximum(length, 1e-12), np.eye(4)[:, :1])
    return rotations.matrix_to_quaternion(channels_to_matrix(values.T, mode)).T


def _values(pose: bpy.types.PoseBone, kind: str, curves: dict, frames: np.ndarray) -> np.ndarray:
    """The values (size, N) of a bone's channel at ``frames``; its current value where there is no curve."""
    now = getattr(pose, kind)
    values = np.empty((_SIZES[kind], len(frames)))
    for part in range(_SIZES[kind]):
        curve = curves.get((pose.name, kind, part))
        values[part] = now[part] if curve is None else curve_values(curve, frames)
    return values


def _multiply(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hamilton product (4, N) of quaternions (4, N), one of which may be a single one (4,)."""
    (aw, ax, ay, az), (bw, bx, by, bz) = first, second
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def _rotate(quaternions: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rotate vectors (3, N), or one vector (3,), by unit quaternions (4, N)."""
    w, x, y, z = quaternions
    a, b, c = vector
    # v + 2w (u × v) + 2u × (u × v)
    p, q, r = 2.0 * (y * c - z * b), 2.0 * (z * a - x * c), 2.0 * (x * b - y * a)
    return np.stack([a + w * p + y * r - z * q, b + w * q + z * p - x * r, c + w * r + x * q - y * p])


def _write_matrices(quaternions: np.ndarray, matrices: np.ndarray) -> None:
    """Unit quaternions (4, N) as matrices (3, 3, N), in place."""
    w, x, y, z = quaternions
    for row, unit in enumerate(np.eye(3)):
        # A matrix's row is the unit vector rotated by its inverse.
        matrices[row] = _rotate(np.stack([w, -x, -y, -z]), unit)


def curve_values(curve: bpy.types.FCurve, frames: np.ndarray) -> np.ndarray:
    """The values (N,) of a curve at ``frames`` (N,)."""
    keys = read_keys(curve)
    if not len(keys):
        return np.full(len(frames), curve.evaluate(float(frames[0])))
    if len(keys) == len(frames) and not len(curve.modifiers) and np.all(np.abs(keys[:, 0] - frames) < 1e-3):
        return keys[:, 1]
    nearest = np.clip(np.searchsorted(keys[:, 0], frames - 1e-3), 0, len(keys) - 1)
    if not len(curve.modifiers):
        if np.all(np.abs(keys[nearest, 0] - frames) < 1e-3):
            return keys[nearest, 1]
        kinds = np.empty(len(keys), dtype=np.int32)
        curve.keyframe_points.foreach_get("interpolation", kinds)
        linear = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
        if curve.extrapolation == "CONSTANT" and np.all(kinds == linear):
            return np.interp(frames, keys[:, 0], keys[:, 1])
    return np.array([curve.evaluate(float(frame)) for frame in frames])


def _scales(curve: bpy.types.FCurve) -> bool:
    """Whether a scale's curve has any effect; exporters always write one."""
    return bool(np.any(np.abs(read_keys(curve)[:, 1] - 1.0) > 1e-4))
