"""The people station's output: one `Track` per person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from ..body.skeleton import LANDMARK_NAMES, SIDES

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
    def from_rows(cls, rows: Sequence[Mapping[str, np.ndarray]]) -> Self:
        """The detections of n frames, each given by the attributes' names."""
        return cls(**{item.name: np.array([row[item.name] for row in rows]) for item in fields(cls)})


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
        flat = self.landmarks[:, _TRUNK].astype(float)
        solid = self.world_landmarks[:, _TRUNK, :2].astype(float)
        spread = [np.sqrt(((one - one.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))) for one in (flat, solid)]
        scale = spread[0] / np.maximum(spread[1], 1e-3)
        padded = np.pad(scale, 7, mode="edge")
        return np.median(np.lib.stride_tricks.sliding_window_view(padded, 15), axis=-1)
