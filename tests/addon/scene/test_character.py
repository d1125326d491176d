"""Armature, mesh and action against the NumPy body."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import channels_of
from video_motion.addon.scene.armature import BONE_NAMES, rest_bones, to_armature
from video_motion.addon.scene.clothes import CLOTHES
from video_motion.addon.scene.keyframes import SEEN_PATH, frames_of
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.inference.body.skeleton import JOINT_NAMES, PARENTS

from ..blender import bone_heads, go_to, vertices
from ..motions import skin_of

pytestmark = pytest.mark.interface

TENTH_OF_A_MILLIMETRE = 1e-4


def build(motion, body, **options):
    return build_scene([motion], body, None, SceneOptions(**options)).characters[0]


def test_bones_are_smpls(make_motion, body):
    motion = make_motion()
    armature = build(motion, body).armature
    assert {bone.name for bone in armature.data.bones} == set(BONE_NAMES)
    for name, parent in zip(JOINT_NAMES, PARENTS, strict=True):
        bone = armature.data.bones[name]
        assert (bone.parent.name if bone.parent else None) == (JOINT_NAMES[parent] if parent >= 0 else None)
        assert bone.length > 0.02
    # SMPL's hand turns all fingers but the thumb.
    parents = {"left_index1": "left_hand", "right_thumb1": "right_wrist", "left_pinky3": "left_pinky2"}
    assert {name: armature.data.bones[name].parent.name for name in parents} == parents
    assert all(bone.rotation_mode == "QUATERNION" for bone in armature.pose.bones)


def test_rest_is_an_upright_t_pose_facing_front(make_motion, body):
    motion = make_motion()
    character = build(motion, body)
    heads = {name: np.array(character.armature.data.bones[name].head_local) for name in JOINT_NAMES}
    assert heads["head"][2] > heads["pelvis"][2] > heads["left_ankle"][2] > 0
    assert heads["left_wrist"][0] > 0.4 > -0.4 > heads["right_wrist"][0]
    assert abs(heads["left_wrist"][2] - heads["left_shoulder"][2]) < 0.15
    assert heads["left_foot"][1] < heads["left_ankle"][1]
    lowest = min(vertex.co.z for vertex in character.mesh.data.vertices)
    assert abs(lowest) < 1e-6


def test_left_and_right_are_mirror_images(make_motion, body):
    armature = build(make_motion(), body).armature
    # Blender's own rule for X-mirror: roll and side flip, length stays.
    mirror = np.diag([-1.0, 1.0, 1.0])
    for name in BONE_NAMES:
        other = bpy.utils.flip_name(name)
        assert other == name.replace("left", "*").replace("right", "left").replace("*", "right")
        one, two = armature.data.bones[name], armature.data.bones[other]
        axes, flipped = np.array(one.matrix_local.to_3x3()), np.array(two.matrix_local.to_3x3())
        expected = mirror @ axes @ mirror
        # A person's betas may be a little lopsided.
        angle = np.degrees(np.arccos(np.clip((np.trace(expected.T @ flipped) - 1) / 2, -1, 1)))
        assert angle < 1.0, name


@pytest.mark.parametrize("axis_bones", [("left_elbow", "forward"), ("left_knee", "back"), ("spine1", "forward")])
def test_positive_x_bends_as_the_body_does(make_motion, body, axis_bones):
    name, way = axis_bones
    armature = build(make_motion(), body).armature
    armature.animation_data_clear()
    for bone in armature.pose.bones:
        bone.matrix_basis.identity()
    posed = armature.pose.bones[name]
    bpy.context.view_layer.update()
    before = posed.tail.copy()
    posed.rotation_quaternion = (np.cos(0.3), np.sin(0.3), 0.0, 0.0)
    bpy.context.view_layer.update()
    assert (posed.tail.y < before.y - 0.01) if way == "forward" else (posed.tail.y > before.y + 0.01)


def test_positive_x_bends_fingers_towards_the_palm(make_motion, body):
    armature = build(make_motion(), body).armature
    armature.animation_data_clear()
    for bone in armature.pose.bones:
        bone.matrix_basis.identity()
    for side in ("left", "right"):
        for finger in ("index1", "pinky2", "thumb2"):
            posed = armature.pose.bones[f"{side}_{finger}"]
            bpy.context.view_layer.update()
            before = posed.tail.copy()
            posed.rotation_quaternion = (np.cos(0.3), np.sin(0.3), 0.0, 0.0)
            bpy.context.view_layer.update()
            assert posed.tail.z < before.z - 0.005


@pytest.mark.parametrize("fps", [24.0, 25.0, 30000 / 1001, 60.0])
def test_pose_is_the_bodys_at_every_key(make_motion, body, fps):
    motion = make_motion()
    character = build(motion, body, frame_rate=fps, whole_frames=False)
    betas = motion.betas[: body.shapedirs.shape[2]]
    joints = body.joints(motion.poses, betas, motion.trans)
    np.testing.assert_allclose(joints, motion.joints_world, atol=1e-9)
    for index, frame in enumerate(frames_of(motion.timestamps, fps)):
        graph = go_to(frame)
        np.testing.assert_allclose(bone_heads(character.armature, graph), joints[index], atol=TENTH_OF_A_MILLIMETRE)


@pytest.mark.parametrize("fingers", [False, True], ids=["relaxed", "moving"])
def test_skin_is_the_bodys_at_every_key(make_motion, body, fingers):
    motion = make_motion(count=5, moving_camera=True)
    if fingers:
        motion.fingers = np.random.default_rng(4).normal(scale=0.4, size=(len(motion), 30, 3))
    character = build(motion, body, frame_rate=25.0, whole_frames=False)
    skin = skin_of(body, motion)
    for index, frame in enumerate(frames_of(motion.timestamps, 25.0)):
        deformed = vertices(character.mesh, go_to(frame))
        assert np.abs(deformed - skin[index]).max() < TENTH_OF_A_MILLIMETRE


def test_shape_keys_are_the_shape_directions(make_motion, body):
    motion = make_motion(count=1)
    character = build(motion, body)
    keys = character.mesh.data.shape_keys.key_blocks
    directions = body.shapedirs.shape[2]
    assert [key.name for key in keys[1:]] == [*(f"shape_{index:02d}" for index in range(directions)), CLOTHES]
    assert {(key.slider_min, key.slider_max, key.value) for key in keys[1:-1]} == {(-5.0, 5.0, 0.0)}
    betas = motion.betas[:directions].copy()
    character.armature.animation_data_clear()
    for bone in character.armature.pose.bones:
        bone.matrix_basis.identity()
    keys["shape_01"].value = -2.0
    betas[1] -= 2.0
    rest = rest_bones(body, motion.betas[:directions])
    expected = to_armature(body.with_fingers.shape(betas)[0], rest.height)
    bpy.context.view_layer.update()
    shaped = vertices(character.mesh, bpy.context.evaluated_depsgraph_get())
    np.testing.assert_allclose(shaped, expected, atol=TENTH_OF_A_MILLIMETRE)


def test_mesh_is_clean(make_motion, body):
    mesh = build(make_motion(count=2), body).mesh
    assert not mesh.data.validate()
    assert [group.name for group in mesh.vertex_groups] == list(BONE_NAMES)
    assert mesh.parent is not None
    assert len(mesh.data.polygons) == len(body.polygons)
    assert all(polygon.use_smooth for polygon in mesh.data.polygons)
    # A positive volume: the faces look outwards.
    data = mesh.data
    data.calc_loop_triangles()
    corners = np.array([[data.vertices[index].co for index in face.vertices] for face in data.loop_triangles])
    assert np.linalg.det(corners).sum() / 6 > 0.03


def test_a_body_of_triangles(make_motion, body):
    bare = replace(
        body, quads=None, uv=None, uv_quads=None, parts=None, part_names=(), shapedirs=body.shapedirs[:, :, :4]
    )
    motion = make_motion(count=1)
    mesh = build(motion, bare).mesh
    assert len(mesh.data.polygons) == len(body.faces)
    assert len(mesh.data.shape_keys.key_blocks) == 1 + 4
    skin = skin_of(bare, motion)[0]
    pelvis = body.rest_joints(motion.betas)[0] - bare.rest_joints(motion.betas[:4])[0]
    deformed = vertices(mesh, go_to(1))
    assert np.abs(deformed - pelvis - skin).max() < TENTH_OF_A_MILLIMETRE


def test_curves(make_motion, body):
    motion = make_motion(count=40)
    character = build(motion, body, frame_rate=24.0, whole_frames=False)
    channels = channels_of(character.armature)
    assert character.action.use_fake_user
    assert len(channels.fcurves) == 54 * 4 + 3 + 1
    assert channels.fcurves.find(SEEN_PATH) is not None
    assert {group.name for group in channels.groups} == set(BONE_NAMES)
    frames = 1 + motion.timestamps * 24
    for name in JOINT_NAMES:
        curves = [channels.fcurves.find(f'pose.bones["{name}"].rotation_quaternion', index=i) for i in range(4)]
        values = np.array([[point.co.y for point in curve.keyframe_points] for curve in curves])
        assert (np.sum(values[:, 1:] * values[:, :-1], axis=0) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(values, axis=0), 1.0, atol=1e-5)
        np.testing.assert_allclose([point.co.x for point in curves[0].keyframe_points], frames, atol=1e-4)
        assert {point.interpolation for point in curves[0].keyframe_points} == {"LINEAR"}
        assert curves[0].group.name == name
    path = f'pose.bones["{JOINT_NAMES[-1]}"].rotation_quaternion'
    kinds = [point.type == "BREAKDOWN" for point in channels.fcurves.find(path, index=0).keyframe_points]
    assert kinds == motion.bridged.tolist()


def test_users_selection_and_mode_stay(make_motion, body):
    mesh = bpy.data.meshes.new("theirs")
    theirs = bpy.data.objects.new("theirs", mesh)
    bpy.context.scene.collection.objects.link(theirs)
    bpy.context.view_layer.objects.active = theirs
    theirs.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    scenes_before = len(bpy.data.scenes)
    build(make_motion(count=2), body)
    assert bpy.context.view_layer.objects.active == theirs
    assert theirs.mode == "EDIT"
    assert theirs.select_get()
    assert len(bpy.data.scenes) == scenes_before
    bpy.ops.object.mode_set(mode="OBJECT")


def test_long_motion_has_all_keys(make_motion, body):
    motion = make_motion(count=3000, frame_rate=30.0)
    channels = channels_of(build(motion, body, mesh=False, frame_rate=30.0).armature)
    fingers = [curve for curve in channels.fcurves if any(f'"{name}"' in curve.data_path for name in BONE_NAMES[24:])]
    moving = [curve for curve in channels.fcurves if curve.data_path != SEEN_PATH and curve not in fingers]
    assert len(moving) == 24 * 4 + 3
    # Fingers of which nothing is known rest.
    assert {len(curve.keyframe_points) for curve in fingers} == {1}
    assert {len(curve.keyframe_points) for curve in moving} == {3000}
