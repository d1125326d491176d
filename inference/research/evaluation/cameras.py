"""Scores estimators on the synchronised videos of calibrated cameras: against the truth and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import zips
from ...body.skeleton import LANDMARK_NAMES
from ...body.smpl import Body
from ...errors import reason
from ...motion.motion import Motion
from . import metrics
from .calibration import CalibratedCamera
from .scores import BLAZEPOSE, Evaluation, Scores, detected_rows, evaluate, find_person, pool
from .triangulation import Triangulation, bone_variation, triangulate
from .truth import EvaluationError, Truth, boxes_around

MEAN = "mean"

MEASURES = (
    "frames",
    "MPJPE",
    "PA-MPJPE",
    "MPJPE, landmarks",
    "PA-MPJPE, landmarks",
    "Accel",
    "disagreement",
    "worlds apart",
    "error x",
    "error y",
    "error z",
    "MPJPE, clip turned",
    "limb lengths",
    "sides exchanged",
    "sides exchanged, image",
    "reprojection",
)
"""What the table shows."""

_FILE_NAMES = tuple(
    f"{side}_{part}"
    for parts in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    for side in ("left", "right")
    for part in parts
)
_FILE_ORDER = [_FILE_NAMES.index(name) for name in metrics.LIMB_NAMES]


@dataclass(frozen=True)
class View:
    """What one camera filmed.

    Attributes:
        camera: in the size of its video.
        motions: all estimated motions of its video; none if nobody was found.
    """

    camera: CalibratedCamera
    motions: Sequence[Motion]


def read_joints(file: Path) -> np.ndarray:
    """True joints (N, 12, 3) of a file, in the order of `metrics.LIMB_NAMES`.

    The file is an .npz with `joints` (N, 12, 3): metres in the calibration's world, NaN where unknown, one row for each
    frame of the videos from 0; left shoulder, elbow, wrist, the right ones, left hip, knee, ankle, the right ones.

    Raises:
        EvaluationError: it can't be read, or is something else.
    """
    try:
        zips.check_zip(file)
        with np.load(file, allow_pickle=False) as archive:
            joints = np.array(archive["joints"], dtype=np.float64)
    except FileNotFoundError as error:
        raise EvaluationError(f"{file} does not exist.") from error
    except Exception as error:  # np.load raises many kinds on damaged files
        raise EvaluationError(f"{file} has no joints that can be read ({reason(error)}).") from error
    if joints.ndim != 3 or joints.shape[1:] != (12, 3):
        raise EvaluationError(f"{file} has joints {joints.shape}: 12 of each frame are needed, (frames, 12, 3).")
    return joints[:, _FILE_ORDER]


def triangulate_people(views: Sequence[View]) -> Triangulation:
    """The true limb joints by BlazePose's landmarks in all cameras, of the person most on screen in each.

    Raises:
        EvaluationError: nobody was found in two of the videos.
    """
    found = [(view.camera, min(view.motions, key=lambda motion: motion.person)) for view in views if view.motions]
    if len(found) < 2:
        raise EvaluationError("Nobody was found in at least two videos: give the true joints with --truth.")
    count = 1 + max(int(motion.frames[-1]) for _, motion in found)
    marks = np.zeros((len(found), count, len(LANDMARK_NAMES), 3))
    heights = np.ones(len(found))
    for number, (_, motion) in enumerate(found):
        rows = detected_rows(motion)
        marks[number, motion.frames[rows]] = motion.landmarks[rows]
        heights[number] = np.median(motion.boxes[rows, 3])
    marks = marks[:, :, metrics.LIMB_LANDMARKS]
    return triangulate([camera for camera, _ in found], marks[..., :2], marks[..., 2], heights)


def truth_of(camera: CalibratedCamera, joints: np.ndarray, frame_rate: float) -> Truth:
    """The truth as a camera sees it, in the frames in which all limb joints (N, 12, 3) of the world are known.

    Raises:
        EvaluationError: they are in no frame.
    """
    known = np.flatnonzero(np.isfinite(joints).all(axis=(1, 2)))
    if not len(known):
        raise EvaluationError("The cameras agree in no frame on all joints: are they synchronised and calibrated?")
    pixels = camera.pixels(joints[known])
    return Truth(
        frames=known,
        frame_rate=frame_rate,
        camera_K=camera.K,
        limbs=camera.to_camera(joints[known]),
        pixels=pixels,
        boxes=boxes_around(pixels),
        limbs_are_landmarks=True,
    )


def score(views: Sequence[View], joints: np.ndarray, body: Body) -> tuple[dict[str, Evaluation], dict[str, Scores]]:
    """Evaluations by camera, and each estimator's mean over all cameras.

    Frames are matched by number, so the videos must begin at the same moment and have the same rate.

    Args:
        views: of all cameras.
        joints: (N, 12, 3) true limb joints in the world, NaN where unknown.
        body: of the motions.

    Raises:
        EvaluationError: the true person was found by no camera.
    """
    names = list(dict.fromkeys(motion.estimator for view in views for motion in view.motions))
    results: dict[str, Evaluation] = {}
    people: dict[str, dict[int, Motion]] = {name: {} for name in names}
    for number, view in enumerate(views):
        rate = view.motions[0].frame_rate if view.motions else 1.0
        truth = truth_of(view.camera, joints, rate)
        try:
            results[view.camera.name] = evaluate(view.motions, truth, body)
        except EvaluationError:
            results[view.camera.name] = Evaluation.from_missed(names, truth)
            continue
        for name in names:
            person = find_person([motion for motion in view.motions if motion.estimator == name], truth)
            if person is not None:
                people[name][number] = person
    if not any(people.values()):
        raise EvaluationError("Nobody was found where the true person is.")
    mean = pool(list(results.values()))
    cameras = [view.camera for view in views]
    for name in (BLAZEPOSE, *names):
        own = people.get(name, people[names[0]])
        measured = {"disagreement": metrics.disagreement(_limbs(cameras, own, name))}
        if name != BLAZEPOSE:
            measured["worlds apart"] = metrics.worlds_apart(_limbs(cameras, own, name, in_world=True))
        for measure, (apart, of_each) in measured.items():
            mean[name][measure] = apart
            for camera, value in zip(cameras, of_each, strict=True):
                results[camera.name].table.setdefault(name, {})[measure] = float(value)
    return results, mean


def by_place(results: Mapping[str, Evaluation], mean: Mapping[str, Scores]) -> dict[str, Mapping[str, Scores]]:
    """The tables of all cameras, and that of their mean."""
    return {**{name: result.table for name, result in results.items()}, MEAN: mean}


def _limbs(
    cameras: Sequence[CalibratedCamera], people: Mapping[int, Motion], name: str, in_world: bool = False
) -> np.ndarray:
    """(C, N, 12, 3) limb joints of the person that some cameras (by number) have found, NaN elsewhere.

    From the hips in the calibration's axes, or in each estimate's own world.
    """
    count = 1 + max(int(person.frames[-1]) for person in people.values())
    views = np.full((len(cameras), count, len(metrics.LIMB_NAMES), 3), np.nan)
    for number, person in people.items():
        rows = detected_rows(person)
        if in_world:
            views[number, person.frames[rows]] = person.joints_world[rows][:, metrics.LIMB_JOINTS]
            continue
        if name == BLAZEPOSE:
            limbs = person.world_landmarks[rows][:, metrics.LIMB_LANDMARKS]
        else:
            limbs = person.joints_cam[rows][:, metrics.LIMB_JOINTS]
        views[number, person.frames[rows]] = metrics.align_root(limbs, metrics.HIPS) @ cameras[number].rotation
    return views


def describe(triangulation: Triangulation) -> str:
    """How good the triangulated truth is, one sentence."""
    return (
        f"The truth is triangulated from BlazePose's landmarks: its joints are {triangulation.reprojection:.1f} px from"
        f" them, {triangulation.rejected:.1f} % of the landmarks were rejected, the length of its bones varies by"
        f" {bone_variation(triangulation.joints):.1f} cm."
    )
