"""Sizes that all networks have in common; a module apart, because networks and configurations both need it."""

from __future__ import annotations

from dataclasses import dataclass

from ...pose.features import SIZE

LIFTED = 192 + 157
"""Features that the lifter adds: its own, and its estimate's vector."""


@dataclass(frozen=True)
class Settings:
    """Sizes that all networks have.

    Attributes:
        encoder: what describes frames: `blazepose`, or one of `encoders.ENCODERS`.
        features: length of a frame's feature vector: the detector's features, then the lifter's.
        static_width: length of a frame's static feature.
        frames: T, frames of a window.
        target: index of the frame that is estimated.
    """

    encoder: str = "blazepose"
    features: int = SIZE + LIFTED
    static_width: int = 2048
    frames: int = 1
    target: int = 0
