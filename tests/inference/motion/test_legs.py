"""Legs that hold feet still, against what a leg of two rigid bones can do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.motion import legs

FRAMES, RATE = 90, 30.0
THIGH, SHIN = 0.42, 0.40
TIMES = np.arange(FRAMES) / RATE
STANDS = ([(20, 60)], [(0, 12), (70, 89)])


@pytest.fixture
def walk() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Legs (N, 2, 3, 3), balls (N, 2, 3) and directions to the front of someone who glides forward, feet and all."""
    hips = np.zeros((FRAMES, 2, 3))
    hips[..., 1] = 0.1 * TIMES[:, None]
    hips[:, 0, 0], hips[:, 1, 0] = 0.1, -0.1
    hips[..., 2] = 0.85
    bend = np.radians(20.0 + 12.0 * np.sin(4.0 * TIMES + np.array([[0.0], [2.0]]))).T
    lean = np.radians(9.0 * np.sin(2.0 * TIMES + np.array([[1.0], [3.0]]))).T
    knees = hips + THIGH * np.stack([0.0 * bend, np.sin(bend / 2 + lean), -np.cos(bend / 2 + lean)], -1)
    ankles = knees + SHIN * np.stack([0.0 * bend, np.sin(lean - bend / 2), -np.cos(lean - bend / 2)], -1)
    front = np.broadcast_to([0.0, 1.0, 0.0], (FRAMES, 2, 3))
    return np.stack([hips, knees, ankles], axis=2), ankles + np.array([0.0, 0.12, -0.05]), front


def bent(joints: np.ndarray, held: legs.LegCorrection) -> np.ndarray:
    """Legs (N, 2, 3, 3) after what `lock_feet` says was done to them."""
    hips = joints[:, :, 0] + held.hips[:, None]
    knees = hips + (held.thighs @ (joints[:, :, 1] - joints[:, :, 0])[..., None])[..., 0]
    ankles = knees + (held.shins @ (joints[:, :, 2] - joints[:, :, 1])[..., None])[..., 0]
    return np.stack([hips, knees, ankles], axis=2)


def test_standing_feet_keep_still(walk):
    joints, balls, front = walk
    held = legs.lock_feet(joints, balls, STANDS, TIMES, front)
    moved = bent(joints, held)
    after = balls + moved[:, :, 2] - joints[:, :, 2]
    for foot, spans in enumerate(STANDS):
        for start, end in spans:
            span = slice(start, end + 1)
            assert np.ptp(balls[span, foot], axis=0).max() > 0.015
            np.testing.assert_allclose(after[span, foot], np.tile(after[start, foot], (end - start + 1, 1)), atol=1e-9)
    turns = np.concatenate([held.thighs, held.shins]).reshape(-1, 3, 3)
    np.testing.assert_allclose(turns @ turns.swapaxes(-1, -2), np.tile(np.eye(3), (len(turns), 1, 1)), atol=1e-12)


def test_knees_stay_in_their_plane(walk):
    joints, balls, front = walk
    moved = bent(joints, legs.lock_feet(joints, balls, STANDS, TIMES, front))
    sideways = np.cross(moved[:, :, 1] - moved[:, :, 0], moved[:, :, 2] - moved[:, :, 1])
    sideways /= np.linalg.norm(sideways, axis=-1, keepdims=True)
    assert (sideways[..., 0] < -0.99).all(), "bent to the front, about the axis across"


def test_nothing_jumps(walk):
    joints, balls, front = walk
    moved = bent(joints, legs.lock_feet(joints, balls, STANDS, TIMES, front))
    assert np.abs(np.diff(moved, 2, axis=0)).max() * RATE**2 < 12.0, "m/s²; feet of a walk have 30"
    ball = balls + moved[:, :, 2] - joints[:, :, 2]
    speed = np.linalg.norm(np.diff(ball, axis=0), axis=-1) * RATE
    assert speed[19, 0] < 0.5 * speed[15:19, 0].max(), "a foot comes to rest before it stands"


def test_hips_follow_so_that_legs_bend_little(walk):
    """Someone on a moving walkway: all glides by the same, so all of it can be taken out."""
    joints, _, front = walk
    still = joints[:1] + (np.arange(FRAMES) / RATE * 0.05)[:, None, None, None] * [0.0, 1.0, 0.0]
    stands = ([(0, FRAMES - 1)], [(0, FRAMES - 1)])
    held = legs.lock_feet(still, still[:, :, 2], stands, TIMES, front)
    drift = still[:, 0, 0, 1] - np.median(still[:, 0, 0, 1])
    inner = slice(10, FRAMES - 10)
    np.testing.assert_allclose(held.hips[inner, 1], -drift[inner], atol=0.3 * np.abs(drift).max())
    turned = Rotation.from_matrix(held.thighs[inner].reshape(-1, 3, 3)).magnitude()
    fixed = np.abs(np.arcsin(drift / (THIGH + SHIN)))[inner]
    assert turned.max() < 0.5 * fixed.max()


def test_a_share_of_the_way(walk):
    joints, balls, front = walk
    ways = []
    for share in (0.5, 1.0):
        held = legs.lock_feet(joints, balls, STANDS, TIMES, front, share=share)
        ways.append(bent(joints, held)[:, :, 2] - joints[:, :, 2])
    np.testing.assert_allclose(2.0 * ways[0], ways[1], atol=1e-9)


def test_nobody_stands(walk):
    joints, balls, front = walk
    held = legs.lock_feet(joints, balls, ([], []), TIMES, front)
    np.testing.assert_array_equal(bent(joints, held), joints)


def test_feet_out_of_reach_are_held_as_near_as_it_gets(walk):
    joints, _, front = walk
    away = joints + (4.0 * TIMES)[:, None, None, None] * [0.0, 1.0, 0.0]
    held = legs.lock_feet(away, away[:, :, 2], ([(10, 80)], []), TIMES, front)
    moved = bent(away, held)
    assert np.isfinite(moved).all()
    reach = np.linalg.norm(moved[:, 0, 2] - moved[:, 0, 0], axis=-1)
    assert reach.max() < THIGH + SHIN + 1e-9
    assert reach[10] > 0.97 * (THIGH + SHIN)
    assert (moved[11:80, 0, 2, 1] - moved[11:80, 0, 0, 1])[[0, -1]] @ [1, -1] > 0.5, "ahead first, then behind"


@pytest.mark.parametrize("goal", [(0.0, 0.1, -0.7), (0.2, -0.3, -0.5), (0.0, 0.0, -0.75)])
def test_a_leg_reaches_its_goal(goal):
    joints = np.array([[[0.0, 0.0, 0.0], [0.0, 0.1, -THIGH], [0.0, 0.0, -THIGH - SHIN]]])
    upper, lower = legs.bend_leg(joints, np.array([goal]), np.array([[0.0, 1.0, 0.0]]))
    knee = upper[0] @ joints[0, 1]
    np.testing.assert_allclose(knee + lower[0] @ (joints[0, 2] - joints[0, 1]), goal, atol=1e-9)


def test_a_straight_leg_bends_to_the_front():
    joints = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, -THIGH], [0.0, 0.0, -THIGH - SHIN]]])
    upper, _ = legs.bend_leg(joints, np.array([[0.0, 0.0, -0.7]]), np.array([[0.0, 1.0, 0.0]]))
    assert (upper[0] @ joints[0, 1])[1] > 0.1


def test_spans():
    standing = np.zeros((40, 2), dtype=bool)
    standing[5:20, 0] = True
    standing[11, 0] = False
    standing[30:32, 0] = True
    standing[25:, 1] = True
    times = np.arange(40) / 30.0
    assert legs.contact_spans(standing, times) == ([(5, 19)], [(25, 39)]), "a gap is bridged, a touch is none"


def test_a_foot_rolls_from_heel_to_ball(walk):
    """It lands on the heel, stands flat, and leaves from the ball: each stays where it is while it stands."""
    _, balls, _ = walk
    heels = balls - np.array([0.0, 0.2, 0.0])
    heels[..., 2] += 0.02 * np.sin(3 * TIMES)[:, None]
    heel_stands, ball_stands = ([(20, 45)], []), ([(30, 60)], [])
    moved = legs.corrections(balls, ball_stands, TIMES, heels, heel_stands)
    heel, ball = heels + moved, balls + moved
    np.testing.assert_allclose(heel[20:31, 0], np.tile(heel[20, 0], (11, 1)), atol=1e-12)
    np.testing.assert_allclose(ball[30:61, 0], np.tile(ball[30, 0], (31, 1)), atol=1e-12)
    assert np.abs(np.diff(moved[27:33, 0], axis=0)).max() < 0.006, "it goes on from one to the other without a jump"
    np.testing.assert_array_equal(moved[:, 1], 0)


def test_a_flat_foot_does_not_turn():
    wobble = np.radians(4.0) * np.sin(np.stack([5 * TIMES, 3 * TIMES, 7 * TIMES], axis=1))
    turns = np.tile(Rotation.from_rotvec(wobble).as_matrix()[:, None], (1, 2, 1, 1))
    vectors = legs.level(turns, ([(20, 60)], []), TIMES)
    after = Rotation.from_rotvec(vectors[:, 0]) * Rotation.from_matrix(turns[:, 0])
    assert (after[20:61] * after[20].inv()).magnitude().max() < 1e-9
    assert np.abs(np.diff(vectors[:, 0], axis=0)).max() < np.radians(2)
    assert np.abs(vectors[:10, 0]).max() == 0
    np.testing.assert_array_equal(vectors[:, 1], 0)
