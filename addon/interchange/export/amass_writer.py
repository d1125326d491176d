"""AMASS: SMPL-H's pose parameters and translation of each frame; SMPL's of a body without fingers.

What a face does, which AMASS doesn't know, is beside them as in a motion file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....inference.atomic import atomic_write
from ....inference.body import rotations
from ....inference.body.face import COEFFICIENTS
from ....inference.body.skeleton import JOINT_NAMES, SMPLH_JOINT_NAMES, SMPLH_PARENTS
from ....inference.body.smpl import Body
from ....inference.motion.formats.conventions import SMPL_PELVIS, is_smpl
from ...scene.armature import BODY_TO_ARMATURE, BONE_NAMES, bone_names, rest_bones
from ...scene.keyframes import OURS, has_face
from .files import make_folder, unwritable
from .options import ExportError
from .samples import CharacterSamples

_AMASS_BETAS = 16
# How far a body's joints may lie from the bones of an armature that was made for it, metres.
_SAME_BODY = 1e-3


def write_amass(sample: CharacterSamples, path: Path, body: Body | None, frame_rate: float) -> None:
    """Write a character as a file of AMASS.

    Args:
        sample: the character.
        path: of the file.
        body: the body that the character was made for.
        frame_rate: of the samples, hertz.

    Raises:
        ExportError: the character is not Video Motion's or was made for another body, or the file can't be written.
    """
    armature = sample.armature
    stored = armature.get(OURS)
    names = [bone.name for bone in armature.data.bones]
    if stored is None or "betas" not in stored or not set(JOINT_NAMES) <= set(names):
        raise ExportError(f"{armature.name} is no character of Video Motion, and AMASS knows no other bones.")
    if body is None:
        raise ExportError(f"{path} can't be written without the body that {armature.name} was made for.")
    betas = np.array(stored["betas"])[: body.shapedirs.shape[2]]
    joints = SMPLH_JOINT_NAMES if bone_names(armature) == BONE_NAMES else JOINT_NAMES
    order = [names.index(name) for name in joints]
    rest = np.array([armature.data.bones[name].matrix_local for name in joints], dtype=np.float64)
    heads = rest_bones(body, betas).heads
    own = np.array([heads[BONE_NAMES.index(name)] for name in joints if BONE_NAMES.index(name) < len(heads)])
    if len(own) < len(rest) or np.abs(own - rest[:, :3, 3]).max() > _SAME_BODY:
        raise ExportError(
            f"{armature.name} was made for another body than {body.name}: choose that in the preferences."
        )
    bones = sample.world[:, None] @ sample.pose[:, order]
    global_rotations = rotations.project(bones[..., :3, :3] @ np.linalg.inv(rest[:, :3, :3])) @ BODY_TO_ARMATURE
    local = global_rotations.copy()
    parents = list(SMPLH_PARENTS[1:] if joints == SMPLH_JOINT_NAMES else body.parents[1:])
    local[:, 1:] = np.swapaxes(global_rotations[:, parents], -1, -2) @ global_rotations[:, 1:]
    poses = rotations.matrix_to_axis_angle(local)
    # Readers of AMASS assume SMPL's betas and rest pelvis.
    shape, rest_pelvis = np.zeros(_AMASS_BETAS), SMPL_PELVIS
    if is_smpl(body):
        shape[: len(betas)] = betas[:_AMASS_BETAS]
        rest_pelvis = body.rest_joints(betas)[0]
    arrays: dict[str, Any] = {
        "poses": poses.reshape(len(poses), -1),
        "trans": bones[:, 0, :3, 3] - rest_pelvis,
        "betas": shape,
        **_face(sample),
    }
    make_folder(path)
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                gender=np.str_(stored["gender"] if is_smpl(body) else "neutral"),
                mocap_framerate=np.float64(frame_rate),
                **arrays,
            )
    except OSError as error:
        raise unwritable(path, error) from error


def _face(sample: CharacterSamples) -> dict[str, np.ndarray]:
    """What the character's face does, by a motion file's names; nothing where no skin shows it."""
    for skin, values in sample.keys.items():
        keys = skin.data.shape_keys
        if has_face(keys):
            columns = [keys.key_blocks.find(name) for name in COEFFICIENTS]
            return {"face": values[:, columns].astype(np.float32), "face_names": np.array(COEFFICIENTS)}
    return {}
