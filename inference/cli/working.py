"""Who works on the calls of `train` and `evaluate`: this machine or a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from .. import registry
from ..batch import interruption
from ..batch.inputs import VideoInput
from ..options import Options
from .types import count

SCHEDULER_HELP = "let the workers of a Dask cluster do the work (tcp://HOST:8786), in place of this machine"


def add_workers(command: argparse.ArgumentParser, jobs: int) -> None:
    """Add the arguments that say who works."""
    command.add_argument("--jobs", type=count, default=jobs, metavar="N", help=f"processes (default: {jobs})")
    command.add_argument("--scheduler", metavar="ADDRESS", help=SCHEDULER_HELP)


def work(calls: Iterator[VideoInput], chosen: argparse.Namespace) -> int:
    """Let those whom the command line chose work on calls; return the exit status.

    Raises:
        VideoMotionError: nobody can work.
    """
    from ..batch.calls import CallQueue
    from ..batch.local import LocalRunner

    interruption.listen()
    if chosen.scheduler is None:
        queue = CallQueue(calls, LocalRunner({}, registry.cache_folder(), None, None, chosen.jobs))
    else:
        from .cluster import ClusterRunner

        queue = CallQueue(calls, ClusterRunner(chosen.scheduler, Options(format=()), research=True))
    failed, interrupted = queue.run()
    return interruption.STATUS if interrupted else int(failed)
