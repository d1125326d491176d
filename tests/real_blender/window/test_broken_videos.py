"""Videos that are none, or that broke, in the panel; tests/inference/test_broken_videos.py tries many more."""

from __future__ import annotations

from pathlib import Path

from .panel import SAMPLE, Panel, characters
from .session import Blender


def test_what_is_no_video_gives_a_sentence(blender: Blender, tmp_path: Path):
    text = tmp_path / "text.mp4"
    text.write_text("This is no video.\n" * 100)
    panel = Panel(blender)
    for video in (text, tmp_path / "missing.mp4"):
        panel.choose(video)
        panel.wait_until_seen()
        _check_sentence(panel.seen.get("message"), video)
        assert not blender.ask("bpy.ops.video_motion.import_video.poll()")
        assert not characters(blender)
    blender.screenshot("panel-broken")


def test_a_video_without_its_beginning_gives_a_sentence(blender: Blender, tmp_path: Path):
    whole, panel = SAMPLE.read_bytes(), Panel(blender)
    video = tmp_path / "headless.mp4"
    video.write_bytes(bytes(64) + whole[64:])
    panel.choose(video)
    panel.wait_until_seen()
    _check_sentence(panel.seen.get("message"), video)
    blender.screenshot("panel-broken")
    assert not blender.ask("bpy.ops.video_motion.import_video.poll()")


def _check_sentence(told: str | None, video: Path) -> None:
    assert told
    assert video.name in told
    assert told.endswith(".")
    assert not any(fault in told for fault in ("Traceback", "fault in Video Motion", "unexpectedly", "\n"))
