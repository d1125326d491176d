"""What differs between Blender 4.2 and 5.2, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

SLOTTED_ACTIONS = hasattr(bpy.types, "ActionSlot")
"""From Blender 4.4 an action has slots and layers, and its curves are in the channel bag of a slot."""


@dataclass(frozen=True)
class Channels:
    """The curves of one data-block in an action.

    Attributes:
        fcurves: the collection of F-curves, with ``new(data_path, index=)`` and ``find``.
        groups: the collection of channel groups, with ``new(name)``.
    """

    fcurves: Any
    groups: Any


def new_channels(
    datablock: bpy.types.ID, name: str, share: bpy.types.Action | None = None
) -> tuple[bpy.types.Action, Channels]:
    """Give ``datablock`` an action and return the action and its empty channels.

    The action is a new one called ``name``; or ``share``, in a slot for the data-block. Before Blender 4.4 an
    action animates one data-block and ``share`` is ignored.
    """
    animation = datablock.animation_data_create()
    action = share if share is not None and SLOTTED_ACTIONS else bpy.data.actions.new(name)
    slot, channels = _add_channels(action, datablock)
    animation.action = action
    if slot is not None:
        animation.action_slot = slot
    return action, channels


def unassigned_channels(datablock: bpy.types.ID, name: str) -> tuple[bpy.types.Action, Any, Channels]:
    """Make an action called ``name`` that could animate ``datablock`` but does not.

    Returns:
        The action, its slot, None before Blender 4.4, and its empty channels.
    """
    action = bpy.data.actions.new(name)
    return action, *_add_channels(action, datablock)


def _add_channels(action: bpy.types.Action, datablock: bpy.types.ID) -> tuple[Any, Channels]:
    """The slot, None before Blender 4.4, and the channels for ``datablock`` in an action."""
    if not SLOTTED_ACTIONS:
        action.id_root = datablock.id_type
        return None, Channels(action.fcurves, action.groups)
    slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    return slot, Channels(bag.fcurves, bag.groups)


def channels_of(datablock: bpy.types.ID) -> Channels | None:
    """Return the channels that animate ``datablock`` through its active action; None where nothing does."""
    animation = datablock.animation_data
    if animation is None or animation.action is None:
        return None
    return channels_in(animation.action, animation.action_slot if SLOTTED_ACTIONS else None)


def channels_in(action: bpy.types.Action, slot: Any) -> Channels | None:
    """Return the channels of a slot of an action, before Blender 4.4 all of the action's; None where there are none."""
    if not SLOTTED_ACTIONS:
        return Channels(action.fcurves, action.groups)
    for layer in action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(slot) if slot else None
            if bag is not None:
                return Channels(bag.fcurves, bag.groups)
    return None


def keep_bytes(datablock: bpy.types.ID, name: str, content: bytes) -> None:
    """Keep bytes in a custom property, which Blender would cut at the first zero where it is there already."""
    if name in datablock:
        del datablock[name]
    datablock[name] = content
