"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

_WIDTH, _HEIGHT, _EDGE = 900, 420, 60
_LINE = 17
_COLOURS = ((180, 90, 20), (20, 120, 220), (40, 150, 40), (120, 40, 150))


def draw(
    series: Mapping[str, Sequence[tuple[float, float]]], levels: Mapping[str, float], title: str, path: Path
) -> None:
    """Draw curves of (minutes, value) and dashed levels to compare with; names stand beside their ends."""
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    values = [value for points in series.values() for _, value in points] + list(levels.values())
    minutes = max((minute for points in series.values() for minute, _ in points), default=0) or 1.0
    if not values:
        return
    low, high = 0.9 * min(values), 1.03 * max(values)

    def place(minute: float, value: float) -> tuple[int, int]:
        x = _EDGE + (_WIDTH - 4 * _EDGE) * minute / minutes
        return round(x), round(_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - low) / max(high - low, 1e-9))

    def write(text: str, at: tuple[int, int], colour: tuple[int, int, int] = (60, 60, 60)) -> None:
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

    for value in np.linspace(low, high, 6):
        left, right = place(0, value), place(minutes, value)
        cv2.line(picture, left, right, (225, 225, 225), 1)
        write(f"{value:.0f}", (8, left[1] + 5))
    digits = 0 if minutes >= 20 else 1
    for minute in np.linspace(0, minutes, 6):
        write(f"{minute:.{digits}f} min", (place(minute, low)[0] - 15, _HEIGHT - _EDGE + 22))
    write(title, (_EDGE, 28), (0, 0, 0))
    labels = []
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = np.array([place(*point) for point in points], np.int32)
        cv2.polylines(picture, [line], False, colour, 2, cv2.LINE_AA)
        labels.append((int(line[-1][1]) + 5, f"{name} {points[-1][1]:.1f}", colour))
    for name, value in levels.items():
        y = place(0, value)[1]
        for x in range(_EDGE, _WIDTH - 3 * _EDGE, 14):
            cv2.line(picture, (x, y), (x + 7, y), (120, 120, 120), 1)
        labels.append((y + 5, f"{name} {value:.1f}", (60, 60, 60)))
    free = 0
    for y, text, colour in sorted(labels):
        free = max(y, free)
        write(text, (_WIDTH - 3 * _EDGE + 8, free), colour)
        free += _LINE
    cv2.imwrite(str(path), picture)
