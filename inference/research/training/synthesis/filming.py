"""Random cameras that film a performance: positions, orientations, movement."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ....body import rotations

# Image sizes; validation has some of its own.
FORMATS = {
    "train": ((1280, 720), (1920, 1080), (720, 1280), (640, 480), (1080, 1920), (854, 480)),
    "validation": ((960, 720), (1280, 720), (1080, 1080), (576, 1024)),
}

_NEAR = 0.1

# Share of shots that show only a part of the person.
_PARTLY = 0.1


@dataclass
class Shot:
    """A camera over n frames.

    Attributes:
        size: width and height of the image, pixels.
        K: (3, 3) intrinsics, pixels.
        rotations: (n, 3, 3) from the y-up world into camera axes (x right, y down, z forward).
        positions: (n, 3) of the camera in the world, metres.
    """

    size: tuple[int, int]
    K: np.ndarray
    rotations: np.ndarray
    positions: np.ndarray

    def world_to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (n, k, 3) in camera axes."""
        return np.einsum("nij,nkj->nki", self.rotations, points - self.positions[:, None])

    def project(self, points: np.ndarray) -> np.ndarray:
        """(n, k, 2) pixels of points (n, k, 3) in camera axes."""
        K = self.K
        return points[..., :2] / np.maximum(points[..., 2:], _NEAR) * K[[0, 1], [0, 1]] + K[:2, 2]

    def smpl_in_camera(
        self, local: np.ndarray, trans: np.ndarray, rest_pelvis: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """SMPL parameters in camera axes.

        Args:
            local: (n, 24, 3, 3) local rotations, the root's in the world.
            trans: (n, 3) SMPL translation in the world.
            rest_pelvis: (3,) rest position of the pelvis.

        Returns:
            (n, 24, 3) axis-angle rotations and (n, 3) SMPL translation.
        """
        in_camera = local.copy()
        in_camera[:, 0] = self.rotations @ local[:, 0]
        pelvis = np.einsum("nij,nj->ni", self.rotations, trans + rest_pelvis - self.positions)
        return rotations.matrix_to_axis_angle(in_camera), pelvis - rest_pelvis


def film(joints: np.ndarray, rate: float, split: str, rng: np.random.Generator) -> Shot:
    """A random camera for a performance with joints (n, 24, 3) in the y-up world, at `rate` frames per second."""
    n = len(joints)
    formats = FORMATS[split]
    size = formats[rng.integers(len(formats))]
    diagonal = float(np.hypot(*size))
    focal = diagonal * np.exp(rng.normal(-0.05, 0.28))
    middle = (joints.min((0, 1)) + joints.max((0, 1))) / 2
    extent = joints.max((0, 1)) - joints.min((0, 1))
    tall = max(extent[1], 1.0)
    # The share of the image's height that the person fills; above one, part of them is cut off.
    fill = np.clip(np.exp(rng.normal(-0.6, 0.38)), 0.18, 1.35)
    partly = rng.random() < _PARTLY
    if partly:
        fill = rng.uniform(1.2, 2.2)
    distance = max(focal * tall / (size[1] * fill), focal * max(extent[0], extent[2]) / (1.5 * size[0]))
    distance = float(np.clip(distance, 1.3, 14.0)) + extent[2] / 2
    heights = [rng.normal(1.4, 0.3), rng.uniform(0.2, 3.0), 1.5 + distance * rng.uniform(0.2, 0.9)]
    height = np.clip(rng.choice(heights, p=[0.68, 0.22, 0.1]), 0.15, 7.0)
    drift = _drift(n, rate, rng)
    positions = np.array([middle[0], height, middle[2] + distance]) + drift[0]
    # The person is rarely in the centre.
    width_there, height_there = distance * size[0] / focal, distance * size[1] / focal
    spare = np.maximum(np.array([width_there - extent[0] - 0.6, height_there - extent[1] - 0.3]), 0) / 2
    aim = middle + np.array([*(rng.uniform(-0.8, 0.8, 2) * spare), 0.0])
    if partly:
        # Mostly it is the lower half that is cut off.
        aim[1] += rng.normal(0.25, 0.2) * tall
    if rng.random() < 0.12:
        aim = aim + np.array([rng.normal(0, 0.25 * width_there), rng.normal(0, 0.2 * height_there), 0.0])
    follow = 0.0
    if rng.random() < 0.3:
        follow = rng.uniform(0.3, 1.0)
    centre = joints[:, 0] - joints[:, 0].mean(0)
    # An operator follows slowly.
    centre = cv2.GaussianBlur(centre, (1, 0), sigmaX=1e-3, sigmaY=0.25 * rate, borderType=cv2.BORDER_REPLICATE)
    orientations = look_at(positions, aim + follow * centre)
    roll = rng.normal(0, np.radians(2.5)) if rng.random() < 0.9 else rng.normal(0, np.radians(20))
    shake = drift[1] + np.array([0.0, 0.0, roll])
    orientations = rotations.axis_angle_to_matrix(shake) @ orientations
    K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    return Shot(size, K, orientations, positions)


def beside(joints: np.ndarray, others: np.ndarray, shot: Shot, rng: np.random.Generator) -> np.ndarray:
    """(3,) by which to move somebody with joints (n, 24, 3) along the floor so that they are beside, behind or in front
    of a person with other joints, in the middle of a shot.
    """
    middle = len(joints) // 2
    ahead = (joints[middle, 0] - shot.positions[middle]) * [1, 0, 1]
    distance = float(np.linalg.norm(ahead))
    ahead /= max(distance, 1e-6)
    right = np.cross(ahead, [0, 1.0, 0])
    nearest = max(-2.0, 1.2 - distance)
    depth = rng.uniform(nearest, 6.0) if nearest < -0.5 else rng.uniform(0.6, 6.0)
    # Nobody stands inside another person.
    aside = rng.choice([-1, 1]) * rng.uniform(0.1 if abs(depth) > 0.7 else 0.6, 1.6)
    return joints[middle, 0] * [1, 0, 1] + depth * ahead + aside * right - others[middle, 0] * [1, 0, 1]


def _drift(n: int, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Camera translation (n, 3) in metres and shake (n, 3) in radians: on a tripod, hand-held, panning or walking."""
    kind = rng.choice(["tripod", "hand", "pan", "walk"], p=[0.45, 0.3, 0.1, 0.15])
    seconds = np.arange(n) / rate
    if kind == "tripod":
        return np.zeros((n, 3)), np.zeros((n, 3))
    shifts, angles = hand(n, rate, rng)
    if kind == "pan":
        angles[:, 1] += rng.normal(0, 0.12) * (seconds - seconds.mean())
    if kind == "walk":
        shifts += rng.normal(0, [0.5, 0.04, 0.5]) * (seconds - seconds.mean())[:, None]
    return shifts, angles


def hand(n: int, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Translation (n, 3) in metres and shake (n, 3) in radians of a camera that is held by hand."""
    seconds = np.arange(n) / rate
    shifts, angles = np.zeros((n, 3)), np.zeros((n, 3))
    for pace, reach, turn in ((0.4, 0.02, 0.012), (1.3, 0.008, 0.005), (4.0, 0.002, 0.0015)):
        phase = rng.uniform(0, 2 * np.pi, (2, 3))
        speed = 2 * np.pi * pace * rng.uniform(0.6, 1.5, (2, 3))
        strength = np.exp(rng.normal(0, 0.5))
        shifts += reach * strength * np.sin(seconds[:, None] * speed[0] + phase[0])
        angles += turn * strength * np.sin(seconds[:, None] * speed[1] + phase[1]) * np.array([1, 1, 0.6])
    return shifts, angles


def look_at(positions: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """(n, 3, 3) from the y-up world into the axes of upright cameras at `positions` (n, 3) towards `aims` (n, 3)."""
    forward = aims - positions
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], axis=1)
