"""Layers that networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PerState(nn.Module):
    """One linear layer for each of the disentangled states, in one product."""

    def __init__(self, states: int, inputs: int, outputs: int):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(states, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(states, outputs))

    def forward(self, values: Tensor) -> Tensor:
        """(B, states, inputs) → (B, states, outputs)."""
        return torch.einsum("bsi,sio->bso", values, self.weight) + self.bias


class ConvGRU(nn.Module):
    """TAR eq. 1 to 4, with separate recurrent weights for both gates."""

    def __init__(self, channels: int):
        super().__init__()
        self.seen = nn.Conv2d(channels, 3 * channels, 3, padding=1)
        self.gates = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.candidate = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, maps: Tensor, hidden: Tensor) -> Tensor:
        """Maps and hidden maps, both (N, channels, S, S) → the next hidden maps."""
        update, reset, new = self.seen(maps).chunk(3, dim=1)
        more_update, more_reset = self.gates(hidden).chunk(2, dim=1)
        update, reset = torch.sigmoid(update + more_update), torch.sigmoid(reset + more_reset)
        new = torch.tanh(new + self.candidate(reset * hidden))
        return hidden + update * (new - hidden)
