"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ...atomic import atomic_write


def draw(
    series: Mapping[str, Sequence[tuple[float, float]]], levels: Mapping[str, float], title: str, path: Path
) -> None:
    """Draw curves of (minutes, value), and dashed levels for comparison, each with its last value in the legend."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="minutes")
    for name, points in series.items():
        axes.plot(*zip(*points, strict=True), marker=".", label=f"{name} {points[-1][1]:.1f}")
    for number, (name, value) in enumerate(levels.items()):
        axes.axhline(value, color=f"C{number}", linestyle="--", alpha=0.6, label=f"{name} {value:.1f}")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
