"""WHAM (Shin et al., CVPR 2024): ``wham_output.pkl``, a joblib file of {person: arrays}.

Of each person ``betas`` (n, 10), ``frame_ids`` (n,), in the world ``pose_world`` (n, 72) and ``trans_world`` (n, 3),
in camera space ``pose`` (n, 72) and ``trans`` (n, 3). The world's y points up. ``trans_world`` is where the middle
between the hips is, not SMPL's translation, which ``trans`` is.
"""

from __future__ import annotations

from pathlib import Path

from ...body.smpl import Body
from .content import UPRIGHT_CAMERA, Y_UP, Content, Person, numbers, roots_under_hips, rotations_from_poses, smpl_roots

_WORLD = ("pose_world", "trans_world")
_CAMERA = ("pose", "trans")


def read(content: object, path: Path, body: Body) -> Content | None:
    """People of WHAM in its world or, if missing, in camera space; None for other tools' files.

    There is no camera, as the file states neither the image's size nor the focal length.

    Raises:
        MotionFileError: the arrays are not what they should be.
    """
    if not isinstance(content, dict) or not content:
        return None
    tracks = list(content.values())
    if not all(isinstance(track, dict) and track.keys() >= {"betas", "frame_ids"} for track in tracks):
        return None
    names = next((names for names in (_WORLD, _CAMERA) if all(track.keys() >= set(names) for track in tracks)), None)
    if names is None:
        return None
    people = [_person(track, names, path, body) for track in tracks]
    warnings = ()
    if names is _WORLD and len(people) > 1:
        warnings = (
            f"{path.name} has each person in a world of its own: their positions relative to one another may be wrong.",
        )
    return Content("WHAM", people, Y_UP if names is _WORLD else UPRIGHT_CAMERA, warnings=warnings)


def _person(track: dict, names: tuple[str, str], path: Path, body: Body) -> Person:
    frames = numbers(track["frame_ids"], path, "frame_ids", None)
    n = len(frames)
    local_rotations = rotations_from_poses(numbers(track[names[0]], path, names[0], n, 72))
    positions = numbers(track[names[1]], path, names[1], n, 3)
    betas = numbers(track["betas"], path, "betas", n, None)
    in_world = names is _WORLD
    roots = (
        roots_under_hips(body, positions, local_rotations[:, 0], betas)
        if in_world
        else smpl_roots(body, positions, betas)
    )
    return Person(frames, local_rotations, roots, betas)
