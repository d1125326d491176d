"""Uncertainty-aware human mesh recovery by learning part-based 3D dynamics.

The estimated frame is the last one of its window: the network sees only what came before. In training all frames of the
window count that have enough others before them, as the paper's loss is a sum over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...body.smpl import Body
from ...pose.features import FLOW_STEPS
from .base import ROTATIONS, Estimate, Network, NetworkOutput, PosedBodies
from .blocks import PerState
from .discriminator import MotionDiscriminator
from .embedding import AMONG_LANDMARKS, AMONG_MARKERS, SIZE, Embedding
from .settings import Settings
from .torch_body import matrix_to_sixd, sixd_to_matrix

PARTS = (
    (0, 3, 6, 9, 12, 15),
    (13, 16, 18, 20, 22),
    (14, 17, 19, 21, 23),
    (1, 4, 7, 10),
    (2, 5, 8, 11),
)
"""SMPL's joints of torso and head, left arm, right arm, left leg, right leg."""

DELTA_SHARE = 0.1
"""Weight in training of the estimates that are the previous frame's with the predicted change."""

_LARGEST = max(map(len, PARTS))
_KERNEL, _LAYERS = 3, 2
_REACH = _LAYERS * (_KERNEL - 1)
_NO_CHANGE = torch.tensor([1.0, 0, 0, 0, 1, 0])


@dataclass(frozen=True)
class PartDynamicsSettings(Settings):
    """Sizes of the part-dynamics network, in addition to those of all networks.

    Attributes:
        recurrent: length of the GRU's temporal feature g.
        share: length of a part's share of the feature.
        context: length of a part's message to the others.
        embedding_hidden: units of the pose embedding's layers.
        embedding: whether the network sees the uncertainty-aware static feature u.
        dynamics: whether it sees the dynamic feature d.
        recombine: whether parts exchange messages.
        critic: units of the motion discriminator, used in training only; 0 for none.
    """

    frames: int = 16
    target: int = 15
    recurrent: int = 2048
    share: int = 512
    context: int = 32
    embedding_hidden: int = 1024
    embedding: bool = True
    dynamics: bool = True
    recombine: bool = True
    critic: int = 0


class SplitAndRecombine(nn.Module):
    """A temporal convolution for each part: shares (B, T, 5, share) → (B, T - 2, 5, share)."""

    def __init__(self, settings: PartDynamicsSettings):
        super().__init__()
        parts, share = len(PARTS), settings.share
        self.recombine = settings.recombine
        received = (parts - 1) * settings.context if settings.recombine else 0
        if settings.recombine:
            self.tell = PerState(parts, share, settings.context)
            others = [[other for other in range(parts) if other != part] for part in range(parts)]
            self.register_buffer("others", torch.tensor(others), persistent=False)
        self.convolve = nn.Conv1d(parts * (share + received), parts * share, _KERNEL, groups=parts)

    others: Tensor

    def forward(self, shares: Tensor) -> Tensor:
        """See the class."""
        b, t, parts, share = shares.shape
        inputs = shares
        if self.recombine:
            context = self.tell(shares.flatten(0, 1)).view(b, t, parts, -1)
            inputs = torch.cat([shares, context[:, :, self.others].flatten(-2)], dim=-1)
        convolved = self.convolve(inputs.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (parts, share))
        return shares[:, _KERNEL - 1 :] + torch.relu(convolved)


class PartDynamics(Network):
    """The network: in training it estimates `targets` frames, also from the frame before and the predicted change.

    Those of B windows of K targets are (B K, ...), and so is the box information then.

    Args:
        settings: sizes.
        body: the body model whose parameters it estimates.
    """

    settings: PartDynamicsSettings
    own_losses: ClassVar = {
        "agreement": "distance of the predicted and the true 2D pose's embeddings",
        "realism": "how far the motion discriminator is from rating the motion as real",
        "critic": "how far the motion discriminator is from distinguishing real motions from ours",
    }
    flow_spread: Tensor

    def __init__(self, settings: PartDynamicsSettings, body: Body):
        super().__init__(settings, body)
        self.needs = ("frames", "box", "flow") if settings.dynamics else ("frames", "box")
        self.targets = settings.frames - _REACH
        self.register_buffer("flow_spread", torch.ones(9))
        # Trained before, by `training.embedding`, and kept fixed.
        self.embedding = Embedding(settings.embedding_hidden).requires_grad_(False).eval()
        self.recurrent = nn.GRU(settings.static_width, settings.recurrent, batch_first=True)
        width = settings.recurrent + 2 * SIZE * settings.embedding + 9 * FLOW_STEPS * settings.dynamics
        self.split = nn.Linear(width, len(PARTS) * settings.share)
        self.layers = nn.Sequential(*(SplitAndRecombine(settings) for _ in range(_LAYERS)))
        self.turn = PerState(len(PARTS), settings.share + 3, 6 * _LARGEST)
        self.change = PerState(len(PARTS), settings.share, 6 * _LARGEST)
        self.rest = nn.Linear(len(PARTS) * settings.share + 3, 13)
        if settings.critic:
            self.critic = MotionDiscriminator(settings.critic)
        order = [(part, slot) for part, joints in enumerate(PARTS) for slot in range(len(joints))]
        joints = torch.tensor([joint for part in PARTS for joint in part])
        flat = torch.tensor([part * _LARGEST + slot for part, slot in order])
        self.register_buffer("slots", flat[joints.argsort()], persistent=False)
        with torch.no_grad():
            for layer in (self.turn, self.change, self.rest):
                layer.weight.mul_(0.02)
            self.turn.bias.zero_()
            self.change.bias.copy_(_NO_CHANGE.repeat(len(PARTS), _LARGEST))
            self.rest.bias.zero_()

    slots: Tensor

    def train(self, mode: bool = True) -> PartDynamics:
        """As for every module, except that the embedding stays fixed."""
        super().train(mode)
        self.embedding.eval()
        return self

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """See `Network.standardise`."""
        super().standardise(inputs)
        if "flow" in inputs:
            self.flow_spread.copy_(inputs["flow"].flatten(0, 1).std(0) + 1e-4)

    def forward(self, frames: Tensor, box: Tensor, flow: Tensor | None = None) -> NetworkOutput:
        """Inputs as in `inputs`."""
        targets = self.targets if self.training else 1
        # The convolutions need earlier frames, too.
        reach = _REACH + targets
        features = [self.recurrent(self.encoder(frames))[0][:, -reach:]]
        if self.settings.embedding:
            keypoints = frames[:, -reach:, : 2 * 33].unflatten(-1, (33, 2))[:, :, AMONG_LANDMARKS]
            features.append(self.embedding.describe(keypoints.flatten(0, 1)).unflatten(0, (-1, reach)))
        if flow is not None:
            scaled = (flow / self.flow_spread).clamp(-6, 6).flatten(1)
            features.append(scaled[:, None].expand(-1, reach, -1))
        shares = torch.relu(self.split(torch.cat(features, dim=-1))).unflatten(-1, (len(PARTS), -1))
        decoded = self.layers(shares).flatten(0, 1)
        start = Estimate.from_flat(self.start(frames[:, -targets:].flatten(0, 1)))
        rest = self.rest(torch.cat([decoded.flatten(1), box], dim=1))
        estimate = Estimate(
            start.sixd + self._turned(decoded, box), start.betas + rest[:, :10], start.camera + rest[:, 10:]
        )
        if not self.training:
            return NetworkOutput([estimate], [1.0], {})
        by_window = estimate.sixd.unflatten(0, (-1, targets))
        change = sixd_to_matrix(self._by_joint(self.change(decoded)).unflatten(0, (-1, targets))[:, 1:])
        carried = matrix_to_sixd(change @ sixd_to_matrix(by_window[:, :-1].detach()))
        # Nothing is before the first.
        carried = torch.cat([by_window[:, :1], carried], dim=1).flatten(0, 1)
        return NetworkOutput([Estimate(carried, estimate.betas, estimate.camera), estimate], [DELTA_SHARE, 1.0], {})

    def compute_losses(self, output: NetworkOutput, posed: PosedBodies, truth: PosedBodies) -> dict[str, Tensor]:
        """See `Network.compute_losses`."""
        ours, theirs = (
            self.embedding.describe(body.points_2d[:, ROTATIONS:][:, AMONG_MARKERS]) for body in (posed, truth)
        )
        losses = {"agreement": (ours - theirs).square().mean(1)}
        if self.settings.critic:
            generated, real = (
                matrix_to_sixd(body.rotations).unflatten(0, (-1, self.targets)) for body in (posed, truth)
            )
            rated = self.critic.losses(generated, real)
            losses |= {name: values.repeat_interleave(self.targets) for name, values in rated.items()}
        return losses

    def _turned(self, shares: Tensor, box: Tensor) -> Tensor:
        """(B, 24, 6) what the parts add to the first estimate's rotations."""
        inputs = torch.cat([shares, box[:, None].expand(-1, len(PARTS), -1)], dim=-1)
        return self._by_joint(self.turn(inputs))

    def _by_joint(self, by_part: Tensor) -> Tensor:
        """(B, 24, 6) by joint from (B, 5, 36) by part."""
        return by_part.flatten(1).unflatten(1, (-1, 6))[:, self.slots]


NETWORK, SETTINGS = PartDynamics, PartDynamicsSettings
