"""Who was seen but is not in the result, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from .landmarker import Pose
from .target import Target
from .track import Track

TOO_SHORT, TOO_SMALL, TOO_UNCERTAIN = "too short", "too small", "too uncertain"
TOO_MANY, NOT_CHOSEN = "too many", "not chosen"


@dataclass(frozen=True)
class LeftOut:
    """Somebody without motion.

    Attributes:
        reason: `TOO_SHORT`, `TOO_SMALL`, `TOO_UNCERTAIN`, `TOO_MANY` (more people than are returned), `NOT_CHOSEN`.
        first_frame, last_frame: frame numbers in the footage.
        start, end: their times in seconds.
        frames: number of frames in which the tracker saw them; 1 for who was examined and not followed.
        mean_score: the network's confidence that a person is in the crop.
        trust: confidence of the rechecks, see `people/trust.py`.
        frame: the number of the frame in which they were most prominent.
        box: in that frame: left, top, width, height in pixels.
        person: the number of who was not chosen, None for others.
    """

    reason: str
    first_frame: int
    last_frame: int
    start: float
    end: float
    frames: int
    mean_score: float
    trust: float
    frame: int
    box: tuple[float, float, float, float]
    person: int | None = None

    @classmethod
    def from_target(cls, target: Target, reason: str) -> Self:
        """Somebody whom the tracker followed."""
        columns = target.rows.columns()
        return cls._make(reason, target.trust, columns["frame"], columns["timestamp"], columns["score"], columns["box"])

    @classmethod
    def from_track(cls, track: Track, reason: str, trust: float, person: int | None = None) -> Self:
        """Somebody who has a track."""
        return cls._make(reason, trust, track.frames, track.timestamps, track.scores, track.boxes, person)

    @classmethod
    def from_pose(cls, pose: Pose, reason: str, trust: float, frame: int, timestamp: float) -> Self:
        """Somebody who was examined once and not followed."""
        return cls._make(reason, trust, [frame], [timestamp], [pose.score], [pose.box()])

    @classmethod
    def _make(
        cls,
        reason: str,
        trust: float,
        frames: Sequence[int] | np.ndarray,
        timestamps: Sequence[float] | np.ndarray,
        scores: Sequence[float] | np.ndarray,
        boxes: Sequence[np.ndarray] | np.ndarray,
        person: int | None = None,
    ) -> Self:
        best = int(np.argmax(np.asarray(scores) * np.asarray(boxes)[:, 3]))
        left, top, width, height = (round(float(value), 1) for value in boxes[best])
        return cls(
            reason=reason,
            first_frame=int(frames[0]),
            last_frame=int(frames[-1]),
            start=round(float(timestamps[0]), 3),
            end=round(float(timestamps[-1]), 3),
            frames=len(frames),
            mean_score=round(float(np.mean(scores)), 3),
            trust=round(trust, 3),
            frame=int(frames[best]),
            box=(left, top, width, height),
            person=person,
        )

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_json`. Raises TypeError or KeyError if it is something else."""
        return cls(**(content | {"box": tuple(content["box"])}))

    def to_json(self) -> dict[str, Any]:
        """The attributes, ready for JSON."""
        return asdict(self)

    @property
    def seconds(self) -> float:
        """For how long they were followed."""
        return self.end - self.start

    @property
    def presence(self) -> float:
        """How much of them was seen, to compare: frames, size and score together."""
        return self.frames * self.box[3] * self.mean_score
