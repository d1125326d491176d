from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import console, registry
from video_motion.inference.atomic import write_json
from video_motion.inference.batch.request import Request
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.cli import arguments, environment
from video_motion.inference.footage.reader import Footage
from video_motion.inference.motion.motion import Motion
from video_motion.inference.options import Options

ROOT = Path(__file__).parents[3]
FAST = ("--quality", "fast", "--out")


def write_empty_room(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(8):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    "given",
    [
        ["convert"],
        ["convert", "a.mp4", "--start", "-1"],
        ["convert", "a.mp4", "--focal", "10", "--focal-mm", "20"],
        ["convert", "a.mp4", "--person", "0"],
        ["convert", "a.mp4", "--person", "1,"],
        ["convert", "a.mp4", "--person", "1:"],
        ["convert", "a.mp4", "--person", "0:1"],
        ["convert", "a.mp4", "--fps", "nan"],
        ["convert", "a.mp4", "--format", "blend,obj"],
        ["convert", "a.mp4", "--jobs", "0"],
        ["convert", "a.mp4", "--feet", "-1"],
        ["evaluate", "a.mp4", "a.npz", "b.npz"],
        ["bench"],
        ["bench", "memory", "--limit", "3"],
        ["dance"],
        ["convert", "a.mp4", "--device", "cuda:x"],
        ["build-extension", "--out", "a", "--platform", "amiga"],
    ],
)
def test_invalid_arguments(given: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        arguments.parse(given)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err


def test_test_passes_arguments_on():
    assert arguments.parse(["test", "-k", "a or b", "-x"]).pytest_arguments == ["-k", "a or b", "-x"]


def test_bad_inputs_are_named_and_fail(tmp_path: Path):
    text, room, empty = tmp_path / "text.mp4", write_empty_room(tmp_path / "room.avi"), tmp_path / "empty folder"
    text.write_text("hello")
    empty.mkdir()
    missing = tmp_path / "missing.mp4"
    inputs = (text, missing, empty, room)
    result = subprocess.run(
        [sys.executable, "-m", "video_motion.inference.cli", "estimate", *inputs, *FAST, tmp_path / "out"],
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
    assert "video-motion: 4 of the inputs gave no result:" in lines
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("*.npz"))
    (found,) = json.loads((tmp_path / "out" / "batch.json").read_text())["videos"][-1:]
    assert (found["state"], found["files"]) == ("failed", ["room.json"])
    report = json.loads((tmp_path / "out" / "room.json").read_text())
    assert (report["people"], report["motions"], report["left_out"]) == ([], [], [])
    assert report["message"] == found["message"]


def test_a_damaged_network_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(registry, "REGISTRY_FILE", tmp_path / "registry.json")
    heavy = tmp_path / registry.items()["blazepose_landmark_heavy"].file
    shutil.copytree(ROOT / "weights" / "google", heavy.parent)
    for file in (ROOT / "weights").glob("*.onnx"):
        shutil.copy(file, tmp_path)
    heavy.write_bytes(heavy.read_bytes()[:-1])
    videos = [str(write_empty_room(tmp_path / name)) for name in ("a.avi", "b.avi")]
    assert cli.main(["estimate", *videos, "--quality", "best"]) == 1
    assert capsys.readouterr().err == (
        f"video-motion: {heavy} is missing or damaged: install Video Motion again, or restore that file.\n"
    )


def test_out_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "out").touch()
    assert cli.main(["estimate", "a.mp4", "--out", str(tmp_path / "out")]) == 1
    assert "is a file: give a folder" in capsys.readouterr().err


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with walk.take2.avi, the sample next to its mirror image, and what `estimate` made of it."""
    folder = tmp_path_factory.mktemp("two people")
    video = folder / "walk.take2.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (1280, 480))
    for frame in Footage(ROOT / "tests" / "sample" / "sample.mp4", start=2.0, end=2.8):
        writer.write(np.hstack([frame.image, frame.image[:, ::-1]]))
    writer.release()
    assert cli.main(["estimate", str(video), "--quality", "fast", "--feet", "0.25"]) == 0
    return folder


def test_estimate_writes_each_persons_motion(two_people: Path):
    names = ["walk.take2.motion.npz", "walk.take2.person-2.motion.npz"]
    assert sorted(file.name for file in two_people.iterdir()) == ["walk.take2.avi", "walk.take2.json", *names]
    report = json.loads((two_people / "walk.take2.json").read_text(encoding="utf-8"))
    assert report["motions"] == names
    motions = [Motion.load(two_people / name) for name in names]
    assert [motion.person for motion in motions] == [1, 2]
    # Options arrive where they are used.
    assert [motion.provenance["feet"] for motion in motions] == [0.25, 0.25]


def test_one_person_alone_has_the_plain_name(two_people: Path, tmp_path: Path):
    assert cli.main(["estimate", str(two_people / "walk.take2.avi"), "--person", "2", *FAST, str(tmp_path)]) == 0
    (motion,) = tmp_path.glob("*.npz")
    assert motion.name == "walk.take2.motion.npz"
    assert Motion.load(motion).person == 2


def test_several_people_are_chosen_and_missing_ones_told(two_people: Path, tmp_path: Path):
    assert cli.main(["estimate", str(two_people / "walk.take2.avi"), "--person", "7,2,1", *FAST, str(tmp_path)]) == 0
    assert sorted(Motion.load(file).person for file in tmp_path.glob("*.npz")) == [1, 2]
    report = json.loads((tmp_path / "walk.take2.json").read_text(encoding="utf-8"))
    assert report["warnings"] == ["There is no person 7: the others' motion was taken."]


def test_estimate_resumes(two_people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["estimate", str(two_people / "walk.take2.avi"), "--resume", *FAST, str(tmp_path)]
    assert cli.main(command) == 0
    written = (tmp_path / "walk.take2.motion.npz").stat().st_mtime_ns
    capsys.readouterr()
    assert cli.main(command) == 0
    assert "is done already" in capsys.readouterr().out
    assert cli.main([*command, "--smoothing", "2"]) == 0
    assert "is done already" not in capsys.readouterr().out
    assert (tmp_path / "walk.take2.motion.npz").stat().st_mtime_ns > written


def test_convert_through_the_launcher(two_people: Path, tmp_path: Path):
    command = [sys.executable, ROOT / "video-motion", "convert", two_people / "walk.take2.avi", *FAST, tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "walk.take2.blend").read_bytes()[:4] in (b"BLEN", b"\x28\xb5\x2f\xfd")
    assert result.stdout.startswith(f"{tmp_path / 'walk.take2.blend'}: 2 people, ")


def write_program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    return path


def test_convert_hands_over_to_blender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{environment.LIBRARIES / 'usr' / 'lib'}:/opt/lib")
    record = f'echo "$PYTHONPATH,$LD_LIBRARY_PATH" > "{tmp_path}/variables"\nprintf "%s\\n" "$@" > "{tmp_path}/words"\n'
    record += f'head -n 1 > "{tmp_path}/request"\n'
    blender = write_program(tmp_path / "a blender", f"{record}exit 3\n")
    given = ["a b.mp4", "--format", "fbx,bvh", "--feet", "0.5"]
    assert cli.main(["convert", *given, "--blender", str(blender), "--jobs", "2"]) == 1
    assert "Blender ended unexpectedly (status 3): go on with --resume." in capsys.readouterr().err
    # A Blender of the system gets its own libraries.
    assert (tmp_path / "variables").read_text() == ",/opt/lib\n"
    words = (tmp_path / "words").read_text().splitlines()
    assert words[words.index("--python") + 1 :] == [str(environment.BATCH), "--", "--request"]
    request = Request.from_json((tmp_path / "request").read_text(encoding="utf-8"))
    assert request.videos == [Path("a b.mp4")]
    assert request.options == Options(format=("fbx", "bvh"), feet=0.5, jobs=2)
    assert request.python == Path(sys.executable)


def test_a_blender_that_can_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["convert", "a.mp4", "--blender", str(tmp_path / "missing")]) == 1
    assert "check --blender" in capsys.readouterr().err


@pytest.mark.parametrize("fresh", [False, True])
def test_overlay(fresh: bool, two_people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    video = two_people / "walk.take2.avi"
    given = ["--quality", "fast"] if fresh else ["--motion", *map(str, sorted(two_people.glob("*.npz")))]
    out = tmp_path / "out folder"
    assert cli.main(["overlay", str(video), "--out", str(out), "--columns", "2", "--row-height", "90", *given]) == 0
    names = [f"walk.take2.overlay{suffix}" for suffix in (".mp4", ".jpg")]
    assert capsys.readouterr().out.split("\n")[:2] == [str(out / name) for name in names]
    assert cv2.imread(str(out / names[1])).shape == (4 * 90, 2 * 240, 3)  # pyrefly: ignore[missing-attribute]
    drawn, plain = ([frame.image for frame in Footage(file)][10] for file in (out / names[0], video))
    changed = np.abs(drawn.astype(int) - plain).max(-1) > 40
    outside = np.ones(changed.shape, bool)
    for motion in (Motion.load(file) for file in two_people.glob("*.npz")):
        left, top, width, height = motion.boxes[10 - motion.frames[0]].astype(int)
        assert changed[top : top + height, left : left + width].mean() > 0.1
        outside[max(top - 40, 0) : top + height + 40, max(left - 40, 0) : left + width + 40] = False
    assert changed[outside].mean() < 0.002


def test_overlay_of_a_bad_motion_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    video = write_empty_room(tmp_path / "room.avi")
    (tmp_path / "bad.npz").write_text("hello")
    assert cli.main(["overlay", str(video), "--motion", str(tmp_path / "bad.npz")]) == 1
    assert "bad.npz" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.overlay.*"))


def test_evaluate_reports_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["evaluate", str(tmp_path / "a.mp4")]) == 1
    assert "--no-truth" in capsys.readouterr().err
    assert cli.main(["evaluate", str(tmp_path / "a.mp4"), "--no-truth"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_json_is_complete_or_missing(tmp_path: Path):
    file = tmp_path / "a.json"
    write_json(file, {"a": "ü"})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text(encoding="utf-8")) == {"a": "ü"}
    assert os.listdir(tmp_path) == ["a.json"]


def test_progress_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "PROGRESS_SECONDS", 0)
    progress = console.Progress("a.mp4")
    progress("people", 1, None)
    progress("people", 10, 10)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("a.mp4: people, 1 frames")
    assert second.startswith("a.mp4: people, 10 of 10 frames")
