"""Measures speed and memory on a user's video."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain, islice, repeat
from pathlib import Path

import cv2

from .footage import Footage
from .pipeline import Options, convert_footage
from .report import Progress

FRAME_COUNTS = (300, 3000)


class BenchError(Exception):
    """The measurement can't be made; the message is one sentence for the user."""


def people(video: Path) -> Iterator[str]:
    """Yield a line for each stage of the way from video to motion: seconds, and frames per second."""
    progress = Progress(video.name)
    result = convert_footage(video, Options(), progress)
    progress.close()
    frames, timings = result.report["frames"], result.report["timings"]
    assert isinstance(frames, int)
    assert isinstance(timings, dict)
    yield f"{video}: {frames} frames, {len(result.motions)} people"
    for stage, seconds in timings.items():
        yield f"{stage}: {seconds:.2f} s, {frames / max(seconds, 1e-9):.1f} frames per second"


def memory(video: Path) -> Iterator[str]:
    """Yield a line for each length: peak memory of `estimate` on the video, repeated or cut to that many frames."""
    with tempfile.TemporaryDirectory() as folder:
        for count in FRAME_COUNTS:
            clip = Path(folder) / f"{count}.mp4"
            _repeat(video, clip, count)
            yield f"{count} frames: {_peak_megabytes(clip):.0f} MB at most"


def _repeat(video: Path, clip: Path, count: int) -> None:
    footage = Footage(video)
    size = (footage.width, footage.height)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), footage.frame_rate, size)
    for frame in islice(chain.from_iterable(repeat(footage)), count):
        writer.write(frame.image)
    writer.release()


def _peak_megabytes(clip: Path) -> float:
    child = subprocess.Popen([sys.executable, "-P", "-m", "video_motion.inference", "estimate", str(clip)])
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise BenchError("The memory of `estimate` can't be measured: it failed as said above.")
    # Kilobytes on Linux, bytes on macOS.
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
