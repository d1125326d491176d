"""Exported files as programs other than Blender read them.

USD is read by OpenUSD (`usd-core`), FBX by `ufbx`, BVH by `bvhio`; glTF by its specification, with NumPy, as
libraries such as pygltflib decode neither accessors nor animations nor skins. Each file is read in a separate process,
as such libraries and Blender may conflict:
`python addon/research/export_readers.py FILE FRAMES RATE MOMENTS OUT.npz`. Nothing here needs Blender.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = {".usd": "pxr", ".fbx": "ufbx", ".bvh": "bvhio"}
"""The module that reads files with this ending."""

# Of glTF's and BVH's axes, which ones are Blender's x, y and z.
_FROM_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_CENTIMETRE = 0.01


@dataclass
class Reading:
    """A character as a file has it; metres in Blender's axes.

    Attributes:
        names: of its J joints.
        joints: (N, J, 3) where they are.
        bind: (J, 3) where they are when the skin is at rest.
        rest: (V, 3) the skin's vertices at rest; a file may hold a vertex several times.
        skin: (M, V, 3) the deformed vertices at the moments asked for.
    """

    names: list[str]
    joints: np.ndarray
    bind: np.ndarray
    rest: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))
    skin: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 3)))

    def order(self, names: Sequence[str]) -> list[int]:
        """The indices of joints, whose names may have been made safe for the format."""
        return [self.names.index(name) for name in names]


def read_elsewhere(file: Path, count: int, frame_rate: float, moments: Sequence[int] = ()) -> list[Reading]:
    """Read a file in a separate process.

    Args:
        file: of the exporter.
        count: frames from time 0.
        frame_rate: of these.
        moments: frames from 0 at which the skin is wanted.

    Returns:
        The characters, by their names in the file.

    Raises:
        RuntimeError: the reader failed; with its last output.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "reading.npz"
        command = [sys.executable, __file__, file, count, frame_rate, ",".join(map(str, moments)), out]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode or not out.exists():
            raise RuntimeError(f"{file} can't be read: {done.stderr.strip() or done.returncode}")
        with np.load(out) as archive:
            people = range(int(archive["people"]))
            return [
                Reading(
                    archive[f"{person} names"].tolist(),
                    *(archive[f"{person} {part}"] for part in ("joints", "bind", "rest", "skin")),
                )
                for person in people
            ]


def read_glb(file: Path, count: int, frame_rate: float, moments: Sequence[int]) -> list[Reading]:
    """Read binary glTF 2.0."""
    scene = _Gltf(file)
    worlds = [scene.pose(frame / frame_rate) for frame in range(count)]
    readings = []
    for skin in sorted(range(len(scene.skins)), key=lambda index: scene.skins[index].get("name", "")):
        joints = scene.skins[skin]["joints"]
        inverse = scene.inverse_binds(skin)
        reading = Reading(
            [scene.nodes[joint].get("name", "") for joint in joints],
            np.array([world[joints, :3, 3] for world, _ in worlds]) @ _FROM_Y_UP.T,
            np.linalg.inv(inverse)[:, :3, 3] @ _FROM_Y_UP.T,
        )
        bearers = [index for index, node in enumerate(scene.nodes) if node.get("skin") == skin]
        if bearers:
            still = dict.fromkeys(bearers, np.zeros(0))
            reading.rest = scene.skinned(skin, np.linalg.inv(inverse), still) @ _FROM_Y_UP.T
            reading.skin = np.array(
                [scene.skinned(skin, worlds[at][0][joints], worlds[at][1]) @ _FROM_Y_UP.T for at in moments]
            ).reshape(len(moments), -1, 3)
        readings.append(reading)
    return readings


class _Gltf:
    """A glTF scene: nodes, skins and animations."""

    def __init__(self, file: Path):
        raw = file.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", raw)
        assert (magic, version, length) == (b"glTF", 2, len(raw)), "no binary glTF 2"
        size, kind = struct.unpack_from("<I4s", raw, 12)
        assert kind == b"JSON"
        self._content = json.loads(raw[20 : 20 + size])
        self._binary = raw[28 + size :]
        self.nodes: list[dict[str, Any]] = self._content["nodes"]
        self.skins: list[dict[str, Any]] = self._content.get("skins", [])
        self._parents = {child: index for index, node in enumerate(self.nodes) for child in node.get("children", ())}
        self._curves = []
        for animation in self._content.get("animations", ()):
            for channel in animation["channels"]:
                sampler = animation["samplers"][channel["sampler"]]
                assert sampler.get("interpolation", "LINEAR") in ("LINEAR", "STEP")
                times, values = (self._array(sampler[end]) for end in ("input", "output"))
                stepped = sampler.get("interpolation") == "STEP"
                target = channel["target"]
                self._curves.append((target["node"], target["path"], times, values.reshape(len(times), -1), stepped))

    def inverse_binds(self, skin: int) -> np.ndarray:
        """(J, 4, 4) from the skin at rest to each joint."""
        return np.swapaxes(self._array(self.skins[skin]["inverseBindMatrices"]).reshape(-1, 4, 4), 1, 2)

    def pose(self, time: float) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """World matrices (K, 4, 4) of all nodes, and weights of morph targets by node, at a time in seconds."""
        placed = {
            (index, path): np.array(node[path], dtype=np.float64)
            for index, node in enumerate(self.nodes)
            for path in ("translation", "rotation", "scale", "weights")
            if path in node
        }
        for node, path, times, values, stepped in self._curves:
            placed[node, path] = _between(times, values, time, stepped, path == "rotation")
        world = np.full((len(self.nodes), 4, 4), np.nan)
        for index in range(len(self.nodes)):
            self._place(index, placed, world)
        return world, {node: value for (node, path), value in placed.items() if path == "weights"}

    def skinned(self, skin: int, joints: np.ndarray, weights: dict[int, np.ndarray]) -> np.ndarray:
        """Vertices (V, 3) of the meshes that a skin deforms, for world matrices (J, 4, 4) of its joints."""
        moved = joints @ self.inverse_binds(skin)
        parts = []
        for index, node in enumerate(self.nodes):
            if node.get("skin") != skin:
                continue
            mesh = self._content["meshes"][node["mesh"]]
            amounts = weights.get(index, np.array(mesh.get("weights", ())))
            for primitive in mesh["primitives"]:
                attributes = primitive["attributes"]
                points = self._array(attributes["POSITION"])
                for target, amount in zip(primitive.get("targets", ()), amounts, strict=False):
                    if amount:
                        points = points + amount * self._array(target["POSITION"])
                deformed = np.zeros_like(points)
                sets = [name[len("JOINTS_") :] for name in attributes if name.startswith("JOINTS_")]
                for number in sets:
                    own = self._array(attributes[f"JOINTS_{number}"]).astype(np.int64)
                    for column, share in enumerate(self._array(attributes[f"WEIGHTS_{number}"]).T):
                        each = moved[own[:, column]]
                        deformed += share[:, None] * (np.einsum("vij,vj->vi", each[:, :3, :3], points) + each[:, :3, 3])
                parts.append(deformed)
        return np.concatenate(parts)

    def _place(self, index: int, placed: dict[tuple[int, str], np.ndarray], world: np.ndarray) -> np.ndarray:
        if np.isnan(world[index, 0, 0]):
            node = self.nodes[index]
            if "matrix" in node:
                local = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
            else:
                local = np.eye(4)
                local[:3, :3] = _matrix(placed.get((index, "rotation"), np.array([0.0, 0.0, 0.0, 1.0])))
                local[:3, :3] *= placed.get((index, "scale"), np.ones(3))
                local[:3, 3] = placed.get((index, "translation"), np.zeros(3))
            parent = self._parents.get(index)
            world[index] = local if parent is None else self._place(parent, placed, world) @ local
        return world[index]

    def _array(self, accessor: int) -> np.ndarray:
        """The values (K, C) of an accessor, as float64; normalised integers as fractions."""
        given = self._content["accessors"][accessor]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[given["type"]]
        code = given["componentType"]
        values = np.zeros((given["count"], width))
        if "bufferView" in given:
            values = self._view(given["bufferView"], given.get("byteOffset", 0), code, given["count"], width)
        if "sparse" in given:
            count, places, others = (given["sparse"][part] for part in ("count", "indices", "values"))
            rows = self._view(places["bufferView"], places.get("byteOffset", 0), places["componentType"], count, 1)
            values = values.copy()
            values[rows[:, 0].astype(np.int64)] = self._view(
                others["bufferView"], others.get("byteOffset", 0), code, count, width
            )
        if given.get("normalized"):
            values = np.maximum(values / np.iinfo(_COMPONENTS[code]).max, -1.0)
        return values

    def _view(self, view: int, offset: int, code: int, count: int, width: int) -> np.ndarray:
        given, kind = self._content["bufferViews"][view], np.dtype(_COMPONENTS[code])
        stride = given.get("byteStride", kind.itemsize * width)
        start = given.get("byteOffset", 0) + offset
        shape, strides = (count, width), (stride, kind.itemsize)
        return np.ndarray(shape, kind, self._binary, start, strides).astype(np.float64)


_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}


def _between(times: np.ndarray, values: np.ndarray, time: float, stepped: bool, turning: bool) -> np.ndarray:
    """A curve's value (C,) at a time; rotations go the shortest way."""
    times = times[:, 0]
    time = float(np.clip(time, times[0], times[-1]))
    after = int(np.clip(np.searchsorted(times, time), 1, max(len(times) - 1, 1)))
    if len(times) == 1:
        return values[0]
    share = (time - times[after - 1]) / (times[after] - times[after - 1])
    first, second = values[after - 1], values[after]
    if stepped:
        return second if share >= 1.0 else first
    if not turning:
        return (1.0 - share) * first + share * second
    cosine = float(first @ second)
    second, cosine = (-second, -cosine) if cosine < 0.0 else (second, cosine)
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        return first
    return (np.sin((1.0 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """(3, 3) of a quaternion with w last, as glTF has them."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def read_usd(file: Path, count: int, frame_rate: float, moments: Sequence[int]) -> list[Reading]:
    """Let OpenUSD pose skeletons and deform skins."""
    Gf, Usd, UsdGeom, UsdSkel = (importlib.import_module(f"pxr.{name}") for name in ("Gf", "Usd", "UsdGeom", "UsdSkel"))
    stage = Usd.Stage.Open(str(file))
    unit = UsdGeom.GetStageMetersPerUnit(stage)
    axes = unit * (np.eye(3) if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else _FROM_Y_UP)
    codes = [frame / frame_rate * stage.GetTimeCodesPerSecond() for frame in range(count)]
    cache = UsdSkel.Cache()
    readings = []
    roots = [UsdSkel.Root(prim) for prim in stage.Traverse() if prim.IsA(UsdSkel.Root)]
    for root in sorted(roots, key=lambda root: str(root.GetPath())):
        cache.Populate(root, Usd.PrimDefaultPredicate)
        for binding in cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate):
            skeleton = binding.GetSkeleton()
            query = cache.GetSkelQuery(skeleton)
            joints = []
            for code in codes:
                # Gf's matrices multiply rows from the left.
                to_world = np.array(UsdGeom.XformCache(code).GetLocalToWorldTransform(skeleton.GetPrim()))
                joints.append((np.array(query.ComputeJointSkelTransforms(code)) @ to_world)[:, 3, :3] @ axes.T)
            bind = np.array(skeleton.GetBindTransformsAttr().Get())[:, 3, :3] @ axes.T
            names = [str(joint).rpartition("/")[2] for joint in query.GetJointOrder()]
            reading = Reading(names, np.array(joints), bind)
            meshes = [UsdGeom.Mesh(target.GetPrim()) for target in binding.GetSkinningTargets()]
            if meshes:
                reading.rest = np.concatenate([np.array(mesh.GetPointsAttr().Get()) for mesh in meshes]) @ axes.T
                UsdSkel.BakeSkinning(root, Gf.Interval(0.0, codes[-1]))
                reading.skin = np.array([_points(meshes, codes[at], UsdGeom) @ axes.T for at in moments])
            readings.append(reading)
    return readings


def _points(meshes: Sequence[Any], code: float, geometry: Any) -> np.ndarray:
    """World vertices (V, 3) of meshes in the units and axes of the stage."""
    parts = []
    for mesh in meshes:
        to_world = np.array(geometry.XformCache(code).GetLocalToWorldTransform(mesh.GetPrim()))
        parts.append(np.array(mesh.GetPointsAttr().Get(code)) @ to_world[:3, :3] + to_world[3, :3])
    return np.concatenate(parts)


def read_fbx(file: Path, count: int, frame_rate: float, moments: Sequence[int]) -> list[Reading]:
    """Let ufbx convert axes and unit by what the file says, evaluate, and deform skins."""
    import ufbx

    # This early binding crashes where objects are freed, so that nothing is, and where an element of an element is
    # asked for its element: they are taken from the scene's own lists.
    gc.disable()
    scene = ufbx.load_file(str(file), target_axes=ufbx.axes_right_handed_z_up, target_unit_meters=1.0)
    nodes, clusters, animation = list(scene.nodes), list(scene.skin_clusters), scene.anim
    posed = [
        scene.evaluate(animation, frame / frame_rate, evaluate_skinning=frame in moments) for frame in range(count)
    ]
    posed_nodes = [list(one.nodes) for one in posed]
    _KEPT.extend((scene, nodes, clusters, posed, posed_nodes))
    readings = []
    skinned = [node for node in nodes if node.mesh is not None and len(node.mesh.skin_deformers)]
    for node in sorted(skinned, key=lambda node: node.name):
        own = [clusters[cluster.typed_id] for cluster in node.mesh.skin_deformers[0].clusters]  # pyrefly: ignore[missing-attribute]
        bones = [cluster.bone_node.typed_id for cluster in own]
        joints = np.array([[_place(one[bone].node_to_world) for bone in bones] for one in posed_nodes])
        bind = np.array([_place(cluster.bind_to_world) for cluster in own])
        rest = np.array([[vertex.x, vertex.y, vertex.z] for vertex in node.mesh.vertices])  # pyrefly: ignore[missing-attribute]
        reading = Reading([nodes[bone].name for bone in bones], joints, bind, _move(node.geometry_to_world, rest))
        reading.skin = np.array([_skin(posed_nodes[at][node.typed_id]) for at in moments]).reshape(-1, len(rest), 3)
        readings.append(reading)
    return readings


_KEPT: list[object] = []


def _place(matrix: Any) -> list[float]:
    return [matrix.c3.x, matrix.c3.y, matrix.c3.z]


def _move(matrix: Any, points: np.ndarray) -> np.ndarray:
    columns = np.array([[column.x, column.y, column.z] for column in (matrix.c0, matrix.c1, matrix.c2, matrix.c3)])
    return points @ columns[:3] + columns[3]


def _skin(node: Any) -> np.ndarray:
    points = np.array([[vertex.x, vertex.y, vertex.z] for vertex in node.mesh.skinned_position.values])
    return _move(node.geometry_to_world, points) if node.mesh.skinned_is_local else points


def read_bvh(file: Path, count: int, frame_rate: float, moments: Sequence[int]) -> list[Reading]:
    """Let bvhio pose a skeleton; there is no skin."""
    import bvhio

    assert abs(bvhio.readAsBvh(str(file)).FrameTime * frame_rate - 1.0) < 1e-4, "another frame rate"
    root = bvhio.readAsHierarchy(str(file))
    layout = [joint for joint, _, _ in root.layout()]

    def places() -> np.ndarray:
        return _CENTIMETRE * np.array([tuple(joint.PositionWorld) for joint in layout]) @ _FROM_Y_UP.T

    root.loadRestPose()
    bind = places()
    joints = []
    for frame in range(count):
        root.loadPose(frame)
        joints.append(places())
    return [Reading([joint.Name for joint in layout], np.array(joints), bind)]


READERS: dict[str, tuple[str, Callable[[Path, int, float, Sequence[int]], list[Reading]]]] = {
    ".fbx": ("ufbx", read_fbx),
    ".glb": ("NumPy by glTF's specification", read_glb),
    ".usd": ("OpenUSD", read_usd),
    ".bvh": ("bvhio", read_bvh),
}
"""Each ending's reader, with its name."""


def main() -> None:
    """Read the file that the command line names and write what is in it."""
    file, count, frame_rate, moments, out = sys.argv[1:]
    _, read = READERS[Path(file).suffix]
    readings = read(Path(file), int(count), float(frame_rate), [int(at) for at in moments.split(",") if at])
    arrays: dict[str, Any] = {"people": len(readings)}
    for person, reading in enumerate(readings):
        arrays |= {f"{person} {name}": value for name, value in vars(reading).items()}
    np.savez(out, **arrays)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
