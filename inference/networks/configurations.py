"""Sizes of the networks, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TarConfiguration:
    """Sizes of a Temporal-Aware Refining Network.

    Attributes:
        encoder: what describes frames: `blazepose`, or one of `encoders.ENCODERS`.
        features: numbers that describe a frame.
        maps: local maps of a frame.
        frames: T, frames of a window.
        static_width: length of a frame's global feature.
        width: of the transformer.
        feedforward: inside the transformer's layers.
        layers: of the transformer.
        heads: of its attention.
        dropout: in the transformer while training.
        state_layer: hidden units of the MLP that makes the hidden states.
        state_width: length of each hidden state.
        local_channels: D.
        local_size: height and width of the local feature maps.
        hidden_size: S, height and width of the ConvGRU's hidden maps.
        local_window: L, frames that the ConvGRU sees.
        iterations: of the refinement.
        radius: of the window around a marker, in cells of the local maps.
        marker_dropout: share of markers not shown while training.
        global_temporal: whether the transformer is there.
        local_temporal: whether the ConvGRU is there.
        refine: whether the refinement is there.
    """

    encoder: str = "blazepose"
    features: int = 243
    maps: int = 40
    frames: int = 9
    static_width: int = 2048
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


CONFIGURATIONS: dict[str, TarConfiguration] = {
    "tar-64": TarConfiguration(hidden_size=64),
    "tar-32": TarConfiguration(hidden_size=32),
    "tar-16": TarConfiguration(hidden_size=16),
    "tar-8": TarConfiguration(hidden_size=8),
    "tar-64-resnet50": TarConfiguration(encoder="resnet50", features=2048, maps=256),
    "tar-64-hrnet-w48": TarConfiguration(encoder="hrnet-w48", features=720, maps=720),
    "tar-compact": TarConfiguration(
        static_width=512,
        width=256,
        feedforward=512,
        heads=4,
        dropout=0.05,
        state_layer=512,
        local_channels=16,
        local_size=32,
        hidden_size=16,
    ),
}
