"""The sidebar panel "Import Video Motion"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import bpy

from ..interface import SidebarPanel, characters_per_line, draw_text, use_two_columns
from ..scene.keyframes import scene_frame_rate
from ..takes.record import take_of
from . import jobs
from .settings import ALL_PEOPLE, VideoMotionSettings

_STAGES = {
    "": "Starting",
    "people": "Finding people",
    "landmarks": "Looking at them again",
    "details": "Looking at hands and faces",
    "network": "Running the network",
    "motion": "Making the motion",
}
_PEOPLE_PER_ROW = 3
_SAME_RATE = 3e-4


class ImportPanel(SidebarPanel, bpy.types.Panel):
    """Choose a video and what to create from it."""

    bl_idname = "VIDEO_MOTION_PT_import"
    bl_label = "Import Video Motion"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the settings, or the progress."""
        layout = self.layout
        settings = context.scene.video_motion
        busy = jobs.is_busy() and jobs.current is not None and jobs.current.task != "fetch"
        choices = layout.column()
        choices.enabled = not busy
        row = choices.row(align=True)
        row.prop(settings, "filepath", text="", placeholder="Choose a video, or drop one here")
        # The chosen file would count as dropped.
        row.operator("video_motion.open_video", text="", icon="FILEBROWSER").filepath = ""
        if settings.video is not None:
            _draw_video(choices, context, settings)
        if jobs.problem and jobs.problem != jobs.video_info.get("message"):
            _draw_problem(layout, context, jobs.problem, forget=True)
        if busy:
            _draw_progress(layout)
        else:
            if take_of(context) is not None:
                layout.prop(context.scene.video_motion_takes, "place", text="")
            row = layout.row()
            row.scale_y = 1.5
            row.enabled = settings.video is not None
            row.operator("video_motion.import_video", icon="ARMATURE_DATA")


class _SubPanel(SidebarPanel):
    """Base of the sections."""

    bl_parent_id = "VIDEO_MOTION_PT_import"

    if TYPE_CHECKING:
        layout: Any

    def prepare(self) -> bpy.types.UILayout:
        """The layout in Blender's usual two columns."""
        layout = self.layout
        use_two_columns(layout)
        layout.enabled = not jobs.is_busy()
        return layout


class PeoplePanel(_SubPanel, bpy.types.Panel):
    """Whose motion to take."""

    bl_idname = "VIDEO_MOTION_PT_people"
    bl_label = "People"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a video."""
        return context.scene.video_motion.video is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the people found, to choose from."""
        layout = self.prepare()
        settings = context.scene.video_motion
        layout.operator("video_motion.find_people", icon="VIEWZOOM")
        people = jobs.people if jobs.people_video == settings.video else []
        if not people:
            layout.prop(settings, "person")
            return
        if len({person["shot"] for person in people}) > 1:
            layout.prop(settings, "shot")
            people = [person for person in people if settings.shot in (0, person["shot"])]
        layout.use_property_split = False
        layout.prop_enum(settings, "person", ALL_PEOPLE)
        grid = layout.grid_flow(row_major=True, columns=_PEOPLE_PER_ROW, even_columns=True, align=False)
        for person in people:
            cell = grid.column(align=True)
            icon = jobs.picture(jobs.picture_name(person))
            if icon:
                cell.template_icon(icon, scale=4.0)
            cell.prop_enum(settings, "person", str(person["person"]), text=str(person["person"]))
            time = cell.row()
            time.alignment = "CENTER"
            time.active = False
            time.label(text=f"{person['first']:.1f}–{person['last']:.1f} s")


class MotionPanel(_SubPanel, bpy.types.Panel):
    """How the motion is estimated."""

    bl_idname = "VIDEO_MOTION_PT_estimation"
    bl_label = "Motion"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw quality, network, device, smoothing."""
        layout = self.prepare()
        settings = context.scene.video_motion
        layout.prop(settings, "quality")
        layout.prop(settings, "network")
        layout.prop(settings, "hands")
        layout.prop(settings, "face")
        layout.prop(settings, "device")
        for gpu in jobs.gpus():
            if gpu["id"] == settings.device and not gpu["available"]:
                draw_text(layout, gpu["why_not"], characters_per_line(context), "ERROR")
        column = layout.column(align=True)
        column.prop(settings, "smoothing", slider=True)
        column.prop(settings, "feet", slider=True)


class MakePanel(_SubPanel, bpy.types.Panel):
    """The choice of what is created in the scene."""

    bl_idname = "VIDEO_MOTION_PT_make"
    bl_label = "Make"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the switches."""
        layout = self.prepare()
        settings = context.scene.video_motion
        column = layout.column(heading="Armature and")
        column.prop(settings, "mesh")
        row = column.row()
        row.enabled = settings.mesh
        row.prop(settings, "correctives")
        column.prop(settings, "camera")
        column.prop(settings, "floor")
        layout.column(heading="People").prop(settings, "only_while_seen")
        column = layout.column(heading="Scene")
        column.prop(settings, "whole_frames")
        column.prop(settings, "frame_range")
        column.prop(settings, "look")


def _draw_video(layout: bpy.types.UILayout, context: bpy.types.Context, settings: VideoMotionSettings) -> None:
    if jobs.probed_video != settings.video:
        # A file or scene with a chosen video was opened.
        jobs.probe_later(settings.video)
        layout.label(text="Reading the video …")
    elif jobs.probe_job is not None:
        layout.label(text="Reading the video …")
    elif "message" in jobs.video_info:
        _draw_problem(layout, context, jobs.video_info["message"])
        return
    elif "width" in jobs.video_info:
        _draw_video_info(layout, context, settings, jobs.video_info)
    if settings.video is not None and settings.video.is_dir():
        layout.prop(settings, "image_rate")
    layout.prop(settings, "trim")
    if settings.trim:
        times = layout.column(align=True)
        times.prop(settings, "start")
        times.prop(settings, "end")
    sizes = layout.column(align=True)
    lens = sizes.row()
    lens.active = settings.solved_camera is None
    lens.prop(settings, "focal_mm")
    sizes.prop(settings, "height")
    sizes.prop(settings, "slow_motion")
    sizes.prop(settings, "solved_camera")


def _draw_video_info(
    layout: bpy.types.UILayout, context: bpy.types.Context, settings: VideoMotionSettings, info: dict[str, Any]
) -> None:
    box = layout.box()
    icon = jobs.picture("first")
    if icon:
        box.template_icon(icon, scale=5.0)
    length = f", {info['seconds']:.1f} s" if info["seconds"] else ""
    rate = info["frame_rate"]
    summary = box.row()
    summary.alignment = "CENTER"
    summary.label(text=f"{info['width']} × {info['height']}{length}, {rate:.4g} fps")
    for warning in info["warnings"]:
        draw_text(box, warning, characters_per_line(context) - 4, "INFO")
    scene_rate = scene_frame_rate(context.scene)
    if abs(scene_rate / rate - 1) > _SAME_RATE:
        layout.label(text=f"The scene plays {scene_rate:.4g} frames per second:")
        row = layout.row()
        row.prop_enum(settings, "rate", "KEEP", text=f"Keep {scene_rate:.4g}")
        row.prop_enum(settings, "rate", "VIDEO", text=f"Use {rate:.4g}")


def _draw_progress(layout: bpy.types.UILayout) -> None:
    job = jobs.current
    assert job is not None
    column = layout.column(align=True)
    stage = _STAGES.get(job.stage, job.stage)
    count = ""
    if job.stage in ("people", "landmarks", "details"):
        count = f": frame {job.done}" if job.total is None else f": frame {job.done} of {job.total}"
    column.label(text=f"{stage}{count}")
    row = column.row(align=True)
    left = job.seconds_left
    row.progress(factor=job.share, text="" if left is None else f"{_clock(left)} left")
    row.operator("video_motion.cancel", text="", icon="X")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(max(round(seconds), 1), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _draw_problem(layout: bpy.types.UILayout, context: bpy.types.Context, message: str, forget: bool = False) -> None:
    row = layout.box().row()
    text = row.column()
    text.alert = True
    draw_text(text, message, characters_per_line(context) - (8 if forget else 4), "ERROR")
    if forget:
        row.operator("video_motion.forget_problem", text="", icon="X", emboss=False)


classes = (
    ImportPanel,
    PeoplePanel,
    MotionPanel,
    MakePanel,
)
