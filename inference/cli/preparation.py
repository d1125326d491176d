"""Checks and downloads before a command begins."""

from __future__ import annotations

from .. import estimators, registry
from ..errors import VideoMotionError
from ..options import Options


class CommandError(VideoMotionError):
    """The command can't give its result; the message is one sentence for the user."""


def prepare(options: Options) -> None:
    """Fetch and verify everything first, so that a missing network gives one error and not one for each video."""
    networks = estimators.NETWORKS[options.network] if options.weights is None else (estimators.LIFTER,)
    for item in (*estimators.people_items(options.quality), *networks):
        registry.path(item)
    if options.weights is not None:
        # Imported late: it needs ONNX Runtime.
        from ..models import check_own

        check_own(options)
    if options.smpl is None:
        registry.body_path()
