"""One person being followed: detections, predicted position, appearance."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from . import clothing, crops, maps
from .landmarker import Pose

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
        self.rows: list[Row] = []
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
        self.rows[-1:-1] = rows
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
            crops.around(pose.center, pose.rim),
            clothing.similarity(self.appearance, appearance, unknown=np.nan),
            maps.keep(self._store, pose.output),
        )

    def mark_lost(self, timestamp: float) -> None:
        """The person is no longer visible."""
        self.lost_at, self.pose = timestamp, None
        unlike = 0
        while unlike < len(self.rows) - 1 and self.rows[-1 - unlike].similarity < MIN_SIMILARITY_WHEN_LOST:
            unlike += 1
        self.drop_newest(unlike)

    def drop_newest(self, count: int) -> None:
        """Remove the newest rows, and the rechecks of these."""
        del self.rows[len(self.rows) - count :]
        self._rechecks = [one for number, one in enumerate(self._rechecks) if not number or one[0] <= len(self.rows)]

    @property
    def parts(self) -> list[slice]:
        """The rows between which they were lost for longer than `GAP`; each has a recheck."""
        times = np.array([row.timestamp for row in self.rows])
        starts = [0, *(np.flatnonzero(np.diff(times) > GAP) + 1).tolist(), len(times)]
        return [slice(start, stop) for start, stop in pairwise(starts)]

    @property
    def seconds(self) -> float:
        """For how long they were seen, without the times in which they were lost."""
        return sum(self.rows[part][-1].timestamp - self.rows[part][0].timestamp for part in self.parts)

    @property
    def presence(self) -> float:
        """How much of them was seen, to compare: frames, size and score together."""
        return sum(float(row.box[3]) * row.score for row in self.rows)

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
        kept.rows, kept._rechecks = [], []
        for part in parts:
            moved = len(kept.rows) - part.start
            kept._rechecks += [(rows + moved, one) for rows, one in self._rechecks if part.start < rows <= part.stop]
            kept.rows += self.rows[part]
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
        recent = [r for r in self.rows[-60:] if self.last.timestamp - r.timestamp <= VELOCITY_WINDOW]
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
