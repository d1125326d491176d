"""Faces as shape keys: of our own character against the NumPy body, in exported files, and on other characters."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import SLOTTED_ACTIONS, channels_of
from video_motion.addon.interchange import export
from video_motion.addon.research.export_accuracy import IMPORTERS
from video_motion.addon.retarget.action import RetargetOptions, retarget
from video_motion.addon.retarget.face import read_face, recipes
from video_motion.addon.scene.mesh import show_face
from video_motion.addon.scene.take import SceneOptions, build_scene, replace_action, set_frame_rate
from video_motion.inference.body.face import COEFFICIENTS
from video_motion.inference.body.skeleton import BODY_JOINTS
from video_motion.inference.motion.formats import read_motion

from ..blender import go_to, vertices
from ..motions import skin_of

pytestmark = pytest.mark.interface

COUNT, RATE = 8, 25.0
ACTED = ("jawOpen", "mouthSmileLeft", "eyeBlinkRight", "browInnerUp")
TENTH_OF_A_MILLIMETRE = 1e-4


@pytest.fixture
def motion(make_motion):
    """Somebody who makes faces, and whose other coefficients rest."""
    motion = make_motion(count=COUNT, frame_rate=RATE)
    face = np.zeros((COUNT, len(COEFFICIENTS)))
    face[:, [COEFFICIENTS.index(name) for name in ACTED]] = np.random.default_rng(2).uniform(size=(COUNT, len(ACTED)))
    return replace(motion, face=face, face_scores=np.ones(COUNT))


@pytest.fixture
def character(motion, body):
    return build_scene([motion], body, options=SceneOptions(frame_rate=RATE)).characters[0]


def acted(motion) -> dict[str, np.ndarray]:
    return {name: motion.face[:, COEFFICIENTS.index(name)] for name in ACTED}


def values_of(keys: bpy.types.Key, name: str, frames) -> np.ndarray:
    found = []
    for frame in frames:
        evaluated = keys.evaluated_get(go_to(frame))
        found.append(evaluated.key_blocks[name].value)
    return np.array(found)


def skin_with_face(body, motion) -> np.ndarray:
    """Vertices (N, V, 3) in the world."""
    skin = skin_of(body, motion)
    poses = np.concatenate([motion.poses[:, :BODY_JOINTS], np.zeros((len(motion), 2, 3))], axis=1)
    skin[:, body.face_units.vertices] += body.face_moves(motion.face, body.global_rotations(poses))
    return skin


def test_skin_is_the_bodys_with_its_face(character, motion, body):
    skin, plain = skin_with_face(body, motion), skin_of(body, motion)
    assert np.abs(skin - plain).max() > 0.01, "a face that does nothing would hide a mistake"
    for index in (0, 3, 7):
        deformed = vertices(character.mesh, go_to(1 + index))
        assert np.abs(deformed - skin[index]).max() < TENTH_OF_A_MILLIMETRE


def test_faces_have_keys_of_arkits_names(character, motion):
    keys = character.mesh.data.shape_keys
    assert set(COEFFICIENTS) <= {block.name for block in keys.key_blocks}
    block = keys.key_blocks["jawOpen"]
    assert (block.slider_min, block.slider_max) == (0.0, 1.0)
    channels = channels_of(keys)
    assert len(channels.fcurves.find('key_blocks["jawOpen"].value').keyframe_points) == COUNT
    assert len(channels.fcurves.find('key_blocks["tongueOut"].value').keyframe_points) == 1
    assert (keys.animation_data.action == character.action) == SLOTTED_ACTIONS


def test_people_whose_faces_were_not_seen_have_no_such_keys(make_motion, body):
    still = build_scene([make_motion(count=3)], body, options=SceneOptions(frame_rate=RATE)).characters[0]
    assert not {*COEFFICIENTS} & {block.name for block in still.mesh.data.shape_keys.key_blocks}


def test_a_new_motion_moves_the_face_anew(character, motion):
    calm = replace(motion, face=0.5 * motion.face)
    replace_action(character.armature, calm, RATE)
    values = values_of(character.mesh.data.shape_keys, "jawOpen", range(1, COUNT + 1))
    np.testing.assert_allclose(values, acted(calm)["jawOpen"], atol=1e-6)


def test_a_face_that_is_seen_later_moves_a_skin_that_had_none(motion, body):
    still = replace(motion, face=None, face_scores=None)
    character = build_scene([still], body, options=SceneOptions(frame_rate=RATE)).characters[0]
    show_face(character.armature, body)
    replace_action(character.armature, motion, RATE)
    deformed = vertices(character.mesh, go_to(4))
    assert np.abs(deformed - skin_with_face(body, motion)[3]).max() < TENTH_OF_A_MILLIMETRE
    count = len(character.mesh.data.shape_keys.key_blocks)
    show_face(character.armature, body)
    assert len(character.mesh.data.shape_keys.key_blocks) == count


def test_bodies_without_a_moving_face_carry_what_it_does(motion, body):
    """As SMPL's: its skin stays as it is, other characters get the face."""
    rigid = replace(body, face_units=None)
    character = build_scene([motion], rigid, options=SceneOptions(frame_rate=RATE)).characters[0]
    assert np.abs(vertices(character.mesh, go_to(4)) - skin_of(body, motion)[3]).max() < TENTH_OF_A_MILLIMETRE
    assert read_face(character.armature, np.arange(1.0, COUNT + 1))["jawOpen"] == pytest.approx(
        acted(motion)["jawOpen"], abs=1e-5
    )


@pytest.mark.parametrize("format", ["fbx", "glb", "usd"])
def test_faces_are_exported(character, motion, tmp_path, format):
    if format == "usd" and not bpy.app.build_options.usd:
        pytest.skip("This Blender was built without USD.")
    file = tmp_path / f"face{export.ENDINGS[format]}"
    export.export_take([character.armature], file, format, export.ExportOptions())
    _, read, start = IMPORTERS[format]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_frame_rate(bpy.context.scene, RATE)
    read(file)
    keys = next(one.data.shape_keys for one in bpy.context.scene.objects if one.type == "MESH" and one.data.shape_keys)
    # Only what moves is written, not what the body could be.
    assert {block.name for block in keys.key_blocks[1:]} == set(ACTED)
    for name, true in acted(motion).items():
        np.testing.assert_allclose(values_of(keys, name, range(start, start + COUNT)), true, atol=2e-3, err_msg=name)


def test_amass_files_keep_faces(character, motion, body, tmp_path):
    file = tmp_path / "face.npz"
    export.export_take([character.armature], file, "amass", export.ExportOptions(body=body))
    again = read_motion(file, body)
    np.testing.assert_allclose(again.face, motion.face, atol=1e-5)


def dressed(armature: bpy.types.Object, names) -> bpy.types.Object:
    """A skin with shape keys of some names on an armature."""
    data = bpy.data.meshes.new("head")
    data.from_pydata([(0, 0, 0), (0.1, 0, 0), (0, 0.1, 0)], [], [(0, 1, 2)])
    skin = bpy.data.objects.new("head", data)
    bpy.context.scene.collection.objects.link(skin)
    skin.modifiers.new("Armature", "ARMATURE").object = armature
    for name in ("Basis", *names):
        # New ones are fully in effect since Blender 5.2.
        skin.shape_key_add(name=name).value = 0.0
    return skin


@pytest.fixture
def target(character):
    copy = bpy.data.objects.new("target", character.armature.data.copy())
    bpy.context.scene.collection.objects.link(copy)
    return copy


def test_characters_with_arkits_names_get_the_face(character, motion, target):
    skin = dressed(target, ("JawOpen", "mouth_smile_L", "eyeBlink.R", "Wink", "browInnerUp"))
    skin.data.shape_keys.key_blocks["browInnerUp"].driver_add("value")
    made = retarget(character.armature, target, options=RetargetOptions(hold_feet=False))
    assert made.faces == ["head"]
    keys, frames = skin.data.shape_keys, range(1, COUNT + 1)
    for name, ours in (("JawOpen", "jawOpen"), ("mouth_smile_L", "mouthSmileLeft"), ("eyeBlink.R", "eyeBlinkRight")):
        np.testing.assert_allclose(values_of(keys, name, frames), acted(motion)[ours], atol=1e-5, err_msg=name)
    paths = {curve.data_path for curve in channels_of(keys).fcurves}
    assert not {'key_blocks["Wink"].value', 'key_blocks["browInnerUp"].value'} & paths
    assert read_face(target, np.arange(1.0, COUNT + 1))["jawOpen"] == pytest.approx(acted(motion)["jawOpen"], abs=1e-5)


def test_characters_with_vrms_expressions_get_the_face(character, motion, target):
    skin = dressed(target, ("Fcl_MTH_A", "Fcl_EYE_Close", "Fcl_EYE_Close_R", "Fcl_EYE_Close_L", "Fcl_ALL_Joy"))
    retarget(character.armature, target, options=RetargetOptions(hold_feet=False))
    keys, frames = skin.data.shape_keys, range(1, COUNT + 1)
    np.testing.assert_allclose(values_of(keys, "Fcl_MTH_A", frames), acted(motion)["jawOpen"], atol=1e-5)
    np.testing.assert_allclose(values_of(keys, "Fcl_EYE_Close_R", frames), acted(motion)["eyeBlinkRight"], atol=1e-5)
    np.testing.assert_allclose(values_of(keys, "Fcl_ALL_Joy", frames), acted(motion)["mouthSmileLeft"] / 2, atol=1e-5)
    # Eyes that close each for itself don't close together, too.
    assert np.all(values_of(keys, "Fcl_EYE_Close", frames) == 0)


def test_other_names_are_left_alone():
    assert recipes(["Key 1", "smile", "A", "blink_l"]).keys() == {"A", "blink_l"}
    assert recipes(["mesh.jawOpen", "aa"]) == {"mesh.jawOpen": {"jawOpen": 1.0}}
