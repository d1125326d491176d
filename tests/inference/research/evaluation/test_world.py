"""Measures of people in a world, against values worked out by hand."""

import math

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.evaluation.scenes import world

NAN = float("nan")


@pytest.fixture
def cloud() -> np.ndarray:
    """Somebody of 24 points who stays for 200 frames."""
    return np.repeat(np.random.default_rng(2).normal(0, 0.4, (1, 24, 3)), 200, axis=0)


def test_segments_are_aligned_by_a_similarity(cloud: np.ndarray):
    turn = rotations.axis_angle_to_matrix(np.array([0.3, -1.0, 0.2]))
    moved = 1.3 * cloud @ turn.T + [4.0, -2.0, 1.0]
    assert world.w_mpjpe(moved, cloud) == pytest.approx(0, abs=1e-9)
    assert world.wa_mpjpe(moved, cloud) == pytest.approx(0, abs=1e-9)


def test_w_mpjpe_holds_the_first_two_frames_and_wa_mpjpe_the_middle(cloud: np.ndarray):
    jump = cloud[:100].copy()
    jump[2:] += [0.1, 0, 0]
    assert world.w_mpjpe(jump, cloud[:100]) == pytest.approx(98)
    # Two frames are 98 mm off, and 98 are 2 mm off, if scale and direction stay.
    assert world.wa_mpjpe(jump, cloud[:100]) == pytest.approx(3.92, rel=0.05)


def test_each_hundred_frames_are_aligned_anew(cloud: np.ndarray):
    jump = cloud.copy()
    jump[100:] += [5.0, 0, 0]
    assert world.w_mpjpe(jump, cloud) == pytest.approx(0, abs=1e-9)
    jump[98:] += [5.0, 0, 0]
    assert world.w_mpjpe(jump, cloud) == pytest.approx(5000 * 2 / 200)


def test_a_path_that_is_too_short_by_a_tenth():
    path = np.linspace(0, 10, 101)[:, None] * [1.0, 0, 0] + [3.0, 1.0, 0.9]
    turn = rotations.axis_angle_to_matrix(np.array([0, 0, 2.0]))
    assert world.root_path_error(path @ turn.T, path) == pytest.approx(0, abs=1e-9)
    # The error falls from half a metre at one end to none in the middle.
    assert world.root_path_error(0.9 * path @ turn.T, path) == pytest.approx(2.5, rel=0.02)


def test_gravity_that_is_turned():
    true = np.array([[0, -1.0, 0], [0, -1.0, 0], [0, 0, -1.0]])
    turn = rotations.axis_angle_to_matrix(np.radians([[0, 0, 10.0], [25.0, 0, 0], [0, 0, 90.0]]))
    assert world.gravity_errors(np.einsum("nij,nj->ni", turn, true), true) == pytest.approx([10, 25, 0], abs=1e-6)


def test_a_sliding_foot():
    """Four points that move by 5 mm a frame, sideways and up; a fifth flies."""
    frames = np.arange(20)
    step = np.array([0.003, 0, 0.004])
    points = np.repeat((frames[:, None] * step)[:, None], 5, axis=1)
    points[:, 4] *= 100
    contacts = np.ones((20, 5), bool)
    contacts[:, 4] = False
    assert world.sliding(points, contacts, frames) == pytest.approx(5)
    # Lifting and setting down, and what is missed between two frames, is no sliding.
    contacts[10], points[10:], frames[15:] = False, points[10:] + 0.2, frames[15:] + 3
    points[15:] += 0.5
    assert world.sliding(points, contacts, frames) == pytest.approx(5)
    assert math.isnan(world.sliding(points, 0 * contacts > 0, frames))


def test_a_body_that_floats_and_one_that_sinks():
    ground = np.array([0.0, 0.0, 0.2, 0.2])
    assert world.floating(ground + 0.03, ground) == pytest.approx((30, 0))
    assert world.floating(ground + np.array([0.02, -0.04, 0, 0]), ground) == pytest.approx((5, 10))
    assert all(map(math.isnan, world.floating(ground[:0], ground[:0])))


@pytest.mark.parametrize(("acceleration", "error"), [(-9.81, 0.0), (-5.0, 4.81), (-12.0, 2.19)])
def test_a_flight(acceleration: float, error: float):
    seconds = np.arange(30) / 30
    heights = 1.0 + 3.0 * seconds + acceleration / 2 * seconds**2
    heights[:8] = heights[25:] = 1.0
    airborne = (np.arange(30) >= 8) & (np.arange(30) < 25)
    assert world.flight_error(heights, airborne, 30.0) == pytest.approx(error, abs=1e-6)


def test_a_hop_of_three_frames_has_no_acceleration():
    assert math.isnan(world.flight_error(np.arange(10.0), np.isin(np.arange(10), [4, 5, 6]), 30.0))


def test_ground_is_the_highest_box_below():
    boxes = np.array([[[0, 0, 0], [1, 1, 0.2]], [[0.5, 0, 0], [2, 1, 0.4]]])
    places = np.array([[0.2, 0.5], [0.7, 0.5], [1.5, 0.5], [1.5, 1.5]])
    assert world.ground_below(places, boxes) == pytest.approx([0.2, 0.4, 0.4, 0])
    assert world.ground_below(places, boxes[:0]) == pytest.approx([0, 0, 0, 0])
    assert world.heights_above(places, np.full(4, 0.5), boxes) == pytest.approx([0.3, 0.1, 0.1, 0.5])


def test_two_who_are_exchanged_are_two_switches():
    apart = np.tile([[0.1, 0.9], [0.9, 0.1]], (10, 1, 1))
    assert world.identity_switches(apart, 0.3) == 0
    apart[5:] = apart[5:, :, ::-1]
    assert world.identity_switches(apart, 0.3) == 2


def test_whoever_stays_near_stays_matched():
    apart = np.tile([[0.1, 0.9], [0.9, 0.1]], (10, 1, 1))
    apart[4:6] = [[0.25, 0.05], [0.05, 0.25]]
    assert world.identity_switches(apart, 0.3) == 0


def test_a_person_who_comes_back_as_another_is_one_switch():
    apart = np.full((9, 1, 2), NAN)
    apart[:3, 0, 0] = apart[6:, 0, 1] = 0.1
    assert world.identity_switches(apart, 0.3) == 1
    # As nobody is near, nobody is exchanged.
    apart[6:, 0, 1] = 0.5
    assert world.identity_switches(apart, 0.3) == 0


def test_the_centre_of_mass_of_somebody_upright(body: Body):
    """It lies in the middle of the body, at 55 to 57 % of an adult's height."""
    poses = np.zeros((2, 24, 3))
    for side, sign in (("left", -1), ("right", 1)):
        poses[:, JOINT_NAMES.index(f"{side}_shoulder"), 2] = 1.3 * sign
    joints = body.joints(poses)
    surface = body.vertices(poses)[0, :, 1]
    centre = world.centre_of_mass(joints)
    assert abs(centre[0, 0]) < 0.005
    assert 0.54 < (centre[0, 1] - surface.min()) / np.ptp(surface) < 0.58
    there = np.array([1.0, 2.0, 3.0])
    assert world.centre_of_mass(joints + there) == pytest.approx(centre + there)
