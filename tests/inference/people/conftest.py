from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.footage.reader import Footage, Frame
from video_motion.inference.models import load_people
from video_motion.inference.people.blazepose import BlazePose, read_poses
from video_motion.inference.people.crops import cut

REAL = Path(__file__).resolve().parents[2] / "data" / "real" / "man.mp4"
SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "sample.mp4"
# Left of this column nobody is at frame 90 of the sample, right of it nobody is in the first frames.
EMPTY_COLUMN = 225
DARKER = np.array([0.5, 0.5, 0.6])


@pytest.fixture(scope="session")
def blazepose() -> BlazePose:
    return load_people("fast")[0]


@pytest.fixture(scope="session")
def clip() -> list[Frame]:
    """The 50 frames (1280, 720, 3) of a real man, at 30 frames a second."""
    return list(Footage(REAL))


@pytest.fixture(scope="session")
def man(blazepose: BlazePose, clip: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """A man cut out of the clip: his picture (480, 240, 3) BGR uint8 and his outline (480, 240, 1), 0 to 1."""
    image = clip[2].image
    landmarks = read_poses(blazepose, [image], blazepose.detect(image).crops()[:1])[0].landmarks
    top, bottom = landmarks[:, 1].min(), landmarks[:, 1].max()
    # The head reaches above its landmarks.
    middle = (0.55 * top + 0.45 * bottom, 1.6 * (bottom - top))
    crop = np.array([landmarks[[23, 24], 0].mean(), *middle, 0.0])
    (output,) = blazepose.landmarker.run([cut(image, crop, 256)])
    mask = cv2.resize(1 / (1 + np.exp(-np.clip(output.mask, -30, 30))), (600, 600))
    scale = 600 / crop[2]
    matrix = np.array([[scale, 0, 300 - scale * crop[0]], [0, scale, 300 - scale * crop[1]]])
    picture = cv2.warpAffine(image, matrix, (600, 600))
    return picture[60:540, 180:420], np.clip(2 * mask[60:540, 180:420, None] - 0.5, 0, 1)


@pytest.fixture(scope="session")
def stage(man: tuple[np.ndarray, np.ndarray]) -> Callable[..., np.ndarray]:
    """Draws an image (540, 960, 3) of an empty wall with the man at each of some places, later ones in front.

    A place is the x of his centre, or that and his size, at most 1: smaller ones stand farther up, as if farther away.
    Every second man is mirrored and darker.
    """
    picture, mask = man

    def draw(*places: float | tuple[float, float]) -> np.ndarray:
        shade = np.linspace(120, 170, 540)[:, None, None] * np.array([1.0, 1.0, 0.95])
        image = np.broadcast_to(shade, (540, 960, 3)).copy()
        for i, place in enumerate(places):
            x, size = place if isinstance(place, tuple) else (place, 1.0)
            body, alpha = (picture, mask) if i % 2 == 0 else (picture[:, ::-1] * DARKER, mask[:, ::-1])
            if size != 1.0:
                body = cv2.resize(body, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
                alpha = cv2.resize(alpha, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)[..., None]
            height, width = body.shape[:2]
            left, bottom = round(x) - width // 2, 320 + round(200 * size)
            inside = slice(max(left, 0), min(left + width, 960))
            if inside.start >= inside.stop:
                continue
            own = slice(inside.start - left, inside.stop - left)
            area = image[bottom - height : bottom, inside]
            area += alpha[:, own] * (body[:, own] - area)
        return image.astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def room() -> np.ndarray:
    """The furnished room (480, 640, 3) of the sample without the person."""
    images = [frame.image for frame in Footage(SAMPLE) if frame.number < 95]
    room = np.median(images[:6], axis=0)
    room[:, :EMPTY_COLUMN] = np.median(images[85:], axis=0)[:, :EMPTY_COLUMN]
    return room.astype(np.uint8)
