"""The list of takes: which one is selected, what selecting it does, and which of them are shown."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty

from ..interface import select_only
from ..scene.plate import plate_of, use_world
from ..scene.viewport import look_through_camera, views_of
from .confidence import show_everywhere
from .record import camera_of, characters_in, settings_of, take_of, takes_in

BESIDE, SAME_PLACE, REPLACE = "BESIDE", "SAME", "REPLACE"
CAMERA, TIME, RESOLUTION = "CAMERA", "TIME", "RESOLUTION"


def activate(context: bpy.types.Context, take: bpy.types.Collection) -> None:
    """Let the scene play a take, as far as the list's menu says, and select its characters."""
    scene, layer = context.scene, context.view_layer
    list_settings = scene.video_motion_takes
    list_settings.chosen = take
    show(layer, take, True)
    if list_settings.alone:
        hide_others(layer, scene, take)
    wanted = list_settings.sets
    settings = settings_of(take, scene)
    settings.play(scene, TIME in wanted, RESOLUTION in wanted)
    camera = camera_of(take)
    if CAMERA in wanted and camera is not None:
        scene.camera = camera
        plate = plate_of(take)
        if plate is not None:
            use_world(plate, scene)
        for area in views_of(context.window, scene):
            if area.spaces.active.region_3d.view_perspective == "CAMERA":
                look_through_camera(scene, area)
    armatures = [one for _, one in sorted(characters_in(take).items())]
    select_only(context, armatures[::-1])


def show(layer: bpy.types.ViewLayer, take: bpy.types.Collection, on: bool) -> None:
    """Show a take in a view layer, in views and in renders, or hide it, which costs nothing while others play."""
    one = layer_collection(layer, take)
    if one is not None and one.exclude == on:
        one.exclude = not on


def hide_others(layer: bpy.types.ViewLayer, scene: bpy.types.Scene, take: bpy.types.Collection) -> None:
    """Show no other take of a scene than ``take``."""
    for other in takes_in(scene):
        show(layer, other, other == take)


def layer_collection(layer: bpy.types.ViewLayer, take: bpy.types.Collection) -> bpy.types.LayerCollection | None:
    """Where a view layer has a take; None where it has not."""
    waiting = [layer.layer_collection]
    while waiting:
        one = waiting.pop()
        if one.collection == take:
            return one
        waiting += one.children
    return None


def _index(settings: TakeListSettings) -> int:
    take = take_of(bpy.context)
    return -1 if take is None else bpy.data.collections.find(take.name)


def _select(settings: TakeListSettings, index: int) -> None:
    take = bpy.data.collections[index]
    if take in takes_in(bpy.context.scene):
        activate(bpy.context, take)


def _show_alone(settings: TakeListSettings, context: bpy.types.Context) -> None:
    take = take_of(context)
    for other in takes_in(context.scene):
        show(context.view_layer, other, not settings.alone or other == take)


class TakeListSettings(bpy.types.PropertyGroup):
    """The state of a scene's list of takes."""

    chosen: PointerProperty(type=bpy.types.Collection)
    index: IntProperty(
        name="Take",
        description="Select a take: its camera, frame range and resolution become the scene's",
        get=_index,
        set=_select,
        options=set(),
    )
    alone: BoolProperty(
        name="Only the Selected Take",
        description="Hide the other takes, in views and in renders",
        options=set(),
        update=_show_alone,
    )
    confidence: BoolProperty(
        name="Show in Timeline",
        description="Draw in timelines and dope sheets, limb by limb, where the active character was not seen surely",
        options=set(),
        update=show_everywhere,
    )
    sets: EnumProperty(
        name="Selecting Sets",
        description="What of the scene becomes that of a take when it is selected",
        items=[
            (CAMERA, "Camera", "Look through the camera that filmed the take"),
            (TIME, "Frame Range and Rate", "Play exactly the take, at the rate that its keys are for"),
            (RESOLUTION, "Resolution", "Render at the size of the take's video"),
        ],
        options={"ENUM_FLAG"},
        default={CAMERA, TIME, RESOLUTION},
    )
    place: EnumProperty(
        name="New Take",
        description="Where the next import goes",
        items=[
            (BESIDE, "Beside Others", "Move it, with its camera, to the right of the takes that are there"),
            (SAME_PLACE, "Same Place", "Leave it where its video says, which may be inside others"),
            (REPLACE, "Replace Selected", "Delete the selected take, with its corrections, and put the new one there"),
        ],
        options=set(),
    )


classes = (TakeListSettings,)


def register() -> None:
    """Add the list's state to scenes."""
    bpy.types.Scene.video_motion_takes = PointerProperty(type=TakeListSettings)


def unregister() -> None:
    """Remove it."""
    del bpy.types.Scene.video_motion_takes
