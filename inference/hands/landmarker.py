"""MediaPipe's networks for hands: one finds palms, one reads a hand's 21 landmarks.

Facts about the networks (anchors, scales, thresholds) are those of MediaPipe's graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..people import crops, detector
from ..runtime.session import NetworkError, Session
from .track import FIRST, WRIST

PALM_SIZE = 192
HAND_SIZE = 224
_PALM_LAYERS = ((8, 2), (16, 6))
# Of a palm's seven points.
_PALM_WRIST, _PALM_MIDDLE = 0, 2
# What the next crop is made of: all but the fingers' outer halves.
_CORE = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
# How much larger a crop is than the palm's box or the core's, and how far it is moved towards the fingers.
_PALM_MARGIN, _PALM_SHIFT = 2.6, 0.5
_HAND_MARGIN, _HAND_SHIFT = 2.0, 0.1


@dataclass
class Hand:
    """One hand in one image.

    Attributes:
        crop: (4,) the crop that the network saw.
        landmarks: (21, 2) image pixels.
        world_landmarks: (21, 3) metres, axes parallel to the camera's (x right, y down, z forward).
        score: probability that a hand is in the crop.
        left: probability that it is a left hand.
    """

    crop: np.ndarray
    landmarks: np.ndarray
    world_landmarks: np.ndarray
    score: float
    left: float


class HandLandmarker:
    """The landmark network with its pre- and postprocessing.

    Args:
        path: its ONNX file.
        device: see `Session`.

    Raises:
        NetworkError: the file is missing or not the network, or the device is not available.
    """

    OUTPUTS = ("landmarks", "score", "right", "world_landmarks")

    def __init__(self, path: Path, device: str = "auto"):
        self._network = Session(path, device, side_by_side=True)
        if self._network.outputs != self.OUTPUTS:
            raise NetworkError(f"{path} is not MediaPipe's hand network: install it again.")

    def read(self, images: Sequence[np.ndarray], where: np.ndarray) -> list[Hand]:
        """The hands in crops (n, 4), one of each of n images (H, W, 3), BGR uint8."""
        cuts = [crops.cut(image, crop, HAND_SIZE) for image, crop in zip(images, where, strict=True)]
        return [
            decode(landmarks, world, float(score), float(right), crop)
            for (landmarks, score, right, world), crop in zip(self._network.each(cuts), where, strict=True)
        ]


def decode(landmarks: np.ndarray, world: np.ndarray, score: float, right: float, crop: np.ndarray) -> Hand:
    """Transform the network's outputs for a crop (4,) into the image's and the camera's axes."""
    cos, sin = np.cos(crop[3]), np.sin(crop[3])
    turned = world.astype(np.float64)
    turned[:, :2] = turned[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    return Hand(
        crop=crop,
        landmarks=crops.to_image(landmarks[:, :2].astype(np.float64) / HAND_SIZE, crop),
        world_landmarks=turned,
        score=score,
        left=1.0 - right,
    )


def next_crop(landmarks: np.ndarray) -> np.ndarray:
    """The crop (4,) that landmarks (21, 2) ask for."""
    index, middle, ring = (landmarks[FIRST[finger] + 1] for finger in ("index", "middle", "ring"))
    towards = (index + ring) / 4 + middle / 2 - landmarks[WRIST]
    return _crop_of(landmarks[_CORE], towards, _HAND_MARGIN, _HAND_SHIFT)


def _crop_of(points: np.ndarray, towards: np.ndarray, margin: float, shift: float) -> np.ndarray:
    rotation = np.arctan2(towards[0], -towards[1])
    cos, sin = np.cos(rotation), np.sin(rotation)
    axes = np.array([[cos, sin], [-sin, cos]])
    inside = points @ axes.T
    low, high = inside.min(axis=0), inside.max(axis=0)
    size = high - low
    center = (low + high) / 2 - (0.0, shift * size[1])
    return np.array([*(center @ axes), margin * size.max(), rotation])


class PalmDetector:
    """The palm detector with its pre- and postprocessing.

    Args:
        path: its ONNX file.
        device: see `Session`.

    Raises:
        NetworkError: the file is missing or not the network, or the device is not available.
    """

    OUTPUTS = ("coordinates", "logits")

    def __init__(self, path: Path, device: str = "auto"):
        self._network = Session(path, device, side_by_side=True)
        if self._network.outputs != self.OUTPUTS:
            raise NetworkError(f"{path} is not MediaPipe's palm detector: install it again.")

    def find(self, images: Sequence[np.ndarray], regions: np.ndarray) -> list[np.ndarray]:
        """The crops (k, 4) for the landmark network of the palms in upright regions (n, 4), one of each of n images.

        The best is first. Palms smaller than a tenth of the region are usually missed.
        """
        cuts = [
            crops.cut(image, region, PALM_SIZE, cv2.BORDER_CONSTANT)
            for image, region in zip(images, regions, strict=True)
        ]
        return [
            palm_crops(coordinates, logits, region)
            for (coordinates, logits), region in zip(self._network.each(cuts), regions, strict=True)
        ]


_PALM_ANCHORS = detector.anchors(_PALM_LAYERS, PALM_SIZE)


def palm_crops(coordinates: np.ndarray, logits: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The crops (k, 4) of hands whose palms the detector's outputs (2016, 18) and (2016,) show in a region (4,)."""
    palms = detector.suppress(detector.decode(coordinates, logits, _PALM_ANCHORS, PALM_SIZE))
    found = []
    for box, points in zip(palms.boxes, palms.points, strict=True):
        crop = _palm_crop(box, points[_PALM_MIDDLE] - points[_PALM_WRIST])
        found.append([*crops.to_image(crop[:2], region), crop[2] * region[2], crop[3]])
    return np.array(found).reshape(-1, 4)


def _palm_crop(box: np.ndarray, towards: np.ndarray) -> np.ndarray:
    size = box[2:]
    rotation = np.arctan2(towards[0], -towards[1])
    up = np.array([np.sin(rotation), -np.cos(rotation)])
    center = box[:2] + size / 2
    return np.array([*(center + _PALM_SHIFT * size[1] * up), _PALM_MARGIN * size.max(), rotation])
