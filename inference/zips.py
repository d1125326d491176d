"""Limits on zips from outside, ``.npz`` among them, checked before anything is unpacked. Needs NumPy only."""

import math
import zipfile
from pathlib import Path

import numpy as np

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
