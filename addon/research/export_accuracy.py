"""Measure the export: errors of joints and skins after a file was read by Blender or another program.

`python addon/research/export_accuracy.py` under the `bpy` module, or in Blender by `blender -b --python`.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
import numpy as np
from mathutils.kdtree import KDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from video_motion.addon.interchange import export
from video_motion.addon.research.export_readers import PACKAGES, READERS, read_elsewhere
from video_motion.addon.research.import_speed import made_up
from video_motion.addon.scene.keyframes import FIRST_FRAME
from video_motion.addon.scene.take import SceneOptions, build_scene, set_frame_rate
from video_motion.inference import registry
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.formats.conventions import SMPL_PELVIS, is_smpl

FRAMES = 300
RATE = 30
MOMENTS = (0, 100, 200, 299)
"""Frames from 0 on which skins are compared."""


def joints_of(
    armatures: Sequence[bpy.types.Object], frames: Sequence[int], names: Sequence[str] = JOINT_NAMES
) -> np.ndarray:
    """World positions (N, P, J, 3) in metres of the armatures' J named joints on frames of the current scene."""
    positions = np.empty((len(frames), len(armatures), len(names), 3))
    for row, frame in enumerate(frames):
        bpy.context.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        for column, armature in enumerate(armatures):
            posed = armature.evaluated_get(graph)
            heads = [posed.matrix_world @ posed.pose.bones[name].head for name in names]
            positions[row, column] = np.array(heads)
    return positions


def same_vertices(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The index (V,) of the nearest of ``others`` (K, 3) for each of ``points`` (V, 3).

    Files may have vertices in another order, and several times where their texture has a seam.
    """
    tree = KDTree(len(others))
    for index, place in enumerate(others):
        tree.insert(place, index)
    tree.balance()
    return np.array([tree.find(place)[1] for place in points])


def _read_amass(file: Path, count: int, body: Body) -> np.ndarray:
    """Joints (N, 1, 24, 3) as a NumPy forward pass has them; on another body than SMPL's, of the body's mean shape."""
    with np.load(file) as archive:
        poses, trans = archive["poses"].reshape(count, -1, 3), archive["trans"]
        betas = archive["betas"][: body.shapedirs.shape[2]]
    if not is_smpl(body):
        trans = trans + SMPL_PELVIS - body.rest_joints(betas)[0]
    return body.joints(poses, betas, trans)[:, None]


def _bvh(file: Path) -> None:
    bpy.ops.import_anim.bvh(filepath=str(file), global_scale=1.0 / export.CENTIMETRES, frame_start=0)


# What reads each format, and the scene's frame on which the reader puts time 0.
IMPORTERS: dict[str, tuple[str, Callable[[Path], object], int]] = {
    "fbx": ("FBX importer in Python", lambda file: bpy.ops.import_scene.fbx(filepath=str(file)), 1),
    "glb": ("glTF importer", lambda file: bpy.ops.import_scene.gltf(filepath=str(file)), 0),
    "usd": ("USD importer", lambda file: bpy.ops.wm.usd_import(filepath=str(file)), 0),
    "bvh": ("BVH importer", _bvh, 1),
}
if bpy.app.version >= (4, 5):
    IMPORTERS["fbx in C++"] = ("FBX importer", lambda file: bpy.ops.wm.fbx_import(filepath=str(file)), 1)


def read_again(
    reader: str, files: Sequence[Path], count: int, frame_rate: float, names: Sequence[str] = JOINT_NAMES
) -> np.ndarray:
    """Joints (N, P, J, 3) of the characters in files, in the order of their names, read into an empty scene each.

    Args:
        reader: one of `IMPORTERS`.
        files: that hold the characters.
        count: frames.
        frame_rate: of the scene.
        names: of the joints.
    """
    _, read, start = IMPORTERS[reader]
    people = []
    for file in files:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        set_frame_rate(bpy.context.scene, frame_rate)
        read(file)
        armatures = [one for one in bpy.context.scene.objects if one.type == "ARMATURE"]
        armatures = sorted(armatures, key=lambda one: one.name)
        people.append(joints_of(armatures, range(start, start + count), names))
    return np.concatenate(people, axis=1)


def main() -> None:
    """Print a Markdown table of millimetres by format."""
    body = Body.load(registry.body_path())
    motion = made_up(body, FRAMES)
    print(f"Blender {bpy.app.version_string}, one character, {FRAMES} frames")
    print("| format | read by | joints: furthest, mm | mean, mm | skin: furthest, mm | seconds to write | MB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    readers = [(name.split()[0], engine, name) for name in IMPORTERS for engine in _engines(name)]
    elsewhere = [(ending[1:], engine, ending) for ending in READERS for engine in _engines(ending[1:])]
    for format, engine, reader in [*readers, *elsewhere, ("amass", "", "")]:
        if reader in PACKAGES and importlib.util.find_spec(PACKAGES[reader]) is None:
            continue
        bpy.ops.wm.read_factory_settings(use_empty=True)
        take = build_scene([motion], body, options=SceneOptions(frame_rate=RATE))
        armatures = [character.armature for character in take.characters]
        first = round(FIRST_FRAME)
        truth = joints_of(armatures, range(first, first + FRAMES))
        skin, rest = _skin_of(take.characters[0].mesh, [first + moment for moment in MOMENTS])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"take{export.ENDINGS[format]}"
            began = time.perf_counter()
            options = export.ExportOptions(engine=engine or export.ENGINES[0], body=body)
            files = export.export_take(armatures, path, format, options)
            seconds, size = time.perf_counter() - began, path.stat().st_size
            worst = "–"
            if format == "amass":
                # The mean shape has other limbs: the hips' path and the rotations are what the file keeps.
                by, read = "NumPy, hips alone", _read_amass(path, FRAMES, body)[:, :, :1]
            elif reader in IMPORTERS:
                by, read = f"Blender's {IMPORTERS[reader][0]}", read_again(reader, files, FRAMES, RATE)
            else:
                (reading,) = read_elsewhere(path, FRAMES, RATE, () if format == "bvh" else MOMENTS)
                by, read = READERS[reader][0], reading.joints[:, None, reading.order(JOINT_NAMES)]
                if len(reading.skin):
                    away = reading.skin - skin[:, same_vertices(reading.rest, rest)]
                    worst = f"{1000.0 * np.linalg.norm(away, axis=-1).max():.4f}"
        away = 1000.0 * np.linalg.norm(read - truth[:, :, : read.shape[2]], axis=-1)
        name = f"{format}, {engine}" if engine else format
        print(
            f"| {name} | {by} | {away.max():.4f} | {away.mean():.4f} | {worst} | {seconds:.2f} | {size / 1e6:.2f} |",
            flush=True,
        )


def _skin_of(mesh: bpy.types.Object, frames: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in the world on frames (M, V, 3) and at rest (V, 3), of a mesh whose object lies at the origin."""
    rest = np.array([vertex.co for vertex in mesh.data.vertices])
    skins = np.empty((len(frames), *rest.shape))
    for row, frame in enumerate(frames):
        bpy.context.scene.frame_set(frame)
        posed = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        skins[row] = [posed.matrix_world @ vertex.co for vertex in posed.data.vertices]
    return skins, rest


def _engines(name: str) -> tuple[str, ...]:
    return export.ENGINES if name.startswith("fbx") else ("",)


if __name__ == "__main__":
    main()
