"""A take for each shot of a film with cuts."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.shots import build_shots
from video_motion.addon.scene.take import SceneOptions

from ..blender import go_to

pytestmark = pytest.mark.interface


@pytest.fixture
def film(make_motion):
    """Two people from 0 to 0.8 s, and after a cut one from 0.8 to 2 s, filmed by a camera that moves."""
    shots = [make_motion(count=20, frame_rate=25.0, person=person, seed=person) for person in (1, 2)]
    shots.append(make_motion(count=30, frame_rate=25.0, start=0.8, seed=5, moving_camera=True))
    for motion, shot in zip(shots, (1, 1, 3), strict=True):
        motion.provenance = {**motion.provenance, "shot": shot}
    return shots


def test_the_scene_plays_as_the_film_does(film, body):
    takes = build_shots(film, body, None, SceneOptions(frame_rate=25.0))
    scene = bpy.context.scene
    first, second = takes
    assert [take.collection.name for take in takes] == ["walk shot 1", "walk shot 3"]
    assert [len(take.characters) for take in takes] == [2, 1]
    assert (scene.frame_start, scene.frame_end) == (1, 50)
    for frame, take, other in ((1, first, second), (20, first, second), (21, second, first), (50, second, first)):
        go_to(frame)
        assert scene.camera == take.camera
        for one, hidden in ((take, False), (other, True)):
            shown = [one.floor, *(character.mesh for character in one.characters)]
            assert [(thing.hide_viewport, thing.hide_render) for thing in shown] == [(hidden, hidden)] * len(shown)
    # Each camera is where it was in its own shot.
    go_to(50)
    expected = film[2].camera_to_world[-1] @ np.diag((1.0, -1.0, -1.0, 1.0))
    np.testing.assert_allclose(np.array(second.camera.matrix_world), expected, atol=1e-4)


def test_a_video_without_cuts_is_one_take(make_motion, body):
    (take,) = build_shots([make_motion(count=3)], body)
    assert take.collection.name == "walk"
    assert not bpy.context.scene.timeline_markers
    assert take.floor.animation_data is None


def test_only_cameras_and_floors_that_are_wanted(film, body):
    takes = build_shots(film, body, None, SceneOptions(camera=False, floor=False, frame_range=False))
    assert [(take.camera, take.floor) for take in takes] == [(None, None)] * 2
    assert not bpy.context.scene.timeline_markers
