"""People are visible only while they are seen.

A keyed property of the armature says when, in the action that moves it, so that it moves with the motion in the dope
sheet and the NLA, and goes with it. Drivers hide the character's meshes, in the view and in renders, and its bones.
The armature itself stays enabled: it can be selected in the outliner, posed and retargeted at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import bpy
import numpy as np

from ..compatibility import Channels, channels_of
from .keyframes import CONSTANT, SEEN, SEEN_PATH, write_curve
from .layers import captured_channels, captured_strip


def follow_seen(armature: bpy.types.Object, bones: bpy.types.BoneCollection | None = None) -> None:
    """Let the meshes below an armature, and a collection of its bones, be visible only where `SEEN` is true."""
    if SEEN not in armature:
        armature[SEEN] = True
        armature.id_properties_ui(SEEN).update(description="Whether the footage shows the person")
    for mesh in meshes_of(armature):
        for path in ("hide_viewport", "hide_render"):
            mesh.driver_remove(path)
            _drive(mesh, path, armature, f"not {SEEN}")
    if bones is not None:
        _drive(armature.data, f'collections_all["{bones.name}"].is_visible', armature, SEEN)


def copy_seen(source: bpy.types.Object, channels: Channels, frames: np.ndarray) -> None:
    """Key `SEEN` as it is keyed in a source; true at the first of ``frames`` (N,) where it is not."""
    curve = seen_curve(source)
    keys = [(key.co.x, key.co.y) for key in curve.keyframe_points] if curve is not None else [(frames[0], 1.0)]
    at, values = np.array(keys).T
    write_curve(channels, SEEN_PATH, 0, at, values, interpolation=CONSTANT)


def seen_curve(armature: bpy.types.Object) -> bpy.types.FCurve | None:
    """The curve of `SEEN` in the captured action, None where it is not keyed."""
    channels = captured_channels(armature)
    return channels.fcurves.find(SEEN_PATH) if channels is not None else None


def motion_curves(armature: bpy.types.Object) -> list[bpy.types.FCurve]:
    """The curves with keys that move a character, those above the captured action included.

    That of `SEEN`, whose keys lie around the motion, is left out.
    """
    layers = [captured_channels(armature), channels_of(armature) if captured_strip(armature) is not None else None]
    curves = [curve for channels in layers if channels is not None for curve in channels.fcurves]
    return [curve for curve in curves if len(curve.keyframe_points) and curve.data_path != SEEN_PATH]


def meshes_of(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """The meshes that an armature carries or deforms: the skin and what it wears."""
    carried = {one for one in armature.children_recursive if one.type == "MESH"}
    return [one for one in bpy.data.objects if one in carried or deforms(armature, one)]


def deforms(armature: bpy.types.Object, thing: bpy.types.Object) -> bool:
    """Whether an object is a mesh whose skin follows an armature's bones."""
    return thing.type == "MESH" and any(one.type == "ARMATURE" and one.object == armature for one in thing.modifiers)


def can_hide(armature: bpy.types.Object) -> bool:
    """Whether a character has what hides it while it isn't seen, in use or not."""
    return bool(_drivers(armature))


def is_only_while_seen(armature: bpy.types.Object) -> bool:
    """Whether a character is hidden while it isn't seen."""
    return any(not driver.mute for driver in _drivers(armature))


def set_only_while_seen(armature: bpy.types.Object, on: bool) -> None:
    """Hide a character while it isn't seen, or show it always.

    Off, nothing decides its visibility but the user; `SEEN` keeps its keys.
    """
    drivers = _drivers(armature)
    for driver in drivers:
        driver.mute = not on
    if on:
        # The drivers' values, at once.
        armature.update_tag()
        for owner in (armature.data, *meshes_of(armature)):
            owner.update_tag()
        return
    for driver in drivers:
        owner = driver.id_data
        if owner == armature.data:
            owner.path_resolve(driver.data_path.rpartition(".")[0]).is_visible = True
        else:
            setattr(owner, driver.data_path, False)


@contextlib.contextmanager
def always_visible(armatures: Sequence[bpy.types.Object]) -> Iterator[None]:
    """Show characters always meanwhile: what is hidden is not evaluated."""
    hidden = [one for one in armatures if is_only_while_seen(one)]
    try:
        for one in hidden:
            set_only_while_seen(one, False)
        yield
    finally:
        for one in hidden:
            set_only_while_seen(one, True)


def _drivers(armature: bpy.types.Object) -> list[bpy.types.FCurve]:
    """The drivers that follow an armature's `SEEN`."""
    owners = [armature.data, *meshes_of(armature)] if SEEN in armature else []
    return [
        curve
        for owner in owners
        if owner.animation_data is not None
        for curve in owner.animation_data.drivers
        for variable in curve.driver.variables
        if variable.targets[0].id == armature and variable.targets[0].data_path == SEEN_PATH
    ]


def _drive(owner: bpy.types.ID, path: str, armature: bpy.types.Object, expression: str) -> None:
    """Let an expression of `SEEN` that Blender evaluates without Python decide a property."""
    driver = owner.driver_add(path).driver
    driver.type = "SCRIPTED"
    variable = driver.variables.new()
    variable.name = SEEN
    variable.targets[0].id = armature
    variable.targets[0].data_path = SEEN_PATH
    driver.expression = expression
