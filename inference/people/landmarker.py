"""BlazePose's landmark network: the pose of the person in a crop.

The decoding is that of the graph in MediaPipe 0.10.21, without its smoothing of landmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ..runtime.session import NetworkError, Session
from .crops import from_image, to_image

INPUT_SIZE = 256
HEATMAP_SIZE = 64
# Landmarks on the body; the network adds two for the next crop and four unused ones.
BODY = 33
ALL = 39
CENTER, RIM = 33, 34
SHOULDERS, HIPS = [11, 12], [23, 24]
# Refinement uses this many heatmap cells to each side, and peaks of at least this probability.
REACH = 4
MIN_PEAK = 0.5


@dataclass
class Output:
    """The network's whole output for one crop.

    Attributes:
        landmarks: (39, 5) x, y, z in pixels of the network's input, then logits of visibility and presence.
        world_landmarks: (39, 3) metres, origin between the hips, axes parallel to the crop's.
        score: probability that a person is in the crop.
        heatmaps: (64, 64, 39) logits of each landmark's position.
        draw_mask: runs the part of the network that `mask` needs, a quarter of its time.
    """

    landmarks: np.ndarray
    world_landmarks: np.ndarray
    score: float
    heatmaps: np.ndarray
    draw_mask: Callable[[], np.ndarray]

    @cached_property
    def mask(self) -> np.ndarray:
        """(256, 256) logits of the person's outline."""
        return self.draw_mask()


@dataclass
class Pose:
    """One person in one frame.

    Attributes:
        crop: (4,) the crop the network saw.
        landmarks: (33, 2) image pixels.
        visibility: (33,) probability that the landmark is inside the image and not occluded.
        presence: (33,) probability that the landmark is inside the crop.
        world_landmarks: (33, 3) metres, origin between the hips, axes parallel to the camera's.
        score: probability that a person is in the crop.
        center: (2,) image pixels, between the hips: the centre of the next crop.
        rim: (2,) image pixels: where the circle around the body passes above the head.
        output: the network's whole output, for networks that use it; None if the model gives none.
    """

    crop: np.ndarray
    landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world_landmarks: np.ndarray
    score: float
    center: np.ndarray
    rim: np.ndarray
    output: Output | None = None

    @cached_property
    def outline(self) -> np.ndarray | None:
        """(s, s) mask of the person in the crop; None if the model gives none."""
        return None if self.output is None else self.output.mask > 0

    def covers(self, points: np.ndarray) -> float:
        """The share of points (n, 2) in image pixels that lie on this person."""
        places = from_image(points, self.crop)
        # The outline is not worth drawing for what lies elsewhere.
        if not ((places >= 0) & (places < 1)).all(axis=1).any() or self.outline is None:
            return 0.0
        size = len(self.outline)
        cells = np.floor(places * size).astype(int)
        inside = ((cells >= 0) & (cells < size)).all(axis=1)
        x, y = np.clip(cells, 0, size - 1).T
        return float((self.outline[y, x] & inside).mean())

    def box(self) -> np.ndarray:
        """(4,) axis-aligned box around the landmarks: left, top, width, height in pixels."""
        low, high = self.landmarks.min(axis=0), self.landmarks.max(axis=0)
        return np.concatenate([low, high - low])

    def upright(self) -> bool:
        """Whether the torso points to the crop's upper edge, as it does if the crop's rotation was right."""
        torso = self.landmarks[SHOULDERS].mean(axis=0) - self.landmarks[HIPS].mean(axis=0)
        up = np.array([np.sin(self.crop[3]), -np.cos(self.crop[3])])
        return bool(torso @ up > 0.5 * np.hypot(*torso))


class Landmarker:
    """The landmark network with its pre- and postprocessing.

    Args:
        path: the ONNX file of the network.
        outline_path: that of its part that draws outlines.
        device: see `Session`.

    Raises:
        NetworkError: a file is missing or not the landmark network, or the device is not available.
    """

    input_size = INPUT_SIZE
    FEATURES = ("features_0", "features_1")
    OUTPUTS = ("landmarks", "score", "heatmaps", "world_landmarks", *FEATURES)

    def __init__(self, path: Path, outline_path: Path, device: str = "auto"):
        self._network = Session(path, device, side_by_side=True)
        self._outline = Session(outline_path, device)
        if self._network.outputs != self.OUTPUTS or self._outline.inputs != frozenset(self.FEATURES):
            raise NetworkError(f"{path} and {outline_path} are not BlazePose's landmark network: install them again.")

    @property
    def device(self) -> str:
        """Where it runs, see `Session.device`."""
        return self._network.device

    @property
    def notice(self) -> str | None:
        """Why it runs on another device than requested, in a sentence; None if it does not."""
        return self._network.notice

    def run(self, images: Sequence[np.ndarray]) -> list[Output]:
        """The network's output for each of some crops, images (256, 256, 3), BGR uint8."""
        return [
            Output(landmarks, world, float(score), heatmaps, partial(self._draw_mask, features))
            for landmarks, score, heatmaps, world, *features in self._network.each(images)
        ]

    def _draw_mask(self, features: list[np.ndarray]) -> np.ndarray:
        inputs = {name: values[None] for name, values in zip(self.FEATURES, features, strict=True)}
        return self._outline(**inputs)[0][0]

    def read(self, cuts: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
        """The poses in crops (n, 4), cut out as n images (256, 256, 3), BGR uint8."""
        return [decode(output, crop) for output, crop in zip(self.run(cuts), crops, strict=True)]


def decode(output: Output, crop: np.ndarray) -> Pose:
    """Transform the network's output for a crop (4,) into the image's and the camera's axes."""
    points = to_image(refine(output.landmarks[:, :2] / INPUT_SIZE, output.heatmaps), crop)
    cos, sin = np.cos(crop[3]), np.sin(crop[3])
    world = output.world_landmarks[:BODY].astype(np.float64)
    world[:, :2] = world[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    return Pose(
        crop=crop,
        landmarks=points[:BODY],
        visibility=_sigmoid(output.landmarks[:BODY, 3]),
        presence=_sigmoid(output.landmarks[:BODY, 4]),
        world_landmarks=world,
        score=output.score,
        center=points[CENTER],
        rim=points[RIM],
        output=output,
    )


def refine(points: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Move points to the mean of the heatmap around them, where the heatmap has a clear peak.

    Args:
        points: (n, 2) inside the crop, both axes from 0 to 1.
        heatmaps: (s, s, n) logits.

    Returns:
        (n, 2), points outside the crop and those without a clear peak unchanged.
    """
    size = len(heatmaps)
    cells = np.trunc(points * size).astype(int)
    offsets = np.arange(-REACH, REACH + 1)
    columns, rows = cells[:, :1] + offsets, cells[:, 1:] + offsets
    inside_x, inside_y = (columns >= 0) & (columns < size), (rows >= 0) & (rows < size)
    logits = heatmaps[
        np.clip(rows, 0, size - 1)[:, :, None],
        np.clip(columns, 0, size - 1)[:, None],
        np.arange(len(points))[:, None, None],
    ]
    weights = _sigmoid(logits) * (inside_y[:, :, None] & inside_x[:, None])
    total = weights.sum(axis=(1, 2))
    has_peak = ((cells >= 0) & (cells < size)).all(axis=1) & (weights.max(axis=(1, 2)) >= MIN_PEAK)
    refined = points.astype(np.float64)
    mean_x = np.einsum("nyx,nx->n", weights, columns) / np.where(has_peak, total, 1)
    mean_y = np.einsum("nyx,ny->n", weights, rows) / np.where(has_peak, total, 1)
    refined[has_peak] = np.stack([mean_x, mean_y], axis=1)[has_peak] / size
    return refined


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))
