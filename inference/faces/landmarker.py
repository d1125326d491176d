"""Reading faces: one of MediaPipe's networks reads 478 landmarks, another says from them what the face does.

Facts about the networks (margin of the crop, order of inputs and outputs) are those of MediaPipe's graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..people import crops
from ..people.face_network import MARGIN, SIZE, FaceNetwork
from ..runtime.session import NetworkError, Session
from .track import LEFT_EYE, RIGHT_EYE

# The landmarks that say what a face does.
_TELLING = np.array(
    [
        *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78),
        *(80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150),
        *(152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197),
        *(234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308),
        *(310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377),
        *(378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466),
        *range(468, 478),
    ]
)


@dataclass
class Face:
    """One face in one image.

    Attributes:
        landmarks: (478, 3) x and y in image pixels, z into the image at the same scale.
        coefficients: (52,) ARKit's, named by `body.face.COEFFICIENTS`.
        score: probability that a face is in the crop.
    """

    landmarks: np.ndarray
    coefficients: np.ndarray
    score: float


class FaceLandmarker:
    """Both networks with their pre- and postprocessing.

    Args:
        landmarks: reads landmarks.
        coefficients: the other network's ONNX file.
        device: where that runs, see `Session`.

    Raises:
        NetworkError: the file is missing or not the network, or the device is not available.
    """

    def __init__(self, landmarks: FaceNetwork, coefficients: Path, device: str = "auto"):
        self._landmarks = landmarks
        self._coefficients = Session(coefficients, device, side_by_side=True)
        if self._coefficients.outputs != ("coefficients",):
            raise NetworkError(f"{coefficients} is not MediaPipe's face network: install it again.")

    def read(self, images: Sequence[np.ndarray], where: np.ndarray) -> list[Face]:
        """The faces in crops (n, 4), one of each of n images (H, W, 3), BGR uint8."""
        if not len(images):
            return []
        inside, scores = self._landmarks.read(images, where)
        coefficients = self.coefficients(inside[..., :2])
        return [
            Face(to_image(points, crop), own, float(score))
            for points, own, score, crop in zip(inside, coefficients, scores, where, strict=True)
        ]

    def coefficients(self, landmarks: np.ndarray) -> np.ndarray:
        """(n, 52) what faces do whose landmarks (n, 478, 2) are given at any scale, upright."""
        values = np.ascontiguousarray(landmarks[:, _TELLING], dtype=np.float32)
        (given,) = self._coefficients(values=values)
        # The network's first coefficient is how much the face rests; tongues it does not see.
        return np.concatenate([given[:, 1:], np.zeros((len(given), 1), given.dtype)], axis=1)


def to_image(landmarks: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Landmarks (478, 3) in pixels of the network's picture of a crop (4,) as those of the image, depth alike."""
    flat = crops.to_image(landmarks[:, :2] / SIZE, crop)
    return np.concatenate([flat, landmarks[:, 2:] * (crop[2] / SIZE)], axis=1)


def next_crop(landmarks: np.ndarray) -> np.ndarray:
    """The crop (4,) that landmarks (478, 2 or 3) in an image ask for."""
    right, left = landmarks[RIGHT_EYE, :2], landmarks[LEFT_EYE, :2]
    rotation = np.arctan2(*(left - right)[::-1])
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    return np.array([*((low + high) / 2), MARGIN * (high - low).max(), rotation])
