"""Reading a motion from its curves against Blender's own evaluation."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import channels_of
from video_motion.addon.retarget.action import retarget
from video_motion.addon.retarget.bones import read_rig
from video_motion.addon.retarget.sampling import evaluate_frames, is_plain, key_frames, read_curves, sample
from video_motion.inference.body import rotations


def both_ways(armature, frames):
    rig = read_rig(armature)
    bones = np.arange(len(rig.names))
    assert is_plain(armature, rig, bones)
    closed, blender = read_curves(armature, rig, bones, frames), evaluate_frames(armature, rig, bones, frames)
    assert np.degrees(rotations.relative_angle(closed.global_rotations, blender.global_rotations)).max() < 0.05
    np.testing.assert_allclose(closed.heads, blender.heads, atol=2e-4)


@pytest.mark.parametrize("offset", [0.0, 0.37])
def test_own_take(take, offset):
    armature = take(0, 20)
    armature.rotation_euler, armature.scale = (0.2, 0.1, 0.5), (1.5, 1.5, 1.5)
    bpy.context.view_layer.update()
    both_ways(armature, key_frames(armature)[:-1] + offset)


@pytest.mark.parametrize("kind", ["euler", "hinges", "locations", "connected", "bezier", "muted"])
def test_any_action_of_plain_curves(take, make_rig, kind):
    target = make_rig("mixamo")
    random = np.random.default_rng(0)
    bpy.context.view_layer.objects.active = target
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in target.data.edit_bones:
        bone.use_inherit_rotation = kind != "hinges" or random.random() < 0.7
        bone.use_local_location = kind != "locations" or random.random() < 0.5
        if kind == "connected" and bone.parent is not None and random.random() < 0.3:
            bone.use_connect = True
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in target.pose.bones:
        bone.rotation_mode = random.choice(["XYZ", "ZYX", "YXZ", "AXIS_ANGLE"]) if kind == "euler" else "QUATERNION"
    retarget(take(0, 12), target)
    if kind in ("locations", "connected", "hinges"):
        for bone in target.pose.bones:
            for frame in (1, 7, 12):
                bone.location = random.normal(scale=0.1, size=3)
                bone.keyframe_insert("location", frame=frame)
    for curve in channels_of(target).fcurves:
        if kind == "bezier":
            for point in curve.keyframe_points:
                point.interpolation = "BEZIER"
        if kind == "muted" and "Spine1" in curve.data_path:
            curve.mute = True
    both_ways(target, np.arange(1.0, 12.0, 0.75))


def test_constraints_are_evaluated(take, make_rig):
    source, target = take(0, 12), make_rig("mixamo")
    retarget(source, target)
    limit = target.pose.bones["mixamorig:LeftArm"].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    limit.owner_space = "LOCAL"
    rig = read_rig(target)
    bones = np.array([rig.number["mixamorig:LeftHand"]])
    frames = np.arange(1.0, 10.0)
    assert not is_plain(target, rig, bones)
    bpy.context.scene.frame_set(3)
    np.testing.assert_allclose(
        sample(target, rig, bones, frames).heads, evaluate_frames(target, rig, bones, frames).heads, atol=1e-6
    )
    assert bpy.context.scene.frame_current == 3
