"""The panel "Retarget" in the sidebar."""

from __future__ import annotations

from typing import ClassVar

import bpy

from ..interface import SidebarPanel, characters_per_line, draw_text, use_two_columns
from .bones import BODY_SLOTS, CHAINS, FINGER_SLOTS
from .mapping import SURE, BoneMapping
from .operators import selected_characters
from .preview import messages, source_of
from .properties import BoneRow, RetargetSettings
from .rows import chosen_mapping

_FINGER_LIST = "fingers"

_NAMES = 0.4
"""How much of a row Blender gives to names."""


class BoneList(bpy.types.UIList):
    """The parts of the body, or the fingers, and their bones."""

    bl_idname = "VIDEO_MOTION_UL_bones"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: RetargetSettings,
        item: BoneRow,
        icon: int,
        active_data: RetargetSettings,
        active_property: str,
        index: int,
    ) -> None:
        """Draw a part, its bone, and a mark where the bone is uncertain."""
        row = layout.split(factor=0.38)
        row.label(text=part_name(data, index))
        bone = row.row(align=True)
        bone.alert = bool(item.bone) and item.bone not in data.target.data.bones
        bone.prop_search(item, "bone", data.target.data, "bones", text="")
        if item.bone and item.confidence < SURE:
            bone.label(text="", icon="QUESTION")

    def filter_items(
        self, context: bpy.types.Context, data: RetargetSettings, property_name: str
    ) -> tuple[list[int], list[int]]:
        """Show the rows of the body or of the fingers that match the search."""
        words = self.filter_name.lower()
        shown = [
            _is_in(row, self.list_id) and words in f"{row.slot.replace('_', ' ')} {row.bone}".lower()
            for row in data.rows
        ]
        return [self.bitflag_filter_item if show else 0 for show in shown], []


class RetargetPanel(SidebarPanel, bpy.types.Panel):
    """Give the motion to another character."""

    bl_idname = "VIDEO_MOTION_PT_retarget"
    bl_label = "Retarget"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw source, target, bones and choices."""
        layout = self.layout
        use_two_columns(layout)
        settings = context.scene.video_motion_retarget
        source = source_of(settings)
        layout.prop(settings, "source")
        if settings.source is None and source is not None:
            chosen = layout.split(factor=_NAMES)
            chosen.label()
            chosen.label(text=source.name, icon="OUTLINER_OB_ARMATURE")
        layout.prop(settings, "target")
        characters = selected_characters(context)
        if len(characters) > 1:
            several = f"Bake to {len(characters)} Selected"
            layout.operator("video_motion.retarget_selected", text=several, icon="ACTION")
        if settings.target is None:
            return
        # Above the lists, which may fill the window.
        guess = chosen_mapping(settings).is_guess
        if guess:
            asked = (
                f"Most bones of {settings.target.name} are guesses: look through the list below before you use them."
            )
            draw_text(layout, asked, characters_per_line(context), "QUESTION")
        row = layout.row(align=True)
        row.scale_y = 1.5
        shown = settings.preview is not None
        if guess:
            row.operator("video_motion.use_bones", icon="CHECKMARK")
        else:
            row.operator("video_motion.preview_retarget", depress=shown, icon="HIDE_OFF" if shown else "HIDE_ON")
            row.operator("video_motion.retarget", icon="ACTION")
        for message, icon in messages:
            draw_text(layout, message, characters_per_line(context), icon)
        self._draw_bones(layout, settings)
        column = layout.column()
        for name in ("hold_feet", "in_place", "match_world"):
            column.prop(settings, name)
        column.prop_search(settings, "root_bone", settings.target.data, "bones", icon="BONE_DATA")
        column.prop(settings, "step")
        column.prop(settings, "tolerance")
        column.prop(settings, "only_while_seen")

    def _draw_bones(self, layout: bpy.types.UILayout, settings: RetargetSettings) -> None:
        header, body = layout.panel("video_motion_bones", default_closed=True)
        header.label(text=f"{settings.family or 'Unknown rig'}: {summary(settings, BODY_SLOTS)}")
        if body is not None:
            draw_list(body, settings, "", "active_row")
            row = body.row(align=True)
            row.operator("video_motion.recognise_bones", text="Recognise")
            row.operator_menu_enum("video_motion.mirror_bones", "side", text="Mirror")
            row.operator("video_motion.load_bone_mapping", text="", icon="FILE_FOLDER")
            row.operator("video_motion.save_bone_mapping", text="", icon="FILE_TICK")
            mended = BoneMapping.loads(settings.mapping).rest if settings.mapping else {}
            row = body.row(align=True)
            row.operator("video_motion.mend_rest", text=_mended(len(mended)))
            if mended:
                row.operator("video_motion.mend_rest", text="", icon="X").clear = True
        header, body = layout.panel("video_motion_fingers", default_closed=True)
        header.label(text=f"Fingers: {summary(settings, FINGER_SLOTS)}")
        if body is not None:
            draw_list(body, settings, _FINGER_LIST, "active_finger")


def draw_list(layout: bpy.types.UILayout, settings: RetargetSettings, name: str, active: str) -> None:
    """Draw a list, and below it the active row in full: rows are too narrow for long names and numbers."""
    layout.template_list("VIDEO_MOTION_UL_bones", name, settings, "rows", settings, active, rows=10)
    index = getattr(settings, active)
    row = settings.rows[index] if index < len(settings.rows) else None
    if row is not None and row.bone and _is_in(row, name):
        doubt = f", {row.confidence:.0%} sure" if row.confidence < SURE else ""
        layout.label(text=f"{part_name(settings, index)}: {row.bone}{doubt}")
        offset = layout.row(align=True)
        offset.use_property_split = False
        offset.label(text="Offset")
        for axis, name in enumerate("XYZ"):
            offset.prop(row, "offset", index=axis, text=name)


def _mended(count: int) -> str:
    return f"Rest Pose: {count} Bones Mended" if count else "Use Present Pose as Rest"


def _is_in(row: BoneRow, name: str) -> bool:
    """Whether a list shows a row."""
    return (row.slot in FINGER_SLOTS) == (name == _FINGER_LIST)


def part_name(settings: RetargetSettings, index: int) -> str:
    """The part of a row: those of a chain are numbered from the body outwards."""
    slot = settings.rows[index].slot
    name = slot.replace("_", " ").title().replace("Left ", "L ").replace("Right ", "R ")
    if slot not in CHAINS:
        return name
    before = sum(row.slot == slot for row in list(settings.rows)[:index])
    return f"{name} {before + 1}" if settings.rows[index].bone or not before else f"{name} +"


def summary(settings: RetargetSettings, slots: tuple[str, ...]) -> str:
    """How many bones these parts have, and how many of them are uncertain."""
    rows = [row for row in settings.rows if row.bone and row.slot in slots]
    unsure = sum(row.confidence < SURE for row in rows)
    return f"{len(rows)} bones" + (f", {unsure} unsure" if unsure else "")


classes = (BoneList, RetargetPanel)
