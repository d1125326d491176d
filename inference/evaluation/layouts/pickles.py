"""Pickles that hold arrays and plain containers, read without running anything that is inside.

Neither NumPy's own classes nor its rebuilding functions are handed to the pickle: the few names that an array needs
lead to the stand-ins below, which keep what they are given, and arrays are made from that afterwards.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

_CODES = "?bhilqBHILQefdUS"
"""NumPy's letters for truth values, numbers and text."""


class _Type:
    """Stands in for numpy.dtype."""

    def __init__(self, code: object, *_flags: object) -> None:
        self.dtype = np.dtype(_text(code))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array has fields")
        self.dtype = np.dtype(_text(state[1]) + self.dtype.str[1:])

    def read(self, data: object, count: int) -> np.ndarray:
        if self.dtype.char not in _CODES:
            raise pickle.UnpicklingError(f"an array is of {self.dtype}")
        raw = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(raw, bytes | bytearray):
            raise pickle.UnpicklingError("an array has no bytes")
        return np.frombuffer(raw, self.dtype, count).copy()


class _Array:
    """Stands in for an array while the pickle is read."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.type: _Type | None = None
        self.data: object = b""
        self.order: Literal["C", "F"] = "C"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.type, by_column, self.data = state
        self.order = "F" if by_column else "C"

    def array(self) -> np.ndarray:
        if not isinstance(self.type, _Type):
            raise pickle.UnpicklingError("an array has no type")
        count = int(np.prod(self.shape, dtype=object))
        if self.type.dtype.char != "O":
            return self.type.read(self.data, count).reshape(self.shape, order=self.order)
        if not isinstance(self.data, list) or len(self.data) != count:
            raise pickle.UnpicklingError("an array of objects has another number of them than it says")
        flat = np.empty(count, object)
        for number, item in enumerate(self.data):
            flat[number] = _plain(item)
        return flat.reshape(self.shape, order=self.order)


class _Class:
    """Stands in for numpy.ndarray, of which nothing can be made but by `_reconstruct`."""


def _reconstruct(*_arguments: object) -> _Array:
    return _Array()


def _from_buffer(data: object, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", data))
    return array


def _scalar(kind: _Type, data: object) -> np.generic:
    return kind.read(data, 1)[0]


def _encode(text: str, _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _text(value: object) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


_STAND_INS = {
    "_reconstruct": _reconstruct,
    "scalar": _scalar,
    "_frombuffer": _from_buffer,
    "ndarray": _Class,
    "dtype": _Type,
}
_PLACES = {
    (module, name): _STAND_INS[name]
    for names, modules in {
        ("ndarray", "dtype"): ("numpy",),
        ("_reconstruct", "scalar"): ("numpy.core.multiarray", "numpy._core.multiarray"),
        ("_frombuffer",): ("numpy.core.numeric", "numpy._core.numeric"),
    }.items()
    for name in names
    for module in modules
} | {
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLACES:
            raise pickle.UnpicklingError(f"{module}.{name} is neither an array nor a plain container")
        return _PLACES[module, name]


def _plain(value: object) -> object:
    """The value with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        return value.array()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value


def load_table(file: Path) -> dict[str, Any]:
    """The dictionary that a pickle of Python 2 or 3 holds.

    Raises:
        pickle.UnpicklingError: it holds anything but arrays, numbers, text and plain containers, or no dictionary.
        OSError: the file can't be read. A damaged file may raise others.
    """
    with file.open("rb") as stream:
        table = _plain(_Unpickler(stream, encoding="latin1").load())
    if not isinstance(table, dict):
        raise pickle.UnpicklingError("it holds no table")
    return table
