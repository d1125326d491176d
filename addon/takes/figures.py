"""The figure and clothes of a take's characters, as properties of their armatures that can be changed at any time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty

from ...inference import registry
from ...inference.body.kinds import BUILDS, GENDERS
from ...inference.body.smpl import Body
from ...inference.options import described
from .. import preferences
from ..capture.settings import BUILD_WORDS, GENDER_WORDS
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


def _change(armature: bpy.types.Object, gender: str, build: str) -> None:
    if (gender, build) != figure_of(armature):
        give_figure(armature, _free_body(), gender, build)


def _set_gender(armature: Any, number: int) -> None:
    _change(armature, GENDERS[number], figure_of(armature)[1])


def _set_build(armature: Any, number: int) -> None:
    _change(armature, figure_of(armature)[0], BUILDS[number])


def _set_clothes(armature: Any, on: bool) -> None:
    for mesh in skins_of(armature):
        dress(mesh, on)


def register() -> None:
    """Add the properties to armatures."""
    bpy.types.Object.video_motion_gender = EnumProperty(
        name=described("gender").label,
        description="Whose body it is; bones, keys and feet stay",
        items=[(name, *GENDER_WORDS[name]) for name in GENDERS],
        get=lambda armature: GENDERS.index(figure_of(armature)[0]),
        set=_set_gender,
        options=set(),
    )
    bpy.types.Object.video_motion_build = EnumProperty(
        name=described("build").label,
        description="How the body is built; bones, keys and feet stay",
        items=[(name, *BUILD_WORDS[name]) for name in BUILDS],
        get=lambda armature: BUILDS.index(figure_of(armature)[1]),
        set=_set_build,
        options=set(),
    )
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
