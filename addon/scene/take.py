"""A take: everything that one video becomes in a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import bpy
import numpy as np

from ...inference.body.kinds import BUILDS, GENDERS
from ...inference.body.smpl import Body
from ...inference.motion.figure import FIGURE
from ...inference.motion.motion import Motion
from ...inference.options import FROM_VIDEO, KEEP, Options
from ..compatibility import Channels
from .armature import ALL_BONES, create_armature, move_bones, rest_bones, rest_skin, to_armature
from .backdrop import hide_footage, movie_rate, show_footage
from .camera import create_camera, place_camera, set_intrinsics, set_resolution, view_sides
from .clothes import dress
from .floor import create_floor
from .keyframes import OURS, create_action, frames_of, key_shapes, scene_frame_rate
from .layers import assign, captured_action, is_edited, put_captured, stamp
from .lights import create_sun, ensure_sky
from .mesh import bind, create_mesh, has_moving_keys, move_skin
from .plate import PLATE, refresh_plate, show_in_renders
from .resample import frames_around, on_whole_frames, standard_rate
from .visibility import follow_seen

# Rates that differ by less than this fraction are the same; 30 and 29.97 are not.
_SAME_RATE = 3e-4

# Steps between pictures that differ from the median by less than this fraction belong to the rate; others are gaps.
_USUAL = 0.4

# Blender before 5.0 cuts names after 63 bytes; the longest ending is like ".001 person 12 body right_eye".
_MOST_BYTES_OF_NAME = 34


@dataclass(frozen=True)
class SceneOptions:
    """What to create for a take.

    Attributes:
        frame_rate: the scene's new frame rate; None keeps the one it has.
        mesh: make the skin.
        clothes: dress it, where the body has clothes.
        correctives: give the skin SMPL's pose correctives as keyed shape keys, where the body has them.
        camera: make the camera, with the footage behind its view, and look through it, where one filmed the motion.
        whole_frames: resample the motions onto whole frames of the scene; otherwise keys lie at their own times.
        only_while_seen: hide people that a camera filmed while it doesn't see them.
        floor: make the floor.
        render_footage: let renders show the footage that is behind the camera's view, with shadows on the floor.
        lights: make a sun, and a sky where the scene has none.
        resolution: render at the size of the footage, where there is some.
        frame_range: play exactly the take.
    """

    frame_rate: float | None = None
    mesh: bool = True
    clothes: bool = False
    correctives: bool = False
    camera: bool = True
    whole_frames: bool = True
    only_while_seen: bool = True
    floor: bool = True
    render_footage: bool = False
    lights: bool = True
    resolution: bool = True
    frame_range: bool = True

    @classmethod
    def from_options(cls, options: Options, motions: Sequence[Motion]) -> Self:
        """What a user's options ask of a scene that shows some motions."""
        if options.fps == FROM_VIDEO:
            rate = footage_frame_rate(motions)
            rate = standard_rate(rate) if options.whole_frames else rate
        else:
            rate = None if options.fps == KEEP else float(options.fps)
        return cls(
            frame_rate=rate,
            mesh=options.mesh,
            clothes=options.clothes,
            correctives=options.correctives,
            camera=options.camera,
            whole_frames=options.whole_frames,
            only_while_seen=options.only_while_seen,
            floor=options.floor,
            render_footage=options.render_footage,
            resolution=options.camera,
            frame_range=options.frame_range,
        )


@dataclass
class Character:
    """One person of a take; `mesh` is None if not requested."""

    armature: bpy.types.Object
    mesh: bpy.types.Object | None
    action: bpy.types.Action


@dataclass
class Take:
    """What `build_scene` has made; None where it was not requested or is unknown."""

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
    options: SceneOptions | None = None,
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
        BackdropError: Blender cannot read the footage.
    """
    options = options or SceneOptions()
    scene = scene or bpy.context.scene
    filmed = [motion for motion in motions if motion.has_camera]
    if footage is not None and filmed and options.camera:
        # Fail before anything is made.
        movie_rate(footage)
    if options.frame_rate is not None:
        set_frame_rate(scene, options.frame_rate)
    frame_rate = scene_frame_rate(scene)
    name = unused_name(take_name(motions, footage))
    take = Take(bpy.data.collections.new(name))
    scene.collection.children.link(take.collection)

    keyed = [on_whole_frames(motion, frame_rate) for motion in motions] if options.whole_frames else motions
    for motion in keyed:
        take.characters.append(add_character(take.collection, name, motion, body, frame_rate, options))
    if options.camera and filmed:
        moving = [motion for motion in keyed if motion.has_camera]
        take.camera = create_camera(f"{name} camera", moving, frame_rate)
        take.collection.objects.link(take.camera)
        scene.camera = take.camera
        if footage is not None:
            take.footage = show_footage(take.camera, footage, filmed, frame_rate)
    if options.floor:
        positions = np.concatenate([motion.trans + motion.rest_pelvis for motion in motions])
        take.floor = create_floor(f"{name} floor", positions)
        take.collection.objects.link(take.floor)
    if options.lights:
        take.sun = create_sun(f"{name} sun", (filmed or motions)[0].camera_to_world[0])
        take.collection.objects.link(take.sun)
        ensure_sky(scene)
    if options.render_footage and take.camera is not None and take.footage is not None:
        first = filmed[0]
        show_in_renders(take.collection, take.camera, take.floor, scene, view_sides(first.camera_K, first.image_size))
    if options.resolution and filmed:
        set_resolution(scene, filmed[0].camera_K, filmed[0].image_size)
    if options.frame_range:
        set_frame_range(scene, motions, options.whole_frames)
    return take


@dataclass(frozen=True)
class Replaced:
    """What `replace_action` has done.

    Attributes:
        action: the new captured action.
        channels: its channels for the character's bones.
        kept: the old one where somebody had changed its keys, which stays in the file; else None.
    """

    action: bpy.types.Action
    channels: Channels
    kept: bpy.types.Action | None


def replace_action(armature: bpy.types.Object, motion: Motion, frame_rate: float, on_frames: bool = True) -> Replaced:
    """Give a character a new captured action for ``motion``, at ``frame_rate`` scene frames per second.

    Corrections stay above it, and the pose correctives and faces of its meshes follow it. The old actions are removed
    if this add-on made them, nobody has changed their keys, nothing else uses them and they are no assets; the new one
    gets the old one's name.

    Args:
        armature: of a take, of the same body and shape as ``motion``.
        motion: the new motion.
        frame_rate: as for `build_scene`.
        on_frames: resample the motion onto whole frames of the scene.
    """
    motion = on_whole_frames(motion, frame_rate) if on_frames else motion
    meshes = [child for child in armature.children if child.type == "MESH" and has_moving_keys(child)]
    edited = is_edited(armature)
    owners = [mesh.data.shape_keys for mesh in meshes]
    old = [captured_action(armature), *(owner.animation_data and owner.animation_data.action for owner in owners)]
    action, slot, channels = create_action(armature, motion, armature.name, frame_rate)
    put_captured(armature, action, slot)
    stamp(action, channels)
    holders = [action, *(key_shapes(mesh, motion, action, frame_rate) for mesh in meshes)]
    kept = old[0] if edited else None
    if kept is not None:
        name = kept.name
        kept.name = f"{name} (edited)"
        kept.use_fake_user = True
        action.name = name
    for before, now in {before: now for before, now in zip(old, holders, strict=True) if before is not None}.items():
        if before != kept:
            _succeed(now, before)
    return Replaced(action, channels, kept)


def replace_camera(
    collection: bpy.types.Collection,
    motions: Sequence[Motion],
    frame_rate: float,
    on_frames: bool = True,
    footage: Path | None = None,
) -> None:
    """Move a take's camera, where it still has one, to where ``motions`` are seen as in the footage, with its lens.

    Arguments are as for `replace_action`, whose rules hold for the camera's action, too; the ``footage`` is shown anew
    where it is given.
    """
    filmed = [one for one in motions if one.has_camera]
    keyed = [on_whole_frames(one, frame_rate) if on_frames else one for one in filmed]
    for camera in list(collection.all_objects):
        if camera.type == "CAMERA" and OURS in camera and filmed:
            old = camera.animation_data.action if camera.animation_data is not None else None
            if old is not None:
                camera.animation_data.action = None  # pyrefly: ignore[missing-attribute]
            set_intrinsics(camera.data, filmed[0].camera_K, filmed[0].image_size)
            place_camera(camera, keyed, frame_rate)
            if old is not None:
                _succeed(camera.animation_data.action, old)  # pyrefly: ignore[missing-attribute]
            if footage is not None and camera.data.background_images:
                hide_footage(camera)
                show_footage(camera, footage, filmed, frame_rate)
                refresh_plate(collection, camera)


def _succeed(action: bpy.types.Action | None, old: bpy.types.Action) -> None:
    """Remove an old action of this add-on and pass on its name, unless something uses it or it is an asset."""
    if old.users - int(old.use_fake_user) or old.asset_data is not None or not old.get(OURS):
        return
    name = old.name
    bpy.data.actions.remove(old)
    if action is not None:
        action.name = name


def reshape(armature: bpy.types.Object, body: Body, betas: np.ndarray) -> None:
    """Give a character of a take another shape ``betas`` (10,): its bones, and its skin with what was sculpted on it.

    Its action has to be replaced afterwards.
    """
    count = body.shapedirs.shape[2]
    old, new = np.array(armature[OURS]["betas"][:count]), betas[:count]
    before, after = rest_bones(body, old), rest_bones(body, new)
    move_bones(armature, after)
    moves = to_armature(rest_skin(body, new), after.height) - to_armature(rest_skin(body, old), before.height)
    for data in {child.data for child in armature.children if child.type == "MESH"}:
        if len(data.vertices) == len(moves):
            move_skin(data, moves)
    armature[OURS]["betas"] = [float(beta) for beta in betas]


def take_name(motions: Sequence[Motion], footage: Path | None) -> str:
    """Return the name of a take: its video's or its motion file's, without folder and ending, and which shot it is."""
    provenance = motions[0].provenance
    source = footage.name if footage is not None else str(provenance.get("video") or provenance.get("file") or "")
    shot = f" shot {motions[0].shot}" if "shot" in provenance else ""
    return (Path(source).stem or "Video motion") + shot


def unused_name(name: str) -> str:
    """Return ``name``, or ``name.001`` and so on where the file has a take of that name, or parts of one.

    So everything in a take has the same prefix. Long names are shortened, so that Blender does not cut the suffixes.
    """
    while len(name.encode()) > _MOST_BYTES_OF_NAME:
        name = name[:-1].rstrip()
    data = bpy.data
    kinds = (data.collections, data.objects, data.armatures, data.meshes, data.materials, data.actions)
    taken = {block.name for kind in (*kinds, data.cameras, data.lights) for block in kind}
    number, candidate = 0, name
    while any(belongs(other, candidate) for other in taken):
        number += 1
        candidate = f"{name}.{number:03d}"
    return candidate


def belongs(name: str, take: str) -> bool:
    """Whether ``name`` is a take's own or that of something in it."""
    return name == take or name.startswith(
        tuple(f"{take} {part}" for part in ("person ", "camera", "floor", "sun", "place", PLATE))
    )


def footage_frame_rate(motions: Sequence[Motion]) -> float:
    """Return the frame rate of the footage, rounded to a standard rate where it is close to one.

    It is the mean without gaps in the footage's times, which say nothing of the rate between them.
    """
    longest = max(motions, key=len)
    rate = longest.frame_rate
    numbers = np.diff(longest.frames)
    if (numbers > 0).any():
        steps = np.diff(longest.timestamps)[numbers > 0] / numbers[numbers > 0]
        usual = np.abs(steps / np.median(steps) - 1.0) < _USUAL
        rate = float(1.0 / np.average(steps[usual], weights=numbers[numbers > 0][usual]))
    whole = max(round(rate), 1)
    # NTSC rates are slower by a factor of 1.001: 23.976, 29.97, 59.94.
    slow = max(round(rate * 1.001), 1) / 1.001
    standard = min((whole, slow), key=lambda candidate: abs(candidate - rate))
    return standard if abs(standard / rate - 1.0) < _SAME_RATE else rate


def set_frame_rate(scene: bpy.types.Scene, frame_rate: float) -> None:
    """Make the scene play at ``frame_rate`` frames per second, which Blender keeps as a whole number and a divisor."""
    whole = max(math.ceil(frame_rate - 1e-6), 1)
    scene.render.fps = whole
    scene.render.fps_base = whole / frame_rate


def frame_range_of(motions: Sequence[Motion], frame_rate: float, within: bool) -> tuple[int, int]:
    """Return the first and last whole frame ``within`` some motions, or else around them, at a scene's frame rate."""
    ends = np.array([motion.timestamps[[0, -1]] for motion in motions])
    return frames_around(frames_of(np.array([ends[:, 0].min(), ends[:, 1].max()]), frame_rate), within)


def set_frame_range(scene: bpy.types.Scene, motions: Sequence[Motion], within: bool) -> None:
    """Set the scene's frame range to that of ``motions``, see `frame_range_of`, and go to the first frame."""
    scene.frame_start, scene.frame_end = frame_range_of(motions, scene_frame_rate(scene), within)
    scene.sync_mode = "FRAME_DROP"
    scene.frame_set(scene.frame_start)


def add_character(
    collection: bpy.types.Collection, take: str, motion: Motion, body: Body, frame_rate: float, options: SceneOptions
) -> Character:
    """Make one person of a take, whose name begins with that of the ``take``; arguments as for `build_scene`."""
    name = f"{take} person {motion.person}"
    betas = motion.betas[: body.shapedirs.shape[2]]
    rest = rest_bones(body, betas)
    armature = create_armature(name, body, rest)
    armature[OURS] = {
        "video": str(motion.provenance.get("video", "")),
        "person": motion.person,
        "estimator": motion.estimator,
        "gender": motion.gender,
        "betas": [float(beta) for beta in motion.betas],
    }
    if body.figures is not None:
        known = motion.provenance.get(FIGURE, {"gender": GENDERS[0], "build": BUILDS[0], "betas": betas})
        ours = armature[OURS]
        ours["figure"], ours["build"] = known["gender"], known["build"]
        ours["seen"] = [float(beta) for beta in known["betas"]]
    collection.objects.link(armature)
    mesh = None
    if options.mesh:
        mesh = create_mesh(
            f"{name} body", body, betas, rest, motion.person, options.correctives, motion.face is not None
        )
        mesh[OURS] = True
        collection.objects.link(mesh)
        bind(mesh, armature)
        dress(mesh, options.clothes)
    if options.only_while_seen and motion.has_camera:
        follow_seen(armature, armature.data.collections[ALL_BONES])
    action, slot, channels = create_action(armature, motion, name, frame_rate)
    assign(armature, action, slot)
    stamp(action, channels)
    if mesh is not None and has_moving_keys(mesh):
        key_shapes(mesh, motion, action, frame_rate)
    return Character(armature, mesh, action)
