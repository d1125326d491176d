"""The one loop that converts videos: worker processes estimate motions, and a writer makes scenes of them.

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
from ..footage.naming import find_videos, output_names
from ..worker.process import WorkerProcess
from . import interruption
from .inputs import DONE, FAILED, SKIPPED, VideoInput, why_unwritable
from .request import Request
from .summary import Summary, complain, warn

POLL_SECONDS = 0.02

RESULT_CODE = (
    *("*.py", "batch/*.py", "body/*.py", "camera/*.py", "footage/*.py", "motion/**/*.py", "people/*.py", "pose/*.py"),
    *("worker/*.py", "../addon/*.py", "../addon/headless/*.py", "../addon/interchange/**/*.py"),
    *("../addon/retarget/**/*.py", "../addon/retarget/families/*.json", "../addon/scene/*.py"),
)
"""What decides results: a change makes them again where --resume would take those that are there."""


class BatchError(VideoMotionError):
    """A result that can't be made."""


class Writer(Protocol):
    """Makes the files of `Options.format` from a video's motions."""

    def check(self) -> None:
        """Find out before hours of work what would go wrong for every video. Raises `VideoMotionError`."""
        ...

    def write(self, one: VideoInput, motions: Sequence[Path], body: Path, report: dict[str, Any]) -> list[Path]:
        """Write one video's files and return them; add to its report what is known of them.

        Raises:
            VideoMotionError, OSError: they can't be made.
        """
        ...


@dataclass
class _Seat:
    """A place where one video at a time is worked on."""

    process: WorkerProcess | None = None
    input: VideoInput | None = None
    progress: Progress | None = None
    began: float = 0.0
    count: int = 0


class VideoBatch:
    """Videos on their way to results.

    Args:
        request: what to convert, and how.
        writer: makes files beside the motions; None for motions alone.

    Raises:
        VideoMotionError: nothing can be made of any video.
    """

    def __init__(self, request: Request, writer: Writer | None = None):
        self._request, self._options, self._writer = request, request.options, writer
        out, options = request.out, request.options
        if out is not None and out.exists() and not out.is_dir():
            raise BatchError(f"{out} is a file: give a folder to --out.")
        if writer is not None:
            writer.check()
        if out is not None:
            _make_folder(out)
        videos, self._unusable = find_videos(request.videos)
        targets = output_names(videos, out)
        self._inputs = [VideoInput(video, target) for video, target in zip(videos, targets, strict=True)]
        estimation = options.to_json(option_table.ESTIMATION)
        if options.smpl is not None:
            estimation["smpl"] = str(options.smpl.resolve())
        self._estimation = estimation
        self._summary = Summary(self._inputs, self._unusable, out, self._made_with())

    def run(self) -> int:
        """Convert them all; return the exit status."""
        for message in self._unusable:
            complain(message)
        waiting = self._sort_out()
        self._summary.write()
        seats = [_Seat() for _ in range(min(self._options.jobs, len(waiting)))]
        interrupted = False
        try:
            while waiting or any(seat.input is not None for seat in seats):
                if interruption.requested():
                    raise KeyboardInterrupt
                if not self._step(seats, waiting):
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            interrupted = True
        finally:
            for seat in seats:
                if seat.process is not None:
                    seat.process.forget()
        self._summary.close(interrupted)
        return interruption.STATUS if interrupted else int(self._summary.failed)

    def _sort_out(self) -> collections.deque[VideoInput]:
        """Return the videos that need work."""
        waiting: collections.deque[VideoInput] = collections.deque()
        unwritable = functools.cache(why_unwritable)
        for one in self._inputs:
            one.remove_unfinished()
            if self._options.resume and one.take_earlier(self._made_with(), hash_of_code(*RESULT_CODE)):
                one.state = SKIPPED
                self._summary.say(one, self._first_result(one), "is done already")
                continue
            # A video that is missing is reported by the process that would read it.
            if one.video.exists() and (why := unwritable(one.target.parent)):
                one.fail(f"{one.video} gave no result: {one.target.parent} can't be written ({why}).")
                complain(one.message)
                continue
            waiting.append(one)
        return waiting

    def _step(self, seats: Sequence[_Seat], waiting: collections.deque[VideoInput]) -> bool:
        """Look after every seat once; return whether anything was done that took time."""
        busy = False
        for seat in seats:
            if seat.input is None:
                if waiting:
                    self._begin(seat, waiting.popleft())
                continue
            process = seat.process
            assert process is not None
            if process.poll() and not process.answered and seat.progress is not None and process.stage:
                seat.progress(process.stage, process.done, process.total)
            if not process.answered:
                continue
            busy = True
            if seat.progress is not None:
                seat.progress.close()
            self._take(seat, waiting)
            if interruption.requested():
                break
        return busy

    def _begin(self, seat: _Seat, one: VideoInput) -> None:
        """Hand a video to a process, a new one where the last has ended."""
        # The lines of several at once would only mix.
        seat.progress = Progress(one.video.name) if self._options.jobs == 1 else None
        if seat.process is not None and seat.process.ended:
            seat.process.forget()
            seat.process = None
        seat.input, seat.began, seat.count = one, time.perf_counter(), seat.count + 1
        content = {"video": str(one.video), "options": self._estimation, "reuse": False, "log": str(one.log)}
        try:
            if seat.process is None:
                seat.process = WorkerProcess(
                    "convert",
                    self._request.weights,
                    Path(tempfile.gettempdir()),
                    python=self._request.python,
                    more=True,
                    **content,
                )
            else:
                # The one before is still to be read from the process's own folder.
                folder = seat.process.folder / str(seat.count)
                folder.mkdir()
                seat.process.begin("convert", out=str(folder), **content)
        except OSError as error:
            raise BatchError(
                f"The work on {one.video} can't be started ({error.strerror or error}): make room in"
                f" {tempfile.gettempdir()}."
            ) from error

    def _take(self, seat: _Seat, waiting: collections.deque[VideoInput]) -> None:
        """Write an answer's files, while the process goes on with the next video."""
        process, one, began = seat.process, seat.input, seat.began
        assert process is not None
        assert one is not None
        value, message = process.value, process.message
        seat.input = None
        if waiting:
            self._begin(seat, waiting.popleft())
        if value is None:
            one.fail(one_line(message or ""))
        else:
            self._finish(one, value, began)
        one.seconds = time.perf_counter() - began
        if one.state == FAILED:
            complain(one.message)
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
            warn(warning)
        people = "1 person" if one.people == 1 else f"{one.people} people"
        where = "CUDA" if report["device"] == "cuda" else "the CPU"
        seconds = time.perf_counter() - began
        self._summary.say(one, self._first_result(one), f"{people}, {seconds:.1f} s, {report['estimator']} on {where}")

    def _write(self, one: VideoInput, value: dict[str, Any]) -> dict[str, Any]:
        """Write a video's files, NAME.json last of all; return what that holds."""
        one.target.parent.mkdir(parents=True, exist_ok=True)
        report = {**value["report"], "timings": {**value["report"]["timings"]}}
        people = [person["person"] for person in report["people"]]
        files = []
        for given, person in zip(value["motions"], people, strict=True):
            files.append(one.file(f".person-{person}.motion.npz" if files else ".motion.npz"))
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
        if self._options.rig is not None and self._writer is not None:
            made_with |= {
                "rig": str(self._options.rig.resolve()),
                "rig_modified": self._options.rig.stat().st_mtime_ns,
            }
        return made_with

    def _first_result(self, one: VideoInput) -> Path:
        if self._writer is None:
            return one.file(".motion.npz")
        return one.file(suffix_of(self._options.format[0]))


def suffix_of(format: str) -> str:
    """Return how the files of a format end."""
    return ".amass.npz" if format == "amass" else f".{format}"


def _make_folder(out: Path) -> None:
    """Make the folder of --out, where there is none, and try whether it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        why = why_unwritable(out)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise BatchError(f"{out} can't be written ({why}): choose another folder for --out.")
