"""Transfers the detector's errors from rendered people to others who are only posed.

Rendering a person costs a hundred times as much as posing one. With the errors of rendered sequences in similar poses
any number of training sequences can be drawn, without local maps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np

from ....body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from ....body.smpl import Body
from ....people.crops import ROI_VIEWS
from ....pose.features import crop_axes
from ..mocap.library import Library
from ..shards import Shard, ShardError, compact
from .generate import FRAMES, stage, truth

# At these shares of a sequence poses are compared.
_COMPARED = (1 / 8, 3 / 8, 5 / 8, 7 / 8)
# Errors are taken from one of this many sequences with the most similar poses, so that they vary.
_SIMILAR = 12
_MIRROR = list(LANDMARK_MIRROR)
_HIPS, _SHOULDERS = (
    [LANDMARK_NAMES.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "shoulder")
)


@dataclass
class DetectorErrors:
    """Differences of the detector's output from the truth in S sequences of n frames, in M regions of interest.

    The first region is the crop; M is 1 if the data has no others.

    Attributes:
        pose: (S, 4, 33, 3) true landmarks of some frames from the hips, metres, in cameras rolled upright with the
            people; errors are transferred between sequences of similar poses.
        found: (S, n, M) whether the person was detected.
        centre: (S, n, M, 2) the crop's centre from the true hips, in units of the true reach, rolled upright.
        size: (S, n, M) logarithm of the crop's side relative to the true reach.
        rotation: (S, n, M) of the crop, relative to the true one.
        landmarks: (S, n, M, 33, 2) in units of the crop, in its axes.
        world_landmarks: (S, n, M, 33, 3) metres, in the axes of cameras rolled with the crops.
        visibility: (S, n, M, 33).
        presence: (S, n, M, 33).
        scores: (S, n, M).
        detectors: (S,) text, as in shards.
    """

    pose: np.ndarray
    found: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    landmarks: np.ndarray
    world_landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    scores: np.ndarray
    detectors: np.ndarray

    def __post_init__(self):
        self._flat = self.pose.reshape(len(self.pose), len(_COMPARED) * 33 * 3).astype(np.float32)
        self._squares = np.square(self._flat).sum(1)

    @classmethod
    def from_shards(cls, shards: list[Shard], body: Body, frames: int) -> DetectorErrors | None:
        """The errors in rendered sequences of so many frames, and their mirror images; None if all are shorter."""
        parts = [cls._from_shard(shard, body, frames) for shard in shards]
        parts = [part for part in parts if len(part.pose)]
        if not parts:
            return None
        parts += [part._mirrored() for part in parts]
        return cls(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    @classmethod
    def _from_shard(cls, shard: Shard, body: Body, n: int) -> DetectorErrors:
        # Longer sequences count as several; the remainder is left out.
        firsts = np.concatenate(
            [np.arange(start, end - n + 1, n) for start, end in pairwise(shard.sequence_starts.astype(int).tolist())]
        )
        rows = firsts[:, None] + np.arange(n)
        sequences = np.searchsorted(shard.sequence_starts, firsts, side="right") - 1

        betas = np.repeat(shard.betas, np.diff(shard.sequence_starts), axis=0).astype(float)
        marks = body.landmark_positions(shard.poses.astype(float), betas, shard.trans.astype(float))
        true = TrueLandmarks.from_camera(marks[rows], shard.camera_K[sequences])
        found = shard.found[:, None]
        if len(shard.looked):
            found = np.concatenate([found, np.repeat(shard.looked[:, None], ROI_VIEWS, axis=1)], axis=1)
        found = found[rows]

        def detected(name: str) -> np.ndarray:
            values = getattr(shard, name)[:, None]
            if len(shard.looked):
                values = np.concatenate([values, getattr(shard, f"look_{name}")], axis=1)
            return values[rows].astype(np.float32)

        crops = np.where(found[..., None], detected("crops"), np.array([0, 0, 1, 0], np.float32))
        centre, reach, angle = true.centre[:, :, None], true.reach[:, :, None], true.angle[:, :, None]
        return cls(
            _compared(true),
            found,
            np.einsum("snij,snmj->snmi", _rotation_2d(-true.angle), crops[..., :2] - centre) / reach[..., None],
            np.log(crops[..., 2] / reach),
            _wrapped(crops[..., 3] - angle),
            _in_crop(crops, detected("landmarks")) - _in_crop(crops, true.pixels[:, :, None]),
            _roll_points(-crops[..., 3], detected("world_landmarks") - true.from_hips[:, :, None]),
            detected("visibility"),
            detected("presence"),
            detected("scores"),
            shard.detectors[sequences],
        )

    def _mirrored(self) -> DetectorErrors:
        return DetectorErrors(
            self.pose[..., _MIRROR, :] * [-1, 1, 1],
            self.found,
            self.centre * [-1, 1],
            self.size,
            -self.rotation,
            self.landmarks[..., _MIRROR, :] * [-1, 1],
            self.world_landmarks[..., _MIRROR, :] * [-1, 1, 1],
            self.visibility[..., _MIRROR],
            self.presence[..., _MIRROR],
            self.scores,
            self.detectors,
        )

    def apply(self, true: TrueLandmarks, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The detector's output for other sequences (S) with the errors of the sequences in rows (S,).

        Returns:
            Arrays (S, n, ...) under the names of the shards' arrays; zeros where the person is not detected.
        """
        centre = np.einsum("snij,snmj->snmi", _rotation_2d(true.angle), self.centre[rows]) * true.reach[..., None, None]
        side = true.reach[..., None] * np.exp(self.size[rows])
        rotation = _wrapped(true.angle[..., None] + self.rotation[rows])
        crops = np.concatenate([true.centre[:, :, None] + centre, side[..., None], rotation[..., None]], axis=-1)
        in_crop = _in_crop(crops, true.pixels[:, :, None]) + self.landmarks[rows]
        in_image = np.einsum("...ij,...kj->...ki", _rotation_2d(rotation), in_crop)
        output = {
            "landmarks": crops[..., None, :2] + in_image * side[..., None, None],
            "visibility": self.visibility[rows],
            "presence": self.presence[rows],
            "world_landmarks": true.from_hips[:, :, None] + _roll_points(rotation, self.world_landmarks[rows]),
            "crops": crops,
            "scores": self.scores[rows],
        }
        found = self.found[rows]
        output = {
            name: np.where(found.reshape(*found.shape, *[1] * (values.ndim - 3)), values, 0)
            for name, values in output.items()
        }
        first = {name: values[:, :, 0] for name, values in output.items()}
        low, high = first["landmarks"].min(2), first["landmarks"].max(2)
        first |= {"found": found[:, :, 0], "boxes": np.concatenate([low, high - low], axis=-1)}
        if found.shape[2] == 1:
            return first
        roi_views = {f"look_{name}": values[:, :, 1:] for name, values in output.items()}
        return {**first, "looked": np.all(found[:, :, 1:], axis=2), **roi_views}

    def transfer(self, landmarks: np.ndarray, camera_K: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The detector's output for true landmarks (S, n, 33, 3) in camera axes, seen with intrinsics (S, 3, 3).

        Each gets the errors of one of the sequences with the most similar poses. Returns what `apply` does.
        """
        true = TrueLandmarks.from_camera(landmarks, camera_K)
        return self.apply(true, self.similar(true, rng))

    def similar(self, true: TrueLandmarks, rng: np.random.Generator) -> np.ndarray:
        """(S,) for each of S other sequences, one of the sequences here with the most similar poses."""
        compared = _compared(true)
        compared = compared.reshape(len(compared), self._flat.shape[1]).astype(np.float32)
        # Squared distances minus the poses' own squares.
        distance = self._squares - 2 * compared @ self._flat.T
        nearest = np.argpartition(distance, min(_SIMILAR, distance.shape[1] - 1), axis=1)[:, :_SIMILAR]
        return rng.permuted(nearest, axis=1)[:, 0]


@dataclass
class TrueLandmarks:
    """True landmarks of S sequences in 3D and in the image.

    Attributes:
        from_hips: (S, n, 33, 3) metres from the midpoint of the hips, in the axes of a camera that looks there: the
            detector takes its crops for such pictures.
        pixels: (S, n, 33, 2).
        centre: (S, n, 2) midpoint of the hips, pixels.
        reach: (S, n) pixels from there to the farthest landmark.
        angle: (S, n) of the line from hips to shoulders, as for crops.
    """

    from_hips: np.ndarray
    pixels: np.ndarray
    centre: np.ndarray
    reach: np.ndarray
    angle: np.ndarray

    @classmethod
    def from_camera(cls, marks: np.ndarray, camera_K: np.ndarray) -> TrueLandmarks:
        """From landmarks (S, n, 33, 3) in camera axes and intrinsics (S, 3, 3)."""
        K = camera_K[:, None, None]
        pixels = marks[..., :2] / np.maximum(marks[..., 2:], 0.1) * K[..., 0, :1] + K[..., :2, 2]
        centre = pixels[:, :, _HIPS].mean(2)
        up = pixels[:, :, _SHOULDERS].mean(2) - centre
        reach = np.linalg.norm(pixels - centre[:, :, None], axis=-1).max(-1)
        upright = np.concatenate([centre, reach[..., None], 0 * reach[..., None]], axis=-1)
        from_hips = marks - marks[:, :, _HIPS].mean(2, keepdims=True)
        looking = from_hips @ np.swapaxes(crop_axes(upright, camera_K[:, None]), -1, -2)
        return cls(looking, pixels, centre, reach, _angle(up))


def _compared(true: TrueLandmarks) -> np.ndarray:
    """(S, 4, 33, 3) the landmarks by which sequences are compared, from the hips, rolled upright."""
    frames = [int(share * true.angle.shape[1]) for share in _COMPARED]
    return _roll_points(-true.angle[:, frames], true.from_hips[:, frames])


def _angle(up: np.ndarray) -> np.ndarray:
    return np.arctan2(up[..., 0], -up[..., 1])


def _wrapped(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _rotation_2d(angle: np.ndarray) -> np.ndarray:
    """(..., 2, 2) rotations of the image plane."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def _roll_points(angle: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., K, 3) rotated about the optical axis."""
    result = points.copy()
    result[..., :2] = np.einsum("...ij,...kj->...ki", _rotation_2d(angle), points[..., :2])
    return result


def _in_crop(crops: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels (..., K, 2) from the centres of crops (..., 4), in units of their sides and in their axes."""
    from_centre = pixels - crops[..., None, :2]
    return np.einsum("...ij,...kj->...ki", _rotation_2d(-crops[..., 3]), from_centre) / crops[..., None, 2:3]


def rendered_shards(data: Path) -> list[Path]:
    """The rendered shards for training in a folder of data.

    Raises:
        ShardError: there are none.
    """
    paths = sorted((data / "train").glob("*.npz"))
    if not paths:
        raise ShardError(f"There is no rendered data in {data / 'train'}: make some with `train data` first.")
    return paths


def recorded_shard(
    rng: np.random.Generator,
    body: Body,
    library: Library,
    clips: np.ndarray,
    errors: DetectorErrors,
    sequences: int,
) -> Shard:
    """A shard of so many sequences without local maps, of people who move as recorded in clips by their numbers."""
    names, betas, rates, shots, marks, truths = ([] for _ in range(6))
    for _ in range(sequences):
        made, shot, shape, rate = stage(body, library, clips, "train", rng, as_recorded=True)
        true = truth(body, shape, made, shot, rate)
        for values, value in (
            (names, made.name),
            (betas, shape),
            (rates, rate),
            (shots, shot),
            (truths, true),
            (marks, body.landmark_positions(true["poses"], shape, true["trans"])),
        ):
            values.append(value)
    seen = TrueLandmarks.from_camera(np.stack(marks), np.stack([shot.K for shot in shots]))
    chosen = errors.similar(seen, rng)
    output = errors.apply(seen, chosen)
    rows = sequences * FRAMES
    return Shard(
        sequence_starts=np.arange(sequences + 1) * FRAMES,
        names=np.array(names),
        detectors=errors.detectors[chosen],
        betas=np.array(betas, np.float32),
        camera_K=np.array([shot.K for shot in shots]),
        image_size=np.array([shot.size for shot in shots]),
        frame_rate=np.array(rates),
        heatmap_starts=np.zeros(rows + 1, int),
        heatmaps=np.zeros(0, np.uint8),
        **compact({name: np.concatenate([true[name] for true in truths]) for name in truths[0]}),
        **compact({name: values.reshape(rows, *values.shape[2:]) for name, values in output.items()}),
    )
