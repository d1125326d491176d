"""Two-stage co-segmentation network on discriminative representations (Zhang et al., 2023).

The paper describes ideas, not layers. Here, in stage 1 the static features are segmented along their channels into two
levels, each excited and enhanced separately; in stage 2 each of two branches sees one half of the channels over time,
and frames are superposed by adding their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...body.smpl import Body
from .base import IterativeRegressor, Network, NetworkOutput
from .settings import Settings

_LEVELS = _BRANCHES = 2
_SQUEEZE = 16


@dataclass(frozen=True)
class CosegmentationSettings(Settings):
    """Sizes of the two-stage co-segmentation network, in addition to those of all networks.

    Attributes:
        excitation: `dual` (self-attention over the sequence, and differences of neighbours), `single` (differences
            only) or `channel` (each frame separately).
        superposition: whether `one`, `both` or `neither` of stage 2's branches see frames with their neighbours added.
        integrated: length of each branch's feature in the dynamic integration.
        hidden: units of the regressor's layers.
        iterations: of the regressor.
        dropout: in the regressor, in training.
    """

    frames: int = 16
    target: int = 8
    excitation: str = "dual"
    superposition: str = "one"
    integrated: int = 256
    hidden: int = 1024
    iterations: int = 3
    dropout: float = 0.5


class Attention(nn.Module):
    """Long-range excitation: self-attention over a sequence (B, T, C), from 1 × 1 convolutions to half the channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.inner = channels // 2
        self.seen = nn.Linear(channels, 3 * self.inner)
        self.out = nn.Linear(self.inner, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, sequence: Tensor) -> Tensor:
        """See the class."""
        query, key, value = self.seen(sequence).split(self.inner, dim=-1)
        weights = torch.softmax(query @ key.transpose(1, 2) / self.inner**0.5, dim=-1)
        return sequence + self.out(weights @ value)


class MotionGate(nn.Module):
    """Motion excitation: the difference from the previous frame gates the channels of (B, T, C)."""

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // _SQUEEZE)
        self.expand = nn.Linear(channels // _SQUEEZE, channels)

    def forward(self, sequence: Tensor) -> Tensor:
        """See the class."""
        squeezed = self.squeeze(sequence)
        change = squeezed[:, 1:] - squeezed[:, :-1]
        change = torch.cat([torch.zeros_like(change[:, :1]), change], dim=1)
        return sequence + sequence * torch.sigmoid(self.expand(change))


class ChannelGate(nn.Module):
    """Channel excitation: each frame of (B, T, C) gates its own channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // _SQUEEZE), nn.ReLU(), nn.Linear(channels // _SQUEEZE, channels)
        )

    def forward(self, sequence: Tensor) -> Tensor:
        """See the class."""
        return sequence + sequence * torch.sigmoid(self.gate(sequence))


_EXCITATIONS = {
    "dual": lambda channels: nn.Sequential(Attention(channels), MotionGate(channels)),
    "single": MotionGate,
    "channel": ChannelGate,
}


class FrequencyEnhancement(nn.Module):
    """A learnt filter over the spectrum of a sequence (B, T, C), added to it.

    The Fourier transform is a matrix product, which every runtime has.
    """

    forth: Tensor
    back: Tensor

    def __init__(self, frames: int, channels: int):
        super().__init__()
        bins = frames // 2 + 1
        spectrum = np.fft.rfft(np.eye(frames), axis=0)
        self.register_buffer("forth", _constant(np.stack([spectrum.real, spectrum.imag])), persistent=False)
        inverse = [np.fft.irfft(unit * np.eye(bins), n=frames, axis=0) for unit in (1, 1j)]
        self.register_buffer("back", _constant(np.stack(inverse)), persistent=False)
        self.filter = nn.Parameter(torch.zeros(2, bins, channels))

    def forward(self, sequence: Tensor) -> Tensor:
        """See the class."""
        real, imaginary = (_mix(part, sequence) for part in self.forth)
        gain_real, gain_imaginary = self.filter[0], self.filter[1]
        filtered_real = real * gain_real - imaginary * gain_imaginary
        filtered_imaginary = real * gain_imaginary + imaginary * gain_real
        return sequence + _mix(self.back[0], filtered_real) + _mix(self.back[1], filtered_imaginary)


def _mix(matrix: Tensor, sequence: Tensor) -> Tensor:
    """(B, F, C) a matrix (F, T) applied along the time of a sequence (B, T, C)."""
    return torch.einsum("ft,btc->bfc", matrix, sequence)


class Branch(nn.Module):
    """A branch of stage 2: maps a segment (B, T, C / 2) of the spatio-temporal context to a feature (B, C)."""

    def __init__(self, settings: CosegmentationSettings, superposed: bool):
        super().__init__()
        segment = settings.static_width // _BRANCHES
        self.superposed = superposed
        self.attention = Attention(segment)
        self.average = nn.Conv1d(settings.frames, 1, 1)
        with torch.no_grad():
            self.average.weight.fill_(0.5 / settings.frames)
            self.average.weight[0, settings.target] += 0.5
        self.out = nn.Linear(segment, settings.static_width)

    def forward(self, segment: Tensor) -> Tensor:
        """See the class."""
        if self.superposed:
            edged = torch.cat([segment[:, :1], segment, segment[:, -1:]], dim=1)
            segment = segment + 0.5 * (edged[:, :-2] + edged[:, 2:])
        return self.out(torch.relu(self.average(self.attention(segment))[:, 0]))


class Cosegmentation(Network):
    """The network: in training it estimates from each branch and from both together, in use from both only.

    Args:
        settings: sizes.
        body: the body model whose parameters it estimates.

    Raises:
        ValueError: an excitation or superposition does not exist.
    """

    settings: CosegmentationSettings
    needs = ("frames", "box")
    describable = True

    def __init__(self, settings: CosegmentationSettings, body: Body):
        super().__init__(settings, body)
        if settings.excitation not in _EXCITATIONS:
            raise ValueError(f"excitation is one of {', '.join(_EXCITATIONS)}, not {settings.excitation}")
        superposed = {"one": (True, False), "both": (True, True), "neither": (False, False)}
        if settings.superposition not in superposed:
            raise ValueError(f"superposition is one of {', '.join(superposed)}, not {settings.superposition}")
        level = settings.static_width // _LEVELS
        self.levels = nn.ModuleList(
            nn.Sequential(_EXCITATIONS[settings.excitation](level), FrequencyEnhancement(settings.frames, level))
            for _ in range(_LEVELS)
        )
        self.branches = nn.ModuleList(Branch(settings, added) for added in superposed[settings.superposition])
        parts = 1 + _BRANCHES
        self.describe = nn.ModuleList(nn.Linear(settings.static_width, settings.integrated) for _ in range(parts))
        self.weigh = nn.Sequential(
            nn.Linear(parts * settings.integrated, settings.integrated),
            nn.Tanh(),
            nn.Linear(settings.integrated, parts),
        )
        self.regressor = IterativeRegressor(
            settings.static_width, settings.hidden, settings.iterations, settings.dropout
        )

    def forward(self, frames: Tensor, box: Tensor) -> NetworkOutput:
        """Inputs as in `inputs`."""
        segments = self.encoder(frames).chunk(_LEVELS, dim=-1)
        excited = torch.cat([level(segment) for level, segment in zip(self.levels, segments, strict=True)], dim=-1)
        halves = excited.chunk(_BRANCHES, dim=-1)
        outputs = [branch(half) for branch, half in zip(self.branches, halves, strict=True)]
        parts = [excited[:, self.settings.target], *outputs]
        described = [layer(part) for layer, part in zip(self.describe, parts, strict=True)]
        weights = torch.softmax(self.weigh(torch.cat(described, dim=-1)), dim=-1)
        whole = (weights[..., None] * torch.stack(parts, dim=1)).sum(1)
        features = [*outputs, whole] if self.training else [whole]
        start = self.start(frames[:, self.settings.target])
        estimates = [self.regressor(feature, box, start) for feature in features]
        return NetworkOutput(estimates, [1.0] * len(estimates), {})


def _constant(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


NETWORK, SETTINGS = Cosegmentation, CosegmentationSettings
