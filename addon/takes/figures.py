"""The figure and clothes of a take's characters, as properties of their armatures that can be changed at any time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty

from ...inference import registry
from ...inference.body.smpl import Body
from ...inference.options import described
from .. import preferences
from ..capture.settings import FIGURES
from ..scene.clothes import can_dress, dress, is_dressed
from ..scene.figure import figure_of, set_figure
from .cleanup import turn_kept


def skins_of(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """The skins of a character that have clothes."""
    return [one for one in armature.children if one.type == "MESH" and can_dress(one)]


def give_figure(armature: bpy.types.Object, body: Body, gender: str, build: str) -> None:
    """Give a character of a take another figure; its keys, those under a clean-up included, stay its motion."""
    turns, moved = set_figure(armature, body, gender, build)
    turn_kept(armature, turns, moved)


_load = lru_cache(maxsize=1)(Body.load)


def _free_body() -> Body:
    own = preferences.licensed_body()
    return _load(preferences.body_path() if own is None else registry.body_path(fetch=False))


def _choice(number: int, name: str, description: str) -> Any:
    """A property of armatures that shows and sets the part of `figure_of` of a number."""
    values = [item[0] for item in FIGURES[name]]

    def set_value(armature: Any, chosen: int) -> None:
        figure = list(figure_of(armature))
        if figure[number] != values[chosen]:
            figure[number] = values[chosen]
            give_figure(armature, _free_body(), *figure)

    return EnumProperty(
        name=described(name).label,
        description=description,
        items=FIGURES[name],
        get=lambda armature: values.index(figure_of(armature)[number]),
        set=set_value,
        options=set(),
    )


def _set_clothes(armature: Any, on: bool) -> None:
    for mesh in skins_of(armature):
        dress(mesh, on)


def register() -> None:
    """Add the properties to armatures."""
    bpy.types.Object.video_motion_gender = _choice(0, "gender", "Whose body it is; bones, keys and feet stay")
    bpy.types.Object.video_motion_build = _choice(1, "build", "How the body is built; bones, keys and feet stay")
    bpy.types.Object.video_motion_clothes = BoolProperty(
        name=described("clothes").label,
        description="Dress this person; off, the body is plain",
        get=lambda armature: any(is_dressed(mesh) for mesh in skins_of(armature)),
        set=_set_clothes,
        options=set(),
    )


def unregister() -> None:
    """Remove them."""
    del bpy.types.Object.video_motion_gender
    del bpy.types.Object.video_motion_build
    del bpy.types.Object.video_motion_clothes
