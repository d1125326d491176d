"""A person while their motion is being estimated, and how that motion is smoothed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import spill
from ..body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from ..body.smpl import Body
from ..people.track import Track
from ..pose.pose_estimate import PoseEstimate
from .fit import Evidence, Fit, Prior, ShapedBody, fit
from .smoothing import MARGIN, smooth, smooth_rotations

# Usual accelerations of each joint's rotation, radians per second².
_ACCELERATION = {
    "pelvis": 7.5,
    "spine1": 4.0,
    "spine2": 4.0,
    "spine3": 4.0,
    "neck": 7.5,
    "head": 7.5,
    "collar": 4.0,
    "foot": 7.5,
    "ankle": 15.0,
    "wrist": 15.0,
    "hip": 15.0,
    "knee": 22.5,
    "shoulder": 20.0,
    "elbow": 25.0,
    "hand": 2.5,
}
_TRANS_ACCELERATION = 3.0
# Thighs, shins and trunk, from joint to joint. Where they point along the line of sight estimates show them too long,
# and who crouches so seems too far away: by this share for all of them, when who is upright is right to the second.
_ALONG = np.array([[1, 4], [2, 5], [4, 7], [5, 8], [0, 12]])
_TOO_FAR, _RIGHT = 0.2, 0.006
# How far a hand shakes a camera, metres, and how it is carried apart from that.
_SHAKE, _CAMERA_ACCELERATION = 0.02, 0.5
_LIMB_LANDMARKS = (
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_hip", "left_knee"),
    ("right_hip", "right_knee"),
    ("left_knee", "left_ankle"),
    ("right_knee", "right_ankle"),
)
LIMBS = np.array([[LANDMARK_NAMES.index(name) for name in pair] for pair in _LIMB_LANDMARKS])
# BlazePose's world landmarks vary most across the trunk.
_LENGTH_NOISE = np.array([0.05, 0.10] + [0.025] * 10)
# Relative to the world landmarks, between which people's size is looked for.
_SMALLEST, _LARGEST = 0.6, 1.6
_HALVINGS = 16


@dataclass
class Subject:
    """One person of the footage, n frames from the first to the last in which they were seen.

    Attributes:
        track: the person's detections.
        landmarks_3d: (m, 33, 3) for the track's m frames, camera axes, origin between the hips, metres.
        frames: (n,) frame numbers.
        seen: rows of the n frames in which the track has detections.
        timestamps: (n,) seconds.
        camera_rotations: (n, 3, 3) rotation from each frame's camera space into the footage's first frame's.
        camera_positions: (n, 3) in that space, metres once `pace` has found their size.
        evidence: landmarks, empty rows where there are none.
        shaped_body: body and shape.
        fit: the motion so far.
        pose_estimate: a network's, for the track's m frames; None without one.
    """

    track: Track
    landmarks_3d: np.ndarray
    frames: np.ndarray
    seen: np.ndarray
    timestamps: np.ndarray
    camera_rotations: np.ndarray
    camera_positions: np.ndarray
    evidence: Evidence
    shaped_body: ShapedBody
    fit: Fit
    pose_estimate: PoseEstimate | None = None

    def refit(
        self,
        smoothing: float,
        strength: float,
        steps: int,
        constrain: Callable[[Prior, slice], None] = lambda prior, window: None,
    ) -> None:
        """Fit again, starting from the current motion, near what `smoothed_prior` makes of it.

        Args:
            smoothing: see `smoothed_prior`,
            strength: of the prior, too.
            steps: see `fit`.
            constrain: adds to the prior of a window of frames.
        """

        def again(window: slice, prior: Prior) -> Fit:
            constrain(prior, window)
            now = self.fit
            evidence = self.evidence.rows(window)
            return fit(self.shaped_body, evidence, now.rotations[window], now.trans[window], prior, steps)

        self._change(smoothing, strength, again)

    def smooth(self, smoothing: float) -> None:
        """Smooth the current motion."""

        def smoothed(window: slice, prior: Prior) -> Fit:
            return Fit(prior.rotations, prior.trans, self.fit.information[window])

        self._change(smoothing, 1.0, smoothed)

    def _change(self, smoothing: float, strength: float, make: Callable[[slice, Prior], Fit]) -> None:
        """Replace the motion by what is made of each window of frames and the prior for it."""
        n = len(self.frames)
        (distance,) = spill.collect(n, lambda window: (np.linalg.norm(_path(self, window)[0], axis=1),), MARGIN)
        usual = float(np.median(distance))

        def changed(window: slice) -> tuple[np.ndarray, ...]:
            around = slice(max(window.start - MARGIN, 0), min(window.stop + MARGIN, n))
            inside = slice(window.start - around.start, window.stop - around.start)
            part = make(window, smoothed_prior(self, smoothing, strength, around, usual).rows(inside))
            return part.rotations, part.trans, part.information

        self.fit = Fit(*spill.collect(n, changed))

    def distance_trust(self, window: slice) -> np.ndarray:
        """(n,) how far their distance is known in a window of frames: 1 for somebody upright, less if foreshortened."""
        _, joints, _ = self.shaped_body.pose(self.fit.rotations[window], self.fit.trans[window])
        first, last = joints[:, _ALONG[:, 0]], joints[:, _ALONG[:, 1]]
        limb, sight = last - first, last + first
        square = (limb * sight).sum(-1) ** 2 / ((limb**2).sum(-1) * (sight**2).sum(-1))
        return 1 / (1 + (_TOO_FAR / _RIGHT * square.mean(1)) ** 2)

    def posed(
        self, landmarks: Sequence[int] = (), turned: Sequence[int] = ()
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The current motion's joints (n, 24, 3), the landmarks chosen (n, k, 3), and the global rotations chosen.

        Args:
            landmarks: k numbers of landmarks.
            turned: r numbers of joints, whose rotations (n, r, 3, 3) are returned.
        """

        def pose(window: slice) -> tuple[np.ndarray, ...]:
            whole, joints, seen = self.shaped_body.pose(self.fit.rotations[window], self.fit.trans[window])
            return joints, seen[:, list(landmarks)], whole[:, list(turned)]

        joints, points, global_rotations = spill.collect(len(self.frames), pose)
        return joints, points, global_rotations


def shape_from_limbs(body: Body, world: np.ndarray, visibility: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """(10,) β whose limbs are as long as those of the world landmarks over the whole clip.

    Args:
        body: the body model.
        world: (n, 33, 3) world landmarks, metres.
        visibility: (n, 33).
        scale: size of the person relative to the world landmarks.
    """

    def limbs(window: slice) -> tuple[np.ndarray, np.ndarray]:
        points = world[window]
        lengths = np.linalg.norm(points[:, LIMBS[:, 0]] - points[:, LIMBS[:, 1]], axis=-1)
        return lengths, visibility[window][:, LIMBS].min(-1) + 1e-3

    lengths, trust = spill.collect(len(world), limbs)
    measured = scale * np.array([_middle(*limb) for limb in zip(lengths.T, trust.T, strict=True)])
    betas = np.zeros(body.shapedirs.shape[-1])
    directions = body.landmarks.shapedirs
    sigma = _LENGTH_NOISE / np.sqrt(np.clip(trust.mean(0), 0.05, 1))
    for _ in range(4):
        rest = body.rest_landmarks(betas)
        bones = rest[LIMBS[:, 0]] - rest[LIMBS[:, 1]]
        long = np.linalg.norm(bones, axis=1)
        slope = np.einsum("la,lab->lb", bones / long[:, None], directions[LIMBS[:, 0]] - directions[LIMBS[:, 1]])
        slope /= sigma[:, None]
        normal = slope.T @ slope + np.eye(len(betas))
        betas = betas + np.linalg.solve(normal, slope.T @ ((measured - long) / sigma) - betas)
    return np.clip(betas, -3, 3)


def _middle(values: np.ndarray, weights: np.ndarray) -> float:
    """The weighted median of (n,) values."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return values[order[(cumulative < cumulative[-1] / 2).sum()]]


def shape_of_height(body: Body, world: np.ndarray, visibility: np.ndarray, height: float) -> np.ndarray:
    """(10,) β of a body as tall as `height`, in metres, or as near to it as β allows.

    The proportions are those of the world landmarks; other arguments as in `shape_from_limbs`.
    """
    small, large = _SMALLEST, _LARGEST
    for _ in range(_HALVINGS):
        scale = (small + large) / 2
        if body.height(shape_from_limbs(body, world, visibility, scale)) < height:
            small = scale
        else:
            large = scale
    return shape_from_limbs(body, world, visibility, (small + large) / 2)


def limb_length(body: Body, betas: np.ndarray) -> float:
    """All limbs' length together, metres."""
    rest = body.rest_landmarks(betas)
    return float(np.linalg.norm(rest[LIMBS[:, 0]] - rest[LIMBS[:, 1]], axis=1).sum())


def smoothed_prior(subject: Subject, smoothing: float, strength: float, window: slice, usual: float) -> Prior:
    """The current motion in a window of frames, smoothed, as a prior for the next fit.

    The camera's shaking is removed before smoothing and added back after it.

    Args:
        subject: the person.
        smoothing: 1 as measured best, 0 for none, more for calmer motion.
        strength: of the prior, 1 for a standard deviation of 4 degrees.
        window: the frames.
        usual: the person's distance from the camera, metres.
    """
    seconds, camera_rotations = subject.timestamps[window], subject.camera_rotations[window]
    n = len(seconds)
    local_rotations, trans = subject.fit.rotations[window], subject.fit.trans[window]
    if smoothing > 0:
        acceleration = np.array(
            [next(value for part, value in _ACCELERATION.items() if name.endswith(part)) for name in JOINT_NAMES]
        )
        weights = np.clip(subject.fit.information[window], 0.5, 900.0)
        stabilised = local_rotations.copy()
        stabilised[:, 0] = camera_rotations @ stabilised[:, 0]
        local_rotations = smooth_rotations(stabilised, weights, seconds, acceleration / smoothing)
        local_rotations[:, 0] = np.swapaxes(camera_rotations, 1, 2) @ local_rotations[:, 0]
        path, unsteady = _path(subject, window)
        trust = subject.distance_trust(window)
        path = _smooth_path(path, trust, subject.evidence.rows(window), seconds, smoothing, usual) - unsteady
        trans = np.einsum("nji,nj->ni", camera_rotations, path) - subject.shaped_body.joints[0]
    return Prior(
        rotations=local_rotations,
        rotation_sigma=np.full((n, 24), np.radians(4.0) / strength),
        trans=trans,
        trans_sigma=np.full((n, 3), 0.04 / strength),
        targets=np.zeros((n, 33, 3)),
        target_sigma=np.full((n, 33), np.inf),
        floor_axes=np.zeros((n, 2, 3)),
        balance_sigma=np.full(n, np.inf),
    )


def _path(subject: Subject, window: slice) -> tuple[np.ndarray, np.ndarray]:
    """Where the pelvis is (n, 3), seen by a camera that doesn't shake, and how far (n, 3) it shakes."""
    eyes, turns = subject.camera_positions[window], subject.camera_rotations[window]
    # A camera's unsteady travel doesn't shake whom it films.
    unsteady = eyes - _steadied(eyes, subject.timestamps[window])
    pelvis = subject.fit.trans[window] + subject.shaped_body.joints[0]
    return np.einsum("nij,nj->ni", turns, pelvis) + unsteady, unsteady


def _steadied(positions: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """A camera's positions (n, 3) without shaking."""
    if not positions.any() or len(positions) < 3:
        return positions
    return smooth(positions[..., None], np.full(positions.shape, 1 / _SHAKE**2), seconds, _CAMERA_ACCELERATION)[..., 0]


def _smooth_path(
    path: np.ndarray, trust: np.ndarray, evidence: Evidence, seconds: np.ndarray, smoothing: float, usual: float
) -> np.ndarray:
    """Smooth positions seen from the origin: precise across the line of sight, along it known from size only, as far as
    `Subject.distance_trust` goes."""
    distance = np.linalg.norm(path, axis=1, keepdims=True)
    curves = np.concatenate([path / distance, np.log(distance)], axis=1) * usual
    precision = 1 / evidence.pixel_sigma.astype(float) ** 2
    across = np.minimum(precision.sum(1) * (evidence.camera_K[0, 0] / usual) ** 2, 1 / 0.008**2)
    along = trust * (precision.sum(1) > 0) / (0.015 * usual) ** 2
    idle = 0.05
    weights = np.stack([across, across, across, along], axis=1) + idle
    smoothed = smooth(curves[..., None], weights, seconds, _TRANS_ACCELERATION / smoothing)[..., 0] / usual
    sight = smoothed[:, :3] / np.linalg.norm(smoothed[:, :3], axis=1, keepdims=True)
    return sight * np.exp(smoothed[:, 3:])
