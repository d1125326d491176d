"""Trust: whether a pose is a person's, and not hallucinated from furniture.

The landmark network gives a pose for any crop. Hallucinated landmarks mostly have low visibility, are often clustered,
and change when the crop is moved a little; a real person's pose stays.
"""

from __future__ import annotations

import numpy as np

from .landmarker import Pose
from .target import JOINTS, closeness

# A recheck's crop: shifted right and down by these shares of the side, scaled, and rotated by radians.
RECHECKS = ((0.06, 0.06, 1.12, 0.0), (-0.06, -0.06, 0.9, 0.1))
# A returned track needs the first on average; the second suffices to start one, and below it one is dropped.
# Measured: people, whole or cut off by the image's edge, 0.60 to 0.91; furniture, streets and misread people at most
# 0.50.
MIN_TRUST = 0.55
MIN_TRUST_TO_START = 0.42
# Number of rechecks before a target may be dropped.
MIN_RECHECKS = 4
# Upside down the network hallucinates more easily, and people rarely are.
UPSIDE_DOWN = 0.1
# Fewer joints than this in the image are not judged by their mean alone.
MIN_JOINTS = 4
# Root mean square distance of a person's joints from their mean, in crop sides: crouching 0.15, mostly 0.2;
# hallucinated about 0.1.
SPREAD = 0.16


def recheck_crop(crop: np.ndarray, number: int) -> np.ndarray:
    """The crop (4,) for the given recheck of a crop; even and odd numbers differ."""
    right, down, growth, rotation_offset = RECHECKS[number % len(RECHECKS)]
    x, y, side, rotation = crop
    return np.array([x + right * side, y + down * side, growth * side, rotation + rotation_offset])


def trust(pose: Pose, shape: tuple[int, ...], recheck: Pose | None = None) -> float:
    """Confidence that a pose in an image of shape (H, W, ...) is a person's, at most 1.

    Args:
        pose: of the first run.
        shape: the image's.
        recheck: pose of the recheck; without one, the upper bound of the trust is returned.
    """
    confidence = pose.visibility[JOINTS]
    if recheck is not None:
        confidence = confidence * closeness(pose.landmarks, recheck.landmarks, pose.crop[2])
    points = pose.landmarks[JOINTS]
    inside = ((points >= 0) & (points < (shape[1], shape[0]))).all(axis=1)
    # All joints count, but a person cut off by the image's edge can't show all of them.
    mean = (confidence.mean() + confidence[inside].sum() / max(inside.sum(), MIN_JOINTS)) / 2
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()) / max(pose.crop[2], 1e-6)
    mean *= min(spread / SPREAD, 1)
    return float(mean - UPSIDE_DOWN * (1 - np.cos(pose.crop[3])) / 2)
