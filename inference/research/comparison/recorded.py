"""MediaPipe's answers for two short clips, recorded so that comparing with them needs no MediaPipe.

`.venv/bin/python -m video_motion.inference.research.comparison.recorded` records them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...atomic import atomic_write
from ...cache import hash_of_content
from ...footage.reader import Footage
from ...paths import ROOT
from .mediapipe_reference import VERSION, MediaPipe, MediaPipeError, interpreter

TESTS = ROOT / "tests"
FOLDER = TESTS / "data" / "mediapipe"


class Clip(NamedTuple):
    """Frames of a video: its path, the first frame, and the one after the last."""

    video: Path
    first: int
    end: int

    def images(self) -> list[np.ndarray]:
        """The frames (H, W, 3), BGR uint8."""
        return [frame.image for frame in Footage(self.video) if self.first <= frame.number < self.end]


class Answers(NamedTuple):
    """MediaPipe's landmarks (N, 33, 2) in pixels and world landmarks (N, 33, 3) in metres; NaN: nobody found."""

    landmarks: np.ndarray
    world_landmarks: np.ndarray


CLIPS = {
    "real": Clip(TESTS / "data" / "real" / "man.mp4", 0, 50),
    # The rendered person is entirely inside the picture in these frames.
    "rendered": Clip(TESTS / "sample" / "sample.mp4", 40, 85),
}


def run(clip: Clip) -> Answers:
    """Run MediaPipe itself on a clip.

    Raises:
        MediaPipeError: MediaPipe can't be run.
        SetupError: its environment can't be made.
    """
    images = clip.images()
    height, width = images[0].shape[:2]
    with MediaPipe(interpreter(), (width, height)) as mediapipe:
        answers = [mediapipe(image) for image in images]
    return Answers(*(np.array([answer[i] for answer in answers], np.float32) for i in (0, 1)))


def load(name: str) -> Answers:
    """Return the recorded answers for one of `CLIPS`.

    Raises:
        MediaPipeError: they are those of another MediaPipe or another clip.
    """
    with np.load(FOLDER / f"{name}.npz") as file:
        if str(file["version"]) != VERSION or str(file["video_sha256"]) != hash_of_content(CLIPS[name].video):
            raise MediaPipeError(f"{FOLDER / name}.npz belongs to another MediaPipe or clip: record it again.")
        return Answers(file["landmarks"], file["world_landmarks"])


def record() -> None:
    """Record MediaPipe's answers for all clips. Raises what `run` does."""
    FOLDER.mkdir(exist_ok=True)
    for name, clip in CLIPS.items():
        with atomic_write(FOLDER / f"{name}.npz") as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream, version=VERSION, video_sha256=hash_of_content(clip.video), **run(clip)._asdict()
            )


if __name__ == "__main__":
    record()
