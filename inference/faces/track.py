"""The face of one person through a video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..people.details import DetailTrack

LANDMARKS = 478
"""How many MediaPipe sees of a face, the last ten of its irises."""

RIGHT_EYE, LEFT_EYE = 33, 263
"""Landmarks: the eyes' outer corners."""


@dataclass
class FaceTrack(DetailTrack):
    """One person's face, one row per frame in which it was looked at (n rows).

    Attributes:
        coefficients: (n, 52) ARKit's coefficients, named by `body.face.COEFFICIENTS`.
        turns: (n, 3, 3) rotations of the head, from the body's axes to the camera's as if it looked straight at the
            face.
        centers: (n, 2) where the face is, image pixels.
        scores: (n,) confidence that the face is seen, 0 where it was not.
    """

    coefficients: np.ndarray
    turns: np.ndarray
    centers: np.ndarray
    scores: np.ndarray
