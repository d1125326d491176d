"""VIBE's motion discriminator (Kocabas et al., 2020): how real a sequence of poses looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .base import ROTATIONS

_LAYERS = 2


class MotionDiscriminator(nn.Module):
    """Rotations (B, T, 24, 6) become (B,) how real their motion looks, 1 for real and 0 for made up.

    Args:
        hidden: units of the GRU, 1024 in the paper.
    """

    def __init__(self, hidden: int):
        super().__init__()
        self.recurrent = nn.GRU(6 * ROTATIONS, hidden, _LAYERS, batch_first=True)
        self.attention = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.judge = nn.Linear(hidden, 1)

    def forward(self, motion: Tensor) -> Tensor:
        """See the class."""
        states, _ = self.recurrent(motion.flatten(2))
        weights = torch.softmax(self.attention(states), dim=1)
        return self.judge((weights * states).sum(1))[:, 0]

    def as_it_stands(self, motion: Tensor) -> Tensor:
        """The same, but that it learns nothing from it: only what made the motion does."""
        fixed = {name: part.detach() for name, part in self.named_parameters()}
        told = functional_call(self, fixed, (motion,))
        assert isinstance(told, Tensor)
        return told

    def losses(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """(B,) each: `realism`, what makes motions look real, and `critic`, what teaches to tell them apart."""
        return {
            "realism": (self.as_it_stands(made) - 1).square(),
            "critic": (self(real) - 1).square() + self(made.detach()).square(),
        }
