"""What the file keeps of a take: how it was made, by which settings, and when and how large it plays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, IntProperty, IntVectorProperty, PointerProperty

from ...inference.motion.motion import Motion
from ...inference.options import ESTIMATION, Options
from ..capture.settings import CHOICES, estimation_properties, estimation_values, from_metres
from ..properties import property_for
from ..scene.camera import pixel_aspect
from ..scene.keyframes import OURS, scene_frame_rate
from ..scene.plate import can_show, hide_in_renders, plate_of, show_in_renders
from ..scene.take import frame_range_of, set_frame_rate
from .cleanup import PROPERTIES

TAKE = "video_motion"
"""Name of the property of a take's collection that holds how it was made, as JSON."""


class TakeSettings(bpy.types.PropertyGroup):
    """The settings of a take, a property of its collection; `Update Motion` makes the motion by them."""

    known: BoolProperty(description="Whether these are the take's, not defaults", options={"HIDDEN"})
    whole_frames: property_for("whole_frames")
    rate: FloatProperty(description="Frames per second of the scene that the take's keys are for", options={"HIDDEN"})
    first: IntProperty(options={"HIDDEN"})
    last: IntProperty(options={"HIDDEN"})
    resolution: IntVectorProperty(size=2, options={"HIDDEN"})
    pixel_aspect: FloatVectorProperty(size=2, options={"HIDDEN"})

    @property
    def seconds(self) -> float:
        """How long the take is."""
        return (self.last - self.first + 1) / self.rate if self.rate else 0.0

    def chosen(self, before: Options, scene: bpy.types.Scene) -> Options:
        """The options that make the take's motion, given those that made it ``before``."""
        values = estimation_values(self, scene)
        if values["focal_mm"]:
            values["focal"] = None
        return replace(before, **values)

    def remember(self, options: Options, scene: bpy.types.Scene) -> None:
        """Take over the options that a motion was made by."""
        settings: Any = self
        for name in CHOICES:
            setattr(settings, name, getattr(options, name))
        settings.weights = "" if options.weights is None else str(options.weights)
        settings.focal_mm = options.focal_mm or 0.0
        settings.height = from_metres(options.height or 0.0, scene)
        settings.trim = options.start is not None or options.end is not None
        settings.start, settings.end = options.start or 0.0, options.end or 0.0
        settings.whole_frames = options.whole_frames
        settings.known = True

    def remember_play(self, scene: bpy.types.Scene, motions: Sequence[Motion] = ()) -> None:
        """Take over when and how large ``motions`` play in a scene; without them the scene's range and resolution."""
        self.rate = scene_frame_rate(scene)
        self.first, self.last = scene.frame_start, scene.frame_end
        render = scene.render
        self.resolution = render.resolution_x, render.resolution_y
        self.pixel_aspect = render.pixel_aspect_x, render.pixel_aspect_y
        if motions:
            self.first, self.last = frame_range_of(motions, self.rate, self.whole_frames)
        filmed = [motion for motion in motions if motion.has_camera]
        if filmed:
            self.resolution = [int(side) for side in filmed[0].image_size]
            self.pixel_aspect = pixel_aspect(filmed[0].camera_K)

    def play(self, scene: bpy.types.Scene, rate: bool = True, size: bool = True) -> None:
        """Give a scene the take's rate and range, and resolution."""
        if rate and self.rate:
            if abs(scene_frame_rate(scene) / self.rate - 1.0) > 1e-6:
                set_frame_rate(scene, self.rate)
            scene.frame_start, scene.frame_end = self.first, self.last
            if not self.first <= scene.frame_current <= self.last:
                scene.frame_set(self.first)
        if size and self.resolution[0]:
            render = scene.render
            render.resolution_x, render.resolution_y = self.resolution
            render.pixel_aspect_x, render.pixel_aspect_y = self.pixel_aspect


def _is_rendered(settings: TakeSettings) -> bool:
    return plate_of(settings.id_data) is not None


def _set_rendered(settings: TakeSettings, on: bool) -> None:
    take, scene = settings.id_data, bpy.context.scene
    camera, floor = camera_of(take), floor_of(take)
    if on and can_show(camera) and plate_of(take) is None:
        sides = (settings.resolution[part] * settings.pixel_aspect[part] for part in range(2))
        show_in_renders(take, camera, floor, scene, tuple(sides))
    elif not on:
        hide_in_renders(take, floor, scene)


TakeSettings.__annotations__.update(
    estimation_properties()
    | PROPERTIES
    | {"render_footage": property_for("render_footage", get=_is_rendered, set=_set_rendered)}
)


def takes_in(scene: bpy.types.Scene) -> list[bpy.types.Collection]:
    """The takes of a scene."""
    return [one for one in scene.collection.children_recursive if TAKE in one]


def take_of(context: bpy.types.Context) -> bpy.types.Collection | None:
    """The selected take: that of the active object, else the one chosen last, else the scene's latest."""
    takes = takes_in(context.scene)
    active = context.view_layer.objects.active
    for collection in active.users_collection if active is not None else ():
        if collection in takes:
            return collection
    chosen = context.scene.video_motion_takes.chosen
    return chosen if chosen in takes else takes[-1] if takes else None


def provenance_of(take: bpy.types.Collection) -> dict[str, Any]:
    """How a take was made: `video`, `options` and `report`; without a video nothing but `file`."""
    return json.loads(take[TAKE])


def came_from_video(take: bpy.types.Collection) -> bool:
    """Whether a take can be made again."""
    return "video" in provenance_of(take)


def settings_of(take: bpy.types.Collection, scene: bpy.types.Scene) -> TakeSettings:
    """The settings of a take, known from now on also where an earlier version made it."""
    settings = take.video_motion_take
    if not settings.known:
        if came_from_video(take):
            settings.remember(Options.from_json(provenance_of(take)["options"]), scene)
        settings.remember_play(scene)
        settings.known = True
    return settings


def record(
    take: bpy.types.Collection,
    scene: bpy.types.Scene,
    motions: Sequence[Motion],
    video: Path,
    options: Options,
    report: dict[str, Any],
) -> None:
    """Keep how a take was made from a video, and how it plays."""
    take[TAKE] = json.dumps(
        {"video": str(video), "options": options.to_json(ESTIMATION, defaults=True), "report": report}
    )
    settings = take.video_motion_take
    settings.remember(options, scene)
    settings.remember_play(scene, motions)


def record_file(
    take: bpy.types.Collection, scene: bpy.types.Scene, motions: Sequence[Motion], whole_frames: bool
) -> None:
    """Keep that a take came from a motion file, and how it plays."""
    take[TAKE] = json.dumps({"file": str(motions[0].provenance.get("file", ""))})
    settings = take.video_motion_take
    settings.known, settings.whole_frames = True, whole_frames
    settings.remember_play(scene, motions)


def take_by_id(uid: int) -> bpy.types.Collection | None:
    """The take of a `session_uid`, which renaming and undo don't change; None where it is gone."""
    return next((one for one in bpy.data.collections if one.session_uid == uid and TAKE in one), None)


def characters_in(take: bpy.types.Collection) -> dict[int, bpy.types.Object]:
    """The armatures of a take by their person's number."""
    return {one[OURS]["person"]: one for one in take.all_objects if one.type == "ARMATURE" and OURS in one}


def camera_of(take: bpy.types.Collection) -> bpy.types.Object | None:
    """The camera that filmed a take; None where there is none."""
    return next((one for one in take.all_objects if one.type == "CAMERA" and OURS in one), None)


def floor_of(take: bpy.types.Collection) -> bpy.types.Object | None:
    """The floor of a take; None where there is none."""
    ours = [one for one in take.all_objects if one.type == "MESH" and OURS in one]
    return next((one for one in ours if one.is_shadow_catcher), None)


@persistent
def _adopt(*_: object) -> None:
    """Know the settings of takes that an earlier version made."""
    for scene in bpy.data.scenes:
        for take in takes_in(scene):
            settings_of(take, scene)


classes = (TakeSettings,)


def register() -> None:
    """Add the settings to collections."""
    bpy.types.Collection.video_motion_take = PointerProperty(type=TakeSettings)
    bpy.app.handlers.load_post.append(_adopt)


def unregister() -> None:
    """Remove them."""
    bpy.app.handlers.load_post.remove(_adopt)
    del bpy.types.Collection.video_motion_take
