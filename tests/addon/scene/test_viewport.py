"""What 3D views show after something was made; the window's tests look at the pictures."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from mathutils import Vector
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.addon.scene.viewport import find_view, hide_default_cube, show

pytestmark = pytest.mark.interface


@pytest.fixture
def cube() -> bpy.types.Object:
    """That of the file that Blender starts with."""
    bpy.ops.wm.read_factory_settings()
    return bpy.data.objects["Cube"]


@pytest.fixture
def view(empty_scene) -> bpy.types.Area:
    area = find_view(bpy.context.window_manager.windows[0], None, None)
    assert area is not None
    return area


def test_the_new_files_cube_is_hidden(cube):
    hide_default_cube(bpy.context.view_layer)
    assert not cube.visible_get()
    assert cube.hide_render


@pytest.mark.parametrize("touched", ["moved", "edited", "modifier", "parent", "animated"])
def test_a_cube_that_somebody_uses_stays(cube, touched):
    if touched == "moved":
        cube.location.x = 0.1
    elif touched == "edited":
        cube.data.vertices[0].co.x = 1.5
    elif touched == "modifier":
        cube.modifiers.new("Bevel", "BEVEL")
    elif touched == "parent":
        bpy.data.objects["Light"].parent = cube
    else:
        cube.keyframe_insert("location", frame=1)
    bpy.context.view_layer.update()
    hide_default_cube(bpy.context.view_layer)
    assert cube.visible_get()
    assert not cube.hide_render


def test_the_view_under_the_mouse_is_chosen(cube):
    window = bpy.context.window_manager.windows[0]
    areas = list(window.screen.areas)
    (shown,) = (area for area in areas if area.type == "VIEW_3D")
    timeline = next(area for area in areas if area.type == "DOPESHEET_EDITOR")
    timeline.type = "VIEW_3D"
    inside = {area: (area.x + 5, area.y + 5) for area in (shown, timeline)}
    assert all(find_view(window, shown, mouse) == area for area, mouse in inside.items())
    assert find_view(window, timeline, None) == timeline
    assert find_view(window, None, (-1, -1)) == shown, "the larger one"
    assert find_view(None, shown, None) is None


def test_a_view_looks_through_the_takes_camera(view, make_motion, body):
    region = view.spaces.active.region_3d
    region.view_perspective = "ORTHO"
    take = build_scene([make_motion(count=2)], body, None, SceneOptions(frame_rate=25.0))
    show(view, bpy.context.scene, take.collection.objects, np.zeros((1, 3)))
    assert region.view_perspective == "CAMERA"
    # Another camera of the scene is not the take's.
    bpy.context.scene.camera = None
    show(view, bpy.context.scene, take.collection.objects, np.zeros((1, 3)))
    assert region.view_perspective == "PERSP"


@pytest.mark.parametrize("perspective", ["PERSP", "ORTHO", "CAMERA"])
def test_points_are_framed_from_where_one_looks(view, perspective):
    region = view.spaces.active.region_3d
    region.view_perspective = perspective
    turned = region.view_rotation.copy()
    points = np.array([[4.0, 3.0, 0.0], [6.0, 9.0, 2.0]])
    show(view, bpy.context.scene, [], points)
    assert region.view_perspective == ("PERSP" if perspective == "CAMERA" else perspective)
    assert region.view_rotation == turned
    assert (region.view_location - Vector((5.0, 6.0, 1.0))).length < 1e-5
    # All of it is in front of the eye, and within its field.
    assert 1.0 < region.view_distance / np.linalg.norm(points[1] - points[0]) < 3.0
