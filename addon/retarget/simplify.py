"""Fewer keys within a stated error. NumPy only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def rotation_error(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Angles (M,) in radians between quaternions (M, 4) of any length."""
    product = np.abs(np.sum(values * others, axis=-1))
    length = np.linalg.norm(values, axis=-1) * np.linalg.norm(others, axis=-1)
    # The chord is exact for small angles, where the arc cosine is not.
    chord = np.sqrt(np.maximum(2.0 - 2.0 * np.minimum(product / np.maximum(length, 1e-12), 1.0), 0.0))
    return 4.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))


def distance(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances (M,) between points (M, 3)."""
    return np.linalg.norm(values - others, axis=-1)


def keep_keys(
    frames: np.ndarray,
    values: np.ndarray,
    tolerance: float,
    error: Callable[[np.ndarray, np.ndarray], np.ndarray] = rotation_error,
) -> tuple[np.ndarray, float]:
    """Choose the keys between which straight lines stay within a tolerance.

    Args:
        frames: (N,) increasing.
        values: (N, C) continuous.
        tolerance: the largest error allowed, in the unit of ``error``.
        error: `rotation_error` or `distance`.

    Returns:
        (N,) whether a key is kept, and the largest error that remains at any of the N frames.
    """
    count = len(frames)
    kept = np.zeros(count, dtype=bool)
    kept[[0, -1]] = True
    largest, waiting = 0.0, [(0, count - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        inner = slice(first + 1, last)
        share = ((frames[inner] - frames[first]) / (frames[last] - frames[first]))[:, None]
        errors = error(values[inner], (1.0 - share) * values[first] + share * values[last])
        worst = int(np.argmax(errors))
        if errors[worst] <= tolerance:
            largest = max(largest, float(errors[worst]))
            continue
        kept[first + 1 + worst] = True
        waiting += [(first, first + 1 + worst), (first + 1 + worst, last)]
    return kept, largest
