"""Where the faces of people who were followed are, and looking at them.

`people/details.py` has what this shares with hands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import spill
from ..body.face import COEFFICIENTS
from ..body.skeleton import LANDMARK_NAMES, SIDES
from ..footage.reader import Frame
from ..people.details import DetailSearch, Look, Memory, Tolerance
from ..people.face_network import FACE, MARGIN, face_crops
from ..people.track import Track
from .landmarker import Face, FaceLandmarker, next_crop
from .track import FaceTrack
from .turn import turns

RATE, CLOSE_RATE = 9.0, 15.0
"""About how often a second faces are looked at, and in footage that shows one from close by."""

MIN_SCORE = 0.5

# Metres: how far a face's middle may be from where the body has it.
_NEAR = 0.12
# How many times larger or smaller than the body's a face may be.
_SIZES = 1.8
MIN_PIXELS = 32.0
"""Faces less high show nothing."""

SMALL_PIXELS, CLOSE_PIXELS = 50.0, 150.0
"""Faces less high show little: they are looked at half as often. From the other height on they are seen close by."""

# From this height on, in pixels, more of it shows no more.
_SURE_PIXELS = 80.0
_MIN_VISIBILITY = 0.3
# How far faces may be turned away, as the cosine of the angle to the line of sight.
_AWAY = -0.2
# From this cosine on both halves of a face are seen, and nothing of it below the other.
_SEEN, _UNSEEN = 0.7, 0.0
_TOLERANCE = Tolerance(moved=0.08, turned=0.35, resized=1.2)

_EARS = [LANDMARK_NAMES.index(f"{side}_ear") for side in SIDES]
_NOSE = LANDMARK_NAMES.index("nose")


@dataclass(frozen=True)
class FaceModels:
    """What sees faces.

    Attributes:
        landmarker: reads them.
        key: identifies its weights, so that results can be cached; empty for no caching.
    """

    landmarker: FaceLandmarker
    key: str = ""


@dataclass
class Expected:
    """Where a person's face is in n frames, as the body has it.

    Attributes:
        frames: (n,) frame numbers.
        crops: (n, 4) around it.
        scale: (n,) pixels per metre.
        visible: (n,) whether it is worth looking at.
    """

    frames: np.ndarray
    crops: np.ndarray
    scale: np.ndarray
    visible: np.ndarray


def expected_face(track: Track, size: tuple[int, int]) -> Expected:
    """Where the face of a person is who was followed through images of a size (width, height)."""
    scale = track.pixels_per_metre()
    crops, visible = spill.collect(len(track), lambda window: _expected(track, window, scale[window], size))
    return Expected(track.frames, crops, scale, visible)


def _expected(track: Track, window: slice, scale: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """`Expected.crops` and `Expected.visible` in a window of a track's frames, pixels per metre being known."""
    points, solid = track.landmarks[window].astype(float), track.world_landmarks[window].astype(float)
    front = solid[:, _NOSE] - solid[:, _EARS].mean(axis=1)
    facing = -front[:, 2] / np.maximum(np.linalg.norm(front, axis=1), 1e-6)
    crops = face_crops(points, scale)
    inside = ((crops[:, :2] >= 0) & (crops[:, :2] < size)).all(axis=1)
    return (
        crops,
        inside & (scale * FACE >= MIN_PIXELS) & (facing > _AWAY) & (track.visibility[window, _NOSE] >= _MIN_VISIBILITY),
    )


@dataclass(kw_only=True)
class _Memory(Memory):
    """What is known of one face.

    Attributes:
        crop: (4,) that its landmarks asked for when it was last seen, relative to the body's.
    """

    crop: np.ndarray = field(default_factory=lambda: np.zeros(4))


class _Look(Look[Face]):
    """One face in one frame."""

    @property
    def good(self) -> bool:
        """Whether a face is seen, where the body has it."""
        if self.seen is None or self.seen.score < MIN_SCORE:
            return False
        seen, expected = next_crop(self.seen.landmarks), self.body_crop
        near = np.hypot(*(seen[:2] - expected[:2])) < _NEAR / (MARGIN * FACE) * expected[2]
        return bool(near and max(seen[2] / expected[2], expected[2] / seen[2]) < _SIZES)


class FaceSearch(DetailSearch[_Look, FaceTrack]):
    """Looks at the faces of people.

    Args:
        models: read them.
        tracks: the people.
        size: of the images, width and height.
        frame_rate: of the footage, hertz.
        slow_motion: how many times slower than it was the footage shows what happened.
    """

    def __init__(
        self,
        models: FaceModels,
        tracks: Sequence[Track],
        size: tuple[int, int],
        frame_rate: float,
        slow_motion: float = 1.0,
    ):
        self._expected = [expected_face(track, size) for track in tracks]
        visible = [one.frames[one.visible] for one in self._expected]
        close = any((FACE * one.scale[one.visible] >= CLOSE_PIXELS).any() for one in self._expected)
        rate = CLOSE_RATE if close else RATE
        super().__init__(models.landmarker.read, next_crop, _TOLERANCE, rate, visible, frame_rate, slow_motion)
        self._memories = [_Memory() for _ in tracks]
        self._rows = [spill.Columns() for _ in tracks]

    def tracks(self) -> list[FaceTrack]:
        """What was seen of each person's face."""
        return [FaceTrack.from_columns(rows, _row(0, None)) for rows in self._rows]

    def _looks(self, frames: Sequence[Frame]) -> Iterator[_Look]:
        for frame in frames:
            second = self._second(frame)
            for person, expected in enumerate(self._expected):
                row = int(np.searchsorted(expected.frames, frame.number))
                if row == len(expected.frames) or expected.frames[row] != frame.number or not expected.visible[row]:
                    continue
                memory, body_crop = self._memories[person], expected.crops[row]
                crop = body_crop
                if memory.is_fresh(second):
                    if FACE * expected.scale[row] < SMALL_PIXELS and frame is not frames[-1]:
                        continue
                    crop = _placed(memory.crop, body_crop)
                elif not memory.is_due(second):
                    continue
                yield _Look(frame=frame, person=person, crop=crop, body_crop=body_crop)

    def _keep(self, frames: Sequence[Frame], looks: Sequence[_Look]) -> None:
        for look in looks:
            seen = look.seen if look.good else None
            if seen is not None:
                memory = self._memories[look.person]
                memory.crop = _relative(next_crop(seen.landmarks), look.body_crop)
                memory.seen = self._second(look.frame)
            self._rows[look.person].append(_row(look.frame.number, seen))


def _relative(crop: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where a crop (4,) lies from another: moved and resized in the other's sides, turned."""
    return np.array([*((crop[:2] - other[:2]) / other[2]), crop[2] / other[2], crop[3] - other[3]])


def _placed(relative: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The inverse of `_relative`."""
    return np.array([*(other[:2] + relative[:2] * other[2]), relative[2] * other[2], relative[3] + other[3]])


def _row(number: int, face: Face | None) -> dict[str, Any]:
    """What a `FaceTrack` says of a frame."""
    if face is None:
        return {
            "frames": number,
            "coefficients": np.zeros(len(COEFFICIENTS), np.float32),
            "turns": np.eye(3),
            "centers": np.zeros(2),
            "scores": 0.0,
        }
    (turn,) = turns(face.landmarks[None])
    return {
        "frames": number,
        "coefficients": face.coefficients.astype(np.float32),
        "turns": turn,
        "centers": face.landmarks[:, :2].mean(axis=0),
        "scores": _confidence(face.score, face.landmarks, turn),
    }


def _confidence(score: float, landmarks: np.ndarray, head: np.ndarray) -> float:
    """How much of a face is seen: of a small one, and of one that looks aside, less."""
    high = np.ptp(landmarks[:, :2], axis=0).max()
    # The front of the head against the line of sight.
    seen = (-head[2, 2] - _UNSEEN) / (_SEEN - _UNSEEN)
    return float(score * np.clip(high / _SURE_PIXELS, 0.0, 1.0) * np.clip(seen, 0.05, 1.0))
