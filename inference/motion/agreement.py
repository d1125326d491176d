"""Where landmarks and a network contradict each other about left and right, who is believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import spill
from ..body import rotations
from ..body.skeleton import LANDMARK_NAMES, SIDES
from ..body.smpl import Body
from ..people import sides
from ..people.track import Track
from ..pose.pose_estimate import PoseEstimate

_LEFT, _RIGHT = ([LANDMARK_NAMES.index(f"{side}_{part}") for part in ("shoulder", "hip")] for side in SIDES)
# From which cosine the sides of an estimated trunk and of its landmarks in the image clearly agree, or contradict each
# other, and what σ the estimate has where it is contradicted, metres.
_CLEAR, _CONTRADICTED_SIGMA = 0.5, 0.3
# Share of a trunk's width that must be seen across.
_WIDE = 0.4
# By how much a body has turned round that did not just move on, radians.
_TURNED_ROUND = np.radians(45.0)


def reconciled(body: Body, pose_estimate: PoseEstimate, track: Track) -> tuple[Track, PoseEstimate]:
    """The landmarks and the estimate with left and right of the trunk on the same sides in the image.

    Where they contradict each other, one of them has just changed: if the estimated body turned round, it is
    interpolated and unsure there, for a network may take a back for a front; if it did not, the landmarks' sides are
    exchanged.
    """
    n = len(track)
    scale = track.pixels_per_metre()

    def agreement(window: slice) -> tuple[np.ndarray]:
        points = body.landmark_positions(pose_estimate.rotations[window], pose_estimate.betas[window])
        estimated = points[:, _LEFT] - points[:, _RIGHT]
        seen = (track.landmarks[window][:, _LEFT] - track.landmarks[window][:, _RIGHT]) / scale[window, None, None]
        width = np.linalg.norm(estimated, axis=(1, 2))
        both = np.stack([seen.reshape(-1, 4), estimated[..., :2].reshape(-1, 4)])
        widths = np.linalg.norm(both, axis=-1)
        # Somebody seen from the side is too narrow to tell.
        wide = (widths > _WIDE * width).all(0)
        return (np.where(wide, both.prod(0).sum(-1) / np.maximum(widths.prod(0), 1e-9), 0),)

    (cosine,) = spill.collect(n, agreement)
    clear = np.flatnonzero(np.abs(cosine) > _CLEAR)
    changes = np.flatnonzero(np.diff(cosine[clear] < 0, prepend=False, append=False))
    exchanged, turned = np.zeros(n, bool), np.zeros(n, bool)
    facing = pose_estimate.rotations[:, 0]
    for start, end in changes.reshape(-1, 2):
        first, last = clear[[start, end - 1]]
        # The last frame that agreed, and the first that does again.
        before, after = clear[max(start - 1, 0)], clear[min(end, len(clear) - 1)]
        borders = (first, before), (last, after)
        turns = [rotations.relative_angle(facing[inside], facing[outside]) for inside, outside in borders]
        if sum(turns) <= _TURNED_ROUND * ((before < first) + (after > last)):
            exchanged[first : last + 1] = True
            continue
        turned[first : last + 1] = True
        for inside, outside in borders:
            # Seen from the side it neither agrees nor contradicts.
            between = slice(*sorted((inside, outside)))
            away = [rotations.relative_angle(facing[border], facing[between]) for border in (inside, outside)]
            turned[between] |= away[0] < away[1]
    if exchanged.any():
        track = sides.with_sides_exchanged(track, np.repeat(exchanged[:, None], len(sides.GROUPS), axis=1))
    return track, _interpolated(pose_estimate, turned, track.timestamps) if turned.any() else pose_estimate


def _interpolated(pose_estimate: PoseEstimate, wrong: np.ndarray, seconds: np.ndarray) -> PoseEstimate:
    """The estimate with rotations between their neighbours', and unsure, in frames (n,) that are wrong, not all."""
    right = np.flatnonzero(~wrong)

    def part(window: slice) -> tuple[np.ndarray, np.ndarray]:
        rows = window.start + np.flatnonzero(wrong[window])
        after = right[np.minimum(np.searchsorted(right, rows), len(right) - 1)]
        before = right[np.maximum(np.searchsorted(right, rows) - 1, 0)]
        first, last = seconds[before], seconds[after]
        share = np.clip((seconds[rows] - first) / np.maximum(last - first, 1e-9), 0, 1)
        turns, sigma = pose_estimate.rotations[window].copy(), pose_estimate.sigma[window].copy()
        ends = pose_estimate.rotations[before], pose_estimate.rotations[after]
        turns[rows - window.start] = rotations.slerp_matrices(*ends, share[:, None])
        sigma[rows - window.start] = _CONTRADICTED_SIGMA
        return turns, sigma

    turns, sigma = spill.collect(len(wrong), part)
    return replace(pose_estimate, rotations=turns, sigma=sigma)
