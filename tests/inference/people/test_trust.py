import numpy as np
import pytest
from video_motion.inference.people import trust
from video_motion.inference.people.landmarker import Pose
from video_motion.inference.people.target import JOINTS, TOLERANCE

SHAPE = (200, 300, 3)
SIDE = 100.0


def pose(visibility: float = 1.0, rotation: float = 0.0, shift: float = 0.0, radius: float = 30.0) -> Pose:
    angles = np.linspace(0, 4 * np.pi, 33)
    points = np.stack([150 + shift + radius * np.cos(angles), 100 + radius * np.sin(angles)], axis=1)
    crop = np.array([150.0, 100.0, SIDE, rotation])
    sure = np.full(33, visibility)
    return Pose(crop, points, sure, sure, np.zeros((33, 3)), 1.0, points[0], points[0])


def test_a_pose_seen_again_is_trusted_as_far_as_it_is_visible():
    assert trust.trust(pose(), SHAPE, pose()) == pytest.approx(1)
    assert trust.trust(pose(0.7), SHAPE, pose()) == pytest.approx(0.7)


def test_a_pose_that_moves_with_the_crop_is_not():
    moved = pose(shift=TOLERANCE * SIDE * np.sqrt(2 * np.log(4)))
    assert trust.trust(pose(), SHAPE, moved) == pytest.approx(1 / 4)


def test_without_a_second_look_the_trust_is_the_best_that_one_can_give():
    one = pose(0.8)
    best = trust.trust(one, SHAPE)
    assert best == pytest.approx(0.8)
    assert all(trust.trust(one, SHAPE, pose(shift=s)) <= best for s in (0, 2, 20))


@pytest.mark.parametrize(("inside", "expected"), [(13, 1), (6, (6 / 13 + 1) / 2), (2, (2 / 13 + 2 / 4) / 2), (0, 0)])
def test_joints_cut_off_by_the_edge_count_half_but_a_few_joints_are_no_proof(inside, expected):
    one = pose()
    one.visibility[JOINTS[inside:]] = 0
    one.landmarks[JOINTS[inside:]] = 150, 300
    assert trust.trust(one, SHAPE, one) == pytest.approx(expected)


def test_upside_down_is_trusted_less():
    trusts = [trust.trust(pose(rotation=r), SHAPE) for r in (0, np.pi / 2, np.pi)]
    np.testing.assert_allclose(trusts, [1, 0.95, 0.9])


def test_rechecks_differ_and_see_nearly_the_same():
    crop = np.array([100.0, 50.0, 200.0, 0.3])
    first, second = trust.recheck_crop(crop, 0), trust.recheck_crop(crop, 1)
    np.testing.assert_allclose(first, [112, 62, 224, 0.3])
    np.testing.assert_allclose(second, [88, 38, 180, 0.4])
    np.testing.assert_array_equal(trust.recheck_crop(crop, 2), first)


def test_a_huddled_pose_is_trusted_less():
    one = pose()
    spread = np.sqrt(one.landmarks[JOINTS].var(axis=0).sum())
    half = pose(radius=30 * SIDE * trust.SPREAD / 2 / spread)
    assert trust.trust(half, SHAPE) == pytest.approx(1 / 2)
