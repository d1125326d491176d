"""What networks see of a person: the same wherever the camera looks, and however it is held."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.people import crops
from video_motion.inference.pose import features

K = np.array([[900.0, 0, 640], [0, 900.0, 360], [0, 0, 1]])
COUNT = 12
HIPS, SHOULDERS = [23, 24], [11, 12]
ROLL = slice(features.SIZE - 6, features.SIZE - 4)
DIRECTION = slice(features.SIZE - 4, features.SIZE - 2)
"""Which features are the cosine and sine of the crop's rotation, and the direction to its centre."""


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    """(COUNT, 33, 3) landmarks of people who stand left and right in the picture, in camera axes."""
    rng = np.random.default_rng(3)
    body = Body.load(registry.body_path())
    poses = rng.normal(0, 0.2, (COUNT, 24, 3))
    poses[:, 0] = [np.pi, 0, 0]
    place = np.stack([rng.uniform(-2, 2, COUNT), rng.uniform(-0.6, 0.6, COUNT), rng.uniform(3.5, 6, COUNT)], axis=1)
    return body.landmark_positions(poses, rng.normal(0, 1, (COUNT, 10)), place)


def seen(marks: np.ndarray, camera_K: np.ndarray, crop: np.ndarray) -> dict[str, np.ndarray]:
    """What a detector without errors outputs for landmarks (n, 33, 3) in crops (n, 4).

    It takes crops for pictures of a camera that looks straight at people, and turns them back in their own plane only.
    """
    axes, turn = features.crop_axes(crop, np.broadcast_to(camera_K, (len(crop), 3, 3))), features.roll(crop)
    from_hips = marks - marks[:, HIPS].mean(1, keepdims=True)
    rng = np.random.default_rng(1)
    return {
        "landmarks": pixels(marks, camera_K),
        "visibility": rng.random((len(marks), 33)),
        "presence": rng.random((len(marks), 33)),
        "world_landmarks": from_hips @ np.swapaxes(axes, 1, 2) @ turn,
        "scores": rng.random(len(marks)),
        "crops": crop,
    }


def described(marks: np.ndarray, camera_K: np.ndarray, crop: np.ndarray) -> np.ndarray:
    count = len(marks)
    return features.frame_features(
        **seen(marks, camera_K, crop),
        known=np.arange(count) % 3 > 0,
        period=np.full(count, 0.04),
        camera_K=np.broadcast_to(camera_K, (count, 3, 3)),
    )


def pixels(marks: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    return marks[..., :2] / marks[..., 2:] * camera_K[[0, 1], [0, 1]] + camera_K[:2, 2]


def tracked(marks: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """(n, 4) crops as the tracker puts them around people."""
    places = pixels(marks, camera_K)
    made = []
    for points in places:
        hips, shoulders = points[HIPS].mean(0), points[SHOULDERS].mean(0)
        up = (shoulders - hips) / np.linalg.norm(shoulders - hips)
        made.append(crops.around(hips, hips + up * np.linalg.norm(points - hips, axis=1).max()))
    return np.array(made)


def same_crop(crop: np.ndarray, turn: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """Crops that show the same to a camera that was turned by a rotation (3, 3) from its axes into the new ones."""
    many_K = np.broadcast_to(camera_K, (len(crop), 3, 3))
    wanted = features.crop_axes(crop, many_K) @ turn.T
    sight = wanted[:, 2]
    moved = np.concatenate([pixels(sight, camera_K), np.ones((len(crop), 1)), np.zeros((len(crop), 1))], axis=1)
    rolled = wanted @ np.swapaxes(features.crop_axes(moved, many_K), 1, 2)
    np.testing.assert_allclose(rolled[:, 2], np.tile([0, 0, 1], (len(crop), 1)), atol=1e-9)
    moved[:, 3] = np.arctan2(rolled[:, 0, 1], rolled[:, 0, 0])
    moved[:, 2] = features.crop_size(crop, many_K) / features.crop_size(moved, many_K)
    return moved


def test_a_person_straight_ahead_is_seen_as_in_the_picture(people: np.ndarray):
    crop = tracked(people, K)
    ahead = np.tile([*K[:2, 2], 400, 0], (COUNT, 1))
    ahead[:, 2:] = crop[:, 2:]
    given = seen(people, K, crop) | {"crops": ahead}
    known = np.arange(COUNT) % 2 > 0
    made = features.frame_features(
        **given, known=known, period=np.full(COUNT, 0.04), camera_K=np.broadcast_to(K, (COUNT, 3, 3))
    )
    assert made.shape == (COUNT, features.SIZE)
    assert made.dtype == np.float32
    for number in range(COUNT):
        inside = crops.from_image(given["landmarks"][number], ahead[number]) - 0.5
        np.testing.assert_allclose(made[number, :66].reshape(33, 2), inside, atol=1e-5)
        np.testing.assert_allclose(
            made[number, -8:],
            [
                given["scores"][number],
                np.log(ahead[number, 2] / 900),
                np.cos(ahead[number, 3]),
                np.sin(ahead[number, 3]),
                0,
                0,
                known[number],
                0.04,
            ],
            atol=1e-6,
        )
    np.testing.assert_array_equal(made[:, 66:99], given["visibility"].astype(np.float32))
    np.testing.assert_array_equal(made[:, 99:132], given["presence"].astype(np.float32))


def test_world_landmarks_are_seen_from_the_crop(people: np.ndarray):
    """x to the right in the crop, y down, z along the line of sight to its centre."""
    crop = tracked(people, K)
    made = described(people, K, crop)[:, features.WORLD].reshape(COUNT, 33, 3)
    from_hips = people - people[:, HIPS].mean(1, keepdims=True)
    sight = np.concatenate([(crop[:, :2] - K[:2, 2]) / 900, np.ones((COUNT, 1))], axis=1)
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    np.testing.assert_allclose(made[..., 2], np.einsum("nkj,nj->nk", from_hips, sight), atol=1e-5)
    # The tracker turns the crop until the shoulders are above the hips.
    chest = made[:, SHOULDERS].mean(1)
    assert (chest[:, 1] < -0.2).all()
    assert np.abs(chest[:, 0]).max() < 0.06


@pytest.mark.parametrize("turn", [(0.0, 0.3, 0.0), (0.2, -0.1, 0.0), (0.1, 0.2, 1.5)], ids=str)
def test_a_camera_that_turns_about_its_centre_sees_the_same(people: np.ndarray, turn: tuple[float, float, float]):
    """Only the direction to the person and the crop's rotation may change."""
    rotation = Rotation.from_rotvec(turn).as_matrix()
    crop = tracked(people, K)
    moved = same_crop(crop, rotation, K)
    turned = people @ rotation.T
    assert turned[..., 2].min() > 1
    before, after = described(people, K, crop), described(turned, K, moved)
    assert np.abs(before[:, DIRECTION] - after[:, DIRECTION]).max() > 0.1
    for changing in (ROLL, DIRECTION):
        before[:, changing] = after[:, changing] = 0
    np.testing.assert_allclose(before, after, atol=5e-5)


def test_a_rolled_camera_sees_the_same_but_for_its_roll(people: np.ndarray):
    """Rolling the camera is turning its picture: the crop moves and turns with the picture, and keeps its side."""
    rotation = Rotation.from_rotvec([0, 0, 0.83]).as_matrix()
    crop = tracked(people, K)
    moved = crop.copy()
    moved[:, :2] = (crop[:, :2] - K[:2, 2]) @ rotation[:2, :2].T + K[:2, 2]
    moved[:, 3] += 0.83
    before, after = described(people, K, crop), described(people @ rotation.T, K, moved)
    assert np.abs(before[:, ROLL] - after[:, ROLL]).max() > 0.1
    for changing in (ROLL, DIRECTION):
        before[:, changing] = after[:, changing] = 0
    np.testing.assert_allclose(before, after, atol=5e-5)


def shape(points: np.ndarray) -> np.ndarray:
    """(n, 33) complex points (n, 33, 2) without position, size and roll."""
    centred = points[..., 0] + 1j * points[..., 1]
    centred = centred - centred.mean(1, keepdims=True)
    up = centred[:, SHOULDERS].mean(1) - centred[:, HIPS].mean(1)
    return centred / up[:, None]


def test_no_lens_distorts_people_at_the_edge(people: np.ndarray):
    """A picture is stretched towards its edge, and the tracker's crops with it: only people's size may vary by that."""
    turned = people @ Rotation.from_rotvec([0.1, 0.35, 0.0]).as_matrix().T
    before, after = (described(marks, K, tracked(marks, K))[:, :66].reshape(COUNT, 33, 2) for marks in (people, turned))
    off = np.abs(shape(before) - shape(after)).max()
    in_picture = np.abs(shape(pixels(people, K)) - shape(pixels(turned, K))).max()
    assert off < 0.01
    assert off < 0.1 * in_picture


def test_a_longer_lens_on_a_finer_picture_sees_the_same(people: np.ndarray):
    finer = K * np.array([[2.5], [2.5], [1.0]])
    crop = tracked(people, K)
    scaled = crop * [2.5, 2.5, 2.5, 1]
    np.testing.assert_allclose(described(people, K, crop), described(people, finer, scaled), atol=5e-5)


def crop_cameras(pelvis: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(n, 3) s, tx, ty for pelves (n, 3) in crop axes, by the definition: s is how much of the crop two metres fill."""
    return np.concatenate([2 / (size * pelvis[:, 2])[:, None], pelvis[:, :2]], axis=1)


def test_a_crops_camera_shows_people_where_the_features_have_them(people: np.ndarray):
    """Put in front of a crop's camera by s, tx and ty, the true body falls on the landmarks."""
    crop = tracked(people, K)
    many_K = np.broadcast_to(K, (COUNT, 3, 3))
    axes, size = features.crop_axes(crop, many_K), features.crop_size(crop, many_K)
    box = features.box_info(crop, many_K)
    pelvis = people[:, HIPS].mean(1)
    in_crop = np.einsum("nij,nj->ni", axes, pelvis)
    np.testing.assert_allclose(features.full_translation(crop_cameras(in_crop, size), box), in_crop, atol=1e-9)
    points = (people - pelvis[:, None]) @ np.swapaxes(axes, 1, 2) + in_crop[:, None]
    points = points[..., :2] / points[..., 2:] / size[:, None, None]
    np.testing.assert_allclose(points, described(people, K, crop)[:, :66].reshape(COUNT, 33, 2), atol=1e-5)


def test_answers_are_turned_back_into_the_cameras_axes(people: np.ndarray):
    rng = np.random.default_rng(1)
    crop = tracked(people, K)
    many_K = np.broadcast_to(K, (COUNT, 3, 3))
    axes = features.crop_axes(crop, many_K)
    np.testing.assert_allclose(axes @ np.swapaxes(axes, 1, 2), np.broadcast_to(np.eye(3), (COUNT, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-9)
    local = Rotation.from_rotvec(rng.normal(0, 0.5, (COUNT * 24, 3))).as_matrix().reshape(COUNT, 24, 3, 3)
    pelvis = people[:, HIPS].mean(1)
    seen_locally = local.copy()
    seen_locally[:, 0] = axes @ local[:, 0]
    back, there = features.to_camera(seen_locally, np.einsum("nij,nj->ni", axes, pelvis), crop, many_K)
    np.testing.assert_allclose(back, local, atol=1e-12)
    np.testing.assert_allclose(there, pelvis, atol=1e-12)
