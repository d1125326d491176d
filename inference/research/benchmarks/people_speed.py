"""Speed of the people station and of MediaPipe, alternating frame by frame."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...footage.reader import Footage
from ...models import load_people
from ...people.tracker import MAX_PEOPLE, Tracker
from ..comparison.mediapipe_reference import MediaPipe, interpreter

# Networks and caches are not at full speed in these frames.
WARM_UP = 10


@dataclass(frozen=True)
class Speeds:
    """Medians over the frames, in seconds per frame, and means, which include the search for more people.

    CPU time is the sum over all CPUs.
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
        """Our speed relative to MediaPipe's, by the means."""
        return self.theirs_mean / self.ours_mean

    @property
    def cpu_ratio(self) -> float:
        """The same by CPU time."""
        return self.theirs_cpu_mean / self.ours_cpu_mean


def compare(video: Path, max_people: int = MAX_PEOPLE, limit: int | None = None, threads: int = 2) -> Speeds:
    """Time our tracker and MediaPipe on the same frames, alternating.

    Args:
        video: the footage.
        max_people: that our tracker follows at most; MediaPipe always follows one.
        limit: use no more frames than this.
        threads: threads that our networks may use.

    Raises:
        MediaPipeError: MediaPipe can't be run.
        SetupError: its environment can't be made.
        FootageError: the video can't be read or is too short.
        RegistryError: a weight file can't be fetched.
    """
    python = interpreter()
    tracker = Tracker(load_people("fast")[0], max_people)
    footage = Footage(video)
    ours, theirs = [], []
    with MediaPipe(python, (footage.width, footage.height)) as mediapipe:
        for frame in footage:
            began, cpu_began = time.perf_counter(), time.process_time()
            list(tracker.steps([frame]))
            ours.append((time.perf_counter() - began, time.process_time() - cpu_began))
            theirs.append(mediapipe(frame.image)[2:])
            if len(ours) == limit:
                break
    skip = WARM_UP if len(ours) > 2 * WARM_UP else 0
    ours, theirs = np.array(ours[skip:]), np.array(theirs[skip:])
    (median, _), (mean, cpu) = np.median(ours, axis=0), ours.mean(axis=0)
    (their_median, _), (their_mean, their_cpu) = np.median(theirs, axis=0), theirs.mean(axis=0)
    return Speeds(median, their_median, mean, their_mean, cpu, their_cpu, len(ours))
