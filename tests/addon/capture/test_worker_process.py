"""The worker as Blender's side sees it: real processes, real footage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.estimators import LANDMARKS
from video_motion.inference.worker import process as worker_process
from video_motion.inference.worker.process import WorkerProcess

from ..sample import SAMPLE, needs_packages

ROOT = Path(__file__).parents[3]

pytestmark = needs_packages


@pytest.fixture
def start(tmp_path):
    """Start a worker whose cache is `tmp_path`."""
    started = []

    def begin(task: str, **content) -> WorkerProcess:
        started.append(WorkerProcess(task, registry.cache_folder(), tmp_path, **content))
        return started[-1]

    yield begin
    for process in started:
        process.close()


def wait(process: WorkerProcess, seconds: float = 60.0) -> WorkerProcess:
    deadline = time.monotonic() + seconds
    while not process.ended and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.02)
    assert process.ended
    return process


def wait_for_stage(process: WorkerProcess, stage: str) -> None:
    while process.stage != stage and not process.ended:
        process.poll()
        time.sleep(0.01)
    assert process.stage == stage, process.message


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_probe(start):
    probe = wait(start("look", video=str(SAMPLE)))
    assert probe.value is not None, probe.message
    assert (probe.value["width"], probe.value["height"], probe.value["frames"]) == (640, 480, 180)
    assert probe.value["frame_rate"] == pytest.approx(25)
    assert probe.value["seconds"] == pytest.approx(7.2)
    assert Path(probe.value["picture"]).read_bytes().startswith(b"\x89PNG")
    assert probe.value["devices"][0]["id"] == "cpu"
    probe.close()
    assert not probe.folder.exists()


def test_the_picture_of_who_is_cut_off_shows_what_is_seen_of_them(start, tmp_path):
    import cv2

    portrait = cv2.imread(str(ROOT / "tests" / "data" / "faces" / "astronaut.jpg"))
    assert portrait is not None
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(16):
        moved = np.array([[1.0, 0.0, np.sin(number / 4)], [0.0, 1.0, 0.0]])
        shifted = cv2.warpAffine(portrait, moved, portrait.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        cv2.imwrite(str(frames / f"{number:04d}.png"), shifted)
    job = wait(start("find", video=str(frames), options={"quality": "fast"}))
    (person,) = job.value["people"]
    picture = cv2.imread(person["picture"])
    assert picture is not None
    # Her face as large as in the portrait, not lost among edges drawn out over the body that it does not show.
    face = portrait[48:176, 64:192]
    likeness = max(
        cv2.matchTemplate(picture, cv2.resize(face, None, fx=size, fy=size), cv2.TM_CCOEFF_NORMED).max()
        for size in (0.85, 0.9, 0.95, 1.0, 1.05)
    )
    assert likeness > 0.9


def test_pictures_are_those_of_their_moments(start):
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(str(SAMPLE))
    frames = np.array([cv2.resize(capture.read()[1], (32, 24), interpolation=cv2.INTER_AREA) for _ in range(180)])
    wanted = {"start": 2.0, "end": 2.96}
    job = start("peek", more=True, video=str(SAMPLE), moments=wanted)
    for moments, shown in ((wanted, (50, 74)), ({"start": 5.2, "end": 7.16}, (130, 179))):
        if job.answered:
            job.begin("peek", video=str(SAMPLE), moments=moments)
        deadline = time.monotonic() + 60
        while not job.answered and time.monotonic() < deadline:
            job.poll()
            time.sleep(0.02)
        assert job.value is not None, job.message
        for name, number in zip(("start", "end"), shown, strict=True):
            picture = cv2.resize(cv2.imread(job.value[name]), (32, 24), interpolation=cv2.INTER_AREA)
            apart = np.abs(frames.astype(float) - picture).mean(axis=(1, 2, 3))
            assert abs(int(apart.argmin()) - number) <= 1


@pytest.mark.parametrize("quality", LANDMARKS)
def test_people_then_import(start, tmp_path, quality):
    options = {"start": 2.0, "end": 2.6, "quality": quality}
    found = wait(start("find", video=str(SAMPLE), options=options))
    assert found.value is not None, found.message
    (person,) = found.value["people"]
    assert (person["person"], person["share"]) == (1, 1.0)
    assert person["first"] == pytest.approx(2.0)
    assert Path(person["picture"]).is_file()

    done = wait(start("convert", video=str(SAMPLE), options=options))
    assert done.value is not None, done.message
    assert done.value["report"]["reused"] == ["people"]
    assert [Path(file).name for file in done.value["motions"]] == ["shot-1.person-1.motion.npz"]
    assert done.share == 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"no video at all" * 100, "holds no video"), (SAMPLE.read_bytes()[:3000], "broken.mp4")],
)
def test_broken_videos_are_a_sentence(start, tmp_path, content, words):
    video = tmp_path / "broken.mp4"
    video.write_bytes(content)
    process = wait(start("convert", video=str(video)))
    assert process.value is None
    assert words in process.message
    assert str(video) in process.message
    assert process.message.endswith(".")


@pytest.mark.parametrize("quality", LANDMARKS)
def test_the_share_told_is_that_of_the_time(start, quality):
    process = start("convert", video=str(SAMPLE), options={"end": 3.0, "quality": quality})
    told = []
    while not process.ended:
        if process.poll() and process.stage:
            told.append((time.monotonic(), process.share))
        time.sleep(0.01)
    assert process.value is not None, process.message
    times, shares = np.array(told).T
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1.0
    assert np.abs(shares - (times - times[0]) / np.ptp(times)).max() < 0.4


def test_what_the_cache_gives_does_not_shorten_the_time_left(start, tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, time\n"
        "for done in (0, 50):\n"
        "    event = {'event': 'progress', 'stage': 'motion', 'done': done, 'total': 100}\n"
        "    print(json.dumps(event), flush=True)\n"
        "    time.sleep(1 if done == 0 else 60)\n"
    )
    monkeypatch.setattr(worker_process, "WORKER", worker)
    process = start("convert", video=str(SAMPLE))
    while process.done != 50:
        process.poll()
        time.sleep(0.01)
    assert process.seconds_left == pytest.approx(1, abs=0.5)


def wait_for_answer(process: WorkerProcess) -> WorkerProcess:
    deadline = time.monotonic() + 60
    while not process.answered and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.02)
    assert process.answered
    return process


def test_one_process_does_several_jobs(start, tmp_path):
    options = {"start": 2.0, "end": 2.6, "quality": "fast"}
    process = wait_for_answer(start("convert", more=True, video=str(SAMPLE), options=options, reuse=False))
    first = process.value
    assert first is not None, process.message
    assert not process.ended
    empty = tmp_path / "empty.mp4"
    empty.touch()
    process.begin("convert", video=str(empty), options=options)
    assert str(empty) in (wait_for_answer(process).message or "")
    other = process.folder / "2"
    other.mkdir()
    process.begin("convert", video=str(SAMPLE), options=options, reuse=False, out=str(other))
    wait_for_answer(process)
    assert process.value is not None, process.message
    assert [Path(file).parent for file in process.value["motions"]] == [other]
    assert process.value["report"]["reused"] == []
    # Networks are loaded once.
    assert process.value["report"]["timings"]["load"] < first["report"]["timings"]["load"]
    np.testing.assert_array_equal(*(np.load(value["motions"][0])["poses"] for value in (first, process.value)))
    os.kill(process.process.pid, signal.SIGKILL)
    process.begin("convert", video=str(SAMPLE), options=options)
    wait_for_answer(process)
    assert process.ended
    assert "memory" in process.message


def test_two_at_once_of_the_same_video_do_not_disturb_each_other(start):
    options = {"start": 3.0, "end": 3.6, "quality": "fast", "hands": False, "face": False}
    both = [start("convert", video=str(SAMPLE), options=options) for _ in range(2)]
    assert [len(wait(job).value["motions"]) for job in both] == [1, 1]


def test_cancel_ends_it_within_a_second_with_its_children(start):
    process = start("convert", video=str(SAMPLE))
    wait_for_stage(process, "people")
    began = time.monotonic()
    process.cancel()
    assert time.monotonic() - began < 1.0
    assert process.ended
    assert process.cancelled
    assert process.message is None
    group = subprocess.run(["pgrep", "-g", str(process.process.pid)], capture_output=True, text=True, check=False)
    assert group.stdout == ""


def test_killed_worker_is_a_message(start):
    process = start("convert", video=str(SAMPLE))
    wait_for_stage(process, "people")
    os.kill(process.process.pid, signal.SIGKILL)
    wait(process, 5)
    assert "memory" in process.message
    assert str(SAMPLE) in process.message

    crashed = start("convert", video=str(SAMPLE))
    wait_for_stage(crashed, "people")
    os.kill(crashed.process.pid, signal.SIGSEGV)
    wait(crashed, 5)
    assert "ended unexpectedly" in crashed.message


def test_worker_ends_with_the_program_that_started_it(tmp_path):
    code = (
        "import sys, time, os; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from video_motion.inference.worker.process import WorkerProcess;"
        "p = WorkerProcess('convert', Path(sys.argv[2]), Path(sys.argv[3]), video=sys.argv[4]);\n"
        "while p.stage != 'people': p.poll(); time.sleep(0.01)\n"
        "print(p.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(registry.cache_folder()), str(tmp_path), str(SAMPLE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    worker = int(result.stdout)
    deadline = time.monotonic() + 5
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker)


def test_full_disk_is_a_message(tmp_path):
    if os.name == "nt" or os.geteuid():
        pytest.skip("Needs a small disk, which only root can make.")
    small = tmp_path / "small"
    small.mkdir()
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from video_motion.inference.worker.process import WorkerProcess;"
        "p = WorkerProcess('convert', Path(sys.argv[2]), Path(sys.argv[3]), video=sys.argv[4],"
        "options={'end': 0.8, 'quality': 'fast'});\n"
        "while not p.ended: p.poll(); time.sleep(0.01)\n"
        "print(p.message); p.close(); print(list(Path(sys.argv[3]).iterdir()))"
    )
    script = 'mount -t tmpfs -o size=16k tmpfs "$3" && exec "$0" -c "$1" "$2" "$4" "$3" "$5"'
    command = ["unshare", "--mount", "bash", "-c", script]
    command += [sys.executable, code, str(ROOT), str(small), str(registry.cache_folder()), str(SAMPLE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    message, left = result.stdout.splitlines()
    assert "No space left" in message
    assert ".part" not in left
    assert "video-motion-job" not in left


def test_the_time_left_runs_down_evenly_and_is_known_from_the_last_job(start, monkeypatch):
    job = start("convert", video=str(SAMPLE), options={"quality": "best", "hands": False, "face": False})
    job.close()
    now = [100.0]
    monkeypatch.setattr(worker_process.time, "monotonic", lambda: now[0])

    def tell(stage: str, done: int) -> None:
        job._handle(json.dumps({"event": "progress", "stage": stage, "done": done, "total": 100}))

    # As it was measured: people take 2 s, landmarks 12, the rest 2.
    report = {"reused": [], "timings": {"people": 1.5, "camera": 0.5, "landmarks": 12.0, "network": 0.5, "motion": 1.5}}
    job._handle(json.dumps({"event": "result", "value": {"report": report}}))
    job = start("convert", video=str(SAMPLE), options={"quality": "best", "hands": False, "face": False})
    job.close()
    told = []
    for stage, seconds in (("people", 2.0), ("landmarks", 12.0), ("network", 0.5), ("motion", 1.5)):
        for done in range(101):
            tell(stage, done)
            if job.seconds_left is not None:
                told.append(job.seconds_left - (116.0 - now[0]))
            now[0] += seconds / 101
    assert len(told) > 350
    assert max(map(abs, told)) < 1.0
