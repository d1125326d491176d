"""Measure exporting: how far joints lie from where they were, after Blender has read a file again.

`python addon/benchmark_export.py` under the `bpy` module, or `blender -b --python addon/benchmark_export.py`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from video_motion.addon import export
from video_motion.addon import scene as scenes
from video_motion.addon.benchmark import made_up
from video_motion.addon.keyframes import FIRST_FRAME
from video_motion.inference import registry
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body

FRAMES = 300
RATE = 30


def joints_of(armatures: Sequence[bpy.types.Object], frames: Sequence[int]) -> np.ndarray:
    """World positions (N, P, 24, 3) in metres of the armatures' joints on frames of the current scene."""
    places = np.empty((len(frames), len(armatures), len(JOINT_NAMES), 3))
    for row, frame in enumerate(frames):
        bpy.context.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        for column, armature in enumerate(armatures):
            posed = armature.evaluated_get(graph)
            heads = [posed.matrix_world @ posed.pose.bones[name].head for name in JOINT_NAMES]
            places[row, column] = np.array(heads)
    return places


def _read_amass(file: Path, count: int, body: Body) -> np.ndarray:
    """Joints (N, 1, 24, 3) as a NumPy forward pass has them; on another body than SMPL's, of the body's mean shape."""
    with np.load(file) as archive:
        poses, trans = archive["poses"].reshape(count, -1, 3), archive["trans"]
        betas = archive["betas"][: body.shapedirs.shape[2]]
    if not export.is_smpl(body):
        trans = trans + export.SMPL_PELVIS - body.rest_joints(betas)[0]
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


def read_again(reader: str, files: Sequence[Path], count: int, frame_rate: float) -> np.ndarray:
    """Joints (N, P, 24, 3) of the characters in files, in the order of their names, read into an empty scene each.

    Args:
        reader: one of `IMPORTERS`.
        files: that hold the characters.
        count: frames.
        frame_rate: of the scene.
    """
    _, read, start = IMPORTERS[reader]
    people = []
    for file in files:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scenes.set_frame_rate(bpy.context.scene, frame_rate)
        read(file)
        armatures = [one for one in bpy.context.scene.objects if one.type == "ARMATURE"]
        people.append(joints_of(sorted(armatures, key=lambda one: one.name), range(start, start + count)))
    return np.concatenate(people, axis=1)


def main() -> None:
    """Print a Markdown table of millimetres by format."""
    body = Body.load(registry.body_path())
    motion = made_up(body, FRAMES)
    print(f"Blender {bpy.app.version_string}, one character, {FRAMES} frames")
    print("| format | read by | furthest, mm | mean, mm | seconds to write | MB |")
    print("|---|---|---:|---:|---:|---:|")
    readers = [(name.split()[0], engine, name) for name in IMPORTERS for engine in _engines(name)]
    for format, engine, reader in [*readers, ("amass", "", "")]:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        take = scenes.build_scene([motion], body, options=scenes.Options(frame_rate=RATE))
        armatures = [character.armature for character in take.characters]
        frames = range(round(FIRST_FRAME), round(FIRST_FRAME) + FRAMES)
        truth = joints_of(armatures, frames)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"take{export.ENDINGS[format]}"
            began = time.perf_counter()
            options = export.Options(engine=engine or export.ENGINES[0], body=body)
            files = export.export_take(armatures, path, format, options)
            seconds, size = time.perf_counter() - began, path.stat().st_size
            if format == "amass":
                # The mean shape has other limbs: the hips' path and the rotations are what the file keeps.
                by, read = "NumPy, hips alone", _read_amass(path, FRAMES, body)[:, :, :1]
            else:
                by, read = IMPORTERS[reader][0], read_again(reader, files, FRAMES, RATE)
        away = 1000.0 * np.linalg.norm(read - truth[:, :, : read.shape[2]], axis=-1)
        name = f"{format}, {engine}" if engine else format
        print(
            f"| {name} | {by} | {away.max():.4f} | {away.mean():.4f} | {seconds:.2f} | {size / 1e6:.2f} |", flush=True
        )


def _engines(name: str) -> tuple[str, ...]:
    return export.ENGINES if name.startswith("fbx") else ("",)


if __name__ == "__main__":
    main()
