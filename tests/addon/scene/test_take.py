"""The take as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.backdrop import BackdropError
from video_motion.addon.scene.keyframes import frames_of, scene_frame_rate
from video_motion.addon.scene.take import (
    SceneOptions,
    build_scene,
    footage_frame_rate,
    replace_action,
    replace_camera,
    reshape,
    set_frame_rate,
    unused_name,
)

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface


def without_camera(motion):
    return replace(motion, image_size=np.zeros(2, dtype=int))


def names_of(take):
    """The names of everything that a take has made."""
    blocks = [take.collection]
    for thing in take.collection.objects:
        blocks += [thing, thing.data]
        blocks += thing.data.materials if thing.type == "MESH" else ()
        shape_keys = getattr(thing.data, "shape_keys", None)
        blocks += [shape_keys] if shape_keys else ()
    animated = [block.animation_data for block in blocks if getattr(block, "animation_data", None)]
    return [block.name for block in (*blocks, *(data.action for data in animated if data.action))]


@pytest.mark.parametrize("rate", [8.0, 12.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 47.3, 60000 / 1001, 120.0])
def test_frame_rate_of_footage(make_motion, rate):
    motion = make_motion(count=300, frame_rate=rate)
    # Containers round to milliseconds, and a person may be missing in between.
    motion.timestamps = np.round(motion.timestamps, 3)
    motion = motion.trimmed((np.arange(300) < 100) | (np.arange(300) > 120))
    found = footage_frame_rate([motion.trimmed(np.arange(279) < 40), motion])
    assert found == pytest.approx(rate, rel=1e-6 if rate != 47.3 else 1e-3)
    set_frame_rate(bpy.context.scene, found)
    assert scene_frame_rate(bpy.context.scene) == pytest.approx(found, rel=1e-6)


def test_range_keeps_the_videos_time(make_motion, body):
    motion = make_motion(count=10, frame_rate=25.0, start=2.0)
    build_scene([motion], body, None, SceneOptions(frame_rate=25.0, mesh=False))
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (51, 60, 51)


def test_a_users_scene_keeps_its_settings(make_motion, body):
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 30, 5, 77
    scene.render.resolution_x = 333
    options = SceneOptions(camera=False, floor=False, lights=False, resolution=False, frame_range=False)
    take = build_scene([make_motion(count=3)], body, None, options)
    assert (scene.render.fps, scene.frame_start, scene.frame_end, scene.render.resolution_x) == (30, 5, 77, 333)
    assert (scene.camera, scene.world, take.camera, take.floor, take.sun) == (None,) * 5
    assert set(take.collection.objects) == {take.characters[0].armature, take.characters[0].mesh}


def test_several_takes_in_one_file(make_motion, body):
    first = build_scene([make_motion(count=2), make_motion(count=2, person=2, seed=1)], body)
    second = build_scene([make_motion(count=2)], body)
    assert first.collection.name == "walk"
    assert [character.armature.name for character in first.characters] == ["walk person 1", "walk person 2"]
    assert first.characters[0].action.name == "walk person 1"
    assert second.collection != first.collection
    assert second.characters[0].action != first.characters[0].action
    colours = {character.mesh.data.materials[0].diffuse_color[:] for character in first.characters}
    assert len(colours) == 2


@pytest.mark.parametrize(
    "video", ["clip", "a video whose name is much longer than Blender's sixty-three bytes", "Füße " * 9]
)
def test_everything_in_a_take_has_its_name(make_motion, body, video):
    motions = [make_motion(count=2, moving_camera=True), make_motion(count=2, person=12, seed=1)]
    takes = [build_scene(motions, body, Path(f"{video}.mp4"), SceneOptions(camera=False)) for _ in range(2)]
    takes.append(build_scene(motions, body, None, SceneOptions(correctives=True)))
    first, second, third = (take.collection.name for take in takes)
    assert video.startswith(first)
    assert second == f"{first}.001"
    assert third == "walk"
    for take in takes:
        begin = take.collection.name
        assert all(name == begin or name.startswith(f"{begin} ") for name in names_of(take)), names_of(take)
    assert f"{second} person 12 body right_eye" in names_of(takes[1])


def test_names_of_a_partly_removed_take_are_not_reused(make_motion, body):
    take = build_scene([make_motion(count=2)], body)
    for thing in list(take.collection.objects):
        bpy.data.objects.remove(thing)
    bpy.data.collections.remove(take.collection)
    other = bpy.data.collections.new("walk home")
    again = build_scene([make_motion(count=2)], body)
    assert {name.split(" ")[0] for name in names_of(again)} == {"walk.001"}
    assert unused_name("walk home") == "walk home.001"
    bpy.data.collections.remove(other)
    assert unused_name("walk home") == "walk home"


def test_footage_that_blender_cannot_read_leaves_nothing(make_motion, body, tmp_path):
    with pytest.raises(BackdropError):
        build_scene([make_motion(count=2)], body, tmp_path / "none.mp4")
    assert not bpy.data.collections
    assert not bpy.data.objects


def test_a_motion_without_a_camera(make_motion, body, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x = 333
    motion = without_camera(make_motion(count=4, frame_rate=25.0))
    take = build_scene([motion], body, tmp_path / "none.mp4", SceneOptions(frame_rate=25.0))
    assert (take.camera, take.footage, scene.camera, scene.render.resolution_x) == (None, None, None, 333)
    assert take.floor is not None
    assert take.sun is not None
    assert (scene.frame_start, scene.frame_end) == (1, 4)
    for index in range(4):
        heads = bone_heads(take.characters[0].armature, go_to(1 + index))
        np.testing.assert_allclose(heads, motion.joints_world[index], atol=1e-4)


def test_the_camera_is_that_of_the_motion_that_has_one(make_motion, body):
    motions = [without_camera(make_motion(count=2)), make_motion(count=2, person=2, size=(640, 480))]
    build_scene(motions, body, None, SceneOptions(mesh=False))
    scene = bpy.context.scene
    assert scene.camera is not None
    assert (scene.render.resolution_x, scene.render.resolution_y) == (640, 480)


def another(motion, make_motion, **options):
    """Another motion of the same person."""
    return replace(make_motion(**options), betas=motion.betas, rest_pelvis=motion.rest_pelvis)


def test_a_character_gets_another_action(make_motion, body):
    motion = make_motion(count=3)
    character = build_scene([motion], body, None, SceneOptions(frame_rate=25.0)).characters[0]
    new = another(motion, make_motion, count=5, seed=4)
    action = replace_action(character.armature, new, 30.0, on_frames=False).action
    assert character.armature.animation_data.action == action
    assert [action.name for action in bpy.data.actions] == ["walk person 1"]
    joints = body.joints(new.poses, new.betas[: body.shapedirs.shape[2]], new.trans)
    for index, frame in enumerate(frames_of(new.timestamps, 30.0)):
        np.testing.assert_allclose(bone_heads(character.armature, go_to(frame)), joints[index], atol=1e-4)


@pytest.mark.parametrize("use", ["strip", "asset", "theirs", "none"])
def test_an_action_with_other_users_is_not_removed(make_motion, body, use):
    motion = make_motion(count=3)
    armature = build_scene([motion], body, None, SceneOptions(mesh=False)).characters[0].armature
    animation = armature.animation_data
    old = animation.action
    if use == "strip":
        animation.nla_tracks.new().strips.new("kept", 100, old)
    elif use == "asset":
        old.asset_mark()
    elif use == "theirs":
        animation.action = bpy.data.actions.new("theirs")
    else:
        animation.action = None
    replace_action(armature, another(motion, make_motion, count=2), 25.0)
    assert old.name == "walk person 1"
    assert animation.action.name == "walk person 1.001"
    assert ("theirs" in bpy.data.actions) == (use == "theirs")


def shape_of(armature):
    """Bones and skin, shape keys included, and where the posed bones are in the fourth frame."""
    (mesh,) = armature.children
    keys = [key.data for key in mesh.data.shape_keys.key_blocks]
    bones = [
        (*bone.head_local, *bone.tail_local, *sum(map(tuple, bone.matrix_local), ())) for bone in armature.data.bones
    ]
    points = np.array([[point.co for point in points] for points in (mesh.data.vertices, *keys)])
    return np.array(bones), points, bone_heads(armature, go_to(4))


@pytest.mark.parametrize("mode", ["OBJECT", "POSE"])
def test_a_character_of_another_shape_is_as_made_anew(make_motion, body, mode):
    first, second = make_motion(count=5, frame_rate=24.0), make_motion(count=5, frame_rate=24.0, seed=1)
    armature, made_anew = (build_scene([one], body).characters[0].armature for one in (first, second))
    (mesh,) = armature.children
    mesh.data.shape_keys.key_blocks["shape_03"].data[7].co.x += 0.25
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode=mode)
    reshape(armature, body, second.betas)
    replace_action(armature, second, 24.0)
    assert armature.mode == mode
    assert len(bpy.data.scenes) == 1
    bones, points, posed = shape_of(armature)
    true_bones, true_points, true_posed = shape_of(made_anew)
    np.testing.assert_allclose(bones, true_bones, atol=1e-5)
    points[2 + 3, 7, 0] -= 0.25
    np.testing.assert_allclose(points, true_points, atol=1e-5, err_msg="what was sculpted is kept")
    np.testing.assert_allclose(posed, true_posed, atol=1e-5)
    np.testing.assert_allclose(armature["video_motion"]["betas"], second.betas)
    reshape(armature, body, first.betas)
    assert np.abs(shape_of(armature)[0] - true_bones).max() > 0.01


@pytest.mark.parametrize("moving", [False, True])
def test_the_camera_follows_a_motion_of_another_size(make_motion, body, moving):
    motion = make_motion(count=5, frame_rate=24.0, moving_camera=moving)
    take = build_scene([motion], body)
    theirs = bpy.data.objects.new("theirs", bpy.data.cameras.new("theirs"))
    take.collection.objects.link(theirs)
    actions = {action.name for action in bpy.data.actions}
    grown = replace(motion, camera_to_world=motion.camera_to_world.copy())
    grown.camera_to_world[:, :3, 3] *= 1.2
    replace_camera(take.collection, [grown], 24.0)
    true = build_scene([grown], body).camera
    for frame in (1, 4):
        depsgraph = go_to(frame)
        found, wanted = (np.array(one.evaluated_get(depsgraph).matrix_world) for one in (take.camera, true))
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert np.linalg.norm(found[:3, 3]) > 1.1 * np.linalg.norm(motion.camera_to_world[0, :3, 3])
    assert theirs.location.length == 0
    assert {action.name for action in bpy.data.actions if not action.name.startswith("walk.001")} == actions


def test_floor_lies_under_the_person(make_motion, body):
    motion = make_motion(count=5)
    motion.trans_cam[:, 0] += np.linspace(0.0, 900.0, 5)
    floor = build_scene([motion], body, None, SceneOptions(mesh=False)).floor
    corners = np.array([vertex.co for vertex in floor.data.vertices])
    places = motion.joints_world[:, 0]
    assert (corners[:, 2] == 0).all()
    assert (corners[:, :2].min(axis=0) < places[:, :2].min(axis=0)).all()
    assert len(floor.data.polygons) <= 101 * 101
