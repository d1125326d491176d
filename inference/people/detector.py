"""BlazePose's detector: where in an image people are, and their rotation.

Facts about the network (anchors, scales, thresholds) are those of the graph in MediaPipe 0.10.21. Its detector of palms
has outputs of the same kind, which are read here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..runtime.session import NetworkError, Session
from . import crops

INPUT_SIZE = 224
# Width of a cell in input pixels and anchors in each of its cells; the three coarsest layers share one grid.
LAYERS = ((8, 2), (16, 2), (32, 6))
# Rows of `Detections.points`.
HIP_CENTER, RIM, SHOULDER_CENTER = 0, 1, 2
MIN_SCORE = 0.5
MIN_OVERLAP = 0.3


@dataclass
class Detections:
    """People found in an image (n of them), the best of each searched region first.

    Attributes:
        scores: (n,) probability that it is a person.
        boxes: (n, 4) box around the head and shoulders: left, top, width, height in pixels.
        points: (n, 4, 2) pixels: hip centre, rim of the circle around the body, shoulder centre, rim of the circle
            around the upper body. Other detectors have others.
    """

    scores: np.ndarray
    boxes: np.ndarray
    points: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """Nobody."""
        return cls(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 4, 2)))

    def merged(self, others: Detections) -> Detections:
        """These people and those of `others` that are not among them."""
        new = [i for i, box in enumerate(others.boxes) if not (box_overlap(box, self.boxes) > MIN_OVERLAP).any()]
        return Detections(
            np.concatenate([self.scores, others.scores[new]]),
            np.concatenate([self.boxes, others.boxes[new]]),
            np.concatenate([self.points, others.points[new]]),
        )

    def crops(self) -> np.ndarray:
        """The crops (n, 4) for the landmark network."""
        return np.array([crops.around(p[HIP_CENTER], p[RIM]) for p in self.points]).reshape(-1, 4)


class Detector:
    """The detector network with its pre- and postprocessing.

    Args:
        path: the ONNX file of the network.
        device: see `Session`.

    Raises:
        NetworkError: the file is missing or not the detector, or the device is not available.
    """

    OUTPUTS = ("coordinates", "logits")

    def __init__(self, path: Path, device: str = "auto"):
        self._network = Session(path, device, side_by_side=True)
        if self._network.outputs != self.OUTPUTS:
            raise NetworkError(f"{path} is not BlazePose's detector: fetch it again.")

    def __call__(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
        """Find people.

        Args:
            image: (H, W, 3) BGR uint8.
            regions: (r, 4) upright crops to search, large ones first: a person found in one is not
                taken from a later one that shows only a part of them. The whole image if omitted. People smaller than a
                quarter of a region are usually missed.

        Returns:
            People of all regions together, each once.
        """
        if regions is None:
            regions = crops.whole(image.shape)[None]
        images = [crops.cut(image, region, INPUT_SIZE, cv2.BORDER_CONSTANT) for region in regions]
        detections = Detections.empty()
        for region, (coordinates, logits) in zip(regions, self._network.each(images), strict=True):
            detections = detections.merged(_in_image(suppress(decode(coordinates, logits)), region))
        return detections


def _in_image(detections: Detections, region: np.ndarray) -> Detections:
    """Detections in fractions of a region's (4,) side, in pixels of the image."""
    x, y, side, _ = region
    corner = np.array([x, y]) - side / 2
    return Detections(
        detections.scores,
        np.concatenate([corner + detections.boxes[:, :2] * side, detections.boxes[:, 2:] * side], axis=1),
        corner + detections.points * side,
    )


def anchors(layers: Sequence[tuple[int, int]] = LAYERS, size: int = INPUT_SIZE) -> np.ndarray:
    """Centres (a, 2) of a network's anchors, both axes from 0 to 1, in the order of its outputs.

    Args:
        layers: width of a cell in input pixels and anchors in each of its cells, of each grid.
        size: the input's side in pixels.
    """
    centers = []
    for stride, count in layers:
        cells = size // stride
        y, x = np.mgrid[:cells, :cells]
        centers.append(np.repeat((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells, count, axis=0))
    return np.concatenate(centers)


ANCHORS = anchors()


def decode(
    coordinates: np.ndarray, logits: np.ndarray, centers: np.ndarray = ANCHORS, size: int = INPUT_SIZE
) -> Detections:
    """Decode a network's outputs.

    Args:
        coordinates: (a, 4 + 2 p) centre, size and p points relative to the anchors, in input pixels.
        logits: (a,).
        centers: (a, 2) of its `anchors`.
        size: the input's side in pixels.

    Returns:
        Everything above the threshold, overlapping each other; lengths as fractions of the input's side.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    kept = np.flatnonzero(scores >= MIN_SCORE)
    values = coordinates[kept].astype(np.float64) / size
    center = values[:, :2] + centers[kept]
    extent = values[:, 2:4]
    points = values[:, 4:].reshape(len(kept), values.shape[1] // 2 - 2, 2) + centers[kept, None]
    return Detections(scores[kept], np.concatenate([center - extent / 2, extent], axis=1), points)


def suppress(detections: Detections) -> Detections:
    """Weighted non-maximum suppression: boxes that overlap become one, at their mean weighted by score."""
    rest = np.argsort(-detections.scores, kind="stable")
    scores, boxes, points = [], [], []
    while len(rest):
        same = box_overlap(detections.boxes[rest[0]], detections.boxes[rest]) > MIN_OVERLAP
        same[0] = True
        group = rest[same]
        weights = detections.scores[group] / detections.scores[group].sum()
        scores.append(detections.scores[group[0]])
        boxes.append(weights @ detections.boxes[group])
        points.append(np.einsum("n,npk->pk", weights, detections.points[group]))
        rest = rest[~same]
    shape = detections.points.shape[1:]
    return Detections(np.array(scores), np.array(boxes).reshape(-1, 4), np.array(points).reshape(-1, *shape))


def box_overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with each of boxes (n, 4), all left, top, width, height."""
    corner = np.maximum(box[:2], boxes[:, :2])
    extent = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:]) - corner
    common = np.prod(np.maximum(extent, 0), axis=1)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - common
    return np.divide(common, union, out=np.zeros(len(boxes)), where=union > 0)
