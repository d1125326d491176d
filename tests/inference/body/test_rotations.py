import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body import rotations as rot


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Axis-angle vectors, among them none, tiny ones and half turns."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(400, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = rng.uniform(0, np.pi, 400)
    angles[:6] = [0.0, 1e-12, 1e-8, 1e-4, np.pi, np.pi - 1e-9]
    return axes * angles[:, None]


def scipy_quaternions(axis_angle: np.ndarray) -> np.ndarray:
    return np.roll(Rotation.from_rotvec(axis_angle).as_quat(canonical=True), 1, axis=-1)


def test_agrees_with_scipy(samples):
    truth = Rotation.from_rotvec(samples)
    np.testing.assert_allclose(rot.axis_angle_to_matrix(samples), truth.as_matrix(), atol=1e-12)
    quaternions = rot.axis_angle_to_quaternion(samples)
    np.testing.assert_allclose(rot.quaternion_to_matrix(quaternions), truth.as_matrix(), atol=1e-12)
    from_matrix = rot.matrix_to_quaternion(truth.as_matrix())
    np.testing.assert_allclose(np.abs(np.sum(from_matrix * scipy_quaternions(samples), axis=1)), 1, atol=1e-12)


def test_there_and_back(samples):
    matrices = rot.axis_angle_to_matrix(samples)
    back = rot.axis_angle_to_matrix(rot.matrix_to_axis_angle(matrices))
    np.testing.assert_allclose(back, matrices, atol=1e-12)
    np.testing.assert_allclose(rot.sixd_to_matrix(rot.matrix_to_sixd(matrices)), matrices, atol=1e-12)
    below_half_turn = np.linalg.norm(samples, axis=1) < np.pi - 1e-6
    np.testing.assert_allclose(rot.matrix_to_axis_angle(matrices)[below_half_turn], samples[below_half_turn], atol=1e-9)
    angles = np.linalg.norm(rot.matrix_to_axis_angle(matrices), axis=1)
    np.testing.assert_allclose(angles, np.linalg.norm(samples, axis=1), atol=1e-7)


def test_hand_values():
    quarter = np.array([0.0, 0.0, np.pi / 2])
    np.testing.assert_allclose(rot.axis_angle_to_matrix(quarter) @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rot.axis_angle_to_quaternion(quarter), [np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    np.testing.assert_allclose(rot.matrix_to_sixd(np.eye(3)), [1, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(rot.quaternion_to_axis_angle([-1.0, 0, 0, 0]), 0)
    np.testing.assert_allclose(rot.quaternion_to_axis_angle([0.0, 0, 1, 0]), [0, np.pi, 0])
    np.testing.assert_allclose(rot.matrix_to_axis_angle(np.diag([-1.0, 1, -1])), [0, np.pi, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(samples, dtype):
    matrices = rot.axis_angle_to_matrix(samples.astype(dtype))
    assert matrices.dtype == dtype
    for result in (
        rot.matrix_to_axis_angle(matrices),
        rot.matrix_to_quaternion(matrices),
        rot.project(matrices),
        rot.matrix_to_sixd(matrices),
        rot.sixd_to_matrix(rot.matrix_to_sixd(matrices)),
        rot.axis_angle_to_quaternion(samples.astype(dtype)),
    ):
        assert result.dtype == dtype
        assert np.isfinite(result).all()


def test_shapes_batch_and_empty(samples):
    block = samples.reshape(4, 5, 20, 3)
    matrices = rot.axis_angle_to_matrix(block)
    assert matrices.shape == (4, 5, 20, 3, 3)
    assert rot.matrix_to_quaternion(matrices).shape == (4, 5, 20, 4)
    assert rot.matrix_to_axis_angle(np.zeros((0, 24, 3, 3))).shape == (0, 24, 3)
    with pytest.raises(ValueError, match="expected shape"):
        rot.axis_angle_to_matrix(np.zeros(4))


def test_product_is_composition(samples):
    a, b = samples[:200], samples[200:]
    product = rot.quaternion_multiply(rot.axis_angle_to_quaternion(a), rot.axis_angle_to_quaternion(b))
    np.testing.assert_allclose(
        rot.quaternion_to_matrix(product), rot.axis_angle_to_matrix(a) @ rot.axis_angle_to_matrix(b), atol=1e-12
    )


def test_make_continuous():
    angles = np.linspace(0, 6 * np.pi, 200)
    quaternions = rot.matrix_to_quaternion(rot.axis_angle_to_matrix(angles[:, None] * [0, 0.6, 0.8]))
    assert (np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0).any()
    smooth = rot.make_continuous(quaternions)
    assert (np.sum(smooth[1:] * smooth[:-1], axis=1) > 0.99).all()
    np.testing.assert_allclose(rot.quaternion_to_matrix(smooth), rot.quaternion_to_matrix(quaternions), atol=1e-12)
    stacked = np.stack([quaternions, -quaternions])
    np.testing.assert_array_equal(rot.make_continuous(stacked, axis=1)[0], smooth)


def test_slerp():
    start = np.array([1.0, 0, 0, 0])
    end = rot.axis_angle_to_quaternion([0, 2.0, 0])
    for t in (0.0, 0.25, 1.0):
        np.testing.assert_allclose(rot.quaternion_to_axis_angle(rot.slerp(start, end, t)), [0, 2 * t, 0], atol=1e-12)
        np.testing.assert_allclose(rot.quaternion_to_axis_angle(rot.slerp(start, -end, t)), [0, 2 * t, 0], atol=1e-12)
    np.testing.assert_allclose(rot.slerp(start, start, 0.3), start)
    assert rot.slerp(start, end, np.linspace(0, 1, 7)).shape == (7, 4)


def test_relative_angle(samples):
    a, b = samples[:200], samples[200:]
    truth = (Rotation.from_rotvec(a).inv() * Rotation.from_rotvec(b)).magnitude()
    got = rot.relative_angle(rot.axis_angle_to_matrix(a), rot.axis_angle_to_matrix(b))
    np.testing.assert_allclose(got, truth, atol=1e-9)


def test_swing_twist(samples):
    axis = np.array([0.6, 0, 0.8])
    q = rot.axis_angle_to_quaternion(samples)
    swing, twist = rot.swing_twist(q, axis)
    np.testing.assert_allclose(
        rot.quaternion_to_matrix(rot.quaternion_multiply(swing, twist)), rot.quaternion_to_matrix(q), atol=1e-12
    )
    np.testing.assert_allclose(np.cross(rot.quaternion_to_axis_angle(twist), axis), 0, atol=1e-9)
    np.testing.assert_allclose(rot.quaternion_to_axis_angle(swing) @ axis, 0, atol=1e-9)
    turned_over = rot.axis_angle_to_quaternion([0, np.pi, 0])
    _, twist = rot.swing_twist(turned_over, [1.0, 0, 0])
    np.testing.assert_allclose(twist, [1, 0, 0, 0], atol=1e-12)


def test_between(samples):
    rng = np.random.default_rng(1)
    start, end = rng.normal(size=(2, 200, 3))
    unit_start = start / np.linalg.norm(start, axis=1, keepdims=True)
    end[:2], end[2] = -start[:2], start[2]
    end[3] = -start[3] + 1e-9
    unit_end = end / np.linalg.norm(end, axis=1, keepdims=True)
    matrices = rot.between(start, end)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", matrices, unit_start), unit_end, atol=1e-7)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-9)
    angle = np.arccos(np.clip(np.sum(unit_start * unit_end, axis=1), -1, 1))
    np.testing.assert_allclose(rot.relative_angle(np.eye(3), matrices), angle, atol=1e-6)


def test_project(samples):
    rng = np.random.default_rng(2)
    matrices = rot.axis_angle_to_matrix(samples)
    np.testing.assert_allclose(rot.project(3.0 * matrices), matrices, atol=1e-12)
    noisy = rot.project(matrices + 0.3 * rng.normal(size=matrices.shape))
    np.testing.assert_allclose(noisy @ np.swapaxes(noisy, 1, 2), np.broadcast_to(np.eye(3), noisy.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(noisy), 1)
    np.testing.assert_allclose(np.linalg.det(rot.project(np.diag([1.0, 1.0, -1.0]))), 1)
