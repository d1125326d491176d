"""Cameras whose lenses and places are known, and the files that say so."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from ...errors import reason
from ...footage.naming import is_video
from .truth import EvaluationError

FORMATS = "Qualisys' .qca.txt, or the TOML file of Pose2Sim or Anipose"

_SUFFIXES = (".toml", ".txt", ".xml")
_MOST_BYTES = 10_000_000
_SUBPIXELS = 64
"""QCA files count lengths in the image in so many parts of a pixel."""
_MOST_COEFFICIENTS = 14
_COEFFICIENTS = (4, 5, 8, 12, 14)
"""How many OpenCV takes."""
_FARTHEST = 100.0
"""Metres between cameras, beyond which a file's lengths are millimetres."""
_SAME_SHAPE = 2e-3
_MOST_CROPPED = 0.05


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera that stands still.

    Attributes:
        name: of the camera, unique in its file.
        size: width and height in pixels of the images that K is of.
        K: (3, 3) intrinsics in pixels.
        distortion: (D,) the lens's coefficients, in OpenCV's order.
        rotation: (3, 3) from the calibration's world to camera space (x right, y down, z forward).
        translation: (3,) metres; a point p of the world is at `rotation @ p + translation` in camera space.
    """

    name: str
    size: tuple[int, int]
    K: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    @property
    def position(self) -> np.ndarray:
        """(3,) in the world."""
        return -self.rotation.T @ self.translation

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the world in camera space."""
        return points @ self.rotation.T + self.translation

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Where the lens shows points (..., 3) of the world, (..., 2)."""
        flat = np.ascontiguousarray(points, float).reshape(-1, 1, 3)
        if not len(flat):
            return np.zeros((*points.shape[:-1], 2))
        turn, _ = cv2.Rodrigues(self.rotation)
        shown, _ = cv2.projectPoints(flat, turn, self.translation, self.K, self.distortion)
        return shown.reshape(*points.shape[:-1], 2)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) without lens and intrinsics: x / z and y / z in camera space."""
        flat = np.ascontiguousarray(pixels, float).reshape(-1, 1, 2)
        if not len(flat):
            return np.zeros(pixels.shape)
        return cv2.undistortPoints(flat, self.K, self.distortion).reshape(pixels.shape)

    def filming(self, size: tuple[int, int], video: Path) -> CalibratedCamera:
        """The camera for a video of another size: resized if its sides are in the same proportion, else cut off.

        Encoders cut off what doesn't fill their blocks, on the right and at the bottom.

        Raises:
            EvaluationError: the video can't be of this camera.
        """
        wide, high = size[0] / self.size[0], size[1] / self.size[1]
        if size == self.size:
            return self
        if abs(wide / high - 1) < _SAME_SHAPE:
            return replace(self, size=size, K=np.diag([wide, high, 1.0]) @ self.K)
        if not all(1 - _MOST_CROPPED <= side <= 1 for side in (wide, high)):
            raise EvaluationError(
                f"{video} is {size[0]}×{size[1]} and its camera {self.name} was calibrated at {self.size[0]}×"
                f"{self.size[1]}: give the video as it was filmed, or resized as a whole."
            )
        return replace(self, size=size)


def read_calibration(file: Path) -> list[CalibratedCamera]:
    """The cameras of a file, in natural order of their names.

    Qualisys' QCA (XML, millimetres), or TOML with a table per camera: `size`, `matrix`, `distortions`, `rotation`
    (axis-angle), `translation` in metres. What the file is called doesn't matter.

    Raises:
        EvaluationError: it can't be read, or is neither.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        text = file.read_text(encoding="utf-8")
        cameras = (_read_qca if text.lstrip("\ufeff \r\n\t").startswith("<") else _read_toml)(text)
        for camera in cameras:
            _check(camera)
    except OSError as error:
        raise EvaluationError(f"{file} can't be read ({error.strerror}): give --calibration {FORMATS}.") from error
    except Exception as error:  # parsers and NumPy raise many kinds on damaged files
        said = f"it lacks {error}" if isinstance(error, KeyError) else reason(error)
        raise EvaluationError(f"{file} is damaged or no calibration ({said}): give {FORMATS}.") from error
    if len(cameras) < 2:
        raise EvaluationError(f"{file} has fewer than two cameras: calibrate more of them.")
    if len({camera.name for camera in cameras}) < len(cameras):
        raise EvaluationError(f"{file} has two cameras of the same name: give each its own.")
    if np.ptp([camera.position for camera in cameras], axis=0).max() > _FARTHEST:
        raise EvaluationError(f"{file} has cameras more than {_FARTHEST:.0f} m apart: give its translations in metres.")
    return sorted(cameras, key=lambda camera: natural(camera.name))


def find_calibration(folder: Path) -> Path:
    """The one calibration file in a folder or its subfolders.

    Raises:
        EvaluationError: there is none, or several.
    """
    found = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in _SUFFIXES and _looks_like_one(file)]
    if not found:
        raise EvaluationError(f"There is no calibration in {folder}: give --calibration {FORMATS}.")
    if len(found) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in found)
        raise EvaluationError(f"{folder} has several calibrations ({names}): choose one with --calibration.")
    return found[0]


def pair_with_videos(cameras: Sequence[CalibratedCamera], folder: Path) -> list[tuple[CalibratedCamera, Path]]:
    """Each camera with its video in a folder or its subfolders: of the same name, else in natural order of the names.

    Raises:
        EvaluationError: it is not clear which video is whose.
    """
    videos = sorted((file for file in folder.rglob("*") if is_video(file)), key=lambda file: natural(file.stem))
    by_name = {video.stem: video for video in videos}
    named = [(camera, by_name[camera.name]) for camera in cameras if camera.name in by_name]
    if len(named) >= 2 and len(by_name) == len(videos):
        return named
    if len(videos) != len(cameras):
        raise EvaluationError(
            f"{folder} has {len(videos)} videos for {len(cameras)} cameras ({', '.join(one.name for one in cameras)}):"
            " name the videos like the cameras."
        )
    return list(zip(cameras, videos, strict=True))


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _looks_like_one(file: Path) -> bool:
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return False
        text = file.read_text(encoding="utf-8")
        if file.suffix.lower() == ".toml":
            return bool(_tables(text))
        return "<calibration" in text[:1000]
    except (OSError, ValueError):
        return False


def _tables(text: str) -> dict[str, Mapping[str, Any]]:
    content = tomllib.loads(text)
    return {name: table for name, table in content.items() if isinstance(table, Mapping) and "matrix" in table}


def _read_toml(text: str) -> list[CalibratedCamera]:
    cameras = []
    for name, table in _tables(text).items():
        if table.get("fisheye"):
            raise ValueError(f"{name} has a fisheye lens, which is not supported")
        width, height = table["size"]
        rotation, _ = cv2.Rodrigues(_numbers(table["rotation"], 3))
        cameras.append(
            CalibratedCamera(
                name=str(table.get("name", name)),
                size=(round(width), round(height)),
                K=_numbers(table["matrix"], 3, 3),
                distortion=_coefficients(table["distortions"]),
                rotation=rotation,
                translation=_numbers(table["translation"], 3),
            )
        )
    return cameras


def _read_qca(text: str) -> list[CalibratedCamera]:
    cameras = []
    for camera in ElementTree.fromstring(text).findall("cameras/camera"):
        # The others see markers only.
        if not re.search("video|none", camera.get("model", "none"), re.IGNORECASE):
            continue
        view, pose, lens = (_values(camera, tag) for tag in ("fov_video", "transform", "intrinsic"))
        turn = np.array([[pose(f"r{row}{column}") for column in (1, 2, 3)] for row in (1, 2, 3)])
        # QCA's camera looks along -z with y up; its x, y, z are the camera's place in millimetres.
        rotation = np.diag([1.0, -1.0, -1.0]) @ turn
        focal = [lens(f"focalLength{axis}") / _SUBPIXELS for axis in "UV"]
        centre = [lens(f"centerPoint{axis}") / _SUBPIXELS - view(side) for axis, side in (("U", "left"), ("V", "top"))]
        names = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
        cameras.append(
            CalibratedCamera(
                name=camera.attrib["serial"],
                size=(
                    round(view("right") - view("left")) + 1,
                    round(view("bottom") - view("top")) + 1,
                ),
                K=np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]]),
                distortion=_coefficients([*map(lens, names), lens("radialDistortion3")]),
                rotation=rotation,
                translation=-rotation @ (np.array([pose(axis) for axis in "xyz"]) / 1000),
            )
        )
    return cameras


def _values(camera: ElementTree.Element, tag: str) -> Callable[[str], float]:
    """What reads the numbers of a part of a camera."""
    part = camera.find(tag)
    if part is None:
        raise KeyError(tag)
    return lambda name: float(part.attrib[name])


def _numbers(value: Any, *shape: int) -> np.ndarray:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"an array is {array.shape}, not {shape}")
    return array


def _coefficients(value: Any) -> np.ndarray:
    given = np.array(value, dtype=np.float64).ravel()
    if len(given) > _MOST_COEFFICIENTS:
        raise ValueError(f"a lens has {len(given)} coefficients, not at most {_MOST_COEFFICIENTS}")
    return np.pad(given, (0, min(count for count in _COEFFICIENTS if count >= len(given)) - len(given)))


def _check(camera: CalibratedCamera) -> None:
    """Raise ValueError if no camera can be like that."""
    values = (camera.K, camera.distortion, camera.rotation, camera.translation)
    if not all(np.isfinite(value).all() for value in values):
        raise ValueError(f"{camera.name} has values that are not numbers")
    if min(camera.size) < 1 or min(camera.K[0, 0], camera.K[1, 1]) <= 0:
        raise ValueError(f"{camera.name} has no size or no focal length")
    if np.abs(camera.rotation @ camera.rotation.T - np.eye(3)).max() > 1e-2 or np.linalg.det(camera.rotation) < 0:
        raise ValueError(f"{camera.name} has a rotation that is none")
