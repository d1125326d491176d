"""Joints from their images in several cameras."""

import numpy as np
import pytest
from video_motion.inference.research.evaluation import metrics
from video_motion.inference.research.evaluation.calibration import CalibratedCamera
from video_motion.inference.research.evaluation.triangulation import bone_variation, triangulate

from . import rig


def seen(cameras: list[CalibratedCamera], joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels = np.stack([camera.pixels(joints) for camera in cameras])
    return pixels, np.ones(pixels.shape[:3]), np.median(np.ptp(pixels[..., 1], axis=2), axis=1)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_flawless_images_give_exact_joints(count: int):
    cameras, joints = rig.around(count if count > 2 else 3)[:count], rig.someone()
    found = triangulate(cameras, *seen(cameras, joints))
    np.testing.assert_allclose(found.joints, joints, atol=1e-6)
    assert found.used.all()
    assert found.reprojection == pytest.approx(0, abs=1e-3)
    assert found.rejected == 0


def test_one_camera_with_exchanged_sides_is_outvoted():
    cameras, joints = rig.around(), rig.someone()
    pixels, weights, heights = seen(cameras, joints)
    pixels[1, 3:6] = pixels[1, 3:6][:, metrics.LIMB_MIRROR]
    found = triangulate(cameras, pixels, weights, heights)
    # A joint where both sides look alike to that camera stays within what counts as noise.
    assert np.linalg.norm(found.joints - joints, axis=-1).max() < 0.08
    assert np.median(np.linalg.norm(found.joints - joints, axis=-1)[3:6]) < 1e-3
    assert found.used[1, 3:6].mean() < 0.5
    assert found.used[[0, 2, 3]].all()


def test_noise_averages_out():
    cameras, joints = rig.around(), rig.someone(60)
    pixels, weights, heights = seen(cameras, joints)
    noisy = pixels + np.random.default_rng(0).normal(size=pixels.shape)
    found = triangulate(cameras, noisy, weights, heights)
    off = 1000 * np.linalg.norm(found.joints - joints, axis=-1).mean()
    two = triangulate(cameras[:2], noisy[:2], weights[:2], heights[:2])
    # A pixel is 7 mm at 4 m.
    assert off < 8
    assert off < 0.8 * 1000 * np.linalg.norm(two.joints - joints, axis=-1).mean()
    # Distances in the image: two dimensions of noise, less the three that the joint follows of eight.
    assert found.reprojection == pytest.approx(np.sqrt(np.pi / 2) * np.sqrt(5 / 8), rel=0.05)


def test_confidence_counts():
    cameras, joints = rig.around(3), rig.someone()
    pixels, weights, heights = seen(cameras, joints)
    pixels[2, ..., 0] += 4
    even = np.linalg.norm(triangulate(cameras, pixels, weights, heights).joints - joints, axis=-1).mean()
    weights[2] = 0.1
    assert np.linalg.norm(triangulate(cameras, pixels, weights, heights).joints - joints, axis=-1).mean() < even / 5


def test_what_one_camera_sees_is_unknown():
    cameras, joints = rig.around(), rig.someone()
    pixels, weights, heights = seen(cameras, joints)
    weights[1:, 2, 4] = 0
    pixels[1:, 2, 4] = 0
    found = triangulate(cameras, pixels, weights, heights)
    unknown = np.isnan(found.joints).all(axis=-1)
    assert np.argwhere(unknown).tolist() == [[2, 4]]


def test_bone_variation_by_hand():
    joints = rig.someone(2) * 0
    joints[:, :, 2] = np.arange(12)
    assert bone_variation(joints) == pytest.approx(0)
    # The left shoulder moves by 8 cm along its upper arm, one of eight bones: 4 cm about the mean, 0.5 cm on average.
    joints[1, 0, 2] -= 0.08
    assert bone_variation(joints) == pytest.approx(0.5)
