"""File > Import > Video Motion or AMASS (.npz)."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon import preferences
from video_motion.addon.interchange.import_motion import (
    MotionFileHandler,
    import_motions,
)
from video_motion.addon.scene.keyframes import scene_frame_rate
from video_motion.addon.scene.take import SceneOptions
from video_motion.inference.motion.formats import read_motion
from video_motion.inference.registry import RegistryError

from ..blender import bone_heads, go_to, vertices
from ..motions import skin_of

pytestmark = [pytest.mark.interface, pytest.mark.usefixtures("extension")]


@pytest.fixture
def amass_file(tmp_path):
    """Someone upright who turns, and walks along −y, at 120 frames a second, for two seconds."""
    count = 241
    poses = np.zeros((count, 156))
    poses[:, 0] = np.pi / 2
    poses[:, 3 * 18 + 1] = np.linspace(0.0, -1.5, count)
    trans = np.stack([np.zeros(count), -np.linspace(0.0, 2.0, count), np.full(count, 1.0)], axis=-1)
    path = tmp_path / "wälk one_poses.npz"
    np.savez(path, poses=poses, trans=trans, betas=np.ones(16), gender="male", mocap_framerate=120.0)
    return path


@pytest.fixture
def own_file(tmp_path, make_motion):
    path = tmp_path / "clip.motion.npz"
    make_motion(count=6, frame_rate=25.0, size=(640, 480)).save(path)
    return path


def test_the_character_moves_as_in_the_file(amass_file, body):
    bpy.context.scene.render.fps = 24
    assert bpy.ops.video_motion.import_motion(filepath=str(amass_file), clothes=False) == {"FINISHED"}
    armature = bpy.data.objects["wälk one_poses person 1"]
    mesh = bpy.data.objects["wälk one_poses person 1 body"]
    motion = read_motion(amass_file, body)
    skin = skin_of(body, motion)
    for index in (0, 5, 240):
        graph = go_to(1 + index / 120 * 24)
        np.testing.assert_allclose(bone_heads(armature, graph), motion.joints_world[index], atol=1e-4)
        np.testing.assert_allclose(vertices(mesh, graph), skin[index], atol=1e-4)
    scene = bpy.context.scene
    assert scene_frame_rate(scene) == 24
    assert (scene.frame_start, scene.frame_end) == (1, 49)
    assert (scene.camera, scene.world) == (None, None)
    assert "wälk one_poses floor" in bpy.data.objects


def test_options(amass_file, own_file):
    scene = bpy.context.scene
    scene.frame_end, scene.render.resolution_x = 77, 333
    bpy.ops.video_motion.import_motion(
        filepath=str(amass_file), mesh=False, floor=False, rate="FILE", frame_range=False, correctives=True
    )
    assert [thing.type for thing in bpy.data.objects] == ["ARMATURE"]
    assert scene_frame_rate(scene) == 120
    assert (scene.frame_end, scene.render.resolution_x) == (77, 333)
    bpy.ops.video_motion.import_motion(filepath=str(own_file), camera=True)
    assert scene.camera.name == "walk camera"
    assert scene.render.resolution_x == 640


def test_several_files_of_which_one_is_bad(amass_file, own_file, tmp_path):
    bad = tmp_path / "bad.npz"
    bad.write_text("nothing")
    user = bpy.data.objects.new("theirs", None)
    bpy.context.scene.collection.objects.link(user)
    user.select_set(True)
    files = [{"name": path.name} for path in (amass_file, bad, own_file)]
    with pytest.raises(RuntimeError, match=r"bad\.npz .*\.") as caught:
        bpy.ops.video_motion.import_motion(directory=str(tmp_path), files=files)
    assert str(caught.value).count("Error") == 1
    armatures = {thing.name for thing in bpy.data.objects if thing.type == "ARMATURE"}
    assert armatures == {"wälk one_poses person 1", "walk person 1"}
    assert {thing.name for thing in bpy.context.selected_objects} == armatures
    assert bpy.context.active_object.name in armatures
    assert bpy.context.scene.frame_end == 49


def test_bad_files_make_nothing(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(RuntimeError, match="does not exist"):
            bpy.ops.video_motion.import_motion(filepath=str(path))
    assert not bpy.data.objects
    assert not bpy.data.actions


def test_a_missing_body_is_reported(amass_file, monkeypatch):
    def missing():
        raise RegistryError("The body is missing.")

    monkeypatch.setattr(preferences, "body_path", missing)
    with pytest.raises(RuntimeError, match="The body is missing"):
        bpy.ops.video_motion.import_motion(filepath=str(amass_file))


def test_not_in_edit_mode(amass_file):
    bpy.ops.video_motion.import_motion(filepath=str(amass_file))
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Object Mode"):
        bpy.ops.video_motion.import_motion(filepath=str(amass_file))
    bpy.ops.object.mode_set(mode="OBJECT")


def test_one_undo_takes_it_back(amass_file):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    before = len(bpy.data.objects)
    bpy.ops.video_motion.import_motion("EXEC_DEFAULT", True, filepath=str(amass_file))
    assert len(bpy.data.objects) > before
    bpy.ops.ed.undo()
    assert len(bpy.data.objects) == before
    assert not bpy.data.actions
    bpy.ops.ed.redo()
    armature = bpy.data.objects["wälk one_poses person 1"]
    assert armature.animation_data.action is not None


def test_scripts_get_what_was_made_and_assumed(amass_file, tmp_path, body):
    with np.load(amass_file) as archive:
        np.savez(tmp_path / "rateless.npz", poses=archive["poses"], trans=archive["trans"])
    paths = [tmp_path / "none.npz", tmp_path / "rateless.npz", amass_file]
    imported = import_motions(paths, body, SceneOptions(mesh=False), use_file_rate=True)
    assert [take.collection.name for take in imported.takes] == ["rateless", "wälk one_poses"]
    assert len(imported.errors) == 1
    assert "no frame rate" in imported.warnings[0]
    assert scene_frame_rate(bpy.context.scene) == 30


def test_correctives_come_with_a_body_that_has_them(amass_file, body):
    posedirs = np.random.default_rng(0).normal(scale=0.01, size=(len(body.v_template), 3, 207))
    licensed_like = replace(body, posedirs=posedirs)
    options = SceneOptions(correctives=True, floor=False)
    take = import_motions([amass_file], licensed_like, options).takes[0]
    assert "pose_206" in take.characters[0].mesh.data.shape_keys.key_blocks


def test_files_can_be_dropped_into_a_3d_view():
    handler = MotionFileHandler
    assert handler.bl_import_operator == "video_motion.import_motion"
    assert ".npz" in handler.bl_file_extensions.split(";")
    for kind, expected in (("VIEW_3D", True), ("IMAGE_EDITOR", False)):
        area = type("Area", (), {"type": kind})
        assert handler.poll_drop(type("Context", (), {"area": area})) == expected
    assert not handler.poll_drop(type("Context", (), {"area": None}))
