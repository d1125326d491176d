"""What a worker of a Dask cluster does: one video after another, in a process of its own that keeps networks loaded.

Dask's own process only watches that process, so that a video which crashes or hangs it costs a retry elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
from distributed import get_worker

from .. import estimators, registry
from ..batch.inputs import FAILED, Call
from ..batch.queue import RESULT_CODE
from ..batch.serving import PROGRESS, REFUSED, RESULT, Task
from ..cache import hash_of_code
from ..errors import VideoMotionError, one_line
from ..options import Options
from . import environment

POLL_SECONDS = 0.5
_SAME_TIME = 2.0
"""Seconds: file systems keep times with different precision."""

UNSEEN = "unseen"
"""Event of an answer: the worker can't see a file and needs its content."""

ADDED_FILES = ("smpl", "camera_file", "rig")
"""Options that name files."""


@dataclass(frozen=True)
class Identity:
    """What results depend on and must be the same everywhere: hashes of the code and of the weights."""

    code: str
    weights: str

    @classmethod
    def of(cls, options: Options, research: bool = False, fetch: bool = False) -> Identity:
        """Return that of this program, for conversions or for training and evaluation.

        Raises:
            RegistryError: a weight file is missing.
        """
        code = (*RESULT_CODE, "research/**/*.py") if research else RESULT_CODE
        networks = tuple(estimators.NETWORKS) if research else (options.network,)
        return cls(hash_of_code(*code), _hash_of_weights(options.quality, networks, fetch))

    def difference(self, other: Identity) -> str:
        """Return what another one has that is different, in words; empty for nothing."""
        if self.code != other.code:
            return "another version of Video Motion"
        return "other weights" if self.weights != other.weights else ""


@dataclass(frozen=True)
class Sight:
    """A file as the client sees it, by which a worker knows whether it sees the same."""

    path: str
    size: int
    modified: float

    @classmethod
    def of(cls, file: Path) -> Sight:
        """Return how this program sees a file. Raises OSError."""
        state = file.stat()
        return cls(str(file.absolute()), state.st_size, state.st_mtime)

    @property
    def is_seen(self) -> bool:
        """Whether this program sees that file, too."""
        try:
            state = os.stat(self.path)
        except OSError:
            return False
        return state.st_size == self.size and abs(state.st_mtime - self.modified) < _SAME_TIME


@dataclass(frozen=True)
class Order:
    """A video for a worker.

    Attributes:
        identity: the client's.
        video: the footage.
        name: of the results, without suffix.
        folder: where results go on the client.
        mark: a file that the client has put into that folder; who sees it writes the results there.
        footage: see `VideoInput`.
        options: from `Options.to_json`.
        added: files that options name, by option.
        weights: those of the user's own network, the one that an option names first.
        origin: see `VideoInput.origin`.
        blender: the Blender to run; None for Python with Blender's module.
        patience: seconds without progress after which the work is taken to hang.
        part: see `VideoInput`.
        parts: the results of each part to join, NAME.json first.
        part_seconds: see `LocalRunner`.
        call: see `VideoInput`; then there is no video but its name.
        read: the files that the call reads.
    """

    identity: Identity
    video: Sight
    name: str
    folder: str
    mark: Sight
    footage: str
    options: Mapping[str, Any]
    added: Mapping[str, Sight]
    weights: Sequence[Sight]
    origin: Mapping[str, Any]
    blender: str | None
    patience: float
    part: Mapping[str, Any] | None
    parts: Sequence[Sequence[Sight]]
    part_seconds: float
    call: Call | None
    read: Sequence[Sight]

    @property
    def files(self) -> list[Sight]:
        """All files that the work needs."""
        video = [self.video] if self.call is None else []
        return [*video, *self.added.values(), *self.weights, *chain.from_iterable(self.parts)]


@dataclass
class Answer:
    """What became of an order.

    Attributes:
        event: `RESULT`, `REFUSED` or `UNSEEN`.
        worker: Dask's address of who answers.
        message: why it was refused.
        outcome: see `batch.serving.OUTCOME`.
        report: content of NAME.json; None if there is none.
        parts: temporary names of results in the client's folder, by their final names.
        contents: results whose folder the worker can't see, by their final names.
    """

    event: str
    worker: str
    message: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)
    report: dict[str, Any] | None = None
    parts: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Parcel:
    """A call of `work`, which who unpickles it makes."""

    order: Order
    contents: Mapping[str, bytes]

    def __reduce__(self) -> tuple[Any, ...]:
        return work, (self.order, self.contents)


class _CancelledError(Exception):
    """Nobody wants the result any more."""


class _ServerError(VideoMotionError):
    """The process that does the work has ended or hangs."""


def work(order: Order, contents: Mapping[str, bytes]) -> Answer:
    """Convert a video; a task of Dask.

    Args:
        order: the video.
        contents: of files, by path, where the client knows that workers can't see them.
    """
    worker = get_worker()
    address = worker.address
    options = Options.from_json(order.options)
    try:
        difference = order.identity.difference(Identity.of(options, order.call is not None))
    except VideoMotionError as error:
        return Answer(REFUSED, address, one_line(error))
    if difference:
        return Answer(REFUSED, address, f"it has {difference} than the client: install the same on both.")
    if options.format and order.blender is None and importlib.util.find_spec("bpy") is None:
        return Answer(REFUSED, address, "it has no Blender: install bpy there, or name one with --blender PROGRAM.")
    unseen = next((file.path for file in order.read if not file.is_seen), None)
    if unseen is not None:
        return Answer(REFUSED, address, f"it does not see {unseen}: put that into a folder that all share.")
    if any(not file.is_seen and file.path not in contents for file in order.files):
        return Answer(UNSEEN, address)
    task = worker.state.tasks[worker.get_current_task()]
    root = Path(worker.local_directory)
    try:
        with tempfile.TemporaryDirectory(prefix="video-motion-task-", dir=root) as name:
            return _work(order, contents, address, root, Path(name), task)
    except _CancelledError:
        why = f"{order.video.path} gave no result: the work was cancelled."
    except OSError as error:
        why = f"{order.video.path} gave no result: {error.filename or root} can't be used ({error.strerror or error})."
    except VideoMotionError as error:
        why = one_line(error)
    return Answer(RESULT, address, outcome={"state": FAILED, "message": why})


def _work(order: Order, contents: Mapping[str, bytes], address: str, root: Path, folder: Path, task: Any) -> Answer:
    out = folder / "out"
    out.mkdir()
    video = _place(order.video, contents, folder) if order.call is None else Path(order.video.path)
    placed = {name: str(_place(file, contents, _shelf(root, file))) for name, file in order.added.items()}
    if order.weights:
        placed["weights"] = str(_place_together(order.weights, contents, _shelf(root, *order.weights)))
    results = folder / "parts"
    results.mkdir()
    job = Task(
        str(video),
        str(out / order.name),
        order.footage,
        str(registry.cache_folder()),
        {**order.options, **placed},
        order.origin,
        None if order.blender is None else sys.executable,
        order.part,
        [str(_place_together(files, contents, results)).removesuffix(".json") for files in order.parts],
        order.part_seconds,
        None if order.call is None else asdict(order.call),
    )
    with _server(order.blender, root) as server:
        event = server.ask(job, order.patience, lambda: task.state == "executing")
    if event["event"] == REFUSED:
        return Answer(REFUSED, address, event["message"])
    report = out / f"{order.name}.json"
    answer = Answer(RESULT, address, outcome=event)
    if report.exists():
        answer.report = json.loads(report.read_text(encoding="utf-8"))
        report.unlink()
    where = Path(order.folder) if order.mark.is_seen else None
    # It ends like the mark, so that the client also finds what a task that ran twice has left.
    ending = uuid.uuid4().hex[:12] + "".join(Path(order.mark.path).suffixes[-2:])
    for file in sorted(out.iterdir()):
        if where is None:
            answer.contents[file.name] = file.read_bytes()
        else:
            answer.parts[file.name] = f".{file.name}.{ending}"
            shutil.copyfile(file, where / answer.parts[file.name])
    # Messages name files as the client knows them.
    places = {str(out): order.folder, str(video): order.video.path}
    answer.outcome = _renamed(answer.outcome, places)
    answer.report = _renamed(answer.report, places)
    return answer


def _renamed(content: Any, places: Mapping[str, str]) -> Any:
    """A copy of JSON's content with paths replaced in all texts."""
    if isinstance(content, str):
        for here, there in places.items():
            content = content.replace(here, there)
        return content
    if isinstance(content, Mapping):
        return {name: _renamed(value, places) for name, value in content.items()}
    return [_renamed(value, places) for value in content] if isinstance(content, list) else content


def _place(file: Sight, contents: Mapping[str, bytes], folder: Path) -> Path:
    """Return where a file can be read, written into `folder` if its own path can't be seen."""
    if file.is_seen:
        return Path(file.path)
    placed = folder / Path(file.path).name
    if not placed.exists():
        placed.write_bytes(contents[file.path])
    return placed


def _place_together(files: Sequence[Sight], contents: Mapping[str, bytes], folder: Path) -> Path:
    """The same for files that have to be in one folder; returns where the first can be read."""
    if all(file.is_seen for file in files):
        return Path(files[0].path)
    for file in files:
        if not (placed := folder / Path(file.path).name).exists():
            placed.write_bytes(contents[file.path])
    return folder / Path(files[0].path).name


def _shelf(root: Path, *files: Sight) -> Path:
    """A folder for files that several videos need: always the same, so that networks stay loaded."""
    folder = root / f"video-motion-{uuid.uuid5(uuid.NAMESPACE_URL, repr(files))}"
    folder.mkdir(exist_ok=True)
    return folder


@cache
def _hash_of_weights(quality: str, networks: tuple[str, ...], fetch: bool) -> str:
    of_networks = [item for network in networks for item in estimators.NETWORKS[network]]
    items = (*estimators.people_items(quality), *dict.fromkeys(of_networks), estimators.FOOTING)
    hashes = []
    for item in (*items, *estimators.HANDS, *estimators.FACES):
        # Verifies the file, too.
        registry.path(item, fetch=fetch)
        hashes.append(registry.items()[item].sha256)
    hashes.append(registry.hash_file(registry.body_path(fetch=fetch)).read_text().strip())
    return " ".join(hashes)


class _Server:
    """The process that does the work, see `batch.serving`."""

    def __init__(self, blender: str | None, folder: Path):
        self.blender = blender
        command, variables = environment.batch_command(blender, "--serve")
        # What is left of a killed process is then removed with Dask's folder.
        variables["TMPDIR"] = variables["TEMP"] = variables["TMP"] = str(folder)
        self._log = folder / f"video-motion-{uuid.uuid4().hex[:8]}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=variables
            )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, task: Task, patience: float, wanted: Any) -> dict[str, Any]:
        """Return the answer to a task.

        Raises:
            _ServerError: the process ended or hangs.
            _CancelledError: nobody wants the answer any more.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(task.to_line().encode())
            self._process.stdin.flush()
        heard = time.monotonic()
        while True:
            try:
                line = self._lines.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if not wanted():
                    raise _CancelledError from None
                if time.monotonic() - heard > patience:
                    raise _ServerError(
                        f"{task.video} gave no result: nothing went on for {patience:.0f} seconds."
                    ) from None
                continue
            if line is None:
                raise _ServerError(f"{task.video} gave no result: the process that worked on it ended{self._last()}.")
            heard = time.monotonic()
            event = json.loads(line)
            if event["event"] != PROGRESS:
                return event

    def kill(self) -> None:
        """End the process and all that it started, also what is stopped."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in (*psutil.Process(self._process.pid).children(recursive=True), self._process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        self._process.wait()
        self._log.unlink(missing_ok=True)

    def _last(self) -> str:
        lines = self._log.read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
        return f" ({lines[-1].strip()})" if lines else ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


_idle: list[_Server] = []
_lock = threading.Lock()


@contextlib.contextmanager
def _server(blender: str | None, folder: Path) -> Iterator[_Server]:
    """A process that is not at work; it is kept unless the work fails."""
    with _lock:
        server = _idle.pop() if _idle else None
    if server is not None and server.blender != blender:
        server.kill()
        server = None
    server = server or _Server(blender, folder)
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    _idle.append(server)
