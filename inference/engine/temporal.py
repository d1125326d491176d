"""Runs a temporal network along a track: every frame's features once, windows in batches, memory for one batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..people.track import Track
from . import features
from .guess import Guess
from .session import EngineError, Session


class Maps(Protocol):
    """Local maps by number, as `people.maps.MapStore` gives them."""

    def read(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 40, 64, 64) uint8."""
        ...


_BATCH = 16
# Networks learnt from windows at about this rate; of faster footage they see every second frame, and so on.
_RATE = 30.0


class TemporalNetwork:
    """A network that estimates the middle frame of a window.

    Args:
        window: ONNX file of what depends on a window.
        local: ONNX file of what depends on one frame; None if the network looks at no local maps.
        device: see `Session`.

    Raises:
        EngineError: a file is missing, damaged, or made for other features; or there is no such device.
    """

    def __init__(self, window: Path, local: Path | None = None, device: str = "auto"):
        self._window = Session(window, device)
        self._local = Session(local, device) if local is not None else None
        properties = self._window.properties
        if properties.get("features") != str(features.VERSION):
            raise EngineError(f"{window} was made for another version of Video Motion: fetch its weights again.")
        settings = json.loads(properties["settings"])
        self.frames, self.local_window = int(settings["frames"]), int(settings["local_window"])
        self.name = properties["configuration"]

    @property
    def device(self) -> str:
        """Where it runs: `cuda` or `cpu`."""
        return self._window.device

    @property
    def needs_maps(self) -> bool:
        """Whether it looks at local maps."""
        return self._local is not None

    def follow(self, track: Track, store: Maps | None, camera_K: np.ndarray) -> Guess:
        """The motion of a track seen by a camera with intrinsics (3, 3); its local maps, if needed, lie in a store."""
        n = len(track)
        rows, known, offsets = windows(track.frames, track.timestamps, self.frames)
        rotations, pelvis = np.empty((n, 24, 3, 3)), np.empty((n, 3))
        betas = np.empty((n, 10))
        encoded: dict[int, np.ndarray] = {}
        for start in range(0, n, _BATCH):
            part = slice(start, min(start + _BATCH, n))
            of = rows[part]
            K = np.broadcast_to(camera_K, (len(of), 3, 3))
            crops = track.crops[of].astype(float)
            middle = crops[:, self.frames // 2]
            box = features.box_info(middle, K).astype(np.float32)
            frames = features.window_features(
                track.landmarks[of].astype(float),
                track.visibility[of].astype(float),
                track.presence[of].astype(float),
                track.world_landmarks[of].astype(float),
                track.scores[of].astype(float),
                crops,
                offsets[part],
                known[part],
                K,
            )
            inputs = {"frames": frames, "box": box}
            if self._local is not None and store is not None:
                inputs["local"], encoded = self._encode(of, track, store, encoded)
            turned, shape, scale = self._window(**inputs)
            rotations[part], pelvis[part] = features.unroll(turned, features.full_translation(scale, box), middle)
            betas[part] = shape
        return Guess(rotations, pelvis, betas)

    def _encode(
        self, rows: np.ndarray, track: Track, store: Maps, before: dict[int, np.ndarray]
    ) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Local features (B, L, D, S, S) of windows (B, T), and those of each row, taken from the batch before."""
        assert self._local is not None
        reach = self.local_window // 2
        wanted = rows[:, self.frames // 2 - reach : self.frames // 2 + reach + 1]
        needed = np.unique(wanted)
        new = [row for row in needed if row not in before]
        encoded = {row: before[row] for row in needed if row in before}
        if new:
            (made,) = self._local(maps=store.read(track.maps[new]))
            encoded.update(zip(new, made, strict=True))
        table = np.stack([encoded[row] for row in needed])
        return table[np.searchsorted(needed, wanted)], encoded


def windows(frames: np.ndarray, timestamps: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window around each of a track's frames (n,), of so many frames; no frame is cut off at the ends.

    Returns:
        (n, length) rows of the track, each frame in which the person was not seen replaced by the next one towards
        the middle; (n, length) whether it was not; (n, length) seconds from the middle.
    """
    n = len(frames)
    period = np.median(np.diff(timestamps) / np.diff(frames)) if n > 1 else 1 / _RATE
    stride = max(round(1 / (_RATE * period)), 1)
    steps = np.arange(length) - length // 2
    wanted = frames[:, None] + stride * steps
    earlier = np.searchsorted(frames, wanted, side="left")
    later = np.searchsorted(frames, wanted, side="right") - 1
    rows = np.where(steps <= 0, earlier, later)
    return rows, frames[rows] == wanted, np.broadcast_to(stride * period * steps, wanted.shape)
