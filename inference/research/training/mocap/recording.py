"""Results of the motion capture readers: recordings of a captured skeleton, and clips of our body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....body import rotations
from ....errors import VideoMotionError

SOURCE_HINGE = np.array([0.0, -np.cos(np.pi / 6), np.sin(np.pi / 6)])
"""The axis about which a recorded left elbow bends at rest; 30° off the vertical in CMU's skeletons."""
HEAD_LIFT = rotations.axis_angle_to_matrix(np.array([np.radians(-5.0), 0.0, 0.0]))
"""Rotation from a recorded head to one that looks ahead when people do; CMU's looks down by about 5° then."""


class MocapError(VideoMotionError):
    """A file of motion can't be used; the message is one sentence: what, which file, what to do."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A captured skeleton in motion; metres, y up.

    A joint has the name of the bone that starts there, as in CMU's database (``lfemur`` is the left hip); a chain's
    tip is called ``..._end``. At rest the skeleton stands upright with its arms straight to the sides, x to its left
    and z to its front, and all rotations are the identity.

    Attributes:
        name: of the clip, unique within its source.
        group: the person or the kind of action; clips of a group are not independent.
        frame_rate: frames per second.
        names: J joint names, a parent before its children.
        parents: J joint numbers, −1 for the root.
        offsets: (J, 3) rest position from the parent's.
        rotations: (N, J, 3, 3) rotations from the rest pose, relative to the world.
        positions: (N, J, 3).
    """

    name: str
    group: str
    frame_rate: float
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    rotations: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    def joint(self, name: str) -> int:
        """Number of a joint.

        Raises:
            MocapError: the skeleton has no such joint.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise MocapError(f"{self.name} has no joint {name}: only skeletons like CMU's are supported.") from None


@dataclass(frozen=True, eq=False)
class MotionClip:
    """Motion of our body: y up, metres, the floor at y = 0.

    Attributes:
        name: unique within its source.
        group: the person or the kind of action; clips of a group are not independent.
        frame_rate: frames per second.
        poses: (N, 24, 3) local rotations, axis-angle.
        trans: (N, 3) SMPL's translation.
    """

    name: str
    group: str
    frame_rate: float
    poses: np.ndarray
    trans: np.ndarray

    def __len__(self) -> int:
        return len(self.poses)

    def at(self, frame_rate: float) -> MotionClip:
        """The same motion at another frame rate, interpolated between the clip's frames."""
        instants = np.arange(int((len(self) - 1) / self.frame_rate * frame_rate + 1e-6) + 1)
        instants = instants * (self.frame_rate / frame_rate)
        before = np.minimum(np.floor(instants + 1e-6).astype(int), len(self) - 1)
        after = np.minimum(before + 1, len(self) - 1)
        share = np.maximum(instants - before, 0.0)[:, None]
        quaternions = rotations.axis_angle_to_quaternion(self.poses)
        poses = rotations.quaternion_to_axis_angle(
            rotations.slerp(quaternions[before], quaternions[after], np.repeat(share, self.poses.shape[1], axis=1))
        )
        trans = self.trans[before] + share * (self.trans[after] - self.trans[before])
        return MotionClip(self.name, self.group, frame_rate, poses, trans)


def forward(
    parents: tuple[int, ...], offsets: np.ndarray, local: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics of any tree.

    Args:
        parents: J joint numbers, a parent before its children, −1 for the root.
        offsets: (J, 3), or (N, J, 3), rest position from the parent's; the root's is ignored.
        local: (N, J, 3, 3) rotations relative to the parent's.
        root: (N, 3) positions of the root.

    Returns:
        Rotations (N, J, 3, 3) relative to the world and positions (N, J, 3).
    """
    global_rotations = np.empty_like(local)
    positions = np.empty(local.shape[:-1], dtype=local.dtype)
    for joint, parent in enumerate(parents):
        if parent < 0:
            global_rotations[:, joint], positions[:, joint] = local[:, joint], root
        else:
            global_rotations[:, joint] = global_rotations[:, parent] @ local[:, joint]
            positions[:, joint] = (
                positions[:, parent] + (global_rotations[:, parent] @ offsets[..., joint, :, None])[..., 0]
            )
    return global_rotations, positions
