"""Measure the import of motions from file to scene, dressed or not, and writing keys in bulk or by `keyframe_insert`.

`python addon/research/import_speed.py` under the `bpy` module, or `blender -b --python addon/research/import_speed.py`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from video_motion.addon.scene import keyframes
from video_motion.addon.scene.armature import create_armature, rest_bones
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.inference import registry
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.formats import read_motion
from video_motion.inference.motion.motion import Motion

FRAMES = (300, 1000, 3000, 10000)
MOST_ONE_BY_ONE = 1000
"""`keyframe_insert` takes time that grows with the square of the keys; more would take too long."""
RUNS = 3
"""The fastest of these counts."""


def made_up(body: Body, count: int) -> Motion:
    """Return a motion of ``count`` frames at 30 per second; like a real one it fills its file with numbers."""
    random = np.random.default_rng(0)
    poses = np.cumsum(random.normal(scale=0.05, size=(count, len(JOINT_NAMES), 3)), axis=0)
    trans = np.cumsum(random.normal(scale=0.01, size=(count, 3)), axis=0)
    betas = random.normal(size=body.shapedirs.shape[2])
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = rotations.axis_angle_to_matrix(np.array([-np.pi / 2, 0.0, 0.0]))
    return Motion(
        timestamps=np.arange(count) / 30,
        poses_cam=poses,
        trans_cam=trans,
        betas=betas,
        rest_pelvis=body.rest_joints(betas)[0],
        joints_cam=body.joints(poses, betas, trans),
        camera_K=np.array([[1000.0, 0.0, 640.0], [0.0, 1000.0, 360.0], [0.0, 0.0, 1.0]]),
        camera_to_world=np.tile(camera_to_world, (count, 1, 1)),
        image_size=np.array([1280, 720]),
        frames=np.arange(count),
        boxes=random.normal(size=(count, 4)),
        scores=random.uniform(size=(count, 24)),
        bridged=random.uniform(size=count) < 0.1,
        contacts=random.uniform(size=(count, 2)),
        landmarks=random.normal(size=(count, 33, 3)),
        world_landmarks=random.normal(size=(count, 33, 3)),
        provenance={"video": "made up.mp4"},
    )


def import_file(file: Path, body_file: Path, clothes: bool = False) -> dict[str, float]:
    """Return the seconds of each step from a motion file to a scene at the first frame, evaluated."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    began = time.perf_counter()
    body = Body.load(body_file)
    loaded = time.perf_counter()
    motion = read_motion(file, body)
    read = time.perf_counter()
    build_scene([motion], body, options=SceneOptions(frame_rate=30.0, clothes=clothes))
    bpy.context.view_layer.update()
    return {"body": loaded - began, "read": read - loaded, "scene": time.perf_counter() - read}


def in_bulk(motion: Motion, body: Body) -> float:
    """Return the seconds for `create_action`."""
    armature = _armature(motion, body)
    began = time.perf_counter()
    keyframes.create_action(armature, motion, "bulk", 30.0)
    return time.perf_counter() - began


def one_by_one(motion: Motion, body: Body) -> float:
    """Return the seconds for `keyframe_insert` on every bone and frame."""
    armature = _armature(motion, body)
    began = time.perf_counter()
    quaternions = keyframes.bone_rotations(motion.poses, keyframes.rest_axes(armature)[: len(JOINT_NAMES)])
    trans = motion.trans
    for frame in range(len(motion)):
        for bone, name in enumerate(JOINT_NAMES):
            posed = armature.pose.bones[name]
            posed.rotation_quaternion = quaternions[frame, bone]
            posed.keyframe_insert("rotation_quaternion", frame=frame + 1)
        armature.pose.bones[0].location = trans[frame]
        armature.pose.bones[0].keyframe_insert("location", frame=frame + 1)
    return time.perf_counter() - began


def _armature(motion: Motion, body: Body) -> bpy.types.Object:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    armature = create_armature("benchmark", body, rest_bones(body, motion.betas))
    bpy.context.scene.collection.objects.link(armature)
    return armature


def main() -> None:
    """Print a table of seconds by number of frames."""
    body_file = registry.body_path()
    body = Body.load(body_file)
    print(f"Blender {bpy.app.version_string}, seconds by frames, the fastest of {RUNS} runs")
    print("frames  import = body + read + scene    with clothes   keys in bulk  one by one")
    with tempfile.TemporaryDirectory() as folder:
        for count in FRAMES:
            file = Path(folder) / f"{count}.npz"
            motion = made_up(body, count)
            motion.save(file)
            steps = min((import_file(file, body_file) for _ in range(RUNS)), key=lambda run: sum(run.values()))
            dressed = min(sum(import_file(file, body_file, clothes=True).values()) for _ in range(RUNS))
            bulk = min(in_bulk(motion, body) for _ in range(RUNS))
            slow = f"{one_by_one(motion, body):.2f}" if count <= MOST_ONE_BY_ONE else "-"
            print(
                f"{count:6d}   {sum(steps.values()):.3f} = {steps['body']:.3f} + {steps['read']:.3f}"
                f" + {steps['scene']:.3f}   {dressed:.3f}   {bulk:.3f}   {slow}",
                flush=True,
            )


if __name__ == "__main__":
    main()
