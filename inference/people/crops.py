"""The rotated square crops that BlazePose's networks see.

A crop is (4,): centre x, centre y and side in pixels of the image, rotation in radians. Positive rotation turns the
crop's upper edge clockwise on the screen. Points inside a crop are measured from its own upper left corner, both axes
from 0 to 1.
"""

from __future__ import annotations

import cv2
import numpy as np

# MediaPipe's graph enlarges the circle around the body by this much.
MARGIN = 1.25

# Multi-RoI's other regions: x and y offsets in units of the crop's side, along its axes, and scale.
_ROI_OFFSETS = np.array([[0.1, 0.0, 1.5], [-0.1, 0.0, 1.25], [0.0, 0.1, 0.8], [0.0, -0.1, 0.65]])
ROI_VIEWS = len(_ROI_OFFSETS)


def around(center: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """The crop (4,) of a body whose hip centre is `center` (2,) and whose enclosing circle passes through `rim` (2,).

    `rim` lies in the direction of the head: the crop is rotated so that `rim` lies straight above the centre.
    """
    dx, dy = np.subtract(rim, center)
    return np.array([center[0], center[1], 2 * MARGIN * np.hypot(dx, dy), np.arctan2(dx, -dy)])


def roi_crops(crop: np.ndarray) -> np.ndarray:
    """(4, 4) a crop's (4,) other regions of interest, moved and scaled as Multi-RoI does (implementation details)."""
    rotation = affine(np.array([0.0, 0.0, 1.0, crop[3]]), 1)[:, :2]
    centers = crop[:2] + crop[2] * _ROI_OFFSETS[:, :2] @ rotation.T
    sides, rotations = crop[2] * _ROI_OFFSETS[:, 2:], np.full((ROI_VIEWS, 1), crop[3])
    return np.concatenate([centers, sides, rotations], axis=1)


def whole(shape: tuple[int, ...]) -> np.ndarray:
    """The smallest upright crop (4,) that holds a whole image of shape (H, W, ...)."""
    height, width = shape[:2]
    return np.array([width / 2, height / 2, max(width, height), 0.0])


def tiles(shape: tuple[int, ...], side: float) -> np.ndarray:
    """Upright crops (n, 4) of `side` pixels that cover an image of shape (H, W, ...), overlapping by half."""
    height, width = shape[:2]

    def centers(length: int) -> np.ndarray:
        if length <= side:
            return np.array([length / 2])
        count = int(np.ceil((length - side) / (side / 2))) + 1
        return np.linspace(side / 2, length - side / 2, count)

    return np.array([[x, y, side, 0.0] for y in centers(height) for x in centers(width)])


def cut(image: np.ndarray, crop: np.ndarray, size: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """The crop (4,) of an image (H, W, 3) as uint8 (size, size, 3); `border` says what lies outside the image."""
    return cv2.warpAffine(
        image, affine(crop, size), (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border
    )


def to_image(points: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Points (..., 2) inside a crop (4,) as pixels of the image."""
    matrix = affine(crop, 1)
    return points @ matrix[:, :2].T + matrix[:, 2]


def from_image(points: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of the image as points inside a crop (4,)."""
    matrix = affine(crop, 1)
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def affine(crop: np.ndarray, size: int) -> np.ndarray:
    """The affine matrix (2, 3) from the crop drawn `size` pixels wide to the image."""
    x, y, side, rotation = crop
    cos, sin = np.cos(rotation) * side, np.sin(rotation) * side
    return np.array(
        [
            [cos / size, -sin / size, x - (cos - sin) / 2],
            [sin / size, cos / size, y - (sin + cos) / 2],
        ]
    )
