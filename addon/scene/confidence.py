"""How surely each limb was seen, over time, kept beside a captured action's keys."""

from __future__ import annotations

import bpy
import numpy as np

from ...inference.body.skeleton import JOINT_NAMES
from ...inference.motion.motion import Motion
from ..compatibility import keep_bytes

CONFIDENCE = "video_motion_confidence"
"""Custom property of a captured action: for each frame a number of four bytes and of each limb one byte."""

LIMBS = {
    "Head": ("neck", "head"),
    "Torso": ("pelvis", "left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "Left Arm": ("left_elbow", "left_wrist"),
    "Right Arm": ("right_elbow", "right_wrist"),
    "Left Leg": ("left_knee", "left_ankle", "left_foot"),
    "Right Leg": ("right_knee", "right_ankle", "right_foot"),
}
"""The joints whose mean is a limb's."""

_ROW = np.dtype([("frame", "<f4"), ("limbs", "u1", len(LIMBS))])


def keep_confidence(action: bpy.types.Action, motion: Motion, frames: np.ndarray) -> None:
    """Let an action know how surely its limbs were seen at ``frames`` (N,), not at all where nobody was."""
    rows = np.empty(len(frames), dtype=_ROW)
    rows["frame"] = frames
    seen = np.where(motion.bridged.astype(bool)[:, None], 0.0, motion.scores.clip(0.0, 1.0))
    joints = [[JOINT_NAMES.index(name) for name in names] for names in LIMBS.values()]
    rows["limbs"] = np.round(255.0 * np.stack([seen[:, one].mean(axis=1) for one in joints], axis=-1))
    keep_bytes(action, CONFIDENCE, rows.tobytes())


def confidence_in(action: bpy.types.Action | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Frames (N,), increasing, and how surely each of `LIMBS` was seen (N, L), 0 to 1; None where that is unknown."""
    kept = action.get(CONFIDENCE) if action is not None else None
    if not isinstance(kept, bytes) or not kept:
        return None
    rows = np.frombuffer(kept, dtype=_ROW)
    return rows["frame"].astype(np.float64), rows["limbs"] / 255.0


def confidence_at(known: tuple[np.ndarray, np.ndarray], frames: np.ndarray) -> np.ndarray:
    """How surely each limb was seen at the nearest of the known frames to ``frames`` (M,): (M, L), NaN outside."""
    at, values = known
    after = np.searchsorted(at, frames).clip(0, len(at) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(frames - at[before] < at[after] - frames, before, after)
    inside = (frames > at[0] - 1.0) & (frames < at[-1] + 1.0)
    return np.where(inside[:, None], values[nearest], np.nan)


def next_doubt(known: tuple[np.ndarray, np.ndarray], frame: float, step: int, least: float) -> float | None:
    """The frame after ``frame``, or before for ``step`` -1, at which a limb begins to be seen less surely than
    ``least``; None where there is none."""
    at, values = known
    doubtful = values.min(axis=1) < least
    begins = at[doubtful & ~np.concatenate([[False], doubtful[:-1]])]
    there = begins[begins > frame + 0.5] if step > 0 else begins[begins < frame - 0.5][::-1]
    return float(there[0]) if len(there) else None
