"""Anatomical limits and spread of each joint's rotation, as data.

Rows are SMPL's joints, columns the x, y and z component of the local axis-angle vector in the rest pose's axes
(x to the body's left, y up, z front), in degrees. Right-side rows mirror the left: x keeps its sign, y and z change it.
"""

from __future__ import annotations

import numpy as np

from ..body.skeleton import JOINT_NAMES

_FREE = ((-400, 400),) * 3

# joint: ((low, high) of x, y, z)
_LIMITS = {
    "pelvis": _FREE,
    "left_hip": ((-130, 35), (-45, 45), (-30, 65)),
    "left_knee": ((-3, 150), (-15, 15), (-8, 8)),
    "left_ankle": ((-30, 50), (-25, 25), (-25, 25)),
    "left_foot": ((-45, 20), (-5, 5), (-5, 5)),
    "spine1": ((-15, 40), (-20, 20), (-20, 20)),
    "spine2": ((-12, 30), (-20, 20), (-15, 15)),
    "spine3": ((-10, 25), (-15, 15), (-15, 15)),
    "neck": ((-30, 40), (-45, 45), (-25, 25)),
    "head": ((-30, 35), (-45, 45), (-25, 25)),
    "left_collar": ((-10, 10), (-25, 20), (-12, 35)),
    "left_shoulder": ((-100, 100), (-140, 60), (-105, 100)),
    "left_elbow": ((-40, 40), (-155, 3), (-20, 20)),
    "left_wrist": ((-85, 85), (-40, 40), (-70, 70)),
    "left_hand": ((0, 0), (0, 0), (0, 0)),
}

# joint: standard deviation of x, y, z around the rest pose
_SPREAD = {
    "pelvis": (1e4, 1e4, 1e4),
    "left_hip": (60, 20, 25),
    "left_knee": (90, 6, 4),
    "left_ankle": (20, 12, 12),
    "left_foot": (8, 2, 2),
    "spine1": (12, 8, 8),
    "spine2": (10, 8, 8),
    "spine3": (8, 8, 8),
    "neck": (15, 20, 12),
    "head": (15, 20, 12),
    "left_collar": (5, 10, 10),
    "left_shoulder": (45, 70, 70),
    "left_elbow": (12, 90, 6),
    "left_wrist": (30, 15, 20),
    "left_hand": (1, 1, 1),
}

_MIRROR = np.array([1.0, -1.0, -1.0])


def _row(table: dict[str, tuple], joint: str) -> np.ndarray:
    values = np.radians(np.array(table[joint.replace("right_", "left_")], dtype=float))
    if joint.startswith("right_") and values.ndim == 2:
        values = np.sort(values * _MIRROR[:, None], axis=1)
    return values


LIMITS = np.stack([_row(_LIMITS, joint) for joint in JOINT_NAMES])
"""(24, 3, 2) lowest and highest axis-angle component, radians."""

SPREAD = np.stack([_row(_SPREAD, joint) for joint in JOINT_NAMES])
"""(24, 3) standard deviation of each axis-angle component, radians."""
