"""TRAM (Wang et al., ECCV 2024): ``hps/hps_track_0.npy``, ``…_1.npy``, … and ``camera.npy`` in the folder above.

Each track is one person: ``pred_rotmat`` (n, 24, 3, 3), ``pred_shape`` (n, 10), ``pred_trans`` (n, 1, 3), ``frame``
(n,) as torch's tensors, in camera space (x right, y down, z forward). The camera's file has ``pred_cam_R`` (M, 3, 3)
and ``pred_cam_T`` (M, 3) from camera space to the first camera's, ``img_focal`` and ``img_center`` (2,) in pixels. The
first camera is taken to be upright.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...body import rotations
from ...body.smpl import Body
from ..motion import MotionFileError
from . import archive
from .content import UPRIGHT_CAMERA, Content, Person, View, numbers, smpl_roots

_TRACK = {"pred_rotmat", "pred_shape", "pred_trans", "frame"}
_CAMERA = {"pred_cam_R", "pred_cam_T", "img_focal", "img_center"}
_CAMERA_FILE = "camera.npy"


def read(content: object, path: Path, body: Body) -> Content | None:
    """One person of TRAM in the first camera's space; None for other tools' files.

    Without the camera's file the camera is taken to be at rest, and nothing else is known about it.

    Raises:
        MotionFileError: the arrays are not what they should be, or the camera's file is damaged or is the given file.
    """
    if not isinstance(content, dict):
        return None
    if content.keys() >= _CAMERA:
        raise MotionFileError(f"{path} is TRAM's camera: choose a person's file, hps/hps_track_0.npy, instead.")
    if not content.keys() >= _TRACK:
        return None
    frames = numbers(content["frame"], path, "frame", None)
    n = len(frames)
    local_rotations = rotations.project(numbers(content["pred_rotmat"], path, "pred_rotmat", n, 24, 3, 3))
    betas = numbers(content["pred_shape"], path, "pred_shape", n, None)
    trans = numbers(np.reshape(content["pred_trans"], (n, -1)), path, "pred_trans", n, 3)
    roots = smpl_roots(body, trans, betas)
    view = _view(path)
    if view is None:
        alone = (
            f"{path.name} has no {_CAMERA_FILE} next to it or in the folder above: the camera is taken to be at rest."
        )
        return Content("TRAM", [Person(frames, local_rotations, roots, betas)], UPRIGHT_CAMERA, warnings=(alone,))
    if n and not 0 <= frames.min() <= frames.max() < len(view.to_world):
        raise MotionFileError(f"{path} is damaged: its {_CAMERA_FILE} is about other frames.")
    to_world = view.to_world[frames.astype(np.int64)]
    local_rotations[:, 0] = to_world[:, :3, :3] @ local_rotations[:, 0]
    roots = np.einsum("nij,nj->ni", to_world[:, :3, :3], roots) + to_world[:, :3, 3]
    return Content("TRAM", [Person(frames, local_rotations, roots, betas)], UPRIGHT_CAMERA, view)


def _view(path: Path) -> View | None:
    for folder in (path.parent, path.parent.parent):
        file = folder / _CAMERA_FILE
        if not file.is_file():
            continue
        camera = archive.read(file)
        if not isinstance(camera, dict) or not camera.keys() >= _CAMERA:
            raise MotionFileError(f"{file} is not TRAM's camera, which belongs to {path.name}.")
        return view_of(camera, file, "pred_cam_R", "pred_cam_T")
    return None


def view_of(camera: dict, path: Path, rotation_key: str, position_key: str) -> View:
    """The camera of TRAM and of those that follow it, with the middle of the image on its axis.

    Args:
        camera: its arrays.
        path: of the file, for messages.
        rotation_key: of the rotations (M, 3, 3) from camera space to the world.
        position_key: of its positions (M, 3) in the world, metres.

    Raises:
        MotionFileError: the arrays are not what they should be.
    """
    axes = rotations.project(numbers(camera[rotation_key], path, rotation_key, None, 3, 3))
    to_world = np.tile(np.eye(4), (len(axes), 1, 1))
    to_world[:, :3, :3] = axes
    to_world[:, :3, 3] = numbers(camera[position_key], path, position_key, len(axes), 3)
    focal = float(numbers(np.reshape(np.asarray(camera["img_focal"]), -1)[:1], path, "img_focal", 1)[0])
    x, y = numbers(np.asarray(camera["img_center"]), path, "img_center", 2)
    K = np.array([[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]])
    return View(K, (round(2.0 * float(x)), round(2.0 * float(y))), to_world)
