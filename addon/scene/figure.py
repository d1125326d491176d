"""The figure of a character of a take: a woman's or a man's body of some build, which its motion still fits.

Bones keep their lengths. What little their directions change is taken out of the keys, so that every pose stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from ...inference.body.figures import figured
from ...inference.body.smpl import Body
from ..compatibility import Channels, channels_of
from .armature import bone_names, rest_axes
from .keyframes import OURS, read_keys
from .layers import captured_action, captured_channels, captured_strip, corrections_of, is_edited, stamp
from .take import reshape


def has_figure(armature: bpy.types.Object) -> bool:
    """Whether another figure can be chosen for a character."""
    return "build" in armature.get(OURS, ())


def figure_of(armature: bpy.types.Object) -> tuple[str, str]:
    """The gender and the build that a character has."""
    return armature[OURS]["figure"], armature[OURS]["build"]


def set_figure(armature: bpy.types.Object, body: Body, gender: str, build: str) -> tuple[np.ndarray, np.ndarray]:
    """Give a character of this body another figure; words of `body.kinds`.

    Returns:
        (B, 3, 3) what turns its bones' former axes to the new ones, in the former, and (3,) how the root has moved.
    """
    names, before = bone_names(armature), rest_axes(armature)
    root = np.array(armature.data.bones[names[0]].head_local)
    edited = is_edited(armature)
    reshape(armature, body, figured(body, np.array(armature[OURS]["seen"]), gender, build))
    turns = np.swapaxes(rest_axes(armature), 1, 2) @ before
    layers = [captured_channels(armature)]
    if captured_strip(armature) is not None:
        layers.append(channels_of(armature))
    for channels in layers:
        if channels is not None:
            _turn_keys(channels, names, turns)
    action = captured_action(armature)
    for changed in (action, corrections_of(armature)):
        if changed is not None:
            changed.update_tag()
    if action is not None and layers[0] is not None and not edited:
        stamp(action, layers[0])
    armature[OURS]["figure"], armature[OURS]["build"] = gender, build
    return turns, np.array(armature.data.bones[names[0]].head_local) - root


def _turn_keys(channels: Channels, bones: Sequence[str], turns: np.ndarray) -> None:
    """Express keys of bones in axes that are turned by (B, 3, 3); a quaternion's vector turns as a place does."""
    curves = {(curve.data_path, curve.array_index): curve for curve in channels.fcurves}
    for bone, turn in zip(bones, turns, strict=True):
        path = f'pose.bones["{bone}"]'
        for name, first in (("rotation_quaternion", 1), ("location", 0)):
            vector = [curves.get((f"{path}.{name}", first + axis)) for axis in range(3)]
            found = [curve for curve in vector if curve is not None]
            if len(found) < 3:
                continue
            keys = [read_keys(curve)[:, 0] for curve in found]
            if any(len(one) != len(keys[0]) or not np.array_equal(one, keys[0]) for one in keys):
                continue
            for part in ("co", "handle_left", "handle_right"):
                points = np.empty((3, 2 * len(keys[0])), dtype=np.float32)
                for values, curve in zip(points, found, strict=True):
                    curve.keyframe_points.foreach_get(part, values)
                points[:, 1::2] = turn @ points[:, 1::2]
                for values, curve in zip(points, found, strict=True):
                    curve.keyframe_points.foreach_set(part, values)
