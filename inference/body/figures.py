"""Figures: the shape of a woman or a man of some build whose bones are as long as somebody's, so that motion fits.

A body that was seen says how long its bones are, and little else. Among the people from whom the body was made, those
of a gender and a build have β about a mean; the new β is the likeliest of theirs that keeps lengths and height.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .kinds import BUILDS, GENDERS
from .rotations import Floats
from .skeleton import JOINT_NAMES

if TYPE_CHECKING:
    from .smpl import Body

# What is asked of Anny's phenotypes: who is a woman to what degree; muscle and weight.
_GENDERS = {"neutral": 0.5, "woman": 1.0, "man": 0.0}
_BUILDS = {"average": (0.5, 0.5), "slim": (0.3, 0.0), "heavy": (0.4, 1.0), "muscular": (1.0, 0.6)}

# Bones whose length is kept, and by how many metres it may differ: motion shows in arms and legs, and feet stand by it.
_KEPT = (
    *(
        (f"{side}_{start}", f"{side}_{end}", 0.001)
        for side in ("left", "right")
        for start, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
    ),
    ("pelvis", "neck", 0.01),
    ("left_hip", "right_hip", 0.02),
    ("left_shoulder", "right_shoulder", 0.04),
)
_SOLE, _HEIGHT = 0.001, 0.004
_STEPS = 4
_LIMIT = 4.0


@dataclass(frozen=True, eq=False)
class Figures:
    """How β of people of each figure lie, for B = 10 coefficients.

    Attributes:
        means: (3, 4, B) their means, by number of `kinds.GENDERS` and `kinds.BUILDS`.
        covariance: (B, B) about them.
    """

    means: Floats
    covariance: Floats


def fitted(betas: Floats, people: Mapping[str, Floats]) -> Figures:
    """The figures among people with shapes ``betas`` (S, B) and Anny's phenotypes (S,)."""
    known = _features(people["gender"], people["muscle"], people["weight"])
    slopes = np.linalg.lstsq(known, betas, rcond=None)[0]
    builds = np.array([_BUILDS[name] for name in BUILDS])
    gender, build = np.array([_GENDERS[name] for name in GENDERS])[:, None], builds[None]
    means = _features(*np.broadcast_arrays(gender, build[..., 0], build[..., 1])) @ slopes
    rest = betas - known @ slopes
    return Figures(means, rest.T @ rest / len(rest))


def _features(gender: Floats, muscle: Floats, weight: Floats) -> Floats:
    """What shapes are linear in (..., 13): Anny's are sculpted at the ends and, of muscle and weight, in the middle."""
    middle, average = np.abs(muscle - 0.5), np.abs(weight - 0.5)
    alone = (np.ones_like(gender), gender, muscle, weight, middle, average)
    pairs = (gender * muscle, gender * weight, muscle * weight, gender * middle, gender * average)
    return np.stack([*alone, *pairs, muscle * average, weight * middle], axis=-1)


def figured(body: Body, betas: Floats, gender: str, build: str) -> Floats:
    """β (10,) of another figure with the same bones.

    Args:
        body: the body; one without figures leaves β as it is.
        betas: (10,) as seen.
        gender: one of `kinds.GENDERS`.
        build: one of `kinds.BUILDS`.
    """
    if body.figures is None or (gender, build) == (GENDERS[0], BUILDS[0]):
        return betas
    mean = body.figures.means[GENDERS.index(gender), BUILDS.index(build)]
    precision = np.linalg.inv(body.figures.covariance)
    ends = np.array([[JOINT_NAMES.index(name) for name in bone[:2]] for bone in _KEPT])
    sigma = np.array([*(bone[2] for bone in _KEPT), _SOLE, _HEIGHT])
    wanted, _ = _lengths(body, betas, ends)
    shape = betas
    for _ in range(_STEPS):
        lengths, slopes = _lengths(body, shape, ends)
        weighted = slopes / sigma[:, None]
        normal = weighted.T @ weighted + precision
        pull = weighted.T @ ((wanted - lengths) / sigma) + precision @ (mean - shape)
        shape = shape + np.linalg.solve(normal, pull)
    return np.clip(shape, -_LIMIT, _LIMIT)


def _lengths(body: Body, betas: Floats, ends: np.ndarray) -> tuple[Floats, Floats]:
    """Lengths (K + 2,) of K bones, of the left ankle over the sole and of the whole body, and their slopes by β."""
    joints, moves = body.rest_joints(betas), body.joint_shapedirs
    bones = joints[ends[:, 1]] - joints[ends[:, 0]]
    long = np.linalg.norm(bones, axis=1)
    slopes = np.einsum("ka,kab->kb", bones / long[:, None], moves[ends[:, 1]] - moves[ends[:, 0]])
    heights = body.surface.rest(betas)[:, 1]
    low, high, ankle = heights.argmin(), heights.argmax(), JOINT_NAMES.index("left_ankle")
    upright = [joints[ankle, 1] - heights[low], heights[high] - heights[low]]
    over = body.shapedirs[:, 1]
    more = [moves[ankle, 1] - over[low], over[high] - over[low]]
    return np.concatenate([long, upright]), np.concatenate([slopes, more])
