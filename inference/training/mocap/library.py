"""All motions that training draws from, in one file.

The file holds others' motion in another form and stays where it was made: it is not to be passed on.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...body.smpl import Body
from .amass import read_amass
from .asf import read_asf_amc
from .cleaning import clean
from .cmu import read_cmu
from .recording import Clip, MocapError
from .retarget import retarget

VERSION = 1


@dataclass(frozen=True, eq=False)
class Library:
    """C clips of together F frames; y up, metres, the floor at y = 0.

    Attributes:
        poses: (F, 24, 3) float32 local rotations, axis-angle.
        trans: (F, 3) float32 SMPL's translation.
        starts: (C + 1,) first frame of each clip, and F.
        names: (C,) of the clips.
        groups: (C,) people, or kinds of action where the people are not known. To validate, hold out whole groups.
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
        """Read what `build_library` wrote.

        Raises:
            MocapError: the file is missing, damaged, or of another version.
        """
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                version = int(file["version"])
                arrays = {name: file[name] for name in cls.__dataclass_fields__}
        except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise MocapError(f"{path.name} is no library of motions: build it again.") from error
        if version != VERSION:
            raise MocapError(f"{path.name} has version {version}, not {VERSION}: build it again.")
        return cls(**{**arrays, "frame_rate": float(arrays["frame_rate"])})


def build_library(sources: list[Path], body: Body, out: Path, frame_rate: float = 60.0) -> Library:
    """Read, retarget, clean and write motions.

    Args:
        sources: CMU's clips by action (``.npz``), sequences of AMASS (``.npz``), folders of such sequences or of
            ``.asf`` and ``.amc`` files, tar archives of the latter.
        body: the body, in its default shape.
        out: the file to write; it appears only when it is whole.
        frame_rate: to which the clips are brought.

    Raises:
        MocapError: a source can't be used, or there is no motion in them.
    """
    clips = [piece.at(frame_rate) for source in sources for clip in _clips(source, body) for piece in clean(clip)]
    if not clips:
        raise MocapError("The sources hold no motion of a second or more: give others.")
    lengths = [len(clip) for clip in clips]
    library = Library(
        poses=np.concatenate([clip.poses for clip in clips]).astype(np.float32),
        trans=np.concatenate([clip.trans for clip in clips]).astype(np.float32),
        starts=np.cumsum([0, *lengths]),
        names=np.array([clip.name for clip in clips]),
        groups=np.array([clip.group for clip in clips]),
        frame_rate=frame_rate,
    )
    _write(library, out)
    return library


def _clips(source: Path, body: Body) -> Iterator[Clip]:
    if source.suffix.lower() == ".npz":
        yield from _npz_clips([source], body)
    elif source.is_dir() and (files := sorted(source.rglob("*.npz"))):
        yield from _npz_clips(files, body)
    else:
        yield from (retarget(recording, body) for recording in read_asf_amc(source))


def _npz_clips(files: Iterable[Path], body: Body) -> Iterator[Clip]:
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


def _write(library: Library, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, version=VERSION, **vars(library))
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
