from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.footage import reader
from video_motion.inference.footage.reader import Footage, FootageError, Span, checksum

DATA = Path(__file__).parents[2] / "data"
SAMPLE = DATA.parent / "sample" / "sample.mp4"


def write_video(path: Path, frames: int = 20, size: tuple[int, int] = (96, 64), codec: str = "MJPG") -> Path:
    """Frame i is a flat grey of value 10 + 4 i."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((size[1], size[0], 3), 10 + 4 * (number % 60), np.uint8))
    writer.release()
    return path


def read(path: Path, start: float | None = None, end: float | None = None):
    with Footage(path, start, end) as footage:
        return footage, list(footage)


def threads() -> int:
    return sum(thread.name == "footage" for thread in threading.enumerate())


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "FFV1")])
def test_frames_in_order(tmp_path: Path, suffix: str, codec: str):
    footage, frames = read(write_video(tmp_path / f"a b%d{suffix}", codec=codec))
    assert (footage.width, footage.height) == (96, 64)
    assert footage.frame_rate == pytest.approx(10)
    assert footage.frame_count == 20
    assert footage.duration == pytest.approx(2.0)
    assert footage.warnings == []
    assert [frame.number for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(20) / 10, atol=1e-6)
    np.testing.assert_allclose([frame.image.mean() for frame in frames], 10 + 4 * np.arange(20), atol=4)
    assert frames[0].image.shape == (64, 96, 3)
    assert frames[0].image.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("long.mp4", True),
        ("long.mkv", True),
        ("sample.mp4", True),
        ("variable.mp4", True),
        ("late_start.mkv", True),
        ("rotated.mp4", True),
        # Nothing but reading from the start finds a frame without a stamp, which some of these have.
        ("reordered.avi", None),
        ("no_clock.h264", False),
    ],
)
def test_a_span_is_what_reading_from_the_start_gives(tmp_path: Path, monkeypatch, name: str, found: bool | None):
    """Wherever in the file it begins, and whether the decoder can begin near it or not."""
    file = SAMPLE if name == SAMPLE.name else DATA / name
    if name.startswith("long"):
        file = write_video(tmp_path / name, 150, codec="mp4v" if name.endswith("mp4") else "FFV1")
    _, frames = read(file)
    plain, went = reader._Reader._sought, []
    monkeypatch.setattr(reader._Reader, "_sought", lambda self, *given: went.append(plain(self, *given)) or went[-1])
    # Two seconds before are the start of most of these.
    monkeypatch.setattr(reader, "SEEK_SECONDS", 0.3)
    for place in sorted({1, len(frames) // 3, len(frames) // 2, len(frames) - 2}):
        first = frames[place]
        right = checksum(first.image)
        for end, sum_of_picture in ((frames[-1].number, right), (None, right), (None, right + 1)):
            with Footage(file, span=Span(first.number, end, first.timestamp, sum_of_picture)) as footage:
                seen = list(footage)
            wanted = frames[place : None if end is None else -1]
            assert [(one.number, one.timestamp) for one in seen] == [(one.number, one.timestamp) for one in wanted]
            assert all(np.array_equal(one.image, other.image) for one, other in zip(seen, wanted, strict=True))
    if found is not None:
        assert [image is not None for image in went[:2]] == [found, found]
    assert went[2] is None, "another picture is there"


def test_trim_keeps_numbers_and_times(tmp_path: Path):
    footage, frames = read(write_video(tmp_path / "a.avi"), 0.5, 1.2)
    assert [frame.number for frame in frames] == list(range(5, 12))
    assert frames[0].timestamp == pytest.approx(0.5)
    assert footage.frame_count == 7
    assert footage.duration == pytest.approx(0.7)
    assert footage.warnings == []


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (-1, None, "give a start of 0 or more"),
        (float("nan"), None, "give a start of 0 or more"),
        (1, 1, "give a later end"),
        (5, None, "can't start at 5 s"),
        (0.01, 0.02, "no frame between 0.01 s and 0.02 s"),
    ],
)
def test_impossible_trims(tmp_path: Path, start: float, end: float | None, words: str):
    with pytest.raises(FootageError, match=words):
        read(write_video(tmp_path / "a.avi"), start, end)


def test_reads_again_each_time(tmp_path: Path):
    with Footage(write_video(tmp_path / "a.avi")) as footage:
        assert len(list(footage)) == len(list(footage)) == 20


def test_rotation_is_applied():
    footage, frames = read(DATA / "rotated.mp4")
    assert (footage.width, footage.height) == (64, 96)
    top, bottom = frames[0].image[10, 32], frames[0].image[-10, 32]
    # Turned against the clock, as FFmpeg itself does it, the red left half comes to the bottom.
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]


@pytest.mark.parametrize("name", ["variable.mp4", "late_start.mkv"])
def test_variable_frame_rate(name: str):
    true = np.loadtxt(DATA / "variable.txt")
    footage, frames = read(DATA / name)
    np.testing.assert_allclose([frame.timestamp for frame in frames], true, atol=6e-4)
    assert footage.frame_rate == pytest.approx(len(true) / (true[-1] + 1 / 15), rel=0.01)
    assert footage.warnings == []


@pytest.mark.parametrize(("name", "rate", "missing"), [("reordered.avi", 10, 2), ("no_clock.h264", 25, 9)])
def test_missing_stamps_are_filled(name: str, rate: float, missing: int):
    footage, frames = read(DATA / name)
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(10) / rate, atol=1e-6)
    assert f"no valid timestamp for {missing} of 10 frames" in footage.warnings[0]


@pytest.mark.parametrize(
    ("name", "colour", "slack"),
    [("ten_bit.mp4", (0, 0, 254), 8), ("grey.mkv", (128, 128, 128), 2), ("alpha.mov", (0, 255, 0), 0)],
)
def test_other_pixels_become_bgr(name: str, colour: tuple[int, int, int], slack: int):
    footage, frames = read(DATA / name)
    assert len(frames) == 3
    assert frames[0].image.dtype == np.uint8
    np.testing.assert_allclose(frames[0].image[32, 48], colour, atol=slack)
    assert footage.warnings == []


def test_cut_off_file_gives_what_is_there():
    footage, frames = read(DATA / "cut_off.mp4")
    assert len(frames) == 9
    assert "ends after 0.9 s of the 5 s it declares" in footage.warnings[0]


def test_pixels_that_are_not_square_are_reported():
    footage, _ = read(DATA / "wide_pixels.mp4")
    assert "not square (2:1)" in footage.warnings[0]


@pytest.mark.parametrize(("size", "words"), [((16, 16), "only 16×16"), ((7680, 4320), "7680×4320 pixels: a copy half")])
def test_tiny_and_huge(tmp_path: Path, size: tuple[int, int], words: str):
    footage, frames = read(write_video(tmp_path / "a.avi", 3, size))
    assert len(frames) == 3
    assert frames[0].image.shape == (size[1], size[0], 3)
    assert words in footage.warnings[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sound_only.mp4", "has sound only"),
        ("cover.m4a", "single picture"),
        ("no_frames.mp4", "no video that can be read"),
        ("README.md", "it is not a video"),
        ("missing.mp4", "does not exist"),
        (".", "is a folder"),
    ],
)
def test_unusable_inputs(name: str, words: str):
    with pytest.raises(FootageError, match=words) as caught:
        read(DATA / name)
    assert str(DATA / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_and_damaged_files(tmp_path: Path):
    empty, noise, headless = tmp_path / "empty.mp4", tmp_path / "noise.mp4", tmp_path / "headless.mp4"
    empty.touch()
    noise.write_bytes(np.random.default_rng(1).bytes(20000))
    # The index of this file stands at its end.
    whole = write_video(tmp_path / "a.mp4", codec="mp4v").read_bytes()
    headless.write_bytes(whole[: whole.index(b"moov")])
    for path, words in ((empty, "is empty"), (noise, "no video"), (headless, "no video")):
        with pytest.raises(FootageError, match=words):
            read(path)


def test_unreadable_name_and_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(FootageError, match="not an ordinary file"):
        read(tmp_path / "pipe.mp4")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.avi"))
    os.rename(write_video(tmp_path / "a.avi"), odd)
    with pytest.raises(FootageError, match="rename the file"):
        read(odd)


def test_name_is_never_a_network_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.avi").rename("concat:a.avi")
    _, frames = read(Path("concat:a.avi"))
    assert len(frames) == 20


def test_early_exit_stops_the_thread(tmp_path: Path):
    path = write_video(tmp_path / "a.avi", 100)
    for _ in Footage(path):
        break
    with Footage(path) as footage:
        frames = iter(footage)
        next(frames)
        assert threads() == 1
    assert threads() == 0
    footage = Footage(path)
    with pytest.raises(ZeroDivisionError):
        [1 // frame.number for frame in footage]
    footage.close()
    assert threads() == 0


def test_reads_a_bounded_number_of_frames_ahead(tmp_path: Path):
    with Footage(write_video(tmp_path / "a.avi", 60)) as footage:
        frames = iter(footage)
        next(frames)
        time.sleep(0.3)
        assert footage._readers[0]._queue.qsize() <= 8
        assert len(list(frames)) == 59


def test_nothing_on_stderr(tmp_path: Path):
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    code = f"""
from video_motion.inference.footage import reader
from video_motion.inference.footage.reader import Footage, FootageError, Span, checksum
for name in {[str(DATA / "cut_off.mp4"), str(tmp_path / "noise.mp4")]!r}:
    try:
        list(Footage(name))
    except FootageError:
        pass
"""
    root = str(Path(__file__).parents[3])
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
        check=True,
    )
    assert result.stdout == result.stderr == ""


def write_images(folder: Path, numbers: Iterable[int], name: str = "image_{}.png", side: int = 96) -> Path:
    """Image n is a flat grey of value n."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(str(folder / name.format(number)), np.full((64, side, 3), number, np.uint8))
    return folder


def test_folder_of_numbered_images(tmp_path: Path):
    folder = write_images(tmp_path / "images", [7, 8, 9, 10, 11])
    (folder / "cover.png").write_bytes(b"no number")
    (folder / "notes 3.txt").touch()
    footage, frames = read(folder)
    assert (footage.width, footage.height, footage.frame_count, footage.frame_rate) == (96, 64, 5, 30)
    assert footage.warnings == []
    assert [frame.number for frame in frames] == list(range(5))
    assert [frame.image[0, 0, 0] for frame in frames] == [7, 8, 9, 10, 11]
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(5) / 30, atol=1e-9)
    with Footage(folder, 0.1, 0.4, frame_rate=10) as slow:
        assert [frame.number for frame in slow] == [1, 2, 3]
        assert len(list(slow)) == 3
        assert slow.duration == pytest.approx(0.3)


def test_unusable_images(tmp_path: Path):
    with pytest.raises(FootageError, match="folder without numbered images"):
        read(tmp_path)
    folder = write_images(tmp_path / "images", [1, 2, 3])
    write_images(folder, [4], side=80)
    with pytest.raises(FootageError, match=r"image_4\.png has another size"):
        read(folder)
    (folder / "image_4.png").write_bytes(b"hello")
    with pytest.raises(FootageError, match=r"image_4\.png is not an image"):
        read(folder)
    assert threads() == 0


def test_png_whose_piece_goes_on_after_its_end_is_refused_unread(tmp_path: Path):
    """OpenCV would reserve the four gigabytes that it claims; what follows a whole PNG doesn't matter."""
    folder = write_images(tmp_path / "images", [1, 2])
    (image,) = folder.glob("*_2.png")
    content = image.read_bytes()
    image.write_bytes(content + b"\xff" * 20)
    assert len(read(folder)[1]) == 2
    place = content.index(b"IDAT")
    image.write_bytes(content[: place - 4] + b"\xff\xff\xff\xff" + content[place:])
    with pytest.raises(FootageError, match=r"image_2\.png is not an image"):
        read(folder)
