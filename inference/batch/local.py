"""Works on videos on this machine: worker processes estimate motions, and a writer makes scenes of them.

Networks run in processes of their own, which load them once; scenes are built and exported by the caller's process,
one at a time, while the networks go on with the next videos.
"""

from __future__ import annotations

import collections
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..worker.process import WorkerProcess
from .inputs import SPLIT, BatchError, VideoInput
from .results import Writer, write_answer, write_results, write_without_result

Progress = Callable[[VideoInput, str, int, int | None], None]
"""Called with the video, the stage, the count done and the total."""


@dataclass
class _Job:
    """A video in work; `origin` is in `VideoInput.origin`; `lost` once its process has died."""

    input: VideoInput
    origin: Mapping[str, Any]
    began: float = 0.0
    lost: bool = False


@dataclass
class _Slot:
    """Converts one video at a time."""

    process: WorkerProcess | None = None
    job: _Job | None = None
    count: int = 0


class LocalRunner:
    """See `queue.Runner`.

    Args:
        estimation: the options that decide what is estimated, ready for JSON.
        weights: folder of the weight files.
        python: the Python that runs the networks, None for this one.
        writer: makes files in addition to the motions; None for motions only.
        jobs: videos to work on at once.
        progress: called as a video advances.
        part_seconds: how long the parts of long videos are, about; 0 to split none.
    """

    def __init__(
        self,
        estimation: Mapping[str, Any],
        weights: Path,
        python: Path | None,
        writer: Writer | None,
        jobs: int = 1,
        progress: Progress | None = None,
        part_seconds: float = 0.0,
    ):
        self.notes: list[str] = []
        self._estimation, self._weights, self._python = estimation, weights, python
        self._writer, self._progress, self._prepared = writer, progress, writer is None
        self._part_seconds = part_seconds
        self._slots = [_Slot() for _ in range(jobs)]
        # The next video, so that no process waits while a scene is written.
        self._waiting: collections.deque[_Job] = collections.deque()

    def check(self) -> None:
        """Find problems that would affect every video. Raises `VideoMotionError`."""
        if self._writer is not None:
            self._writer.check()

    @property
    def wants(self) -> bool:
        """Whether another video can be begun."""
        return not self._waiting

    def begin(self, one: VideoInput, origin: Mapping[str, Any]) -> None:
        """Begin the work on a video, or keep it as the next one. Raises `BatchError` if processes can't start."""
        self._waiting.append(_Job(one, origin))
        self._fill()

    def step(self) -> list[VideoInput]:
        """Go on; return the video that has its result, or none, since the last call."""
        if not self._prepared and self._writer is not None and any(slot.job is not None for slot in self._slots):
            self._prepared = True
            self._writer.prepare()
        for slot in self._slots:
            job, process = slot.job, slot.process
            if job is None or process is None:
                continue
            if process.poll() and not process.answered and self._progress is not None and process.stage:
                self._progress(job.input, process.stage, process.done, process.total)
            if process.answered and self._collect(slot, process, job):
                return [job.input]
        return []

    def close(self) -> None:
        """End all processes."""
        for slot in self._slots:
            if slot.process is not None:
                slot.process.close()

    def _fill(self) -> None:
        for slot in self._slots:
            if slot.job is None and self._waiting:
                self._start(slot, self._waiting.popleft())

    def _start(self, slot: _Slot, job: _Job) -> None:
        """Start a video in the slot's process, a new one if the last has ended."""
        if slot.process is not None and slot.process.ended:
            slot.process.close()
            slot.process = None
        one = job.input
        slot.job, slot.count, job.began = job, slot.count + 1, job.began or time.perf_counter()
        content: dict[str, Any] = {
            "video": str(one.video),
            "options": self._estimation,
            "reuse": False,
            "log": str(one.log),
        }
        task = "join" if one.parts else "convert" if one.call is None else "call"
        if one.call is not None:
            content |= {"function": one.call.function, "arguments": one.call.arguments}
        elif one.parts:
            content["reports"] = [str(part.report) for part in one.parts]
        elif one.part is not None:
            content["part"] = one.part
        else:
            content["part_seconds"] = self._part_seconds
        try:
            if slot.process is None:
                folder = Path(tempfile.gettempdir())
                slot.process = WorkerProcess(task, self._weights, folder, python=self._python, more=True, **content)
            else:
                # The previous video's files are still to be read from the process's own folder.
                folder = slot.process.folder / str(slot.count)
                folder.mkdir()
                slot.process.begin(task, out=str(folder), **content)
        except OSError as error:
            raise BatchError(
                f"The work on {one.video} can't be started ({error.strerror or error}): make room in"
                f" {tempfile.gettempdir()}."
            ) from error

    def _collect(self, slot: _Slot, process: WorkerProcess, job: _Job) -> bool:
        """Write a result's files while the process works on the next video; return whether the video is done."""
        value, message, found = process.value, process.message, process.report
        slot.job, one = None, job.input
        if value is None and process.ended and not job.lost:
            # Most likely somebody killed it, or memory ran out, which others may have left by now.
            self.notes.append(f"{one.video} is begun anew once, as its process ended: {message}")
            job.lost = True
            self._waiting.appendleft(job)
            self._fill()
            return False
        self._fill()
        if value is None:
            write_without_result(one, message or "", found)
        elif one.call is not None:
            write_answer(one, value)
        elif "parts" in value:
            one.state, one.cuts = SPLIT, value["parts"]
        else:
            write_results(one, value, self._writer if one.part is None else None, job.origin)
            # Of thousands of videos they would fill the disk.
            for file in () if one.parts else value["motions"]:
                Path(file).unlink(missing_ok=True)
        one.seconds += time.perf_counter() - job.began
        return True
