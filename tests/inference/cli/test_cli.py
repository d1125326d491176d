from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import console, conversion, registry
from video_motion.inference.atomic import write_json
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.cli import arguments, environment
from video_motion.inference.footage.reader import Footage
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.benchmarks import bench

ROOT = Path(__file__).parents[3]


def write_empty_room(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(8):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="session")
def body_path() -> Path:
    return registry.body_path()


@pytest.mark.parametrize(
    "given",
    [
        ["convert"],
        ["convert", "a.mp4", "--start", "-1"],
        ["convert", "a.mp4", "--focal", "10", "--focal-mm", "20"],
        ["convert", "a.mp4", "--person", "0"],
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
def test_senseless_arguments(given: list[str], capsys: pytest.CaptureFixture[str]):
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
    videos, failures = arguments.expand([tmp_path / "b.mp4", tmp_path, tmp_path / "b.mp4"])
    assert [video.name for video in videos] == ["b.mp4", "a.MOV"]
    assert failures == []
    videos, failures = arguments.expand([tmp_path / "**" / "b.*", tmp_path / "c*", tmp_path / "none.mp4"])
    assert [video.name for video in videos] == ["b.mp4", "none.mp4"]
    (failure,) = failures
    assert str(tmp_path / "c*") in failure


def test_output_names_never_clash(tmp_path: Path):
    videos = [Path(name) for name in ("x/a.mp4", "x/a.avi", "y/a.mp4", "x/A_avi.mkv", "x/walk.take2.mp4")]
    names = [target.name for target in arguments.output_names(videos, tmp_path)]
    assert names == ["a_mp4", "a_avi_2", "a_mp4_2", "A_avi", "walk.take2"]
    assert [str(target) for target in arguments.output_names([Path("x/a.mp4"), Path("y/a.mp4")], None)] == [
        "x/a",
        "y/a",
    ]


def make_motion(person: int) -> Motion:
    """One person who stands still for three frames, three metres away."""
    n = 3
    return Motion(
        timestamps=np.arange(n) / 25,
        poses_cam=np.tile(np.append(np.full(1, np.pi), np.zeros(71)).reshape(24, 3), (n, 1, 1)),
        trans_cam=np.tile([0.0, 0.0, 3.0], (n, 1)),
        betas=np.zeros(10),
        rest_pelvis=np.zeros(3),
        joints_cam=np.tile([0.0, 0.0, 3.0], (n, 24, 1)),
        camera_K=np.array([[160.0, 0, 80], [0, 160, 60], [0, 0, 1]]),
        camera_to_world=np.tile(np.eye(4), (n, 1, 1)),
        image_size=np.array([160, 120]),
        frames=np.arange(n),
        boxes=np.tile([60.0, 20, 40, 80], (n, 1)),
        scores=np.ones((n, 24)),
        bridged=np.zeros(n, bool),
        contacts=np.zeros((n, 2)),
        landmarks=np.full((n, 33, 3), 60.0),
        world_landmarks=np.zeros((n, 33, 3)),
        person=person,
        provenance={"video": "room.avi"},
    )


@pytest.fixture
def people_found(monkeypatch: pytest.MonkeyPatch, body_path: Path) -> list[int]:
    """Persons' numbers that the pipeline finds in every video; the test fills them in."""
    numbers: list[int] = []

    def convert_footage(path: Path, *rest: object) -> conversion.Result:
        report: dict[str, object] = {
            "video": str(path),
            "timings": {"people": 1.0},
            "warnings": ["Dark."],
            "device": "cpu",
        }
        return conversion.Result([make_motion(number) for number in numbers], Body.load(body_path), body_path, report)

    monkeypatch.setattr(conversion, "convert_footage", convert_footage)
    return numbers


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        ([1], ["walk.take2.motion.npz"]),
        ([3], ["walk.take2.motion.npz"]),
        ([1, 2, 4], ["walk.take2.motion.npz", "walk.take2.person-2.motion.npz", "walk.take2.person-4.motion.npz"]),
    ],
)
def test_names_of_motion_files(numbers: list[int], names: list[str], people_found: list[int], tmp_path: Path):
    people_found += numbers
    video = write_empty_room(tmp_path / "walk.take2.avi")
    assert cli.main(["estimate", str(video)]) == 0
    assert sorted(file.name for file in tmp_path.glob("*.npz")) == names
    told = json.loads((tmp_path / "walk.take2.json").read_text(encoding="utf-8"))
    assert (told["motions"], told["warnings"]) == (names, ["Dark."])
    assert [Motion.load(tmp_path / name).person for name in told["motions"]] == numbers


def write_program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    return path


def test_convert_hands_over_to_blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{environment.LIBRARIES / 'usr' / 'lib'}:/opt/lib")
    tell = f'echo "$PYTHONPATH,$LD_LIBRARY_PATH" > "{tmp_path}/variables"\nprintf "%s\\n" "$@" > "{tmp_path}/words"\n'
    blender = write_program(tmp_path / "a blender", f"{tell}exit 3\n")
    given = ["a b.mp4", "--format", "fbx,bvh", "--feet", "0.5"]
    assert cli.main(["convert", *given, "--blender", str(blender), "--jobs", "2"]) == 3
    # A Blender of the system gets its own libraries.
    assert (tmp_path / "variables").read_text() == ",/opt/lib\n"
    words = (tmp_path / "words").read_text().splitlines()
    assert words[words.index("--") + 1 :] == ["--python", sys.executable, *given, "--jobs", "2"]
    assert words[words.index("--python") + 1] == str(cli.BATCH)


def test_a_blender_that_can_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["convert", "a.mp4", "--blender", str(tmp_path / "missing")]) == 1
    assert "check --blender" in capsys.readouterr().err


def test_feet_are_passed_on(monkeypatch: pytest.MonkeyPatch, people_found: list[int], tmp_path: Path):
    people_found.append(1)
    held = []
    found = conversion.convert_footage
    monkeypatch.setattr(
        conversion, "convert_footage", lambda path, options, *rest: held.append(options.feet) or found(path)
    )
    video = write_empty_room(tmp_path / "room.avi")
    assert cli.main(["estimate", str(video), "--feet", "0.25"]) == 0
    assert held == [0.25]


@pytest.mark.parametrize("fresh", [False, True])
def test_overlay(fresh: bool, people_found: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    people_found += [1, 2]
    video = write_empty_room(tmp_path / "room.avi")
    given = []
    if not fresh:
        make_motion(1).save(tmp_path / "room.motion.npz")
        given = ["--motion", str(tmp_path / "room.motion.npz")]
    out = tmp_path / "out folder"
    assert cli.main(["overlay", str(video), "--out", str(out), "--columns", "2", "--height", "90", *given]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == [str(out / "room.overlay.mp4"), str(out / "room.overlay.jpg")]
    assert cv2.imread(str(out / "room.overlay.jpg")).shape == (3 * 90, 2 * 120, 3)
    drawn, plain = (next(iter(Footage(file))).image for file in (out / "room.overlay.mp4", video))
    difference = np.abs(drawn.astype(int) - plain).max(-1)
    assert difference[:20, :20].max() < 12
    assert difference[55:65, 75:85].mean() > 40


def test_overlay_of_a_bad_motion_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    video = write_empty_room(tmp_path / "room.avi")
    (tmp_path / "bad.npz").write_text("hello")
    assert cli.main(["overlay", str(video), "--motion", str(tmp_path / "bad.npz")]) == 1
    assert "bad.npz" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.overlay.*"))


def test_evaluate_tells_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["evaluate", str(tmp_path / "a.mp4")]) == 1
    assert "--no-truth" in capsys.readouterr().err
    assert cli.main(["evaluate", str(tmp_path / "a.mp4"), "--no-truth"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_speed_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    content = {"frames": 10, "size": [64, 48], "timings": {"load": 1.0, "people": 2.0, "scene": 2.0}}
    write = f"""for last; do :; done; echo '{json.dumps(content)}' > "$last/a.json"\n"""
    monkeypatch.setattr(bench, "COMMAND", [str(write_program(tmp_path / "convert", write))])
    assert list(bench.speed(tmp_path / "a.mp4")) == [
        "| a.mp4, 10 frames, 64×48 | seconds | frames/s |",
        "|---|---:|---:|",
        "| load | 1.00 | – |",
        "| people | 2.00 | 5.0 |",
        "| scene | 2.00 | 5.0 |",
        "| together | 5.00 | 2.0 |",
    ]
    monkeypatch.setattr(bench, "COMMAND", ["false"])
    with pytest.raises(bench.BenchError):
        list(bench.speed(tmp_path / "a.mp4"))


def test_memory_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    # The parent is far larger than what it measures.
    hold = np.ones(30_000_000)
    video = write_empty_room(tmp_path / "room.avi")
    use = "import sys, cv2; count = int(cv2.VideoCapture(sys.argv[2]).get(7)); held = bytearray(count * 10**6)"
    monkeypatch.setattr(bench, "COMMAND", [sys.executable, "-c", use])
    monkeypatch.setattr(bench, "FRAME_COUNTS", (5, 105))
    header, _, row = bench.memory(video)
    del hold
    assert header == "| room.avi | 5 frames | 105 frames |"
    small, large = (int(cell.split()[0]) for cell in row.split("|")[2:4])
    assert small < 200
    assert large - small == pytest.approx(100, abs=5)


def test_json_is_whole_or_not_there(tmp_path: Path):
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
