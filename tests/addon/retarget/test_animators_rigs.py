"""Rigs like those that animators fetch: names with suffixes, controls of IK, backs to the viewer, parts that lack."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from video_motion.addon.compatibility import channels_of
from video_motion.addon.headless.rigs import retarget_take
from video_motion.addon.research import retargeting as benchmark
from video_motion.addon.research.retargeting_rigs import RIGS, gamer, make_tree
from video_motion.addon.retarget.action import RetargetOptions, retarget
from video_motion.addon.retarget.bones import FINGER_SLOTS, NEEDED, read_rig
from video_motion.addon.retarget.mapping import SURE
from video_motion.addon.retarget.recognise import recognise
from video_motion.addon.retarget.sampling import bone_of
from video_motion.addon.retarget.structure import find_bones
from video_motion.addon.retarget.words import contradicts
from video_motion.addon.scene.take import build_scene

FREE = RetargetOptions(hold_feet=False)


def limb_angles(source, target, made, turn=None):
    """Angles between the limbs of both as Blender evaluates them, the source turned by (3, 3)."""
    frames = made.frames[::5]
    one, two = (benchmark.evaluate(rig, recognise(read_rig(rig)), frames) for rig in (source, target))
    if turn is not None:
        one = replace(one, joints={slot: joints @ turn.T for slot, joints in one.joints.items()})
    return benchmark.limb_angles(one, two)


@pytest.mark.parametrize("kind", RIGS)
def test_limbs_point_where_the_sources_do(take, kind):
    source, target = take(60, 140), RIGS[kind]()
    mapping = recognise(read_rig(target))
    assert mapping.family
    assert min(mapping.confidence.values()) >= SURE
    made = retarget(source, target, mapping, FREE)
    assert made.warnings == []
    angles = limb_angles(source, target, made)
    assert angles.shape[1] == 8
    assert angles.max() < 0.1
    assert made.deviations[0].degrees < 0.1


def test_a_back_to_the_viewer_is_turned_but_an_object_that_was_turned_stays(take):
    source, target = take(60, 90), RIGS["Soldier"]()
    made = retarget(source, target, options=FREE)
    assert limb_angles(source, target, made).max() < 0.1
    target.rotation_euler.rotate(Matrix.Rotation(1.0, 3, "Z"))
    bpy.context.view_layer.update()
    made = retarget(source, target, options=FREE)
    assert limb_angles(source, target, made, np.array(Matrix.Rotation(1.0, 3, "Z"))).max() < 0.1


def parent_controls(armature) -> None:
    """Hang controls on parts of the body, on each other and on nothing."""
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    for bone, parent in (("hand_ik.L", "chest"), ("knee_pole.L", "foot_ik.L"), ("knee_pole.R", "hips")):
        bones[bone].parent = bones[parent]
    bones["elbow_pole.R"].parent = None
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("root", ["", "root"])
@pytest.mark.parametrize("parented", [False, True])
def test_controls_of_ik_are_keyed_wherever_they_hang(take, parented, root):
    source, target = take(60, 140), gamer()
    if parented:
        parent_controls(target)
    target.rotation_euler, target.location, target.scale = (0.0, 0.0, 1.0), (1.0, 2.0, 0.0), (0.5, 0.5, 0.5)
    made = retarget(source, target, options=replace(FREE, root_bone=root))
    assert limb_angles(source, target, made, np.array(Matrix.Rotation(1.0, 3, "Z"))).max() < 0.1
    moving = {bone_of(curve.data_path) for curve in channels_of(target).fcurves if len(curve.keyframe_points) > 1}
    assert {f"{kind}.{side}" for kind in ("hand_ik", "knee_pole", "elbow_pole") for side in "LR"} <= moving


def test_controls_alone_carry_the_limbs(take):
    """The animator's controls are not decoration: without keys on the limbs IK still brings hands and feet there."""
    source, target = take(60, 140), gamer()
    made = retarget(source, target, options=FREE)
    frames = made.frames[::5]
    mapping = recognise(read_rig(target))
    before = benchmark.evaluate(target, mapping, frames)
    curves = channels_of(target).fcurves
    for curve in list(curves):
        if bone_of(curve.data_path)[:-2] in ("thigh", "shin", "upper_arm", "forearm", "hand", "foot"):
            curves.remove(curve)
    after = benchmark.evaluate(target, mapping, frames)
    for slot in ("left_hand", "right_hand", "left_foot", "right_foot"):
        assert np.linalg.norm(after.joints[slot] - before.joints[slot], axis=-1).max() < 0.01
        assert np.ptp(after.joints[slot], axis=0).max() > 0.02


def test_standing_feet_stay_with_ik(take):
    source, target = take(0, 180), gamer()
    made = retarget(source, target)
    one, two = (benchmark.evaluate(rig, recognise(read_rig(rig)), made.frames) for rig in (source, target))
    assert benchmark.sliding(two, benchmark.standing_spans(one, made.frames / 24)) < 0.2


def test_what_does_not_follow_is_told_with_the_bone(take):
    source, target = take(60, 140), RIGS["Mixamo, copied bones"]()
    bone = "mixamorig:LeftForeArm.001"
    limit = target.pose.bones[bone].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    limit.owner_space = "LOCAL"
    made = retarget(source, target, options=FREE)
    (told,) = made.warnings
    worst = limb_angles(source, target, made).max()
    assert worst > 20.0
    assert f"{bone} is up to " in told
    degrees = int(told.split(f"{bone} is up to ")[1].split("°")[0])
    assert degrees == pytest.approx(worst, abs=8.0), "it is sampled at other frames"


def test_structure_never_contradicts_a_name():
    robot = read_rig(RIGS["RobotExpressive"]())
    found = find_bones(robot)
    assert not [name for slot, names in found.bones.items() for name in names if contradicts(name, slot)]
    assert "ShoulderL" not in {name for slot in NEEDED for name in found.bones.get(slot, ())}


@pytest.mark.parametrize("name", ["Thumb", "Index", "Pinky"])
def test_a_finger_is_the_one_that_its_name_says(name):
    """A hand with an unknown pattern of names, of which one finger says what it is."""
    rig = read_rig(RIGS["Mixamo, copied bones"]())
    fingers = ("Thumb", "Index", "Middle", "Ring", "Pinky")
    other = {one: one if one == name else f"Digit{number}" for number, one in enumerate(fingers)}
    names = []
    for bone in rig.names:
        plain = bone.removeprefix("mixamorig:")
        for one in fingers:
            plain = plain.replace(f"Hand{one}", f"_{other[one]}_")
        names.append(plain)
    found = recognise(replace(rig, names=tuple(names)))
    own = {slot: bones for slot, bones in found.bones.items() if slot in FINGER_SLOTS}
    assert set(own) == {f"{side}_{name.lower()}" for side in ("left", "right")}
    assert all(f"_{name}_1" in bones[0] for bones in own.values())


def test_a_guess_is_known_as_one():
    rig = read_rig(RIGS["Mixamo, copied bones"]())
    assert not recognise(rig).is_guess
    assert recognise(replace(rig, names=tuple(f"b{number}" for number in range(len(rig.names))))).is_guess


def test_missing_spine_and_head_are_a_sentence(take):
    tree = """
spine | hips
  thigh.<L,R> | thigh
    shin.<L,R> | shin
      foot.<L,R> | foot
  ribs | hips neck 0.6
    upper_arm.<L,R> | upper_arm
      forearm.<L,R> | forearm
        hand.<L,R> | hand
"""
    source, target = take(60, 70), make_tree("stump", tree)
    mapping = recognise(read_rig(target))
    for slot in ("spine", "neck", "head"):
        mapping.put(slot)
    (told,) = retarget(source, target, mapping, FREE).warnings
    assert "No bone of stump is chosen as spine nor as head" in told


def test_batches_use_the_preset_beside_a_character_and_report_what_is_off(body, real_motion, tmp_path):
    target = RIGS["Mixamo, copied bones"]()
    for number, bone in enumerate(target.data.bones):
        bone.name = f"b{number}"
    rig = read_rig(target)
    limit = target.pose.bones["b4"].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    limit.owner_space = "LOCAL"
    file = tmp_path / "hero.blend"
    bpy.data.libraries.write(str(file), {target})
    mapping = recognise(rig)
    assert mapping.bones["neck"] == ("b4",)
    for preset in (False, True):
        if preset:
            mapping.confidence = dict.fromkeys(mapping.bones, 1.0)
            mapping.save(tmp_path / "hero.bones.json")
        bpy.ops.wm.read_factory_settings(use_empty=True)
        motion = real_motion.trimmed(np.arange(60, 140))
        warnings = retarget_take(build_scene([motion], body), file, "walk", [motion])[1]
        assert any("does not follow everywhere: b4 is up to" in told for told in warnings)
        assert any("are guesses" in told for told in warnings) != preset
