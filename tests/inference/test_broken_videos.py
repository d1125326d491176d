"""Files that are no videos, or broken ones: the worker's tasks give a result or one sentence."""

from __future__ import annotations

import io
import json
import random
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from video_motion.inference import registry
from video_motion.inference.worker.tasks import Job, serve

TESTS = Path(__file__).resolve().parents[1]
SAMPLE = TESTS / "sample" / "sample.mp4"
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")
OTHER_SIZES = (1, 100, 10_000, 1_000_000)
KEPT_SHARES = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5, 0.9, 0.99)
LOST_HEADS = (4, 8, 64, 1024, 20_000)
LOST_TAIL = 20_000
FLIPPED_SHARES = (0.0001, 0.003, 0.01, 0.1)


def _without_footage() -> dict[str, bytes]:
    source = random.Random(5)
    contents = {f"empty{suffix}": b"" for suffix in VIDEO_SUFFIXES}
    contents |= {f"text{suffix}": b"This is no video.\n" * 100 for suffix in VIDEO_SUFFIXES}
    contents |= {f"random {size}.mp4": source.randbytes(size) for size in OTHER_SIZES}
    contents |= {f"random {size}.avi": source.randbytes(size) for size in OTHER_SIZES}
    contents["page.mp4"] = b"<!DOCTYPE html><html><body>Not found</body></html>"
    contents["archive.mp4"] = (TESTS / "sample" / "sample.truth.npz").read_bytes()
    return contents


def _damaged() -> dict[str, bytes]:
    source = random.Random(6)
    whole = SAMPLE.read_bytes()
    contents = {f"cut {share}.mp4": whole[: round(share * len(whole))] for share in KEPT_SHARES}
    contents |= {f"headless {count}.mp4": bytes(count) + whole[count:] for count in LOST_HEADS}
    contents["tailless.mp4"] = whole[:-LOST_TAIL] + bytes(LOST_TAIL)
    for share in FLIPPED_SHARES:
        flipped = bytearray(whole)
        for place in source.sample(range(len(whole)), round(share * len(whole))):
            flipped[place] ^= 1 << source.randrange(8)
        contents[f"flipped {share}.mp4"] = bytes(flipped)
    return contents


WITHOUT_FOOTAGE, DAMAGED = _without_footage(), _damaged()


@pytest.fixture(scope="module", autouse=True)
def _registry_is_left() -> Iterator[None]:
    """Tasks choose the folder of weights for their whole process."""
    yield
    registry.use_folder(None)


def run(task: str, video: Path, folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Return what a task gave, None for nothing, and its message."""
    weights, lines = str(registry.cache_folder()), io.StringIO()
    options = {"end": 1.0, "quality": "fast"}
    job = Job(task, weights, str(folder), str(folder), video=str(video), options=options, reuse=False)
    status = serve(vars(job), lines)
    last = json.loads(lines.getvalue().splitlines()[-1])
    assert status == (last["event"] == "error")
    return last.get("value"), last.get("message", "")


def check_refused(video: Path, folder: Path, *tasks: str) -> None:
    for task in tasks or ("look", "convert"):
        value, message = run(task, video, folder)
        assert value is None
        check_sentence(message, video)


def check_sentence(message: str, video: Path) -> None:
    assert video.name in message
    assert message.endswith(".")
    assert not any(fault in message for fault in ("Traceback", "fault in Video Motion", "unexpectedly", "\n"))


@pytest.mark.parametrize("name", WITHOUT_FOOTAGE)
def test_without_footage(name: str, tmp_path: Path):
    video = tmp_path / name
    video.write_bytes(WITHOUT_FOOTAGE[name])
    check_refused(video, tmp_path)


def test_picture(tmp_path: Path):
    # A video of one frame, in which nobody can be followed.
    video = Path(shutil.copyfile(TESTS.parent / "docs" / "sample.jpg", tmp_path / "picture.mp4"))
    check_refused(video, tmp_path, "convert")


def test_folder_and_missing_file(tmp_path: Path):
    (tmp_path / "folder.mp4").mkdir()
    check_refused(tmp_path / "folder.mp4", tmp_path)
    check_refused(tmp_path / "missing.mp4", tmp_path)


@pytest.mark.parametrize("name", ["sound_only.mp4", "no_frames.mp4", "cover.m4a"])
def test_without_pictures(name: str, tmp_path: Path):
    check_refused(TESTS / "data" / name, tmp_path)


def test_plain_sound(tmp_path: Path):
    wav = tmp_path / "sound.wav"
    with wave.open(str(wav), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    check_refused(wav, tmp_path)
    check_refused(Path(shutil.copyfile(wav, tmp_path / "sound.mp4")), tmp_path)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(name: str, tmp_path: Path):
    video = tmp_path / name
    video.write_bytes(DAMAGED[name])
    value, message = run("look", video, tmp_path)
    if value is None:
        check_sentence(message, video)
    value, message = run("convert", video, tmp_path)
    if value is None:
        check_sentence(message, video)
    else:
        assert value["motions"]
