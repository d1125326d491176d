"""Temporary folders and files that the next start removes where a program was killed. Standard library only."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import locks

_LOCK = "lock"
_NEW_SECONDS = 10.0
"""For so long a folder without a lock may be one that is being made."""


@contextlib.contextmanager
def folder_in(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder, and remove it at the end; remove those of the same prefix whose programs were killed.

    Args:
        parent: where it is made; is made itself if it is missing.
        prefix: of its name.

    Raises:
        OSError: it can't be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            # However a program ends, its lock is then free. An age alone would be wrong after a clock was set back.
            if not _is_new(left) and locks.is_free(left / _LOCK):
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with locks.hold(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def own_folder(prefix: str) -> Iterator[None]:
    """Let this program, its libraries and what it starts keep temporary files in one folder, as `folder_in` makes it.

    Raises:
        OSError: it can't be made.
    """
    with folder_in(Path(tempfile.gettempdir()), prefix) as folder:
        chosen, variables = tempfile.tempdir, {name: os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
        tempfile.tempdir = str(folder)
        os.environ.update(dict.fromkeys(variables, str(folder)))
        try:
            yield
        finally:
            tempfile.tempdir = chosen
            for name, value in variables.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _is_new(path: Path) -> bool:
    return abs(time.time() - path.stat().st_mtime) < _NEW_SECONDS
