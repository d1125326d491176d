"""From the result of a conversion to a take of the list."""

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
from ..scene.take import SceneOptions, Take, build_scene
from . import activation
from .placement import ensure_handle, handle_of, place_beside
from .record import record, takes_in
from .removal import remove_take


def make_take(
    scene: bpy.types.Scene,
    motions: Sequence[Motion],
    body: Body,
    video: Path,
    options: Options,
    report: dict[str, Any],
    replaced: bpy.types.Collection | None = None,
) -> tuple[Take, np.ndarray]:
    """Make a take of what was seen in a video, or in one shot of it, where the list of takes says.

    Args:
        scene: where to make it.
        motions: its people, at least one.
        body: the motions' body.
        video: that it came from.
        options: by which the motions were made.
        report: of the conversion; a warning is added where Blender can't show the video.
        replaced: the take that goes, where the list says so.

    Returns:
        The take, and the places (..., 3) in the world where its people are.
    """
    footage = readable(video, report) if options.camera else None
    place = scene.video_motion_takes.place
    matrix = None
    if place == activation.REPLACE and replaced is not None:
        handle = handle_of(replaced)
        matrix = handle.matrix_basis.copy() if handle is not None else None
        remove_take(replaced)
    others = takes_in(scene)
    take = build_scene(
        motions, body, footage, replace(SceneOptions.from_options(options, motions), lights=False), scene
    )
    record(take.collection, scene, motions, video, options, report)
    if matrix is not None:
        ensure_handle(take.collection).matrix_basis = matrix
    elif place == activation.BESIDE:
        place_beside(take.collection, others)
    if scene.video_motion_takes.alone:
        for layer in scene.view_layers:
            activation.hide_others(layer, scene, take.collection)
    scene.video_motion_takes.chosen = take.collection
    handle = handle_of(take.collection)
    points = np.concatenate([motion.joints_world for motion in motions])
    return take, points if handle is None else moved(points, handle.matrix_basis)


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
