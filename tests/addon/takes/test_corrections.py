"""An animator's own keys lie on a layer of their own and survive what makes the captured motion again."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from mathutils import Quaternion
from video_motion.addon.compatibility import channels_of
from video_motion.addon.interchange.export.take import export_take
from video_motion.addon.retarget.sampling import key_frames, read_contacts
from video_motion.addon.scene.layers import (
    captured_action,
    captured_channels,
    corrections_of,
    is_edited,
    remove_corrections,
)
from video_motion.addon.scene.take import replace_action
from video_motion.addon.scene.visibility import seen_curve
from video_motion.addon.takes.record import characters_in

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface

RATE = 25.0
FRAMES = (1, 7, 13, 40)


def poses(armature) -> list[np.ndarray]:
    return [bone_heads(armature, go_to(frame)) for frame in FRAMES]


@pytest.fixture
def armature(make):
    bpy.context.scene.render.fps = 25
    return characters_in(make())[1]


def correct(armature, frame: int = 7) -> Quaternion:
    """Turn the head as an animator does, and key it."""
    go_to(frame)
    head = armature.pose.bones["head"]
    turned = head.rotation_quaternion @ Quaternion((0.0, 1.0, 0.0), 0.6)
    head.rotation_quaternion = turned
    head.keyframe_insert("rotation_quaternion")
    return turned


def test_an_empty_layer_changes_nothing(armature):
    before, captured = poses(armature), captured_action(armature)
    assert bpy.ops.video_motion.start_corrections() == {"FINISHED"}
    np.testing.assert_allclose(poses(armature), before, atol=1e-5)
    assert captured_action(armature) == captured
    assert armature.animation_data.action == corrections_of(armature) != captured
    assert not bpy.ops.video_motion.start_corrections.poll()
    assert bpy.ops.video_motion.remove_corrections() == {"FINISHED"}
    np.testing.assert_allclose(poses(armature), before, atol=1e-5)
    assert armature.animation_data.action == captured
    assert not armature.animation_data.nla_tracks
    assert not [one for one in bpy.data.actions if "corrections" in one.name]


@pytest.mark.parametrize("whole", [True, False])
def test_corrections_survive_another_captured_motion(make, body, make_motion, whole):
    bpy.context.scene.render.fps = 25
    armature = characters_in(make())[1]
    bpy.ops.video_motion.start_corrections()
    turned = correct(armature)
    head = armature.pose.bones["head"]
    go_to(7)
    assert abs(head.rotation_quaternion.dot(turned)) == pytest.approx(1.0, abs=1e-5), "what was posed is what is seen"
    corrections = corrections_of(armature)
    keys = [(key.co.x, key.co.y) for key in channels_of(armature).fcurves[1].keyframe_points]

    other = make_motion(person=1, seed=9, frame_rate=24.0, count=38)
    fresh = characters_in(make())[1]
    done = [replace_action(one, other, RATE, on_frames=whole) for one in (armature, fresh)]
    assert done[0].kept is None
    assert captured_action(armature) == done[0].action
    assert done[0].action.name == armature.name
    assert corrections_of(armature) == corrections
    assert [(key.co.x, key.co.y) for key in channels_of(armature).fcurves[1].keyframe_points] == keys
    for frame in (1.0, 6.5, 7.0, 20.25, 37.0):
        bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
        plain, corrected = (
            Quaternion(one.pose.bones["head"].rotation_quaternion).normalized() for one in (fresh, armature)
        )
        difference = plain.inverted() @ corrected
        assert difference.angle == pytest.approx(0.6, abs=1e-3), "the correction is the same turn of the new motion"
        for bone in ("pelvis", "left_knee"):
            assert armature.pose.bones[bone].rotation_quaternion.dot(
                fresh.pose.bones[bone].rotation_quaternion
            ) == pytest.approx(fresh.pose.bones[bone].rotation_quaternion.magnitude ** 2, abs=1e-5)


def test_everything_else_still_reads_the_captured_motion(armature, tmp_path):
    contacts = captured_channels(armature).fcurves
    assert seen_curve(armature) is not None
    before = key_frames(armature)
    known = read_contacts(armature, ("left_ankle", "right_ankle"), before)
    bpy.ops.video_motion.start_corrections()
    correct(armature)
    assert seen_curve(armature) is not None
    np.testing.assert_array_equal(key_frames(armature), before)
    again = read_contacts(armature, ("left_ankle", "right_ankle"), before)
    assert (known is None) == (again is None)
    assert len(captured_channels(armature).fcurves) == len(contacts)
    (file,) = export_take([armature], tmp_path / "take.bvh", "bvh")
    assert int(file.read_text().split("Frames:")[1].split()[0]) == 40


def test_keys_changed_in_the_captured_action_itself_are_kept_aside(armature, make_motion):
    assert not is_edited(armature)
    curve = captured_channels(armature).fcurves[10]
    curve.keyframe_points[3].co.y += 0.5
    assert is_edited(armature)
    edited = captured_action(armature)
    done = replace_action(armature, make_motion(person=1, frame_rate=25.0, count=40), RATE)
    assert done.kept == edited
    assert (edited.name, edited.use_fake_user) == (f"{armature.name} (edited)", True)
    assert done.action.name == armature.name
    assert not is_edited(armature)
    bpy.ops.video_motion.remove_take()
    assert not bpy.data.actions


def test_layers_are_in_the_file(armature, tmp_path):
    bpy.ops.video_motion.start_corrections()
    correct(armature)
    before, name = poses(armature), armature.name
    file = tmp_path / "take.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    bpy.ops.wm.open_mainfile(filepath=str(file))
    again = bpy.data.objects[name]
    np.testing.assert_allclose(poses(again), before, atol=1e-5)
    assert corrections_of(again) is not None
    remove_corrections(again)
    assert captured_action(again).name == name


def test_where_one_is_being_tweaked_none_gets_a_layer(make):
    first, second = characters_in(make(people=2)).values()
    animation = second.animation_data
    action = animation.action
    strip = animation.nla_tracks.new().strips.new("mine", 1, action)
    animation.action = None
    strip.select = animation.nla_tracks[0].select = True
    bpy.context.view_layer.objects.active = second
    animation.nla_tracks.active = animation.nla_tracks[0]
    strip.id_data.animation_data.use_tweak_mode = True
    assert animation.use_tweak_mode
    with pytest.raises(RuntimeError, match="leave tweak mode first"):
        bpy.ops.video_motion.start_corrections()
    assert corrections_of(first) is None
    assert not first.animation_data.nla_tracks
