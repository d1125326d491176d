"""Where training sequences come from: staged and imagined anew for every step, or rendered and seen by the detector."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ...body import rotations
from ...body.skeleton import JOINT_MIRROR, LANDMARK_MIRROR
from ...body.smpl import Body
from ...people import maps
from ...pose import features
from ...pose.lifting import WINDOW
from ..networks.lifter import Lifter
from ..networks.settings import Settings
from .batches import Batch, Observed, Sampling, sequence_batch, window_batch
from .imagined import detect, move, seen_beyond
from .mocap.library import Library
from .shards import ShardError, mended, read_shards
from .staging import Director, Stage
from .synthesis.error_transfer import DetectorErrors
from .synthesis.generate import split_clips

LIBRARY = "library.npz"
_FLIP = np.array([-1.0, 1.0, 1.0], np.float32)
# After the 33 landmarks come the hip centre, the rim and others without sides, and the segmentation mask.
_MAP_MIRROR = [*LANDMARK_MIRROR, *range(33, maps.COUNT)]
_SOLE_MIRROR = [2, 3, 0, 1]


class Footage(Protocol):
    """Sequences of people as the detector sees them."""

    def draw(self, count: int, frames: int, sampling: Sampling, rng: np.random.Generator) -> Observed:
        """Random ones."""
        ...

    def describe(self) -> dict[str, object]:
        """For the report of a training."""
        ...


class StagedFootage:
    """Staged sequences, seen by a detector that is imagined: new ones every time.

    Args:
        library: of motions.
        split: `train` or `validation`.
        body: that performs them, best in single precision, which takes half the time.
        errors: of the real detector, to be transferred to some of the sequences.
    """

    def __init__(self, library: Library, split: str, body: Body, errors: DetectorErrors | None = None):
        self._errors = errors
        clips = split_clips(library, split)
        self._director = Director(library, clips, body, split)
        lengths = np.diff(library.starts)[clips]
        self._what: dict[str, object] = {
            "clips": len(clips),
            "minutes": round(float(lengths.sum() / library.frame_rate / 60), 1),
        }

    def draw(self, count: int, frames: int, sampling: Sampling, rng: np.random.Generator) -> Observed:
        """See `Footage`."""
        stage, landmarks = self._director.stage(count, frames, rng)
        detected = detect(stage, landmarks, sampling.severity, rng)
        if self._errors is not None:
            chosen = np.flatnonzero(rng.random(count) < sampling.transferred)
            marks, K = landmarks[chosen].astype(float), stage.camera_K[chosen]
            output = self._errors.transfer(marks, K, rng)
            move(output, marks, seen_beyond(marks, sampling.severity, rng), K)
            known = output["found"]
            rows = repeated(known)
            usable = known.any(1)
            for name in features.DETECTOR_FIELDS:
                values = output[name][np.arange(len(chosen))[:, None], rows]
                detected[name][chosen[usable]] = values[usable]
            detected["known"][chosen[usable]] = known[usable]
        return Observed(stage, detected)

    def describe(self) -> dict[str, object]:
        """See `Footage`."""
        return self._what


class FilmedFootage:
    """Rendered sequences, or a data set's, seen by the real detector.

    Args:
        folder: with the shards of a split.
        body: the body whose poses and shapes they have.
        with_maps: whether only sequences with local maps are wanted.
        with_regions: whether only those are wanted in whose regions of interest the detector looked in every frame.
        with_pictures: whether only those with pictures are wanted.

    Raises:
        ShardError: there are none, or one can't be read or is of another body.

    Attributes:
        shards: all of the folder, as `shards.mended`.
    """

    def __init__(
        self,
        folder: Path,
        body: Body,
        with_maps: bool = False,
        with_regions: bool = False,
        with_pictures: bool = False,
    ):
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise ShardError(f"There is no training data in {folder}: make some with `video-motion train data`.")
        self.shards = [mended(shard) for shard in read_shards(paths, licensed=body.figures is None)]
        self._body = body
        spans = []
        for number, shard in enumerate(self.shards):
            for sequence, (start, end) in enumerate(pairwise(shard.sequence_starts.tolist())):
                rows = slice(start, end)
                found = shard.found[rows]
                maps_missing = with_maps and not shard.has_maps[rows][found].all()
                regions_missing = with_regions and not (len(shard.looked) and shard.looked[rows][found].all())
                pictures_missing = with_pictures and not shard.has_pictures[rows][found].all()
                if found.any() and not maps_missing and not regions_missing and not pictures_missing:
                    spans.append((number, sequence, start, end))
        if not spans:
            how = f"{' --roi-views' if with_regions else ''}{' --pictures' if with_pictures else ''}"
            raise ShardError(f"No sequence in {folder} has what this network needs: make some with `train data{how}`.")
        self.spans = np.array(spans)
        self._with_regions = with_regions

    def __len__(self) -> int:
        return len(self.spans)

    def describe(self) -> dict[str, object]:
        """See `Footage`."""
        frames = int((self.spans[:, 3] - self.spans[:, 2]).sum())
        return {"shards": len(self.shards), "sequences": len(self.spans), "frames": frames}

    def draw(self, count: int, frames: int, sampling: Sampling, rng: np.random.Generator) -> Observed:
        """See `Footage`."""
        chosen = rng.integers(0, len(self.spans), count)
        lengths = (self.spans[:, 3] - self.spans[:, 2])[chosen]
        begin = np.floor(rng.random(count) * (np.maximum(lengths - frames, 0) + 1)).astype(int)
        return self.take(chosen, begin, frames, rng.random(count) < 0.5)

    def take(self, chosen: np.ndarray, begin: np.ndarray, frames: int, mirrored: np.ndarray) -> Observed:
        """Sequences by number (B,) from frames (B,) on, mirrored or not (B,).

        A frame beyond the end, or without a detection, repeats the one before; at the beginning, the first one.
        """
        columns: dict[str, list[np.ndarray]] = {}

        def add(**values: np.ndarray) -> None:
            for name, value in values.items():
                columns.setdefault(name, []).append(value)

        for (number, sequence, start, end), first in zip(self.spans[chosen], begin, strict=True):
            shard = self.shards[number]
            wanted = start + first + np.arange(frames)
            rows = np.minimum(wanted, end - 1)
            found = shard.found[rows]
            rows = rows[repeated(found[None])[0]]
            betas = shard.betas[sequence]
            pelvis = shard.trans[rows] + self._body.rest_joints(betas.astype(float))[0]
            add(known=found & (rows == wanted), rows=rows, shard=np.full(frames, number))
            add(poses=shard.poses[rows], pelvis=pelvis, turns=shard.camera_turns[rows])
            add(gravity=shard.gravity[rows], contacts=shard.contacts[rows].astype(bool), betas=betas)
            add(contacts_known=shard.contacts_known[sequence] if len(shard.contacts_known) else np.array(True))
            add(K=shard.camera_K[sequence], size=shard.image_size[sequence], rate=shard.frame_rate[sequence])
            add(**{name: getattr(shard, name)[rows].astype(float) for name in features.DETECTOR_FIELDS})
            if self._with_regions:
                others = {name: getattr(shard, f"look_{name}")[rows].astype(float) for name in features.DETECTOR_FIELDS}
                add(**{f"look_{name}": values for name, values in others.items()})
        stacked = {name: np.stack(values) for name, values in columns.items()}
        detected = {name: stacked[name] for name in (*features.DETECTOR_FIELDS, "known")}
        stage = Stage(
            local=rotations.axis_angle_to_matrix(stacked["poses"]).astype(np.float32),
            betas=stacked["betas"],
            pelvis=stacked["pelvis"],
            camera_turns=stacked["turns"],
            gravity=stacked["gravity"],
            contacts=stacked["contacts"],
            contacts_known=stacked["contacts_known"],
            camera_K=stacked["K"].astype(float),
            size=stacked["size"].astype(float),
            rate=stacked["rate"],
        )
        regions = None
        if self._with_regions:
            regions = {
                name: np.concatenate([detected[name][:, :, None], stacked[f"look_{name}"]], axis=2)
                for name in features.DETECTOR_FIELDS
            }
            mirror_detections(regions, stage.size[:, 0], mirrored)
        mirror_detections(detected, stage.size[:, 0], mirrored)
        mirror_stage(stage, mirrored)
        places = np.stack([stacked["shard"], stacked["rows"], np.repeat(mirrored[:, None], frames, 1)], axis=-1)
        return Observed(stage, detected, places, regions)

    def maps(self, places: np.ndarray, size: int) -> np.ndarray:
        """(N, L, 40, size, size) uint8 local maps at places (N, L, 3) from `Observed.maps`, max-pooled."""
        result = np.empty((*places.shape[:2], maps.COUNT, size, size), np.uint8)
        for number, slots in enumerate(places.tolist()):
            for slot, (shard, row, mirrored) in enumerate(slots):
                if slot and places[number, slot, 1] == places[number, slot - 1, 1]:
                    result[number, slot] = result[number, slot - 1]
                    continue
                local = shrink(self.shards[shard].maps(row), size)
                result[number, slot] = local[_MAP_MIRROR, :, ::-1] if mirrored else local
        return result

    def pictures(self, places: np.ndarray) -> np.ndarray:
        """(N, 256, 256, 3) uint8 pictures at places (N, 3) from `Observed.maps`."""
        seen = (self.shards[shard].picture(row)[:, :: -1 if mirrored else 1] for shard, row, mirrored in places)
        return np.stack(list(seen))


class SequenceSource:
    """A training of the lifter draws from this.

    Args:
        staged: sequences with imagined errors; None for none.
        filmed: rendered ones, or a data set's; None for none.
        frames: of a window.
    """

    def __init__(self, staged: Footage | None, filmed: Footage | None, frames: int):
        self.footage, self.frames = (staged, filmed), frames

    def describe(self) -> dict[str, object]:
        """For the report."""
        return _describe(self.footage)

    def draw(self, count: int, sampling: Sampling, rng: np.random.Generator) -> Batch:
        """Random windows, each of whose frames is a target."""
        batches = []
        for footage, share in zip(self.footage, shares(count, self.footage, sampling), strict=True):
            if footage is not None and share:
                observed = footage.draw(share, self.frames, sampling, rng)
                batches.append(sequence_batch(observed, rng.random(share) < sampling.assumed_focal))
        return batches[0] if len(batches) == 1 else joined(batches)


class WindowSource:
    """A training of a network that sees the lifter's features draws from this.

    Args:
        staged: sequences with imagined errors; None for none.
        filmed: rendered ones; None for none. Networks that need local maps or pictures get them from these only.
        lifter: which describes the frames; it is not trained. None for a network that sees pictures.
        settings: of the network.
        needs: names of its inputs.
        targets: how many frames of a window it estimates.
    """

    def __init__(
        self,
        staged: Footage | None,
        filmed: FilmedFootage | None,
        lifter: Lifter | None,
        settings: Settings,
        needs: Sequence[str],
        targets: int = 1,
    ):
        only_filmed = "maps" in needs or "pictures" in needs
        self.footage: tuple[Footage | None, FilmedFootage | None] = (None if only_filmed else staged, filmed)
        self.lifter = None if lifter is None else lifter.eval()
        self.frames = WINDOW if lifter is None else lifter.settings.frames
        self.settings, self.needs, self.targets = settings, tuple(needs), targets

    def describe(self) -> dict[str, object]:
        """For the report."""
        return _describe(self.footage)

    def draw(self, count: int, sampling: Sampling, rng: np.random.Generator) -> Batch:
        """Random windows."""
        sequences = max(count // sampling.targets, 1)
        batches = []
        for footage, share in zip(self.footage, shares(sequences, self.footage, sampling), strict=True):
            if footage is None or not share:
                continue
            observed = footage.draw(share, self.frames, sampling, rng)
            known = observed.detected["known"]
            # Random frames of each sequence among those with a detection.
            order = np.argsort(rng.random(known.shape) + ~known, axis=1)[:, : sampling.targets]
            sequence = np.repeat(np.arange(share), order.shape[1])
            place = sequence, order.ravel()
            usable = known[place]
            batches.append(
                self.windows(observed, (place[0][usable], place[1][usable]), rng.random(share), sampling, rng)
            )
        return batches[0] if len(batches) == 1 else joined(batches)

    def windows(
        self,
        observed: Observed,
        place: tuple[np.ndarray, np.ndarray],
        chance: np.ndarray,
        sampling: Sampling,
        rng: np.random.Generator,
    ) -> Batch:
        """Windows around (N,) frames of (N,) sequences; `chance` (B,) decides which focal length is assumed."""
        assumed = chance < sampling.assumed_focal
        batch = sequence_batch(observed, assumed)
        described = batch.inputs["frames"]
        lifted = described[..., :0] if self.lifter is None else lift(self.lifter, described)
        result = window_batch(
            observed, batch, lifted, place, assumed, self.settings, self.needs, sampling.severity, rng, self.targets
        )
        filmed = self.footage[1]
        if filmed is None or observed.maps is None:
            return result
        if "maps" in self.needs:
            settings: Any = self.settings
            length, size = settings.local_window, settings.local_size
            result.inputs["maps"] = filmed.maps(_around(observed.maps, place, length, length // 2), size)
        if "pictures" in self.needs:
            wanted = _around(observed.maps, place, self.settings.frames, self.settings.target)
            places, rows = np.unique(wanted.reshape(-1, 3), axis=0, return_inverse=True)
            result.inputs |= {"pictures": filmed.pictures(places), "picture_rows": rows.reshape(wanted.shape[:2])}
        return result


def _around(places: np.ndarray, place: tuple[np.ndarray, np.ndarray], length: int, target: int) -> np.ndarray:
    """(N, length, 3) what is at (B, T, 3) in windows around (N,) frames of (N,) sequences."""
    frames = np.clip(place[1][:, None] + np.arange(length) - target, 0, places.shape[1] - 1)
    return places[place[0][:, None], frames]


def repeated(found: np.ndarray) -> np.ndarray:
    """(B, T) which frame stands for each: the last one up to it with a detection (B, T), else the first of all."""
    frames = np.arange(found.shape[1])
    last = np.maximum.accumulate(np.where(found, frames, -1), axis=1)
    return np.where(last < 0, np.argmax(found, axis=1)[:, None], last)


def lift(lifter: Lifter, frames: np.ndarray) -> np.ndarray:
    """(B, T, C) how the lifter describes windows (B, T, F)."""
    device = next(lifter.parameters()).device
    with torch.no_grad():
        return lifter.describe(torch.from_numpy(frames).to(device)).float().cpu().numpy()


def _describe(footage: tuple[Footage | None, Footage | None]) -> dict[str, object]:
    names = ("staged", "filmed")
    return {name: part.describe() for name, part in zip(names, footage, strict=True) if part is not None}


def shares(count: int, footage: tuple[Footage | None, Footage | None], sampling: Sampling) -> tuple[int, int]:
    """How many of so many sequences are staged, and filmed: all of one kind, if there is none of the other."""
    staged, filmed = footage
    of_filmed = count if staged is None else 0 if filmed is None else round(count * sampling.filmed)
    return count - of_filmed, of_filmed


def joined(batches: Sequence[Batch]) -> Batch:
    """Several batches as one."""
    first = batches[0]
    inputs = {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in first.inputs}
    names = [name for name in vars(first) if name != "inputs"]
    return Batch(inputs, *(np.concatenate([getattr(batch, name) for batch in batches]) for name in names))


def mirror_detections(detected: dict[str, np.ndarray], width: np.ndarray, mirrored: np.ndarray) -> None:
    """Mirror the detector's output for some (B,) of B sequences, filmed in images of a width (B,), in place."""
    edge = width[mirrored]
    for key in ("landmarks", "world_landmarks", "visibility", "presence"):
        values = detected[key]
        axis = values.ndim - 1 if key in ("visibility", "presence") else values.ndim - 2
        values[mirrored] = np.take(values[mirrored], LANDMARK_MIRROR, axis=axis)
    extent = edge.reshape(-1, *[1] * (detected["landmarks"].ndim - 2))
    detected["landmarks"][mirrored, ..., 0] = extent - detected["landmarks"][mirrored, ..., 0]
    detected["world_landmarks"][mirrored, ..., 0] *= -1
    extent = edge.reshape(-1, *[1] * (detected["crops"].ndim - 2))
    detected["crops"][mirrored, ..., 0] = extent - detected["crops"][mirrored, ..., 0]
    detected["crops"][mirrored, ..., 3] *= -1


def mirror_stage(stage: Stage, mirrored: np.ndarray) -> None:
    """Mirror the truth of some (B,) of B sequences in place."""
    flip = _FLIP[:, None] * _FLIP
    stage.local[mirrored] = (flip * stage.local[mirrored])[:, :, list(JOINT_MIRROR)]
    stage.camera_turns[mirrored] = flip * stage.camera_turns[mirrored]
    for vectors in (stage.pelvis, stage.gravity):
        vectors[mirrored] *= _FLIP.astype(vectors.dtype)
    stage.contacts[mirrored] = stage.contacts[mirrored][..., _SOLE_MIRROR]
    stage.camera_K[mirrored, 0, 2] = stage.size[mirrored, 0] - stage.camera_K[mirrored, 0, 2]


def shrink(full: np.ndarray, size: int) -> np.ndarray:
    """Max-pool maps (40, 64, 64) to a smaller size."""
    factor = full.shape[1] // size
    rows = np.maximum.reduce([full[:, start::factor] for start in range(factor)])
    return np.maximum.reduce([rows[:, :, start::factor] for start in range(factor)])


def load_library(folder: Path) -> Library:
    """The library of motions in a folder of training data.

    Raises:
        MocapError: there is none, or it can't be read.
    """
    return Library.load(folder / LIBRARY)
