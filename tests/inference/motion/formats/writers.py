"""Writes files as other tools do: joblib's by hand, NumPy's and torch's by NumPy and torch."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Pack = Callable[[bytes], bytes]


class NumpyArrayWrapper:
    """What joblib puts in an array's place, with these attributes."""

    def __init__(self, array: np.ndarray, aligned: bool) -> None:
        self.subclass = type(array)
        self.shape = array.shape
        self.order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        self.dtype = array.dtype
        self.allow_mmap = aligned and not array.dtype.hasobject
        if aligned:
            self.numpy_array_alignment_bytes = 16
        else:
            self.numpy_array_alignment_bytes = None


NumpyArrayWrapper.__module__ = "joblib.numpy_pickle"
NumpyArrayWrapper.__qualname__ = "NumpyArrayWrapper"


class _Pickler(pickle._Pickler):
    def __init__(self, file: io.BytesIO, aligned: bool, protocol: int) -> None:
        super().__init__(file, protocol=protocol)
        self.file, self.aligned, self.number = file, aligned, protocol

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if type(obj) is not np.ndarray:
            return super().save(obj, save_persistent_id)  # type: ignore[misc]
        super().save(NumpyArrayWrapper(obj, self.aligned), save_persistent_id)  # type: ignore[misc]
        if self.number >= 4:
            self.framer.commit_frame(force=True)  # type: ignore[attr-defined]
        if obj.dtype.hasobject:
            self.file.write(pickle.dumps(obj, protocol=2))
            return None
        if self.aligned:
            padding = 16 - (self.file.tell() + 1) % 16
            self.file.write(bytes([padding]) + b"\xff" * padding)
        self.file.write(obj.tobytes("A"))
        return None


def joblib_bytes(content: object, aligned: bool = True, protocol: int = 4) -> bytes:
    """What ``joblib.dump`` writes; ``aligned`` as joblib 1.2 and later do in files that are not compressed."""
    file = io.BytesIO()
    package, module = types.ModuleType("joblib"), types.ModuleType("joblib.numpy_pickle")
    module.NumpyArrayWrapper = NumpyArrayWrapper  # type: ignore[attr-defined]
    package.numpy_pickle = module  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("joblib", "joblib.numpy_pickle")}
    sys.modules.update({"joblib": package, "joblib.numpy_pickle": module})
    try:
        _Pickler(file, aligned, protocol).dump(content)
    finally:
        for name, old in before.items():
            if old is None:
                del sys.modules[name]
            else:
                sys.modules[name] = old
    return file.getvalue()


def write_joblib(path: Path, content: object, pack: Pack | None = None) -> Path:
    """A joblib file, compressed by ``pack`` if given."""
    path.write_bytes(joblib_bytes(content) if pack is None else pack(joblib_bytes(content, aligned=False)))
    return path


def write_torch(path: Path, content: object, as_zip: bool = True) -> Path:
    """A file of torch's, of today or as before version 1.6."""
    import torch

    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    return path


def write_npy(path: Path, content: object) -> Path:
    """A ``.npy`` file that holds one object, as TRAM's do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path
