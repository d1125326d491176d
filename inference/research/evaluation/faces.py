"""Scores faces: people drawn from the body whose faces do what is known, seen and moved as those of footage are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ... import registry
from ...body import rotations
from ...body.face import COEFFICIENTS
from ...body.skeleton import JOINT_NAMES, LANDMARK_NAMES, SIDES
from ...body.smpl import Body
from ...faces.fit import move_face
from ...faces.search import FaceSearch
from ...models import load_faces
from ...motion.motion import Motion
from . import drawn

DISTANCES = (1.0, 2.5)
"""How far away people stand, metres: their faces are about 160 and 65 pixels high."""

_FRAMES = 90
_SEED = 6
# Seconds from one expression to the next, and between and within blinks.
_CHANGE, _BLINKS, _BLINK = 0.75, 1.4, 0.25
# Standard deviation of the body's own head, radians.
_HEAD_ERROR = np.radians(15.0)
_NECK, _HEAD = JOINT_NAMES.index("neck"), JOINT_NAMES.index("head")
_CLOSING = [COEFFICIENTS.index(f"eyeBlink{side}") for side in ("Left", "Right")]

EXPRESSIONS = (
    ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"),
    ("mouthFrownLeft", "mouthFrownRight", "browDownLeft", "browDownRight"),
    ("jawOpen",),
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    ("mouthPucker",),
    ("jawOpen", "browInnerUp", "eyeWideLeft", "eyeWideRight"),
)
"""What drawn faces do, one after the other."""

_ACTED = sorted({COEFFICIENTS.index(name) for names in EXPRESSIONS for name in names} | set(_CLOSING))


@dataclass
class FaceScores:
    """How well a face was seen, over all frames.

    Attributes:
        seen: share of frames in which it was.
        error: mean error of the coefficients that were acted.
        agreement: mean correlation of those with the true ones over time.
        degrees: between heads in space.
        jitter: accelerations of the head beyond the true ones, degrees per second².
    """

    seen: float
    error: float
    agreement: float
    degrees: float
    jitter: float


def score(clips: int, device: str = "auto") -> Iterator[str]:
    """The lines of a Markdown table: errors of resting faces and of ours on ``clips`` drawn clips at each distance."""
    body, models = Body.load(registry.body_path()), load_faces(device)
    yield "| distance | faces | seen | coefficients | correlation | head | its jitter |"
    yield "|---|---|---|---|---|---|---|"
    for distance in DISTANCES:
        rng = np.random.default_rng(_SEED)
        table: dict[str, list[FaceScores]] = {"at rest": [], "as seen": []}
        for _ in range(clips):
            truth = acted(body, rng, distance)
            start = as_estimated(truth, rng)
            search = FaceSearch(models, [drawn.track(truth)], (drawn.SIZE, drawn.SIZE), drawn.RATE)
            for _ in search.see(drawn.pictures(truth, body, painted(body, truth.betas, rng), rng)):
                pass
            moved = move_face(start, search.tracks()[0], body)
            for name, motion in (("at rest", start), ("as seen", moved)):
                table[name].append(_compare(motion, truth, body))
        for name, scores in table.items():
            mean = {key: np.nanmean([getattr(one, key) for one in scores]) for key in FaceScores.__dataclass_fields__}
            yield (
                f"| {distance:.1f} m | {name} | {mean['seen']:.0%} | {mean['error']:.3f} | {mean['agreement']:.2f} |"
                f" {mean['degrees']:.1f}° | {mean['jitter']:.0f} °/s² |"
            )


def acted(body: Body, rng: np.random.Generator, distance: float, frames: int = _FRAMES) -> Motion:
    """Somebody who looks about before a camera at rest, at a distance in metres, and makes faces."""
    times = np.arange(frames) / drawn.RATE
    postures = np.zeros((len(times), len(COEFFICIENTS)))
    order = rng.permutation(len(EXPRESSIONS))
    for turn, start in enumerate(np.arange(0.0, times[-1], _CHANGE)):
        # Each comes, stays for a moment and goes.
        strength = np.clip(1.6 * np.sin(np.pi * np.clip((times - start) / _CHANGE, 0.0, 1.0)), 0.0, 1.0)
        for name in EXPRESSIONS[order[turn % len(order)]]:
            row = postures[:, COEFFICIENTS.index(name)]
            np.maximum(row, strength * rng.uniform(0.6, 1.0), out=row)
    phase = (times + rng.uniform(0.0, _BLINKS)) % _BLINKS
    postures[:, _CLOSING] = np.clip(2.0 * np.sin(np.pi * np.clip(phase / _BLINK, 0.0, 1.0)), 0.0, 1.0)[:, None]

    poses = np.zeros((len(times), 24, 3))
    sway = np.sin(2 * np.pi * (times[:, None] * rng.uniform(0.2, 0.5, 3) + rng.uniform(size=3)))
    poses[:, _HEAD] = np.radians(sway * (10.0, 22.0, 8.0) + rng.normal(size=3) * (4.0, 8.0, 3.0))
    # The camera's y points down, and people face it.
    facing = rotations.axis_angle_to_matrix([np.pi, 0.0, 0.0]) @ rotations.axis_angle_to_matrix(
        [0.0, rng.normal() * 0.2, 0.0]
    )
    poses[:, 0] = rotations.matrix_to_axis_angle(facing)
    betas = rng.normal(size=body.shapedirs.shape[2])
    trans = np.tile([0.0, 0.0, distance], (len(times), 1))
    # The camera looks at the head.
    trans[:, 1] -= body.joints(poses, betas, trans)[:, _HEAD, 1].mean()
    return drawn.acted(body, poses, betas, trans, face=postures)


def as_estimated(truth: Motion, rng: np.random.Generator) -> Motion:
    """What the body's landmarks alone give: a face at rest, and a head that is off by a steady turn."""
    poses = truth.poses_cam.copy()
    off = rotations.axis_angle_to_matrix(rng.normal(scale=_HEAD_ERROR / np.sqrt(3), size=3))
    poses[:, _HEAD] = rotations.matrix_to_axis_angle(rotations.axis_angle_to_matrix(poses[:, _HEAD]) @ off)
    return replace(truth, poses_cam=poses, face=None)


def painted(body: Body, betas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colours (V, 3), blue first, of a body with eyes, brows and lips."""
    assert body.parts is not None
    rest = body.surface.rest(betas)
    marks: dict[str, np.ndarray] = dict(zip(LANDMARK_NAMES, body.rest_landmarks(betas), strict=True))
    head = body.weights[:, _HEAD] > 0.5
    skin = np.array([0.45, 0.58, 0.78]) * rng.uniform(0.7, 1.1)
    hair = np.array([0.1, 0.13, 0.18]) * rng.uniform(0.5, 2.0)
    colours = np.where((body.weights[:, [_NECK, _HEAD]].sum(axis=1) > 0.5)[:, None], skin, rng.uniform(0.1, 0.6, 3))
    top, back = rest[head].max(axis=0)[1], rest[head, 2].mean()
    colours[head & ((rest[:, 1] > top - 0.05) | ((rest[:, 2] < back - 0.01) & (rest[:, 1] > top - 0.16)))] = hair
    mouth = (marks["mouth_left"] + marks["mouth_right"]) / 2
    colours[head & (np.linalg.norm((rest - mouth) * [0.55, 1.8, 1.0], axis=1) < 0.016)] *= [0.6, 0.55, 0.9]
    for side in SIDES:
        brow = marks[f"{side}_eye"] + np.array([0.0, 0.022, 0.0])
        colours[head & (np.linalg.norm((rest - brow) * [0.5, 2.2, 1.0], axis=1) < 0.013)] = hair
        ball = body.parts == body.part_names.index(f"{side}_eye")
        centre = (rest[ball].min(axis=0) + rest[ball].max(axis=0)) / 2
        out = (rest - centre) / np.maximum(np.linalg.norm(rest - centre, axis=1, keepdims=True), 1e-9)
        colours[ball] = [0.85, 0.85, 0.85]
        colours[ball & (out[:, 2] > np.cos(np.radians(32)))] = [0.25, 0.2, 0.15]
        colours[ball & (out[:, 2] > np.cos(np.radians(14)))] = 0.03
    colours[body.parts == body.part_names.index("tongue")] = [0.35, 0.3, 0.6]
    return colours


def _compare(motion: Motion, truth: Motion, body: Body) -> FaceScores:
    assert truth.face is not None
    face = np.zeros_like(truth.face) if motion.face is None else motion.face
    seen = 0.0 if motion.face_scores is None else float((motion.face_scores > 0).mean())
    ours, theirs = (body.global_rotations(one.poses_cam)[:, _HEAD] for one in (motion, truth))
    away = np.swapaxes(theirs, -1, -2) @ ours
    shake = np.diff(np.degrees(rotations.matrix_to_axis_angle(away)), 2, axis=0) * drawn.RATE**2
    moving = [index for index in _ACTED if np.ptp(truth.face[:, index]) > 0 and np.ptp(face[:, index]) > 0]
    alike = [np.corrcoef(face[:, index], truth.face[:, index])[0, 1] for index in moving]
    return FaceScores(
        seen,
        float(np.abs(face - truth.face)[:, _ACTED].mean()),
        float(np.mean(alike)) if alike else 0.0,
        float(np.degrees(rotations.relative_angle(ours, theirs)).mean()),
        float(np.linalg.norm(shake, axis=-1).mean()),
    )
