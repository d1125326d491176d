"""A detector's errors as they are imagined, not measured: for people who are only posed.

Errors of BlazePose on rendered people (`synthesis`) are real errors on unreal pictures. These here are varied more than
either, so that a network learns to rely on nothing but what usually holds: landmarks are good where they are
visible, depth is worse than the picture, errors last for a while, limbs are mistaken for those of the other side.

All sizes are standard deviations at severity 1, in sides of the crop or metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...body import rotations
from ...body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from ...people import maps, sides
from ...people.crops import MARGIN, ROI_VIEWS, roi_crops
from ...people.track import Track
from ...pose.features import DETECTOR_FIELDS, crop_axes
from .staging import Stage, slow_curves

_MIRROR = np.array(LANDMARK_MIRROR)
_ARMS, _LEGS, _ALL = np.arange(11, 23), np.arange(23, 33), np.arange(33)
_HIPS, _SHOULDERS = [23, 24], [11, 12]
_LIMBS = tuple(
    np.array([LANDMARK_NAMES.index(f"{side}_{part}") for part in parts])
    for parts in (("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "foot_index"))
    for side in ("left", "right")
)
# Roots of those limbs, about which their depth is mistaken.
_ROOTS = (11, 12, 23, 24)
_HIDDEN_TOGETHER = (*_LIMBS, np.concatenate(_LIMBS[2:]), np.concatenate(_LIMBS[:2]), np.arange(11))
# Parts of the diagonal, and the share of frames whose background is not followed.
_FLOW, _STILL = 1e-4, 0.03
_AGAIN = 4
# Where sides are exchanged, so much is left of how much nearer one of two limbs is; measured on rendered people.
_DEPTH_KEPT = (-0.3, 0.9)
# Where pairs of landmarks are seen on real people, on average and by how much people differ: metres beyond their place
# on rendered ones, away from the same side's other landmark. The trunk of people in clothes is 0.69 of their legs on
# average (a man, three people in a street), that of rendered ones 0.61: their hips are seen lower.
_SEEN_BEYOND = (
    ((23, 24), (11, 12), 0.035, 0.025),
    ((25, 26), (23, 24), 0.01, 0.025),
    ((27, 28), (25, 26), 0.0, 0.015),
    ((11, 12), (23, 24), 0.0, 0.02),
    ((13, 14), (11, 12), 0.0, 0.015),
    ((15, 16), (13, 14), 0.0, 0.012),
)
# How much of that world landmarks follow, which keep a body's usual proportions better.
_SEEN_IN_WORLD = 0.4
# How far in front of their joints the hips' world landmarks are.
_IN_FRONT, _IN_FRONT_SPREAD = 0.02, 0.045
# Hips lie inside the body, hands and feet move fast.
_FACTOR = np.ones(33)
_FACTOR[[*_HIPS]] = 1.6
_FACTOR[[*range(17, 23), *range(29, 33)]] = 1.4
_FACTOR[:11] = 0.7


@dataclass(frozen=True)
class Severity:
    """How large the errors are.

    Attributes:
        spread: of the logarithm of severity between sequences.
        bias, drift, jitter: of landmarks: over a sequence, over some tenths of a second, from frame to frame.
        depth_bias, depth_drift, depth_jitter: of world landmarks along the line of sight; across it less than half.
        turn: of the whole body's world landmarks about any axis, degrees.
        resized: of the logarithm of their size in a sequence; on average they are a little too small.
        flattened: of their depth's share of its true size; on average it is a little too small.
        places: how far landmarks are seen from their places on rendered people, as a share of what is usual.
        hidden: share of sequences in which a limb is hidden for some time.
        exchanged: share of sequences in which the whole body's sides are exchanged for some time; half as often
            those of arms, and of legs, alone.
        folded: share of limbs whose depth is mirrored about their root for some time.
        missed: share of sequences in which the person is not detected for some time; an eighth as often in any frame.
        short: share of sequences that end early, down to a single frame.
    """

    spread: float = 0.5
    bias: float = 0.0055
    drift: float = 0.0045
    jitter: float = 0.002
    depth_bias: float = 0.038
    depth_drift: float = 0.03
    depth_jitter: float = 0.006
    turn: float = 5.5
    resized: float = 0.07
    flattened: float = 0.15
    places: float = 1.0
    hidden: float = 0.3
    exchanged: float = 0.2
    folded: float = 0.06
    missed: float = 0.08
    short: float = 0.12


def detect(
    stage: Stage, landmarks_3d: np.ndarray, severity: Severity, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What a detector might output for staged sequences with true landmarks (B, T, 33, 3) in camera axes.

    Returns:
        (B, T, ...) arrays by their names in tracks, and `known` (B, T), false where a frame repeats another one.
    """
    count, frames = stage.pelvis.shape[:2]
    K = stage.camera_K[:, None, None]
    marks = landmarks_3d.astype(float)
    beyond = seen_beyond(marks, severity, rng)
    pictured = marks + beyond
    marks += _SEEN_IN_WORLD * beyond
    pixels = pictured[..., :2] / np.maximum(pictured[..., 2:], 0.2) * K[..., 0, :1] + K[..., :2, 2]
    crops = _crops(pixels, stage.rate, rng)
    axes = crop_axes(crops, stage.camera_K[:, None])
    level = np.exp(rng.normal(0, severity.spread, (count, 1, 1, 1)))

    def slow(width: int, pause: tuple[float, float] = (0.1, 0.8)) -> np.ndarray:
        return slow_curves(count, frames, stage.rate, (33, width), pause, rng)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    visibility, doubt = _visibility(marks, pixels, stage, severity, rng)
    error = severity.bias * normal(count, 1, 33, 2) + severity.drift * slow(2)
    error += severity.jitter * normal(count, frames, 33, 2)
    error *= level * _FACTOR[:, None] * doubt[..., None]
    cos, sin = np.cos(crops[..., 3]), np.sin(crops[..., 3])
    rolled = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    landmarks = pixels + crops[..., None, 2:3] * (error @ np.swapaxes(rolled, -1, -2))

    world = (marks - marks[:, :, _HIPS].mean(2, keepdims=True)) @ np.swapaxes(axes, -1, -2)
    world = _mistaken(world, stage, severity, level, rng)
    across = np.array([0.45, 0.45, 1.0])
    error = severity.depth_bias * normal(count, 1, 33, 3) + severity.depth_drift * slow(3)
    error += severity.depth_jitter * normal(count, frames, 33, 3)
    world = world + error * across * level * (_FACTOR * np.sqrt(doubt))[..., None]
    world -= world[:, :, _HIPS].mean(2, keepdims=True)
    world[..., :2] = world[..., :2] @ np.swapaxes(rolled, -1, -2)

    output = {
        "landmarks": landmarks,
        "visibility": visibility,
        "presence": np.clip(visibility + rng.uniform(0, 1, visibility.shape) * (1 - visibility), 0, 1),
        "world_landmarks": world,
        "crops": crops,
        "scores": 1 - 0.05 * rng.random((count, 1)) ** 3 * rng.random((count, frames)),
    }
    _exchange(output, stage.rate, severity, rng)
    output["known"] = np.ones((count, frames), bool)
    _miss(output, severity, rng)
    return output


def seen_beyond(marks: np.ndarray, severity: Severity, rng: np.random.Generator) -> np.ndarray:
    """How far (B, T, 33, 3) from true landmarks (B, T, 33, 3) a detector sees them on people of B sequences, metres."""
    offsets = np.zeros(marks.shape)
    for points, others, mean, spread in _SEEN_BEYOND:
        away = marks[:, :, points] - marks[:, :, others]
        away = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-6)
        far = rng.normal(mean, spread, (len(marks), 1, 1, 1)) + rng.normal(0, 0.3 * spread, (len(marks), 1, 2, 1))
        offsets[:, :, points] = severity.places * far * away
    return offsets


def move(detected: dict[str, np.ndarray], marks: np.ndarray, beyond: np.ndarray, camera_K: np.ndarray) -> None:
    """Move what was detected of people with true landmarks (B, T, 33, 3) by (B, T, 33, 3) metres, in place.

    Args:
        detected: arrays by their names in tracks, (B, T, ...).
        marks: in camera axes, metres.
        beyond: see `seen_beyond`.
        camera_K: (B, 3, 3).
    """

    def projected(points: np.ndarray) -> np.ndarray:
        return points[..., :2] / np.maximum(points[..., 2:], 0.2) * camera_K[:, None, None, [0, 1], [0, 1]]

    detected["landmarks"] += projected(marks + beyond) - projected(marks)
    crops = detected["crops"] * [1, 1, 1, 0]
    world = _SEEN_IN_WORLD * beyond @ np.swapaxes(crop_axes(crops, camera_K[:, None]), -1, -2)
    detected["world_landmarks"] += world - world[:, :, _HIPS].mean(2, keepdims=True)


def regions(detected: dict[str, np.ndarray], severity: Severity, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The same frames (B, ...) in R regions of interest, (B, R, ...), each with errors of its own."""
    shape = (len(detected["scores"]), 1 + ROI_VIEWS)
    crops = np.concatenate([detected["crops"][:, None], np.stack([roi_crops(crop) for crop in detected["crops"]])], 1)
    first = {name: np.repeat(detected[name][:, None], shape[1], axis=1) for name in detected if name != "crops"}
    level = np.exp(rng.normal(0, severity.spread, (shape[0], 1, 1, 1)))
    pixels = severity.drift * crops[:, :1, None, 2:3] * level * rng.standard_normal((*shape, 33, 2))
    depth = severity.depth_drift * level * rng.standard_normal((*shape, 33, 3))
    pixels[:, 0], depth[:, 0] = 0, 0
    first["landmarks"] = first["landmarks"] + pixels * _FACTOR[:, None]
    first["world_landmarks"] = first["world_landmarks"] + depth * _FACTOR[:, None]
    return {**first, "crops": crops}


def disturb_flow(homographies: np.ndarray, rng: np.random.Generator) -> None:
    """Make homographies (B, 15, 3, 3), see `features.flow_features`, as inaccurate as measured ones, in place."""
    # Shifts, stretches and tilts that each move the image's border by the same part of the diagonal.
    strength = _FLOW * np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [4.0, 4.0, 0.0]])
    homographies += strength * rng.standard_normal(homographies.shape)
    homographies[rng.random(homographies.shape[:2]) < _STILL] = np.eye(3)


def _crops(pixels: np.ndarray, rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B, T, 4) crops of people with true landmarks (B, T, 33, 2): around the hips, with a tracker's inaccuracy."""
    count, frames = pixels.shape[:2]
    hips = pixels[:, :, _HIPS].mean(2)
    up = pixels[:, :, _SHOULDERS].mean(2) - hips
    reach = np.linalg.norm(pixels - hips[:, :, None], axis=-1).max(-1)
    drift = slow_curves(count, frames, rate, (4,), (0.1, 1.0), rng)
    bias = rng.standard_normal((count, 1, 4))
    strength = np.exp(rng.normal(0, 0.5, (count, 1)))
    # A crop's size follows slowly.
    size = np.log(np.maximum(reach, 2))
    size = size.mean(1, keepdims=True) + rng.uniform(0.2, 1, (count, 1)) * (size - size.mean(1, keepdims=True))
    side = 2 * MARGIN * np.exp(size + 0.06 * bias[..., 2] + 0.02 * strength * drift[..., 2])
    wander = (0.015 * bias[..., :2] + 0.008 * strength[..., None] * drift[..., :2]) * side[..., None]
    angle = np.arctan2(up[..., 0], -up[..., 1]) + 0.05 * bias[..., 3] + 0.04 * strength * drift[..., 3]
    return np.concatenate([hips + wander, side[..., None], angle[..., None]], axis=-1)


def _visibility(
    marks: np.ndarray, pixels: np.ndarray, stage: Stage, severity: Severity, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(B, T, 33) visibility, and by how much errors grow."""
    count, frames = pixels.shape[:2]
    trunk = marks[:, :, [*_HIPS, *_SHOULDERS]]
    low, high = trunk[..., :2].min(2), trunk[..., :2].max(2)
    inside = ((marks[..., :2] > low[:, :, None]) & (marks[..., :2] < high[:, :, None])).all(-1)
    behind = inside & (marks[..., 2] > trunk[..., 2].mean(2)[..., None] + 0.06)
    far = marks[..., 2] - trunk[..., 2].mean(2)[..., None] > 0.15
    outside = ((pixels < 0) | (pixels > stage.size[:, None, None])).any(-1)
    hidden = np.zeros((count, frames, 33), bool)
    for _ in range(2):
        chosen = np.flatnonzero(rng.random(count) < severity.hidden / 2)
        runs = _run(len(chosen), frames, rng)
        for row, run in zip(chosen, runs, strict=True):
            hidden[row, np.flatnonzero(run)[:, None], _HIDDEN_TOGETHER[rng.integers(len(_HIDDEN_TOGETHER))]] = True
    seen = 1 - rng.random((count, 1, 33)) ** 4 * rng.uniform(0, 0.3, (count, 1, 1))
    guess = rng.uniform(0.02, 0.75, (count, 1, 33))
    unsure = behind | hidden | outside
    ripple = 0.06 * slow_curves(count, frames, stage.rate, (33,), (0.1, 0.6), rng)
    visibility = np.clip(np.where(unsure, guess, seen) + np.where(unsure | far, 2 * ripple, 0.2 * ripple), 0.001, 1)
    doubt = np.where(hidden | outside, 4.0, np.where(behind, 2.2, np.where(far, 1.3, 1.0)))
    return visibility, doubt


def _mistaken(
    world: np.ndarray, stage: Stage, severity: Severity, level: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """World landmarks (B, T, 33, 3) in crop axes of bodies that are turned, flattened, of another size, or folded."""
    count, frames = world.shape[:2]
    level = level[..., 0]
    turn = rng.normal(0, 0.8, (count, 1, 3)) + 0.6 * slow_curves(count, frames, stage.rate, (3,), (0.3, 1.5), rng)
    turned = world @ np.swapaxes(rotations.axis_angle_to_matrix(np.radians(severity.turn) * level * turn), -1, -2)
    turned[:, :, _HIPS, 2] -= severity.places * rng.normal(_IN_FRONT, _IN_FRONT_SPREAD, (count, 1, 1))
    size = np.exp(severity.resized * rng.normal(-0.7, 1, (count, 1, 1, 1)))
    flat = np.clip(1 + severity.flattened * rng.normal(-0.7, 1, (count, 1, 1, 1)), 0.4, 1.3)
    for root, limb in zip(_ROOTS, _LIMBS, strict=True):
        folded = (rng.random((count, 1)) < severity.folded) & _run(count, frames, rng)
        depth = turned[..., limb, 2]
        mirrored = 2 * turned[..., root, 2][..., None] - depth
        turned[..., limb, 2] = np.where(folded[..., None], mirrored, depth)
    return turned * size * np.concatenate([np.ones_like(flat), np.ones_like(flat), flat], axis=-1)


def _exchange(output: dict[str, np.ndarray], rate: np.ndarray, severity: Severity, rng: np.random.Generator) -> None:
    """Exchange sides as a detector does that then also takes near for far, in place; undo what is undone in use."""
    count, frames = output["scores"].shape
    depth = output["world_landmarks"][..., 2].copy()
    wrongs = []
    for points, share in ((_ALL, 1.0), (_ARMS, 0.5), (_LEGS, 0.5)):
        # For one long time, or again and again.
        often = np.any([_run(count, frames, rng, 0.15) for _ in range(_AGAIN)], axis=0)
        when = np.where(rng.random((count, 1)) < 0.5, often, _run(count, frames, rng))
        wrong = (rng.random((count, 1)) < share * severity.exchanged) & when
        for name in sides.WITH_SIDES:
            rows = output[name][wrong]
            rows[:, points] = rows[:, _MIRROR[points]]
            output[name][wrong] = rows
        wrongs.append(wrong)
    anywhere = np.any(wrongs, axis=0)
    # Of what is nearer, the left or the right, only a part is seen then, of limbs least.
    kept = np.where(np.isin(_ALL, np.concatenate(_LIMBS)), rng.uniform(*_DEPTH_KEPT, (count, 1, 1)), 1.0)
    middle = (depth + depth[..., _MIRROR]) / 2
    depth = np.where(anywhere[..., None], middle + kept * (depth - middle), depth)
    output["world_landmarks"][..., 2] = depth
    for row in np.flatnonzero(anywhere.any(1)):
        track = Track(
            number=1,
            frames=np.arange(frames),
            timestamps=np.arange(frames) / rate[row],
            boxes=np.zeros((frames, 4)),
            maps=np.full(frames, maps.NONE),
            **{name: output[name][row] for name in DETECTOR_FIELDS},
        )
        track = sides.mended(track)
        for name in sides.WITH_SIDES:
            output[name][row] = getattr(track, name)


def _miss(output: dict[str, np.ndarray], severity: Severity, rng: np.random.Generator) -> None:
    count, frames = output["scores"].shape
    missed = (rng.random((count, 1)) < severity.missed) & _run(count, frames, rng, 0.3)
    missed |= rng.random((count, frames)) < severity.missed / 8
    ends = np.where(rng.random(count) < severity.short, np.ceil(frames * rng.random(count) ** 2), frames)
    missed[:, 0] &= ends > 1
    missed |= np.arange(frames) >= ends[:, None]
    missed[missed.all(1), 0] = False
    source = np.where(missed, -1, np.arange(frames))
    source = np.maximum.accumulate(source, axis=1)
    first = np.argmax(~missed, axis=1)[:, None]
    source = np.where(source < 0, first, source)
    for name in ("landmarks", "world_landmarks", "visibility", "presence", "crops", "scores"):
        output[name] = output[name][np.arange(count)[:, None], source]
    output["known"] &= ~missed


def _run(count: int, frames: int, rng: np.random.Generator, longest: float = 0.6) -> np.ndarray:
    """(count, frames) a mask of one run of frames in each sequence."""
    length = rng.integers(1, max(int(longest * frames), 2), (count, 1))
    start = rng.integers(-length, frames, (count, 1))
    frame = np.arange(frames)
    return (frame >= start) & (frame < start + length)
