"""What the user sees while a command works. Standard library only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PROGRESS_SECONDS = 5.0
TERMINAL_SECONDS = 0.2


def say(line: str) -> None:
    """Print one line on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` now, and the elapsed time when the block ends without an exception."""
    began = time.monotonic()
    print(f"{what} …", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        say("")
        raise
    say(f" {time.monotonic() - began:.1f} s")


class Progress:
    """A progress line per stage: rewritten in place on a terminal, a line every few seconds elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._stage = ""
        self._began = self._shown = 0.0
        self._open_line = False

    def __call__(self, stage: str, done: int, total: int | None = None) -> None:
        """Report that `stage` has processed `done` of `total` frames (None: unknown)."""
        now = time.monotonic()
        if stage != self._stage:
            self.close()
            self._stage, self._began, self._shown = stage, now, now
        finished = total is not None and done >= total
        if now - self._shown < (TERMINAL_SECONDS if self._terminal else PROGRESS_SECONDS) and not finished:
            return
        self._shown = now
        rate = done / (now - self._began) if now > self._began else 0.0
        count = f"{done} of {total}" if total and done <= total else f"{done}"
        line = f"{self._name}: {stage}, {count} frames, {rate:.0f} per second"
        if self._terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self._open_line = True
        else:
            say(line)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._open_line:
            say("")
            self._open_line = False


def megabytes(size: int) -> str:
    """Return `size` bytes for people to read."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e6:.1f} MB"
