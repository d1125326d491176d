"""A take: everything that one video becomes in a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from ..inference.body.smpl import Body
from ..inference.motion.motion import Motion
from .armature import create_armature, rest_bones
from .camera import create_camera, set_resolution
from .floor import create_floor
from .footage import show_footage
from .keyframes import create_action, frames_of, scene_frame_rate
from .lights import create_sun, ensure_sky
from .mesh import bind, create_mesh

# Two rates nearer to each other than this (a fraction) are the same; 30 and 29.97 are not.
_SAME_RATE = 3e-4

# How much of a 3D view the camera's frame takes; headers lie over the rest.
_FRAME_IN_VIEW = 0.85


@dataclass(frozen=True)
class Options:
    """What to make of a take.

    Attributes:
        frame_rate: the scene's new frame rate; None keeps the one it has.
        mesh: make the skin.
        camera: make the camera, with the footage behind its view, and look through it.
        floor: make the floor.
        lights: make a sun, and a sky where the scene has none.
        resolution: render at the size of the footage.
        frame_range: play exactly the take.
    """

    frame_rate: float | None = None
    mesh: bool = True
    camera: bool = True
    floor: bool = True
    lights: bool = True
    resolution: bool = True
    frame_range: bool = True


@dataclass
class Character:
    """One person of a take; `mesh` is None where none was wanted."""

    armature: bpy.types.Object
    mesh: bpy.types.Object | None
    action: bpy.types.Action


@dataclass
class Take:
    """What `build_scene` has made; None where it was not wanted."""

    collection: bpy.types.Collection
    characters: list[Character] = field(default_factory=list)
    camera: bpy.types.Object | None = None
    footage: bpy.types.Image | None = None
    floor: bpy.types.Object | None = None
    sun: bpy.types.Object | None = None


def build_scene(
    motions: Sequence[Motion],
    body: Body,
    footage: Path | None = None,
    options: Options | None = None,
    scene: bpy.types.Scene | None = None,
) -> Take:
    """Make the characters, camera and floor of one video in a collection of their own.

    Args:
        motions: the people of the video, at least one.
        body: the body that their θ and β are for.
        footage: the video; without it the camera has no backdrop.
        options: what to make, everything by default.
        scene: where to make it, the current scene by default.

    Raises:
        FootageError: Blender cannot read the footage.
    """
    options = options or Options()
    scene = scene or bpy.context.scene
    if options.frame_rate is not None:
        set_frame_rate(scene, options.frame_rate)
    frame_rate = scene_frame_rate(scene)
    name = take_name(motions, footage)
    take = Take(bpy.data.collections.new(name))
    scene.collection.children.link(take.collection)

    for motion in motions:
        take.characters.append(_add_character(take.collection, name, motion, body, frame_rate, options))
    if options.camera:
        take.camera = create_camera(f"{name} camera", motions, frame_rate)
        take.collection.objects.link(take.camera)
        scene.camera = take.camera
        if footage is not None:
            take.footage = show_footage(take.camera, footage, motions, frame_rate)
    if options.floor:
        positions = np.concatenate([motion.trans + motion.pelvis for motion in motions])
        take.floor = create_floor(f"{name} floor", positions)
        take.collection.objects.link(take.floor)
    if options.lights:
        take.sun = create_sun(f"{name} sun", motions[0].camera_to_world[0])
        take.collection.objects.link(take.sun)
        ensure_sky(scene)
    if options.resolution:
        set_resolution(scene, motions[0].camera_K, motions[0].image_size)
    if options.frame_range:
        set_frame_range(scene, motions)
    return take


def take_name(motions: Sequence[Motion], footage: Path | None) -> str:
    """Return the name of a take: its video's, without folder and ending."""
    video = footage.name if footage is not None else str(motions[0].provenance.get("video", ""))
    return Path(video).stem or "Video motion"


def footage_frame_rate(motions: Sequence[Motion]) -> float:
    """Return the mean frame rate of the footage, the exact standard one where it is near it."""
    longest = max(motions, key=len)
    rate = longest.frame_rate
    numbers = np.ptp(longest.frames)
    if numbers:
        rate = float(numbers / np.ptp(longest.timestamps))
    whole = max(round(rate), 1)
    # Television's rates are a thousandth slow: 23.976, 29.97, 59.94.
    slow = max(round(rate * 1.001), 1) / 1.001
    standard = min((whole, slow), key=lambda candidate: abs(candidate - rate))
    return standard if abs(standard / rate - 1.0) < _SAME_RATE else rate


def set_frame_rate(scene: bpy.types.Scene, frame_rate: float) -> None:
    """Make the scene play at ``frame_rate`` frames per second, which Blender keeps as a whole number and a divisor."""
    whole = max(math.ceil(frame_rate - 1e-6), 1)
    scene.render.fps = whole
    scene.render.fps_base = whole / frame_rate


def set_frame_range(scene: bpy.types.Scene, motions: Sequence[Motion]) -> None:
    """Let the scene begin and end with ``motions`` and go to their first frame."""
    frame_rate = scene_frame_rate(scene)
    first = min(frames_of(motion.timestamps[:1], frame_rate)[0] for motion in motions)
    last = max(frames_of(motion.timestamps[-1:], frame_rate)[0] for motion in motions)
    # A rounded frame rate leaves a last key a hair after its frame.
    scene.frame_start = math.floor(first + 1e-3)
    scene.frame_end = max(math.ceil(last - 1e-3), scene.frame_start)
    scene.sync_mode = "FRAME_DROP"
    scene.frame_set(scene.frame_start)


def prepare_viewports(scene: bpy.types.Scene) -> None:
    """Show the scene through its camera, whole and shaded, in the 3D views of every workspace."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type != "VIEW_3D":
                    continue
                space.shading.type = "SOLID"
                space.shading.color_type = "MATERIAL"
                space.shading.show_cavity = True
                if scene.camera is not None and space.region_3d is not None:
                    space.region_3d.view_perspective = "CAMERA"
                    space.region_3d.view_camera_zoom = _camera_zoom(scene, area)


def _camera_zoom(scene: bpy.types.Scene, area: bpy.types.Area) -> float:
    """The zoom at which the camera's frame just fits into a 3D view."""
    frame = scene.render.resolution_y * scene.render.pixel_aspect_y / scene.render.resolution_x
    view = area.height / area.width if area.width > 0 and area.height > 0 else 0.6
    # At zoom z the frame is (√2 + z / 50)² / 4 as wide as the view.
    return 50.0 * (2.0 * math.sqrt(_FRAME_IN_VIEW * min(1.0, view / frame)) - math.sqrt(2.0))


def _add_character(
    collection: bpy.types.Collection, take: str, motion: Motion, body: Body, frame_rate: float, options: Options
) -> Character:
    name = f"{take} person {motion.person}"
    betas = motion.betas[: body.shapedirs.shape[2]]
    rest = rest_bones(body, betas)
    armature = create_armature(name, body, rest)
    armature["video_motion"] = {
        "video": str(motion.provenance.get("video", "")),
        "person": motion.person,
        "estimator": motion.estimator,
        "gender": motion.gender,
        "betas": [float(beta) for beta in motion.betas],
    }
    collection.objects.link(armature)
    mesh = None
    if options.mesh:
        mesh = create_mesh(f"{name} body", body, betas, rest, motion.person)
        collection.objects.link(mesh)
        bind(mesh, armature)
    action = create_action(armature, motion, name, frame_rate)
    return Character(armature, mesh, action)
