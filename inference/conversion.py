"""The whole way in one place: footage → people → pose → motion, and the report of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from .cache import Cache, hash_of, hash_of_code, hash_of_content
from .camera.intrinsics import Camera, focal_from_film, intrinsics
from .camera.tracking import CameraMotion
from .errors import VideoMotionError
from .footage.reader import IMAGES_FRAME_RATE, Footage
from .models import Models
from .motion import estimate as motion_estimate
from .motion.motion import Motion
from .options import Options
from .people.maps import MapStore
from .people.observations import Observations
from .people.track import Track
from .people.tracker import Tracker
from .pose.pose_estimate import PoseEstimate
from .pose.temporal import VideoContext

VERSION = "0.1.0"

PEOPLE_CODE = ("conversion.py", "options.py", "footage/*.py", "camera/*.py", "people/*.py", "body/rotations.py")
"""What decides which people are found, for the cache."""

POSE_CODE = (*PEOPLE_CODE, "pose/*.py")
"""The same for what a network estimates of them."""

Progress = Callable[[str, int, int | None], None]


class NobodyFoundError(VideoMotionError):
    """The footage shows nobody long enough, or not the person who is wanted."""


@dataclass
class Result:
    """What one video gave.

    Attributes:
        motions: one per person, in order of their number.
        models: what they were made with; their body is the motions'.
        report: what was found, what was skipped, seconds per stage, warnings; ready for JSON.
    """

    motions: list[Motion]
    models: Models
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
        models: the networks to run.
        progress: called with the stage, what is done and of how much.
        cache: what is found there is not done again; None for nothing.
    """

    def __init__(self, path: Path, options: Options, models: Models, progress: Progress, cache: Cache | None):
        self._path, self._options, self._models, self._progress = path, options, models, progress
        self.watch = _Watch({"load": models.load_seconds})
        self.warnings: list[str] = []
        self.reused: list[str] = []
        network = models.network
        self._store = MapStore() if network is not None and network.needs_maps else None
        # Local maps are too large to keep.
        self._cache = cache if self._store is None and models.people_key else None
        began = time.perf_counter()
        self._footage = Footage(path, options.start, options.end, options.frame_rate or IMAGES_FRAME_RATE)
        size = (self._footage.width, self._footage.height)
        self.focal = options.focal if options.focal_mm is None else focal_from_film(size, options.focal_mm)
        self.watch.add("load", began)

    def observe(self) -> Observations:
        """Look for people."""
        began = time.perf_counter()
        network = self._models.network
        flow = network is not None and network.needs_flow
        roi_views = network is not None and network.needs_roi_views
        if self._cache is not None:
            # What was found for a network that asked for more will do.
            for also_flow in sorted({flow, True}):
                for also_roi_views in sorted({roi_views, True}):
                    arrays = self._cache.load(self._people_key(also_flow, also_roi_views))
                    if arrays is not None:
                        self.reused.append("people")
                        self.watch.add("people", began)
                        return Observations.from_arrays(arrays)
        observations = self._track_people(flow, roi_views)
        if self._cache is not None:
            self._note(self._cache.keep(self._people_key(flow, roi_views), observations.arrays()))
        return observations

    def estimate_poses(
        self, observations: Observations, tracks: list[Track], camera_K: np.ndarray
    ) -> list[PoseEstimate] | None:
        """Run the network along ``tracks``; None without one."""
        if self._models.network is None:
            return None
        began = time.perf_counter()
        context = VideoContext(camera_K, self._store, observations.frames, observations.homographies)
        estimates = []
        for count, track in enumerate(tracks, 1):
            estimates.append(self._estimate_one(track, context))
            self._progress("network", count, len(tracks))
        if self._store is not None:
            self._store.close()
        self.watch.add("network", began)
        return estimates

    def _people_key(self, flow: bool, roi_views: bool) -> str:
        options = self._options
        trimmed = (options.start, options.end, options.frame_rate, self.focal)
        return hash_of(self._content(), hash_of_code(*PEOPLE_CODE), self._models.people_key, *trimmed, flow, roi_views)

    def _content(self) -> str:
        if not hasattr(self, "_content_hash"):
            self._content_hash = hash_of_content(self._path)
        return self._content_hash

    def _track_people(self, flow: bool, roi_views: bool) -> Observations:
        footage, watch = self._footage, self.watch
        size = (footage.width, footage.height)
        camera_motion = CameraMotion(size, self.focal, flow)
        clock: list[tuple[int, float]] = []
        began, waited = time.perf_counter(), watch.seconds.get("camera", 0.0)
        tracker = Tracker(self._models.people, store=self._store, roi_views=roi_views)
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

    def _estimate_one(self, track: Track, context: VideoContext) -> PoseEstimate:
        network = self._models.network
        assert network is not None
        if self._cache is None or not self._models.network_key:
            return network.estimate(track, context)
        people_key = self._people_key(network.needs_flow, network.needs_roi_views)
        key = hash_of(people_key, hash_of_code(*POSE_CODE), self._models.network_key, track.number)
        arrays = self._cache.load(key)
        if arrays is not None:
            if "network" not in self.reused:
                self.reused.append("network")
            return PoseEstimate(**arrays)
        estimate = network.estimate(track, context)
        self._note(self._cache.keep(key, vars(estimate)))
        return estimate

    def _note(self, warning: str | None) -> None:
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)


def _no_progress(stage: str, done: int, total: int | None) -> None:
    """Report to nobody."""


def find_people(
    path: Path, options: Options, models: Models, progress: Progress = _no_progress, cache: Cache | None = None
) -> Observations:
    """Find the people of a video, for someone to choose from; with a cache, `convert_footage` goes on from there.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it.
    """
    observations = _Conversion(path, options, models, progress, cache).observe()
    _choose(observations.tracks, None, path)
    return observations


def convert_footage(
    path: Path, options: Options, models: Models, progress: Progress = _no_progress, cache: Cache | None = None
) -> Result:
    """Find the people of a video and estimate their motion.

    Args:
        path: a video file, or a folder of images.
        options: those of the groups `options.ESTIMATION` count, except for `smpl` and `device`, which chose the models.
        models: see `load_models`.
        progress: called with the stage, what is done and of how much, None if nobody knows.
        cache: what an earlier run found in the same video is not done again; None to do everything.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it, or not the person who is wanted.
    """
    conversion = _Conversion(path, options, models, progress, cache)
    observations = conversion.observe()
    chosen = _choose(observations.tracks, options.person, path)
    camera = Camera(observations.size, intrinsics(observations.size, conversion.focal), observations.camera_rotations)
    estimates = conversion.estimate_poses(observations, chosen, camera.K)

    began = time.perf_counter()
    motions = motion_estimate.estimate(
        chosen,
        observations.frames,
        observations.timestamps,
        camera,
        models.body,
        options.smoothing,
        options.feet,
        {person: np.asarray(betas, float) for person, betas in options.shapes.items()},
        progress=partial(progress, "motion"),
        pose_estimates=estimates,
        estimator=options.network,
    )
    conversion.watch.add("motion", began)
    provenance: dict[str, object] = {
        "video": path.name,
        "body": models.body.name,
        "made_with": f"Video Motion {VERSION}",
        "start": options.start,
        "end": options.end,
        "smoothing": options.smoothing,
        "feet": options.feet,
    }
    for motion in motions:
        motion.provenance = provenance
    return Result(motions, models, _report(path, options, models, conversion, observations, chosen, motions, camera))


def _report(
    path: Path,
    options: Options,
    models: Models,
    conversion: _Conversion,
    observations: Observations,
    chosen: list[Track],
    motions: list[Motion],
    camera: Camera,
) -> dict[str, object]:
    warnings = [*observations.warnings, *conversion.warnings]
    if models.network is not None and models.network.notice:
        warnings.append(models.network.notice)
    if camera_moved := bool(np.ptp(camera.rotations, axis=0).max() > 0):
        warnings.append(
            "The camera moves: its turns are followed, its travel is not, so feet may slide against the floor."
        )
    return {
        "video": str(path),
        "size": list(observations.size),
        "frames": len(observations.frames),
        "frame_rate": observations.frame_rate,
        "seconds": float(np.ptp(observations.timestamps)),
        "camera": {"focal_pixels": float(camera.K[0, 0]), "moves": camera_moved},
        "people": [_describe(motion) for motion in motions],
        "skipped": [
            {"person": track.number, "frames": len(track)}
            for track in observations.tracks
            if not any(track is one for one in chosen)
        ],
        "estimator": options.network,
        "device": models.network.device if models.network is not None else "cpu",
        "reused": conversion.reused,
        "timings": {stage: round(seconds, 3) for stage, seconds in conversion.watch.seconds.items()},
        "warnings": warnings,
    }


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
