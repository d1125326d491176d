"""What a file of another tool contains, and the motions made from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...body import rotations
from ...body.skeleton import JOINT_NAMES
from ...body.smpl import Body
from ..motion import LARGEST, Motion, MotionFileError
from .conventions import ASSUMED_FRAME_RATE, NO_CAMERA, SMPL_PELVIS, SMPLX_PELVIS, floor_height, is_smpl, stride_scale

UPRIGHT_CAMERA = NO_CAMERA[:3, :3]
"""(3, 3) from camera space (x right, y down, z forward) to the world, of a camera that looks along the floor."""

Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""(3, 3) to the world from one whose y points up, as OpenGL's."""

_JOINTS = len(JOINT_NAMES)
_HIPS = [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")]
_LONGEST_BRIDGE = 300
_LAST_FRAME = 10**7
_MOST_FRAMES = 250_000
_LARGEST_IMAGE = 65_536


@dataclass(frozen=True)
class View:
    """The camera that filmed, as a file describes it.

    Attributes:
        K: (3, 3) intrinsics in pixels.
        size: width and height in pixels.
        to_world: (M, 4, 4) from camera space to the file's world for every frame number, or (4, 4) of one at rest.
    """

    K: np.ndarray
    size: tuple[int, int]
    to_world: np.ndarray = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True)
class Person:
    """A person of a file; rows are frames in any order.

    Attributes:
        frames: (N,) frame numbers.
        rotations: (N, 24, 3, 3) of SMPL's joints relative to their parents, the root's in the file's world.
        roots: (N, 3) where the root joint is in the file's world, metres.
        betas: (N, B) or (1, B) shape of the file's body.
        boxes: (N, 4) left, top, width, height in pixels, or None.
    """

    frames: np.ndarray
    rotations: np.ndarray
    roots: np.ndarray
    betas: np.ndarray
    boxes: np.ndarray | None = None


@dataclass(frozen=True)
class Content:
    """What a file contains.

    Attributes:
        tool: the program that wrote it.
        people: the people, at least one.
        axes: (3, 3) rotation from the file's world into ours, whose z points up.
        view: the camera, or None where the file doesn't describe it fully.
        smplx: whether β is SMPL-X's, not SMPL's.
        floored: whether the file's world has its floor where ours has it.
        walked: whether one person's steps made the file's world: then it is as large as that person's legs are long.
        rate: frames per second, None where the file doesn't state them.
        warnings: sentences about what had to be assumed.
    """

    tool: str
    people: list[Person]
    axes: np.ndarray
    view: View | None = None
    smplx: bool = False
    floored: bool = False
    walked: bool = False
    rate: float | None = None
    warnings: tuple[str, ...] = ()


def motions(content: Content, path: Path, body: Body, fps: float | None) -> list[Motion]:
    """The motions of a file's people on ``body``, of those that are longest on screen first.

    - Missing frames between a person's are bridged, up to 300 in a row; longer gaps stay gaps in time.
    - On SMPL's own body the shape is the file's, on any other and for SMPL-X's files it is the mean. The hips keep
      their path either way.
    - Where a person's steps made the world, it gets the size at which standing feet of this body slide least.
    - The floor lies at the lowest person's `conventions.floor_height`, unless the file's world has a floor for this
      body.

    Args:
        content: of the file.
        path: of the file, for messages and ``provenance``.
        body: the body that gets the motions.
        fps: frames per second of the footage, more than 0, of files that don't state it; for None it is taken as 30.

    Raises:
        MotionFileError: the file has no frames or too many, or an impossible camera.
    """
    warnings = list(content.warnings)
    rate = content.rate or fps or ASSUMED_FRAME_RATE
    if fps is None and content.rate is None:
        warnings.append(f"{path.name} states no frame rate: {ASSUMED_FRAME_RATE:g} frames per second are assumed.")
    own_shape = is_smpl(body) and not content.smplx
    if not own_shape and any(person.betas.any() for person in content.people):
        warnings.append(f"{path.name} has the shape of another body: the mean shape is used.")
    if content.view is not None:
        _check_view(content.view, path)
    people = [person for person in content.people if len(person.frames)]
    if not people:
        raise MotionFileError(f"{path} holds no frames.")
    takes = [_take(person, content, body, own_shape, path) for person in people]
    takes.sort(key=lambda take: np.count_nonzero(~take.bridged), reverse=True)
    if sum(len(take.frames) for take in takes) > _MOST_FRAMES:
        raise MotionFileError(f"{path} holds more than {_MOST_FRAMES} frames, too many to animate.")
    if content.walked and not own_shape:
        takes = [_sized(take, body, rate) for take in takes]
    floor = 0.0
    if not (content.floored and is_smpl(body)):
        floor = _floor(takes, body)
    provenance = {"file": str(path), "format": content.tool, "warnings": warnings}
    return [
        _motion(take, number, content.view, floor, body, rate, provenance) for number, take in enumerate(takes, start=1)
    ]


@dataclass(frozen=True)
class _Take:
    """A person's frames without gaps in a z-up world: rotations (N, 24, 3, 3), trans (N, 3), cameras (N, 4, 4)."""

    frames: np.ndarray
    bridged: np.ndarray
    local_rotations: np.ndarray
    trans: np.ndarray
    betas: np.ndarray
    cameras: np.ndarray
    boxes: np.ndarray


def _take(person: Person, content: Content, body: Body, own_shape: bool, path: Path) -> _Take:
    if person.frames.min() < 0 or person.frames.max() > _LAST_FRAME:
        raise MotionFileError(f"{path} is damaged: its frame numbers run from {person.frames.min():g}.")
    seen, rows = np.unique(person.frames.astype(np.int64), return_index=True)
    frames = _bridge(seen)
    before = np.clip(np.searchsorted(seen, frames, side="right") - 1, 0, max(len(seen) - 2, 0))
    after = np.minimum(before + 1, len(seen) - 1)
    fraction = (frames - seen[before]) / np.maximum(seen[after] - seen[before], 1)

    def between(values: np.ndarray) -> np.ndarray:
        part = fraction.reshape(-1, *[1] * (values.ndim - 1))
        return (1.0 - part) * values[before] + part * values[after]

    quaternions = rotations.matrix_to_quaternion(person.rotations[rows])
    local_rotations = rotations.quaternion_to_matrix(
        rotations.slerp(quaternions[before], quaternions[after], np.broadcast_to(fraction[:, None], (len(frames), 24)))
    )
    local_rotations[:, 0] = content.axes @ local_rotations[:, 0]
    betas = np.zeros(body.shapedirs.shape[2])
    if own_shape:
        mean = person.betas.mean(axis=0)
        count = min(len(betas), len(mean))
        betas[:count] = mean[:count]
    return _Take(
        frames=frames,
        bridged=~np.isin(frames, seen),
        local_rotations=local_rotations,
        trans=between(person.roots[rows]) @ content.axes.T - body.rest_joints(betas)[0],
        betas=betas,
        cameras=_cameras(content, frames, path),
        boxes=np.zeros((len(frames), 4)) if person.boxes is None else between(person.boxes[rows]),
    )


def _sized(take: _Take, body: Body, rate: float) -> _Take:
    """The take and its cameras in a world of the size that suits this body's legs."""
    rest = body.rest_joints(take.betas)[0]
    roots = take.trans + rest
    size = stride_scale(body, take.local_rotations, roots, rate)
    cameras = take.cameras.copy()
    cameras[:, :3, 3] *= size
    return replace(take, trans=size * roots - rest, cameras=cameras)


def _bridge(seen: np.ndarray) -> np.ndarray:
    """Frame numbers with the missing ones filled in, up to `_LONGEST_BRIDGE` in a row."""
    steps = np.diff(seen)
    steps = np.where(steps <= _LONGEST_BRIDGE + 1, steps, 1)
    if steps.sum() >= _MOST_FRAMES:
        return seen
    pieces = [np.arange(first, first + step) for first, step in zip(seen[:-1].tolist(), steps.tolist(), strict=True)]
    return np.concatenate([*pieces, seen[-1:]])


def _cameras(content: Content, frames: np.ndarray, path: Path) -> np.ndarray:
    if content.view is None:
        return np.tile(NO_CAMERA, (len(frames), 1, 1))
    to_z_up = np.eye(4)
    to_z_up[:3, :3] = content.axes
    to_world = content.view.to_world
    if to_world.ndim == 2:
        return np.tile(to_z_up @ to_world, (len(frames), 1, 1))
    if frames[-1] >= len(to_world):
        raise MotionFileError(f"{path} is damaged: it has {len(to_world)} frames of the camera, not {frames[-1]}.")
    return to_z_up @ to_world[frames]


def _floor(takes: list[_Take], body: Body) -> float:
    """Height of the floor in the world that all people share, metres."""
    return min(floor_height(body, take.local_rotations, take.trans, take.betas) for take in takes)


def _check_view(view: View, path: Path) -> None:
    width, height = view.size
    if not (0 < width < _LARGEST_IMAGE and 0 < height < _LARGEST_IMAGE and view.K[0, 0] > 0 and view.K[1, 1] > 0):
        raise MotionFileError(f"{path} is damaged: its camera has no size or no focal length.")


def _motion(
    take: _Take, number: int, view: View | None, floor: float, body: Body, fps: float, provenance: dict
) -> Motion:
    count = len(take.frames)
    rest_pelvis = body.rest_joints(take.betas)[0]
    to_world = take.cameras.copy()
    if view is not None:
        to_world[:, 2, 3] -= floor
    to_camera = np.swapaxes(to_world[:, :3, :3], 1, 2)
    local_rotations = take.local_rotations.copy()
    local_rotations[:, 0] = to_camera @ local_rotations[:, 0]
    poses_cam = rotations.matrix_to_axis_angle(local_rotations)
    roots = take.trans - (0.0, 0.0, floor) + rest_pelvis
    trans_cam = np.einsum("nij,nj->ni", to_camera, roots - to_world[:, :3, 3]) - rest_pelvis
    betas = np.zeros(max(10, len(take.betas)))
    betas[: len(take.betas)] = take.betas
    return Motion(
        timestamps=take.frames / fps,
        poses_cam=poses_cam,
        trans_cam=trans_cam,
        betas=betas,
        rest_pelvis=rest_pelvis,
        joints_cam=body.joints(poses_cam, take.betas, trans_cam),
        camera_K=np.eye(3) if view is None else view.K.copy(),
        camera_to_world=to_world,
        image_size=np.array((0, 0) if view is None else view.size, dtype=np.int64),
        frames=take.frames,
        boxes=take.boxes,
        scores=np.repeat(np.where(take.bridged, 0.0, 1.0)[:, None], _JOINTS, axis=1),
        bridged=take.bridged,
        contacts=np.zeros((count, 2)),
        landmarks=np.zeros((count, 33, 3)),
        world_landmarks=np.zeros((count, 33, 3)),
        estimator="imported",
        person=number,
        provenance={**provenance, "warnings": list(provenance["warnings"])},
    )


def numbers(value: object, path: Path, name: str, *shape: int | None) -> np.ndarray:
    """``value`` in double precision if it has ``shape``, of which None is any size.

    Raises:
        MotionFileError: it doesn't, or holds anything but numbers of plausible size.
    """
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | float | int | list) else np.empty(0, "U1")
    if array.dtype.kind not in "fiub":
        raise MotionFileError(f"{path} is damaged: its {name} has values that are not numbers.")
    if array.ndim != len(shape) or any(w not in (None, h) for w, h in zip(shape, array.shape, strict=True)):
        raise MotionFileError(f"{path} is damaged: its {name} is {array.shape}.")
    with np.errstate(invalid="ignore"):
        array = array.astype(np.float64)
    if not (np.abs(array) < LARGEST).all():
        raise MotionFileError(f"{path} is damaged: its {name} has values that are not numbers.")
    return array


def rotations_from_poses(poses: np.ndarray, count: int = _JOINTS) -> np.ndarray:
    """Rotations (N, 24, 3, 3) of the first ``count`` joints of poses (N, ≥ 3 ``count``); the others are straight."""
    local_rotations = np.tile(np.eye(3), (len(poses), _JOINTS, 1, 1))
    local_rotations[:, :count] = rotations.axis_angle_to_matrix(poses[:, : 3 * count].reshape(-1, count, 3))
    return local_rotations


def smpl_roots(body: Body, trans: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Where the root joint is (N, 3) for SMPL's translation (N, 3) and shape (N, B), metres.

    On another body than SMPL's own, that of SMPL's mean shape.
    """
    return trans + (_rest(body, betas)[:, 0] if is_smpl(body) else SMPL_PELVIS)


def smplx_roots(trans: np.ndarray) -> np.ndarray:
    """Where the root joint is (N, 3) for SMPL-X's translation (N, 3) and its mean shape, metres."""
    return trans + SMPLX_PELVIS


def roots_under_hips(body: Body, hips: np.ndarray, rotations: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Where the root joint is (N, 3) if the middle between the hip joints is at ``hips`` (N, 3).

    Args:
        body: the body.
        hips: metres.
        rotations: (N, 3, 3) of the root.
        betas: (N, B) shape; it counts on SMPL's own body only.
    """
    rest = _rest(body, betas) if is_smpl(body) else body.rest_joints()[None]
    offset = rest[:, _HIPS].mean(axis=1) - rest[:, 0]
    return hips - np.einsum("nij,nj->ni", rotations, np.broadcast_to(offset, hips.shape))


def _rest(body: Body, betas: np.ndarray) -> np.ndarray:
    return body.rest_joints(betas[:, : body.shapedirs.shape[2]])
