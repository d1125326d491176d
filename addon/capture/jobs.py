"""The current job, the results of the last ones, and the timer that polls them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews

from ...inference.options import FOOTAGE, Options, Who
from ...inference.worker.process import WorkerProcess
from .. import preferences
from ..interface import redraw

TICK_SECONDS = 0.1

PART = ("start", "end")
"""Names of the pictures of the first and the last frame of the chosen part."""

MOMENT = "moment"
"""Name of the picture of the moment that the panel shows."""

LIVE_SECONDS = 0.03
"""How often the process for previews is asked while it looks for a picture."""

_IDLE_SECONDS = 20.0
_EVERYONE = Who()

current: WorkerProcess | None = None
"""The user's last job, running or ended."""

probe_job: WorkerProcess | None = None
"""The running probe of the chosen video; a new one replaces it."""

video_info: dict[str, Any] = {}
"""Result of the last probe: the video's properties, or why it can't be read (`message`)."""

probed_video: Path | None = None
peeked_video: Path | None = None
"""The video that pictures were looked for in last."""

moment = 0.0
"""The second of the video that the panel shows."""

people: list[dict[str, Any]] = []
"""The people that the last search found in `people_video`."""

people_video: Path | None = None
problem: str | None = None
"""Why the last job failed, until the next."""

_peek_job: WorkerProcess | None = None
_peek_wanted: dict[str, float] = {}
_peek_content: dict[str, Any] = {}
_peek_until = 0.0
_devices: list[dict[str, Any]] = []
_pictures: bpy.utils.previews.ImagePreviewCollection | None = None
_when_ended: Callable[[WorkerProcess], None] | None = None


def is_busy() -> bool:
    """Whether the user's job is running."""
    return current is not None and not current.ended


def start(task: str, when_ended: Callable[[WorkerProcess], None] | None = None, **content: Any) -> WorkerProcess:
    """Start a job; ``when_ended`` is called on the main thread.

    Raises:
        OSError: it can't be started.
    """
    global current, problem, _when_ended
    if current is not None:
        current.close()
    problem = None
    _when_ended = when_ended
    current = WorkerProcess(task, preferences.weights_folder(), preferences.cache_folder(), **content)
    _listen()
    return current


def cancel() -> None:
    """End the user's job."""
    if current is not None:
        current.cancel()
    redraw()


def fail(message: str) -> None:
    """Keep a message for the panel."""
    global problem
    problem = message
    redraw()


def is_unreadable(video: Path | None) -> bool:
    """Whether the last probe of a video found that it can't be read."""
    return video is not None and probed_video == video and "message" in video_info


def probe(video: Path | None) -> None:
    """Start to probe a video and the devices."""
    global probe_job, probed_video, moment
    if probe_job is not None:
        probe_job.close()
        probe_job = None
    video_info.clear()
    forget_pictures((*PART, MOMENT))
    moment = 0.0
    probed_video = video
    if bpy.app.background or video is None:
        return
    try:
        probe_job = WorkerProcess("look", preferences.weights_folder(), preferences.cache_folder(), video=str(video))
    except OSError as error:
        video_info["message"] = preferences.unwritable(error)
        return
    _listen()


def probe_later(video: Path | None) -> None:
    """Like `probe`, for drawing code, where Blender allows no changes."""
    global probed_video
    probed_video = video
    bpy.app.timers.register(lambda: probe(video), first_interval=0.0)


def peek(video: Path, frame_rate: float | None, moments: Mapping[str, float]) -> None:
    """Show pictures of a video at some seconds soon; of each the latest call counts.

    Args:
        video: the file or folder.
        frame_rate: of a folder of images.
        moments: the seconds by the picture's name.
    """
    global _peek_job, _peek_content, peeked_video
    if bpy.app.background:
        return
    if peeked_video != video:
        forget_pictures((*PART, MOMENT))
        _peek_wanted.clear()
    peeked_video = video
    _peek_content = {"video": str(video), "options": Options(frame_rate=frame_rate).to_json([FOOTAGE])}
    _peek_wanted.update(moments)
    if _peek_job is not None and not _peek_job.ended:
        return
    try:
        _peek_job = WorkerProcess(
            "peek",
            preferences.weights_folder(),
            preferences.cache_folder(),
            more=True,
            moments=dict(_peek_wanted),
            **_peek_content,
        )
    except OSError:
        # The import tells why.
        return
    _peek_wanted.clear()
    _listen()


def _poll_peek() -> bool:
    """Show what the process for previews has found, and ask it for what is wanted by now."""
    global _peek_job, _peek_until
    job = _peek_job
    if job is None:
        return False
    changed, now = job.poll(), time.monotonic()
    if changed and job.answered:
        for name, file in (job.value or {}).items():
            if job.subject == str(peeked_video):
                _load_picture(name, file)
            Path(file).unlink(missing_ok=True)
        _peek_until = now + _IDLE_SECONDS
    if job.answered and _peek_wanted and not job.ended:
        wanted = dict(_peek_wanted)
        _peek_wanted.clear()
        job.begin("peek", moments=wanted, **_peek_content)
    elif job.ended or (job.answered and now > _peek_until):
        job.close()
        _peek_job = None
    return changed


def find(video: Path, options: dict[str, Any]) -> WorkerProcess:
    """Start to search for the people in a video.

    Raises:
        OSError: the job can't be started.
    """

    def store_people(job: WorkerProcess) -> None:
        global people_video
        if job.value is not None:
            people[:] = job.value["people"]
            people_video = video
            for person in people:
                _load_picture(picture_name(person), person["picture"])

    people.clear()
    return start("find", store_people, video=str(video), options=options)


def found_people(who: Who = _EVERYONE) -> list[tuple[int, int]]:
    """Those of `people` who are meant, each a shot and a number."""
    found = [(person["shot"], person["person"]) for person in people]
    return [one for one in found if who.includes(*one)]


def gpus() -> list[dict[str, Any]]:
    """The graphics cards, each with its id, name, whether it is available and why not."""
    return [device for device in _devices if device["id"] != "cpu"]


def picture_name(person: dict[str, Any]) -> str:
    """The name of the picture of one of `people`."""
    return f"shot {person['shot']} person {person['person']}"


def picture(name: str) -> int:
    """The icon number of a picture, 0 if there is none."""
    return _pictures[name].icon_id if _pictures is not None and name in _pictures else 0


def poll() -> bool:
    """Process the messages of the worker processes; return whether one still runs."""
    global probe_job, _when_ended
    changed = False
    if probe_job is not None and probe_job.poll():
        changed = True
        if probe_job.ended:
            _handle_probe(probe_job)
            probe_job.close()
            probe_job = None
    if current is not None and current.poll():
        changed = True
    changed |= _poll_peek()
    if current is not None and current.ended and _when_ended is not None:
        when_ended, _when_ended = _when_ended, None
        if current.message is not None:
            fail(current.message)
        when_ended(current)
        changed = True
    if changed:
        redraw()
    return is_busy() or probe_job is not None


def register() -> None:
    """Prepare for showing pictures."""
    global _pictures
    if not bpy.app.background:
        _pictures = bpy.utils.previews.new()
    bpy.app.handlers.load_pre.append(_end_all)


def unregister() -> None:
    """End every job and clear their results."""
    global _pictures
    _end_all()
    bpy.app.handlers.load_pre.remove(_end_all)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
        _pictures = None


@bpy.app.handlers.persistent
def _end_all(*_: object) -> None:
    global current, probe_job, probed_video, people_video, problem, _when_ended
    global _peek_job, peeked_video, moment
    for process in (current, probe_job, _peek_job):
        if process is not None:
            process.close()
    current = probe_job = probed_video = people_video = problem = _when_ended = None
    _peek_job = peeked_video = None
    moment = 0.0
    _peek_wanted.clear()
    video_info.clear()
    people.clear()


def _listen() -> None:
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _tick() -> float | None:
    working = poll()
    if _peek_job is not None and not _peek_job.answered:
        return LIVE_SECONDS
    return TICK_SECONDS if working or _peek_job is not None else None


def _handle_probe(job: WorkerProcess) -> None:
    if job.value is None:
        video_info["message"] = job.message or ""
        return
    video_info.update(job.value)
    _devices[:] = job.value["devices"]
    _load_picture("first", job.value["picture"])


def forget_pictures(names: Iterable[str]) -> None:
    """Show pictures of these names no more."""
    for name in names:
        if _pictures is not None and name in _pictures:
            del _pictures[name]


def _load_picture(name: str, file: str) -> None:
    if _pictures is None or not file:
        return
    forget_pictures([name])
    shown = _pictures.load(name, file, "IMAGE")
    # Access loads it; the file is deleted with the job.
    assert shown.image_size[0]
