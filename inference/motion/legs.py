"""Legs that keep standing feet in one place: two-bone inverse kinematics in closed form, all frames at once.

NumPy only. World coordinates, z up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import spill
from ..body import rotations
from .contacts import runs

Spans = tuple[list[tuple[int, int]], list[tuple[int, int]]]
"""For the left and the right foot the first and last frame of every contact."""

# Seconds over which a correction fades in and out.
_BLEND = 0.2

# Shorter contacts are chance; shorter gaps between contacts at one spot are noise. Seconds.
_SHORTEST, _GAP = 0.1, 0.07

# Of the leg's length: beyond this a stretching leg resists, so that knees do not snap straight.
_STRETCHED = 0.98

# Of the leg's length: how far the hips come down at most so that the feet can stay in place.
_LOWEST = 0.08

# How the hips follow the feet: in the least-squares sum, the cost of a foot's movement across the leg, and the weight
# of a free foot relative to a standing one. Legs straighter than `_STRAIGHT`, in 1 - (reach / length)², weigh no more.
_ACROSS, _FREE_FOOT, _STRAIGHT = 0.05, 0.1, 0.05

# A straight knee bends to the front: weight of that direction, as a fraction of the leg's length.
_FRONT = 0.01


@dataclass(frozen=True)
class LegCorrection:
    """How legs change so that feet stay in place.

    Attributes:
        hips: (N, 3) displacement of the hips and everything above them.
        thighs: (N, 2, 3, 3) rotations to multiply from the left onto those of the left and the right thigh,
        shins: (N, 2, 3, 3) and of the shins. The feet's own rotations are kept.
    """

    hips: np.ndarray
    thighs: np.ndarray
    shins: np.ndarray


def contact_spans(standing: np.ndarray, times: np.ndarray) -> Spans:
    """Turn (N, 2) booleans into contact spans; ``times`` (N,) in seconds."""
    spans: Spans = ([], [])
    for foot in range(2):
        joined: list[tuple[int, int]] = []
        for start, stop in runs(standing[:, foot]):
            end = stop - 1
            if joined and times[start] - times[joined[-1][1]] <= _GAP:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        spans[foot].extend(span for span in joined if times[span[1]] - times[span[0]] >= _SHORTEST)
    return spans


def lock_feet(
    legs: np.ndarray,
    points: np.ndarray,
    spans: Spans,
    times: np.ndarray,
    front: np.ndarray,
    share: float = 1.0,
) -> LegCorrection:
    """Find how legs bend so that standing feet stay in place.

    Args:
        legs: (N, 2, 3, 3) hip, knee and ankle of the left and the right leg.
        points: (N, 2, 3) points of the feet that are to stay in place, such as the balls.
        spans: when the feet stand.
        times: (N,) seconds, increasing.
        front: (N, 2, 3) unit vectors to the side to which straight knees bend.
        share: part of the displacement that is applied, 0 to 1.
    """
    return move_ankles(legs, share * corrections(points, spans, times), spans, times, front)


def move_ankles(
    legs: np.ndarray,
    displacements: np.ndarray,
    spans: Spans,
    times: np.ndarray,
    front: np.ndarray,
    hip_smoothing: float = 0.2,
    hip_cost: np.ndarray | float = 0.05,
    lowest: float = _LOWEST,
) -> LegCorrection:
    """Find how legs bend so that the ankles move by displacements (N, 2, 3).

    The hips follow the feet so that the legs bend as little as possible, and come down where a leg would have to
    stretch. A goal out of the leg's reach is approached as closely as possible.

    Args:
        legs: (N, 2, 3, 3) hip, knee and ankle of the left and the right leg.
        displacements: of the ankles.
        spans: when the feet stand.
        times: (N,) seconds, increasing.
        front: (N, 2, 3) unit vectors to the side to which straight knees bend.
        hip_smoothing: seconds over which the hips' displacement is smoothed.
        hip_cost: of moving the hips, relative to 1 for lengthening a bent leg by as much; (N, 3, 3) where it depends on
            the direction.
        lowest: how far the hips come down at most for the feet to stay in place, as a share of the leg's length.
    """
    if not displacements.any():
        still = np.broadcast_to(np.eye(3), (*displacements.shape, 3))
        return LegCorrection(np.zeros((len(times), 3)), still, still)
    goals = legs[:, :, 2] + displacements
    hips = _smooth(_follow(legs, displacements, spans, np.asarray(hip_cost)), times, hip_smoothing)

    def shortfall(window: slice) -> tuple[np.ndarray]:
        carried = legs[window] + hips[window, None, None]
        return (np.max([_shortfall(carried[:, foot], goals[window, foot], lowest) for foot in range(2)], axis=0),)

    hips[:, 2] -= _spread(spill.collect(len(times), shortfall)[0], times)

    def bent(window: slice) -> tuple[np.ndarray, ...]:
        carried = legs[window] + hips[window, None, None]
        bones = [bend_leg(carried[:, foot], goals[window, foot], front[window, foot]) for foot in range(2)]
        return tuple(np.stack(part, axis=1) for part in zip(*bones, strict=True))

    thighs, shins = spill.collect(len(times), bent)
    return LegCorrection(hips, thighs, shins)


def corrections(
    points: np.ndarray,
    spans: Spans,
    times: np.ndarray,
    heels: np.ndarray | None = None,
    heel_spans: Spans = ([], []),
) -> np.ndarray:
    """Displacements (N, 2, 3) that hold points (N, 2, 3) still during their spans and fade out around them.

    Where only the heels (N, 2, 3) stand, these are held. Points come to rest and leave it without a jump of their
    velocity.
    """
    displacements = np.zeros_like(points)
    if len(times) < 2:
        return displacements
    for foot, own in enumerate(spans):
        moved, here = displacements[:, foot], points[:, foot]
        held, slope = np.zeros(len(times), bool), -np.gradient(here, times, axis=0)
        for start, end in own:
            span = slice(start, end + 1)
            moved[span], held[span] = np.median(here[span], axis=0) - here[span], True
        if heels is not None:
            _hold_heel(moved, held, slope, heels[:, foot], heel_spans[foot], times)
        _fade(moved, held, slope, times)
    return displacements


def level(turns: np.ndarray, spans: Spans, times: np.ndarray) -> np.ndarray:
    """Rotation vectors (N, 2, 3), to apply from the left, that keep feet from turning while they stand flat.

    Args:
        turns: (N, 2, 3, 3) rotations of the feet.
        spans: when they stand flat.
        times: (N,) seconds.
    """
    vectors = np.zeros(turns.shape[:-1])
    if len(times) < 2:
        return vectors
    for foot, own in enumerate(spans):
        held, slope = np.zeros(len(times), bool), np.zeros((len(times), 3))
        for start, end in own:
            span = slice(start, end + 1)
            usual = rotations.project(turns[span, foot].mean(axis=0))
            vectors[span, foot] = rotations.matrix_to_axis_angle(usual @ np.swapaxes(turns[span, foot], 1, 2))
            if end > start:
                slope[span] = np.gradient(vectors[span, foot], times[span], axis=0)
            held[span] = True
        _fade(vectors[:, foot], held, slope, times)
    return vectors


def _hold_heel(
    moved: np.ndarray,
    held: np.ndarray,
    slope: np.ndarray,
    heel: np.ndarray,
    spans: Sequence[tuple[int, int]],
    times: np.ndarray,
) -> None:
    """Displace a heel (N, 3) while nothing else holds the foot, in place, so that it goes on without a jump."""
    speed = np.gradient(heel, times, axis=0)
    for start, end in spans:
        for first, last in runs(~held[start : end + 1]):
            span = slice(start + first, start + last)
            place = np.median(heel[span], axis=0)
            if span.stop < len(held) and held[span.stop]:
                place = heel[span.stop] + moved[span.stop]
            elif span.start and held[span.start - 1]:
                place = heel[span.start - 1] + moved[span.start - 1]
            moved[span], slope[span] = place - heel[span], -speed[span]
        held[start : end + 1] = True


def _fade(displacements: np.ndarray, held: np.ndarray, slope: np.ndarray, times: np.ndarray) -> None:
    """Fill displacements (N, 3) where nothing is held, in place, from those around, which change by slope (N, 3)."""
    before: _Edge | None = None
    for start, stop in runs(held):
        end = stop - 1
        _bridge(displacements, times, before, _Edge(start, displacements[start].copy(), slope[start]))
        before = _Edge(end, displacements[end].copy(), slope[end])
    _bridge(displacements, times, before, None)


def bend_leg(joints: np.ndarray, goals: np.ndarray, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics that keeps the plane of the knee.

    Args:
        joints: (N, 3, 3) hip, knee and ankle.
        goals: (N, 3) where the ankles are to be.
        front: (N, 3) unit vectors to the side to which straight knees bend.

    Returns:
        Rotations (N, 3, 3) to multiply from the left onto those of thigh and shin; the identity where the goal is the
        ankle.
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
    """Reach (N,) of a leg without resistance: its current one, or up to `_STRETCHED`."""
    return np.maximum(reach, _STRETCHED * length)


def _resist(distance: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Distances (N,) that beyond ``start`` approach the leg's length without reaching it."""
    room = np.maximum(length - start, 1e-6 * length)
    beyond = np.maximum(distance - start, 0.0)
    return np.where(distance > start, start + room * (1.0 - np.exp(-beyond / room)), distance)


def _shortfall(joints: np.ndarray, goals: np.ndarray, lowest: float) -> np.ndarray:
    """How much (N,) the hips must come down for legs (N, 3, 3) to reach goals (N, 3) without resistance."""
    hip, knee, ankle = joints[:, 0], joints[:, 1], joints[:, 2]
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    easy = _free_reach(np.linalg.norm(ankle - hip, axis=-1), length)
    away = np.sum((hip - goals)[:, :2] ** 2, axis=-1)
    drop = (hip - goals)[:, 2] - np.sqrt(np.maximum(easy**2 - away, 0.0))
    return np.where(away < easy**2, np.clip(drop, 0.0, lowest * length), 0.0)


def _follow(legs: np.ndarray, displacements: np.ndarray, spans: Spans, hip_cost: np.ndarray) -> np.ndarray:
    """Displacement of the hips (N, 3) with which legs (N, 2, 3, 3), of hip, knee and ankle, best keep their shape.

    Least squares over both feet's displacements (N, 2, 3). Changes of the distance from hip to ankle
    weigh most, and more for straighter legs, where a small change bends the knee a lot.
    """
    standing = np.full(legs.shape[:2], _FREE_FOOT)
    for foot, own in enumerate(spans):
        for start, end in own:
            standing[start : end + 1, foot] = 1.0

    def best(window: slice) -> tuple[np.ndarray]:
        now, stands, moved = legs[window], standing[window], displacements[window]
        upper, lower = (np.linalg.norm(now[:, :, joint + 1] - now[:, :, joint], axis=-1) for joint in range(2))
        reach = now[:, :, 2] - now[:, :, 0]
        distance = np.linalg.norm(reach, axis=-1)
        along = reach / np.maximum(distance, 1e-9)[..., None]
        bent = 1.0 - (distance / np.maximum(upper + lower, 1e-9)) ** 2
        stiff = stands / np.maximum(bent, _STRAIGHT)
        left = np.einsum("nf,nfi,nfj->nij", stiff, along, along)
        left += (_ACROSS * stands.sum(axis=1))[:, None, None] * np.eye(3)
        left += hip_cost[window] if hip_cost.ndim else hip_cost * np.eye(3)
        right = np.einsum("nf,nfi,nfj,nfj->ni", stiff, along, along, moved)
        right += _ACROSS * np.einsum("nf,nfi->ni", stands, moved)
        return (np.linalg.solve(left, right[..., None])[..., 0],)

    return spill.collect(len(legs), best)[0]


def _spread(drop: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A smooth curve (N,) nowhere below ``drop`` (N,)."""
    if not drop.any():
        return drop
    half = _half_window(times, _BLEND)
    highest = np.lib.stride_tricks.sliding_window_view(np.pad(drop, half, mode="edge"), 2 * half + 1).max(axis=-1)
    return _smooth(highest[:, None], times, _BLEND)[:, 0]


def _smooth(values: np.ndarray, times: np.ndarray, width: float) -> np.ndarray:
    """Values (N, C) at times (N,) averaged over a bell ``width`` seconds wide."""
    half = _half_window(times, width)
    weights = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(values, ((half, half), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0) @ (weights / weights.sum())


def _half_window(times: np.ndarray, width: float) -> int:
    return int(np.clip(round(width / 2.0 / float(np.median(np.diff(times)))), 1, 100))


def _across(vector: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The parts of vectors (N, 3) that are perpendicular to axes (N, 3)."""
    square = np.maximum(np.sum(axis * axis, axis=-1, keepdims=True), 1e-12)
    return vector - np.sum(vector * axis, axis=-1, keepdims=True) / square * axis


@dataclass(frozen=True)
class _Edge:
    """Where a span begins or ends: the frame, and displacement and its change per second there, (3,) each."""

    frame: int
    displacement: np.ndarray
    speed: np.ndarray


def _bridge(displacements: np.ndarray, times: np.ndarray, before: _Edge | None, after: _Edge | None) -> None:
    """Fill displacements (N, 3) between the end of one span and the start of the next, in place."""
    first = before.frame + 1 if before else 0
    last = after.frame if after else len(times)
    if first >= last:
        return
    now = times[first:last]
    nothing = np.zeros(3), np.zeros(3)
    if before and after and times[after.frame] - times[before.frame] < 2.0 * _BLEND:
        start, end = times[before.frame], times[after.frame]
        displacements[first:last] = _hermite(
            now, start, end, (before.displacement, before.speed), (after.displacement, after.speed)
        )
        return
    filled = np.zeros((last - first, 3))
    if before:
        start = times[before.frame]
        filled += _hermite(now, start, start + _BLEND, (before.displacement, before.speed), nothing)
    if after:
        end = times[after.frame]
        filled += _hermite(now, end - _BLEND, end, nothing, (after.displacement, after.speed))
    displacements[first:last] = filled


def _hermite(
    now: np.ndarray, start: float, end: float, first: Sequence[np.ndarray], last: Sequence[np.ndarray]
) -> np.ndarray:
    """The cubic (M, 3) at ``now`` (M,) between two moments with a value and a slope (3,) at each; constant outside."""
    share = np.clip((now - start) / (end - start), 0.0, 1.0)[:, None]
    rise, length = share * share * (3.0 - 2.0 * share), end - start
    slopes = share * (1.0 - share) * length * ((1.0 - share) * first[1] - share * last[1])
    return (1.0 - rise) * first[0] + rise * last[0] + slopes
