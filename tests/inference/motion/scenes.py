"""People who walk and are filmed, made by hand, so that everything about them is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation
from video_motion.inference.body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.camera.intrinsics import Camera, intrinsics
from video_motion.inference.people.track import Track

SIZE = (1280, 720)
BACKGROUND = 7.0
"""How far away it is, metres."""
CYCLE = 1.1
STANCE = 0.62
LAP = 6.0
RADIUS = 0.4
SOLES = [LANDMARK_NAMES.index(f"{side}_{part}") for part in ("heel", "foot_index") for side in ("left", "right")]
HIPS = [LANDMARK_NAMES.index("left_hip"), LANDMARK_NAMES.index("right_hip")]


@dataclass
class Scene:
    """A walk as it truly is; rows are frames.

    Attributes:
        timestamps: (N,) seconds.
        poses: (N, 24, 3) axis-angle in camera space.
        trans: (N, 3) in camera space, metres.
        betas: (10,).
        joints: (N, 24, 3) in camera space.
        landmarks: (N, 33, 3) in camera space.
        camera: the camera.
        to_world: (N, 4, 4) camera space to a world with z up and the floor at z = 0.
        standing: (N, 2) whether the left and the right foot stand.
    """

    timestamps: np.ndarray
    poses: np.ndarray
    trans: np.ndarray
    betas: np.ndarray
    joints: np.ndarray
    landmarks: np.ndarray
    camera: Camera
    to_world: np.ndarray
    standing: np.ndarray

    def world(self, points: np.ndarray) -> np.ndarray:
        """Points (N, k, 3) of camera space in the world."""
        return np.einsum("nij,nkj->nki", self.to_world[:, :3, :3], points) + self.to_world[:, None, :3, 3]


def project(points: np.ndarray, camera_K: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3) in camera space."""
    image = points @ camera_K.T
    return image[..., :2] / image[..., 2:]


def walk(
    body: Body,
    timestamps: np.ndarray,
    betas: np.ndarray | None = None,
    pitch: float = 12.0,
    turns: np.ndarray | None = None,
    travel: np.ndarray | None = None,
    centre: tuple[float, float] = (0.0, 0.0),
    late: float = 0.0,
) -> Scene:
    """Somebody who walks in a circle, one lap in six seconds, with feet that stand flat and still.

    Args:
        body: the body.
        timestamps: (N,) seconds.
        betas: (10,) its shape.
        pitch: degrees by which the camera looks down, from 1.5 m above the floor and 5 m in front of the circle.
        turns: (N, 3, 3) camera rotation from each frame to the first; at rest unless given.
        travel: (N, 3) camera positions in the first camera's space, metres; it stays in its place unless given.
        centre: of the circle, x to the right, y away from the camera, metres.
        late: seconds by which the walk is shifted.
    """
    betas = np.zeros(10) if betas is None else betas
    n = len(timestamps)
    turns = np.broadcast_to(np.eye(3), (n, 3, 3)) if turns is None else turns
    travel = np.zeros((n, 3)) if travel is None else travel
    vertices, rest = body.shape(betas)
    sole = vertices[:, 1].min()
    time = timestamps + late
    middle = np.array([*centre, 0.0])

    local = np.broadcast_to(np.eye(3), (n, 24, 3, 3)).copy()
    for joint, angles in _upper_body(time).items():
        local[:, JOINT_NAMES.index(joint)] = Rotation.from_euler("ZYX", angles, degrees=True).as_matrix()
    facing = _facing(time)
    local[:, 0] = facing
    pelvis = _path(time) + middle
    pelvis[:, 2] = rest[0, 1] - sole - 0.025
    standing = np.zeros((n, 2), dtype=bool)
    for side in range(2):
        hip, knee, ankle = 1 + side, 4 + side, 7 + side
        place, foot, standing[:, side] = _footsteps(time, side)
        target = place + middle + [0, 0, rest[ankle, 1] - sole]
        start = pelvis + (facing @ (rest[hip] - rest[0])[:, None])[..., 0]
        thigh, shin = _two_bones(start, target, facing, rest[hip], rest[knee], rest[ankle])
        local[:, hip] = _back(facing) @ thigh
        local[:, knee] = _back(thigh) @ shin
        local[:, ankle] = _back(shin) @ foot

    slope = np.radians(pitch)
    first = np.eye(4)
    first[:3, :3] = np.array([[1, 0, 0], [0, -np.sin(slope), -np.cos(slope)], [0, np.cos(slope), -np.sin(slope)]]).T
    first[:3, 3] = [0, -5.0, 1.5]
    to_world = np.broadcast_to(first, (n, 4, 4)).copy()
    to_world[:, :3, :3] = first[:3, :3] @ turns
    to_world[:, :3, 3] += travel @ first[:3, :3].T
    back = _back(to_world[:, :3, :3])
    local[:, 0] = back @ local[:, 0]
    trans = (back @ (pelvis - to_world[:, :3, 3])[..., None])[..., 0] - rest[0]
    poses = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(n, 24, 3)
    return Scene(
        timestamps=timestamps,
        poses=poses,
        trans=trans,
        betas=betas,
        joints=body.joints(poses, betas, trans),
        landmarks=body.landmark_positions(poses, betas, trans),
        camera=Camera(SIZE, intrinsics(SIZE), turns, travel / BACKGROUND),
        to_world=to_world,
        standing=standing,
    )


def film(
    scene: Scene,
    random: np.random.Generator,
    pixel_noise: float = 2.0,
    world_noise: tuple[float, float] = (0.02, 0.04),
    hidden: float = 0.0,
    missing: slice = slice(0, 0),
    number: int = 1,
) -> Track:
    """What BlazePose would see of a scene.

    Args:
        scene: the scene.
        random: source of the noise.
        pixel_noise: standard deviation in pixels.
        world_noise: of the world landmarks, across and along the line of sight, metres.
        hidden: share of landmarks that are at a wrong place, with no visibility.
        missing: frames in which nobody was seen.
        number: the person's.
    """
    n = len(scene.timestamps)
    exact = project(scene.landmarks, scene.camera.K)
    pixels = exact + random.normal(0, 1, exact.shape) * pixel_noise
    ray = np.append((exact.mean(1) - scene.camera.K[:2, 2]) / scene.camera.K[0, 0], np.ones((n, 1)), axis=1)
    sight = Rotation.from_rotvec(_shortest(np.array([0.0, 0.0, 1.0]), ray)).as_matrix()
    centred = scene.landmarks - scene.landmarks[:, HIPS].mean(1, keepdims=True)
    across, along = world_noise
    world = centred @ sight + random.normal(0, 1, centred.shape) * [across, across, along]
    visibility = np.ones((n, 33))
    wrong = random.uniform(size=(n, 33)) < hidden
    visibility[wrong] = 0
    pixels[wrong] += random.normal(0, 60, (int(wrong.sum()), 2))
    world[wrong] += random.normal(0, 0.2, (int(wrong.sum()), 3))
    boxes = np.concatenate([exact.min(1), np.ptp(exact, axis=1)], axis=1)
    seen = np.delete(np.arange(n), missing)
    return Track(
        number=number,
        frames=seen,
        timestamps=scene.timestamps[seen],
        landmarks=pixels[seen],
        visibility=visibility[seen],
        presence=np.ones((len(seen), 33)),
        world_landmarks=world[seen],
        crops=np.zeros((len(seen), 4)),
        boxes=boxes[seen],
        scores=np.ones(len(seen)),
        maps=np.full(len(seen), -1),
    )


def _upper_body(time: np.ndarray) -> dict[str, np.ndarray]:
    """Euler angles (N, 3) about z, then y, then x, degrees."""
    swing = np.sin(2 * np.pi * time / CYCLE)
    zero = np.zeros_like(time)
    return {
        "spine1": np.stack([zero, 4 * swing, zero + 5], axis=1),
        "spine3": np.stack([zero, 4 * swing, zero], axis=1),
        "head": np.stack([zero, 20 * np.sin(time), zero + 5], axis=1),
        "left_shoulder": np.stack([zero - 70, -25 * swing, zero], axis=1),
        "right_shoulder": np.stack([zero + 70, -25 * swing, zero], axis=1),
        "left_elbow": np.stack([zero, -35 - 15 * swing, zero], axis=1),
        "right_elbow": np.stack([zero, 35 - 15 * swing, zero], axis=1),
    }


def _path(time: np.ndarray) -> np.ndarray:
    angle = 2 * np.pi * time / LAP
    return RADIUS * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)


def _facing(time: np.ndarray) -> np.ndarray:
    """(N, 3, 3) body axes (left, up, front) in the world, along the circle."""
    angle = 2 * np.pi * time / LAP
    zero, one = 0 * angle, 0 * angle + 1
    front = np.stack([-np.sin(angle), np.cos(angle), zero], axis=-1)
    left = np.stack([-np.cos(angle), -np.sin(angle), zero], axis=-1)
    return np.stack([left, np.stack([zero, zero, one], axis=-1), front], axis=-1)


def _footsteps(time: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a foot is on the floor (N, 3), how it is turned (N, 3, 3) and whether it stands (N,)."""
    phase = time / CYCLE + 0.5 * side
    step = np.floor(phase)
    share = phase - step
    middle = (step + STANCE / 2 - 0.5 * side) * CYCLE
    x = np.clip((share - STANCE) / (1 - STANCE), 0, 1)
    ease = x**3 * (10 - 15 * x + 6 * x**2)
    apart = 0.09 * (1 - 2 * side)

    def place(when: np.ndarray) -> np.ndarray:
        return _path(when) + apart * _facing(when)[..., 0]

    where = place(middle) + ease[:, None] * (place(middle + CYCLE) - place(middle))
    where[:, 2] = 0.10 * (4 * x * (1 - x)) ** 2
    return where, _facing(middle + ease * CYCLE), share < STANCE


def _two_bones(
    start: np.ndarray, end: np.ndarray, facing: np.ndarray, hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (N, 3, 3) of thigh and shin that reach from the hip to the ankle with the knee to the front."""
    upper, lower = np.linalg.norm(knee - hip), np.linalg.norm(ankle - knee)
    distance = np.linalg.norm(end - start, axis=1, keepdims=True)
    assert distance.max() < upper + lower, "the scene asks for longer legs"
    down = (end - start) / distance
    ahead = facing[..., 2] - (facing[..., 2] * down).sum(1, keepdims=True) * down
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    middle = start + along * down + np.sqrt(upper**2 - along**2) * ahead
    hinge = np.cross(ahead, down)
    rest_hinge = np.array([1.0, 0.0, 0.0])
    return (
        _axes(middle - start, hinge) @ _axes(knee - hip, rest_hinge).T,
        _axes(end - middle, hinge) @ _axes(ankle - knee, rest_hinge).T,
    )


def _axes(along: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    hinge = hinge - (hinge * along).sum(-1, keepdims=True) * along
    hinge = hinge / np.linalg.norm(hinge, axis=-1, keepdims=True)
    return np.stack([along, hinge, np.cross(along, hinge)], axis=-1)


def _shortest(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Rotation vectors (N, 3) that take `start` (3,) to the directions `end` (N, 3)."""
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    return axis / np.maximum(sine, 1e-12) * np.arctan2(sine, (end @ start)[:, None])


def _back(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)
