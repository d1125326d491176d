"""Enough light for a first render: a sun and a grey sky."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .keyframes import OURS

ELEVATION = math.radians(50.0)
SIDE = math.radians(35.0)
ENERGY = 3.0
"""Watts per square metre across the rays."""

SKY = (0.25, 0.25, 0.25)


def create_sun(name: str, camera_to_world: np.ndarray) -> bpy.types.Object:
    """Make a sun behind the camera at ``camera_to_world`` (4, 4), to its left, in no collection yet."""
    data = bpy.data.lights.new(name, "SUN")
    data.energy = ENERGY
    data.angle = math.radians(5.0)
    forward = Matrix(camera_to_world[:3, :3]) @ Vector((0.0, 0.0, 1.0))
    heading = math.atan2(forward.y, forward.x) - SIDE
    towards = Vector((math.cos(heading), math.sin(heading), -math.tan(ELEVATION)))
    sun = bpy.data.objects.new(name, data)
    sun[OURS] = True
    sun.rotation_euler = towards.to_track_quat("-Z", "Y").to_euler()
    sun.location = (0.0, 0.0, 4.0)
    return sun


def ensure_sky(scene: bpy.types.Scene) -> None:
    """Give the scene a grey world if it has none."""
    if scene.world is not None:
        return
    world = bpy.data.worlds.new("Sky")
    world.color = SKY
    # Blender 5 gives a new world nodes, which outrank its colour.
    if world.node_tree is not None:
        background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
        background.inputs["Color"].default_value = (*SKY, 1.0)
    scene.world = world
