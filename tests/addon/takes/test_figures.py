"""Another figure and other clothes for a character of a take, whose motion stays."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.figure import set_figure
from video_motion.addon.scene.keyframes import OURS
from video_motion.addon.scene.layers import is_edited, start_corrections
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.addon.takes.record import characters_in
from video_motion.addon.takes.removal import remove_take
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.motion.figure import give_figure
from video_motion.inference.motion.motion import Motion
from video_motion.inference.options import Options

from ..blender import bone_heads, go_to, vertices

pytestmark = pytest.mark.interface

SAMPLE = Path(__file__).parents[2] / "sample" / "sample.truth.npz"
FRAMES = (1, 7, 20, 33)


@pytest.fixture
def armature(make) -> bpy.types.Object:
    bpy.context.scene.render.fps = 25
    return characters_in(make())[1]


def skin(armature) -> bpy.types.Object:
    return next(child for child in armature.children if child.type == "MESH")


def turns(armature) -> np.ndarray:
    """What each bone has turned by from rest (F, B, 3, 3), in the world."""
    found = []
    for frame in FRAMES:
        evaluated = armature.evaluated_get(go_to(frame))
        found.append(
            [bone.matrix.to_3x3() @ bone.bone.matrix_local.to_3x3().inverted() for bone in evaluated.pose.bones]
        )
    return np.array(found)


def test_poses_stay_with_every_figure(armature):
    before = turns(armature)
    for gender, build in (("woman", "slim"), ("man", "muscular"), ("neutral", "heavy")):
        armature.video_motion_gender, armature.video_motion_build = gender, build
        assert (armature.video_motion_gender, armature.video_motion_build) == (gender, build)
        np.testing.assert_allclose(turns(armature), before, atol=2e-3)


def test_feet_stand_where_they_stood(body):
    sample_motion = Motion.load(SAMPLE)
    take = build_scene([sample_motion], body, options=SceneOptions(frame_rate=sample_motion.frame_rate))
    armature, mesh = take.characters[0].armature, take.characters[0].mesh
    frames = 1 + np.flatnonzero(sample_motion.contacts.max(axis=1) > 0.9)[::30]
    assert len(frames) > 3
    before = np.array([vertices(mesh, go_to(frame))[:, 2].min() for frame in frames])
    for gender, build in (("woman", "slim"), ("man", "muscular")):
        set_figure(armature, body, gender, build)
        after = np.array([vertices(mesh, go_to(frame))[:, 2].min() for frame in frames])
        np.testing.assert_allclose(after, before, atol=0.006)


def test_as_seen_comes_back(armature):
    heads = [bone_heads(armature, go_to(frame)) for frame in FRAMES]
    points = vertices(skin(armature), go_to(1))
    armature.video_motion_gender, armature.video_motion_build = "woman", "heavy"
    assert np.abs(vertices(skin(armature), go_to(1)) - points).max() > 0.01
    armature.video_motion_gender, armature.video_motion_build = "neutral", "average"
    np.testing.assert_allclose([bone_heads(armature, go_to(frame)) for frame in FRAMES], heads, atol=1e-4)
    np.testing.assert_allclose(vertices(skin(armature), go_to(1)), points, atol=1e-4)


def test_corrections_and_clean_up_fit_another_figure(armature):
    take = armature.users_collection[0]
    take.video_motion_take.in_place = True
    start_corrections(armature)
    bone = armature.pose.bones["left_elbow"]
    go_to(20)
    bone.rotation_quaternion = (0.9, 0.1, 0.3, 0.2)
    bone.keyframe_insert("rotation_quaternion", frame=20)
    before = turns(armature)
    armature.video_motion_gender = "man"
    assert not is_edited(armature)
    np.testing.assert_allclose(turns(armature), before, atol=2e-3)
    take.video_motion_take.in_place = False
    take.video_motion_take.in_place = True
    np.testing.assert_allclose(turns(armature), before, atol=2e-3)


def test_clothes_come_off_and_on_again(armature):
    mesh = skin(armature)
    assert armature.video_motion_clothes, "a body is dressed unless that is switched off"
    dressed = [material.name for material in mesh.data.materials]
    points = vertices(mesh, go_to(1))
    mesh.data.materials[dressed.index(next(name for name in dressed if name.endswith("shirt")))].diffuse_color = (
        1.0,
        0.0,
        0.0,
        1.0,
    )
    armature.video_motion_clothes = False
    plain = {material.name for material in mesh.data.materials if "eye" not in material.name}
    assert len(plain - {name for name in plain if name.endswith(("tongue", "iris"))}) == 1
    assert np.abs(vertices(mesh, go_to(1)) - points).max() > 0.005
    armature.video_motion_clothes = True
    assert [material.name for material in mesh.data.materials] == dressed
    shirt = next(material for material in mesh.data.materials if material.name.endswith("shirt"))
    assert shirt.diffuse_color[:] == (1.0, 0.0, 0.0, 1.0), "what was changed of it is kept"


def test_plain_bodies_can_be_asked_for(make):
    armature = characters_in(make(options=Options(clothes=False)))[1]
    assert not armature.video_motion_clothes
    assert not any(name in block.name for block in bpy.data.materials for name in ("shirt", "trousers"))


def test_nothing_of_clothes_is_left_of_a_deleted_take(armature):
    armature.video_motion_clothes = False
    assert any("shirt" in block.name for block in bpy.data.materials)
    remove_take(armature.users_collection[0])
    assert not [block.name for block in bpy.data.materials if "walk" in block.name]


def test_motions_know_their_figure(make_motion, body):
    motion = make_motion(count=5)
    woman = give_figure(motion, body, "woman", "average")
    assert not np.allclose(woman.betas, motion.betas)
    assert woman.provenance["figure"]["betas"] == pytest.approx(motion.betas.tolist())
    feet = [JOINT_NAMES.index(f"{side}_ankle") for side in ("left", "right")]
    np.testing.assert_allclose(woman.joints_world[:, feet, 2], motion.joints_world[:, feet, 2], atol=0.006)


def test_takes_remember_what_was_seen(armature):
    assert list(armature[OURS]["seen"]) == pytest.approx(list(armature[OURS]["betas"]))
    armature.video_motion_build = "heavy"
    assert list(armature[OURS]["seen"]) != pytest.approx(list(armature[OURS]["betas"]))
