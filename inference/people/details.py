"""Looking closely at parts of people who were followed, such as hands and faces: what these searches share.

The body says where a part is and how large. What the network saw of it places the next crop; of several frames the
parts of all people are seen together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from .. import spill
from ..footage.reader import Frame

_GROUP = 2
"""Frames that are seen together."""

# Seconds for which a part that was seen says where it is, and after which an unseen one is looked for again.
_MEMORY, _RETRY = 0.4, 0.2


@dataclass
class DetailTrack:
    """A part of one person, one row per frame in which it was looked at (n rows); kinds of parts add arrays.

    Attributes:
        frames: (n,) frame numbers in the footage, increasing.
    """

    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Everything by name, after a prefix."""
        return {f"{prefix}{item.name}": getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_columns(cls, columns: spill.Columns, empty: Mapping[str, Any]) -> Self:
        """The track whose rows are in a table; ``empty`` is a row of it like any other, for one without rows."""
        if not len(columns):
            columns = spill.Columns()
            columns.append(empty)
            columns.cut(0)
        return cls(**columns.arrays())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> Self:
        """The inverse of `arrays`."""
        return cls(**{item.name: arrays[f"{prefix}{item.name}"] for item in fields(cls)})


@dataclass(kw_only=True)
class Memory:
    """What is known of one part of a person.

    Attributes:
        seen: second when it was last seen.
        tried: second when it was last looked for while unseen.
    """

    seen: float = -np.inf
    tried: float = -np.inf

    def is_fresh(self, second: float) -> bool:
        """Whether what was seen says where it is now."""
        return second - self.seen <= _MEMORY

    def is_due(self, second: float) -> bool:
        """Whether to look for it where the body has it, which then counts as tried."""
        due = second - self.tried >= _RETRY
        if due:
            self.tried = second
        return due


_Seen = TypeVar("_Seen")


@dataclass(kw_only=True)
class Look(ABC, Generic[_Seen]):
    """One part of a person in one frame.

    Attributes:
        frame: of the footage.
        person: number in the search.
        crop: (4,) in which it is looked at.
        body_crop: (4,) where the body has it.
        seen: what the network made of the crop.
    """

    frame: Frame
    person: int
    crop: np.ndarray
    body_crop: np.ndarray
    seen: _Seen | None = None

    @property
    @abstractmethod
    def good(self) -> bool:
        """Whether the part is seen, where the body has it."""


class Tolerance(NamedTuple):
    """Crops that are moved, in their sides, or turned, in radians, by more, or of another size are seen again."""

    moved: float
    turned: float
    resized: float

    def is_exceeded(self, crop: np.ndarray, wanted: np.ndarray) -> bool:
        """Whether a crop (4,) is too far from the wanted one."""
        turned = abs((wanted[3] - crop[3] + np.pi) % (2 * np.pi) - np.pi)
        resized = max(crop[2] / wanted[2], wanted[2] / crop[2])
        moved = np.hypot(*(wanted[:2] - crop[:2])) > self.moved * wanted[2]
        return bool(moved or turned > self.turned or resized > self.resized)


_LookOf = TypeVar("_LookOf", bound=Look[Any])
_TrackOf = TypeVar("_TrackOf", bound=DetailTrack)


class DetailSearch(ABC, Generic[_LookOf, _TrackOf]):
    """Looks at one kind of part of people.

    Args:
        read: what the network makes of images in crops (n, 4).
        next_crop: the crop (4,) that landmarks ask for.
        tolerance: between that one and the one they were seen in.
        rate: about how often a second it looks.
        visible: of each person, the numbers of frames in which there is something to look at.
        frame_rate: of the footage, hertz.
        slow_motion: how many times slower than it was the footage shows what happened.
    """

    def __init__(
        self,
        read: Callable[[Sequence[np.ndarray], np.ndarray], Sequence[Any]],
        next_crop: Callable[[np.ndarray], np.ndarray],
        tolerance: Tolerance,
        rate: float,
        visible: Sequence[np.ndarray],
        frame_rate: float,
        slow_motion: float,
    ):
        self._read_crops, self._next_crop, self._tolerance = read, next_crop, tolerance
        self._visible, self._slow_motion = visible, slow_motion
        self._step = max(1, round(frame_rate * slow_motion / rate))

    @property
    def worthwhile(self) -> bool:
        """Whether anything is worth looking at."""
        return any(len(numbers) for numbers in self._visible)

    @property
    def frames(self) -> tuple[int, int]:
        """The first and the last frame in which something is."""
        numbers = np.concatenate(self._visible)
        return int(numbers.min()), int(numbers.max())

    def see(self, frames: Iterable[Frame], starts: Container[int] = ()) -> Iterator[Frame]:
        """Look at the frames of the footage in order, once; yields each, the latest before they are looked at.

        Args:
            frames: of the footage.
            starts: numbers of the frames that begin shots: what is seen of one doesn't depend on those before.
        """
        waiting: list[Frame] = []
        looking: Future[None] | None = None
        count = 0
        # Beside the next frames' reading and other searches: a few pictures keep no computer busy.
        with ThreadPoolExecutor(1, thread_name_prefix="details") as executor:

            def look() -> None:
                nonlocal looking, waiting
                if looking is not None:
                    looking.result()
                looking, waiting = executor.submit(self._look, waiting), []

            for frame in frames:
                if frame.number in starts:
                    count = 0
                    if waiting:
                        look()
                if count % self._step == 0:
                    waiting.append(frame)
                if len(waiting) == _GROUP:
                    look()
                count += 1
                yield frame
            if waiting:
                look()
            if looking is not None:
                looking.result()

    @abstractmethod
    def tracks(self) -> list[_TrackOf]:
        """What was seen of each person."""

    @abstractmethod
    def _looks(self, frames: Sequence[Frame]) -> Iterator[_LookOf]:
        """What to look at in frames."""

    @abstractmethod
    def _keep(self, frames: Sequence[Frame], looks: Sequence[_LookOf]) -> None:
        """Keep what was seen."""

    def _look(self, frames: Sequence[Frame]) -> None:
        looks = list(self._looks(frames))
        self._read(looks)
        again = []
        for look in looks:
            if look.good and self._tolerance.is_exceeded(look.crop, wanted := self._next_crop(look.seen.landmarks)):  # pyrefly: ignore[missing-attribute]
                look.crop = wanted
                again.append(look)
        self._read(again)
        lost = [look for look in looks if not look.good and look.crop is not look.body_crop]
        for look in lost:
            look.crop = look.body_crop
        self._read(lost)
        self._keep(frames, looks)

    def _read(self, looks: Sequence[_LookOf]) -> None:
        if not looks:
            return
        seen = self._read_crops([one.frame.image for one in looks], np.array([one.crop for one in looks]))
        for look, one in zip(looks, seen, strict=True):
            look.seen = one

    def _second(self, frame: Frame) -> float:
        """When a frame happened."""
        return frame.timestamp / self._slow_motion
