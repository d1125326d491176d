"""Makes training data: renders moving people and runs the detector on them.

A shard depends only on the seed and its number, so that interrupted runs can continue, and any number of processes make
the same data.
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

from .... import registry
from ....body.smpl import Body
from ....models import load_people
from ....people import crops, maps
from ....people.landmarker import Landmarker, Pose, decode
from ....people.target import CropSmoother
from ....people.tracker import MIN_SCORE, RETRY
from .. import progress, shards
from ..mocap.library import Library, build
from . import appearance, filming, motions
from .renderer import Scene

# Sequences in a shard, and their frames: for training many short ones are better, for validation long ones.
SEQUENCES = {"train": 48, "validation": 24}
FRAMES = {"train": 16, "validation": 32}
_RATES = (24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
# Every fourth group of recordings is held out for validation, of those with less than this share of all motion.
_HELD_OUT, _LARGE = 4, 0.15
_SPLITS = ("train", "validation")
# The detector sees the other regions of interest in every so many-th frame: neighbouring frames add little.
_ROI_VIEWS_EVERY = {"train": 5, "validation": 1}
# Sequences with a smaller share of detections are made again, up to this number of tries.
_ENOUGH, _TRIES = 0.3, 3


@dataclass(frozen=True)
class GenerationPlan:
    """The data to make.

    Attributes:
        library: file of the motions.
        out: folder of the shards.
        seed: of all random numbers.
        until: time.monotonic() at which to stop.
        roi_views: whether the detector sees people's other regions of interest too.
    """

    library: Path
    out: Path
    seed: int
    until: float
    roi_views: bool = False


def split_clips(library: Library, split: str) -> np.ndarray:
    """Numbers of the library's clips in a split: whole groups are held out for validation."""
    group_of_clip = np.unique(np.asarray(library.groups), return_inverse=True)[1]
    length = np.bincount(group_of_clip, np.diff(library.starts))
    # A large group, such as walking, is needed more for training than for validation.
    small = [group for group in np.argsort(length, kind="stable") if length[group] < _LARGE * length.sum()]
    held_out = np.isin(group_of_clip, small[2::_HELD_OUT])
    return np.flatnonzero(held_out == (split == "validation"))


def stage(
    body: Body,
    library: Library,
    clips: np.ndarray,
    split: str,
    rng: np.random.Generator,
) -> tuple[motions.Performance, filming.Shot, np.ndarray, float]:
    """A random performance, the camera that films it, the shape (10,) and the frame rate."""
    betas = np.clip(rng.normal(0, 1, body.shapedirs.shape[-1]), -2.5, 2.5)
    rate = float(rng.choice(_RATES))
    made = motions.perform(library, clips, body, betas, FRAMES[split], rate, rng)
    return made, filming.film(body.joints(made.rotations, betas, made.trans), rate, split, rng), betas, rate


def film_sequence(
    body: Body, library: Library, clips: np.ndarray, split: str, rng: np.random.Generator
) -> tuple[Scene, str, np.ndarray, float]:
    """One random scene, the name of its motion, the shape (10,) and the frame rate."""
    made, shot, betas, rate = stage(body, library, clips, split, rng)
    dressed = appearance.dress(body, betas, split, rng)
    return Scene(body, betas, made.rotations, made.trans, dressed, shot, split, rng), made.name, betas, rate


@dataclass
class FrameDetection:
    """The detector's output in a frame.

    Attributes:
        pose: in the crop.
        maps: packed local maps of the crop.
        roi_views: poses in the other regions of interest; empty in frames without them.
    """

    pose: Pose
    maps: bytes
    roi_views: list[Pose]


def follow(
    scene: Scene, rate: float, landmarker: Landmarker, rng: np.random.Generator, roi_views_every: int | None = None
) -> Iterator[FrameDetection | None]:
    """The detector's output for each frame when it tracks the person as in use, in some frames in all regions.

    None where the person is not detected.
    """
    pixels = scene.landmark_pixels()
    smoother, points, wait = CropSmoother(), None, 0
    for frame in range(len(pixels)):
        if points is None and wait <= 0:
            smoother = CropSmoother()
            points = _detected(pixels[frame], rng)
            first = crops.around(*points)
            pose = decode(landmarker.run([scene.draw(frame, first)])[0], first)
            points = np.stack([pose.center, pose.rim]) if pose.score >= MIN_SCORE else None
        wait -= 1
        if points is None or np.hypot(*(points[1] - points[0])) < 4:
            points, wait = None, wait if wait > 0 else RETRY
            yield None
            continue
        crop = crops.around(*points)
        (output,) = landmarker.run([scene.draw(frame, crop)])
        pose = decode(output, crop)
        if pose.score < MIN_SCORE:
            points, wait = None, RETRY
            yield None
            continue
        points = smoother(np.stack([pose.center, pose.rim]), frame / rate)
        others = crops.roi_crops(crop) if roi_views_every and frame % roi_views_every == 0 else ()
        outputs = landmarker.run([scene.draw(frame, other) for other in others])
        roi_views = [decode(output, other) for output, other in zip(outputs, others, strict=True)]
        yield FrameDetection(pose, maps.pack(maps.local_maps(output)), roi_views)


def _detected(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(2, 2) hip centre and rim of a person with landmarks (33, 2), with the person detector's inaccuracy."""
    hips, shoulders = pixels[[23, 24]].mean(0), pixels[[11, 12]].mean(0)
    reach = np.linalg.norm(pixels - hips, axis=1).max() * np.exp(rng.normal(0.05, 0.08))
    up = shoulders - hips
    angle = np.arctan2(up[0], -up[1]) + rng.normal(0, 0.12)
    centre = hips + rng.normal(0, 0.06, 2) * reach
    return np.stack([centre, centre + reach * np.array([np.sin(angle), -np.cos(angle)])])


def make_shard(
    number: int, split: str, seed: int, body: Body, library: Library, landmarker: Landmarker, roi_views: bool = False
) -> shards.Shard:
    """The shard of a number; deterministic."""
    clips = split_clips(library, split)
    columns: dict[str, list] = {}
    names, shapes, cameras, sizes, rates, packed = [], [], [], [], [], []
    for sequence in range(SEQUENCES[split]):
        rng = np.random.default_rng([seed, _SPLITS.index(split), number, sequence])
        tries = 0
        while True:
            scene, name, betas, rate = film_sequence(body, library, clips, split, rng)
            detections = list(follow(scene, rate, landmarker, rng, _ROI_VIEWS_EVERY[split] if roi_views else None))
            tries += 1
            if tries == _TRIES or np.mean([result is not None for result in detections]) > _ENOUGH:
                break
        poses, trans = scene.truth_in_camera()
        shot = scene.shot
        names.append(name)
        shapes.append(betas)
        cameras.append(shot.K)
        sizes.append(shot.size)
        rates.append(rate)
        for frame, result in enumerate(detections):
            row = {
                "timestamps": frame / rate,
                "poses": poses[frame],
                "trans": trans[frame],
                "camera_turns": shot.rotations[0] @ shot.rotations[frame].T,
                "camera_moves": shot.rotations[0] @ (shot.positions[frame] - shot.positions[0]),
                **_detection_columns(None if result is None else result.pose),
                **(_roi_view_columns([] if result is None else result.roi_views) if roi_views else {}),
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


def _detection_columns(pose: Pose | None) -> dict[str, object]:
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


def _roi_view_columns(poses: list[Pose]) -> dict[str, object]:
    views = [_detection_columns(pose) for pose in poses] or [_detection_columns(None)] * crops.ROI_VIEWS
    arrays = {f"look_{key}": [view[key] for view in views] for key in views[0] if key not in ("found", "boxes")}
    return {"looked": bool(poses), **arrays}


def contact_sheet(
    body: Body, library: Library, landmarker: Landmarker, seed: int, split: str, count: int = 40
) -> np.ndarray:
    """A grid of random scenes, with the detector's landmarks in green and the true ones in red."""
    clips, tiles = split_clips(library, split), []
    for number in range(count):
        rng = np.random.default_rng([seed, 7, number])
        scene = film_sequence(body, library, clips, split, rng)[0]
        pixels = scene.landmark_pixels()[0]
        crop = crops.around(*_detected(pixels, rng))
        picture = scene.draw(0, crop)
        pose = decode(landmarker.run([picture])[0], crop)
        for points, colour in ((pixels, (0, 0, 255)), (pose.landmarks, (0, 255, 0))):
            for x, y in crops.from_image(points, crop)[11:] * len(picture):
                cv2.circle(picture, (int(x), int(y)), 2, colour, -1, cv2.LINE_AA)
        cv2.putText(picture, f"{pose.score:.2f}", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        tiles.append(picture)
    columns = 8
    return np.vstack([np.hstack(tiles[row : row + columns]) for row in range(0, count - columns + 1, columns)])


def _work(job: int, jobs: int, plan: GenerationPlan) -> None:
    cv2.setNumThreads(1)
    body, library = Body.load(registry.body_path()), Library.load(plan.library)
    landmarker = load_people("fast", "cpu")[0].landmarker
    number = job
    shown = progress.bar(f"shards, job {job + 1}", position=job, unit="shard")
    while time.monotonic() < plan.until:
        # Validation shards are a fixed share of all shards, so that there are some early.
        split = "validation" if number % 20 == 1 else "train"
        path = plan.out / split / f"{number:06d}.npz"
        if not path.exists():
            shards.write_shard(path, make_shard(number, split, plan.seed, body, library, landmarker, plan.roi_views))
        shown.update()
        number += jobs
    shown.close()


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
        landmarker = load_people("fast")[0].landmarker
        body = Body.load(registry.body_path())
        cv2.imwrite(str(options.sheet), contact_sheet(body, Library.load(library), landmarker, options.seed, "train"))
        return 0
    Library.load(library)
    plan = GenerationPlan(
        library, options.out, options.seed, time.monotonic() + 60 * options.minutes, options.roi_views
    )
    return share_work(_work, options.jobs, plan)


_Task = TypeVar("_Task")


def share_work(work: Callable[[int, int, _Task], None], jobs: int, task: _Task) -> int:
    """Run `work(job, jobs, task)` for each job in a process of its own; returns their common exit status."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(job, jobs, task)) for job in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return 1 if any(worker.exitcode for worker in workers) else 0
