"""What a GPU brings: the speed of a long clip from end to end, and the same motion as on the CPU."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...footage.reader import Footage
from ...motion.motion import Motion
from ...runtime.devices import devices
from . import runs

SIZE = (1280, 720)
FRAMES = 600
"""Of the clip on the GPU: with fifteen frames a second the measurement still takes less than five minutes."""

COMPARED = 60
"""First frames, which the CPU gets too."""


def measure(video: Path, quality: str = "best", frames: int = FRAMES) -> Iterator[str]:
    """Yield the table of `estimate` on the first GPU and on the CPU, and how far apart their motions are.

    Without a GPU only the CPU is measured, on the frames that would be compared.

    Args:
        video: the footage, which is repeated and fitted into 720p.
        quality: see `Options.quality`.
        frames: of the clip on the GPU.

    Raises:
        BenchError: a clip can't be written, or `estimate` failed.
        FootageError: the video can't be read.
    """
    gpu = next(device for device in devices() if device.id.startswith("cuda"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        short, long = folder / "short.mp4", folder / "long.mp4"
        runs.write_clip(video, short, COMPARED, SIZE)
        columns, results = [], {}
        for device in ("cpu", gpu.id) if gpu.available else ("cpu",):
            out = results[device] = folder / device.partition(":")[0]
            columns.append(_column(short, quality, device, out))
        if gpu.available:
            runs.write_clip(video, long, frames, SIZE)
            columns.append(_column(long, quality, gpu.id, folder / "long"))
        name = f", {gpu.name}" if gpu.available else ""
        yield from runs.table(f"{video.name} at {SIZE[0]}×{SIZE[1]}, {quality}{name}", columns)
        if not gpu.available:
            yield f"There is no GPU to compare with. {gpu.why_not}"
            return
        yield from _differences(results["cpu"], results[gpu.id])


def _column(clip: Path, quality: str, device: str, out: Path) -> runs.Column:
    began = time.perf_counter()
    count = sum(1 for _ in Footage(clip))
    decoding = time.perf_counter() - began
    run = runs.run("estimate", clip, "--quality", quality, "--device", device, out=out)
    measured = runs.column(f"{device}, {count} frames", run)
    return runs.Column(
        measured.title, count, {runs.DECODING: decoding, **measured.stages}, measured.cpu_seconds, measured.seconds
    )


def _differences(ours: Path, theirs: Path) -> Iterator[str]:
    """Yield, for each person of both results, how far joints are from each other."""
    yield "| joints of the GPU's motion against the CPU's | mean, mm | largest, mm | frames |"
    yield "|---|---:|---:|---:|"
    both = {file.name for file in ours.glob("*.motion.npz")} & {file.name for file in theirs.glob("*.motion.npz")}
    for name in sorted(both):
        one, other = Motion.load(ours / name), Motion.load(theirs / name)
        distances = joint_distances(one, other)
        yield f"| {name} | {distances.mean():.2f} | {distances.max():.2f} | {len(distances)} |"


def joint_distances(one: Motion, other: Motion) -> np.ndarray:
    """Distances (n, 24) in millimetres between the joints of two motions, in the world, in the frames of both."""
    _, rows, other_rows = np.intersect1d(one.frames, other.frames, return_indices=True)
    return 1e3 * np.linalg.norm(one.joints_world[rows] - other.joints_world[other_rows], axis=2)
