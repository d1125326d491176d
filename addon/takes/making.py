"""From the result of a conversion to takes of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...inference.body.smpl import Body
from ...inference.motion.motion import Motion
from ...inference.options import Options
from ..scene.backdrop import BackdropError, movie_rate
from ..scene.shots import build_shots, shots_of
from ..scene.take import SceneOptions, Take
from . import activation
from .placement import ensure_handle, handle_of, place_beside
from .record import record, takes_in
from .removal import remove_take


def make_takes(
    scene: bpy.types.Scene,
    motions: Sequence[Motion],
    body: Body,
    video: Path,
    options: Options,
    report: dict[str, Any],
    replaced: bpy.types.Collection | None = None,
) -> tuple[list[Take], np.ndarray]:
    """Make a take of each shot of a video, where the list of takes says.

    Args:
        scene: where to make them.
        motions: the people of all shots, at least one.
        body: the motions' body.
        video: that they came from.
        options: by which the motions were made.
        report: of the conversion; a warning is added where Blender can't show the video.
        replaced: the take that goes, where the list says so.

    Returns:
        The takes, and the places (..., 3) in the world where the people of the first are.
    """
    footage = readable(video, report) if options.camera else None
    place = scene.video_motion_takes.place
    matrix = None
    # In the world of a camera that is there already, people have their place.
    placed = options.camera_file is not None
    if place == activation.REPLACE and replaced is not None:
        handle = handle_of(replaced)
        matrix = handle.matrix_basis.copy() if handle is not None and not placed else None
        remove_take(replaced)
    others = takes_in(scene)
    made = replace(SceneOptions.from_options(options, motions), lights=False)
    takes, shots = build_shots(motions, body, footage, made, scene), shots_of(motions)
    for take, shot in zip(takes, shots, strict=True):
        number = shot[0].provenance.get("shot")
        own = {**report, "people": [one for one in report["people"] if number in (None, one.get("shot", number))]}
        record(take.collection, scene, shot, video, replace(options, shot=number), own)
    if matrix is None and place == activation.BESIDE and others and not placed:
        matrix = Matrix.Translation((place_beside([take.collection for take in takes], others), 0.0, 0.0))
    if matrix is not None:
        for take in takes:
            ensure_handle(take.collection).matrix_basis = matrix
    if scene.video_motion_takes.alone:
        for layer in scene.view_layers:
            activation.hide_others(layer, scene, takes[0].collection)
    scene.video_motion_takes.chosen = takes[0].collection
    points = np.concatenate([motion.joints_world for motion in shots[0]])
    return takes, points if matrix is None else moved(points, matrix)


def readable(video: Path, report: dict[str, Any]) -> Path | None:
    """The video if Blender can show it; otherwise a warning is added to the report."""
    if not video.is_file():
        return None
    try:
        movie_rate(video)
    except BackdropError as error:
        report["warnings"].append(f"{error} The camera has no footage behind it.")
        return None
    return video


def moved(points: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Points (..., 3) after a transformation."""
    whole = np.array(matrix)
    return points @ whole[:3, :3].T + whole[:3, 3]
