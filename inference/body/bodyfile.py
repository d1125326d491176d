"""Reading body files: SMPL's ``.npz`` and ``.pkl``, the latter without running what is inside."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import pickles, zips
from ..errors import VideoMotionError, reason

_MARK = "has_"


class BodyError(VideoMotionError):
    """A body file that cannot be used, said in one sentence."""


class _Sparse(pickles.StandIn):
    """scipy.sparse's compressed columns; the value is dense, or None where the parts do not fit together."""

    __slots__ = ()
    by_column = True

    def value(self, attribute: Callable[[str], Any], reserve: Callable[[int], None]) -> NDArray[Any] | None:
        shape = attribute("_shape" if "_shape" in self.attributes else "shape")
        values, indices, starts = (np.asarray(attribute(name)) for name in ("data", "indices", "indptr"))
        try:
            rows, columns = (int(side) for side in shape)
            counts = np.diff(starts)
            if not len(values) == len(indices) == counts.sum() or (counts < 0).any() or min(rows, columns) < 0:
                return None
            reserve(8 * rows * columns)
            out = np.zeros((rows, columns), dtype=np.float64)
            major = np.repeat(np.arange(len(counts)), counts)
            np.add.at(out, (indices, major) if self.by_column else (major, indices), values)
        except (ValueError, TypeError, IndexError):
            return None
        return out


class _SparseRows(_Sparse):
    """scipy.sparse's compressed rows."""

    __slots__ = ()
    by_column = False


class _Chumpy(pickles.StandIn):
    """A chumpy variable, whose value is its attribute ``x``."""

    __slots__ = ()

    def value(self, attribute: Callable[[str], Any], reserve: Callable[[int], None]) -> object:
        return attribute("x")


def _stand_in(module: str, name: str) -> type[pickles.StandIn] | None:
    if module.startswith("scipy.sparse") and name in ("csc_matrix", "csc_array"):
        return _Sparse
    if module.startswith("scipy.sparse") and name in ("csr_matrix", "csr_array"):
        return _SparseRows
    if module == "chumpy" or module.startswith("chumpy."):
        return _Chumpy
    return None


class Arrays:
    """The named arrays of a body file. No more memory is taken than some times the file's size."""

    def __init__(self, path: Path):
        """Open ``path``; raises BodyError if it is missing, unreadable, hostile or neither ``.npz`` nor ``.pkl``."""
        self.path = path
        try:
            self._left = zips.most_unpacked(path.stat().st_size)
            self._items = _archive(path) if zipfile.is_zipfile(path) else pickles.load_table(path, _stand_in)
        except FileNotFoundError:
            raise BodyError(f"The body file {path} does not exist.") from None
        except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
            raise BodyError(f"{path.name} is not a body file: {reason(error)}.") from None
        except OSError as error:
            raise BodyError(f"{path.name} cannot be read as a body file ({error.strerror or error}).") from None
        except Exception:  # hostile files raise anything
            raise BodyError(f"{path.name} cannot be read as a body file: it may be damaged.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def get(self, name: str, kinds: str = "fiu") -> NDArray[Any]:
        """The array ``name``, dense; raises BodyError if it is missing or its dtype's kind is not in ``kinds``."""
        if name not in self._items:
            raise BodyError(f"{self.path.name} is not a SMPL body file: it has no {name}.")
        item = self._items[name]
        array = np.asarray(item) if isinstance(item, np.ndarray | np.generic | str | int | float) else np.zeros(0, "O")
        if array.dtype.kind not in kinds:
            raise BodyError(f"{self.path.name} is not a SMPL body file: its {name} is not an array of numbers.")
        # Whoever asks makes double precision of it.
        self._left -= 8 * array.size
        if self._left < 0:
            raise BodyError(f"{self.path.name} is not a SMPL body file: it unfolds to much more than it is large.")
        return array


def _archive(path: Path) -> dict[str, Any]:
    zips.check_zip(path)
    with np.load(path, allow_pickle=False) as archive:
        # Our own body says which arrays are only zeros; unpacking those takes half of the time.
        marks = [name for name in archive.files if name.startswith(_MARK) and not archive[name]]
        empty = {name.removeprefix(_MARK) for name in marks}
        return {name: _entry(archive, name) for name in archive.files if name not in empty}


def _entry(archive: Any, name: str) -> Any:
    try:
        return archive[name]
    except ValueError:
        return None
