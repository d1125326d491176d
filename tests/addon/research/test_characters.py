"""The skinned characters of the picture."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.research.characters import BUILDS, make_character

FOREARMS = {"mixamo": "mixamorig:LeftForeArm", "game_engine": "lowerarm_l", "rigify": "forearm.L"}
HEIGHTS = {"tall man": (1.85, 2.0), "child": (1.1, 1.3), "heavy woman": (1.5, 1.65)}


@pytest.fixture(params=BUILDS)
def character(request, empty_scene) -> bpy.types.Object:
    return make_character(request.param, BUILDS[request.param])


def skin(character: bpy.types.Object) -> np.ndarray:
    """Where the vertices (V, 3) of the mesh are, as posed."""
    mesh = character.children[0].evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    return np.array([vertex.co for vertex in mesh.vertices])


def test_mesh_and_rig_fit(character):
    points = skin(character)
    low, high = HEIGHTS[character.name]
    assert points[:, 2].min() == pytest.approx(0.0, abs=5e-3)
    assert low < points[:, 2].max() < high

    groups = {group.index: group.name for group in character.children[0].vertex_groups}
    vertices = character.children[0].data.vertices
    totals = [sum(group.weight for group in vertex.groups) for vertex in vertices]
    np.testing.assert_allclose(totals, 1.0, atol=1e-4)
    assert set(groups.values()) <= set(character.data.bones.keys())

    used = {groups[group.group] for vertex in vertices for group in vertex.groups if group.weight > 0.5}
    heads = np.array([character.data.bones[name].head_local for name in used])
    assert (heads > points.min(axis=0) - 0.02).all()
    assert (heads < points.max(axis=0) + 0.02).all()


def test_a_rotated_forearm_moves_one_arm_only(character):
    before = skin(character)
    forearm = character.pose.bones[FOREARMS[BUILDS[character.name].rig]]
    forearm.rotation_mode = "XYZ"
    forearm.rotation_euler.x = 1.2
    bpy.context.view_layer.update()
    moved = np.linalg.norm(skin(character) - before, axis=1) > 1e-4
    wrist = np.array(forearm.bone.tail_local)
    near = np.linalg.norm(before - wrist, axis=1) < 0.3 * forearm.bone.length
    assert near.any()
    assert moved[near].all()
    assert before[moved, 0].min() > character.data.bones[forearm.parent.name].head_local.x
