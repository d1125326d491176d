"""Pictures for judging a motion: the character over the footage, from the side, and from above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from ..body.skeleton import JOINT_NAMES, SIDES
from ..body.smpl import Body
from ..footage.reader import Footage
from ..motion.motion import Motion
from ..people import crops

_COLOURS = ((120, 190, 255), (255, 190, 120), (150, 230, 140), (220, 150, 240), (120, 230, 240), (190, 190, 190))
_LIGHT = np.array([0.35, -0.75, -0.55]) / np.linalg.norm([0.35, -0.75, -0.55])
_OPACITY = 0.85
_BONES = ((11, 13), (13, 15), (12, 14), (14, 16), (11, 12), (23, 24), (11, 23), (12, 24), (23, 25), (25, 27), (24, 26))
_BONES += ((26, 28), (27, 29), (28, 30), (29, 31), (30, 32), (15, 19), (16, 20))


# Metres across the close picture of a face and of a hand, the pixels of its side, and MediaPipe's bones of a hand.
_FACE_SIDE, _HAND_SIDE, _CLOSE = 0.34, 0.3, 240
_HAND_BONES = (*((0, first) for first in (1, 5, 17)), (5, 9), (9, 13), (13, 17))
_HAND_BONES += tuple((first + part, first + part + 1) for first in (1, 5, 9, 13, 17) for part in range(3))
# Metres before the camera from which on things are drawn.
_NEAREST = 0.05
_HEAD, _WRISTS = JOINT_NAMES.index("head"), [JOINT_NAMES.index(f"{side}_wrist") for side in SIDES]


def draw_mesh(
    image: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    camera_K: np.ndarray,
    colour: Sequence[float],
    opacity: float = _OPACITY,
) -> None:
    """Draw a shaded mesh into `image`, far faces first.

    Args:
        image: (H, W, 3) BGR, changed in place.
        vertices: (V, 3) camera space, metres.
        faces: (F, 3 or 4).
        camera_K: (3, 3) intrinsics in pixels of `image`.
        colour: BGR.
        opacity: 1 hides what is behind.
    """
    # Of somebody close to the camera some may be beside or behind it.
    faces = faces[(vertices[faces, 2] >= _NEAREST).all(axis=1)]
    pixels = vertices[:, :2] / np.maximum(vertices[:, 2:], _NEAREST) * camera_K[[0, 1], [0, 1]] + camera_K[:2, 2]
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    facing = np.einsum("fa,fa->f", normals, corners[:, 0]) < 0
    shade = 0.35 + 0.65 * np.clip(normals[facing] @ _LIGHT, 0, 1)
    order = np.argsort(-corners[facing, :, 2].mean(1))
    polygons = np.round(pixels[faces[facing]] * 16).astype(np.int32)[order]
    colours = (shade[:, None] * np.asarray(colour)).clip(0, 255)[order].tolist()
    layer = image.copy()
    for polygon, tone in zip(polygons, colours, strict=True):
        cv2.fillConvexPoly(layer, polygon, tone, cv2.LINE_8, 4)
    cv2.addWeighted(layer, opacity, image, 1 - opacity, 0, dst=image)


def draw_landmarks(image: np.ndarray, landmarks: np.ndarray) -> None:
    """Draw BlazePose's landmarks (33, 3: x, y in pixels and visibility) as a stick figure into `image`."""
    thickness = max(1, round(max(image.shape) / 400))
    for start, end in _BONES:
        if min(landmarks[start, 2], landmarks[end, 2]) > 0.3:
            (x, y), (to_x, to_y) = np.round(landmarks[[start, end], :2]).astype(int).tolist()
            cv2.line(image, (x, y), (to_x, to_y), (60, 255, 60), thickness, cv2.LINE_AA)


def overlaid(footage: Footage, motions: Sequence[Motion], body: Body, height: int = 0) -> Iterator[np.ndarray]:
    """Yield each frame with every person's character drawn over them, `height` pixels high (0 for the footage's)."""
    for frame in footage:
        scale = height / frame.image.shape[0] if height else 1.0
        image = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _draw_people(image, scale, frame.number, motions, body)
        yield image


def write_video(footage: Footage, motions: Sequence[Motion], body: Body, path: Path, height: int = 0) -> None:
    """Write the overlay as an MP4, under a temporary name first, so that `path` is complete or missing.

    Raises:
        OSError: the video cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    writer: cv2.VideoWriter | None = None
    try:
        for image in overlaid(footage, motions, body, height):
            if writer is None:
                size = (image.shape[1], image.shape[0])
                writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), footage.frame_rate, size)
                if not writer.isOpened():
                    raise OSError(f"{path} cannot be written; check the folder and the free space.")
            writer.write(image)
        if writer is not None:
            writer.release()
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_contact_sheet(
    footage: Footage, motions: Sequence[Motion], body: Body, path: Path, columns: int = 8, height: int = 360
) -> None:
    """Write a picture of several moments: footage with landmarks, character over it, from its left, and from above.

    Args:
        footage: the video the motions come from.
        motions: the people in it.
        body: the body model.
        path: picture file to write.
        columns: how many moments.
        height: pixels of one row.
    """
    shown = np.unique(np.concatenate([motion.frames for motion in motions]))
    chosen = set(shown[np.linspace(0, len(shown) - 1, min(columns, len(shown))).round().astype(int)].tolist())
    ways = _Ways.of(motions)
    strips = []
    for frame in footage:
        if frame.number not in chosen:
            continue
        scale = height / frame.image.shape[0]
        plain = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        over = plain.copy()
        for motion in motions:
            for row in np.flatnonzero(motion.frames == frame.number):
                draw_landmarks(plain, motion.landmarks[row] * [scale, scale, 1])
        _draw_people(over, scale, frame.number, motions, body)
        views = [view(plain.shape, frame.number, motions, ways, body) for view in (_from_the_side, _from_above)]
        strips.append(np.concatenate([plain, over, *views]))
    if not cv2.imwrite(str(path), np.concatenate(strips, axis=1)):
        raise OSError(f"{path} cannot be written; check the folder and the free space.")


def write_close_pictures(footage: Footage, motions: Sequence[Motion], body: Body, path: Path, columns: int = 8) -> bool:
    """Write close pictures of several moments of the person whose hands, or else face, were seen most often.

    Its rows are face, left and right hand: each with landmarks, and with the character over it. Nothing is written, and
    False returned, where neither was seen of anybody.

    Args:
        footage, motions, body, path, columns: as for `write_contact_sheet`.
    """
    motion = max(motions, key=lambda one: _seen_closely(one).sum())
    seen = np.flatnonzero(_seen_closely(motion))
    if not len(seen):
        return False
    rows = seen[np.linspace(0, len(seen) - 1, min(columns, len(seen))).round().astype(int)]
    numbers = dict(zip(motion.frames[rows].tolist(), rows.tolist(), strict=True))
    strips = []
    for frame in footage:
        if (row := numbers.get(frame.number)) is None:
            continue
        joints, skin, hands = motion.joints_cam[row], _skin(motion, row, body), motion.hand_landmarks
        strip = []
        for part, (place, side) in enumerate(
            [(joints[_HEAD] - [0.0, 0.06, 0.0], _FACE_SIDE), *((joints[wrist], _HAND_SIDE) for wrist in _WRISTS)]
        ):
            middle = (motion.camera_K @ place)[:2] / place[2]
            side_pixels = side * motion.camera_K[0, 0] / place[2]
            plain = crops.cut(frame.image, np.array([*middle, side_pixels, 0.0]), _CLOSE)
            scale = _CLOSE / side_pixels
            to_close = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0], [0.0, 0.0, 1.0]])
            to_close[:2, 2] = _CLOSE / 2 - scale * middle
            over = plain.copy()
            draw_mesh(over, skin, body.polygons, to_close @ motion.camera_K, _COLOURS[0], 1.0)
            if part and hands is not None and hands[row, part - 1, 0, 2] > 0:
                _draw_hand(plain, scale * hands[row, part - 1, :, :2] + to_close[:2, 2])
            strip += [plain, over]
        strips.append(np.concatenate(strip))
    if not cv2.imwrite(str(path), np.concatenate(strips, axis=1)):
        raise OSError(f"{path} cannot be written; check the folder and the free space.")
    return True


def _seen_closely(motion: Motion) -> np.ndarray:
    """(n,) whether a hand was looked at and seen; where none ever was, the face."""
    if motion.hand_landmarks is not None:
        return np.any(motion.hand_landmarks[..., 2] > 0, axis=(1, 2))
    return np.zeros(len(motion), bool) if motion.face_scores is None else motion.face_scores > 0


def _draw_hand(image: np.ndarray, landmarks: np.ndarray) -> None:
    """Draw a hand's landmarks (21, 2) into a close picture."""
    for start, end in _HAND_BONES:
        (x, y), (to_x, to_y) = np.round(landmarks[[start, end]]).astype(int).tolist()
        cv2.line(image, (x, y), (to_x, to_y), (60, 255, 60), 2, cv2.LINE_AA)


def _skin(motion: Motion, row: int, body: Body) -> np.ndarray:
    """Vertices (V, 3) in camera space of a row of a motion."""
    one = slice(row, row + 1)
    fingers, face = (None if values is None else values[one] for values in (motion.fingers, motion.face))
    return body.vertices_in_detail(motion.poses_cam[one], motion.betas, motion.trans_cam[one], fingers, face)[0]


def _draw_people(image: np.ndarray, scale: float, number: int, motions: Sequence[Motion], body: Body) -> None:
    rows = [(motion, int(row)) for motion in motions for row in np.flatnonzero(motion.frames == number)]
    for motion, row in sorted(rows, key=lambda item: -item[0].joints_cam[item[1], 0, 2]):
        vertices = _skin(motion, row, body)
        camera_K = motion.camera_K * [[scale], [scale], [1.0]]
        draw_mesh(image, vertices, body.polygons, camera_K, _COLOURS[(motion.person - 1) % len(_COLOURS)])


@dataclass(frozen=True)
class _Ways:
    """Where people go in the world: their pelvises (n, 3), and what (3,) all their joints lie between, metres."""

    pelvises: Sequence[np.ndarray]
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, motions: Sequence[Motion]) -> Self:
        joints = [motion.joints_world for motion in motions]
        lows, highs = ([edge(one, axis=(0, 1)) for one in joints] for edge in (np.min, np.max))
        return cls([one[:, 0] for one in joints], np.min(lows, axis=0), np.max(highs, axis=0))


def _from_the_side(
    shape: tuple[int, ...], number: int, motions: Sequence[Motion], ways: _Ways, body: Body
) -> np.ndarray:
    """The people in the world, seen along their common x axis, the floor drawn as a line."""
    image = np.full(shape, 245, np.uint8)
    low, high = ways.low, ways.high
    reach = max(2.2, (high[1] - low[1] + 1.2) * shape[0] / shape[1], high[2] - min(low[2], 0) + 0.6)
    # Usually around the hips of who stands; higher where somebody is high above the floor.
    middle = np.array([0, (low[1] + high[1]) / 2, max(0.85, high[2] + 0.3 - reach / 2)])
    floor = int(shape[0] / 2 + shape[0] * middle[2] / reach)
    cv2.line(image, (0, floor), (shape[1], floor), (150, 150, 150), 1)
    # From the world's +x: the picture's right is y, its down is -z, its depth is -x.
    view = np.array([[0, 1.0, 0], [0, 0, -1.0], [-1.0, 0, 0]])
    _draw_world(image, number, motions, body, view, middle, reach)
    return image


def _from_above(shape: tuple[int, ...], number: int, motions: Sequence[Motion], ways: _Ways, body: Body) -> np.ndarray:
    """The people in the world from above, the camera below the picture, everybody's way drawn as a line."""
    image = np.full(shape, 245, np.uint8)
    low, high = ways.low, ways.high
    reach = max(2.2, high[1] - low[1] + 0.6, (high[0] - low[0] + 0.6) * shape[0] / shape[1])
    middle = (low + high) / 2
    # The picture's right is x, its down is -y, its depth is -z.
    view = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]])
    for motion, pelvis in zip(motions, ways.pelvises, strict=True):
        way = (pelvis - middle) @ view[:2].T * shape[0] / reach + [shape[1] / 2, shape[0] / 2]
        colour = _COLOURS[(motion.person - 1) % len(_COLOURS)]
        cv2.polylines(image, [way.round().astype(np.int32)], False, colour, 1, cv2.LINE_AA)
    _draw_world(image, number, motions, body, view, middle, reach)
    return image


def _draw_world(
    image: np.ndarray,
    number: int,
    motions: Sequence[Motion],
    body: Body,
    view: np.ndarray,
    middle: np.ndarray,
    reach: float,
) -> None:
    """Draw who is in a frame from far away, in axes (3, 3) of right, down and depth; `reach` metres are the height."""
    height, width = image.shape[:2]
    far = 20.0 * reach
    camera_K = np.array([[20.0 * height, 0, width / 2], [0, 20.0 * height, height / 2], [0, 0, 1.0]])
    for motion in motions:
        for row in np.flatnonzero(motion.frames == number):
            one = slice(row, row + 1)
            vertices = body.vertices(motion.poses[one], motion.betas, motion.trans[one])[0]
            seen = (vertices - middle) @ view.T + [0, 0, far]
            draw_mesh(image, seen, body.polygons, camera_K, _COLOURS[(motion.person - 1) % len(_COLOURS)], 1.0)
