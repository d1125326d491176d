"""EMDB (Kaufmann et al., ICCV 2023): P0/NAME/P0_NAME_data.pkl and P0/NAME/images/00000.jpg; the sequences of EMDB 1.

Arrays as in the data set's own description: `smpl` {`poses_root` (N, 3), `poses_body` (N, 69), `trans` (N, 3) in the
world, `betas` (10,)}, `camera` {`intrinsics`, `extrinsics` (N, 4, 4) from the world to the camera}, `gender`, and
`good_frames_mask` (N,) of the frames that count. It has no joints, so SMPL's bodies are required.
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


def clips(root: Path, bodies: Bodies) -> Iterator[DatasetClip]:
    """Yield the sequences of EMDB 1; see `clip.clips`."""
    for file in sorted(root.glob("P*/*/*_data.pkl")):
        with reading(file):
            table = load_table(file)
            if not table["emdb1"]:
                continue
            truth = _truth(table, bodies)
            frames = int(table["n_frames"])
        yield DatasetClip(file.stem.removesuffix("_data"), images(file.parent / "images", frames), (truth,))


def _truth(table: dict[str, Any], bodies: Bodies) -> Truth:
    n = int(table["n_frames"])
    smpl, camera = table["smpl"], table["camera"]
    to_camera = numbers(camera["extrinsics"], n, 4, 4)
    poses = np.concatenate([numbers(smpl["poses_root"], n, 3), numbers(smpl["poses_body"], n, 69)], axis=1)
    poses = poses.reshape(n, 24, 3)
    betas = numbers(smpl["betas"], 10)
    body = bodies.load(str(table["gender"]))
    joints = transformed(to_camera, body.joints(poses, betas, numbers(smpl["trans"], n, 3)))
    root = to_camera[:, :3, :3] @ rotations.axis_angle_to_matrix(poses[:, 0])
    poses[:, 0] = rotations.matrix_to_axis_angle(root)
    valid = numbers(table["good_frames_mask"], n) > 0
    return Truth.from_smpl(
        np.flatnonzero(valid),
        FRAME_RATE,
        numbers(camera["intrinsics"], 3, 3),
        joints[valid],
        poses[valid],
        betas,
        body,
    )
