"""Left and right over a whole track: where the landmark network exchanged them for a while, that is found and undone.

Somebody seen from behind looks much like somebody seen from the front, and for some frames the network may take one for
the other. The exchange itself gives it away: no body turns round from one frame to the next and back again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import spill
from ..body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from .track import RoiViews, Track

GROUPS = ("body", "arms", "legs")
"""What may be exchanged apart from the rest."""

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
# What it costs that the body's sides are exchanged from one frame to the next, or arms or legs without it; that all are
# exchanged for a second; that arms or legs are unlike the body in a frame. The network is mostly right, and where it is
# wrong it mostly is about the whole body. What it says for many seconds on end is believed.
_CHANGE, _EXCHANGED_SECOND, _UNLIKE = 2.0, 4.0, 1.0
_SIGNS = np.array([1.0, -1.0])
# Frames whose costs are held at a time.
_CHUNK = 256
_STATES = np.array([[state >> group & 1 for group in range(len(GROUPS))] for state in range(2 ** len(GROUPS))])


def exchanged_sides(track: Track) -> np.ndarray:
    """Whose left and right the network exchanged, (n, 3) of `GROUPS`.

    Of each group the vectors from right to left landmarks follow a smooth course, in the image and in the world, and an
    exchange turns them round. The states of all groups (as seen or exchanged) with the least cost over the whole track
    are found by dynamic programming (Viterbi). What the network says most of the time is taken for right, so a track
    that is exchanged throughout stays so.
    """
    n = len(track)
    if n < 2:
        return np.zeros((n, len(GROUPS)), bool)
    steps = np.concatenate([[np.diff(track.timestamps).mean()], np.diff(track.timestamps)])
    alone = _state_costs(steps)
    # Before the first frame there is none that differs from it.
    best = np.where(np.eye(len(_STATES), dtype=bool), alone[0], np.inf)
    before = spill.zeros((n, *best.shape), np.int8)
    for first in range(1, n, _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, n))
        costs = _change_costs(track, steps, rows) + alone[rows, None, None]
        for frame, cost in zip(rows, costs, strict=True):
            # From the states of two frames ago and the last to this one's.
            candidates = best[:, :, None] + cost
            before[frame] = candidates.argmin(axis=0)
            best = candidates.min(axis=0)
    path = np.zeros(n, int)
    path[-2:] = np.unravel_index(best.argmin(), best.shape)
    for frame in range(n - 1, 1, -1):
        path[frame - 2] = before[frame, path[frame - 1], path[frame]]
    return _STATES[path].astype(bool)


def mended(track: Track) -> Track:
    """The track with what `exchanged_sides` finds undone."""
    exchanged = exchanged_sides(track)
    return with_sides_exchanged(track, exchanged) if exchanged.any() else track


def with_sides_exchanged(track: Track, exchanged: np.ndarray) -> Track:
    """The track with left and right landmarks of groups exchanged, (n, 3) of `GROUPS`; its maps stay as they are."""
    mirror = np.where(exchanged[:, _GROUP_OF], LANDMARK_MIRROR, np.arange(len(LANDMARK_MIRROR))).astype(np.int8)

    def mirrored(values: np.ndarray, axis: int) -> np.ndarray:
        def part(window: slice) -> tuple[np.ndarray]:
            shape = [-1, *(1,) * (values.ndim - 1)]
            shape[axis] = mirror.shape[1]
            return (np.take_along_axis(values[window], mirror[window].reshape(shape), axis),)

        return spill.collect(len(mirror), part)[0]

    views = track.roi_views
    if views is not None:
        views = RoiViews(
            landmarks=mirrored(views.landmarks, 2),
            visibility=mirrored(views.visibility, 2),
            presence=mirrored(views.presence, 2),
            world_landmarks=mirrored(views.world_landmarks, 2),
            scores=views.scores,
            crops=views.crops,
        )
    return replace(
        track,
        landmarks=mirrored(track.landmarks, 1),
        visibility=mirrored(track.visibility, 1),
        presence=mirrored(track.presence, 1),
        world_landmarks=mirrored(track.world_landmarks, 1),
        roi_views=views,
    )


def _state_costs(steps: np.ndarray) -> np.ndarray:
    """(n, 8) what each frame's states cost by themselves, given the seconds since the frame before (n,)."""
    unlike = (_STATES[:, 1:] != _STATES[:, :1]).sum(axis=1)
    return _EXCHANGED_SECOND * np.minimum(steps, 1.0)[:, None] * _STATES.mean(axis=1) + _UNLIKE * unlike


def _change_costs(track: Track, steps: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(m, 8, 8, 8) what frames in rows (m,) cost in each state, given those two frames and one frame ago."""
    step, earlier = steps[rows], steps[np.maximum(rows - 1, 0)]
    follow = (step / (step + _STEADY_SECONDS) * step / earlier)[:, *(None,) * 6]
    seen = np.minimum(track.visibility[rows][:, _PAIRS[..., 0]], track.visibility[rows][:, _PAIRS[..., 1]])
    apart = np.zeros((len(rows), len(GROUPS), 2, 2, 2))
    scales = (track.crops[rows, 2, None, None, None], 1.0)
    for points, scale, noise, acceleration in zip(
        (track.landmarks, track.world_landmarks), scales, _NOISE, _ACCELERATION, strict=True
    ):
        # By the signs of two frames ago, one frame ago and now.
        older, last, now = (
            _SIGNS.reshape(shape) * (_across(points, np.maximum(rows - back, 0)) / scale)[:, None, None, None]
            for back, shape in ((2, (2, 1, 1, 1, 1, 1)), (1, (1, 2, 1, 1, 1, 1)), (0, (1, 1, 2, 1, 1, 1)))
        )
        allowed = (noise + acceleration * step**2)[:, *(None,) * 5]
        off = np.minimum(np.linalg.norm(now - last - follow * (last - older), axis=-1) / allowed, _MOST)
        apart += np.moveaxis((seen[:, None, None, None] * off).sum(axis=-1), -1, 1)
    older, last, now = np.ix_(*(range(len(_STATES)),) * 3)
    changed = _STATES[last] != _STATES[now]
    costs = _CHANGE * (changed[..., 0] + (changed[..., 1:] != changed[..., :1]).sum(axis=-1))
    return costs + sum(
        apart[:, group][:, state[older], state[last], state[now]] for group, state in enumerate(_STATES.T)
    )


def _across(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(m, 3, 2, D) vectors from right to left landmarks of each group, of points (n, 33, D) in rows (m,)."""
    return points[rows][:, _PAIRS[..., 0]] - points[rows][:, _PAIRS[..., 1]]
