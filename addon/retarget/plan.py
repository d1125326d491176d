"""Which bone of the target follows what of the source. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .alignment import align_bones, align_fronts
from .bones import FINGER_SLOTS, SIDES, Rig
from .rest_body import Indices, RestBody

_CARRIERS = {"forearm": "upper_arm", "hand": "forearm", "shin": "thigh", "foot": "shin", "toe": "foot"}


@dataclass(frozen=True)
class TransferPlan:
    """How the driven bones of a target follow a source.

    Attributes:
        source: the source at rest.
        target: the target at rest.
        joints: (J,) indices of the source's bones that are read: all mapped ones.
        bones: (K,) indices of the target's bones that are driven, parents first.
        slots: the slot of each.
        below: (K,) which of ``joints`` each bone follows; where it follows two, the lower one.
        above: (K,) the upper one.
        fraction: (K,) position between ``below`` and ``above``, 0 to 1.
        facing: (3, 3) G, from the source's front to the target's.
        aligned: (K, 3, 3) X · T_rest.
        rotation_parents: (K,) which of the driven bones each inherits its rotation from, -1 for none.
        position_parents: (K,) which of the driven bones carries each one's head, -1 for none.
        detached: which of ``bones`` hang on something else than that: controls of limbs, such as feet below the root.
    """

    source: RestBody
    target: RestBody
    joints: np.ndarray
    bones: np.ndarray
    slots: tuple[str, ...]
    below: np.ndarray
    above: np.ndarray
    fraction: np.ndarray
    facing: np.ndarray
    aligned: np.ndarray
    rotation_parents: np.ndarray
    position_parents: np.ndarray
    detached: tuple[int, ...] = ()

    def driven(self, slot: str) -> int:
        """The index in ``bones`` of the last bone in a slot, -1 where it is not driven."""
        return max((index for index, name in enumerate(self.slots) if name == slot), default=-1)


def make_plan(
    source: RestBody,
    target: RestBody,
    keep_directions: bool = False,
    rotation_parents: dict[int, int] | None = None,
    mended: RestBody | None = None,
    offsets: Mapping[int, np.ndarray] | None = None,
) -> TransferPlan:
    """Decide which bone of the target follows what of the source.

    Args:
        source: the source at rest.
        target: the target at rest.
        keep_directions: keep the world's directions; otherwise the source's front becomes the target's.
        rotation_parents: for bones of the target (index) the bone (index, -1 for none) whose rotation they inherit,
            where constraints make it another than the nearest above.
        mended: the target in the pose that corresponds to the source's rest pose; its rest pose if None.
        offsets: for bones of the target (index) what they are turned by in addition, about their own axes (3, 3).
    """
    mended = mended or target
    joints = np.array(sorted({bone for chain in source.bones.values() for bone in chain}), dtype=np.int64)
    joint_index = {bone: index for index, bone in enumerate(joints)}
    follows: dict[int, tuple[str, int, int, float]] = {}
    for slot, chain in target.bones.items():
        for bone, (below, above, fraction) in zip(chain, _counterparts(slot, len(chain), source.bones), strict=False):
            follows[bone] = (slot, joint_index[below], joint_index[above], fraction)
    bones = np.array(sorted(follows), dtype=np.int64)
    slots, below, above, fraction = zip(*(follows[bone] for bone in bones), strict=True)
    facing = np.eye(3) if keep_directions else align_fronts(source, mended)
    alignment = align_bones(source, mended, facing)
    aligned = np.stack([alignment[int(bone)] @ mended.rig.axes[bone] for bone in bones])
    for bone, turn in (offsets or {}).items():
        if bone in follows:
            index = int(np.searchsorted(bones, bone))
            aligned[index] = aligned[index] @ turn
    order = {int(bone): index for index, bone in enumerate(bones)}
    inherited = [_inherits_from(target.rig, int(bone), order) for bone in bones]
    for bone, other in (rotation_parents or {}).items():
        if bone in order:
            inherited[order[bone]] = order.get(other, -1)
    carried = [next((order[a] for a in target.rig.ancestors(int(bone)) if a in order), -1) for bone in bones]
    for bone, other in (rotation_parents or {}).items():
        # A bone that inherits its rotation through a constraint most likely inherits its position, too.
        if bone in order and carried[order[bone]] < 0:
            carried[order[bone]] = order.get(other, -1)
    detached = _detached(target, bones, slots) if not rotation_parents else {}
    for index, carrier in detached.items():
        carried[index] = carrier
    return TransferPlan(
        source,
        target,
        joints,
        bones,
        tuple(slots),
        np.array(below),
        np.array(above),
        np.array(fraction),
        facing,
        aligned,
        np.array(inherited),
        np.array(carried),
        tuple(detached),
    )


def _detached(target: RestBody, bones: np.ndarray, slots: tuple[str, ...]) -> dict[int, int]:
    """The driven bones of limbs that are not below the one that their limb comes from, each with the index of that."""
    place = {slot: index for index, slot in enumerate(slots)}
    found = {}
    for side in SIDES:
        for part, carrier in _CARRIERS.items():
            index, above = place.get(f"{side}_{part}", -1), place.get(f"{side}_{carrier}", -1)
            if index >= 0 and above >= 0 and int(bones[above]) not in target.rig.ancestors(int(bones[index])):
                found[index] = above
    return found


def _counterparts(slot: str, count: int, source: Indices) -> list[tuple[int, int, float]]:
    """For ``count`` bones of a slot the source's bones below and above, and the fraction between; none if unmapped.

    Spines and necks bend evenly from end to end. A phalanx follows the source's finger at the same fraction of its
    length, starting from the palm where the source has fewer phalanges.
    """
    if slot in FINGER_SLOTS:
        if slot not in source:
            return []
        points = (*source.get(f"{slot.partition('_')[0]}_hand", source[slot][:1]), *source[slot])
        bones = len(source[slot])
        steps = np.clip((np.arange(count) + 0.5) * bones / count + 0.5, 0.0, bones)
    elif slot == "spine":
        points = (*source["hips"], *source.get("spine", ()))
        steps = np.arange(1, count + 1) / count * (len(points) - 1)
    elif slot == "neck":
        points = (*(*source["hips"], *source.get("spine", ()))[-1:], *source.get("neck", ()), *source.get("head", ()))
        # Without a head above them the last bones of both necks correspond.
        steps = np.arange(1, count + 1) / (count + (1 if "head" in source else 0)) * (len(points) - 1)
    else:
        return [(source[slot][0], source[slot][0], 0.0)] if slot in source else []
    counterparts = []
    for step in steps:
        below = min(int(step + 1e-9), len(points) - 1)
        fraction = step - below if step - below > 1e-6 else 0.0
        counterparts.append(
            (points[below], points[min(below + 1, len(points) - 1)] if fraction else points[below], fraction)
        )
    return counterparts


def _inherits_from(rig: Rig, bone: int, order: dict[int, int]) -> int:
    """The index of the driven bone whose rotation a bone inherits, -1 for none."""
    while rig.inherits_rotation[bone] and rig.parents[bone] >= 0:
        bone = int(rig.parents[bone])
        if bone in order:
            return order[bone]
    return -1
