"""The outcome of a batch: lines on the terminal, and batch.json."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..atomic import remove_left, write_json
from ..errors import VideoMotionError, one_line
from .inputs import DONE, FAILED, SKIPPED, WAITING, VideoInput, why_unwritable

NAME = "batch.json"
NAME_IF_TAKEN = "batch.summary.json"
_PAUSES = 20
"""How many times as long as writing the summary takes nobody writes it again."""


class SummaryError(VideoMotionError):
    """The summary can't be written."""


def print_error(message: Exception | str) -> None:
    """Print an error on one line."""
    print(f"video-motion: {one_line(message)}", file=sys.stderr, flush=True)


def print_warning(warning: str) -> None:
    """Print a warning."""
    print(f"warning: {warning}", file=sys.stderr, flush=True)


class Summary:
    """The results of a batch so far.

    Args:
        inputs: its videos.
        unusable: a sentence for each input that gives no video.
        out: the folder of the results, None for each video's own.
        options: those the results depend on, ready for JSON.
        notes: sentences about who worked, which may grow.
        how_on: how to go on after an interruption.
    """

    def __init__(
        self,
        inputs: Sequence[VideoInput],
        unusable: Sequence[str],
        out: Path | None,
        options: Mapping[str, Any],
        notes: Sequence[str] = (),
        how_on: str = "the same command and --resume",
    ):
        self._inputs, self._unusable, self._options, self._notes = inputs, unusable, options, notes
        self._how_on = how_on
        self._numbers = {id(one): number for number, one in enumerate(inputs, 1)}
        self._began, self._next = time.perf_counter(), 0.0
        self._file: Path | None = None
        # A single video's own files report everything.
        if len(inputs) > 1:
            folder = out or _common_folder([one.target.parent.resolve() for one in inputs])
            taken = {one.target.name.casefold() for one in inputs}
            if folder is not None:
                self._file = folder / (NAME if Path(NAME).stem not in taken else NAME_IF_TAKEN)
                remove_left(folder, self._file.name, 0.0)

    @property
    def failed(self) -> bool:
        """Whether an input gave no result."""
        return bool(self._states()[FAILED])

    def say(self, one: VideoInput, result: Path, what: str) -> None:
        """Print the outcome of one video."""
        total = len(self._inputs)
        number = f"{self._numbers[id(one)]} of {total}: " if total > 1 else ""
        print(f"{number}{result}: {what}", flush=True)

    def write(self, final: bool = False) -> None:
        """Write batch.json, where there are several videos; of many not after each of them.

        Raises:
            SummaryError: it can't be written.
        """
        began = time.perf_counter()
        if self._file is None or (began < self._next and not final):
            return
        rows = [
            {
                "video": str(one.video),
                "state": one.state,
                "folder": str(one.target.parent),
                "files": one.files,
                "people": one.people,
                "seconds": round(one.seconds, 3),
                "message": one.message,
            }
            for one in self._inputs
        ]
        content = {
            **self._states(),
            "seconds": round(time.perf_counter() - self._began, 3),
            "options": self._options,
            "unusable": self._unusable,
            "notes": list(self._notes),
            "videos": rows,
        }
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._file, content)
        except OSError as error:
            raise SummaryError(
                f"{self._file} can't be written ({error.strerror}): choose another folder for --out."
            ) from error
        # Of ten thousand videos it has megabytes.
        now = time.perf_counter()
        self._next = now + _PAUSES * (now - began)

    def close(self, interrupted: bool) -> None:
        """Write the summary, and print it if there are several inputs or the batch was interrupted."""
        self.write(final=True)
        if len(self._inputs) + len(self._unusable) < 2 and not interrupted:
            return
        states = self._states()
        left = sum(one.state == WAITING for one in self._inputs)
        words = [f"{count} {state}" for state, count in states.items()] + ([f"{left} left"] if left else [])
        seconds = time.perf_counter() - self._began
        where = f"; details are in {self._file}" if self._file is not None else ""
        print(f"video-motion: {', '.join(words)}, {seconds:.1f} s{where}.", file=sys.stderr)
        for note in self._notes:
            print(f"  {note}", file=sys.stderr)
        if states[FAILED]:
            print(f"video-motion: {states[FAILED]} of the inputs gave no result:", file=sys.stderr)
            for message in [*self._unusable, *(one.message for one in self._inputs if one.state == FAILED)]:
                print(f"  {message}", file=sys.stderr)
        if interrupted:
            print(f"video-motion: interrupted; continue with {self._how_on}.", file=sys.stderr)
        sys.stderr.flush()

    def _states(self) -> dict[str, int]:
        counts = {state: sum(one.state == state for one in self._inputs) for state in (DONE, SKIPPED, FAILED)}
        return {**counts, FAILED: counts[FAILED] + len(self._unusable)}


def _common_folder(folders: Sequence[Path]) -> Path | None:
    """Return the common parent of some folders if it is writable; otherwise None, as nobody asked for a file there."""
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:  # Windows: on several drives
        return None
    return None if why_unwritable(common) else common
