"""Actions and poses as assets, and actions as NLA strips."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.interchange import assets
from video_motion.addon.scene.keyframes import frames_of
from video_motion.addon.scene.take import SceneOptions, build_scene

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface


@pytest.fixture(autouse=True)
def registered():
    ours = [cls for cls in assets.classes if not cls.is_registered]
    for cls in ours:
        bpy.utils.register_class(cls)
    yield
    for cls in reversed(ours):
        bpy.utils.unregister_class(cls)


@pytest.fixture
def motion(make_motion):
    return make_motion(count=8)


@pytest.fixture
def armature(motion, body):
    options = SceneOptions(frame_rate=25.0, mesh=False, whole_frames=False)
    armature = build_scene([motion], body, None, options).characters[0].armature
    bpy.context.view_layer.objects.active = armature
    return armature


def rest(armature):
    """Let go of the action and of its pose."""
    armature.animation_data.action = None
    for bone in armature.pose.bones:
        bone.matrix_basis.identity()


def test_an_action_is_an_asset_on_request(armature, tmp_path):
    action = armature.animation_data.action
    assert action.asset_data is None
    with bpy.context.temp_override(active_object=armature):
        assert bpy.ops.video_motion.mark_action_asset(text="A dance.", tags="dance, wild,") == {"FINISHED"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), copy=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), assets_only=True) as (found, _):
        assert found.actions == ["walk person 1"]
    data = bpy.data.actions["walk person 1"].asset_data
    assert (data.author, data.description) == ("Video Motion", "A dance.")
    assert {tag.name for tag in data.tags} == {"dance", "wild"}


@pytest.mark.parametrize("index", [0, 3, 7])
def test_a_pose_asset_restores_the_pose(armature, motion, index):
    frame = frames_of(motion.timestamps, 25.0)[index]
    before = armature.animation_data.action
    action = assets.make_pose_asset(armature, frame, "a pose")
    assert armature.animation_data.action == before
    assert action.name == "a pose"
    assert action.asset_data.author == "Video Motion"
    assert action.frame_range[0] == action.frame_range[1] == 1, "a pose asset has one frame"
    rest(armature)
    bpy.context.view_layer.update()
    armature.pose.apply_pose_from_action(action, evaluation_time=1.0)
    bpy.context.view_layer.update()
    heads = bone_heads(armature, bpy.context.evaluated_depsgraph_get())
    np.testing.assert_allclose(heads, motion.joints_world[index], atol=1e-4)


def test_blender_distinguishes_poses_from_actions(armature, tmp_path):
    assets.mark_action(armature.animation_data.action)
    assets.make_pose_asset(armature, 2, "a pose")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "library.blend"))
    single = {action.name: action.asset_data["is_single_frame"] for action in bpy.data.actions}
    assert single == {"walk person 1": 0, "a pose": 1}


def test_a_pose_between_keys_is_interpolated(armature):
    frame = 3.3
    seen = bone_heads(armature, go_to(frame))
    bpy.ops.video_motion.make_pose_asset(pose="between")
    action = bpy.data.actions["between"]
    rest(armature)
    armature.pose.apply_pose_from_action(action, evaluation_time=1.0)
    bpy.context.view_layer.update()
    heads = bone_heads(armature, bpy.context.evaluated_depsgraph_get())
    np.testing.assert_allclose(heads, seen, atol=1e-4)
    lengths = [bone.rotation_quaternion.magnitude for bone in armature.pose.bones]
    assert lengths == pytest.approx([1.0] * len(lengths), abs=1e-5)


def test_a_pose_without_a_name_is_called_after_its_frame(armature):
    bpy.context.scene.frame_set(4)
    bpy.ops.video_motion.make_pose_asset()
    assert "walk person 1 pose 4" in bpy.data.actions


def test_only_characters_with_a_motion(armature):
    for operator in (bpy.ops.video_motion.mark_action_asset, bpy.ops.video_motion.make_pose_asset):
        assert operator.poll()
        bpy.context.view_layer.objects.active = None
        assert not operator.poll()
        bpy.context.view_layer.objects.active = armature
    armature.animation_data.action = None
    with pytest.raises(RuntimeError, match="Select a character"):
        bpy.ops.video_motion.make_pose_asset()
    with pytest.raises(assets.AssetError, match="walk person 1 has no action"):
        assets.make_pose_asset(armature, 1, "none")


def test_one_undo_takes_a_pose_back(armature):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.video_motion.make_pose_asset("EXEC_DEFAULT", True, pose="undone")
    assert "undone" in bpy.data.actions
    bpy.ops.ed.undo()
    assert "undone" not in bpy.data.actions


def test_the_action_plays_as_a_strip(armature, motion):
    action = armature.animation_data.action
    rest(armature)
    strip = armature.animation_data.nla_tracks.new().strips.new("take", int(action.frame_range[0]), action)
    assert strip.action == action
    # A strip begins where its action does.
    np.testing.assert_allclose([strip.frame_start, strip.frame_end], action.frame_range, atol=1e-4)
    for index, frame in enumerate(frames_of(motion.timestamps, 25.0)):
        heads = bone_heads(armature, go_to(min(frame, strip.frame_end - 1e-3)))
        np.testing.assert_allclose(heads, motion.joints_world[index], atol=2e-3 if index == 7 else 1e-4)
