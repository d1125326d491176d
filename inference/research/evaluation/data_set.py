"""Scores estimators on the validation split of training data: same frames, same joints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ... import estimators, registry
from ...batch.inputs import Call, VideoInput
from ...body.smpl import Body
from ...camera.intrinsics import Camera, intrinsics
from ...camera.tracking import homographies_from_rotations
from ...models import load_network
from ...motion import estimate as motion_fit
from ...motion.footing import Footing
from ...options import Options
from ...people import sides
from ...pose.temporal import TemporalNetwork, VideoContext, own_weights
from ..training.shards import Shard, ShardError, read_shard, read_shards, track_from_shard
from . import metrics
from .scores import BLAZEPOSE, Scores

Progress = Callable[[str, int, int | None], None]

RAW = "network alone"
# Gap between the frame numbers of two sequences, so that no measure crosses from one into the other.
_GAP = 1000
_SURFACE_EVERY = 8


class ShardMaps:
    """The local maps of a shard, with the interface of a video's."""

    def __init__(self, shard: Shard):
        self._shard = shard

    def read(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 40, 64, 64) the maps of rows."""
        return np.stack([self._shard.maps(int(number)) for number in numbers])


class ShardPictures:
    """The pictures of a sequence of a shard, with the interface of a track's.

    Args:
        shard: with pictures.
        rows: of the shard that are the track's.

    Raises:
        ShardError: it has none of them.
    """

    def __init__(self, shard: Shard, rows: np.ndarray):
        if not shard.has_pictures[rows].all():
            raise ShardError("These data have no pictures for an image encoder: make some by `train data --pictures`.")
        self._shard, self._rows = shard, rows

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 256, 256, 3) those of the track's rows."""
        return np.stack([self._shard.picture(int(row)) for row in self._rows[list(rows)]])


class Totals:
    """Collects estimates of all sequences."""

    def __init__(self):
        self._limbs: list[np.ndarray] = []
        self._true: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []
        self._surface: list[float] = []

    def add(self, limbs: np.ndarray, true: np.ndarray, frames: np.ndarray, surface: float | None = None) -> None:
        """Add limb joints (n, 12, 3) of one sequence and the true ones, at frame numbers (n,), and the PVE."""
        number = len(self._limbs)
        self._limbs.append(limbs)
        self._true.append(true)
        self._frames.append(frames + number * _GAP)
        if surface is not None:
            self._surface.append(surface)

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """What was added, by name, for `add_arrays`."""
        yield "surface", np.array(self._surface)
        yield "lengths", np.array([len(limbs) for limbs in self._limbs])
        frames = [frames - number * _GAP for number, frames in enumerate(self._frames)]
        for name, parts in (("limbs", self._limbs), ("true", self._true), ("frames", frames)):
            yield name, np.concatenate(parts)

    def add_arrays(self, arrays: Mapping[str, np.ndarray], prefix: str) -> None:
        """Add the `arrays` of another one, whose names begin with a prefix."""
        ends = np.cumsum(arrays[f"{prefix}lengths"])[:-1]
        names = ("limbs", "true", "frames")
        for parts in zip(*(np.split(arrays[f"{prefix}{name}"], ends) for name in names), strict=True):
            self.add(*parts)
        self._surface += arrays[f"{prefix}surface"].tolist()

    def scores(self) -> Scores:
        """MPJPE, PA-MPJPE, PVE in millimetres, Accel in mm/frame²."""
        limbs, true, frames = (np.concatenate(parts) for parts in (self._limbs, self._true, self._frames))
        scores = {
            "frames": float(len(frames)),
            **metrics.scores(limbs, true, frames),
            **metrics.decomposition(limbs, true),
        }
        return scores | ({"PVE": float(np.mean(self._surface))} if self._surface else {})


def calls(
    folder: Path,
    out: Path,
    networks: Sequence[str],
    device: str,
    sequences: int | None = None,
    weights: Path | None = None,
    smpl: Path | None = None,
) -> list[VideoInput]:
    """The shards of a data set, to be scored one by one.

    Args:
        folder: of the data set.
        out: where the results go that `pooled` reads.
        networks: names of the estimators.
        device: where they run.
        sequences: maximum number in all.
        weights: a network of the user's own, in place of the one of its kind.
        smpl: the licensed body that the data have; None for the free one.

    Raises:
        ShardError: there are no data, or they can't be read.
    """
    paths = sorted((folder / "validation").glob("*.npz"))
    if not paths:
        raise ShardError(f"There is no training data in {folder / 'validation'}.")
    inputs, left = [], sequences
    own = [] if weights is None else [str(file) for file in estimators.own_files(weights.absolute())]
    body = [] if smpl is None else [str(smpl.absolute())]
    for path in paths:
        if left is not None and left <= 0:
            break
        file = str(path.absolute())
        arguments = {"shard": file, "networks": list(networks), "device": device, "most": left}
        arguments |= {"weights": own[0] if own else None, "smpl": body[0] if body else None}
        call = Call("evaluation.data_set:score_shard", arguments, [file, *own, *body])
        inputs.append(VideoInput(path, out / path.stem, call=call))
        left = None if left is None else left - len(read_shard(path).betas)
    return inputs


def score_shard(
    out: Path,
    progress: Progress,
    shard: str,
    networks: Sequence[str],
    device: str,
    most: int | None,
    weights: str | None = None,
    smpl: str | None = None,
) -> dict[str, list[str]]:
    """Estimate the first sequences of a shard, all where `most` is None; see `calls`. Returns the names of columns."""
    body, footing, loaded = _tools(tuple(networks), device, weights, smpl)
    table: dict[str, Totals] = {}
    (read,) = read_shards([Path(shard)], licensed=body.figures is None)
    count = len(read.betas) if most is None else min(most, len(read.betas))
    for number in range(count):
        _score_sequence(read, number, body, footing, loaded, table)
        progress("sequences", number + 1, count)
    arrays = {
        f"{column} {name}": array for column, totals in enumerate(table.values()) for name, array in totals.arrays()
    }
    np.savez(out / f"{Path(shard).stem}.npz", allow_pickle=False, **arrays)
    return {"columns": list(table)}


def pooled(inputs: Sequence[VideoInput]) -> dict[str, Scores]:
    """Scores by column, of what `score_shard` found: BlazePose, each network alone, and the whole estimator."""
    table: dict[str, Totals] = {}
    for one in inputs:
        columns = json.loads(one.report.read_text(encoding="utf-8"))["columns"]
        with np.load(one.file(".npz"), allow_pickle=False) as arrays:
            for column, name in enumerate(columns):
                table.setdefault(name, Totals()).add_arrays(arrays, f"{column} ")
    return {name: totals.scores() for name, totals in table.items()}


@lru_cache(1)
def _tools(
    names: tuple[str, ...], device: str, weights: str | None, smpl: str | None
) -> tuple[Body, Footing, dict[str, TemporalNetwork | None]]:
    """What all shards are scored with, loaded once: networks by name, None for an estimator without one."""
    networks: dict[str, TemporalNetwork | None] = {}
    own = None if weights is None else Path(weights)
    for name in names:
        networks[name], _ = load_network(Options(network=name, weights=own_weights(own, name), device=device))
    return Body.load(smpl or registry.body_path()), Footing.load(registry.path(estimators.FOOTING)), networks


def context_from_shard(shard: Shard, number: int, camera_K: np.ndarray) -> VideoContext:
    """A sequence's context for a network."""
    rows = np.arange(shard.sequence_starts[number], shard.sequence_starts[number + 1])
    camera_rotations = shard.camera_turns[rows].astype(float)
    focal = np.full(len(rows) - 1, shard.camera_K[number, 0, 0] / np.hypot(*shard.image_size[number]))
    homographies = homographies_from_rotations(camera_rotations[:-1], camera_rotations[1:], focal)
    return VideoContext(camera_K, ShardMaps(shard), rows - rows[0], np.concatenate([np.eye(3)[None], homographies]))


def _score_sequence(
    shard: Shard,
    number: int,
    body: Body,
    footing: Footing,
    networks: Mapping[str, TemporalNetwork | None],
    table: dict[str, Totals],
) -> None:
    seen = track_from_shard(shard, number)
    if len(seen) < 8:
        return
    # As in use; BlazePose's own landmarks are scored as it gave them.
    track = sides.mended(seen)
    rows = np.arange(shard.sequence_starts[number], shard.sequence_starts[number + 1])
    poses, betas = shard.poses[track.maps].astype(float), shard.betas[number].astype(float)
    true_joints = body.joints(poses, betas)
    true = true_joints[:, metrics.LIMB_JOINTS]
    size = (int(shard.image_size[number, 0]), int(shard.image_size[number, 1]))
    turns = shard.camera_turns[rows].astype(float)
    camera = Camera(size, intrinsics(size), turns, np.zeros((len(turns), 3)))
    some = slice(None, None, _SURFACE_EVERY)
    surface = body.vertices(poses[some], betas)

    def add(name: str, local: np.ndarray, shape: np.ndarray) -> None:
        joints = body.joints(local, shape)
        part = shape[some] if shape.ndim == 2 else shape
        error = metrics.pve(body.vertices(local[some], part), surface, joints[some, 0], true_joints[some, 0])
        table.setdefault(name, Totals()).add(joints[:, metrics.LIMB_JOINTS], true, track.frames, error)

    world = seen.world_landmarks.astype(float)[:, metrics.LIMB_LANDMARKS]
    table.setdefault(BLAZEPOSE, Totals()).add(world, true, track.frames)
    frames, seconds = rows - rows[0], shard.timestamps[rows]
    context = context_from_shard(shard, number, camera.K)
    for name, network in networks.items():
        if network is not None and network.needs_pictures:
            context = replace(context, pictures=ShardPictures(shard, track.maps))
        estimate = None if network is None else network.estimate(track, context)
        if estimate is not None:
            add(f"{name}, {RAW}", estimate.rotations, estimate.betas)
        (motion,) = motion_fit.estimate(
            [track],
            frames,
            seconds,
            camera,
            body,
            footing,
            pose_estimates=None if estimate is None else [estimate],
            estimator=name,
        )
        at = track.frames - motion.frames[0]
        add(name, body.local_rotations(motion.poses_cam)[at], motion.betas)
