"""The hands of one person through a video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..people.details import DetailTrack

LANDMARKS = 21
"""How many MediaPipe sees of a hand."""

WRIST = 0
FIRST = {"thumb": 1, "index": 5, "middle": 9, "ring": 13, "pinky": 17}
"""Landmarks: the wrist, and the first of each finger's four, of which the last is the tip."""


@dataclass
class HandTrack(DetailTrack):
    """One person's hands, one row per frame in which they were looked at (n rows).

    Attributes:
        landmarks: (n, 2, 21, 2) of the left and the right hand, image pixels.
        world_landmarks: (n, 2, 21, 3) metres, axes parallel to the camera's (x right, y down, z forward).
        scores: (n, 2) confidence that the hand is seen, 0 where it was not.
    """

    landmarks: np.ndarray
    world_landmarks: np.ndarray
    scores: np.ndarray
