"""A network's estimate of a person, passed to the motion station."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class PoseEstimate:
    """A network's estimate for each of a track's n frames.

    Attributes:
        rotations: (n, 24, 3, 3) local rotations, the root's in camera axes.
        pelvis: (n, 3) position of the root joint in camera axes, metres.
        betas: (n, 10).
        sigma: (n, 24, 2) standard deviations of the joints' positions from the pelvis, metres, across the line of sight
            and along it.
        gravity: (n, 3) unit vectors in camera axes.
        contacts: (n, 4) probabilities that left heel, left toes, right heel and right toes rest on the floor.
    """

    rotations: np.ndarray
    pelvis: np.ndarray
    betas: np.ndarray
    sigma: np.ndarray
    gravity: np.ndarray
    contacts: np.ndarray
