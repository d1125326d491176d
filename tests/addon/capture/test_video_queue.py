"""Several videos, one after the other: what is done, what fails, what is left out."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from video_motion.addon.capture.video_queue import DONE, FAILED, WAITING
from video_motion.addon.takes.record import provenance_of, takes_in

from ..sample import SAMPLE, needs_packages

pytestmark = pytest.mark.interface


@pytest.fixture
def queue(enabled):
    enabled.hands = False
    waiting = bpy.context.window_manager.video_motion_queue
    waiting.clear()
    return waiting


def open_videos(*files: Path, **more) -> None:
    names = [{"name": file.name} for file in files]
    bpy.ops.video_motion.open_video(filepath=str(files[0]), directory=f"{files[0].parent}/", files=names, **more)


def part_of_the_sample(file: Path, first: int, count: int) -> Path:
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(str(SAMPLE))
    frames = [capture.read()[1] for _ in range(first + count)][first:]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return file


@needs_packages
def test_each_becomes_a_take_and_failures_are_told(queue, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("This is no video.\n" * 100)
    videos = [part_of_the_sample(tmp_path / f"{name}.mp4", 50 * row, 20) for row, name in enumerate(("one", "two"))]
    open_videos(videos[0], text, videos[1], tmp_path / "missing.mp4")
    scene = bpy.context.scene
    assert scene.video_motion.filepath == ""
    assert [video.state for video in queue.videos] == [WAITING] * 4
    # What was chosen for another video does not hold for these.
    scene.video_motion.trim, scene.video_motion.end, scene.video_motion.people = True, 0.1, "3"
    assert bpy.ops.video_motion.import_queue() == {"FINISHED"}
    told = [video.message for video in queue.videos]
    assert [video.state for video in queue.videos] == [DONE, FAILED, DONE, FAILED], told
    assert "1 person imported" in queue.videos[0].message
    assert "text.mp4" in queue.videos[1].message
    assert "missing.mp4 does not exist" in queue.videos[3].message
    assert [take.name for take in takes_in(scene)] == ["one", "two"]
    assert [provenance_of(take)["report"]["frames"] for take in takes_in(scene)] == [20, 20]
    assert not bpy.ops.video_motion.import_queue.poll()


def test_one_is_chosen_several_wait(queue, tmp_path):
    settings = bpy.context.scene.video_motion
    open_videos(tmp_path / "a.mp4")
    assert (Path(settings.filepath).name, len(queue.videos)) == ("a.mp4", 0)
    open_videos(tmp_path / "b.mp4", tmp_path / "c.mov", tmp_path / "notes.txt")
    open_videos(tmp_path / "d.mp4", add=True)
    open_videos(tmp_path / "c.mov", add=True)
    assert [video.name for video in queue.videos] == ["b.mp4", "c.mov", "d.mp4"]
    bpy.ops.video_motion.leave_out(index=1)
    assert [video.name for video in queue.waiting()] == ["b.mp4", "d.mp4"]
    bpy.ops.video_motion.clear_queue()
    assert not len(queue.videos)


def test_another_file_empties_it(queue, tmp_path):
    open_videos(tmp_path / "b.mp4", tmp_path / "c.mov")
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not len(bpy.context.window_manager.video_motion_queue.videos)
