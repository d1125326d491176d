"""Where the floor is: gravity and height from standing feet, upright bodies, and lines of the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import spill
from ..camera.intrinsics import NO_LINES

_FLOOR_SIGMA = 0.06
# How surely the upright direction is known sideways, and along the camera's y and z at best.
_LEVEL_SIGMA, _UPRIGHT_SIGMA = np.radians(2.0), np.radians(1.5)
_ROLL_TRUST = 0.5
# How far off the gravity is that a network sees of people who stand and walk.
_NETWORK_SIGMA = np.radians(3.0)
# Cameras look down on people a little: that counts like so many frames of an upright person, and a share of all.
_USUAL_UP = np.array([0.0, -np.cos(np.radians(6)), -np.sin(np.radians(6))])
_USUAL_FRAMES, _USUAL_SHARE, _USUAL_SPREAD = 0.5, 0.02, np.radians(12)
# Bodies that lean farther from the upright direction than this count less, as it becomes known.
_LEANS = np.radians([30.0, 25.0, 20.0, 12.0, 12.0, 12.0])
# Vertical lines are seen so far from where they should be, which lenses bend, and so much denser there than others.
_LINE_SIGMA, _LINE_DENSITY = np.radians(2.0), 5.0
# Up is looked for so far from where bodies are upright, at so many places each way.
_REACH, _PLACES = np.radians(24.0), 49
# Metres below the camera at which people stand at least, to compare their sizes.
_LEAST_DEPTH = 0.3
# Soles that count as independent: how wrong their depth is changes slowly.
_ENOUGH = 15


def upright_direction(joints: np.ndarray, lines: np.ndarray = NO_LINES) -> tuple[np.ndarray, float]:
    """The direction away from the floor in camera space (3,), and its standard deviation.

    A person whose legs and back are straight is nearly vertical; others weigh less, and so do those who lean from the
    direction in which most are upright. Cameras are rarely rolled, so the sideways part is reduced. Vertical lines of
    the background, where there are any near that direction, say it more precisely.

    Args:
        joints: (n, 24, 3) SMPL joints in camera space, of all people.
        lines: (L, 4) lines of the background in camera space, see `Camera.lines`.
    """
    axis, straight = spill.collect(len(joints), lambda window: _axis(joints[window]))
    assumed = _USUAL_FRAMES + _USUAL_SHARE * len(axis)
    up, weight, lean = _USUAL_UP, straight, np.zeros(len(axis))
    for usual in _LEANS:
        lean = np.arccos(np.clip(axis @ up, -1, 1))
        weight = straight / (1 + (lean / usual) ** 2) ** 2
        total = weight @ axis + assumed * _USUAL_UP
        up = total / np.linalg.norm(total)
    # A lean lasts: that somebody is seen longer says little more.
    spread = np.sqrt((weight @ lean**2 + assumed * _USUAL_SPREAD**2) / (weight.sum() + assumed))
    sigma = max(_UPRIGHT_SIGMA, float(spread) / 2)
    level = up * [_ROLL_TRUST, 1, 1]
    level /= np.linalg.norm(level)
    if not len(lines):
        return level, sigma
    return _along_lines(level, np.hypot(sigma, (1 - _ROLL_TRUST) * up[0]), sigma, lines)


def _axis(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The direction of bodies (n, 3) from the ankles upwards, and how straight they are (n,)."""
    ankles, hips, knees = joints[:, [7, 8]].mean(1), joints[:, [1, 2]].mean(1), joints[:, [4, 5]].mean(1)
    legs, thighs, shins, back = hips - ankles, hips - knees, knees - ankles, joints[:, 12] - hips
    whole = joints[:, 12] - ankles
    straight = _cosine(thighs, shins).clip(0) ** 4 * _cosine(legs, back).clip(0) ** 4
    return whole / np.linalg.norm(whole, axis=1, keepdims=True), straight


def _along_lines(up: np.ndarray, roll_sigma: float, sigma: float, lines: np.ndarray) -> tuple[np.ndarray, float]:
    """The most likely direction (3,) along which lines (L, 4) gather near `up`, and its standard deviation.

    Args:
        up: (3,) as bodies are upright.
        roll_sigma: its standard deviation sideways, radians,
        sigma: and forwards.
        lines: normals and weights.
    """
    side = np.array([1.0, 0.0, 0.0]) - up[0] * up
    side /= np.linalg.norm(side)
    steps = np.linspace(-_REACH, _REACH, _PLACES)
    sideways, forwards = (part.ravel() for part in np.meshgrid(steps, steps))
    directions = up + np.tan(sideways)[:, None] * side + np.tan(forwards)[:, None] * np.cross(side, up)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    near = np.exp(-0.5 * (directions @ lines[:, :3].T / _LINE_SIGMA) ** 2)
    likelihood = np.log1p(_LINE_DENSITY * near) @ lines[:, 3]
    likelihood -= 0.5 * ((sideways / roll_sigma) ** 2 + (forwards / sigma) ** 2)
    probability = np.exp(likelihood - likelihood.max())
    probability /= probability.sum()
    best = probability @ directions
    best /= np.linalg.norm(best)
    spread = np.sqrt(probability @ np.arccos(np.clip(directions @ best, -1, 1)) ** 2 / 2)
    return best, max(_UPRIGHT_SIGMA, float(spread))


def with_gravity(up: np.ndarray, sigma: float, seen: np.ndarray) -> tuple[np.ndarray, float]:
    """`upright_direction` and its standard deviation, joined with what a network saw.

    Args:
        up: (3,) away from the floor.
        sigma: radians.
        seen: (n, 3) unit vectors of gravity in the same axes, of all frames and people.
    """
    mean = -seen.mean(axis=0)
    mean /= np.linalg.norm(mean)
    spread = np.sqrt(np.mean(np.arccos(np.clip(-seen @ mean, -1, 1)) ** 2))
    # Its errors last, too; where the two are far apart, bodies and lines are mostly right.
    apart = np.arccos(np.clip(up @ mean, -1, 1)) / 2
    other = np.sqrt(_NETWORK_SIGMA**2 + spread**2 + apart**2)
    joined = up / sigma**2 + mean / other**2
    return joined / np.linalg.norm(joined), float(1 / np.hypot(1 / sigma, 1 / other))


def _cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1) + 1e-9)


@dataclass(frozen=True)
class SolesOfPeople:
    """Whose n soles are looked at for a floor, and from where.

    Attributes:
        people: (n,) numbers of k people, from 0.
        eyes: (n, 3) where the camera was.
        size_sigma: (k,) how wrong each one's size may be, as a share of it.
    """

    people: np.ndarray
    eyes: np.ndarray
    size_sigma: np.ndarray


def floor_plane(
    points: np.ndarray, weights: np.ndarray, up: np.ndarray, sigma: float, several: SolesOfPeople | None = None
) -> tuple[np.ndarray, float]:
    """Unit normal (3,) and offset d of the floor n·p + d = 0 in camera space.

    One image doesn't say how large somebody is: all of their soles may be too near or too far by the same factor. So of
    several people only each one's own steps say surely how the floor is inclined.

    Args:
        points: (n, 3) soles of standing feet in camera space.
        weights: (n,) probability that each stands.
        up: (3,) `upright_direction`.
        sigma: its standard deviation, radians.
        several: whose they are; None for one person's.
    """
    normal, upright_sigma = up, np.array([_LEVEL_SIGMA, sigma, sigma])
    offset = -float(np.median(points @ up)) if len(points) else 1.0
    if len(points) < 3 or weights.sum() < 1e-6:
        return normal, offset
    share = weights * min(_ENOUGH / weights.sum(), 1.0)
    seen_from, whose, size_sigma, growth = points, np.zeros((len(points), 0)), np.empty(0), np.empty(0)
    if several is not None:
        seen_from, size_sigma = points - several.eyes, several.size_sigma
        whose = several.people[:, None] == np.arange(len(size_sigma))
        depth = np.array([np.median(-(seen_from @ up)[own]) for own in whose.T]).clip(_LEAST_DEPTH)
        offset += float(np.median(depth)) + float(np.median(seen_from @ up))
        growth = np.median(depth) / depth - 1
    known = np.concatenate([up / upright_sigma**2, np.zeros(1 + len(growth))])
    for reach in (8.0, 6.0, 4.0, 3.0, 2.0, 2.0):
        # Who is larger by a share has soles farther below the camera by this share.
        larger = whose * (seen_from @ normal)[:, None]
        away = points @ normal + offset + larger @ growth
        precision = share / (1 + (away / (reach * _FLOOR_SIGMA)) ** 2) ** 2 / _FLOOR_SIGMA**2
        usual = 1 / (1 + (growth / (reach * size_sigma)) ** 2) ** 2 / size_sigma**2
        system = np.diag(np.concatenate([1 / upright_sigma**2 + 1e-9, [1e-9], usual]))
        for window in spill.windows(len(points)):
            rows = np.concatenate([points[window], np.ones((len(points[window]), 1)), larger[window]], axis=1)
            system += (rows * precision[window, None]).T @ rows
        solution = np.linalg.solve(system, known)
        length = np.linalg.norm(solution[:3])
        normal, offset, growth = solution[:3] / length, float(solution[3] / length), solution[4:]
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
