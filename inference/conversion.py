"""The whole pipeline: footage → people → pose → motion, and its report."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
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
from .people import reasons
from .people.left_out import NOT_CHOSEN, TOO_UNCERTAIN, LeftOut
from .people.maps import MapStore
from .people.observations import Observations
from .people.second_pass import SecondPass, first_pass_step
from .people.track import Track
from .people.tracker import SIDE_BY_SIDE, Tracker, chunks
from .pose.pose_estimate import PoseEstimate
from .pose.temporal import VideoContext

VERSION = "0.1.0"

PEOPLE_CODE = ("conversion.py", "options.py", "footage/*.py", "camera/*.py", "people/*.py", "body/rotations.py")
"""The code that observations of people depend on, for the cache."""

POSE_CODE = (*PEOPLE_CODE, "pose/*.py")
"""The same for a network's pose estimates."""

Progress = Callable[[str, int, int | None], None]

# Metres.
_SAME_HEIGHT = 0.01


class NobodyFoundError(VideoMotionError):
    """The footage shows nobody who can be followed, or not the requested person.

    Attributes:
        report: as in `Result`, without people.
    """

    def __init__(self, message: str, report: dict[str, object]):
        super().__init__(message)
        self.report = report


@dataclass
class Result:
    """The result of one video.

    Attributes:
        motions: one per person, in order of their number.
        models: what they were made with; their body is the motions'.
        report: who was found and who was left out, why, seconds per stage, warnings; ready for JSON.
    """

    motions: list[Motion]
    models: Models
    report: dict[str, object]


@dataclass
class _StageTimes:
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, began: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


class _Conversion:
    """The conversion of one video.

    Args:
        path: the video.
        options: what the user chose.
        models: the networks to run.
        progress: called with the stage, the count done and the total.
        cache: results in it are reused; None for no reuse.
    """

    def __init__(self, path: Path, options: Options, models: Models, progress: Progress, cache: Cache | None):
        self._path, self._options, self._models, self._progress = path, options, models, progress
        self.times = _StageTimes({"load": models.load_seconds})
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
        self.times.add("load", began)

    def observe(self) -> Observations:
        """Detect and track people, or load them from the cache."""
        began = time.perf_counter()
        network = self._models.network
        flow = network is not None and network.needs_flow
        roi_views = network is not None and network.needs_roi_views
        if self._cache is not None:
            # Observations for a network that needs more serve as well.
            for also_flow in sorted({flow, True}):
                for also_roi_views in sorted({roi_views, True}):
                    arrays = self._cache.load(self._people_key(also_flow, also_roi_views))
                    if arrays is not None:
                        self.reused.append("people")
                        self.times.add("people", began)
                        return Observations.from_arrays(arrays)
        observations = self._track_people(flow, roi_views)
        if self._cache is not None:
            self._add_warning(self._cache.keep(self._people_key(flow, roi_views), observations.arrays()))
        return observations

    def camera(self, observations: Observations) -> Camera:
        """The camera that filmed the video."""
        size = observations.size
        return Camera(
            size, intrinsics(size, observations.focal), observations.camera_rotations, observations.camera_positions
        )

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
        self.times.add("network", began)
        return estimates

    def _people_key(self, flow: bool, roi_views: bool) -> str:
        options = self._options
        footage_options = (options.start, options.end, options.frame_rate, self.focal)
        return hash_of(
            self._content(), hash_of_code(*PEOPLE_CODE), self._models.people_key, *footage_options, flow, roi_views
        )

    def _content(self) -> str:
        if not hasattr(self, "_content_hash"):
            self._content_hash = hash_of_content(self._path)
        return self._content_hash

    def _track_people(self, flow: bool, roi_views: bool) -> Observations:
        footage, models, times = self._footage, self._models, self.times
        size = (footage.width, footage.height)
        camera_motion = CameraMotion(size, self.focal, flow, footage.frame_rate)
        timeline: list[tuple[int, float]] = []
        began, waited = time.perf_counter(), times.seconds.get("camera", 0.0)
        twice = models.second_pass is not None
        longest = first_pass_step(footage.frame_rate) if twice else 1
        tracker = Tracker(models.people, store=None if twice else self._store, roi_views=roi_views and not twice)
        # The camera is tracked while people are detected in the next frames.
        with ThreadPoolExecutor(1) as executor:
            pending: list[Future[None]] = []
            for chunk in chunks(footage, SIDE_BY_SIDE * longest):
                crowded = len(tracker.boxes()) > 1
                step = first_pass_step(footage.frame_rate, crowded) if twice else 1
                # The first of each group is looked at; decoders may leave out numbers, so frames are counted.
                groups = list(chunks(chunk, step))
                looked_at = chunks([group[0] for group in groups], SIDE_BY_SIDE)
                for _, group in zip(chain.from_iterable(map(tracker.steps, looked_at)), groups, strict=True):
                    boxes = tracker.boxes()
                    started = time.perf_counter()
                    for earlier in pending:
                        earlier.result()
                    times.add("camera", started)
                    pending = [executor.submit(camera_motion.add, frame.image, boxes) for frame in group]
                timeline += [(frame.number, frame.timestamp) for frame in chunk]
                self._progress("people", len(timeline), footage.frame_count)
            for last in pending:
                last.result()
        outcome = tracker.outcome()
        tracks, left_out = outcome.tracks, outcome.left_out
        times.add("people", began)
        times.seconds["people"] -= times.seconds.get("camera", 0.0) - waited
        if models.second_pass is not None and tracks:
            began = time.perf_counter()
            roi_model = models.people if roi_views else None
            second_pass = SecondPass(models.second_pass, tracks, longest, self._store, roi_model)
            for count, _ in enumerate(second_pass.see(footage), 1):
                self._progress("landmarks", count, len(timeline))
            tracks = second_pass.tracks()
            seen = {track.number for track in tracks}
            left_out += [
                LeftOut.from_track(track, TOO_UNCERTAIN, outcome.trusts[track.number])
                for track in outcome.tracks
                if track.number not in seen
            ]
            times.add("landmarks", began)
        began = time.perf_counter()
        camera_rotations = camera_motion.rotations()
        times.add("camera", began)
        return Observations(
            size=size,
            frame_rate=footage.frame_rate,
            frames=np.array([number for number, _ in timeline]),
            timestamps=np.array([second for _, second in timeline]),
            tracks=tracks,
            focal=camera_motion.focal(),
            camera_rotations=camera_rotations,
            camera_positions=camera_motion.positions(),
            homographies=camera_motion.homographies(),
            trusts={track.number: outcome.trusts[track.number] for track in tracks},
            left_out=left_out,
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
        self._add_warning(self._cache.keep(key, vars(estimate)))
        return estimate

    def _add_warning(self, warning: str | None) -> None:
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)


def _no_progress(stage: str, done: int, total: int | None) -> None:
    """Ignore progress."""


def find_people(
    path: Path, options: Options, models: Models, progress: Progress = _no_progress, cache: Cache | None = None
) -> Observations:
    """Find the people of a video, to choose from; with a cache, `convert_footage` reuses the result.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it.
    """
    conversion = _Conversion(path, options, models, progress, cache)
    observations = conversion.observe()
    _choose(path, replace(options, person=None), models, conversion, observations)
    return observations


def convert_footage(
    path: Path, options: Options, models: Models, progress: Progress = _no_progress, cache: Cache | None = None
) -> Result:
    """Find the people of a video and estimate their motion.

    Args:
        path: a video file, or a folder of images.
        options: the groups `options.ESTIMATION` are used, except for `smpl` and `device`, which chose the models.
        models: see `load_models`.
        progress: called with the stage, the count done and the total, None if unknown.
        cache: an earlier run's results for the same video are reused; None to compute everything.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it, or not the requested person.
    """
    conversion = _Conversion(path, options, models, progress, cache)
    observations = conversion.observe()
    chosen = _choose(path, options, models, conversion, observations)
    camera = conversion.camera(observations)
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
        height=options.height,
    )
    conversion.times.add("motion", began)
    provenance: dict[str, object] = {
        "video": path.name,
        "body": models.body.name,
        "made_with": f"Video Motion {VERSION}",
        "start": options.start,
        "end": options.end,
        "quality": options.quality,
        "smoothing": options.smoothing,
        "feet": options.feet,
        "height": options.height,
    }
    for motion in motions:
        motion.provenance = provenance
    return Result(motions, models, _report(path, options, models, conversion, observations, motions))


def _report(
    path: Path,
    options: Options,
    models: Models,
    conversion: _Conversion,
    observations: Observations,
    motions: list[Motion],
) -> dict[str, object]:
    camera, made = conversion.camera(observations), {motion.person for motion in motions}
    trusts = {number: value for number, value in observations.trusts.items() if number in made}
    warnings = [*observations.warnings, *conversion.warnings]
    if motions:
        warnings += reasons.warnings(trusts, observations.left_out if options.person is None else ())
    heights = {motion.person: models.body.height(motion.betas) for motion in motions}
    if options.height is not None:
        warnings += [
            f"Person {person} is {height:.2f} m tall, the nearest to {options.height:.4g} m that the body can be:"
            " check the height."
            for person, height in heights.items()
            if abs(height - options.height) > _SAME_HEIGHT
        ]
    if models.notice is not None:
        warnings.append(models.notice)
    return {
        "video": str(path),
        "size": list(observations.size),
        "frames": len(observations.frames),
        "frame_rate": observations.frame_rate,
        "seconds": float(np.ptp(observations.timestamps)),
        "camera": {
            "focal_pixels": float(camera.K[0, 0]),
            "turns": bool(np.ptp(camera.rotations, axis=0).max() > 0),
            "travels": bool(np.any(camera.positions)),
        },
        "people": [
            {
                **_describe(motion),
                "trust": round(trusts[motion.person], 3),
                "height": round(heights[motion.person], 3),
            }
            for motion in motions
        ],
        "left_out": [
            *(
                LeftOut.from_track(track, NOT_CHOSEN, observations.trusts[track.number], track.number).to_json()
                for track in observations.tracks
                if track.number not in made
            ),
            *(one.to_json() for one in observations.left_out),
        ],
        "quality": options.quality,
        "estimator": options.network,
        "device": models.device,
        "reused": conversion.reused,
        "timings": {stage: round(seconds, 3) for stage, seconds in conversion.times.seconds.items()},
        "warnings": warnings,
    }


def _choose(
    path: Path, options: Options, models: Models, conversion: _Conversion, observations: Observations
) -> list[Track]:
    tracks, person = observations.tracks, options.person
    chosen = [track for track in tracks if person in (None, track.number)]
    if chosen:
        return chosen
    if tracks:
        numbers = ", ".join(str(track.number) for track in tracks)
        message = f"There is no person {person} in {path}; choose one of {numbers}."
    else:
        message = reasons.nobody(observations.left_out, observations.size, path)
    raise NobodyFoundError(message, _report(path, options, models, conversion, observations, []))


def _describe(motion: Motion) -> dict[str, object]:
    return {
        "person": motion.person,
        "first_frame": int(motion.frames[0]),
        "last_frame": int(motion.frames[-1]),
        "frames": len(motion),
        "bridged_frames": int(motion.bridged.sum()),
        "mean_score": round(float(motion.scores.mean()), 3),
    }
