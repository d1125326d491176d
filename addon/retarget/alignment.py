"""How the bones of two rest poses correspond.

Torso and head are aligned body to body; arms, legs and fingers also by the smallest rotation that lays a bone along the
source's, starting from the alignment of the bone above, so that an A-pose becomes a T-pose as if the arm was raised at
the shoulder. Palms are laid on palms where both have knuckles. No bone's own axes or roll matter. NumPy only.
"""

from __future__ import annotations

import numpy as np

from ...inference.body import rotations
from .bones import FINGERS, SIDES
from .rest_body import RestBody

# Bodies whose fronts differ by less face the same way.
_SAME_FRONT = np.cos(np.radians(10.0))

# Feet whose rest poses differ by more in pitch are not both flat on the floor.
_FLAT = np.radians(35.0)

# A phalanx that lies further than this from the source's when both hands are at rest is posed or wrongly recognised,
# not another rest pose; so is a palm that is rotated further about the hand.
_RELAXED, _ROLLED = np.radians(75.0), np.radians(120.0)

LIMBS = (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot"))
"""Limbs from joint to joint, in the order of alignment: each starts from the alignment of the one above."""


def align_fronts(source: RestBody, target: RestBody) -> np.ndarray:
    """The rotation (3, 3) about the world's z axis from the source's directions to the target's.

    It is that from one object to the other, whatever way the bones in them face: a rig that is made with its back to
    the viewer acts as seen. Where an importer has turned the object so that both face the same way, there is none.
    """
    up = np.array([0.0, 0.0, 1.0])
    if source.is_square and target.is_square:
        ends = [np.arctan2(body.frame[1, 1], body.frame[0, 1]) for body in (source, target)]
        if np.cos(ends[1] - ends[0]) > _SAME_FRONT:
            return rotations.axis_angle_to_matrix((ends[1] - ends[0]) * up)
    facing = rotations.matrix_to_quaternion(target.rig.rotation @ source.rig.rotation.T)
    return rotations.quaternion_to_matrix(rotations.swing_twist(facing, up)[1])


def align_bones(source: RestBody, target: RestBody, facing: np.ndarray) -> dict[int, np.ndarray]:
    """The alignment X (3, 3) of every mapped bone of the target (index), in the world."""
    body = facing @ source.frame @ target.frame.T
    alignment = dict.fromkeys(target.bones, body)
    for side in SIDES:
        for part, end in LIMBS:
            slot, next_slot = f"{side}_{part}", f"{side}_{end}"
            if slot not in target.bones:
                continue
            above = {"forearm": "upper_arm", "shin": "thigh"}.get(part, "")
            start = alignment.get(f"{side}_{above}", body)
            alignment[slot] = start
            if {slot, next_slot} <= source.bones.keys() & target.bones.keys():
                ends = [_direction(one, slot, next_slot) for one in (source, target)]
                alignment[slot] = _lay(start, ends[1], facing @ ends[0])
        hand, foot, toe = f"{side}_hand", f"{side}_foot", f"{side}_toe"
        alignment[hand] = _align_hand(source, target, facing, side, alignment.get(f"{side}_forearm", body))
        if {foot, toe} <= source.bones.keys() & target.bones.keys():
            ends = [_direction(one, foot, toe) for one in (source, target)]
            alignment[foot] = _align_foot(body, facing @ source.frame[:, 2], facing @ ends[0], ends[1])
        if toe in target.bones:
            alignment[toe] = alignment.get(foot, body)
    found = {bone: alignment[slot] for slot, chain in target.bones.items() for bone in chain}
    for side in SIDES:
        for slot in (f"{side}_{finger}" for finger in FINGERS):
            if slot in target.bones:
                found.update(_align_finger(source, target, facing, slot, alignment[f"{side}_hand"]))
    return found


def _align_hand(source: RestBody, target: RestBody, facing: np.ndarray, side: str, start: np.ndarray) -> np.ndarray:
    """Lay a hand along the source's, starting from the forearm's alignment, and its palm on the source's palm."""
    hand = f"{side}_hand"
    if not {hand} <= source.bones.keys() & target.bones.keys():
        return start
    knuckles = [
        finger
        for finger in (f"{side}_{name}" for name in FINGERS[1:])
        if finger in source.bones and finger in target.bones
    ]
    ends = [_palm(one, hand, knuckles) for one in (source, target)]
    if ends[0] is None or ends[1] is None:
        return start
    along = facing @ ends[0]
    laid = _lay(start, ends[1], along)
    if len(knuckles) < 2:
        return laid
    across = [_direction(one, knuckles[0], knuckles[-1]) for one in (source, target)]
    now, wanted = (vector - (vector @ along) * along for vector in (laid @ across[1], facing @ across[0]))
    if min(np.linalg.norm(now), np.linalg.norm(wanted)) < 0.3:
        return laid
    angle = np.arctan2(np.cross(now, wanted) @ along, now @ wanted)
    return laid if abs(angle) > _ROLLED else rotations.axis_angle_to_matrix(angle * along) @ laid


def _align_finger(
    source: RestBody, target: RestBody, facing: np.ndarray, slot: str, start: np.ndarray
) -> dict[int, np.ndarray]:
    """The alignment of each bone of a finger, starting from the hand's.

    Fingers of as many bones are laid bone by bone; others as a whole.
    """
    chain = target.bones[slot]
    found = dict.fromkeys(chain, start)
    if slot not in source.bones:
        return found
    ends = [_phalanges(one, slot) for one in (source, target)]
    if len(source.bones[slot]) != len(chain):
        ends = [vectors.sum(axis=0, keepdims=True).repeat(len(chain), axis=0) for vectors in ends]
    for bone, onto, own in zip(chain, *ends, strict=True):
        onto, now = facing @ onto, start @ own
        lengths = np.linalg.norm(onto) * np.linalg.norm(now)
        if lengths > 1e-12 and onto @ now > np.cos(_RELAXED) * lengths:
            start = _lay(start, own, onto)
        found[bone] = start
    return found


def _phalanges(body: RestBody, slot: str) -> np.ndarray:
    """The vectors (C, 3) along a finger's bones at rest, zero for a last one without a child bone."""
    chain = body.bones[slot]
    beyond = body.rig.children[chain[-1]]
    joints = body.rig.heads[[*chain, beyond[0] if beyond else chain[-1]]]
    return np.diff(joints, axis=0)


def _align_foot(body: np.ndarray, up: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Lay a foot's heading along the source's; both stand flat, unless their pitches say otherwise."""
    target_now = body @ target
    if abs(np.arcsin(np.clip(source @ up, -1, 1)) - np.arcsin(np.clip(target_now @ up, -1, 1))) > _FLAT:
        return _lay(body, target, source)
    level = [direction - (direction @ up) * up for direction in (target_now, source)]
    if min(np.linalg.norm(direction) for direction in level) < 0.3:
        return body
    return rotations.between(*level) @ body


def _lay(start: np.ndarray, direction: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The alignment nearest to ``start`` that takes one direction onto another."""
    return rotations.between(start @ direction, onto) @ start


def _direction(body: RestBody, slot: str, towards: str) -> np.ndarray:
    """The unit vector (3,) from a slot's joint to another's at rest."""
    vector = body.rig.heads[body.bones[towards][0]] - body.rig.heads[body.bones[slot][0]]
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _palm(body: RestBody, hand: str, knuckles: list[str]) -> np.ndarray | None:
    """The unit vector (3,) along a hand at rest, to the knuckles of fingers; None without bones beyond it."""
    bone = body.bones[hand][0]
    side = hand.partition("_")[0]
    own = [f"{side}_{name}" for name in FINGERS[1:] if f"{side}_{name}" in body.bones]
    # Where there are fingers, other children of a hand, such as a sword, are ignored.
    beyond = [body.bones[finger][0] for finger in knuckles or own] or body.rig.descendants(bone)
    if not beyond:
        return None
    vector = body.rig.heads[beyond].mean(axis=0) - body.rig.heads[bone]
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0.02 * body.leg else None
