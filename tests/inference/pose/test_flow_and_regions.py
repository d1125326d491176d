"""Network inputs: the background's motion and people's other regions of interest."""

import numpy as np
import pytest
from video_motion.inference.body.rotations import axis_angle_to_matrix
from video_motion.inference.camera.tracking import homographies_from_rotations
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


def test_each_region_is_described_as_if_it_were_the_only_crop():
    rng = np.random.default_rng(0)
    b, r = 3, 5
    crops = np.concatenate([rng.uniform(100, 400, (b, r, 3)), np.repeat(rng.normal(0, 1, (b, 1, 1)), r, 1)], axis=2)
    seen = {
        "landmarks": rng.uniform(0, 500, (b, r, 33, 2)),
        "visibility": rng.random((b, r, 33)),
        "presence": rng.random((b, r, 33)),
        "world_landmarks": rng.normal(0, 0.3, (b, r, 33, 3)),
        "scores": rng.random((b, r)),
        "crops": crops,
    }
    K = np.tile(np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]), (b, 1, 1))
    result, boxes = features.region_features(seen, K)
    for region in range(r):
        alone = {name: values[:, region : region + 1] for name, values in seen.items()}
        of_time = {"offsets": np.zeros((b, 1)), "known": np.ones((b, 1), bool)}
        np.testing.assert_array_equal(result[:, region], features.window_features(**alone, **of_time, camera_K=K)[:, 0])
        np.testing.assert_allclose(boxes[:, region], features.box_info(crops[:, region], K))
