"""Motion files of other tools, recognised by what is in them, never by name; see README.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...body.smpl import Body
from ..motion import Motion, MotionFileError
from . import aist, amass, archive, gvhmr, phalp, prompthmr, tram, vibe, wham
from .content import Content, motions

ENDINGS = (".npz", ".pkl", ".pt", ".npy")
"""How such files' names usually end, for file choosers."""

_READERS: tuple[Callable[[object, Path, Body], Content | None], ...] = (
    gvhmr.read,
    tram.read,
    prompthmr.read,
    phalp.read,
    wham.read,
    vibe.read,
    aist.read,
)


def read_motions(path: Path, body: Body, fps: float | None = None) -> list[Motion]:
    """Read everybody's motion for ``body`` from a file of any tool in README.md's table, or of our own.

    Assumptions are listed in each motion's ``provenance["warnings"]``, a list of sentences.

    Args:
        path: of the file.
        body: the body that gets the motions.
        fps: frames per second of a file that states none; 30 are assumed for None.

    Returns:
        At least one motion. People are numbered from 1, those who are longest on screen first.

    Raises:
        MotionFileError: the file is missing, damaged, empty, hostile, or in no known format.
    """
    path = Path(path)
    if not path.is_file():
        raise MotionFileError(f"{path} does not exist.")
    archive.check_zip(path)
    content = archive.read(path)
    if content is None:
        return [read_motion(path, body, fps)]
    try:
        for read in _READERS:
            people = read(content, path, body)
            if people is not None:
                return motions(people, path, body, fps)
    except MotionFileError:
        raise
    except Exception as error:  # arrays of wrong kinds fail in as many ways
        raise MotionFileError(f"{path} is damaged: its arrays don't fit together.") from error
    raise MotionFileError(f"{path} is not a motion file that Video Motion knows.")


def read_motion(path: Path, body: Body, fps: float | None = None) -> Motion:
    """Read a motion for ``body`` from a ``.npz`` of Video Motion, of AMASS or of the SMPL add-ons (`amass.read`).

    Args:
        path: of the file.
        body: the body that gets the motion.
        fps: frames per second of a file that states none; 30 are assumed for None.

    Raises:
        MotionFileError: the file is missing, damaged, empty, or in no known format.
    """
    path = Path(path)
    if not path.is_file():
        raise MotionFileError(f"{path} does not exist.")
    motion = Motion.load(path) if "poses_cam" in archive.array_names(path) else amass.read(path, body, fps)
    if motion is None:
        raise MotionFileError(
            f"{path} is not a motion file that Video Motion knows: give one of its own, of AMASS or of SMPL."
        )
    if not len(motion):
        raise MotionFileError(f"{path} holds no frames.")
    return motion
