"""Motions on other armatures, as Blender evaluates them."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix
from video_motion.addon.compatibility import channels_of
from video_motion.addon.research import retargeting as benchmark
from video_motion.addon.retarget.action import RetargetOptions, matrices_to_euler, retarget
from video_motion.addon.retarget.bones import PAIRED, SIDES, RetargetError, read_rig
from video_motion.addon.retarget.recognise import recognise
from video_motion.addon.retarget.sampling import euler_to_matrix
from video_motion.addon.scene.keyframes import CONTACT, SEEN, write_curve
from video_motion.addon.scene.visibility import set_only_while_seen
from video_motion.inference.body import rotations

FREE = RetargetOptions(hold_feet=False)
TENTH_OF_A_DEGREE = 0.1
RIGS = list(benchmark.MAKEHUMAN_RIGS)


def poses(source, target, made, every=7):
    """Both armatures as evaluated at some frames."""
    frames = made.frames[::every]
    return tuple(benchmark.evaluate(one, recognise(read_rig(one)), frames) for one in (source, target))


def limbs(source, target, made):
    return benchmark.limb_angles(*poses(source, target, made))


def centre(pose):
    return (pose.joints["left_thigh"] + pose.joints["right_thigh"]) / 2


def leg(pose):
    pairs = (("thigh", "shin"), ("shin", "foot"))
    return sum(np.linalg.norm(pose.joints[f"left_{a}"] - pose.joints[f"left_{b}"], axis=-1)[0] for a, b in pairs)


def untouched(armature):
    """What retargeting must leave alone."""
    edit = [
        (tuple(bone.head_local), tuple(bone.tail_local), *map(tuple, bone.matrix_local)) for bone in armature.data.bones
    ]
    flags = [(bone.use_inherit_rotation, bone.use_connect, bone.use_local_location) for bone in armature.data.bones]
    modes = [(bone.rotation_mode, *bone.lock_rotation, *bone.lock_location) for bone in armature.pose.bones]
    driven = {driver.data_path for driver in armature.animation_data.drivers} if armature.animation_data else set()
    constraints = [
        [(c.name, c.type, c.path_from_id("influence") in driven or c.influence, c.mute) for c in bone.constraints]
        for bone in armature.pose.bones
    ]
    return edit, flags, modes, constraints, tuple(map(tuple, armature.matrix_basis))


def turn_bones_in_rest(armature, seed=0):
    """Give every bone other axes of its own, without moving joints."""
    random = np.random.default_rng(seed)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in armature.data.edit_bones:
        bone.use_connect = False
    for bone in armature.data.edit_bones:
        length = bone.length
        direction = random.normal(size=3)
        bone.tail = np.array(bone.head) + 0.3 * length * direction / np.linalg.norm(direction)
        bone.roll = random.uniform(-3, 3)
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("name", RIGS)
def test_limbs_point_where_the_sources_do(take, make_rig, name):
    source, target = take(), make_rig(name)
    before = untouched(target)
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < TENTH_OF_A_DEGREE
    assert untouched(target) == before
    assert made.warnings == []
    assert target.animation_data.action == made.action
    assert made.action.use_fake_user


@pytest.mark.parametrize("name", ["mixamo", "default"])
def test_hips_travel_in_proportion(take, make_rig, name):
    source, target = take(), make_rig(name)
    made = retarget(source, target, options=FREE)
    one, two = poses(source, target, made)
    scale = leg(two) / leg(one)
    np.testing.assert_allclose(centre(two) - centre(two)[0], scale * (centre(one) - centre(one)[0]), atol=1e-3)


@pytest.mark.parametrize("name", RIGS)
def test_rest_pose_becomes_the_rest_pose_with_the_sources_limbs(take, make_rig, name):
    source, target = take(0, 3), make_rig(name)
    rest = read_rig(target)
    mapping = recognise(rest)
    for curve in channels_of(source).fcurves:
        for point in curve.keyframe_points:
            point.co.y = 1.0 if curve.data_path.endswith("quaternion") and curve.array_index == 0 else 0.0
    made = retarget(source, target, mapping, FREE)
    bpy.context.scene.frame_set(int(made.frames[0]))
    for slot in ("hips", "spine", "neck", "head"):
        for bone in mapping.bones[slot]:
            now = np.array(target.pose.bones[bone].matrix)[:3, :3]
            angle = rotations.relative_angle(rest.axes[rest.number[bone]], now)
            assert np.degrees(angle) < 2.0, bone


@pytest.mark.parametrize("name", ["mixamo", "game_engine"])
def test_round_trip(take, make_rig, body, real_motion, name):
    source, target = take(), make_rig(name)
    retarget(source, target, options=FREE)
    assert benchmark.round_trip(source, target, body, real_motion).max() < TENTH_OF_A_DEGREE


@pytest.mark.parametrize("kind", ["axes", "hinges", "euler", "axis angle", "mixed orders", "no local location"])
def test_any_axes_rolls_and_rotation_modes(take, make_rig, kind):
    source, target = take(), make_rig("game_engine")
    orders = ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX", "QUATERNION", "AXIS_ANGLE"]
    if kind == "axes":
        turn_bones_in_rest(target)
    for number, bone in enumerate(target.pose.bones):
        if kind == "hinges":
            bone.bone.use_inherit_rotation = number % 3 != 0
        elif kind == "no local location":
            bone.bone.use_local_location = False
        elif kind != "axes":
            bone.rotation_mode = {"euler": "XYZ", "axis angle": "AXIS_ANGLE"}.get(kind, orders[number % 8])
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < TENTH_OF_A_DEGREE
    one, two = poses(source, target, made)
    scale = leg(two) / leg(one)
    np.testing.assert_allclose(centre(two) - centre(two)[0], scale * (centre(one) - centre(one)[0]), atol=1e-3)
    # Nothing jumps between keys either.
    values = [[point.co.y for point in curve.keyframe_points] for curve in channels_of(target).fcurves]
    assert max(np.ptp(np.diff(one)) for one in values if len(one) > 2) < 2.5


@pytest.mark.parametrize("name", ["scaled", "lying", "turned", "parented", "small units"])
def test_any_object_transform(take, make_rig, name):
    source, target = take(), make_rig("mixamo")
    options = RetargetOptions(hold_feet=False, match_world=True)
    if name == "scaled":
        target.scale = (0.01, 0.01, 0.01)
    elif name == "lying":
        # Y-up bones that an importer's object rotation raises.
        target.data.transform(Matrix.Rotation(-np.pi / 2, 4, "X"))
        target.rotation_euler = (np.pi / 2, 0.0, 0.0)
    elif name == "turned":
        target.rotation_euler = (0.0, 0.0, 2.0)
        target.location = (3.0, 1.0, 0.0)
    elif name == "parented":
        parent = bpy.data.objects.new("stage", None)
        bpy.context.scene.collection.objects.link(parent)
        parent.rotation_euler, parent.location, parent.scale = (0.0, 0.0, 1.0), (1.0, 2.0, 0.5), (1.4, 1.4, 1.4)
        target.parent = parent
    elif name == "small units":
        target.data.transform(Matrix.Scale(100.0, 4))
        target.scale = (0.01, 0.01, 0.01)
    made = retarget(source, target, options=options)
    assert limbs(source, target, made).max() < TENTH_OF_A_DEGREE
    one, two = poses(source, target, made)
    scale = leg(two) / leg(one)
    np.testing.assert_allclose(centre(two) - centre(two)[0], scale * (centre(one) - centre(one)[0]), atol=2e-3)


def test_relative_to_the_objects_by_default(take, make_rig):
    source, target = take(), make_rig("mixamo")
    target.rotation_euler, target.location = (0.0, 0.0, np.pi / 2), (5.0, 0.0, 0.0)
    made = retarget(source, target, options=FREE)
    one, two = poses(source, target, made)
    quarter = np.array(Matrix.Rotation(np.pi / 2, 3, "Z"))
    scale = leg(two) / leg(one)
    expected = (centre(one) * scale) @ quarter.T + (5.0, 0.0, 0.0)
    np.testing.assert_allclose(centre(two)[:, :2], expected[:, :2], atol=2e-3)


def test_feet_stand_on_the_floor(take, make_rig):
    source, target = take(), make_rig("mixamo")
    made = retarget(source, target, options=FREE)
    one, two = poses(source, target, made)
    ankles = [np.stack([pose.joints["left_foot"], pose.joints["right_foot"]])[..., 2].min() for pose in (one, two)]
    assert abs(ankles[0] - ankles[1]) < 0.04


@pytest.mark.parametrize("name", RIGS)
def test_standing_feet_do_not_slide(take, make_rig, name):
    source, target = take(0, 180), make_rig(name)
    free = retarget(source, target, options=FREE)
    one, two = poses(source, target, free, 1)
    spans = benchmark.standing_spans(one, free.frames / 24)
    assert sum(map(len, spans)) > 2
    held = poses(source, target, retarget(source, target), 1)[1]
    assert benchmark.sliding(held, spans) < 0.2
    assert benchmark.sliding(held, spans) < 0.3 * benchmark.sliding(two, spans)
    # No pops: knees barely accelerate more than without.
    for slot in ("left_shin", "right_shin"):
        jerk = [np.abs(np.diff(pose.joints[slot] - centre(pose), 2, axis=0)).max() for pose in (two, held)]
        assert jerk[1] < jerk[0] + 0.02
    assert np.abs(limb_lengths(held) - limb_lengths(two)).max() < 1e-4


def limb_lengths(pose):
    pairs = (("thigh", "shin"), ("shin", "foot"))
    return np.stack([np.linalg.norm(pose.joints[f"left_{a}"] - pose.joints[f"left_{b}"], axis=-1) for a, b in pairs])


def test_knees_keep_their_plane(take, make_rig):
    source, target = take(0, 180), make_rig("mixamo")
    made = retarget(source, target)
    one, two = poses(source, target, made, 1)
    for side in ("left", "right"):
        normals = []
        for pose in (one, two):
            hip, knee, ankle = (pose.joints[f"{side}_{part}"] for part in ("thigh", "shin", "foot"))
            normals.append(np.cross(knee - hip, ankle - knee) / leg(pose) ** 2)
        bent = np.linalg.norm(normals[0], axis=-1) > 0.06
        cosine = np.sum(normals[0] * normals[1], -1) / np.prod([np.linalg.norm(n, axis=-1) for n in normals], axis=0)
        assert bent.sum() > 20
        assert np.degrees(np.arccos(np.clip(cosine[bent], -1, 1))).max() < 12.0


def set_contacts(armature, frames, standing) -> None:
    """Key (N, 2) probabilities that the feet of a take stand, instead of its own."""
    channels = channels_of(armature)
    for foot, bone in enumerate(("left_ankle", "right_ankle")):
        path = f'pose.bones["{bone}"]["{CONTACT}"]'
        channels.fcurves.remove(channels.fcurves.find(path))
        write_curve(channels, path, 0, frames, standing[:, foot])


def test_keyed_contacts_are_used(take, make_rig):
    source, target = take(0, 180), make_rig("mixamo")
    free = retarget(source, target, options=FREE)
    one, two = poses(source, target, free, 1)
    start, end = max(benchmark.standing_spans(one, free.frames / 24)[0], key=lambda span: span[1] - span[0])
    standing = np.zeros((len(free.frames), 2))
    standing[start : end + 1, 0] = 1.0
    set_contacts(source, free.frames, standing)
    pose = poses(source, target, retarget(source, target), 1)[1]
    assert np.ptp(pose.joints["left_toe"][start : end + 1], axis=0).max() < 2e-3
    assert np.ptp(two.joints["left_toe"][start : end + 1], axis=0).max() > 5e-3
    # The hips follow the foot that stands, and take the other along where its leg would have to stretch.
    off = np.linalg.norm(pose.joints["right_toe"] - two.joints["right_toe"], axis=-1)
    assert np.median(off) < 1e-4
    assert off.max() < 5e-3


def test_contacts_of_the_motion_are_keyed(take, real_motion):
    bpy.context.scene.render.fps = 25
    source = take(0, 180)
    curve = channels_of(source).fcurves.find(f'pose.bones["right_ankle"]["{CONTACT}"]')
    bpy.context.scene.frame_set(40)
    at = np.interp(39 / 25.0, real_motion.timestamps, real_motion.contacts[:, 1])
    assert len(curve.keyframe_points) == 180
    assert source.pose.bones["right_ankle"][CONTACT] == pytest.approx(at, abs=1e-5)
    assert 0.2 < real_motion.contacts[:, 1].mean() < 0.95


def test_in_place(take, make_rig):
    source, target = take(0, 180), make_rig("mixamo")
    walked = poses(source, target, retarget(source, target))[1]
    stayed = poses(source, target, retarget(source, target, options=RetargetOptions(in_place=True)))[1]
    assert np.ptp(centre(stayed)[:, :2], axis=0).max() < 1e-4
    np.testing.assert_allclose(centre(stayed)[:, 2], centre(walked)[:, 2], atol=1e-4)


def test_root_bone_gets_the_path(take, make_rig):
    source, target = take(), make_rig("game_engine")
    plain = poses(source, target, retarget(source, target))[1]
    made = retarget(source, target, options=RetargetOptions(root_bone="Root"))
    pose = poses(source, target, made)[1]
    for slot in ("hips", "left_foot", "right_hand"):
        np.testing.assert_allclose(pose.joints[slot], plain.joints[slot], atol=1e-3)
    curves = channels_of(target).fcurves
    location = [curves.find('pose.bones["Root"].location', index=axis) for axis in range(3)]
    assert max(np.ptp([point.co.y for point in curve.keyframe_points]) for curve in location) > 0.05
    with pytest.raises(RetargetError, match="above the hips"):
        retarget(source, target, options=RetargetOptions(root_bone="head"))


def test_keys_at_the_chosen_step(take, make_rig):
    source, target = take(), make_rig("mixamo")
    made = retarget(source, target, options=RetargetOptions(step=2.0, hold_feet=False))
    assert np.allclose(np.diff(made.frames)[:-1], 2.0)
    curve = channels_of(target).fcurves.find('pose.bones["mixamorig:Hips"].rotation_quaternion', index=0)
    np.testing.assert_allclose([point.co.x for point in curve.keyframe_points], made.frames, atol=1e-3)
    assert benchmark.limb_angles(*poses(source, target, made, 1)).max() < TENTH_OF_A_DEGREE


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "AXIS_ANGLE"])
def test_simplified_curves_keep_to_the_stated_error(take, make_rig, mode):
    source, target = take(0, 120), make_rig("mixamo")
    for bone in target.pose.bones:
        bone.rotation_mode = mode
    full = retarget(source, target)
    rig = read_rig(target)
    bones = [rig.names[bone] for bone in range(len(rig.names))]
    every = local_rotations(target, bones, full.frames)
    made = retarget(source, target, options=RetargetOptions(simplify=1.0))
    assert made.keys < 0.6 * full.keys
    assert 0.0 < made.rotation_error <= 1.0
    assert made.path_error <= 0.002
    angles = np.degrees(rotations.relative_angle(every, local_rotations(target, bones, full.frames)))
    assert angles.max() < made.rotation_error + 0.05


def local_rotations(armature, bones, frames):
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame), subframe=float(frame % 1.0))
        found.append([armature.pose.bones[bone].matrix_basis.to_3x3() for bone in bones])
    return rotations.project(np.array(found, dtype=np.float64))


def test_previous_poses_do_not_matter(take, make_rig):
    source, target = take(), make_rig("default")
    for bone in target.pose.bones:
        bone.rotation_mode = "XYZ"
        bone.rotation_euler = (0.3, 0.2, 0.1)
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < TENTH_OF_A_DEGREE


def without(armature, *names):
    """The armature less some bones; their children hang on their parents."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for name in names:
        armature.data.edit_bones.remove(armature.data.edit_bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


@pytest.mark.parametrize(
    "missing",
    [
        ("clavicle_l", "clavicle_r", "ball_l", "ball_r"),
        ("spine_02", "spine_03"),
        ("spine_01", "spine_02", "spine_03", "neck_01"),
        ("Root", "head", "neck_01"),
        ("hand_l", "hand_r"),
    ],
)
def test_bones_that_are_missing(take, make_rig, missing):
    source, target = take(), without(make_rig("game_engine"), *missing)
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < TENTH_OF_A_DEGREE
    retarget(source, target)


def test_a_longer_spine_spreads_the_bend(take, make_rig):
    source, target = take(0, 120), make_rig("default")
    made = retarget(source, target, options=FREE)
    rig = read_rig(target)
    bones = recognise(rig).bones["spine"]
    smpl = local_rotations(source, ["spine1", "spine2", "spine3"], made.frames[::5])
    ours = local_rotations(target, bones, made.frames[::5])
    turned = [np.degrees(rotations.relative_angle(one, np.eye(3))) for one in (smpl, ours)]
    assert len(bones) == 5
    assert (turned[1] > 0.01).any(axis=0).all()
    assert turned[1].max() < turned[0].max() + 0.1
    # From hips to chest both turn alike.
    ends = [np.eye(3), np.eye(3)]
    for number, chain in enumerate((smpl, ours)):
        for place in range(chain.shape[1]):
            ends[number] = ends[number] @ chain[:, place]
    whole = [np.degrees(rotations.relative_angle(end, np.eye(3))) for end in ends]
    assert np.abs(whole[0] - whole[1]).max() < 6.0


def test_a_sword_does_not_turn_the_hand(take, make_rig):
    source, hands = take(0, 3), []
    for armed in (False, True):
        target = make_rig("mixamo")
        if armed:
            bpy.context.view_layer.objects.active = target
            bpy.ops.object.mode_set(mode="EDIT")
            bones = target.data.edit_bones
            hand = next(bone for bone in bones if bone.name.endswith("RightHand"))
            for number in range(6):
                sword = bones.new(f"sword {number}")
                sword.head, sword.tail = (
                    hand.head + hand.z_axis * 0.2 * number,
                    hand.head + hand.z_axis * 0.2 * (number + 1),
                )
                sword.parent = bones[f"sword {number - 1}"] if number else hand
            bpy.ops.object.mode_set(mode="OBJECT")
        made = retarget(source, target, options=FREE)
        hands.append(poses(source, target, made, 1)[1].global_rotations["right_hand"])
    assert np.degrees(rotations.relative_angle(*hands)).max() < 0.1


def test_an_a_pose_is_raised_at_the_shoulder(take, make_rig):
    """An arm that hangs at rest is raised at the shoulder; the elbow stretches but does not twist."""
    source, target = take(0, 3), make_rig("default")
    rig = read_rig(target)
    assert rig.heads[rig.number["wrist.L"], 2] < rig.heads[rig.number["upperarm01.L"], 2] - 0.2
    for curve in channels_of(source).fcurves:
        for point in curve.keyframe_points:
            point.co.y = 1.0 if curve.data_path.endswith("quaternion") and curve.array_index == 0 else 0.0
    made = retarget(source, target, options=FREE)
    shoulder, elbow = local_rotations(target, ["upperarm01.L", "lowerarm01.L"], made.frames)[0]
    assert np.degrees(rotations.relative_angle(shoulder, np.eye(3))) > 25.0
    twist = rotations.swing_twist(rotations.matrix_to_quaternion(elbow), np.array([0.0, 1.0, 0.0]))[1]
    assert np.degrees(2.0 * np.arccos(twist[0])) < 10.0


def test_control_rig_moves_the_bones_that_deform(take, control_rig):
    source = take(0, 40)
    before = untouched(control_rig)
    made = retarget(source, control_rig, options=FREE)
    assert made.warnings == []
    assert untouched(control_rig) == before
    mapping = recognise(read_rig(control_rig))
    assert mapping.family == "Rigify control rig"
    for slot in [f"{side}_{part}" for side in SIDES for part in PAIRED]:
        if slot in mapping.bones:
            mapping.put(slot, "DEF-" + mapping.bones[slot][0].replace("_fk", ""))
    frames = made.frames[::10]
    one = benchmark.evaluate(source, recognise(read_rig(source)), frames)
    angles = benchmark.limb_angles(one, benchmark.evaluate(control_rig, mapping, frames))
    assert angles.max() < 0.5
    curves = channels_of(control_rig).fcurves
    assert curves.find('pose.bones["thigh_parent.L"]["IK_FK"]').evaluate(1.0) == 1.0


def test_control_rigs_pose_is_restored(take, control_rig):
    source = take(0, 3)
    control_rig.pose.bones["f_index.01_master.L"].rotation_quaternion = (0.9, 0.1, 0.2, 0.3)
    control_rig.pose.bones["hand_ik.L"].location = (0.1, 0.2, 0.3)
    retarget(source, control_rig)
    assert tuple(control_rig.pose.bones["hand_ik.L"].location) == pytest.approx((0.1, 0.2, 0.3))
    assert control_rig.pose.bones["f_index.01_master.L"].rotation_quaternion[3] == pytest.approx(0.3)


@pytest.mark.parametrize("form", ["fbx", "glb", "bvh"])
def test_rigs_that_went_through_files(take, make_rig, tmp_path, form):
    source = take()
    target = benchmark.through_file(make_rig("mixamo"), tmp_path / f"rig.{form}")
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < 0.2


@pytest.mark.parametrize("form", ["fbx", "glb", "bvh"])
def test_motions_that_went_through_files(take, make_rig, tmp_path, form):
    original = take()
    source = benchmark.through_file(original, tmp_path / f"take.{form}")
    target = make_rig("mixamo")
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < 0.2
    assert made.frames[0] >= 0.0
    one, two = poses(source, target, made)
    scale = leg(two) / leg(one)
    np.testing.assert_allclose(np.diff(centre(two), axis=0), scale * np.diff(centre(one), axis=0), atol=2e-3)


def test_errors_of_retargeting_are_a_sentence(take, make_rig, body):
    source, target = take(0, 3), make_rig("mixamo")
    still = make_rig("game_engine")
    for one, two, words in [(still, target, "no action"), (source, source, "same"), (None, target, "source")]:
        with pytest.raises(RetargetError, match=words):
            retarget(one, two)
    empty = bpy.data.objects.new("box", bpy.data.armatures.new("box"))
    bpy.context.scene.collection.objects.link(empty)
    with pytest.raises(RetargetError, match="No bone is chosen as hips"):
        retarget(source, empty)


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_euler_angles_are_blenders(order):
    random = np.random.default_rng(1)
    steps = np.cumsum(random.normal(scale=0.2, size=(50, 2, 3)), axis=0)
    matrices = rotations.axis_angle_to_matrix(steps)
    angles = matrices_to_euler(matrices, order)
    np.testing.assert_allclose(euler_to_matrix(angles, order), matrices, atol=1e-9)
    for matrix, angle in zip(matrices[:, 0], angles[:, 0], strict=True):
        np.testing.assert_allclose(np.array(Euler(angle, order).to_matrix()), matrix, atol=1e-6)


def test_a_source_that_is_hidden_moves_the_target_all_the_same(take, make_rig):
    bpy.context.scene.render.fps = 25
    source, target = take(), make_rig("mixamo")
    bpy.context.scene.frame_set(int(source.animation_data.action.frame_range[1]))
    assert not source.evaluated_get(bpy.context.evaluated_depsgraph_get())[SEEN]
    made = retarget(source, target, options=FREE)
    assert limbs(source, target, made).max() < TENTH_OF_A_DEGREE
    assert made.frames[[0, -1]] == pytest.approx((1.0, 60.0)), "the keys around the motion add no frames"
    assert SEEN not in target


def test_target_is_visible_only_while_the_source_is_seen(take, make_rig):
    bpy.context.scene.render.fps = 25
    source, target = take(10, 20), make_rig("mixamo")
    skin = bpy.data.objects.new("skin", bpy.data.meshes.new("skin"))
    bpy.context.scene.collection.objects.link(skin)
    skin.modifiers.new("Armature", "ARMATURE").object = target
    retarget(source, target, options=replace(FREE, only_while_seen=True))
    assert [_is_drawn(skin, frame) for frame in (10, 11, 20, 21)] == [False, True, True, False]
    set_only_while_seen(target, False)
    assert _is_drawn(skin, 10)
    # Another bake follows its own source, and asks for nothing again.
    set_only_while_seen(target, True)
    retarget(take(30, 40), target, options=FREE)
    assert [_is_drawn(skin, frame) for frame in (11, 30, 31, 40, 41)] == [False, False, True, True, False]


def test_a_character_of_a_take_shows_what_it_is_given(take, make_rig):
    character, mocap = take(10, 20), make_rig("mixamo")
    retarget(character, mocap, options=FREE)
    bpy.context.scene.frame_set(1)
    assert not character[SEEN]
    retarget(mocap, character, options=FREE)
    bpy.context.scene.frame_set(1)
    assert character[SEEN], "the rig's motion says nothing of who is seen"


def _is_drawn(thing, frame):
    bpy.context.scene.frame_set(frame)
    return any(one.object.original == thing for one in bpy.context.evaluated_depsgraph_get().object_instances)
