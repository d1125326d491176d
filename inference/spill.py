"""Long arrays in temporary files, so that an hour of video takes hardly more memory than a minute. Needs NumPy only.

They are used like any others. What is in memory of them is a copy that the system can give back at any time, and does
at the end of each of the `windows` in which long arrays are worked on.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

_WINDOW = 3072
"""Frames that are worked on at once."""

_SMALLEST = 2**20
"""Bytes below which arrays stay in memory."""

_FIRST_ROWS = 16

_files: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_lock = threading.Lock()


def zeros(shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> np.ndarray:
    """An array of zeros: in memory if it is small or there is no room elsewhere, else in a file that goes with it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size >= _SMALLEST:
        # A full disk, a folder that is read-only, too many open files.
        with contextlib.suppress(OSError):
            return np.frombuffer(_file(size), dtype).reshape(shape)
    return np.zeros(shape, dtype)


def _file(size: int) -> mmap.mmap:
    """The content of a file without a name, or of one that the system removes with its last user."""
    with tempfile.TemporaryFile(prefix="video-motion-") as file:
        if hasattr(os, "posix_fallocate"):
            # Who writes to a page for which the disk has no room is killed.
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for start in range(0, size, _SMALLEST):
                file.write(bytes(min(_SMALLEST, size - start)))
            file.flush()
        content = mmap.mmap(file.fileno(), size)
    with _lock:
        _files.add(content)
    return content


def let_go() -> None:
    """Take out of memory what is in files, until it is used again."""
    if hasattr(mmap, "MADV_DONTNEED"):
        with _lock:
            files = list(_files)
        for content in files:
            content.madvise(mmap.MADV_DONTNEED)


def windows(n: int, length: int | None = None) -> Iterator[slice]:
    """Windows of n frames, one after the other, of a length that suits most work."""
    length = length or _WINDOW
    for start in range(0, n, length):
        yield slice(start, min(start + length, n))
        if n > length:
            let_go()


def collect(
    n: int, make: Callable[[slice], tuple[np.ndarray, ...]], margin: int = 0, length: int | None = None
) -> tuple[np.ndarray, ...]:
    """Arrays (n, ...) from what is made of each window of n frames.

    Args:
        n: number of frames.
        make: arrays with a row for each frame of a window.
        margin: frames around a window that are given to it, too, and left out of the result.
        length: of the windows, as for `windows`.
    """
    whole: tuple[np.ndarray, ...] = ()
    for window in windows(n, length):
        around = slice(max(window.start - margin, 0), min(window.stop + margin, n))
        parts = make(around)
        if around == slice(0, n):
            return parts
        whole = whole or tuple(zeros((n, *part.shape[1:]), part.dtype) for part in parts)
        for array, part in zip(whole, parts, strict=True):
            array[window] = part[window.start - around.start : window.stop - around.start]
    return whole or make(slice(0, 0))


def concatenate(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (n_i, ...) one after the other (Σ n_i, ...); a single one itself."""
    if len(arrays) == 1:
        return arrays[0]
    whole, start = zeros((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype), 0
    for array in arrays:
        for window in windows(len(array)):
            whole[start:][window] = array[window]
        start += len(array)
    return whole


class Pieces:
    """Pieces of bytes in a temporary file, each of its own length, so that memory hardly grows with their number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="video-motion-pieces-")  # noqa: SIM115  open as long as they are used
        self._starts = [0]

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, content: bytes) -> int:
        """Store a piece; returns its number for `read`."""
        self._file.seek(self._starts[-1])
        self._file.write(content)
        self._starts.append(self._starts[-1] + len(content))
        return len(self) - 1

    def read(self, number: int) -> bytes:
        """The piece with a number."""
        start, end = self._starts[number], self._starts[number + 1]
        self._file.seek(start)
        return self._file.read(end - start)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


class Columns:
    """Rows of named values that become more and more, in an array for each name."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row: of each name a number or an array, always of the first one's shape."""
        self._reserve(1, {name: np.asarray(value) for name, value in row.items()} if not self._arrays else {})
        for name, array in self._arrays.items():
            array[self._count] = row[name]
        self._count += 1

    def extend(self, rows: Mapping[str, np.ndarray]) -> None:
        """Add k rows: of each name an array (k, ...)."""
        count = len(next(iter(rows.values())))
        self._reserve(count, {} if self._arrays else {name: np.empty(a.shape[1:], a.dtype) for name, a in rows.items()})
        for name, array in self._arrays.items():
            array[self._count : self._count + count] = rows[name]
        self._count += count

    def cut(self, count: int) -> None:
        """Keep the first rows only."""
        self._count = count

    def row(self, number: int) -> dict[str, Any]:
        """The values of a row, by name."""
        return {name: array[number] for name, array in self._arrays.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """The values of all rows (n, ...), by name."""
        return {name: array[: self._count] for name, array in self._arrays.items()}

    def _reserve(self, count: int, first: Mapping[str, np.ndarray]) -> None:
        for name, value in first.items():
            self._arrays[name] = zeros((max(_FIRST_ROWS, count), *value.shape), value.dtype)
        room = len(next(iter(self._arrays.values())))
        if self._count + count > room:
            for name, array in self._arrays.items():
                larger = zeros((max(2 * room, self._count + count), *array.shape[1:]), array.dtype)
                for window in windows(self._count):
                    larger[window] = array[window]
                self._arrays[name] = larger
