"""Where films are cut, and what only looks like a cut, in real video files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.footage.reader import Footage
from video_motion.inference.footage.shots import in_shots

TESTS = Path(__file__).parents[2]
SIZE = (320, 240)


@pytest.fixture(scope="module")
def sample() -> list[np.ndarray]:
    return [cv2.resize(frame.image, SIZE) for frame in Footage(TESTS / "sample" / "sample.mp4", 1.0, 3.0)]


@pytest.fixture(scope="module")
def man() -> list[np.ndarray]:
    images = (frame.image for frame in Footage(TESTS / "data" / "real" / "man.mp4"))
    return [cv2.resize(image[400:1210], SIZE) for image in images]


@pytest.fixture
def cuts(tmp_path: Path) -> Callable[[Sequence[np.ndarray]], list[int]]:
    """The frames of a film of 25 frames a second that begin a new shot."""

    def cuts_of(images: Sequence[np.ndarray]) -> list[int]:
        film = tmp_path / "film.avi"
        writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE)
        for image in images:
            writer.write(image)
        writer.release()
        footage = Footage(film)
        found = [(frame.number, shot) for shot, frame in in_shots(footage, footage.frame_rate)]
        assert [number for number, _ in found] == list(range(len(images)))
        return [number for (number, shot), (_, before) in zip(found[1:], found[:-1], strict=True) if shot != before]

    return cuts_of


def test_joined_clips_are_told_apart(cuts, sample: list[np.ndarray], man: list[np.ndarray]):
    assert cuts([*sample[:12], *man[:9], *sample[20:32]]) == [12, 21]
    # Twice within a fifth of a second, and to another size of picture of the same man.
    near = [cv2.resize(image[60:180, 100:260], SIZE) for image in man]
    assert cuts([*sample[:10], *man[:3], *near[3:20]]) == [10, 13]


def test_clips_without_cuts_have_none(cuts, sample: list[np.ndarray], man: list[np.ndarray]):
    assert cuts(sample) == cuts(man) == []
    # Three frames out of four are missing.
    assert cuts(man[::4]) == []


@pytest.mark.parametrize("frames", [1, 3])
def test_flash_and_light_are_no_cuts(cuts, man: list[np.ndarray], frames: int):
    images = [image.astype(float) for image in man[:24]]
    for number in range(8, 8 + frames):
        images[number] = 1.5 * images[number] + 120
    dark = [0.25 * image for image in images[:12]] + images[12:]
    for film in (images, dark):
        assert cuts([image.clip(0, 255).astype(np.uint8) for image in film]) == []


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_fast_pan_is_no_cut(cuts, share: float):
    """A window that moves over a wide picture by a share of its width in each frame, blurred as a camera would."""
    # Bumps of all sizes.
    noise, wide = np.random.default_rng(0), np.zeros((SIZE[1], 12 * SIZE[0], 3))
    for side in (8, 24, 72):
        coarse = noise.normal(0, 25, (SIZE[1] // side + 1, 12 * SIZE[0] // side + 1, 3))
        wide += cv2.resize(coarse, wide.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    wide, step = (128 + wide).clip(0, 255).astype(np.uint8), round(share * SIZE[0])
    blurred = cv2.blur(wide, (max(step // 2, 1), 1))
    starts = [*[0] * 8, *(step * number for number in range(1, 30))]
    assert cuts([(blurred if start else wide)[:, start : start + SIZE[0]] for start in starts]) == []


@pytest.mark.parametrize("width", [0.4, 0.9])
@pytest.mark.parametrize("frames", [5, 10])
def test_somebody_close_by_is_no_cut(cuts, man: list[np.ndarray], width: float, frames: int):
    """Somebody who hides most of the picture walks by in a fifth of a second and more."""
    clothes = cv2.resize(man[0][60:200, 130:190], (round(width * SIZE[0]), SIZE[1]))
    images = [image.copy() for image in man[:30]]
    for number, image in enumerate(images[10 : 10 + frames]):
        left = round((SIZE[0] + clothes.shape[1]) * (number + 0.5) / frames) - clothes.shape[1]
        begin, end = max(left, 0), min(left + clothes.shape[1], SIZE[0])
        image[:, begin:end] = clothes[:, begin - left : end - left]
    assert cuts(images) == []
