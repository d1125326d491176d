"""One person being followed: detections, predicted position, appearance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np

from .. import spill
from . import clothing, crops, maps
from .landmarker import Pose
from .track import ROI_PREFIX

# Joints by which poses are compared: nose, shoulders, elbows, wrists, hips, knees, ankles.
JOINTS = np.array([0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
# Distance between two landmarks, in crop sides, beyond which they don't agree.
TOLERANCE = 0.06
# Seconds over which a person's velocity is measured, and in which their appearance is updated.
VELOCITY_WINDOW = 0.4
APPEARANCE_TIME = 1.0
# A person less similar to themselves than this when lost was already hidden, or the pose had begun to drift.
MIN_SIMILARITY_WHEN_LOST = 0.9
# Seconds without a row after which another part of the rows begins.
GAP = 0.5
# Rows until the next recheck: minimum, and share of the rows so far.
RECHECK_ROWS = 4
RECHECK_GROWTH = 0.2
# Newest rows that are at hand as objects.
_NEWEST = 64


@dataclass
class Row:
    """One person in one frame: a track's values, the hip centre (2,), and similarity to their looks so far, NaN if the
    clothes are not seen."""

    frame: int
    timestamp: float
    landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world_landmarks: np.ndarray
    crop: np.ndarray
    box: np.ndarray
    score: float
    center: np.ndarray
    body_crop: np.ndarray
    similarity: float
    maps: int
    roi_views: dict[str, np.ndarray] = field(default_factory=dict)


_VALUES = [item.name for item in fields(Row) if item.name != "roi_views"]


class Rows:
    """All rows of one person, in order; of those before the newest only the values are kept."""

    def __init__(self) -> None:
        self._old = spill.Columns()
        self._new: list[Row] = []

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    def __getitem__(self, number: int) -> Row:
        count = len(self)
        if not -count <= number < count:
            raise IndexError(number)
        new = number % count - len(self._old)
        return self._new[new] if new >= 0 else _row(self._old.row(number % count))

    def at(self, frame: int) -> Row | None:
        """The row of a frame; None if the person was not seen in it."""
        number = bisect_left(range(len(self)), frame, key=lambda number: self[number].frame)
        row = self[number] if number < len(self) else None
        return row if row is not None and row.frame == frame else None

    def newest(self, count: int) -> list[Row]:
        """The last rows, so many or all."""
        return [self[number] for number in range(max(len(self) - count, 0), len(self))]

    def append(self, row: Row) -> None:
        """Add a row."""
        self._new.append(row)

    def insert(self, rows: Sequence[Row]) -> None:
        """Add rows before the last one."""
        last = self[-1]
        self.drop(1)
        self._new += [*rows, last]

    def drop(self, count: int) -> None:
        """Remove the last rows, so many."""
        kept = len(self) - count
        self._old.cut(min(kept, len(self._old)))
        del self._new[kept - len(self._old) :]

    def settle(self) -> None:
        """Keep only the values of older rows, which don't change any more."""
        if len(self._new) >= 2 * _NEWEST:
            self._settle(len(self._new) - _NEWEST)

    def values(self, name: str) -> np.ndarray:
        """(n, ...) of all rows."""
        new = np.array([getattr(row, name) for row in self._new])
        if not len(self._old):
            return new
        old = self._old.arrays()[name]
        return np.concatenate([old, new]) if len(new) else old

    def less_similar(self, similarity: float) -> int:
        """How many of the last rows, one after the other, are less similar to the person's looks than that."""
        for count, row in enumerate(reversed(self._new)):
            if not row.similarity < similarity:
                return count
        similar = np.flatnonzero(~(self.values("similarity") < similarity))
        return len(self) - (int(similar[-1]) + 1 if len(similar) else 0)

    def parts(self, slices: Sequence[slice]) -> Rows:
        """Some of the rows."""
        chosen, columns = Rows(), self.columns()
        for one in slices:
            chosen._old.extend({name: values[one] for name, values in columns.items()})
        return chosen

    def columns(self) -> dict[str, np.ndarray]:
        """The values of all rows (n, ...) by name; `RoiViews` after `ROI_PREFIX`."""
        self._settle(len(self._new))
        return self._old.arrays()

    def _settle(self, count: int) -> None:
        for row in self._new[:count]:
            views = {f"{ROI_PREFIX}{name}": values for name, values in row.roi_views.items()}
            self._old.append({name: getattr(row, name) for name in _VALUES} | views)
        del self._new[:count]


def _row(values: dict[str, Any]) -> Row:
    views = {name.removeprefix(ROI_PREFIX): values.pop(name) for name in list(values) if name not in _VALUES}
    return Row(**values, roi_views=views)


class CropSmoother:
    """The one-euro filter that MediaPipe puts on the two points the next crop is made of.

    It smooths the crop only; the landmarks found in it are not filtered. Cut-off frequencies are in hertz,
    speeds in body sizes per second.
    """

    MIN_CUTOFF = 0.01
    SPEED_GAIN = 10.0
    SPEED_CUTOFF = 1.0

    def __init__(self):
        self._timestamp: float | None = None
        self._raw = self._smooth = self._speed = np.zeros((2, 2))

    def __call__(self, points: np.ndarray, timestamp: float) -> np.ndarray:
        """Smooth centre and rim (2, 2) in pixels, seen at a time in seconds."""
        if self._timestamp is None:
            self._smooth, self._speed = points, np.zeros((2, 2))
        elif timestamp > self._timestamp:
            rate = 1 / (timestamp - self._timestamp)
            size = 2 * np.hypot(*(points[1] - points[0]))
            speed = (points - self._raw) / max(size, 1e-6) * rate
            self._speed = self._speed + self._weight(self.SPEED_CUTOFF, rate) * (speed - self._speed)
            cutoff = self.MIN_CUTOFF + self.SPEED_GAIN * np.abs(self._speed)
            self._smooth = self._smooth + self._weight(cutoff, rate) * (points - self._smooth)
        self._raw, self._timestamp = points, timestamp
        return self._smooth

    @staticmethod
    def _weight(cutoff: float | np.ndarray, rate: float) -> float | np.ndarray:
        return 1 / (1 + rate / (2 * np.pi * cutoff))


class Target:
    """A person who is or was followed; their local maps go into a store if there is one."""

    def __init__(self, store: maps.MapStore | None = None):
        self._store = store
        self.rows = Rows()
        self.appearance: np.ndarray | None = None
        self.lost_at: float | None = None
        self.pose: Pose | None = None
        self._rechecks: list[tuple[int, float]] = []
        self._smoother = CropSmoother()
        self._points = np.zeros((2, 2))

    @property
    def last(self) -> Row:
        """The newest row."""
        return self.rows[-1]

    @property
    def visible(self) -> bool:
        """Whether the person is currently being followed."""
        return self.lost_at is None

    @property
    def size(self) -> float:
        """Side of the newest crop in pixels."""
        return float(self.last.crop[2])

    def crop(self) -> np.ndarray:
        """The crop (4,) for the next frame."""
        return crops.around(*self._points)

    def crop_after(self, following: float, timestamp: float) -> np.ndarray:
        """The crop (4,) for a frame at a time, soon after the following frame at its own time."""
        x, y, side, rotation = self.crop()
        dx, dy = self.predict(timestamp) - self.predict(following)
        return np.array([x + dx, y + dy, side, rotation])

    def add(self, number: int, timestamp: float, pose: Pose, appearance: np.ndarray | None) -> None:
        """Add a detection."""
        elapsed = 0.0
        if not self.visible:
            self._smoother = CropSmoother()
            self.lost_at = None
        elif self.rows:
            elapsed = timestamp - self.last.timestamp
        self.rows.append(self._row(number, timestamp, pose, appearance))
        self.pose = pose
        self._points = self._smoother(np.stack([pose.center, pose.rim]), timestamp)
        if appearance is not None:
            self.appearance = clothing.blend(self.appearance, appearance, min(elapsed / APPEARANCE_TIME, 1))

    def add_before(self, earlier: Sequence[tuple[int, float, Pose, np.ndarray | None]]) -> list[Row]:
        """Add detections, the arguments of `add` from the earliest on, between the newest row and those before it."""
        rows = [self._row(*one) for one in earlier]
        self.rows.insert(rows)
        return rows

    def _row(self, number: int, timestamp: float, pose: Pose, appearance: np.ndarray | None) -> Row:
        return Row(
            number,
            timestamp,
            pose.landmarks.astype(np.float32),
            pose.visibility.astype(np.float32),
            pose.presence.astype(np.float32),
            pose.world_landmarks.astype(np.float32),
            pose.crop.astype(np.float32),
            pose.box().astype(np.float32),
            pose.score,
            pose.center,
            crops.around(pose.center, pose.rim).astype(np.float32),
            clothing.similarity(self.appearance, appearance, unknown=np.nan),
            maps.keep(self._store, pose.output),
        )

    def mark_lost(self, timestamp: float) -> None:
        """The person is no longer visible."""
        self.lost_at, self.pose = timestamp, None
        self.drop_newest(min(self.rows.less_similar(MIN_SIMILARITY_WHEN_LOST), len(self.rows) - 1))

    def drop_newest(self, count: int) -> None:
        """Remove the newest rows, and the rechecks of these."""
        self.rows.drop(count)
        self._rechecks = [one for number, one in enumerate(self._rechecks) if not number or one[0] <= len(self.rows)]

    @property
    def parts(self) -> list[slice]:
        """The rows between which they were lost for longer than `GAP`; each has a recheck."""
        times = self.rows.values("timestamp")
        starts = [0, *(np.flatnonzero(np.diff(times) > GAP) + 1).tolist(), len(times)]
        return [slice(start, stop) for start, stop in pairwise(starts)]

    @property
    def seconds(self) -> float:
        """For how long they were seen, without the times in which they were lost."""
        times = self.rows.values("timestamp")
        return sum(float(np.ptp(times[part])) for part in self.parts)

    @property
    def presence(self) -> float:
        """How much of them was seen, to compare: frames, size and score together."""
        return float((self.rows.values("box")[:, 3] * self.rows.values("score")).sum())

    @property
    def trust(self) -> float:
        """Confidence that this is a person: the mean of all rechecks, each for the rows that are nearest to it.

        Somebody who is misread for a moment, or was in a badly placed crop at first, is not doubted for that alone.
        """
        parts = self.parts
        of_parts = [self._trust_in(part) for part in parts]
        return float(np.average(of_parts, weights=[part.stop - part.start for part in parts]))

    def _trust_in(self, part: slice) -> float:
        own = [(rows, trust) for rows, trust in self._rechecks if part.start < rows <= part.stop] or self._rechecks[-1:]
        rows, trusts = map(np.array, zip(*own, strict=True))
        weights = np.diff(np.concatenate([[part.start], (rows[1:] + rows[:-1]) / 2, [part.stop]]))
        return float(np.average(trusts, weights=weights))  # pyrefly: ignore[incompatible-overload-argument]

    def without_doubtful_parts(self, least: float) -> Target:
        """The same without parts that are trusted less, unless all are: what was taken for somebody who was lost."""
        parts = [part for part in self.parts if self._trust_in(part) >= least]
        if not parts or len(parts) == len(self.parts):
            return self
        kept = copy(self)
        kept.rows, kept._rechecks = self.rows.parts(parts), []
        before = 0
        for part in parts:
            moved = before - part.start
            kept._rechecks += [(rows + moved, one) for rows, one in self._rechecks if part.start < rows <= part.stop]
            before += part.stop - part.start
        return kept

    @property
    def recheck_count(self) -> int:
        """Number of rechecks so far, those of the first row as one."""
        return len(self._rechecks)

    def recheck_due(self) -> bool:
        """Whether a recheck is due: increasingly rarely."""
        last = self._rechecks[-1][0] if self._rechecks else 0
        return len(self.rows) >= last + max(RECHECK_ROWS, round(RECHECK_GROWTH * last))

    def add_recheck(self, trust: float) -> None:
        """Add the trust that rechecks give to the newest pose."""
        self._rechecks.append((len(self.rows), trust))

    def predict(self, timestamp: float) -> np.ndarray:
        """The hip centre (2,) in pixels at a later time, at constant velocity for a moment."""
        recent = [r for r in self.rows.newest(60) if self.last.timestamp - r.timestamp <= VELOCITY_WINDOW]
        elapsed = self.last.timestamp - recent[0].timestamp
        if elapsed <= 0:
            return self.last.center
        velocity = (self.last.center - recent[0].center) / elapsed
        return self.last.center + velocity * min(timestamp - self.last.timestamp, 2 * VELOCITY_WINDOW)

    def expected_crop(self, timestamp: float) -> np.ndarray:
        """The newest crop (4,), moved to the person's expected position at a later time."""
        return np.concatenate([self.predict(timestamp), self.last.crop[2:]])

    def mismatch(self, timestamp: float, pose: Pose, appearance: np.ndarray | None) -> float:
        """How badly a pose fits this person: 0 for the expected position and clothes, above 1 for someone else."""
        distance = np.hypot(*(pose.center - self.predict(timestamp))) / max(self.size, 1e-6)
        return float(distance) + 1 - clothing.similarity(self.appearance, appearance)


def agreement(one: np.ndarray, other: np.ndarray, size: float) -> float:
    """How well two poses (33, 2) agree, 0 to 1; `size` is the crop's side in pixels."""
    return float(closeness(one, other, size).mean())


def closeness(one: np.ndarray, other: np.ndarray, size: float) -> np.ndarray:
    """How well each joint (13,) of two poses (33, 2) agrees, 0 to 1."""
    distance = np.linalg.norm(one[JOINTS] - other[JOINTS], axis=1) / (TOLERANCE * max(size, 1e-6))
    return np.exp(-(distance**2) / 2)
