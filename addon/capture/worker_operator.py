"""The base class of operators that wait for the worker process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import bpy

from ...inference.body.smpl import Body
from ...inference.errors import VideoMotionError
from ...inference.motion.motion import Motion
from ...inference.worker.process import WorkerProcess
from .. import preferences
from ..interface import redraw
from . import jobs

TICK_SECONDS = 0.1


class ImportVideoError(VideoMotionError):
    """The motion can't be made or put into the scene; the message is one sentence for the user."""


class WorkerOperator:
    """Starts a job and uses its result; modal in the interface, blocking for scripts."""

    bl_options: ClassVar[set[str]] = {"UNDO"}

    if TYPE_CHECKING:
        report: Any
        poll_message_set: Any

    _timer: bpy.types.Timer | None = None
    _severity = "ERROR"
    _job: WorkerProcess | None = None
    _mouse: tuple[int, int] | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """One job at a time."""
        if jobs.is_busy():
            cls.poll_message_set("Something else is running: wait for it, or cancel it")
        return not jobs.is_busy()

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the job. Raises `ImportVideoError` or OSError if it can't be started."""
        raise NotImplementedError

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Use the result and return a message for the user. Raises `ImportVideoError` if it can't be used."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Start the job, and wait without blocking Blender."""
        # An error would open a window over the panel, which says the same.
        self._severity = "WARNING"
        if not self._start(context):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK_SECONDS, window=context.window)
        context.window_manager.modal_handler_add(self)
        _waiting.append(self._timer)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Check whether the job has ended."""
        if event.type != "TIMER" or self._job is None:
            return {"PASS_THROUGH"}
        if not self._job.ended:
            return {"PASS_THROUGH"}
        self._stop_timer(context)
        self._mouse = event.mouse_x, event.mouse_y
        return self._end(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender is ending this operator: another file is opened, or Blender closes."""
        self._stop_timer(context)
        if self._job is not None:
            self._job.cancel()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Run the job to its end, for scripts."""
        if not self._start(context):
            return {"CANCELLED"}
        while jobs.poll():
            time.sleep(TICK_SECONDS / 4)
        return self._end(context)

    def _start(self, context: bpy.types.Context) -> bool:
        try:
            self._job = self.begin(context)
        except VideoMotionError as error:
            return self._fail(str(error))
        except OSError as error:
            return self._fail(preferences.unwritable(error))
        return True

    def _end(self, context: bpy.types.Context) -> set[str]:
        job = self._job
        assert job is not None
        if job.cancelled:
            self.report({"INFO"}, "Cancelled; the results so far are kept for the next run.")
            return {"CANCELLED"}
        if job.value is None:
            self._fail(job.message or "")
            return {"CANCELLED"}
        try:
            self.report({"INFO"}, self.finish(context, job.value))
        except ImportVideoError as error:
            self._fail(str(error))
            return {"CANCELLED"}
        finally:
            job.close()
            redraw()
        return {"FINISHED"}

    def _fail(self, message: str) -> bool:
        jobs.fail(message)
        self.report({self._severity}, message)
        return False

    def _stop_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None and self._timer in _waiting:
            _waiting.remove(self._timer)
            context.window_manager.event_timer_remove(self._timer)
        self._timer = None


def check_part(settings: Any) -> None:
    """Check that the part of the video that settings choose is not empty.

    Raises:
        ImportVideoError: it is.
    """
    if settings.trim and 0 < settings.end <= settings.start:
        raise ImportVideoError(f"The part from {settings.start:g} s to {settings.end:g} s is empty: let it end later.")


def load_result(value: dict[str, Any]) -> tuple[list[Motion], Body]:
    """The motions of a conversion's result and their body.

    Raises:
        ImportVideoError: a file can't be read.
    """
    try:
        return [Motion.load(Path(file)) for file in value["motions"]], Body.load(value["body"])
    except VideoMotionError as error:
        raise ImportVideoError(str(error)) from error


_waiting: list[bpy.types.Timer] = []


def unregister() -> None:
    """Remove the timers of operators that are still waiting."""
    for timer in _waiting:
        bpy.context.window_manager.event_timer_remove(timer)
    _waiting.clear()
