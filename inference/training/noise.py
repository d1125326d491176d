"""Cheap faults of a detector, on top of its own, drawn anew for every training window."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES

_MIRROR = list(LANDMARK_MIRROR)
_LEGS = [number for number, name in enumerate(LANDMARK_NAMES) if number >= 23]
_ARMS = [number for number, name in enumerate(LANDMARK_NAMES) if 11 <= number < 23]


@dataclass(frozen=True)
class Noise:
    """How strong the faults are.

    Attributes:
        jitter: of landmarks from frame to frame, crop sides.
        bias: of landmarks over the window, crop sides.
        world_jitter: of world landmarks from frame to frame, metres.
        world_bias: of world landmarks over the window, metres.
        swap: share of windows in which arms or legs change sides for some frames.
        drop: share of landmarks that are far off and hardly trusted in some frames.
        miss: share of frames in which the person is not seen.
    """

    jitter: float = 0.003
    bias: float = 0.005
    world_jitter: float = 0.008
    world_bias: float = 0.015
    swap: float = 0.03
    drop: float = 0.02
    miss: float = 0.04

    def scaled(self, factor: float) -> Noise:
        """All of it stronger or weaker; 0 for none."""
        return Noise(**{item.name: factor * getattr(self, item.name) for item in fields(self)})


def spoil(window: dict[str, np.ndarray], noise: Noise, rng: np.random.Generator) -> None:
    """Spoil windows in place; keys and shapes are those of `features.window_features`.

    Missed frames are repeated from the frame before them and marked as not known; the middle frame is never missed.
    """
    b, t = window["scores"].shape
    side = window["crops"][:, t // 2, 2][:, None, None, None]
    landmarks, world = window["landmarks"], window["world_landmarks"]
    landmarks += side * noise.bias * rng.standard_normal((b, 1, 33, 2))
    landmarks += side * noise.jitter * rng.standard_normal((b, t, 33, 2))
    world += noise.world_bias * rng.standard_normal((b, 1, 33, 3))
    world += noise.world_jitter * rng.standard_normal((b, t, 33, 3))

    dropped = rng.random((b, 1, 33)) < noise.drop
    dropped = dropped & (rng.random((b, t, 33)) < 0.7)
    landmarks += np.where(dropped[..., None], side * 0.12 * rng.standard_normal((b, t, 33, 2)), 0)
    world += np.where(dropped[..., None], 0.15 * rng.standard_normal((b, t, 33, 3)), 0)
    window["visibility"] *= np.where(dropped, rng.uniform(0.0, 0.6, (b, t, 33)), 1)

    for limbs in (_ARMS, _LEGS):
        swapped = (rng.random((b, 1)) < noise.swap) & _run(b, t, rng)
        for key in ("landmarks", "world_landmarks", "visibility", "presence"):
            values = window[key]
            change = swapped.reshape(b, t, *[1] * (values.ndim - 2))
            values[:, :, limbs] = np.where(change, values[:, :, [_MIRROR[limb] for limb in limbs]], values[:, :, limbs])

    missed = rng.random((b, t)) < noise.miss
    missed[:, t // 2] = False
    source = np.where(missed, np.maximum(np.arange(t) - 1, 0), np.arange(t))
    rows = np.arange(b)[:, None]
    for key in ("landmarks", "world_landmarks", "visibility", "presence", "scores", "crops"):
        window[key] = window[key][rows, source]
    window["known"] = window["known"] & ~missed


def _run(b: int, t: int, rng: np.random.Generator) -> np.ndarray:
    """(b, t) one run of frames in each window."""
    start, length = rng.integers(-t, t, (b, 1)), rng.integers(1, t + 1, (b, 1))
    frame = np.arange(t)
    return (frame >= start) & (frame < start + length)
