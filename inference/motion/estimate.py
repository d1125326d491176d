"""SMPL fitted to the landmarks of people in a video.

Each frame is fitted by damped least squares to a person's 2D and 3D landmarks, with bones of constant length and
anatomical limits. Fit and offline smoothing alternate, so that the result is smooth where the evidence is weak and
sharp where it is strong. Finally, standing feet are held in place.

The `landmarks` estimator uses BlazePose's world landmarks as the 3D evidence and needs no training. The other
estimators use the body that a network estimates instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import spill
from ..body import rotations
from ..body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from ..body.smpl import Body
from ..camera.intrinsics import Camera
from ..people.track import Track
from ..pose.pose_estimate import PoseEstimate
from . import standing
from .agreement import reconciled
from .fit import Evidence, Fit, ShapedBody, fit, solve_translation, view_rotations
from .footing import Footing
from .motion import Motion
from .subject import Subject, limb_length, shape_from_limbs, shape_of_height

Progress = Callable[[int, int], None]

# What `estimate` does for each person, in steps of about equal duration.
_FIRST_FIT, _REFITS, _BALANCE, _FEET = 2, 2, 1, 1

# Standard deviation of a well visible landmark, as a share of the person's size in the image.
_PIXEL_NOISE = {"hip": 0.026, "shoulder": 0.017, "index": 0.023, "pinky": 0.023, "thumb": 0.023}
_PIXEL_NOISE_ELSE = 0.014
# What remains of the visibility that BlazePose claims for what is outside the image, where all of the trunk is and only
# a face is inside: there it guesses, and draws all towards what it sees.
_OUTSIDE = 0.03
# Of world landmarks, metres, and how much less certain they are along the line of sight.
_WORLD_NOISE, _WORLD_DEPTH_FACTOR = 0.10, 5.0
# How much lower BlazePose sees hips and knees of people in clothes than of rendered bodies, as shares of the way to the
# next landmark: the trunk of people who stand is 0.69 of their legs (four, in a street and a hall), of our body 0.61.
_SEEN_LOWER = {"hip": ("knee", 0.09), "knee": ("ankle", 0.05)}
# A network's errors last for many frames, which count as independent: by how much its own σ is too small for the fit.
_ESTIMATE_CAUTION = 5.0

_HIPS = [LANDMARK_NAMES.index("left_hip"), LANDMARK_NAMES.index("right_hip")]
_FACE = [LANDMARK_NAMES.index(name) for name in ("nose", "left_eye", "right_eye")]
_TORSO = [LANDMARK_NAMES.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
# joint, its rest direction's start and end landmark
_SWINGS = tuple(
    (
        JOINT_NAMES.index(f"{side}_{joint}"),
        LANDMARK_NAMES.index(f"{side}_{start}"),
        LANDMARK_NAMES.index(f"{side}_{end}"),
    )
    for joint, start, end in (
        ("shoulder", "shoulder", "elbow"),
        ("elbow", "elbow", "wrist"),
        ("hip", "hip", "knee"),
        ("knee", "knee", "ankle"),
    )
    for side in ("left", "right")
)
# SMPL's joints and the landmarks whose visibility gives their scores.
_SCORE_LANDMARKS = {
    "pelvis": ("left_hip", "right_hip"),
    "spine1": ("left_hip", "right_hip"),
    "spine2": ("left_shoulder", "right_shoulder"),
    "spine3": ("left_shoulder", "right_shoulder"),
    "neck": ("left_shoulder", "right_shoulder"),
    "head": ("nose", "left_ear", "right_ear"),
    "collar": ("shoulder",),
    "foot": ("foot_index",),
    "hand": ("index", "pinky"),
}


def estimate(
    tracks: list[Track],
    frames: np.ndarray,
    timestamps: np.ndarray,
    camera: Camera,
    body: Body,
    footing: Footing,
    smoothing: float = 1.0,
    feet: float = 1.0,
    shapes: Mapping[int, np.ndarray] | None = None,
    progress: Progress = lambda done, total: None,
    pose_estimates: Sequence[PoseEstimate] | None = None,
    estimator: str = "landmarks",
    height: float | None = None,
) -> list[Motion]:
    """Animate a body for each track.

    Args:
        tracks: the people of one video.
        frames: (M,) numbers of all frames of the footage, also of those in which nobody was seen.
        timestamps: (M,) their seconds.
        camera: the camera that filmed them, with a rotation for every frame of the footage.
        body: the body model.
        footing: judges which heels and toes stand.
        smoothing: 1 as measured best, 0 for none, more for calmer motion.
        feet: strength with which standing feet are held, 1 as measured best, 0 not at all.
        shapes: β (10,) that people are known to have, by the number of their track; others' are estimated.
        progress: called with the number of steps done and their total.
        pose_estimates: a network's, of each track; without them BlazePose's world landmarks are the 3D evidence.
        estimator: name of what made the pose estimates.
        height: how tall people are known to be, metres; whose β is given keeps it.

    Returns:
        One `Motion` per track, from its first to its last frame, gaps bridged.
    """
    done, total = 0, len(tracks) * (_FIRST_FIT + _REFITS + _BALANCE + _FEET)

    def step(steps: int = 1) -> None:
        nonlocal done
        done += steps
        progress(done, total)

    subjects, transform = stand(
        tracks, frames, timestamps, camera, body, smoothing, shapes, step, pose_estimates, height
    )
    stands = [footing.standing(standing.steps(subject, transform)) for subject in subjects]
    if camera.world is None:
        transform = standing.lower_floor(subjects, transform, stands, _sizes_known(subjects, shapes, height))
    motions = []
    for subject, probability in zip(subjects, stands, strict=True):
        if feet > 0:
            standing.plant_feet(subject, transform, probability, smoothing, feet)
        step(_FEET)
        # A foot stands if its heel or its toes do.
        by_foot = probability.reshape(-1, 2, 2).max(1)
        motions.append(_motion(subject, transform, camera, by_foot, estimator))
    return motions


def stand(
    tracks: list[Track],
    frames: np.ndarray,
    timestamps: np.ndarray,
    camera: Camera,
    body: Body,
    smoothing: float = 1.0,
    shapes: Mapping[int, np.ndarray] | None = None,
    step: Callable[[int], None] = lambda steps: None,
    pose_estimates: Sequence[PoseEstimate] | None = None,
    height: float | None = None,
) -> tuple[list[Subject], np.ndarray]:
    """People on their floor, in balance, whose feet may still slide, and the first camera's pose (4, 4) in the world.

    Args: as of `estimate`; ``step`` is called with the number of steps done since the last call.
    """
    body, shapes = as_seen(body), shapes or {}
    subjects = []
    for number, track in enumerate(tracks):
        pose_estimate = None if pose_estimates is None else pose_estimates[number]
        shape = shapes.get(track.number)
        subject = _fit_frames(track, pose_estimate, shape, height, frames, timestamps, camera, body)
        step(_FIRST_FIT)
        for strength in (0.5, 0.25):
            subject.refit(smoothing, strength, steps=4)
            step(_REFITS // 2)
        subject.smooth(smoothing)
        subjects.append(subject)
    sizes_known = _sizes_known(subjects, shapes, height)
    if camera.world is None:
        standing.find_pace(subjects)
        transform = standing.estimate_floor(subjects, camera.lines, sizes_known)
    else:
        transform = camera.world
    for subject, size_known in zip(subjects, sizes_known, strict=True):
        if not size_known:
            standing.scale_to_floor(subject, transform)
        standing.keep_balance(subject, transform, smoothing)
        step(_BALANCE)
    return subjects, transform


def _sizes_known(subjects: list[Subject], shapes: Mapping[int, np.ndarray] | None, height: float | None) -> list[bool]:
    return [height is not None or subject.track.number in (shapes or {}) for subject in subjects]


def _fit_frames(
    track: Track,
    pose_estimate: PoseEstimate | None,
    shape: np.ndarray | None,
    height: float | None,
    frames: np.ndarray,
    timestamps: np.ndarray,
    camera: Camera,
    body: Body,
) -> Subject:
    """A person whose frames are fitted one by one, gaps bridged."""
    rows = np.searchsorted(frames, track.frames)
    span = slice(rows[0], rows[-1] + 1)
    seconds, seen = timestamps[span], rows - rows[0]
    if pose_estimate is not None:
        track, pose_estimate = reconciled(body, pose_estimate, track)
    evidence = _evidence(track, camera)
    landmarks_3d = track.world_landmarks if pose_estimate is None else _landmarks_3d(body, pose_estimate)
    betas, size = _shape(body, landmarks_3d, track, shape, height)
    if size != 1:
        (landmarks_3d,) = spill.collect(len(track), lambda window: (np.float32(size) * landmarks_3d[window],))
    shaped_body = ShapedBody(body, betas)
    if pose_estimate is None:
        evidence.world = landmarks_3d
    else:
        # A network's body stands in the camera's axes, the evidence along the line of sight.
        (evidence.world,) = spill.collect(len(track), lambda window: (_along_sight(evidence, landmarks_3d, window),))
        evidence.world_sigma, evidence.depth_factor = _estimate_noise(body, pose_estimate)

    def fitted(window: slice) -> tuple[np.ndarray, ...]:
        part = evidence.rows(window)
        if pose_estimate is None:
            made = fit(shaped_body, part, *_start(shaped_body, part), steps=14)
        else:
            local = pose_estimate.rotations[window]
            made = fit(shaped_body, part, local, _translations(shaped_body, part, local), steps=5)
        return made.rotations, made.trans, made.information

    first = Fit(*spill.collect(len(track), fitted))
    return Subject(
        track,
        landmarks_3d,
        frames[span],
        seen,
        seconds,
        camera.rotations[span],
        camera.positions[span],
        _spread_evidence(evidence, seen, len(seconds)),
        shaped_body,
        _bridge(first, seen, seconds),
        pose_estimate,
    )


def as_seen(body: Body) -> Body:
    """The body with its landmarks where BlazePose sees those of people in clothes."""
    if body.landmark_weights is None:
        return body
    weights = body.landmark_weights.copy()
    for side in ("left", "right"):
        for seen, (below, share) in _SEEN_LOWER.items():
            row, towards = (LANDMARK_NAMES.index(f"{side}_{name}") for name in (seen, below))
            weights[row] += share * (body.landmark_weights[towards] - body.landmark_weights[row])
    return replace(body, landmark_weights=weights)


def _shape(
    body: Body, landmarks_3d: np.ndarray, track: Track, known: np.ndarray | None, height: float | None
) -> tuple[np.ndarray, float]:
    """β (10,), and how much larger it is than the landmarks say where the person's height overrules them."""
    if height is None and known is not None:
        return known, 1.0
    seen = shape_from_limbs(body, landmarks_3d, track.visibility)
    if height is None:
        return seen, 1.0
    betas = shape_of_height(body, landmarks_3d, track.visibility, height) if known is None else known
    return betas, limb_length(body, betas) / limb_length(body, seen)


def _landmarks_3d(body: Body, pose_estimate: PoseEstimate) -> np.ndarray:
    """(n, 33, 3) landmarks of an estimated body, camera axes, origin between the hips, metres."""

    def landmarks(window: slice) -> tuple[np.ndarray]:
        points = body.landmark_positions(pose_estimate.rotations[window], pose_estimate.betas[window])
        return ((points - points[:, _HIPS].mean(1, keepdims=True)).astype(np.float32),)

    return spill.collect(len(pose_estimate.rotations), landmarks)[0]


def _along_sight(evidence: Evidence, landmarks_3d: np.ndarray, window: slice) -> np.ndarray:
    """Landmarks (n, 33, 3) in camera axes as what BlazePose would say of them, in a window of frames."""
    return (landmarks_3d[window] @ view_rotations(evidence.rows(window))).astype(np.float32)


def _estimate_noise(body: Body, pose_estimate: PoseEstimate) -> tuple[np.ndarray, float]:
    """(n, 33) standard deviation of landmarks on an estimated body across the line of sight, and how much larger it is
    along it."""

    def noise(window: slice) -> tuple[np.ndarray, np.ndarray]:
        sigma = pose_estimate.sigma[window].astype(float)
        # The pelvis, from which the others are measured, has none.
        sigma[:, 0] = sigma[:, 1:3].mean(1)
        across, along = np.moveaxis(sigma[:, body.landmarks.weights.argmax(1)], -1, 0)
        return (_ESTIMATE_CAUTION * across).astype(np.float32), along / across

    across, shares = spill.collect(len(pose_estimate.sigma), noise)
    return across, float(np.median(shares))


def _evidence(track: Track, camera: Camera) -> Evidence:
    noise = np.array(
        [
            next((value for part, value in _PIXEL_NOISE.items() if name.endswith(part)), _PIXEL_NOISE_ELSE)
            for name in LANDMARK_NAMES
        ]
    )

    def sigma(window: slice) -> tuple[np.ndarray, ...]:
        points, size = track.landmarks[window], track.boxes[window, 2:].max(1)
        outside = np.any((points < 0) | (points > camera.size), axis=-1)
        portrait = outside[:, _TORSO].all(1) & ~outside[:, _FACE].any(1)
        guessed = outside & portrait[:, None]
        trust = np.clip(track.visibility[window], 0.02, 1.0) * np.where(guessed, _OUTSIDE, 1.0)
        sigmas = noise * size[:, None] / trust, _WORLD_NOISE / np.sqrt(trust)
        return tuple(one.astype(np.float32) for one in sigmas)

    pixel_sigma, world_sigma = spill.collect(len(track), sigma)
    return Evidence(
        pixels=track.landmarks,
        pixel_sigma=pixel_sigma,
        world=track.world_landmarks,
        world_sigma=world_sigma,
        camera_K=camera.K,
        depth_factor=_WORLD_DEPTH_FACTOR,
    )


def _spread_evidence(evidence: Evidence, seen: np.ndarray, n: int) -> Evidence:
    """The evidence with empty rows for the frames without detection."""
    return Evidence(
        pixels=_spread(evidence.pixels, seen, n),
        pixel_sigma=_spread(evidence.pixel_sigma, seen, n, np.inf),
        world=_spread(evidence.world, seen, n),
        world_sigma=_spread(evidence.world_sigma, seen, n, np.inf),
        camera_K=evidence.camera_K,
        depth_factor=evidence.depth_factor,
    )


def _spread(values: np.ndarray, seen: np.ndarray, n: int, empty: float = 0.0) -> np.ndarray:
    """Values (m, ...) of the frames (m,) that are seen, as (n, ...) of all n frames; not copied if those are all."""

    def part(window: slice) -> tuple[np.ndarray]:
        rows = slice(*np.searchsorted(seen, [window.start, window.stop]))
        whole = np.full((window.stop - window.start, *values.shape[1:]), empty, values.dtype)
        whole[seen[rows] - window.start] = values[rows]
        return (whole,)

    return values if len(seen) == n else spill.collect(n, part)[0]


def _start(shaped_body: ShapedBody, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Pose and translation in closed form: one rotation for the torso, limbs swung from their parents."""
    seen = np.einsum("nab,nkb->nka", view_rotations(evidence), evidence.world)
    n = len(seen)
    local = np.broadcast_to(np.eye(3), (n, 24, 3, 3)).copy()
    rest = shaped_body.landmarks
    torso_rest = rest[_TORSO] - rest[_TORSO].mean(0)
    torso_seen = seen[:, _TORSO] - seen[:, _TORSO].mean(1, keepdims=True)
    local[:, 0] = rotations.project(np.einsum("nka,kb->nab", torso_seen, torso_rest))
    for joint, start, end in _SWINGS:
        parent_rotations = shaped_body.body.global_rotations(local)[:, joint]
        before = parent_rotations @ (rest[end] - rest[start])
        swing = rotations.between(before, seen[:, end] - seen[:, start])
        local[:, joint] = np.swapaxes(parent_rotations, 1, 2) @ swing @ parent_rotations @ local[:, joint]
    return local, _translations(shaped_body, evidence, local)


def _translations(shaped_body: ShapedBody, evidence: Evidence, local: np.ndarray) -> np.ndarray:
    """(n, 3) by `solve_translation` for local rotations (n, 24, 3, 3)."""
    _, _, points = shaped_body.pose(local, np.zeros((len(local), 3)))
    return solve_translation(evidence, points)


def _bridge(seen_fit: Fit, seen: np.ndarray, seconds: np.ndarray) -> Fit:
    """The fit on all frames: gaps are interpolated and have no information."""
    filled, trans, information = (_spread(part, seen, len(seconds)) for part in vars(seen_fit).values())
    missing = np.setdiff1d(np.arange(len(seconds)), seen)
    for window in spill.windows(len(missing)):
        rows = missing[window]
        after = np.searchsorted(seen, rows)
        before = after - 1
        share = (seconds[rows] - seconds[seen[before]]) / (seconds[seen[after]] - seconds[seen[before]])
        ends = seen_fit.rotations[before], seen_fit.rotations[after]
        filled[rows] = rotations.slerp_matrices(*ends, share[:, None])
        trans[rows] = seen_fit.trans[before] + share[:, None] * (seen_fit.trans[after] - seen_fit.trans[before])
    return Fit(filled, trans, information)


def _motion(
    subject: Subject, transform: np.ndarray, camera: Camera, contact_probability: np.ndarray, estimator: str
) -> Motion:
    track, seen, n = subject.track, subject.seen, len(subject.frames)
    bridged = np.ones(n, dtype=bool)
    bridged[seen] = False
    joints, _, _ = subject.posed()

    def posed(window: slice) -> tuple[np.ndarray, np.ndarray]:
        to_world = np.broadcast_to(transform, (window.stop - window.start, 4, 4)).copy()
        to_world[:, :3, :3] = transform[:3, :3] @ subject.camera_rotations[window]
        to_world[:, :3, 3] += subject.camera_positions[window] @ transform[:3, :3].T
        return rotations.matrix_to_axis_angle(subject.fit.rotations[window]), to_world

    def detected(window: slice) -> tuple[np.ndarray, ...]:
        visibility = track.visibility[window]
        landmarks = np.concatenate([track.landmarks[window], visibility[..., None]], axis=-1)
        parts = landmarks, track.world_landmarks[window], _joint_scores(visibility)
        return tuple(part.astype(float) for part in parts)

    poses, to_world = spill.collect(n, posed)
    landmarks, world_landmarks, scores = (_spread(part, seen, n) for part in spill.collect(len(track), detected))
    boxes = np.stack([np.interp(np.arange(n), seen, column) for column in track.boxes.T], axis=1)
    return Motion(
        timestamps=subject.timestamps,
        poses_cam=poses,
        trans_cam=subject.fit.trans,
        betas=subject.shaped_body.betas,
        rest_pelvis=subject.shaped_body.joints[0],
        joints_cam=joints,
        camera_K=camera.K,
        camera_to_world=to_world,
        image_size=np.array(camera.size),
        frames=subject.frames,
        boxes=boxes,
        scores=scores,
        bridged=bridged,
        contacts=contact_probability,
        landmarks=landmarks,
        world_landmarks=world_landmarks,
        estimator=estimator,
        person=track.number,
    )


def _joint_scores(visibility: np.ndarray) -> np.ndarray:
    """(n, 24) from the landmarks' visibility (n, 33)."""
    columns = []
    for name in JOINT_NAMES:
        side, _, part = name.partition("_")
        names = _SCORE_LANDMARKS.get(name) or tuple(f"{side}_{near}" for near in _SCORE_LANDMARKS.get(part, (part,)))
        columns.append(visibility[:, [LANDMARK_NAMES.index(near) for near in names]].mean(1))
    return np.stack(columns, axis=1)
