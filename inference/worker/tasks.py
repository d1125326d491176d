"""What the worker process does for Blender, task by task."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PROGRESS_SECONDS = 0.1
FILM_DIAGONAL = math.hypot(36, 24)
"""Millimetres, of the 35 mm film that equivalent focal lengths are given for."""

PICTURE_PIXELS = 256
"""Longer side of the pictures that are shown in a panel."""

Report = Callable[..., None]


@dataclass(frozen=True)
class Job:
    """What to do.

    Attributes:
        task: one of `TASKS`.
        weights: folder of weight files.
        cache: folder of intermediate results.
        out: folder for the result's files, which is there.
        video: the footage.
        options: by their names in `conversion.Options`, those that are not the default; `focal_mm` in place of `focal`
            is for 35 mm film.
        reuse: whether to keep intermediate results, and to go on from those that are there.
        items: of the registry, for `fetch`.
    """

    task: str
    weights: str
    cache: str
    out: str
    video: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    reuse: bool = True
    items: tuple[str, ...] = ()


def serve(job: Job, lines: IO[str]) -> int:
    """Do a job and tell of it in ``lines``; return the exit status."""

    def report(event: str, **content: Any) -> None:
        lines.write(json.dumps({"event": event, **content}) + "\n")
        lines.flush()

    try:
        report("result", value=TASKS[job.task](job, report))
    except Exception as error:
        traceback.print_exc()
        report("error", message=_sentence(error, job))
        return 1
    return 0


def _sentence(error: Exception, job: Job) -> str:
    from ..body.bodyfile import BodyError
    from ..registry import RegistryError

    if isinstance(error, ImportError):
        return (
            f"The package {error.name} can't be loaded ({error}): install Video Motion again, in the edition for this"
            " system and this Blender."
        )
    told: tuple[type[Exception], ...] = (RegistryError, BodyError)
    try:
        from ..conversion import NobodyFoundError
        from ..footage.reader import FootageError
        from ..pose.session import NetworkError
    except ImportError:
        pass
    else:
        told += (NetworkError, FootageError, NobodyFoundError)
    if isinstance(error, told):
        return str(error)
    if isinstance(error, MemoryError):
        return f"The memory is not enough for {job.video}: close other programs, or choose a shorter part of it."
    if isinstance(error, OSError):
        place, advice = Path(error.filename or job.out), "check the folder and its disk"
        if place.is_relative_to(job.cache):
            place, advice = Path(job.cache), "make room there, or choose another cache folder in the preferences"
        return f"{place} can't be used ({error.strerror or error}): {advice}."
    return (
        f"{job.video or job.task} gave no result because of a fault in Video Motion ({type(error).__name__}: {error})."
    )


def _look(job: Job, report: Report) -> dict[str, Any]:
    """What a video is like: its size, length and rate, its first frame as a picture, and the devices to run on."""
    from ..pose.devices import devices

    answer: dict[str, Any] = {"devices": [vars(device) for device in devices()]}
    if job.video:
        from ..footage.reader import Footage

        with Footage(job.video) as footage:
            first = next(iter(footage))
            answer |= {
                "width": footage.width,
                "height": footage.height,
                "frame_rate": footage.frame_rate,
                "frames": footage.frame_count,
                "seconds": footage.duration,
                "picture": _write_picture(Path(job.out) / "first.png", first.image),
                "warnings": footage.warnings,
            }
    return answer


def _find(job: Job, report: Report) -> dict[str, Any]:
    """The people of a video, each with a picture."""
    from .. import conversion
    from ..footage.reader import IMAGES_FRAME_RATE, Footage

    options = _options(job)
    found = conversion.find_people(Path(job.video), options, _progress(report), _cache(job))
    people = []
    best = {}
    for track in found.tracks:
        row = int((track.scores * track.boxes[:, 3]).argmax())
        best.setdefault(int(track.frames[row]), []).append((track.number, track.boxes[row]))
        people.append(
            {
                "person": track.number,
                "first": float(track.timestamps[0]),
                "last": float(track.timestamps[-1]),
                "share": len(track) / len(found.frames),
            }
        )
    pictures = {}
    rate = options.frame_rate or IMAGES_FRAME_RATE
    with Footage(job.video, options.start, options.end, rate) as footage:
        for frame in footage:
            for number, box in best.pop(frame.number, ()):
                file = Path(job.out) / f"person-{number}.png"
                pictures[number] = _write_picture(file, _cut(frame.image, box))
            if not best:
                break
    return {"people": [{**person, "picture": pictures.get(person["person"], "")} for person in people]}


def _convert(job: Job, report: Report) -> dict[str, Any]:
    """The motions of a video's people, as files, and the report."""
    from .. import conversion

    result = conversion.convert_footage(Path(job.video), _options(job), _progress(report), _cache(job))
    files = []
    for motion in result.motions:
        file = Path(job.out) / f"person-{motion.person}.motion.npz"
        motion.save(file)
        files.append(str(file))
    return {"motions": files, "body": str(result.body_path), "report": result.report}


def _fetch(job: Job, report: Report) -> dict[str, Any]:
    """Weight files that are missing or damaged."""
    from .. import registry

    registry.use_folder(Path(job.weights))
    for item in job.items:
        name = registry.items()[item].file
        registry.path(
            item, progress=lambda done, total, name=name: report("progress", stage=name, done=done, total=total)
        )
    return {}


TASKS: Mapping[str, Callable[[Job, Report], dict[str, Any]]] = {
    "look": _look,
    "find": _find,
    "convert": _convert,
    "fetch": _fetch,
}


def focal_pixels(video: Path, millimetres: float) -> float:
    """The focal length in pixels of a video, from that for 35 mm film.

    Raises:
        FootageError: the video can't be read.
    """
    from ..footage.reader import Footage

    with Footage(video) as footage:
        return millimetres * math.hypot(footage.width, footage.height) / FILM_DIAGONAL


def _options(job: Job) -> Any:
    import numpy as np

    from .. import estimators, registry
    from ..conversion import BLAZEPOSE, Options

    registry.use_folder(Path(job.weights))
    given = dict(job.options)
    if given.get("body"):
        given["body"] = Path(given["body"])
    given["shapes"] = {int(person): np.array(betas) for person, betas in given.get("shapes", {}).items()}
    film = given.pop("focal_mm", None)
    if film is not None:
        given["focal"] = focal_pixels(Path(job.video), film)
    options = Options(**given)
    # Blender's user decides when anything is fetched.
    for item in (*BLAZEPOSE, *estimators.NETWORKS[options.network]):
        registry.path(item, fetch=False)
    if options.body is None:
        registry.body_path(fetch=False)
    return options


def _cache(job: Job) -> Any:
    from ..cache import Cache

    return Cache(Path(job.cache)) if job.reuse else None


def _progress(report: Report) -> Callable[[str, int, int | None], None]:
    """Tell of progress now and then, of the beginning and end of a stage always."""
    last: dict[str, float] = {}

    def tell(stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if done == total or now - last.get(stage, 0.0) >= PROGRESS_SECONDS:
            last[stage] = now
            report("progress", stage=stage, done=done, total=total)

    return tell


def _cut(image: Any, box: Any) -> Any:
    """The square of an image (H, W, 3) around a box (4,)."""
    import cv2

    left, top, width, height = box
    side = max(1.15 * max(width, height), 16.0)
    size = (round(side), round(side))
    return cv2.getRectSubPix(image, size, (left + width / 2, top + height / 2))


def _write_picture(file: Path, image: Any) -> str:
    import cv2

    scale = min(1.0, PICTURE_PIXELS / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Not `imwrite`, which on Windows can't write to every path.
    file.write_bytes(cv2.imencode(".png", small)[1].tobytes())
    return str(file)
