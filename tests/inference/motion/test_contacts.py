"""When feet stand, and where they are held."""

from __future__ import annotations

import numpy as np
import pytest
from video_motion.inference.body.skeleton import LANDMARK_NAMES
from video_motion.inference.motion import contacts


def test_sole_landmarks():
    names = [LANDMARK_NAMES[k] for k in contacts.SOLE_LANDMARKS]
    assert names == ["left_heel", "right_heel", "left_foot_index", "right_foot_index"]


def test_speed_across_the_line_of_sight():
    times = np.array([0, 0.03, 0.07, 0.1, 0.15, 0.18])
    ahead = np.array([0.0, 0.0, 4.0])
    aside = ahead + np.outer(times, [0.5, 0, 0])
    nearer = ahead * (1 - 0.2 * times)[:, None]
    still = np.zeros((len(times), 3))
    speed = contacts.sideways_speed(np.stack([aside, nearer], axis=1), still, times)
    np.testing.assert_allclose(speed[:, 0], 0.5, rtol=0.01)
    np.testing.assert_allclose(speed[:, 1], 0, atol=1e-9, err_msg="depth wavers and is not believed")


def test_what_stands_has_no_speed_although_the_camera_passes():
    times = np.linspace(0, 1, 31)
    eyes = np.stack([1.5 * times, 0.1 * np.sin(6 * times), 0.5 * times], axis=1)
    place = np.broadcast_to([1.0, 1.5, 4.0], (31, 1, 3))
    walks = place + times[:, None, None] * [0.0, 0.0, 2.0]
    speed = contacts.sideways_speed(np.concatenate([place, walks], axis=1), eyes, times)
    assert speed[1:-1, 0].max() < 0.01
    assert speed[-1, 1] > 0.4


def test_one_frame_has_no_speed():
    np.testing.assert_array_equal(
        contacts.sideways_speed(np.ones((1, 4, 3)), np.zeros((1, 3)), np.zeros(1)), np.zeros((1, 4))
    )


@pytest.mark.parametrize(
    ("speed", "height", "score", "stands"),
    [
        (0.0, 0.0, 1.0, True),
        (0.1, 0.02, 0.9, True),
        (0.0, -0.05, 1.0, True),
        (1.2, 0.0, 1.0, False),
        (0.0, 0.25, 1.0, False),
        (0.0, 0.0, 0.1, False),
        (0.0, None, 1.0, True),
    ],
    ids=["still", "nearly still", "sunk into the floor", "fast", "in the air", "hidden", "floor unknown"],
)
def test_standing(speed: float, height: float | None, score: float, stands: bool):
    heights = None if height is None else np.full((1, 4), height)
    probability = contacts.standing(np.full((1, 4), speed), heights, np.full((1, 4), score))
    assert ((probability > 0.5) == stands).all()
    assert ((probability >= 0) & (probability <= 1)).all()


def test_planted_foot_stays_in_one_place():
    random = np.random.default_rng(0)
    times = np.arange(40) / 30
    positions = np.array([1.0, 2.0, 0.06]) + random.normal(0, 0.01, (40, 1, 3))
    # It stands from frame 5 to 24, touches the floor for two frames at 30, and flies else.
    probability = np.zeros((40, 1))
    probability[5:25], probability[30:32] = 0.9, 0.9
    places, hold = contacts.plant(positions, probability, times, np.full((40, 1), 0.02), np.ones(40))
    np.testing.assert_array_equal(hold[:5], 0)
    np.testing.assert_array_equal(hold[25:], 0, "a touch of 33 ms is no stand")
    np.testing.assert_allclose(places[5:25, 0], np.tile(places[10, 0], (20, 1)))
    np.testing.assert_allclose(places[10, 0, :2], [1.0, 2.0], atol=0.01)
    assert places[10, 0, 2] == 0.02, "as high as a flat foot has it"
    np.testing.assert_allclose(hold[8:22], 1)
    assert (np.diff(hold[5:9, 0]) >= 0).all(), "the hold grows"
    assert (np.diff(hold[21:26, 0]) <= 0).all(), "and fades"
    assert 0 < hold[5, 0] < 0.5


def test_a_foot_stands_where_it_is_seen_best():
    """Half of the time the person crouches, and seems to glide away."""
    times = np.arange(30) / 30
    positions = np.zeros((30, 1, 3))
    positions[15:, 0, 1] = 0.2
    places, _ = contacts.plant(
        positions, np.ones((30, 1)), times, np.zeros((30, 1)), np.where(np.arange(30) < 15, 1, 0.05)
    )
    np.testing.assert_allclose(places[:, 0, 1], 0.2 * 0.05 / 1.05)


def test_every_stand_has_its_own_place():
    times = np.arange(30) / 30
    positions = np.zeros((30, 2, 3))
    positions[15:, 0, 0] = 0.7
    positions[:, 1, 1] = 3.0
    probability = np.full((30, 2), 0.9)
    probability[13:17, 0] = 0.1
    places, _ = contacts.plant(positions, probability, times, np.zeros((30, 2)), np.ones(30))
    np.testing.assert_allclose(places[:13, 0, 0], 0, atol=1e-12)
    np.testing.assert_allclose(places[17:, 0, 0], 0.7, atol=1e-12)
    np.testing.assert_allclose(places[:, 1], [[0, 3, 0]] * 30, atol=1e-12)


def test_frame_rate_does_not_change_the_hold():
    holds = []
    for rate in (30, 120):
        times = np.arange(0, 1, 1 / rate)
        _, hold = contacts.plant(
            np.zeros((len(times), 1, 3)),
            np.ones((len(times), 1)),
            times,
            np.zeros((len(times), 1)),
            np.ones(len(times)),
        )
        holds.append(np.interp([0.0, 1 / 30, 0.5], times, hold[:, 0]))
    np.testing.assert_allclose(holds[0], holds[1], atol=1e-6)


def test_who_climbs_stands_on_several_levels():
    """A foot on the floor, on a step of 20 cm, and on the floor again, each seen a little too high or too low."""
    times = np.arange(90) / 30
    clearance, probability = np.full((90, 4), 0.4), np.zeros((90, 4))
    for rows, height in ((slice(0, 20), 0.03), (slice(30, 50), 0.2), (slice(60, 80), -0.03)):
        clearance[rows, 0::2], probability[rows, 0] = height, 0.9
    ground = contacts.ground_levels(clearance, probability, times)
    np.testing.assert_allclose(ground[[5, 70], 0], 0, atol=1e-9)
    np.testing.assert_allclose(ground[30:50, 0], 0.2)
    assert ground[25, 0] == pytest.approx(0), "between them the usual one"


def test_nobody_climbs_on_a_floor_that_is_seen_to_rise():
    times = np.arange(120) / 30
    clearance, probability = np.zeros((120, 4)), np.zeros((120, 4))
    for number in range(6):
        rows = slice(20 * number, 20 * number + 15)
        clearance[rows], probability[rows, number % 4] = 0.03 * number, 0.9
    ground = contacts.ground_levels(clearance, probability, times)
    np.testing.assert_allclose(ground, 0.075)


def test_a_stand_that_is_seen_to_sink_is_on_the_floor_before_and_after_it():
    """Somebody crouches, seems to sink by 12 cm meanwhile, jumps, and lands where the floor is seen higher again."""
    times = np.arange(120) / 30
    clearance, probability = np.full((120, 4), 0.5), np.zeros((120, 4))
    clearance[:50], clearance[70:] = np.linspace(0.06, -0.1, 50)[:, None], 0.07
    probability[:50], probability[70:] = 0.9, 0.9
    ground = contacts.ground_levels(clearance, probability, times)
    assert np.ptp(ground) == pytest.approx(0, abs=1e-9)


def test_a_raised_heel_is_no_step():
    times = np.arange(60) / 30
    clearance, probability = np.zeros((60, 4)), np.zeros((60, 4))
    probability[:20, [0, 2]] = probability[30:50, [0, 2]] = 0.9
    clearance[30:50, 0] = 0.12
    np.testing.assert_allclose(contacts.ground_levels(clearance, probability, times), 0)
