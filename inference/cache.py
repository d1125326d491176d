"""Results of slow computations, kept on disk under the hash of their inputs. Needs NumPy only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .atomic import atomic_write, remove_left
from .paths import ROOT

if TYPE_CHECKING:
    import numpy as np

LIMIT_BYTES = 2_000_000_000
_SUFFIX = ".npz"
_PREFIX = "found-"
_DIGEST = "digest"
_CLOCKS_DIFFER = 60.0
"""Seconds that a drive's clock may be ahead."""


class Cache:
    """A folder of results. Several processes may use it at once; a result is complete or absent.

    Users choose the folder, so files of other programs are never touched.

    Args:
        folder: created on first use.
        limit: bytes; the least recently used results are removed first.
    """

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES):
        self.folder = folder
        self._limit = limit

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays kept under ``key``; None if there are none, or only damaged ones."""
        # A batch hashes code, and starts its worker before anything heavy is loaded.
        import numpy as np

        from .zips import check_zip, read_array

        file = self._file(key)
        try:
            check_zip(file)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: read_array(archive.zip, name) for name in archive.files}
            if str(arrays.pop(_DIGEST)) != _digest(arrays):
                raise ValueError
        except FileNotFoundError:
            return None
        except Exception:  # np.load raises many kinds on damaged files
            with contextlib.suppress(OSError):
                file.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(file)
        return arrays

    def keep(self, key: str, arrays: Mapping[str, np.ndarray]) -> str | None:
        """Keep arrays under ``key``.

        Returns:
            None, or a sentence that says why they could not be stored; only later runs become slower.
        """
        import numpy as np

        from .zips import write_array

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_left(self.folder, f"{_PREFIX}*{_SUFFIX}")
            with atomic_write(self._file(key)) as temporary, zipfile.ZipFile(temporary, "w") as archive:
                for name, array in (*arrays.items(), (_DIGEST, np.array(_digest(arrays)))):
                    write_array(archive, name, array)
            self._make_room(self._file(key))
        except OSError as error:
            return f"{self.folder} can't store intermediate results ({error.strerror}), so the next run starts over."
        return None

    def size(self) -> int:
        """Bytes that the results take."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> int:
        """Remove every result; return the bytes that were freed."""
        freed = 0
        for _, size, file in self._files():
            file.unlink(missing_ok=True)
            freed += size
        return freed

    def _file(self, key: str) -> Path:
        return self.folder / f"{_PREFIX}{key}{_SUFFIX}"

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each file was last used, its size and path; least recently used first."""
        files, soon = [], time.time() + _CLOCKS_DIFFER
        for file in self.folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            # Times to come are from before the clock was set back.
            files.append((status.st_mtime if status.st_mtime < soon else 0.0, status.st_size, file))
        return sorted(files)

    def _make_room(self, kept: Path) -> None:
        files = self._files()
        excess = sum(size for _, size, _ in files) - self._limit
        for _, size, file in files:
            if excess <= 0:
                break
            if file == kept:
                continue
            file.unlink(missing_ok=True)
            excess -= size


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """A hash of arrays and their names, which tells results from what was changed in them."""
    import numpy as np

    from . import spill

    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        rows = array if array.ndim else array[None]
        for window in spill.windows(len(rows)):
            digest.update(rows[window].tobytes())
    return digest.hexdigest()


def hash_of(*parts: object) -> str:
    """A key for ``parts``, by their text."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


def hash_of_content(path: Path) -> str:
    """A hash of a file, or of a folder's files and their names.

    Raises:
        OSError: it can't be read.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
        return hash_of(*(part for file in files for part in (file.name, hash_of_content(file))))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def hash_of_code(*modules: str) -> str:
    """A hash of modules or folders of this package, so that results are recomputed when their code changes."""
    root = ROOT / "inference"
    files = [file for module in modules for file in sorted(root.glob(module))]
    return hash_of(*(file.read_bytes().hex() for file in files))
