"""Wrist and fingers fitted to the landmarks of hands: damped least squares on many hands at once. NumPy only.

Where points lie across the line of sight is seen well, how deep they lie is not: the body's own bones, the limits of
fingers and the wrist that the body is likely to have decide that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..body import fingers, rotations
from ..body.fingers import BEND, BEND_AXES, END, LIMITS, MIDDLE, RELAXED, SWING, SWING_AXES, THUMB_BASE
from ..body.skeleton import FINGERS
from .track import FIRST, LANDMARKS

_COUNT = len(FINGERS)
_THUMB = FINGERS.index("thumb")
# Landmarks of each finger's base, two other joints and tip.
CHAINS = np.array([[FIRST[finger] + part for part in range(4)] for finger in FINGERS])
# Standard deviations in metres, across and along the line of sight, and in radians.
_ACROSS, _ALONG = 0.009, 0.018
_ANGLE = np.radians([35.0, 9.0, 35.0, 25.0])
_THUMB_ANGLE = np.radians([10.0, 10.0, 18.0, 18.0])
_WRIST = np.radians([35.0, 20.0, 25.0])
# How much the body's word on a hand's size in the image counts beside what is seen.
_SCALE_WEIGHT = 0.3
_STEPS, _DAMPING = 6, 0.05
# Radians that a step may turn by; standard deviations from which a landmark counts less.
_LARGEST, _ROBUST = 0.35, 3.0


@dataclass
class SeenHands:
    """Landmarks of n left and right hands.

    Attributes:
        across: (n, 2, 21, 2) image pixels, turned as if the camera looked at the hand.
        along: (n, 2, 21) depth, metres, of any origin.
        scale: (n, 2) pixels per metre that the body has there.
        wrists: (n, 2, 3, 3) rotations in camera space that the body has.
    """

    across: np.ndarray
    along: np.ndarray
    scale: np.ndarray
    wrists: np.ndarray


def solve(
    seen: SeenHands, offsets: np.ndarray, bones: np.ndarray, palms: np.ndarray, angles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit hands.

    Args:
        seen: what is seen of n hands of each side.
        offsets: (2, 5, 3) from the wrist to the fingers' base joints of the flat hand, metres.
        bones: (2, 5, 3, 3) the fingers' bones of the flat hand.
        palms: (n, 2, 3, 3) initial rotations of the hands.
        angles: (n, 2, 5, 4) initial angles.

    Returns:
        Rotations and angles of the same shapes, the latter within their limits.
    """
    n = len(palms)
    sigma = np.tile(_ANGLE, (_COUNT, 1))
    sigma[_THUMB] = _THUMB_ANGLE
    for _ in range(_STEPS):
        points, jacobian = _posed(offsets, bones, palms, angles)
        centred = points - points.mean(axis=2, keepdims=True)
        jacobian = jacobian - jacobian.mean(axis=2, keepdims=True)
        pixels = seen.across - seen.across.mean(axis=2, keepdims=True)
        flat = centred[..., :2]
        # How large hands are in the image lies near what the body says.
        weight = _SCALE_WEIGHT * (flat**2).sum(axis=(2, 3)) + 1e-3
        scale = ((flat * pixels).sum(axis=(2, 3)) + weight * seen.scale) / ((flat**2).sum(axis=(2, 3)) + weight)
        scale = np.clip(scale, 0.6 * seen.scale, 1.6 * seen.scale)[..., None, None]
        depth = seen.along - seen.along.mean(axis=2, keepdims=True)
        residual = np.concatenate([flat - pixels / scale, (centred[..., 2] - depth)[..., None]], axis=-1)
        whitened = residual / [_ACROSS, _ACROSS, _ALONG]
        trust = 1.0 / (1.0 + (whitened**2).sum(axis=-1, keepdims=True) / (3 * _ROBUST**2))
        rows = jacobian / np.array([_ACROSS, _ACROSS, _ALONG])[:, None]
        weighted = (rows * trust[..., None]).reshape(n, 2, 3 * LANDMARKS, -1)
        rows = rows.reshape(n, 2, 3 * LANDMARKS, -1)
        normal = np.swapaxes(weighted, -1, -2) @ rows
        right = -(np.swapaxes(weighted, -1, -2) @ whitened.reshape(n, 2, -1, 1))[..., 0]
        _add_priors(normal, right, seen, palms, angles, sigma)
        diagonal = np.arange(normal.shape[-1])
        normal[..., diagonal, diagonal] *= 1.0 + _DAMPING
        step = np.linalg.solve(normal, right[..., None])[..., 0]
        step = np.clip(step, -_LARGEST, _LARGEST)
        palms = rotations.axis_angle_to_matrix(step[..., :3]) @ palms
        angles = np.clip(angles + step[..., 3:].reshape(angles.shape), LIMITS[..., 0], LIMITS[..., 1])
    return palms, angles


def _add_priors(
    normal: np.ndarray, right: np.ndarray, seen: SeenHands, palms: np.ndarray, angles: np.ndarray, sigma: np.ndarray
) -> None:
    """Add what fingers and wrists are likely to do to normal equations (n, 2, 23, 23) and (n, 2, 23)."""
    columns = 3 + np.arange(4 * _COUNT)
    normal[..., columns, columns] += (1.0 / sigma**2).ravel()
    right[..., 3:] += ((RELAXED - angles) / sigma**2).reshape(*angles.shape[:2], -1)
    # Away from the body's wrist, in the wrist's axes: twisted, swung up or down, to the sides.
    away = rotations.matrix_to_axis_angle(np.swapaxes(seen.wrists, -1, -2) @ palms)
    precision = 1.0 / _WRIST**2
    normal[..., :3, :3] += (seen.wrists * precision) @ np.swapaxes(seen.wrists, -1, -2)
    right[..., :3] -= (seen.wrists @ (precision * away)[..., None])[..., 0]


def _posed(
    offsets: np.ndarray, bones: np.ndarray, palms: np.ndarray, angles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (n, 2, 21, 3) relative to the wrist and their derivatives (n, 2, 21, 3, 23).

    The unknowns are a turn of the whole hand in camera axes, then the angles.
    """
    n = len(palms)
    local = fingers.rotations_of(angles).reshape(n, 2, _COUNT, 3, 3, 3)
    first = palms[:, :, None] @ local[..., 0, :, :]
    second = first @ local[..., 1, :, :]
    third = second @ local[..., 2, :, :]
    frames = np.stack([first, second, third], axis=3)
    steps = (frames @ bones[..., None])[..., 0]
    base = (palms[:, :, None] @ offsets[..., None])[..., 0]
    chain = np.concatenate([base[..., None, :], base[..., None, :] + np.cumsum(steps, axis=3)], axis=3)
    points = np.zeros((n, 2, LANDMARKS, 3))
    points[:, :, CHAINS] = chain

    root = np.tile(np.eye(3), (2, _COUNT, 1, 1))
    root[:, _THUMB] = THUMB_BASE
    hand = palms[:, :, None] @ root
    bend = (hand @ BEND_AXES[..., None])[..., 0]
    bent = rotations.axis_angle_to_matrix(angles[..., BEND, None] * BEND_AXES)
    swing = (hand @ bent @ SWING_AXES[..., None])[..., 0]
    middle = (first @ BEND_AXES[..., None])[..., 0]
    end = (second @ BEND_AXES[..., None])[..., 0]
    jacobian = np.zeros((n, 2, LANDMARKS, 3, 3 + 4 * _COUNT))
    jacobian[..., :3] = -rotations.skew(points)
    for column, axis, pivot in ((BEND, bend, 0), (SWING, swing, 0), (MIDDLE, middle, 1), (END, end, 2)):
        arms = chain[:, :, :, pivot + 1 :] - chain[:, :, :, pivot, None]
        moves = np.cross(axis[..., None, :], arms)
        for finger in range(_COUNT):
            jacobian[:, :, CHAINS[finger, pivot + 1 :], :, 3 + 4 * finger + column] = np.moveaxis(
                moves[:, :, finger], 2, 0
            )
    return points, jacobian
