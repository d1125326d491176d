"""What looking at hands and faces costs a conversion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...estimators import LANDMARKS
from . import runs

WITHOUT: dict[str, tuple[str, ...]] = {
    "neither": ("--no-hands", "--no-face"),
    "hands": ("--no-face",),
    "faces": ("--no-hands",),
    "both": (),
}
"""What is looked at, and the options that leave out the rest."""


def measure(video: Path, rounds: int = 3) -> Iterator[str]:
    """Yield the table of `convert` with and without hands and faces, by turns, in each quality.

    Args:
        video: the footage.
        rounds: how often each is run.

    Raises:
        BenchError: `convert` failed.
    """
    yield from compared("convert", video, "looks at", WITHOUT, rounds)


def compared(
    command: str,
    video: Path,
    what: str,
    variants: Mapping[str, Sequence[str]],
    rounds: int,
) -> Iterator[str]:
    """Yield a table of a command with the options of each variant, by turns, in each quality; ratios are to the first.

    Other programs only add to what a run takes, so the least of all rounds counts.
    """
    yield f"| {video.name}: `{command}` | {what} | seconds | more | CPU seconds | more |"
    yield "|---|---|---:|---:|---:|---:|"
    for quality in LANDMARKS:
        taken: dict[str, list[runs.Run]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, options in variants.items():
                taken[name].append(runs.run(command, video, "--quality", quality, *options))
        base: tuple[float, float] | None = None
        for name, own in taken.items():
            seconds, cpu = min(run.seconds for run in own), min(run.cpu_seconds for run in own)
            base = base or (seconds, cpu)
            more = [_more(seconds, base[0]), _more(cpu, base[1])]
            yield f"| {quality} | {name} | {seconds:.1f} | {more[0]} | {cpu:.1f} | {more[1]} |"


def _more(value: float, base: float) -> str:
    return f"{value / base - 1:+.0%}" if base else "–"
