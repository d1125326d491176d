"""The mesh: the person's skin, weighted to the armature's bones.

Shape directions are shape keys; so are, on request, what moves the face and a body's pose correctives.
"""

from __future__ import annotations

from collections.abc import Sequence

import bmesh
import bpy
import numpy as np

from ...inference.body.face import COEFFICIENTS
from ...inference.body.skeleton import BODY_JOINTS, JOINT_NAMES
from ...inference.body.smpl import Body
from .armature import BODY_TO_ARMATURE, BONE_NAMES, Rest, rest_skin, to_armature
from .clothes import CLOTHES, write_materials
from .keyframes import CORRECTIVE_NAMES, OURS, has_face

SHAPE_LIMIT = 5.0
"""Standard deviations to which the sliders of the shape keys reach."""

# Blender clamps keyed values to the sliders; an entry of R − I lies between −2 and 1.
_CORRECTIVE_LIMIT = 2.0


def create_mesh(
    name: str,
    body: Body,
    betas: np.ndarray,
    rest: Rest,
    person: int = 1,
    correctives: bool = False,
    face: bool = False,
) -> bpy.types.Object:
    """Make the mesh object of a body of shape ``betas`` (10,), in T-pose in armature space, in no collection yet.

    With ``correctives`` it gets the 207 shape keys `CORRECTIVE_NAMES` if the body has pose correctives, with ``face``
    those of `give_face`.
    """
    vertices = to_armature(rest_skin(body, betas), rest.height)
    handed = body.with_fingers
    faces = body.polygons
    data = bpy.data.meshes.new(name)
    _write_geometry(data, vertices, faces)
    if body.uv is not None and body.uv_quads is not None and body.quads is not None:
        data.uv_layers.new(name="UVMap").uv.foreach_set("vector", body.uv[body.uv_quads].astype(np.float32).ravel())
    weights = body.weights if handed is None else _bone_weights(handed.weights)
    _write_weights(data, weights)
    mesh = bpy.data.objects.new(name, data)
    write_materials(mesh, body, person)
    for bone in BONE_NAMES[: weights.shape[1]]:
        mesh.vertex_groups.new(name=bone)
    mesh.shape_key_add(name="Basis", from_mix=False)
    names = [f"shape_{index:02d}" for index in range(body.shapedirs.shape[2])]
    _write_shape_keys(mesh, names, vertices, (handed or body).shapedirs, SHAPE_LIMIT)
    if correctives and body.posedirs is not None:
        _write_shape_keys(mesh, CORRECTIVE_NAMES, vertices, body.posedirs, _CORRECTIVE_LIMIT)
    if body.clothes is not None and body.quads is not None:
        _write_shape_keys(mesh, [CLOTHES], vertices, body.clothes[..., None], 1.0, lowest=0.0)
    data.shape_keys.name = data.name
    if face:
        give_face(mesh, body)
    return mesh


def give_face(mesh: bpy.types.Object, body: Body) -> None:
    """Give a mesh of `create_mesh` the 52 shape keys of ARKit's names.

    Those of a body whose face can't move, such as SMPL's, only carry what the face does to other characters and files.
    """
    basis = mesh.data.shape_keys.key_blocks[0].data
    vertices = np.empty((len(basis), 3), dtype=np.float32)
    basis.foreach_get("co", vertices.ravel())
    units = body.face_units
    for index, name in enumerate(COEFFICIENTS):
        positions = vertices.copy()
        if units is not None:
            positions[units.vertices] += units.moves[index] @ BODY_TO_ARMATURE.T
        _write_shape_key(mesh, name, positions, 0.0, 1.0)


def show_face(armature: bpy.types.Object, body: Body) -> None:
    """Give the skin of a character of this body the keys of `give_face` where it lacks them."""
    for mesh in armature.children:
        if mesh.type == "MESH" and OURS in mesh and len(mesh.data.vertices) == len(body.weights):
            keys = mesh.data.shape_keys
            if keys is not None and not has_face(keys):
                give_face(mesh, body)


def move_skin(data: bpy.types.Mesh, moves: np.ndarray) -> None:
    """Move the vertices of a body's mesh by (V, 3), in its rest and in every shape key."""
    keys = data.shape_keys
    for points in (data.vertices, *(key.data for key in (keys.key_blocks if keys is not None else ()))):
        positions = np.empty(moves.size, dtype=np.float32)
        points.foreach_get("co", positions)
        points.foreach_set("co", positions + moves.astype(np.float32).ravel())
    data.update()


def has_moving_keys(mesh: bpy.types.Object) -> bool:
    """Whether a mesh object has shape keys that follow the motion: pose correctives or a face."""
    keys = mesh.data.shape_keys
    return keys is not None and (CORRECTIVE_NAMES[0] in keys.key_blocks or has_face(keys))


def bind(mesh: bpy.types.Object, armature: bpy.types.Object) -> None:
    """Parent ``mesh`` to ``armature`` and let its bones deform it."""
    mesh.parent = armature
    modifier = mesh.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature


def _write_geometry(data: bpy.types.Mesh, vertices: np.ndarray, faces: np.ndarray) -> None:
    count, corners = faces.shape
    data.vertices.add(len(vertices))
    data.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    data.loops.add(count * corners)
    data.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    data.polygons.add(count)
    data.polygons.foreach_set("loop_start", np.arange(0, count * corners, corners, dtype=np.int32))
    data.polygons.foreach_set("use_smooth", np.ones(count, dtype=bool))
    data.update(calc_edges=True)


def _bone_weights(weights: np.ndarray) -> np.ndarray:
    """Weights (V, 54) of `BONE_NAMES` from SMPL-H's (V, 52): the fingers have all that SMPL's hands move."""
    return np.insert(weights, [BODY_JOINTS] * (len(JOINT_NAMES) - BODY_JOINTS), 0.0, axis=1)


def _write_weights(data: bpy.types.Mesh, weights: np.ndarray) -> None:
    """Write weights (V, K) as deform weights of the groups 0 to K − 1.

    Through bmesh it takes a third of the time of ``VertexGroup.add``, the only other way.
    """
    editable = bmesh.new()
    try:
        editable.from_mesh(data)
        layer = editable.verts.layers.deform.verify()
        owners = [vertex[layer] for vertex in editable.verts]
        rows, groups = np.nonzero(weights)
        for row, group, weight in zip(rows.tolist(), groups.tolist(), weights[rows, groups].tolist(), strict=True):
            owners[row][group] = weight
        editable.to_mesh(data)
    finally:
        editable.free()


def _write_shape_keys(
    mesh: bpy.types.Object,
    names: Sequence[str],
    vertices: np.ndarray,
    directions: np.ndarray,
    limit: float,
    lowest: float | None = None,
) -> None:
    """Add ``directions`` (V, 3, K) from ``vertices`` (V, 3) as relative keys of value 0.

    They slide to ± ``limit``, or from ``lowest``.
    """
    moved = vertices + np.moveaxis(directions, 2, 0) @ BODY_TO_ARMATURE.T
    for name, positions in zip(names, moved.astype(np.float32), strict=True):
        _write_shape_key(mesh, name, positions, -limit if lowest is None else lowest, limit)


def _write_shape_key(mesh: bpy.types.Object, name: str, positions: np.ndarray, lowest: float, highest: float) -> None:
    """Add a relative key of value 0 that moves vertices to ``positions`` (V, 3), float32."""
    key = mesh.shape_key_add(name=name, from_mix=False)
    key.data.foreach_set("co", positions.ravel())
    key.slider_min, key.slider_max = lowest, highest
    key.value = 0.0
