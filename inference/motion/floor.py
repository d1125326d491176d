"""Where the floor is: gravity and height from standing feet and upright bodies."""

from __future__ import annotations

import numpy as np

_FLOOR_SIGMA = 0.06
# How far the upright direction may be wrong sideways, along the camera's y and along its axis.
_UPRIGHT_SIGMA = np.radians([2.5, 6.0, 6.0])
_ROLL_TRUST = 0.3
_ENOUGH = 60


def upright_direction(joints: np.ndarray) -> np.ndarray:
    """The direction away from the floor in camera space (3,), from how people stand.

    A person whose legs and back are straight is nearly vertical; others weigh less. Cameras are rarely rolled, so
    the sideways part of the result is reduced.

    Args:
        joints: (n, 24, 3) SMPL joints in camera space, of all people.
    """
    ankles, hips, knees = joints[:, [7, 8]].mean(1), joints[:, [1, 2]].mean(1), joints[:, [4, 5]].mean(1)
    legs, thighs, shins, back = hips - ankles, hips - knees, knees - ankles, joints[:, 12] - hips
    whole = joints[:, 12] - ankles
    straight = _cosine(thighs, shins).clip(0) ** 4 * _cosine(legs, back).clip(0) ** 4
    axis = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    up = (axis * (straight[:, None] + 1e-6)).sum(0) - np.array([0.0, 1e-3, 0.0])
    up[0] *= _ROLL_TRUST
    if up[1] > 0:
        return np.array([0.0, -1.0, 0.0])
    return up / np.linalg.norm(up)


def _cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1) + 1e-9)


def floor_plane(points: np.ndarray, weights: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit normal (3,) and offset d of the floor n·p + d = 0 in camera space.

    Args:
        points: (n, 3) soles of standing feet in camera space.
        weights: (n,) probability that each stands.
        up: (3,) `upright_direction`.
    """
    normal = up
    offset = -float(np.median(points @ up)) if len(points) else 1.0
    if len(points) < 3 or weights.sum() < 1e-6:
        return normal, offset
    share = weights * min(_ENOUGH / weights.sum(), 1.0)
    for reach in (8.0, 6.0, 4.0, 3.0, 2.0, 2.0):
        away = points @ normal + offset
        precision = share / (1 + (away / (reach * _FLOOR_SIGMA)) ** 2) ** 2 / _FLOOR_SIGMA**2
        rows = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        system = (rows * precision[:, None]).T @ rows
        system[:3, :3] += np.diag(1 / _UPRIGHT_SIGMA**2)
        solution = np.linalg.solve(system + 1e-9 * np.eye(4), np.append(up / _UPRIGHT_SIGMA**2, 0.0))
        length = np.linalg.norm(solution[:3])
        normal, offset = solution[:3] / length, float(solution[3] / length)
    return normal, offset


def camera_to_world(normal: np.ndarray, offset: float, origin: np.ndarray) -> np.ndarray:
    """(4, 4) transform into the world: z up, floor at 0, y away from the camera, `origin` (3,) above (0, 0).

    Args:
        normal: (3,) unit floor normal in camera space.
        offset: the floor is n·p + offset = 0.
        origin: point in camera space that stands over the world's origin.
    """
    ahead = np.array([0.0, 0.0, 1.0]) - normal[2] * normal
    if np.linalg.norm(ahead) < 1e-3:
        ahead = np.array([0.0, -1.0, 0.0]) + normal[1] * normal
    ahead /= np.linalg.norm(ahead)
    result = np.eye(4)
    result[:3, :3] = np.stack([np.cross(ahead, normal), ahead, normal])
    result[:3, 3] = -result[:3, :3] @ origin
    result[2, 3] = offset
    return result
