"""From a face as it was seen to the coefficients and the head of a motion. NumPy only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import spill
from ..body import rotations
from ..body.skeleton import JOINT_NAMES, PARENTS
from ..body.smpl import Body
from ..motion.limits import LIMITS
from ..motion.motion import Motion
from ..motion.smoothing import MARGIN, smooth
from .track import FaceTrack

_NECK, _HEAD = JOINT_NAMES.index("neck"), JOINT_NAMES.index("head")
_CHEST = PARENTS[_NECK]

# Standard deviations: of a coefficient as seen and of one at rest, and in radians of a head as seen and as the body has
# it.
_NOISE, _REST_SPREAD = 0.06, 1.2
_HEAD_NOISE, _BODY_NOISE = np.radians(6.0), np.radians(25.0)
# Usual accelerations, per second²: eyelids close within a tenth of a second.
_ACCELERATION, _HEAD_ACCELERATION = 60.0, 20.0
# A head that is turned from the body's by more than this, in radians, was not seen well.
_FAR = np.radians(60.0)


def move_face(motion: Motion, face: FaceTrack, body: Body, smoothing: float = 1.0) -> Motion:
    """A motion with what its person's face does, and with neck and head turned as the face is.

    Where the face was not seen it rests, and the head is the motion's own; both blend over. A motion of which no face
    was seen is returned as it is.

    Args:
        motion: of n frames.
        face: of the same person.
        body: of the motion.
        smoothing: as for `motion.estimate`.
    """
    looks = np.flatnonzero(np.isin(face.frames, motion.frames))
    if not (face.scores[looks] > 0).any():
        return motion
    rows = np.searchsorted(motion.frames, face.frames[looks])
    scores = np.zeros(len(motion))
    scores[rows] = face.scores[looks]
    betas = motion.betas[: body.shapedirs.shape[2]]

    def moved(window: slice) -> tuple[np.ndarray, ...]:
        part, inside = motion.trimmed(window), slice(*np.searchsorted(rows, [window.start, window.stop]))
        there, own = rows[inside] - window.start, looks[inside]
        seen = np.zeros((len(part), face.coefficients.shape[1]))
        seen[there] = face.coefficients[own]
        heads = np.tile(np.eye(3), (len(part), 1, 1))
        heads[there] = _sights(motion, face.centers[own]) @ face.turns[own]
        poses = part.poses_cam.copy()
        poses[:, [_NECK, _HEAD]] = _turned(part, body, heads, scores[window], smoothing)
        coefficients = _smooth_coefficients(seen, scores[window], part.timestamps, smoothing)
        return poses, body.joints(poses, betas, part.trans_cam), coefficients

    poses, joints, coefficients = spill.collect(len(motion), moved, MARGIN)
    return replace(motion, poses_cam=poses, joints_cam=joints, face=coefficients, face_scores=_between(scores, rows))


def _sights(motion: Motion, centers: np.ndarray) -> np.ndarray:
    """Rotations (m, 3, 3) from an image of which points (m, 2) are the middle to the camera's axes."""
    focal, middle = motion.camera_K[[0, 1], [0, 1]], motion.camera_K[:2, 2]
    sight = np.concatenate([(centers - middle) / focal, np.ones((len(centers), 1))], axis=1)
    return rotations.between(np.broadcast_to([0.0, 0.0, 1.0], sight.shape), sight)


def _smooth_coefficients(
    coefficients: np.ndarray, scores: np.ndarray, timestamps: np.ndarray, smoothing: float
) -> np.ndarray:
    seen, rest = (scores / _NOISE) ** 2, 1.0 / _REST_SPREAD**2
    weights = seen + rest
    target = (seen / weights)[:, None] * coefficients
    calm = smooth(
        target[..., None],
        np.broadcast_to(weights[:, None], target.shape),
        timestamps,
        _ACCELERATION / max(smoothing, 1e-2),
    )
    return np.clip(calm[..., 0], 0.0, 1.0)


def _turned(motion: Motion, body: Body, heads: np.ndarray, scores: np.ndarray, smoothing: float) -> np.ndarray:
    """(n, 2, 3) local rotations of neck and head, axis-angle; both take a half of what the head turns further."""
    own = body.global_rotations(motion.poses_cam)
    away = rotations.matrix_to_axis_angle(np.swapaxes(own[:, _HEAD], -1, -2) @ heads)
    angle = np.linalg.norm(away, axis=-1)
    seen = (scores / _HEAD_NOISE) ** 2 / (1.0 + (angle / _FAR) ** 2) ** 2
    weights = seen + 1.0 / _BODY_NOISE**2
    target = (seen / weights)[:, None] * away
    calm = smooth(target[:, None], weights[:, None], motion.timestamps, _HEAD_ACCELERATION / max(smoothing, 1e-2))[:, 0]
    wanted = own[:, _HEAD] @ rotations.axis_angle_to_matrix(calm)
    half = own[:, _HEAD] @ rotations.axis_angle_to_matrix(calm / 2) @ np.swapaxes(own[:, _HEAD], -1, -2)
    neck = _limited(motion, _NECK, np.swapaxes(own[:, _CHEST], -1, -2) @ half @ own[:, _NECK])
    carried = own[:, _CHEST] @ rotations.axis_angle_to_matrix(neck)
    head = _limited(motion, _HEAD, np.swapaxes(carried, -1, -2) @ wanted)
    return np.stack([neck, head], axis=1)


def _limited(motion: Motion, joint: int, turns: np.ndarray) -> np.ndarray:
    """Axis-angle (n, 3) of local rotations, within what the joint can do or did."""
    own = motion.poses_cam[:, joint]
    low, high = np.minimum(LIMITS[joint, :, 0], own), np.maximum(LIMITS[joint, :, 1], own)
    return np.clip(rotations.matrix_to_axis_angle(turns), low, high)


def _between(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scores (n,) of all frames: between two looks that are not far apart the lower of both."""
    filled = scores.copy()
    gaps = np.diff(rows)
    if not len(gaps):
        return filled
    frames = np.arange(rows[0], rows[-1])
    gap = np.searchsorted(rows, frames, side="right") - 1
    lower = np.minimum(scores[rows[:-1]], scores[rows[1:]])[gap]
    inside = (frames != rows[gap]) & (gaps[gap] <= 2 * np.median(gaps))
    filled[frames[inside]] = lower[inside]
    return filled
