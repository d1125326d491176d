"""The face of one person through a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

LANDMARKS = 478
"""How many MediaPipe sees of a face, the last ten of its irises."""

RIGHT_EYE, LEFT_EYE = 33, 263
"""Landmarks: the eyes' outer corners."""


@dataclass
class FaceTrack:
    """One person's face, one row per frame in which it was looked at (n rows).

    Attributes:
        frames: (n,) frame numbers in the footage, increasing.
        coefficients: (n, 52) ARKit's coefficients, named by `body.face.COEFFICIENTS`.
        turns: (n, 3, 3) rotations of the head, from the body's axes to the camera's as if it looked straight at the
            face.
        centers: (n, 2) where the face is, image pixels.
        scores: (n,) confidence that the face is seen, 0 where it was not.
    """

    frames: np.ndarray
    coefficients: np.ndarray
    turns: np.ndarray
    centers: np.ndarray
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
