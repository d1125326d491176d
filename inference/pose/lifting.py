"""Runs the lifter along a track: for every frame features for the other networks, and an estimate of its own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from .. import spill
from ..people.track import Track
from ..runtime.session import NetworkError, Session
from . import features

WINDOW = 64
"""Frames that the lifter sees at once."""

RATE = 30.0
"""Frames per second that networks were trained on: of faster footage they see every second frame, and so on."""

_BATCH = 8


@dataclass
class Lifted:
    """What the lifter makes of a track's n frames.

    Attributes:
        frames: (n, F) features for the other networks: the detector's (`features.frame_features`), then the lifter's.
        rotations: (n, 24, 3, 3) its own estimate: local rotations, the root's in crop axes.
        betas: (n, 10).
        camera: (n, 3) s, tx, ty of the crop.
        sigma: (n, 24, 2) standard deviations of its joints' positions from the pelvis in metres: across the line of
            sight in each direction, and along it.
        gravity: (n, 3) unit vectors in crop axes.
        contacts: (n, 4) probabilities that left heel, left toes, right heel and right toes rest on the floor.
    """

    frames: np.ndarray
    rotations: np.ndarray
    betas: np.ndarray
    camera: np.ndarray
    sigma: np.ndarray
    gravity: np.ndarray
    contacts: np.ndarray


class Lifter:
    """The network that sees a long window of a track.

    Args:
        path: its ONNX file.
        device: see `Session`.

    Raises:
        NetworkError: the file is missing, damaged, or made for other features; or there is no such device.
    """

    def __init__(self, path: Path, device: str = "auto"):
        self._session = Session(path, device)
        if self._session.properties.get("features") != str(features.VERSION):
            raise NetworkError(f"{path} was made for another version of Video Motion: fetch its weights again.")

    @property
    def width(self) -> int:
        """Length of the features of a frame that it gives to other networks."""
        return features.SIZE + int(self._session.shapes["features"][-1])

    def lift(self, track: Track, camera_K: np.ndarray) -> Lifted:
        """What the lifter makes of a track filmed with intrinsics (3, 3)."""
        starts, rows, known = windows(track.frames, track.timestamps)
        # Each frame is taken from the window in whose middle it is.
        centrality = -np.abs(np.arange(WINDOW) - (WINDOW - 1) / 2)
        centrality = np.where(known, centrality, -WINDOW)
        best = np.full(len(track), -np.inf)
        np.maximum.at(best, rows.ravel(), centrality.ravel())
        taken = known & (centrality == best[rows])
        period = step_seconds(track.frames, track.timestamps)
        output: dict[str, np.ndarray] = {}
        for first in range(0, len(starts), _BATCH):
            part = slice(first, first + _BATCH)
            described = features.frame_features(
                **{name: getattr(track, name)[rows[part]].astype(float) for name in features.DETECTOR_FIELDS},
                known=known[part],
                period=np.full(rows[part].shape, period),
                camera_K=np.broadcast_to(camera_K, (*rows[part].shape, 3, 3)),
            )
            made = dict(zip(self._session.outputs, self._session(frames=described), strict=True))
            # The others see the detector's features, too.
            made["frames"] = np.concatenate([described, made.pop("features")], axis=-1)
            for name, values in made.items():
                if name not in output:
                    output[name] = spill.zeros((len(track), *values.shape[2:]), np.float32)
                output[name][rows[part][taken[part]]] = values[taken[part]]
            spill.let_go()
        return Lifted(**{item.name: output[item.name] for item in fields(Lifted)})


def window_stride(frames: np.ndarray, timestamps: np.ndarray) -> int:
    """Distance in frames between neighbours in a window, for a track's frames (n,)."""
    return max(round(1 / (RATE * _period(frames, timestamps))), 1)


def step_seconds(frames: np.ndarray, timestamps: np.ndarray) -> float:
    """Seconds between neighbours in a window."""
    return window_stride(frames, timestamps) * _period(frames, timestamps)


def _period(frames: np.ndarray, timestamps: np.ndarray) -> float:
    return float(np.median(np.diff(timestamps) / np.diff(frames))) if len(frames) > 1 else 1 / RATE


def windows(frames: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows that overlap by half and hold each of a track's frames (n,).

    Returns:
        (W,) the windows' first frames; (W, WINDOW) rows of the track, each frame without a detection replaced by the
        one before; (W, WINDOW) whether it has a detection.
    """
    stride = window_stride(frames, timestamps)
    first, last = int(frames[0]), int(frames[-1])
    starts: list[int] = []
    # Of fast footage each window sees only every so many-th frame.
    for phase in range(min(stride, last - first + 1)):
        length = (last - first - phase) // stride + 1
        inside = [*range(0, max(length - WINDOW, 0), WINDOW // 2), max(length - WINDOW, 0)]
        starts += [first + phase + stride * begin for begin in inside]
    wanted = np.array(starts)[:, None] + stride * np.arange(WINDOW)
    rows = np.clip(np.searchsorted(frames, wanted, side="right") - 1, 0, None)
    return np.array(starts), rows, frames[rows] == wanted


def with_known(frames: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A copy of features (..., F) of frames that says which are known (...)."""
    copied = frames.copy()
    copied[..., features.KNOWN] = known
    return copied
