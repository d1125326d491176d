"""Pickles of arrays and plain containers, as pickle, joblib and torch write them, read without running what is inside.

None of NumPy's, joblib's or torch's classes and functions is handed to the pickle: the few names that an array needs
lead to the stand-ins below, which keep what they are given, and arrays are made from that afterwards. This is the only
reader of pickles from outside; it needs NumPy only.
"""

from __future__ import annotations

import math
import mmap
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

_CODES = "?bhilqBHILQefdUS"
"""NumPy's letters for truth values, numbers and text."""

_CODE = re.compile(r"[<>=|]?[a-zA-Z?]+[0-9]*")
"""A type of NumPy's without fields."""

_KEYS = (str, int, float, np.generic)

_MAX_DEPTH = 64
_MAX_SIDES = 64
_MAX_SIDE = 2**40
_MAX_TENSOR = 10**8
_SPARE = 2**25
_GROWTH = 8

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_PROTOCOL = 1001
_TORCH_TYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


ByteOrder = Literal["<", ">"]

_Places = dict[tuple[str, str], Any]


class ByteSource:
    """A file in memory, or mapped into it, to be read from its beginning.

    No more is read than there is: pickles may claim any size.
    """

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self.content = content
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most as many as there are."""
        start = self.position
        data = self.content[start : start + size] if size >= 0 else self.content[start:]
        self.position = start + len(data)
        return data

    def view(self, size: int = -1) -> memoryview:
        """As `read`, without a copy."""
        start = self.position
        left = len(self.content) - start
        self.position = start + (left if size < 0 else min(size, left))
        return memoryview(self.content)[start : self.position]

    def readline(self) -> bytes:
        """The rest of the line with its end."""
        return self.read(self.content.find(b"\n", self.position) + 1 - self.position)


class _Budget:
    """Bytes that may still be made of a file, so that a small one can't ask for all the memory there is."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise pickle.UnpicklingError("it unfolds to much more than it is large")

    def encode(self, text: str, _encoding: str = "latin1") -> bytes:
        self.take(len(text))
        return text.encode("latin1")


class _Type:
    """Stands in for numpy.dtype."""

    __slots__ = ("dtype",)

    def __init__(self, code: object, *_flags: object) -> None:
        name = _text(code)
        if not _CODE.fullmatch(name):
            raise pickle.UnpicklingError("an array has fields")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array has fields")
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an array has no type")
        self.dtype = np.dtype(state[1] + self.dtype.str[1:])

    def check(self) -> np.dtype[Any]:
        if self.dtype.char not in _CODES:
            raise pickle.UnpicklingError(f"an array is of {self.dtype}")
        return self.dtype

    def read(self, data: object, count: int, budget: _Budget) -> np.ndarray:
        dtype = self.check()
        raw = budget.encode(data) if isinstance(data, str) else data
        if not isinstance(raw, bytes | bytearray):
            raise pickle.UnpicklingError("an array has no bytes")
        budget.take(count * dtype.itemsize)
        return np.frombuffer(raw, dtype, count).copy()


class _Array:
    """Stands in for an array while the pickle is read."""

    __slots__ = ("data", "order", "shape", "type")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.type: _Type | None = None
        self.data: object = b""
        self.order: Literal["C", "F"] = "C"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.type, by_column, self.data = state
        self.order = "F" if by_column else "C"

    @property
    def of_objects(self) -> bool:
        return isinstance(self.type, _Type) and self.type.dtype.char == "O"

    def array(self, plain: _Plain) -> np.ndarray:
        if not isinstance(self.type, _Type):
            raise pickle.UnpicklingError("an array has no type")
        count = _count(self.shape)
        if not self.of_objects:
            return self.type.read(self.data, count, plain.budget).reshape(self.shape, order=self.order)
        if not isinstance(self.data, list) or len(self.data) != count:
            raise pickle.UnpicklingError("an array of objects has another number of them than it says")
        flat = np.empty(count, object)
        for number, item in enumerate(self.data):
            flat[number] = plain(item)
        return flat.reshape(self.shape, order=self.order)


class _Wrapper:
    """Stands in for joblib's NumpyArrayWrapper; the array's bytes follow it in the file."""

    __slots__ = ("found",)

    def __init__(self, *_arguments: object) -> None:
        self.found: np.ndarray | _Array | None = None

    def fill(self, state: dict[str, Any], stream: ByteSource, budget: _Budget) -> None:
        kind, shape = state["dtype"], state["shape"]
        if not isinstance(kind, _Type):
            raise pickle.UnpicklingError("an array has no type")
        if kind.dtype.char == "O":
            found = _Unpickler(stream, budget=budget).load()
            if not isinstance(found, _Array):
                raise pickle.UnpicklingError("an array of objects is none")
            self.found = found
            return
        count, dtype = _count(shape), kind.check()
        if state.get("numpy_array_alignment_bytes") is not None:
            stream.read(stream.read(1)[0])
        raw = stream.view(count * dtype.itemsize)
        if len(raw) < count * dtype.itemsize:
            raise pickle.UnpicklingError("it ends within an array")
        self.found = np.frombuffer(raw, dtype, count).reshape(shape, order="F" if state["order"] == "F" else "C")

    def array(self, plain: _Plain) -> object:
        return plain(self.found)


class _StorageType:
    """Stands in for torch.FloatStorage and its like."""

    def __init__(self, name: str) -> None:
        self.code = _TORCH_TYPES[name]

    @property
    def itemsize(self) -> int:
        return 2 if self.code == "bfloat16" else np.dtype(self.code).itemsize

    def read(self, raw: bytes, byteorder: ByteOrder) -> np.ndarray:
        raw = raw[: len(raw) // self.itemsize * self.itemsize]
        if self.code != "bfloat16":
            return np.frombuffer(raw, np.dtype(self.code).newbyteorder(byteorder))
        upper = np.frombuffer(raw, np.dtype("u2").newbyteorder(byteorder)).astype(np.uint32) << 16
        return upper.view(np.float32)


class _Storage:
    """Stands in for the memory of torch's tensors; its numbers may come after the tensors in the file."""

    __slots__ = ("kind", "values")

    def __init__(self, kind: _StorageType) -> None:
        self.kind = kind
        self.values: np.ndarray | None = None


class _Tensor:
    """Stands in for torch's tensors."""

    __slots__ = ("parts",)

    def __init__(self, storage: object, offset: object, size: object, stride: object) -> None:
        self.parts = storage, offset, size, stride

    def array(self, plain: _Plain) -> np.ndarray:
        storage, offset, size, stride = self.parts
        if not isinstance(storage, _Storage) or storage.values is None:
            raise pickle.UnpicklingError("a tensor has no numbers")
        count = _count(size)
        steps, start = _sides(stride), _sides((offset,))[0]
        sides = _sides(size)
        if len(steps) != len(sides) or count > _MAX_TENSOR:
            raise pickle.UnpicklingError("a tensor has a wrong shape")
        last = start + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
        if count and last >= len(storage.values):
            raise pickle.UnpicklingError("a tensor is larger than its numbers")
        values = storage.values
        plain.budget.take(count * values.itemsize)
        strides = [step * values.itemsize for step in steps]
        first = values[start:] if count else values[:0]
        return np.lib.stride_tricks.as_strided(first, sides, strides, writeable=False).copy()


class _Name:
    """Stands in for classes of which nothing can be made but by the functions that rebuild them."""

    __slots__ = ()


class StandIn:
    """Stands in for an object of another library's class, which need not be installed; see `load`.

    Attributes:
        attributes: the object's, as the pickle has them: arrays are still stand-ins.
    """

    __slots__ = ("attributes",)

    def __init__(self, *_arguments: object) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple):
            state = next((part for part in state if isinstance(part, dict)), {})
        if isinstance(state, dict):
            self.attributes = state

    def value(self, attribute: Callable[[str], Any], reserve: Callable[[int], None]) -> object:
        """What takes the object's place.

        Args:
            attribute: gives an attribute with arrays in place of their stand-ins; None where there is none.
            reserve: to be called with the number of bytes before more memory is taken than the attributes have;
                raises pickle.UnpicklingError if they are too many.
        """
        raise NotImplementedError


def _reconstruct(*_arguments: object) -> _Array:
    return _Array()


def _from_buffer(data: object, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", data))
    return array


def _no_bytes() -> bytes:
    return b""


def _table(*_arguments: object) -> dict[Any, Any]:
    return {}


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_more: object) -> _Tensor:
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor: object, *_more: object) -> object:
    return tensor


def _old_joblib(*_arguments: object) -> None:
    raise pickle.UnpicklingError("a joblib of before 2016 wrote it and keeps its arrays in other files")


def _reconstruct_stand_in(kind: object, *_arguments: object) -> StandIn:
    if not isinstance(kind, type) or not issubclass(kind, StandIn):
        raise pickle.UnpicklingError("it holds an object that is neither an array nor a plain container")
    return kind()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    # Other objects are not converted: nested ones would become endless text.
    if not isinstance(value, str):
        raise pickle.UnpicklingError("it has no name where one belongs")
    return value


def _sides(shape: object) -> tuple[int, ...]:
    if (
        not isinstance(shape, tuple | list)
        or len(shape) > _MAX_SIDES
        or not all(type(side) is int and 0 <= side < _MAX_SIDE for side in shape)
    ):
        raise pickle.UnpicklingError("an array has a wrong shape")
    return tuple(shape)


def _count(shape: object) -> int:
    return math.prod(_sides(shape))


_NUMPY: _Places = {
    (module, name): stand_in
    for name, stand_in, modules in (
        ("ndarray", _Name, ("numpy",)),
        ("memmap", _Name, ("numpy", "numpy.core.memmap", "numpy._core.memmap")),
        ("dtype", _Type, ("numpy",)),
        ("_reconstruct", _reconstruct, ("numpy.core.multiarray", "numpy._core.multiarray")),
        ("_frombuffer", _from_buffer, ("numpy.core.numeric", "numpy._core.numeric")),
    )
    for module in modules
}
_CONTAINERS: _Places = {
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "dict"): _table,
    ("builtins", "dict"): _table,
    ("collections", "OrderedDict"): _table,
    ("collections", "defaultdict"): _table,
} | {(module, name): _Name for module in ("__builtin__", "builtins") for name in ("list", "int", "float", "str")}
_JOBLIB: _Places = {
    (f"{package}joblib.{module}", name): stand_in
    for package in ("", "sklearn.externals.")
    for module, name, stand_in in (
        ("numpy_pickle", "NumpyArrayWrapper", _Wrapper),
        ("numpy_pickle", "NDArrayWrapper", _old_joblib),
        ("numpy_pickle", "ZNDArrayWrapper", _old_joblib),
        ("numpy_pickle_compat", "NDArrayWrapper", _old_joblib),
        ("numpy_pickle_compat", "ZNDArrayWrapper", _old_joblib),
    )
}
_TORCH: _Places = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
} | {("torch", name): _StorageType(name) for name in _TORCH_TYPES}
_PLACES = _NUMPY | _CONTAINERS | _JOBLIB | _TORCH
# Python 2's way to make an object, only for pickles whose reader has stand-ins of its own.
_OBJECTS: _Places = {
    ("copy_reg", "_reconstructor"): _reconstruct_stand_in,
    ("copyreg", "_reconstructor"): _reconstruct_stand_in,
    ("__builtin__", "object"): _Name,
    ("builtins", "object"): _Name,
}

_Opened = Callable[[str], bytes]
_Find = Callable[[str, str], type[StandIn] | None]


def _items(flat: list[Any]) -> dict[Any, Any]:
    return {key: value for key, value in zip(flat[::2], flat[1::2], strict=True) if isinstance(key, _KEYS)}


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler rather than C's: it can stop for joblib's arrays, and no opcode makes it take memory."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        stream: ByteSource,
        budget: _Budget,
        storage: _Opened | None = None,
        byteorder: ByteOrder = "<",
        whole: bool = True,
        stand_ins: _Find | None = None,
    ) -> None:
        super().__init__(stream, encoding="latin1")
        self.stand_ins = stand_ins
        self.stream = stream
        self.budget = budget
        self.storage = storage
        self.byteorder: ByteOrder = byteorder
        self.whole = whole
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLACES:
            return _PLACES[module, name]
        if (module, name) == ("_codecs", "encode"):
            return self.budget.encode
        if name == "scalar" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return self._scalar
        if (module, name) == ("torch.storage", "_load_from_bytes") and self.whole:
            return self._storage_from_bytes
        if (module, name) == ("torch", "Size"):
            return self._size
        if self.stand_ins is not None:
            found = self.stand_ins(module, name) or _OBJECTS.get((module, name))
            if found is not None:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is neither an array nor a plain container")

    def persistent_load(self, pid: Any) -> Any:
        """A storage of torch's, by its number."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _StorageType):
            raise pickle.UnpicklingError("it points at something outside itself")
        kind, key = pid[1], _text(pid[2])
        if key not in self.storages:
            self.storages[key] = _Storage(kind)
            if self.storage is not None:
                raw = self.storage(key)
                self.budget.take(len(raw))
                self.storages[key].values = kind.read(raw, self.byteorder)
        return self.storages[key]

    def load_build(self) -> None:
        """Give an object its state; only stand-ins take one."""
        state = self.stack.pop()
        made = self.stack[-1]
        if type(made) is _Wrapper:
            made.fill(state, self.stream, self.budget)
        elif isinstance(made, _Array | _Type | StandIn):
            made.__setstate__(state)
        elif type(made) is not dict:
            raise pickle.UnpicklingError(f"{type(made).__name__} is neither an array nor a plain container")

    def load_bytearray8(self) -> None:
        """Bytes of a size that only seems to be known."""
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    def load_setitem(self) -> None:
        """An item of a dictionary; other keys than text and numbers are left out.

        Python follows a nested tuple to its end to look it up, and crashes where it is nested very deeply.
        """
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1].update(_items([key, value]))

    def load_setitems(self) -> None:
        """Items of a dictionary, as in `load_setitem`."""
        items = self.pop_mark()
        self.stack[-1].update(_items(items))

    def load_dict(self) -> None:
        """A dictionary and its items."""
        items = self.pop_mark()
        self.append(_items(items))

    def load_additems(self) -> None:
        """Items of a set, which becomes a list: its items may be anything."""
        items = self.pop_mark()
        self.stack[-1].extend(items)

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.EMPTY_SET[0]] = dispatch[pickle.EMPTY_LIST[0]]
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = dispatch[pickle.LIST[0]]

    def _scalar(self, kind: _Type, data: object) -> np.generic:
        return kind.read(data, 1, self.budget)[0]

    def _size(self, sides: object) -> tuple[int, ...]:
        size = _sides(sides)
        self.budget.take(8 * len(size))
        return size

    def _storage_from_bytes(self, data: object) -> _Storage:
        raw = self.budget.encode(data) if isinstance(data, str) else data
        if not isinstance(raw, bytes | bytearray):
            raise pickle.UnpicklingError("a tensor has no bytes")
        self.budget.take(len(raw))
        found = _torch_file(ByteSource(bytes(raw)), self.budget)
        if not isinstance(found, _Storage):
            raise pickle.UnpicklingError("a tensor has no numbers")
        return found


class _Plain:
    """Puts arrays in place of their stand-ins, in each container once however often it is named."""

    def __init__(self, budget: _Budget) -> None:
        self.budget = budget
        self.done: dict[int, tuple[object, object]] = {}
        self.depth = 0

    def __call__(self, value: object) -> object:
        if isinstance(value, bool | int | float | str | bytes | bytearray | np.generic | np.ndarray | None):
            return value
        if isinstance(value, _Array) and not value.of_objects:
            # Whoever changes an array in place does not change another one that was written but once with it.
            return value.array(self)
        if isinstance(value, list | tuple | dict) and not value:
            return value
        if id(value) not in self.done:
            if self.depth > _MAX_DEPTH:
                raise pickle.UnpicklingError("it is nested too deeply")
            self.depth += 1
            # The value is kept too, or another could get its id.
            self.done[id(value)] = value, self._made(value)
            self.depth -= 1
        return self.done[id(value)][1]

    def _made(self, value: object) -> object:
        if isinstance(value, _Array | _Wrapper | _Tensor):
            return value.array(self)
        if isinstance(value, StandIn):
            return value.value(lambda name: self(value.attributes.get(name)), self.budget.take)
        # Lists and dictionaries are the pickle's own and change in place; a copy would take as much again.
        if isinstance(value, dict):
            for key, item in value.items():
                value[key] = self(item)
            return value
        if isinstance(value, list):
            for place, item in enumerate(value):
                value[place] = self(item)
            return value
        if isinstance(value, tuple):
            return tuple(self(item) for item in value)
        # What is left are names that nothing was made of, such as the type of an array.
        return None


def _torch_file(stream: ByteSource, budget: _Budget) -> object:
    """What torch wrote before it wrote zips: four pickles, the storages' keys, their numbers."""

    def part() -> object:
        return _Unpickler(stream, budget, whole=False).load()

    if part() != _TORCH_MAGIC or part() != _TORCH_PROTOCOL:
        raise pickle.UnpicklingError("it is not torch's")
    system = part()
    order: ByteOrder = ">" if isinstance(system, dict) and system.get("little_endian") is False else "<"
    unpickler = _Unpickler(stream, budget, whole=False)
    found = unpickler.load()
    keys = part()
    if not isinstance(keys, list):
        raise pickle.UnpicklingError("it lacks its storages")
    for key in keys:
        storage = unpickler.storages[_text(key)]
        size = int.from_bytes(stream.read(8), "little" if order == "<" else "big") * storage.kind.itemsize
        raw = stream.read(size)
        if len(raw) < size:
            raise pickle.UnpicklingError("it ends within a tensor")
        storage.values = storage.kind.read(raw, order)
    return found


def load(
    stream: ByteSource,
    size: int,
    storage: Callable[[str], bytes] | None = None,
    byteorder: ByteOrder = "<",
    stand_ins: _Find | None = None,
) -> object:
    """What a pickle of pickle's, joblib's or torch's holds: arrays, numbers, text and plain containers.

    Torch's tensors become arrays, other kinds of dictionaries plain ones, sets lists; keys of dictionaries other than
    text and numbers are left out with what belongs to them.

    Args:
        stream: stands where the pickle begins; no more is read of it than there is, whatever the pickle says.
        size: bytes of the file it is from. Not much more memory than several times that is taken.
        storage: gives the bytes of one of torch's storages by its key, for the pickle in one of torch's zips.
        byteorder: of those bytes, ``<`` or ``>``.
        stand_ins: gives the stand-in for a module's class of which objects are admitted too; None for any other.

    Raises:
        pickle.UnpicklingError: it holds something else, or unfolds to much more than its size. A damaged pickle may
            raise others.
    """
    budget = _Budget(_SPARE + _GROWTH * size)
    return _Plain(budget)(_Unpickler(stream, budget, storage, byteorder, stand_ins=stand_ins).load())


def load_torch(stream: ByteSource, size: int) -> object:
    """What a file of torch before 1.6 holds; arguments, result and errors as those of `load`."""
    budget = _Budget(_SPARE + _GROWTH * size)
    return _Plain(budget)(_torch_file(stream, budget))


def is_torch(start: bytes) -> bool:
    """Whether a file that begins with ``start`` is of torch before 1.6."""
    return pickle.dumps(_TORCH_MAGIC, protocol=2)[2:] in start[:20]


def load_table(file: Path, stand_ins: _Find | None = None) -> dict[Any, Any]:
    """The dictionary that a pickle of Python 2 or 3 holds; ``stand_ins`` as for `load`.

    Raises:
        pickle.UnpicklingError: it holds anything but arrays, numbers, text and plain containers, or no dictionary.
        OSError: the file can't be read. A damaged file may raise others.
    """
    # Arrays may look into the mapped file, which goes with the last of them.
    with file.open("rb") as opened:
        content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    table = load(ByteSource(content), len(content), stand_ins=stand_ins)
    if not isinstance(table, dict):
        raise pickle.UnpicklingError("it holds no table of arrays")
    return table
