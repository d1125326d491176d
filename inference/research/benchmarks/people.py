"""The people station and MediaPipe, by turns on the same frames."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from ...footage.reader import Footage, Frame
from ...models import load_people
from ...options import MAX_PEOPLE
from ...people.second_pass import SecondPass, first_pass_step
from ...people.track import Track
from ...people.tracker import SIDE_BY_SIDE, Tracker, chunks
from ..comparison import mediapipe_reference as reference

WARM_UP = 10
"""Networks and caches are not at full speed in these frames, and people are found."""

PART = 48
"""Frames after which it is the next one's turn."""

RIVALS: Mapping[str, tuple[int, int]] = {
    "fast": (reference.USUAL, SIDE_BY_SIDE),
    "best": (reference.ACCURATE, PART),
}
"""The qualities; for each, MediaPipe's complexity to compare with and frames after which it is the other's turn."""

MOST_FRAMES = 300
"""They are kept in memory, so that nothing is decoded beside what is timed."""


class Contestant(Protocol):
    """What is timed."""

    def see(self, frames: Sequence[Frame]) -> tuple[float, float]:
        """Process the next frames of the clip; return the seconds, and the seconds summed over all CPUs."""
        ...


class Station:
    """The people station as `convert` runs it on the CPU; the second pass follows the first after each part of a clip.

    Args:
        quality: see `Options.quality`.
        frame_rate: of the footage in hertz.
        max_people: maximum number of people followed at a time.
        roi_views: whether to see other regions of interest too, as `multi_roi` needs.

    Attributes:
        tracks: what was found in the latest frames.

    Raises:
        RegistryError: a weight file can't be fetched.
    """

    def __init__(self, quality: str, frame_rate: float, max_people: int = MAX_PEOPLE, roi_views: bool = False):
        self._people, self._accurate = load_people(quality, "cpu")
        self._roi_model = self._people if roi_views else None
        self._step = first_pass_step(frame_rate) if self._accurate is not None else 1
        self._tracker = Tracker(self._people, max_people, roi_views=roi_views and self._accurate is None)
        self.tracks: list[Track] = []

    def see(self, frames: Sequence[Frame]) -> tuple[float, float]:
        """See `Contestant.see`."""
        began, cpu_began = time.perf_counter(), time.process_time()
        for chunk in chunks(frames, SIDE_BY_SIDE * self._step):
            list(self._tracker.steps(chunk[:: self._step]))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        # Once for a whole clip; here it is done after each part and does not count.
        self.tracks = [part for track in self._tracker.tracks(0.0) if len(part := _within(track, frames))]
        if self._accurate is None:
            return seconds, cpu_seconds
        began, cpu_began = time.perf_counter(), time.process_time()
        second_pass = SecondPass(self._accurate, self.tracks, self._step, roi_model=self._roi_model)
        list(second_pass.see(frames))
        self.tracks = second_pass.tracks()
        return seconds + time.perf_counter() - began, cpu_seconds + time.process_time() - cpu_began


@dataclass(frozen=True)
class MediaPipeStation:
    """MediaPipe, whose process times itself."""

    mediapipe: reference.MediaPipe

    def see(self, frames: Sequence[Frame]) -> tuple[float, float]:
        """See `Contestant.see`."""
        seconds, cpu_seconds = np.sum([self.mediapipe(frame.image)[2:] for frame in frames], axis=0)
        return float(seconds), float(cpu_seconds)


def measure(
    video: Path,
    max_people: int = MAX_PEOPLE,
    limit: int = MOST_FRAMES,
    mediapipe: bool = True,
    accurate: Path | None = None,
) -> Iterator[str]:
    """Yield frames per second and CPU time of the people station in each quality and of MediaPipe, and their ratios.

    Args:
        video: the footage.
        max_people: that our tracker follows at most; MediaPipe always follows one.
        limit: use no more frames than this.
        mediapipe: whether to run MediaPipe too.
        accurate: see `mediapipe_reference.complexities`.

    Raises:
        MediaPipeError: MediaPipe can't be run.
        SetupError: its environment can't be made.
        FootageError: the video can't be read.
        RegistryError: a weight file can't be fetched.
    """
    with Footage(video) as footage:
        frames = list(islice(footage, limit))
        size, rate = (footage.width, footage.height), footage.frame_rate
    complexities = reference.complexities(accurate) if mediapipe else ()
    turns: list[tuple[int, dict[str, Contestant]]] = []
    pairs: list[tuple[str, str]] = []
    with ExitStack() as stack:
        for quality, (complexity, chunk) in RIVALS.items():
            turns.append((chunk, {quality: Station(quality, rate, max_people)}))
            if complexity in complexities:
                process = stack.enter_context(reference.MediaPipe(reference.interpreter(), size, complexity))
                name = f"MediaPipe, complexity {complexity}"
                turns[-1][1][name] = MediaPipeStation(process)
                pairs.append((quality, name))
        for quality in RIVALS:
            name = f"{quality}, with `multi_roi`'s views"
            turns.append((PART, {name: Station(quality, rate, max_people, roi_views=True)}))
            pairs.append((name, quality))
        costs = compare(frames, turns)
    yield f"| people, {video.name}, {len(frames)} frames, {size[0]}×{size[1]} | frames/s | CPU ms per frame |"
    yield "|---|---:|---:|"
    for name, (seconds, cpu_seconds) in costs.items():
        yield f"| {name} | {1 / seconds:.1f} | {1e3 * cpu_seconds:.1f} |"
    for name, other in pairs:
        (seconds, cpu_seconds), (their_seconds, their_cpu_seconds) = costs[name], costs[other]
        yield f"| ratio of {name} to {other} | {their_seconds / seconds:.2f} | {cpu_seconds / their_cpu_seconds:.2f} |"
    if mediapipe and reference.ACCURATE not in complexities:
        yield reference.WITHOUT_ACCURATE


def compare(
    frames: Sequence[Frame], turns: Sequence[tuple[int, dict[str, Contestant]]]
) -> dict[str, tuple[float, float]]:
    """Let contestants see the frames by turns, so that a busy machine hits them alike.

    Args:
        frames: of a clip.
        turns: groups of contestants by name, each with the number of frames after which it is the next one's turn.

    Returns:
        For each name mean seconds, and seconds of CPU, per frame. A warm-up doesn't count unless there is nothing else.
    """
    parts = [part for part in (frames[:WARM_UP], *chunks(frames[WARM_UP:], PART)) if part]
    taken: dict[str, list[tuple[float, float, int]]] = {name: [] for _, group in turns for name in group}
    for number, part in enumerate(parts):
        for size, group in turns:
            for chunk in chunks(part, size):
                for name, contestant in group.items():
                    cost = contestant.see(chunk)
                    if number or len(parts) == 1:
                        taken[name].append((*cost, len(chunk)))
    sums = {name: np.sum(costs, axis=0) for name, costs in taken.items()}
    return {name: (float(seconds / count), float(cpu / count)) for name, (seconds, cpu, count) in sums.items()}


def _within(track: Track, frames: Sequence[Frame]) -> Track:
    """The rows of a track in some frames that follow each other, without its views of other regions."""
    inside = slice(*np.searchsorted(track.frames, (frames[0].number, frames[-1].number + 1)))
    names = [item.name for item in fields(Track) if item.name not in ("number", "roi_views")]
    return replace(track, roi_views=None, **{name: getattr(track, name)[inside] for name in names})
