"""Imitates the detector where it need not look: the errors it made on filmed people, carried over to others.

Filming a person costs a hundred times what posing one does. The errors of filmed sequences in similar poses make any
number of sequences out of them, without local maps: enough to teach a network what bodies do.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from .... import console, registry
from ....body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from ....body.smpl import Body
from ....people.crops import ROI_VIEWS
from ..mocap.library import Library
from ..shards import Shard, ShardError, read_shard, write_shard
from .generate import FRAMES, clips_of, share_work, stage

SEQUENCES = 384
# Errors are taken from one of so many sequences in the most similar poses, so that they vary.
_SIMILAR = 12
_MIRROR = list(LANDMARK_MIRROR)
_HIPS, _SHOULDERS = (
    [LANDMARK_NAMES.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "shoulder")
)


@dataclass
class Errors:
    """What the detector made of S sequences of n frames, measured from the truth, in M regions: the crop and its looks.

    M is 1 if the detector never looked again.

    Attributes:
        pose: (S, 33, 3) true landmarks of the middle frames from the hips, metres, in cameras that stand as the
            people do; errors are taken from similar ones.
        found: (S, n, M) whether the person was seen.
        place: (S, n, M, 2) the crop's centre from the true hips, in units of the true reach, turned upright.
        size: (S, n, M) logarithm of the crop's side against the true reach.
        turn: (S, n, M) rotation against the true one.
        landmarks: (S, n, M, 33, 2) in units of the crop, in its axes.
        world_landmarks: (S, n, M, 33, 3) metres, in the axes of cameras rolled with the crops.
        visibility: (S, n, M, 33).
        presence: (S, n, M, 33).
        scores: (S, n, M).
    """

    pose: np.ndarray
    found: np.ndarray
    place: np.ndarray
    size: np.ndarray
    turn: np.ndarray
    landmarks: np.ndarray
    world_landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    scores: np.ndarray

    def __post_init__(self):
        self._flat = self.pose.reshape(len(self.pose), -1).astype(np.float32)
        self._squares = np.square(self._flat).sum(1)

    @classmethod
    def of(cls, shards: list[Shard], body: Body) -> Errors:
        """The errors in filmed shards, and their mirror images."""
        parts = [cls._of_shard(shard, body) for shard in shards]
        parts += [part._mirrored() for part in parts]
        return cls(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    @classmethod
    def _of_shard(cls, shard: Shard, body: Body) -> Errors:
        n = FRAMES["train"]
        # Longer sequences are as good as several in a row; what is left over is let go.
        firsts = np.concatenate(
            [np.arange(start, end - n + 1, n) for start, end in pairwise(shard.sequence_starts.tolist())]
        )
        rows = firsts[:, None] + np.arange(n)
        of = np.searchsorted(shard.sequence_starts, firsts, side="right") - 1

        betas = np.repeat(shard.betas, np.diff(shard.sequence_starts), axis=0).astype(float)
        marks = body.landmark_positions(shard.poses.astype(float), betas, shard.trans.astype(float))
        true = Seen.of(marks[rows], shard.camera_K[of])
        found = shard.found[:, None]
        if len(shard.looked):
            found = np.concatenate([found, np.repeat(shard.looked[:, None], ROI_VIEWS, axis=1)], axis=1)
        found = found[rows]

        def seen(name: str) -> np.ndarray:
            values = getattr(shard, name)[:, None]
            if len(shard.looked):
                values = np.concatenate([values, getattr(shard, f"look_{name}")], axis=1)
            return values[rows].astype(np.float32)

        of_crops = np.where(found[..., None], seen("crops"), np.array([0, 0, 1, 0], np.float32))
        centre, reach, angle = true.centre[:, :, None], true.reach[:, :, None], true.angle[:, :, None]
        return cls(
            _rolled(-true.angle, true.from_hips)[:, n // 2],
            found,
            np.einsum("snij,snmj->snmi", _turned(-true.angle), of_crops[..., :2] - centre) / reach[..., None],
            np.log(of_crops[..., 2] / reach),
            _wrapped(of_crops[..., 3] - angle),
            _into(of_crops, seen("landmarks")) - _into(of_crops, true.pixels[:, :, None]),
            _rolled(-of_crops[..., 3], seen("world_landmarks") - true.from_hips[:, :, None]),
            seen("visibility"),
            seen("presence"),
            seen("scores"),
        )

    def _mirrored(self) -> Errors:
        return Errors(
            self.pose[:, _MIRROR] * [-1, 1, 1],
            self.found,
            self.place * [-1, 1],
            self.size,
            -self.turn,
            self.landmarks[..., _MIRROR, :] * [-1, 1],
            self.world_landmarks[..., _MIRROR, :] * [-1, 1, 1],
            self.visibility[..., _MIRROR],
            self.presence[..., _MIRROR],
            self.scores,
        )

    def upon(self, true: Seen, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the detector would say of other sequences (S) if it erred as in the sequences of some rows (S,).

        Returns:
            Arrays (S, n, ...) under the names of the records; zeros where the person is not seen.
        """
        place = np.einsum("snij,snmj->snmi", _turned(true.angle), self.place[rows]) * true.reach[..., None, None]
        side = true.reach[..., None] * np.exp(self.size[rows])
        rotation = _wrapped(true.angle[..., None] + self.turn[rows])
        of = np.concatenate([true.centre[:, :, None] + place, side[..., None], rotation[..., None]], axis=-1)
        places = _into(of, true.pixels[:, :, None]) + self.landmarks[rows]
        turned = np.einsum("...ij,...kj->...ki", _turned(rotation), places)
        seen = {
            "landmarks": of[..., None, :2] + turned * side[..., None, None],
            "visibility": self.visibility[rows],
            "presence": self.presence[rows],
            "world_landmarks": true.from_hips[:, :, None] + _rolled(rotation, self.world_landmarks[rows]),
            "crops": of,
            "scores": self.scores[rows],
        }
        found = self.found[rows]
        seen = {
            name: np.where(found.reshape(*found.shape, *[1] * (values.ndim - 3)), values, 0)
            for name, values in seen.items()
        }
        first = {name: values[:, :, 0] for name, values in seen.items()}
        low, high = first["landmarks"].min(2), first["landmarks"].max(2)
        first |= {"found": found[:, :, 0], "boxes": np.concatenate([low, high - low], axis=-1)}
        if found.shape[2] == 1:
            return first
        looks = {f"look_{name}": values[:, :, 1:] for name, values in seen.items()}
        return {**first, "looked": np.all(found[:, :, 1:], axis=2), **looks}

    def similar(self, pose: np.ndarray, rng: np.random.Generator) -> int:
        """One of the sequences whose pose is most like one (33, 3)."""
        # Squared distances, less the pose's own square.
        distance = self._squares - 2 * self._flat @ pose.ravel().astype(np.float32)
        nearest = np.argpartition(distance, min(_SIMILAR, len(distance) - 1))[:_SIMILAR]
        return int(rng.choice(nearest))


@dataclass
class Seen:
    """True landmarks of S sequences as an image shows them.

    Attributes:
        from_hips: (S, n, 33, 3) metres in camera axes from the middle of the hips.
        pixels: (S, n, 33, 2).
        centre: (S, n, 2) middle of the hips, pixels.
        reach: (S, n) pixels to the landmark farthest from there.
        angle: (S, n) of the line from hips to shoulders, as crops have it.
    """

    from_hips: np.ndarray
    pixels: np.ndarray
    centre: np.ndarray
    reach: np.ndarray
    angle: np.ndarray

    @classmethod
    def of(cls, marks: np.ndarray, camera_K: np.ndarray) -> Seen:
        """From landmarks (S, n, 33, 3) in camera axes and intrinsics (S, 3, 3)."""
        K = camera_K[:, None, None]
        pixels = marks[..., :2] / np.maximum(marks[..., 2:], 0.1) * K[..., 0, :1] + K[..., :2, 2]
        centre = pixels[:, :, _HIPS].mean(2)
        up = pixels[:, :, _SHOULDERS].mean(2) - centre
        reach = np.linalg.norm(pixels - centre[:, :, None], axis=-1).max(-1)
        return cls(marks - marks[:, :, _HIPS].mean(2, keepdims=True), pixels, centre, reach, _angle(up))


def _angle(up: np.ndarray) -> np.ndarray:
    return np.arctan2(up[..., 0], -up[..., 1])


def _wrapped(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _turned(angle: np.ndarray) -> np.ndarray:
    """(..., 2, 2) rotations of the image plane."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def _rolled(angle: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., K, 3) turned about the optical axis."""
    result = points.copy()
    result[..., :2] = np.einsum("...ij,...kj->...ki", _turned(angle), points[..., :2])
    return result


def _into(of: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels (..., K, 2) from the middles of crops (..., 4), in units of their sides and in their axes."""
    from_middle = pixels - of[..., None, :2]
    return np.einsum("...ij,...kj->...ki", _turned(-of[..., 3]), from_middle) / of[..., None, 2:3]


def _work(job: int, jobs: int, options: argparse.Namespace) -> None:
    body, library = Body.load(registry.body_path()), Library.load(options.data / "library.npz")
    filmed = [read_shard(path) for path in sorted((options.data / "train").glob("*.npz"))]
    errors = Errors.of(filmed, body)
    for number in range(job, options.shards, jobs):
        path = options.data / "imitated" / f"{number:06d}.npz"
        if path.exists():
            continue
        began = time.monotonic()
        shard = imitate(number, options.seed, body, library, errors)
        write_shard(path, shard)
        console.say(f"imitated shard {number}: {len(shard) / (time.monotonic() - began):.0f} frames/s")


def run(options: argparse.Namespace) -> int:
    """Imitate with the options of `train transfer-errors`; returns the exit status.

    Raises:
        MocapError: the data's library is missing.
        ShardError: there are no filmed data, or they can't be read.
    """
    Library.load(options.data / "library.npz")
    if not any((options.data / "train").glob("*.npz")):
        raise ShardError(f"There is nobody to imitate in {options.data / 'train'}: film some with `train data` first.")
    return share_work(_work, options.jobs, options)


def imitate(number: int, seed: int, body: Body, library: Library, errors: Errors) -> Shard:
    """The training shard of a number, with `SEQUENCES` sequences and no local maps; the same for the same arguments."""
    clips, frames = clips_of(library, "train"), FRAMES["train"]
    rng = np.random.default_rng([seed, 11, number])
    names, betas, rates, poses, trans, shots, chosen, marks = ([] for _ in range(8))
    for _ in range(SEQUENCES):
        made, shot, shape, rate = stage(body, library, clips, "train", rng)
        turned, placed = shot.carry(made.rotations, made.trans, body.rest_joints(shape)[0])
        there = body.landmark_positions(turned, shape, placed)
        true = Seen.of(there[None], shot.K[None])
        middle = _rolled(-true.angle, true.from_hips)[0, frames // 2]
        for values, value in (
            (names, made.name),
            (betas, shape),
            (rates, rate),
            (poses, turned),
            (trans, placed),
            (shots, shot),
            (marks, there),
            (chosen, errors.similar(middle, rng)),
        ):
            values.append(value)
    seen = errors.upon(Seen.of(np.stack(marks), np.stack([shot.K for shot in shots])), np.array(chosen))
    rows = SEQUENCES * frames
    turns = [shot.rotations[0] @ np.swapaxes(shot.rotations, 1, 2) for shot in shots]
    moves = [(shot.places - shot.places[0]) @ shot.rotations[0].T for shot in shots]
    single = {
        "poses": np.concatenate(poses),
        "trans": np.concatenate(trans),
        "camera_turns": np.concatenate(turns),
        "camera_moves": np.concatenate(moves),
        "betas": np.array(betas),
        **{name: values.reshape(rows, *values.shape[2:]) for name, values in seen.items()},
    }
    return Shard(
        sequence_starts=np.arange(SEQUENCES + 1) * frames,
        names=np.array(names),
        camera_K=np.array([shot.K for shot in shots]),
        image_size=np.array([shot.size for shot in shots]),
        frame_rate=np.array(rates),
        timestamps=(np.arange(frames) / np.array(rates)[:, None]).ravel(),
        heatmap_starts=np.zeros(rows + 1, int),
        heatmaps=np.zeros(0, np.uint8),
        **{name: values if values.dtype == bool else values.astype(np.float32) for name, values in single.items()},
    )
