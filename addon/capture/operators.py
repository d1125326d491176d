"""From a video to characters in the scene: the operators behind the panel."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...inference.footage.naming import VIDEO_SUFFIXES
from ...inference.options import ESTIMATION
from ...inference.worker.process import WorkerProcess
from .. import preferences
from ..interface import TAB, is_over_3d_view, menu_entry, select_only
from ..takes.making import make_takes
from ..takes.record import take_by_id, take_of
from . import jobs
from .looking import look_at
from .settings import IMAGE_SUFFIXES, VideoMotionSettings
from .solved_camera import keep_camera
from .worker_operator import ImportVideoError, WorkerOperator, check_part, load_result


class ImportVideo(WorkerOperator, bpy.types.Operator):
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
        self._video = _checked_video(settings)
        self._options = settings.as_options(context.scene)
        if settings.solved_camera is not None:
            self._options = replace(
                self._options,
                camera_file=keep_camera(settings.solved_camera, context.scene, preferences.cache_folder()),
            )
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


class FindPeople(WorkerOperator, bpy.types.Operator):
    """Find the people in the video, to choose from; the import reuses the result"""

    bl_idname = "video_motion.find_people"
    bl_label = "Find People"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the search in the worker."""
        settings = context.scene.video_motion
        options = replace(settings.as_options(context.scene), person=None)
        return jobs.find(_checked_video(settings), options.to_json(ESTIMATION))

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Report how many there are; the panel shows them."""
        count = len(value["people"])
        return "1 person found." if count == 1 else f"{count} people found."


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
    """Choose a video for the panel "Import Video Motion" in the sidebar"""

    bl_idname = "video_motion.open_video"
    bl_label = "Import Video Motion…"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES)), options={"HIDDEN"}
    )
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
        """Set the video in the panel and show the panel."""
        context.scene.video_motion.filepath = self.filepath
        if is_over_3d_view(context):
            context.area.spaces.active.show_region_ui = True
            for region in context.area.regions:
                if region.type == "UI":
                    _open_tab(region)
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


def _open_tab(region: bpy.types.Region) -> None:
    # Early versions do not let scripts choose the tab.
    with contextlib.suppress(AttributeError, TypeError):
        region.active_panel_category = TAB


classes = (
    ImportVideo,
    FindPeople,
    Cancel,
    ForgetProblem,
    OpenVideo,
    VideoHandler,
)
menu_entries = (("TOPBAR_MT_file_import", menu_entry(OpenVideo.bl_idname, "Video Motion (video)")),)
