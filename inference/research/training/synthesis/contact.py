"""True contact of feet with the floor, from the motion that is rendered."""

from __future__ import annotations

import numpy as np

from ....body.skeleton import LANDMARK_NAMES

SOLES = [LANDMARK_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("heel", "foot_index")]
"""Landmarks of left heel, left toe, right heel, right toe."""

# A point that stands is lower than this above the floor, metres, and slower than this, m/s: heels and toes of recorded
# people who stand sink and slide by a few centimetres.
LOW, STILL = 0.05, 0.3


def foot_contacts(soles: np.ndarray, rate: float) -> np.ndarray:
    """Which points of the feet stand on the floor.

    Args:
        soles: (n, 4, 3) the points of `SOLES` in a world whose floor is y = 0, metres.
        rate: frames per second.

    Returns:
        (n, 4) booleans.
    """
    if len(soles) < 2:
        return soles[..., 1] < LOW
    speed = np.linalg.norm(np.gradient(soles, 1 / rate, axis=0), axis=-1)
    return (soles[..., 1] < LOW) & (speed < STILL)
