"""VIBE's motion discriminator (Kocabas et al., 2020): how realistic a sequence of poses is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .base import ROTATIONS

_LAYERS = 2


class MotionDiscriminator(nn.Module):
    """Rates rotations (B, T, 24, 6): (B,) how realistic their motion is, 1 for real and 0 for generated.

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

    def frozen(self, motion: Tensor) -> Tensor:
        """The same without gradients for the discriminator: only what generated the motion learns."""
        fixed = {name: part.detach() for name, part in self.named_parameters()}
        output = functional_call(self, fixed, (motion,))
        assert isinstance(output, Tensor)
        return output

    def losses(self, generated: Tensor, real: Tensor) -> dict[str, Tensor]:
        """(B,) each: `realism`, for the generator, and `critic`, for the discriminator."""
        return {
            "realism": (self.frozen(generated) - 1).square(),
            "critic": (self(real) - 1).square() + self(generated.detach()).square(),
        }
