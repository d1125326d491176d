"""Plots of errors: per joint as bars, over time as lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...atomic import atomic_write
from . import metrics

_SIZE = (10, 4.4)


def _axes(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot(title=title, ylabel="mm")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.legend(loc="outside lower center", ncols=4)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")


def per_joint(errors: Mapping[str, np.ndarray], title: str, path: Path) -> Axes:
    """Draw the mean error of each limb joint as bars, one colour per estimator.

    Args:
        errors: by estimator, (n, 12) millimetres; n ≥ 1.
        title: of the plot.
        path: of the picture; it appears only when it is complete.

    Returns:
        What was drawn.
    """
    figure, axes = _axes(f"{title}: mean error per joint")
    joints = np.arange(len(metrics.LIMB_NAMES))
    width = 0.8 / len(errors)
    for number, (name, values) in enumerate(errors.items()):
        axes.bar(joints + (number - (len(errors) - 1) / 2) * width, values.mean(axis=0), width, label=name)
    axes.set_xticks(joints, [name.replace("_", "\n") for name in metrics.LIMB_NAMES], fontsize="small")
    _save(figure, path)
    return axes


def over_time(errors: Mapping[str, np.ndarray], frames: np.ndarray, frame_rate: float, title: str, path: Path) -> Axes:
    """Draw the joints' mean error over time as lines, interrupted where frames are missing; a lone frame is a dot.

    Args:
        errors: by estimator, (n, 12) millimetres; n ≥ 1.
        frames: (n,) frame numbers.
        frame_rate: frames per second.
        title: of the plot.
        path: of the picture; it appears only when it is complete.

    Returns:
        What was drawn.
    """
    figure, axes = _axes(f"{title}: mean error of the joints over time")
    gaps = np.flatnonzero(np.diff(frames) != 1) + 1
    seconds = np.insert(frames / frame_rate, gaps, np.nan)
    alone = np.flatnonzero(np.diff(np.concatenate([[0], gaps, [len(frames)]])) == 1)
    lone_frames = np.concatenate([[0], gaps])[alone]
    for name, values in errors.items():
        mean = values.mean(axis=1)
        (line,) = axes.plot(seconds, np.insert(mean, gaps, np.nan), linewidth=1, label=name)
        axes.plot(frames[lone_frames] / frame_rate, mean[lone_frames], ".", color=line.get_color())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    _save(figure, path)
    return axes
