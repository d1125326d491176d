"""One video of a batch and its files."""

from __future__ import annotations

import contextlib
import glob
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAITING, DONE, SKIPPED, FAILED = "waiting", "done", "skipped", "failed"


@dataclass
class VideoInput:
    """One video and what becomes of it.

    Attributes:
        video: the footage.
        target: where its results go, without suffix.
        state: `waiting`, `done`, `skipped` or `failed`.
        message: why it failed, in a sentence.
        files: names of the results, in the target's folder.
        people: how many were found.
        seconds: that it took.
    """

    video: Path
    target: Path
    state: str = WAITING
    message: str = ""
    files: list[str] = field(default_factory=list)
    people: int = 0
    seconds: float = 0.0

    def file(self, suffix: str) -> Path:
        """Return the result with a suffix."""
        # Not `with_suffix`: in "walk.take2" the dot is part of the name.
        return self.target.with_name(self.target.name + suffix)

    @property
    def report(self) -> Path:
        """NAME.json, which is written last of all."""
        return self.file(".json")

    @property
    def log(self) -> Path:
        """Where the traceback of a fault goes."""
        return self.file(".error.log")

    def fail(self, message: str) -> None:
        """Note why there is no result."""
        self.state, self.message = FAILED, message

    def origin(self, options: Mapping[str, Any], code: str) -> dict[str, Any]:
        """Return what the results depend on: options, code and video."""
        state = self.video.stat()
        return {
            "options": options,
            "code": code,
            "video": {"bytes": state.st_size, "modified": state.st_mtime_ns},
        }

    def take_earlier(self, options: Mapping[str, Any], code: str) -> bool:
        """Take over an earlier run's results if they are all there, complete, and what this run would give."""
        try:
            content = json.loads(self.report.read_text(encoding="utf-8"))
            made = content["made"]
            sizes = made.pop("files")
            complete = all((self.target.parent / name).stat().st_size == size for name, size in sizes.items())
            if not complete or made != self.origin(options, code):
                return False
            self.files, self.people = [*sizes, self.report.name], len(content["motions"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def remove_unfinished(self) -> None:
        """Remove what an earlier run that was killed has left half-written."""
        for left in self.target.parent.glob(f".{glob.escape(self.target.name)}.*"):
            if re.search(r"\.part$|\.\d+\.blend1?$", left.name) is None:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                # What can't be removed is reported where something is to be written.
                with contextlib.suppress(OSError):
                    left.unlink()


def why_unwritable(folder: Path) -> str:
    """Return why nothing can be written to a folder, in the system's words; empty where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
