"""The hands of one person through a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

LANDMARKS = 21
"""How many MediaPipe sees of a hand."""

WRIST = 0
FIRST = {"thumb": 1, "index": 5, "middle": 9, "ring": 13, "pinky": 17}
"""Landmarks: the wrist, and the first of each finger's four, of which the last is the tip."""


@dataclass
class HandTrack:
    """One person's hands, one row per frame in which they were looked at (n rows).

    Attributes:
        frames: (n,) frame numbers in the footage, increasing.
        landmarks: (n, 2, 21, 2) of the left and the right hand, image pixels.
        world_landmarks: (n, 2, 21, 3) metres, axes parallel to the camera's (x right, y down, z forward).
        scores: (n, 2) confidence that the hand is seen, 0 where it was not.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    world_landmarks: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Everything by name, after a prefix."""
        return {f"{prefix}{item.name}": getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> Self:
        """The inverse of `arrays`."""
        return cls(**{item.name: arrays[f"{prefix}{item.name}"] for item in fields(cls)})
