"""Pictures of people as a detector's crop shows them: drawn straight into the crop, nothing around it.

OpenCV's rasteriser draws triangles with a depth buffer; light is worked out per vertex. A frame takes a few
milliseconds, of which most is the drawing.
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
from .appearance import Look
from .filming import Shot

_DRAWN = 320
_NEAR, _FAR = 0.1, 100.0


@dataclass
class Quality:
    """What camera and codec do to a picture.

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
    def draw(cls, rng: np.random.Generator) -> Quality:
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
    """One lamp or sun, the sky, and the light that all things throw back.

    Attributes:
        direction: (3,) towards the lamp, in the y-up world.
        strength: (3,) BGR of the lamp.
        sky: brightness from above; the ground gives less.
        everywhere: brightness in every place.
    """

    direction: np.ndarray
    strength: np.ndarray
    sky: float
    everywhere: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Light:
        """A random one, from soft to harsh."""
        direction = rng.normal([0, 1.0, 0.5], [0.8, 0.4, 0.6])
        return cls(
            direction=direction / np.linalg.norm(direction),
            strength=rng.uniform(0.15, 0.85) * (1 + rng.normal(0, 0.06, 3)),
            sky=float(rng.uniform(0.1, 0.35)),
            everywhere=float(rng.uniform(0.2, 0.55)),
        )


class Scene:
    """A dressed person who moves before a camera: n frames that can be drawn one at a time.

    Args:
        body: the body model.
        betas: (10,) shape.
        local: (n, 24, 3, 3) rotations, the root's in the y-up world.
        trans: (n, 3) SMPL translation in the world.
        look: clothes and hair.
        shot: the camera.
        split: `train` or `validation`: which patterns and things may be seen.
        rng: source of everything else.
    """

    def __init__(
        self,
        body: Body,
        betas: np.ndarray,
        local: np.ndarray,
        trans: np.ndarray,
        look: Look,
        shot: Shot,
        split: str,
        rng: np.random.Generator,
    ):
        self.shot, self._look, self._body, self._betas = shot, look, body, betas
        self._rest, self._normals = look.rest.astype(np.float32), look.normals.astype(np.float32)
        self._weights, self._dyes = look.weights.astype(np.float32), look.colours.astype(np.float32)
        self._local, self._trans = local, trans
        self._turned, self._placed = body.kinematics(local, betas, trans)
        self._light, self._quality = Light.draw(rng), Quality.draw(rng)
        self._painting = room.paint(shot, split, rng)
        self._in_front = room.boxes_in_front(shot.see(self._placed), rng)
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
        """(256, 256, 3) uint8 BGR: what the crop (4,) in image pixels shows of a frame."""
        vertices, colours = self._person(frame)
        faces = self._look.faces
        if self._in_front is not None:
            corners, more, paint = self._in_front
            shot = self.shot
            world = corners @ shot.rotations[0] + shot.places[0]
            seen = (world - shot.places[frame]) @ shot.rotations[frame].T
            faces = np.concatenate([faces, more + len(vertices)])
            vertices, colours = np.concatenate([vertices, seen]), np.concatenate([colours, paint])
        picture = self._background(frame, crop)
        depth = np.full((_DRAWN, _DRAWN), _FAR, np.float32)
        info = box_info(crop[None], self.shot.K[None])[0]
        centre, size = info[:2] / 2.8, 0.06 * info[2] + 0.24
        rolled = vertices @ roll(crop[None])[0].T
        # A camera that looks past its axis is one that looks along it at sheared things.
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
        shot, light, rotation = self.shot, self._light, self._turned[frame]
        rest_joints = self._body.rest_joints(self._betas)
        offsets = self._placed[frame] - np.einsum("jab,jb->ja", rotation, rest_joints)
        # Carry straight into the camera; light directions are turned there too.
        seen = shot.rotations[frame]
        carry = np.concatenate([seen @ rotation, ((offsets - shot.places[frame]) @ seen.T)[..., None]], axis=-1)
        blend = (self._weights @ carry.reshape(24, 12).astype(np.float32)).reshape(-1, 3, 4)
        vertices = np.matmul(blend[..., :3], self._rest[..., None])[..., 0] + blend[..., 3]
        normals = np.matmul(blend[..., :3], self._normals[..., None])[..., 0]
        lamp, up = (seen @ light.direction).astype(np.float32), seen[:, 1].astype(np.float32)
        shade = light.everywhere + light.sky * (0.5 + 0.5 * (normals @ up))
        strength = light.strength.astype(np.float32)
        colours = self._dyes * (shade[:, None] + np.clip(normals @ lamp, 0, 1)[:, None] * strength)
        if self._look.shine:
            half = lamp - np.array([0, 0, 1], np.float32)
            half /= np.linalg.norm(half)
            colours += self._look.shine * (np.clip(normals @ half, 0, 1) ** 20)[:, None] * strength
        return vertices, np.clip(colours, 0, 1)

    def _background(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(320, 320, 3) float32: the room behind, with the person's shadow."""
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
            there = self._placed[frame, joint] * [1, 0, 1] + radius * ring
            seen = (there - shot.places[frame]) @ shot.rotations[frame].T
            if seen[:, 2].min() < _NEAR:
                continue
            pixels = seen[:, :2] / seen[:, 2:] * shot.K[[0, 1], [0, 1]] + shot.K[:2, 2]
            inside = crops.from_image(pixels, crop) * _DRAWN
            if np.abs(inside).max() < 8 * _DRAWN:
                strength = self._shadow * np.exp(-2 * max(self._placed[frame, joint, 1] - 0.1, 0))
                cv2.fillConvexPoly(shadow, np.round(inside).astype(np.int32), float(strength))
        shadow = cv2.blur(shadow, (15, 9))
        return picture * (1 - shadow[..., None])

    def _bounded(self, picture: np.ndarray, crop: np.ndarray) -> np.ndarray:
        """Repeat the image's edge where the crop reaches beyond it, as the people station's crops do."""
        width, height = self.shot.size
        corners = crops.to_image(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float), crop)
        if (corners >= 0).all() and (corners <= [width - 1, height - 1]).all():
            return picture
        cells = np.arange(_DRAWN, dtype=np.float32)
        there = crops.affine(crop, _DRAWN).astype(np.float32)
        x, y = (row[0] * cells + (row[1] * cells + row[2])[:, None] for row in there)
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        back = cv2.invertAffineTransform(there)
        # Where the whole crop lies outside, nothing was drawn that could be repeated.
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
        return self.shot.carry(self._local, self._trans, self._body.rest_joints(self._betas)[0])

    def landmark_pixels(self) -> np.ndarray:
        """(n, 33, 2) where the landmarks truly are in the image."""
        poses, trans = self.truth_in_camera()
        marks = self._body.landmark_positions(poses, self._betas, trans)
        K = self.shot.K
        return marks[..., :2] / np.maximum(marks[..., 2:], _NEAR) * K[0, 0] + K[:2, 2]
