"""Building and saving one scene in an empty file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import bpy

from ...inference.body.smpl import Body
from ...inference.errors import VideoMotionError, one_line
from ...inference.motion.motion import Motion
from ...inference.options import Options
from ..scene.backdrop import BackdropError
from ..scene.shots import build_shots
from ..scene.take import SceneOptions, Take
from ..scene.viewport import prepare_viewports


class SceneFileError(VideoMotionError):
    """A Blender file can't be written."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what Blender prints on standard output from the user; its errors come as exceptions."""
    sys.stdout.flush()
    real, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)
        os.close(nowhere)


def empty_file() -> None:
    """Replace the open file by an empty one."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


def build(motions: Sequence[Motion], body: Body, video: Path | None, options: Options) -> tuple[list[Take], list[str]]:
    """Build the scene of one video in an empty file; return a take for each shot, and a warning for a missing part."""
    empty_file()
    scene_options = SceneOptions.from_options(options, motions)
    warnings = []
    try:
        takes = build_shots(motions, body, video, scene_options)
    except BackdropError as error:
        # A codec that OpenCV reads and this Blender doesn't must not prevent the animation.
        warnings.append(f"{error} The scene is made without it.")
        empty_file()
        takes = build_shots(motions, body, None, scene_options)
    prepare_viewports(bpy.context.scene)
    return takes, warnings


def save(blend: Path, takes: Sequence[Take], footage: str | None) -> None:
    """Save the open file as ``blend``, atomically.

    Args:
        blend: the file.
        takes: what it shows.
        footage: Blender's path of the video, see `blender_path`.

    Raises:
        SceneFileError: it can't be written.
    """
    blend = blend.resolve()
    for take in takes:
        if take.footage is not None and footage is not None:
            take.footage.filepath = footage
    temporary = blend.with_name(f".{blend.stem}.{os.getpid()}.blend")
    try:
        blend.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(temporary), compress=True, relative_remap=False, copy=True)
        os.replace(temporary, blend)
    except (OSError, RuntimeError) as error:
        message = one_line(error).removeprefix("Error: ")
        raise SceneFileError(f"{blend} can't be written ({message}): check the folder and its disk.") from error
    finally:
        temporary.unlink(missing_ok=True)
