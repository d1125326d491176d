"""The last moments of footage, kept small, to follow those back who are found late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from ..footage.reader import Frame
from . import crops

# Seconds that are kept, and the shorter side of their images in pixels: 45 MB of frames at 30 frames a second.
SECONDS, SIDE = 1.0, 540


@dataclass(frozen=True)
class Moment:
    """A frame whose image may be smaller than it was filmed.

    Attributes:
        number, timestamp: the frame's.
        image: (H, W, 3).
        scale: the image's size relative to the frame's.
    """

    number: int
    timestamp: float
    image: np.ndarray
    scale: float = 1.0

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """A frame as it is."""
        return cls(frame.number, frame.timestamp, frame.image)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the frame."""
        height, width = self.image.shape[:2]
        return round(height / self.scale), round(width / self.scale)

    def smaller(self) -> Moment:
        """The same with an image of `SIDE` pixels, if it is larger."""
        scale = SIDE / min(self.image.shape[:2])
        if scale >= 1:
            return self
        image = cv2.resize(self.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return Moment(self.number, self.timestamp, image, self.scale * scale)

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the frame as pixels of the image."""
        return (pixels + 0.5) * self.scale - 0.5

    def cut(self, crop: np.ndarray, size: int) -> np.ndarray:
        """As `crops.cut`, of a crop (4,) of the frame."""
        where = np.concatenate([self.shown(crop[:2]), crop[2:3] * self.scale, crop[3:]])
        return crops.cut(self.image, where, size)


class Past:
    """The moments of the last `SECONDS`."""

    def __init__(self):
        self._moments: deque[Moment] = deque()

    def add(self, frame: Frame) -> None:
        """Add the next frame, and forget what is too long ago."""
        self._moments.append(Moment.of(frame).smaller())
        while frame.timestamp - self._moments[0].timestamp > SECONDS:
            self._moments.popleft()

    def back(self) -> Iterator[Moment]:
        """The moments, the newest first."""
        return reversed(self._moments)
