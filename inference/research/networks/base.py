"""What every network is given and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ...body.skeleton import JOINT_NAMES
from ...body.smpl import Body
from .settings import Settings

ROTATIONS = 24
SIZE = ROTATIONS * 6 + 10 + 3
"""Numbers in an estimate."""

# Standard deviations at which a feature says no more.
_FARTHEST = 6.0
_LEFT_ARM, _RIGHT_ARM = (
    [JOINT_NAMES.index(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist", "hand")]
    for side in ("left", "right")
)


class Estimate(NamedTuple):
    """SMPL parameters of B windows' target frames, in the camera rolled with the crop.

    Rotations are against the camera and not against the parent joints: where a limb points then hangs on its own
    landmarks alone, which a network learns much faster.

    Attributes:
        sixd: (B, 24, 6) global rotations.
        betas: (B, 10).
        camera: (B, 3) s, tx, ty of the crop.
    """

    sixd: Tensor
    betas: Tensor
    camera: Tensor

    @classmethod
    def of(cls, flat: Tensor) -> Estimate:
        """The estimate of its numbers (B, 157)."""
        sixd, betas, camera = flat.split([ROTATIONS * 6, 10, 3], dim=1)
        return cls(sixd.unflatten(1, (ROTATIONS, 6)), betas, camera)

    def flat(self) -> Tensor:
        """(B, 157) all of it."""
        return torch.cat([self.sixd.flatten(1), self.betas, self.camera], dim=1)

    def detach(self) -> Estimate:
        """The same without its history."""
        return Estimate(*(part.detach() for part in self))


class NetworkOutput(NamedTuple):
    """What a network says of B windows.

    Attributes:
        estimates: one after the other, the last one is its answer; in evaluation there need be no other.
        shares: how much each counts in training.
        own: what losses of the network's own look at, by name.
    """

    estimates: list[Estimate]
    shares: list[float]
    own: Mapping[str, Tensor]


class Placed(Protocol):
    """Where B bodies are, as a network's own losses may look at them; attributes as in `training.losses.Truth`."""

    @property
    def rotations(self) -> Tensor:
        """(B, 24, 3, 3) global."""
        ...

    @property
    def betas(self) -> Tensor:
        """(B, 10)."""
        ...

    @property
    def joints(self) -> Tensor:
        """(B, 24, 3) from the pelvis, metres."""
        ...

    @property
    def places(self) -> Tensor:
        """(B, 24 + K, 2) of joints and markers in the crop, from its centre, in units of its side."""
        ...


class FrameEncoder(nn.Module):
    """Features (..., F) of frames become static features (..., static width)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int, static_width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.layers = nn.Sequential(nn.Linear(features, static_width), nn.GELU())

    def standardise(self, frames: Tensor) -> None:
        """Learn the mean and spread of features from frames (N, F), before training."""
        self.mean.copy_(frames.mean(0))
        self.spread.copy_(frames.std(0) + 0.02)

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        return self.layers(((frames - self.mean) / self.spread).clamp(-_FARTHEST, _FARTHEST))


class Network(nn.Module):
    """A network as training, export and engine know it.

    It is called with its inputs by name, see `inputs`, and gives `NetworkOutput`.

    Args:
        settings: its sizes.
        body: the body that it estimates.

    Raises:
        ValueError: the target is none of the frames.
    """

    needs: tuple[str, ...]
    """Names of its inputs."""

    learns_from: tuple[str, ...] = ()
    """Names of further inputs that it is given while training."""

    own_losses: ClassVar[Mapping[str, str]] = {}
    """Losses of its own by name, and what each is."""

    def __init__(self, settings: Settings, body: Body):
        super().__init__()
        if not 0 <= settings.target < settings.frames:
            raise ValueError(f"target={settings.target} is none of {settings.frames} frames")
        self.settings = settings
        self.encoder = FrameEncoder(settings.features, settings.static_width)

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Learn the mean and spread of inputs (B, ...), before training."""
        frames = inputs["frames"] if "frames" in inputs else inputs["regions"]
        self.encoder.standardise(frames.flatten(0, 1))

    def lose(self, told: NetworkOutput, posed: Placed, truth: Placed) -> dict[str, Tensor]:
        """Its own losses by name, (B,) each: of what it told, where its answer puts the body, and where that is."""
        return {}


class IterativeRegressor(nn.Module):
    """SPIN's regressor: from a feature (B, C) and the box (B, 3), an estimate is improved a few times.

    Args:
        width: C.
        hidden: units of its two layers.
        iterations: how often.
        dropout: while training.
    """

    start: Tensor

    def __init__(self, width: int, hidden: int, iterations: int, dropout: float):
        super().__init__()
        self.iterations = iterations
        self.register_buffer("start", upright(), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(width + 3 + SIZE, hidden), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.Dropout(dropout)
        )
        self.step = nn.Linear(hidden, SIZE)
        nn.init.xavier_uniform_(self.step.weight, gain=0.01)
        nn.init.zeros_(self.step.bias)

    def forward(self, feature: Tensor, box: Tensor) -> Estimate:
        """See the class."""
        flat = self.start.expand(feature.shape[0], -1)
        for _ in range(self.iterations):
            flat = flat + self.step(self.layers(torch.cat([feature, box, flat], dim=1)))
        return Estimate.of(flat)


def upright() -> Tensor:
    """(157,) the estimate of a person who stands upright before the camera, arms hanging."""
    # Camera axes have y down and z forward.
    sixd = torch.tensor([1.0, 0, 0, 0, -1, 0]).repeat(ROTATIONS, 1)
    drop = np.radians(65)
    cos, sin = float(np.cos(drop)), float(np.sin(drop))
    sixd[_LEFT_ARM] = torch.tensor([cos, sin, 0, sin, -cos, 0])
    sixd[_RIGHT_ARM] = torch.tensor([cos, -sin, 0, -sin, -cos, 0])
    return torch.cat([sixd.flatten(), torch.zeros(10), torch.tensor([0.9, 0, 0])])
