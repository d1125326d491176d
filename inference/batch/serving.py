"""Works on one video after another for the program that started this one: tasks and answers are lines of JSON.

A task has the fields of `Task`. Its answer has an `event`:

    progress  the video goes on
    refused   message: no task with these options can be done here
    result    state, message, files, people, how, warnings and cuts of the `VideoInput`

The process ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ..errors import VideoMotionError, one_line
from ..options import Options
from .inputs import Call, VideoInput
from .local import LocalRunner
from .queue import POLL_SECONDS, estimation
from .results import Writer

PROGRESS, REFUSED, RESULT = "progress", "refused", "result"
OUTCOME = ("state", "message", "files", "people", "how", "warnings", "cuts")
"""The fields of a `VideoInput` that a result brings."""

PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Task:
    """A video for another process.

    Attributes:
        video: the footage.
        target: path of its results, without suffix.
        footage: see `VideoInput`.
        weights: folder of the weight files.
        options: from `Options.to_json`.
        origin: see `VideoInput.origin`.
        python: the Python that runs the networks; None for that of the serving process.
        part: see `VideoInput`.
        parts: the targets of the parts to join.
        part_seconds: see `LocalRunner`.
        call: see `VideoInput`, as a table.
    """

    video: str
    target: str
    footage: str
    weights: str
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None
    part: Mapping[str, Any] | None = None
    parts: Sequence[str] = ()
    part_seconds: float = 0.0
    call: Mapping[str, Any] | None = None

    def to_line(self) -> str:
        """Return the task as a line."""
        return json.dumps(asdict(self)) + "\n"


def serve(make_writer: Callable[[Options], Writer], out: IO[str]) -> None:
    """Work on the tasks from standard input until it ends; answers go to ``out``."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    workshop = _Workshop(make_writer, out)
    while True:
        workshop.work(Task(**json.loads(lines.get())))


class _Workshop:
    """Keeps networks and Blender loaded while the options stay the same."""

    def __init__(self, make_writer: Callable[[Options], Writer], out: IO[str]):
        self._make_writer, self._out = make_writer, out
        self._runner: LocalRunner | None = None
        self._made_for: object = None
        self._told = 0.0

    def work(self, task: Task) -> None:
        """Work on a video and write the answer."""
        try:
            runner = self._runner_for(task)
        except VideoMotionError as error:
            self._tell(REFUSED, message=one_line(error))
            return
        video = Path(task.video)
        parts = [VideoInput(video, Path(target)) for target in task.parts]
        one = VideoInput(video, Path(task.target), footage=task.footage, part=task.part, parts=parts)
        one.call = None if task.call is None else Call(**task.call)
        runner.begin(one, task.origin)
        while not runner.step():
            time.sleep(POLL_SECONDS)
        self._tell(RESULT, **{name: getattr(one, name) for name in OUTCOME})

    def _runner_for(self, task: Task) -> LocalRunner:
        made_for = (task.weights, task.python, dict(task.options), task.part_seconds)
        if self._runner is None or made_for != self._made_for:
            if self._runner is not None:
                self._runner.close()
                self._runner = None
            options = Options.from_json(task.options)
            runner = LocalRunner(
                estimation(options),
                Path(task.weights),
                None if task.python is None else Path(task.python),
                self._make_writer(options) if options.format else None,
                progress=self._progress,
                part_seconds=task.part_seconds,
            )
            runner.check()
            self._runner, self._made_for = runner, made_for
        return self._runner

    def _progress(self, *_: object) -> None:
        now = time.monotonic()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            self._tell(PROGRESS)

    def _tell(self, event: str, **content: Any) -> None:
        self._out.write(json.dumps({"event": event, **content}) + "\n")
        self._out.flush()


def _listen(lines: queue.SimpleQueue[str]) -> None:
    """Queue each line of standard input; at its end, end the process."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)
