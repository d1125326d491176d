"""Trust: whether a pose is a person's, and not hallucinated from furniture.

The landmark network gives a pose for any crop. Hallucinated landmarks mostly have low visibility, are often clustered,
and change when the crop is moved a little; a real person's pose stays.
"""

from __future__ import annotations

import numpy as np

from .face_network import HEAD
from .landmarker import HIPS, Pose
from .target import JOINTS, closeness

# A recheck's crop: shifted right and down by these shares of the side, scaled, and rotated by radians.
RECHECKS = ((0.06, 0.06, 1.12, 0.0), (-0.06, -0.06, 0.9, 0.1))
# The mean trust that a returned track needs: with a high score, with the highest for so many seconds, and with a lower
# score, which must be at least the last value. Of people with less than `SURE_TRUST` users are warned.
MIN_TRUST, HIGH_SCORE = 0.55, 0.9
MIN_TRUST_IF_LONG, LONG, HIGHEST_SCORE = 0.5, 2.0, 0.95
SURE_TRUST, MIN_MEAN_SCORE = 0.62, 0.7
# This suffices to follow somebody, and below it they are dropped.
MIN_TRUST_TO_START = 0.42
# Number of rechecks before a target may be dropped.
MIN_RECHECKS = 3
# Upside down the network hallucinates more easily, and people rarely are.
UPSIDE_DOWN = 0.1
# Fewer joints than this in the image are not judged by their mean alone.
MIN_JOINTS = 4
# Root mean square distance of a person's joints from their mean, in crop sides: crouching 0.15, mostly 0.2;
# hallucinated about 0.1.
SPREAD = 0.16


def is_enough(mean_trust: float, mean_score: float, seconds: float) -> bool:
    """Whether what was followed for some seconds, with these means of trust and score, is taken for a person."""
    if mean_score < HIGH_SCORE:
        return mean_score >= MIN_MEAN_SCORE and mean_trust >= SURE_TRUST
    long = seconds >= LONG and mean_score >= HIGHEST_SCORE
    return mean_trust >= (MIN_TRUST_IF_LONG if long else MIN_TRUST)


def is_portrait(pose: Pose, shape: tuple[int, ...]) -> bool:
    """Whether an image of shape (H, W, ...) shows somebody's head and not their hips.

    Of them too little is seen to be judged by their joints. Pictures on a wall have hips, as far as a pose is seen in
    them: they end within the image.
    """
    inside = _inside(pose.landmarks, shape)
    return bool(inside[HEAD].all() and not inside[HIPS].any())


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
    inside = _inside(points, shape)
    # All joints count, but a person cut off by the image's edge can't show all of them.
    mean = (confidence.mean() + confidence[inside].sum() / max(inside.sum(), MIN_JOINTS)) / 2
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()) / max(pose.crop[2], 1e-6)
    mean *= min(spread / SPREAD, 1)
    return float(mean - UPSIDE_DOWN * (1 - np.cos(pose.crop[3])) / 2)


def _inside(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(n,) which of points (n, 2) in pixels lie in an image of shape (H, W, ...)."""
    return np.all((points >= 0) & (points < (shape[1], shape[0])), axis=1)
