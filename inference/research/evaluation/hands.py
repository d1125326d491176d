"""Scores hands: people drawn from the body with known fingers, seen and moved as those of footage are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ... import registry
from ...body import fingers, rotations
from ...body.skeleton import BODY_JOINTS, FINGER_TIP_PARENTS, JOINT_NAMES, SIDES
from ...body.smpl import Body
from ...hands.fit import move_hands
from ...hands.search import HandSearch
from ...models import load_hands
from ...motion.motion import Motion
from . import drawn

DISTANCE = 2.0
"""How far away people stand, metres."""

_FRAMES = 45
_SEED = 5
# Seconds from one posture of the fingers to the next, and the standard deviation of the body's own wrists, radians.
_CHANGE, _WRIST_ERROR = 0.5, np.radians(20.0)
_WRISTS = [JOINT_NAMES.index(f"{side}_wrist") for side in SIDES]


@dataclass
class HandScores:
    """Mean errors of fingers where hands were seen; jitter over all frames.

    Attributes:
        seen: share of hands that were looked at and seen.
        degrees: of finger joints' rotations.
        millimetres: of finger joints and tips, after moving wrists onto each other.
        turned: degrees between wrists in space.
        jitter: accelerations of the tips relative to the wrist, beyond the true ones, metres per second².
    """

    seen: float
    degrees: float
    millimetres: float
    turned: float
    jitter: float


def score(clips: int, device: str = "auto") -> Iterator[str]:
    """The lines of a Markdown table: errors of relaxed hands and of ours on ``clips`` drawn clips."""
    body, models = Body.load(registry.body_path()), load_hands(device)
    rng = np.random.default_rng(_SEED)
    table: dict[str, list[HandScores]] = {"relaxed": [], "as seen": []}
    for _ in range(clips):
        truth = acted(body, rng)
        start = _as_estimated(truth, body, rng)
        search = HandSearch(models, [drawn.track(truth)], (drawn.SIZE, drawn.SIZE), drawn.RATE)
        for _ in search.see(drawn.pictures(truth, body, _colours(body, rng), rng)):
            pass
        hands = search.tracks()[0]
        moved = move_hands(start, hands, body)
        seen = np.isin(truth.frames, hands.frames)
        marks = np.zeros((len(truth), 2), bool)
        marks[np.flatnonzero(seen)] = hands.scores > 0
        # What lies between two looks at which a hand was seen counts, too.
        between = [np.interp(np.arange(len(truth)), hands.frames, hands.scores[:, side] > 0) for side in range(2)]
        counted = np.stack(between, axis=1) > 0.99
        for name, motion in (("relaxed", start), ("as seen", moved)):
            table[name].append(_compare(motion, truth, body, counted, float(marks[seen].mean())))
    yield "| hands | seen | finger joints | joints and tips | wrists | jitter |"
    yield "|---|---|---|---|---|---|"
    for name, scores in table.items():
        mean = {key: np.nanmean([getattr(one, key) for one in scores]) for key in HandScores.__dataclass_fields__}
        yield (
            f"| {name} | {mean['seen']:.0%} | {mean['degrees']:.1f}° | {mean['millimetres']:.1f} mm |"
            f" {mean['turned']:.1f}° | {mean['jitter']:.1f} m/s² |"
        )


def acted(body: Body, rng: np.random.Generator) -> Motion:
    """Somebody who stands before a camera at rest and gestures."""
    times = np.arange(_FRAMES) / drawn.RATE
    postures = rng.uniform(fingers.LIMITS[..., 0], fingers.LIMITS[..., 1], (6, 2, 5, 4)) * 0.6
    postures[..., fingers.SWING] *= 0.5
    # Fingers of a hand bend together rather than each for itself.
    together = rng.uniform(0.0, 1.0, (6, 2, 1, 1))
    fist = fingers.LIMITS[..., 1] * np.array([0.7, 0.0, 0.8, 0.6])
    postures = fingers.RELAXED + 0.6 * (postures - fingers.RELAXED) + together * 0.9 * (fist - fingers.RELAXED)
    postures = np.clip(postures, fingers.LIMITS[..., 0], fingers.LIMITS[..., 1])
    place = times / _CHANGE
    before, share = place.astype(int), (place % 1.0)
    share = (3 * share**2 - 2 * share**3)[:, None, None, None]
    angles = (1 - share) * postures[before] + share * postures[before + 1]

    poses = np.zeros((_FRAMES, 24, 3))
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        sway = np.sin(2 * np.pi * (times[:, None] * rng.uniform(0.3, 0.8, 3) + rng.uniform(size=3)))
        for joint, angle, spread in (
            ("shoulder", (0.0, -25.0, -45.0), 10.0),
            ("elbow", (0.0, -100.0, 0.0), 15.0),
            ("wrist", (0.0, 0.0, 0.0), 20.0),
        ):
            turned = np.array(angle) + rng.normal(size=3) * spread + sway * 0.4 * spread
            turned[:, 0] += rng.normal() * (40.0 if joint == "elbow" else 0.0)
            poses[:, JOINT_NAMES.index(f"{side}_{joint}")] = np.radians(turned) * (1.0, sign, sign)
    # The camera's y points down, and people face it.
    poses[:, 0] = rotations.matrix_to_axis_angle(
        rotations.axis_angle_to_matrix([np.pi, 0.0, 0.0]) @ rotations.axis_angle_to_matrix([0, rng.normal() * 0.4, 0])
    )
    return drawn.acted(
        body,
        poses,
        rng.normal(size=body.shapedirs.shape[2]),
        np.tile([0.0, 0.1, DISTANCE], (_FRAMES, 1)),
        fingers=rotations.matrix_to_axis_angle(fingers.rotations_of(angles)).reshape(_FRAMES, -1, 3),
    )


def _as_estimated(truth: Motion, body: Body, rng: np.random.Generator) -> Motion:
    """What the body's landmarks alone give: relaxed fingers, and wrists that are off by a steady turn."""
    poses = truth.poses_cam.copy()
    off = rotations.axis_angle_to_matrix(rng.normal(scale=_WRIST_ERROR / np.sqrt(3), size=(2, 3)))
    poses[:, _WRISTS] = rotations.matrix_to_axis_angle(rotations.axis_angle_to_matrix(poses[:, _WRISTS]) @ off)
    assert body.fingers is not None
    relaxed = np.tile(body.fingers.relaxed, (len(truth), 1, 1))
    return replace(truth, poses_cam=poses, fingers=relaxed)


def _colours(body: Body, rng: np.random.Generator) -> np.ndarray:
    """(V, 3) of bare arms and head, and of cloth."""
    skin = np.array([0.45, 0.58, 0.78]) * rng.uniform(0.6, 1.1)
    bare = np.isin(
        body.weights.argmax(axis=1),
        [JOINT_NAMES.index(f"{side}_{part}") for side in SIDES for part in ("elbow", "wrist", "hand")]
        + [JOINT_NAMES.index("head")],
    )
    return np.where(bare[:, None], skin, rng.uniform(0.1, 0.6, 3))


def _compare(motion: Motion, truth: Motion, body: Body, counted: np.ndarray, seen: float) -> HandScores:
    ours, theirs = (_hands(one, body) for one in (motion, truth))
    assert motion.fingers is not None
    assert truth.fingers is not None
    mine, true = (rotations.axis_angle_to_matrix(turns) for turns in (motion.fingers, truth.fingers))
    angle = np.degrees(rotations.relative_angle(mine, true)).reshape(len(truth), 2, 15)
    turned = np.degrees(rotations.relative_angle(ours[0], theirs[0]))
    away = 1000 * np.linalg.norm(ours[1] - theirs[1], axis=-1)
    shake = np.diff(ours[2] - theirs[2], 2, axis=0) * drawn.RATE**2
    if not counted.any():
        return HandScores(seen, *[np.nan] * 4)
    return HandScores(
        seen,
        float(angle[counted].mean()),
        float(away[counted].mean()),
        float(turned[counted].mean()),
        float(np.linalg.norm(shake, axis=-1).mean()),
    )


def _hands(motion: Motion, body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wrists' rotations (n, 2, 3, 3) in space, places (n, 2, 20, 3) of joints and tips in the wrists' axes, tips."""
    handed = body.with_fingers
    assert handed is not None
    assert motion.fingers is not None
    poses = np.concatenate([motion.poses_cam[:, :BODY_JOINTS], motion.fingers], axis=1)
    turns, joints = handed.kinematics(poses, motion.betas, motion.trans_cam)
    last = list(FINGER_TIP_PARENTS)
    reach = handed.rest_tips(motion.betas) - handed.rest_joints(motion.betas)[last]
    tips = joints[:, last] + (turns[:, last] @ reach[..., None])[..., 0]
    n = len(motion)
    points = (
        np.concatenate([joints[:, BODY_JOINTS:].reshape(n, 2, 15, 3), tips.reshape(n, 2, 5, 3)], axis=2)
        - joints[:, _WRISTS, None]
    )
    inside = points @ turns[:, _WRISTS]
    return turns[:, _WRISTS], inside, inside[:, :, 15:]
