"""A batch on a Dask cluster of this machine: with failing workers, with more of them, and what leading them costs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path

import cv2
import distributed
import psutil
from distributed.scheduler import heartbeat_interval

from ...footage.reader import Footage
from . import runs
from .cluster_processes import LocalCluster

QUICK = ("--quality", "fast", "--network", "landmarks", "--no-hands", "--no-face")
CLIP_FRAMES, CLIP_SIZE, CLIP_STEP = 15, (320, 240), 9
COUNTS = (1, 2, 4)
"""Numbers of workers that are compared."""

EMPTY_TASKS = 2000
IDLE_SECONDS = 10.0
MANY = 1000
"""Workers for which the costs are extrapolated."""


@dataclass(frozen=True)
class _Run:
    """A batch: seconds, CPU seconds of the client, of the scheduler and of the workers, states and notes."""

    seconds: float
    client: float
    scheduler: float
    workers: float
    done: int
    notes: Sequence[str]


def measure(video: Path, count: int = 200, scaled: int = 40) -> Iterator[str]:
    """Yield tables of a batch of short clips: with killed workers, at growing numbers of workers, and the costs.

    Args:
        video: the footage that clips are cut from.
        count: of clips for the batch with killed workers.
        scaled: of clips for each number of workers.
    """
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="video-motion-bench-") as name:
        root = Path(name)
        clips = write_clips(video, root / "clips", count)
        yield (
            f"{count} clips of {CLIP_FRAMES} frames, `estimate {' '.join(QUICK)}`, on {cores} cores, whose load by"
            f" others was {os.getloadavg()[0]:.1f} at the start."
        )
        yield from _with_killed(root, clips)
        yield ""
        yield from _scaling(root, clips[:scaled], cores)
        yield ""
        yield from _costs(root)


def write_clips(video: Path, folder: Path, count: int) -> list[Path]:
    """Write short clips, each from another moment of a video, which is repeated as often as needed."""
    folder.mkdir()
    files = []
    with Footage(video) as footage:
        frames = [cv2.resize(frame.image, CLIP_SIZE) for frame in islice(footage, CLIP_STEP * count + CLIP_FRAMES)]
        rate = footage.frame_rate
    for number in range(count):
        files.append(folder / f"clip {number:03}.mp4")
        writer = cv2.VideoWriter(str(files[-1]), cv2.VideoWriter.fourcc(*"mp4v"), rate, CLIP_SIZE)
        first = CLIP_STEP * number % max(len(frames) - CLIP_FRAMES, 1)
        for image in islice(chain.from_iterable(repeat(frames)), first, first + CLIP_FRAMES):
            writer.write(image)
        writer.release()
    return files


def _with_killed(root: Path, clips: Sequence[Path]) -> Iterator[str]:
    """Three workers, of which two are killed and one is replaced, beside one machine with three processes."""
    alone = _run(clips, root / "alone", None, "--jobs", "3")
    with LocalCluster(root / "cluster killed") as cluster:
        for name in ("first", "second", "third"):
            cluster.start_worker(name)
        cluster.wait(3)
        actions = [
            (len(clips) // 4, lambda: cluster.kill("first")),
            (len(clips) // 2, lambda: cluster.kill("second")),
            (len(clips) * 5 // 8, lambda: cluster.start_worker("replacement")),
        ]
        failing = _run(clips, root / "failing", cluster, actions=actions)
    yield "| | results | seconds | notes in the summary |"
    yield "|---|---:|---:|---:|"
    yield f"| one machine, `--jobs 3` | {alone.done} | {alone.seconds:.1f} | 0 |"
    yield (
        f"| three workers; one killed after a quarter, one after half, one replaced | {failing.done}"
        f" | {failing.seconds:.1f} | {len(failing.notes)} |"
    )
    for note in failing.notes:
        yield f"- {note}"


def _scaling(root: Path, clips: Sequence[Path], cores: int) -> Iterator[str]:
    yield f"| {len(clips)} clips | videos/s | per core | workers, CPU s | client, CPU ms | scheduler, CPU ms |"
    yield "|---|---:|---:|---:|---:|---:|"
    for count in COUNTS:
        with LocalCluster(root / f"cluster {count}") as cluster:
            for number in range(count):
                cluster.start_worker(f"worker {number}")
            cluster.wait(count)
            # What is loaded once does not count.
            _run(clips[: 2 * count], root / f"warm {count}", cluster)
            one = _run(clips, root / f"scaled {count}", cluster)
        rate, plural = one.done / one.seconds, "s" if count > 1 else ""
        yield (
            f"| {count} worker{plural} | {rate:.2f} | {rate / min(count, cores):.2f} | {one.workers / one.done:.2f}"
            f" | {1e3 * one.client / one.done:.0f} | {1e3 * one.scheduler / one.done:.1f} |"
        )


def _costs(root: Path) -> Iterator[str]:
    """What a task and a worker cost the scheduler, and what that means for many workers."""
    workers = max(COUNTS)
    with (
        LocalCluster(root / "cluster costs") as cluster,
        distributed.Client(cluster.address, set_as_default=False) as client,
    ):
        alone = _idle(cluster)
        for number in range(workers):
            cluster.start_worker(f"worker {number}")
        cluster.wait(workers)
        idle = max(_idle(cluster) - alone, 0.0)
        # As large as what a video's task is described by.
        task = pickle.dumps(b"." * 3000)
        began, client_began, since = cluster.cpu_seconds(), time.process_time(), time.perf_counter()
        futures = [client.submit(pickle.loads, task, key=f"empty-{number}") for number in range(EMPTY_TASKS)]
        client.gather(futures)
        seconds = time.perf_counter() - since
        each = (cluster.cpu_seconds() - began) / EMPTY_TASKS
        client_each = (time.process_time() - client_began) / EMPTY_TASKS
    beat = idle / workers * heartbeat_interval(workers)
    many = beat * MANY / heartbeat_interval(MANY)
    yield (
        f"{EMPTY_TASKS} tasks that do nothing took {seconds:.1f} s: the scheduler {1e3 * each:.2f} ms of CPU each, the"
        f" client {1e3 * client_each:.2f} ms. An idle worker costs the scheduler {1e3 * beat:.2f} ms at each sign of"
        f" life, one in {heartbeat_interval(workers):g} s; without workers it takes {alone:.1%} of a core."
    )
    yield (
        f"Extrapolated to {MANY:,} workers, which give a sign of life every {heartbeat_interval(MANY):g} s, that takes"
        f" {many:.0%} of the scheduler's core; at {MANY:,} videos of T seconds at once tasks take"
        f" {100 * MANY * each:.0f} / T % of it."
    )


def _idle(cluster: LocalCluster) -> float:
    """The share of a core that the scheduler takes while nothing is to do."""
    began = cluster.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (cluster.cpu_seconds() - began) / IDLE_SECONDS


def _run(
    clips: Sequence[Path],
    out: Path,
    cluster: LocalCluster | None,
    *options: str,
    actions: Sequence[tuple[int, Callable[[], object]]] = (),
) -> _Run:
    """Estimate clips by the command; do each action when so many have results."""
    words = [*runs.COMMAND, "estimate", *map(str, clips), *QUICK, *options, "--out", str(out)]
    if cluster is not None:
        words += ["--scheduler", cluster.address]
    scheduler, workers = _cpu(cluster)
    waiting, began, client = list(actions), time.perf_counter(), runs.cpu_of_children()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if waiting and len(list(out.glob("*.motion.npz"))) >= waiting[0][0]:
            waiting.pop(0)[1]()
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    if not (out / "batch.json").exists():
        raise runs.BenchError("The batch can't be measured: run `estimate` on the same video to see why it failed.")
    summary = json.loads((out / "batch.json").read_text(encoding="utf-8"))
    after = _cpu(cluster)
    return _Run(
        seconds,
        runs.cpu_of_children() - client,
        after[0] - scheduler,
        after[1] - workers,
        summary["done"],
        summary["notes"],
    )


def _cpu(cluster: LocalCluster | None) -> tuple[float, float]:
    """CPU seconds of the scheduler, and of the workers with their processes."""
    if cluster is None:
        return 0.0, 0.0
    workers = 0.0
    for worker in cluster.workers.values():
        root = psutil.Process(worker.pid)
        for process in (root, *root.children(recursive=True)):
            times = process.cpu_times()
            workers += times.user + times.system
    return cluster.cpu_seconds(), workers
