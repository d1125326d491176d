"""Makes training data of a data set that the user holds: both detectors see its people, whose motion it knows.

A clip gives a shard of its own, so that interrupted runs can continue. Shapes become those of SMPL's neutral body,
which is the one that networks are trained with; poses stay as they are.
"""

from __future__ import annotations

import argparse
import importlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from ...batch.inputs import Call, VideoInput
from ...body.smpl import Body
from ...footage.reader import Footage
from ...models import load_people
from ...people import crops
from ...people.landmarker import HIPS, INPUT_SIZE
from ...people.tracker import JUMP
from ..evaluation import layouts, metrics
from ..evaluation.layouts.clip import DatasetClip
from ..evaluation.truth import Bodies, EvaluationError, Truth
from . import detection, shards
from .synthesis.generate import FRAMES, ROI_VIEWS_EVERY

_SPLITS, _BODIES = ("validation", "train"), ("neutral", "male", "female")
# Sequences in which fewer frames have a detection are left out.
_FEWEST = 16
_EXAMPLES = 40


class Images:
    """Frames of footage (H, W, 3), as a scene of the detector's."""

    def __init__(self, images: Sequence[np.ndarray]):
        self._images = images

    def draw(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """See `detection.Scene`."""
        return crops.cut(self._images[frame], crop, INPUT_SIZE)


@dataclass(frozen=True)
class Person:
    """Somebody in a clip of F frames; in those that don't count everything is as in the one before.

    Attributes:
        name: for the shard.
        known: (F,) which frames count.
        betas: (10,) of the neutral body.
        poses: (F, 24, 3) axis-angle, the root's in camera axes.
        trans: (F, 3) of the neutral body in the camera, metres.
        pixels: (F, 33, 2) landmarks of the neutral body in the image.
        to_camera: (F, 4, 4) from the data set's world.
        camera_K: (3, 3).
        rate: frames per second.
    """

    name: str
    known: np.ndarray
    betas: np.ndarray
    poses: np.ndarray
    trans: np.ndarray
    pixels: np.ndarray
    to_camera: np.ndarray
    camera_K: np.ndarray
    rate: float

    @classmethod
    def from_truth(cls, name: str, truth: Truth, to_camera: np.ndarray, neutral: Body) -> Person:
        """From a truth of SMPL in at least one frame; `to_camera` (F, 4, 4) is the clip's."""
        assert truth.poses is not None
        assert truth.joints is not None
        assert truth.betas is not None
        assert truth.body is not None
        known = np.zeros(len(to_camera), bool)
        known[truth.frames] = True
        rows = np.maximum(np.cumsum(known) - 1, 0)
        betas = shape_like(neutral, truth.body, truth.betas)
        poses = truth.poses[rows]
        # The pelvis is the data set's, whatever body it is in.
        trans = truth.joints[rows, 0] - neutral.rest_joints(betas)[0]
        pixels = metrics.project(neutral.landmark_positions(poses, betas, trans), truth.camera_K)
        cameras = to_camera[truth.frames[rows]]
        return cls(name, known, betas, poses, trans, pixels, cameras, truth.camera_K, truth.frame_rate)

    def take(self, first: int, images: Sequence[np.ndarray]) -> detection.Take:
        """Their motion in `images` (H, W, 3), which are the frames from `first` on."""
        rows = slice(first, first + len(images))
        turns, moves = self.to_camera[rows, :3, :3], self.to_camera[rows, :3, 3]
        positions = -np.einsum("nji,nj->ni", turns, moves)
        count = len(images)
        truth = {
            "timestamps": np.arange(count) / self.rate,
            "poses": self.poses[rows],
            "trans": self.trans[rows],
            "camera_turns": turns[0] @ np.swapaxes(turns, 1, 2),
            "camera_moves": (positions - positions[0]) @ turns[0].T,
            # Data sets tell neither.
            "gravity": np.zeros((count, 3)),
            "contacts": np.zeros((count, 4), bool),
        }
        height, width = images[0].shape[:2]
        return detection.Take(
            scene=Images(images),
            name=self.name,
            betas=self.betas,
            camera_K=self.camera_K,
            size=np.array([width, height]),
            rate=self.rate,
            truth=truth,
            pixels=self.pixels[rows],
            contacts_known=False,
        )


def shape_like(body: Body, other: Body, betas: np.ndarray) -> np.ndarray:
    """Betas (10,) with which the surface of `body` is nearest to that of `other` with `betas` (10,), wherever it is.

    Raises:
        ShardError: the bodies have different vertices.
    """
    if other.v_template.shape != body.v_template.shape:
        raise shards.ShardError(
            f"{other.name} has {len(other.v_template)} vertices and {body.name} {len(body.v_template)}: give --smpl the"
            " bodies of one model."
        )
    count, sides = len(body.v_template), body.shapedirs.shape[2]
    moved = np.broadcast_to(np.eye(3), (count, 3, 3))
    directions = np.concatenate([body.shapedirs, moved], axis=2).reshape(3 * count, sides + 3)
    wanted = other.surface.rest(betas) - body.v_template
    return np.linalg.lstsq(directions, wanted.ravel(), rcond=None)[0][:sides]


def people_of(clip: DatasetClip, neutral: Body) -> list[Person]:
    """Those in a clip who count in at least one frame."""
    assert clip.to_camera is not None
    return [
        Person.from_truth(f"{clip.name}, person {number}", truth, clip.to_camera, neutral)
        for number, truth in enumerate(clip.truths, 1)
        if len(truth)
    ]


def parts(footage: Footage, count: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The first `count` frames of footage in parts of `FRAMES`: the number of the first in each, and the images."""
    frames, first = iter(islice(footage, count)), 0
    while images := [frame.image for frame in islice(frames, FRAMES)]:
        yield first, images
        first += len(images)


def make_shard(
    clip: DatasetClip,
    neutral: Body,
    detectors: detection.Detectors,
    seed: int,
    with_maps: bool = True,
    roi_views_every: int | None = None,
    pictures: bool = False,
    progress: Callable[[str, int, int | None], None] = lambda stage, done, total: None,
) -> shards.Shard:
    """The shard of a clip; deterministic.

    Raises:
        ShardError: nobody could be followed in it, or the bodies don't belong together.
        FootageError: its images can't be read.
    """
    assert clip.to_camera is not None
    people, count = people_of(clip, neutral), len(clip.to_camera)
    seen: list[detection.Seen] = []
    with Footage(clip.footage) as footage:
        for start, images in parts(footage, count):
            rows = slice(start, start + len(images))
            marks = np.array([np.where(one.known[rows, None, None], one.pixels[rows], np.inf) for one in people])
            for number, person in enumerate(people):
                take = person.take(start, images)
                rng = np.random.default_rng([seed, zlib.crc32(person.name.encode()), start])
                following = detection.follow(
                    take.scene, take.pixels, take.rate, detectors.first, rng, with_maps, roi_views_every, pictures
                )
                first = _theirs(list(following), marks, number)
                if sum(found is not None for found in first) < _FEWEST:
                    continue
                again = detection.see_again(
                    take.scene, take.rate, first, detectors.second, detectors.first, roi_views_every, pictures
                )
                seen += [("fast", take, first), ("best", take, _theirs(again, marks, number))]
            progress("frames", start + len(images), count)
    if not seen:
        raise shards.ShardError(f"Nobody could be followed in {clip.footage}, so that it gives no training data.")
    return detection.as_shard(seen, roi_views_every is not None, pictures, licensed=neutral.figures is None)


def _theirs(
    found: Sequence[detection.FrameDetection | None], marks: np.ndarray, person: int
) -> list[detection.FrameDetection | None]:
    """What was detected (n), None for frames in which it is nothing or not that person.

    Args:
        found: in n frames.
        marks: (P, n, 33, 2) true landmarks of everyone who is known, infinite where they don't count.
        person: which of them is meant.
    """
    result: list[detection.FrameDetection | None] = []
    for frame, one in enumerate(found):
        if one is not None:
            # In use, too, who is further away than that is somebody else.
            astray = np.linalg.norm(one.pose.center - marks[person, frame, HIPS].mean(0)) > JUMP * one.pose.crop[2]
            nearest = np.argmin(np.linalg.norm(marks[:, frame] - one.pose.landmarks, axis=-1).mean(-1))
            if astray or nearest != person:
                one = None
        result.append(one)
    return result


def calls(options: argparse.Namespace, layout: ModuleType) -> Iterator[VideoInput]:
    """The clips of a data set that have no shard yet, with the options of `train data`, until its time is over."""
    smpl = options.smpl.absolute()
    bodies = [str(Bodies(smpl).path(gender)) for gender in _BODIES]
    until = np.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
    for split in _SPLITS:
        for file in layout.files(options.root.absolute(), split):
            if time.monotonic() >= until:
                return
            target = options.out / split / file.stem
            shard = target.with_name(f"{file.stem}.npz")
            if shard.exists():
                continue
            arguments = {"layout": options.layout, "file": str(file), "smpl": str(smpl), "seed": options.seed}
            arguments |= {"with_maps": options.maps, "pictures": options.pictures}
            arguments["roi_views_every"] = ROI_VIEWS_EVERY[split] if options.roi_views else None
            yield VideoInput(shard, target, call=Call("training.data_sets:make", arguments, [str(file), *bodies]))


def make(
    out: Path, progress: Callable[[str, int, int | None], None], layout: str, file: str, smpl: str, **how: Any
) -> None:
    """Make the shard of a clip in a folder; see `calls`."""
    cv2.setNumThreads(1)
    bodies, neutral, detectors = _tools(smpl)
    clip = _reader(layout).read(Path(file), bodies)
    shards.write_shard(out / f"{clip.name}.npz", make_shard(clip, neutral, detectors, progress=progress, **how))


@lru_cache(1)
def _tools(smpl: str) -> tuple[Bodies, Body, detection.Detectors]:
    """What all shards are made with, loaded once."""
    bodies = Bodies(Path(smpl))
    return bodies, bodies.load("neutral"), detection.Detectors.load("cpu")


def _reader(layout: str) -> ModuleType:
    return importlib.import_module(f"{layouts.__name__}.{layouts.LAYOUTS[layout]}")


def run(options: argparse.Namespace, work: Callable[[Iterator[VideoInput]], int]) -> int:
    """Make data with the options of `train data --layout`; returns the exit status.

    Args:
        options: those of the command line.
        work: lets somebody work on calls, and returns the exit status.

    Raises:
        EvaluationError: the data set or a body is missing, or networks can't learn from it.
    """
    if options.layout in layouts.NOT_FOR_TRAINING:
        others = ", ".join(name for name in layouts.LAYOUTS if name not in layouts.NOT_FOR_TRAINING)
        raise EvaluationError(
            f"Networks can't learn from {options.layout}, {layouts.NOT_FOR_TRAINING[options.layout]}: choose {others}."
        )
    if options.mocap or options.looks:
        raise EvaluationError("--layout has its own people: leave out --mocap and --looks.")
    if options.root is None:
        raise EvaluationError(f"The folder of {options.layout} is missing: give it to --root.")
    if not options.root.is_dir():
        raise EvaluationError(f"{options.root} is not a folder: give --root the folder of the data set.")
    layout, bodies = _reader(options.layout), Bodies(options.smpl)
    for gender in _BODIES:
        bodies.path(gender)
    for split in _SPLITS:
        if not layout.files(options.root, split):
            raise EvaluationError(
                f"There is nothing of {options.layout}'s {split} split in {options.root}: give --root the folder it is"
                " in."
            )
    if options.sheet is not None:
        landmarker = load_people("fast")[0].landmarker
        examples = islice(_examples(options, layout, bodies), _EXAMPLES)
        cv2.imwrite(str(options.sheet), detection.contact_sheet(examples, landmarker))
        return 0
    return work(calls(options, layout))


def _examples(options: argparse.Namespace, layout: ModuleType, bodies: Bodies) -> Iterator[detection.Example]:
    """Everyone in the middle of the first frames of each clip for training that count."""
    for file in layout.files(options.root, "train"):
        clip = layout.read(file, bodies)
        with Footage(clip.footage) as footage:
            start, images = next(parts(footage, len(clip.to_camera)))
        for person in people_of(clip, bodies.load("neutral")):
            known = np.flatnonzero(person.known[: len(images)])
            if len(known):
                rng = np.random.default_rng([options.seed, zlib.crc32(person.name.encode())])
                yield person.take(start, images), int(known[len(known) // 2]), rng
