"""Motions to render: variations of recorded ones, and random ones within a body's limits.

All motions are local rotations (n, 24, 3, 3) of SMPL's joints and a root translation (n, 3) in a world whose y points
up and whose floor is y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....body import rotations
from ....body.skeleton import JOINT_MIRROR, JOINT_NAMES
from ....body.smpl import Body
from ....motion.limits import LIMITS
from ..mocap.library import Library

UPPER = [
    number
    for number, name in enumerate(JOINT_NAMES)
    if any(part in name for part in ("spine", "neck", "head", "collar", "shoulder", "elbow", "wrist"))
]
# Random poses take each of these parts from another pose.
_PARTS = tuple(
    tuple(number for number, name in enumerate(JOINT_NAMES) if any(part in name for part in parts))
    for parts in (
        ("left_hip", "left_knee", "left_ankle", "left_foot"),
        ("right_hip", "right_knee", "right_ankle", "right_foot"),
        ("spine", "neck", "head"),
        ("left_collar", "left_shoulder", "left_elbow", "left_wrist"),
        ("right_collar", "right_shoulder", "right_elbow", "right_wrist"),
    )
)
_DISTURBANCE_DEGREES = {
    "pelvis": 4,
    "spine": 5,
    "neck": 10,
    "head": 12,
    "collar": 4,
    "shoulder": 15,
    "elbow": 15,
    "wrist": 12,
    "hip": 7,
    "knee": 8,
    "ankle": 7,
    "foot": 3,
    "hand": 0,
}
DISTURBANCE = np.radians(
    [next(value for part, value in _DISTURBANCE_DEGREES.items() if part in name) for name in JOINT_NAMES]
)
"""Typical size of a slow disturbance of each joint, radians."""
_SKIN = 0.01
_SLOWEST = 1.3
_KINDS = {"recorded": 0.5, "recombined": 0.17, "invented": 0.25, "still": 0.08}
_DISTURBED = 0.6


@dataclass
class Performance:
    """A motion to render.

    Attributes:
        name: its source.
        rotations: (n, 24, 3, 3) local rotations, the root's in the y-up world.
        trans: (n, 3) SMPL translation in the y-up world, metres.
    """

    name: str
    rotations: np.ndarray
    trans: np.ndarray


def perform(
    library: Library,
    clips: np.ndarray,
    body: Body,
    betas: np.ndarray,
    frames: int,
    rate: float,
    rng: np.random.Generator,
    as_recorded: bool = False,
) -> Performance:
    """A random motion of `frames` frames at `rate` frames per second, from clips of a library by their numbers.

    Feet of people `as_recorded` stand as they did; others' poses are varied without regard to that.
    """
    kind = "recorded" if as_recorded else rng.choice(list(_KINDS), p=list(_KINDS.values()))
    if kind == "invented":
        made = _invented(library, clips, frames, rate, rng)
    else:
        made = _recorded(library, clips, frames, rate, rng)
        if kind == "recombined":
            other = _recorded(library, clips, frames, rate, rng)
            made.rotations[:, UPPER] = other.rotations[:, UPPER]
            made.name += f" + {other.name}"
        if kind == "still":
            made.rotations[:], made.trans[:] = made.rotations[frames // 2], made.trans[frames // 2]
            made.rotations = _disturb(made.rotations, rate, rng, 0.3)
    if not as_recorded and rng.random() < _DISTURBED:
        made.rotations = _disturb(made.rotations, rate, rng, rng.uniform(0.3, 1.2))
    # In motion capture people look ahead too steadily.
    made.rotations = _look_around(made.rotations, rate, rng)
    if as_recorded:
        made.trans = in_longer_steps(made.trans, body, betas)
    else:
        made.trans = _on_floor(body, betas, made, every_frame=kind == "invented")
    heading = rotations.axis_angle_to_matrix(np.array([0.0, rng.uniform(-np.pi, np.pi), 0.0]))
    rest_pelvis = body.rest_joints(betas)[0]
    made.rotations[:, 0] = heading @ made.rotations[:, 0]
    made.trans = (made.trans + rest_pelvis) @ heading.T - rest_pelvis
    return made


def _recorded(library: Library, clips: np.ndarray, frames: int, rate: float, rng: np.random.Generator) -> Performance:
    lengths = library.starts[clips + 1] - library.starts[clips]
    # Short clips would become slow motion.
    long = lengths > (frames - 1) * library.frame_rate / rate / _SLOWEST
    clip = int(_weighted(library, clips[long] if long.any() else clips, 1, rng)[0])
    start, end = int(library.starts[clip]), int(library.starts[clip + 1])
    step = library.frame_rate / rate * np.exp(rng.normal(0, 0.25))
    step = min(step, (end - start - 1) / max(frames - 1, 1))
    at = start + rng.uniform(0, end - start - 1 - step * (frames - 1)) + step * np.arange(frames)
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, end - 1)
    share = at - before
    first, second = (rotations.axis_angle_to_quaternion(library.poses[rows].astype(float)) for rows in (before, after))
    quaternions = rotations.slerp(first, second, np.repeat(share[:, None], 24, axis=1))
    local = rotations.quaternion_to_matrix(quaternions)
    trans = library.trans[before] + share[:, None] * (library.trans[after] - library.trans[before])
    if rng.random() < 0.5:
        local, trans = mirror(local), trans * np.array([-1.0, 1.0, 1.0])
    return Performance(str(library.names[clip]), local, trans.astype(float))


def _weighted(library: Library, clips: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) of the clips, chosen by their weights."""
    weights = library.weights[clips]
    return rng.choice(clips, count, p=weights / weights.sum())


def mirror(local: np.ndarray) -> np.ndarray:
    """Local rotations (n, 24, 3, 3) mirrored at x = 0, left and right swapped."""
    flip = np.array([-1.0, 1.0, 1.0])
    return (flip[:, None] * flip * local)[:, list(JOINT_MIRROR)]


def _invented(library: Library, clips: np.ndarray, frames: int, rate: float, rng: np.random.Generator) -> Performance:
    """Smooth motion between poses whose limbs come from different recordings."""
    seconds = frames / rate
    pause = rng.uniform(0.35, 1.4)
    count = int(np.ceil(seconds / pause)) + 3
    keys = random_poses(library, clips, count, rng)
    # People rarely turn over between two poses.
    leaning = rotations.axis_angle_to_matrix(lean(rng) + rng.normal(0, 0.15, (count, 3)))
    spin = np.cumsum(rng.normal(0, 0.5, count))
    keys[:, 0] = rotations.axis_angle_to_matrix(spin[:, None] * np.array([0.0, 1.0, 0.0])) @ leaning
    at = np.arange(frames) / rate / pause + rng.uniform(0, 1) + 0.5
    before = np.floor(at).astype(int)
    ease = at - before
    ease = ease + rng.uniform(0, 1) * (ease * ease * (3 - 2 * ease) - ease)
    quaternions = rotations.matrix_to_quaternion(keys)
    eased = rotations.slerp(quaternions[before], quaternions[before + 1], np.repeat(ease[:, None], 24, axis=1))
    path = np.cumsum(rng.normal(0, 0.15, (count, 3)), axis=0) * np.array([1.0, 0.0, 1.0])
    trans = path[before] + ease[:, None] * (path[before + 1] - path[before])
    return Performance("invented", rotations.quaternion_to_matrix(eased), trans)


def lean(rng: np.random.Generator) -> np.ndarray:
    """Inclination of the whole body (3,), axis-angle: mostly upright, sometimes bent over, rarely lying."""
    kind = rng.random()
    if kind < 0.7:
        return rng.normal(0, [0.12, 0.0, 0.1])
    if kind < 0.9:
        return rng.normal(0, [0.5, 0.0, 0.35])
    return np.array([rng.choice([-1, 1]) * rng.normal(1.5, 0.2), 0.0, rng.normal(0, 0.3)])


def random_poses(library: Library, clips: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 24, 3, 3) poses: limbs combined from recorded ones, some joints anywhere within their limits."""

    def anyones() -> np.ndarray:
        chosen = _weighted(library, clips, count, rng)
        rows = rng.integers(library.starts[chosen], library.starts[chosen + 1])
        return rotations.axis_angle_to_matrix(library.poses[rows].astype(float))

    local = anyones()
    for part in _PARTS:
        donor = anyones()
        if rng.random() < 0.5:
            donor = mirror(donor)
        local[:, part] = donor[:, part]
    angles = rotations.matrix_to_axis_angle(local)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        anywhere = rng.random(count) < 0.45
        hip, knee, ankle = (JOINT_NAMES.index(f"{side}_{part}") for part in ("hip", "knee", "ankle"))
        flexed = rng.beta(1.1, 1.6, count) * 2.3 - 0.35
        spread = sign * np.stack([-sign * flexed, rng.normal(0, 0.3, count), rng.normal(0.15, 0.3, count)], axis=1)
        angles[anywhere, hip] = spread[anywhere]
        # A bent hip comes with a bent knee, or the foot would be far in front.
        bent = np.clip(flexed, 0, None) * rng.uniform(0.0, 1.4, count) + np.abs(rng.normal(0, 0.3, count))
        angles[anywhere, knee] = np.stack([bent, 0 * bent, 0 * bent], axis=1)[anywhere]
        angles[anywhere, ankle] = rng.normal(0, [0.25, 0.12, 0.12], (count, 3))[anywhere]
        anywhere = rng.random(count) < 0.5
        shoulder, elbow = (JOINT_NAMES.index(f"{side}_{part}") for part in ("shoulder", "elbow"))
        angles[anywhere, shoulder] = _arms(count, sign, rng)[anywhere]
        bent = rng.beta(1.0, 1.5, count) * 2.5
        twist = rng.normal(0, 0.3, count)
        angles[anywhere, elbow] = np.stack([twist, -sign * bent, 0 * bent], axis=1)[anywhere]
    return rotations.axis_angle_to_matrix(np.clip(angles, LIMITS[..., 0], LIMITS[..., 1]))


def _arms(count: int, sign: float, rng: np.random.Generator) -> np.ndarray:
    """(count, 3) shoulder rotations: the upper arm anywhere in the half space it reaches, with any twist."""
    # In the rest pose the left arm points along x; directions are a little more often downwards and forwards.
    aim = rng.normal([0.45, -0.4, 0.25], [0.5, 0.75, 0.6], (count, 3))
    aim[:, 0] = np.maximum(aim[:, 0], -0.35)
    aim[:, 0] *= sign
    rest = np.broadcast_to(np.array([sign, 0.0, 0.0]), aim.shape)
    swing = rotations.between(rest, aim)
    twist = rotations.axis_angle_to_matrix(rest * rng.normal(0, 0.6, (count, 1)))
    return rotations.matrix_to_axis_angle(swing @ twist)


def _slow_noise(frames: int, rate: float, curves: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(frames, *curves) smooth random curves of unit size, changing over a fraction of a second to seconds."""
    pause = rng.uniform(0.4, 2.5)
    count = int(np.ceil(frames / rate / pause)) + 4
    keys = rng.normal(0, 1, (count, *curves))
    at = np.arange(frames) / rate / pause + rng.uniform(1, 2)
    before = np.floor(at).astype(int)
    t = (at - before).reshape(-1, *[1] * len(curves))
    # Uniform cubic B-spline: twice differentiable, so that accelerations stay plausible.
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    parts = [weight * keys[before + shift] for shift, weight in zip((-1, 0, 1, 2), weights, strict=True)]
    return np.sum(parts, axis=0) / 4.5


def _disturb(local: np.ndarray, rate: float, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The motion with a slow disturbance of every joint, within anatomical limits."""
    noise = _slow_noise(len(local), rate, (24, 3), rng) * DISTURBANCE[:, None] * strength
    angles = rotations.matrix_to_axis_angle(local @ rotations.axis_angle_to_matrix(noise))
    before = rotations.matrix_to_axis_angle(local)
    low, high = np.minimum(LIMITS[..., 0], before), np.maximum(LIMITS[..., 1], before)
    angles[:, 1:] = np.clip(angles, low, high)[:, 1:]
    return rotations.axis_angle_to_matrix(angles)


def _look_around(local: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    neck, head = JOINT_NAMES.index("neck"), JOINT_NAMES.index("head")
    gaze = _slow_noise(len(local), rate, (3,), rng) * np.radians([10, 22, 6]) + rng.normal(0, np.radians([6, 14, 4]))
    result = local.copy()
    for joint in (neck, head):
        angles = rotations.matrix_to_axis_angle(local[:, joint] @ rotations.axis_angle_to_matrix(gaze / 2))
        result[:, joint] = rotations.axis_angle_to_matrix(np.clip(angles, LIMITS[joint, :, 0], LIMITS[joint, :, 1]))
    return result


def in_longer_steps(trans: np.ndarray, body: Body, betas: np.ndarray) -> np.ndarray:
    """SMPL translation (n, 3) of a body of shape `betas` (10,) for that of the default one, y up from the floor.

    Whoever has longer legs takes longer steps: feet that stood still would slide otherwise.
    """
    ratio = _height_of_hips(body, betas) / _height_of_hips(body, np.zeros_like(betas))
    return ratio * (trans + body.rest_joints()[0]) - body.rest_joints(betas)[0]


def _height_of_hips(body: Body, betas: np.ndarray) -> float:
    return float(body.rest_joints(betas)[0, 1] - body.surface.rest(betas)[:, 1].min())


def _on_floor(body: Body, betas: np.ndarray, made: Performance, every_frame: bool) -> np.ndarray:
    """(n, 3) translation that puts the lowest landmark on the floor: in each frame, or in the lowest tenth of them."""
    lowest = body.landmark_positions(made.rotations, betas, made.trans)[..., 1].min(axis=1) - _SKIN
    trans = made.trans.copy()
    trans[:, 1] -= lowest if every_frame else np.quantile(lowest, 0.1)
    return trans
