"""The networks' input features of a person: the same numbers in training and in use.

A window of T frames is described in the camera of its middle frame, rolled about its optical axis until that frame's
crop stands upright. Rolling a camera is exact, so nothing is lost: a network's output in the rolled camera's axes
is rotated back by `unroll`. A person lying on their side then looks like one who stands, and motion inside the window
is not disturbed by jittering crops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

VERSION = 1
"""Incremented when the features change; networks store the version that they were trained with."""

SIZE = 33 * (2 + 1 + 1 + 3) + 12
"""Numbers per frame."""

FLOW_STEPS = 15
"""Homographies before a frame that are input of the part dynamics."""

_LANDMARKS = 33


DETECTOR_FIELDS = ("landmarks", "visibility", "presence", "world_landmarks", "scores", "crops")
"""Detections of a person, by their names in tracks and training shards."""


def window_features(
    landmarks: np.ndarray,
    visibility: np.ndarray,
    presence: np.ndarray,
    world_landmarks: np.ndarray,
    scores: np.ndarray,
    crops: np.ndarray,
    offsets: np.ndarray,
    known: np.ndarray,
    camera_K: np.ndarray,
    target: int | None = None,
) -> np.ndarray:
    """Windows of T frames, of which one, called the middle below, is estimated.

    Args:
        landmarks: (B, T, 33, 2) image pixels.
        visibility: (B, T, 33).
        presence: (B, T, 33).
        world_landmarks: (B, T, 33, 3) metres, camera axes, origin between the hips.
        scores: (B, T) probability of a person in the crop.
        crops: (B, T, 4) centre, side in pixels, rotation in radians.
        offsets: (B, T) seconds from the middle frame.
        known: (B, T) false where the frame replaces one in which the person was not detected.
        camera_K: (B, 3, 3) intrinsics in pixels.
        target: number of the middle frame, T // 2 unless given.

    Returns:
        (B, T, 243) float32: landmarks in units of the middle crop's side from its centre, visibility, presence, world
        landmarks, score, box information (CLIFF), cosine and sine of the roll, each crop's position, logarithm of size
        and rotation relative to the middle one's, known, seconds from the middle frame.
    """
    b, t = scores.shape
    middle = crops[:, t // 2 if target is None else target]
    rotation = _rotation_2d(-middle[:, 3])
    side = middle[:, 2, None, None]
    points_2d = np.einsum("bij,btkj->btki", rotation, landmarks - middle[:, None, None, :2]) / side[..., None]
    world = world_landmarks.copy()
    world[..., :2] = np.einsum("bij,btkj->btki", rotation, world_landmarks[..., :2])
    moved = np.einsum("bij,btj->bti", rotation, crops[..., :2] - middle[:, None, :2]) / side
    grown = np.log(crops[..., 2] / middle[:, None, 2])
    rolled = (crops[..., 3] - middle[:, None, 3] + np.pi) % (2 * np.pi) - np.pi
    of_window = np.concatenate([box_info(middle, camera_K), np.cos(middle[:, 3:]), np.sin(middle[:, 3:])], axis=1)
    parts = (
        points_2d.reshape(b, t, 2 * _LANDMARKS),
        visibility,
        presence,
        world.reshape(b, t, 3 * _LANDMARKS),
        scores[..., None],
        np.broadcast_to(of_window[:, None], (b, t, 5)),
        moved,
        grown[..., None],
        rolled[..., None],
        known[..., None],
        offsets[..., None],
    )
    return np.concatenate(parts, axis=-1, dtype=np.float32)


def region_features(detections: Mapping[str, np.ndarray], camera_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One frame in R regions of interest, each described as a window of one frame.

    Args:
        detections: `DETECTOR_FIELDS`, as in `window_features` with regions (B, R, ...) in place of frames; all regions
            of a frame have the same rotation.
        camera_K: (B, 3, 3).

    Returns:
        (B, R, 243) float32 features and (B, R, 3) box information.
    """
    b, r = detections["scores"].shape
    K = np.repeat(camera_K, r, axis=0)
    views: dict[str, Any] = {
        name: detections[name].reshape(b * r, 1, *detections[name].shape[2:]) for name in DETECTOR_FIELDS
    }
    alone = window_features(**views, offsets=np.zeros((b * r, 1)), known=np.ones((b * r, 1), bool), camera_K=K)
    return alone.reshape(b, r, -1), box_info(views["crops"][:, 0], K).reshape(b, r, 3)


def encoding_size(octaves: int) -> int:
    """Numbers in the positional encoding of one box."""
    return 3 * (1 + 2 * octaves)


def encode_boxes(boxes: np.ndarray, octaves: int) -> np.ndarray:
    """(B, R, 3 + 6 L) float32 positional encoding γ (Multi-RoI eq. 3) of box information (B, R, 3).

    Computed here and not in a network: the last of 32 octaves has 2³⁰ periods over the image, which only float64
    resolves.
    """
    boxes = boxes.astype(np.float64)
    normalised = np.concatenate([boxes[..., :2] / 2.8, 0.06 * boxes[..., 2:] + 0.24], axis=-1)
    angles = np.pi * normalised[..., None] * 2.0 ** np.arange(octaves)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return np.concatenate([normalised, waves.reshape(*normalised.shape[:-1], -1)], axis=-1, dtype=np.float32)


def flow_features(homographies: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """(B, 15, 9) float32 homographies of the background between the frames up to the estimated one, minus the identity.

    Args:
        homographies: (B, 15, 3, 3) from each frame to the next, in image points from the centre in units of the
            diagonal, the last entry 1.
        crops: (B, 4) of the estimated frame; the result is in the camera rolled with its crop.
    """
    rotation = roll(crops)[:, None]
    rotated = rotation @ homographies @ np.swapaxes(rotation, 2, 3)
    return (rotated - np.eye(3)).reshape(*homographies.shape[:2], 9).astype(np.float32)


def box_info(crops: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """(B, 3) CLIFF's box information (Li et al., 2022) of crops (B, 4) in their rolled cameras (B, 3, 3)."""
    focal = camera_K[:, 0, 0, None]
    centre = np.einsum("bij,bj->bi", _rotation_2d(-crops[:, 3]), crops[:, :2] - camera_K[:, :2, 2])
    size = crops[:, 2, None]
    return np.concatenate([centre / focal * 2.8, (size - 0.24 * focal) / (0.06 * focal)], axis=1)


def roll(crops: np.ndarray) -> np.ndarray:
    """(B, 3, 3) rotation from camera axes into those of the cameras rolled with the crops (B, 4)."""
    matrix = np.zeros((len(crops), 3, 3))
    matrix[:, :2, :2] = _rotation_2d(-crops[:, 3])
    matrix[:, 2, 2] = 1.0
    return matrix


def unroll(rotations: np.ndarray, translation: np.ndarray, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A network's output for a window, rotated back into the camera's own axes.

    Args:
        rotations: (B, 24, 3, 3) local rotations, the root's in the rolled camera.
        translation: (B, 3) of the pelvis in the rolled camera, metres.
        crops: (B, 4) of the middle frames.
    """
    back = np.swapaxes(roll(crops), 1, 2)
    unrolled = rotations.astype(float)
    unrolled[:, 0] = back @ unrolled[:, 0]
    return unrolled, np.einsum("bij,bj->bi", back, translation)


def full_translation(camera: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(B, 3) pelvis in the rolled camera of crop cameras (B, 3) s, tx, ty and box information (B, 3).

    t = (tx + 2 cx / (b s), ty + 2 cy / (b s), 2 f / (b s)), from CLIFF and Multi-RoI (eq. 12).
    """
    centre, size = box[:, :2] / 2.8, 0.06 * box[:, 2:] + 0.24
    depth = 2 / (size * camera[:, :1])
    return np.concatenate([camera[:, 1:] + centre * depth, depth], axis=1)


def _rotation_2d(angle: np.ndarray) -> np.ndarray:
    """(B, 2, 2) rotation of the image plane by angles (B,)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
