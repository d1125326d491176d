"""Makes Blender files and exports from a video's motions, for the batch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...inference.batch.inputs import VideoInput
from ...inference.footage.naming import shot_mark
from ...inference.options import SUFFIXES, Options

if TYPE_CHECKING:
    import bpy

    from ...inference.body.smpl import Body


class SceneWriter:
    """See `inference.batch.results.Writer`. Blender is loaded while networks work on the first video.

    Args:
        options: the user's choices.
    """

    def __init__(self, options: Options):
        self._options = options
        self._blender_seconds: float | None = None

    def check(self) -> None:
        """Check the character file. Raises `RigError` if it can't receive a motion."""
        if self._options.rig is None:
            return
        from .rigs import check_rig
        from .scenes import quiet

        with quiet():
            check_rig(self._options.rig)

    def prepare(self) -> None:
        """Load Blender."""
        # What fails here fails again in `write`, which can name a video.
        with contextlib.suppress(Exception):
            self._load_blender()

    def _load_blender(self) -> None:
        if self._blender_seconds is not None:
            return
        began = time.perf_counter()
        from .scenes import empty_file, quiet

        with quiet():
            empty_file()
        self._blender_seconds = time.perf_counter() - began

    def write(self, one: VideoInput, motions: Sequence[Path], body: Path, report: dict[str, Any]) -> list[Path]:
        """Build the scene of a video and write it in every format. Raises `VideoMotionError` or OSError.

        The report's timings get `blender`, the seconds of loading it, mostly while networks worked and only for the
        first video; `scene` for building and saving; `export` for other formats.
        """
        self._load_blender()
        report["timings"]["blender"] = round(self._blender_seconds or 0.0, 3)
        self._blender_seconds = 0.0
        from .scenes import quiet

        with quiet():
            return self._write(one, motions, body, report)

    def _write(
        self, one: VideoInput, motion_files: Sequence[Path], body_file: Path, report: dict[str, Any]
    ) -> list[Path]:
        from ...inference.body.smpl import Body
        from ...inference.motion.motion import Motion
        from ..scene.shots import shots_of
        from . import scenes

        began = time.perf_counter()
        options, files = self._options, []
        motions = [Motion.load(file) for file in motion_files]
        body = Body.load(body_file)
        takes, warnings = scenes.build(motions, body, one.video, options)
        shots = shots_of(motions)
        marks = [shot_mark(shot[0].shot, shots[0][0].shot) for shot in shots]
        armatures = [[character.armature for character in take.characters] for take in takes]
        moved = armatures
        if options.rig is not None:
            from . import rigs

            moved = []
            for take, shot, mark in zip(takes, shots, marks, strict=True):
                characters, more = rigs.retarget_take(take, options.rig, f"{one.target.name}{mark}", shot)
                moved.append(characters)
                warnings += more
        report["warnings"] = [*report["warnings"], *warnings]
        if "blend" in options.format:
            files.append(one.file(SUFFIXES["blend"]))
            scenes.save(files[-1], takes, one.footage_path)
            report["blend"] = files[-1].name
        report["timings"]["scene"] = round(time.perf_counter() - began, 3)
        began = time.perf_counter()
        exported = [
            file
            for mark, bodies, characters in zip(marks, armatures, moved, strict=True)
            for file in self._export(one, mark, bodies, characters, body)
        ]
        if exported:
            report["exports"] = [file.name for file in exported]
            report["timings"]["export"] = round(time.perf_counter() - began, 3)
        return files + exported

    def _export(
        self,
        one: VideoInput,
        mark: str,
        armatures: list[bpy.types.Object],
        moved: list[bpy.types.Object],
        body: Body,
    ) -> list[Path]:
        from ..interchange.export import ExportOptions, export_take

        files = []
        for format in self._options.format:
            if format != "blend":
                # AMASS knows SMPL's bones only.
                given = armatures if format == "amass" else moved
                options = ExportOptions(self._options.engine, body=body)
                files += export_take(given, one.file(mark + SUFFIXES[format]), format, options)
        return files
