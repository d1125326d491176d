"""The camera's turns, found in pictures whose turns are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.camera.intrinsics import intrinsics
from video_motion.inference.camera.tracking import CameraMotion, homographies_from_rotations

SIZE = (640, 360)
BOX = (110, 230)


@pytest.fixture(scope="module")
def surroundings() -> np.ndarray:
    """A wide picture (900, 1500, 3) with detail of all sizes, such as walls and trees have."""
    random = np.random.default_rng(0)
    picture = np.zeros((900, 1500, 3))
    for cell in (4, 8, 16, 40, 100):
        noise = random.uniform(-1, 1, (900 // cell + 2, 1500 // cell + 2, 3)).astype(np.float32)
        picture += cv2.resize(noise, (1500, 900), interpolation=cv2.INTER_CUBIC) * np.sqrt(cell)
    return cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]


def shot(surroundings: np.ndarray, turn: Rotation, focal: float | None = None, noise: int = 0) -> np.ndarray:
    """What a camera sees of far surroundings after it has turned; `turn` takes its space to the first camera's."""
    camera = intrinsics(SIZE, focal)
    wide = np.array([[1.0, 0, (1500 - SIZE[0]) / 2], [0, 1, (900 - SIZE[1]) / 2], [0, 0, 1]]) @ camera
    # A pixel of this frame shows what lies at wide · R · K⁻¹ of the wide picture.
    image = cv2.warpPerspective(
        surroundings,
        wide @ turn.as_matrix() @ np.linalg.inv(camera),
        SIZE,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    if noise:
        grain = np.random.default_rng(noise).normal(0, 3, image.shape)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return image


def walker(image: np.ndarray, number: int, surroundings: np.ndarray) -> np.ndarray:
    """Paint somebody no plainer than the surroundings, who crosses the picture; box (left, top, width, height)."""
    left, top = 20 + 16 * number, 90
    image[top : top + BOX[1], left : left + BOX[0]] = surroundings[: BOX[1], : BOX[0]]
    return np.array([left, top, *BOX], dtype=float)


def checked(image: np.ndarray, number: int) -> np.ndarray:
    """Paint somebody whose coat has better corners than anything around."""
    left, top = 20 + 16 * number, 90
    coat = np.kron(np.indices((BOX[1] // 10, BOX[0] // 10)).sum(0) % 2, np.ones((10, 10))) * 255
    image[top : top + BOX[1], left : left + BOX[0]] = coat[..., None]
    return np.array([left, top, *BOX], dtype=float)


def errors(found: np.ndarray, true: Rotation) -> np.ndarray:
    """Degrees."""
    return np.degrees((true.inv() * Rotation.from_matrix(found)).magnitude())


PATHS = {
    "pan": lambda s: np.stack([0 * s, 12 * s, 0 * s], axis=1),
    "tilt": lambda s: np.stack([7 * s, 0 * s, 0 * s], axis=1),
    "roll": lambda s: np.stack([0 * s, 0 * s, 10 * s], axis=1),
    "hand-held": lambda s: np.stack(
        [np.sin(9 * s), 3 * np.sin(5 * s) + 0.4 * np.sin(40 * s), 0.7 * np.sin(7 * s)], axis=1
    ),
    "far pan": lambda s: np.stack([0 * s, 25 * np.sin(2 * s), 0 * s], axis=1),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("boxed", [True, False], ids=["box known", "box unknown"])
def test_turns_are_found(surroundings: np.ndarray, path: str, boxed: bool):
    angles = PATHS[path](np.linspace(0, 1, 21))
    true = Rotation.from_euler("xyz", angles - angles[0], degrees=True)
    motion = CameraMotion(SIZE)
    for number, turn in enumerate(true):
        image = shot(surroundings, turn, noise=number + 1)
        if boxed:
            motion.add(image, [checked(image, number)])
        else:
            walker(image, number, surroundings)
            motion.add(image)
    found = motion.rotations()
    assert found.shape == (21, 3, 3)
    np.testing.assert_array_equal(found[0], np.eye(3))
    np.testing.assert_allclose(found @ np.swapaxes(found, 1, 2), np.tile(np.eye(3), (21, 1, 1)), atol=1e-9)
    assert errors(found, true).max() < 0.2
    assert errors(np.tile(np.eye(3), (21, 1, 1)), true).max() > 1, "there was something to find"


def test_given_focal_length_is_used(surroundings: np.ndarray):
    true = Rotation.from_euler("y", np.linspace(0, 8, 21)[:, None], degrees=True)
    right, wrong = CameraMotion(SIZE, 450.0), CameraMotion(SIZE)
    for turn in true:
        image = shot(surroundings, turn, focal=450.0)
        right.add(image)
        wrong.add(image)
    assert errors(right.rotations(), true).max() < 0.2
    assert errors(wrong.rotations(), true).max() > 1


def test_large_pictures_are_shrunk(surroundings: np.ndarray):
    true = Rotation.from_euler("y", np.linspace(0, 6, 11)[:, None], degrees=True)
    motion = CameraMotion((1920, 1080))
    for turn in true:
        motion.add(cv2.resize(shot(surroundings, turn), (1920, 1080)))
    assert errors(motion.rotations(), true).max() < 0.2


def test_camera_at_rest_is_exactly_at_rest(surroundings: np.ndarray):
    motion = CameraMotion(SIZE)
    for number in range(20):
        image = shot(surroundings, Rotation.identity(), noise=number + 1)
        walker(image, number, surroundings)
        motion.add(image)
    np.testing.assert_array_equal(motion.rotations(), np.tile(np.eye(3), (20, 1, 1)))


def test_a_camera_that_turns_does_not_travel(surroundings: np.ndarray):
    motion = CameraMotion(SIZE, frame_rate=8.0)
    for turn in Rotation.from_euler("y", np.linspace(0, 20, 41)[:, None], degrees=True):
        motion.add(shot(surroundings, turn, noise=3))
    assert not motion.positions().any()


def test_a_camera_at_rest_stays_so_although_most_of_the_picture_moves(surroundings: np.ndarray):
    """A bus passes: what moves together is more than what rests."""
    motion = CameraMotion(SIZE)
    for number in range(20):
        image = shot(surroundings, Rotation.identity(), noise=number + 1)
        image[:, 200:] = shot(surroundings[::-1], Rotation.from_euler("y", -0.3 * number, degrees=True))[:, 200:]
        motion.add(image)
    np.testing.assert_array_equal(motion.rotations(), np.tile(np.eye(3), (20, 1, 1)))


@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_pictures_without_a_hold_leave_the_camera_at_rest(kind: str):
    random = np.random.default_rng(3)
    motion = CameraMotion(SIZE)
    for _ in range(6):
        image = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
        motion.add(random.integers(0, 255, image.shape, dtype=np.uint8) if kind == "noise" else image)
    np.testing.assert_array_equal(motion.rotations(), np.tile(np.eye(3), (6, 1, 1)))


def test_goes_on_after_a_flash(surroundings: np.ndarray):
    true = Rotation.from_euler("y", np.repeat(np.linspace(0, 6, 11), 2)[:, None], degrees=True)
    motion = CameraMotion(SIZE)
    for number, turn in enumerate(true):
        flash = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
        motion.add(flash if number == 10 else shot(surroundings, turn))
    found = errors(motion.rotations(), true)
    assert found[:10].max() < 0.2
    assert found.max() < 1.0, "what turned unseen is lost, the rest is not"


def test_cut_to_other_surroundings(surroundings: np.ndarray):
    motion = CameraMotion(SIZE)
    for number in range(10):
        image = shot(surroundings, Rotation.identity())
        motion.add(image if number < 5 else image[::-1, ::-1].copy())
    assert errors(motion.rotations(), Rotation.identity(10)).max() < 0.2


def test_one_frame_and_none(surroundings: np.ndarray):
    motion = CameraMotion(SIZE)
    assert motion.rotations().shape == (0, 3, 3)
    motion.add(shot(surroundings, Rotation.identity()))
    np.testing.assert_array_equal(motion.rotations(), np.eye(3)[None])


# Axes of the picture turned clockwise, in those of the picture before: its right was up, its down was right.
SIDEWAYS = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])


def test_portrait_picture(surroundings: np.ndarray):
    true = Rotation.from_euler("x", np.linspace(0, 5, 11)[:, None], degrees=True)
    motion = CameraMotion((360, 640))
    for turn in true:
        # A camera turned on its side: what was a pan of it is a tilt of the picture.
        image = shot(surroundings, Rotation.from_rotvec(turn.as_rotvec() @ SIDEWAYS.T))
        motion.add(cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE))
    assert errors(motion.rotations(), true).max() < 0.2


def test_default_intrinsics():
    K = intrinsics((1280, 720))
    assert K[0, 0] == K[1, 1] == pytest.approx(np.sqrt(1280**2 + 720**2))
    np.testing.assert_array_equal(K[:2, 2], [640, 360])
    assert intrinsics((1280, 720), 900.0)[0, 0] == 900


@pytest.mark.parametrize("path", PATHS)
def test_homographies_say_where_the_background_went(surroundings: np.ndarray, path: str):
    angles = PATHS[path](np.linspace(0, 1, 21))
    true = Rotation.from_euler("xyz", angles - angles[0], degrees=True).as_matrix()
    motion = CameraMotion(SIZE)
    for number, turn in enumerate(true):
        motion.add(shot(surroundings, Rotation.from_matrix(turn), noise=number + 1))
    diagonal = float(np.hypot(*SIZE))
    focal = np.full(20, intrinsics(SIZE)[0, 0] / diagonal)
    expected = homographies_from_rotations(true[:-1], true[1:], focal)
    found = motion.homographies()
    np.testing.assert_array_equal(found[0], np.eye(3))
    corners = np.array([[x, y, 1.0] for x in (-0.4, 0, 0.4) for y in (-0.2, 0, 0.2)])
    (there, here) = (np.einsum("nij,kj->nki", moved, corners) for moved in (expected, found[1:]))
    off = diagonal * np.linalg.norm(there[..., :2] / there[..., 2:] - here[..., :2] / here[..., 2:], axis=-1)
    assert np.median(off) < 0.3
    assert off.max() < 3


def test_a_picture_without_detail_does_not_move():
    motion = CameraMotion(SIZE)
    for _ in range(3):
        motion.add(np.full((360, 640, 3), 90, np.uint8))
    np.testing.assert_array_equal(motion.homographies(), np.tile(np.eye(3), (3, 1, 1)))


def test_a_steady_way_is_steady_where_frames_are_unevenly_spaced():
    """Walls at three distances pass a camera that moves sideways; its pictures come now seldom, now often."""
    random = np.random.default_rng(0)
    walls = [random.integers(0, 255, (360, 3000, 3)).astype(np.uint8) for _ in range(3)]
    walls = [cv2.GaussianBlur(wall, (0, 0), 3) for wall in walls]
    times = np.cumsum(np.where(np.arange(90) // 5 % 3 == 0, 0.1, 0.02))
    motion = CameraMotion(SIZE, 600.0, frame_rate=len(times) / times[-1])
    for second in times:
        image = np.empty((360, 640, 3), np.uint8)
        for wall, distance, rows in zip(walls, (4.0, 6.0, 9.0), np.split(np.arange(360), 3), strict=True):
            shift = np.array([[1.0, 0.0, -600.0 * 0.8 * second / distance - 50], [0.0, 1.0, 0.0]])
            image[rows] = cv2.warpAffine(wall, shift, (640, 360))[rows]
        motion.add(image, timestamp=second)
    way = motion.positions()
    assert np.ptp(way[:, 0]) > 10 * np.ptp(way[:, 1:], axis=0).max()
    share, true = way[:, 0] / way[-1, 0], (times - times[0]) / np.ptp(times)
    assert np.abs(share - true).max() < 0.01
