"""The lifter: from the detector's output in a long window to SMPL's pose in every frame of it, and how sure that is.

A transformer over time whose layers also have convolutions (Gulati et al., 2020) corrects a guess in closed form. Its
features are what the four published networks see of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...body.smpl import Body
from ...pose import features, lifting
from . import skeleton
from .base import ROTATIONS, SIZE, Estimate, FrameEncoder, Network, NetworkOutput, PosedBodies, upright
from .settings import Settings

_CONTACTS = 4
# Frames over which the guess is averaged, and the standard deviation of the weights at the beginning.
_CALM, _CALM_SPREAD = 9, 1.5
# Errors of joints from the pelvis, metres, between which the network may say that it is sure or unsure.
_SURE, _UNSURE = 0.005, 0.6


@dataclass(frozen=True)
class LifterSettings(Settings):
    """Sizes of the lifter, in addition to those of all networks.

    Attributes:
        width: of the transformer, and length of the features that it gives to other networks.
        feedforward: inside its layers.
        layers: of the transformer.
        frame_layers: residual layers that see one frame each, before the transformer.
        heads: of its attention.
        kernel: frames that the convolutions see.
        dropout: in training.
    """

    features: int = features.SIZE
    static_width: int = 512
    frames: int = lifting.WINDOW
    target: int = lifting.WINDOW // 2
    width: int = 512
    feedforward: int = 1024
    layers: int = 6
    frame_layers: int = 2
    heads: int = 8
    kernel: int = 9
    dropout: float = 0.05


class _Residual(nn.Module):
    def __init__(self, width: int, inner: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )

    def forward(self, values: Tensor) -> Tensor:
        return values + self.layers(values)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.seen = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, sequence: Tensor) -> Tensor:
        batch, frames, width = sequence.shape
        seen = self.seen(self.norm(sequence)).view(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = seen.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return sequence + self.out(mixed.transpose(1, 2).reshape(batch, frames, width))


class _Convolution(nn.Module):
    """A gated convolution over time, each channel by itself."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 2 * width)
        self.over_time = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.out = nn.Linear(width, width)

    def forward(self, sequence: Tensor) -> Tensor:
        gated = nn.functional.glu(self.inward(self.norm(sequence)), dim=-1)
        mixed = self.over_time(gated.transpose(1, 2)).transpose(1, 2)
        return sequence + self.out(nn.functional.silu(mixed))


class Lifter(Network):
    """The network; see `LifterSettings`.

    Its estimates have a row for every frame: those of B windows of T frames are (B T, ...).

    Args:
        settings: sizes.
        body: the body model whose parameters it estimates.
    """

    settings: LifterSettings
    needs = ("frames",)
    training_needs = ("gravity", "contacts", "contacts_known")
    own_losses: ClassVar = {
        "velocity": "difference of joints' movement from frame to frame, metres",
        "certainty": "negative logarithm of a Gaussian likelihood of joints' errors",
        "gravity": "1 - cosine between estimated and true direction of gravity, 0 where that is not known",
        "contacts": "cross entropy of contacts of heels and toes",
    }

    def __init__(self, settings: LifterSettings, body: Body):
        super().__init__(settings, body)
        self.encoder = FrameEncoder(settings.features, settings.width)
        width = settings.width
        self.per_frame = nn.Sequential(
            *(_Residual(width, settings.feedforward, settings.dropout) for _ in range(settings.frame_layers))
        )
        self.guessed = nn.Linear(ROTATIONS * 6, width)
        steps = torch.arange(_CALM) - _CALM // 2
        self.calm = nn.Parameter((-steps.square() / (2 * _CALM_SPREAD**2)).repeat(ROTATIONS, 1))
        self.positions = nn.Parameter(torch.zeros(settings.frames, width).normal_(0, 0.02))
        layers: list[nn.Module] = []
        for _ in range(settings.layers):
            layers += [
                _Attention(width, settings.heads),
                _Convolution(width, settings.kernel),
                _Residual(width, settings.feedforward, settings.dropout),
            ]
        self.over_time = nn.Sequential(*layers, nn.LayerNorm(width))
        self.pose = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, SIZE))
        self.certainty = nn.Linear(width, ROTATIONS * 2)
        self.gravity = nn.Linear(width, 3)
        self.contacts = nn.Linear(width, _CONTACTS)
        with torch.no_grad():
            last = self.pose[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.02)
            last.bias.copy_(upright())
            last.bias[: ROTATIONS * 6] = 0
            self.certainty.bias.fill_(-2.5)

    def describe(self, frames: Tensor) -> Tensor:
        """(B, T, width + 157) of windows (B, T, F), as other networks see them: features, and its estimate."""
        return self._describe(frames)[0]

    def _describe(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        guess = skeleton.guess(frames[..., features.WORLD].unflatten(-1, (-1, 3)))
        described = self.encoder(frames) + self.guessed(guess.flatten(-2))
        seen = self.over_time(self.per_frame(described) + self.positions)
        sixd, betas, camera = self.pose(seen).split([ROTATIONS * 6, 10, 3], dim=-1)
        # A person keeps their shape.
        betas = betas.mean(1, keepdim=True).expand(-1, frames.shape[1], -1)
        return torch.cat([seen, self._calmed(guess).flatten(-2) + sixd, betas, camera], dim=-1), seen

    def forward(
        self,
        frames: Tensor,
        gravity: Tensor | None = None,
        contacts: Tensor | None = None,
        contacts_known: Tensor | None = None,
    ) -> NetworkOutput:
        """Inputs as in `inputs`; the truth of gravity and contacts is passed on to the losses."""
        described, seen = self._describe(frames)
        low, high = torch.tensor(_SURE).log().item(), torch.tensor(_UNSURE).log().item()
        extra = {
            "described": described,
            "sigma": self.certainty(seen).clamp(low, high).exp().flatten(0, 1).unflatten(-1, (ROTATIONS, 2)),
            "gravity": nn.functional.normalize(self.gravity(seen), dim=-1).flatten(0, 1),
            "contacts": self.contacts(seen).flatten(0, 1),
        }
        if gravity is not None and contacts is not None and contacts_known is not None:
            extra |= {
                "true_gravity": gravity.flatten(0, 1),
                "true_contacts": contacts.flatten(0, 1),
                "contacts_known": contacts_known.flatten(0, 1),
            }
        return NetworkOutput([Estimate.from_flat(described[..., -SIZE:].flatten(0, 1))], [1.0], extra)

    def _calmed(self, guess: Tensor) -> Tensor:
        """Rotations (B, T, 24, 6), each averaged over a few frames with weights that are learnt for its joint."""
        reach, frames = _CALM // 2, guess.shape[1]
        edged = torch.cat([guess[:, :1]] * reach + [guess] + [guess[:, -1:]] * reach, dim=1)
        shares = torch.softmax(self.calm, dim=1)[..., None]
        return sum((edged[:, lag : lag + frames] * shares[:, lag] for lag in range(_CALM)), torch.zeros_like(guess))

    def compute_losses(self, output: NetworkOutput, posed: PosedBodies, truth: PosedBodies) -> dict[str, Tensor]:
        """See `own_losses`."""
        extra, frames = output.extra, self.settings.frames
        error = posed.joints - truth.joints
        by_window = error.unflatten(0, (-1, frames))
        change = (by_window[:, 1:] - by_window[:, :-1]).square().sum(-1)
        velocity = (change + 1e-8).sqrt().mean((1, 2))
        squared = error.detach().square()
        squared = torch.stack([squared[..., :2].mean(-1), squared[..., 2]], dim=-1)
        sigma, share = extra["sigma"], torch.tensor([2.0, 1.0], device=error.device)
        certainty = ((squared / sigma.square()) / 2 + sigma.log()) * share
        entropy = nn.functional.binary_cross_entropy_with_logits(
            extra["contacts"], extra["true_contacts"], reduction="none"
        )
        return {
            "velocity": velocity.repeat_interleave(frames),
            "certainty": certainty[:, 1:].mean((1, 2)),
            "gravity": ((extra["true_gravity"] - extra["gravity"]) * extra["true_gravity"]).sum(-1),
            "contacts": entropy.mean(1) * extra["contacts_known"],
        }


NETWORK, SETTINGS = Lifter, LifterSettings
