"""The files of one video, from what was estimated of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..atomic import atomic_write, write_json
from ..errors import VideoMotionError, one_line, sentence
from ..footage.naming import motion_marks
from .inputs import DONE, VideoInput


class Writer(Protocol):
    """Makes the files of `Options.format` from a video's motions."""

    def check(self) -> None:
        """Find problems that would affect every video before any work begins. Raises `VideoMotionError`."""
        ...

    def prepare(self) -> None:
        """Load what `write` needs, while the first videos are worked on."""
        ...

    def write(self, one: VideoInput, motions: Sequence[Path], body: Path, report: dict[str, Any]) -> list[Path]:
        """Write one video's files and return them; add to the video's report.

        Raises:
            VideoMotionError, OSError: they can't be made.
        """
        ...


def write_results(one: VideoInput, value: Mapping[str, Any], writer: Writer | None, origin: Mapping[str, Any]) -> None:
    """Write a video's files, NAME.json last; update the video, also if they can't be written.

    Args:
        one: the video.
        value: the worker's result.
        writer: makes files in addition to the motions; None for motions only.
        origin: what the results depend on, see `VideoInput.origin`.
    """
    try:
        report = _write(one, value, writer, origin)
    except VideoMotionError as error:
        one.fail(one_line(error))
        return
    except OSError as error:
        name = error.filename or one.target.parent
        one.fail(f"{one.video} gave no result: {name} can't be written ({error.strerror or error}).")
        return
    except Exception as error:
        one.fail(sentence(error, one.video, log=one.log))
        return
    one.state, one.people, one.warnings = DONE, len(report["motions"]), report["warnings"]
    people = "1 person" if one.people == 1 else f"{one.people} people"
    people += f" in {shots} shots" if (shots := len(report["shots"])) > 1 else ""
    where = "CUDA" if report["device"] == "cuda" else "the CPU"
    one.how = f"{people}, {report['estimator']} on {where}"


def write_answer(one: VideoInput, value: Mapping[str, Any]) -> None:
    """Give the files of a call their names, NAME.json last; update it, also if they can't be written.

    Args:
        one: the call.
        value: the worker's result.
    """
    folder = one.target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in map(Path, value["files"]):
            with atomic_write(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
            file.unlink()
            one.files.append(file.name)
        if value["answer"] is not None:
            write_json(one.report, value["answer"])
            one.files.append(one.report.name)
    except OSError as error:
        one.fail(f"{one.video} gave no result: {folder} can't be written ({error.strerror or error}).")
        return
    one.state = DONE


def write_without_result(one: VideoInput, message: str, report: Mapping[str, Any] | None) -> None:
    """Record why a video has no result.

    Args:
        one: the video.
        message: why, in a sentence.
        report: what was seen of a video in which nobody was found; goes to NAME.json, which names no results to reuse.
    """
    one.fail(one_line(message))
    if report is None:
        return
    try:
        one.target.parent.mkdir(parents=True, exist_ok=True)
        write_json(one.report, {**report, "message": one.message, "motions": []})
    except OSError as error:
        one.warnings = [f"{one.report} can't be written ({error.strerror or error})."]
        return
    one.files = [one.report.name]


def _write(
    one: VideoInput, value: Mapping[str, Any], writer: Writer | None, origin: Mapping[str, Any]
) -> dict[str, Any]:
    one.target.parent.mkdir(parents=True, exist_ok=True)
    report = {**value["report"], "timings": {**value["report"]["timings"]}}
    marks = motion_marks([(person["shot"], person["person"]) for person in report["people"]])
    files = []
    for given, mark in zip(value["motions"], marks, strict=True):
        files.append(one.file(f"{mark}.motion.npz"))
        with atomic_write(files[-1]) as temporary:
            shutil.copyfile(given, temporary)
    report["motions"] = [file.name for file in files]
    if writer is not None:
        files += writer.write(one, list(map(Path, value["motions"])), Path(value["body"]), report)
    report["made"] = {**origin, "files": {file.name: file.stat().st_size for file in files}}
    write_json(one.report, report)
    one.files = [*(file.name for file in files), one.report.name]
    return report
