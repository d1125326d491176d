"""Ctrl-C and the system's request to terminate, recorded until the work can stop cleanly.

As exceptions they would be lost where Blender calls Python, and Blender's own handler would stop in the middle.
"""

from __future__ import annotations

import signal

STATUS = 128 + signal.SIGINT
"""Exit status after an interruption."""

_requested = False


def listen() -> None:
    """Record interruptions from now on."""
    global _requested
    _requested = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _record)


def requested() -> bool:
    """Return whether an interruption was requested."""
    return _requested


def _record(*_: object) -> None:
    global _requested
    _requested = True
    # A second Ctrl-C interrupts at once.
    signal.signal(signal.SIGINT, signal.default_int_handler)
