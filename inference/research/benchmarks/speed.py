"""Each stage of `convert`, and MediaPipe's own pipeline on the same frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...estimators import LANDMARKS
from ...runtime.devices import Device, devices
from ..comparison import mediapipe_reference as reference
from . import runs


def measure(video: Path, mediapipe: bool, accurate: Path | None = None, command: str = "convert") -> Iterator[str]:
    """Yield the table of `convert` in each quality on each kind of device that is there.

    Args:
        video: the footage.
        mediapipe: whether to run MediaPipe's own pipeline too.
        accurate: see `mediapipe_reference.complexities`.
        command: `convert`, or `estimate` for all but the scene.
    """
    columns, report = [], {}
    complexities = reference.complexities(accurate) if mediapipe else ()
    for device in kinds_of_devices():
        for quality in LANDMARKS:
            run = runs.run(command, video, "--quality", quality, "--device", device.id)
            columns.append(runs.column(f"{quality}, {device.name}", run))
            report = run.report
    for complexity in complexities:
        seconds, cpu_seconds = reference.time_alone(video, complexity)
        title = f"MediaPipe's 2D alone, complexity {complexity}"
        columns.append(runs.Column(title, report["frames"], {"people": seconds}, cpu_seconds))
    yield from runs.table(f"{video.name}, {report['frames']} frames, {runs.size_of(report)}", columns)
    if mediapipe and reference.ACCURATE not in complexities:
        yield reference.WITHOUT_ACCURATE


def kinds_of_devices() -> list[Device]:
    """The CPU, and the first device of each other kind that networks can run on."""
    kinds: dict[str, Device] = {}
    for device in devices():
        if device.available:
            kinds.setdefault(device.id.partition(":")[0], device)
    return list(kinds.values())
