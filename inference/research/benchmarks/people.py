"""Speed of the people station beside MediaPipe's own, frame by frame in alternation."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import registry
from ...footage.reader import Footage
from ...people.blazepose import BlazePose
from ...people.tracker import MAX_PEOPLE, Tracker
from ..comparison.mediapipe_reference import MediaPipe, interpreter

# Networks and caches are not at full speed before.
WARM_UP = 10


@dataclass(frozen=True)
class Speeds:
    """Medians over the frames, in seconds per frame, and means, which include the search for more people.

    Those of CPU time add up all CPUs.
    """

    ours: float
    theirs: float
    ours_mean: float
    theirs_mean: float
    ours_cpu_mean: float
    theirs_cpu_mean: float
    frames: int

    @property
    def ratio(self) -> float:
        """How many times as fast as MediaPipe we are, by the means."""
        return self.theirs_mean / self.ours_mean

    @property
    def cpu_ratio(self) -> float:
        """The same by CPU time."""
        return self.theirs_cpu_mean / self.ours_cpu_mean

    def lines(self) -> Iterator[str]:
        """What to tell the user."""
        for name, median, mean, cpu in (
            ("ours", self.ours, self.ours_mean, self.ours_cpu_mean),
            ("MediaPipe", self.theirs, self.theirs_mean, self.theirs_cpu_mean),
        ):
            yield f"{name}: {1 / mean:.1f} frames per second (median {median * 1e3:.1f} ms; CPU {cpu * 1e3:.1f} ms)"
        yield f"ratio: {self.ratio:.2f}, by CPU time {self.cpu_ratio:.2f}, over {self.frames} frames"


def compare(video: Path, max_people: int = MAX_PEOPLE, limit: int | None = None, threads: int = 2) -> Speeds:
    """Time our tracker and MediaPipe on the same frames in alternation.

    Args:
        video: the footage.
        max_people: so many people our tracker may follow; MediaPipe always follows one.
        limit: use no more frames than this.
        threads: threads that our networks may use.

    Raises:
        ReferenceError: MediaPipe can't be run.
        SetupError: its environment can't be made.
        FootageError: the video can't be read or is too short.
        RegistryError: a weight file can't be had.
    """
    python = interpreter()
    model = BlazePose(registry.path("blazepose_detector"), registry.path("blazepose_landmark_full"), threads)
    tracker = Tracker(model, max_people)
    footage = Footage(video)
    ours, theirs = [], []
    with MediaPipe(python, (footage.width, footage.height)) as mediapipe:
        for frame in footage:
            began, cpu_began = time.perf_counter(), time.process_time()
            tracker.step(frame)
            ours.append((time.perf_counter() - began, time.process_time() - cpu_began))
            theirs.append(mediapipe(frame.image)[2:])
            if len(ours) == limit:
                break
    skip = WARM_UP if len(ours) > 2 * WARM_UP else 0
    ours, theirs = np.array(ours[skip:]), np.array(theirs[skip:])
    (median, _), (mean, cpu) = np.median(ours, axis=0), ours.mean(axis=0)
    (their_median, _), (their_mean, their_cpu) = np.median(theirs, axis=0), theirs.mean(axis=0)
    return Speeds(median, their_median, mean, their_mean, cpu, their_cpu, len(ours))


def main(argv: list[str]) -> int:
    """Print the comparison for a video; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench people", description=__doc__)
    parser.add_argument("video", type=Path, help="the footage")
    parser.add_argument(
        "--max-people", type=int, default=MAX_PEOPLE, metavar="N", help=f"people we may follow (default: {MAX_PEOPLE})"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use no more frames than this")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of our networks (default: 2)")
    chosen = parser.parse_args(argv)
    for line in compare(chosen.video, chosen.max_people, chosen.limit, chosen.threads).lines():
        print(line, flush=True)
    return 0
