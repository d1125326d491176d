"""The user's own camera, solved by another program: a file that replaces the camera's estimate.

It is JSON, or an `.npz` with the same names:

    size              width and height of the pictures, pixels
    K                 (3, 3) intrinsics in pixels of that size; or
    focal_mm          the focal length in mm, as for 35 mm film
    camera_to_world   (4, 4), or (M, 4, 4) where it moves: from camera axes (x right, y down, z forward) to a world in
                      metres whose z points up and whose floor is at z = 0
    seconds           (M,) of the video, increasing; without them there is one matrix for each frame of the video
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from .. import zips
from ..atomic import atomic_write
from ..body import rotations
from ..errors import VideoMotionError, reason
from .intrinsics import Camera, focal_from_film, intrinsics

_NAMES = ("size", "K", "focal_mm", "camera_to_world", "seconds")
# Sides of pictures and entries of rotations may be rounded by so much.
_SAME_SHAPE, _ROUNDED = 0.01, 0.01
_LARGEST_SIDE = 1_000_000
# Seconds by which the file may miss the video's ends.
_SHORT = 0.1


class CameraFileError(VideoMotionError):
    """A camera's file can't be used."""


@dataclass(frozen=True)
class GivenCamera:
    """A solved camera.

    Attributes:
        path: its file.
        size: width and height in pixels.
        K: (3, 3) intrinsics in pixels.
        camera_to_world: (M, 4, 4) rigid; see the module.
        seconds: (M,) of the video; None if there is one matrix for each of its frames, or only one.
    """

    path: Path
    size: tuple[int, int]
    K: np.ndarray
    camera_to_world: np.ndarray
    seconds: np.ndarray | None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            CameraFileError: it is missing, damaged or something else.
        """
        try:
            content = _read(path)
            size = tuple(int(side) for side in content["size"])
            width, height = size
            if content.get("K") is not None:
                K = np.array(content["K"], float)
            else:
                K = intrinsics((width, height), focal_from_film((width, height), float(content["focal_mm"])))
            matrices = np.array(content["camera_to_world"], float)
            matrices = matrices[None] if matrices.ndim == 2 else matrices
            seconds = None if content.get("seconds") is None else np.array(content["seconds"], float)
        except FileNotFoundError as error:
            raise CameraFileError(f"{path} does not exist: give the file of a solved camera.") from error
        except VideoMotionError:
            raise
        except KeyError as error:
            raise CameraFileError(
                f"{path} lacks {error}: a camera has size, K or focal_mm, and camera_to_world."
            ) from error
        except Exception as error:  # NumPy and JSON raise many kinds on other files.
            raise CameraFileError(f"{path} can't be read as a camera ({reason(error)}): save it again.") from error
        camera = cls(path, (width, height), K, matrices, seconds)
        camera._check()
        return camera

    def save(self) -> None:
        """Write the file: JSON, or `.npz` by its name. Raises OSError."""
        arrays = {"size": np.array(self.size), "K": self.K, "camera_to_world": self.camera_to_world}
        if self.seconds is not None:
            arrays["seconds"] = self.seconds
        with atomic_write(self.path) as temporary, temporary.open("wb") as stream:
            if self.path.suffix == ".npz":
                np.savez(stream, **arrays)  # pyrefly: ignore[bad-argument-type]
            else:
                stream.write(json.dumps({name: array.tolist() for name, array in arrays.items()}).encode())

    def _check(self) -> None:
        wrong = next(
            (
                why
                for why, holds in (
                    ("its size is not that of pictures", 0 < min(self.size) <= max(self.size) <= _LARGEST_SIDE),
                    ("its K is no matrix of intrinsics", _are_intrinsics(self.K)),
                    ("its camera_to_world is no list of rigid transforms", _are_rigid(self.camera_to_world)),
                    ("its seconds don't increase, one for each matrix", _are_times(self.seconds, self.camera_to_world)),
                )
                if not holds
            ),
            None,
        )
        if wrong is not None:
            raise CameraFileError(f"{self.path} can't be used as a camera: {wrong}.")

    def at(self, size: tuple[int, int], frames: np.ndarray, timestamps: np.ndarray) -> tuple[Camera, list[str]]:
        """The camera of a video of a size (width, height), at its frames (M,), with timestamps (M,), and warnings.

        Raises:
            CameraFileError: the file is for pictures of another shape, or has too few matrices.
        """
        scale = np.array(size) / self.size
        if abs(scale[0] / scale[1] - 1) > _SAME_SHAPE:
            raise CameraFileError(
                f"{self.path} is for pictures of {self.size[0]}×{self.size[1]} pixels, and the video has"
                f" {size[0]}×{size[1]}: solve the camera for the video itself."
            )
        K, warnings = self.K.copy(), []
        K[:2] *= scale[:, None]
        matrices = self.camera_to_world
        if len(matrices) == 1:
            to_world = np.repeat(matrices, len(frames), axis=0)
        elif self.seconds is None:
            if frames[-1] >= len(matrices):
                raise CameraFileError(
                    f"{self.path} has {len(matrices)} matrices, and the video a frame {frames[-1]}, counted from 0:"
                    " give one for each frame, or their seconds."
                )
            to_world = matrices[frames]
        else:
            to_world = _between(matrices, self.seconds, timestamps)
            first, last = self.seconds[[0, -1]]
            if timestamps[0] < first - _SHORT or timestamps[-1] > last + _SHORT:
                warnings.append(
                    f"{self.path} tells where the camera is from {first:.2f} to {last:.2f} s only; it rests before and"
                    " after."
                )
        start = to_world[0]
        turns = start[:3, :3].T @ to_world[:, :3, :3]
        positions = (to_world[:, :3, 3] - start[:3, 3]) @ start[:3, :3]
        return Camera(size, K, turns, positions, start), warnings


def _read(path: Path) -> dict[str, Any]:
    if path.suffix.lower() == ".npz":
        zips.check_zip(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in _NAMES if name in archive.files}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it is no table")
    return content


def _are_intrinsics(K: np.ndarray) -> bool:
    if K.shape != (3, 3) or not np.isfinite(K).all():
        return False
    return K[0, 0] > 0 and K[1, 1] > 0 and K[2].tolist() == [0, 0, 1]


def _are_rigid(matrices: np.ndarray) -> bool:
    if matrices.ndim != 3 or matrices.shape[1:] != (4, 4) or not len(matrices) or not np.isfinite(matrices).all():
        return False
    turns = matrices[:, :3, :3]
    square = turns @ np.swapaxes(turns, 1, 2)
    return bool(
        (np.abs(square - np.eye(3)) < _ROUNDED).all()
        and (np.linalg.det(turns) > 0).all()
        and (np.abs(matrices[:, 3] - [0, 0, 0, 1]) < _ROUNDED).all()
    )


def _are_times(seconds: np.ndarray | None, matrices: np.ndarray) -> bool:
    if seconds is None:
        return True
    if seconds.ndim != 1 or seconds.shape != matrices.shape[:1]:
        return False
    return bool(np.isfinite(seconds).all() and (np.diff(seconds) > 0).all())


def _between(matrices: np.ndarray, seconds: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rigid transforms (n, 4, 4) at times (n,) between those of others; before and after them the nearest."""
    at = np.interp(wanted, seconds, np.arange(len(seconds)))
    before = np.minimum(at.astype(int), len(seconds) - 2)
    share = at - before
    found = matrices[before].copy()
    quaternions = rotations.matrix_to_quaternion(matrices[:, :3, :3])
    turned = rotations.slerp(quaternions[before], quaternions[before + 1], share)
    found[:, :3, :3] = rotations.quaternion_to_matrix(turned)
    found[:, :3, 3] += share[:, None] * (matrices[before + 1, :3, 3] - matrices[before, :3, 3])
    return found
