"""From a video to characters in the scene: the operators behind the panel."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...inference.errors import VideoMotionError
from ...inference.footage.naming import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ...inference.options import ESTIMATION, Options, Who
from ...inference.worker.process import WorkerProcess
from .. import preferences
from ..interface import TAB, is_over_3d_view, menu_entry, redraw, select_only
from ..takes.making import make_takes
from ..takes.record import take_by_id, take_of
from . import jobs
from .looking import look_at
from .settings import VideoMotionSettings
from .solved_camera import keep_camera
from .video_queue import CANCELLED, DONE, FAILED, RUNNING
from .worker_operator import TICK_SECONDS, ImportVideoError, WorkerOperator, check_part, load_result

_TAB_SECONDS, _TAB_TRIES = 0.05, 20


class _ImportOperator(WorkerOperator):
    """Base of the operators that turn videos into takes."""

    def convert(self, context: bpy.types.Context, video: Path, options: Options) -> WorkerProcess:
        """Start the conversion of a video by options."""
        self._video, self._options = video, options
        self._scene = context.scene.name
        selected = take_of(context)
        self._replaced = selected.session_uid if selected is not None else 0
        return jobs.start("convert", video=str(self._video), options=self._options.to_json(ESTIMATION))

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Make the take."""
        # The user may have removed the scene, or switched to another.
        scene = bpy.data.scenes.get(self._scene) or context.scene
        motions, body = load_result(value)
        replaced = take_by_id(self._replaced)
        takes, places = make_takes(scene, motions, body, self._video, self._options, value["report"], replaced)
        _select(context, scene, [character.armature for character in takes[0].characters])
        if self._options.look and context.scene == scene:
            look_at(context, takes[:1], places, self._mouse)
        return _summary(value["report"], len(motions))


class ImportVideo(_ImportOperator, bpy.types.Operator):
    """Find the people in the video and animate a character for each"""

    bl_idname = "video_motion.import_video"
    bl_label = "Import Motion"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a video that can be read."""
        if jobs.is_unreadable(context.scene.video_motion.video):
            cls.poll_message_set(jobs.video_info["message"])
            return False
        return super().poll(context)

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the conversion in the worker."""
        settings = context.scene.video_motion
        video, options = _checked_video(settings), settings.as_options(context.scene)
        if settings.solved_camera is not None:
            camera = keep_camera(settings.solved_camera, context.scene, preferences.cache_folder())
            options = replace(options, camera_file=camera)
        return self.convert(context, video, options)


class ImportQueue(_ImportOperator, bpy.types.Operator):
    """Import the waiting videos one after the other, by the same settings; each is a take and one step of undo"""

    bl_idname = "video_motion.import_queue"
    bl_label = "Import Video"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a video that waits."""
        return bool(context.window_manager.video_motion_queue.waiting()) and super().poll(context)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Go on to the next video when one has ended."""
        if event.type != "TIMER" or self._job is None or not self._job.ended:
            return {"PASS_THROUGH"}
        self._mouse = event.mouse_x, event.mouse_y
        self._take_in(context)
        if self._start(context):
            return {"PASS_THROUGH"}
        self._stop_timer(context)
        return {"FINISHED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Import them all, for scripts."""
        while self._start(context):
            while jobs.poll():
                time.sleep(TICK_SECONDS / 4)
            self._take_in(context)
        return {"FINISHED"}

    def _start(self, context: bpy.types.Context) -> bool:
        """Begin the next video that can be; what can't is told in the list."""
        queue = context.window_manager.video_motion_queue
        for video in queue.waiting():
            self._key = video.key
            try:
                self._job = self.begin(context)
            except VideoMotionError as error:
                queue.settle(self._key, FAILED, str(error))
            except OSError as error:
                queue.settle(self._key, FAILED, preferences.unwritable(error))
            else:
                queue.settle(self._key, RUNNING)
                return True
        redraw()
        return False

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the conversion of the video, whole, with everyone in it."""
        video = context.window_manager.video_motion_queue.by_key(self._key)
        path = Path(video.filepath)
        if not path.exists():
            raise ImportVideoError(f"{path} does not exist: leave it out, or add it from its new place.")
        options = context.scene.video_motion.as_options(context.scene, everyone=True)
        whole = replace(options, start=None, end=None, frame_rate=None, look=options.look and not self._looked)
        return self.convert(context, path, whole)

    def _take_in(self, context: bpy.types.Context) -> None:
        """Make the take of the video that has ended, or tell why there is none."""
        queue, job = context.window_manager.video_motion_queue, self._job
        assert job is not None
        try:
            if job.cancelled:
                queue.settle(self._key, CANCELLED, "Cancelled; the results so far are kept for the next run.")
            elif job.value is None:
                queue.settle(self._key, FAILED, job.message or "")
            else:
                queue.settle(self._key, DONE, self.finish(context, job.value))
                self._looked = True
                if not bpy.app.background:
                    bpy.ops.ed.undo_push(message=f"Import {self._video.name}")
        except ImportVideoError as error:
            queue.settle(self._key, FAILED, str(error))
        finally:
            job.close()
            redraw()

    _key = 0
    _looked = False


class LeaveOut(bpy.types.Operator):
    """Take this video out of the queue; if it is being imported, stop that"""

    bl_idname = "video_motion.leave_out"
    bl_label = "Leave Out"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    index: IntProperty()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Cancel it or take it out."""
        queue = context.window_manager.video_motion_queue
        if queue.videos[self.index].state == RUNNING:
            jobs.cancel()
        else:
            queue.leave_out(self.index)
        return {"FINISHED"}


class ClearQueue(bpy.types.Operator):
    """Cancel all: take every video out of the queue, and stop the one that is being imported"""

    bl_idname = "video_motion.clear_queue"
    bl_label = "Cancel All"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Empty the queue."""
        queue = context.window_manager.video_motion_queue
        queue.clear()
        if queue.running():
            jobs.cancel()
        return {"FINISHED"}


class FindPeople(WorkerOperator, bpy.types.Operator):
    """Find the people in the video, to choose from; the import reuses the result"""

    bl_idname = "video_motion.find_people"
    bl_label = "Find People"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the search in the worker."""
        settings = context.scene.video_motion
        options = settings.as_options(context.scene, everyone=True)
        return jobs.find(_checked_video(settings), options.to_json(ESTIMATION))

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Report how many there are; the panel shows them."""
        count = len(value["people"])
        return "1 person found." if count == 1 else f"{count} people found."


class ChoosePerson(bpy.types.Operator):
    """Take their motion, or not. Ctrl-click takes that of nobody else"""

    bl_idname = "video_motion.choose_person"
    bl_label = "Choose People"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    person: IntProperty(description="Number of the person; 0 for everyone")
    shot: IntProperty(description="Number of the shot; 0 for all")
    only: BoolProperty(description="Choose nobody else", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Blender isolates by the same key."""
        self.only = event.ctrl
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Choose those who were found and are meant."""
        group = jobs.found_people(Who(self.person or None, self.shot or None))
        if not group:
            return {"CANCELLED"}
        context.scene.video_motion.choose_people(group, self.only)
        return {"FINISHED"}


class TrimHere(bpy.types.Operator):
    """Let the part of the video that is used begin, or end, with the picture shown"""

    bl_idname = "video_motion.trim_here"
    bl_label = "Trim Here"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    part: EnumProperty(items=[("start", "Start", "The first picture"), ("end", "End", "The last picture")])

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a video that was looked at."""
        return "frame_rate" in jobs.video_info

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Move that end, and switch trimming on."""
        settings, moment = context.scene.video_motion, jobs.moment
        settings.trim = True
        if self.part == "start":
            settings.start = moment
        else:
            rate = settings.rate_of_video
            assert rate is not None
            # The picture itself is used.
            settings.end = moment + 1.0 / rate
        return {"FINISHED"}


class Cancel(bpy.types.Operator):
    """Stop at once; the results so far are kept for the next run"""

    bl_idname = "video_motion.cancel"
    bl_label = "Cancel"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs something to cancel."""
        return jobs.is_busy()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """End the worker."""
        jobs.cancel()
        return {"FINISHED"}


class ForgetProblem(bpy.types.Operator):
    """Hide this message"""

    bl_idname = "video_motion.forget_problem"
    bl_label = "Hide Message"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Forget why the last job failed."""
        jobs.problem = None
        return {"FINISHED"}


class OpenVideo(bpy.types.Operator, ImportHelper):
    """Choose a video, or several to import one after the other, for the panel "Import Video Motion" in the sidebar"""

    bl_idname = "video_motion.open_video"
    bl_label = "Import Video Motion…"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES)), options={"HIDDEN"}
    )
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    add: BoolProperty(description="Add to the queue", options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    # The numbers are those of the file browser.
    display_type: EnumProperty(items=[("THUMBNAIL", "Thumbnails", "", 3)], options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """A dropped file is already known."""
        if self.filepath:
            return self.execute(context)
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set the video in the panel, or let several wait, and show the panel."""
        settings, queue = context.scene.video_motion, context.window_manager.video_motion_queue
        videos = [Path(self.directory) / file.name for file in self.files if file.name]
        videos = [one for one in videos if one.suffix.lower() in VIDEO_SUFFIXES]
        if len(videos) > 1 or self.add:
            queue.add(videos or [Path(self.filepath)])
        else:
            settings.filepath = self.filepath
        if is_over_3d_view(context):
            context.area.spaces.active.show_region_ui = True
            _open_tab(context.area)
            self.report({"INFO"}, f"Chosen: import it in the sidebar's tab {TAB}.")
        return {"FINISHED"}


class VideoHandler(bpy.types.FileHandler):
    """Lets a video be dropped into the 3D view."""

    bl_idname = "VIDEO_MOTION_FH_video"
    bl_label = "Import Video Motion"
    bl_import_operator = "video_motion.open_video"
    bl_file_extensions = ";".join(sorted(VIDEO_SUFFIXES))

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        """In 3D views."""
        return is_over_3d_view(context)


def _checked_video(settings: VideoMotionSettings) -> Path:
    video = settings.video
    if video is None:
        raise ImportVideoError("Choose a video first.")
    if not video.exists():
        raise ImportVideoError(f"{video} does not exist: choose another video.")
    check_part(settings)
    return video


def _select(context: bpy.types.Context, scene: bpy.types.Scene, armatures: list[bpy.types.Object]) -> None:
    """Leave the new characters selected, the first of them active, as other importers do."""
    if context.scene == scene and context.mode == "OBJECT":
        select_only(context, armatures[::-1])


def _summary(report: dict[str, Any], count: int) -> str:
    who = "1 person" if count == 1 else f"{count} people"
    seconds = sum(report["timings"].values())
    warnings = len(report["warnings"])
    more = (
        ""
        if not warnings
        else " One warning is in the panel."
        if warnings == 1
        else f" {warnings} warnings are in the panel."
    )
    return f"{who} imported in {seconds:.0f} s.{more}"


def _open_tab(area: bpy.types.Area) -> None:
    """Choose the add-on's tab in the sidebar of an area as soon as Blender has drawn it, for it has no tabs before."""
    wanted, tries = area.as_pointer(), iter(range(_TAB_TRIES))

    def choose() -> float | None:
        areas = [one for window in bpy.context.window_manager.windows for one in window.screen.areas]
        regions = [region for one in areas if one.as_pointer() == wanted for region in one.regions]
        for region in regions:
            # Blender 4 does not let scripts choose.
            with contextlib.suppress(AttributeError, TypeError):
                if region.type == "UI" and region.active_panel_category == TAB:
                    return None
                if region.type == "UI":
                    region.active_panel_category = TAB
                    region.tag_redraw()
        return _TAB_SECONDS if next(tries, None) is not None else None

    bpy.app.timers.register(choose, first_interval=_TAB_SECONDS)


classes = (
    ImportVideo,
    ImportQueue,
    LeaveOut,
    ClearQueue,
    FindPeople,
    ChoosePerson,
    TrimHere,
    Cancel,
    ForgetProblem,
    OpenVideo,
    VideoHandler,
)
menu_entries = (("TOPBAR_MT_file_import", menu_entry(OpenVideo.bl_idname, "Video Motion (video)")),)
