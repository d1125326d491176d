"""A motion becomes an action of another armature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import bpy
import numpy as np

from ...inference.body import rotations
from ...inference.motion.legs import contact_spans
from ..compatibility import Channels, new_channels
from ..scene.keyframes import CONSTANT, LINEAR, OURS, scene_frame_rate, write_curve
from ..scene.layers import captured_action
from ..scene.visibility import can_hide, copy_seen, follow_seen, seen_curve
from .bones import SIDES, RetargetError, Rig, read_rig
from .contacts import find_standing, hold_feet
from .controls import find_parents, needs_probe
from .deviations import Deviation, find_deviations, tell_deviations
from .face import transfer_face
from .limb_controls import find_limb_controls, follow
from .mapping import BoneMapping, missing_parts
from .plan import make_plan
from .recognise import recognise
from .rest_body import RestBody, read_body
from .sampling import channels_to_matrix, euler_to_matrix, read_contacts, sample, stepped_frames
from .simplify import distance, keep_keys, rotation_error
from .transfer import basis_quaternions, bone_location, fit_path, hips_heads, transfer_rotations

_PATHS = {"QUATERNION": ("rotation_quaternion", 4), "AXIS_ANGLE": ("rotation_axis_angle", 4)}


@dataclass(frozen=True)
class RetargetOptions:
    """How to retarget.

    Attributes:
        step: frames between keys, whole or not; 0 keys where the source has keys.
        in_place: leave out the path over the floor; heights stay.
        root_bone: the bone above the hips that gets the path over the floor; empty for none.
        hold_feet: keep standing feet in place, by the source's keys of `CONTACT`; without them speed and
            height of its feet are used.
        match_world: keep the source's position and direction in the world; otherwise the motion is relative to the
            armature objects, and the source's front becomes the target's.
        simplify: leave out keys as long as no rotation is off by more than this, in degrees, and the path by more
            than ``simplify_path``; 0 keeps all.
        simplify_path: metres.
        only_while_seen: hide the target's meshes while the source's person isn't seen, by drivers; a target
            that has them already follows in any case.
        name: of the action; empty for one after source and target.
    """

    step: float = 0.0
    in_place: bool = False
    root_bone: str = ""
    hold_feet: bool = True
    match_world: bool = False
    simplify: float = 0.0
    simplify_path: float = 0.002
    only_while_seen: bool = False
    name: str = ""


@dataclass
class Retargeted:
    """What `retarget` has made.

    Attributes:
        action: the target's new action.
        frames: (N,) the scene frames that were transferred.
        keys: how many keys its bones have.
        rotation_error: the largest error of simplification at these frames, degrees.
        path_error: the same of the path, metres.
        faces: names of the target's skins whose shape keys follow the source's face.
        warnings: sentences on what may look wrong.
        deviations: how far the evaluated bones are off the source; the worst first.
    """

    action: bpy.types.Action
    frames: np.ndarray
    keys: int = 0
    rotation_error: float = 0.0
    path_error: float = 0.0
    faces: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)


def retarget(
    source: bpy.types.Object,
    target: bpy.types.Object,
    mapping: BoneMapping | None = None,
    options: RetargetOptions | None = None,
    source_mapping: BoneMapping | None = None,
) -> Retargeted:
    """Give an armature the motion of another as a new action.

    Only the target's active action changes, those of its skins' shape keys if the source's face moves them, and with
    ``only_while_seen`` what hides its meshes: neither bones nor rest pose, transforms or constraints. The bones of the
    mapping are keyed, those in between and above the hips once at rest, and the switches of a control rig once.

    Args:
        source: an armature with an action.
        target: the armature that is to move.
        mapping: the target's bones; recognised if None.
        options: how to retarget.
        source_mapping: the source's bones; recognised if None.

    Raises:
        RetargetError: there is no motion, or a bone that is needed is missing or unknown.
    """
    options = options or RetargetOptions()
    _check(source, target)
    bpy.context.view_layer.update()
    rigs = read_rig(source), read_rig(target)
    source_mapping, mapping = source_mapping or recognise(rigs[0]), mapping or recognise(rigs[1])
    bodies = read_body(rigs[0], source_mapping.indices(rigs[0])), read_body(rigs[1], mapping.indices(rigs[1]))
    root = _root_bone(rigs[1], mapping, options)
    frames = stepped_frames(source, options.step)

    by_hand = _by_hand(rigs[1], bodies[1], mapping)
    plan = make_plan(*bodies, keep_directions=options.match_world, **by_hand)
    warnings = []
    if needs_probe(target, rigs[1], plan.bones):
        parents, unknown = find_parents(target, rigs[1], plan.bones, mapping.switches)
        plan = make_plan(*bodies, keep_directions=options.match_world, rotation_parents=parents, **by_hand)
        if unknown:
            warnings.append(f"The rotation parents of {', '.join(unknown)} of {target.name} could not be determined.")
    warnings += missing_parts(mapping, target.name)

    samples = sample(source, rigs[0], plan.joints, frames)
    joint = {int(bone): index for index, bone in enumerate(plan.joints)}
    ankles, thighs, balls = (
        np.stack([samples.heads[:, joint[bodies[0].bones[slot][0]]] for slot in slots], axis=1)
        for slots in (
            [f"{side}_foot" for side in SIDES],
            [f"{side}_thigh" for side in SIDES],
            [f"{side}_toe" if f"{side}_toe" in bodies[0].bones else f"{side}_foot" for side in SIDES],
        )
    )
    global_rotations = transfer_rotations(plan, samples.global_rotations)
    path = thighs.mean(axis=1)
    centres = fit_path(plan, path, ankles, options.match_world).apply(path)
    hips = hips_heads(plan, global_rotations, centres)
    times = frames / scene_frame_rate(bpy.context.scene)
    if options.hold_feet and len(frames) > 2:
        feet = tuple(source_mapping.bones[f"{side}_foot"][0] for side in SIDES)
        standing = find_standing(balls, times, bodies[0].leg, read_contacts(source, feet, frames))
        global_rotations, held = hold_feet(plan, global_rotations, hips, contact_spans(standing, times), times)
        centres, hips = centres + (held - hips), held

    over_floor = (centres - bodies[1].centre) * (1.0, 1.0, 0.0)
    travel = np.zeros_like(over_floor) if options.in_place else over_floor
    if options.in_place or root >= 0:
        hips = hips - over_floor
    controls = follow(plan, find_limb_controls(target, plan), global_rotations, hips, root, travel)

    action, channels = new_channels(target, options.name or f"{_action_name(source)} on {target.name}")
    action.use_fake_user = True
    action[OURS] = True
    made = Retargeted(action, frames, warnings=warnings)
    quaternions = basis_quaternions(plan, global_rotations)
    motion = {int(bone): quaternions[:, place] for place, bone in enumerate(plan.bones)} | controls.quaternions
    hips_bone = int(plan.bones[plan.driven("hips")])
    locations = {hips_bone: bone_location(rigs[1], hips_bone, hips)} | controls.locations
    if root >= 0:
        locations[root] = bone_location(rigs[1], root, rigs[1].heads[root] + travel)
    _write(made, channels, target, rigs[1], motion, locations, options)
    _write_rest(channels, target, rigs[1], set(motion), mapping, {*locations}, controls.resting, frames[0])
    made.faces = transfer_face(source, target, action, frames)
    if options.only_while_seen and seen_curve(source) is not None:
        follow_seen(target)
    if can_hide(target):
        copy_seen(source, channels, frames)
    made.deviations = find_deviations(target, plan, samples, global_rotations)
    made.warnings += tell_deviations(made.deviations, target, options.hold_feet and not mapping.offsets)
    return made


def matrices_to_euler(matrices: np.ndarray, order: str) -> np.ndarray:
    """Euler angles (N, E, 3) in radians about x, y and z, without jumps over time, of rotations (N, E, 3, 3).

    They are applied in ``order``, such as XYZ, as Blender does.
    """
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    angles = np.empty(matrices.shape[:-1])
    angles[..., i] = np.arctan2(sign * matrices[..., k, j], matrices[..., k, k])
    angles[..., j] = np.arcsin(np.clip(-sign * matrices[..., k, i], -1.0, 1.0))
    angles[..., k] = np.arctan2(sign * matrices[..., j, i], matrices[..., i, i])
    other = angles + np.pi
    other[..., j] = np.pi - angles[..., j]
    turn = 2.0 * np.pi
    for frame in range(1, len(angles)):
        # Each rotation has two sets of angles, and any number of whole turns.
        before = angles[frame - 1]
        choices = [one + turn * np.round((before - one) / turn) for one in (angles[frame], other[frame])]
        nearer = np.sum((choices[0] - before) ** 2, -1) <= np.sum((choices[1] - before) ** 2, -1)
        angles[frame] = np.where(nearer[:, None], choices[0], choices[1])
    return angles


def _check(source: bpy.types.Object, target: bpy.types.Object) -> None:
    if source is None or source.type != "ARMATURE":
        raise RetargetError("Choose an armature with a motion as the source.")
    if target is None or target.type != "ARMATURE":
        raise RetargetError("Choose an armature as the target.")
    if source == target:
        raise RetargetError("Source and target are the same armature.")
    if not target.is_editable:
        raise RetargetError(f"{target.name} is linked from another file: make a library override first.")
    if target.animation_data is not None and target.animation_data.use_tweak_mode:
        raise RetargetError(f"{target.name} is being edited in the NLA: leave tweak mode first.")


def _by_hand(rig: Rig, body: RestBody, mapping: BoneMapping) -> dict[str, Any]:
    """What `make_plan` takes of a user's own corrections."""
    turns = {rig.number[name]: turn for name, turn in mapping.rest.items() if name in rig.number}
    offsets = {rig.number[name]: angles for name, angles in mapping.offsets.items() if name in rig.number}
    mended = None
    if turns:
        matrices = {bone: rotations.quaternion_to_matrix(np.array(turn)) for bone, turn in turns.items()}
        mended = read_body(rig.posed(matrices), body.bones)
    return {
        "mended": mended,
        "offsets": {bone: euler_to_matrix(np.array(angles), "XYZ") for bone, angles in offsets.items()},
    }


def _root_bone(rig: Rig, mapping: BoneMapping, options: RetargetOptions) -> int:
    """The index of the bone that gets the path over the floor, -1 for none."""
    if not options.root_bone:
        return -1
    hips = rig.number[mapping.bones["hips"][0]]
    root = rig.number.get(options.root_bone, -1)
    if root not in rig.ancestors(hips):
        raise RetargetError(f"{options.root_bone} is no bone above the hips.")
    return root


def _action_name(source: bpy.types.Object) -> str:
    action = captured_action(source)
    return action.name if action is not None else source.name


def _write(
    made: Retargeted,
    channels: Channels,
    target: bpy.types.Object,
    rig: Rig,
    quaternions: dict[int, np.ndarray],
    locations: dict[int, np.ndarray],
    options: RetargetOptions,
) -> None:
    """Write the curves of bones that turn, quaternions (N, 4) each, and of those that move, locations (N, 3) each."""
    frames, count = made.frames, len(made.frames)
    modes = {bone: target.pose.bones[rig.names[bone]].rotation_mode for bone in quaternions}
    scale = float(np.cbrt(abs(np.linalg.det(rig.world[:3, :3]))))
    eulers: dict[int, np.ndarray] = {}
    for order in set(modes.values()) - set(_PATHS):
        own = [bone for bone in quaternions if modes[bone] == order]
        matrices = rotations.quaternion_to_matrix(np.stack([quaternions[bone] for bone in own], axis=1))
        eulers.update(zip(own, np.swapaxes(matrices_to_euler(matrices, order), 0, 1), strict=True))
    for bone in sorted({*quaternions, *locations}):
        name = rig.names[bone]
        group = channels.groups.new(name)
        if bone in locations:
            values = locations[bone]
            kept = np.ones(count, dtype=bool)
            if options.simplify > 0.0 and count > 2:
                kept, error = keep_keys(frames, scale * values, options.simplify_path, distance)
                made.path_error = max(made.path_error, error)
            if rig.connected[bone]:
                made.warnings.append(f"{name} is connected to its parent and can't move.")
            for part in range(3):
                _curve(channels, name, "location", part, frames[kept], values[kept, part], group)
            made.keys += int(kept.sum())
        if bone not in quaternions:
            continue
        mode, values = modes[bone], quaternions[bone]
        path, size = _PATHS.get(mode, ("rotation_euler", 3))
        if mode == "AXIS_ANGLE":
            values = _axis_angles(values)
        elif mode != "QUATERNION":
            values = eulers[bone]
        kept = np.ones(count, dtype=bool)
        if options.simplify > 0.0 and count > 2:
            measure = rotation_error if mode == "QUATERNION" else partial(_error, mode)
            kept, error = keep_keys(frames, values, np.radians(options.simplify), measure)
            made.rotation_error = max(made.rotation_error, float(np.degrees(error)))
        for part in range(size):
            _curve(channels, name, path, part, frames[kept], values[kept, part], group)
        made.keys += int(kept.sum())


def _error(mode: str, values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Angles (M,) between rotations given as the channels (M, C) of a rotation mode."""
    ends = [rotations.matrix_to_quaternion(channels_to_matrix(one, mode)) for one in (values, others)]
    return rotation_error(ends[0], ends[1])


def _axis_angles(quaternions: np.ndarray) -> np.ndarray:
    """Angle and axis (N, 4) of continuous quaternions (N, 4), continuous where they rotate."""
    sine = np.linalg.norm(quaternions[:, 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, quaternions[:, :1])
    axis = np.where(sine > 1e-9, quaternions[:, 1:] / np.maximum(sine, 1e-9), (0.0, 1.0, 0.0))
    # Through the identity the axis would flip: rotate backwards about the old one instead.
    flips = np.cumsum(np.concatenate([[False], np.sum(axis[1:] * axis[:-1], axis=-1) < 0.0])) % 2 == 1
    sign = np.where(flips, -1.0, 1.0)[:, None]
    angle = np.unwrap((angle * sign)[:, 0])[:, None]
    return np.concatenate([angle, axis * sign], axis=-1)


def _write_rest(
    channels: Channels,
    target: bpy.types.Object,
    rig: Rig,
    driven: set[int],
    mapping: BoneMapping,
    moved: set[int],
    resting: Iterable[int],
    frame: float,
) -> None:
    """Key once unmapped bones that affect the pose, at rest, and the switches: the action is self-contained."""
    above = {a for bone in driven for a in rig.ancestors(bone)} | set(resting)
    above |= {rig.number[name] for name in mapping.neutral if name in rig.number}
    at = np.array([frame])
    for bone in sorted(above - driven):
        pose = target.pose.bones[rig.names[bone]]
        if any(not constraint.mute for constraint in pose.constraints) and rig.names[bone] not in mapping.neutral:
            continue
        path, size = _PATHS.get(pose.rotation_mode, ("rotation_euler", 3))
        rest = {"QUATERNION": (1.0, 0.0, 0.0, 0.0), "AXIS_ANGLE": (0.0, 0.0, 1.0, 0.0)}
        values = rest.get(pose.rotation_mode, (0.0, 0.0, 0.0))
        group = channels.groups.get(pose.name) or channels.groups.new(pose.name)
        for part in range(size):
            _curve(channels, pose.name, path, part, at, np.array([values[part]]), group, CONSTANT)
        if bone not in moved:
            for part in range(3):
                _curve(channels, pose.name, "location", part, at, np.zeros(1), group, CONSTANT)
    for name, values in mapping.switches.items():
        pose = target.pose.bones.get(name)
        for switch, value in values.items():
            if pose is not None and switch in pose:
                group = channels.groups.get(name) or channels.groups.new(name)
                path = f'pose.bones["{bpy.utils.escape_identifier(name)}"]["{bpy.utils.escape_identifier(switch)}"]'
                write_curve(channels, path, 0, at, np.array([value]), group, CONSTANT)


def _curve(
    channels: Channels,
    bone: str,
    path: str,
    part: int,
    frames: np.ndarray,
    values: np.ndarray,
    group: object,
    interpolation: int = LINEAR,
) -> None:
    data_path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{path}'
    write_curve(channels, data_path, part, frames, values, group, interpolation)
