"""Controls that constraints make limbs follow: hands, feet and poles of IK are keyed so that the limbs stay on course.

The limbs themselves are keyed, too: so the solver of IK begins at its solution, and keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ...inference.body import rotations
from .bones import Rig
from .plan import TransferPlan
from .transfer import positions

_COPIES = ("COPY_TRANSFORMS", "COPY_ROTATION", "COPY_LOCATION", "CHILD_OF")
_ENDS = {"upper_arm": "hand", "forearm": "hand", "thigh": "foot", "shin": "foot"}

Pose = tuple[np.ndarray, np.ndarray]
"""World rotations (N, 3, 3) and heads (N, 3) of a bone."""


@dataclass(frozen=True)
class LimbControl:
    """A bone without a part of the body that moves a limb through constraints.

    Attributes:
        bone: its index in the rig.
        follows: the driven bone (index in the rig) with which it moves rigidly.
        chain: of a pole the first and the last bone of the chain of IK; empty for others.
        angle: of a pole the constraint's pole angle.
    """

    bone: int
    follows: int
    chain: tuple[int, ...] = ()
    angle: float = 0.0


@dataclass(frozen=True)
class ControlMotion:
    """The channels of controls over N frames, by bone (index in the rig).

    Attributes:
        quaternions: (N, 4) each.
        locations: (N, 3) each.
        resting: bones between the keyed controls and those that constraints refer to, which stay at rest.
    """

    quaternions: dict[int, np.ndarray]
    locations: dict[int, np.ndarray]
    resting: tuple[int, ...] = ()


def find_limb_controls(armature: bpy.types.Object, plan: TransferPlan) -> list[LimbControl]:
    """Find the controls that constraints make the driven bones of a target follow, through others or not."""
    rig = plan.target.rig
    driven = {int(bone): slot for bone, slot in zip(plan.bones, plan.slots, strict=True)}
    found: dict[int, LimbControl] = {}
    waiting = [(bone, bone) for bone in driven]
    for bone, follows in waiting:
        for constraint in armature.pose.bones[rig.names[bone]].constraints:
            if constraint.mute or constraint.influence <= 0.0 or not constraint.is_valid:
                continue
            goal = _referred(rig, armature, constraint, "target")
            if constraint.type == "IK":
                # An ankle's control turns the foot, too.
                side, _, part = driven[follows].rpartition("_")
                end = plan.driven(f"{side}_{_ENDS.get(part, part)}")
                _add(found, driven, LimbControl(goal, int(plan.bones[end]) if end >= 0 else follows))
                pole = _referred(rig, armature, constraint, "pole_target")
                chain = [bone, *rig.ancestors(bone)][: constraint.chain_count or None]
                if pole >= 0 and pole not in driven:
                    found[pole] = LimbControl(pole, follows, (chain[-1], bone), constraint.pole_angle)
            elif constraint.type in _COPIES and goal >= 0 and goal not in driven and goal not in found:
                _add(found, driven, LimbControl(goal, follows))
                waiting.append((goal, follows))
    return list(found.values())


def follow(
    plan: TransferPlan,
    controls: Sequence[LimbControl],
    global_rotations: np.ndarray,
    hips: np.ndarray,
    root: int = -1,
    travel: np.ndarray | float = 0.0,
) -> ControlMotion:
    """Move controls with the limbs, and detached hands and feet to where their limbs end.

    Args:
        plan: the plan.
        controls: what `find_limb_controls` found.
        global_rotations: (N, K, 3, 3) world rotations of the driven bones.
        hips: (N, 3) the head of the hips bone, as far as ``root`` does not carry it.
        root: the bone above the hips that has the path over the floor, -1 for none.
        travel: (N, 3) how far it moves.
    """
    rig = plan.target.rig
    heads = positions(plan, global_rotations, hips)
    detached = [int(plan.bones[index]) for index in plan.detached]
    if not controls and not detached:
        return ControlMotion({}, {})
    poses: dict[int, Pose] = {
        int(bone): (global_rotations[:, place], heads[:, place]) for place, bone in enumerate(plan.bones)
    }
    keyed: dict[int, Pose] = {bone: poses[bone] for bone in detached}
    resting: set[int] = set()
    rigid = [control for control in controls if not control.chain]
    tops = _tops(rig, [control.bone for control in rigid], {*poses, *(control.bone for control in controls)})
    for control in rigid:
        poses[control.bone] = _attached(rig, control.bone, control.follows, poses[control.follows])
        top = tops[control.bone]
        if top != control.bone:
            resting.update(one for one in (control.bone, *rig.ancestors(control.bone)) if top in rig.ancestors(one))
        keyed.setdefault(top, _attached(rig, top, control.bone, poses[control.bone]))
    poses |= keyed
    for control in controls:
        if control.chain:
            keyed[control.bone] = _pole(rig, control, poses)
    poses |= keyed
    made = ControlMotion({}, {}, tuple(resting - keyed.keys()))
    for bone, (turned, moved) in keyed.items():
        if root >= 0 and root not in rig.ancestors(bone):
            moved = moved + travel
        parent = int(rig.parents[bone])
        above = _pose_of(rig, parent, poses, len(hips)) if parent >= 0 else None
        quaternions, locations = _channels(rig, bone, (turned, moved), above)
        if bone not in detached:
            made.quaternions[bone] = quaternions
        if not rig.connected[bone]:
            made.locations[bone] = locations
    return made


def _referred(rig: Rig, armature: bpy.types.Object, constraint: bpy.types.Constraint, what: str) -> int:
    """The index of the bone of the same armature that a constraint refers to, -1 for none."""
    name = getattr(constraint, what.replace("target", "subtarget"), "")
    return rig.number.get(name, -1) if getattr(constraint, what, None) == armature else -1


def _add(found: dict[int, LimbControl], driven: dict[int, str], control: LimbControl) -> None:
    if control.bone >= 0 and control.bone not in driven:
        found[control.bone] = control


def _tops(rig: Rig, bones: Sequence[int], moving: set[int]) -> dict[int, int]:
    """For each control the highest bone above it that carries nothing else that moves: animators take that one."""
    carrying = Counter(above for bone in moving for above in rig.ancestors(bone))
    tops = {}
    for bone in bones:
        tops[bone] = bone
        for above in rig.ancestors(bone):
            if above in moving or carrying[above] > 1:
                break
            tops[bone] = above
    return tops


def _attached(rig: Rig, bone: int, to: int, pose: Pose) -> Pose:
    """The pose of a bone that moves rigidly with another."""
    turn = pose[0] @ rig.axes[to].T
    return turn @ rig.axes[bone], pose[1] + turn @ (rig.heads[bone] - rig.heads[to])


def _pose_of(rig: Rig, bone: int, poses: dict[int, Pose], count: int) -> Pose:
    """The pose of a bone that is at rest on what carries it."""
    carrier = next((one for one in (bone, *rig.ancestors(bone)) if one in poses), -1)
    if carrier < 0:
        return np.repeat(rig.axes[None, bone], count, axis=0), np.repeat(rig.heads[None, bone], count, axis=0)
    return poses[carrier] if carrier == bone else _attached(rig, bone, carrier, poses[carrier])


def _pole(rig: Rig, control: LimbControl, poses: dict[int, Pose]) -> Pose:
    """A pole where it keeps the chain's plane: on the side of the first bone that the pole angle tells."""
    count = len(poses[control.follows][1])
    first, last = control.chain
    turned, start = _pose_of(rig, first, poses, count)
    tip = rig.to_world(rig.tails[last]) - rig.heads[last]
    turn, begin = _pose_of(rig, last, poses, count)
    way = begin + (turn @ rig.axes[last].T) @ tip - start
    way /= np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-9)
    side = np.cos(control.angle) * turned[..., 0] + np.sin(control.angle) * turned[..., 2]
    side -= np.sum(side * way, axis=-1, keepdims=True) * way
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    rest = rig.heads[control.bone] - rig.heads[first]
    straight = rig.heads[last] + tip - rig.heads[first]
    straight /= max(float(np.linalg.norm(straight)), 1e-9)
    along = float(rest @ straight)
    away = max(float(np.linalg.norm(rest - along * straight)), 1e-3)
    return np.repeat(rig.axes[None, control.bone], count, axis=0), start + along * way + away * side


def _channels(rig: Rig, bone: int, pose: Pose, above: Pose | None) -> tuple[np.ndarray, np.ndarray]:
    """Quaternions (N, 4) and locations (N, 3) that give a bone a pose in the world, on its parent's pose."""
    turned, heads = (rig.rotation.T @ pose[0]), rig.to_armature(pose[1])
    rest = rotations.project(rig.rest[:, :3, :3])
    own, joint = rest[bone], rig.rest[bone, :3, 3]
    if above is None:
        carried = np.broadcast_to(np.eye(3), turned.shape)
        start = np.broadcast_to(joint, heads.shape)
        along = own if rig.local_location[bone] else np.eye(3)
    else:
        parent = int(rig.parents[bone])
        carried = rig.rotation.T @ above[0] @ rest[parent].T
        start = rig.to_armature(above[1]) + carried @ (joint - rig.rest[parent, :3, 3])
        along = carried @ (own if rig.local_location[bone] else rest[parent])
    inherited = carried @ own if rig.inherits_rotation[bone] else np.broadcast_to(own, turned.shape)
    basis = np.swapaxes(inherited, -1, -2) @ turned
    locations = (np.swapaxes(along, -1, -2) @ (heads - start)[..., None])[..., 0]
    return rotations.make_continuous(rotations.matrix_to_quaternion(rotations.project(basis))[:, None])[:, 0], locations
