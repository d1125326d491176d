"""Where a take stands in the scene: an empty moves, turns and tilts it as a whole, its camera included."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix

from ..scene.keyframes import OURS, read_keys
from ..scene.layers import captured_channels
from ..scene.take import belongs
from .record import characters_in

HANDLE = "place"
"""The empty's name after that of the take."""

_ROOM = 1.0
"""Metres between takes that stand side by side."""

_SIZE = 0.5


def handle_of(take: bpy.types.Collection) -> bpy.types.Object | None:
    """The empty that places a take, None where it stands where its video says."""
    return next((one for one in take.all_objects if one.type == "EMPTY" and OURS in one), None)


def ensure_handle(take: bpy.types.Collection) -> bpy.types.Object:
    """Return the empty that places a take, a new one at the origin of its floor where there is none.

    The floor follows it sideways and turns with it, but stays level and at its height: what is moved against it are
    the people and their camera.
    """
    handle = handle_of(take)
    if handle is not None:
        return handle
    handle = bpy.data.objects.new(f"{take.name} {HANDLE}", None)
    handle[OURS] = True
    handle.empty_display_type = "CIRCLE"
    handle.empty_display_size = _SIZE
    handle.rotation_mode = "XYZ"
    for one in take.all_objects:
        if one.parent is not None or not (OURS in one or belongs(one.name, take.name)):
            continue
        if one.type == "MESH":
            _follow_sideways(one, handle)
        else:
            one.parent = handle
            one.matrix_parent_inverse = Matrix.Identity(4)
    take.objects.link(handle)
    return handle


def place_beside(takes: Sequence[bpy.types.Collection], others: Sequence[bpy.types.Collection]) -> float:
    """How far to the right takes have to move so that nobody walks through anybody of others, metres."""
    end = max(_reach(other)[1] for other in others)
    return end + _ROOM - min(_reach(take)[0] for take in takes)


def _reach(take: bpy.types.Collection) -> tuple[float, float]:
    """From where to where along x in the world a take's people go, by their hips' keys and half an arm's reach."""
    handle = handle_of(take)
    place = np.array(handle.matrix_basis) if handle is not None else np.eye(4)
    ends = []
    for armature in characters_in(take).values():
        bone = armature.data.bones[0]
        channels = captured_channels(armature)
        curves = [channels.fcurves.find(f'pose.bones["{bone.name}"].location', index=axis) for axis in range(3)]  # pyrefly: ignore[missing-attribute]
        keys = np.stack([read_keys(curve)[:, 1] for curve in curves], axis=1)
        own = keys @ np.array(bone.matrix_local.to_3x3()).T + np.array(bone.head_local)
        along = own @ place[0, :3] + place[0, 3]
        ends += [along.min() - _ROOM / 2, along.max() + _ROOM / 2]
    return (float(min(ends)), float(max(ends))) if ends else (0.0, 0.0)


def _follow_sideways(floor: bpy.types.Object, handle: bpy.types.Object) -> None:
    location = floor.constraints.new("COPY_LOCATION")
    location.target, location.use_z, location.use_offset = handle, False, True
    rotation = floor.constraints.new("COPY_ROTATION")
    rotation.target, rotation.use_x, rotation.use_y = handle, False, False
