"""MPI-INF-3DHP (Mehta et al., 3DV 2017): TS1/annot_data.mat and TS1/imageSequence/img_000001.jpg, six test sequences.

`annot_data.mat` is HDF5, with MATLAB's dimensions reversed: `annot2` (N, 1, 17, 2) pixels, `annot3` (N, 1, 17, 3)
millimetres in camera axes, `univ_annot3` the same at the height of Human3.6M's skeleton, and `valid_frame` (N, 1) of
the frames that count. As in SPIN and VIBE the truth is `univ_annot3`; its distance is not the true one, so
there is no root depth. The data set has no frame rates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..truth import Bodies, EvaluationError, Truth, boxes_around
from .clip import DatasetClip, fitted_intrinsics, images, library, numbers, reading

ASSUMED_FRAME_RATE = 25.0
LIMBS = (5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
"""The limb joints of `metrics.LIMB_NAMES` among the 17."""


def clips(root: Path, bodies: Bodies) -> Iterator[DatasetClip]:
    """Yield the test sequences; see `clip.clips`. Neither shape nor rotations are known."""
    inside = root / "mpi_inf_3dhp_test_set"
    for file in sorted((inside if inside.is_dir() else root).glob("TS*/annot_data.mat")):
        h5py = library("h5py")
        with reading(file), h5py.File(file, "r") as table:
            pixels = numbers(table["annot2"], None, 1, 17, 2)[:, 0]
            n = len(pixels)
            points = numbers(table["annot3"], n, 1, 17, 3)[:, 0]
            universal = numbers(table["univ_annot3"], n, 1, 17, 3)[:, 0] / 1000
            valid = numbers(table["valid_frame"], n, 1)[:, 0] > 0
            if not valid.any():
                raise EvaluationError(f"{file} has no valid frame.")
        truth = Truth(
            frames=np.flatnonzero(valid),
            frame_rate=ASSUMED_FRAME_RATE,
            camera_K=fitted_intrinsics(points[valid], pixels[valid]),
            limbs=universal[valid][:, LIMBS],
            pixels=pixels[valid][:, LIMBS],
            boxes=boxes_around(pixels[valid]),
        )
        yield DatasetClip(file.parent.name, images(file.parent / "imageSequence", n), (truth,))
