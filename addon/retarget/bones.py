"""The canonical human, and an armature as arrays: the only part of retargeting that reads bones from Blender.

Everything else works on these arrays with NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import bpy
import numpy as np

from ...inference.body import rotations
from ...inference.errors import VideoMotionError

# Bones that are turned by less are at rest, radians.
_TURNED = 1e-3

SIDES = ("left", "right")

CENTRAL = ("hips", "spine", "neck", "head")
"""Slots in the middle of the body. The last bone of the spine is the chest."""

LIMBS = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
"""Slots of each side, named ``left_thigh`` and so on."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
"""Slots of each hand, named ``left_thumb`` and so on, from the palm outwards. A thumb begins with its metacarpal; the
metacarpals of the others are part of the hand."""

PAIRED = (*LIMBS, *FINGERS)
"""Every part that a body has on both sides."""

BODY_SLOTS = (*CENTRAL, *(f"{side}_{part}" for side in SIDES for part in LIMBS))
"""The slots of a body without fingers."""

FINGER_SLOTS = tuple(f"{side}_{finger}" for side in SIDES for finger in FINGERS)
"""The optional slots of a body."""

SLOTS = (*BODY_SLOTS, *FINGER_SLOTS)
"""Every slot of the canonical human."""

CHAINS = ("spine", "neck", *FINGER_SLOTS)
"""Slots that hold any number of bones, from the hips or the palm outwards; every other holds one."""

NEEDED = ("hips", "left_thigh", "left_shin", "left_foot", "right_thigh", "right_shin", "right_foot")
"""Slots without which nothing can be retargeted."""


class RetargetError(VideoMotionError):
    """A motion can't be retargeted."""


@dataclass(frozen=True)
class Rig:
    """The bones of an armature at rest; parents come before their children.

    Attributes:
        names: of the B bones.
        parents: (B,) the index of each bone's parent, -1 for none.
        rest: (B, 4, 4) rest matrices in armature space.
        tails: (B, 3) where bones end, in armature space. Importers invent them: heads are more reliable.
        inherits_rotation: (B,) whether a bone inherits its parent's rotation.
        local_location: (B,) whether a bone's location is along its own axes rather than the armature's.
        connected: (B,) whether a bone is connected to its parent's tail, so that its location is ignored.
        world: (4, 4) the armature object's world matrix.
    """

    names: tuple[str, ...]
    parents: np.ndarray
    rest: np.ndarray
    tails: np.ndarray
    inherits_rotation: np.ndarray
    local_location: np.ndarray
    connected: np.ndarray
    world: np.ndarray

    @cached_property
    def number(self) -> dict[str, int]:
        """The index of each name."""
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def rotation(self) -> np.ndarray:
        """(3, 3) the rotation of the object in the world, without its scale."""
        return rotations.project(self.world[:3, :3])

    @cached_property
    def axes(self) -> np.ndarray:
        """(B, 3, 3) rest orientations in the world; columns are the bones' axes."""
        return self.rotation @ rotations.project(self.rest[:, :3, :3])

    @cached_property
    def heads(self) -> np.ndarray:
        """(B, 3) rest positions of the joints in the world."""
        return self.to_world(self.rest[:, :3, 3])

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The indices of each bone's children."""
        children: list[list[int]] = [[] for _ in self.names]
        for index, parent in enumerate(self.parents):
            if parent >= 0:
                children[parent].append(index)
        return tuple(map(tuple, children))

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of armature space in the world."""
        return points @ self.world[:3, :3].T + self.world[:3, 3]

    def to_armature(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the world in armature space."""
        inverse = np.linalg.inv(self.world)
        return points @ inverse[:3, :3].T + inverse[:3, 3]

    def ancestors(self, bone: int) -> list[int]:
        """The indices from a bone's parent up to its root."""
        found = []
        while self.parents[bone] >= 0:
            bone = int(self.parents[bone])
            found.append(bone)
        return found

    def descendants(self, bone: int) -> list[int]:
        """The indices of all descendants, nearest first."""
        found = list(self.children[bone])
        for index in found:
            found.extend(self.children[index])
        return found

    def posed(self, turns: Mapping[int, np.ndarray]) -> Rig:
        """The rig as it lies when bones are turned by rotations (3, 3) about their own axes at rest."""
        rest, tails = self.rest.copy(), self.tails.copy()
        for bone, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                moved = rest[parent] @ np.linalg.inv(self.rest[parent])
                rest[bone] = moved @ self.rest[bone]
            rest[bone, :3, :3] = rest[bone, :3, :3] @ turns.get(bone, np.eye(3))
            way = np.linalg.inv(self.rest[bone]) @ np.append(self.tails[bone], 1.0)
            tails[bone] = (rest[bone] @ way)[:3]
        return replace(self, rest=rest, tails=tails)

    def closed_upwards(self, bones: Iterable[int]) -> list[int]:
        """The given bones and all their ancestors, parents first."""
        own = list(bones)
        return sorted({*own, *(above for bone in own for above in self.ancestors(bone))})


def read_turns(armature: bpy.types.Object) -> dict[str, tuple[float, ...]]:
    """The quaternions (4,) by which an armature's bones are turned now, as evaluated, of those that are turned."""
    posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    found = {}
    for bone in posed.pose.bones:
        rest, now = bone.bone.matrix_local, bone.matrix
        if bone.parent is not None:
            rest = bone.parent.bone.matrix_local.inverted() @ rest
            now = bone.parent.matrix.inverted() @ now
        turn = (rest.inverted() @ now).to_quaternion()
        if turn.angle > _TURNED and turn.angle < 2.0 * np.pi - _TURNED:
            found[bone.name] = tuple(turn)
    return found


def read_rig(armature: bpy.types.Object) -> Rig:
    """Read the rest pose of an armature object; its world matrix is that of the scene's current frame."""
    bones = list(armature.data.bones)
    number = {bone.name: index for index, bone in enumerate(bones)}
    return Rig(
        names=tuple(number),
        parents=np.array([number[bone.parent.name] if bone.parent else -1 for bone in bones], dtype=np.int64),
        rest=np.array([bone.matrix_local for bone in bones], dtype=np.float64).reshape(-1, 4, 4),
        tails=np.array([bone.tail_local for bone in bones], dtype=np.float64).reshape(-1, 3),
        inherits_rotation=np.array([bone.use_inherit_rotation for bone in bones], dtype=bool),
        local_location=np.array([bone.use_local_location for bone in bones], dtype=bool),
        connected=np.array([bone.use_connect and bone.parent is not None for bone in bones], dtype=bool),
        world=np.array(armature.matrix_world, dtype=np.float64),
    )
