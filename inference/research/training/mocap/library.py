"""All motions for training in one file.

The file contains motion capture by others in another form: do not distribute it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....atomic import atomic_write
from ....body.skeleton import JOINT_NAMES
from ....body.smpl import Body
from .amass import read_amass
from .asf import read_asf_amc
from .cleaning import clean
from .cmu import read_cmu
from .recording import MocapError, MotionClip
from .retarget import retarget

VERSION = 1


@dataclass(frozen=True, eq=False)
class Library:
    """C clips with F frames in total; y up, metres, the floor at y = 0.

    Attributes:
        poses: (F, 24, 3) float32 local rotations, axis-angle.
        trans: (F, 3) float32 SMPL's translation.
        starts: (C + 1,) first frame of each clip, and F.
        names: (C,) of the clips.
        groups: (C,) people, or kinds of action where people are unknown. Validation holds out whole groups.
        frame_rate: frames per second.
    """

    poses: np.ndarray
    trans: np.ndarray
    starts: np.ndarray
    names: np.ndarray
    groups: np.ndarray
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
                arrays = {name: file[name] for name in cls.__dataclass_fields__}
        except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise MocapError(f"{path.name} is not a library of motions: build it again.") from error
        if version != VERSION:
            raise MocapError(f"{path.name} has version {version}, not {VERSION}: build it again.")
        library = cls(**{**arrays, "frame_rate": float(arrays["frame_rate"])})
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


def build(sources: Iterable[Path], body: Body, frame_rate: float = 60.0) -> Library:
    """Read, retarget and clean motions.

    Args:
        sources: CMU's clips by action (``.npz``), sequences of AMASS (``.npz``), folders of such sequences or of
            ``.asf`` and ``.amc`` files, tar archives of the latter.
        body: the body, in its default shape.
        frame_rate: of the resampled clips.

    Raises:
        MocapError: a source can't be used, or there is no motion in them.
    """
    clips = [piece.at(frame_rate) for source in sources for clip in _clips(source, body) for piece in clean(clip)]
    if not clips:
        raise MocapError("The sources contain no motion of a second or more: give others.")
    lengths = [len(clip) for clip in clips]
    return Library(
        poses=np.concatenate([clip.poses for clip in clips]).astype(np.float32),
        trans=np.concatenate([clip.trans for clip in clips]).astype(np.float32),
        starts=np.cumsum([0, *lengths]),
        names=np.array([clip.name for clip in clips]),
        groups=np.array([clip.group for clip in clips]),
        frame_rate=frame_rate,
    )


def _clips(source: Path, body: Body) -> Iterator[MotionClip]:
    if source.suffix.lower() == ".npz":
        yield from _npz_clips([source], body)
    elif source.is_dir() and (files := sorted(source.rglob("*.npz"))):
        yield from _npz_clips(files, body)
    else:
        yield from (retarget(recording, body) for recording in read_asf_amc(source))


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
