"""The camera that filmed the footage."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix

from ...inference.body import rotations
from ...inference.motion.motion import Motion
from ..compatibility import new_channels
from .keyframes import OURS, frames_of, write_curve

SENSOR_WIDTH = 36.0
"""Millimetres; a full-frame sensor, so that focal lengths read as photographers know them."""

# Blender's camera looks along −z with y up, a computer-vision camera along +z with y down.
CAMERA_AXES = np.diag((1.0, -1.0, -1.0, 1.0))


def create_camera(name: str, motions: Sequence[Motion], frame_rate: float) -> bpy.types.Object:
    """Make the camera of the footage that ``motions`` come from, keyed where it moves, in no collection yet."""
    first = motions[0]
    data = bpy.data.cameras.new(name)
    set_intrinsics(data, first.camera_K, first.image_size)
    camera = bpy.data.objects.new(name, data)
    camera[OURS] = True
    camera.rotation_mode = "QUATERNION"
    place_camera(camera, motions, frame_rate)
    return camera


def place_camera(camera: bpy.types.Object, motions: Sequence[Motion], frame_rate: float) -> None:
    """Put a camera where that of the footage was, with a new action where it moved."""
    # Relative to what places the take.
    camera.matrix_basis = Matrix(motions[0].camera_to_world[0] @ CAMERA_AXES)
    if any(motion.camera_moves for motion in motions):
        times, chosen = np.unique(np.concatenate([motion.timestamps for motion in motions]), return_index=True)
        poses = np.concatenate([motion.camera_to_world for motion in motions])[chosen] @ CAMERA_AXES
        _key_camera(camera, frames_of(times, frame_rate), poses)


def set_intrinsics(data: bpy.types.Camera, camera_K: np.ndarray, image_size: np.ndarray) -> None:
    """Give a camera the focal length and principal point of ``camera_K`` (3, 3), in pixels of ``image_size`` (2,)."""
    width, height = (float(side) for side in image_size)
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = SENSOR_WIDTH
    data.sensor_height = SENSOR_WIDTH * height / width
    data.lens = float(camera_K[0, 0]) * SENSOR_WIDTH / width
    data.shift_x = (width / 2 - float(camera_K[0, 2])) / width
    # Both shifts count in widths of the sensor, where pixels may be taller than wide.
    data.shift_y = (float(camera_K[1, 2]) - height / 2) * float(camera_K[0, 0] / camera_K[1, 1]) / width
    data.clip_start = 0.05
    data.clip_end = 1000.0


def set_resolution(scene: bpy.types.Scene, camera_K: np.ndarray, image_size: np.ndarray) -> None:
    """Render at the footage's ``image_size`` (2,), with pixels as tall for their width as ``camera_K`` says."""
    scene.render.resolution_x, scene.render.resolution_y = (int(side) for side in image_size)
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = pixel_aspect(camera_K)


def view_sides(camera_K: np.ndarray, image_size: np.ndarray) -> tuple[float, float]:
    """Width and height of what a camera of intrinsics (3, 3) sees at a distance of 1, by ``image_size`` (2,) pixels."""
    return float(image_size[0] / camera_K[0, 0]), float(image_size[1] / camera_K[1, 1])


def pixel_aspect(camera_K: np.ndarray) -> tuple[float, float]:
    """How wide and how tall pixels are, the smaller 1, by the intrinsics (3, 3) in pixels."""
    ratio = float(camera_K[0, 0] / camera_K[1, 1])
    return max(1.0, 1.0 / ratio), max(1.0, ratio)


def _key_camera(camera: bpy.types.Object, frames: np.ndarray, poses: np.ndarray) -> None:
    action, channels = new_channels(camera, camera.name)
    action[OURS] = True
    group = channels.groups.new("Object Transforms")
    quaternions = rotations.make_continuous(rotations.matrix_to_quaternion(poses[:, :3, :3]))
    for axis in range(3):
        write_curve(channels, "location", axis, frames, poses[:, axis, 3], group)
    for part in range(4):
        write_curve(channels, "rotation_quaternion", part, frames, quaternions[:, part], group)
