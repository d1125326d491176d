"""Where the floor is, and the world on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.motion import floor

# In a camera's space y is down.
LEVEL = np.array([0.0, -1.0, 0.0])
# Of the upright direction, radians.
SURE = np.radians(3)


def seen_up(pitch: float) -> np.ndarray:
    """The up direction as a camera sees it that looks `pitch` degrees down."""
    return np.array([0.0, -np.cos(np.radians(pitch)), -np.sin(np.radians(pitch))])


def people(up: np.ndarray, bows: list[float], n: int = 20) -> np.ndarray:
    """Joints (n, 24, 3) of people 1.5 m tall up to the neck, standing along `up`, bowed at the hips by degrees."""
    joints = np.zeros((n, 24, 3))
    forward = np.cross(up, [1.0, 0, 0])
    for row in range(n):
        bow = np.radians(bows[row % len(bows)])
        where = np.array([0.3 * row, 1.0, 5.0])
        joints[row, [7, 8]] = where
        joints[row, [4, 5]] = where + 0.4 * up
        joints[row, [1, 2]] = where + 0.8 * up
        joints[row, 12] = where + 0.8 * up + 0.6 * (np.cos(bow) * up + np.sin(bow) * forward)
    return joints


def degrees_between(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


@pytest.mark.parametrize("pitch", [0, 12, 30, -10])
def test_upright_people_point_up(pitch: float):
    up, sigma = floor.upright_direction(people(seen_up(pitch), [0]))
    assert degrees_between(up, seen_up(pitch)) < 1.2
    assert np.linalg.norm(up) == pytest.approx(1)
    assert sigma < np.radians(3)


def test_people_who_lie_do_not_point_up():
    upright, lying = people(seen_up(10), [0], n=10), people(np.array([0.9, 0.1, 0.42]), [0], n=40)
    up, _ = floor.upright_direction(np.concatenate([upright, lying]))
    assert degrees_between(up, seen_up(10)) < 2
    up, _ = floor.upright_direction(lying)
    assert degrees_between(up, seen_up(6)) < 5, "as cameras usually look"


@pytest.mark.parametrize(
    ("noise", "pitch", "share"), [(2.0, 4, 0.41), (2.0, 10, 0.28), (2.0, 40, 0.03), (25.0, 10, 0.01)]
)
def test_gravity_that_a_network_saw_counts_as_it_is_steady_and_near(noise: float, pitch: float, share: float):
    """Upright bodies say 0° down, give or take 4°, a network `pitch` in all frames, but for its noise."""
    rng = np.random.default_rng(0)
    seen = -Rotation.from_rotvec(np.radians(noise) * rng.normal(size=(400, 3))).apply(seen_up(pitch))
    up, sigma = floor.with_gravity(seen_up(0), np.radians(4), seen)
    assert degrees_between(up, seen_up(0)) / pitch == pytest.approx(share, abs=0.03)
    assert sigma < np.radians(4), "two know more than one"


def test_those_who_sway_leave_it_less_certain():
    steady, swaying = people(seen_up(10), [0]), []
    for lean in (-14, 14):
        swaying.append(people(Rotation.from_euler("x", lean, degrees=True).apply(seen_up(10)), [0]))
    assert floor.upright_direction(np.concatenate(swaying))[1] > 1.3 * floor.upright_direction(steady)[1]


def test_nobody_upright_leaves_it_uncertain():
    sitting = people(seen_up(10), [0], n=30)
    sitting[:, [1, 2, 12]] += [0.0, 0.4, 0.4]
    sitting[:, [4, 5], 2] -= 0.4
    assert floor.upright_direction(sitting)[1] > np.radians(4)


def test_bowed_people_count_less():
    up, _ = floor.upright_direction(people(seen_up(10), [0, 0, 80]))
    assert degrees_between(up, seen_up(10)) < 3


def test_sideways_lean_is_held_back():
    leaning = Rotation.from_euler("z", 12, degrees=True).apply(LEVEL)
    up, _ = floor.upright_direction(people(leaning, [0]))
    assert degrees_between(up, LEVEL) < 6


def lines_along(direction: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 4) lines of the background that run along a direction within a degree, each of weight 1."""
    normals = np.cross(direction, random.normal(size=(count, 3))) + random.normal(0, np.radians(1), (count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.concatenate([normals, np.ones((count, 1))], axis=1)


def test_vertical_lines_tell_how_the_camera_is_rolled():
    random = np.random.default_rng(0)
    up = Rotation.from_euler("z", 20, degrees=True).apply(seen_up(15))
    leaning = people(Rotation.from_euler("x", 5, degrees=True).apply(up), [0])
    other = [lines_along(random.normal(size=3), 1, random) for _ in range(25)]
    without = floor.upright_direction(leaning)[0]
    assert degrees_between(without, up) > 8
    found, sigma = floor.upright_direction(leaning, np.concatenate([lines_along(up, 12, random), *other]))
    assert degrees_between(found, up) < 2
    assert sigma < SURE
    found, _ = floor.upright_direction(leaning, np.concatenate(other))
    assert degrees_between(found, without) < 6, "lines of all directions say little"


def test_upside_down_is_not_believed():
    assert degrees_between(floor.upright_direction(people(-LEVEL, [0]))[0], LEVEL) < 7


def plane_points(normal: np.ndarray, offset: float, random: np.random.Generator, n: int = 300) -> np.ndarray:
    side = np.cross(normal, [1.0, 0, 0])
    side /= np.linalg.norm(side)
    ahead = np.cross(side, normal)
    spread = random.uniform(-1.5, 1.5, (n, 2))
    return -offset * normal + spread[:, :1] * side + spread[:, 1:] * ahead + random.normal(0, 0.01, (n, 3))


def test_plane_through_standing_feet():
    random = np.random.default_rng(0)
    true = seen_up(15)
    points = plane_points(true, 1.4, random)
    raised = points[:60] + 0.5 * true
    weights = np.concatenate([np.full(300, 0.9), np.full(60, 0.3)])
    normal, offset = floor.floor_plane(np.concatenate([points, raised]), weights, seen_up(11), SURE)
    assert degrees_between(normal, true) < 1.5, "feet over three metres count more than the assumed upright direction"
    height = points @ normal + offset
    assert abs(np.median(height)) < 0.02
    assert np.linalg.norm(normal) == pytest.approx(1)


def of_two(size_sigma: tuple[float, float]) -> tuple[float, list[float]]:
    """How far the floor is tilted, and how high above it two stand who walk about on it, 4 and 7 m away; the latter is
    seen 15 % too small, which is too near."""
    random, true = np.random.default_rng(2), seen_up(15)
    ahead = np.array([0.0, 0.0, 1.0]) - true[2] * true
    ahead /= np.linalg.norm(ahead)
    points = []
    for far, smaller in ((4.0, 1.0), (7.0, 0.85)):
        steps = random.uniform(-0.7, 0.7, (300, 2))
        soles = -1.4 * true + steps[:, :1] * np.cross(true, ahead) + (far + steps[:, 1:]) * ahead
        points.append(smaller * (soles + random.normal(0, 0.01, (300, 3))))
    several = floor.SolesOfPeople(np.repeat([0, 1], 300), np.zeros((600, 3)), np.array(size_sigma))
    normal, offset = floor.floor_plane(np.concatenate(points), np.ones(600), true, SURE, several)
    return degrees_between(normal, true), [float(np.mean(part @ normal + offset)) for part in points]


def test_two_people_of_unknown_size_hardly_tilt_the_floor():
    tilt, (near, far) = of_two((0.07, 0.07))
    assert tilt < 1
    assert near < 0 < far, "between what the two say"
    assert far - near > 0.1


def test_who_has_a_known_size_says_where_the_floor_is():
    tilt, (near, far) = of_two((0.01, 0.07))
    assert tilt < 1
    assert abs(near) < 0.02
    assert far > 0.1


def test_feet_in_one_spot_leave_the_direction_alone():
    random = np.random.default_rng(1)
    points = np.array([0.2, 1.3, 4.0]) + random.normal(0, 0.02, (100, 3))
    normal, offset = floor.floor_plane(points, np.ones(100), seen_up(10), SURE)
    assert degrees_between(normal, seen_up(10)) < 3
    assert abs(np.median(points @ normal + offset)) < 0.01


def test_nobody_stands():
    points = np.array([[0.0, 1.0, 4.0], [0.1, 1.1, 4.0], [0.0, 0.9, 4.2], [0.2, 1.0, 4.1]])
    normal, offset = floor.floor_plane(points, np.zeros(4), LEVEL, SURE)
    np.testing.assert_array_equal(normal, LEVEL)
    assert offset == pytest.approx(1.0), "below the middle of them"
    normal, offset = floor.floor_plane(np.empty((0, 3)), np.empty(0), LEVEL, SURE)
    assert np.isfinite(offset)


@pytest.mark.parametrize("pitch", [0, 20, -15, 90])
def test_world_frame(pitch: float):
    up, origin = seen_up(pitch), np.array([0.5, 0.2, 4.0])
    matrix = floor.camera_to_world(up, 1.5, origin)
    turn = matrix[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(turn @ up, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turn @ [1.0, 0, 0], [1, 0, 0], atol=1e-12, err_msg="x stays the image's right")
    on_floor = np.array([0.7, 0.0, 0.0]) - 1.5 * up
    assert (turn @ on_floor + matrix[:3, 3])[2] == pytest.approx(0)
    np.testing.assert_allclose((turn @ origin + matrix[:3, 3])[:2], 0, atol=1e-12)
    if pitch < 90:
        assert (turn @ [0, 0, 1.0])[1] > 0, "the camera looks along y"
