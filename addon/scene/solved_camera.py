"""The user's own camera in a scene, written for `inference.camera.given`."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ...inference.camera.given import GivenCamera
from ...inference.errors import VideoMotionError
from .camera import CAMERA_AXES
from .keyframes import scene_frame_rate, times_of

# A lens whose focal length changes by more than this fraction zooms.
_ZOOM = 0.005


class SolvedCameraError(VideoMotionError):
    """A camera of the scene can't be that of a video."""


def write_camera(camera: bpy.types.Object, scene: bpy.types.Scene, file: Path) -> None:
    """Write what a camera sees in each frame of its scene's range, whatever moves it.

    The scene shows the video from frame 1 on, at its frame rate, and renders at the video's proportions.

    Args:
        camera: an object of the scene.
        scene: whose units are metres, with the floor at z = 0.
        file: to write; `.json` or `.npz`.

    Raises:
        SolvedCameraError: it zooms, or has no lens.
        OSError: the file can't be written.
    """
    if camera.data.type != "PERSP":
        raise SolvedCameraError(f"{camera.name} has no perspective: choose a camera with a lens.")
    before = scene.frame_current
    frames = np.arange(scene.frame_start, scene.frame_end + 1)
    matrices, lenses = [], []
    try:
        for frame in frames:
            scene.frame_set(int(frame))
            seen = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
            place, turn, _ = seen.matrix_world.decompose()
            matrix = turn.to_matrix().to_4x4()
            matrix.translation = place
            matrices.append(np.array(matrix))
            lenses.append(_intrinsics(seen, scene))
    finally:
        scene.frame_set(before)
    if np.ptp([lens[0, 0] for lens in lenses]) > _ZOOM * lenses[0][0, 0]:
        raise SolvedCameraError(f"{camera.name} zooms: choose a camera whose focal length stays the same.")
    size = (scene.render.resolution_x, scene.render.resolution_y)
    seconds = times_of(frames, scene_frame_rate(scene))
    GivenCamera(file, size, lenses[0], np.array(matrices) @ CAMERA_AXES, seconds).save()


def _intrinsics(camera: bpy.types.Object, scene: bpy.types.Scene) -> np.ndarray:
    """(3, 3) in pixels of the scene's resolution."""
    render = scene.render
    width, height = render.resolution_x, render.resolution_y
    projection = camera.calc_matrix_camera(
        bpy.context.evaluated_depsgraph_get(),
        x=width,
        y=height,
        scale_x=render.pixel_aspect_x,
        scale_y=render.pixel_aspect_y,
    )
    return np.array(
        [
            [projection[0][0] * width / 2, 0.0, (1.0 - projection[0][2]) * width / 2],
            [0.0, projection[1][1] * height / 2, (1.0 + projection[1][2]) * height / 2],
            [0.0, 0.0, 1.0],
        ]
    )
