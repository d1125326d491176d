"""The panel "Takes": the list, and what can be done to the selected take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...inference.options import described
from ..capture import jobs
from ..capture.panel import draw_progress
from ..capture.settings import MODEL_WORDS
from ..interface import SidebarPanel, characters_per_line, draw_choice, draw_known, draw_text, use_two_columns
from ..scene.confidence import LIMBS, confidence_at
from ..scene.figure import has_figure
from ..scene.keyframes import FEET, OURS
from ..scene.layers import corrections_of
from ..scene.plate import can_show
from ..scene.visibility import can_hide
from .activation import layer_collection
from .cleanup import stands
from .confidence import DOUBTFUL, known_of
from .figures import skins_of
from .placement import handle_of
from .record import came_from_video, camera_of, characters_in, provenance_of, take_of, takes_in

_DEVICES = {"cuda": "CUDA", "directml": "DirectML", "coreml": "Core ML"}
_ROWS = 3


class TakeList(bpy.types.UIList):
    """The takes of the scene."""

    bl_idname = "VIDEO_MOTION_UL_takes"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.BlendData,
        item: bpy.types.Collection,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
        index: int,
    ) -> None:
        """Draw a take's name, people, length and rate, and whether it is shown."""
        settings = item.video_motion_take
        row = layout.split(factor=0.38, align=True)
        row.prop(item, "name", text="", emboss=False)
        row = row.split(factor=0.42, align=True)
        row.active = False
        row.label(text=str(len(characters_in(item))), icon="OUTLINER_OB_ARMATURE")
        row.label(text=f"{settings.seconds:.1f} s {settings.rate:.4g}")
        where = layer_collection(context.view_layer, item)
        if where is not None:
            icon_name = "HIDE_ON" if where.exclude else "HIDE_OFF"
            layout.prop(where, "exclude", text="", icon=icon_name, emboss=False)

    def filter_items(
        self, context: bpy.types.Context, data: bpy.types.BlendData, property_name: str
    ) -> tuple[list[int], list[int]]:
        """Show the takes of this scene that match the search."""
        takes, words = set(takes_in(context.scene)), self.filter_name.lower()
        collections = getattr(data, property_name)
        shown = [one in takes and words in one.name.lower() for one in collections]
        return [self.bitflag_filter_item if show else 0 for show in shown], []


class TakesMenu(bpy.types.Menu):
    """What selecting a take does."""

    bl_idname = "VIDEO_MOTION_MT_takes"
    bl_label = "Takes"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the choices."""
        layout = self.layout
        layout.label(text="Selecting a Take Sets")
        layout.prop(context.scene.video_motion_takes, "sets")


class TakesPanel(SidebarPanel, bpy.types.Panel):
    """The takes of the scene, and the selected one."""

    bl_idname = "VIDEO_MOTION_PT_take"
    bl_label = "Takes"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a take."""
        return take_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list, and what can be changed of the selected take."""
        busy, takes_panel = jobs.is_busy(), self.layout
        layout = takes_panel.column()
        layout.enabled = not busy
        takes = context.scene.video_motion_takes
        row = layout.row()
        row.template_list("VIDEO_MOTION_UL_takes", "", bpy.data, "collections", takes, "index", rows=_ROWS)
        side = row.column(align=True)
        side.operator("video_motion.remove_take", text="", icon="REMOVE")
        side.menu("VIDEO_MOTION_MT_takes", text="", icon="DOWNARROW_HLT")
        side.separator()
        side.prop(takes, "alone", text="", icon="HIDE_ON" if takes.alone else "HIDE_OFF")
        take = take_of(context)
        if take is None:
            return
        use_two_columns(layout)
        _draw_people(layout, take)
        if can_show(camera_of(take)):
            layout.prop(take.video_motion_take, "render_footage")
        _draw_body(layout, context, take)
        _draw_motion(layout, take)
        if busy:
            # Why nothing else can be pressed, also where the import's panel is closed.
            draw_progress(takes_panel)
            layout = takes_panel.column()
            use_two_columns(layout)
            layout.enabled = False
        elif came_from_video(take):
            layout.operator("video_motion.update_motion", icon="FILE_REFRESH")
        _draw_corrections(layout, take)
        _draw_cleanup(layout, context, take)
        _draw_confidence(layout, context)
        if came_from_video(take):
            _draw_report(layout, context, provenance_of(take))
        assets = layout.column(align=True)
        assets.operator("video_motion.mark_action_asset", icon="ASSET_MANAGER")
        assets.operator("video_motion.make_pose_asset", icon="POSE_HLT")


def _draw_people(layout: bpy.types.UILayout, take: bpy.types.Collection) -> None:
    """Draw who of a take hides while they aren't seen."""
    people = {number: one for number, one in sorted(characters_in(take).items()) if can_hide(one)}
    if len(people) == 1:
        layout.prop(*people.values(), "video_motion_only_while_seen")
    elif people:
        # One drag over them changes all.
        row = layout.row(heading=described("only_while_seen").label, align=True)
        for number, armature in people.items():
            row.prop(armature, "video_motion_only_while_seen", text=str(number), toggle=True)


def _draw_body(layout: bpy.types.UILayout, context: bpy.types.Context, take: bpy.types.Collection) -> None:
    """Draw the figure and clothes of the active character, else of the take's first."""
    people = [one for _, one in sorted(characters_in(take).items())]
    active = context.active_object
    shown = next((one for one in people if active in (one, *one.children)), people[0] if people else None)
    if shown is None or not skins_of(shown):
        return
    header, body = layout.panel("video_motion_body", default_closed=True)
    header.label(text="Body" if len(people) == 1 else f"Body of Person {shown[OURS]['person']}")
    if body is None:
        return
    if has_figure(shown):
        draw_choice(body, shown, "video_motion_gender")
        body.prop(shown, "video_motion_build")
    body.prop(shown, "video_motion_clothes")


def _draw_motion(layout: bpy.types.UILayout, take: bpy.types.Collection) -> None:
    """Draw what `Update Motion` makes the motion by."""
    if not came_from_video(take):
        return
    settings = take.video_motion_take
    draw_known(layout, settings, "height")
    column = layout.column(align=True)
    column.prop(settings, "smoothing", slider=True)
    column.prop(settings, "feet", slider=True)
    header, body = layout.panel("video_motion_seen", default_closed=True)
    header.label(text="Capture")
    if body is not None:
        body.prop(settings, "trim")
        if settings.trim:
            times = body.column(align=True)
            times.prop(settings, "start")
            times.prop(settings, "end")
        if camera_of(take) is not None:
            draw_known(body, settings, "focal_mm")
        body.prop(settings, "slow_motion")
        body.prop(settings, "quality")
        body.prop(settings, "network")
        body.prop(settings, "weights")
        column = body.column(heading="Animate", align=True)
        column.prop(settings, "hands")
        column.prop(settings, "face")
        body.prop(settings, "whole_frames")


def _draw_corrections(layout: bpy.types.UILayout, take: bpy.types.Collection) -> None:
    """Draw the layer of an animator's own keys."""
    people = sorted(characters_in(take).items())
    corrected = [(number, one) for number, one in people if corrections_of(one) is not None]
    if len(corrected) < len(people):
        layout.operator("video_motion.start_corrections", icon="NLA_PUSHDOWN")
    if corrected:
        row = layout.row(align=True)
        column = row.column(align=True)
        for number, armature in corrected:
            text = "Corrections" if len(people) == 1 else f"Corrections {number}"
            column.prop(armature.animation_data, "action_influence", text=text, slider=True)
        row.operator("video_motion.remove_corrections", text="", icon="X")


def _draw_cleanup(layout: bpy.types.UILayout, context: bpy.types.Context, take: bpy.types.Collection) -> None:
    """Draw what changes the captured motion at once: limbs, feet, loop, keys, and the floor's handle."""
    header, body = layout.panel("video_motion_clean_up", default_closed=True)
    header.label(text="Clean Up")
    if body is None:
        return
    settings = take.video_motion_take
    column = body.column(align=True)
    for limb in ("torso", "head", "arms", "legs"):
        column.prop(settings, f"smooth_{limb}", text=f"Smooth {limb.capitalize()}", slider=True)
    armature = context.active_object
    if armature is not None and armature in characters_in(take).values():
        _draw_feet(body, context, armature)
    body.prop(settings, "hold")
    body.prop(settings, "in_place")
    body.prop(settings, "loop")
    body.prop(settings, "simplify")
    handle = handle_of(take)
    row = body.row(align=True)
    if handle is None:
        row.operator("video_motion.add_handle", icon="EMPTY_AXIS")
        return
    column = row.column(align=True)
    column.prop(handle, "location", text="Place")
    column.prop(handle, "rotation_euler", text="Tilt")
    row.operator("video_motion.add_handle", text="", icon="RESTRICT_SELECT_OFF")


def _draw_confidence(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw how surely the active character's limbs are seen at the current frame, and what shows it over time."""
    known = known_of(context)
    if known is None:
        return
    header, body = layout.panel("video_motion_confidence", default_closed=True)
    header.label(text="Confidence")
    if body is None:
        return
    row = body.row(align=True)
    # Half a row would cut off its name.
    row.use_property_split = False
    row.prop(context.scene.video_motion_takes, "confidence")
    row.operator("video_motion.go_to_doubt", text="", icon="PREV_KEYFRAME").step = -1
    row.operator("video_motion.go_to_doubt", text="", icon="NEXT_KEYFRAME").step = 1
    column = body.column(align=True)
    (values,) = confidence_at(known, np.array([float(context.scene.frame_current)]))
    for limb, value in zip(LIMBS, values, strict=True):
        row = column.split(factor=0.4)
        row.label(text=limb)
        unseen = np.isnan(value)
        # Blender 5 takes no bool of NumPy's.
        row.alert = bool(value < DOUBTFUL)
        row.progress(factor=0.0 if unseen else float(value), text="Not seen" if unseen else f"{value:.0%}")


def _draw_feet(layout: bpy.types.UILayout, context: bpy.types.Context, armature: bpy.types.Object) -> None:
    """Draw what is marked of each foot at the current frame, and what marks it."""
    column = layout.column(align=True)
    for foot in FEET:
        side = foot.split("_")[0].capitalize()
        now = stands(armature, foot, context.scene.frame_current)
        row = column.split(factor=0.4, align=True)
        name = row.row()
        name.alignment = "RIGHT"
        name.label(text=f"{side} Foot")
        row = row.row(align=True)
        for text, down in (("Stands", True), ("Free", False)):
            button = row.operator("video_motion.mark_foot", text=text, depress=now == down)
            button.foot, button.down = foot, down


def _draw_report(layout: bpy.types.UILayout, context: bpy.types.Context, provenance: dict[str, Any]) -> None:
    report = provenance["report"]
    header, body = layout.panel("video_motion_report", default_closed=True)
    header.label(text="Report")
    for warning in report["warnings"]:
        draw_text(layout, warning, characters_per_line(context), "INFO")
    if body is None:
        return
    grid = body.column(align=True)
    rows = [
        ("Video", Path(report["video"]).name),
        # Takes of earlier versions have none.
        ("Quality", provenance["options"].get("quality", "–").capitalize()),
        ("Motion Model", MODEL_WORDS[report["estimator"]][0] if report["estimator"] in MODEL_WORDS else "–"),
        ("Device", _DEVICES.get(report["device"].partition(":")[0], "CPU")),
        ("Frames", str(report["frames"])),
        *((f"Person {person['person']}", _describe(person, context)) for person in report["people"]),
        *((f"Left out at {one['start']:.1f} s", one["reason"]) for one in report.get("left_out", ())),
        *((f"{stage.capitalize()}", f"{seconds:.1f} s") for stage, seconds in report["timings"].items()),
    ]
    for name, value in rows:
        row = grid.split(factor=0.4)
        row.label(text=name)
        row.label(text=value)


def _describe(person: dict[str, Any], context: bpy.types.Context) -> str:
    frames = f"{person['frames']} frames"
    if "height" not in person:
        # A take of an earlier version.
        return frames
    units = context.scene.unit_settings
    system = "METRIC" if units.system == "NONE" else units.system
    return f"{frames}, {bpy.utils.units.to_string(system, 'LENGTH', person['height'], precision=3)} tall"


classes = (TakeList, TakesMenu, TakesPanel)
