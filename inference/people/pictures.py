"""Pictures of people as networks with an image encoder see them: the landmark network's crops, as JPEG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from .. import spill
from ..footage.reader import Frame
from . import crops
from .landmarker import INPUT_SIZE
from .track import Track

SHAPE = (INPUT_SIZE, INPUT_SIZE, 3)
"""Of a picture, BGR uint8."""

# Of JPEG, in training and in use alike.
_QUALITY = 90


def pack(picture: np.ndarray) -> bytes:
    """A picture in some twenty kilobytes."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def unpack(packed: bytes | np.ndarray) -> np.ndarray:
    """The picture in the bytes (n,) of `pack`, which loses a little."""
    picture = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


class TrackPictures:
    """Pictures of the person of a track, one of each row.

    Args:
        track: says where.
        store: keeps the pictures.
    """

    def __init__(self, track: Track, store: spill.Pieces):
        self._track, self._store = track, store
        # From 1: 0 stands for none.
        self._numbers = spill.zeros((len(track),), np.int64)

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last frame in which the person is."""
        return int(self._track.frames[0]), int(self._track.frames[-1])

    def add(self, frame: Frame) -> None:
        """Cut the person out of a frame, if they are in it."""
        row = int(np.searchsorted(self._track.frames, frame.number))
        if row < len(self._track) and self._track.frames[row] == frame.number:
            cut = crops.cut(frame.image, self._track.crops[row].astype(float), INPUT_SIZE)
            self._numbers[row] = 1 + self._store.add(pack(cut))

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 256, 256, 3) those of some of the track's rows; black where there was no frame."""
        seen = np.zeros((len(rows), *SHAPE), np.uint8)
        for picture, number in zip(seen, self._numbers[list(rows)].tolist(), strict=True):
            if number:
                picture[:] = unpack(self._store.read(number - 1))
        return seen


def cut_out(frames: Iterable[Frame], people: Sequence[TrackPictures]) -> Iterator[Frame]:
    """Keep pictures of people from the frames of the footage, in order; yields each."""
    for frame in frames:
        for one in people:
            one.add(frame)
        yield frame
