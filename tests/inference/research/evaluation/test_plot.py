"""The pictures show what they are given."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.research.evaluation import plot


def coloured(picture: np.ndarray, number: int) -> np.ndarray:
    """(H, W) where the picture has an estimator's colour, below the legend."""
    found = (picture == plot._colour(number)).all(axis=-1)
    found[:60] = False
    return found


def test_bars_are_as_high_as_the_errors(tmp_path: Path):
    errors = {name: np.full((3, 12), value) for name, value in (("BlazePose", 70.0), ("tar", 100.0), ("other", 50.0))}
    errors["other"][:, 5] = [0.0, 30.0, 45.0]
    plot.per_joint(errors, "a clip", tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    assert picture.shape == (plot.HEIGHT, plot.WIDTH, 3)
    heights = [coloured(picture, number).sum(axis=0) for number in (1, 2)]
    assert [len(np.unique(height[height > 0])) for height in heights] == [1, 2]
    tall = heights[0].max()
    assert sorted(np.unique(heights[1])) == pytest.approx([0, tall / 4, tall / 2], abs=2)
    starts = [np.flatnonzero(np.diff((height > 0).astype(int)) == 1) for height in heights]
    assert [len(start) for start in starts] == [12, 12]
    assert (starts[0] < starts[1]).all()
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_lines_stop_where_frames_are_missing(tmp_path: Path):
    frames = np.array([0, 1, 2, 3, 4, 50, 96, 97, 98, 99, 100])
    errors = {"BlazePose": np.full((11, 12), 30.0), "tar": np.full((11, 12), 80.0)}
    plot.over_time(errors, frames, 25.0, "a clip", tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    # A smooth line's colour is mixed with white; all but the second estimator is grey.
    columns = np.flatnonzero((np.ptp(picture[60:], axis=-1) > 60).any(axis=0))
    pieces = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    middle = (columns[0] + columns[-1]) / 2
    assert len(pieces) == 3
    assert pieces[1].mean() == pytest.approx(middle, abs=2)
    assert len(pieces[0]) == pytest.approx(0.04 * (columns[-1] - columns[0]), abs=3)
    assert columns[-1] < plot.WIDTH - 20
