"""Renders show the footage and shadows on the floor, and the scene is as before when they no longer do."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector
from video_motion.addon.scene.plate import can_show, plate_of
from video_motion.addon.scene.take import build_scene
from video_motion.addon.takes.activation import activate
from video_motion.addon.takes.record import camera_of, record
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.motion import Motion
from video_motion.inference.options import Options

from ..blender import go_to

pytestmark = pytest.mark.interface

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "tests" / "sample" / "sample.mp4"
WIDTH, HEIGHT = 64, 48


@pytest.fixture
def take(extension, body: Body):
    """The sample's true motion in front of its own footage."""
    motion = Motion.load(SAMPLE.with_name("sample.truth.npz"))
    made = build_scene([motion], body, SAMPLE).collection
    record(made, bpy.context.scene, [motion], SAMPLE, Options(), {"warnings": [], "people": []})
    return made


def contents() -> dict[str, list[str]]:
    kinds = ("objects", "meshes", "materials", "actions", "worlds", "images", "lights")
    return {kind: sorted(one.name for one in getattr(bpy.data, kind)) for kind in kinds}


def test_a_take_switches_it_on_and_off_and_leaves_nothing(take):
    scene = bpy.context.scene
    before, view, world = contents(), scene.view_settings.view_transform, scene.world
    settings = take.video_motion_take
    assert not settings.render_footage
    settings.render_footage = True
    assert scene.view_settings.view_transform == "Standard"
    assert scene.world != world
    plate = plate_of(take)
    assert plate.hide_viewport, "views show what is behind the camera already"
    settings.render_footage = True
    assert len([one for one in take.objects if "footage" in one.name]) == 1
    settings.render_footage = False
    assert contents() == before
    assert (scene.view_settings.view_transform, scene.world) == (view, world)
    settings.render_footage = True
    activate(bpy.context, take)
    bpy.ops.video_motion.remove_take()
    assert scene.view_settings.view_transform == view
    assert not [one for names in contents().values() for one in names if "footage" in one]


def test_the_card_fills_the_view_whatever_the_lens(take):
    take.video_motion_take.render_footage = True
    plate, camera = plate_of(take), camera_of(take)
    plate.hide_viewport = False
    for lens, shift in ((None, None), (20.0, 0.2)):
        if lens:
            camera.data.lens, camera.data.shift_x = lens, shift
        graph = go_to(60)
        seen = plate.evaluated_get(graph).matrix_world
        corners = sorted((tuple(seen @ vertex.co) for vertex in plate.data.vertices), key=lambda one: (one[2], one[0]))
        frame = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=bpy.context.scene)]
        eye = camera.matrix_world.translation
        for corner in corners:
            towards = (Vector(corner) - eye).normalized()
            assert max(towards.dot((other - eye).normalized()) for other in frame) == pytest.approx(1.0, abs=1e-6)


def test_frames_are_those_behind_the_view(take):
    take.video_motion_take.render_footage = True
    backdrop = camera_of(take).data.background_images[0].image_user
    # What is hidden in views is not evaluated there.
    plate_of(take).hide_viewport = False
    picture = bpy.context.scene.world.node_tree.nodes["footage"]
    on_card = plate_of(take).data.materials[0].node_tree.nodes["footage"]
    assert picture.image == camera_of(take).data.background_images[0].image
    for frame in (1, 60, 180):
        go_to(frame)
        assert picture.image_user.frame_offset == on_card.image_user.frame_offset == backdrop.frame_offset


def test_without_footage_there_is_nothing_to_show(extension, body, make_motion):
    motion = make_motion(frame_rate=25.0)
    take = build_scene([motion], body).collection
    assert not can_show(camera_of(take))
    take.video_motion_take.render_footage = True
    assert plate_of(take) is None


def test_cycles_renders_footage_and_a_shadow(take, tmp_path):
    cv2 = pytest.importorskip("cv2")
    take.video_motion_take.render_footage = True
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_percentage = 10
    go_to(60)
    scene.render.filepath = str(tmp_path / "frame.png")
    bpy.ops.render.render(write_still=True)
    rendered = cv2.imread(scene.render.filepath).astype(np.float64)
    capture = cv2.VideoCapture(str(SAMPLE))
    frames = [capture.read()[1] for _ in range(60)]
    filmed = cv2.resize(frames[-1], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float64)
    wall = np.s_[2:10, 2:60]
    assert np.abs(rendered[wall] - filmed[wall]).mean() < 6.0
    # Nothing brightens the floor, and beside the feet it is in the shade.
    floor = (rendered - filmed)[36:46, 8:56].mean(axis=-1)
    assert floor.mean() < 3.0
    assert floor.min() < -25.0
