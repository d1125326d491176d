"""The network that says which heels and toes stand, and what it sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion import contacts
from video_motion.inference.motion import footing as module
from video_motion.inference.motion.contacts import SOLE_LANDMARKS
from video_motion.inference.motion.footing import Footing, Steps

from . import scenes


@pytest.fixture(scope="module")
def lap(body: Body) -> scenes.Scene:
    return scenes.walk(body, np.arange(180) / 30)


@pytest.fixture(scope="module")
def steps(body: Body, lap: scenes.Scene) -> Steps:
    """What a body truly does."""
    soles = lap.world(lap.landmarks[:, list(SOLE_LANDMARKS)])
    rest = body.rest_landmarks(lap.betas)[list(SOLE_LANDMARKS), 1]
    return Steps(
        lap.timestamps,
        lap.world(lap.joints),
        soles,
        soles[..., 2] - (rest - rest.min()),
        lap.to_world[:, :3, 3],
        np.full((len(soles), len(module.SEEN_LANDMARKS)), 0.95),
    )


def test_it_tells_which_foot_of_a_walker_stands(footing: Footing, steps: Steps, lap: scenes.Scene):
    stands = footing.standing(steps)
    assert stands.shape == (180, 4)
    assert ((stands[:, 2:] > 0.5) == lap.standing).mean() > 0.85


def test_it_is_not_led_astray_by_a_hidden_foot_that_seems_to_move(footing: Footing, steps: Steps, lap: scenes.Scene):
    """The speed of the foot alone would say that it doesn't stand."""
    soles, shaken = steps.soles.copy(), slice(60, 120)
    soles[shaken, 0::2, 0] += 0.03 * np.sin(2 * np.pi * 5 * lap.timestamps[shaken, None])
    visibility = steps.visibility.copy()
    visibility[shaken, 0::2] = 0.2
    seen = replace(steps, soles=soles, visibility=visibility)
    stands = footing.standing(seen)[shaken, 2] > 0.5
    assert (stands == lap.standing[shaken, 0]).mean() > 0.7


def test_the_frame_rate_does_not_matter(footing: Footing, steps: Steps):
    every, third = footing.standing(steps), footing.standing(steps.at(steps.timestamps[::2]))
    assert np.abs(every[::2] - third).mean() < 0.08


def test_left_and_right_are_alike(footing: Footing, steps: Steps):
    mirrored = footing.standing(steps.mirrored())
    difference = np.abs(mirrored[:, [1, 0, 3, 2]] - footing.standing(steps))
    assert difference.mean() < 0.1


def test_neither_place_nor_direction_matters(steps: Steps):
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    away = np.array([7.0, -3.0, 0.0])
    elsewhere = replace(
        steps, joints=steps.joints @ turn.T + away, soles=steps.soles @ turn.T + away, eyes=steps.eyes @ turn.T + away
    )
    np.testing.assert_allclose(module.features(elsewhere), module.features(steps), atol=1e-9)


def test_one_frame_is_enough(footing: Footing, steps: Steps):
    assert footing.standing(steps.at(steps.timestamps[:1])).shape == (1, 4)


def test_what_moves_away_does_not_stand_and_what_rests_does(footing: Footing, steps: Steps):
    """Whatever the network thinks of a body that it has never seen in such a pose."""
    n = len(steps.timestamps)
    place = np.tile([[-0.1, 0.0, 0.02], [0.1, 0.0, 0.02], [-0.1, -0.2, 0.01], [0.1, -0.2, 0.01]], (n, 1, 1))
    seated = np.tile(steps.joints[:1] - [0.0, 0.0, 0.5], (n, 1, 1))
    rests = replace(steps, joints=seated, soles=place, clearance=np.zeros((n, 4)))
    assert (footing.standing(rests) > 0.5).all()
    carried = place + 0.6 * steps.timestamps[:, None, None] * [1.0, 0.0, 0.0]
    stands = footing.standing(replace(rests, soles=carried)) > 0.5
    for point in range(4):
        for start, stop in contacts.runs(stands[:, point]):
            assert 0.6 * (steps.timestamps[stop - 1] - steps.timestamps[start]) < 0.45
    raised = np.zeros((n, 4))
    raised[:, [0, 2]] = 0.5
    assert not (footing.standing(replace(rests, clearance=raised))[:, [0, 2]] > 0.5).any()


@pytest.mark.parametrize(
    ("way", "doubt", "frames", "stays"),
    [
        ((0.0, 1.0, 0.0), 0.35, 15, True),
        ((0.5, 0.0, 0.0), 0.35, 15, False),
        ((0.0, 0.0, 0.5), 0.35, 15, False),
        ((0.0, 1.0, 0.0), 0.1, 15, False),
        ((0.0, 1.0, 0.0), 0.35, 50, False),
    ],
    ids=["away from the camera", "aside", "up", "in no doubt", "for long"],
)
def test_feet_that_stay_where_the_camera_sees_them_stand_in_spite_of_a_moment_of_doubt(
    steps: Steps, way: tuple[float, float, float], doubt: float, frames: int, stays: bool
):
    """Who sits down seems to be 30 cm farther away than before; feet that truly move are seen elsewhere."""
    n, gap = len(steps.timestamps), slice(60, 60 + frames)
    place = np.tile([[-0.1, 0.0, 0.02], [0.1, 0.0, 0.02], [-0.1, -0.2, 0.01], [0.1, -0.2, 0.01]], (n, 1, 1))
    share = np.interp(np.arange(n), [gap.start, gap.stop], [0, 0.3])
    moved = replace(steps, soles=place + share[:, None, None] * way, eyes=np.tile([0.0, -5.0, 0.02], (n, 1)))
    probability = np.full((n, 4), 0.9)
    probability[gap, 0] = doubt
    stands = module.with_staying(probability, moved) > 0.5
    assert stands[gap, 0].all() == stays
    assert stands[np.delete(np.arange(n), gap)].all()
    assert stands[:, 1:].all()
