"""The queue of a batch: what waits, what is done already, and what became of the rest, whoever does the work."""

from __future__ import annotations

import collections
import functools
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .. import options as option_table
from ..cache import hash_of_code
from ..console import Progress, say
from ..estimators import own_files
from ..footage.naming import find_videos, output_names
from . import interruption
from .inputs import (
    FAILED,
    PART_SECONDS,
    SKIPPED,
    SPLIT,
    WAITING,
    BatchError,
    VideoInput,
    check_folder,
    unfinished,
    why_unwritable,
)
from .local import LocalRunner
from .request import Request
from .results import Writer
from .summary import Summary, print_error, print_warning

POLL_SECONDS = 0.02

RESULT_CODE = (
    *("*.py", "batch/*.py", "body/*.py", "camera/*.py", "faces/*.py", "footage/*.py", "hands/*.py", "motion/**/*.py"),
    *("people/*.py", "pose/*.py", "runtime/*.py", "worker/*.py"),
    *("../addon/*.py", "../addon/headless/*.py", "../addon/interchange/**/*.py"),
    *("../addon/retarget/**/*.py", "../addon/retarget/families/*.json", "../addon/scene/*.py"),
)
"""The code that results depend on: after a change, --resume doesn't reuse them."""


class Runner(Protocol):
    """Works on videos: `LocalRunner` on this machine, another on many.

    Attributes:
        notes: what happened to who works, not to a video, a sentence each.
    """

    notes: list[str]

    def check(self) -> None:
        """Find problems that would affect every video before any work begins. Raises `VideoMotionError`."""
        ...

    @property
    def wants(self) -> bool:
        """Whether another video can be begun."""
        ...

    def begin(self, one: VideoInput, origin: Mapping[str, Any]) -> None:
        """Begin the work on a video. Raises `VideoMotionError` if no video can be worked on.

        Args:
            one: the video, a part of one, or one whose parts are done.
            origin: what its results depend on, see `VideoInput.origin`.
        """
        ...

    def step(self) -> list[VideoInput]:
        """Go on without waiting; return the videos that have their results, or none, or parts, since the last call."""
        ...

    def close(self) -> None:
        """End all work."""
        ...


class Queue:
    """Gives inputs to a runner, as many at a time as it wants, and takes what it has done.

    Args:
        runner: who works on them.
    """

    def __init__(self, runner: Runner):
        self._runner = runner
        self._waiting: collections.deque[VideoInput] = collections.deque()
        self._working = 0

    def _work(self) -> bool:
        """Work on all inputs; return whether that was interrupted."""
        told = 0
        try:
            while True:
                if interruption.requested():
                    raise KeyboardInterrupt
                while self._runner.wants and (one := self._next()) is not None:
                    self._begin(one)
                    self._working += 1
                if not self._working:
                    return False
                done = self._runner.step()
                self._working -= len(done)
                for one in done:
                    self._take(one)
                for note in self._runner.notes[told:]:
                    print_warning(note)
                told = len(self._runner.notes)
                if not done:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return True
        finally:
            self._runner.close()

    def _next(self) -> VideoInput | None:
        """Return the next input; None if there is none at the moment."""
        return self._waiting.popleft() if self._waiting else None

    def _begin(self, one: VideoInput) -> None:
        """Begin the work on an input."""
        self._runner.begin(one, {})

    def _take(self, one: VideoInput) -> None:
        """Take what a runner has done."""
        raise NotImplementedError


class VideoBatch(Queue):
    """Converts several videos.

    Args:
        request: what to convert, and how.
        writer: makes files in addition to the motions on this machine; None for motions only.
        runner: who works on them; None for this machine.

    Raises:
        VideoMotionError: no video can be converted.
    """

    def __init__(self, request: Request, writer: Writer | None = None, runner: Runner | None = None):
        self._options = request.options
        out = request.out
        check_folder(out)
        # Progress lines of several videos would mix.
        self._lines: dict[int, Progress] = {}
        # Of the parts of long videos that are to be done, by identity, the video.
        self._wholes: dict[int, VideoInput] = {}
        super().__init__(
            runner
            or LocalRunner(
                estimation(request.options),
                request.weights,
                request.python,
                writer,
                request.options.jobs,
                self._show if request.options.jobs == 1 else None,
                # Alone nobody could work on the next part.
                PART_SECONDS if request.options.jobs > 1 else 0.0,
            )
        )
        self._runner.check()
        if out is not None:
            _make_folder(out)
        videos, self._unusable = find_videos(request.videos)
        targets = output_names(videos, out)
        self._inputs = [VideoInput(video, target) for video, target in zip(videos, targets, strict=True)]
        self._summary = Summary(self._inputs, self._unusable, out, self._made_with(), self._runner.notes)

    def run(self) -> int:
        """Convert all videos; return the exit status."""
        for message in self._unusable:
            print_error(message)
        self._waiting = self._pending_inputs()
        self._summary.write()
        interrupted = self._work()
        self._summary.close(interrupted)
        return interruption.STATUS if interrupted else int(self._summary.failed)

    def _pending_inputs(self) -> collections.deque[VideoInput]:
        """Return the videos that need converting."""
        waiting: collections.deque[VideoInput] = collections.deque()
        # Thousands of videos share a folder, which need not be read for each.
        unwritable, has_unfinished = functools.cache(why_unwritable), functools.cache(unfinished)
        for one in self._inputs:
            if has_unfinished(one.target.parent):
                one.remove_unfinished()
            reused = self._options.resume and one.reuse_results(self._made_with(), hash_of_code(*RESULT_CODE))
            if reused or not self._options.resume:
                one.remove_parts()
            if reused:
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

    def _begin(self, one: VideoInput) -> None:
        try:
            origin = one.origin(self._made_with(), hash_of_code(*RESULT_CODE))
        except OSError:
            # The one who reads it says why it can't be read.
            origin = {}
        self._runner.begin(one, origin)

    def _take(self, one: VideoInput) -> None:
        """Take a video that is done or has parts, or a part that is done."""
        if one.state == SPLIT:
            self._split(one)
            return
        whole = self._wholes.pop(id(one), None)
        if whole is None:
            # Without files it has failed, and parts are not to be done again.
            if one.parts and one.files:
                one.remove_parts()
            self._record(one)
            return
        whole.seconds += one.seconds
        if one.state == FAILED and not one.files:
            whole.message = one.message
            for part in [part for part in self._waiting if self._wholes.get(id(part)) is whole]:
                self._waiting.remove(part)
                del self._wholes[id(part)]
        left = sum(other is whole for other in self._wholes.values())
        if whole.message:
            if not left:
                whole.fail(whole.message)
                self._record(whole)
            return
        say(f"{whole.video.name}: {len(whole.parts) - left} of {len(whole.parts)} parts")
        if not left:
            self._waiting.appendleft(whole)

    def _split(self, one: VideoInput) -> None:
        """Let the parts of a long video be worked on next, but for those that an interrupted run has done."""
        one.split()
        one.state = WAITING
        code = hash_of_code(*RESULT_CODE)
        todo = [
            part for part in one.parts if not (self._options.resume and part.reuse_results(self._made_with(), code))
        ]
        self._wholes |= {id(part): one for part in todo}
        self._waiting.extendleft(reversed(todo or [one]))

    def _record(self, one: VideoInput) -> None:
        """Tell what became of a video."""
        if (line := self._lines.pop(id(one), None)) is not None:
            line.close()
        for warning in one.warnings:
            print_warning(warning)
        if one.state == FAILED:
            print_error(one.message)
        else:
            self._summary.say(one, self._first_result(one), f"{one.how}, {one.seconds:.1f} s")
        self._summary.write()

    def _show(self, one: VideoInput, stage: str, done: int, total: int | None) -> None:
        line = self._lines.setdefault(id(one), Progress(one.video.name))
        line(stage, done, total)

    def _made_with(self) -> dict[str, Any]:
        """Return the options that decide results, ready for JSON."""
        options = self._options
        groups = (option_table.SCENE, option_table.FILES) if options.format else ()
        made_with = options.to_json(option_table.ESTIMATION, defaults=True) | estimation(options)
        made_with |= options.to_json(groups, defaults=True)
        if options.camera_file is not None and options.camera_file.exists():
            made_with["camera_modified"] = options.camera_file.stat().st_mtime_ns
        if options.weights is not None and options.weights.exists():
            made_with["weights_modified"] = [file.stat().st_mtime_ns for file in own_files(options.weights)]
        if options.rig is not None and options.format:
            made_with |= {"rig": str(options.rig.resolve()), "rig_modified": options.rig.stat().st_mtime_ns}
        return made_with

    def _first_result(self, one: VideoInput) -> Path:
        if not self._options.format:
            return one.file(".motion.npz")
        return one.file(option_table.SUFFIXES[self._options.format[0]])


def estimation(options: option_table.Options) -> dict[str, Any]:
    """Return the options that decide what is estimated, ready for a worker's job."""
    content = options.to_json(option_table.ESTIMATION)
    for name, file in (("smpl", options.smpl), ("camera_file", options.camera_file), ("weights", options.weights)):
        if file is not None:
            content[name] = str(file.resolve())
    return content


def _make_folder(out: Path) -> None:
    """Make the folder of --out if needed, and check that it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        why = why_unwritable(out)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise BatchError(f"{out} can't be written ({why}): choose another folder for --out.")
