"""Scores of estimators against the truth: same person, frames and joints; BlazePose's own landmarks first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...body.skeleton import JOINT_NAMES
from ...body.smpl import Body
from ...motion.estimate import as_seen
from ...motion.motion import Motion
from . import metrics
from .truth import EvaluationError, Truth

BLAZEPOSE = "BlazePose"

Scores = dict[str, float]

UNITS = {
    "frames": "",
    "true frames": "",
    "MPJPE": "mm",
    "PA-MPJPE": "mm",
    "MPJPE, landmarks": "mm",
    "PA-MPJPE, landmarks": "mm",
    "MPJPE, 14 joints": "mm",
    "PA-MPJPE, 14 joints": "mm",
    "PVE": "mm",
    "Accel": "mm/frame²",
    "disagreement": "mm",
    "worlds apart": "mm",
    "error x": "mm",
    "error y": "mm",
    "error z": "mm",
    "MPJPE, clip turned": "mm",
    "limb lengths": "%",
    "sides exchanged": "%",
    "sides exchanged, image": "%",
    "Accel (SI)": "m/s²",
    "jitter": "10 m/s³",
    "true jitter": "10 m/s³",
    "world jitter": "10 m/s³",
    "foot sliding": "cm/frame",
    "standing knees": "°",
    "reprojection": "px",
    "reprojection, box": "%",
    "root depth": "mm",
    "EMDB MPJPE": "mm",
    "EMDB PA-MPJPE": "mm",
    "EMDB MVE": "mm",
    "EMDB MPJAE": "°",
    "EMDB PA-MPJAE": "°",
    "EMDB jitter": "10 m/s³",
}
"""All measures and their units, in the table's order. Those before EMDB's, except PVE, use the 12 limb joints."""

_SUMS = ("frames", "true frames")
_MEANS_OF_SEQUENCES = ("EMDB jitter",)
_FEET = [JOINT_NAMES.index("left_foot"), JOINT_NAMES.index("right_foot")]
_CHUNK = 64


@dataclass(frozen=True)
class Evaluation:
    """Estimators on one person of one clip.

    Attributes:
        table: scores by estimator.
        frames: (n,) numbers of the frames in which every estimator has the person.
        frame_rate: frames per second.
        errors: (n, 12) by estimator, distance of each limb joint after root alignment, mm.
    """

    table: dict[str, Scores]
    frames: np.ndarray
    frame_rate: float
    errors: dict[str, np.ndarray]

    @classmethod
    def from_missed(cls, names: Sequence[str], truth: Truth) -> Evaluation:
        """The evaluation of estimators that have not found the person."""
        missed = {name: {"frames": 0.0, "true frames": float(len(truth))} for name in (BLAZEPOSE, *names)}
        return cls(missed, np.zeros(0, int), truth.frame_rate, {})


def detected_rows(motion: Motion) -> np.ndarray:
    """Rows of the frames in which the person was detected."""
    return np.flatnonzero(~motion.bridged.astype(bool))


def find_person(motions: Sequence[Motion], truth: Truth) -> Motion | None:
    """The motion whose boxes overlap most with the true person's (sum of IoU over the frames), None if none does."""

    def overlap(motion: Motion) -> float:
        rows = detected_rows(motion)
        _, at, true_rows = np.intersect1d(motion.frames[rows], truth.frames, return_indices=True)
        first, second = motion.boxes[rows[at]], truth.boxes[true_rows]
        low = np.maximum(first[:, :2], second[:, :2])
        high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
        common = np.clip(high - low, 0, None).prod(axis=1)
        union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - common
        return float((common / np.maximum(union, 1e-9)).sum())

    best = max(motions, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0 else None


def evaluate(motions: Sequence[Motion], truth: Truth, body: Body, regressor: np.ndarray | None = None) -> Evaluation:
    """Score estimators, BlazePose's own landmarks first, in the frames in which all of them have the person.

    Args:
        motions: all estimated motions of the clip; one person of each estimator is the true one.
        truth: the true motion.
        body: the body of the motions.
        regressor: `Bodies.regressor`, for the joints that papers compare.

    Raises:
        EvaluationError: an estimator has no motion of the true person.
    """
    people: dict[str, Motion] = {}
    for name in dict.fromkeys(motion.estimator for motion in motions):
        person = find_person([motion for motion in motions if motion.estimator == name], truth)
        if person is not None:
            people[name] = person
    frames = truth.frames
    for person in people.values():
        frames = np.intersect1d(frames, person.frames[detected_rows(person)])
    if not people or len(people) < len({motion.estimator for motion in motions}):
        raise EvaluationError("Nobody was found where the true person is.")
    true_rows = np.searchsorted(truth.frames, frames)
    table: dict[str, Scores] = {}
    errors: dict[str, np.ndarray] = {}
    for name, person in people.items():
        rows = np.searchsorted(person.frames, frames)
        if not table:
            table[BLAZEPOSE], errors[BLAZEPOSE] = _score_landmarks(person, rows, truth, true_rows)
        table[name], errors[name] = _score_motion(person, rows, truth, true_rows, body, regressor)
    return Evaluation(table, frames, truth.frame_rate, errors)


def pool(evaluations: Sequence[Evaluation]) -> dict[str, Scores]:
    """Scores by estimator over all clips.

    Frames are added up, all other measures are means over clips weighted by frames; only EMDB's jitter counts each clip
    once, as EMDB does.
    """
    table: dict[str, Scores] = {}
    for name in dict.fromkeys(name for one in evaluations for name in one.table):
        clips = [one.table[name] for one in evaluations if name in one.table]
        table[name] = scores = {}
        for measure in UNITS:
            values = np.array([clip.get(measure, np.nan) for clip in clips])
            known = np.isfinite(values)
            if not known.any():
                continue
            if measure in _SUMS:
                scores[measure] = float(values[known].sum())
                continue
            weights = None if measure in _MEANS_OF_SEQUENCES else [clip["frames"] for clip in clips]
            weights = None if weights is None else np.array(weights)[known]
            scores[measure] = float(np.average(values[known], weights=weights))
    return table


def _over_time(limbs: np.ndarray, true: np.ndarray, frames: np.ndarray, frame_rate: float) -> Scores:
    """Position and smoothness of limb joints (N, 12, 3)."""
    centred, true_centred = metrics.align_root(limbs, metrics.HIPS), metrics.align_root(true, metrics.HIPS)
    return {
        **metrics.scores(limbs, true, frames),
        **metrics.decomposition(limbs, true),
        "Accel (SI)": metrics.accel_error_si(centred, true_centred, frame_rate, frames),
        "jitter": metrics.jitter(centred, frame_rate, frames),
        "true jitter": metrics.jitter(true_centred, frame_rate, frames),
    }


def _shared(limbs: np.ndarray, pixels: np.ndarray, truth: Truth, true_rows: np.ndarray) -> tuple[Scores, np.ndarray]:
    """Measures of limb joints (n, 12, 3) and their pixels (n, 12, 2), and each joint's error (n, 12)."""
    true, true_pixels = truth.limbs[true_rows], truth.pixels[true_rows]
    distance, percent = metrics.reprojection_error(pixels, true_pixels, truth.boxes[true_rows, 3])
    exchanged = metrics.sides_exchanged(pixels, true_pixels)
    scores = {
        "frames": float(len(true_rows)),
        "true frames": float(len(truth)),
        **_over_time(limbs, true, truth.frames[true_rows], truth.frame_rate),
        "sides exchanged, image": 100 * float(exchanged.mean()) if len(exchanged) else float("nan"),
        "reprojection": distance,
        "reprojection, box": percent,
    }
    return scores, metrics.joint_errors(limbs, true)


def _score_landmarks(
    motion: Motion, rows: np.ndarray, truth: Truth, true_rows: np.ndarray
) -> tuple[Scores, np.ndarray]:
    """The measures that apply to the BlazePose landmarks of a motion."""
    world = motion.world_landmarks[rows][:, metrics.LIMB_LANDMARKS]
    return _shared(world, motion.landmarks[rows][:, metrics.LIMB_LANDMARKS, :2], truth, true_rows)


def _score_motion(
    motion: Motion,
    rows: np.ndarray,
    truth: Truth,
    true_rows: np.ndarray,
    body: Body,
    regressor: np.ndarray | None,
) -> tuple[Scores, np.ndarray]:
    frames, rate = truth.frames[true_rows], truth.frame_rate
    joints, world = motion.joints_cam[rows], motion.joints_world[rows]
    limbs = joints[:, metrics.LIMB_JOINTS]
    scores, errors = _shared(limbs, metrics.project(limbs, motion.camera_K), truth, true_rows)
    scores["world jitter"] = metrics.jitter(world[:, metrics.LIMB_JOINTS], rate, frames)
    if truth.contacts is not None:
        scores["foot sliding"] = metrics.foot_sliding(world[:, _FEET], truth.contacts[true_rows], frames)
    if truth.pelvis is not None and len(rows):
        scores["root depth"] = 1000 * float(np.abs(joints[:, 0, 2] - truth.pelvis[true_rows, 2]).mean())
    if truth.limbs_are_landmarks and len(rows):
        landmarks = as_seen(body).landmark_positions(motion.poses_cam[rows], motion.betas, motion.trans_cam[rows])
        compared = landmarks[:, metrics.LIMB_LANDMARKS], truth.limbs[true_rows]
        scores |= {"MPJPE, landmarks": metrics.mpjpe(*compared), "PA-MPJPE, landmarks": metrics.pa_mpjpe(*compared)}
    if truth.joints is not None:
        true = truth.joints[true_rows]
        scores |= {
            "EMDB MPJPE": metrics.mpjpe(joints, true, metrics.SMPL_HIPS),
            "EMDB PA-MPJPE": metrics.pa_mpjpe(joints, true),
            "EMDB jitter": metrics.emdb_jitter(joints, rate, frames),
        }
        if truth.poses is not None:
            estimated = body.global_rotations(motion.poses_cam[rows])[:, metrics.EMDB_ROTATION_JOINTS]
            true_rotations = body.global_rotations(truth.poses[true_rows])[:, metrics.EMDB_ROTATION_JOINTS]
            scores["EMDB MPJAE"] = metrics.mpjae(estimated, true_rotations)
            scores["EMDB PA-MPJAE"] = metrics.pa_mpjae(estimated, true_rotations, joints, true)
    return scores | _surface_errors(motion, rows, truth, true_rows, body, regressor), errors


def _surface_errors(
    motion: Motion,
    rows: np.ndarray,
    truth: Truth,
    true_rows: np.ndarray,
    body: Body,
    regressor: np.ndarray | None,
) -> Scores:
    """PVE from the pelvis and EMDB's MVE from the hips, if truth and estimate have surfaces of the same vertices.

    With a regressor also the errors of the joints that it makes of them.
    """
    if truth.body is None or truth.poses is None or truth.betas is None or not len(rows):
        return {}
    if not np.array_equal(truth.body.faces, body.faces):
        return {}
    totals = dict.fromkeys(("PVE", "EMDB MVE"), 0.0)
    if regressor is not None:
        totals |= dict.fromkeys(("MPJPE, 14 joints", "PA-MPJPE, 14 joints"), 0.0)
    for start in range(0, len(rows), _CHUNK):
        poses = motion.poses_cam[rows[start : start + _CHUNK]]
        true_poses = truth.poses[true_rows[start : start + _CHUNK]]
        joints, true_joints = body.joints(poses, motion.betas), truth.body.joints(true_poses, truth.betas)
        surface, true_surface = body.vertices(poses, motion.betas), truth.body.vertices(true_poses, truth.betas)
        for measure, root in (("PVE", [0]), ("EMDB MVE", list(metrics.SMPL_HIPS))):
            origin, true_origin = joints[:, root].mean(axis=1), true_joints[:, root].mean(axis=1)
            totals[measure] += len(poses) * metrics.pve(surface, true_surface, origin, true_origin)
        if regressor is not None:
            found, wanted = (regressor @ one for one in (surface, true_surface))
            compared = [(one - one[:, :1])[:, metrics.PAPER_JOINTS] for one in (found, wanted)]
            apart = 1000 * np.linalg.norm(compared[0] - compared[1], axis=-1)
            totals["MPJPE, 14 joints"] += float(apart.mean(axis=1).sum())
            totals["PA-MPJPE, 14 joints"] += len(poses) * metrics.pa_mpjpe(*compared)
    return {measure: total / len(rows) for measure, total in totals.items()}


def evaluate_without_truth(motions: Sequence[Motion]) -> dict[str, Scores]:
    """Scores by estimator and person without truth: jitter, and distance from BlazePose's landmarks in the image.

    Landmarks are weighted by visibility. BlazePose's own column has the jitter of its world landmarks.
    """
    table: dict[str, Scores] = {}
    for motion in motions:
        rows = detected_rows(motion)
        frames, rate = motion.frames[rows], motion.frame_rate
        limbs = motion.joints_cam[rows][:, metrics.LIMB_JOINTS]
        marks = motion.landmarks[rows][:, metrics.LIMB_LANDMARKS]
        pixels, percent = metrics.reprojection_error(
            metrics.project(limbs, motion.camera_K), marks[..., :2], motion.boxes[rows, 3], marks[..., 2]
        )
        world = motion.world_landmarks[rows][:, metrics.LIMB_LANDMARKS]
        person = f", person {motion.person}"
        table[BLAZEPOSE + person] = {
            "frames": float(len(rows)),
            "jitter": metrics.jitter(metrics.align_root(world, metrics.HIPS), rate, frames),
        }
        table[motion.estimator + person] = {
            "frames": float(len(rows)),
            "jitter": metrics.jitter(metrics.align_root(limbs, metrics.HIPS), rate, frames),
            "world jitter": metrics.jitter(motion.joints_world[rows][:, metrics.LIMB_JOINTS], rate, frames),
            "foot sliding": metrics.foot_sliding(
                motion.joints_world[rows][:, _FEET], motion.contacts[rows] > 0.5, frames
            ),
            "standing knees": metrics.standing_knees(motion.joints_cam[rows], motion.contacts[rows] > 0.5),
            "reprojection": pixels,
            "reprojection, box": percent,
        }
    return table


def markdown(table: Mapping[str, Scores]) -> str:
    """The scores as a Markdown table, one row per measure, one column per estimator."""
    names = list(table)
    lines = [f"| measure | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for measure, unit in UNITS.items():
        if not any(measure in scores for scores in table.values()):
            continue
        cells = [cell(scores.get(measure, float("nan")), whole=not unit) for scores in table.values()]
        lines.append(f"| {measure}{f' ({unit})' if unit else ''} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def markdown_by_place(tables: Mapping[str, Mapping[str, Scores]], measures: Sequence[str]) -> str:
    """Scores by place (a camera, their mean) and estimator as a Markdown table, one row each."""
    titles = [measure + (f" ({UNITS[measure]})" if UNITS[measure] else "") for measure in measures]
    lines = [f"| estimator | camera | {' | '.join(titles)} |", f"|---|---|{'---:|' * len(measures)}"]
    for name in dict.fromkeys(name for table in tables.values() for name in table):
        for place, table in tables.items():
            scores = table.get(name, {})
            cells = [cell(scores.get(measure, float("nan")), whole=not UNITS[measure]) for measure in measures]
            lines.append(f"| {name} | {place} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(value: float, whole: bool) -> str:
    """A measure as the tables show it, with three digits or as a whole number."""
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if whole else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
