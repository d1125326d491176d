"""TAR: Temporal-Aware Refining Network (Chen et al., 2023).

It begins where an encoder has described each frame: BlazePose's network, or one of `encoders`.

Where the paper leaves freedom: one ConvGRU runs in both directions; the first strided convolution before smaller hidden
maps is 4 × 4 and further ones 3 × 3; deconvolutions are 4 × 4 and keep 2 D channels. With these the paper's counts of
parameters and operations come out.
"""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from ..body.smpl import Body, Points
from .blocks import ConvGRU, PerState
from .configurations import TarConfiguration
from .figure import Figure, full_translation, project, sixd_to_matrix

_MARKED = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel", "foot_index", "ear")
MARKERS = (*(f"{side}_{part}" for part in _MARKED for side in ("left", "right")), "nose", "hips")
"""The 26 markers: BlazePose's landmarks without eyes and mouth, and the middle of the hips."""

STATES = 26
_ROTATIONS = 24
_WIDEST = 10
# Standard deviations at which a feature says no more.
_FARTHEST = 6.0
_LEFT_ARM, _RIGHT_ARM = (
    [JOINT_NAMES.index(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist", "hand")]
    for side in ("left", "right")
)


class Estimate(NamedTuple):
    """SMPL parameters of B windows' middle frames, in the camera rolled with the crop.

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

    def flat(self) -> Tensor:
        """(B, 157) all of it."""
        return torch.cat([self.sixd.flatten(1), self.betas, self.camera], dim=1)

    def detach(self) -> Estimate:
        """The same without its history."""
        return Estimate(*(part.detach() for part in self))


def marker_points(body: Body) -> Points:
    """The 26 markers as points that bones carry."""
    landmarks = body.landmarks
    rows = [LANDMARK_NAMES.index(name) for name in MARKERS[:-1]]
    hips = [LANDMARK_NAMES.index(name) for name in ("left_hip", "right_hip")]

    def with_hips(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[rows], values[hips].mean(axis=0, keepdims=True)])

    return Points(with_hips(landmarks.template), with_hips(landmarks.shapedirs), None, with_hips(landmarks.weights))


class _Regressors(nn.Module):
    """What each state (B, 26, H) says of its own parameters, an `Estimate`."""

    def __init__(self, state_width: int, scale: float):
        super().__init__()
        self.first = PerState(STATES, state_width + 3, 64)
        self.second = PerState(STATES, 64, _WIDEST)
        with torch.no_grad():
            self.second.weight.mul_(scale)

    def forward(self, states: Tensor, box: Tensor) -> Estimate:
        seen = torch.cat([states, box[:, None].expand(-1, STATES, -1)], dim=-1)
        told = self.second(torch.relu(self.first(seen)))
        return Estimate(told[:, :_ROTATIONS, :6], told[:, _ROTATIONS], told[:, _ROTATIONS + 1, :3])


class GlobalTemporalEncoder(nn.Module):
    """GTE: features of a window (B, T, static width) become the 26 hidden states (B, 26, H)."""

    def __init__(self, settings: TarConfiguration):
        super().__init__()
        self.settings = settings
        self.inward = nn.Linear(settings.static_width, settings.width)
        if settings.global_temporal:
            self.places = nn.Parameter(torch.zeros(settings.frames, settings.width).normal_(0, 0.02))
            layer = nn.TransformerEncoderLayer(
                settings.width,
                settings.heads,
                settings.feedforward,
                settings.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            self.layers = nn.TransformerEncoder(layer, settings.layers, nn.LayerNorm(settings.width), False)
            self.average = nn.Conv1d(settings.frames, 1, 1)
            with torch.no_grad():
                self.average.weight.fill_(0.5 / settings.frames)
                self.average.weight[0, settings.frames // 2] += 0.5
        self.states = nn.Sequential(
            nn.Linear(settings.width, settings.state_layer),
            nn.GELU(),
            nn.Linear(settings.state_layer, STATES * settings.state_width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        if self.settings.global_temporal:
            whole = self.average(self.layers(self.inward(features) + self.places))[:, 0]
        else:
            whole = self.inward(features[:, self.settings.frames // 2])
        return self.states(whole).unflatten(1, (STATES, self.settings.state_width))


class LocalTemporalEncoder(nn.Module):
    """LTE: hidden maps of a window (B, L, D, S, S) become local features (B, D, size, size)."""

    def __init__(self, settings: TarConfiguration):
        super().__init__()
        self.settings = settings
        channels = settings.local_channels
        halvings = (settings.local_size // settings.hidden_size).bit_length() - 1
        downs = [
            nn.Conv2d(channels, channels, 4 if number == 0 else 3, stride=2, padding=1) for number in range(halvings)
        ]
        ups = [nn.ConvTranspose2d(2 * channels, 2 * channels, 4, stride=2, padding=1) for _ in range(halvings)]
        self.down = nn.Sequential(*(step for layer in downs for step in (layer, nn.ReLU())))
        self.up = nn.Sequential(*(step for layer in ups for step in (layer, nn.ReLU())))
        if settings.local_temporal:
            self.gru = ConvGRU(channels)
        self.fuse = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, local: Tensor) -> Tensor:
        """See the class."""
        middle = local.shape[1] // 2
        if not self.settings.local_temporal:
            both = torch.cat([local[:, middle], local[:, middle]], dim=1)
            return torch.relu(self.fuse(self.up(both)))
        # Past and future run side by side in one batch.
        maps = torch.stack([local[:, : middle + 1], local[:, middle:].flip(1)])
        hidden = torch.zeros_like(maps[:, :, 0]).flatten(0, 1)
        for step in range(middle + 1):
            hidden = self.gru(maps[:, :, step].flatten(0, 1), hidden)
        past, future = hidden.unflatten(0, (2, -1))
        return torch.relu(self.fuse(self.up(torch.cat([past, future], dim=1))))


class RecurrentRefinement(nn.Module):
    """RRM: an estimate is improved by what the local features show where its markers lie."""

    window: Tensor

    def __init__(self, settings: TarConfiguration):
        super().__init__()
        self.settings = settings
        cells = (2 * settings.radius + 1) ** 2
        feedback = len(MARKERS) * cells + _ROTATIONS * 6 + 10 + 3 + 3
        self.channels = nn.Conv2d(settings.local_channels, len(MARKERS), 1)
        bound = settings.state_width**-0.5
        gates = 3 * STATES * settings.state_width
        self.seen = nn.Linear(feedback, gates)
        self.recurrent = nn.Parameter(
            torch.empty(STATES, settings.state_width, 3 * settings.state_width).uniform_(-bound, bound)
        )
        self.regressors = _Regressors(settings.state_width, 0.02)
        steps = torch.arange(-settings.radius, settings.radius + 1, dtype=torch.float32) * 2 / settings.local_size
        window = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)
        self.register_buffer("window", window, persistent=False)

    def sample(self, maps: Tensor, places: Tensor) -> Tensor:
        """(B, K cells) values of maps (B, K, size, size) around each marker's place (B, K, 2), its own channel's."""
        b, k = places.shape[:2]
        grid = 2 * places.clamp(-2, 2)[:, :, None, None] + self.window
        values = nn.functional.grid_sample(
            maps.flatten(0, 1)[:, None], grid.flatten(0, 1), padding_mode="zeros", align_corners=False
        )
        values = values.view(b, k, -1)
        if self.training and self.settings.marker_dropout:
            values = values * (torch.rand(b, k, 1, device=values.device) > self.settings.marker_dropout)
        return values.flatten(1)

    def update(self, feedback: Tensor, states: Tensor) -> Tensor:
        """TAR eq. 9: all 26 GRUs at once, states (B, 26, H)."""
        seen = self.seen(feedback).unflatten(1, (STATES, 3 * self.settings.state_width))
        reset, update, new = seen.chunk(3, dim=-1)
        more_reset, more_update, more_new = torch.einsum("bsi,sio->bso", states, self.recurrent).chunk(3, dim=-1)
        reset, update = torch.sigmoid(reset + more_reset), torch.sigmoid(update + more_update)
        new = torch.tanh(new + reset * more_new)
        return new + update * (states - new)


class Tar(nn.Module):
    """The whole network.

    Args:
        settings: sizes.
        body: the body whose markers the refinement looks for.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, settings: TarConfiguration, body: Body):
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", torch.zeros(settings.features))
        self.register_buffer("spread", torch.ones(settings.features))
        self.static = nn.Sequential(nn.Linear(settings.features, settings.static_width), nn.GELU())
        self.globals = GlobalTemporalEncoder(settings)
        self.initial = _Regressors(settings.state_width, 0.1)
        with torch.no_grad():
            self.initial.second.bias.copy_(_usual_pose())
        if settings.refine:
            self.figure = Figure(body, marker_points(body))
            self.stem = nn.Sequential(nn.Conv2d(settings.maps, settings.local_channels, 3, padding=1), nn.ReLU())
            self.locals = LocalTemporalEncoder(settings)
            self.refinement = RecurrentRefinement(settings)

    def standardise(self, frames: Tensor) -> None:
        """Learn the mean and spread of features from frames (N, F), before training."""
        self.mean.copy_(frames.mean(0))
        self.spread.copy_(frames.std(0) + 0.02)

    def encode_local(self, maps: Tensor) -> Tensor:
        """(N, D, S, S) of each frame's local maps (N, M, 64, 64), from 0 to 1 or uint8 to 255.

        Maps that were shrunk already, by the maximum of their cells, may come at `local_size`.
        """
        factor = maps.shape[-1] // self.settings.local_size
        # Shrunk as bytes, by slices: several times faster than pooling.
        for axis in (-2, -1):
            maps = reduce(torch.maximum, maps.unflatten(axis, (-1, factor)).unbind(axis))
        if maps.dtype == torch.uint8:
            maps = maps.float() / 255
        return self.locals.down(self.stem(maps))

    def forward(
        self, frames: Tensor, box: Tensor, maps: Tensor | None = None, local: Tensor | None = None
    ) -> list[Estimate]:
        """Estimates of the middle frame: the first one, then one after each iteration of the refinement.

        Args:
            frames: (B, T, F) from `engine.features.window_features` or `encoders.look`.
            box: (B, 3) from `engine.features.box_info`.
            maps: (B, L, M, 64, 64) local maps of the L frames in the middle; None if `local` is given.
            local: (B, L, D, S, S) what `encode_local` made of them.
        """
        seen = ((frames - self.mean) / self.spread).clamp(-_FARTHEST, _FARTHEST)
        states = self.globals(self.static(seen))
        estimate = self.initial(states, box)
        estimates = [estimate]
        if not self.settings.refine:
            return estimates
        if local is None:
            if maps is None:
                raise ValueError("the refinement needs maps or local features")
            local = self.encode_local(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        channels = self.refinement.channels(self.locals(local))
        for _ in range(self.settings.iterations):
            before = estimate.detach()
            turned = sixd_to_matrix(before.sixd)
            placed = self.figure.joints(turned, before.betas)
            markers = self.figure.points(turned, placed, before.betas)
            places = project(markers, full_translation(before.camera, box), box)
            feedback = torch.cat([self.refinement.sample(channels, places), before.flat(), box], dim=1)
            states = self.refinement.update(feedback, states)
            step = self.refinement.regressors(states, box)
            estimate = Estimate(*(old + new for old, new in zip(before, step, strict=True)))
            estimates.append(estimate)
        return estimates


def _usual_pose() -> Tensor:
    """(26, 10) biases that give a person who stands upright before the camera, arms hanging."""
    bias = torch.zeros(STATES, _WIDEST)
    # Camera axes have y down and z forward.
    bias[:_ROTATIONS, :6] = torch.tensor([1.0, 0, 0, 0, -1, 0])
    drop = np.radians(65)
    cos, sin = float(np.cos(drop)), float(np.sin(drop))
    bias[_LEFT_ARM, :6] = torch.tensor([cos, sin, 0, sin, -cos, 0])
    bias[_RIGHT_ARM, :6] = torch.tensor([cos, -sin, 0, -sin, -cos, 0])
    bias[_ROTATIONS + 1, 0] = 0.9
    return bias
