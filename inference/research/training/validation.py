"""Measures of a network on the validation split, and of BlazePose's own world landmarks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...body.smpl import Body
from ...pose import features
from ..evaluation import metrics
from .dataset import Batch, Dataset

Estimator = Callable[[Batch], tuple[np.ndarray, np.ndarray]]
"""From a batch to local rotations (B, 24, 3, 3) in the rolled camera and betas (B, 10)."""

_SURFACE_EVERY = 8


def validation_rows(data: Dataset, sequences: int | None = None) -> np.ndarray:
    """All rows that can be estimated, of at most so many sequences, spread over the data."""
    count = len(data.sequences)
    chosen = data.sequences[np.linspace(0, count - 1, min(sequences or count, count)).astype(int)]
    rows = np.concatenate([np.arange(start, end) for start, end in chosen])
    return rows[data.usable[rows]]


def validate(estimate: Estimator, data: Dataset, body: Body, rows: np.ndarray, batch: int = 128) -> dict[str, float]:
    """Measures over rows (n,) in their order; millimetres, and mm/frame² for Accel.

    Joints are the 12 limb joints from the midpoint of the hips, as in `evaluate`; frames without a detection are left
    out for both. PVE is measured on every eighth frame.
    """
    joints, true_joints, surface, surfaces = [], [], 0.0, 0
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        windows = data.at(some)
        local, betas = estimate(windows)
        # Back to the camera's own axes, to compare frames of different crops.
        local, _ = features.unroll(local, np.zeros((len(some), 3)), data.crops(some))
        true, true_betas = data.truth(some)
        joints.append(body.joints(local, betas.astype(float)))
        true_joints.append(body.joints(true, true_betas))
        part = slice(None, None, _SURFACE_EVERY)
        roots, true_roots = joints[-1][part, 0], true_joints[-1][part, 0]
        vertices = body.vertices(local[part], betas[part].astype(float))
        true_vertices = body.vertices(true[part], true_betas[part])
        surface += len(roots) * metrics.pve(vertices, true_vertices, roots, true_roots)
        surfaces += len(roots)
    placed, true_placed = np.concatenate(joints), np.concatenate(true_joints)
    return {
        **_measures(placed[:, metrics.LIMB_JOINTS], true_placed[:, metrics.LIMB_JOINTS], data, rows),
        "PVE": surface / surfaces,
    }


def validate_blazepose(data: Dataset, body: Body, rows: np.ndarray) -> dict[str, float]:
    """The same measures of BlazePose's world landmarks."""
    true_joints = body.joints(*data.truth(rows))[:, metrics.LIMB_JOINTS]
    return _measures(data.world_landmarks(rows)[:, metrics.LIMB_LANDMARKS], true_joints, data, rows)


def _measures(limbs: np.ndarray, true: np.ndarray, data: Dataset, rows: np.ndarray) -> dict[str, float]:
    # A gap between sequences: no acceleration is measured across it.
    frames = rows + 10 * data.sequence[rows]
    return metrics.scores(limbs, true, frames)
