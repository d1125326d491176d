"""The list of takes: what selecting, placing and deleting one does."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.keyframes import scene_frame_rate
from video_motion.addon.scene.take import build_scene
from video_motion.addon.takes import activation
from video_motion.addon.takes.activation import activate, layer_collection
from video_motion.addon.takes.making import make_takes
from video_motion.addon.takes.placement import handle_of
from video_motion.addon.takes.record import camera_of, characters_in, provenance_of, record_file, take_of, takes_in
from video_motion.inference.options import Options

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface

KINDS = ("objects", "collections", "armatures", "meshes", "cameras", "lights", "actions", "materials", "images")


def contents() -> dict[str, list[str]]:
    return {kind: sorted(one.name for one in getattr(bpy.data, kind)) for kind in KINDS}


def is_shown(take) -> bool:
    return not layer_collection(bpy.context.view_layer, take).exclude


def test_selecting_a_take_sets_camera_range_rate_and_resolution(make):
    scene = bpy.context.scene
    first = make("walk", options=Options(fps="video"))
    second = make("run", frame_rate=50.0, count=30, size=(640, 480), start=2.0, options=Options(fps="video"))
    assert (scene.camera, scene_frame_rate(scene)) == (camera_of(second), 50.0)
    takes = scene.video_motion_takes
    takes.index = bpy.data.collections.find(first.name)
    assert take_of(bpy.context) == first
    assert takes.index == bpy.data.collections.find(first.name)
    assert bpy.context.active_object == characters_in(first)[1]
    assert (scene.camera, scene_frame_rate(scene)) == (camera_of(first), 25.0)
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1, 40, 1)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (1280, 720)
    activate(bpy.context, second)
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (101, 130, 101)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (640, 480)

    takes.sets = {activation.CAMERA}
    activate(bpy.context, first)
    assert (scene.camera, scene.frame_start, scene.render.resolution_x) == (camera_of(first), 101, 640)
    assert first.video_motion_take.seconds == pytest.approx(40 / 25)
    assert second.video_motion_take.seconds == pytest.approx(30 / 50)


def test_the_selected_take_is_that_of_the_active_object(make):
    first, second = make("walk"), make("run")
    bpy.context.view_layer.objects.active = characters_in(first)[1]
    assert take_of(bpy.context) == first
    bpy.context.view_layer.objects.active = None
    assert take_of(bpy.context) == second


def test_others_are_hidden_on_demand_in_views_and_renders(make):
    first, second = make("walk"), make("run")
    takes = bpy.context.scene.video_motion_takes
    activate(bpy.context, first)
    takes.alone = True
    assert (is_shown(first), is_shown(second)) == (True, False)
    activate(bpy.context, second)
    assert (is_shown(first), is_shown(second)) == (False, True)
    assert bpy.context.active_object == characters_in(second)[1]
    third = make("jump")
    assert [is_shown(one) for one in (first, second, third)] == [False, False, True]
    takes.alone = False
    assert all(map(is_shown, (first, second, third)))


def people_along_x(take) -> tuple[float, float]:
    first, last = take.video_motion_take.first, take.video_motion_take.last
    found = [
        (armature.matrix_world @ armature.pose.bones["pelvis"].head).x
        for frame in range(first, last + 1)
        for armature in characters_in(take).values()
        if go_to(frame)
    ]
    return min(found), max(found)


def test_a_new_take_stands_beside_the_others_with_its_camera(make):
    alone = make("walk", people=2)
    assert handle_of(alone) is None, "nothing is made that nobody needs"
    seen = np.array(camera_of(alone).matrix_world.inverted() @ characters_in(alone)[1].matrix_world)
    beside = make("walk", people=2)
    third = make("walk", people=2)
    ends = [people_along_x(take) for take in (alone, beside, third)]
    assert ends[0][1] + 1.0 < ends[1][0]
    assert ends[1][1] + 1.0 < ends[2][0]
    go_to(1)
    again = np.array(camera_of(third).matrix_world.inverted() @ characters_in(third)[1].matrix_world)
    np.testing.assert_allclose(again, seen, atol=1e-5)

    bpy.context.scene.video_motion_takes.place = activation.SAME_PLACE
    np.testing.assert_allclose(people_along_x(make("walk", people=2)), ends[0], atol=1e-5)


def test_the_handle_moves_people_and_camera_against_a_level_floor(make):
    take = make("walk", moving_camera=True)
    armature, camera = characters_in(take)[1], camera_of(take)
    floor = next(one for one in take.objects if one.name.endswith("floor"))
    heads = bone_heads(armature, go_to(20))
    eye = camera.matrix_world.copy()
    assert bpy.ops.video_motion.add_handle() == {"FINISHED"}
    handle = bpy.context.active_object
    assert handle == handle_of(take)
    np.testing.assert_allclose(bone_heads(armature, go_to(20)), heads, atol=1e-5)
    handle.location, handle.rotation_euler = (1.0, 2.0, 0.3), (0.1, -0.05, 0.7)
    moved = bone_heads(armature, go_to(20))
    expected = heads @ np.array(handle.matrix_basis)[:3, :3].T + np.array(handle.location)
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    np.testing.assert_allclose(camera.matrix_world, handle.matrix_basis @ eye, atol=1e-5)
    placed = floor.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world
    assert tuple(placed.translation) == pytest.approx((1.0, 2.0, 0.0), abs=1e-5)
    assert tuple(placed.to_euler()) == pytest.approx((0.0, 0.0, 0.7), abs=1e-5)
    assert bpy.ops.video_motion.add_handle() == {"FINISHED"}
    assert [one for one in take.objects if one.type == "EMPTY"] == [handle]


def test_replacing_takes_the_place_of_the_selected_take(make, body, make_motion):
    make("walk")
    old = make("walk")
    place = handle_of(old).location.copy()
    before = contents()
    bpy.context.scene.video_motion_takes.place = activation.REPLACE
    motions = [make_motion(frame_rate=25.0, count=40)]
    report = {"warnings": [], "people": []}
    new = make_takes(bpy.context.scene, motions, body, Path("walk.mp4"), Options(), report, old)[0][0].collection
    assert contents() == before
    assert handle_of(new).location == place


def test_deleting_a_take_leaves_nothing_of_it(make):
    make("stays")
    before = contents()
    take = make("goes", people=2, moving_camera=True)
    armature = characters_in(take)[1]
    bpy.ops.video_motion.start_corrections()
    armature.pose.bones["head"].keyframe_insert("rotation_quaternion", frame=5)
    image = bpy.data.images.new("footage", 4, 4)
    camera_of(take).data.background_images.new().image = image
    hat = bpy.data.objects.new("hat", bpy.data.meshes.new("hat"))
    take.objects.link(hat)
    hat.parent, hat.location = armature, (0.0, 0.0, 2.0)
    go_to(3)
    at = hat.matrix_world.copy()

    activate(bpy.context, take)
    assert bpy.ops.video_motion.remove_take() == {"FINISHED"}
    before["objects"] = sorted([*before["objects"], "hat"])
    before["meshes"] = sorted([*before["meshes"], "hat"])
    assert contents() == before
    assert bpy.context.scene.objects["hat"] == hat
    go_to(3)
    np.testing.assert_allclose(hat.matrix_world, at, atol=1e-5)
    assert take_of(bpy.context).name == "stays"
    assert bpy.context.scene.camera == camera_of(take_of(bpy.context))
    bpy.ops.video_motion.remove_take()
    assert takes_in(bpy.context.scene) == []
    assert not bpy.ops.video_motion.remove_take.poll()


def test_assets_and_what_others_use_survive_their_take(make):
    take = make("walk")
    armature = characters_in(take)[1]
    action = armature.animation_data.action
    action.asset_mark()
    material = armature.children[0].data.materials[0]
    other = bpy.data.meshes.new("other")
    other.materials.append(material)
    names = action.name, material.name
    bpy.ops.video_motion.remove_take()
    assert names[0] in bpy.data.actions
    assert names[1] in bpy.data.materials


def test_a_take_of_a_motion_file_is_in_the_list_but_has_no_update(extension, body, make_motion):
    motion = make_motion(frame_rate=25.0)
    take = build_scene([motion], body).collection
    record_file(take, bpy.context.scene, [motion], True)
    assert take_of(bpy.context) == take
    assert take.video_motion_take.seconds == pytest.approx(12 / 25, abs=0.05)
    assert not bpy.ops.video_motion.update_motion.poll()
    assert bpy.ops.video_motion.remove_take() == {"FINISHED"}
    assert not bpy.data.actions


def test_each_shot_is_a_take_that_goes_with_its_marker(extension, body, make_motion):
    scene, motions = bpy.context.scene, []
    for shot, start in ((1, 0.0), (2, 1.0)):
        motion = make_motion(frame_rate=25.0, count=20, start=start, seed=shot)
        motion.provenance = {"video": "film.mp4", "shot": shot}
        motions.append(motion)
    report = {"warnings": [], "people": [{"person": 1, "shot": 1}, {"person": 1, "shot": 2}]}
    options = Options(fps="video")
    takes, _ = make_takes(scene, motions, body, Path("film.mp4"), options, report)
    first, second = (take.collection for take in takes)
    assert [provenance_of(one)["options"]["shot"] for one in (first, second)] == [1, 2]
    assert [provenance_of(one)["report"]["people"] for one in (first, second)] == [[one] for one in report["people"]]
    assert (second.video_motion_take.first, second.video_motion_take.last) == (26, 45)
    more, _ = make_takes(scene, motions, body, Path("film.mp4"), options, report)
    places = {tuple(handle_of(one.collection).location) for one in more}
    assert len(places) == 1, "the shots of a film stay together"
    for take in [*takes[1:], *more]:
        activate(bpy.context, take.collection)
        bpy.ops.video_motion.remove_take()
    assert [marker.camera for marker in scene.timeline_markers] == [camera_of(first)]
