"""Renders people directly into the detector's crop.

OpenCV's rasteriser draws triangles with a depth buffer; lighting is per vertex. A frame takes a few milliseconds, most
of them for drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ....body.smpl import Body
from ....people import crops
from ....people.landmarker import INPUT_SIZE
from ....pose.features import box_info, roll
from . import room
from .appearance import DressedBody
from .filming import Shot

_DRAWN = 320
_NEAR, _FAR = 0.1, 100.0


@dataclass
class Quality:
    """Effects of camera and codec on a picture.

    Attributes:
        gain: factor of each channel (3,).
        gamma: exponent of the whole.
        blur: of the lens, crop pixels.
        noise: of the sensor, grey levels.
        jpeg: quality, 100 for none.
    """

    gain: np.ndarray
    gamma: float
    blur: float
    noise: float
    jpeg: int

    @classmethod
    def from_random(cls, rng: np.random.Generator) -> Quality:
        """A random one; most footage is decent."""
        return cls(
            gain=np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.05, 3)),
            gamma=float(np.exp(rng.normal(0, 0.15))),
            blur=float(rng.choice([0.0, rng.uniform(0.3, 1.6)])),
            noise=float(rng.choice([rng.uniform(0, 2), rng.uniform(2, 9)], p=[0.7, 0.3])),
            jpeg=100 if rng.random() < 0.5 else int(rng.integers(35, 96)),
        )


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


class Scene:
    """A dressed person who moves in front of a camera: n frames that can be drawn one at a time.

    Args:
        body: the body model.
        betas: (10,) shape.
        local: (n, 24, 3, 3) rotations, the root's in the y-up world.
        trans: (n, 3) SMPL translation in the world.
        dressed: the person with clothes and hair.
        shot: the camera.
        split: `train` or `validation`: which patterns and shapes may appear.
        rng: source of everything else.
    """

    def __init__(
        self,
        body: Body,
        betas: np.ndarray,
        local: np.ndarray,
        trans: np.ndarray,
        dressed: DressedBody,
        shot: Shot,
        split: str,
        rng: np.random.Generator,
    ):
        self.shot, self._dressed, self._body, self._betas = shot, dressed, body, betas
        self._rest, self._normals = dressed.rest.astype(np.float32), dressed.normals.astype(np.float32)
        self._weights, self._dyes = dressed.weights.astype(np.float32), dressed.colours.astype(np.float32)
        self._local, self._trans = local, trans
        self._global_rotations, self._joints = body.kinematics(local, betas, trans)
        self._light, self._quality = Light.from_random(rng), Quality.from_random(rng)
        self._painting = room.paint(shot, split, rng)
        self._in_front = room.boxes_in_front(shot.world_to_camera(self._joints), rng)
        self._shadow = float(rng.uniform(0, 0.6))
        self._rng = rng
        tones = np.linspace(0, 1, 256)[:, None] * self._quality.gain
        self._tones = np.rint(255 * np.clip(tones, 0, 1) ** self._quality.gamma).astype(np.uint8)[:, None]
        grain = rng.standard_normal((2 * INPUT_SIZE, 2 * INPUT_SIZE, 3), np.float32)
        self._grain = np.rint(self._quality.noise * grain).astype(np.int16)
        self._settings = cv2.TriangleRasterizeSettings()
        self._settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
        self._settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)

    def draw(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(256, 256, 3) uint8 BGR: a frame in the crop (4,) in image pixels."""
        vertices, colours = self._person(frame)
        faces = self._dressed.faces
        if self._in_front is not None:
            corners, more, paint = self._in_front
            shot = self.shot
            world = corners @ shot.rotations[0] + shot.positions[0]
            in_camera = (world - shot.positions[frame]) @ shot.rotations[frame].T
            faces = np.concatenate([faces, more + len(vertices)])
            vertices, colours = np.concatenate([vertices, in_camera]), np.concatenate([colours, paint])
        picture = self._background(frame, crop)
        depth = np.full((_DRAWN, _DRAWN), _FAR, np.float32)
        info = box_info(crop[None], self.shot.K[None])[0]
        centre, size = info[:2] / 2.8, 0.06 * info[2] + 0.24
        rolled = vertices @ roll(crop[None])[0].T
        # An off-axis crop is the same as a centred view of a sheared scene.
        rolled[:, :2] -= centre * rolled[:, 2:]
        cv2.triangleRasterize(
            (rolled * [1, -1, -1]).astype(np.float32),
            faces.astype(np.int32),
            colours.astype(np.float32),
            picture,
            depth,
            np.eye(4, dtype=np.float32),
            2 * float(np.arctan(size / 2)),
            _NEAR,
            _FAR,
            self._settings,
        )
        return self._develop(self._bounded(picture, crop), crop)

    def _person(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) in camera axes and their lit colours (V, 3)."""
        shot, light, rotation = self.shot, self._light, self._global_rotations[frame]
        rest_joints = self._body.rest_joints(self._betas)
        offsets = self._joints[frame] - np.einsum("jab,jb->ja", rotation, rest_joints)
        # Everything in camera axes, light directions too.
        to_camera = shot.rotations[frame]
        transforms = np.concatenate(
            [to_camera @ rotation, ((offsets - shot.positions[frame]) @ to_camera.T)[..., None]], axis=-1
        )
        blend = (self._weights @ transforms.reshape(24, 12).astype(np.float32)).reshape(-1, 3, 4)
        vertices = np.matmul(blend[..., :3], self._rest[..., None])[..., 0] + blend[..., 3]
        normals = np.matmul(blend[..., :3], self._normals[..., None])[..., 0]
        lamp, up = (to_camera @ light.direction).astype(np.float32), to_camera[:, 1].astype(np.float32)
        shade = light.ambient + light.sky * (0.5 + 0.5 * (normals @ up))
        strength = light.strength.astype(np.float32)
        colours = self._dyes * (shade[:, None] + np.clip(normals @ lamp, 0, 1)[:, None] * strength)
        if self._dressed.shine:
            half = lamp - np.array([0, 0, 1], np.float32)
            half /= np.linalg.norm(half)
            colours += self._dressed.shine * (np.clip(normals @ half, 0, 1) ** 20)[:, None] * strength
        return vertices, np.clip(colours, 0, 1)

    def _background(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(320, 320, 3) float32: the background with the person's shadow."""
        shot = self.shot
        h, w, _ = self._painting.shape
        scale = w / (1 + 2 * room.MARGIN) / shot.size[0]
        to_image = np.vstack([crops.affine(crop, _DRAWN), [0, 0, 1]])
        first = shot.K @ shot.rotations[0] @ shot.rotations[frame].T @ np.linalg.inv(shot.K)
        margin = room.MARGIN / (1 + 2 * room.MARGIN)
        to_painting = np.array([[scale, 0, w * margin], [0, scale, h * margin], [0, 0, 1]])
        picture = cv2.warpPerspective(
            self._painting,
            to_painting @ first @ to_image,
            (_DRAWN, _DRAWN),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        ring = np.stack([np.cos(np.arange(16) * np.pi / 8), np.zeros(16), np.sin(np.arange(16) * np.pi / 8)], 1)
        shadow = np.zeros((_DRAWN, _DRAWN), np.float32)
        for joint, radius in ((7, 0.18), (8, 0.18), (0, 0.32)):
            on_floor = self._joints[frame, joint] * [1, 0, 1] + radius * ring
            in_camera = (on_floor - shot.positions[frame]) @ shot.rotations[frame].T
            if in_camera[:, 2].min() < _NEAR:
                continue
            pixels = in_camera[:, :2] / in_camera[:, 2:] * shot.K[[0, 1], [0, 1]] + shot.K[:2, 2]
            inside = crops.from_image(pixels, crop) * _DRAWN
            if np.abs(inside).max() < 8 * _DRAWN:
                strength = self._shadow * np.exp(-2 * max(self._joints[frame, joint, 1] - 0.1, 0))
                cv2.fillConvexPoly(shadow, np.round(inside).astype(np.int32), float(strength))
        shadow = cv2.blur(shadow, (15, 9))
        return picture * (1 - shadow[..., None])

    def _bounded(self, picture: np.ndarray, crop: np.ndarray) -> np.ndarray:
        """Repeat the image's edge where the crop reaches beyond it, as the crops in `people` do."""
        width, height = self.shot.size
        corners = crops.to_image(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float), crop)
        if (corners >= 0).all() and (corners <= [width - 1, height - 1]).all():
            return picture
        cells = np.arange(_DRAWN, dtype=np.float32)
        to_image = crops.affine(crop, _DRAWN).astype(np.float32)
        x, y = (row[0] * cells + (row[1] * cells + row[2])[:, None] for row in to_image)
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        back = cv2.invertAffineTransform(to_image)
        # Where the whole crop lies outside, there is nothing to repeat.
        columns, rows = (np.clip(row[0] * x + row[1] * y + row[2], 0, _DRAWN - 1) for row in back)
        return cv2.remap(picture, columns, rows, cv2.INTER_LINEAR)

    def _develop(self, picture: np.ndarray, crop: np.ndarray) -> np.ndarray:
        quality = self._quality
        side = int(np.clip(crop[2], 24, INPUT_SIZE))
        levels = cv2.resize(cv2.convertScaleAbs(picture, alpha=255), (side, side), interpolation=cv2.INTER_AREA)
        levels = cv2.LUT(levels, self._tones)
        if quality.blur:
            levels = cv2.GaussianBlur(levels, (0, 0), quality.blur * side / INPUT_SIZE + 1e-3)
        x, y = self._rng.integers(0, INPUT_SIZE, 2)
        levels = cv2.add(levels, self._grain[y : y + side, x : x + side], dtype=cv2.CV_8U)
        if quality.jpeg < 100:
            _, stream = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality.jpeg])
            levels = np.asarray(cv2.imdecode(stream, cv2.IMREAD_COLOR))
        return cv2.resize(levels, (INPUT_SIZE, INPUT_SIZE)) if side != INPUT_SIZE else levels

    def truth_in_camera(self) -> tuple[np.ndarray, np.ndarray]:
        """Local rotations (n, 24, 3) axis-angle with the root in camera axes, and SMPL translation (n, 3) there."""
        return self.shot.smpl_in_camera(self._local, self._trans, self._body.rest_joints(self._betas)[0])

    def landmark_pixels(self) -> np.ndarray:
        """(n, 33, 2) true landmarks in the image."""
        poses, trans = self.truth_in_camera()
        marks = self._body.landmark_positions(poses, self._betas, trans)
        K = self.shot.K
        return marks[..., :2] / np.maximum(marks[..., 2:], _NEAR) * K[0, 0] + K[:2, 2]
