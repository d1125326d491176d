"""Errors as pictures: per joint as bars, over time as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from ...atomic import atomic_write
from . import metrics

WIDTH, HEIGHT = 1000, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 20, 62, 48
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_GREY, _DARK, _PALE = (90, 90, 90), (0, 0, 0), (225, 225, 225)
_COLOURS = ((150, 150, 150), (180, 90, 20), (20, 120, 220), (40, 150, 40), (120, 40, 150), (40, 40, 200), (160, 150, 0))
_GAP = 3

Colour = tuple[int, int, int]


class _Picture:
    """A white page with a scale from 0 mm up, a title and a legend in two lines above."""

    def __init__(self, title: str, names: Sequence[str], highest: float) -> None:
        self.pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        step = _round_step(highest / 5)
        self._top = step * max(1, int(np.ceil(highest / step)))
        self.write(title, (_LEFT, 22), _DARK)
        x = _LEFT
        for number, name in enumerate(names):
            cv2.rectangle(self.pixels, (x, 36), (x + 12, 48), _colour(number), cv2.FILLED)
            self.write(name, (x + 18, 47))
            x += 18 + _width(name) + 24
        for value in np.arange(0, self._top + step / 2, step):
            y = self.height(value)
            cv2.line(self.pixels, (_LEFT, y), (WIDTH - _RIGHT, y), _PALE, 1)
            text = f"{value:g}"
            self.write(text, (_LEFT - 8 - _width(text), y + 5))

    def height(self, value: float) -> int:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / self._top)

    def write(self, text: str, at: tuple[int, int], colour: Colour = _GREY) -> None:
        cv2.putText(self.pixels, text, at, _FONT, _SIZE, colour, 1, cv2.LINE_AA)

    def save(self, path: Path) -> None:
        encoded, content = cv2.imencode(path.suffix, self.pixels)
        assert encoded
        with atomic_write(path) as temporary:
            temporary.write_bytes(content.tobytes())


def per_joint(errors: Mapping[str, np.ndarray], title: str, path: Path) -> None:
    """Draw the mean error of each limb joint as bars, one colour per estimator.

    Args:
        errors: by estimator, (n, 12) millimetres; n ≥ 1.
        title: ASCII text, which OpenCV can draw.
        path: of the picture; it is there whole or not at all.
    """
    means = {name: values.mean(axis=0) for name, values in errors.items()}
    picture = _Picture(f"{title}: mean error per joint, mm", list(means), max(each.max() for each in means.values()))
    group = (WIDTH - _LEFT - _RIGHT) / len(metrics.LIMB_NAMES)
    bar = (group - 4 * _GAP) / len(means)
    for place, name in enumerate(metrics.LIMB_NAMES):
        left = _LEFT + place * group + 2 * _GAP
        for number, values in enumerate(means.values()):
            start, end = round(left + number * bar), max(round(left + (number + 1) * bar) - 2, 0)
            low, high = picture.height(0), picture.height(float(values[place]))
            cv2.rectangle(picture.pixels, (start, high), (end, low), _colour(number), cv2.FILLED)
        for line, word in enumerate(name.split("_")):
            middle = round(_LEFT + (place + 0.5) * group - _width(word) / 2)
            picture.write(word, (middle, HEIGHT - _BOTTOM + 18 + 16 * line))
    picture.save(path)


def over_time(errors: Mapping[str, np.ndarray], frames: np.ndarray, frame_rate: float, title: str, path: Path) -> None:
    """Draw the joints' mean error over time as lines, interrupted where frames are missing; a lone frame is a dot.

    Args:
        errors: by estimator, (n, 12) millimetres; n ≥ 1.
        frames: (n,) frame numbers.
        frame_rate: frames per second.
        title: ASCII text, which OpenCV can draw.
        path: of the picture; it is there whole or not at all.
    """
    means = {name: values.mean(axis=1) for name, values in errors.items()}
    picture = _Picture(
        f"{title}: mean error of the joints over time, mm", list(means), max(map(np.max, means.values()))
    )
    seconds = (frames / frame_rate).tolist()
    first, length = seconds[0], max(seconds[-1] - seconds[0], 1 / frame_rate)
    right = WIDTH - _RIGHT - 30

    def across(second: float) -> int:
        return round(_LEFT + (right - _LEFT) * (second - first) / length)

    step = _round_step(length / 8)
    for tick in range(round(np.ceil(first / step - 1e-9)), int((first + length) / step + 1e-9) + 1):
        text = f"{tick * step:g} s"
        picture.write(text, (across(tick * step) - _width(text) // 2, HEIGHT - _BOTTOM + 22))
    pieces = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) != 1) + 1)
    for number, values in enumerate(means.values()):
        for piece in pieces:
            line = np.array([(across(seconds[row]), picture.height(float(values[row]))) for row in piece], np.int32)
            if len(line) == 1:
                cv2.circle(picture.pixels, line[0].tolist(), 1, _colour(number), cv2.FILLED)
            else:
                cv2.polylines(picture.pixels, [line], False, _colour(number), 1, cv2.LINE_AA)
    picture.save(path)


def _colour(number: int) -> Colour:
    return _COLOURS[number % len(_COLOURS)]


def _width(text: str) -> int:
    return cv2.getTextSize(text, _FONT, _SIZE, 1)[0][0]


def _round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, not less than `about`."""
    if not about > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(about))
    return float(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= about * (1 - 1e-9)))
