"""What all layouts have in common: a clip, and safe reading."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ....body.bodyfile import BodyError
from ....footage.naming import numbered_images
from ..truth import Bodies, EvaluationError, Truth
from . import LAYOUTS

LIBRARIES = "requirements/layouts.txt"


@dataclass(frozen=True)
class DatasetClip:
    """Footage and the true motion of people in it.

    Attributes:
        name: of the clip, unique in its data set.
        footage: a video, or a folder of numbered images.
        truths: one for each person whose motion is known; their frames count the images from 0.
        to_camera: (F, 4, 4) from the data set's world to the camera of each image, where a truth counts; None if the
            reader does not tell.
    """

    name: str
    footage: Path
    truths: tuple[Truth, ...]
    to_camera: np.ndarray | None = None


def clips(layout: str, root: Path, bodies: Bodies) -> Iterator[DatasetClip]:
    """Yield the clips of a data set's test set, each read on demand.

    Args:
        layout: one of `LAYOUTS`.
        root: the data set's folder.
        bodies: the user's SMPL bodies.

    Raises:
        EvaluationError: the folder is not of that data set, a file of it is damaged, or something needed is missing.
        BodyError: a body file is damaged.
    """
    if not root.is_dir():
        raise EvaluationError(f"{root} is not a folder: give --root the folder of the data set.")
    empty = True
    for clip in importlib.import_module(f".{LAYOUTS[layout]}", __package__).clips(root, bodies):
        empty = False
        yield clip
    if empty:
        raise EvaluationError(f"There is nothing of {layout}'s test set in {root}: give --root the folder it is in.")


def library(name: str) -> ModuleType:
    """A library that only some layouts need.

    Raises:
        EvaluationError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EvaluationError(f"{name} is missing: install {LIBRARIES} with pip to read this data set.") from error


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn any error of reading a file into one sentence."""
    try:
        yield
    except (EvaluationError, BodyError):
        raise
    except FileNotFoundError as error:
        raise EvaluationError(f"{file} does not exist: unpack the whole data set.") from error
    except Exception as error:  # a damaged or hostile file can raise anything in the libraries that read it
        raise EvaluationError(
            f"{file} is damaged or not of this data set ({type(error).__name__}: {error})."
        ) from error


def numbers(value: Any, *shape: int | None) -> np.ndarray:
    """A float64 array of a shape, None for any length.

    Raises:
        ValueError: the value has another shape.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        raise ValueError(f"an array is {array.shape}, not {shape}")
    return array


def images(folder: Path, frames: int) -> Path:
    """The folder, if it has an image for each frame.

    Raises:
        EvaluationError: images are missing.
    """
    count = len(numbered_images(folder)) if folder.is_dir() else 0
    if count < frames:
        raise EvaluationError(f"{folder} has {count} images for {frames} frames: unpack all of them.")
    return folder


def fitted_intrinsics(points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(3, 3) intrinsics without lens distortion that best project points (N, K, 3) to pixels (N, K, 2)."""
    K = np.eye(3)
    for axis in range(2):
        slope = (points[..., axis] / points[..., 2]).ravel()
        (K[axis, axis], K[axis, 2]), *_ = np.linalg.lstsq(
            np.stack([slope, np.ones_like(slope)], axis=1), pixels[..., axis].ravel()
        )
    return K


def transformed(transforms: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, K, 3) with each frame's rigid transform (N, 4, 4) applied."""
    return points @ np.swapaxes(transforms[:, :3, :3], 1, 2) + transforms[:, None, :3, 3]
