from pathlib import Path

import numpy as np
import pytest
import smplx
import torch
from smplx.utils import Struct
from smplx.vertex_ids import vertex_ids
from video_motion.inference import registry
from video_motion.inference.body.rotations import axis_angle_to_matrix
from video_motion.inference.pose import features
from video_motion.inference.research.networks import torch_body


@pytest.fixture(scope="module")
def people():
    """Poses (B, 24, 3), betas (B, 10)."""
    rng = np.random.default_rng(0)
    return rng.normal(scale=0.6, size=(7, 24, 3)), 1.5 * rng.normal(size=(7, 10))


def tensor(array) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def test_rotations_come_back():
    matrices = tensor(axis_angle_to_matrix(np.random.default_rng(1).normal(size=(5, 24, 3))))
    sixd = torch_body.matrix_to_sixd(matrices)
    torch.testing.assert_close(torch_body.sixd_to_matrix(sixd), matrices)
    torch.testing.assert_close(torch_body.sixd_to_matrix(2 * sixd), matrices)
    torch.testing.assert_close(torch_body.to_local(torch_body.to_global(matrices)), matrices, atol=1e-5, rtol=0)
    assert torch.isfinite(torch_body.sixd_to_matrix(torch.zeros(1, 6))).all()


def test_equals_the_numpy_body(body, people):
    poses, betas = people
    model = torch_body.TorchBody(body, torch_body.marker_points(body))
    global_rotations = torch_body.to_global(tensor(body.local_rotations(poses)))
    joints = model.joints(global_rotations, tensor(betas))
    points = model.points(global_rotations, joints, tensor(betas))

    rotations, expected = body.kinematics(poses, betas)
    np.testing.assert_allclose(global_rotations, rotations, atol=1e-5)
    np.testing.assert_allclose(joints, expected - expected[:, :1], atol=1e-5)
    expected_points = body.skin(torch_body.marker_points(body), rotations, expected, betas)
    np.testing.assert_allclose(points, expected_points - expected[:, :1], atol=1e-5)


def test_markers_are_landmarks(body, people):
    poses, betas = people
    rotations, joints = body.kinematics(poses, betas)
    markers = body.skin(torch_body.marker_points(body), rotations, joints, betas)
    landmarks = body.landmark_positions(poses, betas)
    assert len(torch_body.MARKERS) == len(set(torch_body.MARKERS)) == 26
    np.testing.assert_allclose(markers[:, torch_body.MARKERS.index("nose")], landmarks[:, 0], atol=1e-9)
    np.testing.assert_allclose(markers[:, torch_body.MARKERS.index("hips")], landmarks[:, 23:25].mean(1), atol=1e-9)


def test_equals_smplx(body, people):
    poses, betas = people
    path: Path = registry.body_path()
    with np.load(path) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    names = dict.fromkeys(vertex_ids["smplh"], 0)
    model = smplx.SMPL(model_path="", data_struct=Struct(**data), vertex_ids=names, batch_size=len(poses))
    out = model(
        betas=tensor(betas),
        global_orient=tensor(poses[:, 0]),
        body_pose=tensor(poses[:, 1:].reshape(len(poses), -1)),
    )
    chosen = np.arange(0, len(body.v_template), 97)
    mine = torch_body.TorchBody(body, body.points(chosen))
    global_rotations = torch_body.to_global(tensor(body.local_rotations(poses)))
    joints = mine.joints(global_rotations, tensor(betas))
    pelvis = out.joints[:, :1]
    torch.testing.assert_close(joints, (out.joints[:, :24] - pelvis).detach(), atol=1e-5, rtol=0)
    points = mine.points(global_rotations, joints, tensor(betas))
    torch.testing.assert_close(points, (out.vertices[:, chosen] - pelvis).detach(), atol=1e-5, rtol=0)


def test_projection_is_the_full_images():
    """Points in a crop's axes, projected into the crop, lie where the whole picture has them."""
    focal, principal = 900.0, np.array([640.0, 360.0])
    crops = np.array([[400.0, 500.0, 300.0, 0.3], [900.0, 200.0, 120.0, -1.0]])
    K = np.broadcast_to(np.array([[focal, 0, principal[0]], [0, focal, principal[1]], [0, 0, 1]]), (2, 3, 3))
    box = features.box_info(crops, K)
    camera = np.array([[0.9, 0.1, -0.2], [0.5, 0.0, 0.1]])
    points = np.random.default_rng(2).normal(scale=0.4, size=(2, 26, 3))

    translation = torch_body.full_translation(tensor(camera), tensor(box))
    np.testing.assert_allclose(translation, features.full_translation(camera, box), rtol=1e-5)
    size = features.crop_size(crops, K)
    np.testing.assert_allclose(translation[:, 2], 2 / (size * camera[:, 0]), rtol=1e-5)

    there = (points + translation.numpy()[:, None]) @ features.crop_axes(crops, K)
    pixels = focal * there[..., :2] / there[..., 2:] + principal
    nothing = np.zeros((2, 33))
    marks = np.concatenate([pixels, pixels[:, :7]], axis=1)
    world, zero = np.zeros((2, 33, 3)), np.zeros(2)
    seen = features.frame_features(marks, nothing, nothing, world, zero, crops, zero, zero, K)
    expected = seen[:, :66].reshape(2, 33, 2)[:, :26]
    np.testing.assert_allclose(torch_body.project(tensor(points), translation, tensor(box)), expected, atol=1e-4)


def test_no_scale_puts_the_pelvis_behind_the_camera():
    camera = torch.tensor([[-1.0, 0, 0], [0.0, 0, 0]])
    translation = torch_body.full_translation(camera, torch.zeros(2, 3))
    assert torch.isfinite(translation).all()
    assert (translation[:, 2] > 0).all()
