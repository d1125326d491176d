"""BlazePose as one model: detect people, estimate their landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from .detector import Detections, Detector
from .landmarker import Landmarker, Pose


class LandmarkModel(Protocol):
    """Reads the poses of people whose places are known."""

    def poses(self, images: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
        """The poses of the people in crops (n, 4), one of each of n images (H, W, 3)."""
        ...


class PoseModel(LandmarkModel, Protocol):
    """What the tracker needs of a model of 2D pose."""

    def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """People in an image (H, W, 3) or in upright square regions (r, 4) of it, each once."""
        ...


class BlazePose:
    """Google's two networks.

    Args:
        detector: the detector's file.
        landmarks: the landmark network's, full or heavy.
        device: see `Session`.

    Raises:
        NetworkError: a file is missing or not the network it should be, or the device is not available.
    """

    def __init__(self, detector: Path, landmarks: Path, device: str = "auto"):
        self.detector = Detector(detector, device)
        self.landmarker = Landmarker(landmarks, device)

    def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """See `Detector.__call__`."""
        return self.detector(image, regions)

    def poses(self, images: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
        """See `Landmarker.poses`."""
        return self.landmarker.poses(images, crops)
