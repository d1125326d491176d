"""After an import a 3D view shows the result; undo gives the view back what it showed before, redo shows it again."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..scene.take import Take
from ..scene.viewport import ViewState, find_view, hide_default_cube, regions_of, show


@dataclass
class _Look:
    """One change of a view: of the area with the identity `area`, for the take of that name."""

    area: int
    take: str
    before: ViewState
    after: ViewState
    shown: bool = True


_looks: list[_Look] = []


def look_at(
    context: bpy.types.Context, takes: list[Take], points: np.ndarray, mouse: tuple[int, int] | None = None
) -> None:
    """Show takes in the 3D view under the mouse, else in the largest, and hide the cube of a new file.

    Args:
        context: of the operator that made them.
        takes: at least one.
        points: (..., 3) places in the world where their people are.
        mouse: in pixels of the window, if known.
    """
    hide_default_cube(context.view_layer)
    area = find_view(context.window, context.area, mouse)
    if area is None:
        return
    region = area.spaces.active.region_3d
    before = ViewState.of(region)
    things = [thing for take in takes for thing in take.collection.objects]
    show(area, context.scene, things, points)
    _looks.append(_Look(area.as_pointer(), takes[-1].collection.name, before, ViewState.of(region)))


@persistent
def _follow_undo(*_: object) -> None:
    regions = regions_of(bpy.context.window_manager.windows)
    for look in reversed(_looks):
        there = look.take in bpy.data.collections
        region = regions.get(look.area)
        if region is None or there == look.shown:
            continue
        look.shown = there
        left, now = (look.before, look.after) if there else (look.after, look.before)
        # Who has looked elsewhere meanwhile keeps that.
        if region.view_perspective == left.view_perspective == "CAMERA" or ViewState.of(region) == left:
            now.restore(region)


@persistent
def _forget(*_: object) -> None:
    _looks.clear()


_HANDLERS = (("undo_post", _follow_undo), ("redo_post", _follow_undo), ("load_pre", _forget))


def register() -> None:
    """Follow undo."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Follow it no more."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    _looks.clear()
