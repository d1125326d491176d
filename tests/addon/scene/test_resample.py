"""Motions on whole frames, as Blender evaluates them, against motions that are known at any time."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import channels_of
from video_motion.addon.scene.keyframes import CONTACT, SEEN_PATH, scene_frame_rate
from video_motion.addon.scene.resample import on_whole_frames, standard_rate
from video_motion.addon.scene.take import SceneOptions, build_scene, footage_frame_rate
from video_motion.inference.body import rotations
from video_motion.inference.options import Options

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface

GAPS = (7, 19, 31)


@pytest.fixture
def times() -> np.ndarray:
    """40 pictures at 30 a second, with three gaps of 2.4 pictures."""
    steps = np.full(40, 1 / 30)
    steps[list(GAPS)] *= 3.4
    return np.cumsum(steps) - steps[0]


@pytest.fixture
def steady(make_motion, body):
    """Make a motion at any times in which all joints turn, and the body and the camera move, at steady speeds."""
    random = np.random.default_rng(5)
    axes, start = random.normal(size=(2, 24, 3))
    speed, place = np.array([0.4, 0.1, -0.3]), np.array([0.0, 0.1, 4.0])
    eye = np.array([0.3, -4.0, 1.5])
    tilt = rotations.axis_angle_to_matrix(np.array([np.radians(-100.0), 0.0, 0.0]))

    def make(times, **options):
        # With a rate, the shape doesn't depend on how many frames there are.
        motion = make_motion(count=len(times), frame_rate=30.0, **options)
        turned = rotations.axis_angle_to_matrix(times[:, None, None] * axes)
        motion.timestamps = np.asarray(times, dtype=float)
        motion.poses_cam = rotations.matrix_to_axis_angle(turned @ rotations.axis_angle_to_matrix(start))
        motion.fingers = rotations.matrix_to_axis_angle(turned[:, :1] @ np.tile(np.eye(3), (30, 1, 1)))
        motion.trans_cam = place + times[:, None] * speed
        motion.camera_to_world[:, :3, :3] = rotations.axis_angle_to_matrix(np.outer(times, (0.0, 0.0, 0.5))) @ tilt
        motion.camera_to_world[:, :3, 3] = eye + np.outer(times, (0.2, 0.0, 0.1))
        motion.contacts = np.stack([times, 1.0 - times], axis=-1) / 10
        betas = motion.betas[: body.shapedirs.shape[2]]
        motion.joints_cam = body.joints(motion.poses_cam, betas, motion.trans_cam)
        return motion

    return make


def test_fingers_turn_as_they_would(steady, times):
    wanted = on_whole_frames(steady(times), 60.0)
    away = rotations.relative_angle(
        *map(rotations.axis_angle_to_matrix, (wanted.fingers, steady(wanted.timestamps).fingers))
    )
    assert away.max() < 1e-6


@pytest.mark.parametrize("rate", [24.0, 30000 / 1001, 30.0, 60.0, 120.0])
def test_characters_and_camera_are_where_they_would_be(steady, body, times, rate):
    motion = steady(times)
    take = build_scene([motion], body, None, SceneOptions(frame_rate=rate, mesh=False))
    armature, scene = take.characters[0].armature, bpy.context.scene
    assert scene.frame_start == 1
    assert scene.frame_end == 1 + np.floor(times[-1] * rate + 1e-3)
    truth = steady((np.arange(scene.frame_start, scene.frame_end + 1) - 1) / rate)
    for index in range(0, len(truth), 5):
        graph = go_to(1 + index)
        np.testing.assert_allclose(bone_heads(armature, graph), truth.joints_world[index], atol=2e-4)
        camera = np.array(take.camera.evaluated_get(graph).matrix_world)
        expected = truth.camera_to_world[index] @ np.diag((1.0, -1.0, -1.0, 1.0))
        np.testing.assert_allclose(camera, expected, atol=1e-5)
        ankle = armature.evaluated_get(graph).pose.bones["left_ankle"]
        assert ankle[CONTACT] == pytest.approx(truth.contacts[index, 0], abs=1e-5)


def frames_of_keys(armature) -> dict[str, list[float]]:
    channels = channels_of(armature)
    assert channels is not None
    return {curve.data_path: [key.co.x for key in curve.keyframe_points] for curve in channels.fcurves}


def test_every_key_lies_on_a_whole_frame(steady, body, times):
    start = 0.41
    motions = [steady(times), steady(start + times[:20], person=2)]
    motions[1].bridged[:] = False
    motions[1].bridged[10] = True
    options = SceneOptions.from_options(Options(), motions)
    assert options.frame_rate == 30.0
    take = build_scene(motions, body, None, replace(options, mesh=False))
    # They are there from 1 to 47.2, and from 13.3 to 37.1.
    for character, last, (first, end) in zip(take.characters, (47, 37), ((1, 47), (14, 37)), strict=True):
        found = frames_of_keys(character.armature)
        seen = found.pop(SEEN_PATH)
        assert seen == [first - 1, first, last + 1]
        assert all(frames == list(range(first, end + 1)) for frames in found.values())
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (1, 47)


def test_true_times_where_they_are_asked_for(steady, body, times):
    motion = steady(times)
    options = SceneOptions.from_options(Options(whole_frames=False), [motion])
    take = build_scene([motion], body, None, replace(options, mesh=False))
    found = frames_of_keys(take.characters[0].armature)
    found.pop(SEEN_PATH)
    for frames in found.values():
        np.testing.assert_allclose(frames, 1 + times * scene_frame_rate(bpy.context.scene), atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "standard"), [(29.83, 29.97), (47.3, 48.0), (12.0, 12.0), (24.01, 24.0), (239.8, 240.0)]
)
def test_rates_are_standard_ones(make_motion, rate, standard):
    motion = make_motion(count=300, frame_rate=rate)
    assert SceneOptions.from_options(Options(), [motion]).frame_rate == pytest.approx(standard, abs=1e-3)
    assert standard_rate(rate) == pytest.approx(standard, abs=1e-3)


def test_gaps_and_rounded_times_do_not_change_the_rate(make_motion):
    motion = make_motion(count=600, frame_rate=30.0)
    motion.timestamps = np.round(motion.timestamps + 0.3 * (np.arange(600)[:, None] > (90, 200, 480)).sum(axis=1), 3)
    assert footage_frame_rate([motion]) == pytest.approx(30.0)


def test_motions_on_their_frames_stay_as_they_are(make_motion):
    motion = make_motion(count=50, frame_rate=30000 / 1001, start=1.001)
    same = on_whole_frames(motion, 30000 / 1001 * (1 + 1e-7))
    assert same.poses_cam is motion.poses_cam
    assert len(same) == 50


@pytest.mark.parametrize("count", [1, 2])
def test_motions_shorter_than_a_frame(make_motion, body, count):
    motion = make_motion(count=count, frame_rate=100.0, start=0.014)
    take = build_scene([motion], body, None, SceneOptions(frame_rate=25.0, mesh=False))
    found = frames_of_keys(take.characters[0].armature)
    assert found.pop(SEEN_PATH) == [0, 1, 2]
    assert all(frames == [1] for frames in found.values())
    np.testing.assert_allclose(bone_heads(take.characters[0].armature, go_to(1)), motion.joints_world[0], atol=1e-4)
