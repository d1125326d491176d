"""Surroundings: a room or street as a flat image behind the person, and boxes in front of them."""

from __future__ import annotations

import cv2
import numpy as np

from .appearance import noise_image
from .filming import Shot

_WIDTH = 480
# Margin of the painting beyond the image, for cameras that rotate.
MARGIN = 0.35


def paint(shot: Shot, split: str, rng: np.random.Generator) -> np.ndarray:
    """(h, w, 3) float32 BGR from 0 to 1: the background of the camera's first frame, with a margin."""
    width = _WIDTH
    height = round(width * shot.size[1] / shot.size[0])
    canvas = np.empty((round(height * (1 + 2 * MARGIN)), round(width * (1 + 2 * MARGIN)), 3), np.float32)
    h, w, _ = canvas.shape
    forward = shot.rotations[0, 2]
    horizon = height * (0.5 + MARGIN) + shot.K[0, 0] * width / shot.size[0] * forward[1] / np.hypot(*forward[[0, 2]])
    # The wall meets the floor below the horizon.
    edge = int(np.clip(horizon + rng.uniform(0.02, 0.3) * height, 2, h - 2))
    wall, ground = _colour(rng), _colour(rng)
    canvas[:edge] = wall + np.linspace(rng.normal(0, 0.08), rng.normal(0, 0.08), edge)[:, None, None]
    canvas[edge:] = ground + np.linspace(rng.normal(0, 0.1), rng.normal(0, 0.1), h - edge)[:, None, None]
    canvas += rng.uniform(0, 0.05) * noise_image((h, w), 5, rng)
    canvas[edge:] += rng.uniform(0, 0.05) * noise_image((h - edge, w), 60, rng)
    if rng.random() < 0.35:
        _leaves(canvas, edge, rng)
    if rng.random() < 0.4:
        _boards(canvas, edge, horizon, rng)
    for _ in range(rng.integers(0, 9)):
        _thing(canvas, edge, split, rng)
    if rng.random() < 0.25:
        canvas += rng.uniform(0.02, 0.09) * noise_image((h, w), rng.uniform(20, 120), rng)
    blur = rng.choice([0.6, rng.uniform(0.8, 4)])
    return np.clip(cv2.GaussianBlur(canvas, (0, 0), float(blur)), 0, 1)


def _colour(rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.uniform(0.1, 0.9) + rng.normal(0, 0.09, 3), 0, 1)


def _thing(canvas: np.ndarray, edge: int, split: str, rng: np.random.Generator) -> None:
    """Furniture, doors, windows, pictures, signs, far people's patches: flat shapes with an edge and a shade."""
    h, w, _ = canvas.shape
    size = np.exp(rng.normal(-2.0, 0.7, 2)) * [w, h] * [1.0, 1.4]
    centre = np.array([rng.uniform(0, w), rng.choice([rng.uniform(0, edge), edge + rng.normal(0, 0.08) * h])])
    low, high = (centre - size / 2).astype(int), (centre + size / 2).astype(int)
    colour = _colour(rng).tolist()
    round_share = 0.5 if split == "validation" else 0.25
    if rng.random() < round_share:
        axes = (max(int(size[0] / 2), 1), max(int(size[1] / 2), 1))
        middle = (int(centre[0]), int(centre[1]))
        cv2.ellipse(canvas, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        return
    first, last = (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))
    cv2.rectangle(canvas, first, last, colour, -1)
    if rng.random() < 0.5:
        frame = np.clip(np.array(colour) * rng.uniform(0.4, 1.5), 0, 1).tolist()
        cv2.rectangle(canvas, first, last, frame, int(rng.integers(1, 4)))
    if rng.random() < 0.4:
        for x in np.linspace(low[0], high[0], int(rng.integers(2, 9))).astype(int):
            cv2.line(canvas, (int(x), first[1]), (int(x), last[1]), _colour(rng).tolist(), 1)


def _leaves(canvas: np.ndarray, edge: int, rng: np.random.Generator) -> None:
    h, w, _ = canvas.shape
    green = np.array([rng.uniform(0.05, 0.3), rng.uniform(0.2, 0.55), rng.uniform(0.05, 0.4)], np.float32)
    texture = 0.12 * noise_image((h, w), 60, rng)[..., :1] + 0.12 * noise_image((h, w), 15, rng)[..., :1]
    where = noise_image((h, w), 6, rng)[..., 0] > rng.uniform(-0.6, 1)
    where[edge + int(0.05 * h) :] = False
    canvas[where] = (green + texture)[where]


def _boards(canvas: np.ndarray, edge: int, horizon: float, rng: np.random.Generator) -> None:
    """Lines on the floor towards a vanishing point."""
    h, w, _ = canvas.shape
    vanishing = (rng.uniform(0, w), min(horizon, edge - 2.0))
    colour = (canvas[edge:].mean((0, 1)) * rng.uniform(0.6, 1.3)).tolist()
    layer = canvas[edge:]
    for x in np.arange(-2 * w, 3 * w, rng.uniform(20, 80)):
        start = (int(vanishing[0]), int(vanishing[1] - edge))
        cv2.line(layer, start, (int(x), h - edge), colour, 1, cv2.LINE_AA)


def boxes_in_front(joints: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Boxes between a camera and a person with joints (n, 24, 3), in the axes of the camera's first frame.

    Returns:
        (8 b, 3) corners, (12 b, 3) triangles and (8 b, 3) colours of some boxes; None for none.
    """
    if rng.random() > 0.12:
        return None
    corners, faces, colours = [], [], []
    cube = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    sides = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    triangles = np.concatenate([sides[:, :3], sides[:, [0, 2, 3]]])
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
        corners.append((cube * size * [1, 1, 0.4]) @ spin.T + position)
        faces.append(triangles + 8 * number)
        colours.append(np.clip(_colour(rng) * rng.uniform(0.6, 1.2, (8, 1)), 0, 1))
    return np.concatenate(corners), np.concatenate(faces), np.concatenate(colours)
