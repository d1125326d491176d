"""The whole way on the sample clip, against its true motion."""

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.evaluation import evaluate, metrics
from video_motion.inference.footage import Footage
from video_motion.inference.motion.motion import Motion
from video_motion.inference.pipeline import Options, Result, convert_footage

VIDEO = evaluate.SAMPLE / "sample.mp4"
TRUTH = evaluate.SAMPLE / "sample.truth.npz"


@pytest.fixture(scope="module")
def truth() -> Motion:
    return Motion.load(TRUTH)


@pytest.fixture(scope="module")
def result() -> Result:
    return convert_footage(VIDEO, Options())


@pytest.fixture(scope="module")
def table(result: Result, truth: Motion) -> dict[str, evaluate.Scores]:
    return evaluate.evaluate(result.motions, truth, result.body)


def test_truth_belongs_to_the_body(truth: Motion, body: Body):
    again = body.joints(truth.poses_cam, truth.betas, truth.trans_cam)
    assert np.abs(again - truth.joints_cam).max() < 1e-3, "make the sample again with tests/sample/make_sample.py"


def test_truth_belongs_to_the_video(truth: Motion):
    with Footage(VIDEO) as footage:
        numbers, times = zip(*((frame.number, frame.timestamp) for frame in footage), strict=True)
        assert (footage.width, footage.height) == tuple(truth.image_size)
    np.testing.assert_array_equal(numbers, truth.frames)
    np.testing.assert_allclose(times, truth.timestamps, atol=1e-3)


def test_true_feet_stay_where_they_stand(truth: Motion):
    toes = truth.joints_world[:, [10, 11]]
    assert metrics.foot_sliding(toes, truth.contacts > 0.5) < 0.06
    assert toes[..., 2].min() > 0


def test_true_motion_is_smooth(truth: Motion):
    assert metrics.jitter(truth.joints_world[:, metrics.LIMB_JOINTS], truth.frame_rate) < 15


def test_the_person_is_followed_all_the_time(table: dict[str, evaluate.Scores], truth: Motion):
    assert table["landmarks"]["frames"] >= 0.97 * len(truth)


def test_furniture_is_nobody(result: Result):
    assert len(result.motions) == 1


def test_landmarks_estimator_beats_blazepose(table: dict[str, evaluate.Scores]):
    ours, theirs = table["landmarks"], table[evaluate.BLAZEPOSE]
    assert ours["MPJPE"] < theirs["MPJPE"]
    assert ours["PA-MPJPE"] < theirs["PA-MPJPE"]
    assert ours["Accel"] < 0.5 * theirs["Accel"]
    assert ours["jitter"] < 0.4 * theirs["jitter"]


# Measured when the clip was made: 96, 66, 109, 11.1, 20, 0.95 and 1.3.
@pytest.mark.parametrize(
    ("measure", "bound"),
    [
        ("MPJPE", 108),
        ("PA-MPJPE", 74),
        ("PVE", 125),
        ("Accel", 14),
        ("jitter", 26),
        ("foot sliding", 1.4),
        ("reprojection, box", 1.8),
    ],
)
def test_landmarks_estimator_stays_as_good(table: dict[str, evaluate.Scores], measure: str, bound: float):
    assert table["landmarks"][measure] < bound
