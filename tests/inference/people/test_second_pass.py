"""The second pass over footage, by the accurate network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from video_motion.inference.footage.reader import Frame
from video_motion.inference.models import load_people
from video_motion.inference.people.blazepose import read_poses
from video_motion.inference.people.landmarker import Pose
from video_motion.inference.people.second_pass import SecondPass, first_pass_step, smooth_crops
from video_motion.inference.people.track import Track
from video_motion.inference.people.tracker import Tracker

RATE = 25.0
HIPS = [23, 24]


def follow(model, frames: Sequence[Frame], step: int) -> list[Track]:
    tracker = Tracker(model)
    for frame in frames[::step]:
        list(tracker.steps([frame]))
    return tracker.tracks(0.1)


@pytest.mark.parametrize(("rate", "step"), [(12, 1), (15, 1), (25, 2), (30, 2), (50, 3), (60, 4), (240, 16)])
def test_the_first_pass_looks_about_fifteen_times_a_second(rate: float, step: int):
    assert first_pass_step(rate) == step
    assert first_pass_step(rate, crowded=True) == max(1, round(rate / 30))


def test_every_frame_is_seen_in_the_second_pass(blazepose, stage):
    heavy = load_people("best")[1]
    assert heavy is not None
    places = 200 + 8.0 * np.arange(31)
    frames = [Frame(number, number / RATE, stage(x)) for number, x in enumerate(places)]
    (first,) = follow(blazepose, frames, 3)
    second_pass = SecondPass(heavy, [first], 3)
    assert [frame.number for frame in second_pass.see(frames)] == list(range(31))
    (track,) = second_pass.tracks()
    np.testing.assert_array_equal(track.frames, np.arange(31))
    np.testing.assert_allclose(track.timestamps, np.arange(31) / RATE)
    centers = track.landmarks[:, HIPS, 0].mean(axis=1)
    assert np.abs(centers - places - np.median(centers - places)).max() < 6
    # The crops are centred on the person, who moves, and none of them lags.
    assert np.abs(track.crops[:, 0] - centers).max() < 0.03 * track.crops[:, 2].max()


def test_somebody_elses_body_is_not_taken(blazepose, stage):
    """Where the accurate network gives the neighbour's pose, the first pass counts."""
    frames = [Frame(number, number / RATE, stage(250, 700)) for number in range(12)]
    tracks = follow(blazepose, frames, 1)
    assert len(tracks) == 2

    left = tracks[0].body_crops
    assert left is not None

    class Confused:
        input_size = 256

        def read(self, cuts: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
            poses = read_poses(blazepose, [frames[0].image], left[:1].astype(float))
            return [replace(poses[0], crop=crop) for crop in crops]

    second_pass = SecondPass(Confused(), tracks, 1)
    list(second_pass.see(frames))
    for before, after in zip(tracks, second_pass.tracks(), strict=True):
        apart = np.abs(before.landmarks[:, HIPS, 0].mean(axis=1) - after.landmarks[:, HIPS, 0].mean(axis=1))
        assert apart.max() < 15


def test_crops_are_smooth_and_do_not_lag_at_the_ends():
    rng = np.random.default_rng(0)
    times = np.arange(60) / 30
    true = np.column_stack([100 + 90 * times, 200 - 30 * times, np.full(60, 150.0), np.linspace(3.0, 3.4, 60)])
    noisy = true + rng.normal(0, [2, 2, 3, 0.03], (60, 4))
    noisy[:, 3] = (noisy[:, 3] + np.pi) % (2 * np.pi) - np.pi
    smooth = smooth_crops(noisy, times)
    off = smooth - true
    off[:, 3] = (off[:, 3] + np.pi) % (2 * np.pi) - np.pi
    assert (off[3:-3].std(axis=0) < [1.4, 1.4, 1.6, 0.015]).all()
    assert np.abs(off[[0, -1], :2]).max() < 5
    np.testing.assert_allclose(smooth_crops(true[:1], times[:1])[0, :3], true[0, :3])
