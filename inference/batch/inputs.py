"""One video of a batch and its result files."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import VideoMotionError

WAITING, DONE, SKIPPED, FAILED = "waiting", "done", "skipped", "failed"


class FolderError(VideoMotionError):
    """Results can't go to a folder."""


class BatchError(VideoMotionError):
    """A result can't be made."""


@dataclass
class VideoInput:
    """One video and its results.

    Attributes:
        video: the footage.
        target: path of its results, without suffix.
        state: `waiting`, `done`, `skipped` or `failed`.
        message: why it failed, in a sentence.
        files: names of the results, in the target's folder.
        people: number of people found.
        seconds: processing time.
        how: what gave the result, for the terminal.
        warnings: about the result, a sentence each.
        footage: how files name the footage, as seen from their folder; empty while it is where it will be.
    """

    video: Path
    target: Path
    state: str = WAITING
    message: str = ""
    files: list[str] = field(default_factory=list)
    people: int = 0
    seconds: float = 0.0
    how: str = ""
    warnings: list[str] = field(default_factory=list)
    footage: str = ""

    def file(self, suffix: str) -> Path:
        """Return the path of the result with a suffix."""
        # Not `with_suffix`: in "walk.take2" the dot is part of the name.
        return self.target.with_name(self.target.name + suffix)

    @property
    def report(self) -> Path:
        """NAME.json, which is written last."""
        return self.file(".json")

    @property
    def log(self) -> Path:
        """Where the traceback of an internal error is written."""
        return self.file(".error.log")

    @property
    def footage_path(self) -> str:
        """How Blender files of the target's folder name the footage."""
        return self.footage or blender_path(self.video, self.target.parent)

    def fail(self, message: str) -> None:
        """Record why there is no result."""
        self.state, self.message = FAILED, message

    def origin(self, options: Mapping[str, Any], code: str) -> dict[str, Any]:
        """Return what the results depend on: options, code and video."""
        state = self.video.stat()
        return {
            "options": options,
            "code": code,
            "video": {"bytes": state.st_size, "modified": state.st_mtime_ns},
        }

    def reuse_results(self, options: Mapping[str, Any], code: str) -> bool:
        """Use an earlier run's results if they are complete and depend on the same options, code and video."""
        try:
            content = json.loads(self.report.read_text(encoding="utf-8"))
            made = content["made"]
            sizes = made.pop("files")
            complete = all((self.target.parent / name).stat().st_size == size for name, size in sizes.items())
            if not complete or made != self.origin(options, code):
                return False
            self.files, self.people = [*sizes, self.report.name], len(content["motions"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        return True

    def remove_unfinished(self) -> None:
        """Remove partly written files of an earlier run that was killed."""
        for left in unfinished(self.target.parent, self.target.name):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                # A folder that can't be changed is reported before something is written to it.
                with contextlib.suppress(OSError):
                    left.unlink()


def blender_path(file: Path, folder: Path) -> str:
    """Return Blender's way to write a file as seen from a folder; absolute where they share no drive."""
    file, folder = file.resolve(), folder.resolve()
    try:
        return "//" + os.path.relpath(file, folder).replace(os.sep, "/")
    except ValueError:
        return str(file)


def unfinished(folder: Path, name: str = "") -> list[Path]:
    """Return partly written files in a folder: those of a result's name, or all."""
    pattern = f".{glob.escape(name)}.*" if name else ".*"
    return [left for left in folder.glob(pattern) if re.search(r"\.part$|\.\d+\.blend[1@]?$", left.name)]


def check_folder(out: Path | None) -> None:
    """Raise a `FolderError` if results can't go to `out` because it is a file."""
    if out is not None and out.exists() and not out.is_dir():
        raise FolderError(f"{out} is a file: give a folder to --out.")


def why_unwritable(folder: Path) -> str:
    """Return why nothing can be written to a folder, in the system's words; empty where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
