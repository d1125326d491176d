"""Which bone is recognised as what, by name and by structure."""

from __future__ import annotations

import json
from dataclasses import replace

import bpy
import numpy as np
import pytest
from video_motion.addon.research import retargeting as benchmark
from video_motion.addon.retarget.bones import (
    BODY_SLOTS,
    FINGER_SLOTS,
    FINGERS,
    LIMBS,
    SIDES,
    SLOTS,
    RetargetError,
    read_rig,
)
from video_motion.addon.retarget.mapping import BoneMapping
from video_motion.addon.retarget.recognise import recognise
from video_motion.addon.retarget.structure import find_bones

from . import rigs

# What people's rigs call hips, spine, neck, head, the two sides, the parts of a side, and fingers: their names, a bone,
# and what numbers it has. A plus is a space.
NAMES: dict[str, tuple[str, ...]] = {
    "Mixamo without prefix": (
        "Hips;Spine Spine1 Spine2;Neck;Head;Left Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
        "Thumb Index Middle Ring Pinky;{}Hand@#;1 2 3",
    ),
    "Mixamo, second character": (
        "mixamorig1:Hips;mixamorig1:Spine mixamorig1:Spine1 mixamorig1:Spine2;mixamorig1:Neck;mixamorig1:Head"
        ";mixamorig1:Left mixamorig1:Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
        "Thumb Index Middle Ring Pinky;{}Hand@#;1 2 3",
    ),
    "Unreal": (
        "pelvis;spine_01 spine_02 spine_03;neck_01;head;_l _r",
        "clavicle{} upperarm{} lowerarm{} hand{} thigh{} calf{} foot{} ball{}",
        "thumb index middle ring pinky;@_#{};01 02 03",
    ),
    "namespace": (
        "Hero|pelvis;Hero|spine_01 Hero|spine_02 Hero|spine_03;Hero|neck_01;Hero|head;_l _r",
        "Hero|clavicle{} Hero|upperarm{} Hero|lowerarm{} Hero|hand{} Hero|thigh{} Hero|calf{} Hero|foot{} Hero|ball{}",
        "thumb index middle ring pinky;Hero|@_#{};01 02 03",
    ),
    "Unity humanoid, VRM 0": (
        "hips;spine chest upperChest;neck;head;left right",
        "{}Shoulder {}UpperArm {}LowerArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toes",
        "Thumb Index Middle Ring Little;{}@#;Proximal Intermediate Distal",
    ),
    "Rigify deform": (
        "DEF-spine;DEF-spine.001 DEF-spine.002 DEF-spine.003;DEF-spine.004;DEF-spine.006;.L .R",
        "DEF-shoulder{} DEF-upper_arm{} DEF-forearm{} DEF-hand{} DEF-thigh{} DEF-shin{} DEF-foot{} DEF-toe{}",
        "thumb f_index f_middle f_ring f_pinky;DEF-@.#{};01 02 03",
    ),
    "SMPL-X": (
        "pelvis;spine1 spine2 spine3;neck;head;left_ right_",
        "{}collar {}shoulder {}elbow {}wrist {}hip {}knee {}ankle {}foot",
        "thumb index middle ring pinky;{}@#;1 2 3",
    ),
    "Genesis 2": (
        "hip;abdomen abdomen2 chest;neck;head;l r",
        "{}Collar {}Shldr {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
        "Thumb Index Mid Ring Pinky;{}@#;1 2 3",
    ),
    "MakeHuman, exported": (
        "root;spine05 spine03 spine01;neck01;head;_L _R",
        "clavicle{} upperarm01{} lowerarm01{} wrist{} upperleg01{} lowerleg01{} foot{} toe1-1{}",
        "1 2 3 4 5;finger@-#{};1 2 3",
    ),
    "Half-Life's Biped": (
        "ValveBiped.Bip01_Pelvis;ValveBiped.Bip01_Spine ValveBiped.Bip01_Spine1 ValveBiped.Bip01_Spine2"
        ";ValveBiped.Bip01_Neck1;ValveBiped.Bip01_Head1;L R",
        "ValveBiped.Bip01_{}_Clavicle ValveBiped.Bip01_{}_UpperArm ValveBiped.Bip01_{}_Forearm ValveBiped.Bip01_{}_Hand"
        " ValveBiped.Bip01_{}_Thigh ValveBiped.Bip01_{}_Calf ValveBiped.Bip01_{}_Foot ValveBiped.Bip01_{}_Toe0",
        "0 1 2 3 4;ValveBiped.Bip01_{}_Finger@#;- 1 2",
    ),
    # The families of `rigs`.
    "VRoid": (
        "J_Bip_C_Hips;J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest;J_Bip_C_Neck;J_Bip_C_Head;L R",
        "J_Bip_{}_Shoulder J_Bip_{}_UpperArm J_Bip_{}_LowerArm J_Bip_{}_Hand J_Bip_{}_UpperLeg J_Bip_{}_LowerLeg"
        " J_Bip_{}_Foot J_Bip_{}_ToeBase",
        "Thumb Index Middle Ring Little;J_Bip_{}_@#;1 2 3",
    ),
    "Biped": (
        "Bip01+Pelvis;Bip01+Spine1 Bip01+Spine2;Bip01+Neck;Bip01+Head;L R",
        "Bip01+{}+Clavicle Bip01+{}+UpperArm Bip01+{}+Forearm Bip01+{}+Hand Bip01+{}+Thigh Bip01+{}+Calf Bip01+{}+Foot"
        " Bip01+{}+Toe0",
        "0 1 2 3 4;Bip01+{}+Finger@#;- 1 2",
    ),
    "Daz Genesis 8": (
        "hip;abdomenLower abdomenUpper chestLower chestUpper;neckLower neckUpper;head;l r",
        "{}Collar {}ShldrBend {}ForearmBend {}Hand {}ThighBend {}Shin {}Foot {}Toe",
        "Thumb Index Mid Ring Pinky;{}@#;1 2 3",
    ),
    "Daz Genesis 9": (
        "hip;spine1 spine2 spine3 spine4;neck1 neck2;head;l_ r_",
        "{}shoulder {}upperarm {}forearm {}hand {}thigh {}shin {}foot {}toes",
        "thumb index mid ring pinky;{}@#;1 2 3",
    ),
    "Character Creator": (
        "CC_Base_Hip;CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02;CC_Base_NeckTwist01 CC_Base_NeckTwist02"
        ";CC_Base_Head;L R",
        "CC_Base_{}_Clavicle CC_Base_{}_Upperarm CC_Base_{}_Forearm CC_Base_{}_Hand CC_Base_{}_Thigh CC_Base_{}_Calf"
        " CC_Base_{}_Foot CC_Base_{}_ToeBase",
        "Thumb Index Mid Ring Pinky;CC_Base_{}_@#;1 2 3",
    ),
    "Auto-Rig Pro": (
        "root.x;spine_01.x spine_02.x spine_03.x;neck.x;head.x;.l .r",
        "shoulder{} arm_stretch{} forearm_stretch{} hand{} thigh_stretch{} leg_stretch{} foot{} toes_01{}",
        "thumb index middle ring pinky;c_@#{};1 2 3",
    ),
    "MetaHuman": (
        "pelvis;spine_01 spine_02 spine_03 spine_04 spine_05;neck_01 neck_02;head;_l _r",
        "clavicle{} upperarm{} lowerarm{} hand{} thigh{} calf{} foot{} ball{}",
        "thumb index middle ring pinky;@_#{};01 02 03",
    ),
    "HumanIK": (
        "Character1_Hips;Character1_Spine Character1_Spine1 Character1_Spine2;Character1_Neck;Character1_Head"
        ";Left Right",
        "Character1_{}Shoulder Character1_{}Arm Character1_{}ForeArm Character1_{}Hand Character1_{}UpLeg"
        " Character1_{}Leg Character1_{}Foot Character1_{}ToeBase",
        "Thumb Index Middle Ring Pinky;Character1_{}Hand@#;1 2 3",
    ),
    "Perception Neuron": (
        "Hips;Spine Spine1 Spine2 Spine3;Neck;Head;Left Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot",
        "Thumb Index Middle Ring Pinky;{}Hand@#;1 2 3",
    ),
    "Rokoko": (
        "Hips;Spine1 Spine2 Spine3 Spine4;Neck;Head;Left Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
        "- 2 3 4 5;{}Finger@#;Proximal Medial Distal",
    ),
    "Xsens MVN": (
        "Pelvis;L5 L3 T12 T8;Neck;Head;Left Right",
        "{}Shoulder {}UpperArm {}ForeArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toe",
        "",
    ),
    "Xsens BVH": (
        "Hips;Chest Chest2 Chest3 Chest4;Neck;Head;Left Right",
        "{}Collar {}Shoulder {}Elbow {}Wrist {}Hip {}Knee {}Ankle {}Toe",
        "",
    ),
    "CMU, cgspeed for MotionBuilder": (
        "Hips;LowerBack Spine Spine1;Neck Neck1;Head;Left Right",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
        "- Index - - -;{}Hand@#;1",
    ),
    "CMU, cgspeed for 3ds Max": (
        "Hips;Chest Chest2;Neck;Head;Left Right",
        "{}Collar {}Shoulder {}Elbow {}Wrist {}Hip {}Knee {}Ankle {}Toe",
        "",
    ),
    "CMU, cgspeed for Daz": (
        "hip;abdomen chest;neck;head;l r",
        "{}Collar {}Shldr {}ForeArm {}Hand {}Thigh {}Shin {}Foot",
        "Thumb Index Mid Ring Pinky;{}@#;1 2",
    ),
}
for own, other in (("Biped BVH", "Bip01_"), ("Biped, second character", "Bip002+")):
    NAMES[own] = tuple(
        text.replace("Bip01+", other).replace("{}+", "{}_" if other[-1] == "_" else "{}+") for text in NAMES["Biped"]
    )
# Thumbs of their own.
THUMBS = {
    "Rokoko": "{}Finger1Metacarpal {}Finger1Proximal {}Finger1Distal",
    "CMU, cgspeed for MotionBuilder": "{}Thumb",
}


def wanted(kind):
    """By slot the bones of a kind of rig."""
    central, limbs, fingers = NAMES[kind]
    *middle, sides = (text.split() for text in central.split(";"))
    found = dict(zip(("hips", "spine", "neck", "head"), map(tuple, middle), strict=True))
    for side, own in zip(SIDES, sides, strict=True):
        found |= {f"{side}_{part}": (one.format(own),) for part, one in zip(LIMBS, limbs.split(), strict=False)}
        if fingers:
            names, pattern, numbers = fingers.split(";")
            for finger, name in zip(FINGERS, names.split(), strict=True):
                if name != "-":
                    bones = (pattern.replace("@", name).replace("#", one.strip("-")) for one in numbers.split())
                    found[f"{side}_{finger}"] = tuple(bone.format(own) for bone in bones)
        if kind in THUMBS:
            found[f"{side}_thumb"] = tuple(
                bone.format(own[0] if kind.startswith("CMU") else own) for bone in THUMBS[kind].split()
            )
    return {slot: tuple(name.replace("+", " ") for name in names) for slot, names in found.items()}


def renamed(rig, names):
    """The rig with the bones of the game engine's rig renamed, by name."""
    return replace(rig, names=tuple(names.get(name, name) for name in rig.names))


@pytest.fixture
def game(make_rig):
    rig = read_rig(make_rig("game_engine"))
    return rig, recognise(rig)


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in rigs.TREES])
def test_names_of_many_families(game, kind):
    rig, mapping = game
    expected = wanted(kind)
    names = {old: new for slot, bones in mapping.bones.items() for old, new in zip(bones, expected[slot], strict=True)}
    found = recognise(renamed(rig, names))
    assert found.bones == expected
    assert min(found.confidence.values()) >= 0.9
    assert found.family


@pytest.mark.parametrize("kind", list(rigs.TREES))
def test_rigs_built_like_many_families(kind):
    found = recognise(read_rig(rigs.make_family(kind)))
    assert found.bones == wanted(kind)
    assert min(found.confidence.values()) >= 0.9
    assert found.family


def test_both_names_of_thumbs_in_vrm(game):
    rig, mapping = game
    expected = wanted("Unity humanoid, VRM 0") | {
        f"{side}_thumb": tuple(f"{side}Thumb{bone}" for bone in ("Metacarpal", "Proximal", "Distal")) for side in SIDES
    }
    names = {old: new for slot, bones in mapping.bones.items() for old, new in zip(bones, expected[slot], strict=True)}
    assert recognise(renamed(rig, names)).bones == expected


def test_fingers_with_other_names_are_found_below_the_hands(game):
    rig, mapping = game
    fingers = {bone: f"bone{bone.upper()}" for slot in FINGER_SLOTS for bone in mapping.bones[slot]}
    found = recognise(renamed(rig, fingers))
    assert found.family == mapping.family
    assert found.bones == {slot: tuple(fingers.get(bone, bone) for bone in own) for slot, own in mapping.bones.items()}
    assert all(found.confidence[slot] < 0.9 for slot in FINGER_SLOTS)


@pytest.mark.parametrize("helpers", [False, True])
def test_fingers_are_not_needed(game, helpers):
    rig, mapping = game
    hands = [rig.number[mapping.bones[f"{side}_hand"][0]] for side in SIDES]
    below = {bone for hand in hands for bone in rig.descendants(hand)}
    if helpers:
        # Single bones below a hand, such as those for weapons and wrists.
        rig = renamed(rig, {rig.names[bone]: f"helper{bone}" for bone in below})
        below -= {bone for hand in hands for bone in rig.children[hand][:2]}
    keep = [bone for bone in range(len(rig.names)) if bone not in below]
    place = {bone: index for index, bone in enumerate(keep)}
    bare = replace(
        rig,
        names=tuple(rig.names[bone] for bone in keep),
        parents=np.array([place.get(int(rig.parents[bone]), -1) for bone in keep]),
        **{
            name: getattr(rig, name)[keep]
            for name in ("rest", "tails", "inherits_rotation", "local_location", "connected")
        },
    )
    found = recognise(bare)
    assert found.family == mapping.family
    assert found.bones == {slot: mapping.bones[slot] for slot in BODY_SLOTS}
    assert min(found.confidence.values()) == 1.0


# Names that structure can't know: which of the bones above legs and spine is called the hips. It takes the highest that
# begins there, so that what is bound to the others moves along.
UNKNOWABLE: dict[str, tuple[str, ...]] = dict.fromkeys(("Biped", "Biped BVH", "Biped, second character"), ("hips",))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", [*benchmark.MAKEHUMAN_RIGS, "metarig", *rigs.TREES])
def test_structure_gives_the_same_bones_as_names(make_rig, kind, turned):
    if kind in rigs.TREES:
        armature = rigs.make_family(kind)
    else:
        armature = benchmark.rigify_metarig() if kind == "metarig" else make_rig(kind)
    if turned:
        armature.rotation_euler = (np.pi / 2, 0.0, 0.7)
        bpy.context.view_layer.update()
    rig = read_rig(armature)
    named = recognise(rig)
    numbers = {bone: f"b{index}" for index, bone in enumerate(rig.names)}
    found = recognise(renamed(rig, numbers))
    assert found.family == ""
    wrong = {
        slot: (named.bones.get(slot), found.bones.get(slot))
        for slot in SLOTS
        if found.bones.get(slot, ()) != tuple(numbers[bone] for bone in named.bones.get(slot, ()))
    }
    assert tuple(wrong) == UNKNOWABLE.get(kind, ()), wrong
    if wrong:
        assert rig.number[named.bones["hips"][0]] in rig.descendants(int(found.bones["hips"][0][1:]))
    assert all(confidence < 1.0 for confidence in found.confidence.values())


def test_structure_of_smpl(take):
    rig = read_rig(take(0, 2))
    named = recognise(rig)
    assert named.family.startswith("SMPL")
    assert set(named.bones) == set(SLOTS)
    found = find_bones(rig).bones
    # SMPL's hand is a second wrist, which only its name tells.
    limbs = [slot for slot in BODY_SLOTS if not slot.endswith("hand")]
    assert [found[slot] for slot in limbs] == [named.bones[slot] for slot in limbs]


@pytest.mark.parametrize("backwards", [False, True])
def test_names_decide_left_and_right_where_feet_do_not(backwards):
    """Without toes and knees that bend, a body looks the same from the front and from behind."""
    rig = read_rig(rigs.make_family("Perception Neuron"))
    mapping = recognise(rig)
    letters = dict(zip("LR", "RL" if backwards else "LR", strict=True))
    names = {bone: f"{letters.get(bone[0], bone[0])}_{index}" for index, bone in enumerate(rig.names)}
    flat = rig.rest.copy()
    flat[:, 1, 3] = 0.0
    found = find_bones(replace(renamed(rig, names), rest=flat, tails=flat[:, :3, 3] + (0.0, 0.0, 0.03)))
    left, right = reversed(SIDES) if backwards else SIDES
    assert found.bones["left_foot"] == (names[mapping.bones[f"{left}_foot"][0]],)
    assert found.bones["right_hand"] == (names[mapping.bones[f"{right}_hand"][0]],)


def test_metarig_and_control_rig(control_rig):
    assert recognise(read_rig(benchmark.rigify_metarig())).family == "Rigify human metarig"
    found = recognise(read_rig(control_rig))
    assert found.family == "Rigify control rig"
    assert found.bones["left_thigh"] == ("thigh_fk.L",)
    assert set(found.bones) == set(SLOTS)
    assert found.bones["left_index"] == ("f_index.01.L", "f_index.02.L", "f_index.03.L")


def test_a_box_has_no_body():
    data = bpy.data.armatures.new("box")
    armature = bpy.data.objects.new("box", data)
    assert recognise(read_rig(armature)).bones == {}


def test_mapping_is_saved_and_loaded(game, tmp_path):
    rig, mapping = game
    mapping.put("left_toe")
    mapping.put("neck", "neck_01")
    mapping.switches = {"pelvis": {"IK_FK": 1.0}}
    path = tmp_path / "Mein Rig.json"
    mapping.save(path)
    assert BoneMapping.load(path) == mapping
    assert mapping.unmirrored(rig) == ["toe"]
    mapping.mirror(rig, "right")
    assert mapping.bones["left_toe"] == ("ball_l",)
    assert mapping.unmirrored(rig) == []


def test_fingers_are_mirrored_and_may_be_missing_in_a_file(game, tmp_path):
    rig, mapping = game
    path = tmp_path / "rig.json"
    mapping.put("left_index", "index_01_l")
    assert mapping.unmirrored(rig) == ["index"]
    mapping.mirror(rig, "right")
    assert mapping.bones["left_index"] == ("index_01_l", "index_02_l", "index_03_l")
    mapping.save(path)
    assert BoneMapping.load(path) == mapping
    old = json.loads(path.read_text())
    for part in ("bones", "confidence"):
        old[part] = {slot: value for slot, value in old[part].items() if slot in BODY_SLOTS}
    path.write_text(json.dumps(old))
    assert set(BoneMapping.load(path).indices(rig)) == set(BODY_SLOTS)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "video-motion bone mapping", "version": 1, "bones": 3}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RetargetError, match=r"x\.json is no bone mapping"):
        BoneMapping.load(path)
    with pytest.raises(RetargetError, match="can't be read"):
        BoneMapping.load(tmp_path / "none.json")


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
