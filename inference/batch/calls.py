"""Work of training and evaluation through the same queue as videos: on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator

from ..console import say
from .inputs import FAILED, VideoInput
from .queue import Queue, Runner
from .summary import Summary, print_error


class CallQueue(Queue):
    """Lets a runner work on calls.

    Args:
        calls: inputs with a `call`; the next one is asked for when somebody wants it.
        runner: who works on them.
    """

    def __init__(self, calls: Iterator[VideoInput], runner: Runner):
        super().__init__(runner)
        self._calls = calls
        self._begun: list[VideoInput] = []
        self._summary = Summary(self._begun, (), None, {}, runner.notes, "the same command")

    def run(self) -> tuple[bool, bool]:
        """Work on all calls; return whether one gave no result, and whether that was interrupted."""
        self._runner.check()
        interrupted = self._work()
        self._summary.close(interrupted)
        return self._summary.failed, interrupted

    def _next(self) -> VideoInput | None:
        one = next(self._calls, None)
        if one is not None:
            self._begun.append(one)
        return one

    def _take(self, one: VideoInput) -> None:
        if one.state == FAILED:
            print_error(one.message)
        else:
            say(f"{one.video}: {one.seconds:.1f} s")
