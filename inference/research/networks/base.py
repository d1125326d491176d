"""What networks have in common: their inputs, their output, and layers that several use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ...body.skeleton import JOINT_NAMES
from ...body.smpl import Body
from .encoders import ENCODERS, ImageEncoder, as_crops
from .settings import Settings

ROTATIONS = 24
SIZE = ROTATIONS * 6 + 10 + 3
"""Length of an estimate's vector."""

# Pictures in use.
_AT_ONCE = 32
# Standard deviations at which features are clipped.
_CLIP = 6.0
_LEFT_ARM, _RIGHT_ARM = (
    [JOINT_NAMES.index(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist", "hand")]
    for side in ("left", "right")
)


class Estimate(NamedTuple):
    """SMPL parameters of B windows' target frames, in the camera rolled with the crop.

    Rotations are relative to the camera, not to the parent joint: a limb's direction then depends on its own landmarks
    alone, which a network learns much faster.

    Attributes:
        sixd: (B, 24, 6) global rotations.
        betas: (B, 10).
        camera: (B, 3) s, tx, ty of the crop.
    """

    sixd: Tensor
    betas: Tensor
    camera: Tensor

    @classmethod
    def from_flat(cls, flat: Tensor) -> Estimate:
        """The estimate from its vectors (B, 157)."""
        sixd, betas, camera = flat.split([ROTATIONS * 6, 10, 3], dim=1)
        return cls(sixd.unflatten(1, (ROTATIONS, 6)), betas, camera)

    def flat(self) -> Tensor:
        """(B, 157) everything in one vector."""
        return torch.cat([self.sixd.flatten(1), self.betas, self.camera], dim=1)

    def detach(self) -> Estimate:
        """The same without gradients."""
        return Estimate(*(part.detach() for part in self))


class NetworkOutput(NamedTuple):
    """Output of a network for B windows.

    Attributes:
        estimates: in order, the last one is the result; outside of training it may be the only one.
        shares: how much each counts in training.
        extra: inputs of the network's own losses, by name.
    """

    estimates: list[Estimate]
    shares: list[float]
    extra: Mapping[str, Tensor]


class PosedBodies(Protocol):
    """B posed bodies, as a network's own losses see them; attributes as in `training.losses.PosedTruth`."""

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
    def points_2d(self) -> Tensor:
        """(B, 24 + K, 2) joints and markers in the crop, from its centre, in units of its side."""
        ...


class FrameEncoder(nn.Module):
    """Turns features (..., F) of frames into static features (..., static width)."""

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
        return self.layers(((frames - self.mean) / self.spread).clamp(-_CLIP, _CLIP))


def _image_encoder(settings: Settings) -> ImageEncoder | None:
    if settings.encoder == "blazepose":
        return None
    if settings.encoder not in ENCODERS:
        raise ValueError(f"encoder={settings.encoder} is none of blazepose, {', '.join(ENCODERS)}")
    made = ENCODERS[settings.encoder]()
    if made.features != settings.features:
        raise ValueError(f"features={settings.features} where {settings.encoder} gives {made.features}")
    return made


class Network(nn.Module):
    """Base of all networks that can be trained and exported.

    It is called with its inputs by name, see `inputs`, and returns `NetworkOutput`.

    Args:
        settings: its sizes.
        body: the body model whose parameters it estimates.

    Attributes:
        images: describes frames by their pictures; None where BlazePose and the lifter do.
        licensed: whether the body is another than the free one.

    Raises:
        ValueError: the target is not one of the frames, or the image encoder has other sizes.
    """

    images: ImageEncoder | None

    needs: tuple[str, ...]
    """Names of its inputs."""

    training_needs: tuple[str, ...] = ()
    """Names of further inputs that it gets in training only."""

    targets: int = 1
    """How many frames of a window it estimates in training, of which the last is its target."""

    describable: ClassVar[bool] = False
    """Whether an image encoder's vectors, and its local maps, can stand for all that it needs to know of frames."""

    own_losses: ClassVar[Mapping[str, str]] = {}
    """Descriptions of the losses that only this network has, by name."""

    def __init__(self, settings: Settings, body: Body):
        super().__init__()
        if not 0 <= settings.target < settings.frames:
            raise ValueError(f"target={settings.target} is none of {settings.frames} frames")
        self.settings, self.licensed = settings, body.figures is None
        self.encoder = FrameEncoder(settings.features, settings.static_width)
        self.images = _image_encoder(settings) if self.describable else None

    @property
    def sees(self) -> tuple[str, ...]:
        """Names of the inputs that data have to give: those it needs, or pictures for `encode`."""
        if self.images is None:
            return self.needs
        return ("pictures", "picture_rows", *(name for name in self.needs if name not in ("frames", "maps")))

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inputs of a call from those that it `sees`: pictures are described by the image encoder."""
        if self.images is None:
            return dict(inputs)
        given = {name: values for name, values in inputs.items() if name not in ("pictures", "picture_rows")}
        crops, rows = as_crops(inputs["pictures"]), inputs["picture_rows"]
        # In training normalisations need all of them together.
        parts = [crops] if self.training else crops.split(_AT_ONCE)
        trunk = torch.cat([self.images.trunk(part) for part in parts])
        return {"frames": self.images.vector(trunk)[rows], **self.encode_around(trunk, rows), **given}

    def encode_around(self, trunk: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Further inputs from the image encoder's trunk (P, C, h, w), of which windows see rows (B, T)."""
        return {}

    def start(self, frame: Tensor) -> Tensor:
        """(B, 157) the vector of the estimate to begin with, from features (B, F) of the target frame.

        It is the lifter's; where an image encoder describes frames, somebody who stands upright.
        """
        if self.settings.encoder == "blazepose":
            return frame[:, -SIZE:]
        # Not `len`, which exporters take for a constant.
        return upright().to(frame).expand(frame.shape[0], -1)

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Learn the mean and spread of inputs (B, ...), before training."""
        frames = inputs["frames"] if "frames" in inputs else inputs["regions"]
        self.encoder.standardise(frames.flatten(0, 1))

    def compute_losses(self, output: NetworkOutput, posed: PosedBodies, truth: PosedBodies) -> dict[str, Tensor]:
        """Its own losses by name, (B,) each, from its output, the bodies posed by its result, and the true ones."""
        return {}


class IterativeRegressor(nn.Module):
    """SPIN's regressor: refines an estimate (B, 157) several times, from a feature (B, C) and the box (B, 3).

    Args:
        width: C.
        hidden: units of its two layers.
        iterations: number of refinements.
        dropout: in training.
    """

    def __init__(self, width: int, hidden: int, iterations: int, dropout: float):
        super().__init__()
        self.iterations = iterations
        self.layers = nn.Sequential(
            nn.Linear(width + 3 + SIZE, hidden), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.Dropout(dropout)
        )
        self.step = nn.Linear(hidden, SIZE)
        nn.init.xavier_uniform_(self.step.weight, gain=0.01)
        nn.init.zeros_(self.step.bias)

    def forward(self, feature: Tensor, box: Tensor, start: Tensor) -> Estimate:
        """See the class."""
        flat = start
        for _ in range(self.iterations):
            flat = flat + self.step(self.layers(torch.cat([feature, box, flat], dim=1)))
        return Estimate.from_flat(flat)


def upright() -> Tensor:
    """(157,) the estimate of a person who stands upright in front of the camera, arms hanging."""
    # Camera axes have y down and z forward.
    sixd = torch.tensor([1.0, 0, 0, 0, -1, 0]).repeat(ROTATIONS, 1)
    drop = np.radians(65)
    cos, sin = float(np.cos(drop)), float(np.sin(drop))
    sixd[_LEFT_ARM] = torch.tensor([cos, sin, 0, sin, -cos, 0])
    sixd[_RIGHT_ARM] = torch.tensor([cos, -sin, 0, -sin, -cos, 0])
    return torch.cat([sixd.flatten(), torch.zeros(10), torch.tensor([0.9, 0, 0])])
