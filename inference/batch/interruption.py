"""Ctrl-C and the system's request to end, noted until the work can stop in good order.

As exceptions they would be lost where Blender calls Python, and Blender's own handler would end it half-way.
"""

from __future__ import annotations

import signal

STATUS = 128 + signal.SIGINT
"""Exit status after an interruption."""

_requested = False


def listen() -> None:
    """Note interruptions from now on."""
    global _requested
    _requested = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _note)


def requested() -> bool:
    """Return whether somebody wants the work to end."""
    return _requested


def _note(*_: object) -> None:
    global _requested
    _requested = True
    # Who asks twice does not want to wait.
    signal.signal(signal.SIGINT, signal.default_int_handler)
