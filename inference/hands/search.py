"""Where the hands of people who were followed are, and looking at them.

The body also says whose each hand is. `people/details.py` has what this shares with faces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import spill
from ..body.skeleton import LANDMARK_NAMES, SIDES
from ..footage.reader import Frame
from ..people.details import DetailSearch, Look, Memory, Tolerance
from ..people.track import Track
from .landmarker import Hand, HandLandmarker, PalmDetector, next_crop
from .track import FIRST, LANDMARKS, WRIST, HandTrack

RATE = 8.5
"""About how often a second hands are looked at."""

MIN_SCORE = 0.5

# Metres: a hand's length, the side of a crop of which only the body says where it is and how far ahead of wrist and
# knuckles it lies, the side of the region in which palms are looked for, and how far a hand's wrist may be from the
# body's.
_HAND, _SIDE, _AHEAD, _REGION, _NEAR = 0.18, 0.24, 0.02, 0.75, 0.16
# Hands shorter than this many pixels show no fingers.
MIN_PIXELS = 26.0
# Those shorter than this show little of them.
_SMALL_PIXELS = 40.0
_MIN_VISIBILITY = 0.3
_TOLERANCE = Tolerance(moved=0.22, turned=0.8, resized=1.45)
# Seconds after which an unseen hand is looked for by its palm again.
_PALM_RETRY = 0.8
# How alike two hands may be, in palm lengths.
_SAME = 0.5
# Of a hand that the network takes for the other one.
_OTHER_HAND = 0.4
# Movement of landmarks against each other from one look to the next, in palm lengths, up to which a hand is steady.
_STEADY = 0.15


def _rows(part: str) -> list[int]:
    return [LANDMARK_NAMES.index(f"{side}_{part}") for side in SIDES]


@dataclass(frozen=True)
class HandModels:
    """What sees hands.

    Attributes:
        detector: finds palms.
        landmarker: reads hands.
        key: identifies their weights, so that results can be cached; empty for no caching.
    """

    detector: PalmDetector
    landmarker: HandLandmarker
    key: str = ""


@dataclass
class Expected:
    """Where a person's hands are in n frames, as the body has them.

    Attributes:
        frames: (n,) frame numbers.
        wrists: (n, 2, 2) pixels, of the left and the right hand.
        crops: (n, 2, 4) around the hands.
        scale: (n,) pixels per metre.
        visible: (n, 2) whether they are worth looking at.
    """

    frames: np.ndarray
    wrists: np.ndarray
    crops: np.ndarray
    scale: np.ndarray
    visible: np.ndarray


def expected_hands(track: Track, size: tuple[int, int]) -> Expected:
    """Where the hands of a person are who was followed through images of a size (width, height)."""
    scale = track.pixels_per_metre()
    wrists, crops, visible = spill.collect(len(track), lambda window: _expected(track, window, scale[window], size))
    return Expected(track.frames, wrists, crops, scale, visible)


def _expected(track: Track, window: slice, scale: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """`Expected`'s wrists, crops and visible in a window of a track's frames, pixels per metre being known."""
    points = track.landmarks[window].astype(float)
    elbows, wrists = points[:, _rows("elbow")], points[:, _rows("wrist")]
    knuckles = (2 * points[:, _rows("index")] + points[:, _rows("pinky")]) / 3
    forearm = wrists - elbows
    reach = scale[:, None, None]
    # Knuckles are uncertain: the forearm steadies the direction where the hand is short in the image.
    towards = knuckles - wrists + 0.25 * forearm * np.minimum(1.0, 0.25 * reach / _length(forearm))
    towards /= np.maximum(_length(towards), 1e-6)
    centers = wrists + 0.5 * (knuckles - wrists) + _AHEAD * reach * towards
    rotation = np.arctan2(towards[..., 0], -towards[..., 1])
    sides = np.broadcast_to(_SIDE * scale[:, None], rotation.shape)
    inside = ((centers >= 0) & (centers < size)).all(axis=-1)
    large = _HAND * scale[:, None] >= MIN_PIXELS
    return (
        wrists,
        np.concatenate([centers, sides[..., None], rotation[..., None]], axis=-1),
        inside & large & (track.visibility[window][:, _rows("wrist")] >= _MIN_VISIBILITY),
    )


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


@dataclass(kw_only=True)
class _Memory(Memory):
    """What is known of one hand.

    Attributes:
        crop: (4,) that its landmarks asked for when it was last seen.
        wrist: (2,) where the body had the wrist then.
        rotation: of the body's crop then.
        scale: pixels per metre then.
        searched: second when it was last looked for by its palm.
        landmarks: (21, 2) pixels when it was last seen; None before.
        steady: whether they hardly changed from the look before.
    """

    crop: np.ndarray = field(default_factory=lambda: np.zeros(4))
    wrist: np.ndarray = field(default_factory=lambda: np.zeros(2))
    rotation: float = 0.0
    scale: float = 1.0
    searched: float = -np.inf
    landmarks: np.ndarray | None = None
    steady: bool = False

    def follow(self, landmarks: np.ndarray) -> None:
        """Take in the landmarks (21, 2) that were just seen."""
        if self.landmarks is not None:
            change = landmarks - self.landmarks
            moved = np.linalg.norm(change - change.mean(axis=0), axis=1).mean()
            self.steady = bool(moved <= _STEADY * _palm(landmarks))
        self.landmarks = landmarks


@dataclass(kw_only=True)
class _Look(Look[Hand]):
    """One hand in one frame."""

    side: int
    wrist: np.ndarray
    scale: float

    @property
    def good(self) -> bool:
        """Whether a hand is seen, near the body's."""
        return (
            self.seen is not None
            and self.seen.score >= MIN_SCORE
            and bool(np.hypot(*(self.seen.landmarks[WRIST] - self.wrist)) < _NEAR * self.scale)
        )


class HandSearch(DetailSearch[_Look, HandTrack]):
    """Looks at the hands of people.

    Args:
        models: find and read them.
        tracks: the people.
        size: of the images, width and height.
        frame_rate: of the footage, hertz.
        slow_motion: how many times slower than it was the footage shows what happened.
    """

    def __init__(
        self,
        models: HandModels,
        tracks: Sequence[Track],
        size: tuple[int, int],
        frame_rate: float,
        slow_motion: float = 1.0,
    ):
        self._detector = models.detector
        self._expected = [expected_hands(track, size) for track in tracks]
        visible = [one.frames[one.visible.any(axis=1)] for one in self._expected]
        super().__init__(models.landmarker.read, next_crop, _TOLERANCE, RATE, visible, frame_rate, slow_motion)
        self._memories = [[_Memory(), _Memory()] for _ in tracks]
        self._rows = [spill.Columns() for _ in tracks]

    def tracks(self) -> list[HandTrack]:
        """What was seen of each person's hands."""
        return [HandTrack.from_columns(rows, _row(0, (None, None), np.zeros(2))) for rows in self._rows]

    def _looks(self, frames: Sequence[Frame]) -> Iterator[_Look]:
        for frame in frames:
            second = self._second(frame)
            for person, expected in enumerate(self._expected):
                row = int(np.searchsorted(expected.frames, frame.number))
                if row == len(expected.frames) or expected.frames[row] != frame.number:
                    continue
                for side in np.flatnonzero(expected.visible[row]):
                    memory = self._memories[person][side]
                    wrist, scale, crop = expected.wrists[row, side], expected.scale[row], expected.crops[row, side]
                    body_crop = crop
                    if memory.is_fresh(second):
                        # Of a steady hand one of several frames tells as much, of a small one nearly so.
                        small = _HAND * scale < _SMALL_PIXELS
                        if (memory.steady or small) and frame is not frames[-1]:
                            continue
                        crop = memory.crop.copy()
                        crop[:2] += wrist - memory.wrist
                        crop[2] *= scale / memory.scale
                        crop[3] += body_crop[3] - memory.rotation
                    elif not memory.is_due(second):
                        continue
                    yield _Look(
                        frame=frame,
                        person=person,
                        crop=crop,
                        body_crop=body_crop,
                        side=int(side),
                        wrist=wrist,
                        scale=float(scale),
                    )

    def _keep(self, frames: Sequence[Frame], looks: Sequence[_Look]) -> None:
        self._find_palms([look for look in looks if not look.good])
        for frame in frames:
            for person, _ in enumerate(self._expected):
                self._keep_hands(frame, person, [one for one in looks if one.frame is frame and one.person == person])

    def _find_palms(self, looks: Sequence[_Look]) -> None:
        """Look for the palms of hands that were not seen, now and then."""
        wanted = []
        for look in looks:
            memory = self._memories[look.person][look.side]
            second = self._second(look.frame)
            if second - memory.searched >= _PALM_RETRY:
                memory.searched = second
                wanted.append(look)
        if not wanted:
            return
        regions = np.array([[*one.body_crop[:2], _REGION * one.scale, 0.0] for one in wanted])
        found = self._detector.find([one.frame.image for one in wanted], regions)
        again = []
        for look, palms in zip(wanted, found, strict=True):
            near = [palm for palm in palms if np.hypot(*(palm[:2] - look.body_crop[:2])) < 1.5 * _NEAR * look.scale]
            if near:
                look.crop = min(near, key=lambda palm: np.hypot(*(palm[:2] - look.body_crop[:2])))
                again.append(look)
        self._read(again)

    def _keep_hands(self, frame: Frame, person: int, looks: Sequence[_Look]) -> None:
        """Keep what was seen of a person in a frame; of two readings of one hand the one nearer to its wrist."""
        hands: list[Hand | None] = [None, None]
        scores = np.zeros(2)
        good = sorted((one for one in looks if one.good), key=_distance)
        for look in good:
            hand = look.seen
            assert hand is not None
            other = hands[1 - look.side]
            if other is not None and _alike(hand, other):
                continue
            hands[look.side] = hand
            surely = hand.left if look.side == 0 else 1 - hand.left
            scores[look.side] = hand.score * (_OTHER_HAND + (1 - _OTHER_HAND) * surely)
            memory = self._memories[person][look.side]
            memory.crop, memory.wrist, memory.scale = next_crop(hand.landmarks), look.wrist, look.scale
            memory.rotation = float(look.body_crop[3])
            memory.seen = self._second(frame)
            memory.follow(hand.landmarks)
        if looks:
            self._rows[person].append(_row(frame.number, hands, scores))


def _distance(look: _Look) -> float:
    assert look.seen is not None
    return float(np.hypot(*(look.seen.landmarks[WRIST] - look.wrist)) / look.scale)


def _alike(first: Hand, second: Hand) -> bool:
    away = np.linalg.norm(first.landmarks - second.landmarks, axis=1).mean()
    return bool(away < _SAME * _palm(first.landmarks))


def _palm(landmarks: np.ndarray) -> float:
    return float(np.hypot(*(landmarks[FIRST["middle"]] - landmarks[WRIST])))


def _row(number: int, hands: Sequence[Hand | None], scores: np.ndarray) -> dict[str, Any]:
    """What a `HandTrack` says of a frame: the left and the right hand, and scores (2,)."""
    landmarks = np.zeros((2, LANDMARKS, 2), np.float32)
    world_landmarks = np.zeros((2, LANDMARKS, 3), np.float32)
    for side, hand in enumerate(hands):
        if hand is not None:
            landmarks[side], world_landmarks[side] = hand.landmarks, hand.world_landmarks
    return {"frames": number, "landmarks": landmarks, "world_landmarks": world_landmarks, "scores": scores}
