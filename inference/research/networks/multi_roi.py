"""Multi-RoI human mesh recovery with camera consistency and contrastive losses.

Its input is one frame in several regions of interest. The paper computes the weights of each RoI by one linear layer
over [h_n, γ_mn] and a softmax over n; γ_m then cancels out, and all RoIs would get the same weights. So there is a
hidden layer, as in the authors' own program, and the camera decoder also gets the RoI's box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...body.smpl import Body, Points
from ...people.crops import ROI_VIEWS
from ...pose.features import encoding_size
from .base import ROTATIONS, SIZE, Estimate, Network, NetworkOutput, PosedBodies
from .settings import Settings
from .torch_body import TorchBody, full_translation

TEMPERATURE = 0.5
"""τ of the contrastive loss."""

RELATIONS = ("relative", "absolute", "none")

# λ of eq. 16 for tx, ty and b s, the last for boxes in units of the focal length, taken to be 1000 pixels.
_SHIFT, _SCALE = 0.1, 0.0001 * 1000**2
_LATENT = 64
_VERTICES = 256


@dataclass(frozen=True)
class MultiRoiSettings(Settings):
    """Sizes of the multi-RoI network, in addition to those of all networks.

    Attributes:
        regions: M, number of regions of interest, including the crop.
        octaves: L of the positional encoding.
        relation: whether the network gets `relative` positions of the RoIs, `absolute` ones, or `none`.
        attention: units of the layer that weighs the RoIs.
        hidden: units of the decoders' layers.
        blocks: residual blocks in each decoder.
        dropout: in the decoders, in training.
    """

    regions: int = 5
    octaves: int = 32
    relation: str = "relative"
    attention: int = 256
    hidden: int = 1024
    blocks: int = 2
    dropout: float = 0.1


class Residual(nn.Module):
    """A residual block for (..., hidden)."""

    def __init__(self, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden)
        )

    def forward(self, values: Tensor) -> Tensor:
        """See the class."""
        return values + self.layers(values)


def _decoder(inputs: int, outputs: int, settings: MultiRoiSettings) -> nn.Sequential:
    blocks = (Residual(settings.hidden, settings.dropout) for _ in range(settings.blocks))
    last = nn.Linear(settings.hidden, outputs)
    nn.init.xavier_uniform_(last.weight, gain=0.05)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, settings.hidden), *blocks, nn.GELU(), last)


class MultiRoi(Network):
    """The network: in training it estimates each region's camera with the mesh that all share.

    Args:
        settings: sizes.
        body: the body model whose parameters it estimates.

    Raises:
        ValueError: there is no such relation or number of regions.
    """

    settings: MultiRoiSettings
    needs = ("regions", "region_boxes", "places")
    own_losses: ClassVar = {
        "camera_consistency": "differences of the regions' cameras in the full image (eq. 16)",
        "contrast": "similarity within and between people's regions (eq. 17)",
        "vertices": "distance of the surface's vertices, metres",
    }

    def __init__(self, settings: MultiRoiSettings, body: Body):
        super().__init__(settings, body)
        if settings.relation not in RELATIONS:
            raise ValueError(f"relation is one of {', '.join(RELATIONS)}, not {settings.relation}")
        if not 1 <= settings.regions <= 1 + ROI_VIEWS:
            raise ValueError(f"regions={settings.regions} is not from 1 to {1 + ROI_VIEWS}")
        width = settings.static_width
        encoding = 0 if settings.relation == "none" else encoding_size(settings.octaves)
        self.weigh = nn.Sequential(
            nn.Linear(width + encoding, settings.attention), nn.Tanh(), nn.Linear(settings.attention, 1)
        )
        self.camera = _decoder(width + 3, 3, settings)
        self.mesh = _decoder(width + 3, SIZE - 3, settings)
        self.project = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, _LATENT))
        self.surface = TorchBody(body, _some_vertices(body))

    def forward(self, regions: Tensor, region_boxes: Tensor, places: Tensor) -> NetworkOutput:
        """Inputs as in `inputs`."""
        encoded = self.encoder(regions)
        count = encoded.shape[1]
        pairs = encoded[:, None].expand(-1, count, -1, -1)
        if self.settings.relation != "none":
            relations = places[:, None].expand(-1, count, -1, -1)
            if self.settings.relation == "relative":
                relations = places[:, :, None] - relations
            pairs = torch.cat([pairs, relations], dim=-1)
        weights = torch.softmax(self.weigh(pairs)[..., 0], dim=2)
        fused = weights @ encoded
        box = region_boxes[:, 0]
        start = self.start(regions[:, 0])
        mesh = start[:, :-3] + self.mesh(torch.cat([fused.mean(1), box], dim=1))
        sixd, betas = mesh[:, : 6 * ROTATIONS].unflatten(1, (ROTATIONS, 6)), mesh[:, 6 * ROTATIONS :]
        if not self.training:
            camera = start[:, -3:] + self.camera(torch.cat([fused[:, 0], box], dim=1))
            return NetworkOutput([Estimate(sixd, betas, camera)], [1.0], {})
        # Seen from all regions the person stands in the same place.
        place = full_translation(start[:, -3:], box).repeat_interleave(count, dim=0)
        starts = crop_camera(place, region_boxes.flatten(0, 1)).unflatten(0, (-1, count))
        cameras = starts + self.camera(torch.cat([fused, region_boxes], dim=2))
        translations = full_translation(cameras.flatten(0, 1), region_boxes.flatten(0, 1)).unflatten(0, (-1, count))
        estimates = [
            Estimate(sixd, betas, crop_camera(translations[:, region], box)) for region in range(count - 1, -1, -1)
        ]
        extra = {
            "cameras": cameras,
            "boxes": region_boxes,
            "latent": nn.functional.normalize(self.project(encoded), dim=-1),
        }
        return NetworkOutput(estimates, [1 / count] * count, extra)

    def compute_losses(self, output: NetworkOutput, posed: PosedBodies, truth: PosedBodies) -> dict[str, Tensor]:
        """See `Network.compute_losses`."""
        ours, theirs = (self.surface.points(body.rotations, body.joints, body.betas) for body in (posed, truth))
        return {
            "camera_consistency": camera_consistency(output.extra["cameras"], output.extra["boxes"]),
            "contrast": contrast(output.extra["latent"]),
            "vertices": (ours - theirs).square().sum(-1).add(1e-6).sqrt().mean(1),
        }


def crop_camera(translation: Tensor, box: Tensor) -> Tensor:
    """(B, 3) crop cameras from pelves (B, 3) in the full image's camera: inverse of `torch_body.full_translation`."""
    centre, size = box[:, :2] / 2.8, 0.06 * box[:, 2:] + 0.24
    depth = translation[:, 2:]
    return torch.cat([2 / (size * depth), translation[:, :2] - centre * depth], dim=1)


def camera_consistency(cameras: Tensor, boxes: Tensor) -> Tensor:
    """(B,) eq. 16 of the cameras (B, M, 3) of M regions with box information (B, M, 3), summed over all pairs."""
    translations = full_translation(cameras.flatten(0, 1), boxes.flatten(0, 1)).unflatten(0, cameras.shape[:2])
    scale = cameras[..., 0] * (0.06 * boxes[..., 2] + 0.24)
    shifts = (translations[:, :, None, :2] - translations[:, None, :, :2]).square().sum((1, 2, 3))
    scales = (scale[:, :, None] - scale[:, None]).square().sum((1, 2))
    return _SHIFT * shifts + _SCALE * scales


def contrast(latent: Tensor) -> Tensor:
    """(B,) eq. 17 of latent vectors (B, M, C) of length 1, the mean over the regions; 0 for one region."""
    people, count = latent.shape[:2]
    similarity = latent.flatten(0, 1) @ latent.flatten(0, 1).T / TEMPERATURE
    person = torch.arange(people, device=latent.device).repeat_interleave(count)
    same = person[:, None] == person
    negative = similarity.masked_fill(same, -torch.inf).logsumexp(1)
    itself = torch.eye(len(person), dtype=torch.bool, device=latent.device)
    positive = (similarity * (same & ~itself)).sum(1) / max(count - 1, 1)
    loss = (negative - positive) if count > 1 and people > 1 else torch.zeros_like(positive)
    return loss.view(people, count).mean(1)


def _some_vertices(body: Body) -> Points:
    step = max(len(body.v_template) // _VERTICES, 1)
    return Points(body.v_template[::step], body.shapedirs[::step], None, body.weights[::step])


NETWORK, SETTINGS = MultiRoi, MultiRoiSettings
