"""The sidebar panel "Import Video Motion"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import bpy

from ...inference.options import Who
from .. import preferences
from ..interface import SidebarPanel, characters_per_line, draw_choice, draw_known, draw_text, use_two_columns
from ..scene.keyframes import scene_frame_rate
from ..takes.record import take_of
from . import jobs
from .settings import VideoMotionSettings
from .video_queue import CANCELLED, DONE, FAILED, RUNNING, WAITING, QueuedVideo, VideoQueue

_STAGES = {
    "": "Starting",
    "people": "Finding people",
    "landmarks": "Looking at them again",
    "details": "Looking at hands and faces",
    "network": "Running the network",
    "motion": "Making the motion",
}
_STATES = {WAITING: "SORTTIME", RUNNING: "PLAY", DONE: "CHECKMARK", FAILED: "ERROR", CANCELLED: "CANCEL"}
_ROWS = 3
_PEOPLE_PER_ROW = 3
_PICTURE_SCALE, _PART_SCALE = 7.0, 3.5
_SAME_RATE = 3e-4


class QueueList(bpy.types.UIList):
    """The videos that are imported one after the other."""

    bl_idname = "VIDEO_MOTION_UL_queue"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: VideoQueue,
        item: QueuedVideo,
        icon: int,
        active_data: VideoQueue,
        active_property: str,
        index: int,
    ) -> None:
        """Draw a video's name, how far it is, and what takes it out."""
        row = layout.row()
        row.label(text=item.name, icon=_STATES[item.state])
        if item.state == RUNNING and jobs.current is not None:
            row.progress(factor=jobs.current.share, text=f"{jobs.current.share:.0%}")
        layout.operator("video_motion.leave_out", text="", icon="X", emboss=False).index = index


class ImportPanel(SidebarPanel, bpy.types.Panel):
    """Choose a video and what to create from it."""

    bl_idname = "VIDEO_MOTION_PT_import"
    bl_label = "Import Video Motion"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the settings, or the progress."""
        layout = self.layout
        settings = context.scene.video_motion
        busy = jobs.is_busy() and jobs.current is not None and jobs.current.task != "fetch"
        queue = context.window_manager.video_motion_queue
        waiting = queue.waiting()
        if len(queue.videos):
            _draw_queue(layout, context, queue)
        choices = layout.column()
        choices.enabled = not busy
        if waiting or queue.running():
            column = choices.column()
            use_two_columns(column)
            _draw_known(column, settings, True)
        else:
            row = choices.row(align=True)
            row.prop(settings, "filepath", text="", placeholder="Choose videos, or drop them here")
            _draw_open(row, "FILEBROWSER", False)
            if settings.video is not None:
                _draw_video(choices, context, settings)
        if jobs.problem and jobs.problem != jobs.video_info.get("message"):
            _draw_problem(layout, context, jobs.problem, forget=True)
        if busy:
            draw_progress(layout)
        else:
            if take_of(context) is not None:
                layout.prop(context.scene.video_motion_takes, "place", text="")
            row = layout.row()
            row.scale_y = 1.5
            if waiting:
                text = f"Import {len(waiting)} Videos" if len(waiting) > 1 else None
                row.operator("video_motion.import_queue", icon="ARMATURE_DATA", **({"text": text} if text else {}))
            else:
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
        queue = context.window_manager.video_motion_queue
        return context.scene.video_motion.video is not None and not (queue.waiting() or queue.running())

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the people found, to choose from."""
        layout = self.prepare()
        settings = context.scene.video_motion
        layout.operator("video_motion.find_people", icon="VIEWZOOM")
        people = jobs.people if jobs.people_video == settings.video else []
        if not people:
            layout.prop(settings, "people", text="Take", placeholder="Everyone")
            return
        shots = sorted({person["shot"] for person in people})
        _draw_choice(layout, settings, "Everyone", Who())
        for shot in shots:
            if len(shots) > 1:
                _draw_choice(layout, settings, f"Shot {shot}", Who(shot=shot))
            grid = layout.grid_flow(row_major=True, columns=_PEOPLE_PER_ROW, even_columns=True, align=False)
            for person in people:
                if person["shot"] == shot:
                    _draw_person(grid.column(align=True), settings, person)


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
        layout.prop(settings, "weights")
        column = layout.column(heading="Animate", align=True)
        column.prop(settings, "hands")
        column.prop(settings, "face")
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
        column = layout.column(heading="Character")
        column.prop(settings, "mesh")
        row = column.row()
        row.enabled = settings.mesh
        if preferences.licensed_body() is None:
            row.prop(settings, "clothes")
            figure = layout.column()
            figure.enabled = settings.mesh
            draw_choice(figure, settings, "gender")
            figure.prop(settings, "build")
        else:
            row.prop(settings, "correctives")
        column = layout.column(heading="Scene")
        column.prop(settings, "camera")
        column.prop(settings, "floor")
        row = column.row()
        row.enabled = settings.camera
        row.prop(settings, "render_footage")
        layout.column(heading="People").prop(settings, "only_while_seen")
        column = layout.column(heading="Keys and View")
        column.prop(settings, "whole_frames")
        column.prop(settings, "frame_range")
        column.prop(settings, "look")


def _draw_open(layout: bpy.types.UILayout, icon: str, add: bool) -> None:
    button = layout.operator("video_motion.open_video", text="", icon=icon)
    # The chosen file would count as dropped.
    button.filepath, button.add = "", add


def _draw_queue(layout: bpy.types.UILayout, context: bpy.types.Context, queue: VideoQueue) -> None:
    row = layout.row()
    row.template_list("VIDEO_MOTION_UL_queue", "", queue, "videos", queue, "index", rows=_ROWS)
    side = row.column(align=True)
    _draw_open(side, "ADD", True)
    side.operator("video_motion.clear_queue", text="", icon="X")
    chosen = queue.chosen()
    if chosen is not None and chosen.message:
        text = layout.column()
        text.alert = chosen.state == FAILED
        draw_text(text, f"{chosen.name}: {chosen.message}", characters_per_line(context))


def _draw_person(layout: bpy.types.UILayout, settings: VideoMotionSettings, person: dict[str, Any]) -> None:
    icon = jobs.picture(jobs.picture_name(person))
    if icon:
        layout.template_icon(icon, scale=4.0)
    _draw_choice(layout, settings, str(person["person"]), Who(person["person"], person["shot"]))
    time = layout.row()
    time.alignment = "CENTER"
    time.active = False
    time.label(text=f"{person['first']:.1f}–{person['last']:.1f} s")


def _draw_choice(layout: bpy.types.UILayout, settings: VideoMotionSettings, text: str, who: Who) -> None:
    icon = "CHECKBOX_HLT" if settings.is_chosen(jobs.found_people(who)) else "CHECKBOX_DEHLT"
    choice = layout.operator("video_motion.choose_person", text=text, icon=icon)
    choice.shot, choice.person = who.shot or 0, who.person or 0


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
    column = layout.column()
    use_two_columns(column)
    if settings.video is not None and settings.video.is_dir():
        column.prop(settings, "image_rate")
    column.prop(settings, "trim")
    if settings.trim:
        times = column.column(align=True)
        times.prop(settings, "start")
        times.prop(settings, "end")
    _draw_known(column, settings, settings.solved_camera is None)
    column.prop(settings, "solved_camera")


def _draw_known(layout: bpy.types.UILayout, settings: VideoMotionSettings, lens: bool) -> None:
    """Draw what may be known of the footage."""
    draw_known(layout, settings, "focal_mm", lens)
    draw_known(layout, settings, "height")
    layout.prop(settings, "slow_motion")


def _draw_video_info(
    layout: bpy.types.UILayout, context: bpy.types.Context, settings: VideoMotionSettings, info: dict[str, Any]
) -> None:
    box = layout.box()
    if settings.trim and jobs.peeked_video != settings.video:
        # A file with a chosen part was opened.
        jobs.peeked_video = settings.video
        bpy.app.timers.register(lambda: context.scene.video_motion.show_part(), first_interval=0.0)
    if shown := jobs.picture(jobs.MOMENT) or jobs.picture("first"):
        box.template_icon(shown, scale=_PICTURE_SCALE)
    if settings.seconds:
        column = box.column(align=True)
        text = f"{jobs.moment:.2f} s"
        column.prop(context.window_manager, "video_motion_preview", text=text, slider=True)
        row = column.row(align=True)
        row.operator("video_motion.trim_here", text="Start Here").part = "start"
        row.operator("video_motion.trim_here", text="End Here").part = "end"
    part = [jobs.picture(name) for name in jobs.PART] if settings.trim else []
    if part and all(part):
        row = box.row(align=True)
        for icon in part:
            row.template_icon(icon, scale=_PART_SCALE)
    length = f", {settings.seconds:.1f} s" if settings.seconds else ""
    rate = settings.rate_of_video or info["frame_rate"]
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


def draw_progress(layout: bpy.types.UILayout) -> None:
    """Draw how far the user's job is, and what cancels it."""
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
    QueueList,
    ImportPanel,
    PeoplePanel,
    MotionPanel,
    MakePanel,
)
