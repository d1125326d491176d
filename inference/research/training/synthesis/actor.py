"""Somebody dressed who moves in front of a camera: the posed and lit mesh of each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....body.smpl import Body
from .appearance import DressedBody
from .filming import Shot


@dataclass
class Light:
    """One lamp or sun, the sky, and ambient light.

    Attributes:
        direction: (3,) towards the lamp, in the y-up world.
        strength: (3,) BGR of the lamp.
        sky: brightness from above; the ground gives less.
        ambient: brightness everywhere.
    """

    direction: np.ndarray
    strength: np.ndarray
    sky: float
    ambient: float

    @classmethod
    def from_random(cls, rng: np.random.Generator) -> Light:
        """A random one, from soft to harsh."""
        direction = rng.normal([0, 1.0, 0.5], [0.8, 0.4, 0.6])
        return cls(
            direction=direction / np.linalg.norm(direction),
            strength=rng.uniform(0.15, 0.85) * (1 + rng.normal(0, 0.06, 3)),
            sky=float(rng.uniform(0.1, 0.35)),
            ambient=float(rng.uniform(0.2, 0.55)),
        )


class Actor:
    """A dressed person with a motion of n frames.

    Args:
        body: the body model.
        betas: (10,) shape.
        local: (n, 24, 3, 3) rotations, the root's in the y-up world.
        trans: (n, 3) SMPL translation in the world.
        dressed: the person with clothes and hair.

    Attributes:
        joints: (n, 24, 3) in the world.
        faces: (F, 3) int32.
    """

    def __init__(self, body: Body, betas: np.ndarray, local: np.ndarray, trans: np.ndarray, dressed: DressedBody):
        self._rotations, self.joints = body.kinematics(local, betas, trans)
        self._offsets = self.joints - np.einsum("njab,jb->nja", self._rotations, body.rest_joints(betas))
        self._rest, self._normals = dressed.rest.astype(np.float32), dressed.normals.astype(np.float32)
        self._weights, self._dyes = dressed.weights.astype(np.float32), dressed.colours.astype(np.float32)
        self._shine = dressed.shine
        self.faces = dressed.faces.astype(np.int32)
        self._seen: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def vertex_count(self) -> int:
        """How many vertices the mesh has."""
        return len(self._rest)

    def seen(self, frame: int, shot: Shot, light: Light) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) in camera axes and their lit colours (V, 3), float32; kept, since detectors look again."""
        if frame not in self._seen:
            self._seen[frame] = self._lit(frame, shot, light)
        return self._seen[frame]

    def _lit(self, frame: int, shot: Shot, light: Light) -> tuple[np.ndarray, np.ndarray]:
        # Everything in camera axes, light directions too.
        to_camera = shot.rotations[frame]
        transforms = np.concatenate(
            [
                to_camera @ self._rotations[frame],
                ((self._offsets[frame] - shot.positions[frame]) @ to_camera.T)[..., None],
            ],
            axis=-1,
        )
        blend = (self._weights @ transforms.reshape(24, 12).astype(np.float32)).reshape(-1, 3, 4)
        vertices = np.matmul(blend[..., :3], self._rest[..., None])[..., 0] + blend[..., 3]
        normals = np.matmul(blend[..., :3], self._normals[..., None])[..., 0]
        lamp, up = (to_camera @ light.direction).astype(np.float32), to_camera[:, 1].astype(np.float32)
        shade = light.ambient + light.sky * (0.5 + 0.5 * (normals @ up))
        strength = light.strength.astype(np.float32)
        colours = self._dyes * (shade[:, None] + np.clip(normals @ lamp, 0, 1)[:, None] * strength)
        if self._shine:
            half = lamp - np.array([0, 0, 1], np.float32)
            half /= np.linalg.norm(half)
            colours += self._shine * (np.clip(normals @ half, 0, 1) ** 20)[:, None] * strength
        return vertices, np.clip(colours, 0, 1).astype(np.float32)
