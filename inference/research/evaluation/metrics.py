"""Standard measures of estimated human motion, for whole clips at once.

Points are (N, K, 3) in metres: N frames, K joints or vertices, the same frame of reference for both. Results are in
millimetres where that is usual. Measures over time take the frame numbers (N,) of the clip and skip differences across
missing frames; without them all frames are consecutive. The measure of an empty array is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from ...body import rotations
from ...body.skeleton import JOINT_NAMES, LANDMARK_NAMES

_SIDES = ("left", "right")
_LEGS = [[JOINT_NAMES.index(f"{side}_{part}") for side in _SIDES] for part in ("hip", "knee", "ankle")]

LIMB_NAMES = tuple(
    f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in _SIDES
)
"""The 12 limb joints that SMPL, BlazePose and LSP have in common."""

LIMB_JOINTS = [JOINT_NAMES.index(name) for name in LIMB_NAMES]
"""The limb joints among SMPL's 24 joints."""

LIMB_LANDMARKS = [LANDMARK_NAMES.index(name) for name in LIMB_NAMES]
"""The limb joints among BlazePose's 33 landmarks."""

HIPS = (LIMB_NAMES.index("left_hip"), LIMB_NAMES.index("right_hip"))
"""The hips among the limb joints; their midpoint is the root."""

LIMB_MIRROR = [LIMB_NAMES.index(f"{_SIDES[name.startswith('left')]}_{name.partition('_')[2]}") for name in LIMB_NAMES]
"""For each limb joint, that of the other side."""

LIMB_BONES = tuple(
    (LIMB_NAMES.index(f"{side}_{upper}"), LIMB_NAMES.index(f"{side}_{lower}"))
    for upper, lower in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
    for side in _SIDES
)
"""Both ends of upper arms, forearms, thighs and shanks among the limb joints."""

PAPER_JOINTS = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
"""Of Human3.6M's 17 joints the 14 that papers compare on 3DPW, in the order of LSP; the first of the 17 is the root."""

SMPL_HIPS = (JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip"))
"""The hips among SMPL's 24 joints."""

EMDB_ROTATION_JOINTS = [
    JOINT_NAMES.index(name)
    for name in ("pelvis", *(f"{side}_{part}" for part in ("hip", "knee", "shoulder", "elbow") for side in _SIDES))
]
"""The 9 joints whose rotations EMDB compares."""

EMDB_JITTER_JOINTS = [
    number
    for number, name in enumerate(JOINT_NAMES)
    if name != "pelvis" and name.split("_")[-1] not in ("ankle", "foot", "wrist", "hand")
]
"""The 15 joints whose jitter EMDB measures."""


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def align_root(points: np.ndarray, root: Sequence[int]) -> np.ndarray:
    """Points (N, K, 3) translated so that the midpoint of the `root` points is the origin."""
    return points - points[:, list(root)].mean(axis=1, keepdims=True)


def joint_errors(predicted: np.ndarray, true: np.ndarray, root: Sequence[int] = HIPS) -> np.ndarray:
    """Distance of each point (N, K) after root alignment, mm; arguments as in `mpjpe`."""
    return 1000 * np.linalg.norm(align_root(predicted, root) - align_root(true, root), axis=-1)


def mpjpe(predicted: np.ndarray, true: np.ndarray, root: Sequence[int] = HIPS) -> float:
    """Mean per-joint position error after root alignment, mm.

    Args:
        predicted: (N, K, 3), by default the limb joints.
        true: (N, K, 3).
        root: the points whose midpoints are aligned.
    """
    return _mean(joint_errors(predicted, true, root))


def similarity(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales (N,) and rotations (N, 3, 3) that align centred points (N, K, 3) best with centred true ones."""
    u, spread, vt = np.linalg.svd(np.swapaxes(true, 1, 2) @ predicted)
    sign = np.ones_like(spread)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    size = (predicted**2).sum(axis=(1, 2))
    return (spread * sign).sum(axis=1) / np.maximum(size, np.finfo(float).tiny), (u * sign[:, None]) @ vt


def moved_rigidly(moving: np.ndarray, points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """What is moving (..., 3) turned and shifted as fits points (K, 3) best to others (K, 3)."""
    centre, target = points.mean(axis=0), wanted.mean(axis=0)
    _, (rotation,) = similarity((points - centre)[None], (wanted - target)[None])
    return (moving - centre) @ rotation.T + target


def procrustes(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Predicted points (N, K, 3), each frame translated, rotated and scaled to fit the true ones (N, K, 3) best.

    Umeyama (1991): the least-squares similarity; without reflection.
    """
    everything = range(predicted.shape[1])
    source, true_centre = align_root(predicted, everything), true.mean(axis=1, keepdims=True)
    scale, rotation = similarity(source, true - true_centre)
    return scale[:, None, None] * (source @ np.swapaxes(rotation, 1, 2)) + true_centre


def pa_mpjpe(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean per-joint position error (N, K, 3) after each frame's Procrustes alignment, mm."""
    return 1000 * _mean(np.linalg.norm(procrustes(predicted, true) - true, axis=-1))


def pve(predicted: np.ndarray, true: np.ndarray, predicted_root: np.ndarray, true_root: np.ndarray) -> float:
    """Mean per-vertex error of the body's surface after root alignment, mm.

    Args:
        predicted: (N, V, 3).
        true: (N, V, 3).
        predicted_root: (N, 3), of the predicted skeleton.
        true_root: (N, 3).
    """
    return 1000 * _mean(np.linalg.norm(predicted - predicted_root[:, None] - true + true_root[:, None], axis=-1))


def _difference(points: np.ndarray, order: int, frames: np.ndarray | None) -> np.ndarray:
    """Differences of an order between consecutive frames, (M, K, 3), without those across a gap."""
    change = np.diff(points, n=order, axis=0)
    if frames is None or not len(change):
        return change
    return change[frames[order:] - frames[:-order] == order]


def accel_error(predicted: np.ndarray, true: np.ndarray, frames: np.ndarray | None = None) -> float:
    """Accel: mean norm of the difference of second differences, mm / frame².

    As in HMMR (Kanazawa et al., CVPR 2019) and after it: of root-aligned points (N, K, 3), so align them first.
    """
    change = _difference(predicted - true, 2, frames)
    return 1000 * _mean(np.linalg.norm(change, axis=-1))


def accel_error_si(
    predicted: np.ndarray, true: np.ndarray, frame_rate: float, frames: np.ndarray | None = None
) -> float:
    """`accel_error` in m/s², comparable between frame rates (frames per second)."""
    return accel_error(predicted, true, frames) * frame_rate**2 / 1000


def scores(limbs: np.ndarray, true: np.ndarray, frames: np.ndarray) -> dict[str, float]:
    """MPJPE, PA-MPJPE and Accel, from the midpoint of the hips, of limb joints (N, 12, 3) at frame numbers (N,)."""
    return {
        "MPJPE": mpjpe(limbs, true),
        "PA-MPJPE": pa_mpjpe(limbs, true),
        "Accel": accel_error(align_root(limbs, HIPS), align_root(true, HIPS), frames),
    }


def bone_lengths(limbs: np.ndarray) -> np.ndarray:
    """Lengths (N, 8) of `LIMB_BONES` between limb joints (N, 12, 3)."""
    ends = limbs[:, np.array(LIMB_BONES)]
    return np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)


def sides_exchanged(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """In which frames (N,) limb joints (N, 12, 2 or 3) are nearer to the true ones with left and right exchanged."""

    def distance(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - true, axis=-1).sum(axis=1)

    return distance(predicted[:, LIMB_MIRROR]) < distance(predicted)


def decomposition(limbs: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """What the error of limb joints (N, 12, 3) in camera axes is made of, from the midpoint of the hips.

    The mean error along each axis, mm; the MPJPE left after the one rotation of the whole clip that fits best, mm; the
    length of the limbs' bones in per cent of the true one; the share of frames with exchanged sides, per cent.
    """
    found, wanted = align_root(limbs, HIPS), align_root(true, HIPS)
    error = 1000 * np.abs(found - wanted)
    _, turn = similarity(found.reshape(1, -1, 3), wanted.reshape(1, -1, 3))
    length = bone_lengths(wanted).sum()
    return {
        **{f"error {axis}": _mean(error[..., number]) for number, axis in enumerate("xyz")},
        "MPJPE, clip turned": mpjpe(found @ turn[0].T, wanted),
        "limb lengths": 100 * float(bone_lengths(found).sum() / length) if length else float("nan"),
        "sides exchanged": 100 * _mean(sides_exchanged(found, wanted)),
    }


def disagreement(views: np.ndarray) -> tuple[float, np.ndarray]:
    """How far the estimates of several cameras are apart, mm: mean distance of joints over frames and pairs of cameras.

    Args:
        views: (C, N, K, 3) metres in axes that the cameras share, roots aligned; NaN in frames that one has not.

    Returns:
        The mean of all pairs, and (C,) that of each camera's pairs; NaN without any.
    """
    return _apart(views, lambda first, _: first)


def worlds_apart(views: np.ndarray) -> tuple[float, np.ndarray]:
    """How far the worlds of several cameras drift apart, mm: as `disagreement`, first common frames aligned rigidly.

    Args:
        views: (C, N, K, 3) metres, each in a world of its own; NaN in frames that one has not.
    """

    def aligned(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        common = np.flatnonzero(np.isfinite(first).all(axis=(1, 2)) & np.isfinite(second).all(axis=(1, 2)))
        return moved_rigidly(first, first[common[0]], second[common[0]]) if len(common) else first

    return _apart(views, aligned)


def _apart(views: np.ndarray, aligned: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> tuple[float, np.ndarray]:
    count = len(views)
    apart = np.full((count, count, views.shape[1]), np.nan)
    for first, second in combinations(range(count), 2):
        distance = 1000 * np.linalg.norm(aligned(views[first], views[second]) - views[second], axis=-1).mean(axis=-1)
        apart[first, second] = apart[second, first] = distance
    return _mean(apart[np.isfinite(apart)]), np.array([_mean(one[np.isfinite(one)]) for one in apart])


def jitter(points: np.ndarray, frame_rate: float, frames: np.ndarray | None = None) -> float:
    """Mean norm of the third derivative of points (N, K, 3) by time, in 10 m/s³ as EMDB reports it."""
    change = _difference(points, 3, frames)
    return _mean(np.linalg.norm(change, axis=-1)) * frame_rate**3 / 10


def foot_sliding(feet: np.ndarray, contacts: np.ndarray, frames: np.ndarray | None = None) -> float:
    """Mean horizontal distance per frame of feet in contact with the floor, cm.

    Args:
        feet: (N, F, 3) in a world with z up.
        contacts: (N, F) whether each is in contact; a step counts if it is before and after.
        frames: (N,) frame numbers.
    """
    distance = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1)
    standing = contacts[1:].astype(bool) & contacts[:-1].astype(bool)
    if frames is not None:
        standing &= (np.diff(frames) == 1)[:, None]
    return 100 * _mean(distance[standing])


def standing_knees(joints: np.ndarray, contacts: np.ndarray) -> float:
    """Median bend of the knees of people who stand on both feet, degrees: 0 for straight legs, NaN if nobody does.

    Args:
        joints: (N, 24, 3) SMPL's, in any axes.
        contacts: (N, 2) whether the left and the right foot stand.
    """
    standing = contacts.astype(bool).all(axis=1)
    if not standing.any():
        return float("nan")
    hips, knees, ankles = (joints[standing][:, rows] for rows in _LEGS)
    thighs, shanks = knees - hips, ankles - knees
    cosine = (thighs * shanks).sum(-1) / np.linalg.norm(thighs, axis=-1) / np.linalg.norm(shanks, axis=-1)
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1.0, 1.0)))))


def mpjae(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean per-joint angle error: geodesic distance of rotation matrices (N, J, 3, 3), degrees.

    EMDB (Kaufmann et al., ICCV 2023) takes rotations relative to the camera, not to the parent joint.
    """
    return float(np.degrees(_mean(rotations.relative_angle(predicted, true))))


def pa_mpjae(predicted: np.ndarray, true: np.ndarray, predicted_points: np.ndarray, true_points: np.ndarray) -> float:
    """`mpjae` after each frame's predicted rotations are rotated by the Procrustes alignment of its points.

    Args:
        predicted: (N, J, 3, 3) relative to the camera.
        true: (N, J, 3, 3) relative to the camera.
        predicted_points: (N, K, 3).
        true_points: (N, K, 3).
    """
    everything = range(predicted_points.shape[1])
    _, rotation = similarity(align_root(predicted_points, everything), align_root(true_points, everything))
    return mpjae(rotation[:, None] @ predicted, true)


def emdb_jitter(joints: np.ndarray, frame_rate: float, frames: np.ndarray | None = None) -> float:
    """Jitter as EMDB's own program reports it, 10 m/s³.

    The pelvis is kept at the origin, and the sum over the 15 joints of `EMDB_JITTER_JOINTS` is divided by all 24.

    Args:
        joints: (N, 24, 3) of SMPL.
        frame_rate: frames per second.
        frames: (N,) frame numbers.
    """
    moving = align_root(joints, [0])[:, EMDB_JITTER_JOINTS]
    return jitter(moving, frame_rate, frames) * len(EMDB_JITTER_JOINTS) / len(JOINT_NAMES)


def project(points: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """Pixels (N, K, 2) of points (N, K, 3) in camera space."""
    pixels = points @ camera_K.T
    return pixels[..., :2] / pixels[..., 2:]


def reprojection_error(
    predicted: np.ndarray, observed: np.ndarray, box_heights: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Mean distance in the image, in pixels and in per cent of the person's box height.

    Args:
        predicted: (N, K, 2) pixels.
        observed: (N, K, 2) pixels.
        box_heights: (N,) pixels.
        weights: (N, K), for landmarks with low visibility.
    """
    distance = np.linalg.norm(predicted - observed, axis=-1)
    weight = np.ones_like(distance) if weights is None else weights
    total = weight.sum()
    if not total > 0:
        return float("nan"), float("nan")
    share = distance / box_heights[:, None]
    return float((weight * distance).sum() / total), float(100 * (weight * share).sum() / total)
