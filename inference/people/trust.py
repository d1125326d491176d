"""How far a pose is a person's, and not one read into furniture.

The landmark network gives a pose for whatever it is shown. What it makes up it mostly takes for hidden or out of the
picture, it often huddles it together, and makes it up anew when the crop is moved a little; a person's pose stays where
the person is.
"""

from __future__ import annotations

import numpy as np

from .landmarker import Pose
from .target import JOINTS, closeness

# A second look's crop: moved to the side and downwards by these parts of the side, enlarged, and turned by radians.
RECHECKS = ((0.06, 0.06, 1.12, 0.0), (-0.06, -0.06, 0.9, 0.1))
# A track needs the first on average; the second is enough to begin one, and below it one is given up.
# Measured: people, whole or cut off by the edge of the image, 0.60 to 0.91; furniture, streets, and people read askew
# 0.50 at most.
MIN_TRUST = 0.55
MIN_TRUST_TO_START = 0.42
# More looks than this must be taken before someone is given up.
MIN_RECHECKS = 4
# Upside down the network sees people in things more easily, and people are seldom so.
UPSIDE_DOWN = 0.1
# Fewer joints than this in the image are too few to judge by them alone.
MIN_JOINTS = 4
# A person's joints lie this far from their mean, in crop sides (root mean square; huddled ones 0.15, most 0.2); those
# made up about 0.1.
SPREAD = 0.16


def recheck_crop(crop: np.ndarray, number: int) -> np.ndarray:
    """The crop (4,) of a second look at what a crop shows; looks with even and with odd numbers differ."""
    right, down, growth, turn = RECHECKS[number % len(RECHECKS)]
    x, y, side, rotation = crop
    return np.array([x + right * side, y + down * side, growth * side, rotation + turn])


def trust(pose: Pose, shape: tuple[int, ...], recheck: Pose | None = None) -> float:
    """How sure it is that a pose in an image of shape (H, W, ...) is a person's, 1 at most.

    Args:
        pose: what the first look gave.
        shape: the image's.
        again: what a second look gave. Without one, the trust is that of the best that it could give.
    """
    sure = pose.visibility[JOINTS]
    if recheck is not None:
        sure = sure * closeness(pose.landmarks, recheck.landmarks, pose.crop[2])
    points = pose.landmarks[JOINTS]
    inside = ((points >= 0) & (points < (shape[1], shape[0]))).all(axis=1)
    # All joints count, but cut off by the edge of the image a person can't show them all.
    mean = (sure.mean() + sure[inside].sum() / max(inside.sum(), MIN_JOINTS)) / 2
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()) / max(pose.crop[2], 1e-6)
    mean *= min(spread / SPREAD, 1)
    return float(mean - UPSIDE_DOWN * (1 - np.cos(pose.crop[3])) / 2)
