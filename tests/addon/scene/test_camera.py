"""The camera against the pinhole model."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from video_motion.addon.scene.keyframes import frames_of
from video_motion.addon.scene.take import SceneOptions, build_scene

from ..blender import go_to

pytestmark = pytest.mark.interface


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (640, 640)])
@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("stretch", [1.0, 1.25])
def test_joints_project_as_k_says(make_motion, body, size, moving, stretch):
    motion = make_motion(count=6, size=size, moving_camera=moving)
    motion.camera_K[1, 1] *= stretch
    take = build_scene([motion], body, None, SceneOptions(frame_rate=25.0, mesh=False, whole_frames=False))
    scene = bpy.context.scene
    assert scene.camera == take.camera
    assert (scene.render.resolution_x, scene.render.resolution_y) == size
    for index, frame in enumerate(frames_of(motion.timestamps, 25.0)):
        camera = take.camera.evaluated_get(go_to(frame))
        flat = motion.joints_cam[index] @ motion.camera_K.T
        expected = flat[:, :2] / flat[:, 2:]
        views = [world_to_camera_view(scene, camera, Vector(joint)) for joint in motion.joints_world[index]]
        pixels = np.array([(view.x * size[0], (1.0 - view.y) * size[1]) for view in views])
        np.testing.assert_allclose(pixels, expected, atol=0.05)


def test_still_camera_has_no_keys(make_motion, body):
    take = build_scene([make_motion()], body, None, SceneOptions(mesh=False))
    assert take.camera.animation_data is None
