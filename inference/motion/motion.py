"""`Motion`: one person's animation, and its file."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .. import spill, zips
from ..body import rotations
from ..body.face import COEFFICIENTS
from ..body.skeleton import BODY_JOINTS, SMPLH_JOINT_NAMES
from ..errors import VideoMotionError, reason

# Shapes of the stored arrays by their key in the file; None is the number of frames. A body may have fewer than ten
# shape coefficients. `poses` and `trans` (world) are derived from these.
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "timestamps": (None,),
    "poses_cam": (None, 24, 3),
    "trans_cam": (None, 3),
    "pelvis": (3,),
    "joints_cam": (None, 24, 3),
    "camera_K": (3, 3),
    "camera_to_world": (None, 4, 4),
    "image_size": (2,),
    "frames": (None,),
    "boxes": (None, 4),
    "scores": (None, 24),
    "bridged": (None,),
    "contacts": (None, 2),
    "landmarks": (None, 33, 3),
    "world_landmarks": (None, 33, 3),
}

# The same of arrays that a file may lack, with the attributes that they become.
_OPTIONAL: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "poses_smplh": ("fingers", (None, 3 * len(SMPLH_JOINT_NAMES))),
    "hand_landmarks": ("hand_landmarks", (None, 2, 21, 3)),
    "face": ("face", (None, len(COEFFICIENTS))),
    "face_scores": ("face_scores", (None,)),
}

LARGEST = 1e7
"""What numbers of a motion are below, in any unit; larger ones overflow where they are multiplied."""

_HIGHEST_NUMBER = 1_000_000
"""Of a person or a shot."""

_LONGEST_SECONDS = 90_000.0

_ATTRIBUTES = {key: key for key in ("betas", *_SHAPES)} | {"pelvis": "rest_pelvis"}
"""The attribute of `Motion` for each key of the file."""


_IN_FULL = ("timestamps", "mocap_framerate")
"""What keeps its double precision in the file."""


class MotionFileError(VideoMotionError):
    """A motion file can't be read."""


@dataclass
class Motion:
    """One person's animation over N frames, in camera space and in the world.

    Frames of reference (camera, world) are those of `inference/README.md`.

    Attributes:
        timestamps: (N,) seconds from the start of the video, increasing; real ones where it shows slow motion.
        poses_cam: (N, 24, 3) SMPL axis-angle rotations; the root's is in camera space.
        trans_cam: (N, 3) SMPL translation in camera space, metres.
        betas: (10,) SMPL shape.
        rest_pelvis: (3,) the rest position of the root joint for `betas`, metres; `pelvis` in the file.
        joints_cam: (N, 24, 3) joint positions in camera space, metres.
        camera_K: (3, 3) intrinsics in pixels.
        camera_to_world: (N, 4, 4) rigid transform from camera space to the world, per frame.
        image_size: (2,) width, height of the footage in pixels; zeros where no camera filmed the motion.
        frames: (N,) frame numbers in the footage.
        boxes: (N, 4) left, top, width, height of the person in pixels.
        scores: (N, 24) confidence of each joint, 0 to 1.
        bridged: (N,) true where the person was not detected and the motion was interpolated.
        contacts: (N, 2) probability that the left and right foot stand on the floor.
        landmarks: (N, 33, 3) BlazePose landmarks x, y in pixels and visibility; zero visibility where bridged.
        world_landmarks: (N, 33, 3) BlazePose world landmarks, metres, camera axes, origin between the hips.
        fingers: (N, 30, 3) axis-angle rotations of SMPL-H's finger joints; None where nothing is known of them.
        hand_landmarks: (N, 2, 21, 3) MediaPipe's landmarks of the left and right hand, x, y in pixels and confidence;
            None where no hand was looked at.
        face: (N, 52) what the face does, by `body.face.COEFFICIENTS`; None where nothing is known of it.
        face_scores: (N,) confidence that the face was seen, 0 to 1; None like `face`.
        estimator: name of what estimated the motion, see `estimators.NETWORKS`.
        person: the person's number in the video, from 1.
        gender: SMPL's gender of the body.
        provenance: video, body, version, options; `shot` where the video has cuts.
    """

    timestamps: np.ndarray
    poses_cam: np.ndarray
    trans_cam: np.ndarray
    betas: np.ndarray
    rest_pelvis: np.ndarray
    joints_cam: np.ndarray
    camera_K: np.ndarray
    camera_to_world: np.ndarray
    image_size: np.ndarray
    frames: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    bridged: np.ndarray
    contacts: np.ndarray
    landmarks: np.ndarray
    world_landmarks: np.ndarray
    fingers: np.ndarray | None = None
    hand_landmarks: np.ndarray | None = None
    face: np.ndarray | None = None
    face_scores: np.ndarray | None = None
    estimator: str = "landmarks"
    person: int = 1
    gender: str = "neutral"
    provenance: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def shot(self) -> int:
        """The number of the shot of the video, from 1; a cut begins the next."""
        return int(self.provenance.get("shot", 1))

    @property
    def slow_motion(self) -> float:
        """How many times slower the video shows what happened than it was."""
        return float(self.provenance.get("slow_motion", 1.0))

    @property
    def frame_rate(self) -> float:
        """Mean frames per second of the footage; 25 for a single frame."""
        if len(self) < 2:
            return 25.0
        return float((len(self) - 1) / (self.timestamps[-1] - self.timestamps[0]))

    @property
    def poses(self) -> np.ndarray:
        """(N, 24, 3) axis-angle rotations; the root's is in the world."""

        def turned(window: slice) -> tuple[np.ndarray]:
            poses = self.poses_cam[window].copy()
            root = self.camera_to_world[window, :3, :3] @ rotations.axis_angle_to_matrix(poses[:, 0])
            poses[:, 0] = rotations.matrix_to_axis_angle(root)
            return (poses,)

        return spill.collect(len(self), turned)[0]

    @property
    def poses_smplh(self) -> np.ndarray | None:
        """(N, 52, 3) axis-angle rotations of SMPL-H's joints, the root's in the world; None without fingers."""
        if (own := self.fingers) is None:
            return None
        poses = self.poses
        return spill.collect(
            len(self), lambda window: (np.concatenate([poses[window, :BODY_JOINTS], own[window]], axis=1),)
        )[0]

    @property
    def trans(self) -> np.ndarray:
        """(N, 3) SMPL translation in the world, metres."""
        root = self.trans_cam + self.rest_pelvis
        rotated = np.einsum("nij,nj->ni", self.camera_to_world[:, :3, :3], root)
        return rotated + self.camera_to_world[:, :3, 3] - self.rest_pelvis

    @property
    def joints_world(self) -> np.ndarray:
        """(N, 24, 3) joint positions in the world, metres."""

        def moved(window: slice) -> tuple[np.ndarray]:
            to_world = self.camera_to_world[window]
            rotated = np.einsum("nij,nkj->nki", to_world[:, :3, :3], self.joints_cam[window])
            return (rotated + to_world[:, None, :3, 3],)

        return spill.collect(len(self), moved)[0]

    @property
    def has_camera(self) -> bool:
        """Whether a camera filmed the motion; without one, camera space is merely another frame of reference."""
        return bool(np.all(self.image_size))

    @property
    def camera_moves(self) -> bool:
        """Whether the camera's pose changes over time."""
        return bool(np.ptp(self.camera_to_world, axis=0).max(initial=0.0) > 1e-9)

    def trimmed(self, keep: np.ndarray | slice) -> Motion:
        """The frames for which `keep` (N,) is true, or those of a slice, which are not copied."""
        n = len(self)
        rows = {
            name: value[keep]
            for key, name in _ATTRIBUTES.items()
            if (value := getattr(self, name)).ndim
            and key not in ("betas", "pelvis", "camera_K", "image_size")
            and len(value) == n
        } | {name: value[keep] for name, _ in _OPTIONAL.values() if (value := getattr(self, name)) is not None}
        return replace(self, **rows)

    def save(self, path: Path) -> None:
        """Write the motion to `path`; a partly written file never has that name.

        The file is a superset of what AMASS and the SMPL add-ons read (`poses` (N, 72) and `trans` in the z-up world,
        `betas`, `gender`, `mocap_framerate`). Fingers are in `poses_smplh` (N, 156), SMPL-H's poses. What a face does
        is in `face` (N, 52), `face_names` (52,) and `face_scores` (N,).
        """
        arrays: dict[str, ArrayLike] = {key: getattr(self, name) for key, name in _ATTRIBUTES.items()}
        arrays["poses"] = self.poses.reshape(len(self), 72)
        arrays["trans"] = self.trans
        if (smplh := self.poses_smplh) is not None:
            arrays["poses_smplh"] = smplh.reshape(len(self), -1)
        seen = {key: getattr(self, key) for key in ("hand_landmarks", "face", "face_scores")}
        arrays |= {key: array for key, array in seen.items() if array is not None}
        if self.face is not None:
            arrays["face_names"] = np.array(COEFFICIENTS)
        arrays |= {
            "gender": np.str_(self.gender),
            "mocap_framerate": np.float64(self.frame_rate),
            "estimator": np.str_(self.estimator),
            "person": np.int64(self.person),
            "provenance": np.str_(json.dumps(self.provenance)),
        }
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for key, array in arrays.items():
                    zips.write_array(archive, key, array, single=key not in _IN_FULL)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Motion:
        """Read a file that `save` wrote.

        Raises:
            MotionFileError: the file is missing, damaged or something else.
        """
        try:
            zips.check_zip(path)
            with np.load(path, allow_pickle=False) as archive:
                missing = sorted(set(_ATTRIBUTES) - set(archive.files))
                if missing:
                    raise MotionFileError(
                        f"{path} is not a motion file of Video Motion: it lacks {', '.join(missing[:3])}."
                    )
                # Each access to an archive reads and unpacks again.
                arrays = {key: zips.read_array(archive.zip, key, double=True) for key in _ATTRIBUTES}
                extra = {
                    key: zips.read_array(archive.zip, key, double=True) for key in _OPTIONAL if key in archive.files
                }
                arrays |= extra
                n = arrays["timestamps"].size
                shapes = _SHAPES | {key: _OPTIONAL[key][1] for key in extra}
                for key, shape in shapes.items():
                    if arrays[key].shape != tuple(n if side is None else side for side in shape):
                        raise MotionFileError(f"{path} is damaged: its {key} is {arrays[key].shape} for {n} frames.")
                for key, array in arrays.items():
                    if array.dtype.kind not in "fiub" or not _is_finite(array):
                        raise MotionFileError(f"{path} is damaged: its {key} has values that are not numbers.")
                if arrays["betas"].ndim != 1 or not arrays["betas"].size:
                    raise MotionFileError(f"{path} is damaged: its betas are {arrays['betas'].shape}.")
                if (np.diff(arrays["timestamps"]) <= 0).any() or (np.diff(arrays["frames"]) < 0).any():
                    raise MotionFileError(f"{path} is damaged: its frames do not increase.")
                if n and np.ptp(arrays["timestamps"]) > _LONGEST_SECONDS:
                    raise MotionFileError(f"{path} is damaged: it is longer than a day.")
                provenance = json.loads(str(archive["provenance"]))
                if not isinstance(provenance, dict):
                    raise MotionFileError(f"{path} is damaged: its provenance is not a table.")
                person, shot = int(archive["person"]), provenance.get("shot", 1)
                if not all(isinstance(one, int) and 1 <= one <= _HIGHEST_NUMBER for one in (person, shot)):
                    raise MotionFileError(f"{path} is damaged: its person or shot has no such number.")
                extra = {_OPTIONAL[key][0]: arrays.pop(key) for key in extra}
                if "fingers" in extra:
                    extra["fingers"] = extra["fingers"].reshape(n, -1, 3)[:, BODY_JOINTS:]
                return cls(
                    **{_ATTRIBUTES[key]: array for key, array in arrays.items()},
                    **extra,
                    estimator=str(archive["estimator"]),
                    person=person,
                    gender=str(archive["gender"]),
                    provenance=provenance,
                )
        except FileNotFoundError as error:
            raise MotionFileError(f"{path} does not exist.") from error
        except MotionFileError:
            raise
        except Exception as error:  # np.load raises many kinds on hostile input
            raise MotionFileError(
                f"{path} cannot be read as a motion file; it may be damaged ({reason(error)})."
            ) from error


def _is_finite(array: np.ndarray) -> bool:
    """Whether all values are numbers below `LARGEST`."""
    rows = array if array.ndim else array[None]
    return all((np.abs(rows[window].astype(np.float64)) < LARGEST).all() for window in spill.windows(len(rows)))
