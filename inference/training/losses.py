"""What networks are trained on, by name: a loss is a function of an estimate and the truth, one value per window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.figure import Figure, full_translation, project, sixd_to_matrix, to_global
from ..networks.tar import Estimate


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
        figure: Figure,
        rotations: Tensor,
        betas: Tensor,
        pelvis: Tensor,
        true_box: Tensor,
        box: Tensor,
        weights: Tensor,
    ) -> Truth:
        """The truth of SMPL parameters, rotations local; `true_box` has the true focal length."""
        turned = to_global(rotations)
        joints = figure.joints(turned, betas)
        points = figure.points(turned, joints, betas)
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

    @classmethod
    def of(cls, figure: Figure, estimate: Estimate, box: Tensor) -> Posed:
        """Pose the body of an estimate."""
        turned = sixd_to_matrix(estimate.sixd)
        joints = figure.joints(turned, estimate.betas)
        points = figure.points(turned, joints, estimate.betas)
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


TAR_WEIGHTS: Mapping[str, float] = {"reprojection": 300.0, "joints": 300.0, "pose": 60.0, "shape": 0.06}
"""ReFit's weights 5, 5, 1 and 0.001, all × 60."""

DISCOUNT = 0.85
"""γ of TAR eq. 14."""


def total(
    estimates: Sequence[Estimate], truth: Truth, figure: Figure, weights: Mapping[str, float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """TAR eq. 14: Σ γ^(L−l) of all estimates' losses; beside it the last estimate's losses by name.

    Raises:
        KeyError: a weight names no loss.
    """
    mean = truth.weights / truth.weights.sum().clamp(min=1e-6)
    sum_of_all = truth.weights.new_zeros(())
    told: dict[str, Tensor] = {}
    for number, estimate in enumerate(estimates):
        posed = Posed.of(figure, estimate, truth.box)
        discount = DISCOUNT ** (len(estimates) - 1 - number)
        for name, weight in weights.items():
            value = (LOSSES[name](posed, truth) * mean).sum()
            sum_of_all = sum_of_all + discount * weight * value
            told[name] = value.detach()
    return sum_of_all, told
