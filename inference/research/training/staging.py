"""Sequences of moving people in front of cameras, many at once: random performances, shapes and shots.

`synthesis` makes the same kinds of sequences one at a time and draws them; these are only posed, tens of thousands of
frames a second, so that a training never sees a sequence twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...body import rotations
from ...body.skeleton import JOINT_MIRROR
from ...body.smpl import Body
from .mocap.library import Library
from .synthesis import motions
from .synthesis.contact import SOLES, foot_contacts
from .synthesis.filming import FORMATS

_POOL = 20000
_RATES = (24.0, 25.0, 30.0, 30.0, 30.0)
_UP = np.array([0.0, 1.0, 0.0])


@dataclass
class Stage:
    """B sequences of T frames; world axes have y up, camera axes are x right, y down, z forward.

    Attributes:
        local: (B, T, 24, 3, 3) local rotations, the root's in camera axes.
        betas: (B, 10).
        pelvis: (B, T, 3) in camera axes, metres.
        camera_turns: (B, T, 3, 3) rotations from a frame's camera axes into those of the sequence's first frame.
        gravity: (B, T, 3) unit vectors in camera axes.
        contacts: (B, T, 4) whether each of `SOLES` rests on the floor.
        contacts_known: (B,) whether that means anything; made-up motions have no floor.
        camera_K: (B, 3, 3) true intrinsics, pixels.
        size: (B, 2) of the image, pixels.
        rate: (B,) frames per second.
    """

    local: np.ndarray
    betas: np.ndarray
    pelvis: np.ndarray
    camera_turns: np.ndarray
    gravity: np.ndarray
    contacts: np.ndarray
    contacts_known: np.ndarray
    camera_K: np.ndarray
    size: np.ndarray
    rate: np.ndarray


class Director:
    """Stages random sequences.

    Args:
        library: of motions.
        clips: (n,) numbers of those that may be used.
        body: the body that performs them.
        split: `train` or `validation`, for image sizes.
        seed: of the pool of made-up poses.
    """

    def __init__(self, library: Library, clips: np.ndarray, body: Body, split: str, seed: int = 0):
        self.body, self.formats = body, np.array(FORMATS[split])
        self._sixd = rotations.matrix_to_sixd(rotations.axis_angle_to_matrix(library.poses)).astype(np.float32)
        self._trans, self._rate = library.trans, library.frame_rate
        self._starts, self._ends = library.starts[clips], library.starts[clips + 1]
        chances = library.weights[clips]
        self._chances = chances / chances.sum()
        rng = np.random.default_rng([seed, 5])
        pool = motions.random_poses(library, clips, _POOL, rng)
        self._pool = rotations.matrix_to_sixd(pool).astype(np.float32)
        self._leans = np.stack([motions.lean(rng) for _ in range(_POOL)])

    def stage(self, count: int, frames: int, rng: np.random.Generator) -> tuple[Stage, np.ndarray]:
        """Random sequences of `frames` frames, and their landmarks (count, frames, 33, 3) in camera axes."""
        rate = rng.choice(_RATES, count)
        kind = rng.choice(4, count, p=[0.55, 0.2, 0.2, 0.05])
        sixd, trans = self._recorded(count, frames, rate, rng)
        recombined = np.flatnonzero(kind == 1)
        upper, _ = self._recorded(len(recombined), frames, rate[recombined], rng)
        sixd[recombined[:, None, None], np.arange(frames)[:, None], motions.UPPER] = upper[:, :, motions.UPPER]
        invented = np.flatnonzero(kind == 2)
        sixd[invented], trans[invented] = self._invented(len(invented), frames, rate[invented], rng)
        still = kind == 3
        sixd[still], trans[still] = sixd[still][:, :1], trans[still][:, :1]
        local = rotations.sixd_to_matrix(sixd)
        disturbed = np.flatnonzero(rng.random(count) < 0.6)
        sway = slow_curves(len(disturbed), frames, rate[disturbed], (24, 3), (0.4, 2.5), rng)
        sway *= motions.DISTURBANCE[:, None] * rng.uniform(0.2, 1.0, (len(disturbed), 1, 1, 1))
        local[disturbed] = local[disturbed] @ rotations.axis_angle_to_matrix(sway)
        mirrored = rng.random(count) < 0.5
        flip = np.array([-1.0, 1.0, 1.0], np.float32)
        local[mirrored] = (flip[:, None] * flip * local[mirrored])[:, :, list(JOINT_MIRROR)]
        trans[mirrored] *= flip
        return self._filmed(local, trans, rate, (kind == 0) & (trans[..., 1].min(1) > -1), rng)

    def _recorded(
        self, count: int, frames: int, rate: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(count, frames, 24, 6) local rotations and (count, frames, 3) translation; short clips run back and forth."""
        clips = rng.choice(len(self._starts), count, p=self._chances)
        last = (self._ends - self._starts)[clips] - 1
        step = self._rate / rate * np.exp(rng.normal(0, 0.2, count))
        begin = rng.uniform(0, 1, count) * np.maximum(last - step * (frames - 1), 0)
        at = (begin[:, None] + step[:, None] * np.arange(frames)) % (2 * last[:, None])
        at = np.minimum(at, 2 * last[:, None] - at)
        before = np.minimum(np.floor(at).astype(int), last[:, None] - 1)
        share = (at - before).astype(np.float32)[..., None]
        row = self._starts[clips][:, None] + before
        sixd = self._sixd[row] + share[..., None] * (self._sixd[row + 1] - self._sixd[row])
        return sixd, self._trans[row] + share * (self._trans[row + 1] - self._trans[row])

    def _invented(
        self, count: int, frames: int, rate: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Smooth motion between poses whose limbs come from different recordings."""
        pause = rng.uniform(0.35, 1.4, count) * rate
        keys = int(frames / 8) + 3
        pose = self._pool[rng.integers(0, _POOL, (count, keys))]
        # People rarely turn over between two poses.
        lean = self._leans[rng.integers(0, _POOL, count)][:, None] + rng.normal(0, 0.15, (count, keys, 3))
        lean = rotations.axis_angle_to_matrix(lean)
        spin = rotations.axis_angle_to_matrix(np.cumsum(rng.normal(0, 0.5, (count, keys)), axis=1)[..., None] * _UP)
        pose[:, :, 0] = rotations.matrix_to_sixd(spin @ lean)
        path = np.cumsum(rng.normal(0, 0.15, (count, keys, 3)), axis=1) * np.array([1.0, 0.0, 1.0])
        at = np.arange(frames) / pause[:, None] + rng.uniform(0, 1, (count, 1))
        before = np.minimum(np.floor(at).astype(int), keys - 2)
        ease = np.clip(at - before, 0, 1)
        ease = ease + rng.uniform(0, 1, (count, 1)) * (ease * ease * (3 - 2 * ease) - ease)
        row, ease = np.arange(count)[:, None], ease.astype(np.float32)
        first, second = pose[row, before], pose[row, before + 1]
        trans = path[row, before] + ease[..., None] * (path[row, before + 1] - path[row, before])
        return first + ease[..., None, None] * (second - first), trans

    def _filmed(
        self, local: np.ndarray, trans: np.ndarray, rate: np.ndarray, floor_known: np.ndarray, rng: np.random.Generator
    ) -> tuple[Stage, np.ndarray]:
        count, frames = local.shape[:2]
        betas = np.clip(rng.normal(0, 1, (count, self.body.shapedirs.shape[-1])), -2.5, 2.5)
        heading = rotations.axis_angle_to_matrix(rng.uniform(-np.pi, np.pi, (count, 1)) * _UP)[:, None]
        local[:, :, 0] = heading @ local[:, :, 0]
        rest_pelvis = self.body.rest_joints(betas)[:, None, 0]
        trans = (heading @ (trans + rest_pelvis)[..., None])[..., 0] - rest_pelvis
        flat_betas = np.repeat(betas, frames, axis=0)
        flat = local.reshape(-1, 24, 3, 3)
        turns, joints = self.body.kinematics(flat, flat_betas, trans.reshape(-1, 3))
        marks = self.body.skin(self.body.landmarks, turns, joints, flat_betas).reshape(count, frames, 33, 3)
        pelvis = joints[:, 0].reshape(count, frames, 3)
        soles = marks[:, :, SOLES].astype(float)
        # The floor is as high as the lowest point in the lowest twentieth of the frames.
        soles[..., 1] -= np.quantile(soles[..., 1].min(-1), 0.05, axis=1)[:, None, None]
        contacts = np.stack([foot_contacts(*sequence) for sequence in zip(soles, rate, strict=True)])
        K, size, orientation, position = film(pelvis, marks, rate, self.formats, rng)

        local[:, :, 0] = orientation @ local[:, :, 0]
        stage = Stage(
            local,
            betas,
            np.einsum("btij,btj->bti", orientation, pelvis - position),
            orientation[:, :1] @ np.swapaxes(orientation, -1, -2),
            -orientation[..., 1],
            contacts,
            floor_known,
            K,
            size,
            rate,
        )
        return stage, (marks - position[:, :, None]) @ np.swapaxes(orientation, -1, -2)


def film(
    pelvis: np.ndarray, marks: np.ndarray, rate: np.ndarray, formats: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Random cameras for B performances, y up: standing, hand-held, panning, walking; from eye level, above and below.

    Returns:
        (B, 3, 3) intrinsics, (B, 2) image sizes, (B, T, 3, 3) rotations from the world into camera axes and (B, T, 3)
        positions.
    """
    count, frames = pelvis.shape[:2]
    size = formats[rng.integers(0, len(formats), count)].astype(float)
    focal = np.hypot(*size.T) * np.exp(rng.normal(-0.05, 0.28, count))
    middle = (marks.min((1, 2)) + marks.max((1, 2))) / 2
    extent = (marks.max((1, 2)) - marks.min((1, 2))).astype(float)
    fill = np.clip(np.exp(rng.normal(-0.6, 0.38, count)), 0.15, 1.35)
    tall = np.maximum((marks[..., 1].max(-1) - marks[..., 1].min(-1)).mean(1), 1.2)
    distance = np.clip(focal * tall / (size[:, 1] * fill), 1.3, 16.0) + extent[:, [0, 2]].min(1) / 2
    height = np.where(rng.random(count) < 0.75, rng.normal(1.45, 0.3, count), rng.uniform(0.2, 3.2, count))
    elevation = np.arctan2(height - middle[:, 1], distance)
    extreme = rng.random(count) < 0.15
    elevation[extreme] = np.radians(rng.uniform(-35, 65, extreme.sum()))
    back = np.stack([np.zeros(count), np.sin(elevation), np.cos(elevation)], axis=-1)
    shifts, angles = _movement(count, frames, rate, rng)
    position = (middle + distance[:, None] * back)[:, None] + shifts
    # An operator follows slowly, and always when somebody walks away.
    follow = np.where(rng.random(count) < np.where(extent.max(1) > 2.2, 0.85, 0.3), rng.uniform(0.4, 1.0, count), 0)
    wide = max(int(np.median(rate)) // 3, 1)
    kernel = np.ones(2 * wide + 1) / (2 * wide + 1)
    edged = np.concatenate([pelvis[:, :1].repeat(wide, 1), pelvis, pelvis[:, -1:].repeat(wide, 1)], axis=1)
    slowly = np.stack([edged[:, lag : lag + frames] * share for lag, share in enumerate(kernel)]).sum(0)
    aim = middle[:, None] + follow[:, None, None] * (slowly - pelvis.mean(1, keepdims=True))
    upright = _look_at(position, aim)
    roll = rng.normal(0, np.radians(np.where(rng.random(count) < 0.8, 5, 20)))
    shake = angles + roll[:, None, None] * np.array([0.0, 0.0, 1.0])
    # Where in the image the person is.
    spare = np.maximum(1 - fill[:, None] * np.array([0.5, 1.0]), 0.1)
    place = rng.uniform(-0.85, 0.85, (count, 2)) * spare * size / 2
    place[rng.random(count) < 0.1] *= 1.4
    ray = np.concatenate([place / focal[:, None], np.ones((count, 1))], axis=1)
    aside = rotations.between(np.broadcast_to([0.0, 0.0, 1.0], ray.shape), ray)
    K = np.zeros((count, 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, :2, 2], K[:, 2, 2] = size / 2, 1.0
    return K, size, aside[:, None] @ rotations.axis_angle_to_matrix(shake) @ upright, position


def _movement(count: int, frames: int, rate: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Translation (B, T, 3) in metres and rotation vectors (B, T, 3) of cameras."""
    kind = rng.choice(4, count, p=[0.45, 0.3, 0.1, 0.15])[:, None, None]
    seconds = ((np.arange(frames) - frames / 2) / rate[:, None])[..., None]
    held = slow_curves(count, frames, rate, (6,), (0.1, 1.0), rng)
    shifts = np.where(kind > 0, held[..., :3] * 0.015 * np.exp(rng.normal(0, 0.6, (count, 1, 1))), 0)
    angles = np.where(kind > 0, held[..., 3:] * 0.01 * np.exp(rng.normal(0, 0.6, (count, 1, 1))), 0)
    pan = rng.normal(0, 0.15, (count, 1, 1)) * seconds * np.array([0.1, 1.0, 0.0])
    walk = rng.normal(0, [0.6, 0.04, 0.6], (count, 1, 3)) * seconds
    return shifts + np.where(kind == 3, walk, 0), angles + np.where(kind == 2, pan, 0)


def _look_at(positions: np.ndarray, aims: np.ndarray) -> np.ndarray:
    forward = aims - positions
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, _UP)
    right /= np.maximum(np.linalg.norm(right, axis=-1, keepdims=True), 1e-6)
    return np.stack([right, np.cross(forward, right), forward], axis=-2)


def slow_curves(
    count: int,
    frames: int,
    rate: np.ndarray,
    curves: tuple[int, ...],
    pause: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """(count, frames, *curves) smooth random curves of unit size.

    Each sequence's change over a time of its own, between the two `pause` in seconds; rates (count,) in hertz.
    """
    low, high = np.log(pause)
    period = np.exp(rng.uniform(low, high, count)) * rate
    at = np.arange(frames) / np.maximum(period, 1.0)[:, None] + rng.uniform(1, 2, (count, 1))
    keys = int(np.ceil(at.max(initial=1))) + 3
    knots = rng.standard_normal((count, keys, int(np.prod(curves))), np.float32)
    before = np.floor(at).astype(int)
    t = at - before
    # Uniform cubic B-spline: twice differentiable, so that accelerations stay plausible.
    shares = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 4.5
    weights = np.zeros((count, frames, keys), np.float32)
    rows, columns = np.arange(count)[:, None], np.arange(frames)
    for shift, share in zip((-1, 0, 1, 2), shares, strict=True):
        weights[rows, columns, before + shift] += share
    return (weights @ knots).reshape(count, frames, *curves)
