"""Files of pickle, joblib, NumPy and torch, recognised by their first bytes and read without running what is inside."""

from __future__ import annotations

import bz2
import lzma
import mmap
import pickle
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ... import pickles, zips
from ...errors import reason
from ..motion import MotionFileError

_PIECE = 2**20
_LZMA_MEMORY = 2**28

_ZIP = b"PK"
_NUMPY = b"\x93NUMPY"
_GZIP = b"\x1f\x8b"
_BZ2 = b"BZh"
_XZ = b"\xfd7zXZ"
_LZMA = b"\x5d\x00"
_LZ4 = b"\x04\x22\x4d\x18"
# Protocol 2 and later begin with the first, a dictionary or a list of protocols 0 and 1 with the others.
_PICKLE = (b"\x80", b"(dp", b"(lp", b"}q", b"]q")


def read(path: Path) -> object:
    """What a file holds, as NumPy arrays, numbers, text and plain containers; None where it is no such file.

    - Pickles and joblib's files, the latter also compressed by zlib, gzip, bz2, lzma and xz.
    - NumPy's ``.npy``, also with pickled objects: of a single one, itself.
    - Torch's files of any age; tensors become arrays.

    A ``.npz`` gives None: NumPy reads those without pickles.

    Raises:
        MotionFileError: the file is damaged, holds anything that would have to be run, or unpacks to much more than
            its size.
    """
    try:
        if not path.stat().st_size:
            return None
        # Arrays look into the mapped file, which goes with the last of them.
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(path, content)
    except MotionFileError:
        raise
    except pickle.UnpicklingError as error:
        raise MotionFileError(f"{path} can't be read: {reason(error)}.") from error
    except Exception as error:  # hostile files raise anything
        raise MotionFileError(f"{path} can't be read: it may be damaged.") from error


def check_zip(path: Path) -> None:
    """Refuse a zip that unpacks to much more than its size; other files pass.

    Raises:
        MotionFileError: it does, or it is damaged.
    """
    try:
        zips.check_zip(path)
    except zipfile.BadZipFile as error:
        raise MotionFileError(f"{path} can't be read: {' '.join(str(error).split())[:200]}.") from error
    except Exception as error:  # hostile files raise anything
        raise MotionFileError(f"{path} can't be read: it may be damaged.") from error


def array_names(path: Path) -> set[str]:
    """The names of the arrays in a ``.npz`` file; none for other files."""
    try:
        if zipfile.is_zipfile(path):
            zips.check_zip(path)
            with np.load(path, allow_pickle=False) as archive:
                return set(archive.files)
    except Exception as error:  # np.load raises many kinds on hostile input
        raise MotionFileError(f"{path} can't be read: it may be damaged.") from error
    return set()


def _read(path: Path, content: mmap.mmap) -> object:
    start = content[:64]
    size = len(content)
    if start.startswith(_ZIP) and zipfile.is_zipfile(path):
        return _torch(path)
    if start.startswith(_NUMPY):
        return _npy(content)
    if start.startswith(_LZ4):
        raise MotionFileError(f"{path} is compressed by LZ4: save it again without compression.")
    if _is_packed(start):
        unpacked = bytearray()
        for piece in _unpacked(start, content):
            unpacked += piece
            if len(unpacked) > zips.most_unpacked(size):
                raise pickle.UnpicklingError("it unpacks to much more than its size")
        return pickles.load(pickles.ByteSource(bytes(unpacked)), len(unpacked))
    if pickles.is_torch(start):
        return pickles.load_torch(pickles.ByteSource(content), size)
    if start.startswith(_PICKLE):
        return pickles.load(pickles.ByteSource(content), size)
    return None


def _torch(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")), None)
        if name is None:
            return None
        folder = name.removesuffix("data.pkl")
        size = path.stat().st_size

        def entry(name: str) -> bytes:
            entry_info = archive.getinfo(folder + name)
            # Torch compresses nothing, so no entry can be larger than the file.
            if entry_info.compress_type != zipfile.ZIP_STORED or entry_info.file_size > size:
                raise pickle.UnpicklingError("it unpacks to much more than its size")
            return archive.read(entry_info)

        big = f"{folder}byteorder" in archive.namelist() and entry("byteorder").strip() == b"big"
        return pickles.load(
            pickles.ByteSource(entry("data.pkl")), size, lambda key: entry(f"data/{key}"), ">" if big else "<"
        )


def _npy(content: mmap.mmap) -> object:
    source = pickles.ByteSource(content)
    version = np.lib.format.read_magic(source)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = header(source)
    if not dtype.hasobject:
        raw = source.read()
        count = int(np.prod(shape, dtype=object))
        return np.frombuffer(raw, dtype, count).reshape(shape, order="F" if by_column else "C")
    loaded = pickles.load(source, len(content))
    return loaded.item() if isinstance(loaded, np.ndarray) and loaded.shape == () else loaded


def _is_packed(start: bytes) -> bool:
    zlibs = start[:1] == b"\x78" and len(start) > 1 and int.from_bytes(start[:2], "big") % 31 == 0
    return zlibs or start.startswith((_GZIP, _BZ2, _XZ, _LZMA))


def _unpacked(start: bytes, content: mmap.mmap) -> Iterator[bytes]:
    """The content in pieces that are no larger than a megabyte."""
    pieces = (content[place : place + _PIECE] for place in range(0, len(content), _PIECE))
    if start.startswith((_BZ2, _XZ, _LZMA)):
        unpacker = bz2.BZ2Decompressor() if start.startswith(_BZ2) else lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
        while not unpacker.eof:
            yield unpacker.decompress(next(pieces) if unpacker.needs_input else b"", _PIECE)
        return
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    while not inflater.eof:
        yield inflater.decompress(inflater.unconsumed_tail or next(pieces), _PIECE)
