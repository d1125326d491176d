"""Data augmentation: random detector errors on top of the real ones, new for every training window."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...body.skeleton import LANDMARK_MIRROR
from ...people.maps import SHAPE

_MIRROR = np.array(LANDMARK_MIRROR)
_ARMS, _LEGS = np.arange(11, 23), np.arange(23, 33)
_LANDMARK_KEYS = ("landmarks", "world_landmarks", "visibility", "presence")
# Error of dropped landmarks in crop sides and in metres, the largest share of their visibility that they keep, and the
# share of a window's frames in which they are dropped.
_DROP_ERROR, _WORLD_DROP_ERROR, _MAX_VISIBILITY, _DROPPED_FRAMES = 0.12, 0.15, 0.6, 0.7
BLANK = -1
"""In `channels`: an empty map."""


@dataclass(frozen=True)
class Noise:
    """Strengths of the errors.

    Attributes:
        jitter: of landmarks from frame to frame, crop sides.
        bias: of landmarks over the window, crop sides.
        world_jitter: of world landmarks from frame to frame, metres.
        world_bias: of world landmarks over the window, metres.
        swap: share of windows in which left and right arms or legs are swapped for some frames.
        drop: share of landmarks with a large error, low visibility and no heatmap in most frames.
        box: of the crop's position from frame to frame, crop sides; rounded to cells of the maps, which follow.
        miss: share of frames in which the person is not detected.
        flow: of the background's flow, image diagonals from frame to frame.
        still: share of frames whose flow can't be estimated and is set to none.
    """

    jitter: float = 0.003
    bias: float = 0.005
    world_jitter: float = 0.008
    world_bias: float = 0.015
    swap: float = 0.03
    drop: float = 0.02
    box: float = 0.008
    miss: float = 0.04
    flow: float = 1e-4
    still: float = 0.03

    def scaled(self, factor: float) -> Noise:
        """All strengths times a factor; 0 for no noise."""
        return Noise(**{item.name: factor * getattr(self, item.name) for item in fields(self)})


def augment(window: dict[str, np.ndarray], noise: Noise, rng: np.random.Generator, target: int) -> None:
    """Augment B windows of T frames in place.

    A frame that replaces another one has the same errors in both places; the target is never missed.

    Args:
        window: the arguments of `features.window_features` except the camera, and `rows` (B, T), the frames' rows in
            the data set, `channels` (B, T, 40), the channels that local maps are read from, and `cells` (B, T, 2), by
            which crops have moved over their maps.
        noise: strengths of the errors.
        rng: source of randomness.
        target: index of the frame that is estimated.
    """
    b, t = window["scores"].shape
    source = _miss(window, noise.miss, rng, target)
    side = window["crops"][:, target, 2][:, None, None, None]
    landmarks, world, channels = window["landmarks"], window["world_landmarks"], window["channels"]
    landmarks += side * noise.bias * rng.standard_normal((b, 1, 33, 2))
    landmarks += side * noise.jitter * rng.standard_normal((b, t, 33, 2))
    world += noise.world_bias * rng.standard_normal((b, 1, 33, 3))
    world += noise.world_jitter * rng.standard_normal((b, t, 33, 3))

    dropped = (rng.random((b, 1, 33)) < noise.drop) & (rng.random((b, t, 33)) < _DROPPED_FRAMES)
    landmarks += np.where(dropped[..., None], side * _DROP_ERROR * rng.standard_normal((b, t, 33, 2)), 0)
    world += np.where(dropped[..., None], _WORLD_DROP_ERROR * rng.standard_normal((b, t, 33, 3)), 0)
    window["visibility"] *= np.where(dropped, rng.uniform(0, _MAX_VISIBILITY, (b, t, 33)), 1)
    channels[:, :, :33][dropped] = BLANK

    for limbs in (_ARMS, _LEGS):
        swapped = np.nonzero((rng.random((b, 1)) < noise.swap) & _run(b, t, rng))
        for key in (*_LANDMARK_KEYS, "channels"):
            frames = window[key][swapped]
            frames[:, limbs] = frames[:, _MIRROR[limbs]]
            window[key][swapped] = frames

    _move_crops(window, noise.box, rng)
    for key in (*_LANDMARK_KEYS, "scores", "crops", "channels", "cells"):
        window[key] = window[key][np.arange(b)[:, None], source]


def augment_flow(homographies: np.ndarray, noise: Noise, rng: np.random.Generator) -> None:
    """Augment homographies (B, 15, 3, 3), see `pose.features.flow_features`, in place."""
    # Shifts, stretches and tilts that each move the image's border by the same part of the diagonal.
    strength = noise.flow * np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [4.0, 4.0, 0.0]])
    homographies += strength * rng.standard_normal(homographies.shape)
    homographies[rng.random(homographies.shape[:2]) < noise.still] = np.eye(3)


def _miss(window: dict[str, np.ndarray], share: float, rng: np.random.Generator, target: int) -> np.ndarray:
    """Drop detections of some frames; returns the slots (B, T) in the window whose content each frame then has."""
    rows = window["rows"]
    b, t = rows.shape
    missed = rng.random((b, t)) < share
    missed[:, target] = False
    source = np.tile(np.arange(t), (b, 1))
    for slot in range(target - 1, -1, -1):
        source[:, slot] = np.where(missed[:, slot], source[:, slot + 1], slot)
    for slot in range(target + 1, t):
        source[:, slot] = np.where(missed[:, slot], source[:, slot - 1], slot)
    window["known"] = window["known"] & ~missed
    window["rows"] = np.take_along_axis(rows, source, axis=1)
    first = np.argmax(window["rows"][:, :, None] == window["rows"][:, None, :], axis=-1)
    return np.take_along_axis(source, first, axis=1)


def _run(b: int, t: int, rng: np.random.Generator) -> np.ndarray:
    """(b, t) a mask of one run of frames in each window."""
    start, length = rng.integers(-t, t, (b, 1)), rng.integers(1, t + 1, (b, 1))
    frame = np.arange(t)
    return (frame >= start) & (frame < start + length)


def _move_crops(window: dict[str, np.ndarray], size: float, rng: np.random.Generator) -> None:
    crops = window["crops"]
    cells = np.rint(size * SHAPE[-1] * rng.standard_normal((*crops.shape[:2], 2))).astype(int)
    cos, sin = np.cos(crops[..., 3]), np.sin(crops[..., 3])
    x, y = np.moveaxis(cells * crops[..., 2:3] / SHAPE[-1], -1, 0)
    crops[..., 0] += cos * x - sin * y
    crops[..., 1] += sin * x + cos * y
    window["cells"] = window["cells"] + cells
