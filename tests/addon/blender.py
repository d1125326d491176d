"""What the tests ask Blender."""

from __future__ import annotations

import math

import bpy
import numpy as np
from video_motion.inference.body.skeleton import JOINT_NAMES


def go_to(frame: float) -> bpy.types.Depsgraph:
    """Set the scene's time to ``frame``, whole or not, and return what was evaluated."""
    whole = math.floor(frame)
    bpy.context.scene.frame_set(whole, subframe=frame - whole)
    return bpy.context.evaluated_depsgraph_get()


def bone_heads(armature: bpy.types.Object, graph: bpy.types.Depsgraph) -> np.ndarray:
    """World positions (24, 3) of the posed bones' heads."""
    posed = armature.evaluated_get(graph)
    return np.array([posed.matrix_world @ posed.pose.bones[name].head for name in JOINT_NAMES])


def vertices(mesh: bpy.types.Object, graph: bpy.types.Depsgraph) -> np.ndarray:
    """World positions (V, 3) of the deformed mesh."""
    deformed = mesh.evaluated_get(graph)
    flat = np.empty(3 * len(deformed.data.vertices), dtype=np.float32)
    deformed.data.vertices.foreach_get("co", flat)
    world = np.array(deformed.matrix_world)
    return flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
