"""How fingers stand and bend: the flat hand of SMPL-H's T-pose, the relaxed hand, axes and limits.

Axes are the body's in T-pose: arms along x, palms down, fingers straight. A finger has four angles: its base bends
towards the palm and swings towards the thumb's side, its two other joints bend. The thumb has the same four, its base's
as deviations from the relaxed thumb.
"""

import numpy as np
from numpy.typing import ArrayLike

from .rotations import Floats, axis_angle_to_matrix, matrix_to_axis_angle
from .skeleton import BODY_JOINTS, FINGERS, JOINT_NAMES, SIDES, SMPLH_PARENTS

BEND, SWING, MIDDLE, END = range(4)
"""Columns of a finger's angles: the base towards the palm and towards the thumb's side, the next joint, the last."""

_FLAT = {
    "index": (0.998, 0.0, 0.06),
    "middle": (1.0, 0.0, 0.0),
    "pinky": (0.985, 0.0, -0.17),
    "ring": (0.997, 0.0, -0.07),
    "thumb": (0.72, -0.15, 0.68),
}
_PALM = dict.fromkeys(FINGERS, (0.0, -1.0, 0.0))
# Where the thumb of a flat hand bends to.
_PALM["thumb"] = (0.35, -0.65, -0.65)
# How the base of the relaxed thumb is turned from that of the flat hand, axis-angle, degrees.
_THUMB_BASE = (46.0, -22.0, 17.0)

# Degrees: of a relaxed hand, and how far each angle can go.
_RELAXED = {
    "index": (20, -2, 28, 14),
    "middle": (25, 0, 33, 17),
    "pinky": (33, 6, 34, 16),
    "ring": (29, 2, 36, 18),
    "thumb": (0, 0, 12, 14),
}
_LIMITS = {
    **dict.fromkeys(FINGERS, ((-25, 95), (-18, 18), (-3, 110), (-5, 75))),
    "thumb": ((-35, 35), (-35, 35), (-10, 60), (-15, 80)),
}

RELAXED = np.radians([_RELAXED[finger] for finger in FINGERS])
"""(5, 4) angles of a relaxed hand."""

LIMITS = np.radians([_LIMITS[finger] for finger in FINGERS])
"""(5, 4, 2) lowest and highest angles."""


def _axes() -> Floats:
    frames = np.empty((2, len(FINGERS), 3, 3))
    for side, sign in enumerate((1.0, -1.0)):
        for number, finger in enumerate(FINGERS):
            flip = np.array([sign, 1.0, 1.0])
            along, palm = np.array(_FLAT[finger]) * flip, np.array(_PALM[finger]) * flip
            along = along / np.linalg.norm(along)
            palm = palm - palm @ along * along
            palm = palm / np.linalg.norm(palm)
            # The thumb's side, right-handed on neither hand alone: mirrored like everything else.
            frames[side, number] = np.stack([along, palm, sign * np.cross(palm, along)])
    return frames


AXES = _axes()
"""(2, 5, 3, 3) of the left and right flat hand's fingers: rows are along the finger, to where it bends, and the third,
for fingers the thumb's side."""

BEND_AXES = np.cross(AXES[..., 0, :], AXES[..., 1, :])
"""(2, 5, 3) about which fingers bend."""

SWING_AXES = np.cross(AXES[..., 0, :], AXES[..., 2, :])
"""(2, 5, 3) about which fingers swing."""

THUMB_BASE = axis_angle_to_matrix(np.radians([[_THUMB_BASE], [np.multiply(_THUMB_BASE, (1, -1, -1))]]))[:, 0]  # pyrefly: ignore[no-matching-overload]
"""(2, 3, 3) rotations of the relaxed thumbs' base joints."""

_THUMB = FINGERS.index("thumb")


def rotations_of(angles: ArrayLike) -> Floats:
    """Local rotations (..., 2, 15, 3, 3) in SMPL-H's order of the angles (..., 2, 5, 4) of left and right fingers."""
    turns = np.asarray(angles, dtype=np.float64)[..., None]
    local = np.empty((*turns.shape[:-2], 3, 3, 3))
    base = axis_angle_to_matrix(turns[..., BEND, :] * BEND_AXES) @ axis_angle_to_matrix(
        turns[..., SWING, :] * SWING_AXES
    )
    # The thumb's deviations are turned in the axes of the relaxed one.
    base[..., _THUMB, :, :] = THUMB_BASE @ base[..., _THUMB, :, :]
    local[..., 0, :, :] = base
    local[..., 1, :, :] = axis_angle_to_matrix(turns[..., MIDDLE, :] * BEND_AXES)
    local[..., 2, :, :] = axis_angle_to_matrix(turns[..., END, :] * BEND_AXES)
    return local.reshape(*turns.shape[:-3], 3 * len(FINGERS), 3, 3)


def angles_of(local: ArrayLike) -> Floats:
    """The inverse of `rotations_of`: angles (..., 2, 5, 4) of local rotations (..., 2, 15, 3, 3).

    Of rotations that fingers can't do, the angles that point the bones nearest to where they do.
    """
    turns = np.array(local, dtype=np.float64)
    turns = np.moveaxis(turns.reshape(*turns.shape[:-3], len(FINGERS), 3, 3, 3), -3, 0)
    turns[0, ..., _THUMB, :, :] = np.swapaxes(THUMB_BASE, -1, -2) @ turns[0, ..., _THUMB, :, :]
    bend, aside = angles_towards((turns @ AXES[..., 0, :, None])[..., 0])
    return np.stack([bend[0], aside[0], bend[1], bend[2]], axis=-1)


def angles_towards(directions: Floats) -> tuple[Floats, Floats]:
    """Two angles (..., 2, 5) that turn bones of flat fingers to unit vectors (..., 2, 5, 3): to the palm, and aside."""
    along, palm, aside = np.moveaxis(np.einsum("sfij,...sfj->...sfi", AXES, directions), -1, 0)
    return np.arctan2(palm, along), np.arcsin(np.clip(aside, -1.0, 1.0))


RELAXED_HANDS = matrix_to_axis_angle(rotations_of(np.stack([RELAXED] * len(SIDES)))).reshape(-1, 3)
"""(30, 3) local rotations of relaxed hands in axis-angle, in the order of `FINGER_JOINT_NAMES`."""


def chained(joints: Floats, turns: Floats) -> Floats:
    """Joints (..., 52, 3) of SMPL-H after their bones turned by ``turns`` (52, 3, 3), all but the fingers' in place.

    Linear in the joints: shape directions of joints give those of the turned ones.
    """
    moved = joints.copy()
    for joint in range(BODY_JOINTS, len(SMPLH_PARENTS)):
        parent = SMPLH_PARENTS[joint]
        moved[..., joint, :] = (
            moved[..., parent, :] + (joints[..., joint, :] - joints[..., parent, :]) @ turns[parent].T
        )
    return moved


def relaxing_turns(relaxed: Floats = RELAXED_HANDS) -> Floats:
    """(52, 3, 3) how the bones of SMPL-H turn from flat to relaxed hands of local rotations (30, 3)."""
    turns = np.tile(np.eye(3, dtype=relaxed.dtype), (len(SMPLH_PARENTS), 1, 1))
    local = axis_angle_to_matrix(relaxed)
    for joint in range(BODY_JOINTS, len(SMPLH_PARENTS)):
        turns[joint] = turns[SMPLH_PARENTS[joint]] @ local[joint - BODY_JOINTS]
    return turns


def blended(weights: Floats, turns: Floats, before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """What skinning by weights (K, 52) does to points: matrices (K, 3, 3), and moves (..., K, 3), linear in the joints.

    ``before`` and ``after`` are the joints (..., 52, 3) of which bones turn by ``turns`` (52, 3, 3).
    """
    moves = after - np.einsum("jab,...jb->...ja", turns, before)
    return np.tensordot(weights, turns, axes=1), weights @ moves


def smplh_weights(weights: Floats, finger_weights: Floats) -> Floats:
    """Skin weights (V, 52) of SMPL-H from SMPL's (V, 24) and the fingers' (V, 30), which are parts of the hands'."""
    body = weights[:, :BODY_JOINTS].copy()
    for side, name in enumerate(SIDES):
        half = finger_weights.shape[1] // 2
        hand = weights[:, JOINT_NAMES.index(f"{name}_hand")]
        own = finger_weights[:, side * half : (side + 1) * half].sum(axis=1)
        wrist = JOINT_NAMES.index(f"{name}_wrist")
        body[:, wrist] = np.maximum(body[:, wrist] + hand - own, 0.0)
    return np.concatenate([body, finger_weights], axis=1)
