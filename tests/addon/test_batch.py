"""`batch.py` as `convert` calls it, in a process of its own, and what it leaves on disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon import batch
from video_motion.addon.headless import rigs
from video_motion.addon.scene.take import build_scene
from video_motion.inference.batch import inputs, queue
from video_motion.inference.motion.motion import Motion

from .blender import bone_heads, go_to
from .sample import SAMPLE, needs_packages

pytestmark = pytest.mark.interface

DATA = Path(__file__).parent / "data"


def command(*arguments: object) -> list[str]:
    """What runs `batch.py` in this Blender, or in this Python where Blender is a module."""
    if bpy.app.binary_path:
        program = [bpy.app.binary_path, "--background", "--factory-startup", "--python", batch.__file__]
    else:
        program = [sys.executable, batch.__file__]
    return [*program, "--", *(str(argument) for argument in arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `batch.py` to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    """The last line on stderr, which is what `convert` shows."""
    return result.stderr.strip().splitlines()[-1]


CLIPS = int(os.environ.get("VIDEO_MOTION_CLIPS", "18"))
"""How many clips a large batch has, in addition to the broken ones."""

FAST = ("--quality", "fast")

BROKEN = ("cut.mp4", "empty.mp4", "nobody.mp4", "picture.mp4", "text.mp4")


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A folder of short clips of the sample, and five files that can't give a motion."""
    import cv2

    folder = tmp_path_factory.mktemp("videos") / "clips"
    folder.mkdir()
    source = cv2.VideoCapture(str(SAMPLE))
    frames = [cv2.resize(source.read()[1], (320, 240)) for _ in range(180)]

    def write(name: str, shown: list) -> None:
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
        for frame in shown:
            writer.write(frame)
        writer.release()

    for number in range(CLIPS):
        first = 9 * number % 160
        write(f"clip {number}.mp4", frames[first : first + 15])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video at all\n" * 100)
    (folder / "cut.mp4").write_bytes((folder / "clip 0.mp4").read_bytes()[:3000])
    (folder / "picture.mp4").write_bytes(cv2.imencode(".png", frames[0])[1].tobytes())
    write("nobody.mp4", [np.full_like(frames[0], 90)] * 15)
    return folder


@pytest.fixture
def motion_file(make_motion, tmp_path):
    file = tmp_path / "a folder" / "wälk.motion.npz"
    file.parent.mkdir()
    make_motion(count=8, size=(64, 48), frame_rate=30000 / 1001).save(file)
    return file


def test_a_scene_is_saved_and_opens(motion_file, make_motion, body_file, body):
    folder = motion_file.parent
    video = Path(shutil.copy(DATA / "steady.mp4", folder / "wälk one.mp4"))
    other = folder / "second.motion.npz"
    make_motion(count=8, size=(64, 48), frame_rate=30000 / 1001, seed=3, person=2).save(other)
    blend = folder / "out" / "wälk one.blend"
    result = run("--motion", motion_file, other, "--body", body_file, "--video", video, "--blend", blend)
    assert result.returncode == 0, result.stderr
    assert os.listdir(blend.parent) == [blend.name]

    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    assert (scene.render.fps, round(scene.render.fps_base, 6)) == (30, 1.001)
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1, 8, 1)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (64, 48)
    image = bpy.data.images[video.name]
    assert image.filepath == "//../wälk one.mp4"
    assert Path(bpy.path.abspath(image.filepath)).resolve() == video
    assert tuple(image.size) == (64, 48)
    for datablocks in (bpy.data.images, bpy.data.libraries, bpy.data.sounds, bpy.data.movieclips):
        assert all(block.filepath.startswith("//") or not block.filepath for block in datablocks)

    motion = make_motion(count=8, size=(64, 48), frame_rate=30000 / 1001)
    armature = bpy.data.objects["wälk one person 1"]
    assert "wälk one person 2" in bpy.data.objects
    for index in (0, 3, 7):
        heads = bone_heads(armature, go_to(1 + index))
        np.testing.assert_allclose(heads, motion.joints_world[index], atol=1e-4)


@pytest.mark.parametrize(("fps", "expected"), [("keep", 24.0), ("23.976", 23.976)])
def test_frame_rate(motion_file, body_file, fps, expected):
    blend = motion_file.with_name("x.blend")
    result = run("--motion", motion_file, "--body", body_file, "--blend", blend, "--fps", fps)
    assert result.returncode == 0, result.stderr
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    render = bpy.context.scene.render
    assert render.fps / render.fps_base == pytest.approx(expected, rel=1e-6)


def test_errors_are_a_sentence_and_a_status(motion_file, body_file, tmp_path):
    good = ("--motion", motion_file, "--body", body_file, "--blend", tmp_path / "x.blend")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(motion_file.read_bytes()[:700])
    folder = tmp_path / "folder.blend"
    folder.mkdir()
    for arguments, words in (
        (("--motion", tmp_path / "none.npz", *good[2:]), "none.npz does not exist"),
        (("--motion", damaged, *good[2:]), "damaged.npz"),
        ((*good[:2], "--body", damaged, *good[4:]), "damaged.npz"),
        ((*good, "--video", tmp_path / "none.mp4"), "none.mp4 does not exist"),
        ((*good[:5], folder), "folder.blend can't be written"),
    ):
        result = run(*arguments)
        assert result.returncode == 1, arguments
        assert words in last_line(result)
        assert last_line(result).startswith("video-motion: ")
    assert not list(tmp_path.glob("*x.blend*"))
    assert not list(tmp_path.glob(".*"))

    # A video that Blender can't show does not cost the animation.
    result = run(*good, "--video", damaged)
    assert result.returncode == 0
    assert "warning: " in last_line(result)
    assert "damaged.npz can't be read" in last_line(result)
    assert good[-1].is_file()


def test_wrong_arguments_have_their_own_status(motion_file, body_file):
    for arguments in (("--motion", motion_file), ("--fps", "0", "clip.mp4")):
        assert run(*arguments).returncode == 2


def test_a_fault_is_not_a_success(motion_file, body_file, tmp_path):
    copy = tmp_path / "copy" / "addon" / "batch.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(batch.__file__, copy)
    (tmp_path / "copy" / "video_motion.py").write_text("raise RuntimeError('nobody foresees this')\n")
    original, batch.__file__ = batch.__file__, str(copy)
    try:
        result = run("--motion", motion_file, "--body", body_file, "--blend", tmp_path / "x.blend")
    finally:
        batch.__file__ = original
    assert result.returncode == 1
    assert "fault" in result.stderr.strip().splitlines()[-1]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the launcher is a script")
def test_without_packages_the_launcher_is_asked(tmp_path, monkeypatch):
    launcher = tmp_path / "video-motion"
    launcher.write_text(f'#!/bin/sh\necho "$PYTHONHOME,$*" > "{tmp_path}/call"\nexit 7\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(batch, "LAUNCHER", launcher)
    monkeypatch.setattr(batch, "PACKAGES", ("video_motion_no_such_package",))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert batch.main(["clip.mp4", "--person", "1"]) == 7
    blender = f" --blender {bpy.app.binary_path}" if bpy.app.binary_path else ""
    assert (tmp_path / "call").read_text() == f",convert clip.mp4 --person 1{blender}\n"


@needs_packages
@pytest.mark.timeout(900)
def test_many_videos_some_broken(tmp_path, clips):
    out = tmp_path / "out"
    result = run(clips.parent / "clips" / "*.mp4", "--out", out, *FAST, "--jobs", "2", "--format", "blend,bvh,amass")
    assert result.returncode == 1, result.stderr
    names = [f"clip {number}" for number in range(CLIPS)]
    files = {f"{name}{end}" for name in names for end in (".json", ".motion.npz", ".blend", ".bvh", ".amass.npz")}
    # Those that can be read have a report of why nobody is in them.
    nobody = {"nobody.json", "picture.json"}
    assert set(os.listdir(out)) == files | nobody | {"batch.json"}
    for name in nobody:
        assert json.loads((out / name).read_text(encoding="utf-8"))["message"]
    summary = json.loads((out / "batch.json").read_text(encoding="utf-8"))
    assert (summary["done"], summary["skipped"], summary["failed"]) == (CLIPS, 0, len(BROKEN))
    failed = {Path(row["video"]).name: row["message"] for row in summary["videos"] if row["state"] == "failed"}
    assert set(failed) == set(BROKEN)
    for name, message in failed.items():
        assert name in message
        assert f"video-motion: {message}" in result.stderr.splitlines()
    assert f"{CLIPS} done, 0 skipped, {len(BROKEN)} failed" in result.stderr
    lines = [line for line in result.stdout.splitlines() if f" of {CLIPS + len(BROKEN)}: " in line]
    assert len(lines) == CLIPS
    one = json.loads((out / "clip 3.json").read_text(encoding="utf-8"))
    assert (one["motions"], one["blend"]) == (["clip 3.motion.npz"], "clip 3.blend")
    assert one["exports"] == ["clip 3.bvh", "clip 3.amass.npz"]
    assert {"load", "people", "motion", "blender", "scene", "export"} <= set(one["timings"])
    timings = [json.loads((out / f"{name}.json").read_text(encoding="utf-8"))["timings"] for name in names]
    assert sum(seconds["blender"] > 0 for seconds in timings) == 1, "Blender is loaded once, for the first result"

    bpy.ops.wm.open_mainfile(filepath=str(out / "clip 3.blend"))
    motion = Motion.load(out / "clip 3.motion.npz")
    armature = bpy.data.objects["clip 3 person 1"]
    np.testing.assert_allclose(bone_heads(armature, go_to(1)), motion.joints_world[0], atol=1e-4)


@needs_packages
@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed(tmp_path, clips, number):
    out = tmp_path / "out"
    videos = [clips / f"clip {index}.mp4" for index in range(4)]
    arguments = (*videos, clips / "empty.mp4", "--out", out, *FAST, "--format", "blend,bvh")
    child = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
    while not (out / "clip 1.json").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(number)
    _, said = child.communicate()
    assert child.returncode == (130 if number == signal.SIGINT else -number), said
    if number == signal.SIGINT:
        assert "--resume" in said
        summary = json.loads((out / "batch.json").read_text(encoding="utf-8"))
        assert {row["state"] for row in summary["videos"]} == {"done", "waiting"}
    (out / ".clip 3.json.1.part").touch()
    (out / ".clip 3.bvh.abc.part").mkdir()
    before = (out / "clip 0.blend").stat().st_mtime_ns
    (out / "clip 1.bvh").write_text("half")

    again = run(*arguments, "--resume")
    assert again.returncode == 1
    summary = json.loads((out / "batch.json").read_text(encoding="utf-8"))
    states = [row["state"] for row in summary["videos"]]
    assert states[0] == "skipped"
    assert states[1] == "done"
    assert states[4] == "failed"
    assert (out / "clip 0.blend").stat().st_mtime_ns == before
    ends = (".json", ".motion.npz", ".blend", ".bvh")
    assert set(os.listdir(out)) == {f"clip {index}{end}" for index in range(4) for end in ends} | {"batch.json"}
    # Other options make results again, even if they exist.
    other = run(videos[0], videos[1], "--out", out, *FAST, "--format", "blend,bvh", "--resume", "--smoothing", "0")
    assert other.returncode == 0
    assert "2 done, 0 skipped" in other.stderr


@needs_packages
def test_retargets_onto_a_character(tmp_path, clips, make_motion, body):
    rig = tmp_path / "character.blend"
    take = build_scene([make_motion(count=3, frame_rate=25.0)], body)
    take.characters[0].armature.name = "Hero"
    bpy.ops.wm.save_as_mainfile(filepath=str(rig), copy=True)
    out = tmp_path / "out"
    result = run(clips / "clip 0.mp4", "--out", out, *FAST, "--rig", rig, "--format", "blend,glb,amass")
    assert result.returncode == 0, result.stderr
    assert {"clip 0.blend", "clip 0.glb", "clip 0.amass.npz"} <= set(os.listdir(out))
    bpy.ops.import_scene.gltf(filepath=str(out / "clip 0.glb"))
    armature = next(one for one in bpy.data.objects if one.type == "ARMATURE" and "character" in one.name)
    assert armature.animation_data.action is not None
    bpy.ops.wm.open_mainfile(filepath=str(out / "clip 0.blend"))
    shown = {frame: {one.object.original.name for one in go_to(frame).object_instances} for frame in (0, 8, 99)}
    bodies = [one for one in bpy.data.objects if one.type == "MESH" and "floor" not in one.name]
    body_of = {one.find_armature().name: one.name for one in bodies}
    hero = body_of.pop("clip 0 character 1")
    assert [hero in shown[frame] for frame in shown] == [False, True, False]
    assert [name in shown[8] for name in body_of.values()] == [False], "our body gives way to the character"

    nothing = tmp_path / "nothing.glb"
    nothing.write_text("no character")
    for given, words in ((nothing, "can't be read"), (tmp_path / "x.fbx", "does not exist"), (clips, "ends in")):
        failed = run(clips / "clip 0.mp4", "--out", tmp_path / "none", "--rig", given)
        assert failed.returncode == 1
        assert words in failed.stderr


def test_an_unusable_character_is_reported_before_any_work(tmp_path, make_motion, body):
    """With a hundred videos it would fail for each, after its estimation."""
    bpy.ops.object.armature_add()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "one bone.blend"), copy=True)
    for one in list(bpy.data.objects):
        bpy.data.objects.remove(one)
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "box.blend"), copy=True)
    build_scene([make_motion(count=2)], body)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "good.blend"), copy=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "good.blend"), link=True) as (there, wanted):
        wanted.objects = list(there.objects)
    for one in wanted.objects:
        bpy.context.scene.collection.objects.link(one)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "linked.blend"), copy=True)
    for name in ("text.blend", "text.fbx", "text.glb", "text.vrm"):
        (tmp_path / name).write_text("no character")
    for name, words in (
        ("one bone.blend", "No bone is chosen as hips"),
        ("box.blend", "no armature of its own"),
        ("linked.blend", "no armature of its own"),
        ("text.blend", "can't be read"),
        ("text.fbx", "is no binary FBX or is damaged"),
        ("text.glb", "can't be read"),
        ("text.vrm", "is no VRM"),
    ):
        with pytest.raises(rigs.RigError, match=words) as error:
            rigs.check_rig(tmp_path / name)
        assert name in str(error.value)
        assert "Traceback" not in str(error.value)
    rigs.check_rig(tmp_path / "good.blend")
    # The motion is not even begun.
    result = run("clip.mp4", "--out", tmp_path / "out", "--rig", tmp_path / "box.blend", "--python", sys.executable)
    assert result.returncode == 1
    assert "box.blend holds no armature of its own" in last_line(result)


def test_two_armatures_are_reported(tmp_path, make_motion, body):
    motion = make_motion(count=4)
    build_scene([motion, make_motion(count=4, person=2)], body)
    rig = tmp_path / "two.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(rig), copy=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    take = build_scene([motion], body)
    armatures, warnings = rigs.retarget_take(take, rig, "walk", [motion])
    assert len(armatures) == 1
    assert any("holds 2 armatures" in warning for warning in warnings)


def test_a_folder_that_cannot_be_written_is_reported_before_any_work(tmp_path, capfd):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    assert batch.main(["a.mp4", "b.mp4", "--out", str(out), "--python", sys.executable]) == 1
    said = capfd.readouterr().err
    assert said.splitlines() == [
        f"video-motion: {out} can't be written (Not a directory): choose another folder for --out."
    ]


def test_a_folder_that_is_a_file(tmp_path, capfd):
    (tmp_path / "out").touch()
    assert batch.main(["a.mp4", "--out", str(tmp_path / "out"), "--python", sys.executable]) == 1
    assert "is a file" in capfd.readouterr().err


@needs_packages
def test_folders_beside_videos_that_cannot_be_written(tmp_path, capfd, monkeypatch):
    """A missing video's folder is not made; where nothing can be written, no time is spent on the videos."""
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "a.mp4").touch()
    (locked / "b.mp4").touch()
    # The tests may run as root, for which every folder is writable.
    plain = inputs.why_unwritable
    monkeypatch.setattr(queue, "why_unwritable", lambda folder: "No entry" if folder == locked else plain(folder))
    chosen = [str(locked / "a.mp4"), str(locked / "b.mp4"), str(tmp_path / "nowhere" / "c.mp4")]
    assert batch.main([*chosen, "--python", sys.executable]) == 1
    said = capfd.readouterr().err
    assert f"{locked / 'a.mp4'} gave no result: {locked} can't be written (No entry)." in said
    assert "c.mp4 does not exist" in said
    assert not (tmp_path / "nowhere").exists()
    summary = json.loads((tmp_path / "batch.json").read_text(encoding="utf-8"))
    assert [row["state"] for row in summary["videos"]] == ["failed"] * 3


def test_file_of_4_2_plays():
    """`from_4_2.blend` was written by Blender 4.2; data/README.md explains how."""
    bpy.ops.wm.open_mainfile(filepath=str(DATA / "from_4_2.blend"))
    expected = np.load(DATA / "from_4_2.npy")
    armature = bpy.data.objects["steady person 1"]
    for index, heads in enumerate(expected):
        np.testing.assert_allclose(bone_heads(armature, go_to(1 + 2 * index)), heads, atol=1e-4)
    camera = bpy.context.scene.camera
    offsets = [
        camera.evaluated_get(go_to(frame)).data.background_images[0].image_user.frame_offset for frame in (1, 31, 61)
    ]
    assert offsets == [0, -15, -30]
    assert tuple(camera.data.background_images[0].image.size) == (64, 48)
