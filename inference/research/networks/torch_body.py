"""SMPL in torch as networks and losses need it: joints and a few surface points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...body.skeleton import LANDMARK_NAMES, PARENTS
from ...body.smpl import Body, Points

_MARKED = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel", "foot_index", "ear")
MARKERS = (*(f"{side}_{part}" for part in _MARKED for side in ("left", "right")), "nose", "hips")
"""The 26 markers: BlazePose's landmarks without eyes and mouth, and the midpoint of the hips."""


def sixd_to_matrix(sixd: Tensor) -> Tensor:
    """Rotations (..., 3, 3) from their first two columns in a row (..., 6), by Gram-Schmidt."""
    x = nn.functional.normalize(sixd[..., :3], dim=-1, eps=1e-6)
    y = sixd[..., 3:] - (x * sixd[..., 3:]).sum(-1, keepdim=True) * x
    y = nn.functional.normalize(y, dim=-1, eps=1e-6)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def matrix_to_sixd(matrix: Tensor) -> Tensor:
    """The first two columns (..., 6) of rotations (..., 3, 3)."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)


_ABOVE = [max(parent, 0) for parent in PARENTS]


def _chains() -> np.ndarray:
    """(24, 24) [j, k]: 1 if bone k, which ends in joint k, lies on the chain from the pelvis to joint j."""
    chains = np.eye(len(PARENTS))
    for joint, parent in enumerate(PARENTS[1:], start=1):
        chains[joint] += chains[parent]
    chains[:, 0] = 0
    return chains


def to_global(local: Tensor) -> Tensor:
    """Rotations (B, 24, 3, 3) relative to the camera from rotations (B, 24, 3, 3) relative to the parents."""
    global_rotations = [local[:, 0]]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        global_rotations.append(global_rotations[parent] @ local[:, joint])
    return torch.stack(global_rotations, dim=1)


def to_local(global_rotations: Tensor) -> Tensor:
    """Rotations (B, 24, 3, 3) relative to the parents from rotations (B, 24, 3, 3) relative to the camera."""
    inner = global_rotations[:, _ABOVE[1:]].transpose(-1, -2) @ global_rotations[:, 1:]
    return torch.cat([global_rotations[:, :1], inner], dim=1)


def marker_points(body: Body) -> Points:
    """The 26 markers as skinned points."""
    landmarks = body.landmarks
    rows = [LANDMARK_NAMES.index(name) for name in MARKERS[:-1]]
    hips = [LANDMARK_NAMES.index(name) for name in ("left_hip", "right_hip")]

    def with_hips(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[rows], values[hips].mean(axis=0, keepdims=True)])

    return Points(with_hips(landmarks.template), with_hips(landmarks.shapedirs), None, with_hips(landmarks.weights))


class TorchBody(nn.Module):
    """A body with its pelvis in the origin.

    Args:
        body: the body model; its pose correctives are left out.
        points: the surface points that `points` returns.
    """

    joint_template: Tensor
    joint_shapedirs: Tensor
    point_template: Tensor
    point_shapedirs: Tensor
    point_weights: Tensor
    chains: Tensor

    def __init__(self, body: Body, points: Points):
        super().__init__()
        rest_pelvis = body.joint_template[0]
        pelvis_shapedirs = body.joint_shapedirs[0]
        self._constant("joint_template", body.joint_template - rest_pelvis)
        self._constant("joint_shapedirs", body.joint_shapedirs - pelvis_shapedirs)
        self._constant("point_template", points.template - rest_pelvis)
        self._constant("point_shapedirs", points.shapedirs - pelvis_shapedirs)
        self._constant("point_weights", points.weights)
        self._constant("chains", _chains())

    def _constant(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.as_tensor(np.array(values), dtype=torch.float32), persistent=False)

    def joints(self, global_rotations: Tensor, betas: Tensor) -> Tensor:
        """Joints (B, 24, 3) from global rotations (B, 24, 3, 3) and betas (B, 10)."""
        rest = self.joint_template + torch.einsum("jab,nb->nja", self.joint_shapedirs, betas)
        bones = (global_rotations[:, _ABOVE] @ (rest - rest[:, _ABOVE])[..., None])[..., 0]
        # A joint's position is the sum of the bones on its chain.
        return torch.einsum("jk,nka->nja", self.chains, bones)

    def points(self, global_rotations: Tensor, joints: Tensor, betas: Tensor) -> Tensor:
        """Surface points (B, K, 3) skinned to global rotations (B, 24, 3, 3) and joints (B, 24, 3)."""
        rest = self.point_template + torch.einsum("kab,nb->nka", self.point_shapedirs, betas)
        rest_joints = self.joint_template + torch.einsum("jab,nb->nja", self.joint_shapedirs, betas)
        offsets = joints - (global_rotations @ rest_joints[..., None])[..., 0]
        blend = torch.einsum("kj,njab->nkab", self.point_weights, global_rotations)
        return (blend @ rest[..., None])[..., 0] + torch.einsum("kj,nja->nka", self.point_weights, offsets)


def project(points: Tensor, translation: Tensor, box: Tensor) -> Tensor:
    """Project points into the crop: TAR eq. 5 and 6, in the camera rolled with the crop.

    Args:
        points: (B, K, 3) from the pelvis, metres.
        translation: (B, 3) of the pelvis.
        box: (B, 3) CLIFF's box information.

    Returns:
        (B, K, 2) from the crop's centre, in units of its side.
    """
    in_camera = points + translation[:, None]
    centre, size = box[:, None, :2] / 2.8, 0.06 * box[:, None, 2:] + 0.24
    return (in_camera[..., :2] / in_camera[..., 2:].clamp(min=0.1) - centre) / size


def full_translation(camera: Tensor, box: Tensor) -> Tensor:
    """(B, 3) of the pelvis in the full image's camera, from crop cameras (B, 3) s, tx, ty (Multi-RoI eq. 12)."""
    centre, size = box[:, :2] / 2.8, 0.06 * box[:, 2:] + 0.24
    depth = 2 / (size * camera[:, :1].clamp(min=0.1)).clamp(min=1e-3)
    return torch.cat([camera[:, 1:] + centre * depth, depth], dim=1)
