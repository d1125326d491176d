"""The settings of the panel "Retarget"; kept in the file, for each scene."""

from __future__ import annotations

import math

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .bones import read_rig
from .mapping import BoneMapping
from .presets import find_mapping
from .preview import messages, renew_preview
from .rows import fill_rows


def _is_armature(settings: RetargetSettings, candidate: bpy.types.Object) -> bool:
    return candidate.type == "ARMATURE"


def _choose_target(settings: RetargetSettings, context: bpy.types.Context) -> None:
    messages.clear()
    if settings.target is not None:
        fill_rows(settings, find_mapping(read_rig(settings.target)))
    _follow_change(settings, context)


def _follow_change(settings: RetargetSettings, context: bpy.types.Context) -> None:
    """Update an active preview at once, so that undo reverts both in one step."""
    if settings.preview is not None:
        renew_preview()


def _choose_bone(row: BoneRow, context: bpy.types.Context) -> None:
    row.confidence = 1.0
    _follow_change(context.scene.video_motion_retarget, context)


def _follow_offset(row: BoneRow, context: bpy.types.Context) -> None:
    _follow_change(context.scene.video_motion_retarget, context)


class BoneRow(bpy.types.PropertyGroup):
    """A part of the human body and the bone that represents it."""

    slot: StringProperty(options=set())
    bone: StringProperty(
        name="Bone", description="The target's bone for this part of the body", update=_choose_bone, options=set()
    )
    confidence: FloatProperty(options=set())
    offset: FloatVectorProperty(
        name="Offset",
        description="Turn this bone further about its own axes, at every frame; bones below it keep their direction",
        subtype="EULER",
        update=_follow_offset,
        options=set(),
    )


def _tolerance(settings: RetargetSettings) -> float:
    return math.radians(settings.simplify)


def _set_tolerance(settings: RetargetSettings, angle: float) -> None:
    settings.simplify = math.degrees(angle)


class RetargetSettings(bpy.types.PropertyGroup):
    """The settings of the panel."""

    source: PointerProperty(
        name="From",
        description="The armature that has the motion; empty for the selected take or person",
        type=bpy.types.Object,
        poll=_is_armature,
        update=_follow_change,
    )
    target: PointerProperty(
        name="To",
        description="Your character's armature; only its action changes, unless asked for more",
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
        description="Keep standing feet in place on the new legs",
        default=True,
        update=_follow_change,
        options=set(),
    )
    in_place: BoolProperty(
        name="In Place", description="Leave out the path over the floor", update=_follow_change, options=set()
    )
    match_world: BoolProperty(
        name="Same Direction",
        description="Move in the source's direction in the world, whatever the target object's rotation",
        update=_follow_change,
        options=set(),
    )
    root_bone: StringProperty(
        name="Root Bone",
        description="The bone above the hips that gets the path over the floor; empty for none",
        update=_follow_change,
        options=set(),
    )
    step: FloatProperty(
        name="Frame Step",
        description="Frames between keys; 0 sets keys where the source has them",
        min=0.0,
        soft_max=10.0,
        options=set(),
    )
    # Degrees; fields show angles of radians.
    simplify: FloatProperty(min=0.0, options={"HIDDEN"})
    tolerance: FloatProperty(
        name="Simplify",
        description="Leave out keys as long as no rotation is off by more than this angle; 0 keeps all",
        subtype="ANGLE",
        min=0.0,
        soft_max=math.radians(5.0),
        get=_tolerance,
        set=_set_tolerance,
        options=set(),
    )
    only_while_seen: BoolProperty(
        name="Only While Seen",
        description="Bake also hides your character while the footage doesn't show the person; adds drivers to meshes",
        options=set(),
    )
    preview: PointerProperty(type=bpy.types.Action)
    previewed: PointerProperty(type=bpy.types.Object)
    before: PointerProperty(type=bpy.types.Action)
    kept: StringProperty(options=set())


def choose_mapping(settings: RetargetSettings, context: bpy.types.Context, mapping: BoneMapping) -> None:
    """Show a mapping, and update an active preview."""
    fill_rows(settings, mapping)
    _follow_change(settings, context)


classes = (BoneRow, RetargetSettings)


def register() -> None:
    """Give every scene the settings."""
    bpy.types.Scene.video_motion_retarget = PointerProperty(type=RetargetSettings)


def unregister() -> None:
    """Remove them."""
    del bpy.types.Scene.video_motion_retarget
