"""A motion on the whole frames of a scene. NumPy only."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from ...inference.body import rotations
from ...inference.motion.motion import Motion
from .keyframes import CLOSE, frames_of, times_of, whole_frames

STANDARD_RATES = (*(rate / 1.001 for rate in (24, 30, 60, 120)), 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 100.0, 120.0)
"""Frames per second that cameras and programs have names for."""

# Further away than this fraction a rate is another one.
_NEAR = 0.02


def standard_rate(rate: float) -> float:
    """Return the standard rate next to ``rate``, the next whole number where no standard is near; in hertz."""
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return nearest if abs(nearest / rate - 1.0) < _NEAR else float(max(round(rate), 1))


def whole_frames_within(first: float, last: float) -> tuple[int, int]:
    """Return the first and last whole frame of those from ``first`` to ``last``; the nearest one if none is."""
    begin, end = int(np.ceil(first - CLOSE)), int(np.floor(last + CLOSE))
    return (begin, end) if begin <= end else (round(first), round(first))


def frames_around(frames: np.ndarray, within: bool) -> tuple[int, int]:
    """Return the first and last whole frame ``within`` frames (N,), increasing, or else around them."""
    first, last = whole_frames_within(frames[0], frames[-1]) if within else whole_frames(frames)
    return first, max(last, first)


def on_whole_frames(motion: Motion, frame_rate: float) -> Motion:
    """Return a motion whose every frame is a whole frame of the scene, with none left out.

    Rotations are interpolated along the shortest way, positions, contacts and faces linearly; all else is that of the
    nearest frame. Nothing is added before the motion or after it.

    Args:
        motion: with frames at any times.
        frame_rate: of the scene, hertz.
    """
    frames = frames_of(motion.timestamps, frame_rate)
    first, last = whole_frames_within(frames[0], frames[-1])
    wanted = np.arange(first, last + 1)
    times = times_of(wanted, frame_rate)
    if len(wanted) == len(frames) and np.abs(frames - wanted).max() < CLOSE:
        return replace(motion, timestamps=times)
    after = np.searchsorted(frames, wanted).clip(1, max(len(frames) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(frames) - 1)
    step = np.where(after > before, frames[after] - frames[before], 1.0)
    part = ((wanted - frames[before]) / step).clip(0.0, 1.0)
    nearest = np.where(part < 0.5, before, after)
    rows: dict[str, Any] = {
        one.name: value[nearest]
        for one in fields(motion)
        if isinstance(value := getattr(motion, one.name), np.ndarray)
        and one.name not in ("betas", "rest_pelvis", "camera_K", "image_size")
    }
    for name in ("trans_cam", "contacts", "joints_cam", "face"):
        if (value := getattr(motion, name)) is None:
            continue
        share = part.reshape(-1, *(1,) * (value.ndim - 1))
        rows[name] = (1.0 - share) * value[before] + share * value[after]
    for name in ("poses_cam", "fingers"):
        if (value := getattr(motion, name)) is not None:
            poses = rotations.axis_angle_to_quaternion(value)
            turned = rotations.slerp(poses[before], poses[after], part[:, None])
            rows[name] = rotations.quaternion_to_axis_angle(turned)
    rows["camera_to_world"] = _between(motion.camera_to_world, before, after, part)
    return replace(motion, **(rows | {"timestamps": times}))


def _between(poses: np.ndarray, before: np.ndarray, after: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Rigid transforms (M, 4, 4) between rows of ``poses`` (N, 4, 4)."""
    found = poses[before].copy()
    quaternions = rotations.matrix_to_quaternion(poses[:, :3, :3])
    turned = rotations.slerp(quaternions[before], quaternions[after], part)
    moving = part > 0.0
    found[moving, :3, :3] = rotations.quaternion_to_matrix(turned[moving])
    found[:, :3, 3] += part[:, None] * (poses[after, :3, 3] - poses[before, :3, 3])
    return found
