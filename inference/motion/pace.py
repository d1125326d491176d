"""How large the camera's travel is in metres: as large as lets standing feet stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import contacts

# The background is usually so many times as far away as people, give or take this much of its logarithm.
_BEHIND, _SPREAD = 1.8, 0.7
_REACH, _COARSE, _FINE = 1.8, 73, 31
# Depth from one camera is so much less certain than the image.
_ALONG = 0.35
# What a second of somebody who stands all the time says, in units of log-likelihood.
_SAYS = 15.0


def metres_per_unit(
    soles: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    eyes: Sequence[np.ndarray],
    timestamps: Sequence[np.ndarray],
) -> float:
    """The length in metres of the unit in which a travelling camera's positions are given.

    Args:
        soles: of each person, (n, 4, 3) from the camera, in the axes of the first frame's, metres.
        scores: (n, 4) confidence that they were seen.
        eyes: (n, 3) positions of the camera.
        timestamps: (n,) seconds.
    """
    people = [
        _Steps(points, seen, eye, seconds)
        for points, seen, eye, seconds in zip(soles, scores, eyes, timestamps, strict=True)
        if len(points) > 2
    ]
    usual = _BEHIND * float(np.median(np.concatenate([np.linalg.norm(points, axis=-1).ravel() for points in soles])))

    def likelihood(size: float) -> float:
        return sum(person.standing(size) for person in people) - np.log(size / usual) ** 2 / (2 * _SPREAD**2)

    best = max(usual * np.exp(np.linspace(-_REACH, _REACH, _COARSE)), key=likelihood)
    return max(best * np.exp(np.linspace(-1, 1, _FINE) * 2 * _REACH / _COARSE), key=likelihood)


class _Steps:
    """Somebody's feet, seen by a camera whose travel has some size."""

    def __init__(self, soles: np.ndarray, scores: np.ndarray, eyes: np.ndarray, timestamps: np.ndarray):
        self._sight = soles / np.linalg.norm(soles, axis=-1, keepdims=True)
        self._scores = scores
        self._speed = np.gradient(soles, timestamps, axis=0)
        self._camera_speed = np.gradient(eyes, timestamps, axis=0)[:, None]
        self._seconds = np.gradient(timestamps)

    def standing(self, size: float) -> float:
        """How much of the time a foot seems to stand, as a log-likelihood, if a unit has so many metres."""
        speed = self._speed + size * self._camera_speed
        along = (speed * self._sight).sum(-1)
        across = np.linalg.norm(speed - along[..., None] * self._sight, axis=-1)
        probability = contacts.standing(np.hypot(across, _ALONG * along), None, self._scores)
        return _SAYS * float((probability.max(1) * self._seconds).sum())
