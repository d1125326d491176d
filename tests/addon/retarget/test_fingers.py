"""Fingers on other hands, and whole motions on rigs built like those of many families, as Blender evaluates them."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import channels_of
from video_motion.addon.research import retargeting as benchmark
from video_motion.addon.retarget.action import RetargetOptions, retarget
from video_motion.addon.retarget.bones import FINGER_SLOTS, FINGERS, SIDES, read_rig
from video_motion.addon.retarget.recognise import recognise
from video_motion.addon.retarget.sampling import evaluate_frames
from video_motion.inference.body import rotations

from . import rigs

FREE = RetargetOptions(hold_feet=False)
TENTH_OF_A_DEGREE = 0.1
FRAMES = np.array([1.0, 11.0, 21.0])


def move_fingers(armature, seed=3):
    """Key every finger's bones, curled this way and that, by up to 40° a joint."""
    random = np.random.default_rng(seed)
    mapping = recognise(read_rig(armature))
    for slot in FINGER_SLOTS:
        for name in mapping.bones.get(slot, ()):
            pose = armature.pose.bones[name]
            pose.rotation_mode = "QUATERNION"
            for frame in FRAMES:
                turn = rotations.axis_angle_to_quaternion(random.uniform(-0.4, 0.4, size=3))
                pose.rotation_quaternion = turn
                pose.keyframe_insert("rotation_quaternion", frame=int(frame))


def chains(armature, frames=FRAMES):
    """By slot of a finger its bones' joints (N, C, 3) and rotations (N, C, 3, 3) in the world."""
    rig = read_rig(armature)
    bones = recognise(rig).indices(rig)
    found = {}
    for slot in (*FINGER_SLOTS, *(f"{side}_hand" for side in SIDES)):
        if slot in bones:
            samples = evaluate_frames(armature, rig, np.array(bones[slot]), frames)
            found[slot] = samples.heads, samples.global_rotations
    return found


def degrees(first, second):
    """Angles in degrees between vectors (..., 3)."""
    return np.degrees(rotations.relative_angle(rotations.between(first, second), np.eye(3)))


def make(make_rig, kind):
    if kind == "metarig":
        return benchmark.rigify_metarig()
    return rigs.make_family(kind) if kind in rigs.TREES else make_rig(kind)


def with_hands(kinds):
    return [kind for kind in kinds if "Xsens" not in kind and "CMU" not in kind and kind != "cmu_mb"]


@pytest.mark.parametrize("kind", with_hands([*benchmark.MAKEHUMAN_RIGS, "metarig", *rigs.TREES]))
def test_fingers_point_where_the_sources_do(make_rig, kind):
    source, target = make_rig("mixamo"), make(make_rig, kind)
    move_fingers(source)
    retarget(source, target, options=FREE)
    one, two = chains(source), chains(target)
    for slot in FINGER_SLOTS:
        (heads, turned), (own_heads, own_turned) = one[slot], two[slot]
        off = degrees(np.diff(heads, axis=1), np.diff(own_heads, axis=1))
        assert off.max() < TENTH_OF_A_DEGREE, slot
        # The last turns with its counterpart, whatever its direction at rest.
        turns = [all_turned[1:] @ np.swapaxes(all_turned[:-1], -1, -2) for all_turned in (turned, own_turned)]
        assert np.degrees(rotations.relative_angle(*turns)).max() < TENTH_OF_A_DEGREE, slot


@pytest.mark.parametrize("kind", with_hands([*benchmark.MAKEHUMAN_RIGS, "metarig", *rigs.TREES]))
def test_fingers_of_any_rig_move_those_of_mixamo(make_rig, kind):
    source, target = make(make_rig, kind), make_rig("mixamo")
    move_fingers(source)
    retarget(source, target, options=FREE)
    one, two = chains(source), chains(target)
    for slot in FINGER_SLOTS:
        if one[slot][0].shape == two[slot][0].shape:
            off = degrees(np.diff(one[slot][0], axis=1), np.diff(two[slot][0], axis=1))
            assert off.max() < TENTH_OF_A_DEGREE, slot


@pytest.mark.parametrize("kind", ["game_engine", "default", "metarig", "Daz Genesis 8", "MetaHuman", "Biped"])
def test_palms_face_where_the_sources_do(make_rig, kind):
    source, target = make_rig("mixamo"), make(make_rig, kind)
    move_fingers(source)
    retarget(source, target, options=FREE)
    for side in SIDES:
        normals = []
        for hand in (chains(source), chains(target)):
            wrist = hand[f"{side}_hand"][0][:, 0]
            knuckles = [hand[f"{side}_{finger}"][0][:, 0] for finger in FINGERS[1:]]
            normals.append(np.cross(np.mean(knuckles, axis=0) - wrist, knuckles[-1] - knuckles[0]))
        assert degrees(*normals).max() < 1.0


def test_palm_bones_stay_in_the_hand(make_rig):
    source, target = make_rig("mixamo"), rigs.make_family("MetaHuman")
    target.pose.bones["index_metacarpal_l"].rotation_quaternion = (0.9, 0.1, 0.3, 0.2)
    move_fingers(source)
    retarget(source, target, options=FREE)
    rig = read_rig(target)
    hand, palm = (rig.number[name] for name in ("hand_l", "index_metacarpal_l"))
    samples = evaluate_frames(target, rig, np.array([hand, palm]), FRAMES)
    now = np.swapaxes(samples.global_rotations[:, 0], -1, -2) @ samples.global_rotations[:, 1]
    assert np.degrees(rotations.relative_angle(now, rig.axes[hand].T @ rig.axes[palm])).max() < TENTH_OF_A_DEGREE


def test_fingers_stay_where_the_source_has_none(take, make_rig):
    source, target = rigs.make_family("Xsens MVN"), make_rig("mixamo")
    retarget(take(0, 5), source, options=FREE)
    made = retarget(source, target, options=FREE)
    fingers = {bone for slot in FINGER_SLOTS for bone in recognise(read_rig(target)).bones[slot]}
    assert not [curve.data_path for curve in channels_of(target).fcurves if curve.data_path.split('"')[1] in fingers]
    assert made.warnings == []


def without(armature, *names):
    """The armature less some bones."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for name in names:
        armature.data.edit_bones.remove(armature.data.edit_bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def curl(armature, slot, angle):
    """Curl a finger towards the palm by the same angle at every joint, from the first of `FRAMES` to the last."""
    rig = read_rig(armature)
    bones = recognise(rig).indices(rig)
    side = slot.partition("_")[0]
    knuckles = [rig.heads[bones[f"{side}_{finger}"][0]] for finger in ("index", "pinky")]
    axis = (knuckles[0] - knuckles[1]) / np.linalg.norm(knuckles[0] - knuckles[1])
    for bone in bones[slot]:
        pose = armature.pose.bones[rig.names[bone]]
        pose.rotation_mode = "QUATERNION"
        for share, frame in zip((0.0, 0.5, 1.0), FRAMES, strict=True):
            turn = rotations.axis_angle_to_quaternion(rig.axes[bone].T @ (-share * angle * axis))
            pose.rotation_quaternion = turn
            pose.keyframe_insert("rotation_quaternion", frame=int(frame))


@pytest.mark.parametrize("missing", [("index_03_l",), ("index_03_l", "index_02_l")])
def test_a_finger_of_fewer_bones_bends_as_far(make_rig, missing):
    """What is left of a finger lies in the middle of what the whole one does."""
    source, target = make_rig("mixamo"), without(make_rig("game_engine"), *missing)
    curl(source, "left_index", 0.5)
    retarget(source, target, options=FREE)
    one, two = (chains(armature)["left_index"][1] for armature in (source, target))
    turns = [
        np.degrees(rotations.relative_angle(turned[-1] @ np.swapaxes(turned[0], -1, -2), np.eye(3)))
        for turned in (one, two)
    ]
    np.testing.assert_allclose(turns[0], np.degrees([0.5, 1.0, 1.5]), atol=0.1)
    expected = [0.625, 1.375] if len(missing) == 1 else [1.0]
    np.testing.assert_allclose(turns[1], np.degrees(expected), atol=0.1)


def test_a_single_bone_moves_a_whole_finger(make_rig):
    source, target = make_rig("cmu_mb"), make_rig("mixamo")
    source.pose.bones["LeftHandFinger1"].keyframe_insert("rotation_quaternion", frame=1)
    source.pose.bones["LeftHandFinger1"].rotation_quaternion = rotations.axis_angle_to_quaternion([0.6, 0.0, 0.0])
    source.pose.bones["LeftHandFinger1"].keyframe_insert("rotation_quaternion", frame=21)
    retarget(source, target, options=FREE)
    turned = chains(target, FRAMES[[0, 2]])["left_index"][1]
    turns = np.degrees(rotations.relative_angle(turned[-1] @ np.swapaxes(turned[0], -1, -2), np.eye(3)))
    np.testing.assert_allclose(turns, np.degrees([0.4, 0.6, 0.6]), atol=0.1)


def test_a_posed_rest_is_not_stretched_out(make_rig):
    """A finger that at rest makes a fist is no flat one in disguise: it turns as the source's does from there."""
    source, target = make_rig("mixamo"), make_rig("game_engine")
    bpy.context.view_layer.objects.active = target
    bpy.ops.object.mode_set(mode="EDIT")
    bones = target.data.edit_bones
    root = bones["index_01_l"].head.copy()
    step = (bones["hand_l"].head - root).normalized() * 0.03
    for place, name in enumerate(("index_01_l", "index_02_l", "index_03_l")):
        bones[name].use_connect = False
        bones[name].head, bones[name].tail = root + place * step, root + (place + 1) * step
    bpy.ops.object.mode_set(mode="OBJECT")
    move_fingers(source)
    retarget(source, target, options=FREE)
    one, two = (np.diff(chains(armature)["left_index"][0], axis=1) for armature in (source, target))
    assert degrees(one, two).min() > 75.0


@pytest.mark.parametrize("kind", list(rigs.TREES))
def test_bodies_move_as_the_source_does(take, kind):
    source, target = take(0, 30), rigs.make_family(kind)
    made = retarget(source, target, options=FREE)
    assert made.warnings == []
    frames = made.frames[::7]
    one, two = (benchmark.evaluate(armature, recognise(read_rig(armature)), frames) for armature in (source, target))
    assert benchmark.limb_angles(one, two).max() < TENTH_OF_A_DEGREE
    assert travel_error(one, two) < 1e-3


@pytest.mark.parametrize("kind", list(rigs.TREES))
def test_bodies_are_sources_too(take, make_rig, kind):
    source, target = rigs.make_family(kind), make_rig("mixamo")
    made = retarget(take(0, 30), source, options=FREE)
    retarget(source, target, options=FREE)
    frames = made.frames[::7]
    one, two = (benchmark.evaluate(armature, recognise(read_rig(armature)), frames) for armature in (source, target))
    assert benchmark.limb_angles(one, two).max() < TENTH_OF_A_DEGREE
    assert travel_error(one, two) < 1e-3


def travel_error(one, two):
    """How far the middle of the thighs is from where the legs' proportion puts it, metres."""
    centres = [(pose.joints["left_thigh"] + pose.joints["right_thigh"]) / 2 for pose in (one, two)]
    legs = [
        np.linalg.norm(pose.joints["left_shin"][0] - pose.joints["left_thigh"][0])
        + np.linalg.norm(pose.joints["left_foot"][0] - pose.joints["left_shin"][0])
        for pose in (one, two)
    ]
    moved = [centre - centre[0] for centre in centres]
    return np.abs(moved[1] - legs[1] / legs[0] * moved[0]).max()


@pytest.mark.parametrize("kind", ["Biped", "Daz Genesis 8", "Character Creator"])
def test_split_hips_stay_together(take, kind):
    """What lies between hips, legs and spine turns with the hips, so that the body is not torn."""
    source, target = take(0, 60), rigs.make_family(kind)
    made = retarget(source, target, options=FREE)
    rig = read_rig(target)
    names = {"Biped": ("Bip01 Pelvis", "Bip01 Spine"), "Daz Genesis 8": ("hip", "pelvis")}
    bones = [rig.number[name] for name in names.get(kind, ("CC_Base_Hip", "CC_Base_Pelvis"))]
    samples = evaluate_frames(target, rig, np.array(bones), made.frames[::7])
    now = np.swapaxes(samples.global_rotations[:, 0], -1, -2) @ samples.global_rotations[:, 1]
    assert np.degrees(rotations.relative_angle(now, rig.axes[bones[0]].T @ rig.axes[bones[1]])).max() < 0.01
    pelvis = benchmark.evaluate(source, recognise(read_rig(source)), made.frames[::7]).global_rotations["hips"]
    turns = [turned[1:] @ np.swapaxes(turned[:-1], -1, -2) for turned in (pelvis, samples.global_rotations[:, 0])]
    assert np.degrees(rotations.relative_angle(*turns)).max() < TENTH_OF_A_DEGREE


@pytest.mark.parametrize("kind", ["Biped", "Daz Genesis 8", "Perception Neuron"])
def test_bodies_without_names_move_as_the_source_does(take, kind):
    source, target = take(0, 30), rigs.make_family(kind)
    for index, bone in enumerate(target.data.bones):
        bone.name = f"b{index}"
    assert recognise(read_rig(target)).family == ""
    made = retarget(source, target, options=FREE)
    frames = made.frames[::7]
    one, two = (benchmark.evaluate(armature, recognise(read_rig(armature)), frames) for armature in (source, target))
    assert benchmark.limb_angles(one, two).max() < TENTH_OF_A_DEGREE
    assert travel_error(one, two) < 1e-3


def test_thighs_may_be_children_of_a_bending_spine(take):
    """A person may choose the lowest bone of Biped's spine; then it moves the legs, but not the path."""
    source, target = take(0, 60), rigs.make_family("Biped")
    mapping = recognise(read_rig(target))
    mapping.put("spine", "Bip01 Spine", *mapping.bones["spine"])
    made = retarget(source, target, mapping, FREE)
    one = benchmark.evaluate(source, recognise(read_rig(source)), made.frames[::7])
    two = benchmark.evaluate(target, mapping, made.frames[::7])
    assert benchmark.limb_angles(one, two).max() < TENTH_OF_A_DEGREE
    assert travel_error(one, two) < 1e-3


def test_controls_of_fingers_move_the_bones_that_deform(make_rig, control_rig):
    source = make_rig("mixamo")
    move_fingers(source)
    made = retarget(source, control_rig, options=FREE)
    assert made.warnings == []
    rig = read_rig(control_rig)
    mapping = recognise(rig)
    one = chains(source)
    for slot in FINGER_SLOTS:
        bones = np.array([rig.number[f"DEF-{name}"] for name in mapping.bones[slot]])
        heads = evaluate_frames(control_rig, rig, bones, FRAMES).heads
        assert degrees(np.diff(one[slot][0], axis=1), np.diff(heads, axis=1)).max() < 0.5, slot
