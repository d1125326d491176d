"""The floor that the person stands on."""

from __future__ import annotations

import bpy
import numpy as np

from .keyframes import OURS

MARGIN = 2.0
"""Metres of floor beyond the furthest place that the person reaches."""

MOST_SQUARES = 100


def create_floor(name: str, positions: np.ndarray) -> bpy.types.Object:
    """Make a grid of one-metre squares at z = 0 under positions (..., 3) in the world, in no collection yet.

    Where that would be more than a hundred squares on a side, they are larger.
    It is drawn as wires, so that it can be held against the footage, and catches shadows in Cycles.
    """
    flat = np.asarray(positions, dtype=np.float64).reshape(-1, 3)[:, :2]
    low, high = np.floor(flat.min(axis=0) - MARGIN), np.ceil(flat.max(axis=0) + MARGIN)
    side = max(1.0, float(np.ceil((high - low).max() / MOST_SQUARES)))
    columns, rows = np.ceil((high - low) / side).astype(int)
    x, y = np.meshgrid(low[0] + side * np.arange(columns + 1), low[1] + side * np.arange(rows + 1))
    vertices = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    faces = np.stack([corner, corner + 1, corner + columns + 2, corner + columns + 1], axis=-1)

    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices, [], faces)
    floor = bpy.data.objects.new(name, data)
    floor[OURS] = True
    floor.display_type = "WIRE"
    floor.is_shadow_catcher = True
    floor.color = (0.6, 0.6, 0.6, 1.0)
    material = bpy.data.materials.new(name)
    material.diffuse_color = (0.4, 0.4, 0.4, 1.0)
    data.materials.append(material)
    return floor
