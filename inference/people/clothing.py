"""Appearance: colour histograms of the clothes, a cheap cue to identity."""

from __future__ import annotations

import cv2
import numpy as np

# Corners of torso and thighs among the 33 landmarks: two along the upper edge, two along the lower.
PARTS = ((11, 12, 23, 24), (23, 24, 25, 26))
GRID = 14
BINS = 16
COLOUR_STEP = 6
MIN_SAMPLES = 20


def histograms(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
    """Colours of torso and thighs.

    Args:
        image: (H, W, 3) BGR uint8.
        landmarks: (33, 2) pixels.

    Returns:
        (2, 272) for each part 256 bins of hue and saturation and 16 of lightness, each group with sum 1; NaN for a part
        that is not inside the image. None if neither is.
    """
    u, v = np.meshgrid(np.linspace(0.1, 0.9, GRID), np.linspace(0.1, 0.9, GRID))
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], axis=-1).reshape(-1, 4)
    height, width = image.shape[:2]
    parts = []
    for corners in PARTS:
        x, y = np.rint(weights @ landmarks[list(corners)]).astype(int).T
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        if inside.sum() < MIN_SAMPLES:
            parts.append(np.full(BINS * BINS + BINS, np.nan, np.float32))
            continue
        samples = cv2.cvtColor(image[y[inside], x[inside]][None], cv2.COLOR_BGR2LAB)[0].astype(int)
        # Clothes are rarely saturated: fine bins around grey, everything beyond goes into the outermost.
        a, b = np.clip((samples[:, 1:] - 128) // COLOUR_STEP + BINS // 2, 0, BINS - 1).T
        colour = np.bincount(a * BINS + b, minlength=BINS * BINS).reshape(BINS, BINS).astype(np.float32)
        light = np.bincount(samples[:, 0] * BINS // 256, minlength=BINS).reshape(1, BINS).astype(np.float32)
        smooth = [cv2.GaussianBlur(colour, (3, 3), 0).ravel(), cv2.GaussianBlur(light, (3, 1), 0).ravel()]
        parts.append(np.concatenate([group / group.sum() for group in smooth]))
    return None if np.isnan(parts).all() else np.array(parts)


def similarity(one: np.ndarray | None, other: np.ndarray | None, unknown: float = 0.5) -> float:
    """Bhattacharyya coefficient of the parts that are in both results of `histograms`, 0 to 1; else what is given."""
    if one is None or other is None:
        return unknown
    of_parts = np.sqrt(one * other).sum(axis=1) / 2
    known = ~np.isnan(of_parts)
    return float(of_parts[known].mean()) if known.any() else unknown


def blend(before: np.ndarray | None, now: np.ndarray, rate: float) -> np.ndarray:
    """Earlier and new histograms, of the new ones this rate; a part that only one of them has is taken from it."""
    if before is None:
        return now
    mixed = (1 - rate) * before + rate * now
    return np.where(np.isnan(mixed), np.where(np.isnan(now), before, now), mixed)
