"""Output files, which are there completely or not at all. Functions raise `ExportError` where the disk refuses."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .options import ExportError


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``path``: exporters take a file's final name and may write further files."""
    make_folder(path)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Create the folder of ``path``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def move_into_place(file: Path, path: Path) -> None:
    """Move a finished file to ``path``, replacing what is there."""
    try:
        os.replace(file, path)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> ExportError:
    """Return the error for a file that can't be written."""
    return ExportError(f"{path} can't be written ({error.strerror or error}): check the folder and its disk.")
