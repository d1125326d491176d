"""Makes training data: films people who move, and lets the detector follow them.

Every shard depends on the seed and its own number alone, so that a run that was cut off goes on where it stopped, and
any number of processes make the same data.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from .... import console, registry
from ....body.smpl import Body
from ....people import crops, maps
from ....people.landmarker import Landmarker, Pose, decode
from ....people.target import CropSmoother
from ....people.tracker import MIN_SCORE, RETRY
from .. import shards
from ..mocap.library import Library, build
from . import appearance, filming, motions
from .renderer import Scene

# Sequences in a shard, and their frames: many short ones teach more than few long ones, measures want long ones.
SEQUENCES = {"train": 48, "validation": 24}
FRAMES = {"train": 16, "validation": 32}
_RATES = (24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
# Every so many-th group of recordings is kept for validation, of those that hold less than this share of all.
_HELD_OUT, _LARGE = 4, 0.15
_SPLITS = ("train", "validation")
# In every so many-th frame the detector looks at the person's other regions too: neighbours teach little new.
_LOOK_EVERY = {"train": 5, "validation": 1}
# Sequences in which the detector sees the person seldom are filmed anew, so many times.
_ENOUGH, _TRIES = 0.3, 3


@dataclass(frozen=True)
class Plan:
    """What to make.

    Attributes:
        library: file of the motions.
        out: folder of the shards.
        seed: everything follows from it.
        until: time.monotonic() at which to stop.
        look: whether to look at people's other regions of interest.
    """

    library: Path
    out: Path
    seed: int
    until: float
    look: bool = False


def clips_of(library: Library, split: str) -> np.ndarray:
    """Numbers of the library's clips that a split may show: whole groups are held out for validation."""
    of = np.unique(np.asarray(library.groups), return_inverse=True)[1]
    length = np.bincount(of, np.diff(library.starts))
    # A group that is a large part of all motion, as walking is, is missed in training more than in validation.
    small = [group for group in np.argsort(length, kind="stable") if length[group] < _LARGE * length.sum()]
    held_out = np.isin(of, small[2::_HELD_OUT])
    return np.flatnonzero(held_out == (split == "validation"))


def stage(
    body: Body,
    library: Library,
    clips: np.ndarray,
    split: str,
    rng: np.random.Generator,
) -> tuple[motions.Performance, filming.Shot, np.ndarray, float]:
    """A random performance, the camera before it, the shape (10,) and the frame rate."""
    betas = np.clip(rng.normal(0, 1, body.shapedirs.shape[-1]), -2.5, 2.5)
    rate = float(rng.choice(_RATES))
    made = motions.perform(library, clips, body, betas, FRAMES[split], rate, rng)
    return made, filming.film(body.joints(made.rotations, betas, made.trans), rate, split, rng), betas, rate


def film_sequence(
    body: Body, library: Library, clips: np.ndarray, split: str, rng: np.random.Generator
) -> tuple[Scene, str, np.ndarray, float]:
    """One random scene, the name of its motion, the shape (10,) and the frame rate."""
    made, shot, betas, rate = stage(body, library, clips, split, rng)
    look = appearance.dress(body, betas, split, rng)
    return Scene(body, betas, made.rotations, made.trans, look, shot, split, rng), made.name, betas, rate


@dataclass
class Sight:
    """What the detector sees of the person in a frame.

    Attributes:
        pose: in the crop.
        maps: packed local maps of the crop.
        looks: poses in the other regions of interest, none if it did not look there.
    """

    pose: Pose
    maps: bytes
    looks: list[Pose]


def follow(
    scene: Scene, rate: float, landmarker: Landmarker, rng: np.random.Generator, look_every: int | None = None
) -> Iterator[Sight | None]:
    """What the detector sees of each frame when it follows the person as the product does; sometimes it looks again.

    None where it does not see the person.
    """
    pixels = scene.landmark_pixels()
    smoother, points, wait = CropSmoother(), None, 0
    for frame in range(len(pixels)):
        if points is None and wait <= 0:
            smoother = CropSmoother()
            points = _detected(pixels[frame], rng)
            first = crops.around(*points)
            pose = decode(landmarker.run_on_crop(scene.draw(frame, first)), first)
            points = np.stack([pose.center, pose.rim]) if pose.score >= MIN_SCORE else None
        wait -= 1
        if points is None or np.hypot(*(points[1] - points[0])) < 4:
            points, wait = None, wait if wait > 0 else RETRY
            yield None
            continue
        crop = crops.around(*points)
        output = landmarker.run_on_crop(scene.draw(frame, crop))
        pose = decode(output, crop)
        if pose.score < MIN_SCORE:
            points, wait = None, RETRY
            yield None
            continue
        points = smoother(np.stack([pose.center, pose.rim]), frame / rate)
        others = crops.roi_crops(crop) if look_every and frame % look_every == 0 else ()
        looks = [decode(landmarker.run_on_crop(scene.draw(frame, other)), other) for other in others]
        yield Sight(pose, maps.pack(maps.local_maps(output)), looks)


def _detected(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(2, 2) hip centre and rim of a person with landmarks (33, 2), as roughly as the person detector finds them."""
    hips, shoulders = pixels[[23, 24]].mean(0), pixels[[11, 12]].mean(0)
    reach = np.linalg.norm(pixels - hips, axis=1).max() * np.exp(rng.normal(0.05, 0.08))
    up = shoulders - hips
    angle = np.arctan2(up[0], -up[1]) + rng.normal(0, 0.12)
    centre = hips + rng.normal(0, 0.06, 2) * reach
    return np.stack([centre, centre + reach * np.array([np.sin(angle), -np.cos(angle)])])


def make_shard(
    number: int, split: str, seed: int, body: Body, library: Library, landmarker: Landmarker, look: bool = False
) -> shards.Shard:
    """The shard of a number; the same for the same arguments."""
    clips = clips_of(library, split)
    columns: dict[str, list] = {}
    names, shapes, cameras, sizes, rates, packed = [], [], [], [], [], []
    for sequence in range(SEQUENCES[split]):
        rng = np.random.default_rng([seed, _SPLITS.index(split), number, sequence])
        tries = 0
        while True:
            scene, name, betas, rate = film_sequence(body, library, clips, split, rng)
            seen = list(follow(scene, rate, landmarker, rng, _LOOK_EVERY[split] if look else None))
            tries += 1
            if tries == _TRIES or np.mean([result is not None for result in seen]) > _ENOUGH:
                break
        poses, trans = scene.truth_in_camera()
        shot = scene.shot
        names.append(name)
        shapes.append(betas)
        cameras.append(shot.K)
        sizes.append(shot.size)
        rates.append(rate)
        for frame, result in enumerate(seen):
            row = {
                "timestamps": frame / rate,
                "poses": poses[frame],
                "trans": trans[frame],
                "camera_turns": shot.rotations[0] @ shot.rotations[frame].T,
                "camera_moves": shot.rotations[0] @ (shot.places[frame] - shot.places[0]),
                **_seen(None if result is None else result.pose),
                **(_looked([] if result is None else result.looks) if look else {}),
            }
            packed.append(b"" if result is None else result.maps)
            for key, value in row.items():
                columns.setdefault(key, []).append(value)
    arrays = {key: np.array(values, _KINDS.get(key, np.float32)) for key, values in columns.items()}
    return shards.Shard(
        sequence_starts=np.arange(len(names) + 1) * FRAMES[split],
        names=np.array(names),
        betas=np.array(shapes, np.float32),
        camera_K=np.array(cameras),
        image_size=np.array(sizes),
        frame_rate=np.array(rates),
        heatmap_starts=np.cumsum([0, *(len(item) for item in packed)]),
        heatmaps=np.frombuffer(b"".join(packed), np.uint8),
        **arrays,
    )


_KINDS = {"found": bool, "looked": bool, "timestamps": np.float64}


def _seen(pose: Pose | None) -> dict[str, object]:
    if pose is None:
        return {
            "found": False,
            "landmarks": np.zeros((33, 2)),
            "visibility": np.zeros(33),
            "presence": np.zeros(33),
            "world_landmarks": np.zeros((33, 3)),
            "crops": np.zeros(4),
            "boxes": np.zeros(4),
            "scores": 0.0,
        }
    return {
        "found": True,
        "landmarks": pose.landmarks,
        "visibility": pose.visibility,
        "presence": pose.presence,
        "world_landmarks": pose.world_landmarks,
        "crops": pose.crop,
        "boxes": pose.box(),
        "scores": pose.score,
    }


def _looked(poses: list[Pose]) -> dict[str, object]:
    seen = [_seen(pose) for pose in poses] or [_seen(None)] * crops.ROI_VIEWS
    arrays = {f"look_{key}": [one[key] for one in seen] for key in seen[0] if key not in ("found", "boxes")}
    return {"looked": bool(poses), **arrays}


def contact_sheet(
    body: Body, library: Library, landmarker: Landmarker, seed: int, split: str, count: int = 40
) -> np.ndarray:
    """Pictures of random scenes in a grid, the detector's landmarks drawn green and the true ones red."""
    clips, tiles = clips_of(library, split), []
    for number in range(count):
        rng = np.random.default_rng([seed, 7, number])
        scene = film_sequence(body, library, clips, split, rng)[0]
        pixels = scene.landmark_pixels()[0]
        crop = crops.around(*_detected(pixels, rng))
        picture = scene.draw(0, crop)
        pose = decode(landmarker.run_on_crop(picture), crop)
        for points, colour in ((pixels, (0, 0, 255)), (pose.landmarks, (0, 255, 0))):
            for x, y in crops.from_image(points, crop)[11:] * len(picture):
                cv2.circle(picture, (int(x), int(y)), 2, colour, -1, cv2.LINE_AA)
        cv2.putText(picture, f"{pose.score:.2f}", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        tiles.append(picture)
    columns = 8
    return np.vstack([np.hstack(tiles[row : row + columns]) for row in range(0, count - columns + 1, columns)])


def _work(job: int, jobs: int, plan: Plan) -> None:
    cv2.setNumThreads(1)
    body, library = Body.load(registry.body_path()), Library.load(plan.library)
    landmarker = Landmarker(registry.path("blazepose_landmark_full"), threads=1)
    number = job
    while time.monotonic() < plan.until:
        # Enough for validation comes early, in a fixed share of all shards.
        split = "validation" if number % 20 == 1 else "train"
        path = plan.out / split / f"{number:06d}.npz"
        if not path.exists():
            began = time.monotonic()
            shards.write_shard(path, make_shard(number, split, plan.seed, body, library, landmarker, plan.look))
            rate = SEQUENCES[split] * FRAMES[split] / (time.monotonic() - began)
            console.say(f"{split} shard {number}: {rate:.0f} frames/s")
        number += jobs


def run(options: argparse.Namespace) -> int:
    """Make data with the options of `train data`; returns the exit status.

    Raises:
        MocapError: motion capture is missing or can't be used.
    """
    library = options.out / "library.npz"
    if options.mocap:
        options.out.mkdir(parents=True, exist_ok=True)
        build(options.mocap, Body.load(registry.body_path())).save(library)
    if options.sheet is not None:
        landmarker = Landmarker(registry.path("blazepose_landmark_full"))
        body = Body.load(registry.body_path())
        cv2.imwrite(str(options.sheet), contact_sheet(body, Library.load(library), landmarker, options.seed, "train"))
        return 0
    Library.load(library)
    plan = Plan(library, options.out, options.seed, time.monotonic() + 60 * options.minutes, options.look)
    return share_work(_work, options.jobs, plan)


_Task = TypeVar("_Task")


def share_work(work: Callable[[int, int, _Task], None], jobs: int, task: _Task) -> int:
    """Run `work(job, jobs, task)` for each job in a process of its own; returns the exit status of them all."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(job, jobs, task)) for job in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return 1 if any(worker.exitcode for worker in workers) else 0
