"""Standing feet stay in place: when the source's feet stand, and how the target's legs hold them. NumPy only."""

from __future__ import annotations

import numpy as np

from ...inference.motion.legs import Spans, lock_feet
from .bones import SIDES
from .plan import TransferPlan
from .transfer import positions

# In lengths of the leg: the speed per second below which a foot stands, that of a foot known to be on the floor, and
# how far above its lowest a foot may stand.
_STILL, _STILL_IF_KNOWN, _NEAR_FLOOR = 0.3, 0.45, 0.12


def find_standing(points: np.ndarray, times: np.ndarray, leg: float, known: np.ndarray | None = None) -> np.ndarray:
    """Return whether feet stand (N, 2), by their speed and height.

    Args:
        points: (N, 2, 3) the balls of the feet in the world, or the ankles, z up.
        times: (N,) seconds.
        leg: length of the legs, in the points' unit.
        known: (N, 2) probabilities that the feet are on the floor, used instead of their heights. A landing or
            leaving foot is on the floor while its ball still moves; it does not stand.
    """
    if len(times) < 3:
        return np.zeros((len(times), 2), dtype=bool)
    speed = np.linalg.norm(np.gradient(points, times, axis=0), axis=-1) / leg
    smooth = np.stack([np.convolve(np.pad(one, 1, mode="edge"), np.full(3, 1 / 3), "valid") for one in speed.T], -1)
    if known is not None:
        return (known > 0.5) & (smooth < _STILL_IF_KNOWN)
    lowest = np.percentile(points[..., 2], 5.0, axis=0)
    return (smooth < _STILL) & (points[..., 2] < lowest + _NEAR_FLOOR * leg)


def hold_feet(
    plan: TransferPlan, global_rotations: np.ndarray, hips: np.ndarray, spans: Spans, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bend the target's legs so that standing feet stay where they are; the feet's own rotations are kept.

    Args:
        plan: the plan.
        global_rotations: (N, K, 3, 3) world rotations of the driven bones.
        hips: (N, 3) the hips bone's head in the world.
        spans: when the source's feet stood.
        times: (N,) seconds.

    Returns:
        (N, K, 3, 3) world rotations with other thighs and shins, and (N, 3) the hips bone's head.
    """
    heads = positions(plan, global_rotations, hips)
    feet = [plan.driven(f"{side}_foot") for side in SIDES]
    toes = [plan.driven(f"{side}_toe") for side in SIDES]
    balls = [toe if toe >= 0 else foot for foot, toe in zip(feet, toes, strict=True)]
    thighs, shins = ([plan.driven(f"{side}_{part}") for side in SIDES] for part in ("thigh", "shin"))
    legs = heads[:, np.stack([thighs, shins, feet], axis=1)]
    to_front = np.swapaxes(plan.aligned[thighs], -1, -2) @ (plan.facing @ plan.source.frame[:, 1])
    front = (global_rotations[:, thighs] @ to_front[..., None])[..., 0]
    held = lock_feet(legs, heads[:, balls], spans, times, front)
    global_rotations = global_rotations.copy()
    global_rotations[:, thighs] = held.thighs @ global_rotations[:, thighs]
    global_rotations[:, shins] = held.shins @ global_rotations[:, shins]
    return global_rotations, hips + held.hips
