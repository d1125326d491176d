"""The people station's output: one `Track` per person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from .. import spill
from ..body.skeleton import LANDMARK_NAMES, SIDES

ROI_PREFIX = "roi_views."
"""Of the names of `RoiViews`, where they stand beside those of `Track`."""

_TRUNK = [LANDMARK_NAMES.index(f"{side}_{part}") for side in SIDES for part in ("shoulder", "hip", "elbow", "knee")]


@dataclass
class RoiViews:
    """Detections of a person in other regions of interest, those of `crops.roi_crops`, in n frames.

    Attributes:
        landmarks: (n, 4, 33, 2), this and all others as in `Track`.
        visibility: (n, 4, 33).
        presence: (n, 4, 33).
        world_landmarks: (n, 4, 33, 3).
        scores: (n, 4).
        crops: (n, 4, 4).
    """

    landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world_landmarks: np.ndarray
    scores: np.ndarray
    crops: np.ndarray

    @classmethod
    def from_columns(cls, columns: Mapping[str, np.ndarray]) -> Self | None:
        """Those among the columns of a table, by their names after `ROI_PREFIX`; None if they aren't there."""
        own = {name.removeprefix(ROI_PREFIX): values for name, values in columns.items() if name.startswith(ROI_PREFIX)}
        return cls(**own) if own else None


@dataclass
class Track:
    """One person through the video, one row per frame in which they were seen (n rows, gaps left out).

    Attributes:
        number: the person's stable number, from 1, in order of screen presence.
        frames: (n,) frame numbers in the footage, increasing.
        timestamps: (n,) seconds.
        landmarks: (n, 33, 2) BlazePose landmarks in image pixels.
        visibility: (n, 33) probability that the landmark is inside the image and not occluded.
        presence: (n, 33) probability that the landmark is inside the crop.
        world_landmarks: (n, 33, 3) metres, origin between the hips, axes parallel to the camera's
            (x right, y down, z forward), as BlazePose's own network estimates them.
        crops: (n, 4) the rotated square crop the network saw: centre x, centre y, side in pixels, rotation in radians.
        boxes: (n, 4) axis-aligned box around the body's landmarks: left, top, width, height in pixels.
        scores: (n,) the network's confidence that a person is in the crop.
        maps: (n,) numbers of the local maps in the video's `MapStore`, `maps.NONE` for none.
        roi_views: the person's other regions of interest; None if not computed.
        body_crops: (n, 4) the crops that the landmarks of these frames themselves ask for; None if unknown.
    """

    number: int
    frames: np.ndarray
    timestamps: np.ndarray
    landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world_landmarks: np.ndarray
    crops: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    maps: np.ndarray
    roi_views: RoiViews | None = None
    body_crops: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def pixels_per_metre(self) -> np.ndarray:
        """(n,) how large a metre at the person is in the image, calm over time."""

        def size(window: slice) -> tuple[np.ndarray]:
            return (scale_in_image(self.landmarks[window, _TRUNK], self.world_landmarks[window, _TRUNK]),)

        (scale,) = spill.collect(len(self), size)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(scale, 7, mode="edge"), 15)
        return spill.collect(len(self), lambda window: (np.median(around[window], axis=-1),))[0]


def scale_in_image(pixels: np.ndarray, world: np.ndarray) -> np.ndarray:
    """(n,) pixels per metre, from points in the image (n, p, 2) and in metres in camera axes (n, p, 3)."""
    return _spread(pixels) / np.maximum(_spread(world[..., :2]), 1e-3)


def _spread(points: np.ndarray) -> np.ndarray:
    """(n,) how far points (n, p, d) are from their middle: the root of the sum of squares."""
    points = points.astype(float)
    return np.sqrt(((points - points.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)))
