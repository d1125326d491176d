"""Which points of the feet stand, from how the whole body moves.

A foot that is hidden by the other leg, or that a detector moves although it stands, can't be judged by its own speed. A
small network judges it by the body's motion over a second before and after: dilated convolutions over time, trained by
`train footing` on estimated motions of people whose true contacts are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from .. import spill
from ..body.skeleton import JOINT_MIRROR, JOINT_NAMES, LANDMARK_NAMES
from . import contacts

RATE = 30.0
"""Frames per second that the network sees."""

SEEN_LANDMARKS = (
    *contacts.SOLE_LANDMARKS,
    *(LANDMARK_NAMES.index(f"{side}_{part}") for part in ("ankle", "knee", "hip") for side in ("left", "right")),
)
"""Landmarks whose visibility the network sees."""

MIRROR = [1, 0, 3, 2]
"""Exchanges the left and the right of `contacts.SOLE_LANDMARKS`."""

WIDTH, TAPS, DILATIONS = 64, 5, (1, 2, 4, 8)
"""Of its layers: channels, and frames that a convolution spans and skips."""

# Frames before and after one that count for it, with their speeds.
_SIGHT = (TAPS // 2) * sum(DILATIONS) + 1
_LEGS = [JOINT_NAMES.index(f"{side}_{part}") for part in ("knee", "ankle") for side in ("left", "right")]
_HIPS = [JOINT_NAMES.index(f"{side}_hip") for side in ("left", "right")]
_NECK = JOINT_NAMES.index("neck")
_SEEN_MIRROR = [number ^ 1 for number in range(len(SEEN_LANDMARKS))]
_LEAST_SIGHT = 1e-6
# How much slower what rests is than what may stand.
_REST = 0.4
# Nobody stands with one foot so much higher than the other, metres.
_HIGHEST_STEP = 0.3
# How far a point that stands may seem to be from its place, across the line of sight and along it, metres.
_STRAY, _STRAY_ALONG = 0.2, 0.45
# Seconds before and after its fastest moment in which such a point is free.
_SWING = 0.12
# Between two stands a point stands, too, if it stays within so many metres across the line of sight: what a foot seems
# to move along it alone is the error of a body that bends. For so many seconds at most, if the network doubts no more.
_STAYED, _LONGEST_DOUBT, _DOUBT, _FILLED = 0.04, 1.5, 0.2, 0.6


@dataclass(frozen=True)
class Steps:
    """A body over n frames, as far as its feet are concerned; metres, in a world whose z points up.

    Attributes:
        timestamps: (n,) seconds.
        joints: (n, 24, 3) SMPL's joints.
        soles: (n, 4, 3) the points `contacts.SOLE_LANDMARKS`.
        clearance: (n, 4) their heights above where they are when a flat foot stands on the floor.
        eyes: (n, 3) the camera's positions.
        visibility: (n, 10) of `SEEN_LANDMARKS`, 0 where the person wasn't detected.
    """

    timestamps: np.ndarray
    joints: np.ndarray
    soles: np.ndarray
    clearance: np.ndarray
    eyes: np.ndarray
    visibility: np.ndarray

    def mirrored(self) -> Steps:
        """Left and right exchanged."""
        flip = np.array([-1.0, 1.0, 1.0])
        return Steps(
            self.timestamps,
            self.joints[:, list(JOINT_MIRROR)] * flip,
            self.soles[:, MIRROR] * flip,
            self.clearance[:, MIRROR],
            self.eyes * flip,
            self.visibility[:, _SEEN_MIRROR],
        )

    def at(self, timestamps: np.ndarray) -> Steps:
        """At other times (m,), which increase, between the frames on straight lines."""

        first, last = np.searchsorted(self.timestamps, timestamps[[0, -1]])
        near = slice(max(first - 1, 0), last + 1)

        def between(values: np.ndarray) -> np.ndarray:
            columns = values[near].reshape(len(values[near]), -1).T
            return np.stack([np.interp(timestamps, self.timestamps[near], one) for one in columns], axis=1).reshape(
                len(timestamps), *values.shape[1:]
            )

        return Steps(
            timestamps,
            *(between(values) for values in (self.joints, self.soles, self.clearance, self.eyes, self.visibility)),
        )


def even_times(timestamps: np.ndarray) -> np.ndarray:
    """Times `RATE` a second apart, from the first to the last of (n,) timestamps."""
    return np.arange(timestamps[0], timestamps[-1] + 0.5 / RATE, 1 / RATE)


def features(steps: Steps, usual: float | None = None) -> np.ndarray:
    """(n, 65) what the network sees of steps that are `RATE` a second apart.

    Directions are given as the camera sees the person: to the right, away from the camera, up. ``usual`` is the lower
    foot's usual height, metres, if these are not all steps.
    """
    pelvis = steps.joints[:, 0]
    sight = (pelvis - steps.eyes) * [1.0, 1.0, 0.0]
    away = sight / np.maximum(np.linalg.norm(sight, axis=1, keepdims=True), _LEAST_SIGHT)
    up = np.broadcast_to([0.0, 0.0, 1.0], away.shape)
    view = np.stack([np.cross(away, up), away, up], axis=1)

    def seen(vectors: np.ndarray) -> np.ndarray:
        return (vectors @ np.swapaxes(view, 1, 2)).reshape(len(view), -1)

    def speed(points: np.ndarray) -> np.ndarray:
        return np.gradient(points, 1 / RATE, axis=0) if len(points) > 1 else np.zeros_like(points)

    lowest = steps.clearance.min(axis=1, keepdims=True)
    middle = pelvis[:, None]
    return np.concatenate(
        [
            seen(steps.soles - middle),
            seen(speed(steps.soles)),
            seen(steps.joints[:, _LEGS] - middle),
            seen(speed(middle)),
            seen(steps.joints[:, [_NECK]] - middle),
            seen(steps.joints[:, _HIPS[:1]] - steps.joints[:, _HIPS[1:]]),
            steps.clearance - (np.median(lowest) if usual is None else usual),
            steps.clearance - lowest,
            pelvis[:, 2:] - steps.soles[..., 2].min(axis=1, keepdims=True),
            steps.visibility,
            (steps.visibility.max(axis=1, keepdims=True) > 0).astype(float),
        ],
        axis=1,
    )


class Footing:
    """The network.

    Args:
        arrays: its weights, as `train footing` writes them.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = {name: np.asarray(values, np.float32) for name, values in arrays.items()}

    @classmethod
    def load(cls, path: Path) -> Footing:
        """Read it from a file."""
        with np.load(path, allow_pickle=False) as archive:
            return cls({name: archive[name] for name in archive.files})

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """(n, 4) from (n, 65) `features`."""
        arrays = self._arrays
        hidden = (inputs.astype(np.float32) - arrays["mean"]) / arrays["spread"]
        hidden = np.maximum(hidden @ arrays["first.weight"].T + arrays["first.bias"], 0)
        for layer, dilation in enumerate(DILATIONS):
            wide = _convolve(hidden, arrays[f"wide.{layer}.weight"], dilation) + arrays[f"wide.{layer}.bias"]
            hidden = hidden + np.maximum(wide, 0) @ arrays[f"mixed.{layer}.weight"].T + arrays[f"mixed.{layer}.bias"]
        return hidden @ arrays["last.weight"].T + arrays["last.bias"]

    def standing(self, steps: Steps) -> np.ndarray:
        """(n, 4) probability that each of `contacts.SOLE_LANDMARKS` stands.

        What rests on the floor in plain view stands whatever the body does, and what moves away doesn't.
        """
        times = even_times(steps.timestamps)
        (lowest,) = spill.collect(len(times), lambda window: (steps.at(times[window]).clearance.min(axis=1),))
        usual = float(np.median(lowest))

        def stands(window: slice) -> tuple[np.ndarray]:
            return (1 / (1 + np.exp(-self.logits(features(steps.at(times[window]), usual)))),)

        (likely,) = spill.collect(len(times), stands, margin=_SIGHT)
        said = np.stack([np.interp(steps.timestamps, times, column) for column in likely.T], axis=1)
        said *= steps.clearance - steps.clearance.min(axis=1, keepdims=True) < _HIGHEST_STEP
        return _without_moving(with_staying(np.maximum(said, standing_by_speed(steps, _REST)), steps), steps)


def standing_by_speed(steps: Steps, ease: float = 1.0) -> np.ndarray:
    """(n, 4) probability of standing of what is seen to be still, near the lower foot's usual height.

    With less ``ease`` than 1 it has to be that much slower.
    """
    speed = contacts.sideways_speed(steps.soles, steps.eyes, steps.timestamps)
    # Only height above the lower foot counts: the person may stand on a kerb.
    above = steps.clearance - np.median(steps.clearance.min(axis=1))
    return contacts.standing(speed / ease, above, steps.visibility[:, : steps.soles.shape[1]])


def _away(steps: Steps, point: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """How far (n,) a point is from its median place in some frames, along the line of sight and across it, metres."""
    place = steps.soles[start:stop, point]
    sight = np.median(place - steps.eyes[start:stop], axis=0)
    sight /= np.linalg.norm(sight)
    away = place - np.median(place, axis=0)
    along = away @ sight
    return along, np.linalg.norm(away - along[:, None] * sight, axis=1)


def with_staying(probability: np.ndarray, steps: Steps) -> np.ndarray:
    """Probabilities (n, 4) with the frames between two stands in which a point stays where the camera sees it."""
    filled = probability.copy()
    for point in range(filled.shape[1]):
        stands = contacts.runs(probability[:, point] > 0.5)
        for (_, start), (stop, _) in pairwise(stands):
            seconds = steps.timestamps[stop] - steps.timestamps[start - 1]
            doubted = probability[start:stop, point].min() < _DOUBT
            if not doubted and seconds < _LONGEST_DOUBT and _away(steps, point, start - 1, stop + 1)[1].max() < _STAYED:
                filled[start:stop, point] = np.maximum(probability[start:stop, point], _FILLED)
    return filled


def _without_moving(probability: np.ndarray, steps: Steps) -> np.ndarray:
    """Probabilities (n, 4) with the frames left out in which a point moves too far to stand."""
    kept = probability.copy()
    for point in range(kept.shape[1]):
        pending = contacts.runs(kept[:, point] > 0.5)
        while pending:
            start, stop = pending.pop()
            if stop - start < 2:
                continue
            place = steps.soles[start:stop, point]
            along, across = _away(steps, point, start, stop)
            if across.max() < _STRAY and np.abs(along).max() < _STRAY_ALONG:
                continue
            fastest = start + int(np.linalg.norm(np.diff(place, axis=0), axis=1).argmax())
            from_fastest = np.abs(steps.timestamps - steps.timestamps[fastest : fastest + 2].mean())
            kept[start:stop, point][from_fastest[start:stop] < _SWING] = 0
            pending += [(start + first, start + last) for first, last in contacts.runs(kept[start:stop, point] > 0.5)]
    return kept


def _convolve(values: np.ndarray, weights: np.ndarray, dilation: int) -> np.ndarray:
    """(n, D) convolution over time of values (n, C) with weights (D, C, taps), zero beyond the ends."""
    taps = weights.shape[2]
    reach = dilation * (taps // 2)
    padded = np.pad(values, ((reach, reach), (0, 0)))
    return sum(
        (padded[tap * dilation : tap * dilation + len(values)] @ weights[:, :, tap].T for tap in range(taps)),
        np.zeros((len(values), len(weights)), np.float32),
    )
