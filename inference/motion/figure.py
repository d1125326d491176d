"""Another figure for a motion: a woman's or a man's body of some build, on the same floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..body.figures import figured
from ..body.smpl import Body
from .motion import Motion

FIGURE = "figure"
"""Key of a motion's provenance: `gender`, `build`, and the `betas` that were seen."""


def give_figure(motion: Motion, body: Body, gender: str, build: str) -> Motion:
    """A motion whose body is of another figure with bones of the same length.

    Args:
        motion: with the shape that was seen.
        body: of the motion; one without figures leaves the motion as it is.
        gender: one of `body.kinds.GENDERS`.
        build: one of `body.kinds.BUILDS`.
    """
    seen = motion.betas[: body.shapedirs.shape[2]]
    betas = figured(body, seen, gender, build)
    if betas is seen:
        return motion
    (before, low), (root, lowest) = _root(body, seen), _root(body, betas)
    # Hips are as far above the soles as the new body's.
    rise = (root[1] - lowest) - (before[1] - low)
    trans = motion.trans_cam + before - root + rise * motion.camera_to_world[:, 2, :3]
    return replace(
        motion,
        betas=np.concatenate([betas, motion.betas[len(betas) :]]),
        rest_pelvis=root,
        trans_cam=trans,
        joints_cam=body.joints(motion.poses_cam, betas, trans),
        provenance=motion.provenance
        | {FIGURE: {"gender": gender, "build": build, "betas": [float(beta) for beta in seen]}},
    )


def _root(body: Body, betas: np.ndarray) -> tuple[np.ndarray, float]:
    """The root joint (3,) at rest, and the height of the soles."""
    vertices, joints = body.shape(betas)
    return joints[0], float(vertices[:, 1].min())
