"""3DPW (von Marcard et al., ECCV 2018): sequenceFiles/SPLIT/NAME.pkl and imageFiles/NAME/image_00000.jpg.

SPLIT is `train`, `validation` or `test`.

Of each person, as the data set's own readme names them: `poses` (N, 72) and `jointPositions` (N, 72) in the world,
`betas`, `genders`, `poses2d` (N, 3, 18); of the camera `cam_poses` (N, 4, 4), from the world to the camera, and
`cam_intrinsics`. Frames count if the camera's pose is valid (`campose_valid`) and more than six 2D joints were
detected, as in VIBE.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....body import rotations
from ....pickles import load_table
from ..truth import Bodies, Truth
from .clip import DatasetClip, images, numbers, reading, transformed

FRAME_RATE = 30.0
_MIN_CONFIDENCE, _MIN_JOINTS = 0.3, 6
_GENDERS = {"m": "male", "f": "female"}


def clips(root: Path, bodies: Bodies) -> Iterator[DatasetClip]:
    """Yield the test sequences; see `clip.clips`. With bodies the surfaces are known."""
    for file in files(root, "test"):
        yield read(file, bodies)


def files(root: Path, split: str) -> list[Path]:
    """Those of the sequences in a split."""
    return sorted((root / "sequenceFiles" / split).glob("*.pkl"))


def read(file: Path, bodies: Bodies) -> DatasetClip:
    """One sequence; see `clip.clips` for errors."""
    with reading(file):
        table = load_table(file)
        truths = tuple(_truth(table, person, bodies) for person in range(len(table["poses"])))
        if not truths:
            raise ValueError("it has nobody's motion")
        to_camera = numbers(table["cam_poses"], None, 4, 4)
    pictures = file.parents[2] / "imageFiles" / file.stem
    return DatasetClip(file.stem, images(pictures, len(to_camera)), truths, to_camera)


def _truth(table: dict[str, Any], person: int, bodies: Bodies) -> Truth:
    to_camera = numbers(table["cam_poses"], None, 4, 4)
    n = len(to_camera)
    poses = numbers(table["poses"][person], n, 72).reshape(n, 24, 3)
    joints = transformed(to_camera, numbers(table["jointPositions"][person], n, 72).reshape(n, 24, 3))
    root = to_camera[:, :3, :3] @ rotations.axis_angle_to_matrix(poses[:, 0])
    poses[:, 0] = rotations.matrix_to_axis_angle(root)
    detected = numbers(table["poses2d"][person], n, 3, 18)[:, 2] > _MIN_CONFIDENCE
    valid = (numbers(table["campose_valid"][person], n) > 0) & (detected.sum(axis=1) > _MIN_JOINTS)
    gender = _GENDERS[str(table["genders"][person])]
    return Truth.from_smpl(
        np.flatnonzero(valid),
        FRAME_RATE,
        numbers(table["cam_intrinsics"], 3, 3),
        joints[valid],
        poses[valid],
        np.asarray(table["betas"][person], dtype=float).ravel()[:10],
        None if bodies.neutral is None else bodies.load(gender),
    )
