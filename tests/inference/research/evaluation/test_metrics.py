"""The measures, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body import rotations
from video_motion.inference.research.evaluation import metrics


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(9, 12, 3))


def test_limbs_are_the_same_on_both_skeletons():
    assert metrics.LIMB_JOINTS == [16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8]
    assert metrics.LIMB_LANDMARKS == [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    assert metrics.HIPS == (6, 7)


def test_mpjpe_of_one_joint_off(points: np.ndarray):
    off = points.copy()
    off[:, 4] += [0.03, 0.0, 0.04]  # 50 mm on one of twelve
    assert metrics.mpjpe(off, points) == pytest.approx(50 / 12)


def test_mpjpe_forgives_the_place_of_the_root_only(points: np.ndarray):
    assert metrics.mpjpe(points + np.array([1.0, -2.0, 3.0]), points) == pytest.approx(0, abs=1e-9)
    moved = points.copy()
    moved[:, 6] += [0.02, 0.0, 0.0]  # the midpoint of the hips moves by 10 mm, and with it all the rest
    assert metrics.mpjpe(moved, points) == pytest.approx(10.0)


def test_pa_mpjpe_forgives_any_similarity(points: np.ndarray):
    turn = rotations.axis_angle_to_matrix(np.array([0.4, -2.0, 0.9]))
    assert metrics.pa_mpjpe(0.7 * points @ turn.T + [3.0, 1.0, -2.0], points) == pytest.approx(0, abs=1e-9)


def test_pa_mpjpe_by_hand():
    true = np.array([[[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]]])
    wide = true * [1.0, 0.5, 1.0]
    # Best scale: (1 + 1 + 0.5 + 0.5) / (1 + 1 + 0.25 + 0.25) = 1.2, so the points miss by 0.2, 0.2, 0.4 and 0.4.
    assert metrics.pa_mpjpe(wide, true) == pytest.approx(300.0)


def test_procrustes_never_reflects():
    true = np.array([[[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0], [0, 0, 0]]])
    assert metrics.pa_mpjpe(true * [-1.0, 1.0, 1.0], true) > 100
    flat = true * [1.0, 1.0, 0.0]
    # In a plane a reflection is a half turn out of it.
    assert metrics.pa_mpjpe(flat * [-1.0, 1.0, 1.0], flat) == pytest.approx(0, abs=1e-6)


def test_procrustes_is_the_best_similarity(points: np.ndarray):
    generator = np.random.default_rng(1)
    predicted = points + 0.1 * generator.normal(size=points.shape)
    best = ((metrics.procrustes(predicted, points) - points) ** 2).sum()
    for _ in range(50):
        turn = rotations.axis_angle_to_matrix(0.05 * generator.normal(size=3))
        scale, move = 1 + 0.05 * generator.normal(), 0.05 * generator.normal(size=3)
        other = scale * metrics.procrustes(predicted, points) @ turn.T + move
        assert ((other - points) ** 2).sum() >= best


def test_pve_after_root_alignment(points: np.ndarray):
    root = points[:, 0]
    assert metrics.pve(points + 1.0, points, root + 1.0, root) == pytest.approx(0, abs=1e-9)
    assert metrics.pve(points, points, root + np.array([0.0, 0.003, 0.004]), root) == pytest.approx(5.0)


def test_accel_error_of_a_parabola():
    time = np.arange(6.0)[:, None, None]
    still = np.zeros((6, 2, 3))
    moving = still + 0.5 * 0.008 * time**2 * np.array([0.0, 0.0, 1.0])  # 8 mm / frame²
    assert metrics.accel_error(moving, still) == pytest.approx(8.0)
    assert metrics.accel_error_si(moving, still, 25.0) == pytest.approx(5.0)
    assert metrics.accel_error(moving + 0.3 * time, still) == pytest.approx(8.0)


def test_jitter_of_a_cubic():
    time = np.arange(8.0)[:, None, None] / 10
    points = np.concatenate([time**3, 0 * time, 5 * time**2], axis=2)  # a third derivative of 6 m/s³
    assert metrics.jitter(points, 10.0) == pytest.approx(0.6)


def test_measures_over_time_skip_gaps(points: np.ndarray):
    frames = np.array([0, 1, 2, 3, 7, 8, 9, 10, 11])
    leap = np.zeros((9, 1, 3))
    leap[4:] = 100.0
    assert metrics.accel_error(leap, 0 * leap, frames) == 0
    assert metrics.jitter(leap, 25.0, frames) == 0
    assert metrics.foot_sliding(leap, np.ones((9, 1)), frames) == 0
    whole = metrics.accel_error(points, 0 * points, frames)
    parts = [np.linalg.norm(np.diff(points[part], n=2, axis=0), axis=-1) for part in (slice(4), slice(4, 9))]
    assert whole == pytest.approx(1000 * np.concatenate(parts).mean())


def test_foot_sliding_counts_standing_feet_sideways():
    feet = np.zeros((4, 2, 3))
    feet[:, 0, 0] = [0.0, 0.03, 0.03, 0.03]
    feet[:, 0, 1] = [0.0, 0.04, 0.04, 0.04]
    feet[:, 0, 2] = [0.0, 0.5, 0.1, 0.7]
    feet[:, 1, 0] = [0.0, 9.0, 10.0, 11.0]
    contacts = np.array([[1, 1], [1, 0], [1, 1], [0, 0]])
    # The left foot stands for two steps, of 5 cm and of none; the right one for none.
    assert metrics.foot_sliding(feet, contacts) == pytest.approx(2.5)
    assert math.isnan(metrics.foot_sliding(feet, 0 * contacts))


def test_bone_lengths_by_hand():
    limbs = np.zeros((1, 12, 3))
    limbs[0, metrics.LIMB_NAMES.index("left_elbow")] = [0.3, 0.0, 0.4]
    # Left upper arm and left forearm.
    assert metrics.bone_lengths(limbs).tolist() == [[0.5, 0, 0.5, 0, 0, 0, 0, 0]]


def test_sides_are_exchanged_frame_by_frame(points: np.ndarray):
    assert [metrics.LIMB_NAMES[other] for other in metrics.LIMB_MIRROR[:2]] == ["right_shoulder", "left_shoulder"]
    mixed = points.copy()
    mixed[2:4] = points[2:4][:, metrics.LIMB_MIRROR] + 0.01
    assert np.flatnonzero(metrics.sides_exchanged(mixed, points)).tolist() == [2, 3]
    assert not metrics.sides_exchanged(points + 0.01, points).any()


def test_decomposition_by_hand(points: np.ndarray):
    off = points.copy()
    off[:, 4] += [0.012, 0.0, -0.06]
    parts = metrics.decomposition(off, points)
    assert (parts["error x"], parts["error y"], parts["error z"]) == pytest.approx((1, 0, 5))
    turn = rotations.axis_angle_to_matrix(np.array([0.4, -0.2, 0.9]))
    parts = metrics.decomposition(1.1 * points @ turn.T + 3, points)
    assert parts["limb lengths"] == pytest.approx(110)
    aligned = metrics.align_root(points, metrics.HIPS)
    assert parts["MPJPE, clip turned"] == pytest.approx(100 * np.linalg.norm(aligned, axis=-1).mean())
    # What turns differently from frame to frame is not undone.
    still = np.repeat(points[:1], 2, axis=0)
    there_and_back = np.stack([points[0] @ turn, points[0] @ turn.T])
    assert metrics.decomposition(there_and_back, still)["MPJPE, clip turned"] > 100


def test_worlds_of_cameras_are_apart_by_what_happens_after_their_first_common_frame():
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 1, (5, 12, 3))
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    elsewhere = motion @ turn.T + [3.0, -2.0, 1.0]
    elsewhere[0] = np.nan
    mean, each = metrics.worlds_apart(np.stack([motion, elsewhere]))
    assert mean == pytest.approx(0, abs=1e-6)
    elsewhere[3:] += turn @ [0.03, 0.0, 0.04]
    mean, each = metrics.worlds_apart(np.stack([motion, elsewhere]))
    assert mean == pytest.approx(25)
    assert each == pytest.approx([25, 25])


def test_disagreement_of_cameras_by_hand():
    views = np.zeros((3, 2, 12, 3))
    views[1, 0, :, 0] = 0.03
    views[2, 1] = np.nan
    # Frame 0: 30, 0 and 30 mm apart; frame 1: the first two agree.
    mean, each = metrics.disagreement(views)
    assert mean == pytest.approx(15)
    assert each == pytest.approx([10, 20, 15])
    assert math.isnan(metrics.disagreement(views[:1])[0])


def test_mpjae_in_degrees():
    rotated = rotations.axis_angle_to_matrix(np.radians([[[30.0, 0.0, 0.0], [0.0, 0.0, -10.0]]]))
    still = np.broadcast_to(np.eye(3), rotated.shape)
    assert metrics.mpjae(rotated, still) == pytest.approx(20.0)


def test_joint_errors_by_hand():
    true = np.zeros((2, 12, 3))
    off = true.copy()
    off[1, 0] = [0.003, 0.004, 0.0]
    off[1] += 7.0
    expected = np.zeros((2, 12))
    expected[1, 0] = 5.0
    np.testing.assert_allclose(metrics.joint_errors(off, true), expected, atol=1e-9)


def test_emdb_compares_its_own_joints():
    assert sorted(metrics.EMDB_ROTATION_JOINTS) == [0, 1, 2, 4, 5, 16, 17, 18, 19]
    assert sorted(set(range(24)) - set(metrics.EMDB_JITTER_JOINTS)) == [0, 7, 8, 10, 11, 20, 21, 22, 23]


def test_pa_mpjae_forgives_the_turn_of_the_body(points: np.ndarray):
    generator = np.random.default_rng(2)
    true = rotations.axis_angle_to_matrix(generator.normal(size=(9, 2, 3)))
    turn = rotations.axis_angle_to_matrix(np.radians([0.0, 50.0, 0.0]))
    predicted_points = 1.3 * points @ turn.T + 2.0
    assert metrics.mpjae(turn @ true, true) == pytest.approx(50.0)
    assert metrics.pa_mpjae(turn @ true, true, predicted_points, points) == pytest.approx(0, abs=1e-5)
    bent = true.copy()
    bent[:, 1] = bent[:, 1] @ rotations.axis_angle_to_matrix(np.radians([0.0, 0.0, 24.0]))  # one of two joints
    assert metrics.pa_mpjae(turn @ bent, true, predicted_points, points) == pytest.approx(12.0)


def test_emdb_jitter_by_hand():
    time = np.arange(8.0) / 10
    joints = np.zeros((8, 24, 3))
    joints[:, 4, 0] = time**3  # a knee, third derivative 6 m/s³
    joints[:, 20, 0] = 50 * time**3  # a wrist, which does not count
    joints += 9 * time[:, None, None] ** 3  # all of the body, which does not count either
    assert metrics.emdb_jitter(joints, 10.0) == pytest.approx(6 / 10 / 24)


def test_reprojection_error():
    camera_K = np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]])
    pixels = metrics.project(np.array([[[0.2, -0.4, 2.0], [0.0, 0.0, 5.0]]]), camera_K)
    np.testing.assert_allclose(pixels, [[[370.0, 140.0], [320.0, 240.0]]])
    seen = pixels + np.array([[[3.0, 4.0], [0.0, 0.0]]])
    assert metrics.reprojection_error(pixels, seen, np.array([200.0])) == pytest.approx((2.5, 1.25))
    weights = np.array([[1.0, 3.0]])
    assert metrics.reprojection_error(pixels, seen, np.array([200.0]), weights) == pytest.approx((1.25, 0.625))
    assert math.isnan(metrics.reprojection_error(pixels, seen, np.array([200.0]), 0 * weights)[0])


def test_standing_knees_are_those_of_legs_that_stand():
    joints = np.zeros((3, 24, 3))
    joints[:, [1, 2]], joints[:, [4, 5]], joints[:, [7, 8]] = [0, 0, 0.9], [0, 0, 0.5], [0, 0, 0.1]
    # The second frame's knees are bent by a right angle, the third's feet are in the air.
    joints[1, [7, 8]] = [0.4, 0, 0.5]
    standing = np.array([[True, True], [False, False], [True, False]])
    assert metrics.standing_knees(joints, standing) == pytest.approx(0)
    assert metrics.standing_knees(joints, standing[[1, 0, 2]]) == pytest.approx(90)
    assert math.isnan(metrics.standing_knees(joints, 0 * standing))
