"""Scores estimators on a clip, beside BlazePose's own world landmarks: the same frames, the same joints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import arguments, estimators, registry, report
from ..body.skeleton import JOINT_NAMES
from ..body.smpl import Body
from ..motion.motion import Motion, MotionFileError
from . import metrics

SAMPLE = Path(__file__).resolve().parents[2] / "tests" / "sample"
BLAZEPOSE = "BlazePose"

Scores = dict[str, float]

UNITS = {
    "frames": "",
    "MPJPE": "mm",
    "PA-MPJPE": "mm",
    "PVE": "mm",
    "MPJAE": "°",
    "Accel": "mm/frame²",
    "Accel (SI)": "m/s²",
    "jitter": "10 m/s³",
    "true jitter": "10 m/s³",
    "world jitter": "10 m/s³",
    "foot sliding": "cm/frame",
    "reprojection": "px",
    "reprojection, box": "%",
    "root depth": "mm",
}
"""Every measure and its unit, in the order of the table. All 3D ones but PVE and MPJAE are over the 12 limb joints."""

_FEET = [JOINT_NAMES.index("left_foot"), JOINT_NAMES.index("right_foot")]
_TURNING = [number for number, name in enumerate(JOINT_NAMES) if not name.endswith("_hand")]
_CHUNK = 64
_SAME_BODY = 2e-3


class EvaluationError(Exception):
    """The evaluation can't be made; the message is one sentence for the user."""


def matching_rows(motion: Motion, truth: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both of the frames that both have and in which the person was seen."""
    _, rows, true_rows = np.intersect1d(motion.frames, truth.frames, return_indices=True)
    seen = ~motion.bridged[rows].astype(bool)
    return rows[seen], true_rows[seen]


def find_person(motions: Sequence[Motion], truth: Motion) -> Motion | None:
    """The motion whose boxes cover the true person's best (sum of IoU over the frames), None if none does."""

    def overlap(motion: Motion) -> float:
        rows, true_rows = matching_rows(motion, truth)
        first, second = motion.boxes[rows], truth.boxes[true_rows]
        low = np.maximum(first[:, :2], second[:, :2])
        high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
        common = np.clip(high - low, 0, None).prod(axis=1)
        union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - common
        return float((common / np.maximum(union, 1e-9)).sum())

    best = max(motions, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0 else None


def _over_time(limbs: np.ndarray, true: np.ndarray, frames: np.ndarray, frame_rate: float) -> Scores:
    """Position and smoothness of limb joints (N, 12, 3)."""
    centred, true_centred = metrics.align_root(limbs, metrics.HIPS), metrics.align_root(true, metrics.HIPS)
    return {
        **metrics.scores(limbs, true, frames),
        "Accel (SI)": metrics.accel_error_si(centred, true_centred, frame_rate, frames),
        "jitter": metrics.jitter(centred, frame_rate, frames),
        "true jitter": metrics.jitter(true_centred, frame_rate, frames),
    }


def score_motion(motion: Motion, truth: Motion, body: Body) -> Scores:
    """All measures of an estimated motion; those of the surface only if the truth was made with `body`."""
    rows, true_rows = matching_rows(motion, truth)
    frames, rate = truth.frames[true_rows], truth.frame_rate
    joints, true_joints = motion.joints_cam[rows], truth.joints_cam[true_rows]
    limbs, true_limbs = joints[:, metrics.LIMB_JOINTS], true_joints[:, metrics.LIMB_JOINTS]
    world = motion.joints_world[rows]
    true_pixels = metrics.project(true_limbs, truth.camera_K)
    pixels, percent = metrics.reprojection_error(
        metrics.project(limbs, motion.camera_K), true_pixels, truth.boxes[true_rows, 3]
    )
    scores = {"frames": float(len(rows)), **_over_time(limbs, true_limbs, frames, rate)}
    turned = body.global_rotations(motion.poses_cam[rows])[:, _TURNING]
    scores |= {
        "MPJAE": metrics.mpjae(turned, body.global_rotations(truth.poses_cam[true_rows])[:, _TURNING]),
        "world jitter": metrics.jitter(world[:, metrics.LIMB_JOINTS], rate, frames),
        "foot sliding": metrics.foot_sliding(world[:, _FEET], truth.contacts[true_rows] > 0.5, frames),
        "reprojection": pixels,
        "reprojection, box": percent,
        "root depth": 1000 * float(np.abs(joints[:, 0, 2] - true_joints[:, 0, 2]).mean()),
    }
    error = _surface_error(motion, rows, truth, true_rows, body)
    return scores if error is None else scores | {"PVE": error}


def _surface_error(motion: Motion, rows: np.ndarray, truth: Motion, true_rows: np.ndarray, body: Body) -> float | None:
    again = body.joints(truth.poses_cam[true_rows], truth.betas, truth.trans_cam[true_rows])
    if np.abs(again - truth.joints_cam[true_rows]).max(initial=0) > _SAME_BODY:
        return None
    total = 0.0
    for start in range(0, len(rows), _CHUNK):
        part, true_part = rows[start : start + _CHUNK], true_rows[start : start + _CHUNK]
        total += len(part) * metrics.pve(
            body.vertices(motion.poses_cam[part], motion.betas, motion.trans_cam[part]),
            body.vertices(truth.poses_cam[true_part], truth.betas, truth.trans_cam[true_part]),
            motion.joints_cam[part, 0],
            truth.joints_cam[true_part, 0],
        )
    return total / len(rows) if len(rows) else None


def score_landmarks(motion: Motion, truth: Motion) -> Scores:
    """The same measures, as far as they make sense, of the BlazePose landmarks that a motion was made from."""
    rows, true_rows = matching_rows(motion, truth)
    limbs = motion.world_landmarks[rows][:, metrics.LIMB_LANDMARKS]
    true_limbs = truth.joints_cam[true_rows][:, metrics.LIMB_JOINTS]
    pixels, percent = metrics.reprojection_error(
        motion.landmarks[rows][:, metrics.LIMB_LANDMARKS, :2],
        metrics.project(true_limbs, truth.camera_K),
        truth.boxes[true_rows, 3],
    )
    return {
        "frames": float(len(rows)),
        **_over_time(limbs, true_limbs, truth.frames[true_rows], truth.frame_rate),
        "reprojection": pixels,
        "reprojection, box": percent,
    }


def evaluate(motions: Sequence[Motion], truth: Motion, body: Body) -> dict[str, Scores]:
    """Scores by estimator, BlazePose's own landmarks first.

    Args:
        motions: everything that the estimators made of the clip; of each estimator one person is the true one.
        truth: the true motion.
        body: the body of all of them.

    Raises:
        EvaluationError: no motion lies where the true person is.
    """
    table: dict[str, Scores] = {}
    for name in dict.fromkeys(motion.estimator for motion in motions):
        person = find_person([motion for motion in motions if motion.estimator == name], truth)
        if person is not None:
            table.setdefault(BLAZEPOSE, score_landmarks(person, truth))
            table[name] = score_motion(person, truth, body)
    if not table:
        raise EvaluationError("Nobody was found where the true person is.")
    return table


def evaluate_without_truth(motions: Sequence[Motion]) -> dict[str, Scores]:
    """Scores by estimator and person that need no truth: jitter, and distance from BlazePose's landmarks in the image.

    Landmarks count by their visibility. BlazePose's own row is the jitter of its world landmarks.
    """
    table: dict[str, Scores] = {}
    for motion in motions:
        rows = np.flatnonzero(~motion.bridged.astype(bool))
        frames, rate = motion.frames[rows], motion.frame_rate
        limbs = motion.joints_cam[rows][:, metrics.LIMB_JOINTS]
        seen = motion.landmarks[rows][:, metrics.LIMB_LANDMARKS]
        pixels, percent = metrics.reprojection_error(
            metrics.project(limbs, motion.camera_K), seen[..., :2], motion.boxes[rows, 3], seen[..., 2]
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
            "reprojection": pixels,
            "reprojection, box": percent,
        }
    return table


def markdown(table: dict[str, Scores]) -> str:
    """The scores as a Markdown table, one row per measure, one column per estimator."""
    names = list(table)
    lines = [f"| measure | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for measure, unit in UNITS.items():
        if not any(measure in scores for scores in table.values()):
            continue
        cells = [_cell(scores.get(measure, float("nan")), whole=not unit) for scores in table.values()]
        lines.append(f"| {measure}{f' ({unit})' if unit else ''} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float, whole: bool) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if whole else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def run(options: argparse.Namespace) -> dict[str, Scores]:
    """Evaluate as the command line says, print the table, and write it if asked to.

    Raises:
        EvaluationError: clip and truth don't go together, or nobody was found.
    """
    if options.data is not None:
        return _run_on_data(options)
    clip: Path = options.clip or SAMPLE / "sample.mp4"
    truth_file: Path | None = options.truth or (None if options.clip else SAMPLE / "sample.truth.npz")
    if not options.no_truth and truth_file is None:
        raise EvaluationError(f"The true motion of {clip} is missing: give its file, or --no-truth.")
    motions, body, timings = _motions(clip, options)
    if options.no_truth or truth_file is None:
        table = evaluate_without_truth(motions)
    else:
        table = evaluate(motions, Motion.load(truth_file), body)
    _tell(table, clip.name, options.out, timings)
    return table


def _run_on_data(options: argparse.Namespace) -> dict[str, Scores]:
    from ..engine.temporal import TemporalNetwork
    from .data_set import evaluate_data

    files = [registry.path(file) for file in estimators.NETWORKS[options.network]]
    network = TemporalNetwork(*files, device=options.device) if files else None
    progress = report.Progress(options.data.name)
    try:
        table = evaluate_data(
            options.data,
            Body.load(registry.body_path()),
            network,
            options.sequences,
            lambda done, total: progress("sequences", done, total),
        )
    finally:
        progress.close()
    _tell(table, options.data.name, options.out, {})
    return table


def _tell(table: dict[str, Scores], name: str, out: Path | None, timings: object) -> None:
    text = markdown(table)
    print(text, end="", flush=True)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    scores = {
        row: {measure: None if np.isnan(value) else value for measure, value in of.items()} for row, of in table.items()
    }
    content: dict[str, object] = {"clip": name, "units": UNITS, "scores": scores, "timings": timings}
    stem = Path(name).stem
    report.write_json(out / f"{stem}.scores.json", content)
    (out / f"{stem}.scores.md").write_text(text, encoding="utf-8")


def _motions(clip: Path, options: argparse.Namespace) -> tuple[list[Motion], Body, object]:
    if options.motion:
        return [Motion.load(file) for file in options.motion], Body.load(registry.body_path()), {}
    from ..pipeline import Options, convert_footage

    progress = report.Progress(clip.name)
    try:
        result = convert_footage(clip, Options(network=options.network, device=options.device), progress)
    finally:
        progress.close()
    return result.motions, result.body, result.report.get("timings", {})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from ..engine.session import EngineError
    from ..footage import FootageError
    from ..pipeline import NobodyFoundError
    from .records import ShardError

    faults = (EvaluationError, MotionFileError, FootageError, NobodyFoundError, EngineError, ShardError)
    parser = argparse.ArgumentParser(prog="video-motion evaluate", description=__doc__)
    arguments.add_evaluation(parser)
    try:
        run(parser.parse_args(argv))
    except (*faults, registry.RegistryError) as error:
        report.say(f"video-motion: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
