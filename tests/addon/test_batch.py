"""`batch.py` as `convert` calls it, in a process of its own, and what it leaves on disk."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon import batch

from .blender import bone_heads, go_to

DATA = Path(__file__).parent / "data"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `batch.py` in this Blender, or in this Python where Blender is a module."""
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup", "--python", batch.__file__]
    else:
        command = [sys.executable, batch.__file__]
    command += ["--", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(result: subprocess.CompletedProcess[str]) -> str:
    """The last line on stderr, which is what `convert` shows."""
    return result.stderr.strip().splitlines()[-1]


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
        assert words in told(result)
        assert told(result).startswith("video-motion: ")
    assert not list(tmp_path.glob("*x.blend*"))
    assert not list(tmp_path.glob(".*"))

    # A video that Blender can't show does not cost the animation.
    result = run(*good, "--video", damaged)
    assert result.returncode == 0
    assert "warning: " in told(result)
    assert "damaged.npz can't be read" in told(result)
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
def test_videos_go_through_the_launcher(motion_file, body_file, tmp_path, monkeypatch, capfd):
    out = tmp_path / "result"
    video = Path(shutil.copy(DATA / "steady.mp4", tmp_path / "clip.mp4"))
    launcher = tmp_path / "video-motion"
    launcher.write_text(
        "#!/bin/sh\n"
        f'test -z "$PYTHONHOME" && test "$*" = "estimate {video} {tmp_path}/bad.mp4 --out {out} --person 1" || exit 9\n'
        f'mkdir "{out}" && cp "{motion_file}" "{out}/clip.motion.npz"\n'
        f"""echo '{json.dumps({"video": str(video), "motions": ["clip.motion.npz"]})}' > "{out}/clip.json"\n"""
        "exit 1\n"
    )
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(batch, "LAUNCHER", launcher)
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    arguments = [video, tmp_path / "bad.mp4", "--out", out, "--person", "1", "--body", body_file]
    status = batch.main([str(argument) for argument in arguments])
    # The launcher's word that a video failed is passed on, the other one has its scene all the same.
    assert status == 1
    assert (out / "clip.blend").is_file(), capfd.readouterr().err
    content = json.loads((out / "clip.json").read_text())
    assert content["blend"] == "clip.blend"
    assert content["timings"]["scene"] > 0


def test_a_launcher_that_cannot_start_is_an_error(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(batch, "LAUNCHER", tmp_path / "none")
    assert batch.main([str(tmp_path / "clip.mp4")]) == 1
    assert "can't be started" in capfd.readouterr().err


def test_file_of_4_2_plays():
    """`from_4_2.blend` was written by Blender 4.2; data/README.md tells how."""
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
