"""BlazePose as one model: detect people, estimate their landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from .detector import Detections, Detector
from .landmarker import Landmarker, Pose


class PoseModel(Protocol):
    """What the tracker needs of a model of 2D pose."""

    def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """People in an image (H, W, 3) or in upright square regions (r, 4) of it, each once."""
        ...

    def pose(self, image: np.ndarray, crop: np.ndarray) -> Pose:
        """The pose of the person in a crop (4,) of an image (H, W, 3)."""
        ...


class BlazePose:
    """Google's two networks.

    Args:
        detector_path: `pose_detection.tflite`.
        landmark_path: `pose_landmark_full.tflite`.
        threads: threads of the CPU to use.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is not the network it should be.
    """

    def __init__(self, detector_path: str | Path, landmark_path: str | Path, threads: int = 2):
        self.detector = Detector(detector_path, threads)
        self.landmarker = Landmarker(landmark_path, threads)

    def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """See `Detector.__call__`."""
        return self.detector(image, regions)

    def pose(self, image: np.ndarray, crop: np.ndarray) -> Pose:
        """See `Landmarker.__call__`."""
        return self.landmarker(image, crop)
