"""The camera's way, found from points whose places and sightings are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.camera.travel import Sightings, travel

NOISE = 0.0005


@dataclass
class Shot:
    sightings: Sightings
    # (K, 3, 3) as a tracker finds them that knows of no travel.
    turns: np.ndarray
    positions: np.ndarray
    true_turns: Rotation


WAYS = {
    "forward": lambda s: np.stack([0 * s, 0 * s, 5 * s], axis=1),
    "backward": lambda s: np.stack([0 * s, 0 * s, -1.8 * s], axis=1),
    "aside": lambda s: np.stack([3 * s, 0 * s, 0 * s], axis=1),
    "around": lambda s: np.stack([4 * np.sin(1.2 * s), 0 * s, 6 - 6 * np.cos(1.2 * s)], axis=1),
}


def room(rng: np.random.Generator) -> np.ndarray:
    """(1500, 3) points in a room of 12 by 16 m."""
    points = rng.uniform([-6, -2.5, -2], [6, 1.5, 14], (1500, 3))
    for wall, (axis, place) in enumerate(((1, 1.5), (0, -6), (0, 6), (2, 14))):
        points[wall::5, axis] = place
    return points


def field(rng: np.random.Generator) -> np.ndarray:
    """(1500, 3) points of hills a kilometre away, a fifth of them on two walls nearby."""
    far = rng.uniform([-700, -350, 900], [700, 350, 1100], (1500, 3))
    far[::10] = rng.uniform([-5, -2, 7], [-2, 1, 8], (150, 3))
    far[5::10] = rng.uniform([3, -2, 12], [6, 1, 13], (150, 3))
    return far


def street(rng: np.random.Generator) -> np.ndarray:
    """(1500, 3) points: a square and, 25 to 60 m away, houses."""
    points = rng.uniform([-30, -12, 25], [30, 1.5, 60], (1500, 3))
    points[600:1000, 2] = 30
    points[:600] = rng.uniform([-20, 1.5, 2], [20, 1.5, 60], (600, 3))
    return points


def film(way, yaw, count: int = 30, moving: float = 0.1, seed: int = 0, place=room) -> Shot:
    """A place, a tenth of whose points move, filmed by a hand-held camera."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, count)
    shake = np.stack([np.convolve(row, np.ones(4) / 4, "same") for row in rng.normal(0, 0.02, (3, count))], axis=1)
    positions = way(share) + (shake if way(share).any() else 0)
    positions -= positions[0]
    turns = Rotation.from_euler("yx", np.stack([yaw(share), 0.03 * np.sin(9 * share)], axis=1))
    turns = turns[0].inv() * turns
    points = place(rng)
    first, length = rng.integers(-8, count, 1500), rng.integers(5, 25, 1500)
    speed = rng.normal(0, 0.05, (1500, 3)) * (rng.random((1500, 1)) < moving)
    keys, numbers, places = [], [], []
    for key in range(count):
        seen = (points + speed * key - positions[key]) @ turns[key].as_matrix()
        spot = seen[:, :2] / np.maximum(seen[:, 2:], 0.1)
        inside = (seen[:, 2] > 0.5) & (np.abs(spot) < [0.6, 0.35]).all(1) & (key >= first) & (key < first + length)
        keys.append(np.full(inside.sum(), key))
        numbers.append(np.flatnonzero(inside))
        places.append(spot[inside] + rng.normal(0, NOISE, (inside.sum(), 2)))
    sightings = Sightings(np.concatenate(keys), np.concatenate(numbers), np.concatenate(places))
    return Shot(sightings, _turns_alone(sightings, count), positions, turns)


def _turns_alone(sightings: Sightings, count: int) -> np.ndarray:
    result = [np.eye(3)]
    for key in range(1, count):
        before, now = (np.flatnonzero(sightings.keys == number) for number in (key - 1, key))
        _, first, second = np.intersect1d(sightings.points[before], sightings.points[now], return_indices=True)
        rays = [
            np.concatenate([sightings.places[rows], np.ones((len(rows), 1))], axis=1)
            for rows in (before[first], now[second])
        ]
        there, here = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in rays)
        result.append(result[-1] @ Rotation.align_vectors(there, here)[0].as_matrix())
    return np.array(result)


def off(found: np.ndarray, true: np.ndarray) -> float:
    """Root mean square distance of a path (K, 3) from the true one, best aligned, as a share of that one's length."""
    first, second = found - found.mean(0), true - true.mean(0)
    turn = Rotation.align_vectors(second, first)[0]
    turned = turn.apply(first)
    size = (turned * second).sum() / (turned**2).sum()
    distance = np.sqrt(np.square(size * turned - second).sum(1).mean())
    return distance / np.linalg.norm(np.diff(true, axis=0), axis=1).sum()


def still(share: np.ndarray) -> np.ndarray:
    return 0 * share[:, None] * [1.0, 1.0, 1.0]


def swaying(share: np.ndarray) -> np.ndarray:
    return 0.15 * np.sin(5 * share)


@pytest.mark.parametrize("way", WAYS)
def test_the_way_is_found(way: str):
    shot = film(WAYS[way], (lambda share: -share) if way == "around" else swaying)
    found = travel(shot.sightings, shot.turns)
    assert found is not None
    assert off(found.positions, shot.positions) < 0.02
    turned = (shot.true_turns.inv() * Rotation.from_matrix(found.rotations)).magnitude()
    assert np.degrees(turned.max()) < 1.2
    np.testing.assert_array_equal(found.positions[0], 0)


@pytest.mark.parametrize("focal", [0.7, 1.0])
def test_few_near_points_before_far_hills_show_the_way(focal: float):
    shot = film(WAYS["aside"], lambda share: 0.3 * share, place=field)
    seen = Sightings(shot.sightings.keys, shot.sightings.points, focal * shot.sightings.places)
    found = travel(seen, _turns_alone(seen, len(shot.positions)))
    assert found is not None
    assert off(found.positions, shot.positions) < 0.03
    assert found.focal == pytest.approx(focal, rel=0.05)
    turned = (shot.true_turns.inv() * Rotation.from_matrix(found.rotations)).magnitude()
    assert np.degrees(turned.max()) < 1


def test_a_few_steps_aside_and_back_are_found_in_a_street_full_of_people():
    shot = film(
        lambda share: np.stack([2.6 * share, 0 * share, -share], axis=1),
        lambda share: 0.1 * np.sin(5 * share),
        count=11,
        moving=0.25,
        seed=9,
        place=street,
    )
    found = travel(shot.sightings, shot.turns)
    assert found is not None
    assert off(found.positions, shot.positions) < 0.02


@pytest.mark.parametrize("yaw", [still, swaying], ids=["at rest", "turning"])
def test_a_camera_that_stays_in_its_place_does_not_travel(yaw):
    shot = film(still, (lambda share: 0 * share) if yaw is still else swaying)
    found = travel(shot.sightings, shot.turns)
    if yaw is still:
        assert found is None
    else:
        assert found is not None
        assert not found.positions.any()
        assert found.focal == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("focal", [0.7, 1.3])
def test_a_camera_that_turns_shows_its_focal_length(focal: float):
    shot = film(still, swaying)
    seen = Sightings(shot.sightings.keys, shot.sightings.points, focal * shot.sightings.places)
    found = travel(seen, _turns_alone(seen, len(shot.positions)))
    assert found is not None
    assert not found.positions.any()
    assert found.focal == pytest.approx(focal, rel=0.03)
    turned = (shot.true_turns.inv() * Rotation.from_matrix(found.rotations)).magnitude()
    assert np.degrees(turned.max()) < 0.5
    given = travel(shot.sightings, shot.turns, focal_known=True)
    assert given is None, "nothing is left to tell"


def test_a_long_way_keeps_its_size():
    """It is found piece by piece."""
    shot = film(lambda s: np.stack([0.4 * np.sin(20 * s), 0 * s, 5 * s], axis=1), swaying, count=110)
    found = travel(shot.sightings, shot.turns)
    assert found is not None
    assert off(found.positions, shot.positions) < 0.02
    steps = np.linalg.norm(found.positions[10:] - found.positions[:-10], axis=1)
    true = np.linalg.norm(shot.positions[10:] - shot.positions[:-10], axis=1)
    assert np.ptp(np.log(steps / true)) < np.log(1.5)


def test_all_key_frames_see_points_although_the_camera_rested_long_before():
    keys = [np.repeat(np.arange(40), 240)] + [np.repeat(np.arange(k, k + 5), 240) for k in range(40, 60, 5)]
    points = [np.tile(np.arange(240), 40)] + [np.tile(240 * (n + 1) + np.arange(240), 5) for n in range(4)]
    every = np.concatenate(keys)
    some = Sightings(every, np.concatenate(points), np.zeros((len(every), 2))).within(0, 60)
    assert np.bincount(some.keys, minlength=60).min() >= 100


def test_nothing_seen_is_no_travel():
    nothing = Sightings(np.empty(0, int), np.empty(0, int), np.empty((0, 2)))
    assert travel(nothing, np.tile(np.eye(3), (5, 1, 1))) is None
