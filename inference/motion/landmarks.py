"""The `landmarks` estimator: SMPL fitted to BlazePose's landmarks, without any training.

Each frame is fitted by damped least squares to the 2D landmarks and the world landmarks of one person, with bones of
constant length and anatomical limits; fit and offline smoothing then take turns, so that the result is smooth where
the evidence is weak and sharp where it is firm. At last feet that stand are held where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..body import rotations
from ..body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from ..body.smpl import Body
from ..people.track import Track
from . import contacts, floor
from .camera import Camera
from .fit import Evidence, Figure, Fit, Pull, fit, place, sight_frames
from .motion import Motion
from .smoothing import smooth, smooth_rotations

Progress = Callable[[str, float], None]

# Standard deviation of a well visible landmark, as a share of the person's size in the image.
_PIXEL_NOISE = {"hip": 0.026, "shoulder": 0.017, "index": 0.023, "pinky": 0.023, "thumb": 0.023}
_PIXEL_NOISE_ELSE = 0.014
_WORLD_NOISE = 0.10

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
_LIMBS = np.array([[LANDMARK_NAMES.index(name) for name in pair] for pair in _LIMB_LANDMARKS])
# BlazePose's world landmarks vary most across the trunk.
_LENGTH_NOISE = np.array([0.05, 0.10] + [0.025] * 10)

# Metres between the lowest landmark of a flat foot and the floor.
_SKIN = 0.01
_BALANCE_SIGMA = 0.15
_ENOUGH_STANDING = 5.0
_LOWEST_EYE = 0.5
_LARGEST_RESIZING = 1.15

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
# Joints of SMPL beside the landmarks that vouch for them.
_VOUCHING = {
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


@dataclass
class _Person:
    track: Track
    frames: np.ndarray
    seen: np.ndarray
    timestamps: np.ndarray
    turns: np.ndarray
    evidence: Evidence
    figure: Figure
    fit: Fit


def estimate(
    tracks: list[Track],
    frames: np.ndarray,
    timestamps: np.ndarray,
    camera: Camera,
    body: Body,
    smoothing: float = 1.0,
    progress: Progress = lambda stage, share: None,
) -> list[Motion]:
    """Animate a body for each track.

    Args:
        tracks: the people of one video.
        frames: (M,) numbers of all frames of the footage, also of those in which nobody was seen.
        timestamps: (M,) their seconds.
        camera: the camera that filmed them, its turns for every frame of the footage.
        body: the body model.
        smoothing: 1 as measured best, 0 for none, more for calmer motion.
        progress: told the stage and the share of it that is done.

    Returns:
        One `Motion` per track, from its first to its last frame, gaps bridged.
    """
    people = []
    for number, track in enumerate(tracks):
        progress("fit", number / len(tracks))
        people.append(_fit_person(track, frames, timestamps, camera, body, smoothing))
    transform = _stand(people)
    motions = []
    for number, person in enumerate(people):
        progress("feet", number / len(people))
        _bring_to_floor(person, transform)
        _balance(person, transform, smoothing)
        motions.append(_plant_feet(person, transform, camera, smoothing))
    return motions


def _fit_person(
    track: Track, frames: np.ndarray, timestamps: np.ndarray, camera: Camera, body: Body, smoothing: float
) -> _Person:
    rows = np.searchsorted(frames, track.frames)
    span = slice(rows[0], rows[-1] + 1)
    clock, turns, seen = timestamps[span], camera.turns[span], rows - rows[0]
    evidence = _evidence(track, camera)
    figure = Figure(body, shape_from_limbs(body, track.world_landmarks, track.visibility))
    start, trans = _start(figure, evidence)
    first = fit(figure, evidence, start, trans, steps=14)
    whole = _spread_evidence(evidence, seen, len(clock))
    result = _bridge(first, seen, clock)
    for strength in (0.5, 0.25):
        pull = _pull(figure, result, whole, clock, turns, smoothing, strength)
        result = fit(figure, whole, result.rotations, result.trans, pull, steps=4)
    smooth_pull = _pull(figure, result, whole, clock, turns, smoothing, 1.0)
    result = Fit(smooth_pull.rotations, smooth_pull.trans, result.information)
    return _Person(track, frames[span], seen, clock, turns, whole, figure, result)


def _evidence(track: Track, camera: Camera) -> Evidence:
    size = track.boxes[:, 2:].max(1)
    noise = np.array(
        [
            next((value for part, value in _PIXEL_NOISE.items() if name.endswith(part)), _PIXEL_NOISE_ELSE)
            for name in LANDMARK_NAMES
        ]
    )
    trust = np.clip(track.visibility, 0.02, 1.0)
    return Evidence(
        pixels=track.landmarks.astype(float),
        pixel_sigma=noise * size[:, None] / trust,
        world=track.world_landmarks.astype(float),
        world_sigma=_WORLD_NOISE / np.sqrt(trust),
        camera_K=camera.K,
    )


def _spread_evidence(evidence: Evidence, seen: np.ndarray, n: int) -> Evidence:
    """The evidence with empty rows for the frames in between."""

    def spread(values: np.ndarray, empty: float) -> np.ndarray:
        whole = np.full((n, *values.shape[1:]), empty)
        whole[seen] = values
        return whole

    return Evidence(
        pixels=spread(evidence.pixels, 0.0),
        pixel_sigma=spread(evidence.pixel_sigma, np.inf),
        world=spread(evidence.world, 0.0),
        world_sigma=spread(evidence.world_sigma, np.inf),
        camera_K=evidence.camera_K,
        depth_factor=evidence.depth_factor,
    )


def shape_from_limbs(body: Body, world: np.ndarray, visibility: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """(10,) β whose limbs are as long as those of the world landmarks over the whole clip.

    Args:
        body: the body model.
        world: (n, 33, 3) world landmarks, metres.
        visibility: (n, 33).
        scale: how much larger the person is than the world landmarks say.
    """
    lengths = np.linalg.norm(world[:, _LIMBS[:, 0]] - world[:, _LIMBS[:, 1]], axis=-1)
    trust = visibility[:, _LIMBS].min(-1) + 1e-3
    order = np.argsort(lengths, axis=0)
    heaped = np.cumsum(np.take_along_axis(trust, order, 0), axis=0)
    middle = (heaped < heaped[-1] / 2).sum(0)
    measured = np.take_along_axis(np.take_along_axis(lengths, order, 0), middle[None], 0)[0] * scale
    betas = np.zeros(body.shapedirs.shape[-1])
    directions = body.landmarks.shapedirs
    sigma = _LENGTH_NOISE / np.sqrt(np.clip(trust.mean(0), 0.05, 1))
    for _ in range(4):
        rest = body.landmark_rest(betas)
        bones = rest[_LIMBS[:, 0]] - rest[_LIMBS[:, 1]]
        long = np.linalg.norm(bones, axis=1)
        slope = np.einsum("la,lab->lb", bones / long[:, None], directions[_LIMBS[:, 0]] - directions[_LIMBS[:, 1]])
        slope /= sigma[:, None]
        normal = slope.T @ slope + np.eye(len(betas))
        betas = betas + np.linalg.solve(normal, slope.T @ ((measured - long) / sigma) - betas)
    return np.clip(betas, -3, 3)


def _start(figure: Figure, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Pose and translation in closed form: the torso turned as a whole, limbs swung from their parents."""
    seen = np.einsum("nab,nkb->nka", sight_frames(evidence), evidence.world)
    n = len(seen)
    local = np.broadcast_to(np.eye(3), (n, 24, 3, 3)).copy()
    rest = figure.landmarks
    torso_rest = rest[_TORSO] - rest[_TORSO].mean(0)
    torso_seen = seen[:, _TORSO] - seen[:, _TORSO].mean(1, keepdims=True)
    local[:, 0] = rotations.project(np.einsum("nka,kb->nab", torso_seen, torso_rest))
    for joint, start, end in _SWINGS:
        turned = figure.body.global_rotations(local)[:, joint]
        before = turned @ (rest[end] - rest[start])
        swing = rotations.between(before, seen[:, end] - seen[:, start])
        local[:, joint] = np.swapaxes(turned, 1, 2) @ swing @ turned @ local[:, joint]
    _, _, points = figure.pose(local, np.zeros((n, 3)))
    return local, place(evidence, points)


def _bridge(seen_fit: Fit, seen: np.ndarray, clock: np.ndarray) -> Fit:
    """The fit on all frames, gaps filled by interpolation and marked by no information."""
    n = len(clock)
    after = np.clip(np.searchsorted(seen, np.arange(n)), 0, len(seen) - 1)
    before = np.clip(np.searchsorted(seen, np.arange(n), side="right") - 1, 0, len(seen) - 1)
    span = clock[seen[after]] - clock[seen[before]]
    share = np.where(span > 0, (clock - clock[seen[before]]) / np.where(span > 0, span, 1), 0)
    quaternions = rotations.matrix_to_quaternion(seen_fit.rotations)
    filled = rotations.slerp(quaternions[before], quaternions[after], np.repeat(share[:, None], 24, axis=1))
    trans = seen_fit.trans[before] + share[:, None] * (seen_fit.trans[after] - seen_fit.trans[before])
    information = np.zeros((n, 24))
    information[seen] = seen_fit.information
    return Fit(rotations.quaternion_to_matrix(filled), trans, information)


def _pull(
    figure: Figure,
    result: Fit,
    evidence: Evidence,
    clock: np.ndarray,
    turns: np.ndarray,
    smoothing: float,
    strength: float,
) -> Pull:
    """The smoothed result, as something the next fit stays near. The camera's own shaking is taken out before."""
    n = len(clock)
    turned, trans = result.rotations, result.trans
    if smoothing > 0:
        acceleration = np.array(
            [next(value for part, value in _ACCELERATION.items() if name.endswith(part)) for name in JOINT_NAMES]
        )
        # One curve's unit is its own usual acceleration, so that one call smooths them all.
        weights = np.clip(result.information, 0.5, 900.0)
        steady = result.rotations.copy()
        steady[:, 0] = turns @ steady[:, 0]
        turned = _smooth_all(steady, weights, clock, acceleration / smoothing)
        turned[:, 0] = np.swapaxes(turns, 1, 2) @ turned[:, 0]
        pelvis = figure.joints[0]
        path = np.einsum("nij,nj->ni", turns, result.trans + pelvis)
        path = _smooth_path(path, evidence, clock, smoothing)
        trans = np.einsum("nji,nj->ni", turns, path) - pelvis
    return Pull(
        rotations=turned,
        rotation_sigma=np.full((n, 24), np.radians(4.0) / strength),
        trans=trans,
        trans_sigma=np.broadcast_to(np.array([0.03, 0.03, 0.05]) / strength, (n, 3)),
        anchors=np.zeros((n, 33, 3)),
        anchor_sigma=np.full((n, 33), np.inf),
        level=np.zeros((n, 2, 3)),
        balance_sigma=np.full(n, np.inf),
    )


def _smooth_all(turned: np.ndarray, information: np.ndarray, clock: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    result = np.empty_like(turned)
    for value in np.unique(acceleration):
        joints = np.flatnonzero(acceleration == value)
        result[:, joints] = smooth_rotations(turned[:, joints], information[:, joints], clock, float(value))
    return result


def _smooth_path(path: np.ndarray, evidence: Evidence, clock: np.ndarray, smoothing: float) -> np.ndarray:
    """Smooth positions seen from the origin: across the line of sight they are sharp, along it only size tells."""
    distance = np.linalg.norm(path, axis=1, keepdims=True)
    usual = float(np.median(distance))
    curves = np.concatenate([path / distance, np.log(distance)], axis=1) * usual
    firm = 1 / evidence.pixel_sigma**2
    across = np.minimum(firm.sum(1) * (evidence.camera_K[0, 0] / usual) ** 2, 1 / 0.008**2)
    along = (firm.sum(1) > 0) / (0.015 * usual) ** 2
    idle = 0.05
    weights = np.stack([across, across, across, along], axis=1) + idle
    smoothed = smooth(curves[..., None], weights, clock, _TRANS_ACCELERATION / smoothing)[..., 0] / usual
    sight = smoothed[:, :3] / np.linalg.norm(smoothed[:, :3], axis=1, keepdims=True)
    return sight * np.exp(smoothed[:, 3:])


def _soles(person: _Person) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (n, 24, 3), sole points (n, 4, 3) in the first camera's space, and the latter's scores (n, 4)."""
    _, joints, points = person.figure.pose(person.fit.rotations, person.fit.trans)
    soles = list(contacts.SOLE_LANDMARKS)
    scores = np.zeros((len(person.frames), 4))
    scores[person.seen] = person.track.visibility[:, soles]
    back = np.swapaxes(person.turns, 1, 2)
    return joints @ back, points[:, soles] @ back, scores


def _stand(people: list[_Person]) -> np.ndarray:
    """(4, 4) first camera to world, from everybody's standing feet and upright bodies."""
    joints, points, weights = [], [], []
    for person in people:
        placed, soles, scores = _soles(person)
        speed = contacts.sideways_speed(soles, person.timestamps)
        joints.append(placed)
        points.append(soles)
        weights.append(contacts.standing(speed, None, scores) / len(people))
    up = floor.upright_direction(np.concatenate(joints))
    ground = [soles - _sole_heights(person.figure)[:, None] * up for soles, person in zip(points, people, strict=True)]
    # A raised foot may hang still in the air: only the lower one of a moment can be on the floor.
    firm = [weight * _lowest(soles @ up) for soles, weight in zip(ground, weights, strict=True)]
    normal, offset = floor.floor_plane(
        np.concatenate([soles.reshape(-1, 3) for soles in ground]), np.concatenate([part.ravel() for part in firm]), up
    )
    return floor.camera_to_world(normal, offset, joints[0][0, 0])


def _lowest(height: np.ndarray) -> np.ndarray:
    """(n, 4) near 1 for the lowest of the four sole points, falling with height (n, 4) above it."""
    return np.exp(-(((height - height.min(1, keepdims=True)) / 0.05) ** 2))


def _bring_to_floor(person: _Person, transform: np.ndarray) -> None:
    """Make a person larger and farther, or smaller and nearer, until the feet stand on everybody's floor.

    The image says nothing of a person's size; the floor that they share with others does.
    """
    clearance, probability, _ = _standing(person, transform)
    lowest = clearance.min(1)
    weight = probability.max(1)
    if weight.sum() < _ENOUGH_STANDING:
        return
    order = np.argsort(lowest)
    heaped = np.cumsum(weight[order])
    above = lowest[order][np.searchsorted(heaped, heaped[-1] / 2)]
    eye = transform[2, 3]
    if eye - above < _LOWEST_EYE:
        return
    track, old = person.track, person.figure
    scale = np.clip(eye / (eye - above), 1 / _LARGEST_RESIZING, _LARGEST_RESIZING)
    figure = Figure(old.body, shape_from_limbs(old.body, track.world_landmarks, track.visibility, float(scale)))
    grown = np.linalg.norm(figure.landmarks[_LIMBS[:, 0]] - figure.landmarks[_LIMBS[:, 1]], axis=1).sum()
    grown /= np.linalg.norm(old.landmarks[_LIMBS[:, 0]] - old.landmarks[_LIMBS[:, 1]], axis=1).sum()
    trans = (person.fit.trans + old.joints[0]) * grown - figure.joints[0]
    person.figure = figure
    person.fit = Fit(person.fit.rotations, trans, person.fit.information)


def _balance(person: _Person, transform: np.ndarray, smoothing: float) -> None:
    """Fit again with what gravity tells: a body on its feet keeps its trunk over them.

    One image hardly tells a lean towards the camera from an upright body; people who do not fall do.
    """
    _, joints, _ = person.figure.pose(person.fit.rotations, person.fit.trans)
    up = np.einsum("nji,j->ni", person.turns, transform[2, :3])
    whole = joints[:, 12] - joints[:, [7, 8]].mean(1)
    upright = np.einsum("ni,ni->n", whole, up) / np.linalg.norm(whole, axis=1)
    pull = _pull(person.figure, person.fit, person.evidence, person.timestamps, person.turns, smoothing, 0.25)
    pull.level = transform[:2, :3] @ person.turns
    with np.errstate(divide="ignore"):
        pull.balance_sigma = _BALANCE_SIGMA / np.clip((upright - 0.6) / 0.3, 0, 1)
    fitted = fit(person.figure, person.evidence, person.fit.rotations, person.fit.trans, pull, steps=5)
    pull = _pull(person.figure, fitted, person.evidence, person.timestamps, person.turns, smoothing, 1.0)
    person.fit = Fit(pull.rotations, pull.trans, fitted.information)


def _standing(person: _Person, transform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far each sole point is above where it stands (n, 4), how surely it stands (n, 4), its place (n, 4, 3)."""
    _, points, scores = _soles(person)
    world = points @ transform[:3, :3].T + transform[:3, 3]
    clearance = world[..., 2] - _sole_heights(person.figure)
    speed = contacts.sideways_speed(points, person.timestamps)
    # Only height above the lower foot counts: the person may stand on a kerb.
    lift = np.median(clearance.min(1))
    return clearance, contacts.standing(speed, clearance - lift, scores), world


def _sole_heights(figure: Figure) -> np.ndarray:
    """(4,) heights of the sole points above the floor when the feet stand flat, metres."""
    rest = figure.landmarks[list(contacts.SOLE_LANDMARKS), 1]
    return rest - rest.min() + _SKIN


def _plant_feet(person: _Person, transform: np.ndarray, camera: Camera, smoothing: float) -> Motion:
    soles = list(contacts.SOLE_LANDMARKS)
    n = len(person.frames)
    turn, shift = transform[:3, :3], transform[:3, 3]
    clearance, probability, world = _standing(person, transform)
    heights = _sole_heights(person.figure) + np.median(clearance.min(1))
    places, hold = contacts.plant(world, probability, person.timestamps, heights)
    pull = _pull(person.figure, person.fit, person.evidence, person.timestamps, person.turns, smoothing, 1.0)
    pull.rotations, pull.trans = person.fit.rotations, person.fit.trans
    pull.anchors[:, soles] = (places - shift) @ turn @ person.turns
    with np.errstate(divide="ignore"):
        pull.anchor_sigma[:, soles] = 0.012 / hold
    pull.trans_sigma = np.full((n, 3), 0.04)
    fitted = fit(person.figure, person.evidence, person.fit.rotations, person.fit.trans, pull, steps=5)
    final = _pull(person.figure, fitted, person.evidence, person.timestamps, person.turns, smoothing * 0.25, 1.0)
    person.fit = Fit(final.rotations, final.trans, fitted.information)
    return _motion(person, transform, camera, probability)


def _motion(person: _Person, transform: np.ndarray, camera: Camera, standing: np.ndarray) -> Motion:
    track, seen, n = person.track, person.seen, len(person.frames)
    bridged = np.ones(n, dtype=bool)
    bridged[seen] = False
    _, joints, _ = person.figure.pose(person.fit.rotations, person.fit.trans)

    def spread(values: np.ndarray) -> np.ndarray:
        whole = np.zeros((n, *values.shape[1:]))
        whole[seen] = values
        return whole

    to_world = np.broadcast_to(transform, (n, 4, 4)).copy()
    to_world[:, :3, :3] = transform[:3, :3] @ person.turns
    boxes = np.stack([np.interp(np.arange(n), seen, column) for column in track.boxes.T], axis=1)
    return Motion(
        timestamps=person.timestamps,
        poses_cam=rotations.matrix_to_axis_angle(person.fit.rotations),
        trans_cam=person.fit.trans,
        betas=person.figure.betas,
        pelvis=person.figure.joints[0],
        joints_cam=joints,
        camera_K=camera.K,
        camera_to_world=to_world,
        image_size=np.array(camera.size),
        frames=person.frames,
        boxes=boxes,
        scores=spread(_joint_scores(track)),
        bridged=bridged,
        contacts=standing.reshape(n, 2, 2).max(1),
        landmarks=spread(np.concatenate([track.landmarks, track.visibility[..., None]], axis=-1)),
        world_landmarks=spread(track.world_landmarks),
        estimator="landmarks",
        person=track.number,
    )


def _joint_scores(track: Track) -> np.ndarray:
    columns = []
    for name in JOINT_NAMES:
        side, _, part = name.partition("_")
        names = _VOUCHING.get(name) or tuple(f"{side}_{near}" for near in _VOUCHING.get(part, (part,)))
        columns.append(track.visibility[:, [LANDMARK_NAMES.index(near) for near in names]].mean(1))
    return np.stack(columns, axis=1)
