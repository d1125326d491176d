"""Scores estimators on the validation split of training data: the same frames, the same joints, truth for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from ...body.smpl import Body
from ...camera.intrinsics import Camera, intrinsics
from ...camera.tracking import homographies_from_rotations
from ...motion import estimate as landmarks
from ...people.track import RoiViews, Track
from ...pose.temporal import TemporalNetwork, VideoContext
from ..training.shards import Shard, ShardError, read_shard
from . import metrics
from .scores import BLAZEPOSE, Scores

Progress = Callable[[int, int], None]

RAW = "network alone"
# Frames between the numbers of two sequences, so that no measure reaches from one into the other.
_APART = 1000
_SURFACE_EVERY = 8


class ShardMaps:
    """The local maps of a shard, read like those of a video."""

    def __init__(self, shard: Shard):
        self._shard = shard

    def read(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 40, 64, 64) the maps of rows."""
        return np.stack([self._shard.maps(int(number)) for number in numbers])


class Totals:
    """What was estimated of all sequences, until it is measured."""

    def __init__(self):
        self._limbs: list[np.ndarray] = []
        self._true: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []
        self._surface: list[float] = []

    def add(self, limbs: np.ndarray, true: np.ndarray, frames: np.ndarray, surface: float | None = None) -> None:
        """Limb joints (n, 12, 3) of one sequence beside the true ones, at frame numbers (n,), and its PVE."""
        number = len(self._limbs)
        self._limbs.append(limbs)
        self._true.append(true)
        self._frames.append(frames + number * _APART)
        if surface is not None:
            self._surface.append(surface)

    def scores(self) -> Scores:
        """MPJPE, PA-MPJPE, PVE in millimetres, Accel in mm/frame²."""
        limbs, true, frames = (np.concatenate(parts) for parts in (self._limbs, self._true, self._frames))
        scores = {"frames": float(len(frames)), **metrics.scores(limbs, true, frames)}
        return scores | ({"PVE": float(np.mean(self._surface))} if self._surface else {})


def evaluate_data(
    folder: Path,
    body: Body,
    networks: Mapping[str, TemporalNetwork | None],
    sequences: int | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Scores]:
    """Scores by column: BlazePose, and of each estimator its network alone, and with what follows it in use.

    Args:
        folder: of the data set.
        body: that the data were made with.
        networks: of the estimators to be scored, by their names; None for one without a network.
        sequences: at most so many.
        progress: told how many sequences are done.

    Raises:
        ShardError: there are no data, or they can't be read.
    """
    paths = sorted((folder / "validation").glob("*.npz"))
    if not paths:
        raise ShardError(f"There is no training data in {folder / 'validation'}.")
    table: dict[str, Totals] = {}
    done = 0
    for path in paths:
        shard = read_shard(path)
        for number in range(len(shard.betas)):
            if sequences is not None and done >= sequences:
                break
            _score_sequence(shard, number, body, networks, table)
            done += 1
            progress(done, sequences or len(paths) * len(shard.betas))
    return {name: totals.scores() for name, totals in table.items()}


def track_of(shard: Shard, number: int) -> Track:
    """The track that the detector would have given of a sequence."""
    rows = np.arange(shard.sequence_starts[number], shard.sequence_starts[number + 1])
    seen = rows[shard.found[rows]]
    return Track(
        number=1,
        frames=seen - rows[0],
        timestamps=shard.timestamps[seen],
        landmarks=shard.landmarks[seen],
        visibility=shard.visibility[seen],
        presence=shard.presence[seen],
        world_landmarks=shard.world_landmarks[seen],
        crops=shard.crops[seen],
        boxes=shard.boxes[seen],
        scores=shard.scores[seen],
        maps=seen,
        roi_views=_looks(shard, seen),
    )


def _looks(shard: Shard, rows: np.ndarray) -> RoiViews | None:
    if not len(shard.looked) or not shard.looked[rows].all():
        return None
    return RoiViews(**{item.name: getattr(shard, f"look_{item.name}")[rows] for item in fields(RoiViews)})


def scenery_of(shard: Shard, number: int, camera_K: np.ndarray) -> VideoContext:
    """What a network may look at beside the track of a sequence."""
    rows = np.arange(shard.sequence_starts[number], shard.sequence_starts[number + 1])
    turns = shard.camera_turns[rows].astype(float)
    focal = np.full(len(rows) - 1, shard.camera_K[number, 0, 0] / np.hypot(*shard.image_size[number]))
    moved = homographies_from_rotations(turns[:-1], turns[1:], focal)
    return VideoContext(camera_K, ShardMaps(shard), rows - rows[0], np.concatenate([np.eye(3)[None], moved]))


def _score_sequence(
    shard: Shard,
    number: int,
    body: Body,
    networks: Mapping[str, TemporalNetwork | None],
    table: dict[str, Totals],
) -> None:
    track = track_of(shard, number)
    if len(track) < 8:
        return
    rows = np.arange(shard.sequence_starts[number], shard.sequence_starts[number + 1])
    poses, betas = shard.poses[track.maps].astype(float), shard.betas[number].astype(float)
    true_joints = body.joints(poses, betas)
    true = true_joints[:, metrics.LIMB_JOINTS]
    size = (int(shard.image_size[number, 0]), int(shard.image_size[number, 1]))
    camera = Camera(size, intrinsics(size), shard.camera_turns[rows].astype(float))
    some = slice(None, None, _SURFACE_EVERY)
    surface = body.vertices(poses[some], betas)

    def add(name: str, turned: np.ndarray, shape: np.ndarray) -> None:
        joints = body.joints(turned, shape)
        part = shape[some] if shape.ndim == 2 else shape
        error = metrics.pve(body.vertices(turned[some], part), surface, joints[some, 0], true_joints[some, 0])
        table.setdefault(name, Totals()).add(joints[:, metrics.LIMB_JOINTS], true, track.frames, error)

    world = track.world_landmarks.astype(float)[:, metrics.LIMB_LANDMARKS]
    table.setdefault(BLAZEPOSE, Totals()).add(world, true, track.frames)
    frames, seconds = rows - rows[0], shard.timestamps[rows]
    scenery = scenery_of(shard, number, camera.K)
    for name, network in networks.items():
        guess = None if network is None else network.estimate(track, scenery)
        if guess is not None:
            add(f"{name}, {RAW}", guess.rotations, guess.betas)
        (motion,) = landmarks.estimate(
            [track], frames, seconds, camera, body, pose_estimates=None if guess is None else [guess], estimator=name
        )
        at = track.frames - motion.frames[0]
        add(name, body.local_rotations(motion.poses_cam)[at], motion.betas)
