"""Videos that are none, or that broke: each gives one sentence, and Blender lives."""

from __future__ import annotations

import random
import shutil
import wave
from pathlib import Path

import pytest

from .panel import SAMPLE, Panel, characters
from .session import Blender

DATA = Path("/repo/tests/data")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")
OTHER_SIZES = (1, 100, 10_000, 1_000_000)
KEPT_SHARES = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5, 0.9, 0.99)
LOST_HEADS = (4, 8, 64, 1024, 20_000)
LOST_TAIL = 20_000
FLIPPED_SHARES = (0.0001, 0.003, 0.01, 0.1)
THOROUGH_VERSION = [5, 0, 0]
"""Earlier Blenders see one video of each kind: reading is the worker's affair, and each takes seconds."""


@pytest.mark.timeout(600)
def test_each_gives_a_sentence(blender: Blender, tmp_path: Path):
    videos = _without_footage(tmp_path) + _without_pictures(tmp_path)
    damaged = _damaged(tmp_path)
    assert len(videos) + len(damaged) >= 50
    if blender.ask("bpy.app.version") < THOROUGH_VERSION:
        videos, damaged = _first_of_each_kind(videos), _first_of_each_kind(damaged)
    panel = Panel(blender)
    wrong = []
    for video in videos + damaged:
        panel.choose(video, trim=True, end=1.0)
        panel.wait_until_seen()
        told = panel.seen.get("message")
        if told is None or video in _first_of_each_kind(videos):
            panel.start()
            panel.wait_until_ended()
            told = panel.problem
        if video == videos[-1]:
            blender.screenshot("panel-broken")
        made = characters(blender)
        if video in damaged and made and told is None:
            blender.start_anew()
        elif made or not told or not _is_sentence(told, video):
            wrong.append(f"{video.name}: {told}, {made}")
    assert not wrong, "\n".join(wrong)


def _is_sentence(told: str, video: Path) -> bool:
    faults = ("Traceback", "fault in Video Motion", "unexpectedly", "\n")
    return video.name in told and told.endswith(".") and not any(fault in told for fault in faults)


def _first_of_each_kind(videos: list[Path]) -> list[Path]:
    kinds = {video.name.split()[0]: video for video in reversed(videos)}
    return list(kinds.values())


def _without_footage(folder: Path) -> list[Path]:
    source = random.Random(5)
    contents = {f"empty {suffix}": b"" for suffix in VIDEO_SUFFIXES}
    contents |= {f"text {suffix}": b"This is no video.\n" * 100 for suffix in VIDEO_SUFFIXES}
    contents |= {f"random {size}.mp4": source.randbytes(size) for size in OTHER_SIZES}
    contents |= {f"random {size}.avi": source.randbytes(size) for size in OTHER_SIZES}
    contents["page 404.mp4"] = b"<!DOCTYPE html><html><body>Not found</body></html>"
    contents["picture one.mp4"] = Path("/repo/docs/sample.jpg").read_bytes()
    contents["archive one.mp4"] = Path("/repo/tests/sample/sample.truth.npz").read_bytes()
    files = []
    for name, content in contents.items():
        files.append(folder / name)
        files[-1].write_bytes(content)
    files.append(folder / "folder one.mp4")
    files[-1].mkdir()
    return [*files, folder / "missing one.mp4"]


def _without_pictures(folder: Path) -> list[Path]:
    wav = folder / "sound plain.wav"
    with wave.open(str(wav), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    shutil.copyfile(wav, folder / "sound plain.mp4")
    return [DATA / "sound_only.mp4", DATA / "no_frames.mp4", DATA / "cover.m4a", wav, folder / "sound plain.mp4"]


def _damaged(folder: Path) -> list[Path]:
    source = random.Random(6)
    whole = SAMPLE.read_bytes()
    contents = {f"cut {share}.mp4": whole[: round(share * len(whole))] for share in KEPT_SHARES}
    contents |= {f"headless {count}.mp4": bytes(count) + whole[count:] for count in LOST_HEADS}
    contents["tailless one.mp4"] = whole[:-LOST_TAIL] + bytes(LOST_TAIL)
    for share in FLIPPED_SHARES:
        flipped = bytearray(whole)
        for place in source.sample(range(len(whole)), round(share * len(whole))):
            flipped[place] ^= 1 << source.randrange(8)
        contents[f"flipped {share}.mp4"] = bytes(flipped)
    files = []
    for name, content in contents.items():
        files.append(folder / name)
        files[-1].write_bytes(content)
    return files
