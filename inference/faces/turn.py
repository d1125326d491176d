"""How a head is turned whose face's landmarks are known. NumPy only."""

from __future__ import annotations

import numpy as np

from ..body import rotations

# MediaPipe's canonical face: landmarks that hardly move in it, where they are in millimetres (x to the person's left, y
# up, z to the front), and how much each counts. Those of the middle, and those of the left half with their mirror
# images.
_MIDDLE = np.array([[4, 0.0, -4.6, 75.9, 709], [6, 0.0, 24.7, 57.9, 321], [10, 0.0, 82.6, 44.8, 84]])
_SIDES = np.array(
    [
        [263, 33, 44.5, 26.6, 31.7, 587],
        [284, 54, 62.8, 66.2, 14.3, 77],
        [297, 67, 35.2, 80.1, 37.3, 91],
        [346, 117, 52.6, 9.5, 29.7, 98],
        [348, 119, 33.0, 8.6, 38.7, 146],
        [350, 121, 18.2, 14.7, 42.2, 186],
        [356, 127, 77.4, 23.7, -20.1, 52],
        [358, 129, 17.9, -9.8, 48.5, 1206],
        [361, 132, 72.7, -28.9, -22.5, 56],
        [362, 133, 18.6, 25.9, 37.6, 533],
        [365, 136, 50.9, -71.8, 7.2, 669],
        [372, 143, 64.1, 22.4, 15.6, 148],
        [376, 147, 62.4, -19.4, 16.6, 143],
        [420, 198, 12.5, 2.3, 56.8, 255],
        [425, 205, 38.3, -15.4, 41.4, 473],
    ]
)
_POINTS = np.concatenate([_MIDDLE[:, 0], _SIDES[:, 0], _SIDES[:, 1]]).astype(int)
_FACE = np.concatenate([_MIDDLE[:, 1:4], _SIDES[:, 2:5], _SIDES[:, 2:5] * (-1.0, 1.0, 1.0)])
_WEIGHTS = np.concatenate([_MIDDLE[:, 4], _SIDES[:, 5], _SIDES[:, 5]])[:, None]
_WEIGHTS /= _WEIGHTS.sum()
_FACE -= (_WEIGHTS * _FACE).sum(axis=0)

# The network makes faces flatter than they are, and the canonical face looks further down than the body's. Both were
# measured on drawn people.
_DEEPER = np.array([1.0, 1.0, 1.3])
_RAISED = rotations.axis_angle_to_matrix([-np.radians(8.7), 0.0, 0.0])


def turns(landmarks: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) from the body's axes to the image's of heads whose landmarks (n, 478, 3) are known.

    The image's axes are x right, y down, z into it, of any scale.
    """
    points = landmarks[:, _POINTS] * _DEEPER
    points = points - (_WEIGHTS * points).sum(axis=1, keepdims=True)
    return rotations.project(np.einsum("nka,kb->nab", points, _WEIGHTS * _FACE)) @ _RAISED
