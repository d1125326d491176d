"""What a face does goes to the shape keys of other characters, by their names: ARKit's, or VRM's expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping

import bpy
import numpy as np

from ...inference.body.face import COEFFICIENTS
from ..compatibility import channels_of, new_channels
from ..scene.keyframes import LINEAR, OURS, shape_path, write_curve
from ..scene.visibility import deforms
from .sampling import curve_values

_SHAPE = re.compile(r'key_blocks\["(.*)"\]\.value')


def _both(name: str) -> dict[str, float]:
    return {f"{name}Left": 0.5, f"{name}Right": 0.5}


# VRM's expressions, and how much each coefficient has of them.
_EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    "aa": {"jawOpen": 1.0, "mouthFunnel": -0.5, "mouthPucker": -0.5},
    "ih": _both("mouthStretch"),
    "ou": {"mouthPucker": 1.0},
    "ee": _both("mouthLowerDown"),
    "oh": {"mouthFunnel": 1.0},
    "blink": _both("eyeBlink"),
    "blinkleft": {"eyeBlinkLeft": 1.0},
    "blinkright": {"eyeBlinkRight": 1.0},
    "happy": _both("mouthSmile"),
    "angry": _both("browDown"),
    "sad": _both("mouthFrown"),
    "surprised": {"browInnerUp": 0.5, "browOuterUpLeft": 0.25, "browOuterUpRight": 0.25},
    "lookup": _both("eyeLookUp"),
    "lookdown": _both("eyeLookDown"),
    "lookleft": {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5},
    "lookright": {"eyeLookOutRight": 0.5, "eyeLookInLeft": 0.5},
}
_VOWELS = ("aa", "ih", "ou", "ee", "oh")
# What VRM 0 and VRoid call them.
_OTHER_NAMES: Mapping[str, str] = {
    **dict(zip("aiueo", _VOWELS, strict=True)),
    **dict(zip((f"fclmth{letter}" for letter in "aiueo"), _VOWELS, strict=True)),
    "fcleyeclose": "blink",
    "fcleyecloseleft": "blinkleft",
    "fcleyecloseright": "blinkright",
    "joy": "happy",
    "sorrow": "sad",
    "fclalljoy": "happy",
    "fclallangry": "angry",
    "fclallsorrow": "sad",
    "fclallsurprised": "surprised",
}
_ARKIT = {name.lower(): {name: 1.0} for name in COEFFICIENTS}


def plain_name(name: str) -> str:
    """The name of a shape key in small letters without separators; L and R at its end are written out."""
    last = name.rpartition(".")[2] if not re.search(r"\.[LRlr]$", name) else name
    sided = re.sub(r"[._\- ][Ll]$", "Left", re.sub(r"[._\- ][Rr]$", "Right", last))
    return re.sub(r"[^a-z0-9]", "", sided.lower())


def recipes(names: list[str]) -> dict[str, Mapping[str, float]]:
    """For each shape key of these names that a face can move, how much it has of each coefficient.

    Where there are ARKit's names, VRM's are left alone; where eyes close each for itself, both together are.
    """
    plain = {name: plain_name(name) for name in names}
    found: dict[str, Mapping[str, float]] = {name: _ARKIT[key] for name, key in plain.items() if key in _ARKIT}
    if found:
        return found
    known = {name: _OTHER_NAMES.get(key, key) for name, key in plain.items()}
    sided = {"blinkleft", "blinkright"} <= set(known.values())
    return {
        name: _EXPRESSIONS[key] for name, key in known.items() if key in _EXPRESSIONS and not (sided and key == "blink")
    }


def read_face(source: bpy.types.Object, frames: np.ndarray) -> dict[str, np.ndarray]:
    """The coefficients (N,) that move the skins of an armature at ``frames`` (N,), by ARKit's names."""
    values: dict[str, np.ndarray] = {}
    for skin in _skins(source):
        channels = channels_of(skin.data.shape_keys)
        for curve in channels.fcurves if channels else ():
            match = _SHAPE.fullmatch(curve.data_path)
            named = _ARKIT.get(plain_name(match[1])) if match and not curve.mute else None
            if named is not None:
                values[next(iter(named))] = curve_values(curve, frames)
    return values


def transfer_face(
    source: bpy.types.Object, target: bpy.types.Object, action: bpy.types.Action, frames: np.ndarray
) -> list[str]:
    """Key the shape keys of an armature's skins by what the face of another does; returns the names of the skins.

    The curves lie in ``action``, in slots of their own; before Blender 4.4 in further actions. Keys with drivers are
    left alone.

    Args:
        source: an armature whose skins have keyed shape keys of ARKit's names.
        target: the armature whose skins are to move.
        action: the target's new one.
        frames: (N,) scene frames.
    """
    values = read_face(source, frames)
    moving = {name: row for name, row in values.items() if np.any(row)}
    if not moving:
        return []
    keyed = []
    for skin in _skins(target):
        keys = skin.data.shape_keys
        driven = {driver.data_path for driver in keys.animation_data.drivers} if keys.animation_data else set()
        wanted = {
            name: recipe
            for name, recipe in recipes([block.name for block in keys.key_blocks[1:]]).items()
            if shape_path(name) not in driven
        }
        if not wanted or not keys.is_editable:
            continue
        holder, channels = new_channels(keys, f"{action.name} face", share=action)
        holder.use_fake_user = True
        holder[OURS] = True
        group = channels.groups.new("Face")
        for name, recipe in wanted.items():
            mixed = sum((share * moving[one] for one, share in recipe.items() if one in moving), np.zeros(len(frames)))
            block = keys.key_blocks[name]
            mixed = np.clip(mixed, block.slider_min, block.slider_max)
            # One that never moves has one key.
            count = len(frames) if np.ptp(mixed) else 1
            write_curve(channels, shape_path(name), 0, frames[:count], mixed[:count], group, LINEAR)
        keyed.append(skin.name)
    return keyed


def _skins(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """The skins of an armature that have shape keys."""
    return [one for one in bpy.data.objects if deforms(armature, one) and one.data.shape_keys is not None]
