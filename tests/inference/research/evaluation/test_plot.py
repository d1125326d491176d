"""The plots show the errors that they are given."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.container import BarContainer
from video_motion.inference.research.evaluation import plot


def check_picture(path: Path) -> None:
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.min() < 100 < 255 == picture.max()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_bars_are_as_high_as_the_errors(tmp_path: Path):
    errors = {name: np.full((3, 12), value) for name, value in (("BlazePose", 70.0), ("tar", 100.0), ("other", 50.0))}
    errors["other"][:, 5] = [0.0, 30.0, 45.0]
    axes = plot.per_joint(errors, "a clip", tmp_path / "a.png")
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    assert [container.get_label() for container in bars] == list(errors)
    for container, values in zip(bars, errors.values(), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in container], values.mean(0))
    edges = np.array([[(bar.get_x(), bar.get_x() + bar.get_width()) for bar in container] for container in bars])
    assert (edges[:-1, :, 1] <= edges[1:, :, 0] + 1e-9).all()
    assert (edges[-1, :-1, 1] < edges[0, 1:, 0]).all()
    check_picture(tmp_path / "a.png")


def test_lines_stop_where_frames_are_missing(tmp_path: Path):
    frames = np.array([0, 1, 2, 3, 4, 50, 96, 97, 98, 99, 100])
    errors = {"BlazePose": np.full((11, 12), 30.0), "tar": np.arange(132.0).reshape(11, 12)}
    axes = plot.over_time(errors, frames, 25.0, "a clip", tmp_path / "a.png")
    line, dots = axes.lines[2:]
    seconds, values = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert np.flatnonzero(np.isnan(values)).tolist() == [5, 7]
    np.testing.assert_allclose(seconds[~np.isnan(values)], frames / 25)
    np.testing.assert_allclose(values[~np.isnan(values)], errors["tar"].mean(1))
    assert np.asarray(dots.get_xdata()) == pytest.approx([2.0])
    assert np.asarray(dots.get_ydata()) == pytest.approx([errors["tar"][5].mean()])
    check_picture(tmp_path / "a.png")
