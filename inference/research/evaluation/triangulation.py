"""Points in space from their images in several cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from . import metrics
from .calibration import CalibratedCamera

OUTLIER = 0.08
"""Of the person's height in the image: an observation farther from where the others put it is rejected."""

_NEAR = 2.0
"""So many times as far an observation may be from where two cameras alone put a joint."""
_REWEIGHTINGS = 3


@dataclass(frozen=True)
class Triangulation:
    """Joints of a person over N frames.

    Attributes:
        joints: (N, K, 3) metres in the cameras' world; NaN where fewer than two cameras agree.
        used: (C, N, K) which observations they were made from.
        seen: (C, N, K) which there were.
        errors: (C, N, K) distance in pixels between observation and joint, NaN where not used.
    """

    joints: np.ndarray
    used: np.ndarray
    seen: np.ndarray
    errors: np.ndarray

    @property
    def reprojection(self) -> float:
        """Mean distance of the used observations from the joints, pixels."""
        return float(self.errors[self.used].mean()) if self.used.any() else float("nan")

    @property
    def rejected(self) -> float:
        """Per cent of the observations that were not used."""
        return 100 * float(1 - self.used.sum() / max(self.seen.sum(), 1))


def triangulate(
    cameras: Sequence[CalibratedCamera], pixels: np.ndarray, weights: np.ndarray, heights: np.ndarray
) -> Triangulation:
    """Triangulate by the weighted direct linear transform.

    Each pair of cameras, with all that are near what it says, puts the joint somewhere; the place is taken with the
    smallest weighted truncated square error in all images (as in MSAC), and all observations that agree with it count.

    Args:
        cameras: C of them.
        pixels: (C, N, K, 2) what each sees.
        weights: (C, N, K) confidence; 0 where a camera sees nothing.
        heights: (C,) the person's height in each image, pixels.
    """
    rays = np.stack([camera.rays(seen) for camera, seen in zip(cameras, pixels, strict=True)])
    poses = np.stack([np.column_stack([camera.rotation, camera.translation]) for camera in cameras])
    tolerance = OUTLIER * heights / np.array([camera.K[1, 1] for camera in cameras])
    seen = weights > 0
    best = np.full(weights.shape[1:], np.inf)
    used = np.zeros(weights.shape, bool)
    for pair in map(list, combinations(range(len(cameras)), 2)):
        # Two cameras alone are unsure along their rays, so those that may agree with them have their say first.
        distance = _distances(_solve(rays[pair], weights[pair], poses[pair]), rays, poses) / tolerance[:, None, None]
        near = np.where(distance < _NEAR, weights, 0)
        both = (near[pair] > 0).all(axis=0)
        distance = _distances(_solve(rays, near, poses), rays, poses) / tolerance[:, None, None]
        cost = (weights * np.minimum(distance**2, 1)).sum(axis=0)
        agree = seen & (distance < 1)
        better = both & (agree.sum(axis=0) >= 2) & (cost < best)
        best[better] = cost[better]
        used[:, better] = agree[:, better]
    joints = _solve(rays, np.where(used, weights, 0), poses, _REWEIGHTINGS)
    joints[used.sum(axis=0) < 2] = np.nan
    shown = np.stack([camera.pixels(joints) for camera in cameras])
    return Triangulation(joints, used, seen, np.where(used, np.linalg.norm(shown - pixels, axis=-1), np.nan))


def bone_variation(joints: np.ndarray) -> float:
    """Standard deviation over time of the length of a limb joints' (N, 12, 3) bone, mean of all bones, cm."""
    lengths = metrics.bone_lengths(joints)
    known = lengths[np.isfinite(lengths).all(axis=1)]
    return 100 * float(known.std(axis=0).mean()) if len(known) else float("nan")


def _solve(rays: np.ndarray, weights: np.ndarray, poses: np.ndarray, times: int = 1) -> np.ndarray:
    """Points (N, K, 3) nearest to rays (C, N, K, 2) of cameras (C, 3, 4).

    The linear system weighs a ray by its camera's distance; solving it again with that divided out makes its errors
    those in the images.
    """
    rows = rays[..., None] * poses[:, None, None, None, 2] - poses[:, None, None, :2]
    scale = weights
    points = np.zeros((*weights.shape[1:], 3))
    for _ in range(times):
        system = np.moveaxis(scale[..., None, None] * rows, 0, 2)
        system = system.reshape(*system.shape[:2], -1, 4)
        *_, vt = np.linalg.svd(system, full_matrices=True)
        last = vt[..., -1, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            points = last[..., :3] / last[..., 3:]
            depth = np.einsum("cj,nkj->cnk", poses[:, 2, :3], points) + poses[:, None, None, 2, 3]
        scale = weights / np.maximum(np.abs(np.nan_to_num(depth, nan=1.0, posinf=1.0, neginf=1.0)), 1e-6)
    return points


def _distances(points: np.ndarray, rays: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """How far (C, N, K) rays (C, N, K, 2) pass by points (N, K, 3), at distance 1 of the camera; inf behind it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        local = np.einsum("cij,nkj->cnki", poses[..., :3], points) + poses[:, None, None, :, 3]
        away = np.linalg.norm(local[..., :2] / local[..., 2:] - rays, axis=-1)
    return np.where(local[..., 2] > 0, np.nan_to_num(away, nan=np.inf), np.inf)
