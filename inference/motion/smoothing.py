"""Offline smoothing without lag: penalised least squares over the whole clip (Whittaker, 1923)."""

from __future__ import annotations

import numpy as np

from ..body import rotations

_REFERENCE_RATE = 30.0


def smooth(
    values: np.ndarray,
    weights: np.ndarray,
    timestamps: np.ndarray,
    acceleration: float | np.ndarray,
    burst: float = 4.0,
    rounds: int = 3,
) -> np.ndarray:
    """The smooth curve near `values`.

    Minimises Σ w (y − z)² + Σ ρ(z̈ / acceleration)², where ρ grows slower beyond `burst`, so that a blow or a step stays
    sharp while the noise around it is removed.

    Args:
        values: (N, C, D) C curves of D components.
        weights: (N, C) 1 / variance of each value at the reference rate of 30 frames a second; 0 where unknown.
        timestamps: (N,) seconds, increasing, unevenly spaced allowed.
        acceleration: usual acceleration, units of `values` per second²; one, or one for each curve (C,).
        burst: multiples of `acceleration` from which bending is penalised less.
        rounds: re-weighted solutions.

    Returns:
        (N, C, D), no delay and no shift against `values`.
    """
    n, curves, _ = values.shape
    if n < 3:
        return values.copy()
    steps = np.diff(timestamps)
    before, after = steps[:-1], steps[1:]
    middle = (before + after) / 2
    share = np.sqrt(middle * _REFERENCE_RATE)
    # Second difference at each inner frame: its factors of the frame before, the frame itself and the one after.
    bend = np.stack([1 / before, -1 / before - 1 / after, 1 / after]) / middle * share
    duration = np.gradient(timestamps) * _REFERENCE_RATE
    data = weights * duration[:, None] + 1e-9
    target = data[..., None] * values
    usual = np.broadcast_to(acceleration, curves)
    robust_weights = np.ones((n - 2, curves))
    solved = target
    for _ in range(rounds):
        bands = np.zeros((3, n, curves))
        bands[0] = data
        for first in range(3):
            for second in range(first, 3):
                product = (bend[first] * bend[second])[:, None] * robust_weights / usual**2
                bands[second - first, first : first + n - 2] += product
        solved = _solve_banded(bands, target)
        bent = sum(bend[part][:, None, None] * solved[part : part + n - 2] for part in range(3))
        bending = np.linalg.norm(bent, axis=2) / share[:, None] / usual
        robust_weights = 1 / (1 + (bending / burst) ** 2)
    return solved


def _solve_banded(bands: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve symmetric systems with five diagonals by LDLᵀ.

    Args:
        bands: (3, N, C) the diagonal, and the entries one and two columns right of it, of C matrices.
        right: (N, C, D) D right sides of each.

    Returns:
        (N, C, D).
    """
    n = len(right)
    near, far = np.zeros((2, n + 2, bands.shape[2], 1))
    pivots = np.ones((n + 2, bands.shape[2], 1))
    solved = np.zeros((n + 2, *right.shape[1:]))
    # Row i stands at i + 2, so that the first two rows find nothing before them.
    for row, (here, beside, beyond) in enumerate(bands.transpose(1, 0, 2)[..., None], start=2):
        held = pivots[row - 1] * near[row - 1]
        pivots[row] = here - held * near[row - 1] - pivots[row - 2] * far[row - 2] ** 2
        near[row] = (beside - held * far[row - 1]) / pivots[row]
        far[row] = beyond / pivots[row]
        solved[row] = right[row - 2] - near[row - 1] * solved[row - 1] - far[row - 2] * solved[row - 2]
    solved = np.concatenate([solved[2:] / pivots[2:], np.zeros((2, *right.shape[1:]))])
    for row in range(n - 1, -1, -1):
        solved[row] -= near[row + 2] * solved[row + 1] + far[row + 2] * solved[row + 2]
    return solved[:n]


def smooth_rotations(
    matrices: np.ndarray, weights: np.ndarray, timestamps: np.ndarray, acceleration: float | np.ndarray
) -> np.ndarray:
    """`smooth` for rotations: (N, C, 3, 3) matrices, weights 1 / radian², acceleration in radians per second²."""
    quaternions = rotations.make_continuous(rotations.matrix_to_quaternion(matrices))
    # A quaternion moves half as far as its rotation.
    smoothed = smooth(quaternions, 4 * weights, timestamps, acceleration / 2)
    return rotations.quaternion_to_matrix(smoothed / np.linalg.norm(smoothed, axis=-1, keepdims=True))
