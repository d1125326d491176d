"""Control rigs: whose rotation a control inherits where constraints, not parents, decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Matrix

from ...inference.body import rotations
from .bones import Rig

# Tolerance of inherited rotations, radians.
_SAME = np.radians(0.5)
_PROBES = 2


def needs_probe(armature: bpy.types.Object, rig: Rig, bones: np.ndarray) -> bool:
    """Whether there are constraints between bones (K,) and the root, so that parents do not decide."""
    above = {a for bone in bones for a in rig.ancestors(int(bone))} - set(map(int, bones))
    return any(
        not constraint.mute and constraint.influence > 0.0
        for bone in above
        for constraint in armature.pose.bones[rig.names[bone]].constraints
    )


def find_parents(
    armature: bpy.types.Object, rig: Rig, bones: np.ndarray, switches: dict[str, dict[str, float]]
) -> tuple[dict[int, int], list[str]]:
    """Find whose rotation controls inherit, by posing the rig at random twice; its pose is restored.

    Args:
        armature: in the view layer.
        rig: its rest pose.
        bones: (K,) indices of the controls.
        switches: custom properties to set meanwhile.

    Returns:
        For each control (index) the control (index, -1 for none) whose rotation it inherits; and the names of those
        for which none was found.
    """
    random = np.random.default_rng(1)
    rest = rotations.project(rig.rest[:, :3, :3])
    poses = [armature.pose.bones[rig.names[bone]] for bone in bones]
    inherited = np.empty((_PROBES, len(bones), 3, 3))
    moved = np.empty_like(inherited)
    with _own_pose(armature):
        for bone, values in switches.items():
            for name, value in values.items():
                set_switch(armature.pose.bones[bone], name, value)
        for probe in range(_PROBES):
            basis = rotations.axis_angle_to_matrix(random.normal(scale=0.3, size=(len(bones), 3)))
            for pose, rotation in zip(poses, basis, strict=True):
                pose.matrix_basis = Matrix(rotation.tolist()).to_4x4()
            armature.update_tag(refresh={"OBJECT", "DATA"})
            bpy.context.view_layer.update()
            posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
            now = np.array([posed.pose.bones[pose.name].matrix.to_3x3() for pose in poses], dtype=np.float64)
            now = rotations.project(now)
            moved[probe] = now @ np.swapaxes(rest[bones], -1, -2)
            inherited[probe] = now @ np.swapaxes(basis, -1, -2) @ np.swapaxes(rest[bones], -1, -2)
    parents: dict[int, int] = {}
    unknown: list[str] = []
    for index, bone in enumerate(bones):
        candidates = np.concatenate([np.broadcast_to(np.eye(3), (_PROBES, 1, 3, 3)), moved], axis=1)
        angles = rotations.relative_angle(np.broadcast_to(inherited[:, index, None], candidates.shape), candidates)
        angles[:, index + 1] = np.inf
        worst = angles.max(axis=0)
        best = int(np.argmin(worst))
        if worst[best] < _SAME:
            parents[int(bone)] = int(bones[best - 1]) if best else -1
        else:
            unknown.append(rig.names[bone])
    return parents, unknown


def set_switch(pose: bpy.types.PoseBone, name: str, value: float) -> None:
    """Set a custom property in its own type, where the bone has it."""
    if name in pose:
        pose[name] = type(pose[name])(value)


@contextmanager
def _own_pose(armature: bpy.types.Object) -> Iterator[None]:
    """Put the armature at rest without its action; restore action, pose and properties afterwards."""
    animation = armature.animation_data
    action = animation.action if animation is not None else None
    slot = getattr(animation, "action_slot", None)
    use_nla = animation is not None and animation.use_nla
    keep = [(pose, _values(pose)) for pose in armature.pose.bones]
    channels = [
        (
            pose.location.copy(),
            pose.rotation_quaternion.copy(),
            pose.rotation_euler.copy(),
            tuple(pose.rotation_axis_angle),
            pose.scale.copy(),
        )
        for pose in armature.pose.bones
    ]
    try:
        if animation is not None:
            animation.use_nla = False
            if action is not None:
                animation.action = None
        for pose, _ in keep:
            pose.matrix_basis = Matrix()
        yield
    finally:
        for (pose, values), (location, quaternion, euler, axis_angle, scale) in zip(keep, channels, strict=True):
            pose.location, pose.rotation_quaternion, pose.scale = location, quaternion, scale
            pose.rotation_euler, pose.rotation_axis_angle = euler, axis_angle
            for name, value in values.items():
                pose[name] = value
        if animation is not None:
            animation.use_nla = use_nla
        if action is not None:
            animation.action = action
            if slot is not None:
                animation.action_slot = slot
        armature.update_tag(refresh={"OBJECT", "DATA"})
        bpy.context.view_layer.update()


def _values(pose: bpy.types.PoseBone) -> dict[str, float]:
    return {name: value for name, value in pose.items() if isinstance(value, (bool, int, float))}
