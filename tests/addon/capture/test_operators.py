"""The operators without a window, on real footage, with the worker of this Blender."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
import video_motion.addon
from mathutils import Matrix, Vector
from video_motion.addon import preferences
from video_motion.addon.capture import jobs
from video_motion.addon.capture.operators import OpenVideo, VideoHandler
from video_motion.addon.capture.settings import SLIDERS, SWITCHES
from video_motion.addon.compatibility import channels_of
from video_motion.addon.scene.camera import CAMERA_AXES, set_intrinsics
from video_motion.addon.scene.layers import captured_channels, corrections_of
from video_motion.addon.takes.record import TAKE, provenance_of, take_of
from video_motion.inference.body.face import COEFFICIENTS
from video_motion.inference.estimators import LANDMARKS
from video_motion.inference.motion.motion import Motion
from video_motion.inference.options import Options, Who, default, described

from ..blender import bone_heads, go_to
from ..sample import SAMPLE, needs_packages

pytestmark = pytest.mark.interface

ROOT = Path(__file__).parents[3]

CHOSEN = ROOT / "tests" / "addon" / "data" / "chosen_people.blend"
"""Of Video Motion before any set of people could be chosen, saved by Blender 4.2; its scenes chose by a number each."""


@pytest.fixture
def settings(enabled):
    """The panel's choices; half a second of the sample."""
    enabled.filepath = str(SAMPLE)
    enabled.trim, enabled.start, enabled.end = True, 2.0, 2.6
    return enabled


def error_of(operator) -> str:
    with pytest.raises(RuntimeError) as caught:
        operator()
    return str(caught.value)


@needs_packages
def test_import_makes_a_take_and_keeps_the_scenes_rate(settings):
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    assert bpy.ops.video_motion.import_video() == {"FINISHED"}
    armature = bpy.context.active_object
    assert armature.type == "ARMATURE"
    assert armature.name == "sample person 1"
    assert bpy.context.selected_objects == [armature]
    assert (scene.render.fps, scene.render.fps_base) == (24, 1.0)
    # Frames 50 to 64 of 25 a second, at 24 a second: the last lies at 62.44.
    assert (scene.frame_start, scene.frame_end) == (49, 62)
    assert scene.camera.data.background_images[0].image.filepath.endswith("sample.mp4")
    assert (scene.render.resolution_x, scene.render.resolution_y) == (640, 480)

    provenance = provenance_of(take_of(bpy.context))
    assert provenance["video"] == str(SAMPLE)
    assert provenance["report"]["frames"] == 15
    heads = bone_heads(armature, go_to(50))
    assert 0.5 < heads[:, 2].max() < 2.2
    assert -0.1 < heads[:, 2].min() < 0.2
    assert not list(preferences.cache_folder().glob("video-motion-job-*")), "the job's files are gone"


@needs_packages
def test_video_rate_is_taken_where_asked(settings):
    bpy.context.scene.render.fps = 24
    settings.rate = "VIDEO"
    settings.camera = settings.floor = settings.frame_range = False
    bpy.context.scene.frame_end = 77
    bpy.ops.video_motion.import_video()
    assert bpy.context.scene.render.fps == 25
    assert bpy.context.scene.camera is None
    assert bpy.context.scene.frame_end == 77
    assert [one.type for one in bpy.data.objects] == ["ARMATURE"]


@needs_packages
def test_update_keeps_the_character_and_runs_no_network(settings):
    bpy.ops.video_motion.import_video()
    armature = bpy.context.active_object
    rest = [tuple(bone.head_local) for bone in armature.data.bones]
    before = armature.animation_data.action.name
    rough = bone_heads(armature, go_to(56))
    take = take_of(bpy.context).video_motion_take
    take.smoothing, take.feet = 8.0, 0.0
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    assert provenance_of(take_of(bpy.context))["report"]["reused"] == ["people", "network"]
    assert [tuple(bone.head_local) for bone in armature.data.bones] == rest
    assert armature.animation_data.action.name == before
    assert [action.name for action in bpy.data.actions if action.name.startswith(armature.name)] == [before]
    moved = np.linalg.norm(bone_heads(armature, go_to(56)) - rough, axis=1)
    assert 1e-4 < moved.max() < 0.3
    channels = channels_of(armature)
    assert channels is not None
    assert [key.co.x for key in channels.fcurves[0].keyframe_points] == list(range(49, 63))
    take.whole_frames = False
    bpy.ops.video_motion.update_motion()
    frames = [key.co.x for key in channels_of(armature).fcurves[0].keyframe_points]
    np.testing.assert_allclose(frames, 1 + np.arange(50, 65) / 25 * 24, atol=1e-4)


def key_values(armature) -> list[float]:
    return [key.co.y for curve in captured_channels(armature).fcurves for key in curve.keyframe_points]


@needs_packages
def test_update_changes_the_selected_take_alone_and_says_what_it_replaced(settings):
    bpy.ops.video_motion.import_video()
    first = bpy.context.active_object
    settings.smoothing = 4.0
    bpy.ops.video_motion.import_video()
    second = bpy.context.active_object
    takes = [one.users_collection[0] for one in (first, second)]
    assert [take.video_motion_take.smoothing for take in takes] == [1.0, 4.0]
    before = key_values(first), key_values(second)

    bpy.context.view_layer.objects.active = first
    bpy.ops.video_motion.start_corrections()
    settings.smoothing, settings.quality = 9.0, "best"
    takes[0].video_motion_take.smoothing = 4.0
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    now = np.array(key_values(first))
    assert np.abs(now - before[1]).mean() < 0.5 * np.abs(now - before[0]).mean()
    assert key_values(second) == before[1]
    assert corrections_of(first) is not None
    assert provenance_of(takes[0])["options"]["smoothing"] == 4.0
    assert settings.smoothing == 9.0


@needs_packages
def test_another_part_and_lens_are_seen_again(settings):
    settings.mesh = True
    bpy.ops.video_motion.import_video()
    armature, scene = bpy.context.active_object, bpy.context.scene
    take, camera = take_of(bpy.context), scene.camera
    chosen = take.video_motion_take
    assert (chosen.trim, chosen.start, round(chosen.end, 3)) == (True, 2.0, 2.6)
    assert (chosen.first, chosen.last) == (scene.frame_start, scene.frame_end) == (49, 62)
    chosen.start, chosen.end, chosen.focal_mm = 2.2, 3.0, 60.0
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    assert provenance_of(take)["report"]["reused"] == []
    assert (chosen.first, chosen.last) == (scene.frame_start, scene.frame_end) == (54, 72)
    focal = 60.0 * np.hypot(640, 480) / np.hypot(36, 24)
    assert camera.data.lens == pytest.approx(focal * 36.0 / 640, rel=1e-3)
    assert [one.filepath for one in bpy.data.images] == [str(SAMPLE)]
    assert len(camera.data.background_images) == 1
    assert list(take.all_objects).count(armature) == 1
    backdrop = camera.data.background_images[0].image_user
    go_to(64)
    assert 64 + backdrop.frame_offset == pytest.approx(1 + 63 / 24 * 25, abs=1.0)
    assert not [one for one in bpy.data.actions if not one.users]


def stature(mesh) -> float:
    heights = [vertex.co.z for vertex in mesh.data.vertices]
    return max(heights) - min(heights)


@needs_packages
def test_height_sizes_the_character_at_import_and_at_an_update(settings):
    settings.mesh = True
    bpy.ops.video_motion.import_video()
    armature = bpy.context.active_object
    (mesh,) = armature.children
    seen = stature(mesh)
    away = bone_heads(armature, go_to(56))[0] - bpy.context.scene.camera.matrix_world.translation

    take = take_of(bpy.context).video_motion_take
    take.height = 1.9
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    provenance = provenance_of(take_of(bpy.context))
    assert provenance["report"]["reused"] == ["people", "network"]
    assert provenance["report"]["people"][0]["height"] == pytest.approx(1.9, abs=0.002)
    assert provenance["options"]["height"] == 1.9
    assert stature(mesh) == pytest.approx(1.9, abs=0.002)
    assert stature(mesh) > seen + 0.05
    bigger = bone_heads(armature, go_to(56))
    grown = bigger[0] - bpy.context.scene.camera.matrix_world.translation
    assert np.linalg.norm(grown) / np.linalg.norm(away) == pytest.approx(1.9 / seen, rel=0.05)

    take.smoothing = 1.5
    bpy.ops.video_motion.update_motion()
    assert stature(mesh) == pytest.approx(1.9, abs=0.002), "the character stays"
    settings.height = 1.9
    bpy.ops.video_motion.import_video()
    assert stature(bpy.context.active_object.children[0]) == pytest.approx(1.9, abs=0.002)
    np.testing.assert_allclose(bone_heads(bpy.context.active_object, go_to(56))[0, 2], bigger[0, 2], atol=0.01)

    take_of(bpy.context).video_motion_take.height = 0.0
    bpy.ops.video_motion.update_motion()
    assert stature(bpy.context.active_object.children[0]) == pytest.approx(seen, abs=0.002)


@needs_packages
def test_lens_reaches_the_worker(settings):
    settings.focal_mm = 26.0
    bpy.ops.video_motion.import_video()
    diagonal = np.hypot(640, 480)
    focal = provenance_of(take_of(bpy.context))["report"]["shots"][0]["camera"]["focal_pixels"]
    assert focal == pytest.approx(26.0 * diagonal / np.hypot(36, 24), rel=1e-3)


@needs_packages
def test_people_stand_in_the_world_of_a_camera_of_the_scene(settings):
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end = 25, 1.0, 1, 180
    scene.render.resolution_x, scene.render.resolution_y = 640, 480
    truth = Motion.load(SAMPLE.with_name("sample.truth.npz"))
    camera = bpy.data.objects.new("solved", bpy.data.cameras.new("solved"))
    scene.collection.objects.link(camera)
    set_intrinsics(camera.data, truth.camera_K, truth.image_size)
    elsewhere = Matrix.Translation((5.0, -2.0, 0.0)) @ Matrix.Rotation(2.0, 4, "Z")
    camera.matrix_world = elsewhere @ Matrix((truth.camera_to_world[0] @ CAMERA_AXES).tolist())
    place = camera.matrix_world.copy()
    settings.solved_camera = camera
    assert bpy.ops.video_motion.import_video() == {"FINISHED"}
    go_to(60)
    made = scene.camera
    assert made != camera
    np.testing.assert_allclose(np.array(made.matrix_world), np.array(place), atol=1e-4)
    assert made.data.lens == pytest.approx(camera.data.lens, rel=1e-4)
    heads = bone_heads(bpy.context.active_object, go_to(60))
    true = np.array([elsewhere @ Vector(joint) for joint in truth.joints_world[59].tolist()])
    assert np.linalg.norm(heads[:24].mean(0) - true.mean(0)) < 0.25
    # Another take is made in the same world, too.
    assert bpy.ops.video_motion.import_video() == {"FINISHED"}
    np.testing.assert_allclose(np.array(scene.camera.matrix_world), np.array(place), atol=1e-4)
    # So it is made again, also where what was kept of the camera is gone and the camera itself has changed.
    bpy.ops.video_motion.clear_cache()
    for file in preferences.cache_folder().glob("camera-*"):
        file.unlink()
    camera.matrix_world = Matrix.Identity(4)
    take_of(bpy.context).video_motion_take.smoothing = 3.0
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    again = bone_heads(bpy.context.active_object, go_to(60))
    assert np.linalg.norm(again[:24].mean(0) - true.mean(0)) < 0.25
    np.testing.assert_allclose(np.array(scene.camera.matrix_world), np.array(place), atol=1e-4)


def test_what_is_unknown_is_found_until_it_is_given(settings):
    assert (settings.knows_focal_mm, settings.knows_height) == (False, False)
    settings.knows_focal_mm = settings.knows_height = True
    assert (settings.focal_mm, round(settings.height, 4)) == (26.0, 1.75)
    settings.height = 0.0
    assert not settings.knows_height
    settings.knows_focal_mm = False
    assert settings.as_options(bpy.context.scene).focal_mm is None


def choose(settings, found: list[tuple[int, int]], **who) -> tuple[str, int | None, list[tuple[int, int]]]:
    """What the panel says after a click, the shot that is looked through, and whose motion is taken."""
    assert bpy.ops.video_motion.choose_person(**who) == {"FINISHED"}
    options = settings.as_options(bpy.context.scene)
    return settings.people, options.shot, [one for one in found if options.takes(*one)]


@pytest.fixture
def found():
    """Two people in the first shot and three in the second."""
    found = [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    jobs.people[:] = [{"shot": shot, "person": person} for shot, person in found]
    yield found
    jobs.people.clear()


def test_any_set_of_people_is_chosen_by_clicks(settings, found):
    first, second = found[:2], found[2:]
    assert choose(settings, found, shot=1, person=2) == ("1:1, 2:1, 2:2, 2:3", None, [(1, 1), *second])
    assert choose(settings, found, shot=2, person=1) == ("1:1, 2:2, 2:3", None, [(1, 1), (2, 2), (2, 3)])
    assert choose(settings, found, shot=1) == ("1:1, 1:2, 2:2, 2:3", None, [*first, (2, 2), (2, 3)])
    assert choose(settings, found, shot=1) == ("2:2, 2:3", 2, [(2, 2), (2, 3)])
    assert choose(settings, found, shot=2, person=3, only=True) == ("2:3", 2, [(2, 3)])
    assert choose(settings, found, shot=2, person=3) == ("2:3", 2, [(2, 3)]), "somebody stays"
    assert choose(settings, found) == ("", None, found), "everyone"
    assert choose(settings, found) == ("1:1", 1, [(1, 1)])


def test_people_are_named_without_a_shot_where_there_are_no_cuts(settings, found):
    jobs.people[:] = jobs.people[2:]
    assert choose(settings, found[2:], shot=2, person=2) == ("1, 3", None, [(2, 1), (2, 3)])


def test_people_are_typed_in(settings):
    settings.people = " 3, 1"
    assert settings.as_options(bpy.context.scene).person == (Who(1), Who(3))
    assert not bpy.ops.video_motion.choose_person.poll() or bpy.ops.video_motion.choose_person() == {"CANCELLED"}
    settings.people = "the tall one"
    assert jobs.problem is not None
    assert "the tall one is neither" in jobs.problem
    assert jobs.problem in error_of(bpy.ops.video_motion.import_video)
    settings.people = ""
    assert jobs.problem is None, "it was about another choice"


@pytest.mark.parametrize(("scene", "people"), [("third", "3"), ("second of the fourth", "4:2"), ("all of it", "5:all")])
def test_people_whom_files_of_earlier_versions_chose_stay_chosen(enabled, scene, people):
    bpy.ops.wm.open_mainfile(filepath=str(CHOSEN))
    assert bpy.data.scenes[scene].video_motion.people == people
    bpy.data.scenes[scene].video_motion.people = ""
    bpy.data.scenes[scene].video_motion.adopt()
    assert bpy.data.scenes[scene].video_motion.people == "", "once"


def test_heights_are_in_the_scenes_units(settings):
    settings.height = 178.0
    units = bpy.context.scene.unit_settings
    units.system, units.scale_length = "METRIC", 0.01
    assert settings.as_options(bpy.context.scene).height == pytest.approx(1.78)
    settings.height, units.system = 1.78, "NONE"
    assert settings.as_options(bpy.context.scene).height == pytest.approx(1.78)
    prop = settings.bl_rna.properties["height"]
    assert (prop.unit, prop.hard_min) == ("LENGTH", 0.0)
    assert settings.bl_rna.properties["focal_mm"].unit == "CAMERA"


@needs_packages
def test_people_hide_until_they_are_seen_unless_switched_off(settings):
    settings.mesh = True
    bpy.ops.video_motion.import_video()
    armature = bpy.context.active_object
    (mesh,) = armature.children

    def hidden() -> list[bool]:
        return [mesh.evaluated_get(go_to(frame)).hide_render for frame in (1, 48, 49, 62, 63)]

    assert hidden() == [True, True, False, False, True]
    armature.video_motion_only_while_seen = False
    bpy.ops.video_motion.update_motion()
    assert not armature.video_motion_only_while_seen
    assert not any(hidden())
    settings.only_while_seen = False
    bpy.ops.video_motion.import_video()
    assert bpy.context.active_object.children[0].animation_data is None


@needs_packages
def test_people_are_found_first_and_kept(settings):
    assert bpy.ops.video_motion.find_people() == {"FINISHED"}
    assert [person["person"] for person in jobs.people] == [1]
    assert jobs.people_video == SAMPLE
    bpy.ops.video_motion.choose_person(shot=1, person=1)
    bpy.ops.video_motion.import_video()
    assert provenance_of(take_of(bpy.context))["report"]["reused"] == ["people"]
    settings.start += 0.5
    assert not jobs.people, "people are numbered anew in another part"
    assert settings.people == ""


@needs_packages
def test_a_face_that_was_left_out_comes_with_the_next_update(settings):
    settings.mesh, settings.face, settings.hands = True, False, False
    assert bpy.ops.video_motion.import_video() == {"FINISHED"}
    take = take_of(bpy.context)
    (mesh,) = bpy.context.active_object.children
    keys = mesh.data.shape_keys
    assert "jawOpen" not in keys.key_blocks
    take.video_motion_take.face = True
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    assert {*COEFFICIENTS} <= set(keys.key_blocks.keys())
    values = []
    for frame in range(51, 65):
        go_to(frame)
        values.append([keys.key_blocks[name].value for name in COEFFICIENTS])
    assert np.ptp(values, axis=0).max() > 0.01, "it moves"


@needs_packages
def test_quality_reaches_the_search_the_import_and_the_update(settings):
    settings.quality = "best"
    bpy.ops.video_motion.find_people()
    assert jobs.current is not None
    assert jobs.current.stage == "landmarks", "the second pass comes last"
    bpy.ops.video_motion.import_video()
    take = take_of(bpy.context)
    assert provenance_of(take)["report"]["reused"] == ["people"]

    settings.quality = "fast"
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    assert provenance_of(take)["report"]["reused"] == ["people", "network"]
    assert provenance_of(take)["options"]["quality"] == "best", "the panel's choice is that of the next import"
    for one in list(bpy.data.collections):
        bpy.data.collections.remove(one)
    bpy.ops.video_motion.import_video()
    report = provenance_of(take_of(bpy.context))["report"]
    assert report["reused"] == []
    assert "landmarks" not in report["timings"]


@needs_packages
def test_nobody_is_a_sentence_that_the_panel_keeps(settings):
    settings.people = "4"
    message = error_of(bpy.ops.video_motion.import_video)
    assert "There is no person 4" in message
    assert jobs.problem is not None
    assert jobs.problem in message
    assert not bpy.data.objects
    settings.people = ""
    bpy.ops.video_motion.import_video()
    assert jobs.problem is None


def test_a_video_that_cannot_be_read_cannot_be_imported(settings, monkeypatch):
    assert bpy.ops.video_motion.import_video.poll()
    monkeypatch.setattr(jobs, "probed_video", SAMPLE)
    monkeypatch.setattr(jobs, "video_info", {"message": "sample.mp4 can't be read."})
    assert not bpy.ops.video_motion.import_video.poll()
    settings.filepath = str(SAMPLE.with_name("other.mp4"))
    assert bpy.ops.video_motion.import_video.poll()


def test_a_message_can_be_hidden(settings):
    jobs.fail("It did not work.")
    assert bpy.ops.video_motion.forget_problem() == {"FINISHED"}
    assert jobs.problem is None


def test_a_dropped_video_is_chosen_untrimmed(settings):
    settings.people = "3"
    assert VideoHandler.bl_import_operator == OpenVideo.bl_idname
    assert {".mp4", ".mov", ".avi"} <= set(VideoHandler.bl_file_extensions.split(";"))
    assert bpy.ops.video_motion.open_video(filepath=str(SAMPLE)) == {"FINISHED"}
    assert settings.video == SAMPLE
    assert (settings.people, settings.trim, settings.end) == ("", False, 0.0)


def test_a_picture_stands_for_its_folder(settings, tmp_path):
    settings.filepath = str(tmp_path / "frame_0001.png")
    assert settings.video == tmp_path
    assert settings.image_rate == bpy.context.scene.render.fps, "the scene's, unless it is another"
    settings.image_rate = 30.0
    assert settings.as_options(bpy.context.scene).frame_rate == 30.0


def test_the_panel_offers_what_the_options_say(settings):
    settings.trim, settings.mesh = False, True
    settings.property_unset("quality")
    assert settings.as_options(bpy.context.scene) == Options(device="auto", fps="keep")
    for name in (*SLIDERS, *SWITCHES):
        prop, option = settings.bl_rna.properties[name], described(name)
        assert (prop.name, prop.description.lower(), prop.default) == (option.label, option.help.lower(), default(name))
        if option.kind == "float":
            assert (prop.hard_min, prop.hard_max, prop.soft_max) == (
                option.minimum,
                option.maximum,
                option.soft_maximum,
            )
    weights = settings.bl_rna.properties["weights"]
    assert (weights.name, weights.subtype, weights.default) == (described("weights").label, "FILE_PATH", "")
    settings.weights = "/somewhere/mine.onnx"
    assert settings.as_options(bpy.context.scene).weights == Path("/somewhere/mine.onnx")
    settings.property_unset("weights")
    for name in ("quality", "network"):
        prop = settings.bl_rna.properties[name]
        assert (prop.name, prop.default) == (described(name).label, default(name))
        assert tuple(item.identifier for item in prop.enum_items) == described(name).choices
    told = {item.identifier: item.description.lower() for item in settings.bl_rna.properties["quality"].enum_items}
    assert told == {name: quality.what for name, quality in LANDMARKS.items()}


@needs_packages
def test_weights_of_ones_own_reach_the_worker_and_stay_with_the_take(settings, tmp_path):
    """By a take's own settings too: the shipped network, under another name, is a file like a user's."""
    mine = tmp_path / "mine.onnx"
    mine.write_bytes((ROOT / "weights" / "tar-compact.onnx").read_bytes())
    settings.weights = str(mine)
    assert "holds tar, not cosegmentation: choose tar" in error_of(bpy.ops.video_motion.import_video)
    settings.network = "tar"
    bpy.ops.video_motion.import_video()
    take = take_of(bpy.context)
    provenance = provenance_of(take)
    assert (provenance["options"]["weights"], provenance["report"]["weights"]) == (str(mine), "mine.onnx")
    assert take.video_motion_take.weights == str(mine)
    take.video_motion_take.weights = ""
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}
    provenance = provenance_of(take)
    assert provenance["report"]["weights"] is None
    # The same content: what it estimated before serves.
    assert provenance["report"]["reused"] == ["people", "network"]


def test_wrong_choices_are_sentences(settings, tmp_path):
    settings.filepath = str(tmp_path / "none.mp4")
    assert "does not exist" in error_of(bpy.ops.video_motion.import_video)
    settings.filepath = ""
    assert "Choose a video first" in error_of(bpy.ops.video_motion.import_video)
    settings.filepath = str(SAMPLE)
    settings.trim, settings.start, settings.end = True, 5.0, 2.0
    assert "is empty" in error_of(bpy.ops.video_motion.import_video)
    assert not bpy.ops.video_motion.update_motion.poll()
    assert not bpy.ops.video_motion.cancel.poll()


def test_cache_folder_that_cannot_be_made_is_a_sentence(settings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(preferences, "cache_folder", lambda: tmp_path / "file" / "cache")
    message = error_of(bpy.ops.video_motion.import_video)
    assert "choose another cache folder" in message


@needs_packages
def test_take_is_kept_in_the_file(settings, tmp_path):
    bpy.ops.video_motion.import_video()
    file = tmp_path / "take.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    bpy.ops.wm.open_mainfile(filepath=str(file))
    take = take_of(bpy.context)
    assert take.name == "sample"
    assert bpy.context.scene.video_motion.filepath == str(SAMPLE)
    take.video_motion_take.smoothing = 4.0
    assert bpy.ops.video_motion.update_motion() == {"FINISHED"}

    take[TAKE] = json.dumps({**provenance_of(take), "video": str(tmp_path / "moved.mp4")})
    assert "is missing: put the video back" in error_of(bpy.ops.video_motion.update_motion)


def test_twenty_times_enabled_leaves_nothing(monkeypatch):
    def state() -> tuple:
        handlers = [
            len(getattr(bpy.app.handlers, name)) for name in dir(bpy.app.handlers) if name.endswith(("_pre", "_post"))
        ]
        classes = sorted(name for name in dir(bpy.types) if "video_motion" in name.lower())
        menu = bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize()
        return handlers, classes, len(menu), hasattr(bpy.types.Scene, "video_motion"), len(sys.modules)

    video_motion.addon.register()
    video_motion.addon.unregister()
    before = state()
    for _ in range(20):
        video_motion.addon.register()
        assert hasattr(bpy.context.scene, "video_motion")
        video_motion.addon.unregister()
    assert state() == before
    assert before[1] == []
    assert not before[3]
