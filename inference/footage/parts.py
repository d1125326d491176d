"""Parts of a long film that begin at cuts, so that several processes can work on it.

Nothing that is made of a shot depends on another one, so parts give what the whole film gives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Self

from ..errors import VideoMotionError
from .reader import Footage, Frame, Span, checksum
from .shots import in_shots


class PartError(VideoMotionError):
    """What was sent is no part of a film."""


@dataclass(frozen=True)
class Part:
    """Shots of a film that follow each other.

    Attributes:
        first_shot: the number of the first one in the film, from 1.
        starts: the number of each one's first frame in the footage, increasing.
        span: all their frames.
        has_cuts: whether the film has several shots.
    """

    first_shot: int
    starts: tuple[int, ...]
    span: Span
    has_cuts: bool

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            PartError: it is something else.
        """
        try:
            span = Span(**content["span"])
            part = cls(**(dict(content) | {"starts": tuple(content["starts"]), "span": span}))
            numbers = (
                part.first_shot,
                *part.starts,
                span.first,
                span.checksum,
                *(() if span.end is None else (span.end,)),
            )
            whole = all(type(number) is int for number in numbers) and isinstance(span.timestamp, float)
            if whole and part.first_shot > 0 <= span.first == part.starts[0]:
                return part
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            pass
        raise PartError("The worker was sent something that is no part of a film: install Video Motion again.")

    def to_json(self) -> dict[str, Any]:
        """The attributes, ready for JSON."""
        return asdict(self) | {"starts": list(self.starts)}

    def in_shots(self, frames: Iterable[Frame]) -> Iterator[tuple[int, Frame]]:
        """Yield each frame of the part with the number of its shot in the film."""
        for frame in frames:
            yield self.first_shot + bisect_right(self.starts, frame.number) - 1, frame


def find_parts(footage: Footage, seconds: float, progress: Callable[[str, int, int | None], None]) -> list[Part]:
    """Return the parts of a long film, in order; none of one that lasts less than two of them or doesn't say how long.

    Args:
        footage: the film, which is read once.
        seconds: how long parts are, at least but for the last.
        progress: called with the stage, the count done and the total.
    """
    if footage.duration is None or footage.duration < 2 * seconds:
        return []
    shots: list[Span] = []
    count = 0
    for _, frames in groupby(in_shots(footage, footage.frame_rate), itemgetter(0)):
        for place, (_, frame) in enumerate(frames):
            if not place:
                shots.append(Span(frame.number, None, frame.timestamp, checksum(frame.image)))
            count += 1
            progress("cuts", count, footage.frame_count)
    # Places in the list of shots.
    begins = [0]
    for place, shot in enumerate(shots):
        if shot.timestamp - shots[begins[-1]].timestamp >= seconds:
            begins.append(place)
    parts = []
    for begin, end in zip(begins, [*begins[1:], len(shots)], strict=True):
        span = replace(shots[begin], end=shots[end].first if end < len(shots) else None)
        parts.append(Part(begin + 1, tuple(shot.first for shot in shots[begin:end]), span, len(shots) > 1))
    return parts
