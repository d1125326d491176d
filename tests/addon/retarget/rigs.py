"""Rigs with the names, hierarchy and rest axes of families of which none is at hand, on one human's joints.

A rig is a tree in text, a bone a line: its name, a bar and the joint where it begins, or two joints and the share of
the way between them. ``<L,R>`` stands for the side; such bones and all below them are made for both. A line ``fingers``
makes five of some bones each: their names, the pattern of a bone, what numbers it has, and the pattern of a metacarpal.
"""

from __future__ import annotations

import re

import bpy
import numpy as np
from video_motion.addon.research import retargeting as benchmark
from video_motion.addon.retarget.bones import FINGERS

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
}
_LENGTHS = {"thumb": 0.035, "index": 0.033, "middle": 0.036, "ring": 0.033, "pinky": 0.026}
for _place, _finger in enumerate(FINGERS):
    _root = np.array((0.715, -0.025, 1.405) if _finger == "thumb" else (0.785, 0.045 * 0.5 * (_place - 2.3), 1.42))
    _way = np.array((0.7, -0.6, -0.3) if _finger == "thumb" else (1.0, 0.06 * (_place - 2), -0.1))
    JOINTS[f"{_finger}0"] = (0.705, 0.01 * (_place - 1.5), 1.42)
    for _step in range(4):
        JOINTS[f"{_finger}{_step + 1}"] = tuple(_root + _step * _LENGTHS[_finger] * _way / np.linalg.norm(_way))
_ARM = ("upper_arm", "forearm", "hand", *FINGERS)

TREES = {
    "VRoid": """
Root | ground
  J_Bip_C_Hips | hips
    J_Bip_C_Spine | hips neck 0.15
      J_Bip_C_Chest | hips neck 0.4
        J_Sec_<L,R>_Bust1 | hips neck 0.6
        J_Bip_C_UpperChest | hips neck 0.65
          J_Bip_C_Neck | neck
            J_Bip_C_Head | head
              J_Sec_Hair1_01 | crown
          J_Bip_<L,R>_Shoulder | clavicle
            J_Bip_<L,R>_UpperArm | upper_arm
              J_Bip_<L,R>_LowerArm | forearm
                J_Bip_<L,R>_Hand | hand
                  fingers Thumb Index Middle Ring Little | J_Bip_<L,R>_@# | 1 2 3
    J_Bip_<L,R>_UpperLeg | thigh
      J_Bip_<L,R>_LowerLeg | shin
        J_Bip_<L,R>_Foot | foot
          J_Bip_<L,R>_ToeBase | toe
""",
    "Biped": """
Bip01 | hips
  Bip01 Footsteps | ground
  Bip01 Pelvis | hips
    Bip01 Spine | hips neck 0.1
      Bip01 <L,R> Thigh | thigh
        Bip01 <L,R> Calf | shin
          Bip01 <L,R> Foot | foot
            Bip01 <L,R> Toe0 | toe
              Bip01 <L,R> Toe0Nub | tip
        Bip01 <L,R>ThighTwist | thigh shin 0.5
      Bip01 Spine1 | hips neck 0.4
        Bip01 Spine2 | hips neck 0.7
          Bip01 Neck | neck
            Bip01 Head | head
              Bip01 HeadNub | crown
            Bip01 <L,R> Clavicle | clavicle
              Bip01 <L,R> UpperArm | upper_arm
                Bip01 <L,R>UpArmTwist | upper_arm forearm 0.5
                Bip01 <L,R> Forearm | forearm
                  Bip01 <L,R> ForeTwist | forearm hand 0.5
                  Bip01 <L,R> Hand | hand
                    fingers 0 1 2 3 4 | Bip01 <L,R> Finger@# | - 1 2
""",
    "Daz Genesis 8": """
Genesis8Female | ground
  hip | hips
    pelvis | hips
      <l,r>ThighBend | thigh
        <l,r>ThighTwist | thigh shin 0.5
          <l,r>Shin | shin
            <l,r>Foot | foot
              <l,r>Metatarsals | foot toe 0.4
                <l,r>Toe | toe
                  <l,r>BigToe | tip
              <l,r>Heel | foot
    abdomenLower | hips neck 0.1
      abdomenUpper | hips neck 0.3
        chestLower | hips neck 0.5
          <l,r>Pectoral | hips neck 0.6
          chestUpper | hips neck 0.7
            <l,r>Collar | clavicle
              <l,r>ShldrBend | upper_arm
                <l,r>ShldrTwist | upper_arm forearm 0.5
                  <l,r>ForearmBend | forearm
                    <l,r>ForearmTwist | forearm hand 0.5
                      <l,r>Hand | hand
                        fingers Thumb Index Mid Ring Pinky | <l,r>@# | 1 2 3 | <l,r>Carpal#
            neckLower | neck
              neckUpper | neck head 0.5
                head | head
""",
    "Daz Genesis 9": """
Genesis9 | ground
  hip | hips
    pelvis | hips
      <l,r>_thigh | thigh
        <l,r>_thightwist1 | thigh shin 0.3
        <l,r>_thightwist2 | thigh shin 0.6
        <l,r>_shin | shin
          <l,r>_foot | foot
            <l,r>_metatarsal | foot toe 0.4
              <l,r>_toes | toe
                <l,r>_bigtoe1 | tip
    spine1 | hips neck 0.1
      spine2 | hips neck 0.3
        spine3 | hips neck 0.5
          spine4 | hips neck 0.7
            <l,r>_shoulder | clavicle
              <l,r>_upperarm | upper_arm
                <l,r>_upperarmtwist1 | upper_arm forearm 0.5
                <l,r>_forearm | forearm
                  <l,r>_forearmtwist1 | forearm hand 0.5
                  <l,r>_hand | hand
                    fingers thumb index mid ring pinky | <l,r>_@# | 1 2 3 | <l,r>_@metacarpal
            neck1 | neck
              neck2 | neck head 0.5
                head | head
""",
    "Character Creator": """
CC_Base_BoneRoot | ground
  CC_Base_Hip | hips
    CC_Base_Pelvis | hips
      CC_Base_<L,R>_Thigh | thigh
        CC_Base_<L,R>_ThighTwist01 | thigh
        CC_Base_<L,R>_ThighTwist02 | thigh shin 0.5
        CC_Base_<L,R>_Calf | shin
          CC_Base_<L,R>_KneeShareBone | shin
          CC_Base_<L,R>_CalfTwist01 | shin
          CC_Base_<L,R>_Foot | foot
            CC_Base_<L,R>_ToeBaseShareBone | toe
            CC_Base_<L,R>_ToeBase | toe
              CC_Base_<L,R>_BigToe1 | tip
    CC_Base_Waist | hips neck 0.1
      CC_Base_Spine01 | hips neck 0.35
        CC_Base_Spine02 | hips neck 0.65
          CC_Base_<L,R>_RibsTwist | hips neck 0.7
          CC_Base_NeckTwist01 | neck
            CC_Base_NeckTwist02 | neck head 0.5
              CC_Base_Head | head
                CC_Base_FacialBone | head
          CC_Base_<L,R>_Clavicle | clavicle
            CC_Base_<L,R>_Upperarm | upper_arm
              CC_Base_<L,R>_UpperarmTwist01 | upper_arm
              CC_Base_<L,R>_Forearm | forearm
                CC_Base_<L,R>_ElbowShareBone | forearm
                CC_Base_<L,R>_ForearmTwist01 | forearm
                CC_Base_<L,R>_Hand | hand
                  fingers Thumb Index Mid Ring Pinky | CC_Base_<L,R>_@# | 1 2 3
""",
    "Auto-Rig Pro": """
root | ground
  root.x | hips
    spine_01.x | hips neck 0.15
      spine_02.x | hips neck 0.4
        spine_03.x | hips neck 0.7
          neck.x | neck
            head.x | head
          shoulder.<l,r> | clavicle
            arm_stretch.<l,r> | upper_arm
              arm_twist.<l,r> | upper_arm
              forearm_stretch.<l,r> | forearm
                forearm_twist.<l,r> | forearm hand 0.5
                hand.<l,r> | hand
                  fingers thumb index middle ring pinky | c_@#.<l,r> | 1 2 3 | @1_base.<l,r>
    thigh_stretch.<l,r> | thigh
      thigh_twist.<l,r> | thigh
      leg_stretch.<l,r> | shin
        leg_twist.<l,r> | shin foot 0.5
        foot.<l,r> | foot
          toes_01.<l,r> | toe
""",
    "MetaHuman": """
root | ground
  pelvis | hips
    spine_01 | hips neck 0.05
      spine_02 | hips neck 0.15
        spine_03 | hips neck 0.3
          spine_04 | hips neck 0.5
            spine_05 | hips neck 0.75
              clavicle_<l,r> | clavicle
                clavicle_out_<l,r> | clavicle upper_arm 0.6
                upperarm_<l,r> | upper_arm
                  upperarm_twist_01_<l,r> | upper_arm forearm 0.3
                  upperarm_correctiveRoot_<l,r> | upper_arm
                  lowerarm_<l,r> | forearm
                    lowerarm_twist_01_<l,r> | forearm hand 0.6
                    hand_<l,r> | hand
                      fingers thumb index middle ring pinky | @_0#_<l,r> | 1 2 3 | @_metacarpal_<l,r>
                      wrist_inner_<l,r> | hand
              neck_01 | neck
                neck_02 | neck head 0.5
                  head | head
    thigh_<l,r> | thigh
      thigh_twist_01_<l,r> | thigh shin 0.5
      calf_<l,r> | shin
        calf_twist_01_<l,r> | shin foot 0.5
        foot_<l,r> | foot
          ball_<l,r> | toe
            bigtoe_01_<l,r> | tip
  ik_foot_root | ground
    ik_foot_<l,r> | foot
""",
    "HumanIK": """
Character1_Reference | ground
  Character1_Hips | hips
    Character1_<Left,Right>UpLeg | thigh
      Character1_<Left,Right>UpLegRoll | thigh shin 0.5
      Character1_<Left,Right>Leg | shin
        Character1_<Left,Right>Foot | foot
          Character1_<Left,Right>ToeBase | toe
    Character1_Spine | hips neck 0.15
      Character1_Spine1 | hips neck 0.4
        Character1_Spine2 | hips neck 0.7
          Character1_<Left,Right>Shoulder | clavicle
            Character1_<Left,Right>Arm | upper_arm
              Character1_<Left,Right>ArmRoll | upper_arm forearm 0.5
              Character1_<Left,Right>ForeArm | forearm
                Character1_<Left,Right>Hand | hand
                  fingers Thumb Index Middle Ring Pinky | Character1_<Left,Right>Hand@# | 1 2 3
          Character1_Neck | neck
            Character1_Head | head
""",
    "Perception Neuron": """
Hips | hips
  <Left,Right>UpLeg | thigh
    <Left,Right>Leg | shin
      <Left,Right>Foot | foot
  Spine | hips neck 0.1
    Spine1 | hips neck 0.3
      Spine2 | hips neck 0.5
        Spine3 | hips neck 0.7
          Neck | neck
            Head | head
          <Left,Right>Shoulder | clavicle
            <Left,Right>Arm | upper_arm
              <Left,Right>ForeArm | forearm
                <Left,Right>Hand | hand
                  fingers Thumb Index Middle Ring Pinky | <Left,Right>Hand@# | 1 2 3 | <Left,Right>InHand@
""",
    "Rokoko": """
Hips | hips
  Spine1 | hips neck 0.1
    Spine2 | hips neck 0.3
      Spine3 | hips neck 0.5
        Spine4 | hips neck 0.7
          <Left,Right>Shoulder | clavicle
            <Left,Right>Arm | upper_arm
              <Left,Right>ForeArm | forearm
                <Left,Right>Hand | hand
                  <Left,Right>Finger1Metacarpal | thumb1
                    <Left,Right>Finger1Proximal | thumb2
                      <Left,Right>Finger1Distal | thumb3
                        <Left,Right>Finger1Tip | thumb4
                  fingers - 2 3 4 5 | <Left,Right>Finger@# | Proximal Medial Distal | <Left,Right>Finger@Metacarpal
          Neck | neck
            Head | head
  <Left,Right>Thigh | thigh
    <Left,Right>Shin | shin
      <Left,Right>Foot | foot
        <Left,Right>Toe | toe
          <Left,Right>ToeTip | tip
""",
    "Xsens MVN": """
Reference | ground
  Pelvis | hips
    <Right,Left>UpperLeg | thigh
      <Right,Left>LowerLeg | shin
        <Right,Left>Foot | foot
          <Right,Left>Toe | toe
    L5 | hips neck 0.2
      L3 | hips neck 0.35
        T12 | hips neck 0.5
          T8 | hips neck 0.7
            Neck | neck
              Head | head
            <Right,Left>Shoulder | clavicle
              <Right,Left>UpperArm | upper_arm
                <Right,Left>ForeArm | forearm
                  <Right,Left>Hand | hand
""",
    "Xsens BVH": """
Hips | hips
  Chest | hips neck 0.2
    Chest2 | hips neck 0.35
      Chest3 | hips neck 0.5
        Chest4 | hips neck 0.7
          Neck | neck
            Head | head
          <Left,Right>Collar | clavicle
            <Left,Right>Shoulder | upper_arm
              <Left,Right>Elbow | forearm
                <Left,Right>Wrist | hand
  <Left,Right>Hip | thigh
    <Left,Right>Knee | shin
      <Left,Right>Ankle | foot
        <Left,Right>Toe | toe
""",
    "CMU, cgspeed for MotionBuilder": """
Hips | hips
  <L,R>HipJoint | hips
    <Left,Right>UpLeg | thigh
      <Left,Right>Leg | shin
        <Left,Right>Foot | foot
          <Left,Right>ToeBase | toe
  LowerBack | hips
    Spine | hips neck 0.4
      Spine1 | hips neck 0.9
        Neck | hips neck 0.9
          Neck1 | neck
            Head | head
        <Left,Right>Shoulder | hips neck 0.9
          <Left,Right>Arm | upper_arm
            <Left,Right>ForeArm | forearm
              <Left,Right>Hand | hand
                <Left,Right>FingerBase | hand
                  <Left,Right>HandIndex1 | index1
                <L,R>Thumb | hand
""",
    "CMU, cgspeed for 3ds Max": """
Hips | hips
  <Left,Right>Hip | thigh
    <Left,Right>Knee | shin
      <Left,Right>Ankle | foot
        <Left,Right>Toe | toe
  Chest | hips neck 0.3
    Chest2 | hips neck 0.6
      <Left,Right>Collar | clavicle
        <Left,Right>Shoulder | upper_arm
          <Left,Right>Elbow | forearm
            <Left,Right>Wrist | hand
      Neck | neck
        Head | head
""",
    "CMU, cgspeed for Daz": """
hip | hips
  abdomen | hips neck 0.2
    chest | hips neck 0.5
      neck | neck
        head | head
          <left,right>Eye | crown
      <r,l>Collar | clavicle
        <r,l>Shldr | upper_arm
          <r,l>ForeArm | forearm
            <r,l>Hand | hand
              fingers Thumb Index Mid Ring Pinky | <r,l>@# | 1 2
  <r,l>Buttock | hips thigh 0.9
    <r,l>Thigh | thigh
      <r,l>Shin | shin
        <r,l>Foot | foot
""",
}
TREES["Biped BVH"] = TREES["Biped"].replace("Bip01 ", "Bip01_").replace("R> ", "R>_").replace("_| hips", " | hips")
TREES["Biped, second character"] = TREES["Biped"].replace("Bip01", "Bip002")

AXES = {
    "VRoid": "world",
    "Biped": "across",
    "Biped, second character": "across",
    "Daz Genesis 8": "along",
    "MetaHuman": "across",
    "Character Creator": "along",
}
"""How the bones of a family lie: along to the next joint, across, or all as the world's axes."""

LOWERED = {"Daz Genesis 8": 30.0, "Character Creator": 30.0, "MetaHuman": 50.0, "VRoid": 0.0, "Xsens MVN": 85.0}
"""How far the arms hang down at rest, degrees."""


def make_family(name: str) -> bpy.types.Object:
    """Make the armature of a family of `TREES` in the current scene."""
    places, parents = layout(TREES[name], LOWERED.get(name, 10.0))
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
        axes = AXES.get(name, "world")
        if axes == "across":
            way = np.cross(way, (0.3, 0.2, 1.0))
        elif axes == "world":
            way = np.array((0.0, 0.0, np.linalg.norm(way)))
        bones[bone] = (tuple(head), tuple(head + way), 0.4 if axes == "across" else 0.0)
    return benchmark.make_armature(name, bones, parents)


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
