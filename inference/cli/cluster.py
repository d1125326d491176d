"""Hands the videos of a batch to the workers of a Dask cluster.

Workers write results under temporary names, into the results' folder where they see it, else through the scheduler.
Only this program gives files their names, and takes one answer for each video, so that a task that ran twice gives one
result.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import console
from ..atomic import atomic_write, write_json
from ..batch.inputs import FAILED, PART_SECONDS, BatchError, VideoInput
from ..batch.queue import estimation
from ..batch.serving import OUTCOME, REFUSED
from ..errors import one_line
from ..estimators import own_files
from ..options import ESTIMATION, FILES, SCENE, Options

PATIENCE = 600.0
"""Seconds without progress after which a worker is taken to hang."""

TIMEOUT = "10s"
"""For the connection to the scheduler."""

MOST_SENT = 2_000_000_000
"""Bytes of videos that the scheduler holds at a time."""

TRIES = 3
"""On how many workers a video may fail, before it is taken to be the video's fault."""

FAULTS = 3
"""How often others may do what a worker could not, before it gets nothing more."""

AHEAD = 2
"""Videos handed out for each of the workers' threads, so that none waits for this program."""

LIST_SECONDS = 1.0
"""Between looks at who works."""

LONELY_SECONDS = 10.0
"""Without a worker, after which that is said."""


@dataclass
class _Job:
    """A video that is handed out.

    Attributes:
        input: the video.
        origin: see `VideoInput.origin`.
        began: when, by `time.perf_counter`.
        key: Dask's, of the latest try.
        allowed: who may do it; None for everyone.
        failures: on whom it failed, and with what message.
        sent: bytes that the scheduler holds for it.
    """

    input: VideoInput
    origin: Mapping[str, Any]
    began: float
    key: str = ""
    allowed: frozenset[str] | None = None
    failures: dict[str, str] = field(default_factory=dict)
    sent: int = 0


class ClusterRunner:
    """See `queue.Runner`.

    Args:
        address: the scheduler's.
        options: the user's choices.
        blender: the Blender on the workers that makes files; None for Python with Blender's module.
        patience: seconds without progress after which a worker is taken to hang.
        part_seconds: how long the parts of long videos are, about.
        research: whether the work is training or evaluation.

    Raises:
        BatchError: there is no scheduler, or this program lacks dask.distributed.
    """

    def __init__(
        self,
        address: str,
        options: Options,
        blender: Path | None = None,
        patience: float = PATIENCE,
        part_seconds: float = PART_SECONDS,
        research: bool = False,
    ):
        try:
            import distributed
            from dask import config

            from . import cluster_worker
        except ImportError as error:
            raise BatchError(
                f'--scheduler needs {error.name}: install dask.distributed by `pip install "video-motion[cluster]"`.'
            ) from error
        self.notes: list[str] = []
        self._worker = cluster_worker
        self._address, self._blender, self._patience, self._part_seconds = address, blender, patience, part_seconds
        # What only the queue needs would make workers load everything anew.
        self._options = {**options.to_json((*ESTIMATION, SCENE, FILES)), **estimation(options)}
        if options.rig is not None:
            self._options["rig"] = str(options.rig.resolve())
        self._added = {name: Path(self._options[name]) for name in cluster_worker.ADDED_FILES if name in self._options}
        self._weights = [] if options.weights is None else own_files(Path(self._options["weights"]))
        self._identity = cluster_worker.Identity.of(options, research, fetch=True)
        self._batch = uuid.uuid4().hex[:12]
        self._jobs: dict[str, _Job] = {}
        self._marks: dict[Path, Any] = {}
        self._failed: list[VideoInput] = []
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._workers: dict[str, int] = {}
        self._refused: set[str] = set()
        self._faults: Counter[str] = Counter()
        self._sends = False
        self._listed, self._alone_since, self._told_alone = -LIST_SECONDS, time.monotonic(), False
        # Tracebacks of lost connections say nothing to a user.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        # Videos are large, and meant to be sent.
        config.set({"distributed.admin.large-graph-warning-threshold": "10GB"})
        try:
            self._client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BatchError(
                f"No scheduler answers at {address} ({one_line(error)}): start one by `dask scheduler`, and give the"
                " address that it prints."
            ) from error
        self._client.subscribe_topic("all", lambda event: self._events.put(event[1]))
        self._killed = distributed.KilledWorker
        self._answers = distributed.as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        self._futures: dict[str, Any] = {}

    def check(self) -> None:
        """Look who works."""
        self._list_workers()
        threads = sum(self._workers.values())
        console.say(f"video-motion: workers at {self._address}: {len(self._workers)}, videos at once: {threads}.")

    @property
    def wants(self) -> bool:
        """Whether another video can be begun."""
        threads = sum(self._workers[name] for name in self._usable())
        sent = sum(job.sent for job in self._jobs.values())
        return len(self._jobs) < max(AHEAD * threads, 1) and sent < MOST_SENT

    def begin(self, one: VideoInput, origin: Mapping[str, Any]) -> None:
        """Hand out a video."""
        self._submit(_Job(one, origin, time.perf_counter()))

    def step(self) -> list[VideoInput]:
        """Take the answers that have come, and look who works."""
        self._look()
        done, self._failed = self._failed, []
        for future, answer in self._ready():
            job = self._jobs.pop(future.key, None)
            self._futures.pop(future.key, None)
            if job is None:
                continue
            if self._settle(job, future.status, answer):
                job.input.seconds += time.perf_counter() - job.began
                done.append(job.input)
        return done

    def close(self) -> None:
        """Cancel what is not done, and remove temporary files."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._futures.values()), force=True)
        self._futures.clear()
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)
        for folder in self._marks:
            # The mark, and what tasks that ran twice have left.
            for part in folder.glob(f".*.{self._batch}.part"):
                part.unlink(missing_ok=True)
        self._marks.clear()
        self._jobs.clear()

    def _ready(self) -> Iterator[tuple[Any, Any]]:
        if not self._answers.is_empty() and self._answers.has_ready():
            yield from self._answers.next_batch(block=False)

    def _submit(self, job: _Job) -> None:
        """Hand a video to whoever may do it."""
        one = job.input
        try:
            order = self._order(job)
            if self._sends and one.video.is_dir():
                self._fail(job, f"{one.video} can't be sent to workers: they have to see it under the same path.")
                return
            contents = {file.path: Path(file.path).read_bytes() for file in order.files} if self._sends else {}
        except FileNotFoundError as error:
            self._fail(job, f"{error.filename or one.video} does not exist: check its name.")
            return
        except OSError as error:
            self._fail(job, f"{error.filename or one.video} can't be read ({error.strerror or error}).")
            return
        job.sent = sum(map(len, contents.values()))
        if job.sent > MOST_SENT:
            self._fail(
                job,
                f"{one.video} is too large to be sent to workers: put it into a folder that they see under the same"
                " path.",
            )
            return
        usable = self._usable() - job.failures.keys()
        job.allowed = None if usable == self._workers.keys() else frozenset(usable)
        job.key = f"video-motion-{self._batch}-{uuid.uuid4().hex[:12]}"
        self._jobs[job.key] = job
        future = self._client.submit(
            # The scheduler unpickles what it is given, and has none of our code: it gets bytes.
            pickle.loads,
            pickle.dumps(self._worker.Parcel(order, contents)),
            key=job.key,
            pure=False,
            workers=sorted(job.allowed) if job.allowed is not None else None,
        )
        self._futures[job.key] = future
        self._answers.add(future)

    def _order(self, job: _Job) -> Any:
        one = job.input
        sight = self._worker.Sight
        folder = one.target.parent.absolute()
        if folder not in self._marks:
            folder.mkdir(parents=True, exist_ok=True)
            # Named like an unfinished result, so that a later run removes what a killed one left.
            mark = folder / f".{one.target.name}.{self._batch}.part"
            mark.write_bytes(self._batch.encode())
            self._marks[folder] = sight.of(mark)
        return self._worker.Order(
            identity=self._identity,
            video=sight.of(one.video) if one.call is None else sight(str(one.video), 0, 0.0),
            name=one.target.name,
            folder=str(folder),
            mark=self._marks[folder],
            footage=one.footage_path,
            options=self._options,
            added={name: sight.of(file) for name, file in self._added.items()},
            weights=[sight.of(file) for file in self._weights],
            origin=job.origin,
            blender=None if self._blender is None else str(self._blender),
            patience=self._patience,
            part=one.part,
            parts=[[sight.of(file) for file in part.result_files()] for part in one.parts],
            part_seconds=self._part_seconds,
            call=one.call,
            read=[sight.of(Path(file)) for file in one.call.files] if one.call is not None else [],
        )

    def _fail(self, job: _Job, message: str) -> None:
        job.input.fail(message)
        self._failed.append(job.input)

    def _settle(self, job: _Job, status: str, answer: Any) -> bool:
        """Take an answer; return whether the video is done, and otherwise hand it out again."""
        if not isinstance(answer, self._worker.Answer):
            return self._settle_error(job, status, answer)
        if answer.event == REFUSED:
            self._refuse(answer.worker, answer.message)
            self._submit(job)
            return False
        if answer.event == self._worker.UNSEEN:
            self._sends = True
            self._submit(job)
            return False
        outcome = dict(answer.outcome)
        if outcome["state"] == FAILED and answer.report is None:
            job.failures[answer.worker] = outcome["message"]
            if self._usable() - job.failures.keys() and len(job.failures) < TRIES:
                self._submit(job)
                return False
        for name in OUTCOME:
            if name in outcome:
                setattr(job.input, name, outcome[name])
        try:
            self._publish(job.input, answer)
        except OSError as error:
            where = error.filename or job.input.target.parent
            job.input.fail(f"{job.input.video} gave no result: {where} can't be written ({error.strerror or error}).")
        if job.input.state != FAILED:
            for worker, message in job.failures.items():
                self._note_fault(worker, message)
        return True

    def _settle_error(self, job: _Job, status: str, error: Any) -> bool:
        if status in ("cancelled", "lost"):
            if self._client.status != "running":
                raise BatchError(
                    f"The scheduler at {self._address} is gone: start it again, and continue with --resume."
                )
            self._submit(job)
            return False
        reason = error[1] if isinstance(error, tuple) else error
        if isinstance(reason, ImportError | AttributeError):
            raise BatchError(
                f"The workers at {self._address} can't load Video Motion ({one_line(reason)}): install the same version"
                " on all of them."
            )
        why = "workers ended while they worked on it" if isinstance(reason, self._killed) else one_line(reason)
        job.input.fail(f"{job.input.video} gave no result: {why.rstrip('.')}.")
        return True

    def _publish(self, one: VideoInput, answer: Any) -> None:
        """Give results their names, NAME.json last."""
        folder = one.target.parent
        for name, part in answer.parts.items():
            os.replace(folder / part, folder / name)
        for name, content in answer.contents.items():
            with atomic_write(folder / name) as temporary:
                temporary.write_bytes(content)
        if answer.report is not None:
            write_json(one.report, answer.report)

    def _usable(self) -> set[str]:
        """Those who may get videos; the faulty ones only where there are no others."""
        able = self._workers.keys() - self._refused
        return {name for name in able if self._faults[name] < FAULTS} or able

    def _refuse(self, worker: str, why: str) -> None:
        """Give a worker nothing that it can't do."""
        if worker in self._refused:
            return
        self._refused.add(worker)
        self.notes.append(f"The worker {worker} gets no videos: {why}")
        if not self._workers.keys() - self._refused:
            raise BatchError(f"None of the workers at {self._address} can do this; {worker}: {why}")

    def _note_fault(self, worker: str, why: str) -> None:
        """Tell that others could do what a worker could not."""
        self._faults[worker] += 1
        if self._faults[worker] <= FAULTS:
            more = "; it gets nothing more" if self._faults[worker] == FAULTS else ""
            self.notes.append(f"The worker {worker} failed, and another one did its work{more}: {why}")

    def _look(self) -> None:
        """Follow who comes and goes."""
        changed = False
        while not self._events.empty():
            event = self._events.get()
            changed |= event.get("action") in ("add-worker", "remove-worker")
            if event.get("action") == "remove-worker":
                lost = {self._jobs[key].input.video.name for key in event["processing-tasks"] if key in self._jobs}
                if lost:
                    self.notes.append(
                        f"The worker {event['worker']} was lost with {', '.join(sorted(lost))}, which go to others."
                    )
        now = time.monotonic()
        if changed or (now - self._listed > LIST_SECONDS and not self._workers):
            self._list_workers()
        usable = self._usable()
        if usable:
            self._alone_since, self._told_alone = now, False
        elif not self._told_alone and now - self._alone_since > LONELY_SECONDS:
            self._told_alone = True
            console.say(f"video-motion: waiting for workers at {self._address} …")
        if changed:
            for job in list(self._jobs.values()):
                if job.allowed is not None and not job.allowed & usable and usable - job.failures.keys():
                    # Those who were allowed are gone.
                    self._jobs.pop(job.key)
                    self._client.cancel([self._futures.pop(job.key)])
                    self._submit(job)

    def _list_workers(self) -> None:
        self._listed = time.monotonic()
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self._workers = {name: worker["nthreads"] for name, worker in workers.items()}
