"""The losses by name: functions of an estimate and the truth that return one value per window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...body.skeleton import JOINT_NAMES
from ..networks.base import Estimate, Network, NetworkOutput
from ..networks.torch_body import TorchBody, full_translation, project, sixd_to_matrix, to_global


@dataclass
class PosedTruth:
    """The true bodies in the target frames of B windows, in the camera rolled with the crop.

    Attributes:
        rotations: (B, 24, 3, 3) global.
        betas: (B, 10).
        joints: (B, 24, 3) from the pelvis, metres.
        points: (B, K, 3) of the surface, from the pelvis.
        points_2d: (B, 24 + K, 2) of both in the crop, from its centre, in units of its side.
        box: (B, 3) box information with the focal length that the network is given.
        weights: (B,) how much each window counts.
    """

    rotations: Tensor
    betas: Tensor
    joints: Tensor
    points: Tensor
    points_2d: Tensor
    box: Tensor
    weights: Tensor

    @classmethod
    def from_smpl(
        cls,
        torch_body: TorchBody,
        rotations: Tensor,
        betas: Tensor,
        pelvis: Tensor,
        true_box: Tensor,
        box: Tensor,
        weights: Tensor,
    ) -> PosedTruth:
        """From SMPL parameters, rotations local; `true_box` has the true focal length."""
        global_rotations = to_global(rotations)
        joints = torch_body.joints(global_rotations, betas)
        points = torch_body.points(global_rotations, joints, betas)
        points_2d = project(torch.cat([joints, points], dim=1), pelvis, true_box)
        return cls(global_rotations, betas, joints, points, points_2d, box, weights)


@dataclass
class PosedEstimate:
    """An estimate and the bodies posed by it; attributes as in `PosedTruth`."""

    estimate: Estimate
    rotations: Tensor
    joints: Tensor
    points: Tensor
    points_2d: Tensor

    @property
    def betas(self) -> Tensor:
        """(B, 10)."""
        return self.estimate.betas

    @classmethod
    def from_estimate(cls, torch_body: TorchBody, estimate: Estimate, box: Tensor) -> PosedEstimate:
        """Pose the bodies of an estimate."""
        global_rotations = sixd_to_matrix(estimate.sixd)
        joints = torch_body.joints(global_rotations, estimate.betas)
        points = torch_body.points(global_rotations, joints, estimate.betas)
        points_2d = project(torch.cat([joints, points], dim=1), full_translation(estimate.camera, box), box)
        return cls(estimate, global_rotations, joints, points, points_2d)


Loss = Callable[[PosedEstimate, PosedTruth], Tensor]
LOSSES: dict[str, Loss] = {}


def _loss(function: Loss) -> Loss:
    LOSSES[function.__name__] = function
    return function


@_loss
def reprojection(posed: PosedEstimate, truth: PosedTruth) -> Tensor:
    """(B,) squared distance of joints in the crop (TAR eq. 11), in units of its side; linear beyond 1.

    Close to the camera a small error in depth moves joints by many crop sides: squared, they would dominate.
    """
    squared = (posed.points_2d - truth.points_2d).square().sum(-1)
    # The square root's slope at 0 is infinite, and both branches are differentiated.
    linear = 2 * squared.clamp(min=1.0).sqrt() - 1
    return torch.where(squared < 1, squared, linear).mean(1)


@_loss
def joints(posed: PosedEstimate, truth: PosedTruth) -> Tensor:
    """(B,) squared distance of joints and surface points from the pelvis, m² (TAR eq. 12)."""
    of_joints = (posed.joints - truth.joints).square().sum(-1)
    of_points = (posed.points - truth.points).square().sum(-1)
    return torch.cat([of_joints, of_points], dim=1).mean(1)


@_loss
def joint_distance(posed: PosedEstimate, truth: PosedTruth) -> Tensor:
    """(B,) distance of joints and surface points from the pelvis, metres, as MPJPE measures it."""
    of_joints = (posed.joints - truth.joints).square().sum(-1)
    of_points = (posed.points - truth.points).square().sum(-1)
    return (torch.cat([of_joints, of_points], dim=1) + 1e-6).sqrt().mean(1)


@_loss
def pose(posed: PosedEstimate, truth: PosedTruth) -> Tensor:
    """(B,) squared difference of rotation matrices (θ of TAR eq. 13)."""
    return (posed.rotations - truth.rotations).square().mean((1, 2, 3))


@_loss
def shape(posed: PosedEstimate, truth: PosedTruth) -> Tensor:
    """(B,) squared difference of β (TAR eq. 13)."""
    return (posed.estimate.betas - truth.betas).square().mean(1)


_TRIANGLES = tuple(
    tuple(JOINT_NAMES.index(name) for name in corners)
    for corners in (
        *(
            tuple(f"{side}_{part}" for part in limb)
            for side in ("left", "right")
            for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"), ("knee", "ankle", "foot"))
        ),
        ("left_shoulder", "right_shoulder", "pelvis"),
        ("left_hip", "right_hip", "neck"),
        ("left_shoulder", "left_hip", "right_hip"),
        ("right_shoulder", "left_hip", "right_hip"),
    )
)
# Keeps the gradient of an area finite where three joints are collinear, m⁴.
_MIN_SQUARE = 1e-8


@_loss
def areas(posed: PosedEstimate, truth: PosedTruth) -> Tensor:
    """(B,) landmark anchor area loss (Zhang et al.): differences of triangles' areas, m², and perimeters, m."""
    ours, theirs = _areas(posed.joints), _areas(truth.joints)
    return (ours - theirs).abs().sum(1)


def _areas(joints: Tensor) -> Tensor:
    """(B, 2 K) areas and perimeters of triangles of joints (B, 24, 3)."""
    a, b, c = (joints[:, list(corners)] for corners in zip(*_TRIANGLES, strict=True))
    cross = torch.linalg.cross(b - a, c - a).square().sum(-1)
    sides = torch.stack([b - a, c - b, a - c], dim=-2).square().sum(-1)
    return torch.cat([0.5 * (cross + _MIN_SQUARE).sqrt(), (sides + _MIN_SQUARE).sqrt().sum(-1)], dim=1)


def total(
    network: Network, output: NetworkOutput, truth: PosedTruth, torch_body: TorchBody, weights: Mapping[str, float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of all estimates' losses by their shares (TAR eq. 14) and the network's own, and the result's losses by name.

    Raises:
        KeyError: a weight is of an unknown loss.
    """
    mean = truth.weights / truth.weights.sum().clamp(min=1e-6)
    sum_of_all = truth.weights.new_zeros(())
    by_name: dict[str, Tensor] = {}
    posed = None
    for estimate, share in zip(output.estimates, output.shares, strict=True):
        posed = PosedEstimate.from_estimate(torch_body, estimate, truth.box)
        for name, weight in weights.items():
            if name in network.own_losses:
                continue
            value = (LOSSES[name](posed, truth) * mean).sum()
            sum_of_all = sum_of_all + share * weight * value
            by_name[name] = value.detach()
    assert posed is not None
    for name, values in network.compute_losses(output, posed, truth).items():
        value = (values * mean).sum()
        sum_of_all = sum_of_all + weights.get(name, 0.0) * value
        by_name[name] = value.detach()
    return sum_of_all, by_name
