"""Feet that stood still stay still: contact spans, and two-bone inverse kinematics that holds the feet. NumPy only."""

from __future__ import annotations

import numpy as np

from ...inference.body import rotations
from .bones import SIDES
from .transfer import Plan, positions

Spans = tuple[list[tuple[int, int]], list[tuple[int, int]]]
"""For the left and the right foot the first and last frame of every contact."""

BLEND = 0.2
"""Seconds over which a correction comes and goes."""

# In lengths of the leg: the speed below which a foot stands, per second, and how far above its lowest it may do so.
_STILL, _NEAR_FLOOR = 0.3, 0.12

# Shorter contacts are chance; shorter gaps between contacts at one spot are noise. Seconds.
_SHORTEST, _GAP = 0.1, 0.07

# Of the leg's length: from here on a stretching leg resists, so that knees do not snap straight.
_STRETCHED = 0.97

# Of the leg's length: how far the hips come down at most so that the feet can stay.
_LOWEST = 0.08

# A straight knee bends to the front: how much the front counts, as a fraction of the leg's length.
_FRONT = 0.01


def spans_of(standing: np.ndarray, times: np.ndarray) -> Spans:
    """Turn (N, 2) booleans, or probabilities, into contact spans; ``times`` (N,) in seconds."""
    found: Spans = ([], [])
    for foot in range(2):
        still = np.asarray(standing[:, foot], dtype=np.float64) > 0.5
        edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
        spans = [(int(start), int(end) - 1) for start, end in edges.reshape(-1, 2)]
        joined: list[tuple[int, int]] = []
        for start, end in spans:
            if joined and times[start] - times[joined[-1][1]] <= _GAP:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        found[foot].extend(span for span in joined if times[span[1]] - times[span[0]] >= _SHORTEST)
    return found


def find_standing(points: np.ndarray, times: np.ndarray, leg: float) -> np.ndarray:
    """Tell (N, 2) where feet stand from their speed and height.

    Args:
        points: (N, 2, 3) the balls of the feet in the world, or the ankles, z up.
        times: (N,) seconds.
        leg: length of the legs, in the points' unit.
    """
    if len(times) < 3:
        return np.zeros((len(times), 2), dtype=bool)
    speed = np.linalg.norm(np.gradient(points, times, axis=0), axis=-1) / leg
    smooth = np.stack([np.convolve(np.pad(one, 1, mode="edge"), np.full(3, 1 / 3), "valid") for one in speed.T], -1)
    lowest = np.percentile(points[..., 2], 5.0, axis=0)
    return (smooth < _STILL) & (points[..., 2] < lowest + _NEAR_FLOOR * leg)


def corrections(points: np.ndarray, spans: Spans, times: np.ndarray, blend: float = BLEND) -> np.ndarray:
    """Displacements (N, 2, 3) that hold points (N, 2, 3) still during their spans and fade away around them."""
    moved = np.zeros_like(points)
    for foot, own in enumerate(spans):
        before: tuple[int, np.ndarray] | None = None
        for start, end in own:
            span = slice(start, end + 1)
            anchor = np.median(points[span, foot], axis=0)
            moved[span, foot] = anchor - points[span, foot]
            _bridge(moved[:, foot], times, before, (start, moved[start, foot].copy()), blend)
            before = end, moved[end, foot].copy()
        _bridge(moved[:, foot], times, before, None, blend)
    return moved


def hold_feet(
    plan: Plan, turned: np.ndarray, hips: np.ndarray, spans: Spans, times: np.ndarray, blend: float = BLEND
) -> tuple[np.ndarray, np.ndarray]:
    """Bend the target's legs so that standing feet stay where they are; the feet's own rotations are kept.

    Args:
        plan: the plan.
        turned: (N, K, 3, 3) world rotations of the driven bones.
        hips: (N, 3) the hips bone's head in the world.
        spans: when the source's feet stood.
        times: (N,) seconds.
        blend: seconds over which the correction comes and goes.

    Returns:
        (N, K, 3, 3) world rotations with other thighs and shins, and (N, 3) the hips bone's head, which comes down a
        little where a leg would have to stretch. A foot that the leg can't reach is held as near as it gets.
    """
    heads = positions(plan, turned, hips)
    feet = [plan.driven(f"{side}_foot") for side in SIDES]
    toes = [plan.driven(f"{side}_toe") for side in SIDES]
    held = [toe if toe >= 0 else foot for foot, toe in zip(feet, toes, strict=True)]
    moved = corrections(heads[:, held], spans, times, blend)
    legs = [[plan.driven(f"{side}_{part}") for part in ("thigh", "shin", "foot")] for side in SIDES]
    feet_led = [foot for foot in range(2) if min(legs[foot]) >= 0]
    goals = {foot: heads[:, legs[foot][2]] + moved[:, foot] for foot in feet_led}
    drop = np.zeros(len(times))
    for foot in feet_led:
        drop = np.maximum(drop, _shortfall(heads[:, legs[foot]], goals[foot], np.any(moved[:, foot] != 0.0, axis=-1)))
    lowered = np.zeros_like(hips)
    lowered[:, 2] = -_spread(drop, times, blend)
    turned = turned.copy()
    for foot in feet_led:
        # Lower hips must not push the other foot into the floor.
        thigh, shin, _ = legs[foot]
        changed = np.flatnonzero(np.any(moved[:, foot] + lowered != 0.0, axis=-1))
        if not changed.size:
            continue
        front = turned[changed, thigh] @ plan.aligned[thigh].T @ (plan.turn @ plan.source.frame[:, 1])
        joints = heads[changed][:, legs[foot]] + lowered[changed, None]
        upper, lower = bend_leg(joints, goals[foot][changed], front)
        turned[changed, thigh] = upper @ turned[changed, thigh]
        turned[changed, shin] = lower @ turned[changed, shin]
    return turned, hips + lowered


def bend_leg(joints: np.ndarray, goals: np.ndarray, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics that keeps the plane of the knee.

    Args:
        joints: (N, 3, 3) hip, knee and ankle.
        goals: (N, 3) where the ankles are to be.
        front: (N, 3) unit vectors to the side to which straight knees bend.

    Returns:
        Rotations (N, 3, 3) to put before those of thigh and shin. They are the identity where the goal is the ankle.
    """
    hip, knee, ankle = joints[:, 0], joints[:, 1], joints[:, 2]
    upper, lower = np.linalg.norm(knee - hip, axis=-1), np.linalg.norm(ankle - knee, axis=-1)
    length = upper + lower
    now, wanted = ankle - hip, goals - hip
    reach, far = np.linalg.norm(now, axis=-1), np.linalg.norm(wanted, axis=-1)
    new = np.maximum(_resist(far, _free_reach(reach, length), length), np.abs(upper - lower) + 1e-3 * length)
    swing = rotations.between(now, wanted)
    axis = wanted / np.maximum(far, 1e-9)[:, None]
    offset = np.einsum("nij,nj->ni", swing, _across(knee - hip, now))
    offset += _FRONT * length[:, None] * np.einsum("nij,nj->ni", swing, _across(front, now))
    side = offset / np.maximum(np.linalg.norm(offset, axis=-1), 1e-9)[:, None]
    along = (new**2 + upper**2 - lower**2) / (2.0 * np.maximum(new, 1e-9))
    out = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    new_knee = along[:, None] * axis + out[:, None] * side
    swung = [np.einsum("nij,nj->ni", swing, bone) for bone in (knee - hip, ankle - knee)]
    return (
        rotations.between(swung[0], new_knee) @ swing,
        rotations.between(swung[1], new[:, None] * axis - new_knee) @ swing,
    )


def _free_reach(reach: np.ndarray, length: np.ndarray) -> np.ndarray:
    """How far (N,) a leg goes without resistance: as far as it was stretched already, or up to `_STRETCHED`."""
    return np.maximum(reach, _STRETCHED * length)


def _resist(distance: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Distances (N,) that from ``start`` on approach the leg's length without reaching it."""
    room = np.maximum(length - start, 1e-6 * length)
    beyond = np.maximum(distance - start, 0.0)
    return np.where(distance > start, start + room * (1.0 - np.exp(-beyond / room)), distance)


def _shortfall(joints: np.ndarray, goals: np.ndarray, held: np.ndarray) -> np.ndarray:
    """How much (N,) the hips must come down for legs (N, 3, 3) to reach goals (N, 3) with ease where ``held`` (N,)."""
    hip, knee, ankle = joints[:, 0], joints[:, 1], joints[:, 2]
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    easy = _free_reach(np.linalg.norm(ankle - hip, axis=-1), length)
    away = np.sum((hip - goals)[:, :2] ** 2, axis=-1)
    drop = (hip - goals)[:, 2] - np.sqrt(np.maximum(easy**2 - away, 0.0))
    return np.where(held & (away < easy**2), np.clip(drop, 0.0, _LOWEST * length), 0.0)


def _spread(drop: np.ndarray, times: np.ndarray, blend: float) -> np.ndarray:
    """A smooth curve (N,) nowhere below ``drop`` (N,)."""
    if not drop.any():
        return drop
    half = int(np.clip(round(blend / 2.0 / float(np.median(np.diff(times)))), 1, 100))
    window = np.lib.stride_tricks.sliding_window_view
    highest = window(np.pad(drop, 2 * half, mode="edge"), 2 * half + 1).max(axis=-1)
    weights = np.hanning(2 * half + 3)[1:-1]
    return window(highest, 2 * half + 1) @ (weights / weights.sum())


def _across(vector: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The parts of vectors (N, 3) that are perpendicular to axes (N, 3)."""
    square = np.maximum(np.sum(axis * axis, axis=-1, keepdims=True), 1e-12)
    return vector - np.sum(vector * axis, axis=-1, keepdims=True) / square * axis


def _bridge(
    moved: np.ndarray,
    times: np.ndarray,
    before: tuple[int, np.ndarray] | None,
    after: tuple[int, np.ndarray] | None,
    blend: float,
) -> None:
    """Fill displacements (N, 3) between the end of one span and the start of the next, in place."""
    first = before[0] + 1 if before else 0
    last = after[0] if after else len(times)
    if first >= last:
        return
    now = times[first:last]
    filled = np.zeros((last - first, 3))
    if before and after and times[after[0]] - times[before[0]] < 2.0 * blend:
        share = _ease((now - times[before[0]]) / (times[after[0]] - times[before[0]]))[:, None]
        filled = (1.0 - share) * before[1] + share * after[1]
    else:
        if before:
            filled += (1.0 - _ease((now - times[before[0]]) / blend))[:, None] * before[1]
        if after:
            filled += (1.0 - _ease((times[after[0]] - now) / blend))[:, None] * after[1]
    moved[first:last] = filled


def _ease(share: np.ndarray) -> np.ndarray:
    """Smooth steps (N,) from 0 to 1."""
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
