"""What differs between Blender 4.2 and 5.2, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

SLOTTED_ACTIONS = hasattr(bpy.types, "ActionSlot")
"""From Blender 4.4 an action has slots and layers, and its curves lie in the channel bag of a slot."""


@dataclass(frozen=True)
class Channels:
    """Where the curves of one data-block lie in an action.

    Attributes:
        fcurves: the collection of F-curves, with ``new(data_path, index=)`` and ``find``.
        groups: the collection of channel groups, with ``new(name)``.
    """

    fcurves: Any
    groups: Any


def new_channels(datablock: bpy.types.ID, name: str) -> tuple[bpy.types.Action, Channels]:
    """Give ``datablock`` a new, empty action called ``name`` and return the action and its channels."""
    action = bpy.data.actions.new(name)
    animation = datablock.animation_data_create()
    if not SLOTTED_ACTIONS:
        animation.action = action
        return action, Channels(action.fcurves, action.groups)
    slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)
    strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    animation.action = action
    animation.action_slot = slot
    return action, Channels(bag.fcurves, bag.groups)


def channels_of(datablock: bpy.types.ID) -> Channels | None:
    """Return the channels that animate ``datablock`` through its active action; None where nothing does."""
    animation = datablock.animation_data
    if animation is None or animation.action is None:
        return None
    action = animation.action
    if not SLOTTED_ACTIONS:
        return Channels(action.fcurves, action.groups)
    for layer in action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(animation.action_slot) if animation.action_slot else None
            if bag is not None:
                return Channels(bag.fcurves, bag.groups)
    return None
