"""The loop that converts videos: worker processes estimate motions, and a writer makes scenes of them.

Networks run in processes of their own, which load them once; scenes are built and exported by the caller's process,
one at a time.
"""

from __future__ import annotations

import collections
import functools
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .. import options as option_table
from ..atomic import atomic_write, write_json
from ..cache import hash_of_code
from ..console import Progress
from ..errors import VideoMotionError, one_line, sentence
from ..footage.naming import find_videos, motion_marks, output_names
from ..worker.process import WorkerProcess
from . import interruption
from .inputs import DONE, FAILED, SKIPPED, VideoInput, check_folder, why_unwritable
from .request import Request
from .summary import Summary, print_error, print_warning

POLL_SECONDS = 0.02

RESULT_CODE = (
    *("*.py", "batch/*.py", "body/*.py", "camera/*.py", "footage/*.py", "motion/**/*.py", "people/*.py", "pose/*.py"),
    *("worker/*.py", "../addon/*.py", "../addon/headless/*.py", "../addon/interchange/**/*.py"),
    *("../addon/retarget/**/*.py", "../addon/retarget/families/*.json", "../addon/scene/*.py"),
)
"""The code that results depend on: after a change, --resume doesn't reuse them."""


class BatchError(VideoMotionError):
    """A result can't be made."""


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


@dataclass
class _Slot:
    """Converts one video at a time."""

    process: WorkerProcess | None = None
    input: VideoInput | None = None
    progress: Progress | None = None
    began: float = 0.0
    count: int = 0


class VideoBatch:
    """Converts several videos.

    Args:
        request: what to convert, and how.
        writer: makes files in addition to the motions; None for motions only.

    Raises:
        VideoMotionError: no video can be converted.
    """

    def __init__(self, request: Request, writer: Writer | None = None):
        self._request, self._options, self._writer = request, request.options, writer
        out, options = request.out, request.options
        check_folder(out)
        if writer is not None:
            writer.check()
        if out is not None:
            _make_folder(out)
        videos, self._unusable = find_videos(request.videos)
        targets = output_names(videos, out)
        self._inputs = [VideoInput(video, target) for video, target in zip(videos, targets, strict=True)]
        estimation = options.to_json(option_table.ESTIMATION)
        for name, file in (("smpl", options.smpl), ("camera_file", options.camera_file)):
            if file is not None:
                estimation[name] = str(file.resolve())
        self._estimation = estimation
        self._summary = Summary(self._inputs, self._unusable, out, self._made_with())

    def run(self) -> int:
        """Convert all videos; return the exit status."""
        for message in self._unusable:
            print_error(message)
        waiting = self._pending_inputs()
        self._summary.write()
        slots = [_Slot() for _ in range(min(self._options.jobs, len(waiting)))]
        interrupted = False
        try:
            if self._writer is not None and waiting:
                self._step(slots, waiting)
                self._writer.prepare()
            while waiting or any(slot.input is not None for slot in slots):
                if interruption.requested():
                    raise KeyboardInterrupt
                if not self._step(slots, waiting):
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            interrupted = True
        finally:
            for slot in slots:
                if slot.process is not None:
                    slot.process.close()
        self._summary.close(interrupted)
        return interruption.STATUS if interrupted else int(self._summary.failed)

    def _pending_inputs(self) -> collections.deque[VideoInput]:
        """Return the videos that need converting."""
        waiting: collections.deque[VideoInput] = collections.deque()
        unwritable = functools.cache(why_unwritable)
        for one in self._inputs:
            one.remove_unfinished()
            if self._options.resume and one.reuse_results(self._made_with(), hash_of_code(*RESULT_CODE)):
                one.state = SKIPPED
                self._summary.say(one, self._first_result(one), "is done already")
                continue
            # A video that is missing is reported by the process that would read it.
            if one.video.exists() and (why := unwritable(one.target.parent)):
                one.fail(f"{one.video} gave no result: {one.target.parent} can't be written ({why}).")
                print_error(one.message)
                continue
            waiting.append(one)
        return waiting

    def _step(self, slots: Sequence[_Slot], waiting: collections.deque[VideoInput]) -> bool:
        """Update every slot once; return whether anything was done that took time."""
        busy = False
        for slot in slots:
            if slot.input is None:
                if waiting:
                    self._begin(slot, waiting.popleft())
                continue
            process = slot.process
            assert process is not None
            if process.poll() and not process.answered and slot.progress is not None and process.stage:
                slot.progress(process.stage, process.done, process.total)
            if not process.answered:
                continue
            busy = True
            if slot.progress is not None:
                slot.progress.close()
            self._collect(slot, waiting)
            if interruption.requested():
                break
        return busy

    def _begin(self, slot: _Slot, one: VideoInput) -> None:
        """Start a video in the slot's process, a new one if the last has ended."""
        # Progress lines of several videos would mix.
        slot.progress = Progress(one.video.name) if self._options.jobs == 1 else None
        if slot.process is not None and slot.process.ended:
            slot.process.close()
            slot.process = None
        slot.input, slot.began, slot.count = one, time.perf_counter(), slot.count + 1
        content = {"video": str(one.video), "options": self._estimation, "reuse": False, "log": str(one.log)}
        try:
            if slot.process is None:
                slot.process = WorkerProcess(
                    "convert",
                    self._request.weights,
                    Path(tempfile.gettempdir()),
                    python=self._request.python,
                    more=True,
                    **content,
                )
            else:
                # The previous video's files are still to be read from the process's own folder.
                folder = slot.process.folder / str(slot.count)
                folder.mkdir()
                slot.process.begin("convert", out=str(folder), **content)
        except OSError as error:
            raise BatchError(
                f"The work on {one.video} can't be started ({error.strerror or error}): make room in"
                f" {tempfile.gettempdir()}."
            ) from error

    def _collect(self, slot: _Slot, waiting: collections.deque[VideoInput]) -> None:
        """Write a result's files while the process works on the next video."""
        process, one, began = slot.process, slot.input, slot.began
        assert process is not None
        assert one is not None
        value, message, found = process.value, process.message, process.report
        slot.input = None
        if waiting:
            self._begin(slot, waiting.popleft())
        if value is None:
            one.fail(one_line(message or ""))
            self._write_without_result(one, found)
        else:
            self._finish(one, value, began)
        one.seconds = time.perf_counter() - began
        if one.state == FAILED:
            print_error(one.message)
        self._summary.write()

    def _finish(self, one: VideoInput, value: dict[str, Any], began: float) -> None:
        try:
            report = self._write(one, value)
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
        one.state, one.people = DONE, len(report["motions"])
        for warning in report["warnings"]:
            print_warning(warning)
        people = "1 person" if one.people == 1 else f"{one.people} people"
        people += f" in {shots} shots" if (shots := len(report["shots"])) > 1 else ""
        where = "CUDA" if report["device"] == "cuda" else "the CPU"
        seconds = time.perf_counter() - began
        self._summary.say(one, self._first_result(one), f"{people}, {seconds:.1f} s, {report['estimator']} on {where}")

    def _write_without_result(self, one: VideoInput, report: dict[str, Any] | None) -> None:
        """Write NAME.json of a video in which nobody was found, with the `message`; it names no results to reuse."""
        if report is None:
            return
        try:
            one.target.parent.mkdir(parents=True, exist_ok=True)
            write_json(one.report, {**report, "message": one.message, "motions": []})
        except OSError as error:
            print_warning(f"{one.report} can't be written ({error.strerror or error}).")
            return
        one.files = [one.report.name]

    def _write(self, one: VideoInput, value: dict[str, Any]) -> dict[str, Any]:
        """Write a video's files, NAME.json last; return its content."""
        one.target.parent.mkdir(parents=True, exist_ok=True)
        report = {**value["report"], "timings": {**value["report"]["timings"]}}
        marks = motion_marks([(person["shot"], person["person"]) for person in report["people"]])
        files = []
        for given, mark in zip(value["motions"], marks, strict=True):
            files.append(one.file(f"{mark}.motion.npz"))
            with atomic_write(files[-1]) as temporary:
                shutil.copyfile(given, temporary)
        report["motions"] = [file.name for file in files]
        if self._writer is not None:
            files += self._writer.write(one, list(map(Path, value["motions"])), Path(value["body"]), report)
        origin = one.origin(self._made_with(), hash_of_code(*RESULT_CODE))
        report["made"] = {**origin, "files": {file.name: file.stat().st_size for file in files}}
        write_json(one.report, report)
        one.files = [*(file.name for file in files), one.report.name]
        return report

    def _made_with(self) -> dict[str, Any]:
        """Return the options that decide results, ready for JSON."""
        groups = (option_table.SCENE, option_table.FILES) if self._writer is not None else ()
        made_with = self._options.to_json(option_table.ESTIMATION, defaults=True) | self._estimation
        made_with |= self._options.to_json(groups, defaults=True)
        if self._options.camera_file is not None and self._options.camera_file.exists():
            made_with["camera_modified"] = self._options.camera_file.stat().st_mtime_ns
        if self._options.rig is not None and self._writer is not None:
            made_with |= {
                "rig": str(self._options.rig.resolve()),
                "rig_modified": self._options.rig.stat().st_mtime_ns,
            }
        return made_with

    def _first_result(self, one: VideoInput) -> Path:
        if self._writer is None:
            return one.file(".motion.npz")
        return one.file(option_table.SUFFIXES[self._options.format[0]])


def _make_folder(out: Path) -> None:
    """Make the folder of --out if needed, and check that it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        why = why_unwritable(out)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise BatchError(f"{out} can't be written ({why}): choose another folder for --out.")
