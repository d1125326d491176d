"""BlazePose as one model: detect people, estimate their landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .crops import cut
from .detector import Detections, Detector
from .face_network import HEAD, FaceNetwork, face_crops
from .landmarker import INPUT_SIZE, Landmarker, Pose
from .track import scale_in_image


class LandmarkModel(Protocol):
    """Reads the poses of people whose places are known.

    Attributes:
        input_size: side in pixels of the crops that it sees.
    """

    input_size: int

    def read(self, cuts: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
        """The poses of the people in crops (n, 4), cut out as n images (input_size, input_size, 3)."""
        ...


def read_poses(model: LandmarkModel, images: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
    """The poses of the people in crops (n, 4), one of each of n images (H, W, 3), BGR uint8."""
    return model.read([cut(image, crop, model.input_size) for image, crop in zip(images, crops, strict=True)], crops)


class PoseModel(LandmarkModel, Protocol):
    """What the tracker needs of a model of 2D pose."""

    def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """People in an image (H, W, 3) or in upright square regions (r, 4) of it, each once."""
        ...

    def face_probability(self, image: np.ndarray, pose: Pose) -> float:
        """How probable it is that an image (H, W, 3) shows a face where a pose has one."""
        ...


class BlazePose:
    """Google's networks: one finds people, one reads their landmarks, one judges whether a face is seen."""

    input_size = INPUT_SIZE

    def __init__(self, detector: Detector, landmarker: Landmarker, faces: FaceNetwork):
        self.detector, self.landmarker, self.faces = detector, landmarker, faces

    def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """See `Detector.__call__`."""
        return self.detector(image, regions)

    def read(self, cuts: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
        """See `Landmarker.read`."""
        return self.landmarker.read(cuts, crops)

    def face_probability(self, image: np.ndarray, pose: Pose) -> float:
        """See `PoseModel`."""
        scale = scale_in_image(pose.landmarks[None, HEAD], pose.world_landmarks[None, HEAD])
        _, probabilities = self.faces.read([image], face_crops(pose.landmarks[None], scale))
        return float(probabilities[0])
