"""The second pass over footage: an accurate landmark network sees everyone who was followed in the first.

The whole track is known by then, so crops are centred on the person and smooth over time, which an online tracker's are
not, and frames that the first pass left out are filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Any

import numpy as np

from .. import spill
from ..footage.reader import Frame
from . import crops, maps
from .blazepose import LandmarkModel
from .landmarker import Pose
from .maps import MapStore
from .target import GAP, agreement
from .track import ROI_PREFIX, RoiViews, Track
from .tracker import JUMP, MIN_SCORE, SAME_POSE, roi_rows

# The first pass looks at about so many frames per second: of one person alone, and of several, who are easily confused.
FIRST_PASS_RATE, CROWDED_RATE = 15.0, 30.0
# Seconds over which crops are averaged: the position must follow, size and rotation change slowly.
CENTER_TIME, SIZE_TIME = 0.04, 0.12
# What a row of a track has.
_ARRAYS = [item.name for item in fields(Track) if item.name not in ("number", "roi_views")]
# People that are seen together, enough for a GPU; each has 3 MB of output.
BATCH = 32


def first_pass_step(frame_rate: float, crowded: bool = False) -> int:
    """Of how many frames the first pass looks at one, for footage at a rate in hertz."""
    return max(1, round(frame_rate / (CROWDED_RATE if crowded else FIRST_PASS_RATE)))


@dataclass
class _Plan:
    """Where to look for one person.

    Attributes:
        track: of the first pass.
        frames: (n,) frame numbers, increasing.
        crops: (n, 4).
        rows: (n,) row of the track for each frame, -1 for a frame that the first pass left out.
    """

    track: Track
    frames: np.ndarray
    crops: np.ndarray
    rows: np.ndarray


@dataclass
class _Look:
    """One person in one frame, cut out: small, so that many can wait to be seen together.

    Attributes:
        frame: its number.
        timestamp: in seconds.
        person: number of the plan.
        row: of the first pass's track, -1 if it left the frame out.
        crop: (4,).
        cut: (input_size, input_size, 3) what the accurate network sees.
        roi_crops, roi_cuts: the same for the other regions of interest; empty if they are not wanted.
    """

    frame: int
    timestamp: float
    person: int
    row: int
    crop: np.ndarray
    cut: np.ndarray = field(default_factory=lambda: np.empty(0))
    roi_crops: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))
    roi_cuts: list[np.ndarray] = field(default_factory=list)


class SecondPass:
    """Sees the people of tracks again.

    Args:
        model: the accurate landmark network.
        tracks: of the first pass, with `body_crops`.
        step: of how many frames the first pass looked at least at one.
        store: where local maps are kept, None for nowhere.
        roi_model: sees the people's other regions of interest; None if they are not wanted.
    """

    def __init__(
        self,
        model: LandmarkModel,
        tracks: Sequence[Track],
        step: int,
        store: MapStore | None = None,
        roi_model: LandmarkModel | None = None,
    ):
        self._model, self._store, self._roi_model = model, store, roi_model
        self._plans = [_plan(track, step) for track in tracks]
        self._rows = [spill.Columns() for _ in tracks]

    def see(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Look at the frames of the footage in order, once; yields each when the people in it are cut out."""
        waiting: list[_Look] = []
        for frame in frames:
            waiting += self._looks(frame)
            # All of a frame's people are seen together.
            if len(waiting) >= BATCH:
                self._see(waiting)
                waiting = []
            yield frame
        if waiting:
            self._see(waiting)

    def tracks(self) -> list[Track]:
        """The tracks as the accurate network sees them, without those of which nothing is left."""
        return [
            _track(plan.track.number, rows.arrays())
            for plan, rows in zip(self._plans, self._rows, strict=True)
            if len(rows)
        ]

    def _looks(self, frame: Frame) -> Iterator[_Look]:
        for person, plan in enumerate(self._plans):
            index = int(np.searchsorted(plan.frames, frame.number))
            if index == len(plan.frames) or plan.frames[index] != frame.number:
                continue
            crop = plan.crops[index]
            look = _Look(frame.number, frame.timestamp, person, int(plan.rows[index]), crop)
            look.cut = crops.cut(frame.image, crop, self._model.input_size)
            if self._roi_model is not None:
                look.roi_crops = crops.roi_crops(crop)
                size = self._roi_model.input_size
                look.roi_cuts = [crops.cut(frame.image, other, size) for other in look.roi_crops]
            yield look

    def _see(self, looks: list[_Look]) -> None:
        poses = self._model.read([look.cut for look in looks], np.array([look.crop for look in looks]))
        views: list[dict[str, np.ndarray]] = []
        if self._roi_model is not None:
            cuts = [cut for look in looks for cut in look.roi_cuts]
            views = roi_rows(self._roi_model.read(cuts, np.concatenate([look.roi_crops for look in looks])))
        for _, group in groupby(range(len(looks)), key=lambda number: looks[number].frame):
            for number, row in self._choose([(number, looks[number], poses[number]) for number in group]):
                if views:
                    row |= {f"{ROI_PREFIX}{name}": values for name, values in views[number].items()}
                self._rows[looks[number].person].append(row)

    def _choose(self, seen: list[tuple[int, _Look, Pose]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """What counts in a frame: the new pose, unless it is somebody else's; then that of the first pass, if any."""
        accepted: list[Pose] = []
        # Who is where they were expected has the first claim on a body.
        for number, look, pose in sorted(seen, key=lambda one: _displacement(one[2])):
            doubtful = is_doubtful(pose) or any(
                agreement(pose.landmarks, other.landmarks, pose.crop[2]) > SAME_POSE for other in accepted
            )
            if not doubtful:
                accepted.append(pose)
                yield number, _row_of_pose(look, pose, maps.keep(self._store, pose.output))
            elif look.row >= 0:
                yield number, _row_of_track(self._plans[look.person].track, look.row)


def smooth_crops(where: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """Crops (n, 4) of one person, averaged over time with Gaussian weights; timestamps (n,) in seconds, increasing."""
    values = np.column_stack([where[:, :2], np.log(where[:, 2]), np.cos(where[:, 3]), np.sin(where[:, 3])])
    interval = np.median(np.diff(timestamps)) if len(timestamps) > 1 else 1.0
    smooth = values.copy()
    for columns, time in ((slice(0, 2), CENTER_TIME), (slice(2, 5), SIZE_TIME)):
        reach = min(int(np.ceil(3 * time / interval)), len(values) - 1)
        if reach < 1:
            continue
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * interval / time) ** 2)
        # Mirrored through the first and last value, so that the ends of a movement do not lag.
        before, after = 2 * values[0] - values[reach:0:-1], 2 * values[-1] - values[-2 : -reach - 2 : -1]
        padded = np.concatenate([before, values, after])[:, columns]
        smooth[:, columns] = np.stack(
            [np.convolve(column, weights / weights.sum(), "valid") for column in padded.T], axis=1
        )
    return np.column_stack([smooth[:, :2], np.exp(smooth[:, 2]), np.arctan2(smooth[:, 4], smooth[:, 3])])


def where_to_look(
    frames: np.ndarray, timestamps: np.ndarray, body_crops: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where to see again a person whom a first pass over every `step`-th frame saw.

    Args:
        frames: (n,) numbers of the frames in which it did, increasing.
        timestamps: (n,) theirs in seconds.
        body_crops: (n, 4) the crops around the person that it found.
        step: of how many frames it looked at least at one.

    Returns:
        (m,) frame numbers, (m, 4) crops, and (m,) the row of the first pass for each frame, -1 for one that it left
        out. At both ends are up to `step` - 1 frames more, also before the first and after the last of the footage.
    """
    where = np.asarray(body_crops, float)
    parts, rows = [], np.arange(len(frames))
    for part in np.split(rows, np.flatnonzero(np.diff(timestamps) > GAP) + 1):
        smooth = smooth_crops(where[part], timestamps[part])
        # The first pass may have seen the first or last of these frames just after the person came or before they left.
        all_frames = np.arange(int(frames[part[0]]) - step + 1, int(frames[part[-1]]) + step)
        # Frames that were left out are looked at, and not those in which the person was lost.
        following = np.searchsorted(frames[part], all_frames).clip(0, len(part) - 1)
        known = frames[part][following] == all_frames
        wanted = known | (np.diff(frames[part], prepend=frames[part[0]])[following] <= step)
        smooth[:, 3] = np.unwrap(smooth[:, 3])
        interpolated = np.column_stack([np.interp(all_frames, frames[part], column) for column in smooth.T])
        parts.append((all_frames[wanted], interpolated[wanted], np.where(known, part[following], -1)[wanted]))
    all_frames, all_crops, all_rows = (np.concatenate(values) for values in zip(*parts, strict=True))
    return all_frames, all_crops, all_rows


def _plan(track: Track, step: int) -> _Plan:
    assert track.body_crops is not None
    return _Plan(track, *where_to_look(track.frames, track.timestamps, track.body_crops, step))


def is_doubtful(pose: Pose) -> bool:
    """Whether a pose of the second pass may be somebody else's: the person is not where they were expected."""
    return pose.score < MIN_SCORE or _displacement(pose) > JUMP


def _displacement(pose: Pose) -> float:
    """How far the person is from the middle of the crop, in crop sides."""
    return float(np.hypot(*(pose.center - pose.crop[:2])) / max(pose.crop[2], 1e-6))


def _row_of_pose(look: _Look, pose: Pose, number: int) -> dict[str, Any]:
    return {
        "frames": look.frame,
        "timestamps": look.timestamp,
        "landmarks": pose.landmarks.astype(np.float32),
        "visibility": pose.visibility.astype(np.float32),
        "presence": pose.presence.astype(np.float32),
        "world_landmarks": pose.world_landmarks.astype(np.float32),
        "crops": pose.crop.astype(np.float32),
        "boxes": pose.box().astype(np.float32),
        "scores": pose.score,
        "maps": number,
        "body_crops": crops.around(pose.center, pose.rim).astype(np.float32),
    }


def _row_of_track(track: Track, row: int) -> dict[str, Any]:
    # The first pass keeps no maps.
    return {name: getattr(track, name)[row] for name in _ARRAYS} | {"maps": maps.NONE}


def _track(number: int, columns: dict[str, np.ndarray]) -> Track:
    own = {name: columns[name] for name in _ARRAYS}
    return Track(number=number, roi_views=RoiViews.from_columns(columns), **own)
