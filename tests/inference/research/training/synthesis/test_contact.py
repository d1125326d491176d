"""When feet stand on the floor, worked out by hand."""

import numpy as np
from video_motion.inference.research.training.synthesis.contact import foot_contacts

LEFT_HEEL, LEFT_TOE, RIGHT_HEEL, RIGHT_TOE = range(4)


def standing(frames: int = 9) -> np.ndarray:
    """Feet flat on the floor: heels at z = 0, toes at z = 0.2."""
    feet = np.array([[0.1, 0.01, 0], [0.1, 0.01, 0.2], [-0.1, 0.01, 0], [-0.1, 0.01, 0.2]])
    return np.tile(feet, (frames, 1, 1))


def test_who_stands_touches_the_floor_with_everything():
    assert foot_contacts(standing(), 30.0).all()
    assert foot_contacts(standing(1), 30.0).all()


def test_on_tiptoe_only_the_toes_do():
    soles = standing()
    soles[:, [LEFT_HEEL, RIGHT_HEEL], 1] = 0.08
    np.testing.assert_array_equal(foot_contacts(soles, 30.0), np.tile([False, True, False, True], (9, 1)))


def test_a_foot_that_slides_over_the_floor_does_not_stand():
    """A centimetre per frame is 0.3 m/s at 30 frames per second, half of that at 15."""
    soles = standing()
    soles[:, LEFT_HEEL, 2] = 0.011 * np.arange(9)
    soles[:, RIGHT_TOE, 2] = 0.009 * np.arange(9) + 0.2
    np.testing.assert_array_equal(foot_contacts(soles, 30.0), np.tile([False, True, True, True], (9, 1)))
    assert foot_contacts(soles, 15.0).all()


def test_a_step_is_in_the_air_between_two_contacts():
    """The left foot stands for four frames, is lifted, and comes down 0.6 m ahead."""
    soles = standing(12)
    lift, ahead = np.array([0, 0, 0, 0, 0.1, 0.15, 0.15, 0.1, 0, 0, 0, 0]), np.clip(np.arange(12) - 3, 0, 5) * 0.12
    soles[:, :2, 1] += lift[:, None]
    soles[:, :2, 2] += ahead[:, None]
    touches = foot_contacts(soles, 30.0)
    # The frames beside the step already move.
    assert touches[:, LEFT_HEEL].tolist() == [True] * 3 + [False] * 6 + [True] * 3
    assert (touches[:, LEFT_TOE] == touches[:, LEFT_HEEL]).all()
    assert touches[:, [RIGHT_HEEL, RIGHT_TOE]].all()
