"""Runs jobs in a worker process: starts it, reads its events, ends it. Doesn't import `bpy`."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from .. import temporary
from ..atomic import remove_left, write_json
from ..estimators import DEFAULT_QUALITY, LANDMARKS

WORKER = Path(__file__).with_name("serve.py")
LOG_BYTES = 20_000
_PREFIX = "video-motion-job-"

# Roughly how long stages take, in order: people are found in one pass or two, then their motion is made.
_PASSES: Mapping[int, Mapping[str, float]] = {
    1: {"people": 5.0, "camera": 0.2},
    2: {"people": 3.3, "camera": 0.2, "landmarks": 12.0},
}
_LATER: Mapping[str, Mapping[str, float]] = {"find": {}, "convert": {"details": 2.5, "network": 0.2, "motion": 1.3}}
_EARLIEST_ESTIMATE = 0.04
"""Share of a job from which the remaining time can be estimated."""

_BELIEF_SECONDS = 3.0

_PACES = "paces.json"
"""File in the cache folder: how long each stage of the last job of a kind took, for the shares of the next."""

_LONGEST_STAGE = 1e7
"""Seconds."""


class WorkerProcess:
    """One job, or several in turn. Only `poll` reads the process's events and updates the attributes.

    Args:
        task: what to do, one of the worker's tasks.
        weights: folder of weight files.
        cache: folder of intermediate results; the job's own folder is made in it.
        python: the Python to run, this one by default.
        more: whether `begin` will hand over further jobs; then the process ends by `close` only.
        content: the other fields of the worker's `Job`.

    Attributes:
        folder: where the result's files are, until `close`.
        subject: the job's video, or its task.
        stage: the current stage, empty at first.
        done: the stage's count so far.
        total: the stage's total count, None if unknown.
        value: the result, None until there is one.
        message: why there is no result, in a sentence for the user.
        report: what was seen of a video in which nobody was found; None for other reasons.
        cancelled: whether `cancel` ended it.

    Raises:
        OSError: the folder or the process can't be made.
    """

    def __init__(
        self,
        task: str,
        weights: Path,
        cache: Path,
        *,
        python: Path | None = None,
        more: bool = False,
        **content: Any,
    ):
        self.cancelled = False
        self._weights, self._cache, self._more = weights, cache, more
        self._files = contextlib.ExitStack()
        self.folder = self._files.enter_context(temporary.folder_in(cache, _PREFIX))
        self._log = self.folder / "worker.log"
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._ended = False
        try:
            with self._log.open("wb") as log:
                self.process: subprocess.Popen[bytes] = subprocess.Popen(
                    [str(python or sys.executable), "-I", str(WORKER)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=_variables(),
                    **_OWN_GROUP,
                )
        except OSError:
            self._files.close()
            raise
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        _running.add(self)
        self._packages = (
            [] if python is not None else [folder for folder in sys.path if folder.rstrip("/\\").endswith("-packages")]
        )
        self.begin(task, **content)
        threading.Thread(target=_read, args=(self.process.stdout, self._lines), daemon=True).start()

    def begin(self, task: str, **content: Any) -> None:
        """Start another job, once the previous one is answered; arguments as for the first."""
        self.task = task
        self.stage, self.done, self.total = "", 0, None
        self._pace = _pace_name(content.get("options", {}))
        self._stages = _stages(task, content.get("options", {}))
        if self._stages:
            self._stages |= _known_pace(self._cache, self._pace, task)
        self.value: dict[str, Any] | None = None
        self.message: str | None = None
        self.report: dict[str, Any] | None = None
        self._began: tuple[float, float] | None = None
        self._told: tuple[float, float] | None = None
        self.subject = str(content.get("video") or task)
        job = {"task": task, "weights": str(self._weights), "cache": str(self._cache), "out": str(self.folder)}
        job |= {"packages": self._packages, "more": self._more, **content}
        assert self.process.stdin is not None
        # If it died already, `poll` reports why.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()

    @property
    def answered(self) -> bool:
        """Whether the job has its result, an error or a cancellation; the process may wait for another."""
        return self._ended or self.value is not None or self.message is not None

    @property
    def ended(self) -> bool:
        """Whether the process has ended, after a result, an error or a cancellation."""
        return self._ended

    @property
    def share(self) -> float:
        """How much of the whole job is done, 0 to 1."""
        stages = self._stages or {self.stage: 1.0}
        if self.stage not in stages:
            return 0.0
        names = list(stages)
        before = sum(stages[name] for name in names[: names.index(self.stage)])
        part = min(self.done / self.total, 1.0) if self.total else 0.0
        return (before + stages[self.stage] * part) / sum(stages.values())

    @property
    def seconds_left(self) -> float | None:
        """An estimate that runs down evenly, None while there is too little to base it on."""
        if self._began is None:
            return None
        # What is taken from the cache costs no time.
        began, share_then = self._began
        share, now = self.share, time.monotonic()
        if share - share_then <= _EARLIEST_ESTIMATE * (1 - share_then):
            return None
        left = (now - began) * (1 - share) / (share - share_then)
        if self._told is not None:
            at, told = self._told
            # Time passes; what else changes is believed little by little.
            left = max(told - (now - at), 0.0) + (left - told + (now - at)) * min((now - at) / _BELIEF_SECONDS, 1.0)
        self._told = now, left
        return left

    def poll(self) -> bool:
        """Process the events of the worker; return whether anything changed."""
        changed = False
        while not self._ended:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            changed = True
            if line is None:
                self._end()
            else:
                self._handle(line)
        return changed

    def cancel(self) -> None:
        """End the process and its children at once; results in the cache stay."""
        if self._ended:
            return
        self.cancelled = True
        self._kill()
        self._end()

    def close(self) -> None:
        """End the process if it still runs, and remove its files."""
        self.cancel()
        self._files.close()

    def _handle(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event.pop("event")
        except (ValueError, KeyError, AttributeError):
            return
        if kind == "progress":
            self.stage, self.done, self.total = event["stage"], event["done"], event["total"]
            # Start-up time says nothing about the speed.
            self._began = self._began or (time.monotonic(), self.share)
        elif kind == "result":
            self.value = event["value"]
            _keep_pace(self._cache, self._pace, (self.value or {}).get("report"))
        elif kind == "error":
            self.message, self.report = event["message"], event["report"]

    def _end(self) -> None:
        self._ended = True
        _running.discard(self)
        status = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            # Its last input may never have been read.
            with contextlib.suppress(OSError):
                stream.close()  # pyrefly: ignore[missing-attribute]
        for left in self.folder.parent.glob(f".*.{self.process.pid}.part"):
            left.unlink(missing_ok=True)
        if self.value is None and self.message is None and not self.cancelled:
            self.message = self._exit_message(status)

    def _exit_message(self, status: int) -> str:
        if status == -getattr(signal, "SIGKILL", 9):
            return (
                f"The system ended the process that worked on {self.subject}, most likely because memory ran out:"
                " close other programs, or choose a shorter part."
            )
        try:
            lines = self._log.read_bytes()[-LOG_BYTES:].decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        last = f" The end of its log: {lines[-1].strip()}" if lines else ""
        return f"The work on {self.subject} ended unexpectedly (status {status}): run it once more.{last}"

    def _kill(self) -> None:
        if os.name == "nt":
            command = ["taskkill", "/F", "/T", "/PID", str(self.process.pid)]
            subprocess.run(command, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
            self.process.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


_running: set[WorkerProcess] = set()

_OWN_GROUP: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    if os.name == "nt"
    else {"start_new_session": True}
)


def _stages(task: str, options: Mapping[str, Any]) -> dict[str, float]:
    """Roughly how long each stage of a task takes, in order; empty for a task of one stage."""
    if task not in _LATER:
        return {}
    quality = LANDMARKS.get(options.get("quality", DEFAULT_QUALITY), LANDMARKS[DEFAULT_QUALITY])
    later = dict(_LATER[task])
    if not options.get("hands", True) and not options.get("face", True):
        later.pop("details", None)
    return {**_PASSES[len(quality.passes)], **later}


def _pace_name(options: Mapping[str, Any]) -> str:
    return " ".join(str(options.get(name, "")) for name in ("quality", "network", "weights", "device"))


def _known_pace(cache: Path, name: str, task: str) -> dict[str, float]:
    """Seconds of each stage as the last job of this kind took them; empty where none is known."""
    try:
        pace = json.loads((cache / _PACES).read_text())[name]
        # Where no hands and no faces were large enough, nobody looked at them.
        known = {stage: float(pace.get(stage, 0.0)) for stage in (*pace["passes"], *_LATER.get(task, ()))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
    return known if all(0 <= seconds < _LONGEST_STAGE for seconds in known.values()) and any(known.values()) else {}


def _keep_pace(cache: Path, name: str, report: Mapping[str, Any] | None) -> None:
    """Remember how long the stages of a job took, if it did them all itself."""
    timings = (report or {}).get("timings", {})
    if report is None or report["reused"] or not {"people", "network", "motion"} <= timings.keys():
        return
    # The camera is found while people are.
    pace = dict(timings) | {"people": timings["people"] + timings.get("camera", 0.0)}
    pace["passes"] = [stage for stage in ("people", "landmarks") if stage in timings]
    try:
        known = json.loads((cache / _PACES).read_text())
    except (OSError, ValueError, RecursionError):
        known = {}
    with contextlib.suppress(OSError):
        remove_left(cache, _PACES)
        write_json(cache / _PACES, {**(known if isinstance(known, dict) else {}), name: pace})


def _read(stream: IO[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    """Queue each line, and None at the end; the only code outside the main thread."""
    # Cancelling closes the pipe.
    with contextlib.suppress(OSError, ValueError):
        for line in stream:
            lines.put(line.decode(errors="replace"))
    lines.put(None)


def _variables() -> dict[str, str]:
    # Blender points Python's variables at itself.
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@atexit.register
def _end_all() -> None:
    for process in list(_running):
        process.close()
