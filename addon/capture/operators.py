"""From a video to characters in the scene: the operators behind the panel."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import bpy
import numpy as np
from bpy.props import StringProperty
from bpy_extras.io_utils import ImportHelper

from ...inference.body.smpl import Body
from ...inference.errors import VideoMotionError
from ...inference.footage.naming import VIDEO_SUFFIXES
from ...inference.motion.motion import Motion
from ...inference.options import ESTIMATION, Options
from ...inference.worker.process import WorkerProcess
from ..interface import TAB, is_over_3d_view, menu_entry, select_only
from ..scene.backdrop import BackdropError, movie_rate
from ..scene.keyframes import scene_frame_rate
from ..scene.take import SceneOptions, build_scene, replace_action, replace_camera, reshape
from . import jobs
from .looking import look_at
from .settings import IMAGE_SUFFIXES, SLIDERS, VideoMotionSettings
from .worker_operator import ImportVideoError, WorkerOperator

TAKE = "video_motion"
"""Name of the property of a take's collection that holds how it was made, as JSON."""


class ImportVideo(WorkerOperator, bpy.types.Operator):
    """Find the people in the video and animate a character for each"""

    bl_idname = "video_motion.import_video"
    bl_label = "Import Motion"

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the conversion in the worker."""
        settings = context.scene.video_motion
        self._video = _checked_video(settings)
        self._options = settings.as_options(context.scene)
        self._scene = context.scene.name
        return jobs.start("convert", video=str(self._video), options=self._options.to_json(ESTIMATION))

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Make the take."""
        # The user may have removed the scene, or switched to another.
        scene = bpy.data.scenes.get(self._scene) or context.scene
        motions, body = _load(value)
        report = value["report"]
        footage = self._video if self._options.camera and self._video.is_file() else None
        if footage is not None:
            try:
                movie_rate(footage)
            except BackdropError as error:
                report["warnings"].append(f"{error} The camera has no footage behind it.")
                footage = None
        options = SceneOptions.from_options(self._options, motions)
        options = replace(options, lights=False)
        take = build_scene(motions, body, footage, options, scene)
        _record_provenance(take.collection, self._video, self._options, report)
        _select(context, scene, [character.armature for character in take.characters])
        if self._options.look and context.scene == scene:
            look_at(context, [take], np.concatenate([motion.joints_world for motion in motions]), self._mouse)
        return _summary(report, len(motions))


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


class UpdateMotion(WorkerOperator, bpy.types.Operator):
    """Make this take's motion again with the height, smoothing and feet chosen here, without running the networks"""

    bl_idname = "video_motion.update_motion"
    bl_label = "Update Motion"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a take that came from a video."""
        if take_of(context) is None:
            cls.poll_message_set("Select a character that was imported from a video")
            return False
        return super().poll(context)

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the conversion in the worker, with the characters' shapes unless their height is another now."""
        collection = take_of(context)
        assert collection is not None
        provenance = provenance_of(collection)
        self._take = collection.name
        video = Path(bpy.path.abspath(provenance["video"]))
        if not video.exists():
            raise ImportVideoError(f"{video} is missing: put the video back, or import it from its new place.")
        settings = context.scene.video_motion
        chosen = settings.as_options(context.scene)
        before = Options.from_json(provenance["options"])
        self._options = replace(
            before, **{name: getattr(chosen, name) for name in (*SLIDERS, "height")}, device=chosen.device
        )
        self._whole_frames = chosen.whole_frames
        self._new_shapes = chosen.height != before.height
        shapes = {person: armature[TAKE]["betas"][:] for person, armature in characters_in(collection).items()}
        self._video = video
        with_shapes = replace(self._options, shapes={} if self._new_shapes else shapes)
        return jobs.start("convert", video=str(video), options=with_shapes.to_json(ESTIMATION))

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Give every character of the take its new action."""
        collection = bpy.data.collections.get(self._take)
        if collection is None:
            raise ImportVideoError(f"The take {self._take} was removed while its motion was being made.")
        motions, body = _load(value)
        characters = characters_in(collection)
        scene = next((one for one in bpy.data.scenes if collection in one.collection.children_recursive), context.scene)
        rate = scene_frame_rate(scene)
        if self._new_shapes:
            # Larger people are seen from farther away.
            replace_camera(collection, motions, rate, self._whole_frames)
        for motion in motions:
            if motion.person in characters:
                if self._new_shapes:
                    reshape(characters[motion.person], body, motion.betas)
                replace_action(characters[motion.person], motion, rate, self._whole_frames)
        _record_provenance(collection, self._video, self._options, value["report"])
        return "The motion is updated."


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


class OpenVideo(bpy.types.Operator, ImportHelper):
    """Choose a video for the panel "Import Video Motion" in the sidebar"""

    bl_idname = "video_motion.open_video"
    bl_label = "Import Video Motion…"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES)), options={"HIDDEN"}
    )

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


def take_of(context: bpy.types.Context) -> bpy.types.Collection | None:
    """The take of the active object; without one the scene's latest."""
    takes = [one for one in context.scene.collection.children_recursive if TAKE in one]
    active = context.active_object
    if active is not None:
        for collection in active.users_collection:
            if collection in takes:
                return collection
    return takes[-1] if takes else None


def provenance_of(take: bpy.types.Collection) -> dict[str, Any]:
    """How a take was made: `video`, `options` and `report`."""
    return json.loads(take[TAKE])


def _record_provenance(take: bpy.types.Collection, video: Path, options: Options, report: dict[str, Any]) -> None:
    take[TAKE] = json.dumps(
        {"video": str(video), "options": options.to_json(ESTIMATION, defaults=True), "report": report}
    )


def characters_in(take: bpy.types.Collection) -> dict[int, bpy.types.Object]:
    """The armatures of a take by their person's number."""
    return {one[TAKE]["person"]: one for one in take.all_objects if one.type == "ARMATURE" and TAKE in one}


def _checked_video(settings: VideoMotionSettings) -> Path:
    video = settings.video
    if video is None:
        raise ImportVideoError("Choose a video first.")
    if not video.exists():
        raise ImportVideoError(f"{video} does not exist: choose another video.")
    if settings.trim and 0 < settings.end <= settings.start:
        raise ImportVideoError(f"The part from {settings.start:g} s to {settings.end:g} s is empty: let it end later.")
    return video


def _load(value: dict[str, Any]) -> tuple[list[Motion], Body]:
    try:
        return [Motion.load(Path(file)) for file in value["motions"]], Body.load(value["body"])
    except VideoMotionError as error:
        raise ImportVideoError(str(error)) from error


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
    UpdateMotion,
    Cancel,
    OpenVideo,
    VideoHandler,
)
menu_entries = (("TOPBAR_MT_file_import", menu_entry(OpenVideo.bl_idname, "Video Motion (video)")),)
