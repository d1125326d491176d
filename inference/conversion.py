"""The whole way in one place: footage → people → motion, and the report of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from . import estimators, registry
from .body.smpl import Body
from .cache import Cache, hash_of, hash_of_code, hash_of_content
from .camera.intrinsics import Camera, intrinsics
from .camera.tracking import CameraMotion
from .errors import VideoMotionError
from .footage.reader import IMAGES_FRAME_RATE, Footage
from .motion import estimate as landmarks
from .motion.motion import Motion
from .people.blazepose import BlazePose
from .people.maps import MapStore
from .people.observations import Observations
from .people.track import Track
from .people.tracker import Tracker
from .pose.pose_estimate import PoseEstimate
from .pose.temporal import TemporalNetwork, VideoContext

VERSION = "0.1.0"
BLAZEPOSE = ("blazepose_detector", "blazepose_landmark_full")
"""What finds people, in the registry."""

FINDING_CODE = ("conversion.py", "footage/*.py", "camera/*.py", "people/*.py", "body/rotations.py")
GUESSING_CODE = ("conversion.py", "pose/*.py")

Progress = Callable[[str, int, int | None], None]


class NobodyFoundError(VideoMotionError):
    """The footage shows nobody long enough; the message is one sentence for the user."""


@dataclass(frozen=True)
class Options:
    """What the user chose.

    Attributes:
        start: seconds of the footage to skip.
        end: second at which to stop.
        frame_rate: of a folder of images, hertz; None for the usual one.
        person: number of the one person wanted, None for all.
        focal: focal length in pixels, None for √(W² + H²).
        smoothing: 1 as measured best, 0 for none, more for calmer motion.
        feet: how firmly standing feet are held, 1 as measured best, 0 not at all.
        shapes: β (10,) that people are known to have, by their number; others' are estimated.
        body: a licensed SMPL file in place of the built body.
        network: what estimates the motion, among `estimators.NETWORKS`.
        device: where networks run: `auto`, `cuda`, `cuda:1` and so on, or `cpu`.
    """

    start: float | None = None
    end: float | None = None
    frame_rate: float | None = None
    person: int | None = None
    focal: float | None = None
    smoothing: float = 1.0
    feet: float = 1.0
    shapes: Mapping[int, np.ndarray] = field(default_factory=dict)
    body: Path | None = None
    network: str = estimators.DEFAULT
    device: str = "auto"


@dataclass
class Result:
    """What one video gave.

    Attributes:
        motions: one per person, in order of their number.
        body: the body they are made for.
        body_path: its file.
        report: what was found, what was skipped, seconds per stage, warnings; ready for JSON.
    """

    motions: list[Motion]
    body: Body
    body_path: Path
    report: dict[str, object]


@dataclass
class _Watch:
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, began: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


class _Conversion:
    """One video on its way.

    Args:
        path: the video.
        options: what the user chose.
        progress: told the stage, what is done and of how much.
        cache: what is found there is not done again; None for nothing.
    """

    def __init__(self, path: Path, options: Options, progress: Progress, cache: Cache | None):
        self._path, self._options, self._progress = path, options, progress
        self._cache = cache
        self.watch = _Watch()
        self.warnings: list[str] = []
        self.reused: list[str] = []
        began = time.perf_counter()
        self.temporal: TemporalNetwork | None = None
        if files := estimators.NETWORKS[options.network]:
            self.temporal = _temporal_network(tuple(registry.path(file) for file in files), options.device)
        self._store = MapStore() if self.temporal is not None and self.temporal.needs_maps else None
        if self._store is not None:
            # Local maps are too large to keep.
            self._cache = None
        self._footage = Footage(path, options.start, options.end, options.frame_rate or IMAGES_FRAME_RATE)
        self.watch.add("load", began)

    def find(self) -> Observations:
        """Look for people."""
        began = time.perf_counter()
        flow = self.temporal is not None and self.temporal.needs_flow
        looks = self.temporal is not None and self.temporal.needs_roi_views
        if self._cache is not None:
            # What was found for a network that asked for more will do.
            for also_flow in sorted({flow, True}):
                for also_looks in sorted({looks, True}):
                    arrays = self._cache.load(self._finding_key(also_flow, also_looks))
                    if arrays is not None:
                        self.reused.append("people")
                        self.watch.add("people", began)
                        return Observations.from_arrays(arrays)
        found = self._look(flow, looks)
        if self._cache is not None:
            self._note(self._cache.keep(self._finding_key(flow, looks), found.arrays()))
        return found

    def guess(self, found: Observations, tracks: list[Track], camera_K: np.ndarray) -> list[PoseEstimate] | None:
        """Let the network say what it sees of ``tracks``; None without one."""
        if self.temporal is None:
            return None
        began = time.perf_counter()
        scenery = VideoContext(camera_K, self._store, found.frames, found.homographies)
        guesses = []
        for count, track in enumerate(tracks, 1):
            guesses.append(self._guess_one(track, scenery))
            self._progress("network", count, len(tracks))
        if self._store is not None:
            self._store.close()
        self.watch.add("network", began)
        return guesses

    def _finding_key(self, flow: bool, looks: bool) -> str:
        options = self._options
        weights = (registry.items()[item].sha256 for item in BLAZEPOSE)
        trimmed = (options.start, options.end, options.frame_rate, options.focal)
        return hash_of(self._content(), hash_of_code(*FINDING_CODE), *weights, *trimmed, flow, looks)

    def _content(self) -> str:
        if not hasattr(self, "_content_hash"):
            self._content_hash = hash_of_content(self._path)
        return self._content_hash

    def _look(self, flow: bool, looks: bool) -> Observations:
        began = time.perf_counter()
        network = _blazepose(registry.path(BLAZEPOSE[0]), registry.path(BLAZEPOSE[1]))
        self.watch.add("load", began)
        footage, watch = self._footage, self.watch
        size = (footage.width, footage.height)
        camera_motion = CameraMotion(size, self._options.focal, flow)
        clock: list[tuple[int, float]] = []
        began, waited = time.perf_counter(), watch.seconds.get("camera", 0.0)
        tracker = Tracker(network, store=self._store, roi_views=looks)
        # The camera is followed while people are looked for in the next frame.
        with ThreadPoolExecutor(1) as aside:
            following: Future[None] | None = None
            for frame in footage:
                tracker.step(frame)
                clock.append((frame.number, frame.timestamp))
                started = time.perf_counter()
                if following is not None:
                    following.result()
                watch.add("camera", started)
                following = aside.submit(camera_motion.add, frame.image, tracker.boxes())
                self._progress("people", len(clock), footage.frame_count)
            if following is not None:
                following.result()
        tracks = tracker.tracks()
        watch.add("people", began)
        watch.seconds["people"] -= watch.seconds.get("camera", 0.0) - waited
        return Observations(
            size=size,
            frame_rate=footage.frame_rate,
            frames=np.array([number for number, _ in clock]),
            timestamps=np.array([second for _, second in clock]),
            tracks=tracks,
            camera_rotations=camera_motion.rotations(),
            homographies=camera_motion.homographies(),
            warnings=list(footage.warnings),
        )

    def _guess_one(self, track: Track, scenery: VideoContext) -> PoseEstimate:
        assert self.temporal is not None
        if self._cache is None:
            return self.temporal.estimate(track, scenery)
        weights = (registry.items()[item].sha256 for item in estimators.NETWORKS[self._options.network])
        flow, looks = self.temporal.needs_flow, self.temporal.needs_roi_views
        key = hash_of(self._finding_key(flow, looks), hash_of_code(*GUESSING_CODE), *weights, track.number)
        arrays = self._cache.load(key)
        if arrays is not None:
            if "network" not in self.reused:
                self.reused.append("network")
            return PoseEstimate(**arrays)
        guess = self.temporal.estimate(track, scenery)
        self._note(self._cache.keep(key, vars(guess)))
        return guess

    def _note(self, warning: str | None) -> None:
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)


# A process that converts many videos loads its networks once: they remember nothing of a video.
@lru_cache(maxsize=1)
def _blazepose(detector: Path, landmarks: Path) -> BlazePose:
    return BlazePose(detector, landmarks)


@lru_cache(maxsize=1)
def _temporal_network(files: tuple[Path, ...], device: str) -> TemporalNetwork:
    return TemporalNetwork(*files, device=device)


def _no_progress(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


def find_people(
    path: Path, options: Options, progress: Progress = _no_progress, cache: Cache | None = None
) -> Observations:
    """Find the people of a video, for someone to choose from; with a cache, `convert_footage` goes on from there.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it.
        RegistryError: a weight file is missing and cannot be had.
        NetworkError: the network can't run on the device of the options.
    """
    found = _Conversion(path, options, progress, cache).find()
    _choose(found.tracks, None, path)
    return found


def convert_footage(
    path: Path, options: Options, progress: Progress = _no_progress, cache: Cache | None = None
) -> Result:
    """Find the people of a video and estimate their motion.

    With a cache, what an earlier run found in the same video is not done again.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it.
        BodyError: the body file of the options is not one.
        RegistryError: a weight file is missing and cannot be had.
        NetworkError: the network can't run on the device of the options.
    """
    began = time.perf_counter()
    body_path = options.body or registry.body_path()
    body = Body.load(body_path)
    conversion = _Conversion(path, options, progress, cache)
    watch, temporal = conversion.watch, conversion.temporal
    watch.seconds["load"] = time.perf_counter() - began
    found = conversion.find()
    chosen = _choose(found.tracks, options.person, path)
    camera = Camera(found.size, intrinsics(found.size, options.focal), found.camera_rotations)
    guesses = conversion.guess(found, chosen, camera.K)

    began = time.perf_counter()
    motions = landmarks.estimate(
        chosen,
        found.frames,
        found.timestamps,
        camera,
        body,
        options.smoothing,
        options.feet,
        options.shapes,
        progress=lambda done, total: progress("motion", done, total),
        pose_estimates=guesses,
        estimator=options.network,
    )
    watch.add("motion", began)

    provenance: dict[str, object] = {
        "video": path.name,
        "body": body.name,
        "made_with": f"Video Motion {VERSION}",
        "start": options.start,
        "end": options.end,
        "smoothing": options.smoothing,
        "feet": options.feet,
    }
    for motion in motions:
        motion.provenance = provenance
    warnings = [*found.warnings, *conversion.warnings]
    if temporal is not None and temporal.notice:
        warnings.append(temporal.notice)
    if camera_moved := bool(np.ptp(camera.rotations, axis=0).max() > 0):
        warnings.append(
            "The camera moves: its turns are followed, its travel is not, so feet may slide against the floor."
        )
    report: dict[str, object] = {
        "video": str(path),
        "size": list(found.size),
        "frames": len(found.frames),
        "frame_rate": found.frame_rate,
        "seconds": float(np.ptp(found.timestamps)),
        "camera": {"focal_pixels": float(camera.K[0, 0]), "moves": camera_moved},
        "people": [_describe(motion) for motion in motions],
        "skipped": [
            {"person": track.number, "frames": len(track)}
            for track in found.tracks
            if not any(track is one for one in chosen)
        ],
        "estimator": options.network,
        "device": temporal.device if temporal is not None else "cpu",
        "reused": conversion.reused,
        "timings": {stage: round(seconds, 3) for stage, seconds in watch.seconds.items()},
        "warnings": warnings,
    }
    return Result(motions, body, body_path, report)


def _choose(tracks: list[Track], person: int | None, path: Path) -> list[Track]:
    if not tracks:
        raise NobodyFoundError(
            f"Nobody was found in {path}; the person should be seen from head to foot for at least half a second."
        )
    if person is None:
        return tracks
    chosen = [track for track in tracks if track.number == person]
    if not chosen:
        numbers = ", ".join(str(track.number) for track in tracks)
        raise NobodyFoundError(f"There is no person {person} in {path}; choose one of {numbers}.")
    return chosen


def _describe(motion: Motion) -> dict[str, object]:
    return {
        "person": motion.person,
        "first_frame": int(motion.frames[0]),
        "last_frame": int(motion.frames[-1]),
        "frames": len(motion),
        "bridged_frames": int(motion.bridged.sum()),
        "mean_score": round(float(motion.scores.mean()), 3),
    }
