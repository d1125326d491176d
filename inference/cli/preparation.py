"""Checks and downloads before a command begins."""

from __future__ import annotations

from .. import estimators, registry
from ..errors import VideoMotionError
from ..options import Options


class CommandError(VideoMotionError):
    """The command can't give its result; the message is one sentence for the user."""


def prepare(options: Options) -> None:
    """Fetch and verify everything first, so that a missing network gives one error and not one for each video."""
    for item in (*estimators.people_items(options.quality), *estimators.NETWORKS[options.network]):
        registry.path(item)
    if options.smpl is None:
        registry.body_path()
