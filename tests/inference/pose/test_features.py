import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.people import crops
from video_motion.inference.pose import features

K = np.array([[900.0, 0, 640], [0, 900.0, 360], [0, 0, 1]])


@pytest.fixture
def window():
    rng = np.random.default_rng(3)
    b, t = 4, 9
    crop = np.stack(
        [
            rng.uniform(300, 900, (b, t)),
            rng.uniform(200, 500, (b, t)),
            rng.uniform(150, 500, (b, t)),
            rng.uniform(-3, 3, (b, t)),
        ],
        -1,
    )
    return {
        "landmarks": rng.uniform(200, 700, (b, t, 33, 2)),
        "visibility": rng.uniform(0, 1, (b, t, 33)),
        "presence": rng.uniform(0, 1, (b, t, 33)),
        "world_landmarks": rng.normal(0, 0.5, (b, t, 33, 3)),
        "scores": rng.uniform(0.5, 1, (b, t)),
        "crops": crop,
        "offsets": np.tile((np.arange(t) - 4) / 30, (b, 1)),
        "known": rng.random((b, t)) < 0.8,
        "camera_K": np.tile(K, (b, 1, 1)),
    }


def test_landmarks_of_the_middle_frame_are_places_in_its_crop(window):
    seen = features.window_features(**window)
    assert seen.shape == (4, 9, features.SIZE)
    assert seen.dtype == np.float32
    for number in range(4):
        expected = crops.from_image(window["landmarks"][number, 4], window["crops"][number, 4]) - 0.5
        np.testing.assert_allclose(seen[number, 4, :66].reshape(33, 2), expected, atol=1e-5)


def test_a_rolled_camera_sees_the_same_but_for_its_roll(window):
    """Turning the image about the camera's axis is turning the camera: only cosine and sine of the crop may change."""
    angle = 0.83
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rolled = {key: np.array(value) for key, value in window.items()}
    centre = K[:2, 2]
    rolled["landmarks"] = (window["landmarks"] - centre) @ turn.T + centre
    rolled["world_landmarks"][..., :2] = window["world_landmarks"][..., :2] @ turn.T
    rolled["crops"][..., :2] = (window["crops"][..., :2] - centre) @ turn.T + centre
    rolled["crops"][..., 3] += angle
    before, after = features.window_features(**window), features.window_features(**rolled)
    roll = slice(66 + 66 + 99 + 1 + 3, 66 + 66 + 99 + 1 + 5)
    assert np.abs(before[..., roll] - after[..., roll]).max() > 0.1
    before[..., roll] = after[..., roll] = 0
    np.testing.assert_allclose(before, after, atol=2e-5)


def test_crop_camera_and_full_camera_show_the_same_picture():
    rng = np.random.default_rng(0)
    crop = np.array([[410.0, 500, 260, 0.6], [900, 200, 400, -2.0]])
    pelvis = np.array([[-0.4, 0.3, 4.0], [0.9, -0.5, 5.0]])
    points = rng.normal(0, 0.4, (2, 20, 3))
    turned = features.roll(crop)
    rolled_pelvis = np.einsum("bij,bj->bi", turned, pelvis)
    info = features.box_info(crop, np.tile(K, (2, 1, 1)))
    centre, size = info[:, :2] / 2.8, 0.06 * info[:, 2:] + 0.24
    scale = 2 / (size * rolled_pelvis[:, 2:])
    camera = np.concatenate([scale, rolled_pelvis[:, :2] - centre * rolled_pelvis[:, 2:]], axis=1)
    np.testing.assert_allclose(features.full_translation(camera, info), rolled_pelvis, atol=1e-9)
    # Seen through the rolled camera, a point lies in the crop where the real camera's pixel does.
    for number in range(2):
        there = points[number] + pelvis[number]
        pixels = there[:, :2] / there[:, 2:] * 900 + K[:2, 2]
        rolled = points[number] @ turned[number].T + rolled_pelvis[number]
        inside = (rolled[:, :2] / rolled[:, 2:] - centre[number]) / size[number]
        np.testing.assert_allclose(inside, crops.from_image(pixels, crop[number]) - 0.5, atol=1e-9)


def test_unrolling_undoes_the_roll():
    rng = np.random.default_rng(1)
    local = rotations.axis_angle_to_matrix(rng.normal(0, 0.5, (3, 24, 3)))
    pelvis = rng.normal(0, 1, (3, 3))
    crop = np.array([[1.0, 2, 3, 0.4], [5, 6, 7, -3.0], [1, 1, 1, 0]])
    turn = features.roll(crop)
    rolled = local.copy()
    rolled[:, 0] = turn @ local[:, 0]
    back, there = features.unroll(rolled, np.einsum("bij,bj->bi", turn, pelvis), crop)
    np.testing.assert_allclose(back, local, atol=1e-12)
    np.testing.assert_allclose(there, pelvis, atol=1e-12)
