"""From the landmarks of hands to the fingers and wrists of a motion. NumPy only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import spill
from ..body import fingers, rotations
from ..body.fingers import BEND, END, LIMITS, MIDDLE, RELAXED, SWING
from ..body.skeleton import BODY_JOINTS, FINGERS, JOINT_NAMES, SIDES, SMPLH_JOINT_NAMES
from ..body.smpl import Body
from ..motion.limits import LIMITS as JOINT_LIMITS
from ..motion.motion import Motion
from ..motion.smoothing import MARGIN, smooth, smooth_rotations
from .solve import CHAINS, SeenHands, solve
from .track import FIRST, LANDMARKS, WRIST, HandTrack

# MediaPipe's points of the palm, in SMPL-H's order.
_PALM = [WRIST, *CHAINS[:, 0]]
_PALM_JOINTS = [
    [SMPLH_JOINT_NAMES.index(f"{side}_{name}") for name in ("wrist", *(f"{finger}1" for finger in FINGERS))]
    for side in SIDES
]
# The thumb moves against the palm.
_PALM_WEIGHTS = np.array([1.0 if name != "thumb" else 0.2 for name in ("wrist", *FINGERS)])
_THUMB = FINGERS.index("thumb")
_WRISTS = [JOINT_NAMES.index(f"{side}_wrist") for side in SIDES]
_ELBOWS = [JOINT_NAMES.index(f"{side}_elbow") for side in SIDES]

# Standard deviations in radians: of an angle and a wrist as seen, of a relaxed hand's angles, and of the body's wrist.
_ANGLE_NOISE, _WRIST_NOISE = np.radians(12.0), np.radians(12.0)
_REST_SPREAD, _BODY_NOISE = np.radians(250.0), np.radians(60.0)
# Usual accelerations, radians per second².
_FINGER_ACCELERATION, _WRIST_ACCELERATION = 25.0, 20.0
_ROUNDS = 2
# Looks whose hands are solved together.
_TOGETHER = 256


def move_hands(motion: Motion, hands: HandTrack, body: Body, smoothing: float = 1.0) -> Motion:
    """A motion with fingers and wrists as its person's hands were seen.

    Where a hand was not seen it relaxes, and the wrist is the motion's own; both blend over. A motion for a body
    without fingers, or of whom no hand was seen, is returned as it is.

    Args:
        motion: of n frames.
        hands: of the same person.
        body: of the motion.
        smoothing: as for `motion.estimate`.
    """
    handed = body.with_fingers
    if handed is None or not (hands.scores > 0).any():
        return motion
    looks = np.flatnonzero(np.isin(hands.frames, motion.frames))
    rows = np.searchsorted(motion.frames, hands.frames[looks])
    scores = np.zeros((len(motion), 2))
    scores[rows] = hands.scores[looks]
    betas = motion.betas[: body.shapedirs.shape[2]]
    sizes = _sizes(hands, looks, handed.rest_joints(betas))
    palms_seen, angles_seen = spill.collect(
        len(looks), lambda some: _solved(motion, hands, looks[some], rows[some], body, sizes), length=_TOGETHER
    )

    def moved(window: slice) -> tuple[np.ndarray, ...]:
        part, inside = motion.trimmed(window), slice(*np.searchsorted(rows, [window.start, window.stop]))
        n, there, sure = len(part), rows[inside] - window.start, scores[window]
        palms, angles = np.tile(np.eye(3), (n, 2, 1, 1)), np.tile(RELAXED, (n, 2, 1, 1))
        palms[there], angles[there] = palms_seen[inside], angles_seen[inside]
        poses = part.poses_cam.copy()
        poses[:, _WRISTS] = _wrists(part, body, palms, sure, smoothing)
        angles = _smooth_angles(angles, sure, part.timestamps, smoothing)
        landmarks = np.zeros((n, 2, LANDMARKS, 3), np.float32)
        landmarks[there, ..., :2] = hands.landmarks[looks[inside]]
        landmarks[..., 2] = sure[..., None]
        local = fingers.rotations_of(angles).reshape(n, -1, 3, 3)
        return poses, body.joints(poses, betas, part.trans_cam), rotations.matrix_to_axis_angle(local), landmarks

    poses, joints, turns, landmarks = spill.collect(len(motion), moved, MARGIN)
    return replace(motion, poses_cam=poses, joints_cam=joints, fingers=turns, hand_landmarks=landmarks)


def _sizes(hands: HandTrack, looks: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """How much larger hands (2,) are, whose rest joints (52, 3) are known, than what the network says of them.

    The network's hands are of one size, whoever's they are.
    """

    def lengths(window: slice) -> tuple[np.ndarray]:
        world = hands.world_landmarks[looks[window]].astype(float)
        return (np.linalg.norm(world[:, :, FIRST["middle"]] - world[:, :, WRIST], axis=-1),)

    (seen,) = spill.collect(len(looks), lengths)
    first = rest[BODY_JOINTS:].reshape(2, len(FINGERS), 3, 3)[:, FINGERS.index("middle"), 0]
    size = np.linalg.norm(first - rest[_WRISTS], axis=-1)
    return size / np.median(seen[seen > 0]) if seen.any() else np.ones(2)


def _solved(
    motion: Motion, hands: HandTrack, looks: np.ndarray, rows: np.ndarray, body: Body, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (m, 2, 3, 3) in camera space and angles (m, 2, 5, 4) of the hands in ``rows`` (m,) of a motion."""
    handed = body.with_fingers
    assert handed is not None
    betas = motion.betas[: body.shapedirs.shape[2]]
    rest, tips = handed.rest_joints(betas), handed.rest_tips(betas).reshape(2, len(FINGERS), 1, 3)
    joints = rest[BODY_JOINTS:].reshape(2, len(FINGERS), 3, 3)
    chains = np.concatenate([joints, tips], axis=2)
    offsets, bones = joints[:, :, 0] - rest[_WRISTS, None], np.diff(chains, axis=2)

    pixels, world = hands.landmarks[looks].astype(float), hands.world_landmarks[looks].astype(float)
    focal, centre = motion.camera_K[[0, 1], [0, 1]], motion.camera_K[:2, 2]
    depth = np.maximum(motion.joints_cam[rows][:, _WRISTS, 2], 0.1)
    # Everything is fitted as if the camera looked straight at the hand, as the network sees it.
    sight = (pixels.mean(axis=2) - centre) / focal
    sight = np.concatenate([sight, np.ones((*sight.shape[:2], 1))], axis=-1)
    turns = rotations.between(np.broadcast_to([0.0, 0.0, 1.0], sight.shape), sight)
    back = np.swapaxes(turns, -1, -2)
    wrists = back @ body.global_rotations(motion.poses_cam[rows])[:, _WRISTS]
    world *= sizes[:, None, None]
    seen = SeenHands(pixels, world[..., 2], focal.mean() / depth, wrists)
    points = np.concatenate([pixels / seen.scale[..., None, None], world[..., 2:]], axis=-1)
    palms = palm_rotations(points, rest)
    palms, angles = solve(seen, offsets, bones, palms, finger_angles(points @ palms))
    return turns @ palms, angles


def palm_rotations(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Rotations (n, 2, 3, 3) from the flat hands of rest joints (52, 3) to landmarks (n, 2, 21, 3)."""
    palm = points[:, :, _PALM]
    weights = _PALM_WEIGHTS[:, None] / _PALM_WEIGHTS.sum()
    template = rest[_PALM_JOINTS]
    template = template - (weights * template).sum(axis=1, keepdims=True)
    centred = palm - (weights * palm).sum(axis=2, keepdims=True)
    return rotations.project(np.einsum("nska,skb->nsab", centred, weights * template))


def finger_angles(points: np.ndarray) -> np.ndarray:
    """Angles (n, 2, 5, 4) of fingers, within their limits, of landmarks (n, 2, 21, 3) in the flat hand's axes."""
    bones = np.diff(points[:, :, CHAINS], axis=3)
    bones /= np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    bones[:, :, _THUMB] = bones[:, :, _THUMB] @ fingers.THUMB_BASE
    angles = np.zeros((*bones.shape[:3], 4))
    angles[..., BEND], angles[..., SWING] = fingers.angles_towards(bones[..., 0, :])
    # A finger that is bent to the palm points its base bone anywhere aside.
    angles = np.clip(angles, LIMITS[..., 0], LIMITS[..., 1])
    base = fingers.rotations_of(angles).reshape(*bones.shape[:3], 3, 3, 3)[..., 0, :, :]
    base[:, :, _THUMB] = np.swapaxes(fingers.THUMB_BASE, -1, -2) @ base[:, :, _THUMB]
    for column, bone in ((MIDDLE, 1), (END, 2)):
        inside = np.einsum("nsfji,nsfj->nsfi", base, bones[..., bone, :])
        bend, _ = fingers.angles_towards(inside)
        angles[..., column] = np.clip(bend, LIMITS[:, column, 0], LIMITS[:, column, 1])
        base = base @ rotations.axis_angle_to_matrix(angles[..., column, None] * fingers.BEND_AXES)
    return angles


def _smooth_angles(angles: np.ndarray, scores: np.ndarray, timestamps: np.ndarray, smoothing: float) -> np.ndarray:
    n = len(angles)
    seen = np.broadcast_to((scores / _ANGLE_NOISE)[:, :, None, None] ** 2, angles.shape)
    rest = 1.0 / _REST_SPREAD**2
    calm = angles
    for round_ in range(_ROUNDS):
        # What differs much from its neighbours in time counts little.
        trust = 1.0 if round_ == 0 else 1.0 / (1.0 + ((angles - calm) / (2 * _ANGLE_NOISE)) ** 2) ** 2
        weights = seen * trust + rest
        target = (seen * trust * angles + rest * RELAXED) / weights
        calm = smooth(
            target.reshape(n, -1, 1),
            weights.reshape(n, -1),
            timestamps,
            _FINGER_ACCELERATION / max(smoothing, 1e-2),
        ).reshape(angles.shape)
    return np.clip(calm, LIMITS[..., 0], LIMITS[..., 1])


def _wrists(motion: Motion, body: Body, palms: np.ndarray, scores: np.ndarray, smoothing: float) -> np.ndarray:
    """(n, 2, 3) local rotations of the wrists, axis-angle."""
    own = motion.poses_cam[:, _WRISTS]
    forearms = body.global_rotations(motion.poses_cam)[:, _ELBOWS]
    low, high = JOINT_LIMITS[_WRISTS, :, 0], JOINT_LIMITS[_WRISTS, :, 1]
    wanted = rotations.matrix_to_axis_angle(np.swapaxes(forearms, -1, -2) @ palms)
    # A wrist far beyond what it can do was not seen well.
    beyond = np.linalg.norm(wanted - np.clip(wanted, low, high), axis=-1)
    wanted = rotations.axis_angle_to_matrix(np.clip(wanted, low, high))
    seen = (scores / _WRIST_NOISE) ** 2 / (1.0 + (beyond / _WRIST_NOISE) ** 2) ** 2
    weights = seen + 1.0 / _BODY_NOISE**2
    before, after = (rotations.matrix_to_quaternion(one) for one in (rotations.axis_angle_to_matrix(own), wanted))
    target = rotations.quaternion_to_matrix(rotations.slerp(before, after, seen / weights))
    calm = smooth_rotations(target, weights, motion.timestamps, _WRIST_ACCELERATION / max(smoothing, 1e-2))
    angles = rotations.matrix_to_axis_angle(calm)
    # Where nothing was seen the motion's own wrist, which is smooth already, stays.
    return np.clip(angles, np.minimum(low, own), np.maximum(high, own))
