"""Who is seen when, as Blender evaluates and renders it."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.keyframes import SEEN
from video_motion.addon.scene.take import SceneOptions, build_scene, replace_action
from video_motion.addon.scene.visibility import can_hide, is_only_while_seen, set_only_while_seen

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface

RATE = 25.0
BARE = SceneOptions(frame_rate=RATE, floor=False, lights=False)
FIRST, LAST = 11, 20
"""The frames in which the second person of `take` is seen."""

UNSEEN, THERE = (1, FIRST - 1, LAST + 1, 200), (FIRST, 15, LAST)


@pytest.fixture
def motions(make_motion):
    """One person is seen for 30 frames, another from the 11th to the 20th, with a bridged one in the middle."""
    return [
        make_motion(count=30, frame_rate=RATE),
        make_motion(count=10, frame_rate=RATE, start=0.4, person=2, seed=1),
    ]


@pytest.fixture
def take(motions, body):
    return build_scene(motions, body, None, BARE)


def drawn(frame: float) -> set[str]:
    """The names of what the viewport draws; armatures count where one of their bones is drawn."""
    graph = go_to(frame)
    names = set()
    for one in graph.object_instances:
        armature = one.object.data if one.object.type == "ARMATURE" else None
        if armature is None or any(collection.is_visible_effectively for collection in armature.collections_all):
            names.add(one.object.original.name)
    return names - {"walk camera"}


def covered(frame: int) -> float:
    """How much of the picture a render covers, 0 to 1."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.film_transparent = True
    scene.frame_set(frame)
    file = f"{bpy.app.tempdir}seen.png"
    scene.render.filepath = file
    bpy.ops.render.render(write_still=True)
    picture = bpy.data.images.load(file)
    pixels = np.empty(picture.size[0] * picture.size[1] * 4, dtype=np.float32)
    picture.pixels.foreach_get(pixels)
    bpy.data.images.remove(picture)
    return float(pixels[3::4].mean())


EVERYONE = {"walk person 1", "walk person 1 body", "walk person 2", "walk person 2 body"}
FIRST_ONLY = {"walk person 1", "walk person 1 body"}


def test_people_are_drawn_while_they_are_seen(take):
    for frame in THERE:
        assert drawn(frame) == EVERYONE, frame
    assert drawn(1) == drawn(FIRST - 1) == drawn(FIRST - 0.5) == drawn(LAST + 1) == drawn(30) == FIRST_ONLY
    assert drawn(0) == drawn(31) == set(), "nobody is seen"


def test_people_are_rendered_while_they_are_seen(motions, body):
    build_scene(motions[1:], body, None, BARE)
    assert all(covered(frame) == 0.0 for frame in (FIRST - 1, LAST + 1))
    assert all(covered(frame) > 0.01 for frame in (FIRST, LAST))


def test_keys_between_frames_hide_nobody_early(make_motion, body):
    motion = make_motion(count=4, frame_rate=RATE, start=0.41)
    build_scene([motion], body, None, replace(BARE, whole_frames=False))
    # The keys lie at 11.25, 12.25, 13.25 and 14.25.
    assert [bool(drawn(frame)) for frame in (10, 11, 14, 14.25, 15, 16)] == [False, True, True, True, True, False]


def test_hidden_armatures_can_be_selected_and_posed(take):
    armature = take.characters[1].armature
    go_to(1)
    assert armature.visible_get()
    bpy.context.view_layer.objects.active = armature
    armature.select_set(True)
    assert bpy.context.selected_objects == [armature]
    assert bpy.ops.object.mode_set(mode="POSE") == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")


def test_one_switch_shows_a_person_always(take):
    armature, mesh = take.characters[1].armature, take.characters[1].mesh
    go_to(1)
    assert is_only_while_seen(armature)
    set_only_while_seen(armature, False)
    assert not is_only_while_seen(armature)
    for frame in (*UNSEEN, *THERE):
        assert {armature.name, mesh.name} <= drawn(frame), frame
    # Then nothing but the user decides.
    mesh.hide_render = mesh.hide_viewport = True
    assert mesh.name not in drawn(15)
    assert mesh.hide_render
    set_only_while_seen(armature, True)
    assert [{armature.name, mesh.name} <= drawn(frame) for frame in (*UNSEEN, *THERE)] == 4 * [False] + 3 * [True]
    assert not mesh.hide_render


def test_bone_collections_stay_the_users(take):
    armature = take.characters[0].armature
    armature.data.collections_all["Left arm"].is_visible = False
    shown = armature.evaluated_get(go_to(15)).data.collections_all
    assert not shown["Left arm"].is_visible_effectively
    assert shown["Torso"].is_visible_effectively


def test_another_motion_is_seen_at_its_own_time(take, motions, make_motion):
    armature = take.characters[1].armature
    later = replace(
        make_motion(count=5, frame_rate=RATE, start=0.8, person=2, seed=3),
        betas=motions[1].betas,
        rest_pelvis=motions[1].rest_pelvis,
    )
    replace_action(armature, later, RATE)
    assert [armature.name in drawn(frame) for frame in (15, 20, 21, 25, 26)] == [False, False, True, True, False]
    set_only_while_seen(armature, False)
    replace_action(armature, later, RATE)
    assert armature.name in drawn(15), "what was switched off stays off"


def test_visibility_moves_with_the_motion_in_the_nla(take):
    armature = take.characters[1].armature
    animation = armature.animation_data
    action = animation.action
    strip = animation.nla_tracks.new().strips.new("walk", 100 + FIRST - 1, action)
    strip.extrapolation = "HOLD"
    animation.action = None
    moved = [armature.name in drawn(100 + frame) for frame in (*UNSEEN, *THERE)]
    assert moved == 4 * [False] + 3 * [True]
    assert armature.name not in drawn(15)


def test_the_file_keeps_it(take, tmp_path):
    file = tmp_path / "seen.blend"
    set_only_while_seen(take.characters[0].armature, False)
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    bpy.ops.wm.open_mainfile(filepath=str(file))
    assert drawn(15) == EVERYONE
    assert drawn(1) == drawn(200) == FIRST_ONLY


def test_undo_and_redo(take):
    name = take.characters[1].armature.name
    bpy.ops.ed.undo_push(message="before")
    set_only_while_seen(bpy.data.objects[name], False)
    bpy.ops.ed.undo_push(message="switched")
    bpy.ops.ed.undo()
    assert [name in drawn(frame) for frame in (1, 15)] == [False, True]
    bpy.ops.ed.redo()
    assert [name in drawn(frame) for frame in (1, 15)] == [True, True]


def test_nothing_is_added_to_the_file(motions, body):
    kinds = ("objects", "collections", "actions", "armatures", "meshes", "materials", "texts", "node_groups")

    def made(only_while_seen: bool) -> dict[str, list[str]]:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        build_scene(motions, body, None, replace(BARE, only_while_seen=only_while_seen))
        return {kind: sorted(one.name for one in getattr(bpy.data, kind)) for kind in kinds}

    assert made(True) == made(False)


def test_people_without_a_camera_or_by_choice_never_hide(motions, make_motion, body):
    unfilmed = replace(make_motion(count=5, frame_rate=RATE), image_size=np.zeros(2, dtype=int))
    chosen = replace(BARE, only_while_seen=False)
    for character in (build_scene([unfilmed], body, None, BARE), build_scene(motions[1:], body, None, chosen)):
        armature, mesh = character.characters[0].armature, character.characters[0].mesh
        assert not can_hide(armature)
        assert SEEN not in armature
        assert {armature.name, mesh.name} <= drawn(200)


def test_poses_outside_are_those_at_the_ends(take):
    armature = take.characters[1].armature
    np.testing.assert_allclose(bone_heads(armature, go_to(1)), bone_heads(armature, go_to(FIRST)), atol=1e-6)
