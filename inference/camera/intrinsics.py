"""The camera that filmed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

FILM = (36.0, 24.0)
"""Millimetres, of the 35 mm film that equivalent focal lengths are given for."""

NO_LINES = np.zeros((0, 4))
"""A background without straight lines."""


@dataclass(frozen=True)
class Camera:
    """A camera that moves.

    Attributes:
        size: width and height of its images in pixels.
        K: (3, 3) intrinsics in pixels.
        rotations: (M, 3, 3) rotation from each frame's camera space into the first frame's.
        positions: (M, 3) in the first frame's camera space, in units of the background's usual distance; zero if it
            only turns.
        world: (4, 4) from the first frame's camera axes to a world in metres with its floor at z = 0, which is known
            where the user gave the camera; positions are in metres then.
        lines: (L, 4) straight lines of the background, see `Lines.planes`.
    """

    size: tuple[int, int]
    K: np.ndarray
    rotations: np.ndarray
    positions: np.ndarray
    world: np.ndarray | None = None
    lines: np.ndarray = field(default_factory=NO_LINES.copy)


def intrinsics(size: tuple[int, int], focal: float | None = None) -> np.ndarray:
    """(3, 3) intrinsics with the axis through the middle; focal length √(W² + H²) pixels (CLIFF, 2022) unless given."""
    length = focal or float(np.hypot(*size))
    return np.array([[length, 0, size[0] / 2], [0, length, size[1] / 2], [0, 0, 1.0]])


def focal_from_film(size: tuple[int, int], millimetres: float) -> float:
    """The focal length in pixels of footage (width, height), from that for 35 mm film (36 by 24 mm)."""
    return millimetres * float(np.hypot(*size)) / float(np.hypot(*FILM))
