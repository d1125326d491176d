"""Network inputs: the background's motion and people's other regions of interest."""

import numpy as np
import pytest
from video_motion.inference.body.rotations import axis_angle_to_matrix
from video_motion.inference.camera.tracking import homographies_from_rotations
from video_motion.inference.people import crops
from video_motion.inference.pose import features
from video_motion.inference.pose.temporal import VideoContext, flow_homographies
from video_motion.inference.runtime.session import NetworkError

FOCAL = 0.9


def turns(count: int) -> np.ndarray:
    """(M, 3, 3) of a camera that pans and rolls, never twice as fast."""
    angle = np.linspace(0, 1, count) ** 2
    return axis_angle_to_matrix(np.stack([0.1 * angle, 0.5 * angle, 0.05 * angle], axis=1))


def context(count: int = 40) -> VideoContext:
    turned = turns(count)
    moved = homographies_from_rotations(turned[:-1], turned[1:], np.full(count - 1, FOCAL))
    return VideoContext(np.eye(3), None, 7 + np.arange(count), np.concatenate([np.eye(3)[None], moved]))


def test_a_turned_camera_moves_points_as_pinhole_cameras_do():
    before, now = turns(2)
    (moved,) = homographies_from_rotations(before[None], now[None], np.array([FOCAL]))
    ray = np.array([0.2, -0.1, 1.0])
    point = FOCAL * ray[:2]
    there = now.T @ before @ ray
    result = moved @ [*point, 1.0]
    np.testing.assert_allclose(result[:2] / result[2], FOCAL * there[:2] / there[2], atol=1e-12)


def test_steps_of_several_frames_are_those_of_a_slower_video():
    turned = turns(40)
    result = flow_homographies(context(), np.array([7 + 39]), 2)
    rows = 39 + 2 * (np.arange(features.FLOW_STEPS + 1) - features.FLOW_STEPS)
    expected = homographies_from_rotations(turned[rows[:-1]], turned[rows[1:]], np.full(features.FLOW_STEPS, FOCAL))
    np.testing.assert_allclose(result[0], expected, atol=1e-10)


def test_before_the_video_nothing_moved():
    result = flow_homographies(context(), np.array([7, 9]), 1)
    np.testing.assert_array_equal(result[0], np.broadcast_to(np.eye(3), (features.FLOW_STEPS, 3, 3)))
    assert (result[1, :-2] == np.eye(3)).all()
    assert (result[1, -2:] != np.eye(3)).any(axis=(1, 2)).all()


def test_a_network_that_asks_for_flow_is_not_run_without():
    with pytest.raises(NetworkError, match="background"):
        flow_homographies(VideoContext(np.eye(3)), np.array([0]), 1)


def test_flow_is_seen_in_the_rolled_camera():
    """What moves to the right in a picture lying on its side moves down in the upright crop."""
    right = np.tile(np.eye(3), (1, features.FLOW_STEPS, 1, 1))
    right[..., 0, 2] = 0.1
    crop = np.array([[0.0, 0, 1, -np.pi / 2]])
    result = features.flow_features(right, crop).reshape(features.FLOW_STEPS, 3, 3)
    np.testing.assert_allclose(result[:, :2, 2], np.tile([0.0, 0.1], (features.FLOW_STEPS, 1)), atol=1e-6)
    assert not features.flow_features(np.tile(np.eye(3), (1, features.FLOW_STEPS, 1, 1)), crop).any()


@pytest.fixture
def regions() -> dict[str, np.ndarray]:
    """One person's landmarks in three frames and five regions, as a detector with errors of its own in each."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(3):
        crop = np.array([*rng.uniform(150, 450, 2), rng.uniform(150, 300), rng.normal(0, 1)])
        made.append(np.concatenate([crop[None], crops.roi_crops(crop)]))
    seen = np.stack(made)
    around = rng.normal(0, 0.2, (3, 5, 33, 2)) * seen[:, :1, None, 2:3]
    return {
        "landmarks": seen[:, :1, None, :2] + around,
        "visibility": rng.random((3, 5, 33)),
        "presence": rng.random((3, 5, 33)),
        "world_landmarks": rng.normal(0, 0.3, (3, 5, 33, 3)),
        "scores": rng.random((3, 5)),
        "crops": seen,
    }


K = np.tile(np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]), (3, 1, 1))
PERIOD = np.full(3, 0.04)


def alone(regions: dict[str, np.ndarray], number: int) -> np.ndarray:
    """(3, F) features of one region's frame, as if it were the only crop."""
    return features.frame_features(
        **{name: values[:, number] for name, values in regions.items()},
        known=np.ones(3, bool),
        period=PERIOD,
        camera_K=K,
    )


def test_the_first_region_is_the_crop(regions: dict[str, np.ndarray]):
    result, boxes = features.region_features(regions, PERIOD, K)
    assert result.shape == (3, 5, features.SIZE)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:, 0], alone(regions, 0), atol=1e-6)
    np.testing.assert_allclose(boxes[:, 0], features.box_info(regions["crops"][:, 0], K), atol=1e-9)


def test_each_region_is_described_nearly_as_if_it_were_the_only_crop(regions: dict[str, np.ndarray]):
    """Its centre lies a tenth of the crop aside, so that it is seen under nearly the same angle."""
    result, _ = features.region_features(regions, PERIOD, K)
    points = slice(0, 66)
    size_and_direction = [-7, -4, -3]
    for number in range(1, 5):
        expected = alone(regions, number)
        np.testing.assert_allclose(result[:, number, points], expected[:, points], atol=0.04)
        rest = np.delete(np.arange(features.SIZE), np.r_[points, np.array(size_and_direction) % features.SIZE])
        np.testing.assert_array_equal(result[:, number, rest], expected[:, rest])
        # Size and direction are those of the crop, in whose axes everything is.
        np.testing.assert_array_equal(result[:, number, size_and_direction], result[:, 0, size_and_direction])


def test_what_stands_in_the_crops_axes_shows_in_every_region(regions: dict[str, np.ndarray]):
    """A point in the axes of the crop, seen through each region's box, lies where the region's features have it."""
    rng = np.random.default_rng(2)
    first = regions["crops"][:, 0]
    points = rng.normal([0, 0, 4], 0.4, (3, 33, 3))
    there = points @ features.crop_axes(first, K)
    pixels = there[..., :2] / there[..., 2:] * 700 + K[0, :2, 2]
    regions["landmarks"] = np.repeat(pixels[:, None], 5, axis=1)
    result, boxes = features.region_features(regions, PERIOD, K)
    for number in range(5):
        centre, size = boxes[:, number, :2] / 2.8, 0.06 * boxes[:, number, 2:] + 0.24
        expected = (points[..., :2] / points[..., 2:] - centre[:, None]) / size[:, None]
        np.testing.assert_allclose(result[:, number, :66].reshape(3, 33, 2), expected, atol=2e-5)
