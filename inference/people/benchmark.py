"""Speed of the people station beside MediaPipe's own, frame by frame in alternation."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import registry
from ..footage import Footage
from .blazepose import BlazePose
from .reference import MediaPipe, interpreter
from .tracker import Tracker

# Networks and caches are not at full speed before.
WARM_UP = 10


@dataclass(frozen=True)
class Speeds:
    """Medians over the frames, in seconds per frame, and means, which include the search for more people."""

    ours: float
    theirs: float
    ours_mean: float
    theirs_mean: float
    frames: int

    @property
    def ratio(self) -> float:
        """How many times as fast as MediaPipe we are, by the means."""
        return self.theirs_mean / self.ours_mean

    def lines(self) -> Iterator[str]:
        """What to tell the user."""
        yield f"ours: {1 / self.ours_mean:.1f} frames per second (median {self.ours * 1e3:.1f} ms)"
        yield f"MediaPipe: {1 / self.theirs_mean:.1f} frames per second (median {self.theirs * 1e3:.1f} ms)"
        yield f"ratio: {self.ratio:.2f} over {self.frames} frames"


def compare(video: Path, max_people: int = 1, limit: int | None = None) -> Speeds:
    """Time our tracker and MediaPipe on the same frames in alternation.

    Args:
        video: the footage.
        max_people: so many people our tracker may follow; MediaPipe always follows one.
        limit: use no more frames than this.

    Raises:
        ReferenceError: MediaPipe can't be run.
        SetupError: its environment can't be made.
        FootageError: the video can't be read or is too short.
        RegistryError: a weight file can't be had.
    """
    python = interpreter()
    model = BlazePose(registry.path("blazepose_detector"), registry.path("blazepose_landmark_full"))
    tracker = Tracker(model, max_people)
    footage = Footage(video)
    ours, theirs = [], []
    with MediaPipe(python, (footage.width, footage.height)) as mediapipe:
        for frame in footage:
            began = time.perf_counter()
            tracker.step(frame)
            ours.append(time.perf_counter() - began)
            theirs.append(mediapipe(frame.image)[2])
            if len(ours) == limit:
                break
    skip = WARM_UP if len(ours) > 2 * WARM_UP else 0
    ours, theirs = np.array(ours[skip:]), np.array(theirs[skip:])
    return Speeds(float(np.median(ours)), float(np.median(theirs)), float(ours.mean()), float(theirs.mean()), len(ours))


def main(argv: list[str]) -> int:
    """Print the comparison for a video; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench people", description=__doc__)
    parser.add_argument("video", type=Path, help="the footage")
    parser.add_argument("--max-people", type=int, default=1, metavar="N", help="people we may follow (default: 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="use no more frames than this")
    chosen = parser.parse_args(argv)
    for line in compare(chosen.video, chosen.max_people, chosen.limit).lines():
        print(line, flush=True)
    return 0
