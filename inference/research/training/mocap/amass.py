"""Reader of AMASS's ``.npz`` files, for users with a licence for it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ....body import rotations
from ....body.smpl import Body
from .grounding import floor_height
from .recording import MocapError, MotionClip

_BODY_JOINTS = 22
_WIDTHS = (66, 72, 156, 165)
_RATES = ("mocap_framerate", "mocap_frame_rate")
# AMASS has z up.
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def read_amass(path: str | Path, body: Body) -> MotionClip:
    """Read one sequence of SMPL, SMPL-H or SMPL-X poses as a clip of our body.

    The rotations are kept, without fingers and face; the shape is not used. The group is the folder, in
    AMASS a subject of its data set.

    Args:
        path: of the file.
        body: the body, in its default shape.

    Raises:
        MocapError: the file is missing, damaged, or not a sequence of AMASS.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            rate = next((name for name in _RATES if name in file), None)
            if rate is None or "poses" not in file or "trans" not in file:
                raise MocapError(f"{path.name} lacks poses, trans or a frame rate: give a sequence of AMASS.")
            poses, trans, frame_rate = (np.asarray(file[name], dtype=np.float64) for name in ("poses", "trans", rate))
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise MocapError(f"{path.name} can't be read as a sequence of AMASS: copy it again.") from error
    if poses.ndim != 2 or poses.shape[1] not in _WIDTHS or trans.shape != (len(poses), 3) or not len(poses):
        raise MocapError(f"{path.name} has poses {poses.shape} and trans {trans.shape}: give a sequence of AMASS.")
    if frame_rate.size != 1 or not frame_rate.item() > 0 or not all(np.isfinite(a).all() for a in (poses, trans)):
        raise MocapError(f"{path.name} has values that are not finite: copy it again.")
    local = np.zeros((len(poses), 24, 3))
    local[:, :_BODY_JOINTS] = poses[:, : 3 * _BODY_JOINTS].reshape(len(poses), _BODY_JOINTS, 3)
    local[:, 0] = rotations.matrix_to_axis_angle(_UPRIGHT @ rotations.axis_angle_to_matrix(local[:, 0]))
    rest_pelvis = body.joint_template[0]
    moved = (trans + rest_pelvis) @ _UPRIGHT.T - rest_pelvis
    moved[:, 1] -= floor_height(body, local, moved, frame_rate.item())
    group = path.resolve().parent
    return MotionClip(path.stem, f"{group.parent.name}/{group.name}", frame_rate.item(), local, moved)
