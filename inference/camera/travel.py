"""How the camera travels: bundle adjustment of background points seen in key frames, in units of their distance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..body import rotations

# Key frames that are adjusted at once, and how many of them belong to the next ones too.
_WINDOW, _OVERLAP = 60, 20
_POINTS, _SHORTEST_TRACK = 300, 4
_COMMON = 12
# Between turns found with and without a direction of travel, from one key frame to the next.
_LARGEST_DIFFERENCE = np.radians(12)
_STEPS = 40
# How far points are seen from where they are, in units of the focal length, and how much farther they count as wrong.
_NOISE, _FAR_OFF = 1 / 1000, 3.0
# Usual change of the camera's movement between key frames, in distances of the background.
_ACCELERATION = 0.05
# The camera travels if without it so many more sightings, as a share, are far off.
_ENOUGH = 0.12
_NEAREST = 0.02
# Key frames between those from whose pairs turns are found, for one trial each.
_APART, _TRIAL_STEPS = (1, 3, 10_000), 12


@dataclass
class Sightings:
    """Where background points are seen in K key frames.

    Attributes:
        keys: (O,) number of the key frame.
        points: (O,) number of the point.
        places: (O, 2) x / z and y / z in the key frame's camera axes.
    """

    keys: np.ndarray
    points: np.ndarray
    places: np.ndarray

    def within(self, first: int, end: int) -> Sightings:
        """Those of the longest followed points in some key frames, numbered from 0 on."""
        inside = (self.keys >= first) & (self.keys < end)
        numbers, row, count = np.unique(self.points[inside], return_inverse=True, return_counts=True)
        chosen = np.argsort(-count, kind="stable")[:_POINTS]
        chosen = chosen[count[chosen] >= _SHORTEST_TRACK]
        kept = np.isin(row, chosen)
        return Sightings(self.keys[inside][kept] - first, numbers[row[kept]], self.places[inside][kept])


@dataclass
class Travel:
    """Cameras of K key frames.

    Attributes:
        rotations: (K, 3, 3) from their axes into the first one's.
        positions: (K, 3) in the first one's axes, in units of the background's distance.
    """

    rotations: np.ndarray
    positions: np.ndarray


def travel(sightings: Sightings, turns: np.ndarray) -> Travel | None:
    """How the camera travels; None if it does not, or if that can't be told from its turns.

    Args:
        sightings: of background points, some of which may move.
        turns: (K, 3, 3) rotations of the key frames' camera axes into the first one's, as if it only turned.
    """
    count = len(turns)
    whole: _Bundle | None = None
    result = Travel(np.array(turns), np.zeros((count, 3)))
    start, end_before, travels = 0, 0, False
    while True:
        end = min(start + _WINDOW, count)
        bundle = _Bundle(sightings.within(start, end), turns[start:end])
        travels |= bundle.adjust()
        # In the axes of its first key frame; sizes by the points that it shares with the one before.
        size = 1.0 if whole is None else whole.size_of(bundle, start - (end_before - len(whole.positions)))
        turn, place = result.rotations[start], result.positions[start]
        back = turn @ bundle.rotations[0].T
        fresh = slice(end_before - start, None)
        result.rotations[start:end][fresh] = (back @ bundle.rotations)[fresh]
        moved = size * (bundle.positions - bundle.positions[0]) @ back.T + place
        result.positions[start:end][fresh] = moved[fresh]
        bundle.scale(size)
        if end == count:
            return result if travels else None
        whole, end_before, start = bundle, end, end - _OVERLAP


class _Bundle:
    """Cameras and points of one window, in the axes in which the turns are given."""

    def __init__(self, sightings: Sightings, turns: np.ndarray):
        self.numbers, self._point = np.unique(sightings.points, return_inverse=True)
        self._key, self._places = sightings.keys, sightings.places
        self.rotations, self.positions = np.array(turns), np.zeros((len(turns), 3))
        rays = np.concatenate([self._places, np.ones((len(self._places), 1))], axis=1)
        rays = np.einsum("oij,oj->oi", self.rotations[self._key], rays)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        self.points = _sums(rays, self._point, len(self.numbers))
        self.points /= np.linalg.norm(self.points, axis=1, keepdims=True)

    def adjust(self) -> bool:
        """Whether the camera travels; if so, positions are found, otherwise they stay zero."""
        if len(self.numbers) < 8 or len(self.positions) < 3:
            return False
        self._minimise(travels=False)
        only_turned = self._share_off()
        turned = self.rotations, self.points
        # A camera that moves aside seems to turn: start at turns that leave room for it.
        start = self.rotations, self.positions, self.points
        tried: list[tuple[float, tuple[np.ndarray, np.ndarray, np.ndarray]]] = []
        for apart in _APART:
            self.rotations, self.positions, self.points = start
            self.rotations = _turns_by_pairs(self._key, self._point, self._places, start[0], apart)
            self._minimise(travels=True, steps=_TRIAL_STEPS)
            tried.append((self._cost(), (self.rotations, self.positions, self.points)))
        _, (self.rotations, self.positions, self.points) = min(tried, key=lambda found: found[0])
        self._minimise(travels=True)
        if only_turned - self._share_off() > _ENOUGH:
            return True
        self.rotations, self.points = turned
        self.positions[:] = 0
        return False

    def scale(self, size: float) -> None:
        """Make it larger."""
        self.positions, self.points = size * self.positions, size * self.points

    def size_of(self, other: _Bundle, begin: int) -> float:
        """How much larger another bundle's distances are here, which begins at key frame `begin` of this one."""
        _, here, there = np.intersect1d(self.numbers, other.numbers, return_indices=True)
        if len(here) < 4:
            return 1.0
        mine = np.linalg.norm(self.points[here] - self.positions[begin], axis=1)
        others = np.linalg.norm(other.points[there] - other.positions[0], axis=1)
        return float(np.median(mine / others))

    def _seen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points in their cameras' axes (O, 3), residuals (O, 2) in units of the noise, and weights (O,)."""
        turned = self.rotations[self._key]
        points = np.einsum("oji,oj->oi", turned, self.points[self._point] - self.positions[self._key])
        depth = np.maximum(points[:, 2:], _NEAREST)
        residuals = (points[:, :2] / depth - self._places) / _NOISE
        weights = 1 / (1 + np.square(residuals).sum(1) / _FAR_OFF**2)
        return points, residuals, np.where(points[:, 2] > _NEAREST, weights, 0)

    def _cost(self) -> float:
        _, residuals, _ = self._seen()
        cost = float(np.log1p(np.square(residuals).sum(1) / _FAR_OFF**2).sum()) * _FAR_OFF**2
        return cost + float(np.square(np.diff(self.positions, 2, axis=0)).sum()) / _ACCELERATION**2

    def _share_off(self) -> float:
        _, residuals, _ = self._seen()
        return float((np.linalg.norm(residuals, axis=1) > _FAR_OFF).mean())

    def _minimise(self, travels: bool, steps: int = _STEPS) -> None:
        """Levenberg–Marquardt; points are eliminated (Schur complement)."""
        damping, cost = 1e-3, self._cost()
        for _ in range(steps):
            before = self.rotations, self.positions, self.points
            self._step(damping, travels)
            after = self._cost()
            if after < cost:
                settled = cost - after < 1e-4 * cost
                damping, cost = max(damping / 4, 1e-7), after
                if settled:
                    break
            else:
                self.rotations, self.positions, self.points = before
                damping *= 8
                if damping > 1e4:
                    break
        if travels:
            # Distances have no unit: the median is one.
            distance = np.linalg.norm(self.points - self.positions.mean(0), axis=1)
            self.scale(1 / float(np.median(distance)))

    def _step(self, damping: float, travels: bool) -> None:
        keys, count = len(self.positions), len(self.points)
        points, residuals, weights = self._seen()
        depth = np.maximum(points[:, 2], _NEAREST)
        projected = np.zeros((len(points), 2, 3))
        projected[:, 0, 0] = projected[:, 1, 1] = 1 / depth
        projected[:, :, 2] = -points[:, :2] / depth[:, None] ** 2
        projected /= _NOISE
        by_point = projected @ np.swapaxes(self.rotations[self._key], 1, 2)
        by_camera = np.concatenate([projected @ rotations.skew(points), -by_point], axis=2)
        if not travels:
            by_camera[..., 3:] = 0
        weighted = weights[:, None, None] * by_camera
        cameras = _sums(np.swapaxes(weighted, 1, 2) @ by_camera, self._key, keys)
        camera_slope = _sums(np.einsum("oki,ok->oi", weighted, residuals), self._key, keys)
        each = weights[:, None, None] * by_point
        own = _sums(np.swapaxes(each, 1, 2) @ by_point, self._point, count)
        own_slope = _sums(np.einsum("oki,ok->oi", each, residuals), self._point, count)
        mixed = np.zeros((count, keys, 6, 3))
        mixed[self._point, self._key] = np.swapaxes(weighted, 1, 2) @ by_point
        whole = np.zeros((keys, 6, keys, 6))
        whole[np.arange(keys), :, np.arange(keys)] = cameras
        slope = camera_slope
        if travels:
            bend = np.diff(np.eye(keys), 2, axis=0)
            stiff = bend.T @ bend / _ACCELERATION**2
            for axis in (3, 4, 5):
                whole[:, axis, :, axis] += stiff
            slope[:, 3:] += stiff @ self.positions
        whole, slope = whole.reshape(6 * keys, 6 * keys), slope.ravel()
        diagonal = np.arange(6 * keys)
        whole[diagonal, diagonal] *= 1 + damping
        # The first camera stays, and what has no say.
        fixed = (diagonal < 6) | (whole[diagonal, diagonal] == 0)
        whole[diagonal[fixed], diagonal[fixed]] += 1e12
        own[:, [0, 1, 2], [0, 1, 2]] *= 1 + damping
        own[:, [0, 1, 2], [0, 1, 2]] += 1e-6
        inverse = np.linalg.inv(own)
        mixed = mixed.reshape(count, 6 * keys, 3)
        through = mixed @ inverse
        flat, other = (np.swapaxes(part, 0, 1).reshape(6 * keys, -1) for part in (through, mixed))
        change = -np.linalg.solve(whole - flat @ other.T, slope - flat @ own_slope.ravel())
        moved = -((own_slope + (change @ other).reshape(count, 3))[:, None] @ inverse)[:, 0]
        change = change.reshape(keys, 6)
        self.rotations = self.rotations @ rotations.axis_angle_to_matrix(change[:, :3])
        self.positions = self.positions + change[:, 3:]
        self.points = self.points + moved


def _turns_by_pairs(
    keys: np.ndarray, points: np.ndarray, places: np.ndarray, turns: np.ndarray, apart: int
) -> np.ndarray:
    """(K, 3, 3) rotations from turns between key frames so far apart, each found together with a direction of travel.

    Args:
        keys: (O,) of sightings.
        points: (O,).
        places: (O, 2).
        turns: (K, 3, 3) where too few points are seen in both; those between are corrected alike.
        apart: number of key frames.
    """
    result, correction = np.array(turns), np.eye(3)
    for first in range(0, len(turns) - 1, apart):
        second = min(first + apart, len(turns) - 1)
        before, now = np.flatnonzero(keys == first), np.flatnonzero(keys == second)
        _, earlier, later = np.intersect1d(points[before], points[now], return_indices=True)
        step = turns[first].T @ turns[second]
        more = np.eye(3)
        if len(earlier) >= _COMMON:
            here, there = places[now[later]], places[before[earlier]]
            essential, _ = cv2.findEssentialMat(here, there, np.eye(3), cv2.RANSAC, 0.999, _FAR_OFF * _NOISE)
            if essential is not None and essential.shape == (3, 3):
                one, other, _ = cv2.decomposeEssentialMat(essential)
                found = min(one, other, key=lambda turn: float(rotations.relative_angle(turn, step)))
                if rotations.relative_angle(found, step) < _LARGEST_DIFFERENCE:
                    more = turns[first] @ found @ turns[second].T
        shares = np.arange(1, second - first + 1) / (second - first)
        part = rotations.axis_angle_to_matrix(shares[:, None] * rotations.matrix_to_axis_angle(more))
        result[first + 1 : second + 1] = correction @ part @ turns[first + 1 : second + 1]
        correction = correction @ more
    return result


def _sums(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """(count, ...) sums of values (O, ...) by row (O,)."""
    result = np.zeros((count, *values.shape[1:]))
    np.add.at(result, rows, values)
    return result
