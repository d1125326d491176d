"""Removes capture errors from clips: joints that flip, jump, or rotate far beyond their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....body import rotations
from ....body.skeleton import JOINT_NAMES
from ....motion.contacts import runs
from ....motion.limits import LIMITS
from .recording import MotionClip

_TOES = [JOINT_NAMES.index("left_foot"), JOINT_NAMES.index("right_foot")]
_BEYOND = np.radians(45.0)
# Per second; limbs swing faster than the pelvis spins.
_MAX_ANGULAR_SPEED = np.radians([1080.0, *[2400.0] * (len(JOINT_NAMES) - 1)])
_MAX_SPEED = 8.0
_PAUSE_SECONDS = 0.15
_BRIDGED_SECONDS = 0.25
_MIN_SECONDS = 1.0


def clean(clip: MotionClip) -> list[MotionClip]:
    """The parts of a clip without errors.

    Toes are clamped to their limits. A joint that is wrong for a moment is interpolated; where one is wrong for longer,
    or the whole body jumps, the clip is cut, and parts of less than a second are left out.

    Returns:
        Clips with the clip's name, numbered if there are several.
    """
    poses = clip.poses.copy()
    poses[:, _TOES] = np.clip(poses[:, _TOES], LIMITS[_TOES, :, 0], LIMITS[_TOES, :, 1])
    wrong = _wrong(poses, clip.frame_rate)
    longest = round(_BRIDGED_SECONDS * clip.frame_rate)
    for joint in range(1, len(JOINT_NAMES)):
        for first, last in _merged(runs(wrong[:, joint]), round(_PAUSE_SECONDS * clip.frame_rate)):
            if first > 0 and last < len(clip) and last - first <= longest:
                poses[first:last, joint] = _bridge(poses[first - 1, joint], poses[last, joint], last - first)
    broken = np.any(_wrong(poses, clip.frame_rate), axis=1)
    jumps = np.linalg.norm(np.diff(clip.trans, axis=0), axis=1) * clip.frame_rate > _MAX_SPEED
    broken[1:] |= jumps
    pieces = [(first, last) for first, last in runs(~broken) if last - first >= _MIN_SECONDS * clip.frame_rate]
    return [
        replace(
            clip,
            name=clip.name if len(pieces) == 1 else f"{clip.name}.{number}",
            poses=poses[first:last],
            trans=clip.trans[first:last],
        )
        for number, (first, last) in enumerate(pieces, start=1)
    ]


def _wrong(poses: np.ndarray, frame_rate: float) -> np.ndarray:
    """(N, 24) whether a joint is far beyond its limits, or jumps from or to the next frame."""
    wrong = ((poses < LIMITS[..., 0] - _BEYOND) | (poses > LIMITS[..., 1] + _BEYOND)).any(axis=-1)
    matrices = rotations.axis_angle_to_matrix(poses)
    jumps = rotations.relative_angle(matrices[:-1], matrices[1:]) * frame_rate > _MAX_ANGULAR_SPEED
    wrong[1:] |= jumps
    wrong[:-1] |= jumps
    return wrong


def _merged(runs: list[tuple[int, int]], pause: int) -> list[tuple[int, int]]:
    """The runs, merged where they are less than a pause apart."""
    out: list[tuple[int, int]] = []
    for first, last in runs:
        if out and first - out[-1][1] < pause:
            out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return out


def _bridge(before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    share = np.arange(1, count + 1) / (count + 1)
    ends = rotations.axis_angle_to_quaternion(np.stack([before, after]))
    return rotations.quaternion_to_axis_angle(
        rotations.slerp(np.repeat(ends[:1], count, axis=0), np.repeat(ends[1:], count, axis=0), share)
    )
