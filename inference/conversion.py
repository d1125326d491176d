"""The whole pipeline: footage → people → pose → motion, and its report."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, groupby, product, takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from . import spill
from .cache import Cache, hash_of, hash_of_code, hash_of_content
from .camera.given import GivenCamera
from .camera.intrinsics import NO_LINES, Camera, focal_from_film, intrinsics
from .camera.tracking import CameraMotion
from .errors import VideoMotionError
from .faces.fit import move_face
from .faces.search import FaceModels, FaceSearch
from .faces.track import FaceTrack
from .footage.parts import Part
from .footage.reader import IMAGES_FRAME_RATE, Footage, FootageError, Frame
from .footage.shots import in_shots
from .hands.fit import move_hands
from .hands.search import HandModels, HandSearch
from .hands.track import HandTrack
from .models import Models
from .motion import estimate as motion_estimate
from .motion.figure import give_figure
from .motion.motion import Motion
from .options import Options, Who, default
from .people import reasons, sides
from .people.blazepose import LandmarkModel
from .people.details import DetailSearch, DetailTrack
from .people.left_out import NOT_CHOSEN, TOO_UNCERTAIN, LeftOut
from .people.maps import MapStore
from .people.observations import Observations, shots_as_arrays, shots_from_arrays
from .people.pictures import TrackPictures, cut_out
from .people.second_pass import SecondPass, first_pass_step
from .people.track import Track
from .people.tracker import SIDE_BY_SIDE, Outcome, Tracker, chunks
from .pose.pose_estimate import PoseEstimate
from .pose.temporal import VideoContext

VERSION = "0.1.0"

PEOPLE_CODE = ("conversion.py", "options.py", "footage/*.py", "camera/*.py", "people/*.py", "body/rotations.py")
"""The code that observations of people depend on, for the cache."""

HANDS_CODE = (*PEOPLE_CODE, "hands/*.py", "body/skeleton.py")
"""The same for hands."""

FACES_CODE = (*PEOPLE_CODE, "faces/*.py", "body/face.py", "body/skeleton.py")
"""The same for faces."""

POSE_CODE = (*PEOPLE_CODE, "pose/*.py")
"""The same for a network's pose estimates."""

Progress = Callable[[str, int, int | None], None]

# Metres.
_SAME_HEIGHT = 0.01

_Seen = TypeVar("_Seen", bound=DetailTrack)


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
        motions: one per person of each shot, in order of shots and numbers.
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
        part: of the video; None for all of it.
    """

    def __init__(
        self,
        path: Path,
        options: Options,
        models: Models,
        progress: Progress,
        cache: Cache | None,
        part: Part | None = None,
    ):
        self._path, self._options, self._models, self._progress = path, options, models, progress
        self.times = _StageTimes({"load": models.load_seconds})
        self.warnings: list[str] = []
        self.reused: list[str] = []
        self._shots, self._part = 0, part
        self._pictures: spill.Pieces | None = None
        self._cut_out: dict[tuple[int, int], TrackPictures] = {}
        self._known_estimates: dict[tuple[int, int], PoseEstimate] = {}
        network = models.network
        self._store = MapStore() if network is not None and network.needs_maps else None
        # Local maps are too large to keep, and parts are none of their own.
        self._cache = cache if self._store is None and models.people_key and part is None else None
        began = time.perf_counter()
        rate = options.frame_rate or IMAGES_FRAME_RATE
        self._footage = Footage(path, options.start, options.end, rate, None if part is None else part.span)
        size = (self._footage.width, self._footage.height)
        self.focal = options.focal if options.focal_mm is None else focal_from_film(size, options.focal_mm)
        self._given = None if options.camera_file is None else GivenCamera.load(options.camera_file)
        if self._given is not None:
            # Nothing that is seen of people depends on it.
            self.focal = None
        self.times.add("load", began)

    def observe(self) -> list[Observations]:
        """Detect and track people, or load them from the cache: in each shot, or in the one that was chosen.

        Raises:
            FootageError: the chosen shot does not exist.
        """
        began = time.perf_counter()
        network = self._models.network
        flow = network is not None and network.needs_flow
        roi_views = network is not None and network.needs_roi_views
        if self._cache is not None:
            # Observations for a network that needs more, or of all shots, or of the camera, too, serve as well.
            wanted = product(
                sorted({flow, True}),
                sorted({roi_views, True}),
                {self._options.shot, None},
                sorted({self._given is None, True}),
            )
            for key in wanted:
                arrays = self._cache.load(self._people_key(*key))
                if arrays is not None:
                    self.reused.append("people")
                    self.times.add("people", began)
                    return self._chosen(shots_from_arrays(arrays))
        shots = self._chosen(self._track_people(flow, roi_views))
        if self._cache is not None:
            key = self._people_key(flow, roi_views, self._options.shot, self._given is None)
            self._add_warning(self._cache.keep(key, shots_as_arrays(shots)))
        return shots

    @property
    def is_part(self) -> bool:
        """Whether others convert other parts of the video."""
        return self._part is not None

    def has_cuts(self, shots: Sequence[Observations]) -> bool:
        """Whether shots have to be told apart: there are several, or a later one was chosen."""
        return shots[-1].shot > 1 or (self._part is not None and self._part.has_cuts)

    def _chosen(self, shots: list[Observations]) -> list[Observations]:
        chosen = [one for one in shots if self._options.shot in (None, one.shot)]
        if not chosen:
            count = max((one.shot for one in shots), default=self._shots)
            raise FootageError(
                f"There is no shot {self._options.shot} in {self._path}: it has {count}; choose one from 1 on."
            )
        return chosen

    def camera(self, observations: Observations) -> Camera:
        """The camera that filmed a shot.

        Raises:
            CameraFileError: the user's one is of another video.
        """
        size = observations.size
        if self._given is not None:
            camera, warnings = self._given.at(size, observations.frames, observations.timestamps)
            for warning in warnings:
                self._add_warning(warning)
            return camera
        return Camera(
            size,
            intrinsics(size, observations.focal),
            observations.camera_rotations,
            observations.camera_positions,
            lines=observations.camera_lines,
        )

    def estimate_poses(self, shots: Sequence[tuple[Observations, list[Track]]]) -> list[list[PoseEstimate] | None]:
        """Run the network along the tracks of each shot, after `see_details`; None without one."""
        if self._models.network is None:
            return [None] * len(shots)
        began = time.perf_counter()
        estimates: list[list[PoseEstimate] | None] = []
        count, total = 0, sum(len(tracks) for _, tracks in shots)
        for observations, tracks in shots:
            context = VideoContext(
                self.camera(observations).K, self._store, observations.frames, observations.homographies
            )
            of_shot = []
            for track in tracks:
                pictures = self._cut_out.get((observations.shot, track.number))
                of_shot.append(self._estimate_one(observations.shot, track, replace(context, pictures=pictures)))
                count += 1
                self._progress("network", count, total)
            estimates.append(of_shot)
        if self._store is not None:
            self._store.close()
        if self._pictures is not None:
            self._pictures.close()
        self.times.add("network", began)
        return estimates

    def see_details(
        self, shots: Sequence[tuple[Observations, list[Track]]]
    ) -> tuple[list[list[HandTrack | None]], list[list[FaceTrack | None]]]:
        """Look at hands and faces of the tracks of each shot, in one pass; None for those of whom nothing was seen.

        Pictures that the network needs are cut out in the same pass.
        """
        began = time.perf_counter()
        models, options = self._models, self._options
        tracks = [track for _, own in shots for track in own]
        given = (tracks, shots[0][0].size, self._footage.frame_rate, options.slow_motion)
        hands = None if models.hands is None else _Detail(HandSearch(models.hands, *given), HandTrack)
        faces = None if models.faces is None else _Detail(FaceSearch(models.faces, *given), FaceTrack)
        waiting = [
            (detail, key)
            for detail, key in (
                (hands, self._detail_key(shots, models.hands, HANDS_CODE)),
                (faces, self._detail_key(shots, models.faces, FACES_CODE)),
            )
            # Where no hand and no face is large enough the footage isn't read again.
            if detail is not None and detail.search.worthwhile and not detail.load(self._cache, key)
        ]
        self._plan_pictures(shots)
        cut = list(self._cut_out.values())
        if waiting or cut:
            spans = [*(detail.search.frames for detail, _ in waiting), *(one.span for one in cut)]
            first, last = min(start for start, _ in spans), max(end for _, end in spans)
            frames: Iterable[Frame] = takewhile(lambda frame: frame.number <= last, self._footage)
            starts = {int(observations.frames[0]) for observations, _ in shots}
            for detail, _ in waiting:
                frames = detail.search.see(frames, starts)
            frames = cut_out(frames, cut)
            for frame in frames:
                self._progress("details", max(0, frame.number - first + 1), last - first + 1)
            self._footage.close()
            for detail, key in waiting:
                self._add_warning(detail.keep(self._cache, key))
        if hands is not None or faces is not None or cut:
            self.times.add("details", began)
        counts = [len(own) for _, own in shots]
        return _by_shot(hands, counts), _by_shot(faces, counts)

    def _plan_pictures(self, shots: Sequence[tuple[Observations, list[Track]]]) -> None:
        """Whom to cut out for the network: everyone whom it has not estimated before."""
        network = self._models.network
        if network is None or not network.needs_pictures:
            return
        self._pictures = spill.Pieces()
        for observations, tracks in shots:
            camera_K = self.camera(observations).K
            for track in tracks:
                who, key = (observations.shot, track.number), self._estimate_key(observations.shot, track, camera_K)
                known = self._cache.load(key) if self._cache is not None and key else None
                if known is None:
                    self._cut_out[who] = TrackPictures(track, self._pictures)
                else:
                    self._known_estimates[who] = PoseEstimate(**known)

    def _detail_key(
        self,
        shots: Sequence[tuple[Observations, list[Track]]],
        models: HandModels | FaceModels | None,
        code: Sequence[str],
    ) -> str:
        """Names what is seen of a detail in the cache; empty where it can't be kept."""
        if self._cache is None or models is None or not models.key:
            return ""
        numbers = [(observations.shot, [track.number for track in own]) for observations, own in shots]
        people_key = self._people_key(False, False, self._options.shot, False)
        return hash_of(people_key, numbers, hash_of_code(*code), models.key, self._options.slow_motion)

    def _people_key(self, flow: bool, roi_views: bool, shot: int | None, solves_camera: bool) -> str:
        options = self._options
        footage_options = (options.start, options.end, options.frame_rate, self.focal, shot, solves_camera)
        return hash_of(
            self._content(), hash_of_code(*PEOPLE_CODE), self._models.people_key, *footage_options, flow, roi_views
        )

    def _content(self) -> str:
        if not hasattr(self, "_content_hash"):
            self._content_hash = hash_of_content(self._path)
        return self._content_hash

    def _track_people(self, flow: bool, roi_views: bool) -> list[Observations]:
        """Follow everyone, and the camera, from cut to cut; only the chosen shot where one is."""
        footage, chosen = self._footage, self._options.shot
        seen: list[tuple[Observations, Outcome]] = []
        cameras: list[CameraMotion] = []
        count = 0

        def counted(frames: Iterable[tuple[int, Frame]]) -> Iterable[Frame]:
            nonlocal count
            for _, frame in frames:
                yield frame
                count += 1
                self._progress("people", count, footage.frame_count)

        # The camera is tracked while people are detected in the next frames.
        frames_in_shots = in_shots(footage, footage.frame_rate) if self._part is None else self._part.in_shots(footage)
        with ThreadPoolExecutor(1) as executor:
            for number, frames in groupby(frames_in_shots, itemgetter(0)):
                if chosen is not None and number > chosen:
                    break
                self._shots = number
                if chosen in (None, number):
                    size = (footage.width, footage.height)
                    cameras.append(CameraMotion(size, self.focal, flow, footage.frame_rate))
                    seen.append(self._first_pass(number, counted(frames), cameras[-1], roi_views, executor))
                else:
                    for _ in counted(frames):
                        pass
        footage.close()
        self._solve_cameras([observations for observations, _ in seen], cameras)
        if self._models.second_pass is not None:
            self._second_pass(seen, self._models.people if roi_views else None)
        for observations, _ in seen:
            observations.tracks = [sides.mended(track) for track in observations.tracks]
            observations.warnings = list(footage.warnings)
        return [observations for observations, _ in seen]

    def _first_pass(
        self,
        shot: int,
        frames: Iterable[Frame],
        camera_motion: CameraMotion,
        roi_views: bool,
        executor: ThreadPoolExecutor,
    ) -> tuple[Observations, Outcome]:
        footage, models, times = self._footage, self._models, self.times
        timeline = spill.Columns()
        began, waited = time.perf_counter(), times.seconds.get("camera", 0.0)
        twice = models.second_pass is not None
        tracker = Tracker(models.people, store=None if twice else self._store, roi_views=roi_views and not twice)
        pending: list[Future[None]] = []
        for chunk in chunks(frames, SIDE_BY_SIDE * self._longest_step):
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
                pending = [
                    executor.submit(camera_motion.add, frame.image, boxes, frame.timestamp)
                    for frame in group
                    if self._is_watched
                ]
            for frame in chunk:
                timeline.append({"frames": frame.number, "timestamps": frame.timestamp})
        for last in pending:
            last.result()
        outcome = tracker.outcome()
        times.add("people", began)
        times.seconds["people"] -= times.seconds.get("camera", 0.0) - waited
        count, known = len(timeline), timeline.arrays()
        at_rest = np.broadcast_to(np.eye(3), (count, 3, 3))
        observations = Observations(
            size=(footage.width, footage.height),
            frame_rate=footage.frame_rate,
            frames=known["frames"],
            timestamps=known["timestamps"],
            tracks=outcome.tracks,
            camera_rotations=at_rest,
            camera_positions=np.zeros((count, 3)),
            camera_lines=NO_LINES,
            focal=0.0 if self._given is None else float(self._given.K[0, 0]),
            homographies=camera_motion.homographies() if self._is_watched else at_rest,
            trusts=outcome.trusts,
            left_out=outcome.left_out,
            shot=shot,
        )
        return observations, outcome

    def _solve_cameras(self, shots: Sequence[Observations], cameras: Sequence[CameraMotion]) -> None:
        """Put into the observations how the cameras moved, unless the user has told."""
        if self._given is not None:
            return
        began, before = time.perf_counter(), 0
        total = sum(len(observations.frames) for observations in shots)
        for observations, camera_motion in zip(shots, cameras, strict=True):

            def report(frames: int, before: int = before) -> None:
                self._progress("camera", before + frames, total)

            camera_motion.solve(report)
            observations.camera_rotations = camera_motion.rotations()
            observations.camera_positions = camera_motion.positions()
            observations.camera_lines = camera_motion.lines()
            observations.focal = camera_motion.focal()
            before += len(observations.frames)
        self.times.add("camera", began)

    @property
    def _is_watched(self) -> bool:
        """Whether the camera's motion is to be found, or the background's."""
        network = self._models.network
        return self._given is None or (network is not None and network.needs_flow)

    @property
    def _longest_step(self) -> int:
        return first_pass_step(self._footage.frame_rate) if self._models.second_pass is not None else 1

    def _second_pass(self, seen: Sequence[tuple[Observations, Outcome]], roi_model: LandmarkModel | None) -> None:
        """See the people of all shots again, and put what is seen into their observations."""
        began = time.perf_counter()
        model = self._models.second_pass
        assert model is not None
        passes = {
            observations.shot: SecondPass(model, outcome.tracks, self._longest_step, self._store, roi_model)
            for observations, outcome in seen
            if outcome.tracks
        }
        if not passes:
            return
        starts = [observations.frames[0] for observations, _ in seen]
        ends = [observations.frames[-1] for observations, _ in seen if observations.shot in passes]
        total = sum(len(observations.frames) for observations, _ in seen if observations.shot in passes)
        count = 0
        for number, frames in groupby(self._footage, lambda frame: bisect_right(starts, frame.number) - 1):
            if number < 0 or (second_pass := passes.get(seen[number][0].shot)) is None:
                continue
            for _ in second_pass.see(takewhile(lambda frame: frame.number <= ends[-1], frames)):
                count += 1
                self._progress("landmarks", count, total)
            if seen[number][0].frames[-1] == ends[-1]:
                break
        self._footage.close()
        for observations, outcome in seen:
            if (second_pass := passes.get(observations.shot)) is None:
                continue
            observations.tracks = second_pass.tracks()
            kept = {track.number for track in observations.tracks}
            observations.left_out += [
                LeftOut.from_track(track, TOO_UNCERTAIN, outcome.trusts[track.number])
                for track in outcome.tracks
                if track.number not in kept
            ]
            observations.trusts = {number: trust for number, trust in outcome.trusts.items() if number in kept}
        self.times.add("landmarks", began)

    def _estimate_one(self, shot: int, track: Track, context: VideoContext) -> PoseEstimate:
        network = self._models.network
        assert network is not None
        key = self._estimate_key(shot, track, context.camera_K)
        if self._cache is None or not key:
            return network.estimate(track, context)
        known = self._known_estimates.get((shot, track.number))
        # Somebody who was cut out is not there.
        if known is None and context.pictures is None and (arrays := self._cache.load(key)) is not None:
            known = PoseEstimate(**arrays)
        if known is not None:
            if "network" not in self.reused:
                self.reused.append("network")
            return known
        estimate = network.estimate(track, context)
        self._add_warning(self._cache.keep(key, vars(estimate)))
        return estimate

    def _estimate_key(self, shot: int, track: Track, camera_K: np.ndarray) -> str:
        """Names a network's estimate in the cache; empty where it can't be kept."""
        network = self._models.network
        if self._cache is None or network is None or not self._models.network_key:
            return ""
        people_key = self._people_key(network.needs_flow, network.needs_roi_views, shot, self._given is None)
        own = (track.number, self._options.slow_motion, camera_K.tolist())
        return hash_of(people_key, hash_of_code(*POSE_CODE), self._models.network_key, *own)

    def _add_warning(self, warning: str | None) -> None:
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)


class _Detail(Generic[_Seen]):
    """What is looked at closely of everyone: hands or faces.

    Args:
        search: looks at them.
        kind: what it sees of one person.
    """

    def __init__(self, search: DetailSearch[Any, _Seen], kind: type[_Seen]):
        self.search, self._kind = search, kind
        self._known: list[_Seen] | None = None

    def load(self, cache: Cache | None, key: str) -> bool:
        """Take what an earlier run saw, if it is there."""
        arrays = cache.load(key) if cache is not None and key else None
        if arrays is not None:
            count = len({name.partition(".")[0] for name in arrays})
            self._known = [self._kind.from_arrays(arrays, f"{number}.") for number in range(count)]
        return arrays is not None

    def keep(self, cache: Cache | None, key: str) -> str | None:
        """Keep what was seen for later runs; a warning if that fails."""
        if cache is None or not key:
            return None
        arrays: dict[str, np.ndarray] = {}
        for number, one in enumerate(self.search.tracks()):
            arrays |= one.arrays(f"{number}.")
        return cache.keep(key, arrays)

    def seen(self) -> list[_Seen]:
        """What was seen of each person."""
        return self.search.tracks() if self._known is None else self._known


def _by_shot(detail: _Detail[_Seen] | None, counts: Sequence[int]) -> list[list[_Seen | None]]:
    """What was seen of the people of each shot, of which there are as many as `counts` says."""
    if detail is None:
        return [[None] * count for count in counts]
    seen = iter(detail.seen())
    return [[one if len(one := next(seen)) else None for _ in range(count)] for count in counts]


def _no_progress(stage: str, done: int, total: int | None) -> None:
    """Ignore progress."""


def find_people(
    path: Path, options: Options, models: Models, progress: Progress = _no_progress, cache: Cache | None = None
) -> list[Observations]:
    """Find the people of each shot of a video, to choose from; with a cache, `convert_footage` reuses the result.

    Raises:
        FootageError: the video cannot be read, or has no such shot.
        NobodyFoundError: nobody was found in it.
    """
    conversion = _Conversion(path, options, models, progress, cache)
    shots = conversion.observe()
    _choose(path, replace(options, person=()), models, conversion, shots)
    return shots


def convert_footage(
    path: Path,
    options: Options,
    models: Models,
    progress: Progress = _no_progress,
    cache: Cache | None = None,
    part: Part | None = None,
) -> Result:
    """Find the people of a video and estimate their motion, from cut to cut.

    Args:
        path: a video file, or a folder of images.
        options: the groups `options.ESTIMATION` are used, except for `smpl` and `device`, which chose the models.
        models: see `load_models`.
        progress: called with the stage, the count done and the total, None if unknown.
        cache: an earlier run's results for the same video are reused; None to compute everything.
        part: the part of the video to convert, which uses no cache; None for all of it.

    Raises:
        FootageError: the video cannot be read, or has no such shot.
        CameraFileError: the user's camera can't be read, or is of another video.
        NobodyFoundError: nobody was found in it, or not the requested person.
    """
    conversion = _Conversion(path, options, models, progress, cache, part)
    shots = conversion.observe()
    chosen = [
        (observations, [replace(track, timestamps=track.timestamps / options.slow_motion) for track in tracks])
        for observations, tracks in zip(shots, _choose(path, options, models, conversion, shots), strict=True)
    ]
    hands, faces = conversion.see_details(chosen)
    estimates = conversion.estimate_poses(chosen)

    began = time.perf_counter()
    motions: list[Motion] = []
    total = sum(len(tracks) for _, tracks in chosen)
    provenance: dict[str, object] = {
        "video": path.name,
        "body": models.body.name,
        "made_with": f"Video Motion {VERSION}",
        "start": options.start,
        "end": options.end,
        "slow_motion": options.slow_motion,
        "camera_file": None if options.camera_file is None else options.camera_file.name,
        "quality": options.quality,
        "weights": None if options.weights is None else options.weights.name,
        "smoothing": options.smoothing,
        "feet": options.feet,
        "height": options.height,
        "hands": options.hands,
        "face": options.face,
    }
    for (observations, tracks), pose_estimates, own_hands, own_faces in zip(
        chosen, estimates, hands, faces, strict=True
    ):
        if not tracks:
            continue
        before, count = len(motions), len(tracks)

        def report(done: int, steps: int, before: int = before, count: int = count) -> None:
            # Each person takes as many steps.
            progress("motion", before * steps // count + done, total * steps // count)

        made = motion_estimate.estimate(
            tracks,
            observations.frames,
            observations.timestamps / options.slow_motion,
            conversion.camera(observations),
            models.body,
            models.footing,
            options.smoothing,
            options.feet,
            {person: np.asarray(betas, float) for person, betas in options.shapes.items()},
            progress=report,
            pose_estimates=pose_estimates,
            estimator=options.network,
            height=options.height,
        )
        for number, (seen, face) in enumerate(zip(own_hands, own_faces, strict=True)):
            if face is not None:
                made[number] = move_face(made[number], face, models.body, options.smoothing)
            if seen is not None:
                made[number] = move_hands(made[number], seen, models.body, options.smoothing)
        for motion in made:
            motion.provenance = provenance | ({"shot": observations.shot} if conversion.has_cuts(shots) else {})
        motions += [
            one if one.person in options.shapes else give_figure(one, models.body, options.gender, options.build)
            for one in made
        ]
    conversion.times.add("motion", began)
    return Result(motions, models, _report(path, options, models, conversion, shots, motions))


def _report(
    path: Path,
    options: Options,
    models: Models,
    conversion: _Conversion,
    shots: Sequence[Observations],
    motions: Sequence[Motion],
) -> dict[str, Any]:
    with_cuts = conversion.has_cuts(shots)
    warnings = [*shots[0].warnings, *conversion.warnings]
    people: list[dict[str, object]] = []
    left_out: list[dict[str, object]] = []
    for observations in shots:
        made = {motion.person: motion for motion in motions if not with_cuts or motion.shot == observations.shot}
        trusts = {number: value for number, value in observations.trusts.items() if number in made}
        if made:
            where = f" of shot {observations.shot}" if with_cuts else ""
            others = () if options.person else observations.left_out
            warnings += reasons.warnings(trusts, others, where)
        for motion in made.values():
            height = models.body.height(motion.betas)
            if options.height is not None and abs(height - options.height) > _SAME_HEIGHT:
                warnings.append(
                    f"Person {motion.person} is {height:.2f} m tall, the nearest to {options.height:.4g} m that the"
                    " body can be: check the height."
                )
            more = {"trust": round(trusts[motion.person], 3), "height": round(height, 3)}
            people.append({"shot": observations.shot, **_describe(motion), **more})
        not_chosen = [
            LeftOut.from_track(track, NOT_CHOSEN, observations.trusts[track.number], track.number)
            for track in observations.tracks
            if track.number not in made
        ]
        left_out += [{"shot": observations.shot, **one.to_json()} for one in (*not_chosen, *observations.left_out)]
    # Those who are not in a part may be in another one.
    if not conversion.is_part:
        warnings += missing({"people": people, "left_out": left_out}, options)
    if models.body.figures is None and (options.gender, options.build) != (default("gender"), default("build")):
        warnings.append(f"The body {models.body.name} has no other figures: its shape is as seen.")
    if models.notice is not None:
        warnings.append(models.notice)
    return {
        "video": str(path),
        "size": list(shots[0].size),
        "frames": sum(len(one.frames) for one in shots),
        "frame_rate": shots[0].frame_rate,
        "seconds": sum(float(np.ptp(one.timestamps)) for one in shots),
        "shots": [_describe_shot(one, conversion.camera(one)) for one in shots],
        "people": people,
        "left_out": left_out,
        "quality": options.quality,
        "estimator": options.network,
        "weights": None if options.weights is None else options.weights.name,
        "device": models.device,
        "reused": conversion.reused,
        "timings": {stage: round(seconds, 3) for stage, seconds in conversion.times.seconds.items()},
        "warnings": warnings,
    }


def _choose(
    path: Path, options: Options, models: Models, conversion: _Conversion, shots: Sequence[Observations]
) -> list[list[Track]]:
    """The tracks of each shot that get a motion."""
    chosen = [[track for track in one.tracks if options.takes(one.shot, track.number)] for one in shots]
    if any(chosen):
        return chosen
    report = _report(path, options, models, conversion, shots, [])
    raise NobodyFoundError(nobody(report, options), report)


def nobody(report: Mapping[str, Any], options: Options) -> str:
    """Why a report, as in `Result`, has no people, in a sentence."""
    cuts = report["shots"][-1]["shot"] > 1
    if there := sorted({Who(person, shot if cuts else None) for shot, person in _found(report)}):
        return f"There is no person {_named(options.person)} in {report['video']}; choose from {_named(there)}."
    rows = ({name: value for name, value in row.items() if name != "shot"} for row in report["left_out"])
    left_out = sorted(map(LeftOut.from_json, rows), key=lambda one: -one.presence)
    return reasons.nobody(left_out, report["size"], report["video"])


def missing(report: Mapping[str, Any], options: Options) -> list[str]:
    """A warning if some of the chosen people are not in a report, as in `Result`, though others are."""
    absent = [who for who in options.person if not any(who.includes(*one) for one in _found(report))]
    if not absent or not report["people"]:
        return []
    return [f"There is no person {_named(absent)}: the others' motion was taken."]


def _found(report: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Shot and number of everyone who could be chosen."""
    rows = [*report["people"], *report["left_out"]]
    return [(row["shot"], row["person"]) for row in rows if row["person"] is not None]


def _named(people: Sequence[Who]) -> str:
    return ", ".join(map(str, people))


def _describe_shot(observations: Observations, camera: Camera) -> dict[str, object]:
    return {
        "shot": observations.shot,
        "first_frame": int(observations.frames[0]),
        "last_frame": int(observations.frames[-1]),
        "start": round(float(observations.timestamps[0]), 3),
        "end": round(float(observations.timestamps[-1]), 3),
        "camera": {
            "focal_pixels": float(camera.K[0, 0]),
            "turns": bool(np.ptp(camera.rotations, axis=0).max() > 0),
            "travels": bool(np.any(camera.positions)),
        },
    }


def _describe(motion: Motion) -> dict[str, object]:
    return {
        "person": motion.person,
        "first_frame": int(motion.frames[0]),
        "last_frame": int(motion.frames[-1]),
        "frames": len(motion),
        "bridged_frames": int(motion.bridged.sum()),
        "mean_score": round(float(motion.scores.mean()), 3),
    }
