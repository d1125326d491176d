"""Measures of people in a world whose z points up and whose floor is z = 0; lengths in metres, results mostly in mm.

The measure of nothing is NaN.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ....body.skeleton import JOINT_NAMES
from ....motion.contacts import runs
from .. import metrics

SEGMENT = 100
"""Frames that are aligned together in W-MPJPE and WA-MPJPE."""

GRAVITY = 9.81
"""m/s²."""

_FIRST = 2
# A flight of fewer frames has no acceleration.
_FLIGHT = 4
_SIDES = ("left", "right")
# Share of the mass, and both ends and the place of its centre between them, of the segments of a body: means of the
# women and men of de Leva (1996), the hands' and feet's added to their neighbours where SMPL has no end for them.
_SEGMENTS = [
    ("neck", "head", 1.0, 0.0681),
    ("pelvis", "neck", 0.55, 0.4302),
    *(
        (f"{side}_{first}", f"{side}_{second}", place, mass)
        for side in _SIDES
        for first, second, place, mass in (
            ("shoulder", "elbow", 0.576, 0.0263),
            ("elbow", "wrist", 0.457, 0.0150),
            ("wrist", "hand", 0.8, 0.0059),
            ("hip", "knee", 0.385, 0.1447),
            ("knee", "ankle", 0.44, 0.0457),
            ("ankle", "foot", 0.4, 0.0133),
        )
    ),
]


def w_mpjpe(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean joint error in mm after each segment of 100 frames is moved by the similarity that fits its first two.

    As WHAM and EMDB report it, after SLAHMR (Ye et al., CVPR 2023). Joints are (N, K, 3).
    """
    return _segments(predicted, true, _FIRST)


def wa_mpjpe(predicted: np.ndarray, true: np.ndarray) -> float:
    """As `w_mpjpe`, but after the similarity that fits all frames of the segment."""
    return _segments(predicted, true, SEGMENT)


def _segments(predicted: np.ndarray, true: np.ndarray, fitted: int) -> float:
    errors = []
    for start in range(0, len(true), SEGMENT):
        part, wanted = predicted[start : start + SEGMENT], true[start : start + SEGMENT]
        if len(part) < _FIRST:
            continue
        scale, rotation, shift = _similarity(part[:fitted].reshape(-1, 3), wanted[:fitted].reshape(-1, 3))
        errors.append(np.linalg.norm(scale * part @ rotation.T + shift - wanted, axis=-1).ravel())
    return 1000 * float(np.concatenate(errors).mean()) if errors else float("nan")


def _similarity(points: np.ndarray, wanted: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (3, 3) and shift (3,) that move points (n, 3) nearest to others."""
    scale, rotation = metrics.similarity((points - points.mean(axis=0))[None], (wanted - wanted.mean(axis=0))[None])
    shift = wanted.mean(axis=0) - scale[0] * rotation[0] @ points.mean(axis=0)
    return float(scale[0]), rotation[0], shift


def root_path_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """RTE: mean error of the root's path (N, 3), moved rigidly to fit best, in per cent of the true path's length.

    As in WHAM (Shin et al., CVPR 2024).
    """
    if len(true) < _FIRST:
        return float("nan")
    fitted = metrics.moved_rigidly(predicted, predicted, true)
    return 100 * float(np.linalg.norm(fitted - true, axis=1).mean() / path_length(true))


def path_length(path: np.ndarray) -> float:
    """Of a path (N, 3)."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def gravity_errors(predicted_up: np.ndarray, true_up: np.ndarray) -> np.ndarray:
    """Angles (N,) between unit vectors (N, 3) that point up in camera axes, degrees."""
    across = np.linalg.norm(np.cross(predicted_up, true_up), axis=1)
    return np.degrees(np.arctan2(across, (predicted_up * true_up).sum(axis=1)))


def sliding(points: np.ndarray, contacts: np.ndarray, frames: np.ndarray) -> float:
    """Mean way from one frame to the next of points (N, k, 3) that stand (N, k) in both, mm; frame numbers are (N,)."""
    way = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    standing = contacts[1:] & contacts[:-1] & (np.diff(frames) == 1)[:, None]
    return 1000 * float(way[standing].mean()) if standing.any() else float("nan")


def floating(lowest: np.ndarray, ground: np.ndarray) -> tuple[float, float]:
    """How far bodies float above the ground and sink into it, means over all N frames in mm.

    Args:
        lowest: (N,) height of a body's lowest point.
        ground: (N,) height of what it stands on.
    """
    above = 1000 * (lowest - ground)
    if not len(above):
        return float("nan"), float("nan")
    return float(np.clip(above, 0, None).mean()), float(np.clip(-above, 0, None).mean())


def flight_error(heights: np.ndarray, airborne: np.ndarray, frame_rate: float) -> float:
    """How far the vertical acceleration of bodies in the air is from gravity's, m/s², weighted by frames.

    Args:
        heights: (N,) of the centre of mass.
        airborne: (N,) whether the body is in the air; a parabola is fitted to each stretch of it.
        frame_rate: frames per second.
    """
    flights = [(first, last) for first, last in runs(airborne) if last - first >= _FLIGHT]
    if not flights:
        return float("nan")
    errors = []
    for first, last in flights:
        seconds = np.arange(last - first) / frame_rate
        errors.append(abs(2 * np.polyfit(seconds, heights[first:last], 2)[0] + GRAVITY))
    return float(np.average(errors, weights=[last - first for first, last in flights]))


def centre_of_mass(joints: np.ndarray) -> np.ndarray:
    """(N, 3) of bodies with SMPL's joints (N, 24, 3)."""
    first, second = (joints[:, [JOINT_NAMES.index(part[end]) for part in _SEGMENTS]] for end in (0, 1))
    place, mass = (np.array([part[column] for part in _SEGMENTS])[:, None] for column in (2, 3))
    return ((first + place * (second - first)) * mass).sum(axis=1) / mass.sum()


def heights_above(places: np.ndarray, heights: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Heights (...) above the highest box at or below them, or above the floor.

    Args:
        places: (..., 2) horizontal.
        heights: (...) above the floor.
        boxes: (b, 2, 3) lowest and highest corner; their third axis is the vertical one.
    """
    return heights - ground_below(places, boxes)


def ground_below(places: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Height (...) of the highest box at places (..., 2); 0 where there is none. Boxes are those of `heights_above`."""
    if not len(boxes):
        return np.zeros(places.shape[:-1])
    inside = ((places[..., None, :] > boxes[:, 0, :2]) & (places[..., None, :] < boxes[:, 1, :2])).all(axis=-1)
    return np.where(inside, boxes[:, 1, 2], 0.0).max(axis=-1)


def identity_switches(distances: np.ndarray, limit: float) -> int:
    """How often a true person's estimate becomes another one, as in CLEAR MOT (Bernardin and Stiefelhagen, 2008).

    Who was matched stays matched while near enough; the others are matched anew, nearest in total.

    Args:
        distances: (N, T, E) between T true and E estimated people, NaN where one of them is not there.
        limit: of people who may match.
    """
    count = 0
    matched: dict[int, int] = {}
    for apart in distances:
        near = np.where(apart <= limit, apart, np.inf)
        kept = {person: one for person, one in matched.items() if np.isfinite(near[person, one])}
        people = [person for person in range(near.shape[0]) if person not in kept]
        others = [one for one in range(near.shape[1]) if one not in kept.values()]
        costs = near[np.ix_(people, others)]
        for row, column in zip(*linear_sum_assignment(np.where(np.isfinite(costs), costs, 1e6)), strict=True):
            if np.isfinite(costs[row, column]):
                person, one = people[row], others[column]
                count += matched.get(person, one) != one
                kept[person] = one
        matched |= kept
    return count
