"""Which bone is recognised as what, by name and by structure."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.retarget import benchmark
from video_motion.addon.retarget.bones import PAIRED, SIDES, SLOTS, RetargetError, read_rig
from video_motion.addon.retarget.mapping import Mapping
from video_motion.addon.retarget.recognise import recognise
from video_motion.addon.retarget.structure import guess_bones

LIMBS = tuple(f"{side}_{part}" for side in SIDES for part in PAIRED)

# What people's rigs call hips, three spine bones, neck and head, and then the parts of a side.
NAMES = {
    "Mixamo without prefix": (
        "Hips Spine Spine1 Spine2 Neck Head",
        "Left Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
    ),
    "Mixamo, second character": (
        "mixamorig1:Hips mixamorig1:Spine mixamorig1:Spine1 mixamorig1:Spine2 mixamorig1:Neck mixamorig1:Head",
        "mixamorig1:Left mixamorig1:Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
    ),
    "HumanIK": (
        "Character1_Hips Character1_Spine Character1_Spine1 Character1_Spine2 Character1_Neck Character1_Head",
        "Character1_Left Character1_Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
    ),
    "Unreal": (
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "_l _r",
        "clavicle{} upperarm{} lowerarm{} hand{} thigh{} calf{} foot{} ball{}",
    ),
    "namespace": (
        "Hero|pelvis Hero|spine_01 Hero|spine_02 Hero|spine_03 Hero|neck_01 Hero|head",
        "_l _r",
        "Hero|clavicle{} Hero|upperarm{} Hero|lowerarm{} Hero|hand{} Hero|thigh{} Hero|calf{} Hero|foot{} Hero|ball{}",
    ),
    "VRoid": (
        "J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head",
        "_L_ _R_",
        "J_Bip{}Shoulder J_Bip{}UpperArm J_Bip{}LowerArm J_Bip{}Hand J_Bip{}UpperLeg J_Bip{}LowerLeg J_Bip{}Foot"
        " J_Bip{}ToeBase",
    ),
    "VRM": (
        "hips spine chest upperChest neck head",
        "left right",
        "{}Shoulder {}UpperArm {}LowerArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toes",
    ),
    "Biped": (
        "Bip001_Pelvis Bip001_Spine Bip001_Spine1 Bip001_Spine2 Bip001_Neck Bip001_Head",
        "Bip001_L_ Bip001_R_",
        "{}Clavicle {}UpperArm {}Forearm {}Hand {}Thigh {}Calf {}Foot {}Toe0",
    ),
    "Biped with spaces": (
        "Bip01+Pelvis Bip01+Spine Bip01+Spine1 Bip01+Spine2 Bip01+Neck Bip01+Head",
        "Bip01+L+ Bip01+R+",
        "{}Clavicle {}UpperArm {}Forearm {}Hand {}Thigh {}Calf {}Foot {}Toe0",
    ),
    "Daz Genesis 8": (
        "pelvis abdomenLower chestLower chestUpper neckLower head",
        "l r",
        "{}Collar {}ShldrBend {}ForearmBend {}Hand {}ThighBend {}Shin {}Foot {}Toe",
    ),
    "Daz Genesis 9": (
        "pelvis spine1 spine2 spine3 neck1 head",
        "l_ r_",
        "{}shoulder {}upperarm {}forearm {}hand {}thigh {}shin {}foot {}toes",
    ),
    "Auto-Rig Pro": (
        "root.x spine_01.x spine_02.x spine_03.x neck.x head.x",
        ".l .r",
        "shoulder{} arm_stretch{} forearm_stretch{} hand{} thigh_stretch{} leg_stretch{} foot{} toes_01{}",
    ),
    "Character Creator": (
        "CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02 CC_Base_NeckTwist01 CC_Base_Head",
        "CC_Base_L_ CC_Base_R_",
        "{}Clavicle {}Upperarm {}Forearm {}Hand {}Thigh {}Calf {}Foot {}ToeBase",
    ),
    "Rigify deform": (
        "DEF-spine DEF-spine.001 DEF-spine.002 DEF-spine.003 DEF-spine.004 DEF-spine.006",
        ".L .R",
        "DEF-shoulder{} DEF-upper_arm{} DEF-forearm{} DEF-hand{} DEF-thigh{} DEF-shin{} DEF-foot{} DEF-toe{}",
    ),
    "SMPL-X": (
        "pelvis spine1 spine2 spine3 neck head",
        "left_ right_",
        "{}collar {}shoulder {}elbow {}wrist {}hip {}knee {}ankle {}foot",
    ),
    "BVH": (
        "Hip Abdomen Chest Chest2 Neck Head",
        "l r",
        "{}Collar {}Shldr {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
    ),
}


def renamed(rig, names):
    """The rig with the bones of the game engine's rig renamed, by name."""
    return replace(rig, names=tuple(names.get(name, name) for name in rig.names))


@pytest.fixture
def game(make_rig):
    rig = read_rig(make_rig("game_engine"))
    return rig, recognise(rig)


@pytest.mark.parametrize("kind", list(NAMES))
def test_names_of_many_families(game, kind):
    rig, mapping = game
    central, sides, parts = (text.split() for text in NAMES[kind])
    wanted = {"hips": central[0], "head": central[5]}
    names = {mapping.bones["hips"][0]: central[0], mapping.bones["head"][0]: central[5]}
    names |= dict(zip(mapping.bones["spine"], central[1:4], strict=True)) | {mapping.bones["neck"][0]: central[4]}
    for number, side in enumerate(SIDES):
        for part, pattern in zip(PAIRED, parts, strict=True):
            wanted[f"{side}_{part}"] = pattern.format(sides[number])
            names[mapping.bones[f"{side}_{part}"][0]] = wanted[f"{side}_{part}"]
    names = {old: new.replace("+", " ") for old, new in names.items()}
    found = recognise(renamed(rig, names))
    assert {slot: found.bones[slot][0] for slot in wanted} == {slot: n.replace("+", " ") for slot, n in wanted.items()}
    assert found.bones["spine"] == tuple(name.replace("+", " ") for name in central[1:4])
    assert min(found.confidence.values()) >= 0.9
    assert found.family


@pytest.mark.parametrize("name", list(benchmark.MAKEHUMAN_RIGS))
@pytest.mark.parametrize("turned", [False, True])
def test_structure_alone(make_rig, name, turned):
    armature = make_rig(name)
    if turned:
        armature.rotation_euler = (np.pi / 2, 0.0, 0.7)
        bpy.context.view_layer.update()
    rig = read_rig(armature)
    named = recognise(rig)
    numbers = {bone: f"b{index}" for index, bone in enumerate(rig.names)}
    found = recognise(renamed(rig, numbers))
    assert found.family == ""
    wrong = [
        slot for slot in ("hips", *LIMBS) if found.bones.get(slot) != tuple(numbers[bone] for bone in named.bones[slot])
    ]
    assert wrong == []
    assert all(confidence < 1.0 for confidence in found.confidence.values())


def test_structure_of_smpl(take):
    rig = read_rig(take(0, 2))
    named = recognise(rig)
    found = guess_bones(rig)
    assert named.family.startswith("SMPL")
    assert {slot: found.bones[slot] for slot in ("hips", "spine", "neck", "head")} == {
        slot: named.bones[slot] for slot in ("hips", "spine", "neck", "head")
    }
    assert [slot for slot in LIMBS if found.bones[slot] != named.bones[slot]] == []


def test_metarig_and_control_rig(control_rig):
    assert recognise(read_rig(benchmark.rigify_metarig())).family == "Rigify human metarig"
    found = recognise(read_rig(control_rig))
    assert found.family == "Rigify control rig"
    assert found.bones["left_thigh"] == ("thigh_fk.L",)
    assert set(found.bones) == set(SLOTS)


def test_a_box_is_nobody():
    data = bpy.data.armatures.new("box")
    armature = bpy.data.objects.new("box", data)
    assert recognise(read_rig(armature)).bones == {}


def test_mapping_is_kept_in_a_file(game, tmp_path):
    rig, mapping = game
    mapping.put("left_toe")
    mapping.put("neck", "neck_01")
    mapping.switches = {"pelvis": {"IK_FK": 1.0}}
    path = tmp_path / "Mein Rig.json"
    mapping.save(path)
    assert Mapping.load(path) == mapping
    assert mapping.unmirrored(rig) == ["toe"]
    mapping.mirror(rig, "right")
    assert mapping.bones["left_toe"] == ("ball_l",)
    assert mapping.unmirrored(rig) == []


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "video-motion bone mapping", "version": 1, "bones": 3}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RetargetError, match=r"x\.json is no bone mapping"):
        Mapping.load(path)
    with pytest.raises(RetargetError, match="can't be read"):
        Mapping.load(tmp_path / "none.json")


def test_mistakes_in_a_mapping_are_named(game):
    rig, mapping = game
    mapping.put("left_hand", "nobody")
    with pytest.raises(RetargetError, match="no bone nobody"):
        mapping.indices(rig)
    mapping.put("left_hand", "hand_r")
    with pytest.raises(RetargetError, match="at once"):
        mapping.indices(rig)
    mapping.put("left_hand")
    mapping.put("left_thigh")
    with pytest.raises(RetargetError, match="left thigh"):
        mapping.indices(rig)
