"""GVHMR (Shen et al., SIGGRAPH Asia 2024), ``hmr4d_results.pt``, and GEM (GENMO), ``smpl_params.pt``: torch files.

``smpl_params_global`` and ``smpl_params_incam`` of GVHMR, ``body_params_global`` and ``body_params_incam`` of GEM: of
SMPL-X ``body_pose`` (L, 63), ``betas`` (L, 10), ``global_orient`` (L, 3), ``transl`` (L, 3), in a world whose y points
up and in camera space. ``K_fullimg`` (L, 3, 3) has its axis in the middle of the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...body.smpl import Body
from .content import UPRIGHT_CAMERA, Y_UP, Content, Person, View, numbers, rotations_from_poses, smplx_roots

_TOOLS = {"GVHMR": "smpl_params", "GEM": "body_params"}
_NAMES = {"body_pose", "global_orient", "transl"}


def read(content: object, path: Path, _body: Body) -> Content | None:
    """One person of GVHMR or GEM in its world or, if missing, in camera space; None for other tools' files.

    The camera follows from where the person is in the world and in camera space. Frames are numbered from 0.

    Raises:
        MotionFileError: the arrays are not what they should be.
    """
    if not isinstance(content, dict):
        return None
    for tool, name in _TOOLS.items():
        parts = [content.get(f"{name}_{where}") for where in ("global", "incam")]
        world, camera = (part if isinstance(part, dict) and part.keys() >= _NAMES else None for part in parts)
        if world is not None:
            return _content(tool, world, camera, content.get("K_fullimg"), Y_UP, path)
        if camera is not None:
            return _content(tool, camera, camera, content.get("K_fullimg"), UPRIGHT_CAMERA, path)
    return None


def _content(tool: str, world: dict, camera: dict | None, K: object, axes: np.ndarray, path: Path) -> Content:
    person = _person(world, path)
    if camera is None or K is None or not len(person.frames):
        return Content(tool, [person], axes, smplx=True, walked=camera is not world)
    seen = _person(camera, path)
    n = len(person.frames)
    # A person's poses may be changed in the world to keep feet still, but the root's frame is the same.
    numbers(seen.roots, path, "transl", n, 3)
    to_world = np.tile(np.eye(4), (n, 1, 1))
    to_world[:, :3, :3] = person.rotations[:, 0] @ np.swapaxes(seen.rotations[:, 0], 1, 2)
    to_world[:, :3, 3] = person.roots - np.einsum("nij,nj->ni", to_world[:, :3, :3], seen.roots)
    first = numbers(np.reshape(np.asarray(K), (-1, 3, 3))[:1], path, "K_fullimg", 1, 3, 3)[0]
    size = round(2.0 * float(first[0, 2])), round(2.0 * float(first[1, 2]))
    return Content(tool, [person], axes, View(first, size, to_world), smplx=True, walked=camera is not world)


def _person(parts: dict, path: Path) -> Person:
    orient = numbers(parts["global_orient"], path, "global_orient", None, 3)
    n = len(orient)
    pose = numbers(parts["body_pose"], path, "body_pose", n, 63)
    trans = numbers(parts["transl"], path, "transl", n, 3)
    betas = np.zeros((1, 0))
    if parts.get("betas") is not None:
        betas = numbers(np.atleast_2d(np.asarray(parts["betas"])), path, "betas", None, None)
    local_rotations = rotations_from_poses(np.concatenate([orient, pose], axis=1), 22)
    return Person(np.arange(n), local_rotations, smplx_roots(trans), betas)
