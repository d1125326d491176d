"""Errors that are reported to users, and the one place that turns any error into a sentence. Standard library only."""

from __future__ import annotations

import traceback
from pathlib import Path

_MOST_LETTERS = 200
"""Of what a library says; some quote the whole file."""


class VideoMotionError(Exception):
    """Something that the user can understand and fix; the message is one sentence: what happened, and what to do."""


def sentence(error: BaseException, subject: str | Path = "", *, log: Path | None = None) -> str:
    """Return one line for the user that says what went wrong.

    Args:
        error: what was raised.
        subject: the file or task that gives no result because of it.
        log: where the traceback of an internal error is written, for a bug report; None for nowhere.
    """
    if isinstance(error, VideoMotionError):
        return one_line(error)
    if isinstance(error, ImportError):
        return (
            f"The package {error.name or 'that is needed'} can't be loaded ({one_line(error)}): install Video Motion"
            " again, in the edition for this system and this Blender."
        )
    if isinstance(error, MemoryError):
        return f"There is not enough memory for {subject}: close other programs, or choose a shorter part of it."
    if isinstance(error, OSError):
        place = error.filename or subject
        return f"{place} can't be used ({error.strerror or one_line(error)}): check the folder and its disk."
    what = f"{subject} gave no result because of a fault in Video Motion ({type(error).__name__}: {one_line(error)})"
    if log is not None:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        except OSError:
            return f"{what}."
        return f"{what}: please report it with {log}."
    return f"{what}."


def reason(error: BaseException | str) -> str:
    """Return what a library says, for brackets in a sentence: on one line without its full stop, cut if it is long."""
    return one_line(error)[:_MOST_LETTERS].rstrip(". ") or type(error).__name__


def one_line(error: BaseException | str) -> str:
    """Return a message on one line; Blender's and Python's own may have several."""
    return " ".join(str(error).split())
