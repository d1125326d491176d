"""Offline smoothing that does not lag: penalised least squares over the whole clip (Whittaker, 1923)."""

from __future__ import annotations

import numpy as np

from ..body import rotations

_REFERENCE_RATE = 30.0
_WINDOW = 160
_OVERLAP = 24


def smooth(
    values: np.ndarray,
    weights: np.ndarray,
    timestamps: np.ndarray,
    acceleration: float,
    burst: float = 4.0,
    rounds: int = 3,
) -> np.ndarray:
    """The curve that stays near `values` and bends no more than the motion can.

    Minimises Σ w (y − z)² + Σ ρ(z̈ / acceleration)², where ρ grows slower beyond `burst`, so that a blow or a step keeps
    its sharpness while the noise around it goes.

    Args:
        values: (N, C, D) C curves of D components.
        weights: (N, C) 1 / variance of each value at the reference rate of 30 frames a second; 0 where unknown.
        timestamps: (N,) seconds, increasing, unevenly spaced allowed.
        acceleration: usual acceleration, units of `values` per second².
        burst: multiples of `acceleration` from which bending counts less.
        rounds: re-weighted solutions.

    Returns:
        (N, C, D), no delay and no shift against `values`.
    """
    n = len(values)
    if n < 3:
        return values.copy()
    result = np.zeros_like(values, dtype=float)
    share = np.zeros(n)
    step = _WINDOW - 2 * _OVERLAP
    for start in range(0, max(n - 2 * _OVERLAP, 1), step):
        window = slice(start, min(start + _WINDOW, n))
        length = window.stop - window.start
        ramp = np.minimum(np.arange(length) + 1.0, _OVERLAP) / _OVERLAP if start else np.ones(length)
        if window.stop < n:
            ramp = np.minimum(ramp, np.minimum(np.arange(length)[::-1] + 1.0, _OVERLAP) / _OVERLAP)
        solved = _smooth_window(values[window], weights[window], timestamps[window], acceleration, burst, rounds)
        result[window] += ramp[:, None, None] * solved
        share[window] += ramp
    return result / share[:, None, None]


def _smooth_window(
    values: np.ndarray, weights: np.ndarray, timestamps: np.ndarray, acceleration: float, burst: float, rounds: int
) -> np.ndarray:
    n, curves, _ = values.shape
    steps = np.diff(timestamps)
    if n < 3:
        return values.copy()
    before, after = steps[:-1], steps[1:]
    middle = (before + after) / 2
    bend = np.zeros((n - 2, n))
    rows = np.arange(n - 2)
    bend[rows, rows] = 1 / (before * middle)
    bend[rows, rows + 2] = 1 / (after * middle)
    bend[rows, rows + 1] = -bend[rows, rows] - bend[rows, rows + 2]
    bend *= np.sqrt(middle * _REFERENCE_RATE)[:, None] / acceleration
    duration = np.gradient(timestamps) * _REFERENCE_RATE
    data = (weights * duration[:, None]).T + 1e-9
    target = data[:, :, None] * values.transpose(1, 0, 2)
    forgiveness = np.ones((curves, n - 2))
    solved = target
    for _ in range(rounds):
        system = (bend.T * forgiveness[:, None]) @ bend
        system[:, np.arange(n), np.arange(n)] += data
        solved = np.linalg.solve(system, target)
        bending = np.linalg.norm(bend @ solved, axis=2) / np.sqrt(middle * _REFERENCE_RATE)
        forgiveness = 1 / (1 + (bending / burst) ** 2)
    return solved.transpose(1, 0, 2)


def smooth_rotations(
    matrices: np.ndarray, weights: np.ndarray, timestamps: np.ndarray, acceleration: float
) -> np.ndarray:
    """`smooth` for rotations: (N, C, 3, 3) matrices, weights 1 / radian², acceleration in radians per second²."""
    quaternions = rotations.make_continuous(rotations.matrix_to_quaternion(matrices))
    # A quaternion moves half as far as the rotation it stands for.
    smoothed = smooth(quaternions, 4 * weights, timestamps, acceleration / 2)
    return rotations.quaternion_to_matrix(smoothed / np.linalg.norm(smoothed, axis=-1, keepdims=True))
