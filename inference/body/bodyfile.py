"""Reading body files: SMPL's ``.npz`` and ``.pkl``, the latter without running what is inside."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoMotionError

_MARK = "has_"


class BodyError(VideoMotionError):
    """A body file that cannot be used, said in one sentence."""


class _Holder:
    """Stands in for an object of a library that need not be installed; keeps its attributes only."""

    def __init__(self, *_arguments: object):
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple):
            state = next((part for part in state if isinstance(part, dict)), {})
        if isinstance(state, dict):
            self.attributes = state


class _Sparse(_Holder):
    """scipy.sparse's compressed columns or rows."""

    by_column = True

    def dense(self) -> NDArray[Any]:
        values = np.asarray(self.attributes["data"])
        indices = np.asarray(self.attributes["indices"])
        starts = np.asarray(self.attributes["indptr"])
        rows, columns = self.attributes["_shape" if "_shape" in self.attributes else "shape"]
        out = np.zeros((int(rows), int(columns)), dtype=np.float64)
        major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        np.add.at(out, (indices, major) if self.by_column else (major, indices), values)
        return out


class _SparseRows(_Sparse):
    by_column = False


class _Chumpy(_Holder):
    """A chumpy variable, whose value is its attribute ``x``."""

    def dense(self) -> NDArray[Any]:
        return np.asarray(self.attributes["x"])


def _reconstruct_holder(kind: type, *_arguments: object) -> _Holder:
    if not issubclass(kind, _Holder):
        raise pickle.UnpicklingError(f"{kind.__name__} is not a body's part")
    return kind()


# NumPy's own rebuilding functions, wherever this version of it keeps them.
_NUMPY_MAKERS: dict[str, Any] = {
    "_reconstruct": np.zeros(1).__reduce__()[0],
    "scalar": np.float64(0.0).__reduce__()[0],
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in ("_reconstruct", "scalar"):
            return _NUMPY_MAKERS[name]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csc_array"):
            return _Sparse
        if module.startswith("scipy.sparse") and name in ("csr_matrix", "csr_array"):
            return _SparseRows
        if module == "chumpy" or module.startswith("chumpy."):
            return _Chumpy
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return _reconstruct_holder
        if (module, name) in (("__builtin__", "object"), ("builtins", "object")):
            return object
        if (module, name) == ("_codecs", "encode"):
            return _encode_latin1
        raise pickle.UnpicklingError(f"{module}.{name} is not a body's part")


def _encode_latin1(text: str, _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


class Arrays:
    """The named arrays of a body file, each converted on request."""

    def __init__(self, path: Path):
        """Open ``path``; raises BodyError if it is missing, unreadable or neither ``.npz`` nor ``.pkl``."""
        self.path = path
        try:
            if zipfile.is_zipfile(path):
                with np.load(path, allow_pickle=False) as archive:
                    # Our own body says which arrays are only zeros; unpacking those takes half of the time.
                    marks = [name for name in archive.files if name.startswith(_MARK) and not archive[name]]
                    empty = {name.removeprefix(_MARK) for name in marks}
                    names = [name for name in archive.files if name not in empty]
                    self._items: dict[str, Any] = {name: _entry(archive, name) for name in names}
            else:
                with path.open("rb") as file:
                    items = _Unpickler(file, encoding="latin1").load()
                if not isinstance(items, dict):
                    raise BodyError(f"{path.name} holds no table of arrays, so it is not a body file.")
                self._items = items
        except FileNotFoundError:
            raise BodyError(f"The body file {path} does not exist.") from None
        except BodyError:
            raise
        except pickle.UnpicklingError as error:
            raise BodyError(f"{path.name} is not a body file: {error}.") from None
        except Exception as error:
            raise BodyError(f"{path.name} cannot be read as a body file ({type(error).__name__}).") from None

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def get(self, name: str, kinds: str = "fiu") -> NDArray[Any]:
        """The array ``name``, dense; raises BodyError if it is missing or its dtype's kind is not in ``kinds``."""
        if name not in self._items:
            raise BodyError(f"{self.path.name} is not a SMPL body file: it has no {name}.")
        item = self._items[name]
        try:
            array = item.dense() if isinstance(item, _Sparse | _Chumpy) else np.asarray(item)
        except (KeyError, ValueError, TypeError, IndexError):
            array = np.zeros(0, dtype=object)
        if array.dtype.kind not in kinds:
            raise BodyError(f"{self.path.name} is not a SMPL body file: its {name} is not an array of numbers.")
        return array


def _entry(archive: Any, name: str) -> Any:
    try:
        return archive[name]
    except ValueError:
        return None
