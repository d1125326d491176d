"""What networks are trained on, by name: a loss is a function of an estimate and the truth, one value per window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...body.skeleton import JOINT_NAMES
from ..networks.base import Estimate, Network, NetworkOutput
from ..networks.torch_body import TorchBody, full_translation, project, sixd_to_matrix, to_global


@dataclass
class Truth:
    """True middle frames of B windows, in the camera rolled with the crop.

    Attributes:
        rotations: (B, 24, 3, 3) global.
        betas: (B, 10).
        joints: (B, 24, 3) from the pelvis, metres.
        points: (B, K, 3) of the surface, from the pelvis.
        places: (B, 24 + K, 2) of both in the crop, from its centre, in units of its side.
        box: (B, 3) box information with the focal length that the network is told.
        weights: (B,) how much each window counts.
    """

    rotations: Tensor
    betas: Tensor
    joints: Tensor
    points: Tensor
    places: Tensor
    box: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls,
        torch_body: TorchBody,
        rotations: Tensor,
        betas: Tensor,
        pelvis: Tensor,
        true_box: Tensor,
        box: Tensor,
        weights: Tensor,
    ) -> Truth:
        """The truth of SMPL parameters, rotations local; `true_box` has the true focal length."""
        turned = to_global(rotations)
        joints = torch_body.joints(turned, betas)
        points = torch_body.points(turned, joints, betas)
        places = project(torch.cat([joints, points], dim=1), pelvis, true_box)
        return cls(turned, betas, joints, points, places, box, weights)


@dataclass
class Posed:
    """An estimate and where it puts the body; attributes as in `Truth`."""

    estimate: Estimate
    rotations: Tensor
    joints: Tensor
    points: Tensor
    places: Tensor

    @property
    def betas(self) -> Tensor:
        """(B, 10)."""
        return self.estimate.betas

    @classmethod
    def of(cls, torch_body: TorchBody, estimate: Estimate, box: Tensor) -> Posed:
        """Pose the body of an estimate."""
        turned = sixd_to_matrix(estimate.sixd)
        joints = torch_body.joints(turned, estimate.betas)
        points = torch_body.points(turned, joints, estimate.betas)
        places = project(torch.cat([joints, points], dim=1), full_translation(estimate.camera, box), box)
        return cls(estimate, turned, joints, points, places)


Loss = Callable[[Posed, Truth], Tensor]
LOSSES: dict[str, Loss] = {}


def _loss(function: Loss) -> Loss:
    LOSSES[function.__name__] = function
    return function


@_loss
def reprojection(posed: Posed, truth: Truth) -> Tensor:
    """(B,) squared distance of joints in the crop (TAR eq. 11), in units of its side; past 1 it grows in a line.

    Close to the camera a small error of depth puts joints many crops away: squared, they would drown everything else.
    """
    squared = (posed.places - truth.places).square().sum(-1)
    # The square root's slope at 0 is infinite, and both branches are differentiated.
    line = 2 * squared.clamp(min=1.0).sqrt() - 1
    return torch.where(squared < 1, squared, line).mean(1)


@_loss
def joints(posed: Posed, truth: Truth) -> Tensor:
    """(B,) squared distance of joints and surface points from the pelvis, m² (TAR eq. 12)."""
    of_joints = (posed.joints - truth.joints).square().sum(-1)
    of_points = (posed.points - truth.points).square().sum(-1)
    return torch.cat([of_joints, of_points], dim=1).mean(1)


@_loss
def joint_distance(posed: Posed, truth: Truth) -> Tensor:
    """(B,) distance of joints and surface points from the pelvis, metres: what MPJPE measures."""
    of_joints = (posed.joints - truth.joints).square().sum(-1)
    of_points = (posed.points - truth.points).square().sum(-1)
    return (torch.cat([of_joints, of_points], dim=1) + 1e-6).sqrt().mean(1)


@_loss
def pose(posed: Posed, truth: Truth) -> Tensor:
    """(B,) squared difference of rotation matrices (θ of TAR eq. 13)."""
    return (posed.rotations - truth.rotations).square().mean((1, 2, 3))


@_loss
def shape(posed: Posed, truth: Truth) -> Tensor:
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
# Keeps the slope of an area finite where three joints lie in a line, m⁴.
_LEAST_SQUARE = 1e-8


@_loss
def areas(posed: Posed, truth: Truth) -> Tensor:
    """(B,) landmark anchor area loss (Zhang et al.): differences of triangles' areas, m², and perimeters, m."""
    ours, theirs = _areas(posed.joints), _areas(truth.joints)
    return (ours - theirs).abs().sum(1)


def _areas(joints: Tensor) -> Tensor:
    """(B, 2 K) areas and perimeters of triangles of joints (B, 24, 3)."""
    a, b, c = (joints[:, list(corners)] for corners in zip(*_TRIANGLES, strict=True))
    across = torch.linalg.cross(b - a, c - a).square().sum(-1)
    sides = torch.stack([b - a, c - b, a - c], dim=-2).square().sum(-1)
    return torch.cat([0.5 * (across + _LEAST_SQUARE).sqrt(), (sides + _LEAST_SQUARE).sqrt().sum(-1)], dim=1)


def total(
    network: Network, told: NetworkOutput, truth: Truth, torch_body: TorchBody, weights: Mapping[str, float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """All estimates' losses by their shares (TAR eq. 14), and the network's own; beside it the answer's by name.

    Raises:
        KeyError: a weight names no loss.
    """
    mean = truth.weights / truth.weights.sum().clamp(min=1e-6)
    sum_of_all = truth.weights.new_zeros(())
    by_name: dict[str, Tensor] = {}
    posed = None
    for estimate, share in zip(told.estimates, told.shares, strict=True):
        posed = Posed.of(torch_body, estimate, truth.box)
        for name, weight in weights.items():
            if name in network.own_losses:
                continue
            value = (LOSSES[name](posed, truth) * mean).sum()
            sum_of_all = sum_of_all + share * weight * value
            by_name[name] = value.detach()
    assert posed is not None
    for name, values in network.lose(told, posed, truth).items():
        value = (values * mean).sum()
        sum_of_all = sum_of_all + weights.get(name, 0.0) * value
        by_name[name] = value.detach()
    return sum_of_all, by_name
