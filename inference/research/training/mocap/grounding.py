"""Puts clips on the floor."""

from __future__ import annotations

import numpy as np

from ....body.skeleton import JOINT_NAMES
from ....body.smpl import Body

_FEET = [JOINT_NAMES.index(name) for name in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
_SOLE_THICKNESS = 0.02
_CELL = 0.03
_STILL = 0.3
_STEP = 0.1


def sole_vertices(body: Body) -> np.ndarray:
    """Numbers of vertices, a few centimetres apart, that touch the floor when the body stands."""
    rest = body.v_template
    low = np.flatnonzero(np.isin(body.weights.argmax(axis=1), _FEET))
    low = low[rest[low, 1] < rest[low, 1].min() + _SOLE_THICKNESS]
    _, first = np.unique(np.round(rest[low][:, [0, 2]] / _CELL), axis=0, return_index=True)
    return low[np.sort(first)]


def floor_height(body: Body, poses: np.ndarray, trans: np.ndarray, frame_rate: float) -> float:
    """Height of the floor.

    It is the mean height of the feet's lowest point over the frames in which that point is still at the lowest level
    on which it is ever still; if it never is, the lowest point of all frames.

    Args:
        body: the body, in its default shape.
        poses: (N, 24, 3) axis-angle, or (N, 24, 3, 3) matrices.
        trans: (N, 3) metres, y up.
        frame_rate: frames per second.
    """
    soles = body.vertices_subset(sole_vertices(body), poses, trans=trans)
    lowest = soles[..., 1].argmin(axis=1)
    rows = np.arange(len(soles))
    heights = soles[rows, lowest, 1]
    if len(soles) < 2:
        return float(heights.min())
    before, after = np.maximum(rows - 1, 0), np.minimum(rows + 1, len(soles) - 1)
    move = np.linalg.norm(soles[after, lowest] - soles[before, lowest], axis=1)
    resting = heights[move * frame_rate / (after - before) < _STILL]
    if not len(resting):
        return float(heights.min())
    return float(resting[resting < np.percentile(resting, 5) + _STEP].mean())
