"""Renders people directly into the detector's crop.

OpenCV's rasteriser draws triangles with a depth buffer; lighting is per vertex. A frame takes a few milliseconds, most
of them for drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ....people import crops
from ....people.landmarker import INPUT_SIZE
from ....pose.features import roll
from . import room
from .actor import Actor, Light
from .filming import Shot

# People are drawn in a region that is larger than the crop, so that other crops can be cut from it unless they show
# too small a share of it.
_AROUND, _CLOSER = 1.25, 0.6
_CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)
_NEAR, _FAR = 0.1, 100.0
_UNMOVED = np.eye(4, dtype=np.float32)
_RING = np.stack([np.cos(np.arange(16) * np.pi / 8), np.zeros(16), np.sin(np.arange(16) * np.pi / 8)], 1)
# An open shutter is shown by at most so many exposures, as many pixels apart; motion is measured on some vertices.
_EXPOSURES, _SMEAR, _SOME = 4, 4.0, 37
# Shares of footage in low light, and of other footage with visible motion blur.
_DARK, _SLOW_SHUTTER = 0.12, 0.3


@dataclass
class Quality:
    """Effects of camera and codec on a picture.

    Attributes:
        gain: factor of each channel (3,).
        gamma: exponent of the whole.
        blur: of the lens, crop pixels.
        noise: of the sensor, grey levels.
        jpeg: quality, 100 for none.
        shutter: for which share of a frame it is open; 0 for a fast one.
    """

    gain: np.ndarray
    gamma: float
    blur: float
    noise: float
    jpeg: int
    shutter: float

    @classmethod
    def from_random(cls, rng: np.random.Generator) -> Quality:
        """A random one; most footage is decent."""
        dark = rng.random() < _DARK
        return cls(
            gain=np.exp(rng.normal(-0.9 if dark else 0, 0.25)) * np.exp(rng.normal(0, 0.08, 3)),
            gamma=float(np.exp(rng.normal(0, 0.15))),
            blur=float(rng.choice([0.0, rng.uniform(0.3, 1.6)])),
            noise=float(rng.uniform(4, 14) if dark or rng.random() < 0.25 else rng.uniform(0, 2.5)),
            jpeg=100 if rng.random() < 0.4 else int(rng.integers(22, 96)),
            shutter=float(rng.uniform(0.25, 0.9)) if dark or rng.random() < _SLOW_SHUTTER else 0.0,
        )


class Scene:
    """A person who moves in front of a camera, perhaps among others: n frames that can be drawn one at a time.

    Args:
        people: who is there; the first is the one of interest.
        shot: the camera.
        split: `train` or `validation`: which patterns and shapes may appear.
        rng: source of everything else.
        quality: of the pictures; by default a random one.
    """

    # Sides in pixels of what is drawn, and of what it is shrunk to.
    _drawn, _region = 384, 320

    def __init__(
        self,
        people: Sequence[Actor],
        shot: Shot,
        split: str,
        rng: np.random.Generator,
        quality: Quality | None = None,
    ):
        self.shot, self._people, self._rng = shot, people, rng
        self._light, self._quality = Light.from_random(rng), quality or Quality.from_random(rng)
        self._surround(split)
        self._shadow = float(rng.uniform(0, 0.6))
        self._regions: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        tones = np.linspace(0, 1, 256)[:, None] * self._quality.gain
        self._tones = np.rint(255 * np.clip(tones, 0, 1) ** self._quality.gamma).astype(np.uint8)[:, None]
        grain = rng.standard_normal((2 * self._region, 2 * self._region, 3), np.float32)
        self._grain = np.rint(self._quality.noise * grain).astype(np.int16)
        self._settings = cv2.TriangleRasterizeSettings()
        self._settings.setCullingMode(cv2.RASTERIZE_CULLING_CW)
        self._settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
        counts = np.cumsum([0, *(person.vertex_count for person in people)])
        self._faces = np.concatenate(
            [person.faces + first for person, first in zip(people, counts, strict=False)]
            + ([] if self._in_front is None else [self._in_front[1].astype(np.int32) + counts[-1]])
        )

    def _surround(self, split: str) -> None:
        """Put the people somewhere."""
        self._painting = np.rint(255 * room.paint(self.shot, split, self._rng)).astype(np.uint8)
        self._in_front = room.boxes_in_front(self.shot.world_to_camera(self._people[0].joints), self._rng)

    def draw(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(256, 256, 3) uint8 BGR: a frame in the crop (4,) in image pixels."""
        if frame not in self._regions:
            region = crop * [1, 1, _AROUND, 1]
            self._regions[frame] = region, self._render(frame, region)
        region, picture = self._regions[frame]
        # Who looks again, in nearly the same crop, sees the same picture, with its grain and its compression.
        corners = crops.from_image(crops.to_image(_CORNERS, crop), region)
        if (corners < 0).any() or (corners > 1).any() or crop[2] < _CLOSER * region[2]:
            region, picture = crop, self._render(frame, crop)
        to_picture = np.linalg.inv(_square(crops.affine(region, len(picture)))) @ _square(
            crops.affine(crop, INPUT_SIZE)
        )
        return cv2.warpAffine(
            picture,
            to_picture[:2],
            (INPUT_SIZE, INPUT_SIZE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _render(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(s, s, 3) uint8 BGR: a frame in the crop (4,) at the video's resolution, at most `_region` pixels wide."""
        focal, rolled = self.shot.K[0, 0], roll(crop[None])[0]
        centre, size = rolled[:2, :2] @ (crop[:2] - self.shot.K[:2, 2]) / focal, crop[2] / focal
        # An off-axis crop is the same as a centred view of a sheared scene.
        shear = np.array([[1, 0, -centre[0]], [0, -1, centre[1]], [0, 0, -1]])
        to_crop = (shear @ rolled).astype(np.float32)
        vertices, colours = self._mesh(frame)
        background = self._background(frame, crop)
        views = [vertices @ to_crop.T]
        if self._quality.shutter and frame + 1 < len(self.shot.rotations):
            # What moves over more than a pixel or two is smeared.
            end = views[0] + self._quality.shutter * (self._mesh(frame + 1)[0] @ to_crop.T - views[0])
            moved = (
                self._drawn
                / size
                * np.abs(end[::_SOME, :2] / end[::_SOME, 2:] - views[0][::_SOME, :2] / views[0][::_SOME, 2:])
            )
            count = int(np.clip(np.ceil(np.quantile(moved, 0.95) / _SMEAR), 1, _EXPOSURES))
            shares = np.linspace(0, 1, count, dtype=np.float32)
            views = [views[0] + share * (end - views[0]) for share in shares]
        field_of_view = 2 * float(np.arctan(size / 2))
        pictures = []
        for view in views:
            picture, depth = background.copy(), np.full((self._drawn, self._drawn), _FAR, np.float32)
            cv2.triangleRasterize(
                view,
                self._faces,
                colours,
                picture,
                depth,
                _UNMOVED,
                field_of_view,
                _NEAR,
                _FAR,
                self._settings,
            )
            pictures.append(picture)
        exposed = pictures[0] if len(pictures) == 1 else np.mean(pictures, axis=0)
        return self._develop(self._bounded(exposed, crop), crop)

    def _mesh(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) of everything in camera axes and their lit colours (V, 3)."""
        shot = self.shot
        parts = [person.seen(frame, shot, self._light) for person in self._people]
        if self._in_front is not None:
            corners, _, paint = self._in_front
            world = corners @ shot.rotations[0] + shot.positions[0]
            in_camera = (world - shot.positions[frame]) @ shot.rotations[frame].T
            parts.append((in_camera.astype(np.float32), paint.astype(np.float32)))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _background(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(384, 384, 3) float32: the background with people's shadows."""
        shot = self.shot
        h, w, _ = self._painting.shape
        scale = w / (1 + 2 * room.MARGIN) / shot.size[0]
        to_image = _square(crops.affine(crop, self._drawn))
        first = shot.K @ shot.rotations[0] @ shot.rotations[frame].T @ np.linalg.inv(shot.K)
        margin = room.MARGIN / (1 + 2 * room.MARGIN)
        to_painting = np.array([[scale, 0, w * margin], [0, scale, h * margin], [0, 0, 1]])
        picture = cv2.warpPerspective(
            self._painting,
            to_painting @ first @ to_image,
            (self._drawn, self._drawn),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        picture = picture.astype(np.float32)
        picture *= 1 / 255
        return self._shaded(picture, frame, crop)

    def _shaded(self, picture: np.ndarray, frame: int, crop: np.ndarray) -> np.ndarray:
        """The picture with shadows of the people on the floor."""
        if not self._shadow:
            return picture
        shot, small = self.shot, self._drawn // 4
        shadow = np.zeros((small, small), np.float32)
        for joints in (person.joints[frame] for person in self._people):
            for joint, radius in ((7, 0.18), (8, 0.18), (0, 0.32)):
                on_floor = joints[joint] * [1, 0, 1] + radius * _RING
                in_camera = (on_floor - shot.positions[frame]) @ shot.rotations[frame].T
                if in_camera[:, 2].min() < _NEAR:
                    continue
                pixels = in_camera[:, :2] / in_camera[:, 2:] * shot.K[[0, 1], [0, 1]] + shot.K[:2, 2]
                inside = crops.from_image(pixels, crop) * small
                if np.abs(inside).max() < 8 * small:
                    strength = self._shadow * np.exp(-2 * max(joints[joint, 1] - 0.1, 0))
                    cv2.fillConvexPoly(shadow, np.round(inside).astype(np.int32), float(strength))
        if not shadow.any():
            return picture
        light = cv2.resize(1 - cv2.blur(shadow, (5, 3)), (self._drawn, self._drawn), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(picture, cv2.merge([light] * 3))

    def _bounded(self, picture: np.ndarray, crop: np.ndarray) -> np.ndarray:
        """Repeat the image's edge where the crop reaches beyond it, as the crops in `people` do."""
        width, height = self.shot.size
        corners = crops.to_image(_CORNERS, crop)
        if (corners >= 0).all() and (corners <= [width - 1, height - 1]).all():
            return picture
        cells = np.arange(self._drawn, dtype=np.float32)
        to_image = crops.affine(crop, self._drawn).astype(np.float32)
        x, y = (row[0] * cells + (row[1] * cells + row[2])[:, None] for row in to_image)
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        back = cv2.invertAffineTransform(to_image)
        # Where the whole crop lies outside, there is nothing to repeat.
        columns, rows = (np.clip(row[0] * x + row[1] * y + row[2], 0, self._drawn - 1) for row in back)
        return cv2.remap(picture, columns, rows, cv2.INTER_LINEAR)

    def _develop(self, picture: np.ndarray, crop: np.ndarray) -> np.ndarray:
        quality = self._quality
        side = int(np.clip(crop[2], 24, self._region))
        levels = cv2.resize(cv2.convertScaleAbs(picture, alpha=255), (side, side), interpolation=cv2.INTER_AREA)
        levels = cv2.LUT(levels, self._tones)
        if quality.blur:
            levels = cv2.GaussianBlur(levels, (0, 0), quality.blur * side / self._region + 1e-3)
        x, y = self._rng.integers(0, self._region, 2)
        levels = cv2.add(levels, self._grain[y : y + side, x : x + side], dtype=cv2.CV_8U)
        if quality.jpeg < 100:
            _, stream = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality.jpeg])
            levels = np.asarray(cv2.imdecode(stream, cv2.IMREAD_COLOR))
        return levels


class Film(Scene):
    """Whole frames of people among solid boxes, in surroundings that are seen from where the camera is in each frame.

    Args:
        people: who is there.
        shot: the camera.
        boxes: (b, 2, 3) lowest and highest corners of what stands on the floor.
        place: `indoors` or `outdoors`.
        rng: source of everything else.
    """

    # By which more pixels are drawn than the image has.
    _FINER = 1.5

    def __init__(self, people: Sequence[Actor], shot: Shot, boxes: np.ndarray, place: str, rng: np.random.Generator):
        self._region = max(shot.size)
        self._drawn = round(self._FINER * self._region)
        self._boxes, self._place = boxes, place
        self._painted: tuple[int, np.ndarray] | None = None
        decent = Quality(np.ones(3), gamma=1.0, blur=0.0, noise=1.5, jpeg=100, shutter=0.0)
        super().__init__(people, shot, "validation", rng, decent)

    def frame(self, number: int) -> np.ndarray:
        """(height, width, 3) uint8 BGR."""
        width, height = self.shot.size
        picture = self._render(number, crops.whole((height, width)))
        left, top = (len(picture) - width) // 2, (len(picture) - height) // 2
        return picture[top : top + height, left : left + width]

    def _surround(self, split: str) -> None:
        corners, faces, colours = room.blocks(self._boxes, self._rng)
        self._in_front = None if not len(corners) else (self._in_first(corners), faces, colours)
        self._split, self._seed = split, self._rng.integers(2**32)

    def _background(self, frame: int, crop: np.ndarray) -> np.ndarray:
        shot = self.shot
        if self._painted is None or not self._same_view(self._painted[0], frame):
            rng = np.random.default_rng(self._seed)
            points = np.concatenate([*(person.joints.reshape(-1, 3) for person in self._people), shot.positions])
            clear = np.stack([points.min(axis=0), points.max(axis=0)])
            painting = room.paint(shot, self._split, rng, frame, shot.size[0], 0.0, clear, self._place)
            size = tuple(round(self._FINER * side) for side in shot.size)
            painting = cv2.resize(painting, size, interpolation=cv2.INTER_LINEAR)
            spare = [self._drawn - side for side in painting.shape[:2]]
            painting = np.pad(painting, [*((part // 2, part - part // 2) for part in spare), (0, 0)])
            self._painted = frame, painting
        return self._shaded(self._painted[1], frame, crop)

    def _bounded(self, picture: np.ndarray, crop: np.ndarray) -> np.ndarray:
        return picture

    def _same_view(self, first: int, second: int) -> bool:
        places, turns = self.shot.positions, self.shot.rotations
        return np.array_equal(places[first], places[second]) and np.array_equal(turns[first], turns[second])

    def _in_first(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the world in the axes of the camera's first frame."""
        return (points - self.shot.positions[0]) @ self.shot.rotations[0].T


def _square(matrix: np.ndarray) -> np.ndarray:
    """An affine matrix (2, 3) as (3, 3)."""
    return np.vstack([matrix, [0, 0, 1]])
