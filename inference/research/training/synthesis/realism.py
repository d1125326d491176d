"""Compares the detector's output on rendered and on real people, by measures that need no truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ....body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from ....footage.reader import Footage
from ....models import load_people
from ....motion.subject import LIMBS
from ....people.second_pass import SecondPass, first_pass_step
from ....people.track import Track
from ....people.tracker import track_people
from ..shards import Shard, read_shard

_ARMS = [number for number, name in enumerate(LANDMARK_NAMES) if name.endswith(("elbow", "wrist"))]
_LEGS = [number for number, name in enumerate(LANDMARK_NAMES) if name.endswith(("knee", "ankle"))]
_TRUNK = [number for number, name in enumerate(LANDMARK_NAMES) if name.endswith(("shoulder", "hip"))]
_LIMBS = [*_TRUNK, *_ARMS, *_LEGS]
_MIRROR = list(LANDMARK_MIRROR)
# Of 256 pixels: a trunk that moves less per frame is still, and limbs that jump farther may have changed sides.
_STILL, _JUMP = 0.7, 8.0
_INPUT = 256

# Joints that are measured one by one.
_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_PAIRS = {joint: [number for number, name in enumerate(LANDMARK_NAMES) if name.endswith(joint)] for joint in _JOINTS}

MEASURES = {
    "frames": "",
    "score, lowest 5 %": "",
    "visibility, mean": "",
    "visibility below half": "%",
    "jitter while still": "px of 256",
    "jitter in depth while still": "mm",
    "limbs change sides": "% of frames",
    "limb length, spread": "%",
    "crop size, jitter": "%",
    "crop rotation, jitter": "°",
    **{f"visibility, {joint}s": "" for joint in _JOINTS},
    **{f"jitter while still, {joint}s": "px of 256" for joint in _JOINTS},
}
"""What is measured, and its unit."""


@dataclass
class TrackSegment:
    """Consecutive frames of one person: the arrays of `people.track.Track` that are measured."""

    landmarks: np.ndarray
    world_landmarks: np.ndarray
    visibility: np.ndarray
    crops: np.ndarray
    scores: np.ndarray


def segments_from_data(folder: Path, shards: int | None = None, quality: str = "fast") -> Iterator[TrackSegment]:
    """The segments in some training shards of people seen at a quality."""
    for path in sorted((folder / "train").glob("*.npz"))[:shards]:
        shard = read_shard(path)
        spans = zip(shard.sequence_starts[:-1], shard.sequence_starts[1:], shard.detectors, strict=True)
        for start, end, detector in spans:
            rows = np.arange(start, end)
            if detector == quality:
                yield from _consecutive(shard, rows[shard.found[rows]])


def segments_from_footage(videos: Sequence[Path], quality: str = "fast") -> Iterator[TrackSegment]:
    """The segments of all people in some videos, seen at a quality."""
    first, second = load_people(quality)
    for video in videos:
        footage = Footage(video)
        step = 1 if second is None else first_pass_step(footage.frame_rate)
        tracks = track_people(islice(footage, None, None, step), first)
        if second is not None and tracks:
            looking = SecondPass(second, tracks, step)
            for _ in looking.see(footage):
                pass
            tracks = looking.tracks()
        for track in tracks:
            rows = np.arange(len(track))
            for part in np.split(rows, np.flatnonzero(np.diff(track.frames) > 1) + 1):
                yield _segment(track, part)


def _consecutive(shard: Shard, rows: np.ndarray) -> Iterator[TrackSegment]:
    for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        yield _segment(shard, part)


def _segment(source: Shard | Track, rows: np.ndarray) -> TrackSegment:
    names = ("landmarks", "world_landmarks", "visibility", "crops", "scores")
    return TrackSegment(*(np.asarray(getattr(source, name)[rows], float) for name in names))


def measure(segments: Iterator[TrackSegment]) -> dict[str, float]:
    """`MEASURES` over all segments of at least five frames."""
    scores, visibility, jitter, depth, swaps, spread, sizes, rotations = ([] for _ in range(8))
    frames = 0
    for one in segments:
        if len(one.scores) < 5:
            continue
        frames += len(one.scores)
        scores.append(one.scores)
        visibility.append(one.visibility)
        points_2d = one.landmarks / one.crops[:, None, 2:3] * _INPUT
        acceleration = points_2d[:-2] - 2 * points_2d[1:-1] + points_2d[2:]
        speed = np.linalg.norm(points_2d[2:] - points_2d[:-2], axis=-1)[:, _TRUNK].mean(1) / 2
        still = speed < _STILL
        jitter.append(np.linalg.norm(acceleration[still], axis=-1))
        world = one.world_landmarks[..., 2]
        depth.append(np.abs(world[:-2] - 2 * world[1:-1] + world[2:])[still][:, _LIMBS].ravel())
        swaps.append(_side_changes(points_2d))
        lengths = np.linalg.norm(one.world_landmarks[:, LIMBS[:, 0]] - one.world_landmarks[:, LIMBS[:, 1]], axis=-1)
        spread.append(lengths.std(0) / lengths.mean(0))
        sizes.append(np.abs(np.diff(np.log(one.crops[:, 2]), 2)))
        rotation = (np.diff(one.crops[:, 3]) + np.pi) % (2 * np.pi) - np.pi
        rotations.append(np.abs(np.diff(rotation)))
    if not frames:
        return dict.fromkeys(MEASURES, float("nan")) | {"frames": 0.0}
    trusted, shaking = np.concatenate(visibility), np.concatenate(jitter)
    limbs = trusted[:, _LIMBS]
    return {
        "frames": float(frames),
        "score, lowest 5 %": float(np.quantile(np.concatenate(scores), 0.05)),
        "visibility, mean": float(limbs.mean()),
        "visibility below half": 100 * float((limbs < 0.5).mean()),
        "jitter while still": _median([shaking[:, _LIMBS]]),
        "jitter in depth while still": 1000 * _median(depth),
        "limbs change sides": 100 * float(np.concatenate(swaps).mean()),
        "limb length, spread": 100 * _median(spread),
        "crop size, jitter": 100 * _median(sizes),
        "crop rotation, jitter": float(np.degrees(_median(rotations))),
        **{f"visibility, {joint}s": float(trusted[:, pair].mean()) for joint, pair in _PAIRS.items()},
        **{f"jitter while still, {joint}s": _median([shaking[:, pair]]) for joint, pair in _PAIRS.items()},
    }


def _median(parts: list[np.ndarray]) -> float:
    values = np.concatenate(parts)
    return float(np.median(values)) if values.size else float("nan")


def _side_changes(points_2d: np.ndarray) -> np.ndarray:
    """(n - 1,) whether arms or legs jump to the previous position of the other side."""
    changed = np.zeros(len(points_2d) - 1, bool)
    for limbs in (_ARMS, _LEGS):
        now, before = points_2d[1:, limbs], points_2d[:-1, limbs]
        other = points_2d[:-1][:, [_MIRROR[limb] for limb in limbs]]
        stays = np.linalg.norm(now - before, axis=-1).mean(1)
        changes = np.linalg.norm(now - other, axis=-1).mean(1)
        changed |= (stays > _JUMP) & (changes < 0.6 * stays)
    return changed


def table(columns: dict[str, dict[str, float]]) -> str:
    """The measures of several sources as a Markdown table."""
    lines = [f"| measure | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name, unit in MEASURES.items():
        cells = [_cell(column[name], whole=name == "frames") for column in columns.values()]
        lines.append(f"| {name}{f' ({unit})' if unit else ''} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float, whole: bool) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if whole else f"{value:.3g}"
