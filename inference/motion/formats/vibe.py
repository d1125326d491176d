"""VIBE (Kocabas et al., CVPR 2020): ``vibe_output.pkl``, a joblib file of {person: arrays}.

Of each person ``pose`` (n, 72) in camera space, ``betas`` (n, 10), ``frame_ids`` (n,), ``bboxes`` (n, 4) as centre and
size, and two weak-perspective cameras: ``pred_cam`` (n, 3) s, x, y in the crop and ``orig_cam`` (n, 4) sx, sy, x, y in
the image. Each follows from the other by the image's size, which is how that is found. Camera space is x right, y
down, z forward; the camera is taken to be upright and at rest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...body.smpl import Body
from ...camera.intrinsics import intrinsics
from .content import UPRIGHT_CAMERA, Content, Person, View, numbers, rotations_from_poses, smpl_roots

_NAMES = {"pose", "betas", "frame_ids"}
_CAMERAS = {"pred_cam", "orig_cam"}
_MOST_SPREAD = 0.01


def read(content: object, path: Path, body: Body) -> Content | None:
    """People of VIBE in camera space, metres; None for other tools' files.

    The distance from the camera is that at a focal length of √(W² + H²) pixels. Where the image's size can't be found
    everybody stays at one distance, and there is no camera.

    Raises:
        MotionFileError: the arrays are not what they should be.
    """
    if not isinstance(content, dict) or not content:
        return None
    tracks = list(content.values())
    if not all(isinstance(track, dict) and track.keys() >= _NAMES and track.keys() & _CAMERAS for track in tracks):
        return None
    sizes = [_image_size(track, path) for track in tracks]
    size = next((size for size in sizes if size is not None), None)
    people = [_person(track, size, path, body) for track in tracks]
    if size is None:
        lost = f"{path.name} doesn't state the size of the images: people stay at one distance from the camera."
        return Content("VIBE", people, UPRIGHT_CAMERA, warnings=(lost,))
    return Content("VIBE", people, UPRIGHT_CAMERA, View(intrinsics(size), size))


def _person(track: dict, size: tuple[int, int] | None, path: Path, body: Body) -> Person:
    frames = numbers(track["frame_ids"], path, "frame_ids", None)
    n = len(frames)
    poses = numbers(track["pose"], path, "pose", n, 72)
    betas = numbers(track["betas"], path, "betas", n, None)
    if "orig_cam" in track:
        scale, _, x, y = numbers(track["orig_cam"], path, "orig_cam", n, 4).T
    else:
        scale, x, y = numbers(track["pred_cam"], path, "pred_cam", n, 3).T
    distance = np.zeros(n)
    if size is not None:
        distance = 2.0 * np.hypot(*size) / (np.maximum(scale, 1e-6) * size[0])
    boxes = None
    if track.get("bboxes") is not None:
        centres, sides = np.split(numbers(track["bboxes"], path, "bboxes", n, 4), 2, axis=1)
        boxes = np.concatenate([centres - sides / 2.0, sides], axis=1)
    roots = smpl_roots(body, np.stack([x, y, distance], axis=1), betas)
    return Person(frames, rotations_from_poses(poses), roots, betas, boxes)


def _image_size(track: dict, path: Path) -> tuple[int, int] | None:
    """Width and height in pixels: s · size of the box = sx · width = sy · height."""
    if not track.keys() >= _CAMERAS or track.get("bboxes") is None or not len(track["orig_cam"]):
        return None
    crop = numbers(track["pred_cam"], path, "pred_cam", None, 3)
    image = numbers(track["orig_cam"], path, "orig_cam", len(crop), 4)
    boxes = numbers(track["bboxes"], path, "bboxes", len(crop), 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = crop[:, :1] * boxes[:, 2:3] / image[:, :2]
    middle = np.median(sides, axis=0)
    if not (np.isfinite(sides).all() and (middle >= 1.0).all()):
        return None
    if (np.median(np.abs(sides - middle), axis=0) > _MOST_SPREAD * middle).any():
        return None
    return round(float(middle[0])), round(float(middle[1]))
