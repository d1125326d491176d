"""A lock that one process at a time holds, on every system. Standard library only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

POLL_SECONDS = 0.2


@contextmanager
def hold(file: Path, waiting: Callable[[], AbstractContextManager[object]] = nullcontext) -> Iterator[int]:
    """Hold the lock on a file, which is made if it is missing and stays; yield its descriptor.

    The system releases the lock when the process ends, however it ends. On Linux and macOS a child that inherits the
    descriptor keeps it held.

    Args:
        file: in a folder that exists.
        waiting: makes the context to wait in while another process holds the lock, to report that.

    Raises:
        OSError: the file can't be opened.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _take(descriptor):
            with waiting():
                while not _take(descriptor):
                    time.sleep(POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(file: Path) -> bool:
    """Return whether no process holds the lock on a file; that holds, too, where there is none.

    Raises:
        OSError: the file can't be opened.
    """
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        return _take(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        if fcntl is None:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # pyrefly: ignore[missing-attribute]
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
