"""Writes the sample in the layouts of data sets, with the names, shapes, dtypes and units of the real ones."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from video_motion.inference.body import rotations
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.evaluation import metrics

from .conftest import Sample


def in_world(motion: Motion, to_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (N, 72), translations (N, 3) and joints (N, 24, 3) of a motion in the world that `to_camera` leaves."""
    back = np.linalg.inv(to_camera)
    poses = motion.poses_cam.copy()
    poses[:, 0] = rotations.matrix_to_axis_angle(back[:, :3, :3] @ rotations.axis_angle_to_matrix(poses[:, 0]))
    joints = np.einsum("nij,nkj->nki", back[:, :3, :3], motion.joints_cam) + back[:, None, :3, 3]
    return poses.reshape(len(motion), 72), joints[:, 0] - motion.rest_pelvis, joints


def threedpw_people(
    name: str, people: Sequence[Motion], genders: Sequence[str], to_camera: np.ndarray
) -> dict[str, Any]:
    """A sequence file of people who move before a camera whose extrinsics are `to_camera` (N, 4, 4)."""
    n = len(to_camera)
    poses, trans, joints = zip(*(in_world(motion, to_camera) for motion in people), strict=True)
    return {
        "sequence": name,
        "betas": [motion.betas.astype(float) for motion in people],
        "genders": list(genders),
        "poses": list(poses),
        "trans": list(trans),
        "jointPositions": [one.reshape(n, 72) for one in joints],
        "poses2d": [np.ones((n, 3, 18)) for _ in people],
        "campose_valid": [np.ones(n) for _ in people],
        "cam_poses": to_camera,
        "cam_intrinsics": people[0].camera_K.astype(float),
        "img_frame_ids": 2 * np.arange(n),
    }


def threedpw_table(sample: Sample) -> dict[str, Any]:
    """Two people, the second one like the first, but with the camera's pose unsure at first."""
    table = threedpw_people("walk_00", [sample.motion] * 2, "mf", sample.to_camera)
    table["campose_valid"][1][:4] = 0
    table["poses2d"][0][7, 2, 6:] = 0.1
    return table


def write_threedpw(sample: Sample, root: Path) -> None:
    file = root / "sequenceFiles" / "test" / "walk_00.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps(threedpw_table(sample), protocol=2))
    sample.write_images(root / "imageFiles" / "walk_00", "image_{:05}.jpg", 0)


def write_emdb(sample: Sample, root: Path) -> None:
    poses, trans, _ = in_world(sample.motion, sample.to_camera)
    n = len(poses)
    good = np.ones(n, bool)
    good[[0, 5]] = False
    corners = sample.motion.boxes.copy()
    corners[:, 2:] += corners[:, :2]
    table = {
        "gender": "female",
        "name": "P0_09_walk",
        "emdb1": True,
        "emdb2": False,
        "n_frames": n,
        "good_frames_mask": good,
        "camera": {
            "intrinsics": sample.motion.camera_K.astype(float),
            "extrinsics": sample.to_camera,
            "width": 640,
            "height": 480,
        },
        "smpl": {
            "poses_root": poses[:, :3],
            "poses_body": poses[:, 3:],
            "trans": trans,
            "betas": sample.motion.betas.astype(float),
        },
        "kp2d": metrics.project(sample.motion.joints_cam, sample.motion.camera_K),
        "bboxes": {"bboxes": corners, "invalid_idxs": np.flatnonzero(~good)},
    }
    folder = root / "P0" / "09_walk"
    sample.write_images(folder / "images", "{:05}.jpg", 0)
    (folder / "P0_09_walk_data.pkl").write_bytes(pickle.dumps(table))
    other = root / "P1" / "10_walk"
    other.mkdir(parents=True)
    (other / "P1_10_walk_data.pkl").write_bytes(pickle.dumps(table | {"emdb1": False, "name": "P1_10_walk"}))


def _spread(motion: Motion, count: int, places: dict[int, str]) -> np.ndarray:
    """(N, count, 3) joints in millimetres, the named ones in their places, the pelvis in all others."""
    points = np.repeat(motion.joints_cam[:, :1], count, axis=1)
    for place, name in places.items():
        points[:, place] = motion.joints_cam[:, metrics.LIMB_JOINTS[metrics.LIMB_NAMES.index(name)]]
    return 1000 * points


MPI_INF_3DHP = {
    2: "right_shoulder",
    3: "right_elbow",
    4: "right_wrist",
    5: "left_shoulder",
    6: "left_elbow",
    7: "left_wrist",
    8: "right_hip",
    9: "right_knee",
    10: "right_ankle",
    11: "left_hip",
    12: "left_knee",
    13: "left_ankle",
}
UNIVERSAL = 0.9
INVALID = 3


def write_mpi_inf_3dhp(sample: Sample, root: Path) -> None:
    import h5py

    points = _spread(sample.motion, 17, MPI_INF_3DHP)
    valid = np.ones((len(points), 1))
    valid[INVALID] = 0
    folder = root / "mpi_inf_3dhp_test_set" / "TS1"
    sample.write_images(folder / "imageSequence", "img_{:06}.jpg", 1)
    with h5py.File(folder / "annot_data.mat", "w") as file:
        file["annot2"] = metrics.project(points, sample.motion.camera_K)[:, None]
        file["annot3"] = points[:, None]
        file["univ_annot3"] = UNIVERSAL * points[:, None]
        file["valid_frame"] = valid
        file["activity_annotation"] = np.ones((len(points), 1))


HUMAN36M = {
    1: "right_hip",
    2: "right_knee",
    3: "right_ankle",
    6: "left_hip",
    7: "left_knee",
    8: "left_ankle",
    17: "left_shoulder",
    18: "left_elbow",
    19: "left_wrist",
    25: "right_shoulder",
    26: "right_elbow",
    27: "right_wrist",
}


def write_human36m(sample: Sample, root: Path) -> None:
    from cdflib.cdfwrite import CDF

    points = _spread(sample.motion, 32, HUMAN36M)
    pixels = metrics.project(points, sample.motion.camera_K)
    for action in ("Walking 1.54138969", "_ALL.54138969"):
        for kind, values in (("D3_Positions_mono", points), ("D2_Positions", pixels)):
            file = root / "S9" / "MyPoseFeatures" / kind / f"{action}.cdf"
            file.parent.mkdir(parents=True, exist_ok=True)
            flat = values.reshape(1, len(values), -1).astype(np.float32)
            cdf = CDF(str(file))
            what = {"Variable": "Pose", "Data_Type": CDF.CDF_FLOAT, "Num_Elements": 1, "Rec_Vary": True}
            cdf.write_var(what | {"Dim_Sizes": list(flat.shape[1:]), "Var_Type": "zVariable"}, var_data=flat)
            cdf.close()
