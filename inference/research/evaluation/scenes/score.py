"""Scores estimators on filmed scenes: people in their world, over all cameras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ....body.smpl import Body
from ....motion.motion import Motion
from ...training.synthesis.contact import SOLES
from .. import metrics
from ..scores import Scores, cell, find_person
from ..scores import evaluate as evaluate_in_camera
from ..truth import EvaluationError, Truth
from . import world
from .film import FilmedScene

MEASURES = {
    "seen": "%",
    "W-MPJPE": "mm",
    "WA-MPJPE": "mm",
    "PA-MPJPE": "mm",
    "RTE": "%",
    "gravity": "°",
    "sliding": "mm",
    "floating": "mm",
    "sinking": "mm",
    "flight": "m/s²",
    "jitter": "10 m/s³",
    "reprojection": "%",
    "identity switches": "",
}
"""What the table shows, and its units."""

TRUE = "true motion"
ALL = "all"

# Measures are means over people weighted by this; others by frames. Sums are added up.
_PATH, _FRAMES, _TRUE_FRAMES, _FLOWN = "true path", "frames", "true frames", "frames in the air"
_WEIGHTS = {"seen": _TRUE_FRAMES, "RTE": _PATH, "flight": _FLOWN}
_SUMS = ("identity switches",)
# The lowest of every so many-th vertex is the body's lowest point; a body that is higher than this flies, metres.
_SOME, _AIRBORNE = 4, 0.03
# A person's estimate is one whose limbs are within this share of the box's height of the true ones.
_NEAR = 0.3


def score(scene: FilmedScene, motions: Sequence[Motion], names: Sequence[str], body: Body) -> dict[str, list[Scores]]:
    """Scores of each estimator, and of the true motion, by person. Who was not found has only the number of frames.

    Identity switches are in the first person's scores, for all.

    Args:
        scene: as filmed.
        motions: all that were estimated from it.
        names: of the estimators.
        body: of truth and estimates.
    """
    by_name = {name: [motion for motion in motions if motion.estimator == name] for name in names}
    table: dict[str, list[Scores]] = {name: [] for name in (*by_name, TRUE)}
    for true, soles in zip(scene.people, scene.soles, strict=True):
        ground = _Ground(true, soles, scene.boxes, body)
        table[TRUE].append({**_weights(true, ground), **_in_world(true, ground, np.arange(len(true)), body)})
        truth = Truth.from_motion(true, body)
        for name, some in by_name.items():
            scores: Scores = {**_weights(true, ground), _FRAMES: 0.0, "seen": 0.0}
            table[name].append(scores)
            person = find_person(some, truth)
            if person is None:
                continue
            rows = np.flatnonzero(np.isin(person.frames, true.frames))
            estimate = person.trimmed(np.isin(np.arange(len(person)), rows))
            true_rows = np.searchsorted(true.frames, estimate.frames)
            scores |= {
                _FRAMES: float(len(rows)),
                "seen": 100 * len(rows) / len(true),
                **_in_world(estimate, ground, true_rows, body),
                **_against(estimate, true.trimmed(np.isin(np.arange(len(true)), true_rows))),
            }
            try:
                in_camera = evaluate_in_camera(some, truth, body).table[name]
            except EvaluationError:
                continue
            scores |= {"PA-MPJPE": in_camera["PA-MPJPE"], "reprojection": in_camera["reprojection, box"]}
    for name, some in by_name.items():
        table[name][0]["identity switches"] = float(world.identity_switches(_distances(scene, some), _NEAR))
    return table


class _Ground:
    """Where a person truly stands.

    Attributes:
        contacts: (N, 4) which points of the feet stand.
        heights: (N,) of what is below the body's lowest point.
        airborne: (N,) whether nothing touches it.
    """

    def __init__(self, true: Motion, contacts: np.ndarray, boxes: np.ndarray, body: Body):
        points = _surface(true, body)
        rows = np.arange(len(points))
        lowest = points[rows, points[..., 2].argmin(axis=1)]
        self.contacts = contacts.astype(bool)
        self.heights = world.ground_below(lowest[:, :2], boxes)
        # Over a gap between two steps, too, people stand if a foot does.
        above = lowest[:, 2] - self.heights
        self.airborne = (above > _AIRBORNE) & ~self.contacts.any(axis=1)


def _weights(true: Motion, ground: _Ground) -> Scores:
    return {
        _FRAMES: float(len(true)),
        _TRUE_FRAMES: float(len(true)),
        _PATH: world.path_length(true.joints_world[:, 0]),
        _FLOWN: float(ground.airborne.sum()),
    }


def _surface(motion: Motion, body: Body) -> np.ndarray:
    """(N, k, 3) some of the body's vertices in the world."""
    some = np.arange(0, len(body.v_template), _SOME)
    return body.vertices_subset(some, motion.poses, motion.betas, motion.trans)


def _in_world(motion: Motion, ground: _Ground, rows: np.ndarray, body: Body) -> Scores:
    """What is wrong with a motion by itself, where the truth in its frames is that of rows (N,)."""
    soles = body.landmark_positions(motion.poses, motion.betas, motion.trans)[:, SOLES]
    standing = ~ground.airborne[rows]
    lowest = _surface(motion, body)[..., 2].min(axis=1)
    floats, sinks = world.floating(lowest[standing], ground.heights[rows][standing])
    heights = world.centre_of_mass(motion.joints_world)[:, 2]
    return {
        "sliding": world.sliding(soles, ground.contacts[rows], motion.frames),
        "floating": floats,
        "sinking": sinks,
        "flight": world.flight_error(heights, ground.airborne[rows], motion.frame_rate),
        "jitter": metrics.jitter(motion.joints_world, motion.frame_rate, motion.frames),
    }


def _against(estimate: Motion, true: Motion) -> Scores:
    """How far a motion is from the true one of the same frames."""
    joints, wanted = estimate.joints_world, true.joints_world
    up, true_up = estimate.camera_to_world[:, 2, :3], true.camera_to_world[:, 2, :3]
    return {
        "W-MPJPE": world.w_mpjpe(joints, wanted),
        "WA-MPJPE": world.wa_mpjpe(joints, wanted),
        "RTE": world.root_path_error(joints[:, 0], wanted[:, 0]),
        "gravity": float(np.median(world.gravity_errors(up, true_up))),
    }


def _distances(scene: FilmedScene, motions: Sequence[Motion]) -> np.ndarray:
    """(N, T, E) between the limbs of true and estimated people in the pictures, in heights of the true boxes."""
    count = len(scene.people[0])
    found = np.full((count, len(motions), len(metrics.LIMB_JOINTS), 2), np.nan)
    for number, motion in enumerate(motions):
        seen = ~motion.bridged.astype(bool)
        limbs = motion.joints_cam[seen][:, metrics.LIMB_JOINTS]
        found[motion.frames[seen], number] = metrics.project(limbs, motion.camera_K)
    true = [metrics.project(person.joints_cam[:, metrics.LIMB_JOINTS], person.camera_K) for person in scene.people]
    heights = np.stack([person.boxes[:, 3] for person in scene.people], axis=1)
    apart = np.linalg.norm(np.stack(true, axis=1)[:, :, None] - found[:, None], axis=-1).mean(axis=-1)
    return apart / heights[..., None]


def mean(people: Iterable[Scores]) -> Scores:
    """The scores of several people as one."""
    people = list(people)
    result: Scores = {}
    for measure in MEASURES:
        known = [one for one in people if np.isfinite(one.get(measure, np.nan))]
        if not known:
            continue
        values = np.array([one[measure] for one in known])
        weights = np.array([one[_WEIGHTS.get(measure, _FRAMES)] for one in known])
        if measure in _SUMS:
            result[measure] = float(values.sum())
        elif weights.sum() > 0:
            result[measure] = float(np.average(values, weights=weights))
    return result


def _is_of(place: tuple[str, str], mean_of: tuple[str, str]) -> bool:
    return all(wanted in (one, ALL) for one, wanted in zip(place, mean_of, strict=True))


def summarise(
    tables: Mapping[tuple[str, str], Mapping[str, Sequence[Scores]]],
) -> dict[str, dict[tuple[str, str], Scores]]:
    """Scores by estimator, and by scene and camera, then the means of each scene, of each camera, and of all.

    Args:
        tables: the scores of `score` by scene and camera.
    """
    result: dict[str, dict[tuple[str, str], Scores]] = {}
    for name in dict.fromkeys(name for table in tables.values() for name in table):
        rows = result[name] = {place: mean(table[name]) for place, table in tables.items() if name in table}
        scenes, cameras = (dict.fromkeys(place[part] for place in tables) for part in (0, 1))
        for mean_of in (*((scene, ALL) for scene in scenes), *((ALL, camera) for camera in cameras), (ALL, ALL)):
            chosen = [table.get(name, ()) for place, table in tables.items() if _is_of(place, mean_of)]
            rows[mean_of] = mean(one for people in chosen for one in people)
    return result


def markdown(summary: Mapping[str, Mapping[tuple[str, str], Scores]]) -> str:
    """The scores as a Markdown table, one row for each scene and camera; of the true motion the mean only."""
    titles = [measure + (f" ({unit})" if unit else "") for measure, unit in MEASURES.items()]
    lines = [f"| estimator | scene | camera | {' | '.join(titles)} |", f"|---|---|---|{'---:|' * len(titles)}"]
    for name, rows in summary.items():
        for (scene, camera), scores in rows.items():
            if name == TRUE and (scene, camera) != (ALL, ALL):
                continue
            cells = [cell(scores.get(measure, float("nan")), whole=not unit) for measure, unit in MEASURES.items()]
            lines.append(f"| {name} | {scene} | {camera} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
