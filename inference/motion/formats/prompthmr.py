"""PromptHMR (Wang et al., CVPR 2025): ``results.pkl``, a joblib file.

``people`` {person: ``frames`` (n,), ``smplx_cam`` and ``smplx_world`` with ``pose`` (n, 165), ``shape`` (n, 10) and
``trans`` (n, 3)}; in camera space ``rotmat`` (n, 55, 3, 3) may stand for ``pose``. ``camera_world`` has ``Rcw`` (M, 3,
3) and ``Tcw`` (M, 3) from the world to camera space, ``img_focal`` and ``img_center`` (2,) in pixels. The world's y
points up and its floor is at y = 0; camera space is x right, y down, z forward.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...body import rotations
from ...body.smpl import Body
from ..motion import MotionFileError
from .content import UPRIGHT_CAMERA, Y_UP, Content, Person, View, numbers, rotations_from_poses, smplx_roots
from .tram import view_of

_CAMERA = {"Rcw", "Tcw", "img_focal", "img_center"}
_BODY_JOINTS = 22


def read(content: object, path: Path, _body: Body) -> Content | None:
    """People of PromptHMR in its world or, if missing, in camera space; None for other tools' files.

    Raises:
        MotionFileError: the arrays are not what they should be, or there are no people.
    """
    if not isinstance(content, dict) or not isinstance(content.get("people"), dict):
        return None
    tracks = list(content["people"].values())
    if not tracks:
        raise MotionFileError(f"{path} holds no people.")
    if not all(isinstance(track, dict) and "frames" in track for track in tracks):
        return None
    where = next((name for name in ("smplx_world", "smplx_cam") if all(name in track for track in tracks)), None)
    if where is None:
        return None
    people = [_person(track, where, path) for track in tracks]
    if where == "smplx_cam":
        return Content("PromptHMR", people, UPRIGHT_CAMERA, smplx=True)
    view = _view(content.get("camera_world"), path)
    return Content("PromptHMR", people, Y_UP, view, smplx=True, floored=True)


def _person(track: dict, where: str, path: Path) -> Person:
    frames = numbers(track["frames"], path, "frames", None)
    n = len(frames)
    smplx = track[where]
    if not isinstance(smplx, dict) or "trans" not in smplx or not smplx.keys() & {"pose", "rotmat"}:
        raise MotionFileError(f"{path} is damaged: its {where} lacks parts.")
    if "pose" in smplx:
        poses = numbers(np.reshape(smplx["pose"], (n, -1)), path, "pose", n, None)
        if poses.shape[1] < 3 * _BODY_JOINTS:
            raise MotionFileError(f"{path} is damaged: its pose is {poses.shape}.")
        local_rotations = rotations_from_poses(poses, _BODY_JOINTS)
    else:
        matrices = numbers(smplx["rotmat"], path, "rotmat", n, None, 3, 3)
        if matrices.shape[1] < _BODY_JOINTS:
            raise MotionFileError(f"{path} is damaged: its rotmat is {matrices.shape}.")
        local_rotations = np.tile(np.eye(3), (n, 24, 1, 1))
        local_rotations[:, :_BODY_JOINTS] = rotations.project(matrices[:, :_BODY_JOINTS])
    trans = numbers(np.reshape(smplx["trans"], (n, -1)), path, "trans", n, 3)
    betas = np.zeros((1, 0))
    if smplx.get("shape") is not None:
        betas = numbers(np.atleast_2d(np.asarray(smplx["shape"])), path, "shape", None, None)
    return Person(frames, local_rotations, smplx_roots(trans), betas)


def _view(camera: object, path: Path) -> View | None:
    if not isinstance(camera, dict) or not camera.keys() >= _CAMERA:
        return None
    view = view_of(camera, path, "Rcw", "Tcw")
    return View(view.K, view.size, np.linalg.inv(view.to_world))
