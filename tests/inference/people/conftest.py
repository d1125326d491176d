from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.footage.reader import Footage, Frame
from video_motion.inference.people.blazepose import BlazePose

FOOTAGE = Path(__file__).resolve().parents[4] / "shared" / "footage"
SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "sample.mp4"
# Left of this column nobody is at frame 90 of the sample, right of it nobody is in the first frames.
EMPTY_COLUMN = 225
LONG_SIDE = 1280


@dataclass(frozen=True)
class Models:
    detector: Path
    landmarks: Path


@pytest.fixture(scope="session")
def blazepose_models() -> Models:
    return Models(registry.path("blazepose_detector"), registry.path("blazepose_landmark_full"))


@pytest.fixture(scope="session")
def blazepose(blazepose_models: Models) -> BlazePose:
    return BlazePose(blazepose_models.detector, blazepose_models.landmarks)


@pytest.fixture(scope="session")
def clip() -> Callable[[str, int, int], list[Frame]]:
    """Frames first ... last - 1 of a clip of the shared footage, 1280 pixels long, with the clip's own times."""

    def read(name: str, first: int, last: int) -> list[Frame]:
        if not (FOOTAGE / name).is_file():
            pytest.skip(f"The shared footage has no {name} here.")
        frames = []
        for frame in Footage(FOOTAGE / name):
            if frame.number >= last:
                break
            if frame.number >= first:
                scale = LONG_SIDE / max(frame.image.shape)
                image = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                frames.append(Frame(frame.number, frame.timestamp, image))
        return frames

    return read


@pytest.fixture(scope="session")
def man(blazepose: BlazePose, clip: Callable[[str, int, int], list[Frame]]) -> tuple[np.ndarray, np.ndarray]:
    """A man cut out of the courtyard: his picture (480, 240, 3) BGR uint8 and his outline (480, 240, 1), 0 to 1."""
    image = clip("courtyard_single.mp4", 31, 32)[0].image
    crop = blazepose.detect(image).crops()[0]
    crop[3] = 0
    output = blazepose.landmarker.run(image, crop)
    mask = cv2.resize(1 / (1 + np.exp(-np.clip(output.mask, -30, 30))), (600, 600))
    scale = 600 / crop[2]
    matrix = np.array([[scale, 0, 300 - scale * crop[0]], [0, scale, 300 - scale * crop[1]]])
    picture = cv2.warpAffine(image, matrix, (600, 600))
    return picture[60:540, 180:420], np.clip(2 * mask[60:540, 180:420, None] - 0.5, 0, 1)


@pytest.fixture(scope="session")
def stage(man: tuple[np.ndarray, np.ndarray]) -> Callable[..., np.ndarray]:
    """Draws an image (540, 960, 3) of an empty wall with the man at each of some places (centre x), later ones in
    front; every second one is mirrored and wears other colours."""
    picture, mask = man

    def draw(*places: float) -> np.ndarray:
        shade = np.linspace(120, 170, 540)[:, None, None] * np.array([1.0, 1.0, 0.95])
        image = np.broadcast_to(shade, (540, 960, 3)).copy()
        for i, x in enumerate(places):
            body, alpha = (picture, mask) if i % 2 == 0 else (picture[:, ::-1, [1, 2, 0]], mask[:, ::-1])
            left = round(x) - 120
            inside = slice(max(left, 0), min(left + 240, 960))
            if inside.start >= inside.stop:
                continue
            own = slice(inside.start - left, inside.stop - left)
            area = image[40:520, inside]
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
