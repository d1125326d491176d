"""Left and right over a whole track: where the landmark network exchanged them for a while, that is found and undone.

Somebody seen from behind looks much like somebody seen from the front, and for some frames the network may take one for
the other. The exchange itself gives it away: no body turns round from one frame to the next and back again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import spill
from ..body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from .track import RoiViews, Track

GROUPS = ("body", "arms", "legs")
"""What may be exchanged apart from the rest."""

WITH_SIDES = ("landmarks", "visibility", "presence", "world_landmarks")
"""Arrays of tracks and regions of interest that have a left and a right, of all landmarks."""

_PARTS = (("shoulder", "hip"), ("elbow", "wrist"), ("knee", "ankle"))
_PAIRS = np.array(
    [[[LANDMARK_NAMES.index(f"{side}_{part}") for side in ("left", "right")] for part in parts] for parts in _PARTS]
)
"""(3, 2, 2) landmarks of each group, left and right."""

_ARMS = ("elbow", "wrist", "pinky", "index", "thumb")
_LEGS = ("knee", "ankle", "heel", "foot")
_WORDS = [f"{name}_".split("_")[1] for name in LANDMARK_NAMES]
_GROUP_OF = np.array([1 if word in _ARMS else 2 if word in _LEGS else 0 for word in _WORDS])

# Standard deviations of a landmark: shares of the crop's side in the image, metres in the world; and by how much more a
# limb may leave its course, per second², for a crop of about two metres.
_NOISE = (0.02, 0.08)
_ACCELERATION = (10.0, 20.0)
# The course of the frames before is followed the less, the more their noise hides it.
_STEADY_SECONDS = 0.1
# A pair of landmarks says at most so much against its course: it may also have been misplaced.
_MOST = 3.0
# A frame is compared with those so many frames ago, and twice as many: one bad frame must not hide what came before it.
_LAGS = np.array([1, 2, 3])
# What it costs that sides are exchanged from one frame to the next, and that they are for a second: of the whole body,
# and of arms or legs against it. The network is mostly right, and where it is wrong it mostly is about the whole body.
# What it says for many seconds on end is believed.
_WHOLE, _LIMBS = (3.0, 4.0), (2.0, 20.0)
_SIGNS = np.array([1.0, -1.0])
# Frames whose costs are held at a time.
_CHUNK = 256
# Whether the sides are exchanged in the last frames, the latest in the lowest bit.
_MEMORY = 2 * int(_LAGS.max())
_PASTS = np.arange(2 ** (_MEMORY + 1))
_CHANGED = _PASTS & 1 != _PASTS >> 1 & 1
# Of a past, for each lag, which of its four kinds it is: whether there was a change since then, and one before.
_KINDS = np.stack([2 * ((_PASTS ^ _PASTS >> lag) & 1) + ((_PASTS >> lag ^ _PASTS >> 2 * lag) & 1) for lag in _LAGS])


def exchanged_sides(track: Track) -> np.ndarray:
    """Whose left and right the network exchanged, (n, 3) of `GROUPS`.

    The vectors from right to left landmarks follow a smooth course, in the image and in the world, and an exchange
    turns them round. When the exchange of the whole body's sides, and then of those of arms and of legs besides, costs
    least over the whole track is found by dynamic programming (Viterbi). What the network says most of the time is
    taken for right, so a track that is exchanged throughout stays so.
    """
    n = len(track)
    if n < 2:
        return np.zeros((n, len(GROUPS)), bool)
    whole = _exchanged(track, np.zeros(n, bool), slice(None), *_WHOLE)
    limbs = [whole ^ _exchanged(track, whole, slice(group, group + 1), *_LIMBS) for group in (1, 2)]
    return np.stack([whole, *limbs], axis=1)


def mended(track: Track) -> Track:
    """The track with what `exchanged_sides` finds undone."""
    exchanged = exchanged_sides(track)
    return with_sides_exchanged(track, exchanged) if exchanged.any() else track


def with_sides_exchanged(track: Track, exchanged: np.ndarray) -> Track:
    """The track with left and right landmarks of groups exchanged, (n, 3) of `GROUPS`.

    Depth stays with the side that it was said of: who takes a back for a front also takes near for far. Maps stay, too.
    """
    mirror = np.where(exchanged[:, _GROUP_OF], LANDMARK_MIRROR, np.arange(len(LANDMARK_MIRROR))).astype(np.int8)

    def mirrored(seen: Track | RoiViews, axis: int) -> dict[str, Any]:
        def part(window: slice) -> tuple[np.ndarray, ...]:
            parts = {name: getattr(seen, name)[window] for name in WITH_SIDES}
            where = mirror[window].reshape(-1, *(1,) * (axis - 1), mirror.shape[1])
            result = {
                name: np.take_along_axis(values, where.reshape(*where.shape, *(1,) * (values.ndim - where.ndim)), axis)
                for name, values in parts.items()
            }
            result["world_landmarks"][..., 2] = parts["world_landmarks"][..., 2]
            return tuple(result.values())

        return dict(zip(WITH_SIDES, spill.collect(len(mirror), part), strict=True))

    views = track.roi_views
    if views is not None:
        views = replace(views, **mirrored(views, 2))
    return replace(track, **mirrored(track, 1), roi_views=views)


def _exchanged(track: Track, before: np.ndarray, groups: slice, change: float, second: float) -> np.ndarray:
    """(n,) where it costs least that the sides of groups are exchanged, after they were in frames (n,) before."""
    n = len(track)
    steps = np.diff(track.timestamps)
    steps = second * np.minimum(np.concatenate([[steps.mean()], steps]), 1.0)
    half = len(_PASTS) // 2
    came_from_exchanged = spill.zeros((n, half), bool)
    # Before the first frame there is none that differs from it.
    best = np.full(half, np.inf)
    best[0], best[-1] = 0, steps[0]
    for first in range(1, n, _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, n))
        by_kind = _course_costs(track, rows, before, groups)
        costs = np.take_along_axis(by_kind, np.broadcast_to(_KINDS, (len(rows), *_KINDS.shape)), 2).mean(1)
        costs += change * _CHANGED + steps[rows, None] * (_PASTS & 1)
        for frame, cost in zip(rows, costs, strict=True):
            # The oldest frame's sides are forgotten.
            kept, turned = (best[_PASTS >> 1] + cost).reshape(2, half)
            came_from_exchanged[frame] = turned < kept
            best = np.minimum(kept, turned)
    exchanged = np.zeros(n, bool)
    past = int(best.argmin())
    for frame in range(n - 1, -1, -1):
        exchanged[frame] = past & 1
        past = past >> 1 | int(came_from_exchanged[frame, past]) << _MEMORY - 1
    return exchanged


def _course_costs(track: Track, rows: np.ndarray, before: np.ndarray, groups: slice) -> np.ndarray:
    """(m, 3, 4) how far groups are off the course of the frames before in rows (m,), for each of `_LAGS`, by `_KINDS`.

    Args: as of `_exchanged`.
    """
    ago = rows[:, None, None] - _LAGS[:, None] * np.arange(3)
    there, ago = ago >= 0, np.maximum(ago, 0)
    seconds = track.timestamps[ago]
    step, earlier = seconds[..., 0] - seconds[..., 1], seconds[..., 1] - seconds[..., 2]
    follow = np.where(there[..., 2], step / (step + _STEADY_SECONDS) * step / np.where(there[..., 2], earlier, 1), 0)
    pairs = _PAIRS[groups].reshape(-1, 2)
    seen = track.visibility[ago][..., pairs].min(axis=(2, -1)) * there[..., 1, None]
    costs = np.zeros((*ago.shape[:2], 2, 2))
    # Depth says nothing: it stays as it is when the network exchanges sides.
    scales = (track.crops[ago, 2], np.ones(ago.shape))
    for points, scale, noise, acceleration in zip(
        (track.landmarks, track.world_landmarks), scales, _NOISE, _ACCELERATION, strict=True
    ):
        flat = points[..., :2]
        across = flat[ago[..., None], pairs[:, 0]] - flat[ago[..., None], pairs[:, 1]]
        across = across * np.where(before[ago], -1, 1)[..., None, None] / scale[..., None, None]
        now, last, older = np.moveaxis(across, 2, 0)
        allowed = noise + acceleration * step**2
        for changed, sign in enumerate(_SIGNS):
            for changed_before, sign_before in enumerate(_SIGNS):
                expected = last + follow[..., None, None] * (last - sign_before * older)
                off = np.linalg.norm(sign * now - expected, axis=-1) / allowed[..., None]
                costs[..., changed, changed_before] += (seen * np.minimum(off, _MOST)).sum(axis=-1)
    return costs.reshape(*ago.shape[:2], 4)
