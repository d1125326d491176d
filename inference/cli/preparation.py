"""Checks and downloads before a command begins."""

from __future__ import annotations

from pathlib import Path

from .. import estimators, registry
from ..errors import VideoMotionError


class CommandError(VideoMotionError):
    """The command can't give its result; the message is one sentence for the user."""


def prepare(smpl: Path | None, network: str) -> None:
    """Fetch everything first, so that a missing network gives one error and not one for each video."""
    for item in estimators.NETWORKS[network]:
        registry.path(item)
    if smpl is None:
        registry.body_path()
