"""Reader of Acclaim's ``.asf`` skeletons and ``.amc`` motion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ....body import rotations
from .recording import MocapError, Recording, forward

INCH = 0.0254
FRAME_RATE = 120.0
"""CMU's; the files do not contain it."""

_ROTATIONS: tuple[str, ...] = ("rx", "ry", "rz")
_TRANSLATIONS: tuple[str, ...] = ("tx", "ty", "tz")


@dataclass
class _Bone:
    direction: np.ndarray = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: np.ndarray = field(default_factory=lambda: np.eye(3))
    dof: tuple[str, ...] = ()


@dataclass
class Skeleton:
    """Contents of an ``.asf`` file; metres.

    Attributes:
        names: J joints, each named after the bone that starts there, then ``..._end`` for the tips.
        parents: J joint numbers, a parent before its children, −1 for the root.
        offsets: (J, 3) rest position from the parent's.
        axes: (J, 3, 3) the axes of a joint's angles.
        dof: for each joint the meaning of its numbers in the motion, in order: ``rx`` … ``tz``.
        unit: metres in one unit of the motion's translations.
        origin: (3,) added to the root's translation.
        degrees: whether the skeleton's angles are in degrees.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    axes: np.ndarray
    dof: tuple[tuple[str, ...], ...]
    unit: float
    origin: np.ndarray
    degrees: bool


def read_asf_amc(texts: Mapping[PurePosixPath, str]) -> Iterator[Recording]:
    """Read all motions among the texts of a source.

    A motion's skeleton is in the same folder, or in one beside it: ``01_03.amc`` belongs to ``01.asf``. If that is
    missing, another one serves: CMU's skeletons differ in lengths, not in axes. The group is the motion's skeleton, by
    name.

    Raises:
        MocapError: a file is missing, damaged, or uses something unsupported.
    """
    skeletons = {file: parse_asf(text, file.name) for file, text in texts.items() if file.suffix.lower() == ".asf"}
    for file in sorted(file for file in texts if file.suffix.lower() == ".amc"):
        beside = [other for other in skeletons if other.parent == file.parent]
        near = beside or [other for other in skeletons if other.parent.parent == file.parent.parent]
        subject = file.stem.partition("_")[0]
        own = next((other for other in near if other.stem in (file.stem, subject)), None)
        if not near:
            raise MocapError(f"{file.name} has no .asf skeleton in its folder: put the one it was recorded with there.")
        group = own.stem if own else subject if len(near) > 1 else near[0].stem
        yield parse_amc(texts[file], skeletons[own or near[0]], file.name, group)


def parse_asf(text: str, name: str) -> Skeleton:
    """Read a skeleton.

    Args:
        text: the file's.
        name: of the file, for messages.

    Raises:
        MocapError: the text is not a skeleton, or uses something unsupported.
    """
    sections: dict[str, list[list[str]]] = {}
    lines: list[list[str]] = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].startswith(":"):
            lines = sections.setdefault(words[0].lower(), [])
        elif words:
            lines.append(words)
    for needed in (":units", ":root", ":bonedata", ":hierarchy"):
        if needed not in sections:
            raise MocapError(f"{name} has no {needed} section: give a whole .asf skeleton.")
    try:
        return _skeleton(sections)
    except (ValueError, IndexError, KeyError) as error:
        raise MocapError(f"{name} has invalid lines ({error}): copy it again.") from error


def _skeleton(sections: dict[str, list[list[str]]]) -> Skeleton:
    units = {words[0]: words[1] for words in sections[":units"]}
    unit, degrees = INCH / float(units.get("length", 1.0)), units.get("angle", "deg") == "deg"
    root = {words[0]: words[1:] for words in sections[":root"]}
    origin = unit * _numbers(root.get("position", ["0"] * 3))
    spin = _axis([*root.get("orientation", ["0"] * 3), *root.get("axis", ["XYZ"])], degrees)
    bones = {"root": _Bone(axis=spin, dof=_dof(root["order"])), **_bones(sections[":bonedata"], degrees, unit)}
    children: dict[str, list[str]] = {}
    for words in sections[":hierarchy"]:
        if words[0] not in ("begin", "end"):
            children.setdefault(words[0], []).extend(words[1:])

    names, parents, offsets = ["root"], [-1], [np.zeros(3)]

    waiting = [(child, 0, np.zeros(3)) for child in children["root"][::-1]]
    while waiting:
        joint, parent, offset = waiting.pop()
        if joint in names:
            raise ValueError(f"{joint} has two parents")
        names.append(joint)
        parents.append(parent)
        offsets.append(offset)
        if joint in bones:
            tip = bones[joint].direction * bones[joint].length
            below = children.get(joint, [f"{joint}_end"])
            waiting.extend((child, len(names) - 1, tip) for child in reversed(below))
        elif joint != f"{names[parent]}_end":
            raise ValueError(f"no bone {joint}")

    used = [bones.get(joint, _Bone()) for joint in names]
    return Skeleton(
        tuple(names),
        tuple(parents),
        np.stack(offsets),
        np.stack([bone.axis for bone in used]),
        tuple(bone.dof for bone in used),
        unit,
        origin,
        degrees,
    )


def _bones(lines: list[list[str]], degrees: bool, unit: float) -> dict[str, _Bone]:
    bones: dict[str, _Bone] = {}
    bone = _Bone()
    for key, *values in lines:
        if key == "begin":
            bone = _Bone()
        elif key == "name":
            bones[values[0]] = bone
        elif key == "direction":
            direction = _numbers(values)
            bone.direction = direction / np.linalg.norm(direction)
        elif key == "length":
            bone.length = unit * float(values[0])
        elif key == "axis":
            bone.axis = _axis(values, degrees)
        elif key == "dof":
            bone.dof = _dof(values)
    return bones


def _numbers(words: list[str]) -> np.ndarray:
    values = np.array([float(word) for word in words[:3]])
    if len(values) != 3 or not np.isfinite(values).all():
        raise ValueError(" ".join(words))
    return values


def _dof(words: list[str]) -> tuple[str, ...]:
    dof = tuple(word.lower() for word in words)
    if len(set(dof)) != len(dof) or not set(dof) <= {*_ROTATIONS, *_TRANSLATIONS}:
        raise ValueError(f"dof {' '.join(words)}")
    return dof


def _axis(words: list[str], degrees: bool) -> np.ndarray:
    order = tuple(f"r{letter}" for letter in words[3].lower())
    if sorted(order) != list(_ROTATIONS):
        raise ValueError(f"axis {' '.join(words)}")
    angles = dict(zip(_ROTATIONS, _numbers(words), strict=True))
    return _euler(np.array([angles[turn] for turn in order]), order, degrees)


def _euler(angles: np.ndarray, order: tuple[str, ...], degrees: bool) -> np.ndarray:
    """Matrices (..., 3, 3) of angles (..., len(order)) about fixed axes, applied in that order."""
    angles = np.radians(angles) if degrees else angles
    matrix = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3))
    for column, turn in enumerate(order):
        about = angles[..., column, None] * np.eye(3)[_ROTATIONS.index(turn)]
        matrix = rotations.axis_angle_to_matrix(about) @ matrix
    return matrix


def parse_amc(text: str, skeleton: Skeleton, name: str, group: str) -> Recording:
    """Read a motion.

    Args:
        text: the file's.
        skeleton: with which it was recorded.
        name: of the file, for messages and the recording.
        group: of the recording.

    Raises:
        MocapError: the text is not a motion of this skeleton.
    """
    values, degrees = _frames(text, skeleton, name)
    count = len(next(iter(values.values())))
    local = np.broadcast_to(np.eye(3), (count, len(skeleton.names), 3, 3)).copy()
    root = np.broadcast_to(skeleton.origin, (count, 3)).copy()
    for joint, (bone, dof) in enumerate(zip(skeleton.names, skeleton.dof, strict=True)):
        if not dof:
            continue
        angles = [column for column, kind in enumerate(dof) if kind in _ROTATIONS]
        order = tuple(dof[column] for column in angles)
        axis = skeleton.axes[joint]
        local[:, joint] = axis @ _euler(values[bone][:, angles], order, degrees)
        # The root's own orientation is part of its rotation; a bone's axes only define its angles.
        if joint:
            local[:, joint] = local[:, joint] @ axis.T
        else:
            shifts = [column for column, kind in enumerate(dof) if kind in _TRANSLATIONS]
            root[:, [_TRANSLATIONS.index(dof[column]) for column in shifts]] += skeleton.unit * values[bone][:, shifts]
    global_rotations, positions = forward(skeleton.parents, skeleton.offsets, local, root)
    stem = PurePosixPath(name).stem
    return Recording(
        stem, group, FRAME_RATE, skeleton.names, skeleton.parents, skeleton.offsets, global_rotations, positions
    )


def _frames(text: str, skeleton: Skeleton, name: str) -> tuple[dict[str, np.ndarray], bool]:
    widths = {bone: len(dof) for bone, dof in zip(skeleton.names, skeleton.dof, strict=True) if dof}
    rows: dict[str, list[list[str]]] = {bone: [] for bone in widths}
    degrees, frames = skeleton.degrees, 0
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith(":"):
            if words[0].upper() in (":DEGREES", ":RADIANS"):
                degrees = words[0].upper() == ":DEGREES"
        elif len(words) == 1 and words[0].isdigit():
            frames += 1
        elif len(words) - 1 != widths.get(words[0]) or len(rows[words[0]]) != frames - 1:
            raise MocapError(f"{name} does not fit its skeleton in line {number} ({words[0]}): give the right .asf.")
        else:
            rows[words[0]].append(words[1:])
    missing = next((bone for bone, angles in rows.items() if len(angles) != frames), None)
    if not frames or missing:
        what = f"lacks numbers of {missing}" if frames else "has no frames"
        raise MocapError(f"{name} {what}: copy it again, it may have been cut off.")
    try:
        values = {bone: np.array(angles, dtype=np.float64) for bone, angles in rows.items()}
    except ValueError as error:
        raise MocapError(f"{name} has values that are not numbers ({error}): copy it again.") from error
    return values, degrees
