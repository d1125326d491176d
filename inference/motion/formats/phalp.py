"""4D-Humans (Goel et al., ICCV 2023) and PHALP: a joblib file of {image's name: lists with one item per person}.

``tid`` the people's numbers, ``tracked_ids`` of those whom the frame shows, ``smpl`` {``global_orient`` (1, 3, 3),
``body_pose`` (23, 3, 3), ``betas`` (10,)}, ``camera`` (3,) SMPL's translation, ``size`` the image's height and width,
``bbox`` left, top, width, height; next to the lists ``time``, the frame's number. All is in camera space: x right, y
down, z forward. The camera is taken to be upright and at rest.

The translation belongs to a focal length of 5,000 pixels in an image that is scaled to 256 pixels, so the camera is a
long lens, far away.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...body import rotations
from ...body.smpl import Body
from ..motion import MotionFileError
from .content import UPRIGHT_CAMERA, Content, Person, View, numbers, smpl_roots

_NAMES = {"tid", "smpl", "camera"}
_FOCAL = 5000.0 / 256.0


def read(content: object, path: Path, body: Body) -> Content | None:
    """People of 4D-Humans in camera space, metres; None for other tools' files.

    Frames that show a person count; those predicted in between are not read.

    Raises:
        MotionFileError: the lists are not what they should be, or there are no people.
    """
    if not isinstance(content, dict) or not content:
        return None
    if not all(isinstance(frame, dict) and frame.keys() >= _NAMES for frame in content.values()):
        return None
    sights: dict[int, list[tuple]] = {}
    size = None
    for number, frame in enumerate(content.values()):
        time = float(numbers(frame.get("time", number), path, "time"))
        for who, sight in _sights(frame, path):
            sights.setdefault(who, []).append((time, *sight))
        size = size or _size(frame, path)
    if not sights:
        raise MotionFileError(f"{path} holds no people.")
    people = [_person(rows, path, body) for rows in sights.values()]
    if size is None:
        return Content("4D-Humans", people, UPRIGHT_CAMERA)
    focal = _FOCAL * max(size)
    K = np.array([[focal, 0.0, size[0] / 2], [0.0, focal, size[1] / 2], [0.0, 0.0, 1.0]])
    return Content("4D-Humans", people, UPRIGHT_CAMERA, View(K, size))


def _sights(frame: dict, path: Path) -> list[tuple[int, tuple]]:
    """The people in a frame: their numbers, SMPL's parameters, translations and boxes."""
    who, smpl, camera = (_list(frame, name, path) for name in ("tid", "smpl", "camera"))
    boxes = _list(frame, "bbox", path) if "bbox" in frame else [None] * len(who)
    if not len(who) == len(smpl) == len(camera) == len(boxes):
        raise MotionFileError(f"{path} is damaged: its lists of people don't fit together.")
    shown = _list(frame, "tracked_ids", path) if "tracked_ids" in frame else who
    numbered = {int(numbers(number, path, "tracked_ids")) for number in shown}
    people = []
    for number, *sight in zip(who, smpl, camera, boxes, strict=True):
        number = int(numbers(number, path, "tid"))
        if number in numbered:
            people.append((number, tuple(sight)))
    return people


def _person(rows: list[tuple], path: Path, body: Body) -> Person:
    frames, smpl, camera, boxes = zip(*rows, strict=True)
    n = len(frames)
    if not all(isinstance(one, dict) and one.keys() >= {"global_orient", "body_pose", "betas"} for one in smpl):
        raise MotionFileError(f"{path} is damaged: its smpl lacks parts.")
    root = _stacked([one["global_orient"] for one in smpl], path, "global_orient", 9)
    others = _stacked([one["body_pose"] for one in smpl], path, "body_pose", 207)
    betas = _stacked([one["betas"] for one in smpl], path, "betas", 10)
    local_rotations = rotations.project(np.concatenate([root, others], axis=1).reshape(n, 24, 3, 3))
    roots = smpl_roots(body, _stacked(camera, path, "camera", 3), betas)
    known = all(box is not None for box in boxes)
    return Person(np.array(frames), local_rotations, roots, betas, _stacked(boxes, path, "bbox", 4) if known else None)


def _stacked(items: Sequence[Any], path: Path, name: str, width: int) -> np.ndarray:
    """Items of ``width`` numbers, whatever their shape, as rows."""
    return np.stack([numbers(np.reshape(np.asarray(item), -1), path, name, width) for item in items])


def _list(frame: dict, name: str, path: Path) -> list:
    value = frame[name]
    if isinstance(value, np.ndarray):
        value = list(value)
    if not isinstance(value, list | tuple):
        raise MotionFileError(f"{path} is damaged: its {name} is not a list.")
    return list(value)


def _size(frame: dict, path: Path) -> tuple[int, int] | None:
    for value in _list(frame, "size", path) if "size" in frame else []:
        height, width = numbers(np.asarray(value), path, "size", 2)
        return int(width), int(height)
    return None
