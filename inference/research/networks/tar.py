"""TAR: Temporal-Aware Refining Network (Chen et al., 2023).

Its input is each frame as an encoder describes it: BlazePose's network and the lifter, or one of `encoders`.

Where the paper leaves details open: one ConvGRU runs in both directions; the first strided convolution before smaller
hidden maps is 4 × 4 and further ones 3 × 3; deconvolutions are 4 × 4 and keep 2 D channels. This reproduces the paper's
counts of parameters and operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from ...body.smpl import Body
from .base import ROTATIONS, Estimate, Network, NetworkOutput
from .blocks import ConvGRU, PerState
from .settings import Settings
from .torch_body import MARKERS, TorchBody, full_translation, marker_points, project, sixd_to_matrix

STATES = ROTATIONS + 2
_WIDEST = 10

DISCOUNT = 0.85
"""γ of TAR eq. 14."""


@dataclass(frozen=True)
class TarSettings(Settings):
    """Sizes of TAR, in addition to those of all networks.

    Attributes:
        maps: number of local maps of a frame.
        width: of the transformer.
        feedforward: inside the transformer's layers.
        layers: of the transformer.
        heads: of its attention.
        dropout: in the transformer, in training.
        state_layer: hidden units of the MLP that outputs the hidden states.
        state_width: length of each hidden state.
        local_channels: D.
        local_size: height and width of the local feature maps.
        hidden_size: S, height and width of the ConvGRU's hidden maps.
        local_window: L, frames that the ConvGRU sees.
        iterations: of the refinement.
        radius: of the window around a marker, in cells of the local maps.
        marker_dropout: share of markers hidden in training.
        global_temporal: whether there is a transformer.
        local_temporal: whether there is a ConvGRU.
        refine: whether there is a refinement.
    """

    frames: int = 9
    target: int = 4
    maps: int = 40
    width: int = 512
    feedforward: int = 2048
    layers: int = 4
    heads: int = 8
    dropout: float = 0.1
    state_layer: int = 1792
    state_width: int = 32
    local_channels: int = 256
    local_size: int = 64
    hidden_size: int = 64
    local_window: int = 5
    iterations: int = 5
    radius: int = 3
    marker_dropout: float = 0.25
    global_temporal: bool = True
    local_temporal: bool = True
    refine: bool = True


class _Regressors(nn.Module):
    """Regresses the parameters of each state (B, 26, H) from that state: an `Estimate`."""

    def __init__(self, state_width: int, scale: float):
        super().__init__()
        self.first = PerState(STATES, state_width + 3, 64)
        self.second = PerState(STATES, 64, _WIDEST)
        with torch.no_grad():
            self.second.weight.mul_(scale)

    def forward(self, states: Tensor, box: Tensor) -> Estimate:
        inputs = torch.cat([states, box[:, None].expand(-1, STATES, -1)], dim=-1)
        values = self.second(torch.relu(self.first(inputs)))
        return Estimate(values[:, :ROTATIONS, :6], values[:, ROTATIONS], values[:, ROTATIONS + 1, :3])


class GlobalTemporalEncoder(nn.Module):
    """GTE: maps features of a window (B, T, static width) to the 26 hidden states (B, 26, H)."""

    def __init__(self, settings: TarSettings):
        super().__init__()
        self.settings = settings
        self.inward = nn.Linear(settings.static_width, settings.width)
        if settings.global_temporal:
            # The positional encoding; checkpoints know it by this name.
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
                self.average.weight[0, settings.target] += 0.5
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
            whole = self.inward(features[:, self.settings.target])
        return self.states(whole).unflatten(1, (STATES, self.settings.state_width))


class LocalTemporalEncoder(nn.Module):
    """LTE: maps hidden maps of a window (B, L, D, S, S) to local features (B, D, size, size)."""

    def __init__(self, settings: TarSettings):
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
        # Past and future run in one batch.
        maps = torch.stack([local[:, : middle + 1], local[:, middle:].flip(1)])
        hidden = torch.zeros_like(maps[:, :, 0]).flatten(0, 1)
        for step in range(middle + 1):
            hidden = self.gru(maps[:, :, step].flatten(0, 1), hidden)
        past, future = hidden.unflatten(0, (2, -1))
        return torch.relu(self.fuse(self.up(torch.cat([past, future], dim=1))))


class RecurrentRefinement(nn.Module):
    """RRM: refines an estimate from the local features around its markers."""

    window: Tensor

    def __init__(self, settings: TarSettings):
        super().__init__()
        self.settings = settings
        cells = (2 * settings.radius + 1) ** 2
        feedback = len(MARKERS) * cells + ROTATIONS * 6 + 10 + 3 + 3
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

    def sample(self, maps: Tensor, points_2d: Tensor) -> Tensor:
        """(B, K cells) values of maps (B, K, size, size) around the markers (B, K, 2), each from its own channel."""
        b, k = points_2d.shape[:2]
        grid = 2 * points_2d.clamp(-2, 2)[:, :, None, None] + self.window
        values = nn.functional.grid_sample(
            maps.flatten(0, 1)[:, None], grid.flatten(0, 1), padding_mode="zeros", align_corners=False
        )
        values = values.view(b, k, -1)
        if self.training and self.settings.marker_dropout:
            values = values * (torch.rand(b, k, 1, device=values.device) > self.settings.marker_dropout)
        return values.flatten(1)

    def update(self, feedback: Tensor, states: Tensor) -> Tensor:
        """TAR eq. 9: all 26 GRUs at once, states (B, 26, H)."""
        gates = self.seen(feedback).unflatten(1, (STATES, 3 * self.settings.state_width))
        reset, update, new = gates.chunk(3, dim=-1)
        more_reset, more_update, more_new = torch.einsum("bsi,sio->bso", states, self.recurrent).chunk(3, dim=-1)
        reset, update = torch.sigmoid(reset + more_reset), torch.sigmoid(update + more_update)
        new = torch.tanh(new + reset * more_new)
        return new + update * (states - new)


class Tar(Network):
    """The network: the first estimate, then one per iteration of the refinement.

    Args:
        settings: sizes.
        body: the body model whose markers the refinement samples at.

    Raises:
        ValueError: the local window has no middle, or reaches beyond the frames; or the image encoder has other sizes.
    """

    settings: TarSettings
    describable = True

    def __init__(self, settings: TarSettings, body: Body):
        super().__init__(settings, body)
        self.needs = ("frames", "box", "maps") if settings.refine else ("frames", "box")
        self.globals = GlobalTemporalEncoder(settings)
        self.initial = _Regressors(settings.state_width, 0.02)
        if settings.refine:
            reach = min(settings.target, settings.frames - 1 - settings.target)
            if not (settings.local_window % 2 and settings.local_window // 2 <= reach):
                raise ValueError(f"local_window={settings.local_window} has no middle among {settings.frames} frames")
            if self.images is not None and self.images.channels != settings.maps:
                raise ValueError(f"maps={settings.maps} where {settings.encoder} gives {self.images.channels}")
            self.torch_body = TorchBody(body, marker_points(body))
            self.stem = nn.Sequential(nn.Conv2d(settings.maps, settings.local_channels, 3, padding=1), nn.ReLU())
            self.locals = LocalTemporalEncoder(settings)
            self.refinement = RecurrentRefinement(settings)

    def encode_local(self, maps: Tensor) -> Tensor:
        """Hidden maps (N, D, S, S) from each frame's local maps (N, M, 64, 64), floats to 1 or uint8 to 255.

        Maps that were max-pooled before may have `local_size`.
        """
        factor = maps.shape[-1] // self.settings.local_size
        # Max-pooled as bytes, by slices: several times faster than pooling floats.
        for axis in (-2, -1):
            maps = reduce(torch.maximum, maps.unflatten(axis, (-1, factor)).unbind(axis))
        if maps.dtype == torch.uint8:
            maps = maps.float() / 255
        return self.locals.down(self.stem(maps))

    def encode_around(self, trunk: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """The `local` input of `forward`."""
        if self.images is None or not self.settings.refine:
            return {}
        first = self.settings.target - self.settings.local_window // 2
        used, at = rows[:, first : first + self.settings.local_window].unique(return_inverse=True)
        return {"local": self.encode_local(self.images.maps(trunk[used]))[at]}

    def forward(
        self, frames: Tensor, box: Tensor, maps: Tensor | None = None, local: Tensor | None = None
    ) -> NetworkOutput:
        """Inputs as in `inputs`; `local` (B, L, D, S, S) from `encode_local` may replace the maps."""
        states = self.globals(self.encoder(frames))
        start = Estimate.from_flat(self.start(frames[:, self.settings.target]))
        estimate = Estimate(*(old + new for old, new in zip(start, self.initial(states, box), strict=True)))
        estimates = [estimate]
        if not self.settings.refine:
            return NetworkOutput(estimates, [1.0], {})
        if local is None:
            if maps is None:
                raise ValueError("the refinement needs maps or local features")
            local = self.encode_local(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        channels = self.refinement.channels(self.locals(local))
        for _ in range(self.settings.iterations):
            before = estimate.detach()
            global_rotations = sixd_to_matrix(before.sixd)
            joints = self.torch_body.joints(global_rotations, before.betas)
            markers = self.torch_body.points(global_rotations, joints, before.betas)
            points_2d = project(markers, full_translation(before.camera, box), box)
            feedback = torch.cat([self.refinement.sample(channels, points_2d), before.flat(), box], dim=1)
            states = self.refinement.update(feedback, states)
            step = self.refinement.regressors(states, box)
            estimate = Estimate(*(old + new for old, new in zip(before, step, strict=True)))
            estimates.append(estimate)
        last = len(estimates) - 1
        return NetworkOutput(estimates, [DISCOUNT ** (last - number) for number in range(last + 1)], {})


NETWORK, SETTINGS = Tar, TarSettings
