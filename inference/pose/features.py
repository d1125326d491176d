"""What networks see of a person in a frame, and the axes of their answers: the same numbers in training and in use.

BlazePose sees a crop as if the camera looked straight at it. So do the networks: frames are described in *crop axes*,
those of a camera in the same place that looks at the crop's centre and is rolled with it. What a pose looks like then
depends neither on where in the image a person is, nor on the lens, but for its perspective; and a person lying on their
side looks like one who stands.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..body import rotations

VERSION = 2
"""Incremented when the features change; networks store the version that they were trained with."""

_LANDMARKS = 33

SIZE = _LANDMARKS * (2 + 1 + 1 + 3) + 8
"""Numbers per frame."""

WORLD = slice(_LANDMARKS * 4, _LANDMARKS * 7)
"""Which of them are the world landmarks."""

KNOWN = SIZE - 2
"""Which of them says whether the person was detected in the frame."""

FLOW_STEPS = 15
"""Homographies before a frame that are input of the part dynamics."""

DETECTOR_FIELDS = ("landmarks", "visibility", "presence", "world_landmarks", "scores", "crops")
"""Detections of a person, by their names in tracks and training shards."""


def crop_axes(crops: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations from camera axes into the axes of crops (..., 4), of cameras (..., 3, 3)."""
    sight = np.ones((*crops.shape[:-1], 3))
    sight[..., :2] = (crops[..., :2] - camera_K[..., :2, 2]) / camera_K[..., [0, 1], [0, 1]]
    ahead = np.broadcast_to([0.0, 0.0, 1.0], sight.shape)
    towards = rotations.between(sight.reshape(-1, 3), ahead.reshape(-1, 3)).reshape(*sight.shape, 3)
    cos, sin = np.cos(crops[..., 3]), np.sin(crops[..., 3])
    unrolled = np.zeros_like(towards)
    unrolled[..., 0, 0] = unrolled[..., 1, 1] = cos
    unrolled[..., 0, 1], unrolled[..., 1, 0], unrolled[..., 2, 2] = sin, -sin, 1.0
    return unrolled @ towards


def crop_size(crops: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """(...) side of crops (..., 4) at distance 1 in their axes."""
    offset = (crops[..., :2] - camera_K[..., :2, 2]) / camera_K[..., [0, 1], [0, 1]]
    # Towards the image's edge a picture is stretched by the distance along the line of sight.
    return crops[..., 2] / camera_K[..., 0, 0] / (1 + np.square(offset).sum(-1)) ** 0.75


def frame_features(
    landmarks: np.ndarray,
    visibility: np.ndarray,
    presence: np.ndarray,
    world_landmarks: np.ndarray,
    scores: np.ndarray,
    crops: np.ndarray,
    known: np.ndarray,
    period: np.ndarray,
    camera_K: np.ndarray,
) -> np.ndarray:
    """Describe frames.

    Args:
        landmarks: (..., 33, 2) image pixels.
        visibility: (..., 33).
        presence: (..., 33).
        world_landmarks: (..., 33, 3) metres, camera axes, origin between the hips.
        scores: (...) probability of a person in the crop.
        crops: (..., 4) centre, side in pixels, rotation in radians.
        known: (...) false where the frame replaces one in which the person was not detected.
        period: (...) seconds between frames.
        camera_K: (..., 3, 3) intrinsics in pixels.

    Returns:
        (..., 239) float32: landmarks from the crop's centre in units of its side, visibility, presence and world
        landmarks in crop axes, score, logarithm of the crop's size, cosine and sine of its rotation, the direction to
        its centre, known, period.
    """
    points, size = _in_crop(landmarks, crops, camera_K), crop_size(crops, camera_K)
    cos, sin = np.cos(crops[..., 3]), np.sin(crops[..., 3])
    world = world_landmarks.copy()
    world[..., 0] = cos[..., None] * world_landmarks[..., 0] + sin[..., None] * world_landmarks[..., 1]
    world[..., 1] = cos[..., None] * world_landmarks[..., 1] - sin[..., None] * world_landmarks[..., 0]
    direction = (crops[..., :2] - camera_K[..., :2, 2]) / camera_K[..., [0, 1], [0, 1]]
    scalars = (scores, np.log(np.maximum(size, 1e-4)), cos, sin)
    parts = (
        points.reshape(*points.shape[:-2], 2 * _LANDMARKS),
        visibility,
        presence,
        world.reshape(*world.shape[:-2], 3 * _LANDMARKS),
        np.stack(scalars, axis=-1),
        direction,
        np.stack([known, period], axis=-1),
    )
    return np.concatenate(parts, axis=-1, dtype=np.float32)


def box_info(crops: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """(..., 3) CLIFF's box information (Li et al., 2022) of crops (..., 4) in their own axes: their size."""
    size = crop_size(crops, camera_K)
    return np.stack([0 * size, 0 * size, (size - 0.24) / 0.06], axis=-1)


def region_features(
    detections: Mapping[str, np.ndarray], period: np.ndarray, camera_K: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One frame in R regions of interest, all in the axes of the first, the crop.

    Args:
        detections: `DETECTOR_FIELDS`, (B, R, ...); all regions of a frame have the same rotation.
        period: (B,) seconds between frames.
        camera_K: (B, 3, 3).

    Returns:
        (B, R, 239) float32 features, landmarks from each region's centre in units of its side, and (B, R, 3) box
        information.
    """
    count, regions = detections["scores"].shape
    crops = detections["crops"]
    first = np.repeat(crops[:, :1], regions, axis=1)
    K = np.repeat(camera_K[:, None], regions, axis=1)
    described = frame_features(
        **{**detections, "crops": first},
        known=np.ones((count, regions), bool),
        period=np.repeat(period[:, None], regions, axis=1),
        camera_K=K,
    )
    side = crop_size(first, K)
    share = crops[..., 2] / first[..., 2]
    centre = _in_crop(crops[..., None, :2], first, K)[..., 0, :]
    points = described[..., : 2 * _LANDMARKS].reshape(count, regions, _LANDMARKS, 2)
    points = (points - centre[:, :, None]) / share[..., None, None]
    described[..., : 2 * _LANDMARKS] = points.reshape(count, regions, -1)
    boxes = np.concatenate([centre * side[..., None] * 2.8, (side * share - 0.24)[..., None] / 0.06], axis=-1)
    return described, boxes


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


def full_translation(camera: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(B, 3) pelvis in the rolled camera of crop cameras (B, 3) s, tx, ty and box information (B, 3).

    t = (tx + 2 cx / (b s), ty + 2 cy / (b s), 2 f / (b s)), from CLIFF and Multi-RoI (eq. 12).
    """
    centre, size = box[:, :2] / 2.8, 0.06 * box[:, 2:] + 0.24
    depth = 2 / (size * camera[:, :1])
    return np.concatenate([camera[:, 1:] + centre * depth, depth], axis=1)


def to_camera(
    rotations_in_crop: np.ndarray, pelvis_in_crop: np.ndarray, crops: np.ndarray, camera_K: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A network's output, rotated from crop axes into the camera's.

    Args:
        rotations_in_crop: (B, 24, 3, 3) local rotations, the root's in crop axes.
        pelvis_in_crop: (B, 3) metres.
        crops: (B, 4).
        camera_K: (B, 3, 3).
    """
    back = np.swapaxes(crop_axes(crops, camera_K), -1, -2)
    local = rotations_in_crop.astype(float)
    local[:, 0] = back @ local[:, 0]
    return local, np.einsum("bij,bj->bi", back, pelvis_in_crop)


def roll(crops: np.ndarray) -> np.ndarray:
    """(B, 3, 3) rotation from camera axes into those of the cameras rolled with the crops (B, 4)."""
    cos, sin = np.cos(crops[:, 3]), np.sin(crops[:, 3])
    matrix = np.zeros((len(crops), 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = cos
    matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 2, 2] = sin, -sin, 1.0
    return matrix


def _in_crop(pixels: np.ndarray, crops: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """Pixels (..., K, 2) from the centres of crops (..., 4), in crop axes, in units of the crops' sides."""
    axes, size = crop_axes(crops, camera_K), crop_size(crops, camera_K)
    rays = np.ones((*pixels.shape[:-1], 3))
    rays[..., :2] = (pixels - camera_K[..., None, :2, 2]) / camera_K[..., None, [0, 1], [0, 1]]
    rays = rays @ np.swapaxes(axes, -1, -2)
    return rays[..., :2] / np.maximum(rays[..., 2:], 0.1) / size[..., None, None]
