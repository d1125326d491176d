"""Scores estimators, and BlazePose's own world landmarks: same frames, same joints."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from ... import console, estimators, registry
from ...atomic import atomic_write, write_json
from ...batch.inputs import Call, VideoInput
from ...body.smpl import Body
from ...cache import Cache
from ...camera.given import GivenCamera
from ...estimators import own_files
from ...motion.motion import Motion
from ...paths import ROOT
from ...pose.temporal import kind_of, own_weights
from .scores import (
    BLAZEPOSE,
    UNITS,
    Evaluation,
    Scores,
    evaluate,
    evaluate_without_truth,
    markdown,
    markdown_by_place,
    pool,
)
from .truth import Bodies, EvaluationError, Truth

SAMPLE = ROOT / "tests" / "sample"


Work = Callable[[Iterator[VideoInput]], None]
"""Lets somebody work on calls. Raises `EvaluationError` if one has no result."""


def run(options: argparse.Namespace, work: Callable[[Iterator[VideoInput]], int]) -> dict[str, Scores]:
    """Evaluate with the options of the command line, print the table, and write it and plots if `options.out` is set.

    Args:
        options: those of the command line.
        work: lets somebody work on calls, and returns the exit status.

    Raises:
        EvaluationError: clip and truth don't match, a data set can't be read, or nobody was found.
        BodyError: a body file is damaged.
    """
    if options.weights is not None and (kind := kind_of(options.weights)) not in options.network:
        raise EvaluationError(f"{options.weights} holds {kind}, which is not scored: choose it by --network {kind}.")
    if not options.motion:
        for file in dict.fromkeys(file for name in options.network for file in estimators.NETWORKS[name]):
            registry.path(file)
    if options.cameras is not None:
        return _run_on_cameras(options)
    if options.scenes is not None:
        return _run_on_scenes(options, _complete(work))
    if options.data is not None:
        return _run_on_data(options, _complete(work))
    if options.layout is not None:
        return _run_on_layout(options)
    return _run_on_clip(options)


def _run_on_clip(options: argparse.Namespace) -> dict[str, Scores]:
    clip: Path = options.clip or SAMPLE / "sample.mp4"
    truth_file: Path | None = options.truth or (None if options.clip else SAMPLE / "sample.truth.npz")
    if not options.no_truth and truth_file is None:
        raise EvaluationError(f"The true motion of {clip} is missing: give its file, or --no-truth.")
    true_motion = None if options.no_truth or truth_file is None else Motion.load(truth_file)
    bodies = Bodies(options.smpl)
    motions, body, timings = _motions(clip, options, bodies, None if true_motion is None else true_motion.camera_K)
    if true_motion is None:
        table = evaluate_without_truth(motions)
        _output(table, clip.stem, options.out, {"clip": clip.name, "timings": timings})
        return table
    result = evaluate(motions, Truth.from_motion(true_motion, body), body)
    _output(result.table, clip.stem, options.out, {"clip": clip.name, "timings": timings}, {clip.stem: result})
    return result.table


def _run_on_layout(options: argparse.Namespace) -> dict[str, Scores]:
    from ...conversion import NobodyFoundError
    from ...footage.reader import FootageError
    from .layouts.clip import clips

    if options.clip or options.motion or options.no_truth:
        raise EvaluationError("--layout has its own clips and truth: leave out CLIP, --motion and --no-truth.")
    if options.root is None:
        raise EvaluationError(f"The folder of {options.layout} is missing: give it to --root.")
    bodies = Bodies(options.smpl)
    regressor = bodies.regressor
    results: dict[str, Evaluation] = {}
    for clip in islice(clips(options.layout, options.root, bodies), options.clips):
        camera_K, frame_rate = clip.truths[0].camera_K, clip.truths[0].frame_rate
        names = [clip.name]
        if len(clip.truths) > 1:
            names = [f"{clip.name}, person {number}" for number in range(1, len(clip.truths) + 1)]
        people = dict(zip(names, clip.truths, strict=True))
        results |= {name: Evaluation.from_missed(options.network, truth) for name, truth in people.items()}
        try:
            motions, body, _ = _motions(clip.footage, options, bodies, camera_K, frame_rate)
        except (NobodyFoundError, FootageError) as error:
            console.say(f"video-motion: {error}")
            continue
        for name, truth in people.items():
            try:
                results[name] = evaluate(motions, truth, body, regressor)
            except EvaluationError as error:
                console.say(f"video-motion: {name}: {error}")
    table = pool(list(results.values()))
    if not table[BLAZEPOSE]["frames"]:
        raise EvaluationError(f"Nobody was found where the true people of {options.root} are.")
    content = {"layout": options.layout, "clips": {name: _json(result.table) for name, result in results.items()}}
    _output(table, options.layout, options.out, content, results)
    return table


def _run_on_cameras(options: argparse.Namespace) -> dict[str, Scores]:
    from ...footage.reader import Footage
    from . import calibration, cameras

    folder: Path = options.cameras
    if options.clip or options.no_truth:
        raise EvaluationError("--cameras has its own videos: leave out CLIP and --no-truth.")
    if not folder.is_dir():
        raise EvaluationError(f"{folder} is not a folder: give --cameras the folder of the videos.")
    calibrated = calibration.read_calibration(options.calibration or calibration.find_calibration(folder))
    joints = None if options.true_joints is None else cameras.read_joints(options.true_joints)
    bodies = Bodies(options.smpl)
    given = [Motion.load(file) for file in options.motion]
    body = Body.load(bodies.neutral or registry.body_path())
    views = []
    with tempfile.TemporaryDirectory() as kept:
        for camera, video in calibration.pair_with_videos(calibrated, folder):
            with Footage(video) as footage:
                camera = camera.filming((footage.width, footage.height), video)
            motions = [motion for motion in given if motion.provenance.get("video") == video.name]
            if not options.motion:
                motions = _motions_if_any(video, options, bodies, camera.K, Cache(Path(kept)))
            elif not motions:
                console.say(f"video-motion: No motion file is of {video}.")
            views.append(cameras.View(camera, motions))
    about = f"The truth is that of {options.true_joints}."
    if joints is None:
        triangulation = cameras.triangulate_people(views)
        joints, about = triangulation.joints, cameras.describe(triangulation)
    results, mean = cameras.score(views, joints, body)
    tables = cameras.by_place(results, mean)
    content = {
        "cameras": folder.name,
        "truth": about,
        "by camera": {name: _json(result.table) for name, result in results.items()},
    }
    text = f"{about}\n\n{markdown_by_place(tables, cameras.MEASURES)}"
    _output(mean, folder.resolve().name, options.out, content, results, text)
    return mean


def _run_on_scenes(options: argparse.Namespace, work: Work) -> dict[str, Scores]:
    from .scenes import score
    from .scenes.recipes import RECIPES, read_recipes

    if options.clip or options.motion or options.no_truth or options.smpl:
        raise EvaluationError(
            "--scenes has its own clips, truth and body: leave out CLIP, --motion, --no-truth, --smpl."
        )
    if options.data is None:
        raise EvaluationError("The recordings of the scenes are missing: give --data the folder of the training data.")
    file = (RECIPES if options.scenes == Path() else options.scenes).absolute()
    recipes, data = read_recipes(file), options.data.absolute()
    wanted = [name for name in recipes.scenes if not options.only or name in options.only]
    if not wanted:
        raise EvaluationError(f"There is no such scene: choose from {', '.join(recipes.scenes)}.")
    given = {name: getattr(options, name) for name in ("quality", "device", "network", "true_focal", "true_camera")}
    own = [] if options.weights is None else own_files(options.weights.absolute())
    given["weights"] = str(own[0]) if own else None
    read = [str(one) for one in (file, data / "library.npz", data / "looks.npz", *own) if one.exists()]
    tables = {}
    with _results(options) as folder:
        calls = {}
        for name, kind in product(wanted, recipes.cameras):
            arguments = {"recipes": str(file), "data": str(data), "name": name, "kind": kind, "options": given}
            call = Call("evaluation.evaluate:score_scene", arguments, read)
            calls[name, kind] = VideoInput(Path(f"{name}, {kind}"), folder / f"{name}-{kind}", call=call)
        work(iter(calls.values()))
        for place, one in calls.items():
            answer = json.loads(one.report.read_text(encoding="utf-8"))
            if answer["message"]:
                console.say(f"video-motion: {answer['message']}")
            tables[place] = answer["scores"]
    summary = score.summarise(tables)
    by_scene = {
        name: {f"{scene}, {camera}": scores for (scene, camera), scores in rows.items()}
        for name, rows in summary.items()
    }
    mean = {name: rows[score.ALL, score.ALL] for name, rows in summary.items()}
    content = {"by scene": {name: _json(rows) for name, rows in by_scene.items()}}
    _output(mean, "scenes", options.out, content, text=score.markdown(summary), units=score.MEASURES)
    return mean


def score_scene(
    out: Path,
    progress: Callable[[str, int, int | None], None],
    recipes: str,
    data: str,
    name: str,
    kind: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Film a scene with one kind of camera, estimate and score; a call. Returns scores by estimator and person.

    Raises:
        MocapError, EvaluationError: as `film.film`.
    """
    from ...conversion import NobodyFoundError
    from .scenes import film, score
    from .scenes.recipes import read_recipes

    body = Body.load(registry.body_path())
    (scene,) = film.film(read_recipes(Path(recipes)), Path(data), body, [name], progress, [kind])
    given = argparse.Namespace(**options, motion=[])
    given.weights = given.weights and Path(given.weights)
    motions: list[Motion] = []
    message = ""
    with tempfile.TemporaryDirectory(dir=out.parent) as kept:
        if given.true_camera:
            given.camera_file = _true_camera(scene.people, Path(kept) / "camera.npz")
        try:
            K, rate = scene.people[0].camera_K, scene.frame_rate
            motions, _, _ = _motions(scene.footage, given, Bodies(), K, rate, Cache(Path(kept)), progress)
        except NobodyFoundError as error:
            message = str(error)
    return {"scores": score.score(scene, motions, given.network, body), "message": message}


@contextlib.contextmanager
def _results(options: argparse.Namespace) -> Iterator[Path]:
    """A folder for what calls answer, where a cluster sees it; it is removed unless something fails."""
    options.data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".evaluation-", dir=options.data))
    yield folder
    shutil.rmtree(folder)


def _complete(work: Callable[[Iterator[VideoInput]], int]) -> Work:
    """Let somebody work, and go on only if all is done."""

    def complete(calls: Iterator[VideoInput]) -> None:
        if work(calls):
            raise EvaluationError("Not everything could be scored, so there is no table.")

    return complete


def _true_camera(people: Sequence[Motion], path: Path) -> Path:
    """Write the camera that filmed people for `Options.camera_file`."""
    longest = max(people, key=len)
    size = (int(longest.image_size[0]), int(longest.image_size[1]))
    GivenCamera(path, size, longest.camera_K, longest.camera_to_world, longest.timestamps).save()
    return path


def _motions_if_any(
    clip: Path,
    options: argparse.Namespace,
    bodies: Bodies,
    camera_K: np.ndarray,
    cache: Cache,
    frame_rate: float | None = None,
) -> list[Motion]:
    """All estimators' motions of a clip; none if nobody is found in it, which is told."""
    from ...conversion import NobodyFoundError

    try:
        motions, _, _ = _motions(clip, options, bodies, camera_K, frame_rate, cache)
    except NobodyFoundError as error:
        console.say(f"video-motion: {error}")
        return []
    return motions


def _run_on_data(options: argparse.Namespace, work: Work) -> dict[str, Scores]:
    from . import data_set

    with _results(options) as folder:
        calls = data_set.calls(
            options.data,
            folder,
            options.network,
            options.device,
            options.sequences,
            options.weights,
            Bodies(options.smpl).neutral,
        )
        work(iter(calls))
        table = data_set.pooled(calls)
    _output(table, options.data.name, options.out, {"clip": options.data.name, "timings": {}})
    return table


def _output(
    table: dict[str, Scores],
    name: str,
    out: Path | None,
    about: Mapping[str, object],
    results: Mapping[str, Evaluation] | None = None,
    text: str | None = None,
    units: Mapping[str, str] = UNITS,
) -> None:
    """Print the table, or `text`; write it to `out` as Markdown and JSON, with plots of the results by clip."""
    text = text or markdown(table)
    print(text, end="", flush=True)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"{name}.scores.json", {**about, "units": units, "scores": _json(table)})
    with atomic_write(out / f"{name}.scores.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    plotted = {clip: result for clip, result in (results or {}).items() if len(result.frames)}
    if not plotted:
        return
    from . import plot

    estimated = next(iter(plotted.values())).errors
    joined = {column: np.concatenate([result.errors[column] for result in plotted.values()]) for column in estimated}
    plot.per_joint(joined, name, out / f"{name}.per_joint.png")
    for clip, result in plotted.items():
        file = out / f"{clip.replace('/', '_')}.over_time.png"
        plot.over_time(result.errors, result.frames, result.frame_rate, clip, file)


def _json(table: Mapping[str, Scores]) -> dict[str, dict[str, float | None]]:
    return {
        column: {measure: None if np.isnan(value) else value for measure, value in scores.items()}
        for column, scores in table.items()
    }


def _motions(
    clip: Path,
    options: argparse.Namespace,
    bodies: Bodies,
    camera_K: np.ndarray | None,
    frame_rate: float | None = None,
    cache: Cache | None = None,
    tell: Callable[[str, int, int | None], None] | None = None,
) -> tuple[list[Motion], Body, dict[str, object]]:
    """All estimators' motions of a clip, their body, and the seconds that each stage took."""
    body_file = bodies.neutral
    if options.motion:
        return [Motion.load(file) for file in options.motion], Body.load(body_file or registry.body_path()), {}
    from ...conversion import convert_footage
    from ...models import load_models
    from ...options import Options

    focal = float(camera_K[0, 0]) if options.true_focal and camera_K is not None else None
    # Of the command's own options `network` is several, and `smpl` a folder of bodies.
    common = replace(Options.from_arguments(options), smpl=body_file, focal=focal, frame_rate=frame_rate)
    motions: list[Motion] = []
    timings: dict[str, object] = {}
    body = None
    for network in options.network:
        progress = console.Progress(f"{clip.name}, {network}")
        try:
            # They are one network's.
            chosen = replace(common, network=network, weights=own_weights(common.weights, network))
            result = convert_footage(clip, chosen, load_models(chosen), tell or progress, cache)
        finally:
            progress.close()
        motions += result.motions
        timings[network] = result.report.get("timings", {})
        body = result.models.body
    assert body is not None
    return motions, body, timings
