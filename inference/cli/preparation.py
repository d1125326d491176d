"""Checks and downloads before a command begins."""

from __future__ import annotations

from pathlib import Path

from .. import estimators, registry
from ..errors import VideoMotionError


class CommandError(VideoMotionError):
    """The command can't give its result; the message is one sentence for the user."""


def check_folder(out: Path | None) -> None:
    """Raise a `CommandError` if results can't go to `out` because it is a file."""
    if out is not None and out.exists() and not out.is_dir():
        raise CommandError(f"{out} is a file: give a folder to --out.")


def prepare(smpl: Path | None, network: str) -> None:
    """Fetch everything first, so that a missing network gives one error and not one for each video."""
    for item in estimators.NETWORKS[network]:
        registry.path(item)
    if smpl is None:
        registry.body_path()
