"""Cheap faults of a detector, on top of its own, drawn anew for every training window."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...body.skeleton import LANDMARK_MIRROR
from ...people.maps import SHAPE

_MIRROR = np.array(LANDMARK_MIRROR)
_ARMS, _LEGS = np.arange(11, 23), np.arange(23, 33)
_OF_LANDMARKS = ("landmarks", "world_landmarks", "visibility", "presence")
# How far off dropped landmarks are, crop sides and metres; how much of their visibility they keep at most; how many of
# a window's frames they are dropped in.
_OFF, _WORLD_OFF, _KEPT, _DROPPED = 0.12, 0.15, 0.6, 0.7
BLANK = -1
"""In `channels`, stands for a map without anything on it."""


@dataclass(frozen=True)
class Noise:
    """How strong the faults are.

    Attributes:
        jitter: of landmarks from frame to frame, crop sides.
        bias: of landmarks over the window, crop sides.
        world_jitter: of world landmarks from frame to frame, metres.
        world_bias: of world landmarks over the window, metres.
        swap: share of windows in which arms or legs change sides for some frames.
        drop: share of landmarks that are far off, hardly trusted and on no map in most frames.
        box: of the crop's place from frame to frame, crop sides; whole cells of the maps, which follow.
        miss: share of frames in which the person is not seen.
        flow: of the background's flow, image diagonals from frame to frame.
        still: share of frames whose flow can't be found and is taken for none.
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
        """All of it stronger or weaker; 0 for none."""
        return Noise(**{item.name: factor * getattr(self, item.name) for item in fields(self)})


def spoil(window: dict[str, np.ndarray], noise: Noise, rng: np.random.Generator, target: int) -> None:
    """Spoil B windows of T frames in place.

    A frame that stands in for another gets that one's faults; the target is never missed.

    Args:
        window: what `features.window_features` takes, but for the camera, and besides `rows` (B, T) of the data set
            that the frames come from, `channels` (B, T, 40) that local maps are taken from and `cells` (B, T, 2) by
            which crops have moved over their maps.
        noise: how strong the faults are.
        rng: where they come from.
        target: number of the frame that is estimated.
    """
    b, t = window["scores"].shape
    source = _miss(window, noise.miss, rng, target)
    side = window["crops"][:, target, 2][:, None, None, None]
    landmarks, world, channels = window["landmarks"], window["world_landmarks"], window["channels"]
    landmarks += side * noise.bias * rng.standard_normal((b, 1, 33, 2))
    landmarks += side * noise.jitter * rng.standard_normal((b, t, 33, 2))
    world += noise.world_bias * rng.standard_normal((b, 1, 33, 3))
    world += noise.world_jitter * rng.standard_normal((b, t, 33, 3))

    dropped = (rng.random((b, 1, 33)) < noise.drop) & (rng.random((b, t, 33)) < _DROPPED)
    landmarks += np.where(dropped[..., None], side * _OFF * rng.standard_normal((b, t, 33, 2)), 0)
    world += np.where(dropped[..., None], _WORLD_OFF * rng.standard_normal((b, t, 33, 3)), 0)
    window["visibility"] *= np.where(dropped, rng.uniform(0, _KEPT, (b, t, 33)), 1)
    channels[:, :, :33][dropped] = BLANK

    for limbs in (_ARMS, _LEGS):
        swapped = np.nonzero((rng.random((b, 1)) < noise.swap) & _run(b, t, rng))
        for key in (*_OF_LANDMARKS, "channels"):
            frames = window[key][swapped]
            frames[:, limbs] = frames[:, _MIRROR[limbs]]
            window[key][swapped] = frames

    _move_crops(window, noise.box, rng)
    for key in (*_OF_LANDMARKS, "scores", "crops", "channels", "cells"):
        window[key] = window[key][np.arange(b)[:, None], source]


def spoil_flow(homographies: np.ndarray, noise: Noise, rng: np.random.Generator) -> None:
    """Spoil homographies (B, 15, 3, 3), see `engine.features.flow_features`, in place."""
    # What moves the image's border by a part of the diagonal, as a shift, a stretch or a tilt.
    strength = noise.flow * np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [4.0, 4.0, 0.0]])
    homographies += strength * rng.standard_normal(homographies.shape)
    homographies[rng.random(homographies.shape[:2]) < noise.still] = np.eye(3)


def _miss(window: dict[str, np.ndarray], share: float, rng: np.random.Generator, target: int) -> np.ndarray:
    """Miss some frames; returns the place (B, T) in the window whose content each frame shows then."""
    rows = window["rows"]
    b, t = rows.shape
    missed = rng.random((b, t)) < share
    missed[:, target] = False
    source = np.tile(np.arange(t), (b, 1))
    for place in range(target - 1, -1, -1):
        source[:, place] = np.where(missed[:, place], source[:, place + 1], place)
    for place in range(target + 1, t):
        source[:, place] = np.where(missed[:, place], source[:, place - 1], place)
    window["known"] = window["known"] & ~missed
    window["rows"] = np.take_along_axis(rows, source, axis=1)
    first = np.argmax(window["rows"][:, :, None] == window["rows"][:, None, :], axis=-1)
    return np.take_along_axis(source, first, axis=1)


def _run(b: int, t: int, rng: np.random.Generator) -> np.ndarray:
    """(b, t) one run of frames in each window."""
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
