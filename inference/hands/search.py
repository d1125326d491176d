"""Where the hands of people who were followed are, and looking at them.

The body says where each hand is, how large, and whose. What the network saw of a hand corrects that in the next frames;
of several frames all hands of all people are seen together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..body.skeleton import LANDMARK_NAMES, SIDES
from ..footage.reader import Frame
from ..people.track import Track
from .landmarker import Hand, HandLandmarker, PalmDetector, next_crop
from .track import FIRST, LANDMARKS, WRIST, HandTrack

RATE = 9.0
"""About how often a second hands are looked at."""

MIN_SCORE = 0.5
_GROUP = 2
"""Frames that are seen together."""

# Metres: a hand's length, the side of a crop of which only the body says where it is and how far ahead of wrist and
# knuckles it lies, the side of the region in which palms are looked for, and how far a hand's wrist may be from the
# body's.
_HAND, _SIDE, _AHEAD, _REGION, _NEAR = 0.18, 0.24, 0.02, 0.75, 0.16
# Hands shorter than this many pixels show no fingers.
MIN_PIXELS = 26.0
_MIN_VISIBILITY = 0.3
# A crop that is moved, in its sides, or turned, in radians, by more than this, or of another size, is seen again.
_MOVED, _TURNED, _RESIZED = 0.22, 0.8, 1.45
# Seconds for which a hand that was seen says where it is, and after which an unseen one is looked for again: where the
# body has it, and by its palm.
_MEMORY, _RETRY, _PALM_RETRY = 0.4, 0.2, 0.8
# How alike two hands may be, in palm lengths.
_SAME = 0.5
# Of a hand that the network takes for the other one.
_OTHER_HAND = 0.4


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


def look_step(frame_rate: float) -> int:
    """Of how many frames hands are looked at in one, for footage at a rate in hertz."""
    return max(1, round(frame_rate / RATE))


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
    points = track.landmarks.astype(float)
    scale = track.pixels_per_metre()
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
    return Expected(
        track.frames,
        wrists,
        np.concatenate([centers, sides[..., None], rotation[..., None]], axis=-1),
        scale,
        inside & large & (track.visibility[:, _rows("wrist")] >= _MIN_VISIBILITY),
    )


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


@dataclass
class _Memory:
    """What is known of one hand.

    Attributes:
        crop: (4,) that its landmarks asked for when it was last seen.
        wrist: (2,) where the body had the wrist then.
        scale: pixels per metre then.
        seen: second of that.
        tried, searched: second when it was last looked for while unseen, and by its palm.
    """

    crop: np.ndarray = field(default_factory=lambda: np.zeros(4))
    wrist: np.ndarray = field(default_factory=lambda: np.zeros(2))
    scale: float = 1.0
    seen: float = -np.inf
    tried: float = -np.inf
    searched: float = -np.inf


@dataclass
class _Look:
    """One hand in one frame."""

    frame: Frame
    person: int
    side: int
    crop: np.ndarray
    wrist: np.ndarray
    scale: float
    body_crop: np.ndarray
    hand: Hand | None = None

    @property
    def good(self) -> bool:
        """Whether a hand is seen, near the body's."""
        return (
            self.hand is not None
            and self.hand.score >= MIN_SCORE
            and bool(np.hypot(*(self.hand.landmarks[WRIST] - self.wrist)) < _NEAR * self.scale)
        )


class HandSearch:
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
        self._landmarker, self._detector, self._slow_motion = models.landmarker, models.detector, slow_motion
        self._step = look_step(frame_rate * slow_motion)
        self._expected = [expected_hands(track, size) for track in tracks]
        self._memories = [[_Memory(), _Memory()] for _ in tracks]
        self._rows: list[list[tuple[int, list[Hand | None], np.ndarray]]] = [[] for _ in tracks]
        self._waiting: list[Frame] = []

    @property
    def worthwhile(self) -> bool:
        """Whether any hand is worth looking at."""
        return any(one.visible.any() for one in self._expected)

    @property
    def frames(self) -> tuple[int, int]:
        """The first and the last frame in which one is."""
        numbers = np.concatenate([one.frames[one.visible.any(axis=1)] for one in self._expected])
        return int(numbers.min()), int(numbers.max())

    def see(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Look at the frames of the footage in order, once; yields each."""
        for count, frame in enumerate(frames):
            if count % self._step == 0:
                self._waiting.append(frame)
                if len(self._waiting) == _GROUP:
                    self._look(self._waiting)
                    self._waiting = []
            yield frame
        if self._waiting:
            self._look(self._waiting)
            self._waiting = []

    def tracks(self) -> list[HandTrack]:
        """What was seen of each person's hands."""
        return [_track(rows) for rows in self._rows]

    def _look(self, frames: list[Frame]) -> None:
        looks = list(self._looks(frames))
        self._read(looks)
        again = []
        for look in looks:
            if look.good and look.hand is not None and _differs(look.crop, wanted := next_crop(look.hand.landmarks)):
                look.crop = wanted
                again.append(look)
        self._read(again)
        lost = [look for look in looks if not look.good and look.crop is not look.body_crop]
        for look in lost:
            look.crop = look.body_crop
        self._read(lost)
        self._find_palms([look for look in looks if not look.good])
        for frame in frames:
            for person, _ in enumerate(self._expected):
                self._keep(frame, person, [one for one in looks if one.frame is frame and one.person == person])

    def _looks(self, frames: list[Frame]) -> Iterator[_Look]:
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
                    if second - memory.seen <= _MEMORY:
                        crop = memory.crop.copy()
                        crop[:2] += wrist - memory.wrist
                        crop[2] *= scale / memory.scale
                    elif second - memory.tried < _RETRY:
                        continue
                    else:
                        memory.tried = second
                    yield _Look(frame, person, int(side), crop, wrist, float(scale), body_crop)

    def _second(self, frame: Frame) -> float:
        """When it happened."""
        return frame.timestamp / self._slow_motion

    def _read(self, looks: Sequence[_Look]) -> None:
        if not looks:
            return
        hands = self._landmarker.read([one.frame.image for one in looks], np.array([one.crop for one in looks]))
        for look, hand in zip(looks, hands, strict=True):
            look.hand = hand

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

    def _keep(self, frame: Frame, person: int, looks: Sequence[_Look]) -> None:
        """Keep what was seen of a person in a frame; of two readings of one hand the one nearer to its wrist."""
        hands: list[Hand | None] = [None, None]
        scores = np.zeros(2)
        good = sorted((one for one in looks if one.good), key=_distance)
        for look in good:
            hand = look.hand
            assert hand is not None
            other = hands[1 - look.side]
            if other is not None and _alike(hand, other):
                continue
            hands[look.side] = hand
            surely = hand.left if look.side == 0 else 1 - hand.left
            scores[look.side] = hand.score * (_OTHER_HAND + (1 - _OTHER_HAND) * surely)
            memory = self._memories[person][look.side]
            memory.crop, memory.wrist, memory.scale = next_crop(hand.landmarks), look.wrist, look.scale
            memory.seen = self._second(frame)
        if looks:
            self._rows[person].append((frame.number, hands, scores))


def _distance(look: _Look) -> float:
    assert look.hand is not None
    return float(np.hypot(*(look.hand.landmarks[WRIST] - look.wrist)) / look.scale)


def _alike(first: Hand, second: Hand) -> bool:
    palm = np.hypot(*(first.landmarks[FIRST["middle"]] - first.landmarks[WRIST]))
    return bool(np.linalg.norm(first.landmarks - second.landmarks, axis=1).mean() < _SAME * palm)


def _differs(crop: np.ndarray, wanted: np.ndarray) -> bool:
    turned = abs((wanted[3] - crop[3] + np.pi) % (2 * np.pi) - np.pi)
    resized = max(crop[2] / wanted[2], wanted[2] / crop[2])
    return bool(np.hypot(*(wanted[:2] - crop[:2])) > _MOVED * wanted[2] or turned > _TURNED or resized > _RESIZED)


def _track(rows: Sequence[tuple[int, list[Hand | None], np.ndarray]]) -> HandTrack:
    n = len(rows)
    track = HandTrack(
        np.array([number for number, _, _ in rows], dtype=np.int64),
        np.zeros((n, 2, LANDMARKS, 2), np.float32),
        np.zeros((n, 2, LANDMARKS, 3), np.float32),
        np.array([scores for _, _, scores in rows]).reshape(n, 2),
    )
    for row, (_, hands, _) in enumerate(rows):
        for side, hand in enumerate(hands):
            if hand is not None:
                track.landmarks[row, side], track.world_landmarks[row, side] = hand.landmarks, hand.world_landmarks
    return track
