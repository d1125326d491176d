"""The first frames of the sample clip, to be written down in every layout."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.footage.reader import Footage
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.evaluation import evaluate
from video_motion.inference.research.evaluation.truth import Bodies

FRAMES = 20


@dataclass
class Sample:
    """What a data set would be made from.

    Attributes:
        motion: the true motion of the first frames.
        images: of those frames.
        to_camera: (N, 4, 4) rigid transforms from a made-up world to each frame's camera.
    """

    motion: Motion
    images: list[np.ndarray]
    to_camera: np.ndarray

    @property
    def from_camera(self) -> np.ndarray:
        return np.linalg.inv(self.to_camera)

    def write_images(self, folder: Path, name: str, first: int) -> None:
        folder.mkdir(parents=True)
        for number, image in enumerate(self.images, start=first):
            cv2.imwrite(str(folder / name.format(number)), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


@pytest.fixture(scope="session")
def sample() -> Sample:
    motion = Motion.load(evaluate.SAMPLE / "sample.truth.npz")
    # The clip's body was built by another version, whose joints lie a few hundredths of a millimetre elsewhere.
    body = Body.load(registry.body_path())
    motion = replace(motion, joints_cam=body.joints(motion.poses_cam, motion.betas, motion.trans_cam))
    with Footage(evaluate.SAMPLE / "sample.mp4") as footage:
        images = [frame.image for frame, _ in zip(footage, range(FRAMES), strict=False)]
    turns = np.random.default_rng(4).normal(size=(FRAMES, 3))
    to_camera = np.tile(np.eye(4), (FRAMES, 1, 1))
    to_camera[:, :3, :3] = [cv2.Rodrigues(turn)[0] for turn in turns]
    to_camera[:, :3, 3] = turns[::-1]
    return Sample(motion.trimmed(motion.frames < FRAMES), images, to_camera)


@pytest.fixture(scope="session")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Bodies:
    """The free body in place of SMPL's."""
    folder = tmp_path_factory.mktemp("smpl")
    for gender in ("NEUTRAL", "MALE", "FEMALE"):
        shutil.copy(registry.body_path(), folder / f"SMPL_{gender}.npz")
    return Bodies(folder)
