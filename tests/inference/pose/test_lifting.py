"""The lifter along a track: which frames it sees together, and the same answers as in torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference.pose import features, lifting
from video_motion.inference.pose.lifting import WINDOW
from video_motion.inference.research.networks.lifter import Lifter
from video_motion.inference.research.networks.torch_body import sixd_to_matrix, to_local
from video_motion.inference.runtime.session import NetworkError

from .conftest import K, track_of

ALL = np.arange(10, 310)
GAPS = np.delete(ALL, [30, 31, 32, 70, 71, *range(120, 220), 297])
SHORT = np.array([5, 6, 9])
LONE = np.array([7])


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60, 120, 240])
@pytest.mark.parametrize("frames", [ALL, GAPS, SHORT, LONE], ids=["whole", "gaps", "short", "lone"])
def test_every_frame_is_in_a_window_at_the_rate_of_the_training(frames: np.ndarray, rate: float):
    starts, rows, known = lifting.windows(frames, frames / rate)
    assert rows.shape == known.shape == (len(starts), WINDOW)
    assert set(rows[known]) == set(range(len(frames)))
    stride = lifting.window_stride(frames, frames / rate)
    if len(frames) > 1:
        assert 20 < rate / stride < 40
        assert lifting.step_seconds(frames, frames / rate) == pytest.approx(stride / rate)
    wanted = starts[:, None] + stride * np.arange(WINDOW)
    for window in range(len(starts)):
        for place in range(WINDOW):
            earlier = np.flatnonzero(frames <= wanted[window, place])
            there = wanted[window, place] in frames
            assert known[window, place] == there
            assert rows[window, place] == (earlier[-1] if len(earlier) else 0), "the frame before takes its place"


def test_windows_overlap_so_that_frames_have_neighbours_on_both_sides():
    _, rows, known = lifting.windows(ALL, ALL / 30)
    place = np.where(known, np.minimum(np.arange(WINDOW), np.arange(WINDOW)[::-1]), -1)
    best = np.full(len(ALL), -1)
    np.maximum.at(best, rows.ravel(), place.ravel())
    middle = slice(WINDOW // 2, -WINDOW // 2)
    assert best[middle].min() >= WINDOW // 4 - 1
    # As few windows as that takes.
    assert len(rows) <= 2 * len(ALL) / WINDOW + 1


def test_a_window_of_a_short_track_is_worked_by_hand():
    starts, rows, known = lifting.windows(SHORT, SHORT / 30)
    assert starts.tolist() == [5]
    assert rows[0, :6].tolist() == [0, 1, 1, 1, 2, 2]
    assert known[0, :6].tolist() == [True, True, False, False, True, False]
    assert not known[0, 5:].any()


@pytest.mark.parametrize(
    ("frames", "rate"),
    [(ALL, 30), (ALL[:160], 60), (GAPS, 24), (SHORT, 25), (LONE, 30)],
    ids=["whole", "fast", "gaps", "short", "lone"],
)
def test_along_a_track_the_engine_says_what_torch_says(
    frames: np.ndarray, rate: float, lifter: Lifter, lifter_file: Path
):
    """Each frame is taken once, from the window in whose middle it is."""
    track = track_of(frames, rate)
    lifted = lifting.Lifter(lifter_file, "cpu").lift(track, K)
    _, rows, known = lifting.windows(frames, frames / rate)
    seconds = max(round(rate / 30), 1) / rate if len(frames) > 1 else 1 / 30
    described = features.frame_features(
        **{name: getattr(track, name)[rows] for name in features.DETECTOR_FIELDS},
        known=known,
        period=np.full(rows.shape, seconds),
        camera_K=np.broadcast_to(K, (*rows.shape, 3, 3)),
    )
    with torch.no_grad():
        output = lifter(torch.from_numpy(described))
        estimate = output.estimates[0]
        parts = {
            "rotations": to_local(sixd_to_matrix(estimate.sixd)),
            "betas": estimate.betas,
            "camera": estimate.camera,
            "sigma": output.extra["sigma"],
            "gravity": output.extra["gravity"],
            "contacts": torch.sigmoid(output.extra["contacts"]),
        }
    expected = {name: part.unflatten(0, (-1, WINDOW)).numpy() for name, part in parts.items()}
    expected["frames"] = np.concatenate([described, output.extra["described"].numpy()], axis=-1)
    for row in range(len(track)):
        places = np.argwhere((rows == row) & known)
        aside = np.abs(places[:, 1] - (WINDOW - 1) / 2)
        middlemost = places[aside == aside.min()]
        for name, values in expected.items():
            had = getattr(lifted, name)[row]
            off = min(np.abs(had - values[tuple(at)]).max() for at in middlemost)
            assert off < 2e-4, (name, row, off)


def test_what_comes_much_later_changes_nothing(lifter_file: Path):
    engine = lifting.Lifter(lifter_file, "cpu")
    track = track_of(ALL, 30)
    kept = {name: getattr(track, name)[:200] for name in vars(track) if isinstance(getattr(track, name), np.ndarray)}
    whole, begun = engine.lift(track, K), engine.lift(replace(track, **kept), K)
    for name, values in vars(begun).items():
        np.testing.assert_allclose(values[:100], getattr(whole, name)[:100], atol=1e-4, err_msg=name)
    assert np.abs(begun.rotations[199] - whole.rotations[199]).max() > 1e-3


def test_only_a_copy_is_marked():
    described = np.ones((2, 3, features.SIZE), np.float32)
    known = np.array([[True, False, True], [False, False, True]])
    marked = lifting.with_known(described, known)
    np.testing.assert_array_equal(marked[..., features.KNOWN], known)
    assert (described == 1).all()


def test_a_lifter_for_other_features_is_refused(lifter_file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, "VERSION", 99)
    with pytest.raises(NetworkError, match="another version"):
        lifting.Lifter(lifter_file, "cpu")
