"""One video of a batch and its result files."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import VideoMotionError
from ..footage.naming import numbered_images

PART_SECONDS = 60.0
"""How long parts of a long video are, about."""

WAITING, SPLIT, DONE, SKIPPED, FAILED = "waiting", "split", "done", "skipped", "failed"


class FolderError(VideoMotionError):
    """Results can't go to a folder."""


class BatchError(VideoMotionError):
    """A result can't be made."""


@dataclass(frozen=True)
class Call:
    """Work of training or evaluation, which goes through the same queue as videos.

    Attributes:
        function: `module:name` in `inference.research`. It is called with the folder for its files, a function that
            tells progress, and the arguments; it returns what NAME.json is to hold, None for no such file.
        arguments: by name, ready for JSON.
        files: those that it reads; who works on it has to see them under the same paths.
    """

    function: str
    arguments: Mapping[str, Any]
    files: Sequence[str] = ()


@dataclass
class VideoInput:
    """One video, or a part of one, and its results.

    Attributes:
        video: the footage.
        target: path of its results, without suffix.
        state: `waiting`, `split` (it has parts, which come first), `done`, `skipped` or `failed`.
        message: why it failed, in a sentence.
        files: names of the results, in the target's folder.
        people: number of people found.
        seconds: processing time.
        how: what gave the result, for the terminal.
        warnings: about the result, a sentence each.
        footage: how files name the footage, as seen from their folder; empty while it is where it will be.
        part: which part of the video it is, from `Part.to_json`; None for all of it. Parts get motions only.
        cuts: the parts that a long video is split into.
        parts: the same with their results, which are joined.
        call: other work than a video's, whose name `video` is then.
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
    part: Mapping[str, Any] | None = None
    cuts: Sequence[Mapping[str, Any]] = ()
    parts: list[VideoInput] = field(default_factory=list)
    call: Call | None = None

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
        files = numbered_images(self.video) if self.video.is_dir() else [self.video]
        states = [file.stat() for file in files]
        size, modified = sum(one.st_size for one in states), max(one.st_mtime_ns for one in states)
        origin = {"options": options, "code": code, "video": {"bytes": size, "modified": modified}}
        return origin if self.part is None else {**origin, "part": dict(self.part)}

    @property
    def parts_folder(self) -> Path:
        """Where results of parts are until they are joined; of a batch that was interrupted they stay."""
        return self.target.with_name(f".{self.target.name}.parts")

    def split(self) -> None:
        """Make the parts of `cuts`."""
        self.parts = [
            VideoInput(self.video, self.parts_folder / str(number), part=part)
            for number, part in enumerate(self.cuts, 1)
        ]

    def result_files(self) -> list[Path]:
        """Return the files of a part's results, NAME.json first. Raises OSError if it can't be read."""
        names = json.loads(self.report.read_text(encoding="utf-8"))["motions"]
        return [self.report, *(self.report.with_name(name) for name in names)]

    def remove_parts(self) -> None:
        """Remove what is left of parts."""
        shutil.rmtree(self.parts_folder, ignore_errors=True)

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
