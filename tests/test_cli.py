from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import __main__ as cli
from video_motion.inference import arguments, environment, report

ROOT = Path(__file__).parent.parent
COMMANDS = ("convert", "estimate", "overlay", "bench", "weights", "test")


def launch(*given: str | Path, root: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "video-motion", *given],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )


def write_empty_room(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(8):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    return path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The launcher and what it needs, in a folder with spaces, without any environment."""
    root = tmp_path / "a folder with spaces"
    (root / "inference").mkdir(parents=True)
    for name in ("video-motion", "video_motion.py"):
        shutil.copy(ROOT / name, root)
    for file in (ROOT / "inference").glob("*.py"):
        shutil.copy(file, root / "inference")
    (root / "requirements").mkdir()
    (root / "requirements" / "convert.txt").write_text("video-motion-no-such-package==1.0\n")
    return root


def test_help_names_every_command_without_set_up(copy: Path):
    result = launch("--help", root=copy)
    assert result.returncode == 0
    assert all(f"    {command} " in result.stdout for command in COMMANDS)
    assert "VIDEO_MOTION_CACHE" in result.stdout
    for command in COMMANDS:
        assert launch(command, "--help", root=copy).returncode == 0
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize(
    "given",
    [
        ["convert"],
        ["convert", "a.mp4", "--start", "-1"],
        ["convert", "a.mp4", "--focal", "10", "--focal-mm", "20"],
        ["convert", "a.mp4", "--person", "0"],
        ["convert", "a.mp4", "--fps", "nan"],
        ["dance"],
    ],
)
def test_senseless_arguments(given: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        arguments.parse(given)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err


def test_test_passes_arguments_on():
    assert arguments.parse(["test", "-k", "a or b", "-x"]).pytest_arguments == ["-k", "a or b", "-x"]


def test_failed_set_up_is_told_and_tried_again(copy: Path):
    for _ in range(2):
        result = launch("weights", root=copy)
        assert result.returncode == 1
        assert "The packages of convert.txt can't be installed" in result.stderr
        assert "video-motion-no-such-package" in result.stderr
        assert "Traceback" not in result.stderr


def test_interrupted_set_up_is_made_good(copy: Path):
    (copy / "requirements" / "convert.txt").write_text("")
    child = subprocess.Popen([sys.executable, copy / "video-motion", "weights"], stderr=subprocess.PIPE, text=True)
    while not (copy / ".venv").exists():
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    (copy / ".venv" / "unfinished").touch()
    (copy / "weights").mkdir()
    (copy / "weights" / "registry.json").write_text("[]")
    result = launch("weights", root=copy)
    assert result.returncode == 0, result.stderr
    assert (copy / ".venv" / "ready-convert").exists()

    began = time.monotonic()
    again = launch("weights", root=copy)
    assert (again.returncode, again.stderr) == (0, "")
    assert time.monotonic() - began < 3


def test_two_at_once(copy: Path):
    (copy / "requirements" / "convert.txt").write_text("")
    (copy / "weights").mkdir()
    (copy / "weights" / "registry.json").write_text("[]")
    command = [sys.executable, copy / "video-motion", "weights"]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], errors
    assert sum("Making the virtual environment" in error for error in errors) == 1


def test_ready_environment_is_quick():
    if not environment.CONVERT.stamp_file.exists():
        pytest.skip("not run by the launcher")
    began = time.monotonic()
    assert launch("weights").returncode == 0
    assert time.monotonic() - began < 5


def test_bad_inputs_are_named_and_fail(tmp_path: Path):
    text, room, empty = tmp_path / "text.mp4", write_empty_room(tmp_path / "room.avi"), tmp_path / "empty folder"
    text.write_text("hello")
    empty.mkdir()
    missing = tmp_path / "missing.mp4"
    inputs = (text, missing, empty, room)
    result = subprocess.run(
        [sys.executable, "-m", "video_motion.inference", "estimate", *inputs, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    for name, words in ((text, "no video"), (missing, "does not exist"), (empty, "without a video"), (room, "Nobody")):
        (line,) = [line for line in lines if line.startswith("video-motion: ") and str(name) in line]
        assert words in line
    assert "4 of the inputs gave no result" in lines[-1]
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("*.npz"))


def test_out_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "out").touch()
    assert cli.main(["estimate", "a.mp4", "--out", str(tmp_path / "out")]) == 1
    assert "is a file: give a folder" in capsys.readouterr().err


def test_folders_give_their_videos_once(tmp_path: Path):
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4", "a.overlay.mp4"):
        (tmp_path / name).touch()
    videos, failures = cli._expand([tmp_path / "b.mp4", tmp_path, tmp_path / "b.mp4"])
    assert [video.name for video in videos] == ["b.mp4", "a.MOV"]
    assert failures == []


def test_output_names_never_clash(tmp_path: Path):
    videos = [Path(name) for name in ("x/a.mp4", "x/a.avi", "y/a.mp4", "x/A_avi.mkv", "x/walk.take2.mp4")]
    names = [target.name for target in cli.output_names(videos, tmp_path)]
    assert names == ["a_mp4", "a_avi_2", "a_mp4_2", "A_avi", "walk.take2"]
    assert [str(target) for target in cli.output_names([Path("x/a.mp4"), Path("y/a.mp4")], None)] == ["x/a", "y/a"]


def test_json_is_whole_or_not_there(tmp_path: Path):
    file = tmp_path / "a.json"
    report.write_json(file, {"a": "ü"})
    with pytest.raises(TypeError):
        report.write_json(file, {"a": object()})
    assert json.loads(file.read_text(encoding="utf-8")) == {"a": "ü"}
    assert os.listdir(tmp_path) == ["a.json"]


def test_progress_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "PROGRESS_SECONDS", 0)
    progress = report.Progress("a.mp4")
    progress("people", 1, None)
    progress("people", 10, 10)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("a.mp4: people, 1 frames")
    assert second.startswith("a.mp4: people, 10 of 10 frames")
