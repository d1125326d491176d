"""A camera of the scene becomes the video's."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from video_motion.addon.scene.solved_camera import SolvedCameraError, write_camera
from video_motion.inference.camera.given import GivenCamera

from ..blender import go_to

pytestmark = pytest.mark.interface


@pytest.fixture
def camera() -> bpy.types.Object:
    """One that an empty carries along and a constraint turns, as a tracking program leaves it."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.pixel_aspect_y = 960, 540, 1.2
    scene.frame_start, scene.frame_end, scene.render.fps = 4, 12, 24
    data = bpy.data.cameras.new("tracked")
    data.lens, data.shift_x, data.shift_y, data.sensor_fit = 28.0, 0.07, -0.04, "VERTICAL"
    camera = bpy.data.objects.new("tracked", data)
    rig, target = bpy.data.objects.new("rig", None), bpy.data.objects.new("target", None)
    for one in (camera, rig, target):
        scene.collection.objects.link(one)
    camera.parent, camera.location, rig.scale = rig, (0.0, 0.0, 0.8), (2.0, 2.0, 2.0)
    target.location = (0.5, 6.0, 1.0)
    constraint = camera.constraints.new("TRACK_TO")
    constraint.target, constraint.track_axis, constraint.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    for frame, x in ((1, -1.0), (20, 1.5)):
        rig.location = (x, -3.0, 0.0)
        rig.keyframe_insert("location", frame=frame)
    return camera


@pytest.mark.parametrize("name", ["camera.json", "camera.npz"])
def test_points_are_seen_where_the_scene_shows_them(camera: bpy.types.Object, tmp_path: Path, name: str):
    scene = bpy.context.scene
    write_camera(camera, scene, tmp_path / name)
    assert scene.frame_current == 1
    frames = np.arange(4, 13)
    given, warnings = GivenCamera.load(tmp_path / name).at((960, 540), frames - 1, (frames - 1) / 24)
    assert warnings == []
    points = np.random.default_rng(0).normal((0.5, 6.0, 1.0), 1.0, (20, 3))
    for row, frame in enumerate(frames):
        go_to(int(frame))
        shown = np.array([world_to_camera_view(scene, camera, Vector(point))[:2] for point in points])
        to_world = given.world.copy()
        to_world[:3, 3] += given.world[:3, :3] @ given.positions[row]
        to_world[:3, :3] = given.world[:3, :3] @ given.rotations[row]
        seen = (points - to_world[:3, 3]) @ to_world[:3, :3] @ given.K.T
        np.testing.assert_allclose(seen[:, 0] / seen[:, 2], 960 * shown[:, 0], atol=0.05)
        np.testing.assert_allclose(seen[:, 1] / seen[:, 2], 540 * (1 - shown[:, 1]), atol=0.05)


def test_cameras_that_no_video_has(camera: bpy.types.Object, tmp_path: Path):
    for frame, lens in ((1, 28.0), (20, 35.0)):
        camera.data.lens = lens
        camera.data.keyframe_insert("lens", frame=frame)
    with pytest.raises(SolvedCameraError, match="tracked zooms"):
        write_camera(camera, bpy.context.scene, tmp_path / "camera.json")
    camera.data.type = "ORTHO"
    with pytest.raises(SolvedCameraError, match="no perspective"):
        write_camera(camera, bpy.context.scene, tmp_path / "camera.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("extension")
def test_file_export_writes_the_scenes_camera(camera: bpy.types.Object, tmp_path: Path):
    file = tmp_path / "camera.json"
    assert not bpy.ops.video_motion.export_camera.poll()
    bpy.context.scene.camera = camera
    assert bpy.ops.video_motion.export_camera(filepath=str(file)) == {"FINISHED"}
    assert len(GivenCamera.load(file).camera_to_world) == 9
