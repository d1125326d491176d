"""When heels and toes stand on the floor, and where."""

from __future__ import annotations

import numpy as np

from .. import spill
from ..body.skeleton import LANDMARK_NAMES

SOLE_LANDMARKS = tuple(
    LANDMARK_NAMES.index(name) for name in ("left_heel", "right_heel", "left_foot_index", "right_foot_index")
)
"""Heels, then toes; left, then right."""

# The other end of the same foot.
_OTHER_END = [2, 3, 0, 1]
_STILL = 0.30
_LOW = 0.07
_SHORTEST = 0.10
_SETTLING = 0.04
# Between two levels on which somebody stands, metres: one camera sees a floor rise and fall by half of that.
_APART = 0.08


def sideways_speed(points: np.ndarray, eyes: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """(n, k) speed of (n, k, 3) points across the line of sight of a camera at (n, 3), m/s.

    Depth from one camera is much noisier than the image, so a standing foot is detected best across the line of sight.
    """
    if len(points) < 2:
        return np.zeros(points.shape[:2])

    def speed(window: slice) -> tuple[np.ndarray]:
        now = timestamps[window]
        seen = points[window] - eyes[window, None]
        distance = np.linalg.norm(seen, axis=-1, keepdims=True)
        sight = seen / distance
        travel = np.gradient(eyes[window], now, axis=0)[:, None]
        across = travel - (travel * sight).sum(-1, keepdims=True) * sight
        return (np.linalg.norm(np.gradient(sight, now, axis=0) * distance + across, axis=-1),)

    return spill.collect(len(points), speed, margin=1)[0]


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


def ground_levels(clearance: np.ndarray, probability: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """The height of what each sole point stands on: one level, or several where somebody climbs.

    Args:
        clearance: (n, 4) heights of `SOLE_LANDMARKS` above where they are when a flat foot stands at z = 0, metres.
        probability: (n, 4) that they stand.
        timestamps: (n,) seconds.

    Returns:
        (n, 4) metres, the same during a stand; that of the longest stood on level where a point is free.
    """
    stands = _stands(probability, timestamps)
    if not stands:
        return np.full(clearance.shape, float(np.median(clearance.min(axis=1))))
    # A foot that stands on its heel or its toes is no higher for that.
    lowest = np.minimum(clearance, clearance[:, _OTHER_END])
    low, heights, high = np.array(
        [np.quantile(lowest[start:stop, point], (0.2, 0.5, 0.8)) for point, start, stop in stands]
    ).T
    seconds = np.array([timestamps[stop - 1] - timestamps[start] for _, start, stop in stands])
    # A stand whose height drifts is on the level of all that it reaches.
    order = np.argsort(low)
    reached = np.maximum.accumulate(high[order])
    level = np.empty(len(order), int)
    level[order] = np.concatenate([[0], np.cumsum(low[order][1:] - reached[:-1] > _APART)])
    spent = np.bincount(level, seconds)
    means = np.bincount(level, seconds * heights) / spent
    ground = np.full(clearance.shape, means[spent.argmax()])
    for (point, start, stop), number in zip(stands, level, strict=True):
        ground[start:stop, point] = means[number]
    return ground


def _stands(probability: np.ndarray, timestamps: np.ndarray) -> list[tuple[int, int, int]]:
    """Point, first frame and the frame after the last of each stand that is long enough to be one."""
    return [
        (point, start, stop)
        for point in range(probability.shape[1])
        for start, stop in runs(probability[:, point] > 0.5)
        if timestamps[stop - 1] - timestamps[start] >= _SHORTEST
    ]


def plant(
    positions: np.ndarray, probability: np.ndarray, timestamps: np.ndarray, heights: np.ndarray, trust: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hold standing sole points in one place for as long as they stand.

    Args:
        positions: (n, k, 3) world positions.
        probability: (n, k) that they stand.
        timestamps: (n,) seconds.
        heights: (n, k) at which each point is held, metres; the same during a stand.
        trust: (n,) weights of the frames: where a point stands is where it is seen in those that say it best.

    Returns:
        (n, k, 3) targets to stand and (n, k) how firmly, 0 where the foot is free. The hold grows and fades over
        40 ms, so that a planted foot is not snatched.
    """
    targets, hold = positions.copy(), np.zeros(probability.shape)
    for point, start, stop in _stands(probability, timestamps):
        weight = probability[start:stop, point] * trust[start:stop]
        middle = (positions[start:stop, point] * weight[:, None]).sum(0) / weight.sum()
        targets[start:stop, point] = [middle[0], middle[1], heights[start, point]]
        since = np.minimum(timestamps[start:stop] - timestamps[start], timestamps[stop - 1] - timestamps[start:stop])
        hold[start:stop, point] = np.clip(since / _SETTLING + 0.2, 0, 1)
    return targets, hold
