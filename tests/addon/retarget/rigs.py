"""Rigs with the names, hierarchy and rest axes of families of which none is at hand; see `retargeting_rigs`."""

from __future__ import annotations

import bpy
from video_motion.addon.research.retargeting_rigs import make_tree

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
    return make_tree(name, TREES[name], LOWERED.get(name, 10.0), AXES.get(name, "world"))
