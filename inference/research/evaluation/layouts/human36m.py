"""Human3.6M (Ionescu et al., PAMI 2014) as its archives unpack, of the subjects 9 and 11:

S9/Videos/ACTION.CAMERA.mp4, S9/MyPoseFeatures/D3_Positions_mono/ACTION.CAMERA.cdf with `Pose` (1, N, 96), millimetres
in that camera's axes, and S9/MyPoseFeatures/D2_Positions/ACTION.CAMERA.cdf with `Pose` (1, N, 64), pixels. The
intrinsics are fitted to both, without the lenses' distortion.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..truth import Bodies, Truth, boxes_around
from .clip import DatasetClip, fitted_intrinsics, library, numbers, reading

FRAME_RATE = 50.0
SUBJECTS = ("S9", "S11")
LIMBS = (17, 25, 18, 26, 19, 27, 6, 1, 7, 2, 8, 3)
"""The limb joints of `metrics.LIMB_NAMES` among the 32."""

_PELVIS = 0
_DAMAGED = {("S11", "Directions.54138969")}
"""Videos that are broken in the data set itself."""


def clips(root: Path, bodies: Bodies) -> Iterator[DatasetClip]:
    """Yield the videos of the test subjects; see `clip.clips`. Neither shape nor rotations are known."""
    for subject in SUBJECTS:
        features = root / subject / "MyPoseFeatures"
        for file in sorted((features / "D3_Positions_mono").glob("*.cdf")):
            if file.stem.startswith("_ALL") or (subject, file.stem) in _DAMAGED:
                continue
            points = _pose(file, 3) / 1000
            pixels = _pose(features / "D2_Positions" / file.name, 2)
            with reading(file):
                pixels = numbers(pixels, len(points), 32, 2)
            truth = Truth(
                frames=np.arange(len(points)),
                frame_rate=FRAME_RATE,
                camera_K=fitted_intrinsics(points, pixels),
                limbs=points[:, LIMBS],
                pixels=pixels[:, LIMBS],
                boxes=boxes_around(pixels),
                pelvis=points[:, _PELVIS],
            )
            yield DatasetClip(f"{subject} {file.stem}", root / subject / "Videos" / f"{file.stem}.mp4", (truth,))


def _pose(file: Path, sides: int) -> np.ndarray:
    """(N, 32, sides) the joints in a file."""
    cdflib = library("cdflib")
    with reading(file):
        if not file.is_file():
            raise FileNotFoundError
        pose = numbers(cdflib.CDF(str(file)).varget("Pose"), 1, None, 32 * sides)
    return pose[0].reshape(-1, 32, sides)
