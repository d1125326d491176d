"""How the camera moves and what its focal length is: bundle adjustment of background points seen in key frames.

Its way is in units of the points' distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np

from .. import spill
from ..body import rotations

# Key frames that are adjusted at once, and how many of them belong to the next ones too.
_WINDOW, _OVERLAP = 60, 20
# Points whose share in the solution is found at once.
_BATCH = 64
# In a key frame, and key frames in which a point is seen.
_POINTS, _SHORTEST_TRACK = 150, 4
_COMMON = 12
# Between turns found with and without a direction of travel, from one key frame to the next.
_LARGEST_DIFFERENCE = np.radians(12)
_STEPS = 60
# How far points are seen from where they are, in units of the focal length, and how much farther they count as wrong.
_NOISE, _FAR_OFF = 1 / 1000, 3.0
# Usual change of the camera's movement between key frames, in distances of the background.
_ACCELERATION = 0.05
# How wrong the assumed focal length is, as a share. A camera that turns shows it, one that travels hardly.
_ZOOM, _ZOOM_IN_TRAVEL = 0.25, 0.12
# Of its logarithm, beyond which it is not believed.
_LARGEST_ZOOM = np.log(2)
# Who turns so far shows the focal length.
_ENOUGH_TURN = np.radians(5)
# One that travels shows it only if with another one the cost falls to this share.
_WORTH = 0.85
# The camera travels if without it so many more sightings, as a share, are far off, and the cost is so much higher.
_ENOUGH_OFF, _ENOUGH_COST = 0.10, 3.0
_NEAREST = 0.02
# Key frames between those from whose pairs turns are found, for one trial each; that many are never there.
_APART, _TRIAL_STEPS = (1, 3, 1000), 12
# Rounds in which nearness and way are found in turn, what nearness costs, and the least of it.
_ALTERNATIONS, _IDLE, _FARTHEST = 12, 1.0, 0.02
# Directions in which a straight way may lead, and rounds in which nearness is found for each.
_DIRECTIONS, _ROUNDS = 64, 3
# The unit is the distance that so many of the points are within.
_NEAR_SHARE = 0.25


@dataclass
class Sightings:
    """Where background points are seen in K key frames.

    Attributes:
        keys: (O,) number of the key frame, increasing.
        points: (O,) number of the point.
        places: (O, 2) x / z and y / z in the key frame's camera axes.
    """

    keys: np.ndarray
    points: np.ndarray
    places: np.ndarray

    def within(self, first: int, end: int) -> Sightings:
        """Those of the longest followed points in some key frames, numbered from 0 on."""
        inside = slice(*np.searchsorted(self.keys, [first, end]))
        numbers, row, count = np.unique(self.points[inside], return_inverse=True, return_counts=True)
        keys, seen, chosen = self.keys[inside] - first, np.zeros(end - first, int), []
        begin = np.concatenate([[0], np.cumsum(count)])
        by_point = np.argsort(row, kind="stable")
        for point in np.argsort(-count, kind="stable")[: int((count >= _SHORTEST_TRACK).sum())]:
            where = keys[by_point[begin[point] : begin[point + 1]]]
            # Not all where the camera rests the longest.
            if (seen[where] < _POINTS).any():
                seen[where] += 1
                chosen.append(point)
        kept = np.isin(row, chosen)
        return Sightings(self.keys[inside][kept] - first, numbers[row[kept]], self.places[inside][kept])


@dataclass
class Travel:
    """Cameras of K key frames.

    Attributes:
        rotations: (K, 3, 3) from their axes into the first one's.
        positions: (K, 3) in the first one's axes, in units of the background's distance; zero if they only turn.
        focal: the focal length as a share of the assumed one, 1 if it can't be told.
    """

    rotations: np.ndarray
    positions: np.ndarray
    focal: float = 1.0


def travel(
    sightings: Sightings,
    turns: np.ndarray,
    focal_known: bool = False,
    progress: Callable[[int], None] = lambda keys: None,
) -> Travel | None:
    """How the camera moves; None if nothing more can be told than its turns.

    Args:
        sightings: of background points, some of which may move.
        turns: (K, 3, 3) rotations of the key frames' camera axes into the first one's, as if it only turned.
        focal_known: whether `places` are in units of the true focal length.
        progress: called with the number of key frames done.
    """
    count = len(turns)
    whole: _Bundle | None = None
    result = Travel(np.array(turns), np.zeros((count, 3)))
    start, end_before = 0, 0
    zooms: list[float] = []
    travels = False
    while True:
        end = min(start + _WINDOW, count)
        bundle = _Bundle(sightings.within(start, end), turns[start:end], focal_known)
        bundle.adjust()
        travels |= bundle.travels
        if (bundle.travels or bundle.turns_enough()) and abs(bundle.zoom) < _LARGEST_ZOOM:
            zooms.append(bundle.zoom)
        # In the axes of its first key frame; sizes by the points that it shares with the one before.
        size = 1.0 if whole is None else whole.size_of(bundle, start - (end_before - len(whole.positions)))
        turn, place = result.rotations[start], result.positions[start]
        back = turn @ bundle.rotations[0].T
        fresh = slice(end_before - start, None)
        result.rotations[start:end][fresh] = (back @ bundle.rotations)[fresh]
        moved = size * (bundle.positions - bundle.positions[0]) @ back.T + place
        result.positions[start:end][fresh] = moved[fresh]
        bundle.scale(size)
        progress(end)
        spill.let_go()
        if end == count:
            break
        whole, end_before, start = bundle, end, end - _OVERLAP
    result.focal = float(np.exp(np.median(zooms))) if zooms and not focal_known else 1.0
    return result if travels or result.focal != 1.0 else None


_State = tuple[np.ndarray, np.ndarray, np.ndarray, float]


class _Bundle:
    """Cameras and points of one window, in the axes in which the turns are given."""

    def __init__(self, sightings: Sightings, turns: np.ndarray, focal_known: bool):
        self.numbers, self._point = np.unique(sightings.points, return_inverse=True)
        self._key, self._places = sightings.keys, sightings.places
        self._by_key, self._by_point = _Groups(self._key, len(turns)), _Groups(self._point, len(self.numbers))
        self._batches = self._together()
        self.rotations = np.array(turns)
        self.positions: np.ndarray = np.zeros((len(turns), 3))
        # The focal length, as the logarithm of its share of the assumed one.
        self.zoom, self._zooms, self.travels = 0.0, not focal_known, False
        rays = np.concatenate([self._places, np.ones((len(self._places), 1))], axis=1)
        rays = np.einsum("oij,oj->oi", self.rotations[self._key], rays)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        self.points = self._by_point.sums(rays)
        self.points /= np.linalg.norm(self.points, axis=1, keepdims=True)

    def adjust(self) -> None:
        """Find whether the camera travels, and if it does, how."""
        if len(self.numbers) < 8 or len(self.positions) < 3:
            return
        given = self._state()
        self._minimise(zooms=False)
        start = self._state()
        if self._zooms:
            self._minimise(zooms=True)
        cost, off, turned = self._cost(), self._share_off(), self._state()
        if off <= _ENOUGH_OFF:
            return
        self.travels = True
        starts = (start, turned) if self._zooms else (start,)
        others = chain(self._near_points(starts), self._straight_ways(starts))
        ways = [self._best_of(begun) for begun in (self._pairs(start, given), others)]
        cost_of_way, way = min(ways, key=lambda found: found[0])
        self._return_to(way)
        self.travels = off - self._share_off() > _ENOUGH_OFF and cost > _ENOUGH_COST * cost_of_way
        if self.travels:
            distance = np.linalg.norm(self.points - self.positions.mean(0), axis=1)
            self.scale(1 / float(np.quantile(distance, _NEAR_SHARE)))
        else:
            self._return_to(turned)

    def _best_of(self, begun: Iterable[None]) -> tuple[float, _State]:
        """The cost and the state of the best of some beginnings, each of which is set up in turn."""
        trials: list[tuple[float, _State]] = []
        for _ in begun:
            self._minimise(zooms=False, steps=_TRIAL_STEPS)
            trials.append((self._cost(), self._state()))
        self._return_to(min(trials, key=lambda trial: trial[0])[1])
        self._minimise(zooms=False)
        if self._zooms:
            before, known = self._cost(), self._state()
            self._minimise(zooms=True)
            if self._cost() > _WORTH * before:
                self._return_to(known)
        return self._cost(), self._state()

    def _pairs(self, start: _State, given: _State) -> Iterator[None]:
        """Begin with other turns: before a near background, those of a camera that moves aside leave no room for it."""
        for begin, apart in (*((start, apart) for apart in _APART), (given, _APART[0])):
            self._return_to(begin)
            self.rotations = _turns_by_pairs(self._key, self._point, self._places, self.rotations, apart)
            yield

    def _near_points(self, starts: Sequence[_State]) -> Iterator[None]:
        """Begin with the same turns: before a far background they are right, and near points stand out."""
        for begin in starts:
            self._return_to(begin)
            self._stand_out()
            yield

    def _stand_out(self) -> None:
        """Tell from a camera that only turns how it travels, by the points that stand out before a far background.

        With these turns, a point's sightings depend on the product of its nearness and the camera's way: least squares
        for one and the other in turn.
        """
        keys = len(self.positions)
        slopes, residuals, weights = self._only_turning()
        off = self._by_point.sums(1 - weights) / self._by_point.sums(np.ones(len(weights)))
        nearness = np.where(off > np.median(off), off, 0.0)
        stiff = _stiffness(keys)
        for _ in range(_ALTERNATIONS):
            near = nearness[self._point]
            each = near[:, None, None] * slopes
            system = np.zeros((keys, 3, keys, 3))
            system[np.arange(keys), :, np.arange(keys)] = self._by_key.sums(
                weights[:, None, None] * np.swapaxes(each, 1, 2) @ each
            )
            for axis in range(3):
                system[:, axis, :, axis] += stiff + 1e-6 * np.eye(keys)
            right = self._by_key.sums(weights[:, None] * np.einsum("oki,ok->oi", each, residuals))
            self.positions = np.linalg.solve(system.reshape(3 * keys, -1), right.ravel()).reshape(keys, 3)
            moved = np.einsum("oki,oi->ok", slopes, self.positions[self._key])
            nearness, left = self._nearness(moved, residuals, weights)
            weights = 1 / (1 + left)
        self.points = self.points / nearness[:, None] - self.positions[0]
        self.positions = self.positions - self.positions[0]

    def _straight_ways(self, starts: Sequence[_State]) -> Iterator[None]:
        """Begin with a steady walk straight on, in the direction that explains most."""
        for begin in starts:
            for turns in (begin[0], _turns_by_pairs(self._key, self._point, self._places, begin[0], _APART[1])):
                self._return_to(begin)
                self.rotations = turns
                self._walk_straight()
                yield

    def _walk_straight(self) -> None:
        """Tell from a camera that only turns in which direction it travels, if it goes straight on.

        With these turns and a direction, a point's sightings depend on its mean place and its nearness alone: least
        squares for each point by itself.
        """
        steps = np.linspace(0, 1, len(self.positions))
        slopes, residuals, _ = self._only_turning()
        trials = []
        for direction in _directions(_DIRECTIONS):
            moved = (slopes @ direction) * steps[self._key, None]
            nearness, left = self._nearness(moved, residuals, np.ones(len(residuals)), aside=True)
            for _ in range(_ROUNDS):
                nearness, left = self._nearness(moved, residuals, 1 / (1 + left), aside=True)
            trials.append((float(np.log1p(left).sum()), direction, nearness))
        _, direction, nearness = min(trials, key=lambda trial: trial[0])
        self.positions = steps[:, None] * direction
        self.points = self.points / nearness[:, None]

    def _only_turning(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stay in one place, all points at distance 1.

        Returns:
            (O, 2, 3) how sightings move with the camera, residuals (O, 2), and weights (O,).
        """
        self.positions = np.zeros_like(self.positions)
        self.points = self.points / np.linalg.norm(self.points, axis=1, keepdims=True)
        points, residuals, weights = self._seen()
        return self._slopes(points) @ np.swapaxes(self.rotations[self._key], 1, 2), residuals, weights

    def _nearness(
        self, moved: np.ndarray, residuals: np.ndarray, weights: np.ndarray, aside: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points' nearness, by least squares, and the squared residuals (O,) that it leaves, by what is far off.

        Args:
            moved: (O, 2) by how much a point at nearness 1 is seen elsewhere.
            residuals: (O, 2).
            weights: (O,).
            aside: whether points may be in other directions than they are now, too.
        """
        if aside:
            moved, residuals = (part - self._mean_by_point(part, weights) for part in (moved, residuals))
        own = self._by_point.sums(weights * np.square(moved).sum(1)) + _IDLE
        nearness = (self._by_point.sums(weights * (moved * residuals).sum(1)) / own).clip(_FARTHEST, None)
        return nearness, np.square(residuals - nearness[self._point, None] * moved).sum(1) / _FAR_OFF**2

    def _mean_by_point(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(O, 2) weighted means of values (O, 2) of each sighting's point."""
        sums = self._by_point.sums(weights[:, None] * values) / (self._by_point.sums(weights)[:, None] + 1e-9)
        return sums[self._point]

    def turns_enough(self) -> bool:
        """Whether the camera turns so far that its focal length can be told."""
        return float(rotations.relative_angle(self.rotations, self.rotations[:1]).max(initial=0)) > _ENOUGH_TURN

    def _state(self) -> _State:
        return self.rotations, self.positions, self.points, self.zoom

    def _return_to(self, state: _State) -> None:
        self.rotations, self.positions, self.points, self.zoom = state

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
        residuals = (np.exp(self.zoom) * points[:, :2] / depth - self._places) / _NOISE
        weights = 1 / (1 + np.square(residuals).sum(1) / _FAR_OFF**2)
        return points, residuals, np.where(points[:, 2] > _NEAREST, weights, 0)

    def _slopes(self, points: np.ndarray) -> np.ndarray:
        """(O, 2, 3) derivatives of the residuals with respect to points (O, 3) in their cameras' axes."""
        depth = np.maximum(points[:, 2], _NEAREST)
        slopes = np.zeros((len(points), 2, 3))
        slopes[:, 0, 0] = slopes[:, 1, 1] = 1 / depth
        slopes[:, :, 2] = -points[:, :2] / depth[:, None] ** 2
        return slopes * (np.exp(self.zoom) / _NOISE)

    def _cost(self) -> float:
        _, residuals, _ = self._seen()
        cost = float(np.log1p(np.square(residuals).sum(1) / _FAR_OFF**2).sum()) * _FAR_OFF**2
        cost += float(np.square(np.diff(self.positions, 2, axis=0)).sum()) / _ACCELERATION**2
        return cost + (self.zoom / self._usual_zoom()) ** 2

    def _usual_zoom(self) -> float:
        return _ZOOM_IN_TRAVEL if self.travels else _ZOOM

    def _share_off(self) -> float:
        _, residuals, _ = self._seen()
        return float((np.linalg.norm(residuals, axis=1) > _FAR_OFF).mean())

    def _minimise(self, zooms: bool, steps: int = _STEPS) -> None:
        """Levenberg–Marquardt; points are eliminated (Schur complement)."""
        damping, cost = 1e-3, self._cost()
        for _ in range(steps):
            before = self._state()
            try:
                self._step(damping, zooms)
                after = self._cost()
            except np.linalg.LinAlgError:
                after = np.inf
            if after < cost:
                settled = cost - after < 1e-4 * cost
                damping, cost = max(damping / 4, 1e-7), after
                if settled:
                    break
            else:
                self._return_to(before)
                damping *= 8
                if damping > 1e4:
                    break

    def _step(self, damping: float, zooms: bool) -> None:
        keys = len(self.positions)
        points, residuals, weights = self._seen()
        depth = np.maximum(points[:, 2], _NEAREST)
        projected = self._slopes(points)
        by_point = projected @ np.swapaxes(self.rotations[self._key], 1, 2)
        by_camera = np.concatenate([projected @ rotations.skew(points), -by_point], axis=2)
        if not self.travels:
            by_camera[..., 3:] = 0
        by_zoom = np.exp(self.zoom) * points[:, :2] / depth[:, None] / _NOISE
        weighted, each = weights[:, None, None] * by_camera, weights[:, None, None] * by_point
        cameras = self._by_key.sums(np.swapaxes(weighted, 1, 2) @ by_camera)
        camera_slope = self._by_key.sums(np.einsum("oki,ok->oi", weighted, residuals))
        own = self._by_point.sums(np.swapaxes(each, 1, 2) @ by_point)
        own_slope = self._by_point.sums(np.einsum("oki,ok->oi", each, residuals))
        zoomed = self._by_point.sums(np.einsum("oki,ok->oi", each, by_zoom))
        mixed = np.swapaxes(weighted, 1, 2) @ by_point
        usual = self._usual_zoom()
        whole = np.zeros((keys, 6, keys, 6))
        whole[np.arange(keys), :, np.arange(keys)] = cameras
        if self.travels:
            stiff = _stiffness(keys)
            for axis in (3, 4, 5):
                whole[:, axis, :, axis] += stiff
            camera_slope[:, 3:] += stiff @ self.positions
        # The zoom comes after all cameras.
        last = 6 * keys
        system, slope = np.zeros((last + 1, last + 1)), np.zeros(last + 1)
        system[:last, :last], slope[:last] = whole.reshape(last, last), camera_slope.ravel()
        system[last, :last] = system[:last, last] = self._by_key.sums(
            np.einsum("oki,ok->oi", weighted, by_zoom)
        ).ravel()
        system[last, last] = weights @ np.square(by_zoom).sum(1) + 1 / usual**2
        slope[last] = weights @ (by_zoom * residuals).sum(1) + self.zoom / usual**2
        diagonal = np.arange(last + 1)
        system[diagonal, diagonal] *= 1 + damping
        # The first camera stays, and what has no say.
        fixed = (diagonal < 6) | (system[diagonal, diagonal] == 0)
        fixed[last] = not zooms
        system[diagonal[fixed], diagonal[fixed]] += 1e12
        own[:, [0, 1, 2], [0, 1, 2]] *= 1 + damping
        own[:, [0, 1, 2], [0, 1, 2]] += 1e-6
        inverse = np.linalg.inv(own)
        across = []
        for batch in self._batches:
            among = np.append(np.arange(6 * batch.first, 6 * batch.end), last)
            part = np.zeros((len(batch.points), batch.end - batch.first, 6, 3))
            part[batch.row, self._key[batch.sightings] - batch.first] = mixed[batch.sightings]
            part = np.concatenate([part.reshape(len(part), -1, 3), zoomed[batch.points][:, None]], axis=1)
            through, flat = (
                np.swapaxes(one, 0, 1).reshape(len(among), -1) for one in (part @ inverse[batch.points], part)
            )
            system[np.ix_(among, among)] -= through @ flat.T
            slope[among] -= through @ own_slope[batch.points].ravel()
            across.append((among, flat))
        change = -np.linalg.solve(system, slope)
        for batch, (among, flat) in zip(self._batches, across, strict=True):
            own_slope[batch.points] += (change[among] @ flat).reshape(-1, 3)
        self.zoom += float(change[last])
        change = change[:last].reshape(keys, 6)
        self.rotations = self.rotations @ rotations.axis_angle_to_matrix(change[:, :3])
        self.positions = self.positions + change[:, 3:]
        self.points = self.points - (own_slope[:, None] @ inverse)[:, 0]

    def _together(self) -> list[_Batch]:
        """The points in batches that are seen at about the same time, so that few cameras matter to each."""
        order = np.argsort(self._by_point.firsts(self._key), kind="stable")
        batches = []
        for points in np.array_split(order, max(1, round(len(order) / _BATCH))):
            row = np.full(len(self.numbers), -1)
            row[points] = np.arange(len(points))
            sightings = np.flatnonzero(row[self._point] >= 0)
            if len(sightings):
                keys = self._key[sightings]
                batches.append(
                    _Batch(points, sightings, row[self._point[sightings]], int(keys.min()), int(keys.max()) + 1)
                )
        return batches


@dataclass(frozen=True)
class _Batch:
    """Some points (n,): their sightings (o,), of which of them each is, and between which key frames they are."""

    points: np.ndarray
    sightings: np.ndarray
    row: np.ndarray
    first: int
    end: int


class _Groups:
    """Sums and the like of values (O, ...) by row (O,), of which there are so many."""

    def __init__(self, rows: np.ndarray, count: int):
        self._order = np.argsort(rows, kind="stable")
        self._there, self._starts = np.unique(rows[self._order], return_index=True)
        self._count = count

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(count, ...)."""
        result = np.zeros((self._count, *values.shape[1:]))
        if len(self._starts):
            result[self._there] = np.add.reduceat(values[self._order], self._starts, axis=0)
        return result

    def firsts(self, values: np.ndarray) -> np.ndarray:
        """(count,) the least of values (O,)."""
        result = np.zeros(self._count, values.dtype)
        if len(self._starts):
            result[self._there] = np.minimum.reduceat(values[self._order], self._starts)
        return result


def _directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors all around, by a spiral."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (1 + np.sqrt(5)) * (np.arange(count) + 0.5)
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(angle), across * np.sin(angle), height], axis=1)


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


def _stiffness(keys: int) -> np.ndarray:
    """(keys, keys) how changes of the camera's movement cost."""
    bend = np.diff(np.eye(keys), 2, axis=0)
    return bend.T @ bend / _ACCELERATION**2
