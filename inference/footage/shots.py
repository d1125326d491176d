"""Where a cut film begins a new shot, found while its frames are read.

Across a cut no part of the picture is found again near its place, in none of the frames around it. A flash is over
within the frames looked at; a fast pan or somebody who walks by close to the camera changes the frames before and after
as much.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

import cv2
import numpy as np

from .reader import Frame

# Longer side of the pictures that are compared, in pixels, and how many parts of one are looked for in another, along
# the longer and the shorter side; how far from their place, as a share of the longer side.
_SIDE, _PARTS, _REACH = 64, (4, 3), 0.2
# Standard deviation of brightness above which a part counts in full.
_CONTRAST = 20.0
# How unlike two pictures are, from 0 to about 1. Frames that follow each other are compared part by part if they differ
# so much in place, and their surroundings are looked at if their parts do.
_DIFFER, _SUSPICIOUS = 0.05, 0.2
# A cut is so unlike, and so many times as unlike as what moves around it.
_UNLIKE, _TIMES = 0.25, 2.5
# Seconds around a cut that are compared, and limits of their number of frames: those after it wait in memory.
_AROUND, _FEWEST, _MOST = 0.2, 2, 8


def in_shots(frames: Iterable[Frame], frame_rate: float) -> Iterator[tuple[int, Frame]]:
    """Yield each frame with the number of its shot, from 1.

    Args:
        frames: of the footage, in order; a few at a time wait in memory where a cut may be.
        frame_rate: hertz.
    """
    around = int(np.clip(round(_AROUND * frame_rate), _FEWEST, _MOST))
    source, shot = iter(frames), 1
    before: deque[np.ndarray] = deque(maxlen=around)
    waiting: deque[tuple[Frame, np.ndarray]] = deque()

    def wait_for(count: int) -> bool:
        while len(waiting) < count and (frame := next(source, None)) is not None:
            waiting.append((frame, _thumbnail(frame.image)))
        return len(waiting) >= count

    while wait_for(1):
        picture = waiting[0][1]
        if before and _differ_in_place(before[-1], picture) > _DIFFER and _unlike(before[-1], picture) > _SUSPICIOUS:
            wait_for(around)
            if _is_cut(list(before), [after for _, after in list(waiting)[:around]]):
                shot += 1
                before.clear()
        before.append(picture)
        yield shot, waiting.popleft()[0]


def _is_cut(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    usual = max((float(np.median(steps)) for part in (before, after) if (steps := _steps(part))), default=0.0)
    needed = max(_UNLIKE, _TIMES * usual)
    return all(_unlike(one, other) > needed for one in reversed(before) for other in reversed(after))


def _steps(pictures: list[np.ndarray]) -> list[float]:
    return [_unlike(one, other) for one, other in pairwise(pictures)]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """A small grey picture, float32, of an image (H, W, 3)."""
    # Every so many-th pixel will do, and costs no more for large images.
    coarse = image[:: max(image.shape[0] // (3 * _SIDE), 1), :: max(image.shape[1] // (3 * _SIDE), 1)]
    scale = _SIDE / max(image.shape[:2])
    size = [max(round(scale * side), 2 * max(_PARTS)) for side in image.shape[1::-1]]
    grey = cv2.cvtColor(cv2.resize(coarse, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)


def _differ_in_place(one: np.ndarray, other: np.ndarray) -> float:
    """How unlike two pictures are if nothing is looked for elsewhere."""
    return 1.0 - float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0])


def _unlike(one: np.ndarray, other: np.ndarray) -> float:
    """How little of either of two pictures is found near its place in the other, whatever their brightness."""
    return max(_missing(one, other), _missing(other, one))


def _missing(one: np.ndarray, other: np.ndarray) -> float:
    rows, columns = one.shape
    parts = _PARTS if rows > columns else _PARTS[::-1]
    height, width, reach = rows // parts[0], columns // parts[1], round(_REACH * max(rows, columns))
    found, contrast = np.zeros(parts), np.zeros(parts)
    for row, column in np.ndindex(parts):
        top, left = row * height, column * width
        part = one[top : top + height, left : left + width]
        near = other[
            max(top - reach, 0) : top + height + reach,
            max(left - reach, 0) : left + width + reach,
        ]
        found[row, column] = cv2.matchTemplate(near, part, cv2.TM_CCOEFF_NORMED).max()
        contrast[row, column] = min(float(part.std()), _CONTRAST)
    # Nothing is missing from a picture in which nothing is seen.
    return float((contrast * (1.0 - found)).sum() / max(contrast.sum(), 1.0))
