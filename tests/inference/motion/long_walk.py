"""Estimates a long walk with hands and a face, writes and reads its motion, and prints the peak of memory in bytes.

Windows are short here, so that a walk of some minutes has many.
"""

import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from video_motion.inference import estimators, registry, spill
from video_motion.inference.body.face import COEFFICIENTS
from video_motion.inference.body.smpl import Body
from video_motion.inference.faces import fit as faces_fit
from video_motion.inference.faces.track import FaceTrack
from video_motion.inference.hands import fit as hands_fit
from video_motion.inference.hands.track import HandTrack
from video_motion.inference.motion import subject
from video_motion.inference.motion.estimate import as_seen, estimate
from video_motion.inference.motion.footing import Footing
from video_motion.inference.motion.motion import Motion
from video_motion.inference.people.track import Track

from . import scenes

RATE, LAP = 25, 150
LOOKS = 3
"""Hands and face are seen in every so many-th frame."""


def main(count: int, file: Path) -> None:
    """Do so with a walk of so many frames, which are laps."""
    spill._WINDOW, spill._SMALLEST = 256, 2**14
    hands_fit._TOGETHER = 32
    subject.MARGIN = faces_fit.MARGIN = hands_fit.MARGIN = 64
    body = Body.load(registry.body_path())
    random = np.random.default_rng(0)
    lap = scenes.walk(as_seen(body), np.arange(LAP) / RATE)
    frames = np.arange(count)
    turns = np.broadcast_to(np.eye(3), (count, 3, 3))
    (motion,) = estimate(
        [_repeated(scenes.film(lap, random), count)],
        frames,
        frames / RATE,
        replace(lap.camera, rotations=turns, positions=np.zeros((count, 3))),
        body,
        Footing.load(registry.path(estimators.FOOTING)),
    )
    motion = faces_fit.move_face(motion, _face(motion), body)
    motion = hands_fit.move_hands(motion, _hands(motion, random), body)
    motion.save(file)
    assert len(Motion.load(file)) == count
    print(1024 * int(re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[0]))


def _repeated(track: Track, count: int) -> Track:
    rows = spill.Columns()
    arrays = {item.name: getattr(track, item.name) for item in fields(track)}
    arrays = {name: values for name, values in arrays.items() if isinstance(values, np.ndarray)}
    single = ("landmarks", "visibility", "presence", "world_landmarks", "boxes")
    arrays |= {name: arrays[name].astype(np.float32) for name in single}
    for start in range(0, count, len(track)):
        rows.extend(arrays | {"frames": track.frames + start, "timestamps": (track.frames + start) / RATE})
    return Track(number=1, **rows.arrays())


def _face(motion: Motion) -> FaceTrack:
    seen = slice(None, None, LOOKS)
    n = len(motion.frames[seen])
    turns = np.tile(np.diag([1.0, -1.0, -1.0]), (n, 1, 1))
    coefficients = np.full((n, len(COEFFICIENTS)), 0.3, np.float32)
    return FaceTrack(motion.frames[seen], coefficients, turns, motion.landmarks[seen, 0, :2], np.ones(n))


def _hands(motion: Motion, random: np.random.Generator) -> HandTrack:
    rows = spill.Columns()
    for frame in motion.frames[::LOOKS]:
        wrists = motion.landmarks[frame, [15, 16], None, :2]
        rows.append(
            {
                "frames": frame,
                "landmarks": (wrists + random.normal(scale=12.0, size=(2, 21, 2))).astype(np.float32),
                "world_landmarks": random.normal(scale=0.05, size=(2, 21, 3)).astype(np.float32),
                "scores": np.ones(2),
            }
        )
    return HandTrack(**rows.arrays())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
