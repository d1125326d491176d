"""A film with cuts, for tests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
from video_motion.inference.footage.reader import Footage

TESTS = Path(__file__).parent
SAMPLE, REAL = TESTS / "sample" / "sample.mp4", TESTS / "data" / "real" / "man.mp4"
SHOTS = [0, 20, 30, 50, 75]


def write_film(film: Path) -> Path:
    """A film of five shots, of 0.8 s of a person, 0.4 s of a wall, 0.8 s of a real man, and twice another 1 s."""
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    wall = np.random.default_rng(0).integers(150, 250, (6, 8, 3)).astype(np.uint8)
    walls = [cv2.resize(wall, (640, 480), interpolation=cv2.INTER_CUBIC)] * 10
    man = [cv2.resize(frame.image, (270, 480)) for frame in Footage(REAL, 0.2, 1.2)][:20]
    man = [cv2.copyMakeBorder(image, 0, 0, 185, 185, cv2.BORDER_CONSTANT) for image in man]
    first, last = ([frame.image for frame in Footage(SAMPLE, start, end)] for start, end in ((2.0, 2.8), (4.0, 5.0)))
    # Nearer, so that hands and the face are large enough to be looked at.
    near = [cv2.resize(image[60:300, 200:520], (640, 480)) for image in last]
    for image in [*first, *walls, *man, *last, *(image[:, ::-1] for image in near)]:
        writer.write(image)
    writer.release()
    return film


def assert_same(one: Path, other: Path) -> None:
    """Two folders hold the same results of the film, but for seconds."""
    assert set(os.listdir(one)) == set(os.listdir(other))
    for file in one.glob("*.npz"):
        ours, theirs = np.load(file), np.load(other / file.name)
        assert set(ours.files) == set(theirs.files)
        for key in ours.files:
            if ours[key].dtype.kind == "f":
                np.testing.assert_allclose(ours[key], theirs[key], atol=1e-5, err_msg=f"{file.name} {key}")
            else:
                np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{file.name} {key}")
    ours, theirs = (json.loads((folder / "film.json").read_text()) for folder in (one, other))
    for report in (ours, theirs):
        del report["timings"]
        report["warnings"].sort()
        for row in report["made"]["files"]:
            report["made"]["files"][row] = 0
    assert ours == theirs
