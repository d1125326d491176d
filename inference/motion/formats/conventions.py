"""What motion files of other tools have in common: SMPL's rest joints, a missing camera, the height of the floor."""

from __future__ import annotations

import numpy as np

from ...body.landmarks import SMPL_VERTICES
from ...body.skeleton import JOINT_NAMES
from ...body.smpl import Body

ASSUMED_FRAME_RATE = 30.0
"""Frames per second of a file that states none."""

SMPL_PELVIS = np.array([-0.0018, -0.2233, 0.0282])
"""Rest position (3,) of SMPL-H's neutral root joint for β = 0, metres; SMPL's own is within 2 cm of it.

As public users of the model state it, for example `root_offset` in motion-diffusion code on AMASS.
"""

SMPLX_PELVIS = np.array([0.0031, -0.3514, 0.0120])
"""Rest position (3,) of SMPL-X's neutral root joint for β = 0, metres, as printed by `smplx` in a T-pose."""

NO_CAMERA = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""`Motion.camera_to_world` (4, 4) where no camera is known: at the world's origin, upright, looking along y.

The axes of camera space are the usual ones.
"""

_FEET = [JOINT_NAMES.index(name) for name in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
_SOLE_THICKNESS = 0.02
_SOLE_CELL = 0.03
_SOLE_PERCENTILE = 2.0

# Feet that are slower than this stand, bodies that are faster than this walk, metres per second.
_STANDING, _WALKING = 0.5, 0.25
_FEWEST_STEPS = 10
_SMALLEST, _LARGEST = 0.75, 1.33


def is_smpl(body: Body) -> bool:
    """Whether ``body`` is SMPL's own, on which other programs' β have their meaning."""
    return len(body.v_template) == SMPL_VERTICES


def floor_height(body: Body, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray | None = None) -> float:
    """Height in the world to which soles come down, metres: the 2nd percentile over frames of their lowest points.

    Args:
        body: the body.
        poses: (N, 24, 3) axis-angle or (N, 24, 3, 3) matrices; the root's in a world whose z points up.
        trans: (N, 3) in that world, metres.
        betas: (B,) shape, the mean by default.
    """
    rest = body.v_template
    low = np.flatnonzero(np.isin(body.weights.argmax(axis=1), _FEET))
    low = low[rest[low, 1] < rest[low, 1].min() + _SOLE_THICKNESS]
    _, first = np.unique(np.round(rest[low][:, [0, 2]] / _SOLE_CELL), axis=0, return_index=True)
    soles = body.vertices_subset(low[first], poses, betas, trans)
    return float(np.percentile(soles[..., 2].min(axis=1), _SOLE_PERCENTILE))


def stride_scale(body: Body, poses: np.ndarray, roots: np.ndarray, rate: float) -> float:
    """By how much a path has to be scaled so that this body's standing feet slide least; 1 where nobody walks.

    Args:
        body: the body, of mean shape.
        poses: (N, 24, 3, 3); the root's in a world whose z points up.
        roots: (N, 3) the root joint in that world, metres.
        rate: frames per second.
    """
    feet = body.joints(poses, np.zeros(body.shapedirs.shape[2]), np.zeros(3))
    feet = feet[:, _FEET[2:], :2] - feet[:, :1, :2]
    if len(roots) < 2:
        return 1.0
    swing = np.diff(feet, axis=0) * rate
    travel = np.diff(roots[:, None, :2], axis=0) * rate
    walking = np.linalg.norm(travel, axis=-1) > _WALKING
    scale = 1.0
    for _ in range(5):
        speed = np.linalg.norm(scale * travel + swing, axis=-1)
        standing = (speed < _STANDING) & (speed == speed.min(axis=1, keepdims=True)) & walking
        if standing.sum() < _FEWEST_STEPS:
            return 1.0
        path = np.broadcast_to(travel, swing.shape)[standing]
        scale = float(np.clip(-np.sum(path * swing[standing]) / np.sum(path**2), _SMALLEST, _LARGEST))
    return scale
