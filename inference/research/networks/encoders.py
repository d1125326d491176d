"""Image encoders: ResNet-50 (He et al., 2016) and HRNet-W48 (Wang et al., 2020), without weights.

An encoder maps each frame to a vector and local maps. The default, BlazePose's network, runs outside of torch: its
vector is `pose.features.frame_features`, its maps are `people.maps.local_maps`. The encoders here are part of the
network that a configuration names them for, and see people's pictures (`people.pictures`). Parameters have the names of
torchvision's ResNet and of the official HRNet, so that public state dicts load.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Of ImageNet's red, green and blue, by which public weights expect pictures to be normalised.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageFeatures(NamedTuple):
    """An encoder's output for N crops.

    Attributes:
        vector: (N, F).
        maps: (N, M, 64, 64).
    """

    vector: Tensor
    maps: Tensor


class Bottleneck(nn.Module):
    """ResNet's block of 1 × 1, 3 × 3 and 1 × 1 convolutions, with 4 × `width` output channels."""

    def __init__(self, channels: int, width: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) → (N, 4 × width, h / stride, w / stride)."""
        skip = maps if self.downsample is None else self.downsample(maps)
        new = torch.relu(self.bn1(self.conv1(maps)))
        new = torch.relu(self.bn2(self.conv2(new)))
        return torch.relu(self.bn3(self.conv3(new)) + skip)


class BasicBlock(nn.Module):
    """ResNet's block of two 3 × 3 convolutions."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        new = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(new)) + maps)


def _normalise(crops: Tensor) -> Tensor:
    shown = crops.float() / 255 if crops.dtype == torch.uint8 else crops
    return (shown - shown.new_tensor(_MEAN)[:, None, None]) / shown.new_tensor(_DEVIATION)[:, None, None]


def _bottlenecks(channels: int, width: int, count: int, stride: int) -> nn.Sequential:
    blocks = [Bottleneck(channels, width, stride)]
    blocks += [Bottleneck(4 * width, width) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class ImageEncoder(nn.Module, ABC):
    """Describes crops of 256 × 256 in two steps, of which the second is needed of some frames only.

    Attributes:
        features: F, length of the vector.
        channels: M, number of local maps.
    """

    features: int
    channels: int
    trained_here: tuple[str, ...]
    """How the names of parameters begin that no public state dict has."""

    @abstractmethod
    def trunk(self, crops: Tensor) -> Tensor:
        """What vector and local maps are made of, (N, C, h, w), from RGB crops (N, 3, 256, 256), uint8 or to 1."""

    def vector(self, trunk: Tensor) -> Tensor:
        """(N, F)."""
        return trunk.mean((2, 3))

    @abstractmethod
    def maps(self, trunk: Tensor) -> Tensor:
        """(N, M, 64, 64)."""

    def forward(self, crops: Tensor) -> ImageFeatures:
        """Encode RGB crops (N, 3, 256, 256): floats from 0 to 1, or uint8."""
        trunk = self.trunk(crops)
        return ImageFeatures(self.vector(trunk), self.maps(trunk))

    def freeze(self) -> None:
        """Keep what public state dicts have as it is, statistics of normalisations included."""
        for name, part in self.named_parameters():
            part.requires_grad_(name.startswith(self.trained_here))
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As for every module, except that frozen normalisations stay fixed."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d) and not part.weight.requires_grad:
                part.eval()
        return self


class ResNet50(ImageEncoder):
    """ResNet-50 for crops of 256 × 256, or 224 × 224 if only the vector is needed.

    The vector is the pooled last layer; three deconvolutions bring that layer to local maps of 64 × 64, as in Simple
    Baselines (Xiao et al., 2018). The deconvolutions are trained with the rest: no public state dict has them.

    Args:
        width: channels of the first layer.
        blocks: in each of the four layers.
        maps: channels of the local maps.
    """

    trained_here = ("deconvolutions.",)

    def __init__(self, width: int = 64, blocks: tuple[int, int, int, int] = (3, 4, 6, 3), maps: int = 256):
        super().__init__()
        self.features, self.channels = 32 * width, maps
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _bottlenecks(width, width, blocks[0], 1)
        self.layer2 = _bottlenecks(4 * width, 2 * width, blocks[1], 2)
        self.layer3 = _bottlenecks(8 * width, 4 * width, blocks[2], 2)
        self.layer4 = _bottlenecks(16 * width, 8 * width, blocks[3], 2)
        steps: list[nn.Module] = []
        for before, after in pairwise((32 * width, maps, maps, maps)):
            steps += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.deconvolutions = nn.Sequential(*steps)

    def trunk(self, crops: Tensor) -> Tensor:
        """See `ImageEncoder`."""
        maps = self.maxpool(torch.relu(self.bn1(self.conv1(_normalise(crops)))))
        return self.layer4(self.layer3(self.layer2(self.layer1(maps))))

    def maps(self, trunk: Tensor) -> Tensor:
        """See `ImageEncoder`."""
        return self.deconvolutions(trunk)


def _convolution(channels: int, out: int, kernel: int, stride: int, active: bool) -> nn.Sequential:
    steps: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*steps, nn.ReLU()) if active else nn.Sequential(*steps)


def _path(widths: tuple[int, ...], start: int, end: int) -> nn.Module:
    if start == end:
        return nn.Identity()
    if start > end:
        up = nn.Upsample(scale_factor=2 ** (start - end), mode="nearest")
        return nn.Sequential(*_convolution(widths[start], widths[end], 1, 1, active=False), up)
    halvings = [_convolution(widths[start], widths[start], 3, 2, active=True) for _ in range(end - start - 1)]
    return nn.Sequential(*halvings, _convolution(widths[start], widths[end], 3, 2, active=False))


class _Exchange(nn.Module):
    """HRNet's module: blocks in branches of several resolutions, each of which then gets the sum of all."""

    def __init__(self, widths: tuple[int, ...], blocks: int):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, start, end) for start in range(len(widths))) for end in range(len(widths))
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the branches → maps of the same shapes."""
        maps = [branch(one) for branch, one in zip(self.branches, maps, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            assert isinstance(paths, nn.ModuleList)
            fused.append(torch.relu(reduce(torch.add, (path(one) for path, one in zip(paths, maps, strict=True)))))
        return fused


def _transition(before: tuple[int, ...], after: tuple[int, ...]) -> nn.ModuleList:
    layers: list[nn.Module] = [
        nn.Identity() if have == want else _convolution(have, want, 3, 1, active=True)
        for have, want in zip(before, after, strict=False)
    ]
    # The new branch comes from the coarsest existing one.
    layers.append(nn.Sequential(_convolution(before[-1], after[-1], 3, 2, active=True)))
    return nn.ModuleList(layers)


class HRNet(ImageEncoder):
    """HRNet for crops of 256 × 256: the local maps are all four branches at 64 × 64, the vector is their mean.

    Pose estimators' state dicts lack the last exchange's paths into the coarser branches; those are trained here.

    Args:
        width: channels of the finest branch; 48 for HRNet-W48.
        modules: exchanges in stages 2, 3 and 4.
        blocks: in each branch between two exchanges.
    """

    trained_here = tuple(f"stage4.2.fuse_layers.{branch}." for branch in (1, 2, 3))

    def __init__(self, width: int = 48, modules: tuple[int, int, int] = (1, 4, 3), blocks: int = 4):
        super().__init__()
        self.features = self.channels = 15 * width
        self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.layer1 = _bottlenecks(64, 64, 4, 1)
        widths = [tuple(width * 2**level for level in range(branches)) for branches in (2, 3, 4)]
        self.transition1, self.transition2, self.transition3 = (
            _transition(before, after) for before, after in pairwise([(256,), *widths])
        )
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*(_Exchange(branches, blocks) for _ in range(count)))
            for branches, count in zip(widths, modules, strict=True)
        )

    def trunk(self, crops: Tensor) -> Tensor:
        """See `ImageEncoder`."""
        maps = torch.relu(self.bn1(self.conv1(_normalise(crops))))
        maps = self.layer1(torch.relu(self.bn2(self.conv2(maps))))
        branches = [maps]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            branches = stage([layer(one) for layer, one in zip(transition, [*branches, branches[-1]], strict=True)])
        size = branches[0].shape[-2:]
        coarse = [nn.functional.interpolate(one, size, mode="bilinear", align_corners=False) for one in branches[1:]]
        return torch.cat([branches[0], *coarse], dim=1)

    def maps(self, trunk: Tensor) -> Tensor:
        """See `ImageEncoder`."""
        return trunk


ENCODERS: Mapping[str, Callable[[], ImageEncoder]] = {"resnet50": ResNet50, "hrnet-w48": HRNet}
"""By their names in configurations."""


def load_public_weights(encoder: ImageEncoder, state: Mapping[str, Tensor]) -> list[str]:
    """Load a public state dict; returns the names in it that the encoder does not use, such as a classifier's.

    Raises:
        KeyError: a tensor that the encoder needs is missing.
        RuntimeError: a tensor has another shape.
    """
    needed = [name for name, _ in encoder.named_parameters()] + [
        name for name, _ in encoder.named_buffers() if not name.endswith("num_batches_tracked")
    ]
    missing = [name for name in needed if name not in state and not name.startswith(encoder.trained_here)]
    if missing:
        raise KeyError(f"the state dict lacks {', '.join(missing[:3])} so it is of another network")
    return encoder.load_state_dict(state, strict=False).unexpected_keys


def as_crops(pictures: Tensor) -> Tensor:
    """RGB crops (N, 3, 256, 256) of pictures (N, 256, 256, 3) in BGR."""
    return pictures.flip(-1).permute(0, 3, 1, 2)


def fold_normalisations(encoder: ImageEncoder) -> None:
    """Make normalisations part of the convolutions before them, as exporters do too: weights are then rounded once."""
    for parent in encoder.modules():
        children = list(parent.named_children())
        for (name, convolution), (after, norm) in pairwise(children):
            # In blocks the convolutions and their normalisations follow each other as in sequences.
            if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(convolution, nn.ConvTranspose2d)
                setattr(parent, name, fuse_conv_bn_eval(convolution, norm, transposed))
                setattr(parent, after, nn.Identity())
