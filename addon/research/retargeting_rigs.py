"""Rigs like those that animators fetch, with their names, on one human's joints; none of the files themselves.

A rig is a tree in text, a bone a line: its name, a bar and the joint where it begins, or two joints and the share of
the way between them. ``<L,R>`` stands for the side; such bones and all below them are made for both. A line ``fingers``
makes five of some bones each: their names, the pattern of a bone, what numbers it has, and the pattern of a metacarpal.

    python -c "import video_motion.addon.research.retargeting_rigs as r; r.main()"

measures how well the sample's motion is given to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import bpy
import numpy as np
from mathutils import Matrix

from ...inference import registry
from ...inference.body.smpl import Body
from ...inference.motion.motion import Motion
from ..retarget.action import RetargetOptions, retarget
from ..retarget.bones import FINGERS, read_rig
from ..retarget.mapping import SURE
from ..retarget.recognise import recognise
from ..scene.take import build_scene
from .retargeting import BARE, SAMPLE, evaluate, limb_angles, make_armature, sliding, standing_spans

# Metres; z up, to -y the front, +x the left.
JOINTS: dict[str, tuple[float, float, float]] = {
    "ground": (0.0, 0.0, 0.0),
    "hips": (0.0, 0.01, 0.98),
    "neck": (0.0, 0.03, 1.46),
    "head": (0.0, 0.01, 1.56),
    "crown": (0.0, 0.01, 1.75),
    "clavicle": (0.02, 0.0, 1.42),
    "upper_arm": (0.17, 0.02, 1.42),
    "forearm": (0.44, 0.03, 1.42),
    "hand": (0.69, 0.02, 1.42),
    "thigh": (0.09, 0.01, 0.93),
    "shin": (0.1, -0.01, 0.5),
    "foot": (0.1, 0.03, 0.09),
    "toe": (0.11, -0.11, 0.02),
    "tip": (0.11, -0.19, 0.02),
    "shin_pole": (0.1, -0.7, 0.5),
    "forearm_pole": (0.44, 0.7, 1.42),
}
_LENGTHS = {"thumb": 0.035, "index": 0.033, "middle": 0.036, "ring": 0.033, "pinky": 0.026}
for _place, _finger in enumerate(FINGERS):
    _root = np.array((0.715, -0.025, 1.405) if _finger == "thumb" else (0.785, 0.045 * 0.5 * (_place - 2.3), 1.42))
    _way = np.array((0.7, -0.6, -0.3) if _finger == "thumb" else (1.0, 0.06 * (_place - 2), -0.1))
    JOINTS[f"{_finger}0"] = (0.705, 0.01 * (_place - 1.5), 1.42)
    for _step in range(4):
        JOINTS[f"{_finger}{_step + 1}"] = tuple(_root + _step * _LENGTHS[_finger] * _way / np.linalg.norm(_way))
_ARM = ("upper_arm", "forearm", "hand", *FINGERS)


def layout(tree: str, lowered: float) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Where the bones of a tree begin, (3,) each, and what each hangs on, with arms ``lowered`` degrees."""
    joints = {name: np.array(place) for name, place in JOINTS.items()}
    angle = np.radians(lowered)
    down = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    shoulder = joints["upper_arm"]
    for name in joints:
        if name.startswith(_ARM):
            joints[name] = shoulder + down @ (joints[name] - shoulder)
    places: dict[str, np.ndarray] = {}
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for depth, name, joint in _lines(tree):
        while above and above[-1][0] >= depth:
            above.pop()
        chain = "".join(one for _, one in above) + name
        for side in (0, 1) if "<" in chain else (0,):
            own, parent = (_sided(text, side) for text in (name, above[-1][1] if above else ""))
            left = _left_first(chain)
            first, *second = joint.split()
            place = joints[first]
            if second:
                place = place + float(second[1]) * (joints[second[0]] - place)
            places[own] = place * ((1.0 if side == left else -1.0), 1.0, 1.0)
            parents[own] = parent
        above.append((depth, name))
    return places, parents


def _lines(tree: str) -> list[tuple[int, str, str]]:
    """Depth, name and joint of each line, fingers written out."""
    found = []
    for line in tree.strip("\n").splitlines():
        depth = len(line) - len(line.lstrip())
        name, *rest = (part.strip() for part in line.split("|"))
        if not name.startswith("fingers "):
            found.append((depth, name, rest[0]))
            continue
        pattern, numbers, *palm = rest
        for place, (finger, called) in enumerate(zip(FINGERS, name.split()[1:], strict=True)):
            if called == "-":
                continue
            deeper = depth
            if palm and finger != "thumb":
                found.append((deeper, palm[0].replace("@", called).replace("#", str(place)), f"{finger}0"))
                deeper += 1
            for step, number in enumerate(numbers.split()):
                own = pattern.replace("@", called).replace("#", number.strip("-"))
                found.append((deeper + step, own, f"{finger}{step + 1}"))
    return found


def _sided(name: str, side: int) -> str:
    return re.sub(r"<(\w+),(\w+)>", lambda pair: pair[1 + side], name)


def _left_first(chain: str) -> int:
    """Which of the two sides of a name is the left one."""
    return 0 if chain.partition("<")[2][:1].lower() in ("", "l") else 1


def make_tree(name: str, tree: str, lowered: float = 10.0, axes: str = "world") -> bpy.types.Object:
    """Make the armature of a tree in the current scene.

    Args:
        name: of the armature.
        tree: its bones.
        lowered: how far the arms hang down, degrees.
        axes: how its bones lie: ``along`` to the next joint, ``across``, or all as the ``world``'s axes.
    """
    places, parents = layout(tree, lowered)
    children: dict[str, list[str]] = {}
    for bone, parent in parents.items():
        children.setdefault(parent, []).append(bone)
    bones = {}
    for bone, head in places.items():
        ways = [places[child] - head for child in children.get(bone, ())]
        way = max(ways, key=np.linalg.norm, default=np.zeros(3))
        if np.linalg.norm(way) < 1e-3:
            # End sites of BVH files are at the tips of feet.
            way = np.array((0.0, -0.15, -0.05) if "Foot" in bone else (0.0, 0.0, 0.03))
        if axes == "across":
            way = np.cross(way, (0.3, 0.2, 1.0))
        elif axes == "world":
            way = np.array((0.0, 0.0, np.linalg.norm(way)))
        bones[bone] = (tuple(head), tuple(head + way), 0.4 if axes == "across" else 0.0)
    return make_armature(name, bones, parents)


_MIXAMO = """
mixamorig:Hips | hips
  mixamorig:Spine | hips neck 0.15
    mixamorig:Spine1 | hips neck 0.4
      mixamorig:Spine2 | hips neck 0.7
        mixamorig:Neck | neck
          mixamorig:Head | head
            mixamorig:HeadTop_End | crown
        mixamorig:<Left,Right>Shoulder | clavicle
          mixamorig:<Left,Right>Arm | upper_arm
            mixamorig:<Left,Right>ForeArm | forearm
              mixamorig:<Left,Right>Hand | hand
                fingers Thumb Index Middle Ring Pinky | mixamorig:<Left,Right>Hand@# | 1 2 3
  mixamorig:<Left,Right>UpLeg | thigh
    mixamorig:<Left,Right>Leg | shin
      mixamorig:<Left,Right>Foot | foot
        mixamorig:<Left,Right>ToeBase | toe
          mixamorig:<Left,Right>Toe_End | tip
"""

_VALVE = """
ValveBiped.Bip01_Pelvis | hips
  ValveBiped.Bip01_<L,R>_Thigh | thigh
    ValveBiped.Bip01_<L,R>_Calf | shin
      ValveBiped.Bip01_<L,R>_Foot | foot
        ValveBiped.Bip01_<L,R>_Toe0 | toe
  ValveBiped.Bip01_Spine | hips neck 0.15
    ValveBiped.Bip01_Spine1 | hips neck 0.4
      ValveBiped.Bip01_Spine2 | hips neck 0.7
        ValveBiped.Bip01_Neck1 | neck
          ValveBiped.Bip01_Head1 | head
        ValveBiped.Bip01_<L,R>_Clavicle | clavicle
          ValveBiped.Bip01_<L,R>_UpperArm | upper_arm
            ValveBiped.Bip01_<L,R>_Forearm | forearm
              ValveBiped.Bip01_<L,R>_Hand | hand
"""

# A rig whose feet were IK's targets: they hang on its root, as poles do.
_ROBOT = """
Bone | ground
  Foot<L,R> | foot
  Body | hips
    Hips | hips
      Abdomen | hips neck 0.2
        Torso | hips neck 0.5
          Neck | neck
            Head | head
          Shoulder<L,R> | clavicle
            UpperArm<L,R> | upper_arm
              LowerArm<L,R> | forearm
                Palm2<L,R> | hand
                  Middle1<L,R> | middle1
                    Middle2<L,R> | middle2
                  Thumb<L,R> | thumb1
                    Thumb2<L,R> | thumb2
      UpperLeg<L,R> | thigh
        LowerLeg<L,R> | shin
          LowerLeg<L,R>_end | foot
  PoleTarget<L,R> | shin_pole
"""

_GAMER = """
root | ground
  hips | hips
    spine | hips neck 0.2
      chest | hips neck 0.5
        neck | neck
          head | head
        shoulder.<L,R> | clavicle
          upper_arm.<L,R> | upper_arm
            forearm.<L,R> | forearm
              hand.<L,R> | hand
                hand_end.<L,R> | middle1
    thigh.<L,R> | thigh
      shin.<L,R> | shin
        foot.<L,R> | foot
          toe.<L,R> | toe
  foot_ik.<L,R> | foot
    foot_ik_roll.<L,R> | foot
  hand_ik.<L,R> | hand
  knee_pole.<L,R> | shin_pole
  elbow_pole.<L,R> | forearm_pole
"""

_OLD_RIGIFY = """
root | ground
  DEF-hips | hips
    DEF-thigh.01.<L,R> | thigh
      DEF-thigh.02.<L,R> | thigh shin 0.5
        DEF-shin.01.<L,R> | shin
          DEF-shin.02.<L,R> | shin foot 0.5
            DEF-foot.<L,R> | foot
              DEF-toe.<L,R> | toe
    DEF-spine | hips neck 0.2
      DEF-chest | hips neck 0.6
        DEF-neck | neck
          DEF-head | head
        DEF-shoulder.<L,R> | clavicle
          DEF-upper_arm.01.<L,R> | upper_arm
            DEF-upper_arm.02.<L,R> | upper_arm forearm 0.5
              DEF-forearm.01.<L,R> | forearm
                DEF-forearm.02.<L,R> | forearm hand 0.5
                  DEF-hand.<L,R> | hand
"""


def suffixed(armature: bpy.types.Object, suffix: str) -> bpy.types.Object:
    """Add to each bone's name a suffix in which ``{}`` is the bone's number, as converters do."""
    for number, bone in enumerate(armature.data.bones):
        bone.name += suffix.format(number)
    return armature


def gamer() -> bpy.types.Object:
    """A game character like ``gamer_person4``: arms and legs follow free controls and poles by IK, and its feet's roll.

    Each pole angle is such that IK leaves the rest pose alone.
    """
    armature = make_tree("gamer_person4", _GAMER, 40.0, "along")
    bpy.ops.object.mode_set(mode="EDIT")
    edited = armature.data.edit_bones
    for side in "LR":
        for bone, control in ((f"foot.{side}", f"foot_ik_roll.{side}"), (f"hand.{side}", f"hand_ik.{side}")):
            edited[control].tail, edited[control].roll = edited[bone].tail, edited[bone].roll
    bpy.ops.object.mode_set(mode="OBJECT")
    for side in "LR":
        for bone, goal, pole in (
            (f"shin.{side}", f"foot_ik_roll.{side}", f"knee_pole.{side}"),
            (f"forearm.{side}", f"hand_ik.{side}", f"elbow_pole.{side}"),
        ):
            _add_ik(armature, bone, goal, pole)
        for bone, goal in ((f"foot.{side}", f"foot_ik_roll.{side}"), (f"hand.{side}", f"hand_ik.{side}")):
            copied = armature.pose.bones[bone].constraints.new("COPY_ROTATION")
            copied.target, copied.subtarget = armature, goal
    return armature


def _add_ik(armature: bpy.types.Object, bone: str, goal: str, pole: str) -> None:
    rest = armature.data.bones
    first, tip = rest[bone].parent, rest[bone].tail_local
    way = (tip - first.head_local).normalized()
    side = rest[pole].head_local - first.head_local
    side -= side.dot(way) * way
    axes = first.matrix_local.to_3x3()
    ik = armature.pose.bones[bone].constraints.new("IK")
    ik.target, ik.subtarget, ik.pole_target, ik.pole_subtarget = armature, goal, armature, pole
    ik.pole_angle = float(np.arctan2(side.dot(axes.col[2]), side.dot(axes.col[0])))
    ik.chain_count = 2


def soldier() -> bpy.types.Object:
    """A character like three.js' Soldier: Mixamo's names, in centimetres, y up, with its back to Blender's front."""
    armature = make_tree("Soldier", _MIXAMO, 5.0, "across")
    armature.data.transform(Matrix.Rotation(np.pi, 4, "Z"))
    armature.data.transform(Matrix.Rotation(-np.pi / 2, 4, "X"))
    armature.data.transform(Matrix.Scale(100.0, 4))
    armature.rotation_euler, armature.scale = (np.pi / 2, 0.0, 0.0), (0.01, 0.01, 0.01)
    bpy.context.view_layer.update()
    return armature


RIGS: dict[str, Callable[[], bpy.types.Object]] = {
    "Mixamo through Sketchfab": lambda: suffixed(make_tree("Sketchfab", _MIXAMO, 5.0, "across"), "_{:02d}"),
    "Half-Life's Biped through Sketchfab": lambda: suffixed(make_tree("Valve", _VALVE, 20.0, "across"), "_{:03d}"),
    "Mixamo, copied bones": lambda: suffixed(make_tree("copy", _MIXAMO, 5.0, "along"), ".001"),
    "RobotExpressive": lambda: make_tree("RobotExpressive", _ROBOT, 60.0, "along"),
    "gamer_person4 (IK)": gamer,
    "Soldier": soldier,
    "Rigify before 2.8": lambda: make_tree("old Rigify", _OLD_RIGIFY, 20.0, "along"),
}
"""Makes each rig in the current scene."""


def main() -> None:
    """Print a table of how well the sample's motion is given to `RIGS`, as Blender evaluates them."""
    body, motion = Body.load(registry.body_path()), Motion.load(SAMPLE)
    print(
        "| rig | recognised as | bones known / guessed | limbs, ° mean / max | sliding with held feet, mm/frame"
        " | limbs with held feet, ° mean / max |"
    )
    print("|---|---|---:|---:|---:|---:|")
    for name, make in RIGS.items():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        source = build_scene([motion], body, None, BARE).characters[0].armature
        target = make()
        own, mapping = recognise(read_rig(source)), recognise(read_rig(target))
        bones = [mapping.confidence[slot] >= SURE for slot, names in mapping.bones.items() for _ in names]
        angles = []
        frames = np.empty(0)
        for hold in (False, True):
            frames = retarget(source, target, mapping, RetargetOptions(hold_feet=hold)).frames
            before, after = evaluate(source, own, frames), evaluate(target, mapping, frames)
            angles.append(limb_angles(before, after))
        slides = sliding(after, standing_spans(before, frames / bpy.context.scene.render.fps))
        limbs = [f"{one.mean():.2f} / {one.max():.2f}" for one in angles]
        print(
            f"| {name} | {mapping.family} | {sum(bones)} / {len(bones) - sum(bones)}"
            f" | {limbs[0]} | {slides:.2f} | {limbs[1]} |",
            flush=True,
        )
