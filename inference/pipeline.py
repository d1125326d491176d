"""The whole way in one place: footage → people → motion, and the report of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import estimators, registry
from .body.smpl import Body
from .camera_motion import CameraMotion
from .engine.temporal import Scenery, TemporalNetwork
from .footage import IMAGES_FRAME_RATE, Footage
from .motion import landmarks
from .motion.camera import Camera, intrinsics
from .motion.motion import Motion
from .people.blazepose import BlazePose
from .people.maps import MapStore
from .people.track import Track
from .people.tracker import Tracker

VERSION = "0.1.0"

Progress = Callable[[str, int, int | None], None]


class NobodyFoundError(Exception):
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
        body: a licensed SMPL file in place of the built body.
        network: what estimates the motion, among `estimators.NETWORKS`.
        device: where networks run: `auto`, `cuda` or `cpu`.
    """

    start: float | None = None
    end: float | None = None
    frame_rate: float | None = None
    person: int | None = None
    focal: float | None = None
    smoothing: float = 1.0
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


def convert_footage(path: Path, options: Options, progress: Progress = lambda stage, done, total: None) -> Result:
    """Find the people of a video and estimate their motion.

    Raises:
        FootageError: the video cannot be read.
        NobodyFoundError: nobody was found in it.
        BodyError: the body file of the options is not one.
        RegistryError: a weight file is missing and cannot be had.
        EngineError: the network can't run on the device of the options.
    """
    watch = _Watch()
    began = time.perf_counter()
    body_path = options.body or registry.body_path()
    body = Body.load(body_path)
    network = BlazePose(registry.path("blazepose_detector"), registry.path("blazepose_landmark_full"))
    temporal = None
    if files := estimators.NETWORKS[options.network]:
        temporal = TemporalNetwork(*(registry.path(file) for file in files), device=options.device)
    watch.add("load", began)

    footage = Footage(path, options.start, options.end, options.frame_rate or IMAGES_FRAME_RATE)
    size = (footage.width, footage.height)
    camera_motion = CameraMotion(size, options.focal, flow=temporal is not None and temporal.needs_flow)
    clock: list[tuple[int, float]] = []
    began = time.perf_counter()
    store = MapStore() if temporal is not None and temporal.needs_maps else None
    tracker = Tracker(network, store=store, looks=temporal is not None and temporal.needs_looks)
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
            progress("people", len(clock), footage.frame_count)
        if following is not None:
            following.result()
    tracks = tracker.tracks()
    watch.add("people", began)
    watch.seconds["people"] -= watch.seconds.get("camera", 0.0)
    chosen = _choose(tracks, options.person, path)

    began = time.perf_counter()
    frames, timestamps = np.array([number for number, _ in clock]), np.array([second for _, second in clock])
    camera = Camera(size, intrinsics(size, options.focal), camera_motion.turns())
    guesses = None
    if temporal is not None:
        scenery = Scenery(camera.K, store, frames, camera_motion.homographies())
        guesses = [temporal.follow(track, scenery) for track in chosen]
        if store is not None:
            store.close()
        watch.add("network", began)
        began = time.perf_counter()
    motions = landmarks.estimate(
        chosen, frames, timestamps, camera, body, options.smoothing, guesses=guesses, estimator=options.network
    )
    watch.add("motion", began)

    provenance: dict[str, object] = {
        "video": path.name,
        "body": body.name,
        "made_with": f"Video Motion {VERSION}",
        "start": options.start,
        "end": options.end,
        "smoothing": options.smoothing,
    }
    for motion in motions:
        motion.provenance = provenance
    warnings = list(footage.warnings)
    if camera_moved := bool(np.ptp(camera.turns, axis=0).max() > 0):
        warnings.append(
            "The camera moves: its turns are followed, its travel is not, so feet may slide against the floor."
        )
    report: dict[str, object] = {
        "video": str(path),
        "size": list(size),
        "frames": len(clock),
        "frame_rate": footage.frame_rate,
        "seconds": float(timestamps[-1] - timestamps[0]),
        "camera": {"focal_pixels": float(camera.K[0, 0]), "moves": camera_moved},
        "people": [_describe(motion) for motion in motions],
        "skipped": [
            {"person": track.number, "frames": len(track)}
            for track in tracks
            if not any(track is one for one in chosen)
        ],
        "estimator": options.network,
        "device": temporal.device if temporal is not None else "cpu",
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
