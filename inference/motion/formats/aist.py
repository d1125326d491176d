"""AIST++ (Li et al., ICCV 2021): a pickle of one dancer's motion at 60 frames per second.

``smpl_poses`` (n, 72), ``smpl_trans`` (n, 3) in a world whose y points up, in units of which ``smpl_scaling`` (1,) are
a metre. The shape is SMPL's mean.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...body.smpl import Body
from ..motion import MotionFileError
from .content import Y_UP, Content, Person, numbers, rotations_from_poses, smpl_roots

_NAMES = {"smpl_poses", "smpl_trans", "smpl_scaling"}
_RATE = 60.0


def read(content: object, path: Path, body: Body) -> Content | None:
    """The dancer of AIST++ in the world, metres; None for other tools' files.

    Raises:
        MotionFileError: the arrays are not what they should be.
    """
    if not isinstance(content, dict) or not content.keys() >= _NAMES:
        return None
    poses = numbers(content["smpl_poses"], path, "smpl_poses", None, 72)
    n = len(poses)
    scaling = numbers(np.ravel(np.asarray(content["smpl_scaling"])), path, "smpl_scaling", 1)[0]
    if scaling <= 0.0:
        raise MotionFileError(f"{path} is damaged: its smpl_scaling is {scaling:g}.")
    trans = numbers(content["smpl_trans"], path, "smpl_trans", n, 3) / scaling
    betas = np.zeros((1, 10))
    person = Person(np.arange(n), rotations_from_poses(poses), smpl_roots(body, trans, betas), betas)
    return Content("AIST++", [person], Y_UP, rate=_RATE)
