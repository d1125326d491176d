"""All motions for training in one file.

The file contains motion capture by others in another form: do not distribute it.
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....atomic import atomic_write
from ....body import rotations
from ....body.skeleton import JOINT_NAMES
from ....body.smpl import Body
from .amass import read_amass
from .asf import read_asf_amc
from .bvh import read_bvh
from .cleaning import clean
from .cmu import read_cmu
from .files import read_texts
from .recording import MocapError, MotionClip
from .retarget import retarget

VERSION = 2

_LOOKS_PER_SECOND = 3.0
# Poses whose joints are this close on average are alike, metres.
_ALIKE = 0.1
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Library:
    """C clips with F frames in total; y up, metres, the floor at y = 0.

    Attributes:
        poses: (F, 24, 3) float32 local rotations, axis-angle.
        trans: (F, 3) float32 SMPL's translation.
        starts: (C + 1,) first frame of each clip, and F.
        names: (C,) of the clips.
        groups: (C,) people, or kinds of action where people are unknown. Validation holds out whole groups.
        weights: (C,) float64 how often training should choose each clip, in total 1: what many clips show counts less.
        frame_rate: frames per second.
    """

    poses: np.ndarray
    trans: np.ndarray
    starts: np.ndarray
    names: np.ndarray
    groups: np.ndarray
    weights: np.ndarray
    frame_rate: float

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def load(cls, path: str | Path) -> Library:
        """Read what `save` wrote.

        Raises:
            MocapError: the file is missing, damaged, or of another version.
        """
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                version = int(file["version"])
                arrays: dict[str, Any] = {name: file[name] for name in cls.__dataclass_fields__}
        except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise MocapError(f"{path.name} is not a library of motions: build it again.") from error
        if version != VERSION:
            raise MocapError(f"{path.name} has version {version}, not {VERSION}: build it again.")
        library = cls(**(arrays | {"frame_rate": float(arrays["frame_rate"])}))
        if not library._is_consistent():
            raise MocapError(f"{path.name} is damaged, its arrays do not fit together: build it again.")
        return library

    def _is_consistent(self) -> bool:
        count = len(self.poses)
        return (
            self.poses.shape == (count, len(JOINT_NAMES), 3)
            and self.trans.shape == (count, 3)
            and self.starts.shape == (len(self.names) + 1,)
            and self.groups.shape == self.names.shape
            and self.weights.shape == self.names.shape
            and bool((self.weights > 0).all())
            and self.starts[0] == 0
            and self.starts[-1] == count
            and bool((np.diff(self.starts) > 0).all())
            and np.isfinite(self.frame_rate)
            and self.frame_rate > 0
        )

    def save(self, path: str | Path) -> None:
        """Write the library, and its folder; the file appears only when it is complete.

        Raises:
            OSError: it can't be written.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, version=VERSION, **vars(self))


def build(
    sources: Iterable[Path], body: Body, frame_rate: float = 60.0, tell: Callable[[str], object] = lambda _: None
) -> Library:
    """Read, retarget and clean motions.

    Args:
        sources: CMU's clips by action (``.npz``), sequences of AMASS (``.npz``), folders of such sequences or of
            ``.bvh``, or ``.asf`` and ``.amc`` files, tar archives of the latter, and single ``.bvh`` files.
        body: the body, in its default shape.
        frame_rate: of the resampled clips.
        tell: is called with a sentence about each file that is left out.

    Raises:
        MocapError: a source can't be used, or there is no motion in them.
    """
    clips = [piece.at(frame_rate) for source in sources for clip in _clips(source, body, tell) for piece in clean(clip)]
    if not clips:
        raise MocapError("The sources contain no motion of a second or more: give others.")
    starts = np.cumsum([0, *(len(clip) for clip in clips)])
    poses, trans = np.concatenate([clip.poses for clip in clips]), np.concatenate([clip.trans for clip in clips])
    return Library(
        poses=poses.astype(np.float32),
        trans=trans.astype(np.float32),
        starts=starts,
        names=np.array([clip.name for clip in clips]),
        groups=np.array([clip.group for clip in clips]),
        weights=clip_weights(body, poses, starts, frame_rate),
        frame_rate=frame_rate,
    )


def clip_weights(body: Body, poses: np.ndarray, starts: np.ndarray, frame_rate: float) -> np.ndarray:
    """How often training should choose each clip, in total 1.

    A clip counts as the sum of its poses, a pose as one over the square root of how many are like it in all clips:
    an hour of standing around counts little more than a minute of it, ten different dances count as ten.

    Args:
        body: the body, in its default shape.
        poses: (F, 24, 3) axis-angle.
        starts: (C + 1,) first frame of each clip, and F.
        frame_rate: frames per second.
    """
    looks = [np.arange(start, end, frame_rate / _LOOKS_PER_SECOND) for start, end in itertools.pairwise(starts)]
    clip = np.repeat(np.arange(len(looks)), [len(look) for look in looks])
    local = rotations.axis_angle_to_matrix(poses[np.concatenate(looks).astype(int)])
    left = local[:, 0, :, 0]
    local[:, 0] = rotations.axis_angle_to_matrix(np.arctan2(left[:, 2:], left[:, :1]) * (0.0, 1.0, 0.0)) @ local[:, 0]
    joints = body.joints(local)
    shapes = (joints - joints[:, :1]).reshape(len(joints), -1).astype(np.float32)
    sizes = np.sum(shapes**2, axis=1)
    counts = np.empty(len(shapes))
    for first in range(0, len(shapes), _BLOCK):
        block = slice(first, first + _BLOCK)
        apart = sizes[block, None] + sizes - 2 * shapes[block] @ shapes.T
        counts[block] = np.count_nonzero(apart < len(JOINT_NAMES) * _ALIKE**2, axis=1)
    weights = np.bincount(clip, 1 / np.sqrt(np.maximum(counts, 1)), len(looks))
    return weights / weights.sum()


def _clips(source: Path, body: Body, tell: Callable[[str], object]) -> Iterator[MotionClip]:
    if source.suffix.lower() == ".npz":
        yield from _npz_clips([source], body)
    elif source.is_dir() and (files := sorted(source.rglob("*.npz"))):
        yield from _npz_clips(files, body)
    else:
        texts = read_texts(source)
        if not any(file.suffix.lower() in (".amc", ".bvh") for file in texts):
            raise MocapError(f"{source.name} holds no .amc or .bvh motion: give a folder or a tar archive of them.")
        for recording in itertools.chain(read_asf_amc(texts), read_bvh(texts, tell)):
            yield retarget(recording, body)


def _npz_clips(files: Iterable[Path], body: Body) -> Iterator[MotionClip]:
    for file in files:
        if _is_amass(file):
            yield read_amass(file, body)
        else:
            yield from (retarget(recording, body) for recording in read_cmu(file))


def _is_amass(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return "poses.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
