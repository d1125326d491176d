"""The panel's operators on a rig with Mixamo's names."""

from __future__ import annotations

import json
from types import SimpleNamespace

import bpy
import pytest
import video_motion.addon
from mathutils import Euler, Quaternion
from video_motion.addon.retarget import panel, presets, preview
from video_motion.addon.retarget.bones import BODY_SLOTS, FINGER_SLOTS, FINGERS, SLOTS, read_rig
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.addon.takes.record import TAKE

from ..blender import go_to
from . import rigs

pytestmark = pytest.mark.interface

NAMES = {
    "pelvis": "Hips",
    "spine1": "Spine",
    "spine2": "Spine1",
    "spine3": "Spine2",
    "neck": "Neck",
    "head": "Head",
    **{
        f"{side}_{joint}": f"{side.capitalize()}{name}"
        for side in ("left", "right")
        for joint, name in (
            ("collar", "Shoulder"),
            ("shoulder", "Arm"),
            ("elbow", "ForeArm"),
            ("wrist", "Hand"),
            ("hip", "UpLeg"),
            ("knee", "Leg"),
            ("ankle", "Foot"),
            ("foot", "ToeBase"),
        )
    },
}


@pytest.fixture
def settings(make_motion, body):
    """A take as the source, and a second character with Mixamo's names as the target."""
    video_motion.addon.register()
    options = SceneOptions(frame_rate=30.0, camera=False, lights=False, floor=False)
    source = build_scene([make_motion(count=10, frame_rate=30.0)], body, None, options).characters[0].armature
    target = build_scene([make_motion(count=2, seed=5)], body, None, options).characters[0].armature
    for old, new in NAMES.items():
        target.data.bones[old].name = f"mixamorig:{new}"
    chosen = bpy.context.scene.video_motion_retarget
    chosen.source, chosen.target = source, target
    yield chosen
    video_motion.addon.unregister()


def bone_of(settings, slot: str) -> list[str]:
    return [row.bone for row in settings.rows if row.slot == slot and row.bone]


def test_target_is_recognised_when_chosen(settings):
    assert "mixamo" in settings.family.lower()
    assert bone_of(settings, "left_forearm") == ["mixamorig:LeftForeArm"]
    assert bone_of(settings, "spine") == ["mixamorig:Spine", "mixamorig:Spine1", "mixamorig:Spine2"]
    assert {row.slot for row in settings.rows} == set(SLOTS)


@pytest.fixture
def with_fingers(settings, make_rig):
    settings.target = make_rig("mixamo")
    return settings


class Layout:
    """Notes what is drawn; all its sections are open."""

    use_property_split = True

    def __init__(self) -> None:
        self.labels, self.lists = [], []

    def panel(self, name, default_closed=False):
        assert default_closed
        return self, self

    def label(self, text=""):
        self.labels.append(text)

    def row(self, align=False):
        return self

    def template_list(self, kind, name, data, collection, active_data, active, rows):
        self.lists.append((kind, name, active))

    def prop(self, *_, **__):
        pass

    def operator(self, *_, **__):
        return SimpleNamespace()

    operator_menu_enum = operator


def shown(settings, list_id: str, words: str = "") -> list[str]:
    """The slots of the rows that a list shows."""

    bit = 1 << 30
    own = SimpleNamespace(bitflag_filter_item=bit, filter_name=words, list_id=list_id)
    flags, order = panel.BoneList.filter_items(own, bpy.context, settings, "rows")
    assert len(flags) == len(settings.rows)
    assert order == []
    return [row.slot for row, flag in zip(settings.rows, flags, strict=True) if flag & bit]


def test_fingers_are_in_a_list_of_their_own(with_fingers):
    layout = Layout()
    panel.RetargetPanel._draw_bones(None, layout, with_fingers)
    assert layout.labels == ["Mixamo, HumanIK: 22 bones", "Hips: mixamorig:Hips", "Offset", "Fingers: 30 bones"]
    (_, body, active), (_, fingers, active_finger) = layout.lists
    assert active != active_finger
    assert set(shown(with_fingers, body)) == set(BODY_SLOTS)
    # A row a bone: whole fingers have no empty one.
    assert shown(with_fingers, fingers) == [slot for slot in FINGER_SLOTS for _ in range(3)]
    assert shown(with_fingers, fingers, "left TH") == ["left_thumb"] * 3
    assert shown(with_fingers, body, "forearm") == ["left_forearm", "right_forearm"]


def test_rows_of_a_chain_are_numbered_and_uncertain_bones_marked(with_fingers):
    spine = [index for index, row in enumerate(with_fingers.rows) if row.slot == "spine"]
    assert [panel.part_name(with_fingers, index) for index in spine] == ["Spine 1", "Spine 2", "Spine 3", "Spine +"]
    thumb = [index for index, row in enumerate(with_fingers.rows) if row.slot == "right_thumb"]
    assert [panel.part_name(with_fingers, index) for index in thumb] == ["R Thumb 1", "R Thumb 2", "R Thumb 3"]
    with_fingers.rows[spine[1]].confidence = 0.6
    with_fingers.active_row, with_fingers.active_finger = spine[1], thumb[2]
    layout = Layout()
    panel.RetargetPanel._draw_bones(None, layout, with_fingers)
    assert "Spine 2: mixamorig:Spine1, 60% sure" in layout.labels
    assert "R Thumb 3: mixamorig:RightHandThumb3" in layout.labels


def test_rigs_without_fingers_have_a_row_for_each(settings):
    settings.target = rigs.make_family("Xsens MVN")
    layout = Layout()
    panel.RetargetPanel._draw_bones(None, layout, settings)
    assert layout.labels[-1] == "Fingers: 0 bones"
    assert shown(settings, layout.lists[1][1]) == list(FINGER_SLOTS)


def test_fingers_are_edited_mirrored_saved_and_loaded(with_fingers, tmp_path):
    for row in with_fingers.rows:
        if row.slot == "right_index":
            row.bone = ""
    bpy.ops.video_motion.mirror_bones(side="left")
    whole = [f"mixamorig:RightHandIndex{number}" for number in (1, 2, 3)]
    assert bone_of(with_fingers, "right_index") == whole
    next(row for row in with_fingers.rows if row.slot == "right_index" and row.bone == whole[2]).bone = ""
    file = tmp_path / "mixamo.json"
    bpy.ops.video_motion.save_bone_mapping(filepath=str(file))
    bpy.ops.video_motion.recognise_bones()
    assert bone_of(with_fingers, "right_index") == whole
    bpy.ops.video_motion.load_bone_mapping(filepath=str(file))
    assert bone_of(with_fingers, "right_index") == whole[:2]
    assert [row.bone for row in with_fingers.rows if row.slot == "right_index"] == [*whole[:2], ""]

    # Files from before there were fingers.
    old = json.loads(file.read_text())
    old["bones"] = {slot: names for slot, names in old["bones"].items() if slot.split("_")[-1] not in FINGERS}
    file.write_text(json.dumps(old))
    bpy.ops.video_motion.load_bone_mapping(filepath=str(file))
    assert bone_of(with_fingers, "hips") == ["mixamorig:Hips"]
    assert not any(row.bone for row in with_fingers.rows if row.slot in FINGER_SLOTS)


def test_bake_makes_a_new_action_and_keeps_the_old_one(settings):
    old = settings.target.animation_data.action
    old_name, actions = old.name, len(bpy.data.actions)
    assert bpy.ops.video_motion.retarget() == {"FINISHED"}
    assert settings.target.animation_data.action != old
    assert old_name in bpy.data.actions
    assert len(bpy.data.actions) == actions + 1


def test_bake_hides_the_target_where_asked(settings):
    target = settings.target
    mesh = next(one for one in target.children if one.type == "MESH")
    for owner in (mesh, target.data):
        owner.animation_data_clear()
    settings.only_while_seen = True
    bpy.ops.video_motion.preview_retarget()
    assert mesh.animation_data is None, "a preview leaves meshes alone"
    bpy.ops.video_motion.preview_retarget()
    bpy.ops.video_motion.retarget()
    assert [mesh.evaluated_get(go_to(frame)).hide_render for frame in (0, 1, 10, 11)] == [True, False, False, True]


def test_preview_is_shown_and_removed(settings):
    old, actions = settings.target.animation_data.action, len(bpy.data.actions)
    bpy.ops.video_motion.preview_retarget()
    assert settings.target.animation_data.action.name.endswith(preview.PREVIEW)
    first = settings.preview
    settings.in_place = True
    preview.renew_preview()
    assert settings.preview.name.endswith(preview.PREVIEW)
    assert len(bpy.data.actions) == actions + 1, "the one before is gone"
    assert settings.target.animation_data.action == settings.preview
    del first
    bpy.ops.video_motion.preview_retarget()
    assert settings.target.animation_data.action == old
    assert len(bpy.data.actions) == actions
    assert settings.preview is None


def test_baking_ends_the_preview(settings):
    actions = len(bpy.data.actions)
    bpy.ops.video_motion.preview_retarget()
    bpy.ops.video_motion.retarget()
    assert settings.preview is None
    assert len(bpy.data.actions) == actions + 1
    assert not any(action.name.endswith(preview.PREVIEW) for action in bpy.data.actions)


def test_list_is_edited_mirrored_saved_and_loaded(settings, tmp_path):
    row = next(row for row in settings.rows if row.slot == "right_hand")
    row.bone = "mixamorig:RightForeArm"
    assert row.confidence == 1.0
    bpy.ops.video_motion.mirror_bones(side="left")
    assert bone_of(settings, "right_hand") == ["mixamorig:RightHand"]

    next(row for row in settings.rows if row.slot == "neck").bone = ""
    file = tmp_path / "mixamo.json"
    bpy.ops.video_motion.save_bone_mapping(filepath=str(file))
    assert json.loads(file.read_text())["bones"]["hips"] == ["mixamorig:Hips"]
    bpy.ops.video_motion.recognise_bones()
    assert bone_of(settings, "neck") == ["mixamorig:Neck"]
    bpy.ops.video_motion.load_bone_mapping(filepath=str(file))
    assert bone_of(settings, "neck") == []

    file.write_text("{}")
    with pytest.raises(RuntimeError, match=r"mixamo.json is no bone mapping"):
        bpy.ops.video_motion.load_bone_mapping(filepath=str(file))


def test_errors_of_operators_are_a_sentence(settings):
    next(row for row in settings.rows if row.slot == "left_shin").bone = ""
    with pytest.raises(RuntimeError, match=r"No bone is chosen as left shin"):
        bpy.ops.video_motion.retarget()
    bpy.data.objects.remove(settings.source)
    with pytest.raises(RuntimeError, match="Choose the armature to take the motion from"):
        bpy.ops.video_motion.preview_retarget()


def test_an_action_chosen_during_the_preview_stays(settings):
    bpy.ops.video_motion.preview_retarget()
    mine = bpy.data.actions.new("mine")
    settings.target.animation_data.action = mine
    settings.in_place = True
    assert settings.target.animation_data.action == settings.preview
    bpy.ops.video_motion.preview_retarget()
    assert settings.target.animation_data.action == mine

    bpy.ops.video_motion.preview_retarget()
    settings.target.animation_data.action = mine
    preview._before_saving()
    preview._after_saving()
    assert settings.preview is None
    assert settings.target.animation_data.action == mine


def test_other_bones_posed_during_the_preview_stay(settings):
    bpy.context.view_layer.objects.active = settings.target
    bpy.ops.object.mode_set(mode="EDIT")
    weapon = settings.target.data.edit_bones.new("weapon")
    weapon.head, weapon.tail = (0.0, 0.0, 1.0), (0.0, 0.0, 1.3)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.video_motion.preview_retarget()
    settings.target.pose.bones["weapon"].location.x = 0.5
    preview._before_saving()
    preview._after_saving()
    assert settings.target.animation_data.action == settings.preview
    bpy.ops.video_motion.preview_retarget()
    assert settings.target.pose.bones["weapon"].location.x == 0.5


def action_of(armature) -> str:
    animation = armature.animation_data
    return animation.action.name if animation and animation.action else ""


def test_from_is_the_selected_person(settings, make_rig, make_motion, body):
    first, settings.source, settings.target = settings.source, None, make_rig("mixamo")
    (other,) = build_scene(
        [make_motion(count=4, seed=9)], body, None, SceneOptions(camera=False, floor=False)
    ).characters
    for one in bpy.context.scene.objects:
        one.select_set(False)
    with pytest.raises(RuntimeError, match="Choose the armature"):
        bpy.ops.video_motion.retarget()
    for person in (first, other.armature):
        person.select_set(True)
        assert preview.source_of(settings) == person
        bpy.ops.video_motion.retarget()
        assert action_of(settings.target).startswith(action_of(person))
        person.select_set(False)
    # Without a selection the list of takes decides.
    take = other.armature.users_collection[0]
    take[TAKE] = json.dumps({"file": ""})
    bpy.context.scene.video_motion_takes.chosen = take
    assert preview.source_of(settings) == other.armature


def test_guesses_are_asked_about_before_a_bake(settings):
    for number, bone in enumerate(settings.target.data.bones):
        bone.name = f"b{number}"
    bpy.ops.video_motion.recognise_bones()
    before = action_of(settings.target)
    for operator in (bpy.ops.video_motion.retarget, bpy.ops.video_motion.preview_retarget):
        with pytest.raises(RuntimeError, match="guesses: look through the list, then press Use These Bones"):
            operator()
    assert action_of(settings.target) == before
    bpy.ops.video_motion.use_bones()
    bpy.ops.video_motion.retarget()
    assert action_of(settings.target) != before


def test_several_characters_at_once(settings, make_rig):
    characters = [make_rig("mixamo"), make_rig("game_engine")]
    box = bpy.data.objects.new("box", bpy.data.armatures.new("box"))
    bpy.context.scene.collection.objects.link(box)
    for one in bpy.context.scene.objects:
        one.select_set(one in characters)
    assert bpy.ops.video_motion.retarget_selected() == {"FINISHED"}
    assert all(action_of(one).endswith(f" on {one.name}") for one in characters)
    assert preview.messages == []

    # What was said goes with the character that it was said about.
    preview.messages.append(("old", "INFO"))
    settings.target = characters[0]
    assert preview.messages == []

    # One that can't is told, and the others go on.
    box.select_set(True)
    for one in characters:
        one.animation_data_clear()
    assert bpy.ops.video_motion.retarget_selected() == {"FINISHED"}
    assert all(map(action_of, characters))
    assert [icon for _, icon in preview.messages] == ["ERROR"]


def test_as_many_people_as_characters_are_paired_by_name(settings, make_rig, make_motion, body):
    people = [settings.source, build_scene([make_motion(count=4, seed=9)], body).characters[0].armature]
    characters = [make_rig("mixamo"), make_rig("mixamo")]
    for one in bpy.context.scene.objects:
        one.select_set(one in [*people, *characters])
    bpy.ops.video_motion.retarget_selected()
    people.sort(key=lambda one: one.name)
    for person, character in zip(people, characters, strict=True):
        assert action_of(character).startswith(action_of(person))


def test_a_saved_mapping_is_found_again_for_the_same_bones(with_fingers, make_rig, tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "folder", lambda: tmp_path)
    next(row for row in with_fingers.rows if row.slot == "neck").bone = ""
    next(row for row in with_fingers.rows if row.slot == "left_hand").offset = (0.1, 0.2, 0.3)
    bpy.ops.video_motion.save_bone_mapping(filepath=str(tmp_path / "hero.json"))
    (tmp_path / "other.json").write_text("{}")
    with_fingers.target = make_rig("game_engine")
    assert bone_of(with_fingers, "neck") == ["neck_01"]
    with_fingers.target = make_rig("mixamo")
    assert bone_of(with_fingers, "neck") == []
    hand = next(row for row in with_fingers.rows if row.slot == "left_hand")
    assert tuple(hand.offset) == pytest.approx((0.1, 0.2, 0.3))


def test_a_file_beside_the_character_is_its_preset(with_fingers, tmp_path):
    next(row for row in with_fingers.rows if row.slot == "neck").bone = ""
    bpy.ops.video_motion.save_bone_mapping(filepath=str(tmp_path / "hero.bones.json"))
    rig = read_rig(with_fingers.target)
    assert "neck" not in presets.find_mapping(rig, tmp_path / "hero.fbx").bones
    assert "neck" in presets.find_mapping(rig, tmp_path / "villain.fbx").bones


def turned(armature, name) -> Quaternion:
    posed = armature.evaluated_get(go_to(5))
    return posed.pose.bones[name].matrix.to_quaternion()


def test_an_offset_turns_one_bone_about_its_own_axes(with_fingers):
    bones = [f"mixamorig:Left{name}" for name in ("ForeArm", "Hand")]
    bpy.ops.video_motion.retarget()
    before = [turned(with_fingers.target, bone) for bone in bones]
    next(row for row in with_fingers.rows if row.slot == "left_forearm").offset = (0.0, 0.5, 0.0)
    bpy.ops.video_motion.retarget()
    after = [turned(with_fingers.target, bone) for bone in bones]
    added = before[0].inverted() @ after[0]
    assert added.angle == pytest.approx(0.5, abs=1e-3)
    assert tuple(added.axis) == pytest.approx((0.0, 1.0, 0.0), abs=1e-3)
    assert before[1].rotation_difference(after[1]).angle < 1e-3


def test_a_rest_pose_is_mended_by_hand(with_fingers, make_rig):
    """A rig whose rest pose is twisted moves like the straight one once it is posed like that."""
    straight, twisted = with_fingers.target, make_rig("mixamo")
    twists = {
        "mixamorig:LeftForeArm": (0.0, 1.2, 0.0),
        "mixamorig:RightUpLeg": (0.2, 0.9, 0.0),
        "mixamorig:Spine1": (0.3, 0.0, 0.1),
        "mixamorig:Head": (0.0, 0.7, 0.0),
    }
    bpy.context.view_layer.objects.active = twisted
    bpy.ops.object.mode_set(mode="POSE")
    for name, angles in twists.items():
        bone = twisted.pose.bones[name]
        bone.rotation_mode = "QUATERNION"
        bone.rotation_quaternion = Euler(angles).to_quaternion()
    bpy.ops.pose.armature_apply()
    for name, angles in twists.items():
        twisted.pose.bones[name].rotation_quaternion = Euler(angles).to_quaternion().inverted()
    bpy.ops.object.mode_set(mode="OBJECT")
    with_fingers.hold_feet = False
    bpy.ops.video_motion.retarget()
    wanted = {name: turned(straight, name) for name in twists}
    with_fingers.target = twisted
    assert bpy.ops.video_motion.mend_rest() == {"FINISHED"}
    bpy.ops.video_motion.retarget()
    assert max(wanted[name].rotation_difference(turned(twisted, name)).angle for name in twists) < 0.01
    bpy.ops.video_motion.mend_rest(clear=True)
    bpy.ops.video_motion.retarget()
    assert max(wanted[name].rotation_difference(turned(twisted, name)).angle for name in twists) > 0.3
