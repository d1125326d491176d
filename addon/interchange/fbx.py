"""Checks binary FBX files before Blender's importer reads them, which takes as much memory as they claim to need."""

from __future__ import annotations

import mmap
import struct
import zlib
from pathlib import Path

from ...inference.errors import VideoMotionError
from ...inference.zips import most_unpacked

_MAGIC = b"Kaydara FBX Binary\x20\x20\x00\x1a\x00"
_VERSION = struct.Struct("<I")
# From version 7500 on, offsets and counts have 64 bits.
_WIDE_SINCE = 7500
_NARROW, _WIDE = struct.Struct("<IIIB"), struct.Struct("<QQQB")
_ARRAY = struct.Struct("<III")
_STRIDES = {b"b": 1, b"c": 1, b"i": 4, b"l": 8, b"f": 4, b"d": 8}
_SIZES = {b"Z": 1, b"Y": 2, b"B": 1, b"C": 1, b"I": 4, b"F": 4, b"D": 8, b"L": 8}
_PIECE = 1 << 20
_DEEPEST = 64


class FbxError(VideoMotionError):
    """A file is no FBX, or a damaged one."""


def check_fbx(path: Path) -> None:
    """Check that the nodes of a file lie within each other and unfold to no more than some times its size.

    Raises:
        FbxError: they don't.
        OSError: it can't be read.
    """
    with path.open("rb") as stream:
        if not path.stat().st_size:
            raise FbxError(f"{path} is empty: export it again.")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                _check(content)
            except (ValueError, struct.error, zlib.error, IndexError) as error:
                raise FbxError(f"{path} is no binary FBX or is damaged: export it again.") from error


def _check(content: mmap.mmap) -> None:
    if content[: len(_MAGIC)] != _MAGIC:
        raise ValueError
    (version,) = _VERSION.unpack_from(content, len(_MAGIC))
    head = _WIDE if version >= _WIDE_SINCE else _NARROW
    left = most_unpacked(len(content))
    place = len(_MAGIC) + _VERSION.size
    # Where the open nodes end, the innermost last; the file's own list is closed by a node of zeros.
    ends: list[int] = []
    while True:
        if ends and place == ends[-1]:
            ends.pop()
            continue
        end, count, size, name = head.unpack_from(content, place)
        place += head.size + name
        if end == 0:
            if not ends:
                return
            if place != ends.pop():
                raise ValueError
            continue
        stop = place + size
        if not stop <= end <= (ends[-1] if ends else len(content)) or count > size or len(ends) > _DEEPEST:
            raise ValueError
        for _ in range(count):
            place, unfolded = _property(content, place, stop, left)
            left -= unfolded
        if place != stop:
            raise ValueError
        ends.append(end)


def _property(content: mmap.mmap, place: int, stop: int, most: int) -> tuple[int, int]:
    """Where the property at a place ends, and how many bytes it unfolds to."""
    kind = content[place : place + 1]
    place += 1
    if (stride := _STRIDES.get(kind)) is not None:
        count, packed, size = _ARRAY.unpack_from(content, place)
        place += _ARRAY.size
        unfolded = count * stride
        if unfolded > most or place + size > stop:
            raise ValueError
        if (_unfolded(content[place : place + size], unfolded) if packed == 1 else size) != unfolded:
            raise ValueError
        return place + size, unfolded
    if (size := _SIZES.get(kind)) is None:
        if kind not in (b"S", b"R"):
            raise ValueError
        size = 4 + _VERSION.unpack_from(content, place)[0]
    if place + size > stop:
        raise ValueError
    return place + size, 0


def _unfolded(packed: bytes, most: int) -> int:
    """How many bytes these unfold to; no more than a little above ``most`` are counted."""
    stream, count = zlib.decompressobj(), 0
    while count <= most and (part := stream.decompress(packed, _PIECE)):
        count, packed = count + len(part), stream.unconsumed_tail
    return count
