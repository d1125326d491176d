"""Files made wrong, by seed: bytes of any file, values of JSON, arrays of archives."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, -1e-300, 1e308, float("nan"), float("inf")),
    *("", "x", "\ud800", "\0", "../../../../etc/passwd", "/dev/zero", "nan", "9" * 5000, "x" * 100_000),
    *([], {}, [[]], [None], [1e308] * 3, {"": None}, {"x": [1, 2]}),
)
DEPTH = 100_000
MANY_ZEROS = 60_000_000


def mutate(content: bytes, kind: str, number: int) -> bytes:
    """Change a file's content in a way that its number decides.

    Args:
        content: of a valid file.
        kind: `bytes`, or what else is known of its inside: `json`, `npz` or `glb`; half of the files are then changed
            there and stay well-formed.
        number: seed.
    """
    source = random.Random(number)
    if kind == "bytes" or number % 2:
        return _bytes(content, source)
    return _INSIDE[kind](content, source)


def _bytes(content: bytes, source: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 5, 40))):
        size = len(changed)
        if not size:
            break
        # Headers are read first.
        place = source.randrange(min(size, source.choice((64, 1024, size))))
        length = min(source.choice((1, 4, 16, 300)), size - place)
        match source.randrange(8):
            case 0 | 1:
                changed[place] = source.randrange(256)
            case 2:
                changed[place] ^= 1 << source.randrange(8)
            case 3:
                order = source.choice("<>")
                changed[place : place + 4] = struct.pack(f"{order}I", source.choice(EXTREMES))
            case 4:
                changed[place : place + length] = bytes(length)
            case 5:
                del changed[place : place + length]
            case 6:
                changed[place:place] = changed[place : place + length] * source.choice((1, 3))
            case 7:
                if source.random() < 0.3:
                    del changed[source.randrange(size) :]
                else:
                    changed[place:place] = source.randbytes(length)
    return bytes(changed)


def _json(content: bytes, source: random.Random) -> bytes:
    table = json.loads(content)
    if source.random() < 0.03:
        return b"[" * DEPTH if source.random() < 0.5 else b'{"a":' * DEPTH
    for _ in range(source.choice((1, 1, 2, 4))):
        table = _change_value(table, source)
    return json.dumps(table).encode()


def _change_value(table: Any, source: random.Random) -> Any:
    """Replace, remove or add a value somewhere."""
    holder: Any = None
    key: Any = None
    value = table
    while isinstance(value, dict | list) and value and source.random() < 0.8:
        holder, key = value, source.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value = holder[key]
    # Each its own, or a later change would reach all tables that hold it.
    new = copy.deepcopy(source.choice(STRANGE))
    if holder is None:
        return new if source.random() < 0.2 else table
    match source.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[source.choice(("x", "", "task", "__class__"))] = new
        case 1:
            holder.append(new)  # pyrefly: ignore[missing-attribute]
        case 2 if isinstance(value, int | float) and not isinstance(value, bool):
            holder[key] = source.choice((-value, value + 1, value * 1e12, 2 * value))
        case _:
            holder[key] = new
    return table


def _npz(content: bytes, source: random.Random) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if source.random() < 0.15:
        return _lying(arrays, source)
    for _ in range(source.choice((1, 1, 2))):
        name = source.choice(list(arrays))
        arrays[name] = _change_array(arrays[name], source)
        if source.random() < 0.1:
            del arrays[name]
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _change_array(array: np.ndarray, source: random.Random) -> np.ndarray:
    changes: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda one: one[:0] if one.ndim else one,
        lambda one: one[: len(one) // 2] if one.ndim else one,
        lambda one: one[None],
        lambda one: one.ravel(),
        lambda one: one.T,
        lambda one: np.concatenate([one, one]) if one.ndim else np.array([one, one]),
        lambda one: one.astype("U"),
        lambda one: one.astype(object),
        lambda one: one.astype(bool) if one.dtype.kind in "fiu" else one,
        lambda one: one.astype(complex) if one.dtype.kind in "fiu" else one,
        lambda one: one * 1e30 if one.dtype.kind in "fiu" else one,
        lambda one: -one.astype(float) if one.dtype.kind in "fiu" else one,
        lambda one: np.zeros(one.shape, "M8[s]"),
        lambda one: np.zeros(one.shape, [("a", "f4"), ("b", "i8")]),
        lambda one: np.array(source.choice(("", "{", "[]", '{"a": 1}', "[" * DEPTH, "9" * 5000))),
        lambda one: _spoilt(one, source, float("nan")),
        lambda one: _spoilt(one, source, float("inf")),
        lambda one: _spoilt(one, source, 1e300),
        lambda one: _spoilt(one, source, -1),
    ]
    return source.choice(changes)(array)


def _spoilt(array: np.ndarray, source: random.Random, value: float) -> np.ndarray:
    if array.dtype.kind not in "fiu" or not array.size:
        return array
    changed = array.astype(float).ravel()
    changed[source.randrange(changed.size)] = value
    return changed.reshape(array.shape)


def _lying(arrays: dict[str, np.ndarray], source: random.Random) -> bytes:
    """An archive one of whose arrays claims to be much larger than it is, or unfolds to nothing but zeros."""
    stream, lies = io.BytesIO(), source.choice(list(arrays))
    zeros = source.random() < 0.5
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array)
            content = one.getvalue()
            if name == lies:
                count = MANY_ZEROS if zeros else 10**11
                header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}".ljust(117) + "\n"
                content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
                content += bytes(4 * MANY_ZEROS) if zeros else bytes(100)
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _glb(content: bytes, source: random.Random) -> bytes:
    (size,) = struct.unpack_from("<I", content, 12)
    text, rest = _json(content[20 : 20 + size], source), content[20 + size :]
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest


_INSIDE: dict[str, Callable[[bytes, random.Random], bytes]] = {"json": _json, "npz": _npz, "glb": _glb}
