"""SMPL's pose correctives as shape keys, against the NumPy body."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import SLOTTED_ACTIONS, channels_of
from video_motion.addon.scene.clothes import CLOTHES
from video_motion.addon.scene.keyframes import CORRECTIVE_NAMES, frames_of
from video_motion.addon.scene.take import SceneOptions, build_scene, replace_action
from video_motion.inference.body.smpl import Body

from ..blender import go_to, vertices

pytestmark = pytest.mark.interface

TENTH_OF_A_MILLIMETRE = 1e-4


@pytest.fixture(scope="module")
def licensed_like(body: Body) -> Body:
    """The free body with pose correctives, which only licensed ones have."""
    posedirs = np.random.default_rng(3).normal(scale=0.01, size=(len(body.v_template), 3, 207))
    return replace(body, posedirs=posedirs, fingers=None)


def build(motion, body, **options):
    return build_scene([motion], body, None, SceneOptions(frame_rate=25.0, whole_frames=False, **options)).characters[0]


def test_skin_is_the_bodys_with_its_correctives(make_motion, licensed_like):
    motion = make_motion(count=6, moving_camera=True)
    character = build(motion, licensed_like, correctives=True)
    betas = motion.betas[: licensed_like.shapedirs.shape[2]]
    skin = licensed_like.vertices(motion.poses, betas, motion.trans)
    plain = replace(licensed_like, posedirs=None).vertices(motion.poses, betas, motion.trans)
    assert np.abs(skin - plain).max() > 0.05, "correctives that do nothing would hide a mistake"
    for index, frame in enumerate(frames_of(motion.timestamps, 25.0)):
        deformed = vertices(character.mesh, go_to(frame))
        assert np.abs(deformed - skin[index]).max() < TENTH_OF_A_MILLIMETRE


def test_correctives_have_a_slot_in_the_action(make_motion, licensed_like):
    motion = make_motion(count=9)
    character = build(motion, licensed_like, correctives=True)
    keys = character.mesh.data.shape_keys
    names = [key.name for key in keys.key_blocks]
    shapes = [f"shape_{index:02d}" for index in range(licensed_like.shapedirs.shape[2])]
    assert names == ["Basis", *shapes, *CORRECTIVE_NAMES, CLOTHES]
    channels = channels_of(keys)
    assert len(channels.fcurves) == 207
    curve = channels.fcurves.find('key_blocks["pose_113"].value')
    assert [point.type == "BREAKDOWN" for point in curve.keyframe_points] == motion.bridged.tolist()
    lowest = min(point.co.y for key in channels.fcurves for point in key.keyframe_points)
    assert keys.key_blocks["pose_000"].slider_min <= lowest < -1.0
    assert (keys.animation_data.action == character.action) == SLOTTED_ACTIONS
    assert keys.animation_data.action.use_fake_user
    assert len(channels_of(character.armature).fcurves) == 24 * 4 + 3 + 1


def test_bodies_and_users_without_them_get_none(make_motion, body, licensed_like):
    motion = make_motion(count=2)
    for character in (build(motion, body, correctives=True), build(motion, licensed_like)):
        keys = character.mesh.data.shape_keys
        assert not set(CORRECTIVE_NAMES) & set(keys.key_blocks.keys())
        assert keys.animation_data is None


def test_another_motion_replaces_the_correctives_keys(make_motion, licensed_like):
    before = make_motion(count=3)
    character = build(before, licensed_like, correctives=True)
    other = make_motion(count=4, seed=8)
    after = replace(other, betas=before.betas, rest_pelvis=before.rest_pelvis)
    action = replace_action(character.armature, after, 25.0, on_frames=False).action
    betas = before.betas[: licensed_like.shapedirs.shape[2]]
    skin = licensed_like.vertices(after.poses, betas, after.trans)
    for index, frame in enumerate(frames_of(after.timestamps, 25.0)):
        deformed = vertices(character.mesh, go_to(frame))
        assert np.abs(deformed - skin[index]).max() < TENTH_OF_A_MILLIMETRE
    names = {action.name, character.mesh.data.shape_keys.animation_data.action.name}
    expected = {"walk person 1"} if SLOTTED_ACTIONS else {"walk person 1", "walk person 1 shapes"}
    assert names == expected
    assert {action.name for action in bpy.data.actions} == expected
