"""Retargets recordings of CMU's skeleton to our body, in closed form.

Both skeletons stand upright at rest, arms to the sides, palms down, so our bones rotate as the source's do:
``G = G_source · A``. The fixed alignment A rotates our rest bone to the source's, whose legs are spread, so that limbs
have exactly the source's directions. A also contains:

- Trunk: at rest the source's shoulders are behind its lower back, ours in front. The spine is rotated back by that
  angle; otherwise people would lean forward, with upright legs and their weight over their toes.
- Arms: the source's elbows bend about an axis 30° off the vertical, ours about the vertical.
- Feet: the soles are level at rest; the bone from the ankle to the ball, steeper in our body, is not aligned.
- Head: the source's head looks down by about 5° when people look ahead. Our neck rotates half as far as the head.
- Forearms: half of the hand's rotation about the forearm goes to the elbow, as skin does.

The root moves as the source's hips do, scaled by the length of the legs so that standing feet stay where they are.
"""

from __future__ import annotations

import numpy as np

from ....body import rotations
from ....body.skeleton import JOINT_NAMES
from ....body.smpl import Body
from .grounding import floor_height
from .recording import HEAD_LIFT, SOURCE_HINGE, MotionClip, Recording

_SPINE = {"spine1": "lowerback", "spine2": "upperback", "spine3": "thorax"}
_HINGE = np.array([0.0, -1.0, 0.0])
_SAGITTAL = np.array([0.0, 1.0, 1.0])
# A hand's rotation about its forearm is counted from here, far outside its range.
_MOST_SUPINATED = np.radians(-225.0)
_NUMBER = {name: number for number, name in enumerate(JOINT_NAMES)}


def retarget(recording: Recording, body: Body) -> MotionClip:
    """Retarget a recording to our body.

    Args:
        recording: N frames of a skeleton with the joints of CMU's.
        body: the body, in its default shape.

    Returns:
        N frames at the recording's frame rate, the feet on y = 0 where they stand.

    Raises:
        MocapError: the skeleton lacks a joint.
    """
    global_rotations = _global_rotations(recording, body)
    local = global_rotations.copy()
    local[:, 1:] = np.swapaxes(global_rotations[:, list(body.parents[1:])], -1, -2) @ global_rotations[:, 1:]
    trans = _root(recording, body, global_rotations[:, 0])
    trans[:, 1] -= floor_height(body, local, trans, recording.frame_rate)
    return MotionClip(
        recording.name, recording.group, recording.frame_rate, rotations.matrix_to_axis_angle(local), trans
    )


def _global_rotations(recording: Recording, body: Body) -> np.ndarray:
    source, rest = recording.rotations, body.joint_template
    global_rotations = np.empty((len(recording), len(JOINT_NAMES), 3, 3))

    def bone(start: str, end: str) -> np.ndarray:
        return rest[_NUMBER[end]] - rest[_NUMBER[start]]

    def source_bone(end: str) -> np.ndarray:
        return recording.offsets[recording.joint(end)]

    def follow(joint: str, source_joint: str, alignment: np.ndarray) -> None:
        global_rotations[:, _NUMBER[joint]] = source[:, recording.joint(source_joint)] @ alignment

    follow("pelvis", "root", np.eye(3))
    straight = _trunk_alignment(recording, rest)
    for joint, source_joint in _SPINE.items():
        follow(joint, source_joint, straight)
    follow("head", "head", HEAD_LIFT)
    global_rotations[:, _NUMBER["neck"]] = _halfway(
        global_rotations[:, _NUMBER["spine3"]], global_rotations[:, _NUMBER["head"]]
    )
    for side in ("left", "right"):
        letter = side[0]
        follow(f"{side}_collar", f"{letter}clavicle", straight)
        for joint, end, source_joint, source_end in (
            ("hip", "knee", "femur", "tibia"),
            ("knee", "ankle", "tibia", "foot"),
            ("wrist", "hand", "hand", "fingers"),
        ):
            alignment = rotations.between(bone(f"{side}_{joint}", f"{side}_{end}"), source_bone(letter + source_end))
            follow(f"{side}_{joint}", letter + source_joint, alignment)
        level = rotations.between(np.array([0.0, -1.0, 0.0]), source_bone(f"{letter}foot"))
        follow(f"{side}_ankle", f"{letter}foot", level)
        follow(f"{side}_foot", f"{letter}toes", level)
        for joint, end, source_joint, source_end in (
            ("shoulder", "elbow", "humerus", "radius"),
            ("elbow", "wrist", "radius", "wrist"),
        ):
            ours = _frame(bone(f"{side}_{joint}", f"{side}_{end}"), _HINGE)
            theirs = _frame(source_bone(letter + source_end), SOURCE_HINGE)
            follow(f"{side}_{joint}", letter + source_joint, theirs @ ours.T)
        forearm, hand = _NUMBER[f"{side}_elbow"], _NUMBER[f"{side}_wrist"]
        # To the body's left for both arms, so that positive angles pronate both.
        axis = bone(f"{side}_elbow", f"{side}_wrist") * (1.0 if side == "left" else -1.0)
        global_rotations[:, forearm] = _pronated(
            global_rotations[:, forearm], global_rotations[:, hand], axis / np.linalg.norm(axis)
        )
        global_rotations[:, _NUMBER[f"{side}_hand"]] = global_rotations[:, hand]
    return global_rotations


def _trunk_alignment(recording: Recording, rest: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) about x from our line between lower back and shoulders to the source's."""
    ours = rest[[_NUMBER["left_shoulder"], _NUMBER["right_shoulder"]]].mean(axis=0) - rest[_NUMBER["spine1"]]
    theirs = np.mean([_from_root(recording, "lhumerus"), _from_root(recording, "rhumerus")], axis=0)
    theirs = theirs - _from_root(recording, "lowerback")
    return rotations.between(ours * _SAGITTAL, theirs * _SAGITTAL)


def _from_root(recording: Recording, name: str) -> np.ndarray:
    joint, position = recording.joint(name), np.zeros(3)
    while joint >= 0:
        position = position + (recording.parents[joint] >= 0) * recording.offsets[joint]
        joint = recording.parents[joint]
    return position


def _frame(direction: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    return rotations.sixd_to_matrix(np.concatenate([direction, hinge]))


def _halfway(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    rotation = rotations.matrix_to_axis_angle(np.swapaxes(first, -1, -2) @ second)
    return first @ rotations.axis_angle_to_matrix(rotation / 2)


def _pronated(forearm: np.ndarray, hand: np.ndarray, axis: np.ndarray) -> np.ndarray:
    rotation = rotations.matrix_to_quaternion(np.swapaxes(forearm, -1, -2) @ hand)
    _, twist = rotations.swing_twist(rotation, axis)
    angle = 2 * np.arctan2(twist[:, 1:] @ axis, twist[:, 0])
    angle = np.mod(angle - _MOST_SUPINATED, 2 * np.pi) + _MOST_SUPINATED
    return forearm @ rotations.axis_angle_to_matrix(angle[:, None] / 2 * axis)


def _root(recording: Recording, body: Body, root_rotations: np.ndarray) -> np.ndarray:
    rest = body.joint_template
    hips = rest[[_NUMBER["left_hip"], _NUMBER["right_hip"]]].mean(axis=0) - rest[0]
    source_hips = recording.positions[:, [recording.joint("lfemur"), recording.joint("rfemur")]].mean(axis=1)
    leg = sum(
        np.linalg.norm(rest[_NUMBER[f"{side}_{end}"]] - rest[_NUMBER[f"{side}_{start}"]])
        for side in ("left", "right")
        for start, end in (("hip", "knee"), ("knee", "ankle"))
    )
    source_leg = sum(
        np.linalg.norm(recording.offsets[recording.joint(joint)]) for joint in ("ltibia", "lfoot", "rtibia", "rfoot")
    )
    return source_hips * (leg / source_leg) - root_rotations @ hips - rest[0]
