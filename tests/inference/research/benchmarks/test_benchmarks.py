"""Measurements of speed and memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.conversion import find_people
from video_motion.inference.footage.reader import Footage, Frame
from video_motion.inference.models import load_models
from video_motion.inference.motion.motion import Motion
from video_motion.inference.options import Options
from video_motion.inference.research.benchmarks import camera, cuda, details, memory, people, profiling, runs, speed
from video_motion.inference.research.comparison import mediapipe_reference as reference
from video_motion.inference.runtime.devices import Device

TESTS = Path(__file__).parents[3]
REAL = TESTS / "data" / "real" / "man.mp4"
TRUE_MOTION = TESTS / "sample" / "sample.truth.npz"
CPU, NO_GPU = Device("cpu", "CPU", True), Device("cuda:0", "NVIDIA GPU", False, "Buy one.")
GPUS = [Device(f"cuda:{number}", "GPU", True) for number in (0, 1)]


def write_grey(path: Path, count: int = 8) -> Path:
    """A video of a grey wall, 160×120."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(count):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    return path


def report_with(monkeypatch: pytest.MonkeyPatch, work: str = "", **timings: float) -> None:
    """Let a Python program stand for our command line: it does some work and reports these timings of 10 frames."""
    content = {"frames": 10, "size": [64, 48], "timings": timings}
    program = f"import json, pathlib, sys\n{work}\n(pathlib.Path(sys.argv[-1]) / 'a.json').write_text({content!r})"
    program = program.replace(repr(content), repr(json.dumps(content)))
    monkeypatch.setattr(runs, "COMMAND", [sys.executable, "-c", program])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_stages_has_a_column_for_each_quality_and_kind_of_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    report_with(monkeypatch, load=1.0, people=2.0, motion=0.0, blender=3.0, scene=2.0)
    monkeypatch.setattr(speed, "devices", lambda: [CPU, *GPUS])
    header, _, *rows = speed.measure(tmp_path / "a.mp4", mediapipe=False)
    assert header == ("| a.mp4, 10 frames, 64×48: seconds (frames/s) | fast, CPU | best, CPU | fast, GPU | best, GPU |")
    table = {name: values for name, *values in map(cells, rows)}
    assert table["load"] == ["1.00"] * 4
    assert table["people"] == ["2.00 (5.0)"] * 4
    assert table["motion"] == ["0.00"] * 4
    assert table["blender, beside the others"] == ["3.00"] * 4
    assert table["together"] == ["5.00 (2.0)"] * 4
    assert table["together after loading"] == ["4.00 (2.5)"] * 4
    monkeypatch.setattr(runs, "COMMAND", ["false"])
    with pytest.raises(runs.BenchError):
        list(speed.measure(tmp_path / "a.mp4", mediapipe=False))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count what ended processes took.")
def test_what_details_cost_is_told_against_runs_without_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    # A program that takes twice as long where it looks at faces.
    report_with(
        monkeypatch,
        "import time\nlast = 0.15 if '--no-face' in sys.argv else 0.3\nwhile time.process_time() < last: pass",
    )
    header, _, *rows = details.measure(tmp_path / "a.mp4", rounds=1)
    assert cells(header)[1:] == ["looks at", "seconds", "more", "CPU seconds", "more"]
    table = {(quality, what): values for quality, what, *values in map(cells, rows)}
    assert len(table) == 8
    assert table["best", "neither"][3] == table["fast", "neither"][3] == "+0%"
    for name in ("faces", "both"):
        assert 30 < int(table["fast", name][3].strip("+%")) < 150


def test_what_the_camera_costs_is_told_against_runs_with_one_that_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """With the file of a camera that is as the footage."""
    code = (
        "from video_motion.inference.camera.given import GivenCamera\nfrom pathlib import Path\n"
        "given = '--camera-file' in sys.argv\n"
        "assert not given or GivenCamera.load(Path(sys.argv[sys.argv.index('--camera-file') + 1])).size == (160, 120)"
    )
    report_with(monkeypatch, code)
    header, _, *rows = camera.measure(write_grey(tmp_path / "grey.avi"), rounds=1)
    assert cells(header)[1] == "camera"
    assert [row[:2] for row in map(cells, rows)] == [
        [quality, what] for quality in ("fast", "best") for what in ("given", "found")
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count what ended processes took.")
def test_the_cpu_time_of_all_processes_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    burn = "import time\nwhile time.process_time() < 0.8: pass"
    report_with(monkeypatch, f"import subprocess\nsubprocess.run([sys.executable, '-c', {burn!r}])")
    run = runs.run("convert", tmp_path / "a.mp4")
    assert 0.8 <= run.cpu_seconds < 2.5
    assert run.seconds >= 0.8


def test_clips_are_repeated_and_fitted_with_bars(tmp_path: Path):
    runs.write_clip(write_grey(tmp_path / "grey.avi"), tmp_path / "clip.mp4", 20, (320, 180))
    frames = list(Footage(tmp_path / "clip.mp4"))
    assert len(frames) == 20
    for frame in (frames[0], frames[-1]):
        assert frame.image.shape == (180, 320, 3)
        # 160×120 becomes 240×180, in the middle.
        assert frame.image[:, 45:275].min() > 80
        assert frame.image[:, :35].max() < 10
        assert frame.image[:, 285:].max() < 10


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count what ended processes took.")
def test_peak_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    # The parent is far larger than what it measures.
    hold = np.ones(30_000_000)
    use = "import sys, cv2; count = int(cv2.VideoCapture(sys.argv[2]).get(7)); held = bytearray(count * 10**6)"
    monkeypatch.setattr(runs, "COMMAND", [sys.executable, "-c", use])
    header, _, *rows = memory.measure(write_grey(tmp_path / "room.avi"), (5, 105))
    del hold
    assert cells(header)[1:] == ["5 frames", "105 frames"]
    assert [cells(row)[0] for row in rows] == ["fast", "best"]
    for row in rows:
        small, large = (int(cell.split()[0]) for cell in cells(row)[1:])
        assert small < 200
        assert large - small == pytest.approx(100, abs=5)


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_what_is_timed_finds_what_convert_finds(quality: str):
    options = Options(end=0.8, quality=quality, network="landmarks", device="cpu")
    (shot,) = find_people(REAL, options, load_models(options))
    (track,) = shot.tracks
    footage = Footage(REAL, end=0.8)
    station = people.Station(quality, footage.frame_rate)
    seconds, cpu_seconds = station.see(list(footage))
    assert seconds > 0
    assert cpu_seconds > 0
    (seen,) = station.tracks
    np.testing.assert_array_equal(seen.frames, track.frames)
    np.testing.assert_allclose(seen.landmarks, track.landmarks, atol=1e-3)


def test_a_clip_in_parts_is_seen_once_with_all_regions():
    frames = list(Footage(REAL, end=0.8))
    station = people.Station("best", 30.0, roi_views=True)
    seen = []
    for part in (frames[:10], frames[10:]):
        station.see(part)
        (track,) = station.tracks
        assert track.roi_views is not None
        assert np.isfinite(track.roi_views.landmarks).all()
        seen += track.frames.tolist()
    assert seen == [frame.number for frame in frames]


def test_contestants_take_turns_and_the_warm_up_does_not_count():
    turns: list[tuple[str, list[int]]] = []

    class Contestant:
        def __init__(self, name: str, seconds: float):
            self.name, self.seconds = name, seconds

        def see(self, frames: Sequence[Frame]) -> tuple[float, float]:
            numbers = [frame.number for frame in frames]
            turns.append((self.name, numbers))
            slow = 100.0 if numbers[0] < people.WARM_UP else 1.0
            return slow * self.seconds * len(frames), 2 * slow * self.seconds * len(frames)

    frames = [Frame(number, number / 25, np.zeros((2, 2, 3), np.uint8)) for number in range(people.WARM_UP + 51)]
    costs = people.compare(frames, [(2, {"a": Contestant("a", 0.5), "b": Contestant("b", 0.25)})])
    assert costs == {"a": (0.5, 1.0), "b": (0.25, 0.5)}
    assert [name for name, _ in turns] == ["a", "b"] * (len(turns) // 2)
    for contestant in "ab":
        seen = [number for name, numbers in turns if name == contestant for number in numbers]
        assert seen == list(range(len(frames)))
    assert max(len(numbers) for _, numbers in turns) == 2
    assert people.compare(frames[:2], [(2, {"a": Contestant("a", 0.5)})]) == {"a": (50.0, 100.0)}


def check_people(lines: Sequence[str], names: Sequence[str]) -> None:
    _, _, *rows = lines
    table = {name: tuple(map(float, values)) for name, *values in map(cells, rows) if len(values) == 2}
    assert [name for name in table if not name.startswith("ratio")] == list(names)
    ratio, cpu_ratio = table["ratio of best, with `multi_roi`'s views to best"]
    (rate, cpu), (other_rate, other_cpu) = table["best, with `multi_roi`'s views"], table["best"]
    assert ratio == pytest.approx(rate / other_rate, rel=0.1)
    assert cpu_ratio == pytest.approx(cpu / other_cpu, rel=0.1)
    # Five looks cost more than one.
    assert cpu_ratio > 1.2


OURS = ("fast", "best", "fast, with `multi_roi`'s views", "best, with `multi_roi`'s views")


def test_the_table_of_the_people_station():
    check_people(list(people.measure(REAL, limit=16, mediapipe=False)), OURS)


@pytest.mark.mediapipe
def test_the_people_station_beside_mediapipe():
    lines = list(people.measure(REAL, limit=16))
    theirs = [f"MediaPipe, complexity {number}" for number in reference.complexities(None)]
    check_people(lines, [OURS[0], theirs[0], OURS[1], *theirs[1:], *OURS[2:]])
    assert any(line.startswith("| ratio of fast to MediaPipe, complexity 1 |") for line in lines)
    assert (lines[-1] == reference.WITHOUT_ACCURATE) == (len(theirs) == 1)


def test_another_file_is_no_network_of_mediapipe(tmp_path: Path):
    file = tmp_path / "heavy.tflite"
    for content in (None, b"", b"something else"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(reference.MediaPipeError, match=r"heavy\.tflite.*give a copy of"):
            reference.complexities(file)


def test_the_profile_names_functions_and_adds_up():
    _, _, *rows, together = profiling.measure(REAL, limit=8, top=1000)
    names, own, _ = zip(*map(cells, rows), strict=True)
    milliseconds, whole = [float(one) for one in own], float(cells(together)[1])
    assert milliseconds == sorted(milliseconds, reverse=True)
    assert 0.7 * whole < sum(milliseconds) < 1.05 * whole
    assert any("inference/people/tracker.py" in name and "Tracker._follow" in name for name in names)
    assert len(list(profiling.measure(REAL, limit=4, top=3))) == 2 + 3 + 1


def test_without_a_gpu_the_cpu_is_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cuda, "devices", lambda: [CPU, NO_GPU])
    monkeypatch.setattr(cuda, "COMPARED", 20)
    header, _, *rows, last = cuda.measure(REAL, quality="fast")
    assert cells(header) == ["man.mp4 at 1280×720, fast: seconds (frames/s)", "cpu, 20 frames"]
    table = {name: values for name, *values in map(cells, rows)}
    assert {"decoding alone, part of the others", "people", "motion", "together"} <= table.keys()
    assert last == "There is no GPU to compare with. Buy one."


def test_the_gpu_gets_the_cpus_frames_and_a_long_clip(monkeypatch: pytest.MonkeyPatch):
    on_cpu = "import runpy, sys\nsys.argv = [word.replace('cuda:0', 'cpu') for word in sys.argv]\n"
    program = f"{on_cpu}runpy.run_module('video_motion.inference.cli', run_name='__main__')"
    monkeypatch.setattr(runs, "COMMAND", [sys.executable, "-P", "-c", program])
    monkeypatch.setattr(cuda, "devices", lambda: [CPU, *GPUS])
    monkeypatch.setattr(cuda, "COMPARED", 18)
    header, _, *rows = cuda.measure(REAL, quality="fast", frames=20)
    assert cells(header)[1:] == ["cpu, 18 frames", "cuda:0, 18 frames", "cuda:0, 20 frames"]
    name, mean, largest, count = cells(rows[-1])
    assert name == "short.motion.npz"
    assert (float(mean), float(largest), int(count)) == (0.0, 0.0, 18)


def test_the_gpus_motion_is_compared_in_the_frames_of_both():
    motion = Motion.load(TRUE_MOTION)
    keep = np.arange(len(motion)) >= 4
    moved = replace(motion, joints_cam=motion.joints_cam + np.array([0.0, 0.0, 0.03])).trimmed(keep)
    distances = cuda.joint_distances(motion, moved)
    assert distances.shape == (len(motion) - 4, 24)
    np.testing.assert_allclose(distances, 30.0)
