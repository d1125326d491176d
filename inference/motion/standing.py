"""Constraints from floor and gravity: people share one floor, keep their balance, and plant their feet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import spill
from ..body.skeleton import LANDMARK_NAMES, SIDES
from . import contacts, floor
from .fit import Fit, Prior, ShapedBody
from .footing import SEEN_LANDMARKS, Steps, standing_by_speed
from .locking import LOCKED, lock_feet, with_legs
from .pace import metres_per_unit
from .subject import Subject, limb_length, shape_from_limbs

# Metres between the lowest landmark of a flat foot and the floor.
_SKIN = 0.01
_BALANCE_SIGMA = 0.15
_PLANTED_SIGMA = 0.012
# Full smoothing would make planted feet slide again.
_LAST_SMOOTHING = 0.35
_ENOUGH_STANDING = 5.0
_LOWEST_EYE = 0.5
# Who would have to change their size by more, to stand on everybody's floor, stands on something else.
_SMALLEST_RESIZING, _LARGEST_RESIZING = 0.6, 1.25
# Metres by which a floor must be lowered for people to change their size.
_FAR_BELOW = 0.03
# How wrong the size may be that somebody seems to have, as a share of it.
_SIZE_SIGMA, _KNOWN_SIZE_SIGMA = 0.07, 0.01
# Knees and ankles are seen from this visibility on. Feet of legs that are not are held by this share.
_LEGS = [LANDMARK_NAMES.index(f"{side}_{part}") for side in SIDES for part in ("knee", "ankle")]
_LEGS_VISIBLE, _UNSEEN_HOLD = 0.2, 0.05
# Of a pose estimate's contacts, in the order of sole points.
_CONTACTS = [0, 2, 1, 3]


def _soles(subject: Subject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (n, 24, 3), sole points (n, 4, 3) in the first camera's space, and the latter's scores (n, 4)."""
    soles = list(contacts.SOLE_LANDMARKS)
    joints, points, _ = subject.posed(soles)
    scores = np.zeros((len(subject.frames), 4))
    scores[subject.seen] = subject.track.visibility[:, soles]
    if subject.pose_estimate is not None:
        # Half the word of a network that saw the movement, half that of the fitted feet.
        scores[subject.seen] *= np.sqrt(subject.pose_estimate.contacts[:, _CONTACTS])

    def in_first(window: slice) -> tuple[np.ndarray, np.ndarray]:
        back, eyes = np.swapaxes(subject.camera_rotations[window], 1, 2), subject.camera_positions[window, None]
        return joints[window] @ back + eyes, points[window] @ back + eyes

    joints, points = spill.collect(len(scores), in_first)
    return joints, points, scores


def find_pace(subjects: list[Subject]) -> None:
    """Give the camera's travel the size in which people's feet stand."""
    if not any(subject.camera_positions.any() for subject in subjects):
        return
    soles, scores = zip(*(_soles(subject)[1:] for subject in subjects), strict=True)
    eyes = [subject.camera_positions for subject in subjects]
    size = metres_per_unit(
        [points - eye[:, None] for points, eye in zip(soles, eyes, strict=True)],
        scores,
        eyes,
        [subject.timestamps for subject in subjects],
    )
    for subject in subjects:
        subject.camera_positions = size * subject.camera_positions


def estimate_floor(subjects: list[Subject], lines: np.ndarray, sizes_known: Sequence[bool]) -> np.ndarray:
    """(4, 4) first camera to world, from standing feet, upright bodies, `Camera.lines` (L, 4), networks.

    Of those whose size isn't known, `scale_to_floor` changes it.
    """
    joints, points, weights = [], [], []
    for subject in subjects:
        subject_joints, soles, scores = _soles(subject)
        speed = contacts.sideways_speed(soles, subject.camera_positions, subject.timestamps)
        joints.append(subject_joints)
        points.append(soles)
        weights.append(contacts.standing(speed, None, scores) / len(subjects))
    up, sigma = floor.upright_direction(spill.concatenate(joints), lines)
    if len(seen := _gravity(subjects)):
        up, sigma = floor.with_gravity(up, sigma, seen)
    ground = [
        soles - _sole_heights(subject.shaped_body)[:, None] * up
        for soles, subject in zip(points, subjects, strict=True)
    ]
    # A raised foot may be still in the air: only the lower foot of a frame can be on the floor.
    on_floor = [weight * _lowest(soles @ up) for soles, weight in zip(ground, weights, strict=True)]
    normal, offset = floor.floor_plane(
        np.concatenate([soles.reshape(-1, 3) for soles in ground]),
        np.concatenate([part.ravel() for part in on_floor]),
        up,
        sigma,
        None if len(subjects) == 1 else _soles_of(subjects, sizes_known),
    )
    return floor.camera_to_world(normal, offset, joints[0][0, 0])


def _soles_of(subjects: list[Subject], sizes_known: Sequence[bool]) -> floor.SolesOfPeople:
    count = len(contacts.SOLE_LANDMARKS)
    return floor.SolesOfPeople(
        np.repeat(np.arange(len(subjects)), [count * len(subject.frames) for subject in subjects]),
        np.concatenate([np.repeat(subject.camera_positions, count, axis=0) for subject in subjects]),
        np.where(sizes_known, _KNOWN_SIZE_SIGMA, _SIZE_SIGMA),
    )


def _gravity(subjects: list[Subject]) -> np.ndarray:
    """(n, 3) directions of gravity in the first camera's space, as networks saw it frame by frame; (0, 3) without."""
    seen = [
        np.einsum("nij,nj->ni", subject.camera_rotations[subject.seen], subject.pose_estimate.gravity)
        for subject in subjects
        if subject.pose_estimate is not None
    ]
    return np.concatenate(seen) if seen else np.zeros((0, 3))


def _lowest(height: np.ndarray) -> np.ndarray:
    """(n, 4) near 1 for the lowest of the four sole points, falling with height (n, 4) above it."""
    return np.exp(-(((height - height.min(1, keepdims=True)) / 0.05) ** 2))


def scale_to_floor(subject: Subject, transform: np.ndarray) -> None:
    """Scale a person about the camera until the feet stand on everybody's floor.

    One image doesn't determine a person's size; the floor that they share with others does.
    """
    feet = steps(subject, transform)
    lowest = feet.clearance.min(1)
    weight = standing_by_speed(feet).max(1)
    if weight.sum() < _ENOUGH_STANDING:
        return
    eyes = subject.camera_positions @ transform[2, :3] + transform[2, 3]
    usable = eyes - lowest >= _LOWEST_EYE
    if not usable.any():
        return
    sizes = np.where(usable, eyes / np.where(usable, eyes - lowest, 1.0), np.inf)
    order = np.argsort(sizes)
    cumulative = np.cumsum(weight[order])
    size = sizes[order][np.searchsorted(cumulative, cumulative[-1] / 2)]
    if not _SMALLEST_RESIZING <= size <= _LARGEST_RESIZING:
        return
    track, old = subject.track, subject.shaped_body
    shaped_body = ShapedBody(old.body, shape_from_limbs(old.body, subject.landmarks_3d, track.visibility, float(size)))
    growth = limb_length(old.body, shaped_body.betas) / limb_length(old.body, old.betas)
    trans = (subject.fit.trans + old.joints[0]) * growth - shaped_body.joints[0]
    subject.shaped_body = shaped_body
    subject.fit = Fit(subject.fit.rotations, trans, subject.fit.information)


def keep_balance(subject: Subject, transform: np.ndarray, smoothing: float) -> None:
    """Fit again with gravity as a constraint: a body on its feet keeps its trunk over them.

    One image barely tells a lean towards the camera from an upright body, but a person who doesn't fall is balanced.
    """
    joints, _, _ = subject.posed()
    up = np.einsum("nji,j->ni", subject.camera_rotations, transform[2, :3])
    whole = joints[:, 12] - joints[:, [7, 8]].mean(1)
    upright = np.einsum("ni,ni->n", whole, up) / np.linalg.norm(whole, axis=1)
    with np.errstate(divide="ignore"):
        sigma = _BALANCE_SIGMA / np.clip((upright - 0.6) / 0.3, 0, 1)

    def balance(prior: Prior, window: slice) -> None:
        prior.floor_axes = transform[:2, :3] @ subject.camera_rotations[window]
        prior.balance_sigma = sigma[window]

    subject.refit(smoothing, 0.25, steps=5, constrain=balance)
    subject.smooth(smoothing)


def steps(subject: Subject, transform: np.ndarray) -> Steps:
    """What a person's feet do in the world, ``transform`` (4, 4) being the first camera's pose in it."""
    joints, soles, _ = _soles(subject)
    in_first = joints, soles, subject.camera_positions
    joints, soles, eyes = spill.collect(
        len(joints),
        lambda window: tuple(points[window] @ transform[:3, :3].T + transform[:3, 3] for points in in_first),
    )
    visibility = spill.zeros((len(subject.frames), len(SEEN_LANDMARKS)))
    visibility[subject.seen] = subject.track.visibility[:, list(SEEN_LANDMARKS)]
    clearance = soles[..., 2] - _sole_heights(subject.shaped_body)
    return Steps(subject.timestamps, joints, soles, clearance, eyes, visibility)


def _sole_heights(shaped_body: ShapedBody) -> np.ndarray:
    """(4,) heights of the sole points above the floor when the feet stand flat, metres."""
    rest = shaped_body.landmarks[list(contacts.SOLE_LANDMARKS), 1]
    return rest - rest.min() + _SKIN


def lower_floor(
    subjects: list[Subject], transform: np.ndarray, stands: Sequence[np.ndarray], sizes_known: Sequence[bool]
) -> np.ndarray:
    """The first camera's pose (4, 4) in a world whose floor is the lowest level on which people stand who climb.

    If that is far below the floor so far, everybody else is scaled to it.

    Args:
        subjects: the people.
        transform: its pose in the world so far.
        stands: (n, 4) probability that each one's `contacts.SOLE_LANDMARKS` stand.
        sizes_known: whether each one's size must stay.
    """
    levels = [
        contacts.ground_levels(steps(subject, transform).clearance, probability, subject.timestamps)
        for subject, probability in zip(subjects, stands, strict=True)
    ]
    climb = [bool(np.ptp(ground) > 0) for ground in levels]
    lowest = min((float(ground.min()) for ground, climbs in zip(levels, climb, strict=True) if climbs), default=0.0)
    if lowest >= 0:
        return transform
    lowered = transform.copy()
    lowered[2, 3] -= lowest
    for subject, climbs, known in zip(subjects, climb, sizes_known, strict=True):
        if lowest < -_FAR_BELOW and not climbs and not known:
            scale_to_floor(subject, lowered)
    return lowered


def plant_feet(
    subject: Subject, transform: np.ndarray, probability: np.ndarray, smoothing: float, strength: float = 1.0
) -> None:
    """Hold feet in place while they stand, as (n, 4) ``probability`` says, more strongly with more ``strength``."""
    soles = list(contacts.SOLE_LANDMARKS)
    rotation, translation = transform[:3, :3], transform[:3, 3]
    feet = steps(subject, transform)
    ground = contacts.ground_levels(feet.clearance, probability, feet.timestamps)
    heights = _sole_heights(subject.shaped_body) + ground
    (trust,) = spill.collect(len(subject.frames), lambda window: (subject.distance_trust(window),))
    targets, hold = contacts.plant(feet.soles, probability, subject.timestamps, heights, trust)
    seen = _legs_seen(subject)
    hold *= seen[:, None]
    with np.errstate(divide="ignore"):
        sigma = _PLANTED_SIGMA / (strength * hold)

    def plant(prior: Prior, window: slice) -> None:
        in_first = (targets[window] - translation) @ rotation - subject.camera_positions[window, None]
        prior.targets[:, soles] = in_first @ subject.camera_rotations[window]
        prior.target_sigma[:, soles] = sigma[window]

    subject.refit(0.0, 1.0, steps=5, constrain=plant)
    subject.smooth(smoothing * _LAST_SMOOTHING)
    _lock_feet(subject, transform, probability > 0.5, min(strength, 1.0) * seen)


def _legs_seen(subject: Subject) -> np.ndarray:
    """(n,) from `_UNSEEN_HOLD` to 1: whether anything of the legs is seen, now or within a second.

    Where nothing is, feet are guessed, and must not pull at what is seen of the body.
    """
    in_track = subject.track.visibility[:, _LEGS].max(1) / _LEGS_VISIBLE
    seen = np.interp(np.arange(len(subject.frames)), subject.seen, in_track)
    reach = int(np.searchsorted(subject.timestamps, subject.timestamps[0] + 1.0))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(seen, reach, mode="edge"), 2 * reach + 1)
    return np.clip(around.max(axis=1), _UNSEEN_HOLD, 1.0)


def _lock_feet(subject: Subject, transform: np.ndarray, stands: np.ndarray, share: np.ndarray) -> None:
    """Bend the legs so that heels and toes stay still while they stand (n, 4), by the share (n,) of how far they move.

    The fit only comes close.
    """
    if len(stands) < 3:
        return
    posed, now = subject.posed(contacts.SOLE_LANDMARKS[:2], LOCKED), subject.fit

    def in_world(window: slice) -> tuple[np.ndarray, ...]:
        to_world = transform[:3, :3] @ subject.camera_rotations[window]
        eyes = subject.camera_positions[window] @ transform[:3, :3].T + transform[:3, 3]
        joints, heels, turns = (part[window] for part in posed)
        joints, heels = (np.einsum("nij,nkj->nki", to_world, part) + eyes[:, None] for part in (joints, heels))
        return to_world[:, None] @ turns, joints, heels, eyes, to_world

    turns, joints, heels, eyes, to_world = spill.collect(len(stands), in_world)
    changed, hips = lock_feet(turns, joints, heels, eyes, stands, subject.timestamps, share)

    def locked(window: slice) -> tuple[np.ndarray, np.ndarray]:
        trans = now.trans[window] + np.einsum("nji,nj->ni", to_world[window], hips[window])
        return with_legs(now.rotations[window], changed[window]), trans

    rotations, trans = spill.collect(len(stands), locked)
    subject.fit = Fit(rotations, trans, now.information)
