"""Clean-up changes the captured motion at once, from what was captured, and back."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.layers import captured_channels, corrections_of
from video_motion.addon.scene.take import replace_action
from video_motion.addon.takes.cleanup import give_marks, marks_of
from video_motion.addon.takes.record import characters_in
from video_motion.inference.options import Options

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface


@pytest.fixture
def take(make):
    bpy.context.scene.render.fps = 25
    take = make()
    bpy.context.view_layer.objects.active = characters_in(take)[1]
    return take


def heads(take, frames=range(1, 41)) -> np.ndarray:
    armature = characters_in(take)[1]
    return np.array([bone_heads(armature, go_to(frame)) for frame in frames])


def roughness(armature, bone: str) -> float:
    curves = [
        captured_channels(armature).fcurves.find(f'pose.bones["{bone}"].rotation_quaternion', index=part)
        for part in range(4)
    ]
    values = np.array([[key.co.y for key in curve.keyframe_points] for curve in curves])
    return float(np.abs(np.diff(values, n=2, axis=1)).mean())


def test_each_limb_is_smoothed_alone_and_goes_back(take):
    armature, settings, before = characters_in(take)[1], take.video_motion_take, heads(take)
    rough = {bone: roughness(armature, bone) for bone in ("left_elbow", "left_knee")}
    settings.smooth_arms = 10.0
    assert roughness(armature, "left_elbow") < 0.6 * rough["left_elbow"]
    assert roughness(armature, "left_knee") == pytest.approx(rough["left_knee"], rel=1e-3)
    after = heads(take)
    # SMPL's hips, left knee and ankle, and head.
    np.testing.assert_allclose(after[:, [0, 4, 7, 15]], before[:, [0, 4, 7, 15]], atol=1e-4)
    settings.smooth_arms = 0.0
    np.testing.assert_allclose(heads(take), before, atol=1e-4)


def test_in_place_leaves_heights(take):
    before = heads(take)
    take.video_motion_take.in_place = True
    hips = heads(take)[:, 0]
    np.testing.assert_allclose(np.ptp(hips[:, :2], axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(hips[:, 2], before[:, 0, 2], atol=1e-5)


def test_a_loop_runs_into_its_beginning(take):
    scene, settings = bpy.context.scene, take.video_motion_take
    settings.in_place = True
    whole = heads(take)
    settings.loop = 10
    assert (scene.frame_start, scene.frame_end) == (settings.first, settings.last) == (1, 30)
    made = heads(take, range(1, 31))
    np.testing.assert_allclose(made[0], whole[30], atol=1e-4)
    np.testing.assert_allclose(made[10:], whole[10:30], atol=1e-4)
    settings.loop = 0
    assert scene.frame_end == 40


def test_marked_feet_stand_still(take):
    armature, settings = characters_in(take)[1], take.video_motion_take
    for frame, down in ((10, True), (20, False)):
        bpy.context.scene.frame_set(frame)
        assert bpy.ops.video_motion.mark_foot(foot="left_ankle", down=down) == {"FINISHED"}
    (left, right) = marks_of(armature)
    assert [tuple(key) for key in left if key[0] in (10, 20)] == [(10, 1), (20, 0)]
    assert not right[:, 1].any()
    assert armature.evaluated_get(go_to(15)).pose.bones["left_ankle"]["contact"] == 1.0
    before = heads(take)
    settings.hold = True
    after = heads(take)
    span = slice(10, 18)
    # SMPL's left foot is joint 10.
    assert np.ptp(after[span, 10], axis=0).max() < 0.5 * np.ptp(before[span, 10], axis=0).max()


def test_simplified_curves_stay_within_the_tolerance(take):
    armature, before = characters_in(take)[1], heads(take)

    def keys() -> int:
        return sum(len(curve.keyframe_points) for curve in captured_channels(armature).fcurves)

    many = keys()
    take.video_motion_take.simplify = np.radians(2.0)
    assert keys() < many
    assert np.abs(heads(take) - before).max() < 0.15
    take.video_motion_take.simplify = 0.0
    assert keys() == many
    np.testing.assert_allclose(heads(take), before, atol=1e-4)


def test_corrections_and_marks_are_left_alone(take, make_motion):
    armature, settings = characters_in(take)[1], take.video_motion_take
    bpy.ops.video_motion.mark_foot(foot="right_ankle", down=True)
    marks = marks_of(armature)
    bpy.ops.video_motion.start_corrections()
    corrections = corrections_of(armature)
    settings.smooth_legs = 3.0
    assert corrections_of(armature) == corrections
    assert not len(corrections.fcurves) if hasattr(corrections, "fcurves") else True
    np.testing.assert_array_equal(marks_of(armature)[1], marks[1])
    replace_action(armature, make_motion(person=1, seed=3, frame_rate=25.0, count=40), 25.0)
    assert marks_of(armature) is None
    give_marks(armature, marks)
    np.testing.assert_array_equal(marks_of(armature)[1], marks[1])


def test_what_is_changed_by_hand_is_cleaned_up_from_then_on(take):
    settings, path = take.video_motion_take, 'pose.bones["pelvis"].location'
    settings.smooth_arms = 2.0
    for height in (3.0, 4.0):
        curve = captured_channels(characters_in(take)[1]).fcurves.find(path, index=1)
        curve.keyframe_points[9].co.y = height
        settings.smooth_legs += 1.0
        curve = captured_channels(characters_in(take)[1]).fcurves.find(path, index=1)
        assert curve.keyframe_points[9].co.y == pytest.approx(height, abs=1e-4)


def test_keys_beside_whole_frames_keep_their_range(make):
    bpy.context.scene.render.fps = 25
    take = make(frame_rate=24.0, options=Options(whole_frames=False, fps=25.0))
    scene, settings = bpy.context.scene, take.video_motion_take
    # 40 frames at 24 a second end between the scene's frames 41 and 42.
    assert (scene.frame_start, scene.frame_end) == (1, 42)
    settings.smooth_legs = 2.0
    assert (settings.first, settings.last) == (scene.frame_start, scene.frame_end) == (1, 42)
