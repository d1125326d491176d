"""A person's true motion, from a motion file or a data set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...body.smpl import Body
from ...errors import VideoMotionError
from ...motion.motion import Motion
from . import metrics

_SAME_BODY = 2e-3


class EvaluationError(VideoMotionError):
    """The evaluation can't be made; the message is one sentence for the user."""


@dataclass(frozen=True)
class Truth:
    """The true motion of one person in the N frames that count.

    Lengths are metres in camera axes, pixels those of the image; what a data set lacks is None.

    Attributes:
        frames: (N,) frame numbers in the footage, increasing.
        frame_rate: frames per second.
        camera_K: (3, 3) intrinsics in pixels.
        limbs: (N, 12, 3) the joints of `metrics.LIMB_NAMES`.
        pixels: (N, 12, 2) their positions in the image.
        boxes: (N, 4) left, top, width, height of the person.
        pelvis: (N, 3).
        joints: (N, 24, 3) of SMPL.
        poses: (N, 24, 3) SMPL axis-angle rotations; the root's is in camera space.
        betas: (10,) SMPL shape.
        body: the body model of poses and betas, for the true surface.
        contacts: (N, 2) whether the left and right foot stand on the floor.
        limbs_are_landmarks: whether limbs are BlazePose's landmarks, which lie elsewhere than SMPL's joints.
    """

    frames: np.ndarray
    frame_rate: float
    camera_K: np.ndarray
    limbs: np.ndarray
    pixels: np.ndarray
    boxes: np.ndarray
    pelvis: np.ndarray | None = None
    joints: np.ndarray | None = None
    poses: np.ndarray | None = None
    betas: np.ndarray | None = None
    body: Body | None = None
    contacts: np.ndarray | None = None
    limbs_are_landmarks: bool = False

    @classmethod
    def from_smpl(
        cls,
        frames: np.ndarray,
        frame_rate: float,
        camera_K: np.ndarray,
        joints: np.ndarray,
        poses: np.ndarray,
        betas: np.ndarray,
        body: Body | None,
        contacts: np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> Truth:
        """From SMPL parameters; default boxes are those of the joints. See the class for the arguments."""
        pixels = metrics.project(joints, camera_K)
        return cls(
            frames=frames,
            frame_rate=frame_rate,
            camera_K=camera_K,
            limbs=joints[:, metrics.LIMB_JOINTS],
            pixels=pixels[:, metrics.LIMB_JOINTS],
            boxes=boxes_around(pixels) if boxes is None else boxes,
            pelvis=joints[:, 0],
            joints=joints,
            poses=poses,
            betas=betas,
            body=body,
            contacts=contacts,
        )

    @classmethod
    def from_motion(cls, motion: Motion, body: Body) -> Truth:
        """From a motion file; its surface is that of `body` if the motion was made with it."""
        recomputed = body.joints(motion.poses_cam, motion.betas, motion.trans_cam)
        same = np.abs(recomputed - motion.joints_cam).max(initial=0) <= _SAME_BODY
        return cls.from_smpl(
            motion.frames,
            motion.frame_rate,
            motion.camera_K,
            motion.joints_cam,
            motion.poses_cam,
            motion.betas,
            body if same else None,
            motion.contacts > 0.5,
            motion.boxes,
        )

    def __len__(self) -> int:
        return len(self.frames)


def boxes_around(pixels: np.ndarray) -> np.ndarray:
    """Left, top, width, height (N, 4) of the box around points (N, K, 2)."""
    return np.concatenate([pixels.min(axis=1), np.ptp(pixels, axis=1)], axis=1)


REGRESSOR = "J_regressor_h36m.npy"
"""The file of the joints that papers compare, as SPIN and its successors have it."""


class Bodies:
    """Licensed SMPL bodies in a folder: SMPL_NEUTRAL, SMPL_MALE, SMPL_FEMALE, each .npz or .pkl; or none.

    The folder may also hold `REGRESSOR`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Raises EvaluationError if there is no neutral one in the folder."""
        self._folder = folder
        self._bodies: dict[str, Body] = {}
        if folder is not None:
            self.path("neutral")

    @property
    def neutral(self) -> Path | None:
        """The file of the estimators' body; None for the free one."""
        return None if self._folder is None else self.path("neutral")

    def path(self, gender: str) -> Path:
        """The file of a body: `neutral`, `male` or `female`.

        Raises:
            EvaluationError: there is none.
        """
        name = f"SMPL_{gender.upper()}"
        if self._folder is not None:
            for suffix in (".npz", ".pkl"):
                if (file := self._folder / f"{name}{suffix}").is_file():
                    return file
        raise EvaluationError(f"SMPL's {gender} body is missing: give --smpl a folder that holds {name}.npz or .pkl.")

    @cached_property
    def regressor(self) -> np.ndarray | None:
        """(17, V) weights of `REGRESSOR`, which make Human3.6M's joints from a body's surface; None without the file.

        Raises:
            EvaluationError: it is something else.
        """
        file = None if self._folder is None else self._folder / REGRESSOR
        if file is None or not file.is_file():
            return None
        try:
            weights = np.load(file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise EvaluationError(f"{file} can't be read as an array; get it again.") from error
        if weights.shape != (17, len(self.load("neutral").v_template)):
            raise EvaluationError(f"{file} does not fit the bodies beside it: {weights.shape} in place of 17 joints.")
        return weights.astype(float)

    def load(self, gender: str) -> Body:
        """A body, read once.

        Raises:
            EvaluationError: there is none.
            BodyError: the file is not a body.
        """
        if gender not in self._bodies:
            self._bodies[gender] = Body.load(self.path(gender))
        return self._bodies[gender]
