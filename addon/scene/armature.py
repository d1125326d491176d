"""The armature: SMPL's joints as bones, in T-pose, upright, facing −Y, and SMPL-H's fingers where the body has them.

Armature space is the body's frame rotated to Blender's axes (x to the body's left, y to the back, z up) and raised so
that the body stands on z = 0.

Positive rotation about a bone's X axis bends spine, neck, elbows, wrists, fingers, knees and toes the way they bend.
Left and right are mirror images, and Blender's own naming rules know `left_` and `right_`, so X-mirror and flipped
paste work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from ...inference.body import fingers
from ...inference.body.skeleton import (
    BODY_JOINTS,
    FINGER_JOINT_NAMES,
    FINGER_TIP_NAMES,
    FINGERS,
    JOINT_NAMES,
    PARENTS,
    SIDES,
)
from ...inference.body.smpl import Body

BODY_TO_ARMATURE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Rotation from the body's axes to the armature's."""

BONE_NAMES = (*JOINT_NAMES, *FINGER_JOINT_NAMES)
"""All bones of a body with fingers; one without has the first 24."""


def _finger_parent(name: str) -> str:
    """All fingers but the thumb hang on SMPL's hand, which turns them where a motion of SMPL turns it."""
    if not name.endswith("1"):
        return f"{name[:-1]}{int(name[-1]) - 1}"
    return f"{name.split('_')[0]}_{'wrist' if 'thumb' in name else 'hand'}"


_BONE_PARENTS = (*PARENTS, *(BONE_NAMES.index(_finger_parent(name)) for name in FINGER_JOINT_NAMES))

_FRONT, _BACK, _DOWN = (0.0, -1.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)

# The bone whose head is a bone's tail.
_TOWARDS = {
    "pelvis": "spine1",
    "spine1": "spine2",
    "spine2": "spine3",
    "spine3": "neck",
    "neck": "head",
    **{
        f"{side}_{bone}": f"{side}_{child}"
        for side in ("left", "right")
        for bone, child in (
            ("hip", "knee"),
            ("knee", "ankle"),
            ("ankle", "foot"),
            ("collar", "shoulder"),
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
            ("wrist", "hand"),
        )
    },
    **{name: f"{name[:-1]}{int(name[-1]) + 1}" for name in FINGER_JOINT_NAMES if not name.endswith("3")},
}

# Where the Z axis of a bone points, by the last word of its name.
_Z_AXES = {
    "pelvis": _FRONT,
    "spine1": _FRONT,
    "spine2": _FRONT,
    "spine3": _FRONT,
    "neck": _FRONT,
    "head": _FRONT,
    "collar": _FRONT,
    "shoulder": _FRONT,
    "elbow": _FRONT,
    "wrist": _DOWN,
    "hand": _DOWN,
    "hip": _BACK,
    "knee": _BACK,
    "ankle": _DOWN,
    "foot": _DOWN,
}

_COLLECTIONS = {
    "Torso": ("pelvis", "spine1", "spine2", "spine3", "neck", "head"),
    **{
        f"{side.capitalize()} {limb}": tuple(f"{side}_{bone}" for bone in bones)
        for limb, bones in (
            ("arm", ("collar", "shoulder", "elbow", "wrist", "hand")),
            ("leg", ("hip", "knee", "ankle", "foot")),
        )
        for side in SIDES
    },
    **{f"{side.capitalize()} fingers": tuple(n for n in FINGER_JOINT_NAMES if n.startswith(side)) for side in SIDES},
}

ALL_BONES = "Person"
"""The bone collection above the others."""

_PALETTES = {"Torso": "THEME09", "Left": "THEME04", "Right": "THEME01"}


@dataclass(frozen=True)
class Rest:
    """A person's bones in T-pose, in armature space.

    Attributes:
        heads: (24, 3) metres, in the order of `BONE_NAMES`; (54, 3) of a body with fingers, as all others here.
        tails: (24, 3) metres.
        height: metres by which the body's frame is raised to stand on z = 0.
    """

    heads: np.ndarray
    tails: np.ndarray
    height: float


def to_armature(points: np.ndarray, height: float) -> np.ndarray:
    """Convert points (..., 3) of the body's frame to armature space."""
    return points @ BODY_TO_ARMATURE.T + (0.0, 0.0, height)


def rest_skin(body: Body, betas: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) of the skin in T-pose, in the body's frame, of shape ``betas`` (10,); fingers are straight."""
    return (body.with_fingers or body).shape(betas)[0]


def rest_bones(body: Body, betas: np.ndarray) -> Rest:
    """Lay out the bones of a body of shape ``betas`` (10,)."""
    vertices, joints = body.shape(betas)
    height = -float(vertices[:, 1].min())
    heads = to_armature(joints, height)
    tails = np.empty_like(heads)
    skin, owner = to_armature(vertices, height), body.weights.argmax(axis=1)
    ends: dict[str, np.ndarray] = {}
    if (handed := body.with_fingers) is not None:
        heads = np.concatenate([heads, to_armature(handed.rest_joints(betas)[BODY_JOINTS:], height)])
        tails = np.empty_like(heads)
        tips = to_armature(handed.rest_tips(betas), height)
        ends = {name.replace("_tip", "3"): tip for name, tip in zip(FINGER_TIP_NAMES, tips, strict=True)}
    number = {name: index for index, name in enumerate(BONE_NAMES[: len(heads)])}
    for name, index in number.items():
        if name in _TOWARDS:
            tails[index] = heads[number[_TOWARDS[name]]]
            continue
        if name in ends:
            tails[index] = ends[name]
            continue
        if name.endswith("hand"):
            direction = heads[index] - heads[body.parents[index]]
        else:
            direction = np.array((0.0, 0.0, 1.0) if name == "head" else _FRONT)
        direction = direction / np.linalg.norm(direction)
        reach = (skin[owner == index] - heads[index]) @ direction
        # Bodies without skin beyond a joint still need a bone that is visible and selectable.
        tails[index] = heads[index] + direction * max(float(reach.max(initial=0.0)), 0.04)
    return Rest(heads, tails, height)


def create_armature(name: str, body: Body, rest: Rest) -> bpy.types.Object:
    """Make an armature object, in no collection yet, whose pose bones are ready for quaternion keys."""
    data = bpy.data.armatures.new(name)
    armature = bpy.data.objects.new(name, data)
    with _edited(armature):
        _add_bones(data, len(rest.heads))
        _place_bones(data, rest)
    _sort_bones(armature)
    data.display_type = "OCTAHEDRAL"
    armature.show_in_front = True
    return armature


def move_bones(armature: bpy.types.Object, rest: Rest) -> None:
    """Lay out the bones of an armature that `create_armature` made for another shape."""
    with _edited(armature):
        _place_bones(armature.data, rest)


@contextlib.contextmanager
def _edited(armature: bpy.types.Object) -> Iterator[None]:
    """Edit mode, without which bones can't be made or moved.

    A separate scene leaves the user's selection unchanged.
    """
    mode = armature.mode
    scene = bpy.data.scenes.new(armature.name)
    try:
        scene.collection.objects.link(armature)
        layer = scene.view_layers[0]
        layer.objects.active = armature
        with bpy.context.temp_override(scene=scene, view_layer=layer, active_object=armature, object=armature):
            bpy.ops.object.mode_set(mode="EDIT")
            yield
            bpy.ops.object.mode_set(mode="OBJECT")
            bpy.ops.object.mode_set(mode=mode)
    finally:
        bpy.data.scenes.remove(scene)


def bone_names(armature: bpy.types.Object) -> tuple[str, ...]:
    """Return the bones of an armature that `create_armature` made, with or without fingers, in the order of theirs."""
    bones = armature.data.bones
    return BONE_NAMES if all(name in bones for name in FINGER_JOINT_NAMES) else JOINT_NAMES


def rest_axes(armature: bpy.types.Object) -> np.ndarray:
    """Return the rest orientation (24, 3, 3) of `bone_names` in armature space; columns are the bones' axes."""
    names = bone_names(armature)
    axes = np.array([armature.data.bones[name].matrix_local.to_3x3() for name in names], dtype=np.float64)
    # Blender keeps them in single precision; orthonormal in double, conjugation does not add to the error.
    u, _, vt = np.linalg.svd(axes)
    return u @ vt


def _place_bones(data: bpy.types.Armature, rest: Rest) -> None:
    for name, head, tail in zip(BONE_NAMES, rest.heads, rest.tails, strict=False):
        bone = data.edit_bones.get(name)
        # Characters that earlier versions made have no fingers.
        if bone is None:
            continue
        bone.head = head
        bone.tail = tail
        bone.align_roll(Vector(_z_axis(name)))


def _z_axis(name: str) -> tuple[float, ...]:
    if name not in FINGER_JOINT_NAMES:
        return _Z_AXES[name.rsplit("_", 1)[-1]]
    side, _, finger = name[:-1].partition("_")
    return tuple(BODY_TO_ARMATURE @ fingers.AXES[SIDES.index(side), FINGERS.index(finger), 1])


def _add_bones(data: bpy.types.Armature, count: int) -> None:
    for index, name in enumerate(BONE_NAMES[:count]):
        bone = data.edit_bones.new(name)
        if _BONE_PARENTS[index] >= 0:
            parent = BONE_NAMES[_BONE_PARENTS[index]]
            bone.parent = data.edit_bones[parent]
            bone.use_connect = _TOWARDS.get(parent) == name


def _sort_bones(armature: bpy.types.Object) -> None:
    everything = armature.data.collections.new(ALL_BONES)
    for title, names in _COLLECTIONS.items():
        if names[0] not in armature.data.bones:
            continue
        collection = armature.data.collections.new(title, parent=everything)
        for name in names:
            bone = armature.data.bones[name]
            collection.assign(bone)
            bone.color.palette = _PALETTES[title.split(" ")[0]]
    for bone in armature.pose.bones:
        bone.rotation_mode = "QUATERNION"
        bone.lock_location = (bone.parent is not None,) * 3
        bone.lock_scale = (True, True, True)
