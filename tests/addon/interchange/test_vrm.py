"""VRM characters as the two versions of the format have them, with names that say nothing, and files that lie."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from video_motion.addon.headless.rigs import retarget_take
from video_motion.addon.interchange import vrm
from video_motion.addon.research.export_accuracy import same_vertices
from video_motion.addon.retarget.bones import BODY_SLOTS, read_rig
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.inference.body.skeleton import JOINT_NAMES

from ..blender import bone_heads, go_to, vertices

HUMAN = {
    "pelvis": "hips",
    "spine1": "spine",
    "spine2": "chest",
    "spine3": "upperChest",
    "neck": "neck",
    "head": "head",
    **{
        f"{side}_{joint}": f"{side}{bone}"
        for side in ("left", "right")
        for joint, bone in (
            ("collar", "Shoulder"),
            ("shoulder", "UpperArm"),
            ("elbow", "LowerArm"),
            ("wrist", "Hand"),
            ("hip", "UpperLeg"),
            ("knee", "LowerLeg"),
            ("ankle", "Foot"),
            ("foot", "Toes"),
        )
    },
}
"""VRM's name of each joint that the fixture's characters have."""

BONES = tuple(HUMAN)
SPINE = ("spine1", "spine2", "spine3")


def unpacked(file: Path) -> tuple[dict, bytes]:
    raw = file.read_bytes()
    (size,) = struct.unpack_from("<I", raw, 12)
    return json.loads(raw[20 : 20 + size]), raw[20 + size :]


def packed(content: object, rest: bytes = b"") -> bytes:
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest


@pytest.fixture
def write_vrm(make_motion, body, tmp_path):
    """Write the body as a VRM of a version: with hair, and all bones called the same."""

    def write(version: int) -> Path:
        take = build_scene([make_motion(count=5, frame_rate=25.0)], replace(body, fingers=None))
        armature = take.characters[0].armature
        armature.animation_data_clear()
        for pose in armature.pose.bones:
            pose.matrix_basis = Matrix.Identity(4)
        bpy.context.view_layer.objects.active = armature
        bpy.ops.object.mode_set(mode="EDIT")
        bones = armature.data.edit_bones
        for number in range(3):
            hair = bones.new(f"hair {number}")
            hair.head, hair.tail = bones["head"].tail, bones["head"].tail - type(bones["head"].tail)((0, -0.1, 0.1))
            hair.parent = bones[f"hair {number - 1}" if number else "head"]
        bpy.ops.object.mode_set(mode="OBJECT")
        file = tmp_path / f"キャラ {version}.vrm"
        glb = tmp_path / "character.glb"
        for one in bpy.context.scene.objects:
            one.select_set(one in (armature, take.characters[0].mesh))
        bpy.ops.export_scene.gltf(filepath=str(glb), use_selection=True, export_animations=False, export_morph=False)
        content, rest = unpacked(glb)
        number = {node["name"]: index for index, node in enumerate(content["nodes"])}
        nodes = {bone: number[joint] for joint, bone in HUMAN.items()}
        if version == 0:
            # Characters of VRM 0 look along −z.
            (root,) = (content["nodes"][index] for index in content["scenes"][0]["nodes"])
            assert "rotation" not in root
            root["rotation"] = [0.0, 1.0, 0.0, 0.0]
            declared = [{"bone": bone, "node": node, "useDefaultValues": True} for bone, node in nodes.items()]
            content["extensions"] = {"VRM": {"specVersion": "0.0", "humanoid": {"humanBones": declared}}}
        else:
            declared = {bone: {"node": node} for bone, node in nodes.items()}
            content["extensions"] = {"VRMC_vrm": {"specVersion": "1.0", "humanoid": {"humanBones": declared}}}
        content.setdefault("extensionsUsed", []).extend(content["extensions"])
        for name in (*JOINT_NAMES, "hair 0", "hair 1", "hair 2"):
            content["nodes"][number[name]]["name"] = "ボーン"
        # One has no name at all.
        del content["nodes"][number["left_elbow"]]["name"]
        file.write_bytes(packed(content, rest))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        return file

    return write


def changed(file: Path, change) -> Path:
    """Another file whose JSON went through a function."""
    content, rest = unpacked(file)
    change(content)
    other = file.with_name("changed.vrm")
    other.write_bytes(packed(content, rest))
    return other


@pytest.mark.parametrize("version", [0, 1])
def test_the_file_declares_the_bones(write_vrm, version):
    imported = vrm.import_vrm(write_vrm(version))
    assert imported.warnings == []
    assert imported.mapping is not None
    assert set(imported.mapping.bones) == set(BODY_SLOTS)
    rig = read_rig(imported.armature)
    imported.mapping.indices(rig)
    assert len(imported.mapping.bones["spine"]) == 3
    heads = dict(zip(rig.names, rig.heads, strict=True))
    front = 1.0 if version == 0 else -1.0
    places = {slot: heads[names[0]] for slot, names in imported.mapping.bones.items()}
    assert places["left_hand"][0] * -front > 0.4
    assert places["left_toe"][1] * front > places["left_foot"][1] * front
    assert places["head"][2] > places["neck"][2] > places["hips"][2] > places["left_shin"][2]
    assert all(name.startswith(("ボーン", "Node_")) for name in rig.names)


@pytest.mark.parametrize("version", [0, 1])
def test_it_moves_as_the_person_does(write_vrm, make_motion, body, version):
    """The character has the person's own body, so that its joints come to lie where the person's are."""
    file = write_vrm(version)
    mapping = vrm.import_vrm(file).mapping
    assert mapping is not None
    motion = make_motion(count=5, frame_rate=25.0)
    take = build_scene([motion], body, options=SceneOptions(frame_rate=25.0))
    source = take.characters[0]
    (armature,), warnings = retarget_take(take, file, "walk", [motion])
    assert warnings == []
    mesh = next(one for one in bpy.data.objects if one.type == "MESH" and one.find_armature() == armature)
    bones = {joint: mapping.bones[vrm.PARTS[human]] for joint, human in HUMAN.items()}
    for frame in (1, 3, 5):
        graph = go_to(frame)
        truth = bone_heads(source.armature, graph)
        posed = armature.evaluated_get(graph)
        # The spine's three are one slot.
        names = [bones[joint][SPINE.index(joint) if joint in SPINE else 0] for joint in BONES]
        heads = np.array([posed.matrix_world @ posed.pose.bones[name].head for name in names])
        away = heads - truth[[JOINT_NAMES.index(joint) for joint in BONES]]
        assert np.linalg.norm(away, axis=-1).max() < 0.01
        # The skin hangs on the bones whatever they were called meanwhile; VRM's human has no such hands as SMPL's.
        skin, own = vertices(mesh, graph), vertices(source.mesh, graph)
        assert np.quantile(np.linalg.norm(skin - own[same_vertices(skin, own)], axis=-1), 0.8) < 0.002


@pytest.mark.parametrize("version", [0, 1])
def test_a_character_without_skin_has_its_bones(write_vrm, version):
    """Such as robots of rigid parts."""

    def remove_skin(content) -> None:
        del content["skins"]
        for node in content["nodes"]:
            node.pop("skin", None)

    imported = vrm.import_vrm(changed(write_vrm(version), remove_skin))
    assert imported.warnings == []
    assert imported.mapping is not None
    assert set(imported.mapping.bones) == set(BODY_SLOTS)
    rig = read_rig(imported.armature)
    places = {slot: rig.heads[rig.number[names[0]]] for slot, names in imported.mapping.bones.items()}
    assert places["head"][2] > places["hips"][2] + 0.4 > places["left_shin"][2] + 0.6
    assert any(one.type == "MESH" for one in bpy.data.objects)


@pytest.mark.parametrize("thumb", [("Proximal", "Intermediate", "Distal"), ("Metacarpal", "Proximal", "Distal")])
def test_fingers_go_from_the_palm_outwards(thumb):
    thumb_bones = [f"leftThumb{part}" for part in thumb]
    others = [f"rightLittle{part}" for part in ("Proximal", "Intermediate", "Distal")]
    nodes = [*HUMAN.values(), *reversed(thumb_bones), *others]
    listed = {"humanBones": [{"bone": bone, "node": index} for index, bone in enumerate(nodes)]}
    human, why = vrm.human_bones({"nodes": [{}] * len(nodes), "extensions": {"VRM": {"humanoid": listed}}})
    assert why == ""
    assert human == {bone: index for index, bone in enumerate(nodes)}
    mapping = vrm._mapping({bone: bone for bone in human})
    assert mapping.bones["left_thumb"] == tuple(thumb_bones)
    assert mapping.bones["right_pinky"] == tuple(others)


def test_unusable_declarations_fall_back_to_names(write_vrm):
    file = write_vrm(1)

    def humanoid(content):
        return content["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"]

    for change in (
        lambda content: content.pop("extensions"),
        lambda content: content.update(extensions=[1, 2]),
        lambda content: humanoid(content)["hips"].update(node=10**9),
        lambda content: humanoid(content)["hips"].update(node=-1),
        lambda content: humanoid(content)["hips"].update(node=True),
        lambda content: humanoid(content)["hips"].update(node="3"),
        lambda content: humanoid(content)["leftFoot"].update(node=humanoid(content)["hips"]["node"]),
        lambda content: content["extensions"]["VRMC_vrm"].update(humanoid={"humanBones": [None, 3, {"bone": []}]}),
        # A mesh is no bone.
        lambda content: humanoid(content)["hips"].update(
            node=next(index for index, node in enumerate(content["nodes"]) if "mesh" in node)
        ),
    ):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        imported = vrm.import_vrm(changed(file, change))
        assert imported.mapping is None
        (warning,) = imported.warnings
        assert "changed.vrm" in warning
        assert "names" in warning


def test_malformed_files_are_refused_with_a_sentence(write_vrm, tmp_path):
    good = write_vrm(0)
    raw = good.read_bytes()
    content, rest = unpacked(good)

    def with_nodes(change) -> bytes:
        other = json.loads(json.dumps(content))
        change(other["nodes"])
        return packed(other, rest)

    root = content["scenes"][0]["nodes"][0]
    bad = tmp_path / "bad.vrm"
    objects = len(bpy.data.objects)
    for data in (
        b"",
        b"glTF",
        b"VRM!" + raw[4:],
        raw[:4] + struct.pack("<I", 1) + raw[8:],
        raw[: len(raw) // 2],
        raw[:12] + struct.pack("<I", 0xFFFFFFFF) + raw[16:],
        raw[:16] + b"BIN\0" + raw[20:],
        raw[:20] + b"\xff" * 40 + raw[60:],
        packed([]),
        packed({}),
        b"".join((struct.pack("<4sIII4s", b"glTF", 2, 20 + 200_000, 200_000, b"JSON"), b"[" * 200_000)),
        with_nodes(lambda nodes: nodes.append({"children": [10**9]})),
        with_nodes(lambda nodes: nodes.append({"children": [root, root]})),
        with_nodes(lambda nodes: nodes[root].update(children="all")),
        with_nodes(lambda nodes: nodes.extend(({"children": [len(nodes) + 1]}, {"children": [len(nodes)]}))),
        with_nodes(lambda nodes: nodes[root].update(name=["x"])),
        with_nodes(lambda nodes: nodes[root].update(name="\ud800")),
        packed(content | {"buffers": [{"uri": str(good), "byteLength": 10}]}, rest),
        packed(content | {"images": [{"uri": "//server/share/picture.png"}]}, rest),
        packed({"asset": {"version": "2.0"}, "nodes": []}),
        packed({"asset": {"version": "9"}, "nodes": []}),
    ):
        bad.write_bytes(data)
        with pytest.raises(vrm.VrmError) as caught:
            vrm.import_vrm(bad)
        assert "bad.vrm" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "Traceback" not in str(caught.value)
        assert "Location" not in str(caught.value)
        assert len(bpy.data.objects) == objects, "nothing is left of it"
    with pytest.raises(vrm.VrmError, match="can't be read"):
        vrm.import_vrm(tmp_path / "none.vrm")


def test_importing_fills_in_the_panel(write_vrm, extension, tmp_path):
    file = write_vrm(1)
    assert bpy.ops.video_motion.import_vrm(filepath=str(file)) == {"FINISHED"}
    settings = bpy.context.scene.video_motion_retarget
    assert settings.target.type == "ARMATURE"
    assert settings.family == "VRM"
    assert {row.slot for row in settings.rows if row.bone} == set(BODY_SLOTS)
    with pytest.raises(RuntimeError, match="can't be read"):
        bpy.ops.video_motion.import_vrm(filepath=str(tmp_path / "none.vrm"))
