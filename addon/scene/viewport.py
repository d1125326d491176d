"""How 3D views show a take: through the camera that filmed it, or else framed on its people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Quaternion, Vector

# Fraction of the free part of a 3D view that what is shown fills.
_FILLED = 0.92

# Headers cover the rest of a view whose regions are unknown.
_FREE_HEIGHT = 0.92

# Half a 3D view's longer side at 1 m, times its lens in mm.
_HALF_SIDE = 36.0

_CUBE_VERTICES = 8


@dataclass(frozen=True)
class ViewState:
    """Where a 3D view looks from; `Vector` and `Quaternion` are copies."""

    view_perspective: str
    view_location: Vector
    view_rotation: Quaternion
    view_distance: float
    view_camera_zoom: float
    view_camera_offset: tuple[float, float]

    @classmethod
    def of(cls, region: bpy.types.RegionView3D) -> ViewState:
        """The state of a view."""
        return cls(
            region.view_perspective,
            region.view_location.copy(),
            region.view_rotation.copy(),
            region.view_distance,
            region.view_camera_zoom,
            tuple(region.view_camera_offset),
        )

    def restore(self, region: bpy.types.RegionView3D) -> None:
        """Give a view this state."""
        for name in self.__dataclass_fields__:
            setattr(region, name, getattr(self, name))


def prepare_viewports(scene: bpy.types.Scene) -> None:
    """Show the scene through its camera, whole and shaded, in the 3D views of every workspace."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type != "VIEW_3D":
                    continue
                space.shading.type = "SOLID"
                space.shading.color_type = "MATERIAL"
                space.shading.show_cavity = True
                if scene.camera is not None and space.region_3d is not None:
                    look_through_camera(scene, area)


def views_of(window: bpy.types.Window | None, scene: bpy.types.Scene) -> list[bpy.types.Area]:
    """The 3D views of a window, if that shows a scene."""
    if window is None or window.scene != scene:
        return []
    return [one for one in window.screen.areas if one.type == "VIEW_3D"]


def find_view(
    window: bpy.types.Window | None, area: bpy.types.Area | None, mouse: tuple[int, int] | None
) -> bpy.types.Area | None:
    """Return the 3D view under the mouse, in pixels of the window; else ``area`` if it is one, else the largest."""
    if window is None:
        return None
    views = [one for one in window.screen.areas if one.type == "VIEW_3D"]
    for one in views:
        if mouse and one.x <= mouse[0] < one.x + one.width and one.y <= mouse[1] < one.y + one.height:
            return one
    if area in views:
        return area
    return max(views, key=lambda one: one.width * one.height, default=None)


def show(area: bpy.types.Area, scene: bpy.types.Scene, things: Iterable[bpy.types.Object], points: np.ndarray) -> None:
    """Let a 3D view show something new.

    Args:
        area: the 3D view.
        scene: that it shows.
        things: all the new objects; if the scene's camera is one of them, the view looks through it.
        points: (..., 3) places in the world that the view is framed on otherwise.
    """
    space: Any = area.spaces.active
    things = list(things)
    if space.local_view is not None:
        for thing in things:
            thing.local_view_set(space, True)
    if scene.camera in things:
        space.use_local_camera = False
        look_through_camera(scene, area)
    else:
        _frame(space, area, np.reshape(points, (-1, 3)))


def look_through_camera(scene: bpy.types.Scene, area: bpy.types.Area) -> None:
    """Let a 3D view look through the scene's camera, with all of its frame where no other region covers it."""
    region = area.spaces.active.region_3d
    (left, right, bottom, top), width, height = _free(area)
    frame = scene.render.resolution_y * scene.render.pixel_aspect_y
    frame /= scene.render.resolution_x * scene.render.pixel_aspect_x
    # As a fraction of the view's width.
    size = _FILLED * min((right - left) / width, (top - bottom) / (frame * width))
    region.view_perspective = "CAMERA"
    # At zoom z the frame is (√2 + z / 50)² / 4 as wide as the view.
    region.view_camera_zoom = 50.0 * (2.0 * math.sqrt(size) - math.sqrt(2.0))
    middle = (left + right - width) / (2.0 * width), (bottom + top - height) / (2.0 * height)
    region.view_camera_offset = [min(max(-part / (2.0 * size), -1.0), 1.0) for part in middle]


def hide_default_cube(layer: bpy.types.ViewLayer) -> None:
    """Hide the cube that every new file has, if nothing was done to it: the camera may stand inside."""
    cube = layer.objects.get("Cube")
    if cube is not None and _is_untouched(cube):
        cube.hide_set(True, view_layer=layer)
        cube.hide_render = True


def _is_untouched(cube: bpy.types.Object) -> bool:
    if cube.type != "MESH" or cube.animation_data is not None or cube.parent is not None or cube.children:
        return False
    if cube.modifiers or cube.constraints or len(cube.data.vertices) != _CUBE_VERTICES or cube.data.users > 1:
        return False
    corners = np.array([vertex.co for vertex in cube.data.vertices])
    return bool((np.abs(corners) == 1.0).all() and (np.array(cube.matrix_world) == np.eye(4)).all())


def _free(area: bpy.types.Area) -> tuple[tuple[float, float, float, float], float, float]:
    """The part of a 3D view that no other region covers, as left, right, bottom and top; the view's width and height.

    Regions have a size only once their workspace was shown; then pixels, else parts of the area.
    """
    window = next((one for one in area.regions if one.type == "WINDOW"), None)
    if window is None or window.width < 2 or window.height < 2:
        width, height = (area.width, area.height) if area.width > 0 and area.height > 0 else (1.0, 0.6)
        return (0.0, float(width), 0.0, _FREE_HEIGHT * height), float(width), float(height)
    left, right, bottom, top = window.x, window.x + window.width, window.y, window.y + window.height
    for one in area.regions:
        if one.type == "WINDOW" or one.width < 2 or one.height < 2:
            continue
        if one.type == "UI":
            right = min(right, one.x) if one.x > window.x + window.width / 2 else right
        elif one.type == "TOOLS":
            left = max(left, one.x + one.width) if one.x < window.x + window.width / 2 else left
        elif one.type in ("HEADER", "TOOL_HEADER", "ASSET_SHELF", "ASSET_SHELF_HEADER"):
            if one.y > window.y + window.height / 2:
                top = min(top, one.y)
            else:
                bottom = max(bottom, one.y + one.height)
    if right - left < window.width / 4 or top - bottom < window.height / 4:
        left, right, bottom, top = window.x, window.x + window.width, window.y, window.y + window.height
    x, y = window.x, window.y
    return (left - x, right - x, bottom - y, top - y), float(window.width), float(window.height)


def _frame(space: Any, area: bpy.types.Area, points: np.ndarray) -> None:
    """Let a 3D view show points (N, 3), whole, from the direction in which it looks."""
    region = space.region_3d
    low, high = points.min(axis=0), points.max(axis=0)
    radius = max(float(np.linalg.norm(high - low)) / 2.0, 0.5)
    (left, right, bottom, top), width, height = _free(area)
    side = min(right - left, top - bottom) / max(width, height)
    half = math.atan(side * _HALF_SIDE / space.lens)
    if region.view_perspective == "CAMERA":
        region.view_perspective = "PERSP"
    region.view_location = (low + high) / 2.0
    region.view_distance = radius / (_FILLED * math.sin(half))


def regions_of(windows: Sequence[bpy.types.Window]) -> dict[int, bpy.types.RegionView3D]:
    """The 3D views in some windows, by an identity that undo does not change."""
    return {
        area.as_pointer(): area.spaces.active.region_3d
        for window in windows
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    }
