"""The queue: several videos that are imported one after the other, by the same settings.

It belongs to the window, not to the file, as jobs do: opening another file empties it, and undo leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.app.handlers import persistent
from bpy.props import CollectionProperty, IntProperty, PointerProperty, StringProperty

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"


class QueuedVideo(bpy.types.PropertyGroup):
    """A video of the queue; `key` is its alone, `message` what came of it."""

    key: IntProperty()
    name: StringProperty(name="Video", description="One of the videos that are imported one after the other")
    filepath: StringProperty()
    state: StringProperty(default=WAITING)
    message: StringProperty()


class VideoQueue(bpy.types.PropertyGroup):
    """The videos in the order in which they are imported."""

    videos: CollectionProperty(type=QueuedVideo)
    index: IntProperty(name="Video", description="Select a video to read what came of it")
    last_key: IntProperty()

    def add(self, files: Iterable[Path]) -> None:
        """Let videos wait, once each; what is through goes."""
        for number in reversed(range(len(self.videos))):
            if self.videos[number].state not in (WAITING, RUNNING):
                self.videos.remove(number)
        known = {video.filepath for video in self.videos}
        for file in files:
            if str(file) not in known:
                self.last_key += 1
                video = self.videos.add()
                video.key, video.name, video.filepath = self.last_key, file.name, str(file)

    def waiting(self) -> list[QueuedVideo]:
        """The videos that are still to come."""
        return [video for video in self.videos if video.state == WAITING]

    def running(self) -> bool:
        """Whether one is being imported."""
        return any(video.state == RUNNING for video in self.videos)

    def chosen(self) -> QueuedVideo | None:
        """The selected one."""
        return self.videos[self.index] if 0 <= self.index < len(self.videos) else None

    def by_key(self, key: int) -> QueuedVideo | None:
        """The one with a key, None where it was left out."""
        return next((video for video in self.videos if video.key == key), None)

    def settle(self, key: int, state: str, message: str = "") -> None:
        """Keep what came of a video, and select one that failed."""
        for number, video in enumerate(self.videos):
            if video.key == key:
                video.state, video.message = state, message
                if state == FAILED:
                    self.index = number

    def leave_out(self, number: int) -> None:
        """Take a video out, unless it is being imported."""
        if self.videos[number].state != RUNNING:
            self.videos.remove(number)
            self.index = min(self.index, max(len(self.videos) - 1, 0))

    def clear(self) -> None:
        """Take out every video but the one that is being imported."""
        for number in reversed(range(len(self.videos))):
            self.leave_out(number)


@persistent
def _forget(*_: object) -> None:
    queue = bpy.context.window_manager.video_motion_queue
    queue.videos.clear()
    queue.index = 0


classes = (QueuedVideo, VideoQueue)


def register() -> None:
    """Add the queue to the window manager."""
    bpy.types.WindowManager.video_motion_queue = PointerProperty(type=VideoQueue)
    bpy.app.handlers.load_pre.append(_forget)


def unregister() -> None:
    """Remove it."""
    bpy.app.handlers.load_pre.remove(_forget)
    del bpy.types.WindowManager.video_motion_queue
