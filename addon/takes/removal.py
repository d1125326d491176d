"""Deleting a take leaves nothing of it in the file, and everything that is not its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import bpy

from ..scene.clothes import materials_of
from ..scene.keyframes import OURS
from ..scene.layers import is_corrections
from ..scene.plate import hide_in_renders
from ..scene.take import belongs


def remove_take(take: bpy.types.Collection) -> None:
    """Delete a take: its objects, their data, actions, materials and footage, as far as nothing else uses them.

    What the user put into its collection moves to the scene's, and what is marked as an asset stays.
    """
    for scene in bpy.data.scenes:
        if take in scene.collection.children_recursive:
            hide_in_renders(take, None, scene)
    name, objects = take.name, list(take.all_objects)
    own = [one for one in objects if OURS in one or belongs(one.name, name)]
    armatures = [one.name for one in own if one.type == "ARMATURE"]
    scenes = [scene for scene in bpy.data.scenes if take in scene.collection.children_recursive]
    for other in set(objects) - set(own):
        for scene in scenes:
            if other.name not in scene.collection.all_objects or other.users_collection == (take,):
                scene.collection.objects.link(other)
        if other.parent in own:
            place = other.matrix_world.copy()
            other.parent = None
            other.matrix_world = place
    for scene in scenes:
        for marker in [one for one in scene.timeline_markers if one.camera in own]:
            scene.timeline_markers.remove(marker)
    used = {block for one in own for block in _used_by(one)}
    bpy.data.batch_remove([*own, *take.children_recursive, take])
    # Materials and images go after what uses them.
    for _ in range(2):
        free = [block for block in used if not _users(block)]
        used -= set(free)
        bpy.data.batch_remove(free)
    kept = re.compile("|".join(rf"{re.escape(one)}( \(edited\)| correc\w+)?(\.\d+)?" for one in armatures) or "$^")
    left = [one for one in bpy.data.actions if _is_made(one) and kept.fullmatch(one.name) and not _users(one)]
    bpy.data.batch_remove(left)


def _used_by(thing: bpy.types.Object) -> Iterator[bpy.types.ID]:
    """The data, actions, materials and images that an object of a take has, that may be its alone."""
    data = thing.data
    owners = [thing, data, getattr(data, "shape_keys", None)]
    for owner in owners:
        animation = owner.animation_data if owner is not None else None
        if animation is not None:
            actions = [animation.action, *(strip.action for track in animation.nla_tracks for strip in track.strips)]
            yield from (one for one in actions if one is not None and _is_made(one))
    if data is None:
        return
    yield data
    yield from (one for one in getattr(data, "materials", ()) if one is not None)
    yield from materials_of(thing)
    yield from (one.image for one in getattr(data, "background_images", ()) if one.image is not None)


def _is_made(action: bpy.types.Action) -> bool:
    return (OURS in action or is_corrections(action)) and action.asset_data is None


def _users(block: bpy.types.ID) -> int:
    # A fake user is none.
    return block.users - int(block.use_fake_user)
