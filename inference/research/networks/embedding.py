"""Pr-VIPE: a probabilistic embedding of 2D poses that does not depend on the view (Sun et al., 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...body.skeleton import LANDMARK_NAMES
from .torch_body import MARKERS

_BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
KEYPOINTS = ("nose", *(f"{side}_{part}" for part in _BODY for side in ("left", "right")))
"""The 13 keypoints of its input."""

AMONG_LANDMARKS = [LANDMARK_NAMES.index(name) for name in KEYPOINTS]
AMONG_MARKERS = [MARKERS.index(name) for name in KEYPOINTS]

SIZE = 32
_HIPS = [KEYPOINTS.index("left_hip"), KEYPOINTS.index("right_hip")]
_BLOCKS = 2
_LEAST = 1e-4


class _Block(nn.Module):
    def __init__(self, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(*(layer for _ in range(2) for layer in _layer(hidden, hidden, dropout)))

    def forward(self, values: Tensor) -> Tensor:
        return values + self.layers(values)


def _layer(inputs: int, hidden: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(dropout)]


class Embedding(nn.Module):
    """Maps keypoints (B, 13, 2), of any position and size, to Gaussians: mean and deviation, (B, 32) each.

    Args:
        hidden: units of its layers.
        dropout: in training.
    """

    def __init__(self, hidden: int = 1024, dropout: float = 0.3):
        super().__init__()
        self.layers = nn.Sequential(
            *_layer(2 * len(KEYPOINTS), hidden, 0.0), *(_Block(hidden, dropout) for _ in range(_BLOCKS))
        )
        self.mean = nn.Linear(hidden, SIZE)
        self.deviation = nn.Linear(hidden, SIZE)
        # a and b of the matching probability; a is kept above zero.
        self.sharpness = nn.Parameter(torch.tensor(0.0))
        self.offset = nn.Parameter(torch.tensor(1.0))

    def forward(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        hidden = self.layers(normalised(keypoints).flatten(1))
        return self.mean(hidden), nn.functional.elu(self.deviation(hidden)) + 1 + _LEAST

    def describe(self, keypoints: Tensor) -> Tensor:
        """(B, 64) mean and variance: the uncertainty-aware static feature u."""
        mean, deviation = self(keypoints)
        return torch.cat([mean, deviation.square()], dim=1)

    def matching(self, distance: Tensor) -> Tensor:
        """Logarithm of the probability that two samples of the embedding at this distance show the same pose."""
        return nn.functional.logsigmoid(self.offset - nn.functional.softplus(self.sharpness) * distance)


def normalised(keypoints: Tensor) -> Tensor:
    """Keypoints (B, 13, D) from the midpoint of the hips, in units of their mean distance from it."""
    centred = keypoints - keypoints[:, _HIPS].mean(1, keepdim=True)
    size = centred.square().sum(-1).add(1e-12).sqrt().mean(1)
    return centred / size.clamp(min=1e-6)[:, None, None]
