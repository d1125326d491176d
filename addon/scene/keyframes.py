"""Keyframes: a motion becomes one action, every curve written in bulk.

A key lies at frame 1 + time × fps / fps_base, whole or not, so that the motion keeps its true times at any frame rate
of the scene, also where the footage's own rate varies. `resample` puts a motion on whole frames before.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from ...inference.body import fingers, rotations
from ...inference.body.face import COEFFICIENTS
from ...inference.body.skeleton import JOINT_NAMES
from ...inference.motion.motion import Motion
from ..compatibility import Channels, new_channels, unassigned_channels
from .armature import BODY_TO_ARMATURE, bone_names, rest_axes
from .confidence import keep_confidence

FIRST_FRAME = 1.0
"""The scene frame of time 0."""

CORRECTIVE_NAMES = tuple(f"pose_{index:03d}" for index in range(9 * (len(JOINT_NAMES) - 1)))
"""The shape keys of the pose correctives, in the order of SMPL's pose features."""

CONTACT = "contact"
"""Custom property of the ankles: the probability that the foot stands on the floor, keyed where it is known."""

SEEN = "seen"
"""Custom property of armatures: whether the person is seen, keyed; see `visibility`."""

SEEN_PATH = f'["{SEEN}"]'

OURS = "video_motion"
"""Custom property of objects and actions that this add-on made."""

CLOSE = 1e-3
"""Frames by which a key may lie beside its frame where a frame rate was rounded."""

FEET = ("left_ankle", "right_ankle")
"""The bones with `CONTACT`."""

# Values of Blender's enumerations, for bulk writes.
CONSTANT, LINEAR = 0, 1
_KEYFRAME, _BREAKDOWN = 0, 2


def scene_frame_rate(scene: bpy.types.Scene) -> float:
    """Return the scene's frames per second."""
    return scene.render.fps / scene.render.fps_base


def frames_of(timestamps: np.ndarray, frame_rate: float) -> np.ndarray:
    """Return the scene frames (N,), not whole in general, of timestamps (N,) in seconds."""
    return FIRST_FRAME + np.asarray(timestamps, dtype=np.float64) * frame_rate


def times_of(frames: np.ndarray, frame_rate: float) -> np.ndarray:
    """Return the seconds (N,) of scene frames (N,)."""
    return (np.asarray(frames, dtype=np.float64) - FIRST_FRAME) / frame_rate


def whole_frames(frames: np.ndarray) -> tuple[int, int]:
    """Return the first and the last whole frame of the range that ``frames`` (N,), increasing, lie in."""
    return math.floor(frames[0] + CLOSE), math.ceil(frames[-1] - CLOSE)


def write_curve(
    channels: Channels,
    data_path: str,
    index: int,
    frames: np.ndarray,
    values: np.ndarray,
    group: object = None,
    interpolation: int = LINEAR,
    breakdowns: np.ndarray | None = None,
) -> bpy.types.FCurve:
    """Add one curve with keys at ``frames`` (N,), increasing, of ``values`` (N,); ``breakdowns`` (N,) marks some.

    Handles are not set: linear and constant keys do not use them, Blender's editors compute them when that changes, and
    it would take as long as everything else here. Scripts that make keys Bézier call ``update()``.
    """
    curve = channels.fcurves.new(data_path, index=index)
    if group is not None:
        curve.group = group
    add_keys(curve, frames, values, interpolation)
    if breakdowns is not None and breakdowns.any():
        types = np.where(breakdowns, _BREAKDOWN, _KEYFRAME).astype(np.int32)
        curve.keyframe_points.foreach_set("type", types)
    return curve


def add_keys(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray, interpolation: int = LINEAR) -> None:
    """Give a curve without keys some at ``frames`` (N,), increasing, of ``values`` (N,)."""
    count, points = len(frames), curve.keyframe_points
    points.add(count)
    coordinates = np.empty((count, 2), dtype=np.float32)
    coordinates[:, 0], coordinates[:, 1] = frames, values
    points.foreach_set("co", coordinates.ravel())
    points.foreach_set("interpolation", np.full(count, interpolation, dtype=np.int32))


def read_keys(curve: bpy.types.FCurve) -> np.ndarray:
    """The keys (M, 2) of a curve: frame and value."""
    flat = np.empty(2 * len(curve.keyframe_points), dtype=np.float32)
    curve.keyframe_points.foreach_get("co", flat)
    return flat.reshape(-1, 2).astype(np.float64)


def bone_rotations(poses: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Convert SMPL's rotations to those of pose bones.

    Args:
        poses: (N, J, 3) axis-angle, the root's in the world.
        axes: (J, 3, 3) rest orientations of the bones in armature space, which here is the world's.

    Returns:
        (N, J, 4) unit quaternions, w first, without sign flips over time.
    """
    poses = np.asarray(poses, dtype=np.float64)
    # In a bone's axes a joint rotates by the same angle about the same axis.
    local = np.swapaxes(poses, 0, 1) @ (BODY_TO_ARMATURE.T @ axes)
    quaternions = rotations.axis_angle_to_quaternion(np.swapaxes(local, 0, 1))
    # The root's rotation is from the body's axes, not the armature's, to the world's.
    root = rotations.axis_angle_to_quaternion(poses[:, 0])
    before = rotations.matrix_to_quaternion(BODY_TO_ARMATURE.T @ axes[0])
    after = rotations.matrix_to_quaternion(axes[0].T)
    quaternions[:, 0] = rotations.quaternion_multiply(after, rotations.quaternion_multiply(root, before))
    return rotations.make_continuous(quaternions)


def create_action(
    armature: bpy.types.Object, motion: Motion, name: str, frame_rate: float
) -> tuple[bpy.types.Action, Any, Channels]:
    """Make the action of ``motion`` for an armature of `create_armature`, at ``frame_rate`` scene frames per second.

    It has a fake user; keys of bridged frames are breakdowns. Contacts become the property `CONTACT`; an armature with
    the property `SEEN` has it true from the first frame to the last, bridged ones included. Fingers of which the motion
    says nothing are relaxed.

    Returns:
        The action, which nothing uses yet, its slot, None before Blender 4.4, and its channels.
    """
    action, slot, channels = unassigned_channels(armature, name)
    action.use_fake_user = True
    action[OURS] = True
    frames = frames_of(motion.timestamps, frame_rate)
    keep_confidence(action, motion, frames)
    bridged = motion.bridged.astype(bool)
    axes = rest_axes(armature)
    names = bone_names(armature)
    poses = motion.poses
    resting = np.concatenate([poses[:1], fingers.RELAXED_HANDS[None]], axis=1)[:, : len(names)]
    if motion.fingers is not None:
        poses = np.concatenate([poses, motion.fingers], axis=1)[:, : len(names)]
    moving = poses.shape[1]
    # Fingers that rest have one key.
    turns = [*np.moveaxis(bone_rotations(poses, axes[:moving]), 1, 0)]
    turns += [*np.moveaxis(bone_rotations(resting, axes)[:, moving:], 1, 0)]
    pelvis = np.array(armature.data.bones[JOINT_NAMES[0]].head_local, dtype=np.float64)
    locations = (motion.rest_pelvis + motion.trans - pelvis) @ axes[0]
    for bone, name_of_bone in enumerate(names):
        group = channels.groups.new(name_of_bone)
        path = f'pose.bones["{name_of_bone}"]'
        if bone == 0:
            for axis in range(3):
                write_curve(channels, f"{path}.location", axis, frames, locations[:, axis], group, LINEAR, bridged)
        keys = slice(len(turns[bone]))
        for part in range(4):
            turn = f"{path}.rotation_quaternion"
            write_curve(channels, turn, part, frames[keys], turns[bone][:, part], group, LINEAR, bridged[keys])
    if motion.contacts.any():
        for foot, bone in enumerate(FEET):
            pose = armature.pose.bones[bone]
            pose[CONTACT] = 0.0
            pose.id_properties_ui(CONTACT).update(min=0.0, max=1.0, description="How surely the foot stands still")
            path, group = f'pose.bones["{bone}"]["{CONTACT}"]', channels.groups[bone]
            write_curve(channels, path, 0, frames, motion.contacts[:, foot], group, LINEAR, bridged)
    if SEEN in armature:
        first, last = whole_frames(frames)
        at = np.array([first - 1, first, last + 1])
        write_curve(channels, SEEN_PATH, 0, at, np.array([0.0, 1.0, 0.0]), interpolation=CONSTANT)
    return action, slot, channels


def pose_features(poses: np.ndarray) -> np.ndarray:
    """Return the weights (N, 207) of SMPL's pose correctives for poses (N, 24, 3) in axis-angle.

    They are R − I of the joints 1 to 23, row by row, between −2 and 1.
    """
    local = rotations.axis_angle_to_matrix(np.asarray(poses, dtype=np.float64)[:, 1:])
    return (local - np.eye(3)).reshape(len(local), -1)


def has_face(keys: bpy.types.Key) -> bool:
    """Whether shape keys are, among others, those that `create_mesh` makes of a face."""
    return COEFFICIENTS[0] in keys.key_blocks


def key_shapes(mesh: bpy.types.Object, motion: Motion, action: bpy.types.Action, frame_rate: float) -> bpy.types.Action:
    """Animate the pose correctives and the face of a mesh that `create_mesh` made with them.

    A face that the motion says nothing of has one key for each coefficient, at rest.

    Their curves lie in ``action``, the one of the character's bones, in a separate slot; before Blender 4.4, where
    an action animates one data-block, in a second action. Returns the action that holds them.
    """
    keys = mesh.data.shape_keys
    holder, channels = new_channels(keys, f"{action.name} shapes", share=action)
    holder.use_fake_user = True
    holder[OURS] = True
    frames = frames_of(motion.timestamps, frame_rate)
    bridged = motion.bridged.astype(bool)
    if CORRECTIVE_NAMES[0] in keys.key_blocks:
        features = pose_features(motion.poses_cam)
        group = channels.groups.new("Pose correctives")
        for index, name in enumerate(CORRECTIVE_NAMES):
            write_curve(channels, shape_path(name), 0, frames, features[:, index], group, LINEAR, bridged)
    if has_face(keys):
        face = np.zeros((1, len(COEFFICIENTS))) if motion.face is None else motion.face
        group = channels.groups.new("Face")
        for index, name in enumerate(COEFFICIENTS):
            # A coefficient that never moves has one key.
            values = face[:, index] if face[:, index].any() else face[:1, index]
            at, marks = frames[: len(values)], bridged[: len(values)]
            write_curve(channels, shape_path(name), 0, at, values, group, LINEAR, marks)
    return holder


def shape_path(name: str) -> str:
    """The data path of the value of a shape key."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'
