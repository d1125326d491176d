"""Two layers of a character's animation: what was captured, and an animator's corrections above it.

The captured action lies in the lowest track of the NLA, replacing; the corrections are the active action, combined
with it. Blender turns what is keyed into the difference, so an animator poses and keys as ever. `Update Motion` and
clean-up change the captured action alone. Without corrections the captured action is the active one.
"""

from __future__ import annotations

import math
import zlib

import bpy
import numpy as np

from ..compatibility import SLOTTED_ACTIONS, Channels, channels_in, channels_of, new_channels
from .keyframes import OURS

CORRECTIONS = "video_motion_corrections"
"""Custom property of the actions that hold corrections."""

FINGERPRINT = "video_motion_fingerprint"
"""Custom property of captured actions: what their keys were like when they were made."""

_TRACK = "Captured"


def is_corrections(action: bpy.types.Action | None) -> bool:
    """Whether an action holds corrections."""
    return action is not None and CORRECTIONS in action


def corrections_of(armature: bpy.types.Object) -> bpy.types.Action | None:
    """The corrections that an animator is making; None where the captured action is the active one."""
    animation = armature.animation_data
    return animation.action if animation is not None and is_corrections(animation.action) else None


def captured_strip(armature: bpy.types.Object) -> bpy.types.NlaStrip | None:
    """The NLA strip of the captured action, None where that action is the active one or missing."""
    animation = armature.animation_data
    if animation is None or (animation.action is not None and _is_captured(animation.action)):
        return None
    strips = [strip for track in animation.nla_tracks for strip in track.strips]
    return next((one for one in strips if one.action is not None and _is_captured(one.action)), None)


def captured_action(armature: bpy.types.Object) -> bpy.types.Action | None:
    """The action of what was captured; without one that this add-on made the active action."""
    strip = captured_strip(armature)
    if strip is not None:
        return strip.action
    animation = armature.animation_data
    return None if animation is None or is_corrections(animation.action) else animation.action


def captured_channels(armature: bpy.types.Object) -> Channels | None:
    """The channels of what was captured; without corrections those of the active action."""
    strip = captured_strip(armature)
    if strip is None:
        return channels_of(armature)
    return channels_in(strip.action, strip.action_slot if SLOTTED_ACTIONS else None)


def start_corrections(armature: bpy.types.Object) -> bpy.types.Action:
    """Put an empty layer for corrections above the captured action and return it; the one that is there if any."""
    there = corrections_of(armature)
    if there is not None:
        return there
    animation = armature.animation_data
    if captured_strip(armature) is None:
        captured, slot = animation.action, animation.action_slot if SLOTTED_ACTIONS else None
        track = animation.nla_tracks.new()
        track.name = _TRACK
        _put(track, captured, slot)
        animation.action = None
    action, _ = new_channels(armature, f"{armature.name} corrections")
    action[CORRECTIONS] = True
    animation.action_blend_type, animation.action_extrapolation, animation.action_influence = "COMBINE", "HOLD", 1.0
    return action


def remove_corrections(armature: bpy.types.Object) -> None:
    """Make the captured action the active one again, without corrections."""
    corrections, strip = corrections_of(armature), captured_strip(armature)
    if corrections is None or strip is None:
        return
    animation = armature.animation_data
    captured, slot = strip.action, strip.action_slot if SLOTTED_ACTIONS else None
    track = next(one for one in animation.nla_tracks if strip in one.strips.values())
    animation.nla_tracks.remove(track)
    animation.action_blend_type, animation.action_extrapolation, animation.action_influence = "REPLACE", "HOLD", 1.0
    assign(armature, captured, slot)
    if not corrections.users - int(corrections.use_fake_user):
        bpy.data.actions.remove(corrections)


def put_captured(armature: bpy.types.Object, action: bpy.types.Action, slot: object) -> None:
    """Give a character another captured action, below its corrections if there are any."""
    strip = captured_strip(armature)
    if strip is None:
        assign(armature, action, slot)
        return
    track = next(one for one in armature.animation_data.nla_tracks if strip in one.strips.values())
    influence, mute = strip.influence, strip.mute
    track.strips.remove(strip)
    strip = _put(track, action, slot)
    strip.mute = mute
    if influence < 1.0:
        strip.use_animated_influence = False
        strip.influence = influence


def assign(owner: bpy.types.ID, action: bpy.types.Action, slot: object) -> None:
    """Make an action the active one."""
    animation = owner.animation_data_create()
    animation.action = action
    if slot is not None:
        animation.action_slot = slot


def stamp(action: bpy.types.Action, channels: Channels) -> None:
    """Remember what the keys of a captured action are like now."""
    action[FINGERPRINT] = _fingerprint(channels)


def is_edited(armature: bpy.types.Object) -> bool:
    """Whether somebody has changed keys of a character's captured action itself since it was made."""
    action, channels = captured_action(armature), captured_channels(armature)
    return (
        action is not None
        and channels is not None
        and FINGERPRINT in action
        and action[FINGERPRINT] != _fingerprint(channels)
    )


def _is_captured(action: bpy.types.Action) -> bool:
    return OURS in action and not is_corrections(action)


def _put(track: bpy.types.NlaTrack, action: bpy.types.Action, slot: object) -> bpy.types.NlaStrip:
    """Lay an action into a track so that every frame of the scene shows the same frame of the action."""
    first, last = math.floor(action.frame_range[0]), math.ceil(action.frame_range[1])
    strip = track.strips.new(action.name, first, action)
    strip.action_frame_start, strip.action_frame_end = first, max(last, first + 1)
    strip.frame_start, strip.frame_end = first, max(last, first + 1)
    strip.blend_type, strip.extrapolation = "REPLACE", "HOLD"
    strip.use_auto_blend = False
    if slot is not None:
        strip.action_slot = slot
    return strip


def _fingerprint(channels: Channels) -> str:
    """A number for all keys' frames and values, as text: custom properties have no room for it."""
    found = 0
    for curve in channels.fcurves:
        flat = np.empty(2 * len(curve.keyframe_points), dtype=np.float32)
        curve.keyframe_points.foreach_get("co", flat)
        found = zlib.crc32(flat.data, found)
    return f"{found:08x}"
