"""What finding the camera's way costs an estimate."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...camera.given import GivenCamera
from ...camera.intrinsics import intrinsics
from ...footage.reader import Footage
from . import details


def measure(video: Path, rounds: int = 3) -> Iterator[str]:
    """Yield the table of `estimate` with a given camera, and with one that is found, by turns, in each quality.

    Args:
        video: the footage.
        rounds: how often each is run.

    Raises:
        BenchError: `estimate` failed.
        FootageError: the video can't be read.
    """
    with Footage(video) as footage:
        size = (footage.width, footage.height)
    with tempfile.TemporaryDirectory() as folder:
        # It stands still, and the world's z points up.
        pose = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]])
        given = GivenCamera(Path(folder) / "camera.json", size, intrinsics(size), pose[None], None)
        given.save()
        without = ("--no-hands", "--no-face")
        variants = {"given": (*without, "--camera-file", str(given.path)), "found": without}
        yield from details.compared("estimate", video, "camera", variants, rounds)
