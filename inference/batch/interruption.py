"""Ctrl-C, the system's request to terminate and the end of the caller, recorded until the work can stop cleanly.

As exceptions they would be lost where Blender calls Python, and Blender's own handler would stop in the middle.
"""

from __future__ import annotations

import os
import signal
import threading

STATUS = 128 + signal.SIGINT
"""Exit status after an interruption."""

_requested = False


def listen() -> None:
    """Record interruptions from now on."""
    global _requested
    _requested = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _record)


def first_line() -> str:
    """Return the first line of standard input; its end, which the death of the caller brings, is an interruption."""
    line = b""
    # Not through `sys.stdin`: ending the process would wait for its lock.
    while b"\n" not in line and (block := os.read(0, 1 << 16)):
        line += block
    threading.Thread(target=_wait_for_end, daemon=True).start()
    return line.decode(errors="replace")


def requested() -> bool:
    """Return whether an interruption was requested."""
    return _requested


def _wait_for_end() -> None:
    global _requested
    while os.read(0, 1 << 16):
        pass
    _requested = True


def _record(*_: object) -> None:
    global _requested
    _requested = True
    # A second Ctrl-C interrupts at once.
    signal.signal(signal.SIGINT, signal.default_int_handler)
