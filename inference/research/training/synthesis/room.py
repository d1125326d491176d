"""Surroundings: a room or a street, seen as a distant painting behind the person, and boxes in front of them.

Every pixel of the painting is a ray into a simple world: floor, walls or sky and trees, furniture or houses; their
materials are bricks, tiles, planks, panes and noise whose strength falls with its frequency, as it does in photographs.
"""

from __future__ import annotations

import cv2
import numpy as np

from .filming import Shot

_WIDTH = 320
# Margin of the painting beyond the image, for cameras that rotate.
MARGIN = 0.35
_NOISE = 512
_FAR = 60.0
_CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
# For validation the first of these is left out, for training the last one.
_MATERIALS = ("planks", "plain", "rough", "tiles", "bricks")


def paint(
    shot: Shot,
    split: str,
    rng: np.random.Generator,
    frame: int = 0,
    width: int = _WIDTH,
    margin: float = MARGIN,
    clear: np.ndarray | None = None,
    place: str | None = None,
) -> np.ndarray:
    """(h, w, 3) float32 BGR from 0 to 1: what the camera sees of the surroundings, with a margin.

    Args:
        shot: the camera.
        split: which patterns may appear.
        rng: source of everything else. From the same state, other frames show the same surroundings.
        frame: of the shot.
        width: of the image without the margin, pixels.
        margin: share of the image on each side.
        clear: (2, 3) lowest and highest corner of a region with nothing but the floor; by default the first camera's
            position.
        place: `indoors` or `outdoors`; None for either.
    """
    height = round(width * shot.size[1] / shot.size[0])
    shape = (round(height * (1 + 2 * margin)), round(width * (1 + 2 * margin)))
    world = _World(shot, frame, width, shape, split, rng, clear)
    inside = rng.random() < 0.5
    if inside if place is None else place == "indoors":
        world.indoors()
    else:
        world.outdoors()
    blur = rng.choice([0.4, rng.uniform(0.5, 2.5)])
    return np.clip(cv2.GaussianBlur(world.canvas, (0, 0), float(blur)), 0, 1)


class _World:
    """What rays from the camera meet.

    Attributes:
        canvas: (h, w, 3) float32 what has been painted so far.
    """

    def __init__(
        self,
        shot: Shot,
        frame: int,
        width: int,
        shape: tuple[int, int],
        split: str,
        rng: np.random.Generator,
        clear: np.ndarray | None,
    ):
        self._rng, self._materials = rng, _MATERIALS[1:] if split == "validation" else _MATERIALS[:-1]
        self._eye = shot.positions[frame].astype(np.float32)
        self._clear = shot.positions[[0, 0]] if clear is None else clear
        scale = shot.size[0] / width
        x = (np.arange(shape[1], dtype=np.float32) + 0.5 - shape[1] / 2) * scale / shot.K[0, 0]
        y = (np.arange(shape[0], dtype=np.float32) + 0.5 - shape[0] / 2) * scale / shot.K[1, 1]
        grid = np.stack([*np.meshgrid(x, y), np.ones(shape, np.float32)], axis=-1)
        self._turn = shot.rotations[frame].astype(np.float32)
        self._rays = grid @ self._turn
        # Of pixels from places in the grid.
        self._lens = np.array([[x[0], x[1] - x[0]], [y[0], y[1] - y[0]]])
        self._depth = np.full(shape, np.inf, np.float32)
        self.canvas = np.zeros((*shape, 3), np.float32)
        # Noise whose amplitude falls with the frequency, of unit variance.
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_NOISE), np.fft.rfftfreq(_NOISE), indexing="ij"))
        spectrum = np.fft.rfft2(rng.normal(size=(_NOISE, _NOISE))) / np.maximum(frequency, 1 / _NOISE)
        noise = np.fft.irfft2(spectrum)
        self._noise = (noise / noise.std()).astype(np.float32)

    def noise(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Unit noise at coordinates of any equal shape, repeating after 1."""
        columns, rows = (np.floor(part * np.float32(_NOISE)).astype(np.int32) & (_NOISE - 1) for part in (u, v))
        return self._noise[rows, columns]

    def indoors(self) -> None:
        """A room with furniture along its walls."""
        rng = self._rng
        # People act around the world's origin, and the camera stands somewhere in front.
        size = rng.uniform(2.2, 6.0, 3)
        low, high = self._clear
        left, right = min(-size[0], low[0] - 0.5), max(size[1], high[0] + 0.5)
        back = min(-size[2], low[2] - 0.5)
        self._plane(1, 0.0, 0.9)
        self._plane(1, max(rng.uniform(2.3, 3.4), float(high[1]) + 0.3), 0.3, plain=True)
        wall = _colour(rng), str(rng.choice(self._materials))
        for axis, place in ((2, back), (0, left), (0, right)):
            self._plane(axis, place, rng.uniform(0.2, 0.6), *wall)
            for _ in range(rng.integers(0, 4)):
                self._panel(axis, place)
        for _ in range(rng.integers(0, 5)):
            self._box(rng.uniform([left, 0, back], [right, 0, back + 0.8]), rng.uniform(0.3, 1.1, 3))

    def outdoors(self) -> None:
        """Ground, sky, trees and houses."""
        rng = self._rng
        up = self._rays[..., 1] / np.sqrt(np.einsum("yxa,yxa->yx", self._rays, self._rays))
        visible = up > -0.05
        up, azimuth = up[visible], np.arctan2(self._rays[visible, 0], -self._rays[visible, 2]) / 3
        sky = np.array([0.95, 0.85, 0.75]) * rng.uniform(0.6, 1.05) + rng.normal(0, 0.04, 3)
        clouds = self.noise(azimuth, up) * rng.uniform(0, 0.12)
        blue = np.array([-0.1, 0.15, 0.3], np.float32)
        above = sky.astype(np.float32) + clouds[:, None] - np.clip(up, 0, 1)[:, None] * blue
        for _ in range(rng.integers(0, 4)):
            green = rng.uniform(0.1, 0.35) * np.array([rng.uniform(0.3, 0.9), 1.0, rng.uniform(0.6, 1.1)], np.float32)
            top = rng.uniform(0.0, 0.3) + rng.uniform(0.02, 0.15) * self.noise(azimuth + rng.random(), 0 * up)
            leaves = self.noise(4 * azimuth, 4 * up) * 0.35 + self.noise(azimuth, up) * 0.2
            trees = up + 0.03 * leaves < top
            above[trees] = np.clip(green * (1 + leaves[trees, None]), 0, 1)
        self.canvas[visible] = above
        self._plane(1, 0.0, 0.8)
        for _ in range(rng.integers(0, 5)):
            place = np.array([rng.uniform(-14, 14), 0, -rng.uniform(4, 20)])
            self._box(place, rng.uniform([1, 2, 1], [7, 6, 3]))
        for _ in range(rng.integers(0, 4)):
            self._box(
                np.array([rng.uniform(-6, 6), 0, -rng.uniform(1.5, 8)]), rng.uniform([0.05, 0.3, 0.05], [2, 2, 0.6])
            )

    def _plane(
        self,
        axis: int,
        place: float,
        dark: float,
        colour: np.ndarray | None = None,
        material: str | None = None,
        plain: bool = False,
    ) -> None:
        """Paint a plane at a place on an axis, darker by up to the share `dark` far away."""
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (np.float32(place) - self._eye[axis]) / self._rays[..., axis]
        first, second = (other for other in range(3) if other != axis)
        with np.errstate(invalid="ignore", over="ignore"):
            u = self._eye[first] + along * self._rays[..., first]
            v = self._eye[second] + along * self._rays[..., second]
            seen = (along > 0) & (along < self._depth) & (np.hypot(u, v) < _FAR)
        self._cover(seen, along[seen], u[seen], v[seen], dark, colour, "plain" if plain else material, self._rng)

    def _panel(self, axis: int, place: float) -> None:
        """A door, window, picture or shelf on a wall."""
        rng = self._rng
        low = rng.choice([0.0, rng.uniform(0.6, 1.6)])
        high = low + (rng.uniform(1.9, 2.2) if low == 0 else rng.uniform(0.3, 1.2))
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (place - self._eye[axis]) / self._rays[..., axis]
            across = self._eye[2 - axis] + along * self._rays[..., 2 - axis] - rng.uniform(-4, 4)
            height = self._eye[1] + along * self._rays[..., 1]
        width = rng.uniform(0.2, 0.9)
        inside = (np.abs(along - self._depth) < 0.01) & (np.abs(across) < width) & (height > low) & (height < high)
        across, height = across[inside], height[inside]
        colour = _colour(rng)
        if rng.random() < 0.3:
            colour = np.clip(colour + 0.5, 0, 1.2)
        strength = rng.choice([0.03, 0.35]) * rng.uniform(0.5, 1, 3)
        picture = colour + strength * self.noise(across, height)[:, None]
        picture[(np.abs(across) > width - 0.05) | (height > high - 0.05)] = _colour(rng)
        self.canvas[inside] = picture

    def _box(self, place: np.ndarray, size: np.ndarray) -> None:
        """A box that stands on the floor with its middle at a place, aligned with the axes."""
        # Whatever is seen of it, what follows stays the same.
        rng = np.random.default_rng(self._rng.integers(2**32))
        low, high = ((place + size * part).astype(np.float32) for part in ([-0.5, 0, -0.5], [0.5, 1, 0.5]))
        if ((low - 0.3 < self._clear[1]) & (self._clear[0] < high + 0.3)).all():
            return
        part = self._around(low, high)
        rays = self._rays[part]
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = [
                ((low[axis] - self._eye[axis]) / rays[..., axis], (high[axis] - self._eye[axis]) / rays[..., axis])
                for axis in range(3)
            ]
        near = [np.minimum(*ends) for ends in sides]
        enter = np.maximum(np.maximum(near[0], near[1]), near[2])
        leave = np.minimum.reduce([np.maximum(*ends) for ends in sides])
        hits = (enter > 0.3) & (enter < leave) & (enter < self._depth[part])
        if not hits.any():
            return
        seen = np.zeros(self._depth.shape, bool)
        seen[part] = hits
        side = np.select([near[0][hits] == enter[hits], near[1][hits] == enter[hits]], [0, 1], 2)
        hit = self._eye + enter[hits, None] * rays[hits]
        u, v = np.where(side == 0, hit[:, 2], hit[:, 0]), np.where(side == 1, hit[:, 2], hit[:, 1])
        self._cover(seen, enter[hits], u, v, 0.2, _colour(rng), None, rng)
        self.canvas[seen] *= rng.uniform(0.6, 1.1, 3).astype(np.float32)[side, None]

    def _around(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
        """The rows and columns in which a box between two corners may be seen."""
        corners = ((_CUBE + 0.5) * (high - low) + low - self._eye) @ self._turn.T
        if corners[:, 2].min() < 0.1:
            return slice(None), slice(None)
        places = (corners[:, :2] / corners[:, 2:] - self._lens[:, 0]) / self._lens[:, 1]
        first = np.clip(np.floor(places.min(axis=0)), 0, None).astype(int)
        last = np.clip(np.ceil(places.max(axis=0)) + 1, 0, None).astype(int)
        return slice(first[1], last[1]), slice(first[0], last[0])

    def _cover(
        self,
        seen: np.ndarray,
        along: np.ndarray,
        u: np.ndarray,
        v: np.ndarray,
        dark: float,
        colour: np.ndarray | None,
        material: str | None,
        rng: np.random.Generator,
    ) -> None:
        """Paint the n pixels that are `seen` (h, w) to see a surface, `along` (n,) far away, at u, v (n,) in metres."""
        colour = _colour(rng) if colour is None else colour
        kind = str(rng.choice(self._materials)) if material is None else material
        turn = rng.uniform(0, np.pi) if material is None else 0.0
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        u, v = cos * u - sin * v, sin * u + cos * v
        light = 1 + rng.uniform(0.02, 0.1) * self.noise(u / 6, v / 6)
        light += rng.uniform(0.05, 0.3) * (kind == "rough") * self.noise(u, v)
        if kind in ("tiles", "bricks", "planks"):
            width, depth = {"tiles": (0.4, 0.4), "bricks": (0.24, 0.08), "planks": (1.8, 0.14)}[kind]
            width, depth = width * rng.uniform(0.7, 1.6), depth * rng.uniform(0.7, 1.6)
            row = np.floor(v / depth)
            shifted = u / width + (0.5 * row if kind != "tiles" else 0)
            each = self.noise(np.floor(shifted) * 0.317, row * 0.171)
            light += rng.uniform(0.02, 0.15) * each
            joint = (np.mod(shifted, 1) < 0.01 / width) | (np.mod(v / depth, 1) < 0.01 / depth)
            light = np.where(joint, light * rng.uniform(0.5, 1.2), light)
        light *= 1 - dark * np.clip(along / 25, 0, 0.8)
        self.canvas[seen] = colour.astype(np.float32) * light[:, None]
        self._depth[seen] = along


def _colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) a colour, mostly greyish, often warm, now and then strong."""
    if rng.random() < 0.1:
        return rng.uniform(0.05, 0.8, 3)
    grey = rng.uniform(0.15, 0.9)
    return np.clip(grey * (1 + rng.normal(0, 0.05, 3) + rng.normal(0.04, 0.1) * np.array([-1, 0, 1])), 0.02, 1)


def boxes_in_front(joints: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Boxes between a camera and a person with joints (n, 24, 3), in the axes of the camera's first frame.

    Returns:
        (8 b, 3) corners, (12 b, 3) triangles and (8 b, 3) colours of some boxes; None for none.
    """
    if rng.random() > 0.12:
        return None
    corners, faces, colours = [], [], []
    triangles = np.concatenate([_SIDES[:, :3], _SIDES[:, [0, 2, 3]]])
    nearest = joints[..., 2].min()
    for number in range(rng.integers(1, 3)):
        depth = max(nearest * rng.uniform(0.55, 0.97) - 0.35, 0.4)
        target = joints[rng.integers(len(joints)), rng.integers(24)] * depth / nearest
        size = np.exp(rng.normal(-1.5, 0.4, 3))
        size[1] *= rng.choice([1.0, 3.0])
        # Most reach the floor.
        position = np.array([target[0] + rng.normal(0, 0.25), target[1] + size[1] / 2 * rng.uniform(0.3, 1), depth])
        angle = rng.uniform(0, np.pi)
        spin = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        corners.append((_CUBE * size * [1, 1, 0.4]) @ spin.T + position)
        faces.append(triangles + 8 * number)
        colours.append(np.clip(_colour(rng) * rng.uniform(0.6, 1.2, (8, 1)), 0, 1))
    return np.concatenate(corners), np.concatenate(faces), np.concatenate(colours)


def blocks(boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mesh of b boxes, given by their lowest and highest corner (b, 2, 3), each side in its own shade.

    Returns:
        (24 b, 3) corners, (12 b, 3) triangles and (24 b, 3) colours.
    """
    low, high = boxes[:, :1], boxes[:, 1:]
    corners = ((_CUBE + 0.5) * (high - low) + low)[:, _SIDES.ravel()].reshape(-1, 3)
    quads = 4 * np.arange(6 * len(boxes))[:, None]
    faces = np.concatenate([quads + np.array([0, 1, 2]), quads + np.array([0, 2, 3])])
    shades = np.repeat(np.tile([0.6, 0.75, 0.4, 1.0, 0.55, 0.85], len(boxes)), 4)
    colours = np.repeat([_colour(rng) for _ in boxes], 24, axis=0).reshape(-1, 3)
    return corners, faces, colours * shades[:, None]
