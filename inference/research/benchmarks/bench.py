"""Measures speed and memory on a video; each measurement is a Markdown table, line by line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import cv2

from ... import registry
from ...errors import VideoMotionError
from ...estimators import NETWORKS
from ...footage.reader import Footage
from ..comparison import mediapipe_reference as reference
from ..evaluation import evaluate
from . import people_speed

SAMPLE = evaluate.SAMPLE / "sample.mp4"
FRAME_COUNTS = (300, 3000)
COMMAND = (sys.executable, "-P", "-m", "video_motion.inference.cli")

# A process inherits the peak memory of its parent, so a small process starts it.
PEAK = """\
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


class BenchError(VideoMotionError):
    """The measurement can't be made; the message is one sentence for the user."""


def _report_of(command: str, video: Path, *options: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        words = [*COMMAND, command, str(video), "--out", folder, *options]
        if subprocess.run(words, stdout=sys.stderr, check=False).returncode:
            raise BenchError(f"The speed of `{command}` can't be measured: it failed as said above.")
        (file,) = Path(folder).glob("*.json")
        return json.loads(file.read_text(encoding="utf-8"))


def networks(video: Path) -> Iterator[str]:
    """Yield each estimator's parameters, GFLOPs a frame, and frames per second: of its network, and of `estimate`."""
    # Counting needs torch.
    from ...body.smpl import Body
    from ...runtime.session import Session
    from ..networks import configurations, counting

    body = Body.load(registry.body_path())
    yield f"| {video.name} | M parameters | GFLOPs a frame | network, frames/s | `estimate`, frames/s |"
    yield "|---|---:|---:|---:|---:|"
    for name, weights in NETWORKS.items():
        report = _report_of("estimate", video, "--network", name)
        frames, timings = report["frames"], report["timings"]
        cells = ["–"] * 3
        if weights:
            settings = json.loads(Session(registry.path(weights[0]), "cpu").properties["settings"])
            shipped = configurations.Configuration(name, name, configurations.settings_from(name, settings), {})
            parameters, gflops = counting.size(shipped, body)
            cells = [f"{parameters:.1f}", f"{gflops:.3f}", f"{frames / timings['network']:.0f}"]
        together = sum(seconds for stage, seconds in timings.items() if stage != "load")
        yield f"| {name} | {' | '.join(cells)} | {frames / together:.1f} |"


def speed(video: Path, mediapipe: bool = False) -> Iterator[str]:
    """Yield seconds, and frames per second, of each stage of `convert`; optionally of MediaPipe's pipeline alone."""
    report = _report_of("convert", video)
    frames, timings = report["frames"], report["timings"]
    yield f"| {video.name}, {frames} frames, {_size(report['size'])} | seconds | frames/s |"
    yield "|---|---:|---:|"
    # Blender is loaded while networks work.
    together = sum(seconds for stage, seconds in timings.items() if stage != "blender")
    for stage, seconds in (*timings.items(), ("together", together)):
        # Loading does not grow with the frames.
        rate = "–" if stage in ("load", "blender") else f"{frames / max(seconds, 1e-9):.1f}"
        yield f"| {stage} | {seconds:.2f} | {rate} |"
    if mediapipe:
        seconds = reference.seconds_alone(video)
        yield f"| MediaPipe's 2D pipeline alone | {seconds:.2f} | {frames / seconds:.1f} |"


def people(video: Path, max_people: int, limit: int | None, threads: int) -> Iterator[str]:
    """Yield the speed of the people station and of MediaPipe."""
    result = people_speed.compare(video, max_people, limit, threads)
    yield f"| {video.name}, {result.frames} frames | frames/s | median ms | mean CPU ms |"
    yield "|---|---:|---:|---:|"
    for name, mean, median, cpu in (
        ("Video Motion", result.ours_mean, result.ours, result.ours_cpu_mean),
        ("MediaPipe", result.theirs_mean, result.theirs, result.theirs_cpu_mean),
    ):
        yield f"| {name} | {1 / mean:.1f} | {1e3 * median:.1f} | {1e3 * cpu:.1f} |"
    yield f"| times as fast | {result.ratio:.2f} | {result.theirs / result.ours:.2f} | {result.cpu_ratio:.2f} |"


def memory(video: Path) -> Iterator[str]:
    """Yield the peak memory of `estimate` on the video, repeated or cut to each number of frames."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for count in FRAME_COUNTS:
            clip = Path(folder) / f"{video.stem} {count}.mp4"
            _repeat(video, clip, count)
            peaks.append(_peak_megabytes(clip))
    yield f"| {video.name} | {' | '.join(f'{count:,} frames' for count in FRAME_COUNTS)} |"
    yield f"|---|{'---:|' * len(peaks)}"
    yield f"| peak memory of `estimate` | {' | '.join(f'{peak:.0f} MB' for peak in peaks)} |"


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"


def _repeat(video: Path, clip: Path, count: int) -> None:
    with Footage(video) as footage:
        size = (footage.width, footage.height)
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), footage.frame_rate, size)
        if not writer.isOpened():
            raise BenchError(f"{clip} can't be written: check the free space.")
        for frame in islice(chain.from_iterable(repeat(footage)), count):
            writer.write(frame.image)
        writer.release()


def _peak_megabytes(clip: Path) -> float:
    command = [sys.executable, "-c", PEAK, *COMMAND, "estimate", clip]
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise BenchError("The memory of `estimate` can't be measured: it failed as said above.")
    # Kilobytes on Linux, bytes on macOS.
    return int(result.stdout) / (1e6 if sys.platform == "darwin" else 1e3)
