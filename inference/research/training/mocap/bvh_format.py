"""The format of Biovision's ``.bvh`` files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....body import rotations
from .recording import MocapError, forward

_ROTATIONS = ("xrotation", "yrotation", "zrotation")
_POSITIONS = ("xposition", "yposition", "zposition")


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The skeleton of a ``.bvh`` file, in its unit.

    Attributes:
        names: J joints; a tip is called after its parent, with ``_end``.
        parents: J joint numbers, a parent before its children, −1 for the root.
        offsets: (J, 3) from the parent.
        channels: for each joint what the motion gives, in order: ``xrotation`` … ``zposition``.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class BvhMotion:
    """Contents of a ``.bvh`` file.

    Attributes:
        hierarchy: the skeleton.
        frame_rate: frames per second.
        rotations: (N, J, 3, 3) of the joints, relative to the world of the file.
        positions: (N, J, 3) in the unit and the world of the file.
    """

    hierarchy: Hierarchy
    frame_rate: float
    rotations: np.ndarray
    positions: np.ndarray


def parse_bvh(text: str, name: str) -> BvhMotion:
    """Read a file.

    A joint's own position in the motion, where there is one, stands in place of its offset, as in Blender.

    Args:
        text: the file's.
        name: of the file, for messages.

    Raises:
        MocapError: the text is not a skeleton with its motion.
    """
    head, found, tail = text.partition("MOTION")
    if not found:
        raise MocapError(f"{name} has no MOTION: give a whole .bvh file.")
    try:
        hierarchy = _hierarchy(head.split())
        frames, frame_time, values = _numbers(tail)
    except (ValueError, IndexError) as error:
        raise MocapError(f"{name} has invalid lines ({error}): copy it again.") from error
    width = sum(map(len, hierarchy.channels))
    if not frames or not width or len(values) != frames * width:
        raise MocapError(f"{name} has not {frames} frames of {width} numbers: copy it again, it may have been cut off.")
    if not frame_time > 0 or not np.isfinite(values).all():
        raise MocapError(f"{name} has values that are not finite: copy it again.")
    return BvhMotion(hierarchy, 1.0 / frame_time, *_pose(hierarchy, values.reshape(frames, width)))


def _hierarchy(words: list[str]) -> Hierarchy:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    above = [-1]
    at = words.index("ROOT")
    while at < len(words):
        word = words[at].upper()
        if word in ("ROOT", "JOINT", "END"):
            if word == "ROOT" and names:
                raise ValueError("a second ROOT")
            names.append(f"{names[above[-1]]}_end" if word == "END" else words[at + 1])
            parents.append(above[-1])
            offsets.append([0.0, 0.0, 0.0])
            channels.append(())
            at += 2
        elif word == "{":
            above.append(len(names) - 1)
            at += 1
        elif word == "}":
            above.pop()
            at += 1
        elif word == "OFFSET":
            offsets[above[-1]] = [float(number) for number in words[at + 1 : at + 4]]
            at += 4
        elif word == "CHANNELS":
            count = int(words[at + 1])
            channels[above[-1]] = tuple(channel.lower() for channel in words[at + 2 : at + 2 + count])
            if not set(channels[above[-1]]) <= {*_ROTATIONS, *_POSITIONS}:
                raise ValueError(" ".join(channels[above[-1]]))
            at += 2 + count
        else:
            raise ValueError(words[at])
    if len(above) != 1:
        raise ValueError("braces that do not match")
    return Hierarchy(tuple(names), tuple(parents), np.array(offsets), tuple(channels))


def _numbers(text: str) -> tuple[int, float, np.ndarray]:
    words = text.replace(":", " ").split(maxsplit=5)
    if [word.lower() for word in (words[0], *words[2:4])] != ["frames", "frame", "time"]:
        raise ValueError(" ".join(words[:4]))
    frames, frame_time = int(words[1]), float(words[4])
    return frames, frame_time, np.array(words[5].split() if len(words) > 5 else [], dtype=np.float64)


def _pose(hierarchy: Hierarchy, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = len(values)
    local = np.broadcast_to(np.eye(3), (count, len(hierarchy.names), 3, 3)).copy()
    shifts = np.broadcast_to(hierarchy.offsets, (count, *hierarchy.offsets.shape)).copy()
    column = 0
    for joint, channels in enumerate(hierarchy.channels):
        for channel in channels:
            if channel in _POSITIONS:
                shifts[:, joint, _POSITIONS.index(channel)] = values[:, column]
            else:
                about = np.radians(values[:, column, None]) * np.eye(3)[_ROTATIONS.index(channel)]
                local[:, joint] = local[:, joint] @ rotations.axis_angle_to_matrix(about)
            column += 1
    return forward(hierarchy.parents, shifts, local, shifts[:, 0])
