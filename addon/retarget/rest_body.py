"""The body of a rig at rest: its front, legs and floor, measured from the mapped bones. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bones import SIDES, RetargetError, Rig

Indices = dict[str, tuple[int, ...]]
"""Bones of a rig by slot."""

# A rest pose that leans less than this stands upright; the spine of an upright body leans, too.
_UPRIGHT = np.cos(np.radians(30.0))

# A rest pose rotated less than this from an axis of its armature faces along it.
_SQUARE = np.cos(np.radians(10.0))

# Fractions of the leg's length: the distance from the sole within which an armature's origin is the floor, the distance
# from the hips within which it is in the hips, and the ankle's height where nothing else is known.
_AT_SOLE, _IN_HIPS, _ANKLE = 0.12, 0.2, 0.08


@dataclass(frozen=True)
class RestBody:
    """A mapped rig at rest, in the world.

    Attributes:
        rig: the rig.
        bones: its bones by slot.
        frame: (3, 3) columns to the body's left, to its front and up.
        centre: (3,) the middle between the thighs' heads.
        leg: length of thigh and shin together, metres.
        ankle: height of the ankles over the soles, metres.
        sole: height of the soles over the armature's origin, along the body's up, metres.
    """

    rig: Rig
    bones: Indices
    frame: np.ndarray
    centre: np.ndarray
    leg: float
    ankle: float
    sole: float

    @property
    def is_square(self) -> bool:
        """Whether the body stands upright in the world and faces along an axis of its armature."""
        along = np.abs(self.rig.rotation.T @ self.frame[:, 1]).max()
        return bool(along > _SQUARE and self.frame[2, 2] > 0.9)

    @property
    def floor_at_origin(self) -> bool:
        """Whether the armature stands upright with its origin on the floor."""
        return self.frame[2, 2] > 0.9 and abs(self.sole) < _AT_SOLE * self.leg


def read_body(rig: Rig, bones: Indices) -> RestBody:
    """Measure a rig at rest.

    Raises:
        RetargetError: the legs have no length.
    """
    heads = rig.heads
    thighs, shins, feet = (heads[[bones[f"{side}_{part}"][0] for side in SIDES]] for part in ("thigh", "shin", "foot"))
    leg = float(np.mean(np.linalg.norm(shins - thighs, axis=-1) + np.linalg.norm(feet - shins, axis=-1)))
    centre = thighs.mean(axis=0)
    if leg < 1e-6 or np.linalg.norm(thighs[0] - thighs[1]) < 1e-3 * leg:
        raise RetargetError("The bones chosen as thighs, shins and feet make no legs.")
    frame = _body_frame(rig, bones, thighs, centre)
    up = frame[:, 2]
    toes = [bone for side in SIDES for bone in rig.descendants(bones[f"{side}_foot"][0])]
    tails = rig.to_world(rig.tails[[*toes, *(bones[f"{side}_foot"][0] for side in SIDES)]])
    ends = np.concatenate([feet, heads[toes], tails])
    ankle_at = float(np.mean(feet @ up))
    heights = ends @ up
    # Importers may invent tails.
    sole = float(np.min(heights[heights > ankle_at - 0.3 * leg]))
    if ankle_at - sole < 0.01 * leg:
        sole = ankle_at - _ANKLE * leg
    origin = float(rig.world[:3, 3] @ up)
    if abs(sole - origin) < _AT_SOLE * leg:
        sole = min(origin, ankle_at)
    return RestBody(rig, bones, frame, centre, leg, ankle_at - sole, sole - origin)


def _body_frame(rig: Rig, bones: Indices, thighs: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(3, 3) left, front and up of the body at rest, in the world."""
    heads = rig.heads
    highest = next((bones[slot][-1] for slot in ("head", "neck", "spine", "left_upper_arm") if slot in bones), None)
    if highest is not None and np.linalg.norm(heads[highest] - centre) > 1e-6:
        up = heads[highest] - centre
    else:
        up = centre - np.mean([heads[bones[f"{side}_foot"][0]] for side in SIDES], axis=0)
    up = up / np.linalg.norm(up)
    # Spines lean although rigs stand upright: use an axis of the armature if one is near.
    nearest = rig.rotation[:, np.argmax(np.abs(up @ rig.rotation))]
    if abs(up @ nearest) > _UPRIGHT:
        up = nearest * np.sign(up @ nearest)
    left = thighs[0] - thighs[1]
    left = left - (left @ up) * up
    left /= np.linalg.norm(left)
    nearest = rig.rotation[:, np.argmax(np.abs(left @ rig.rotation))]
    if abs(left @ nearest) > _SQUARE and abs(up @ nearest) < 1e-6:
        left = nearest * np.sign(left @ nearest)
    return np.stack([left, np.cross(left, up), up], axis=-1)


def floor_height(body: RestBody, ankles: np.ndarray | None) -> float:
    """The world's height of the floor under a body.

    Where the rest pose does not determine it, the ``ankles`` (N, 2, 3) of its motion do.
    """
    origin = float(body.rig.world[2, 3])
    if body.floor_at_origin:
        return origin
    if ankles is not None:
        return float(np.percentile(ankles[..., 2].min(axis=1), 5.0)) - body.ankle
    hips = float((body.centre - body.rig.world[:3, 3]) @ body.frame[:, 2])
    if abs(origin + body.sole) < _AT_SOLE * body.leg:
        return 0.0
    # BVH files and bare skeletons have their origin in the hips and stand on it.
    if abs(hips) < _IN_HIPS * body.leg or body.frame[2, 2] < 0.9:
        return origin
    return origin + body.sole
