"""When heels and toes stand on the floor, and where."""

from __future__ import annotations

import numpy as np

from ..body.skeleton import LANDMARK_NAMES

SOLE_LANDMARKS = tuple(
    LANDMARK_NAMES.index(name) for name in ("left_heel", "right_heel", "left_foot_index", "right_foot_index")
)
"""Heels, then toes; left, then right."""

_STILL = 0.30
_LOW = 0.07
_SHORTEST = 0.10
_SETTLING = 0.04


def sideways_speed(points: np.ndarray, eyes: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """(n, k) speed of (n, k, 3) points across the line of sight of a camera at (n, 3), m/s.

    Depth from one camera is much noisier than the image, so a standing foot is detected best across the line of sight.
    """
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    seen = points - eyes[:, None]
    distance = np.linalg.norm(seen, axis=-1, keepdims=True)
    sight = seen / distance
    travel = np.gradient(eyes, timestamps, axis=0)[:, None]
    across = travel - (travel * sight).sum(-1, keepdims=True) * sight
    return np.linalg.norm(np.gradient(sight, timestamps, axis=0) * distance + across, axis=-1)


def standing(speed: np.ndarray, height: np.ndarray | None, scores: np.ndarray) -> np.ndarray:
    """(n, k) probability that a sole point stands on the floor.

    Args:
        speed: (n, k) m/s.
        height: (n, k) metres above the floor, or None while the floor is unknown.
        scores: (n, k) confidence that the point was seen.
    """
    probability = np.exp(-((speed / _STILL) ** 2)) * scores
    if height is not None:
        probability *= np.exp(-((np.clip(height, 0, None) / _LOW) ** 2))
    return probability


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First row and the row after the last of each stretch in which ``mask`` (n,) holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def plant(
    positions: np.ndarray, probability: np.ndarray, timestamps: np.ndarray, heights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hold standing sole points in one place for as long as they stand.

    Args:
        positions: (n, k, 3) world positions.
        probability: (n, k) from `standing`.
        timestamps: (n,) seconds.
        heights: (k,) height of each point above the floor when the foot stands flat, metres.

    Returns:
        (n, k, 3) targets to stand and (n, k) how firmly, 0 where the foot is free. The hold grows and fades over
        40 ms, so that a planted foot is not snatched.
    """
    targets, hold = positions.copy(), np.zeros(probability.shape)
    for point in range(positions.shape[1]):
        for start, stop in runs(probability[:, point] > 0.5):
            if timestamps[stop - 1] - timestamps[start] < _SHORTEST:
                continue
            weight = probability[start:stop, point]
            middle = (positions[start:stop, point] * weight[:, None]).sum(0) / weight.sum()
            targets[start:stop, point] = [middle[0], middle[1], heights[point]]
            since = np.minimum(
                timestamps[start:stop] - timestamps[start], timestamps[stop - 1] - timestamps[start:stop]
            )
            hold[start:stop, point] = np.clip(since / _SETTLING + 0.2, 0, 1)
    return targets, hold
