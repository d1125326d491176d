"""Offline smoothing without lag: penalised least squares over the whole clip (Whittaker, 1923)."""

from __future__ import annotations

import itertools

import numpy as np

from ..body import rotations

MARGIN = 384
"""Frames around a window of a long motion that have to be smoothed with it, so that it becomes what it would be as a
part of the whole."""

_REFERENCE_RATE = 30.0
# Rows that one call of LAPACK eliminates.
_BLOCK = 24


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
    """Solve symmetric systems with five diagonals by elimination, a block of rows at a time.

    Args:
        bands: (3, N, C) the diagonal, and the entries one and two columns right of it, of C matrices.
        right: (N, C, D) D right sides of each.

    Returns:
        (N, C, D).
    """
    n, curves = bands.shape[1:]
    edges = np.linspace(0, n, -(-n // _BLOCK) + 1).astype(int)
    solved, carried = [], []
    corner = np.zeros((curves, 2, 2))
    for start, stop in itertools.pairwise(edges):
        size = stop - start
        block = np.zeros((curves, size, size))
        for band in range(3):
            row = np.arange(size - band)
            block[:, row, row + band] = block[:, row + band, row] = bands[band, start : stop - band].T
        sides = np.zeros((curves, size, right.shape[2] + 2))
        sides[..., :-2] = right[start:stop].transpose(1, 0, 2)
        if solved:
            across = np.swapaxes(corner, 1, 2)
            block[:, :2, :2] -= across @ carried[-1][:, -2:]
            sides[:, :2, :-2] -= across @ solved[-1][:, -2:]
        # The last two rows of a block reach into the first two of the next.
        corner[:, 0, 0], corner[:, 1, 1], corner[:, 1, 0] = bands[2, stop - 2], bands[2, stop - 1], bands[1, stop - 1]
        sides[:, -2:, -2:] = corner
        both = np.linalg.solve(block, sides)
        solved.append(both[..., :-2])
        carried.append(both[..., -2:])
    for block in range(len(solved) - 2, -1, -1):
        solved[block] = solved[block] - carried[block] @ solved[block + 1][:, :2]
    return np.concatenate(solved, axis=1).transpose(1, 0, 2)


def smooth_rotations(
    matrices: np.ndarray, weights: np.ndarray, timestamps: np.ndarray, acceleration: float | np.ndarray
) -> np.ndarray:
    """`smooth` for rotations: (N, C, 3, 3) matrices, weights 1 / radian², acceleration in radians per second²."""
    quaternions = rotations.make_continuous(rotations.matrix_to_quaternion(matrices))
    # A quaternion moves half as far as its rotation.
    smoothed = smooth(quaternions, 4 * weights, timestamps, acceleration / 2)
    return rotations.quaternion_to_matrix(smoothed / np.linalg.norm(smoothed, axis=-1, keepdims=True))
