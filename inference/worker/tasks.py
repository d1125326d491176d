"""The tasks of the worker process."""

from __future__ import annotations

import importlib
import json
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from ..errors import VideoMotionError, sentence
from ..options import Options

if TYPE_CHECKING:
    from ..cache import Cache
    from ..models import Models

PROGRESS_SECONDS = 0.1
_LONGEST_PATH = 4096
PICTURE_PIXELS = 256
"""Longer side of the pictures that the panel shows."""

Report = Callable[..., None]


class JobError(VideoMotionError):
    """What was sent is no job."""


@dataclass(frozen=True)
class Job:
    """A task and its inputs.

    Attributes:
        task: one of `TASKS`.
        weights: folder of weight files.
        cache: folder of intermediate results.
        out: existing folder for the result's files.
        video: the footage.
        options: from `Options.to_json`.
        moments: seconds of the video for each name of a picture, for `peek`.
        reuse: whether to store intermediate results and use those of earlier runs.
        part_seconds: a longer film with cuts is not converted, but its parts are returned, about as long as this; 0 for
            never.
        part: the part of the video to convert, from `Part.to_json`; None for all of it.
        reports: of the parts to join, NAME.json as the batch writes it, with the files that they name beside them.
        function: see `batch.inputs.Call`.
        arguments: the same.
        items: of the registry, for `fetch`.
        log: where the traceback of an internal error is written; empty for nowhere.
    """

    task: str
    weights: str
    cache: str
    out: str
    video: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    moments: Mapping[str, float] = field(default_factory=dict)
    reuse: bool = True
    part_seconds: float = 0.0
    part: Mapping[str, Any] | None = None
    reports: tuple[str, ...] = ()
    function: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[str, ...] = ()
    log: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the job of a line; fields of others are left out.

        Raises:
            JobError: it is none.
        """
        values = {item.name: content[item.name] for item in fields(cls) if item.name in content}
        paths = all(_is_path(values.get(name, "")) for name in ("weights", "cache", "out", "video", "log"))
        texts = [values.get(name, ()) for name in ("items", "reports")]
        if not (
            {"task", "weights", "cache", "out"} <= values.keys()
            and paths
            and values["task"] in list(TASKS)
            and isinstance(values.get("options", {}), dict)
            and isinstance(values.get("arguments", {}), dict)
            and isinstance(values.get("function", ""), str)
            and isinstance(values.get("part_seconds", 0.0), int | float)
            and all(isinstance(text, list | tuple) for text in texts)
            and all(isinstance(one, str) for text in texts for one in text)
            and all(_is_path(report) for report in texts[1])
            and _are_moments(values.get("moments", {}))
        ):
            raise JobError("The worker was sent something that is no job: install Video Motion again.")
        return cls(**values)


def _is_path(value: object) -> bool:
    """Whether a value may be the path of a file, which is there or not."""
    try:
        return isinstance(value, str) and len(os.fsencode(value)) <= _LONGEST_PATH
    except UnicodeEncodeError:
        return False


def _are_moments(value: object) -> bool:
    """Whether a value gives seconds to names that files can have."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and name.isidentifier() and isinstance(seconds, int | float) and math.isfinite(seconds)
        for name, seconds in value.items()
    )


def serve(content: Mapping[str, Any], lines: IO[str]) -> int:
    """Run the job of a line and write its events to ``lines``; return the exit status."""

    def report(event: str, **content: Any) -> None:
        lines.write(json.dumps({"event": event, **content}) + "\n")
        lines.flush()

    job = None
    try:
        job = Job.from_json(content)
        report("result", value=TASKS[job.task](job, report))
    except Exception as error:
        traceback.print_exc()
        # What was seen of a video without a result.
        message = sentence(error) if job is None else _sentence(error, job)
        report("error", message=message, report=getattr(error, "report", None))
        return 1
    return 0


def _sentence(error: Exception, job: Job) -> str:
    if isinstance(error, OSError) and not isinstance(error, VideoMotionError):
        place = Path(error.filename or job.out)
        if place.is_relative_to(job.cache):
            return (
                f"{job.cache} can't be used ({error.strerror or error}): make room there, or choose another cache"
                " folder in the preferences."
            )
        error.filename = str(place)
    return sentence(error, job.video or job.task, log=Path(job.log) if job.log else None)


def _probe(job: Job, report: Report) -> dict[str, Any]:
    """A video's size, length and frame rate, its first frame as a picture, and the available devices."""
    from ..runtime.devices import devices

    result: dict[str, Any] = {"devices": [vars(device) for device in devices()]}
    if job.video:
        from ..footage.reader import Footage

        with Footage(job.video) as footage:
            first = next(iter(footage))
            result |= {
                "width": footage.width,
                "height": footage.height,
                "frame_rate": footage.frame_rate,
                "frames": footage.frame_count,
                "seconds": footage.duration,
                "picture": _write_picture(Path(job.out) / "first.png", first.image),
                "warnings": footage.warnings,
            }
    return result


def _peek(job: Job, report: Report) -> dict[str, Any]:
    """Pictures of a video at moments."""
    from ..footage.reader import IMAGES_FRAME_RATE, Footage

    options, pictures = Options.from_json(job.options), {}
    with Footage(job.video, frame_rate=options.frame_rate or IMAGES_FRAME_RATE) as footage:
        for name, seconds in job.moments.items():
            image = footage.picture_at(max(seconds, 0.0))
            if image is not None:
                # Blender keeps what it has loaded by a file's name.
                pictures[name] = _write_picture(Path(job.out) / f"{name}-{seconds:.4f}.png", image)
    return pictures


def _find(job: Job, report: Report) -> dict[str, Any]:
    """The people of a video's shots, each with a picture."""
    from ..conversion import find_people
    from ..footage.reader import IMAGES_FRAME_RATE, Footage

    # Finding people must not fail on an unreadable body file.
    options, models = _prepare(job, smpl=None)
    people: list[dict[str, Any]] = []
    best: dict[int, list[tuple[int, int, Any]]] = {}
    for observations in find_people(Path(job.video), options, models, _progress(report), _cache(job)):
        for track in observations.tracks:
            row = int((track.scores * track.boxes[:, 3]).argmax())
            best.setdefault(int(track.frames[row]), []).append((observations.shot, track.number, track.boxes[row]))
            people.append(
                {
                    "shot": observations.shot,
                    "person": track.number,
                    "first": float(track.timestamps[0]),
                    "last": float(track.timestamps[-1]),
                    "share": len(track) / len(observations.frames),
                }
            )
    pictures: dict[tuple[int, int], str] = {}
    rate = options.frame_rate or IMAGES_FRAME_RATE
    with Footage(job.video, options.start, options.end, rate) as footage:
        for frame in footage:
            for shot, number, box in best.pop(frame.number, []):
                file = Path(job.out) / f"shot-{shot}.person-{number}.png"
                pictures[shot, number] = _write_picture(file, _cut(frame.image, box))
            if not best:
                break
    return {
        "people": [{**person, "picture": pictures.get((person["shot"], person["person"]), "")} for person in people]
    }


def _convert(job: Job, report: Report) -> dict[str, Any]:
    """The motions of the people of a video's shots, as files, in order of shots and numbers, and the report.

    Of a long video with cuts, where it is asked for, the parts instead.
    """
    from ..conversion import convert_footage
    from ..footage.parts import Part, find_parts
    from ..footage.reader import IMAGES_FRAME_RATE, Footage

    options, models = _prepare(job)
    part = None if job.part is None else Part.from_json(job.part)
    # Of a chosen shot nothing else is converted.
    if job.part_seconds > 0 and options.shot is None:
        with Footage(job.video, options.start, options.end, options.frame_rate or IMAGES_FRAME_RATE) as footage:
            parts = find_parts(footage, job.part_seconds, _progress(report))
        if len(parts) > 1:
            return {"parts": [one.to_json() for one in parts]}
    result = convert_footage(Path(job.video), options, models, _progress(report), _cache(job), part)
    files = []
    for motion in result.motions:
        file = Path(job.out) / f"shot-{motion.shot}.person-{motion.person}.motion.npz"
        motion.save(file)
        files.append(str(file))
    return {"motions": files, "body": str(models.body_path), "report": result.report}


def _join(job: Job, report: Report) -> dict[str, Any]:
    """What `_convert` returns for a whole video, from the results of its parts."""
    from .. import registry
    from ..joining import joined

    registry.use_folder(Path(job.weights))
    options = Options.from_json(job.options)
    reports = [json.loads(Path(file).read_text(encoding="utf-8")) for file in job.reports]
    motions = [
        str(Path(file).with_name(name))
        for file, one in zip(job.reports, reports, strict=True)
        for name in one["motions"]
    ]
    body = options.smpl or registry.body_path(fetch=False)
    return {"motions": motions, "body": str(body), "report": joined(reports, options)}


def _call(job: Job, report: Report) -> dict[str, Any]:
    """What a function of training or evaluation answers, and the files that it has made."""
    from .. import registry

    registry.use_folder(Path(job.weights))
    module, _, name = job.function.partition(":")
    function = getattr(importlib.import_module(f"...research.{module}", __name__), name)
    # Other files are in the job's own folder.
    out = Path(job.out) / "made"
    out.mkdir()
    answer = function(out, _progress(report), **job.arguments)
    return {"answer": answer, "files": [str(file) for file in sorted(out.iterdir())]}


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
    "look": _probe,
    "peek": _peek,
    "find": _find,
    "convert": _convert,
    "join": _join,
    "call": _call,
    "fetch": _fetch,
}


def _prepare(job: Job, **changes: Any) -> tuple[Options, Models]:
    from .. import registry
    from ..models import load_models

    registry.use_folder(Path(job.weights))
    options = replace(Options.from_json(job.options), **changes)
    # Blender's user decides when anything is fetched.
    return options, load_models(options, fetch=False)


def _cache(job: Job) -> Cache | None:
    from ..cache import Cache

    return Cache(Path(job.cache)) if job.reuse else None


def _progress(report: Report) -> Callable[[str, int, int | None], None]:
    """Report progress at intervals, and always the beginning and end of a stage."""
    last: dict[str, float] = {}

    def report_progress(stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if done == total or now - last.get(stage, 0.0) >= PROGRESS_SECONDS:
            last[stage] = now
            report("progress", stage=stage, done=done, total=total)

    return report_progress


def _cut(image: Any, box: Any) -> Any:
    """The square of an image (H, W, 3) around what it shows of a box (4,)."""
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    (left, right), (top, bottom) = (
        np.clip([box[axis], box[axis] + box[axis + 2]], 0, (width, height)[axis]) for axis in (0, 1)
    )
    side = round(max(1.15 * max(right - left, bottom - top), 16.0))
    return cv2.getRectSubPix(image, (side, side), (float(left + right) / 2, float(top + bottom) / 2))


def _write_picture(file: Path, image: Any) -> str:
    import cv2

    scale = min(1.0, PICTURE_PIXELS / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Not `imwrite`, which on Windows can't write to every path.
    file.write_bytes(cv2.imencode(".png", small)[1].tobytes())
    return str(file)
