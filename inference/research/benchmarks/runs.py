"""Runs of our own commands as a user starts them, clips for them, and the table of their stages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...errors import VideoMotionError
from ...footage.reader import Footage
from ..evaluation import evaluate

SAMPLE = evaluate.SAMPLE / "sample.mp4"
COMMAND = (sys.executable, "-P", "-m", "video_motion.inference.cli")

LOAD, DECODING = "load", "decoding"
IN_OTHERS: Mapping[str, str] = {
    DECODING: "decoding alone, part of the others",
    "blender": "blender, beside the others",
}
"""Stages that don't add to the time, as the table names them."""

ONCE = (LOAD, "blender")
"""Stages whose time does not grow with the frames."""


class BenchError(VideoMotionError):
    """The measurement can't be made; the message is one sentence for the user."""


@dataclass(frozen=True)
class Run:
    """A command's report (its NAME.json) and what it took.

    Attributes:
        report: the report.
        seconds: from the command's start to its end.
        cpu_seconds: of all its processes, summed over all CPUs; 0 where the system doesn't count them (Windows).
    """

    report: dict[str, Any]
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Column:
    """What one of the compared pipelines took for a clip.

    Attributes:
        title: what it is.
        frames: of the clip.
        stages: seconds of each.
        cpu_seconds: summed over all CPUs.
        seconds: from the start of the command to its end; None if it was not a command.
    """

    title: str
    frames: int
    stages: Mapping[str, float]
    cpu_seconds: float
    seconds: float | None = None

    @property
    def together(self) -> float:
        """Seconds of the stages that follow each other."""
        return sum(seconds for stage, seconds in self.stages.items() if stage not in IN_OTHERS)

    @property
    def after_load(self) -> float:
        """The same without loading."""
        return self.together - self.stages.get(LOAD, 0.0)


def run(command: str, video: Path, *options: str, out: Path | None = None) -> Run:
    """Run a command on a video.

    Args:
        command: `convert` or `estimate`.
        video: the footage.
        options: further arguments.
        out: where results stay; None to remove them.

    Raises:
        BenchError: it failed, and has said why.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        began, cpu_began = time.perf_counter(), cpu_of_children()
        words = [*COMMAND, command, *options, str(video), "--out", str(folder)]
        if subprocess.run(words, stdout=sys.stderr, check=False).returncode:
            raise BenchError(f"`{command}` can't be measured: it failed as said above.")
        seconds, cpu_seconds = time.perf_counter() - began, cpu_of_children() - cpu_began
        (file,) = folder.glob("*.json")
        return Run(json.loads(file.read_text(encoding="utf-8")), seconds, cpu_seconds)


def cpu_of_children() -> float:
    """Seconds of all processes that were started and have ended, with those that they started."""
    times = os.times()
    return times.children_user + times.children_system


def write_clip(video: Path, clip: Path, count: int, size: tuple[int, int] | None = None) -> None:
    """Write frames of a video, repeated as often as needed, as MPEG-4.

    Args:
        video: the footage.
        clip: the file to write.
        count: of frames.
        size: width and height in pixels, into which the frames are fitted with black bars; None keeps theirs.

    Raises:
        BenchError: the clip can't be written.
    """
    with Footage(video) as footage:
        size = size or (footage.width, footage.height)
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), footage.frame_rate, size)
        if not writer.isOpened():
            raise BenchError(f"{clip} can't be written: check the free space.")
        for frame in islice(chain.from_iterable(repeat(footage)), count):
            writer.write(_fitted(frame.image, size))
        writer.release()


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    (height, width), (wide, high) = image.shape[:2], size
    if (width, height) == size:
        return image
    scale = min(wide / width, high / height)
    scaled = cv2.resize(image, (round(scale * width), round(scale * height)))
    left, top = (wide - scaled.shape[1]) // 2, (high - scaled.shape[0]) // 2
    right, bottom = wide - scaled.shape[1] - left, high - scaled.shape[0] - top
    return cv2.copyMakeBorder(scaled, top, bottom, left, right, cv2.BORDER_CONSTANT)


def size_of(report: Mapping[str, Any]) -> str:
    """Width and height of a report's video."""
    return f"{report['size'][0]}×{report['size'][1]}"


def column(title: str, of: Run) -> Column:
    """What a run took."""
    return Column(title, of.report["frames"], of.report["timings"], of.cpu_seconds, of.seconds)


def table(title: str, columns: Sequence[Column]) -> Iterator[str]:
    """Yield a Markdown table of what pipelines took, line by line: a column for each, a row for each stage."""
    yield f"| {title}: seconds (frames/s) | {' | '.join(one.title for one in columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    longest_first = sorted(columns, key=lambda one: -len(one.stages))
    for stage in dict.fromkeys(stage for one in longest_first for stage in one.stages):
        cells = [_cell(one, one.stages.get(stage), stage not in ONCE) for one in columns]
        yield _row(IN_OTHERS.get(stage, stage), cells)
    yield _row("together", [_cell(one, one.together) for one in columns])
    yield _row("together after loading", [_cell(one, one.after_load) for one in columns])
    yield _row("the whole command", [_cell(one, one.seconds) for one in columns])
    cpu = [1e3 * one.cpu_seconds / one.frames for one in columns]
    yield _row("CPU ms per frame", [f"{one:.1f}" if one else "–" for one in cpu])


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _cell(of: Column, seconds: float | None, with_rate: bool = True) -> str:
    if seconds is None:
        return "–"
    # A stage that was too short to time has no rate.
    return f"{seconds:.2f} ({of.frames / seconds:.1f})" if with_rate and seconds > 0 else f"{seconds:.2f}"
