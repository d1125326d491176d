"""The take as a whole."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon import scene as scenes
from video_motion.addon.keyframes import scene_frame_rate


@pytest.mark.parametrize("rate", [8.0, 12.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 47.3, 60000 / 1001, 120.0])
def test_frame_rate_of_footage(make_motion, rate):
    motion = make_motion(count=300, frame_rate=rate)
    # Containers round to milliseconds, and a person may be missing in between.
    motion.timestamps = np.round(motion.timestamps, 3)
    motion = motion.trimmed((np.arange(300) < 100) | (np.arange(300) > 120))
    found = scenes.footage_frame_rate([motion.trimmed(np.arange(279) < 40), motion])
    assert found == pytest.approx(rate, rel=1e-6 if rate != 47.3 else 1e-3)
    scenes.set_frame_rate(bpy.context.scene, found)
    assert scene_frame_rate(bpy.context.scene) == pytest.approx(found, rel=1e-6)


def test_range_keeps_the_videos_time(make_motion, body):
    motion = make_motion(count=10, frame_rate=25.0, start=2.0)
    scenes.build_scene([motion], body, None, scenes.Options(frame_rate=25.0, mesh=False))
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (51, 60, 51)


def test_a_users_scene_keeps_what_it_may_keep(make_motion, body):
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 30, 5, 77
    scene.render.resolution_x = 333
    options = scenes.Options(camera=False, floor=False, lights=False, resolution=False, frame_range=False)
    take = scenes.build_scene([make_motion(count=3)], body, None, options)
    assert (scene.render.fps, scene.frame_start, scene.frame_end, scene.render.resolution_x) == (30, 5, 77, 333)
    assert (scene.camera, scene.world, take.camera, take.floor, take.sun) == (None,) * 5
    assert set(take.collection.objects) == {take.characters[0].armature, take.characters[0].mesh}


def test_takes_live_side_by_side(make_motion, body):
    first = scenes.build_scene([make_motion(count=2), make_motion(count=2, person=2, seed=1)], body)
    second = scenes.build_scene([make_motion(count=2)], body)
    assert first.collection.name == "walk"
    assert [character.armature.name for character in first.characters] == ["walk person 1", "walk person 2"]
    assert first.characters[0].action.name == "walk person 1"
    assert second.collection != first.collection
    assert second.characters[0].action != first.characters[0].action
    colours = {character.mesh.data.materials[0].diffuse_color[:] for character in first.characters}
    assert len(colours) == 2


def test_floor_lies_under_the_person(make_motion, body):
    motion = make_motion(count=5)
    motion.trans_cam[:, 0] += np.linspace(0.0, 900.0, 5)
    floor = scenes.build_scene([motion], body, None, scenes.Options(mesh=False)).floor
    corners = np.array([vertex.co for vertex in floor.data.vertices])
    places = motion.joints_world[:, 0]
    assert (corners[:, 2] == 0).all()
    assert (corners[:, :2].min(axis=0) < places[:, :2].min(axis=0)).all()
    assert len(floor.data.polygons) <= 101 * 101
