"""MediaPipe's network that reads a face's 478 landmarks, and says whether a face is there at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..body.skeleton import LANDMARK_NAMES, SIDES
from ..runtime.session import NetworkError, Session
from . import crops

SIZE = 256
MARGIN = 1.5
"""How much larger a crop is than the box around the landmarks."""

FACE = 0.18
"""Metres from chin to hairline."""

HEAD = slice(0, 11)
"""BlazePose's landmarks of the head."""

_EYES = [[LANDMARK_NAMES.index(f"{side}_eye{part}") for part in ("_inner", "", "_outer")] for side in SIDES]
_MOUTH = [LANDMARK_NAMES.index(f"mouth_{side}") for side in SIDES]


class FaceNetwork:
    """The network with its preprocessing.

    Args:
        path: its ONNX file.
        device: see `Session`.

    Raises:
        NetworkError: the file is missing or not the network, or the device is not available.
    """

    OUTPUTS = ("landmarks", "score")

    def __init__(self, path: Path, device: str = "auto"):
        self._session = Session(path, device, side_by_side=True)
        if self._session.outputs != self.OUTPUTS:
            raise NetworkError(f"{path} is not MediaPipe's face network: install it again.")

    def read(self, images: Sequence[np.ndarray], where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Faces in crops (n, 4), one of each of n images (H, W, 3), BGR uint8.

        Returns:
            (n, 478, 3) landmarks in pixels of the network's pictures, depth alike, and (n,) probabilities of a face.
        """
        seen = self._session.each([crops.cut(image, crop, SIZE) for image, crop in zip(images, where, strict=True)])
        landmarks = np.array([points for points, _ in seen], np.float64).reshape(-1, 478, 3)
        return landmarks, 1.0 / (1.0 + np.exp(-np.array([float(score) for _, score in seen])))


def face_crops(landmarks: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, 4) crops around the faces of people with landmarks (n, 33, 2), `scale` (n,) pixels per metre."""
    left, right = (landmarks[:, rows].mean(axis=1) for rows in _EYES)
    mouth = landmarks[:, _MOUTH].mean(axis=1)
    eyes = (left + right) / 2
    # From the side eyes lie one behind the other; then the mouth says which way is up.
    up = eyes - mouth
    across = left - right + np.stack([-up[:, 1], up[:, 0]], axis=1)
    center = (eyes + mouth) / 2
    return np.stack([*center.T, MARGIN * FACE * scale, np.arctan2(across[:, 1], across[:, 0])], axis=1)
