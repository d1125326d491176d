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
