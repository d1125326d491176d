"""The inputs that networks can have, by name.

| name | shape | meaning |
|---|---|---|
| `frames` | (B, T, F) | features of a window's frames: `pose.lifting.Lifted`, or an image encoder's vectors |
| `box` | (B, 3) | CLIFF's box information of the target's crop; in training (B K, 3), of K targets of each window |
| `maps` | (B, L, M, 64, 64) | local maps of the L frames around the target |
| `flow` | (B, 15, 9) | motion of the background, `pose.features.flow_features` |
| `regions` | (B, R, F) | features of the target frame in R regions of interest, the crop first |
| `region_boxes` | (B, R, 3) | their box information |
| `gravity` | (B, T, 3) | true direction of gravity in crop axes; in training only |
| `contacts` | (B, T, 4) | whether left heel and toes, right heel and toes truly rest on the floor; in training only |
| `contacts_known` | (B, T) | whether that is known; in training only |
| `pictures` | (P, 256, 256, 3) | BGR uint8: frames for an image encoder, `Network.encode` |
| `picture_rows` | (B, T) | which of the pictures the frames of a window are |
| `places` | (B, R, P) | their positional encodings, `pose.features.encode_boxes` |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...people.pictures import SHAPE
from ...pose.features import FLOW_STEPS, encoding_size

_Draw = Callable[[Any, int, torch.Generator], Tensor]


def _boxes(*shape: int, rng: torch.Generator) -> Tensor:
    return torch.randn(*shape, 3, generator=rng) * torch.tensor([0.5, 0.5, 1.0])


_EXAMPLES: Mapping[str, _Draw] = {
    "gravity": lambda of, batch, rng: torch.randn(batch, of.frames, 3, generator=rng),
    "contacts": lambda of, batch, rng: torch.rand(batch, of.frames, 4, generator=rng).round(),
    "contacts_known": lambda of, batch, rng: torch.ones(batch, of.frames),
    "frames": lambda of, batch, rng: torch.randn(batch, of.frames, of.features, generator=rng),
    "box": lambda of, batch, rng: _boxes(batch, rng=rng),
    "maps": lambda of, batch, rng: torch.randint(
        0, 256, (batch, of.local_window, of.maps, 64, 64), generator=rng, dtype=torch.uint8
    ),
    "pictures": lambda of, batch, rng: torch.randint(
        0, 256, (batch * of.frames, *SHAPE), generator=rng, dtype=torch.uint8
    ),
    "picture_rows": lambda of, batch, rng: torch.arange(batch * of.frames).view(batch, of.frames),
    "flow": lambda of, batch, rng: 0.01 * torch.randn(batch, FLOW_STEPS, 9, generator=rng),
    "regions": lambda of, batch, rng: torch.randn(batch, of.regions, of.features, generator=rng),
    "region_boxes": lambda of, batch, rng: _boxes(batch, of.regions, rng=rng),
    "places": lambda of, batch, rng: 2 * torch.rand(batch, of.regions, encoding_size(of.octaves), generator=rng) - 1,
}


def example(needs: tuple[str, ...], settings: Any, batch: int, seed: int, targets: int = 1) -> dict[str, Tensor]:
    """Random inputs of those names in the sizes of a network's settings, with so many targets in each window."""
    rng = torch.Generator().manual_seed(seed)
    rows = {"box": batch * targets}
    return {name: _EXAMPLES[name](settings, rows.get(name, batch), rng) for name in needs}
