"""Measure what it takes to write a motion's keys: in bulk, as the add-on does, and one by one.

`python addon/benchmark.py` under the `bpy` module, or `blender -b --python addon/benchmark.py`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from video_motion.addon import keyframes
from video_motion.addon.armature import Rest, create_armature
from video_motion.inference.body.skeleton import JOINT_NAMES, PARENTS

FRAMES = (300, 1000, 3000, 10000)
MOST_ONE_BY_ONE = 1000
"""`keyframe_insert` takes time that grows with the square of the keys; more would be a test of patience."""


def _armature(name: str) -> bpy.types.Object:
    heads = np.random.default_rng(0).random((len(JOINT_NAMES), 3))
    body = SimpleNamespace(parents=PARENTS)
    armature = create_armature(name, body, Rest(heads, heads + np.array((0.0, 0.0, 0.1)), 0.0))  # pyright: ignore
    bpy.context.scene.collection.objects.link(armature)
    return armature


def in_bulk(poses: np.ndarray, trans: np.ndarray) -> float:
    """Return the seconds for `create_action` with poses (N, 24, 3) and trans (N, 3)."""
    armature = _armature("bulk")
    motion = SimpleNamespace(
        timestamps=np.arange(len(poses)) / 30,
        poses=poses,
        trans=trans,
        pelvis=np.zeros(3),
        bridged=np.zeros(len(poses), dtype=bool),
    )
    began = time.perf_counter()
    keyframes.create_action(armature, motion, "bulk", 30.0)  # pyright: ignore
    return time.perf_counter() - began


def one_by_one(poses: np.ndarray, trans: np.ndarray) -> float:
    """Return the seconds for `keyframe_insert` on every bone and frame."""
    armature = _armature("one by one")
    began = time.perf_counter()
    quaternions = keyframes.bone_rotations(poses, keyframes.rest_axes(armature))
    for frame in range(len(poses)):
        for bone, name in enumerate(JOINT_NAMES):
            posed = armature.pose.bones[name]
            posed.rotation_quaternion = quaternions[frame, bone]
            posed.keyframe_insert("rotation_quaternion", frame=frame + 1)
        armature.pose.bones[0].location = trans[frame]
        armature.pose.bones[0].keyframe_insert("location", frame=frame + 1)
    return time.perf_counter() - began


def main() -> None:
    """Print a table of seconds by number of frames."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    random = np.random.default_rng(0)
    print(f"Blender {bpy.app.version_string}, {len(JOINT_NAMES)} bones: frames, seconds in bulk, one by one")
    for count in FRAMES:
        poses = np.cumsum(random.normal(scale=0.05, size=(count, len(JOINT_NAMES), 3)), axis=0)
        trans = np.cumsum(random.normal(scale=0.01, size=(count, 3)), axis=0)
        slow = f"{one_by_one(poses, trans):.2f}" if count <= MOST_ONE_BY_ONE else "-"
        print(f"{count:6d}  {in_bulk(poses, trans):.3f}  {slow}", flush=True)


if __name__ == "__main__":
    main()
