"""Local maps: BlazePose's heatmaps and outline of a crop, stored compactly as input for networks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np

from .. import spill
from .landmarker import ALL, HEATMAP_SIZE, Output

COUNT = ALL + 1
"""The 39 heatmaps and the person's outline."""

SHAPE = (COUNT, HEATMAP_SIZE, HEATMAP_SIZE)
NONE = -1
"""Stands for a frame without maps."""

# Logit of 1 %.
_FAINTEST = -4.6


def local_maps(output: Output) -> np.ndarray:
    """(40, 64, 64) uint8, 255 for certain: the heatmaps of an output and its outline."""
    levels = np.zeros(SHAPE, np.uint8)
    # Fainter values are everywhere and carry no information; without them the maps are mostly empty.
    logits = output.heatmaps.ravel()
    cells = np.flatnonzero(logits > _FAINTEST)
    cell, landmark = np.divmod(cells, ALL)
    levels.reshape(COUNT, -1)[landmark, cell] = np.rint(255 * _probability(logits[cells]))
    outline = cv2.resize(_probability(output.mask), SHAPE[1:], interpolation=cv2.INTER_AREA)
    levels[ALL] = np.rint(255 * outline)
    return levels


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def pack(maps: np.ndarray) -> bytes:
    """Maps (40, 64, 64) uint8 in a few kilobytes."""
    return zlib.compress(np.ascontiguousarray(maps).tobytes(), 1)


def unpack(packed: bytes) -> np.ndarray:
    """The inverse of `pack`; zeros for empty bytes."""
    if not packed:
        return np.zeros(SHAPE, np.uint8)
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(SHAPE)


class MapStore:
    """Maps of a whole video in a temporary file, so that memory does not grow with its length."""

    def __init__(self):
        self._pieces = spill.Pieces()

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, maps: np.ndarray) -> int:
        """Store maps (40, 64, 64); returns their number for `read`."""
        return self._pieces.add(pack(maps))

    def read(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 40, 64, 64) the maps with the given numbers; zeros for `NONE`."""
        maps = np.zeros((len(numbers), *SHAPE), np.uint8)
        for row, number in enumerate(numbers):
            if number != NONE:
                maps[row] = unpack(self._pieces.read(int(number)))
        return maps

    def close(self) -> None:
        """Delete the file."""
        self._pieces.close()


def keep(store: MapStore | None, output: Output | None) -> int:
    """The number of an output's maps in a store that gets them; `NONE` without store or output."""
    return NONE if store is None or output is None else store.add(local_maps(output))
