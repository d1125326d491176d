"""The panel "Retarget": a motion onto the animator's own character, previewed and baked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.app.handlers import persistent
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..compatibility import SLOTTED_ACTIONS, channels_of
from ..interface import SidebarPanel, characters_per_line, draw_text, use_two_columns
from .action import Retargeted, RetargetOptions, retarget
from .bones import BODY_SLOTS, CHAINS, FINGER_SLOTS, SIDES, SLOTS, RetargetError, read_rig
from .mapping import BoneMapping
from .recognise import recognise
from .sampling import bone_of

PREVIEW = "Preview"
"""Ends the name of an action that is only looked at."""

_SURE = 0.95
_FILTER = "*.json"
_PREVIEWED = ("preview", "previewed", "before", "kept")
_POSE = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")
_PHALANGES = 3
_FINGER_LIST = "fingers"

_told: list[tuple[str, str]] = []
"""What the last retargeting said, until the next: sentences and their icons."""

_saving: list[tuple[RetargetSettings, dict[str, Any]]] = []
"""The previews that are away while the file is being written, and what their settings were."""


def _is_armature(settings: RetargetSettings, candidate: bpy.types.Object) -> bool:
    return candidate.type == "ARMATURE"


def _choose_target(settings: RetargetSettings, context: bpy.types.Context) -> None:
    if settings.target is not None:
        fill_rows(settings, recognise(read_rig(settings.target)))
    _changed(settings, context)


def _changed(settings: RetargetSettings, context: bpy.types.Context) -> None:
    """Let a preview that is on follow, at once: undo has to take back both in one step."""
    if settings.preview is not None:
        _renew_preview()


def _renew_preview() -> None:
    settings = bpy.context.scene.video_motion_retarget
    if settings.preview is None:
        return
    if settings.previewed != settings.target or settings.source is None:
        end_preview(settings)
    if settings.source is None or settings.target is None:
        return
    try:
        show_preview(settings)
    except RetargetError as error:
        _told[:] = [(str(error), "ERROR")]


def _choose_bone(row: BoneRow, context: bpy.types.Context) -> None:
    row.confidence = 1.0
    _changed(context.scene.video_motion_retarget, context)


class BoneRow(bpy.types.PropertyGroup):
    """A part of the human body and the bone that plays it."""

    slot: StringProperty(options=set())
    bone: StringProperty(
        name="Bone", description="The target's bone that plays this part", update=_choose_bone, options=set()
    )
    confidence: FloatProperty(options=set())


class RetargetSettings(bpy.types.PropertyGroup):
    """The choices of the panel."""

    source: PointerProperty(
        name="From",
        description="The armature whose motion is taken",
        type=bpy.types.Object,
        poll=_is_armature,
        update=_changed,
    )
    target: PointerProperty(
        name="To",
        description="Your character's armature; nothing of it changes but its action",
        type=bpy.types.Object,
        poll=_is_armature,
        update=_choose_target,
    )
    rows: CollectionProperty(type=BoneRow)
    active_row: IntProperty(options=set())
    active_finger: IntProperty(options=set())
    family: StringProperty(options=set())
    mapping: StringProperty(options=set())
    hold_feet: BoolProperty(
        name="Hold Feet",
        description="Keep feet still on the new legs where they stood still",
        default=True,
        update=_changed,
        options=set(),
    )
    in_place: BoolProperty(
        name="In Place", description="Leave the path over the floor out", update=_changed, options=set()
    )
    match_world: BoolProperty(
        name="Same Direction",
        description="Move in the source's direction in the world, however the target object is turned",
        update=_changed,
        options=set(),
    )
    root_bone: StringProperty(
        name="Root Bone",
        description="The bone above the hips that gets the path over the floor; empty for none",
        update=_changed,
        options=set(),
    )
    step: FloatProperty(
        name="Frame Step",
        description="Frames between keys; 0 sets keys where the source has them",
        min=0.0,
        soft_max=10.0,
        options=set(),
    )
    simplify: FloatProperty(
        name="Simplify, °",
        description="Leave keys out as long as no bone turns by more than these degrees from what it should; 0 keeps"
        " all",
        min=0.0,
        soft_max=5.0,
        options=set(),
    )
    preview: PointerProperty(type=bpy.types.Action)
    previewed: PointerProperty(type=bpy.types.Object)
    before: PointerProperty(type=bpy.types.Action)
    kept: StringProperty(options=set())


def fill_rows(settings: RetargetSettings, mapping: BoneMapping) -> None:
    """Show a mapping in the panel's lists; chains that may go on end in an empty row."""
    settings.rows.clear()
    settings.family = mapping.family
    settings.mapping = mapping.dumps()
    for slot in SLOTS:
        names = list(mapping.bones.get(slot, ()))
        goes_on = slot in CHAINS and (slot not in FINGER_SLOTS or len(names) < _PHALANGES)
        for name in [*names, ""] if goes_on or not names else names:
            row = settings.rows.add()
            row.slot = slot
            row["bone"] = name
            row.confidence = mapping.confidence.get(slot, 0.0) if name else 0.0


def choose_mapping(settings: RetargetSettings, context: bpy.types.Context, mapping: BoneMapping) -> None:
    """Show a mapping, and let a preview that is on follow."""
    fill_rows(settings, mapping)
    _changed(settings, context)


def chosen_mapping(settings: RetargetSettings) -> BoneMapping:
    """The mapping as it stands in the list, with the switches of the recognised rig."""
    mapping = BoneMapping.loads(settings.mapping)
    bones: dict[str, list[str]] = {}
    confidence: dict[str, float] = {}
    for row in settings.rows:
        if row.bone:
            bones.setdefault(row.slot, []).append(row.bone)
            confidence[row.slot] = min(row.confidence, confidence.get(row.slot, 1.0))
    mapping.bones = {slot: tuple(names) for slot, names in bones.items()}
    mapping.confidence = confidence
    return mapping


def run(settings: RetargetSettings, name: str = "") -> Retargeted:
    """Retarget as the panel says.

    Raises:
        RetargetError: it can't be done.
    """
    if settings.source is None or settings.target is None:
        raise RetargetError("Choose the armature to take the motion from, and the one to give it to.")
    for chosen in (settings.source, settings.target):
        # What was deleted lives on as long as it is chosen here.
        if chosen.name not in settings.id_data.objects:
            raise RetargetError(f"{chosen.name} is not in this scene any more: choose another armature.")
    options = RetargetOptions(
        step=settings.step,
        in_place=settings.in_place,
        root_bone=settings.root_bone,
        hold_feet=settings.hold_feet,
        match_world=settings.match_world,
        simplify=settings.simplify,
        name=name,
    )
    made = retarget(settings.source, settings.target, chosen_mapping(settings), options)
    _told[:] = [(warning, "INFO") for warning in made.warnings]
    return made


def show_preview(settings: RetargetSettings) -> None:
    """Give the target an action to look at; `end_preview` takes it away.

    Raises:
        RetargetError: it can't be done.
    """
    target = settings.target
    if settings.preview is not None and not _is_shown(settings):
        # Another action was chosen meanwhile, which is the target's own from now on.
        end_preview(settings)
    for scene in bpy.data.scenes:
        other = scene.video_motion_retarget
        if other != settings and other.preview is not None and other.previewed == target:
            end_preview(other)
    old = settings.preview
    kept = _read_state(settings) if old is None else ""
    before = target.animation_data.action if target.animation_data is not None else None
    made = run(settings, f"{target.name} {PREVIEW}")
    made.action.use_fake_user = False
    settings.preview = made.action
    if old is None:
        settings.previewed, settings.before, settings.kept = target, before, kept
    else:
        bpy.data.actions.remove(old)
        made.action.name = f"{target.name} {PREVIEW}"


def end_preview(settings: RetargetSettings) -> None:
    """Take the preview away; the previewed armature is as it was before."""
    preview = _put_back(settings)
    if preview is not None:
        bpy.data.actions.remove(preview)


def _is_shown(settings: RetargetSettings) -> bool:
    """Whether the previewed armature still plays the preview."""
    animation = settings.previewed.animation_data if settings.previewed is not None else None
    return animation is not None and animation.action == settings.preview


def _put_back(settings: RetargetSettings) -> bpy.types.Action | None:
    """Give the previewed armature its pose, its switches, and its action or none; return the preview's action."""
    preview, target, before = settings.preview, settings.previewed, settings.before
    kept = json.loads(settings.kept) if settings.kept and _is_shown(settings) else {}
    settings.preview = settings.previewed = settings.before = None
    settings.kept = ""
    if kept:
        animation, channels = target.animation_data, channels_of(target)
        # What somebody has posed beside the preview stays.
        moved = {bone_of(curve.data_path) for curve in channels.fcurves} if channels else set()
        animation.action = before
        if SLOTTED_ACTIONS and before is not None:
            animation.action_slot = next((slot for slot in before.slots if slot.identifier == kept["slot"]), None)
        if not kept["animated"] and not animation.drivers and not animation.nla_tracks:
            target.animation_data_clear()
        _write_state(target, kept, moved)
    return preview


def _read_state(settings: RetargetSettings) -> str:
    """What a preview will change of the target, as JSON: undo and files keep it along with the preview."""
    target = settings.target
    animation = target.animation_data
    slot = animation.action_slot if SLOTTED_ACTIONS and animation is not None else None
    bones = target.pose.bones
    state = {
        "animated": animation is not None,
        "slot": slot.identifier if slot is not None else "",
        "pose": {bone.name: [list(getattr(bone, path)) for path in _POSE] for bone in bones},
        "switches": {
            bone: {name: bones[bone][name] for name in values if name in bones[bone]}
            for bone, values in chosen_mapping(settings).switches.items()
            if bone in bones
        },
    }
    return json.dumps(state)


def _write_state(target: bpy.types.Object, state: dict[str, Any], moved: set[str]) -> None:
    bones = target.pose.bones
    for name, values in state["pose"].items():
        if name in moved and name in bones:
            for path, value in zip(_POSE, values, strict=True):
                setattr(bones[name], path, value)
    for name, switches in state["switches"].items():
        if name in bones:
            for switch, value in switches.items():
                bones[name][switch] = value
    target.update_tag()


@persistent
def _before_saving(*_: object) -> None:
    """Keep previews out of files: actions that nobody uses are not written."""
    _saving.clear()
    for scene in bpy.data.scenes:
        settings = scene.video_motion_retarget
        if settings.preview is not None and not _is_shown(settings):
            end_preview(settings)
        elif settings.preview is not None:
            was = {name: getattr(settings, name) for name in _PREVIEWED}
            _put_back(settings)
            _saving.append((settings, was))


@persistent
def _after_saving(*_: object) -> None:
    """Show them again."""
    for settings, was in _saving:
        for name, value in was.items():
            setattr(settings, name, value)
        animation = settings.previewed.animation_data_create()
        animation.action = settings.preview
        if SLOTTED_ACTIONS:
            animation.action_slot = settings.preview.slots[0]
    _saving.clear()


_HANDLERS = (("save_pre", _before_saving), ("save_post", _after_saving), ("save_post_fail", _after_saving))


class _WithTarget:
    """Operators that need a target."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a target."""
        return context.scene.video_motion_retarget.target is not None


class Recognise(_WithTarget, bpy.types.Operator):
    """Recognise the target's bones anew, by their names or else by how they are built"""

    bl_idname = "video_motion.recognise_bones"
    bl_label = "Recognise Bones"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Fill the list."""
        settings = context.scene.video_motion_retarget
        fill_rows(settings, recognise(read_rig(settings.target)))
        _changed(settings, context)
        return {"FINISHED"}


class MirrorBones(_WithTarget, bpy.types.Operator):
    """Fill one side of the list with the mirror images of the other side's bones"""

    bl_idname = "video_motion.mirror_bones"
    bl_label = "Mirror"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    side: EnumProperty(
        name="From",
        items=[
            (side, f"{side} to {other}".capitalize(), f"Take the {side} side's bones for the {other} side")
            for side, other in (SIDES, SIDES[::-1])
        ],
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the list."""
        settings = context.scene.video_motion_retarget
        mapping = chosen_mapping(settings)
        mapping.mirror(read_rig(settings.target), self.side)
        fill_rows(settings, mapping)
        _changed(settings, context)
        return {"FINISHED"}


class SaveMapping(_WithTarget, bpy.types.Operator, ExportHelper):
    """Save the list as a file, for other characters built alike"""

    bl_idname = "video_motion.save_bone_mapping"
    bl_label = "Save Mapping…"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    filename_ext = ".json"
    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the file."""
        try:
            chosen_mapping(context.scene.video_motion_retarget).save(Path(self.filepath))
        except OSError as error:
            self.report({"ERROR"}, f"{self.filepath} can't be written ({error.strerror}): choose another folder.")
            return {"CANCELLED"}
        return {"FINISHED"}


class LoadMapping(_WithTarget, bpy.types.Operator, ImportHelper):
    """Fill the list from a file"""

    bl_idname = "video_motion.load_bone_mapping"
    bl_label = "Load Mapping…"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read the file."""
        settings = context.scene.video_motion_retarget
        try:
            fill_rows(settings, BoneMapping.load(Path(self.filepath)))
        except RetargetError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        _changed(settings, context)
        return {"FINISHED"}


class Preview(_WithTarget, bpy.types.Operator):
    """Show the motion on the target, following every choice, until it is baked or taken back"""

    bl_idname = "video_motion.preview_retarget"
    bl_label = "Preview"
    bl_options: ClassVar[set[str]] = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Show it, or take it back."""
        settings = context.scene.video_motion_retarget
        if settings.preview is not None:
            end_preview(settings)
            return {"FINISHED"}
        return _report(self, lambda: show_preview(settings))


class Bake(_WithTarget, bpy.types.Operator):
    """Give the target a new action with the motion; its old action is kept"""

    bl_idname = "video_motion.retarget"
    bl_label = "Bake"
    bl_options: ClassVar[set[str]] = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the action."""
        settings = context.scene.video_motion_retarget

        def bake() -> None:
            if settings.preview is not None:
                end_preview(settings)
            made = run(settings)
            error = f", at most {made.rotation_error:.2f}° off" if settings.simplify else ""
            self.report({"INFO"}, f"{made.action.name}: {made.keys} keys{error}.")

        return _report(self, bake)


def _report(operator: bpy.types.Operator, work: Any) -> set[str]:
    try:
        work()
    except RetargetError as error:
        _told[:] = [(str(error), "ERROR")]
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


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
        """Draw a part, its bone, and a mark where that is not sure."""
        row = layout.split(factor=0.38)
        row.label(text=part_name(data, index))
        bone = row.row(align=True)
        bone.alert = bool(item.bone) and item.bone not in data.target.data.bones
        bone.prop_search(item, "bone", data.target.data, "bones", text="")
        if item.bone and item.confidence < _SURE:
            bone.label(text="", icon="QUESTION")

    def filter_items(
        self, context: bpy.types.Context, data: RetargetSettings, property_name: str
    ) -> tuple[list[int], list[int]]:
        """Show the rows of the body or those of the fingers, and of them those with the name looked for."""
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
        layout.prop(settings, "source")
        layout.prop(settings, "target")
        if settings.target is None:
            return
        # Above the lists, which may fill the window.
        row = layout.row(align=True)
        row.scale_y = 1.5
        shown = settings.preview is not None
        row.operator("video_motion.preview_retarget", depress=shown, icon="HIDE_OFF" if shown else "HIDE_ON")
        row.operator("video_motion.retarget", icon="ACTION")
        for told, icon in _told:
            draw_text(layout, told, characters_per_line(context), icon)
        self._draw_bones(layout, settings)
        column = layout.column()
        for name in ("hold_feet", "in_place", "match_world"):
            column.prop(settings, name)
        column.prop_search(settings, "root_bone", settings.target.data, "bones", icon="BONE_DATA")
        column.prop(settings, "step")
        column.prop(settings, "simplify")

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
        header, body = layout.panel("video_motion_fingers", default_closed=True)
        header.label(text=f"Fingers: {summary(settings, FINGER_SLOTS)}")
        if body is not None:
            draw_list(body, settings, _FINGER_LIST, "active_finger")


def draw_list(layout: bpy.types.UILayout, settings: RetargetSettings, name: str, active: str) -> None:
    """Draw the list of that name, and what is chosen in it: rows are too narrow for long names and numbers."""
    layout.template_list("VIDEO_MOTION_UL_bones", name, settings, "rows", settings, active, rows=10)
    index = getattr(settings, active)
    row = settings.rows[index] if index < len(settings.rows) else None
    if row is not None and row.bone and _is_in(row, name):
        doubt = f", {row.confidence:.0%} sure" if row.confidence < _SURE else ""
        layout.label(text=f"{part_name(settings, index)}: {row.bone}{doubt}")


def _is_in(row: BoneRow, name: str) -> bool:
    """Whether the list of that name shows a row."""
    return (row.slot in FINGER_SLOTS) == (name == _FINGER_LIST)


def part_name(settings: RetargetSettings, index: int) -> str:
    """What a row of the list plays: the parts of a chain are counted from the body outwards."""
    slot = settings.rows[index].slot
    name = slot.replace("_", " ").title().replace("Left ", "L ").replace("Right ", "R ")
    if slot not in CHAINS:
        return name
    before = sum(row.slot == slot for row in list(settings.rows)[:index])
    return f"{name} {before + 1}" if settings.rows[index].bone or not before else f"{name} +"


def summary(settings: RetargetSettings, slots: tuple[str, ...]) -> str:
    """How many bones play these parts, and of how many that is not sure."""
    rows = [row for row in settings.rows if row.bone and row.slot in slots]
    unsure = sum(row.confidence < _SURE for row in rows)
    return f"{len(rows)} bones" + (f", {unsure} unsure" if unsure else "")


classes = (
    BoneRow,
    RetargetSettings,
    BoneList,
    Recognise,
    MirrorBones,
    SaveMapping,
    LoadMapping,
    Preview,
    Bake,
    RetargetPanel,
)


def register() -> None:
    """Give every scene its choices."""
    bpy.types.Scene.video_motion_retarget = PointerProperty(type=RetargetSettings)
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Take them away, and the previews."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    for scene in bpy.data.scenes:
        end_preview(scene.video_motion_retarget)
    del bpy.types.Scene.video_motion_retarget
    _told.clear()
