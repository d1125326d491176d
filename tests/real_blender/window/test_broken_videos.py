"""Videos that are none, or that broke, in the panel; tests/inference/test_broken_videos.py tries many more."""

from __future__ import annotations

from pathlib import Path

from .panel import SAMPLE, Panel, characters
from .session import Blender

DATA = Path("/repo/tests/data")


def test_what_is_no_video_gives_a_sentence(blender: Blender, tmp_path: Path):
    text, folder = tmp_path / "text.mp4", tmp_path / "folder.mp4"
    text.write_text("This is no video.\n" * 100)
    folder.mkdir()
    panel = Panel(blender)
    for video in (text, folder, tmp_path / "missing.mp4", DATA / "sound_only.mp4", DATA / "no_frames.mp4"):
        panel.choose(video)
        panel.wait_until_seen()
        _check_sentence(panel.seen.get("message"), video)
        assert not blender.ask("bpy.ops.video_motion.import_video.poll()")
        assert not characters(blender)
    blender.screenshot("panel-broken")


def test_a_damaged_video_gives_a_sentence_or_what_is_left_of_it(blender: Blender, tmp_path: Path):
    whole, panel = SAMPLE.read_bytes(), Panel(blender)
    for name, content in {"cut": whole[: len(whole) // 2], "headless": bytes(64) + whole[64:]}.items():
        video = tmp_path / f"{name}.mp4"
        video.write_bytes(content)
        panel.choose(video, trim=True, end=1.0)
        panel.wait_until_seen()
        if "message" in panel.seen:
            _check_sentence(panel.seen["message"], video)
            assert not blender.ask("bpy.ops.video_motion.import_video.poll()")
            continue
        panel.start()
        panel.wait_until_ended()
        if characters(blender):
            assert panel.problem is None
            blender.start_anew()
        else:
            _check_sentence(panel.problem, video)


def _check_sentence(told: str | None, video: Path) -> None:
    assert told
    assert video.name in told
    assert told.endswith(".")
    assert not any(fault in told for fault in ("Traceback", "fault in Video Motion", "unexpectedly", "\n"))
