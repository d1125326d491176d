"""AMASS and the SMPL add-ons: a ``.npz`` with SMPL's, SMPL-H's or SMPL-X's poses, in a world whose z points up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...body import rotations
from ...body.face import COEFFICIENTS
from ...body.skeleton import BODY_JOINTS, FINGER_JOINT_NAMES, JOINT_NAMES
from ...body.smpl import Body
from ..motion import LARGEST, Motion, MotionFileError
from .archive import array_names
from .conventions import ASSUMED_FRAME_RATE, NO_CAMERA, SMPL_PELVIS, SMPLX_PELVIS, floor_height, is_smpl

_JOINTS = len(JOINT_NAMES)
_FINGER_WIDTH = 3 * len(FINGER_JOINT_NAMES)
# SMPL-H goes on with fingers where SMPL has its two hands, SMPL-X with jaw, eyes and fingers.
_SMPL_WIDTH, _SMPLH_WIDTH, _SMPLX_WIDTH = 72, 156, 165
_WIDTHS = (66, _SMPL_WIDTH, _SMPLH_WIDTH, _SMPLX_WIDTH)
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")


def read(path: Path, body: Body, fps: float | None) -> Motion | None:
    """Read a sequence of AMASS or of an SMPL add-on; None for other files.

    - The world's z points up; there is no camera (`Motion.has_camera`).
    - Joints 1 to 21 are read, SMPL's two hands where the file is SMPL's, and fingers unless all are zero, as in files
      of bodies without measured hands; of faces only what our own export writes beside.
    - The hips keep their path: the root joint is at ``trans`` + J_0 of the file's body. For files of SMPL and SMPL-H
      on SMPL's own body β and ``trans`` stay as they are; where the two bodies differ J_0 is `SMPL_PELVIS` or
      `SMPLX_PELVIS` and the shape is the mean, as β means nothing on another body.
    - On a body that is not SMPL's the whole motion moves up or down by `floor_height`, so that the soles reach z = 0.

    What had to be assumed is in ``provenance["warnings"]``, a list of sentences.

    Args:
        path: of the file.
        body: the body that gets the motion.
        fps: frames per second of a file that states none; 30 are assumed for None.

    Raises:
        MotionFileError: the arrays are not what they should be.
    """
    names = array_names(path)
    if not ("poses" in names or {"root_orient", "pose_body"} <= names):
        return None
    warnings = []
    with np.load(path, allow_pickle=False) as archive:
        if "poses" in names:
            poses = _numbers(path, archive, "poses")
            hands = np.empty((0, 0))
        else:
            parts = [_numbers(path, archive, name) for name in ("root_orient", "pose_body")]
            if {part.shape for part in parts} != {(len(parts[0]), 3), (len(parts[0]), 63)}:
                raise MotionFileError(f"{path} is damaged: its root_orient and pose_body do not fit together.")
            hands = _numbers(path, archive, "pose_hand") if "pose_hand" in names else np.empty((0, 0))
            poses = np.concatenate(parts, axis=1)
        if "trans" not in names:
            raise MotionFileError(f"{path} has poses without positions: it lacks trans.")
        trans = _numbers(path, archive, "trans")
        betas = _betas(_numbers(path, archive, "betas")) if "betas" in names else np.zeros(0)
        rate_name = next((name for name in _RATES if name in names), None)
        if rate_name is None and fps is None:
            warnings.append(f"{path.name} states no frame rate: {ASSUMED_FRAME_RATE:g} frames per second are assumed.")
        rate = np.array(fps or ASSUMED_FRAME_RATE) if rate_name is None else _numbers(path, archive, rate_name)
        face = _numbers(path, archive, "face") if {"face", "face_names"} <= names else None
        gender = _gender(archive) if "gender" in names else "neutral"
        model = str(archive["surface_model_type"]) if _is_text(archive, "surface_model_type") else ""
    poses = poses.reshape(len(poses), -1) if poses.ndim == 3 and poses.shape[2] == 3 else poses
    if poses.ndim != 2 or poses.shape[1] not in _WIDTHS or trans.shape != (len(poses), 3):
        raise MotionFileError(
            f"{path} is not a sequence of SMPL: its poses are {poses.shape}, its trans {trans.shape}."
        )
    if not len(poses):
        raise MotionFileError(f"{path} holds no frames.")
    if rate.size != 1 or not 0.0 < rate.item() <= 1e6:
        raise MotionFileError(f"{path} is damaged: its {rate_name} is not a number of frames per second.")

    joints = _JOINTS if poses.shape[1] == _SMPL_WIDTH else BODY_JOINTS
    if poses.shape[1] >= _SMPLH_WIDTH:
        hands = poses[:, -_FINGER_WIDTH:]
    fingers = hands.reshape(len(poses), -1, 3) if hands.shape == (len(poses), _FINGER_WIDTH) and hands.any() else None
    local = np.zeros((len(poses), _JOINTS, 3))
    local[:, :joints] = poses[:, : 3 * joints].reshape(len(poses), joints, 3)
    smplx = poses.shape[1] == _SMPLX_WIDTH or model == "smplx" or "pose_jaw" in names
    shape = np.zeros(body.shapedirs.shape[2])
    if is_smpl(body) and not smplx:
        count = min(len(betas), len(shape))
        shape[:count] = betas[:count]
    else:
        trans = trans + (SMPLX_PELVIS if smplx else SMPL_PELVIS) - body.rest_joints(shape)[0]
        if betas.any():
            warnings.append(f"{path.name} has the shape of another body: the mean shape is used.")
    if not is_smpl(body):
        trans = trans - (0.0, 0.0, floor_height(body, local, trans))
    provenance = {"file": str(path), "format": "SMPL-X" if smplx else "SMPL", "warnings": warnings}
    motion = _without_camera(body, local, trans, shape, rate.item(), gender, provenance)
    motion.fingers = fingers
    if face is not None and face.shape == (len(poses), len(COEFFICIENTS)):
        motion.face, motion.face_scores = face, np.ones(len(face))
    return motion


def _without_camera(
    body: Body, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray, rate: float, gender: str, provenance: dict
) -> Motion:
    """A motion given in the world: poses (N, 24, 3) axis-angle, trans (N, 3), at ``rate`` frames a second."""
    count = len(poses)
    rest_pelvis = body.rest_joints(betas)[0]
    to_camera = NO_CAMERA[:3, :3].T
    poses_cam = poses.copy()
    poses_cam[:, 0] = rotations.matrix_to_axis_angle(to_camera @ rotations.axis_angle_to_matrix(poses[:, 0]))
    trans_cam = (trans + rest_pelvis) @ to_camera.T - rest_pelvis
    padded = np.zeros(max(10, len(betas)))
    padded[: len(betas)] = betas
    return Motion(
        timestamps=np.arange(count) / rate,
        poses_cam=poses_cam,
        trans_cam=trans_cam,
        betas=padded,
        rest_pelvis=rest_pelvis,
        joints_cam=body.joints(poses_cam, betas, trans_cam),
        camera_K=np.eye(3),
        camera_to_world=np.tile(NO_CAMERA, (count, 1, 1)),
        image_size=np.zeros(2, dtype=np.int64),
        frames=np.arange(count),
        boxes=np.zeros((count, 4)),
        scores=np.ones((count, _JOINTS)),
        bridged=np.zeros(count, dtype=bool),
        contacts=np.zeros((count, 2)),
        landmarks=np.zeros((count, 33, 3)),
        world_landmarks=np.zeros((count, 33, 3)),
        estimator="imported",
        gender=gender,
        provenance=provenance,
    )


def _numbers(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """The array ``name`` in double precision, of plausible size."""
    try:
        array = archive[name]
        if array.dtype.kind in "fiu" and array.size:
            array = array.astype(np.float64)
            if (np.abs(array) < LARGEST).all():
                return array
    except Exception as error:  # np.load raises many kinds on hostile input
        raise MotionFileError(f"{path} can't be read: its {name} may be damaged.") from error
    if not array.size:
        raise MotionFileError(f"{path} holds no {name}.")
    raise MotionFileError(f"{path} is damaged: its {name} has values that are not numbers.")


def _betas(betas: np.ndarray) -> np.ndarray:
    """Shape coefficients (B,) of a file that may repeat them for every frame."""
    return betas.reshape(-1, betas.shape[-1])[0] if betas.ndim else betas.reshape(1)


def _gender(archive: np.lib.npyio.NpzFile) -> str:
    """SMPL's gender, which files write as text or as bytes; neutral where it is neither."""
    if not _is_text(archive, "gender"):
        return "neutral"
    value = archive["gender"].item()
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text if text in ("female", "male") else "neutral"


def _is_text(archive: np.lib.npyio.NpzFile, name: str) -> bool:
    try:
        return name in archive.files and archive[name].dtype.kind in "US" and archive[name].size == 1
    except Exception:  # old files pickle it, hostile ones anything
        return False
