"""Arrays in ``.npz``, and limits on zips from outside, checked before anything is unpacked. Needs NumPy only."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from . import spill

_SPARE = 2**25
_GROWTH = 100
_MOST = 2**32
_NUMBER = np.dtype(np.float64).itemsize


def most_unpacked(size: int) -> int:
    """Bytes that a compressed file of ``size`` bytes may unfold to."""
    return min(_MOST, _SPARE + _GROWTH * size)


def check_zip(path: Path) -> None:
    """Refuse a zip that unfolds to much more than its size, or an ``.npz`` whose arrays would; other files pass.

    Arrays count as double precision, which readers convert them to.

    Raises:
        zipfile.BadZipFile: it does. Damaged files raise others too.
    """
    if not zipfile.is_zipfile(path):
        return
    limit = most_unpacked(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > limit:
            raise zipfile.BadZipFile("it unfolds to much more than it is large")
        count = sum(_numbers(archive, entry) for entry in archive.infolist() if entry.filename.endswith(".npy"))
    if count * _NUMBER > limit:
        raise zipfile.BadZipFile("it unfolds to much more than it is large")


def _numbers(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """How many values the array of an entry has; NumPy reserves memory for as many as the header claims."""
    with archive.open(entry) as stream:
        start = stream.read(len(np.lib.format.MAGIC_PREFIX))
        if start != np.lib.format.MAGIC_PREFIX:
            return 0
        version = tuple(stream.read(2))
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        count = math.prod(shape)
        # Pickled objects may be smaller than their array; readers refuse those without reserving anything.
        if not dtype.hasobject and not 0 <= count * dtype.itemsize <= entry.file_size - stream.tell():
            raise zipfile.BadZipFile("it ends within an array")
    return 0 if dtype.hasobject else count


def write_array(archive: zipfile.ZipFile, name: str, array: ArrayLike, single: bool = False) -> None:
    """Write an array into an ``.npz``, as `numpy.savez` does, without a copy of the whole in memory.

    Args:
        archive: open for writing.
        name: of the array.
        array: any that holds no Python objects.
        single: whether double precision becomes single.
    """
    array = np.asarray(array)
    dtype = np.dtype(np.float32) if single and array.dtype == np.float64 else array.dtype
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": array.shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        rows = array if array.ndim else array[None]
        for window in spill.windows(len(rows)):
            stream.write(rows[window].astype(dtype).tobytes())


def read_array(archive: zipfile.ZipFile, name: str, double: bool = False) -> np.ndarray:
    """An array of an ``.npz``, without a copy of the whole in memory.

    Args:
        archive: open for reading.
        name: of the array.
        double: whether single precision becomes double.

    Raises:
        Exception: of many kinds, for damaged files. Python objects are not read.
    """
    with archive.open(f"{name}.npy") as stream:
        if np.lib.format.read_magic(stream) == (1, 0):
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
            if shape and dtype.kind in "fiub" and not by_columns:
                return _read_rows(
                    stream, shape, dtype, np.dtype(np.float64) if double and dtype == np.float32 else dtype
                )
    with archive.open(f"{name}.npy") as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(np.float64) if double and array.dtype == np.float32 else array


def _read_rows(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, wanted: np.dtype) -> np.ndarray:
    """An array of a shape and type that is next in a stream, as another type."""
    whole = spill.zeros(shape, wanted)
    for window in spill.windows(len(whole)):
        part = whole[window]
        size = part.size * dtype.itemsize
        content = stream.read(size)
        if len(content) < size:
            raise ValueError("it ends within an array")
        part[:] = np.frombuffer(content, dtype).reshape(part.shape)
    return whole
