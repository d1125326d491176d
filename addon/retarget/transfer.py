"""Motion from one rig to another in closed form, all frames at once. NumPy only.

A bone of the target turns in the world as its counterpart does from the source's rest pose, starting from the target's
rest pose turned limb by limb onto the source's:

    A(t) = G · S(t) · S_rest⁻¹ · G⁻¹ · X · T_rest

G turns what the source calls the front into what the target calls the front. X is the alignment: for torso and head
from body to body, for arms, legs and fingers also the smallest rotation that lays the bone along the source's, starting
from that of the bone above, so that an A-pose becomes a T-pose as if the arm was raised at the shoulder. Palms are
turned onto palms where the knuckles of both tell. No bone's own axes enter, whatever its roll.

Rotations of all frames are multiplied as rows of nine numbers: NumPy is slow on stacks of 3x3 matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...inference.body import rotations
from .bones import FINGER_SLOTS, FINGERS, SIDES, RetargetError, Rig

Indices = dict[str, tuple[int, ...]]
"""Bones of a rig by slot."""

# A rest pose leaning less than this is one that stands upright; the spine of an upright body leans, too.
_UPRIGHT = np.cos(np.radians(30.0))

# A rest pose turned less than this from an axis of its armature faces along it.
_SQUARE = np.cos(np.radians(10.0))

# Feet whose rest poses differ by more in pitch are not both flat on the floor.
_FLAT = np.radians(35.0)

# A phalanx that lies further than this from the source's when both hands are at rest is posed or mistaken, not another
# rest pose; so is a palm that is turned further about the hand.
_RELAXED, _ROLLED = np.radians(75.0), np.radians(120.0)

# Of the leg's length: how far from the sole an armature's origin may be to be the floor, how far from the hips to be
# in the hips, and how high the ankle is where nothing tells.
_AT_SOLE, _IN_HIPS, _ANKLE = 0.12, 0.2, 0.08

# Of four times w²: from here on quaternions are exact enough without looking for their largest component.
_FAR = 0.2

# Frames whose rotations are multiplied at a time, so that they stay in the processor's cache.
_BLOCK = 256

# Limbs in the order in which they are aligned: each starts from the alignment of the one above.
_LIMBS = (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot"))


@dataclass(frozen=True)
class RestBody:
    """What a mapping says of a rig at rest, in the world.

    Attributes:
        rig: the rig.
        bones: its bones by slot.
        frame: (3, 3) columns to the body's left, to its front and up.
        centre: (3,) the middle between the thighs' heads.
        leg: length of thigh and shin together, metres.
        ankle: height of the ankles over the soles, metres.
        sole: height of the soles over the armature's origin, along the body's up, metres.
    """

    rig: Rig
    bones: Indices
    frame: np.ndarray
    centre: np.ndarray
    leg: float
    ankle: float
    sole: float

    @property
    def is_square(self) -> bool:
        """Whether the body stands upright in the world and faces along an axis of its armature."""
        along = np.abs(self.rig.turn.T @ self.frame[:, 1]).max()
        return bool(along > _SQUARE and self.frame[2, 2] > 0.9)

    @property
    def floor_at_origin(self) -> bool:
        """Whether the armature stands upright with its origin on the floor."""
        return self.frame[2, 2] > 0.9 and abs(self.sole) < _AT_SOLE * self.leg


@dataclass(frozen=True)
class TransferPlan:
    """How the driven bones of a target follow a source.

    Attributes:
        source: the source at rest.
        target: the target at rest.
        joints: (J,) indices of the source's bones that are read: all mapped ones.
        bones: (K,) indices of the target's bones that are driven, parents first.
        slots: the slot of each.
        below: (K,) which of ``joints`` a bone follows,
        above: (K,) or lies between this and that one,
        fraction: (K,) how far on the way from ``below`` to ``above``.
        turn: (3, 3) G.
        aligned: (K, 3, 3) X · T_rest.
        turning: (K,) which of the driven bones each inherits its rotation from, -1 for none.
        carrying: (K,) which of the driven bones carries each one's head, -1 for none.
    """

    source: RestBody
    target: RestBody
    joints: np.ndarray
    bones: np.ndarray
    slots: tuple[str, ...]
    below: np.ndarray
    above: np.ndarray
    fraction: np.ndarray
    turn: np.ndarray
    aligned: np.ndarray
    turning: np.ndarray
    carrying: np.ndarray

    def driven(self, slot: str) -> int:
        """The place among ``bones`` of the last bone in a slot, -1 where it is not driven."""
        return max((place for place, name in enumerate(self.slots) if name == slot), default=-1)


@dataclass(frozen=True)
class PathTransform:
    """Where a point p of the source's world is in the target's: ``target + scale · G · (p - source)``."""

    source: np.ndarray
    target: np.ndarray
    scale: float
    turn: np.ndarray

    def move(self, points: np.ndarray) -> np.ndarray:
        """Take points (..., 3) from the source's world to the target's."""
        return self.target + self.scale * (points - self.source) @ self.turn.T


def read_body(rig: Rig, bones: Indices) -> RestBody:
    """Measure a rig at rest.

    Raises:
        RetargetError: the legs have no length.
    """
    heads = rig.heads
    thighs, shins, feet = (heads[[bones[f"{side}_{part}"][0] for side in SIDES]] for part in ("thigh", "shin", "foot"))
    leg = float(np.mean(np.linalg.norm(shins - thighs, axis=-1) + np.linalg.norm(feet - shins, axis=-1)))
    centre = thighs.mean(axis=0)
    if leg < 1e-6 or np.linalg.norm(thighs[0] - thighs[1]) < 1e-3 * leg:
        raise RetargetError("The bones chosen as thighs, shins and feet make no legs.")
    frame = _body_frame(rig, bones, thighs, centre)
    up = frame[:, 2]
    toes = [bone for side in SIDES for bone in rig.descendants(bones[f"{side}_foot"][0])]
    tails = rig.to_world(rig.tails[[*toes, *(bones[f"{side}_foot"][0] for side in SIDES)]])
    ends = np.concatenate([feet, heads[toes], tails])
    ankle_at = float(np.mean(feet @ up))
    heights = ends @ up
    # Importers that know no tails let them end anywhere.
    sole = float(np.min(heights[heights > ankle_at - 0.3 * leg]))
    if ankle_at - sole < 0.01 * leg:
        sole = ankle_at - _ANKLE * leg
    origin = float(rig.world[:3, 3] @ up)
    if abs(sole - origin) < _AT_SOLE * leg:
        sole = min(origin, ankle_at)
    return RestBody(rig, bones, frame, centre, leg, ankle_at - sole, sole - origin)


def make_plan(
    source: RestBody, target: RestBody, keep_directions: bool = False, turning: dict[int, int] | None = None
) -> TransferPlan:
    """Decide which bone of the target follows what of the source.

    Args:
        source: the source at rest.
        target: the target at rest.
        keep_directions: keep the directions of the world; else the source's front becomes the target's, as the
            armature objects lie.
        turning: for bones of the target (index) the bone (index, -1 for none) that they turn with, where constraints
            make it another than the nearest above.
    """
    joints = np.array(sorted({bone for chain in source.bones.values() for bone in chain}), dtype=np.int64)
    place = {bone: index for index, bone in enumerate(joints)}
    follows: dict[int, tuple[str, int, int, float]] = {}
    for slot, chain in target.bones.items():
        for bone, (below, above, fraction) in zip(chain, _counterparts(slot, len(chain), source.bones), strict=False):
            follows[bone] = (slot, place[below], place[above], fraction)
    bones = np.array(sorted(follows), dtype=np.int64)
    slots, below, above, fraction = zip(*(follows[bone] for bone in bones), strict=True)
    turn = np.eye(3) if keep_directions else _facing(source, target)
    alignment = _align(source, target, turn)
    aligned = np.stack([alignment[int(bone)] @ target.rig.axes[bone] for bone in bones])
    order = {int(bone): index for index, bone in enumerate(bones)}
    inherited = [_inherits_from(target.rig, int(bone), order) for bone in bones]
    for bone, other in (turning or {}).items():
        if bone in order:
            inherited[order[bone]] = order.get(other, -1)
    carried = [next((order[a] for a in target.rig.ancestors(int(bone)) if a in order), -1) for bone in bones]
    for bone, other in (turning or {}).items():
        # What turns with a bone across a constraint is also carried by it, as far as is known.
        if bone in order and carried[order[bone]] < 0:
            carried[order[bone]] = order.get(other, -1)
    return TransferPlan(
        source,
        target,
        joints,
        bones,
        tuple(slots),
        np.array(below),
        np.array(above),
        np.array(fraction),
        turn,
        aligned,
        np.array(inherited),
        np.array(carried),
    )


def turn_bones(plan: TransferPlan, source: np.ndarray) -> np.ndarray:
    """World rotations (N, K, 3, 3) of the driven bones from those (N, J, 3, 3) of the source's joints."""
    rest = np.swapaxes(plan.source.rig.axes[plan.joints], -1, -2)
    rows = np.ascontiguousarray(source).reshape(*source.shape[:2], 9)
    turned = np.empty((len(source), len(plan.bones), 9))
    # G·S(t) times what does not change: S_rest⁻¹·G⁻¹·X·T_rest.
    behind = rest[plan.below] @ plan.turn.T @ plan.aligned
    for place in np.flatnonzero(plan.fraction == 0.0):
        np.matmul(rows[:, plan.below[place]], _both_sides(plan.turn, behind[place]), out=turned[:, place])
    between = np.flatnonzero(plan.fraction != 0.0)
    if between.size:
        needed = sorted({*plan.below[between].tolist(), *plan.above[between].tolist()})
        moved = {
            joint: _quaternions((rows[:, joint] @ _both_sides(plan.turn, rest[joint] @ plan.turn.T)).T)
            for joint in needed
        }
        for place in between:
            ends = moved[int(plan.below[place])], moved[int(plan.above[place])]
            middle = rotations.quaternion_to_matrix(rotations.slerp(*ends, plan.fraction[place])).reshape(-1, 9)
            np.matmul(middle, _both_sides(np.eye(3), plan.aligned[place]), out=turned[:, place])
    return turned.reshape(*turned.shape[:2], 3, 3)


def find_place(plan: TransferPlan, centres: np.ndarray, ankles: np.ndarray, keep_place: bool = False) -> PathTransform:
    """Find where the source's path lies for the target: scaled by the legs, on its floor.

    Args:
        plan: the plan.
        centres: (N, 3) the middle between the source's thighs over time, in the world.
        ankles: (N, 2, 3) the source's ankles.
        keep_place: start where the source does in the world; else relative to the armature objects' origins.
    """
    source, target = plan.source, plan.target
    scale = target.leg / source.leg
    floors = [_floor(source, ankles), _floor(target, None)]
    anchors = [body.rig.world[:3, 3].copy() for body in (source, target)]
    if keep_place:
        anchors = [centres[0].copy(), centres[0].copy()]
    for anchor, floor, body in zip(anchors, floors, (source, target), strict=True):
        # The ankle's height scales with the shoe, not with the leg.
        anchor[2] = floor + body.ankle
    return PathTransform(anchors[0], anchors[1], scale, plan.turn)


def hips_heads(plan: TransferPlan, turned: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """World positions (N, 3) of the hips bone's head that put the middle of the thighs at ``centres`` (N, 3)."""
    hips, rig = plan.driven("hips"), plan.target.rig
    thighs = [plan.driven(f"{side}_thigh") for side in SIDES]
    carried = [thigh for thigh in thighs if thigh >= 0 and hips in _carriers(plan, thigh)]
    if len(carried) < len(thighs):
        arm = rig.axes[plan.bones[hips]].T @ (rig.heads[plan.bones[hips]] - plan.target.centre)
        return centres + turned[:, hips] @ arm
    found = centres.copy()
    for thigh in carried:
        # Bones of a spine may lie between: Biped's thighs hang on one.
        for place, carrier in zip([thigh, *_carriers(plan, thigh)], _carriers(plan, thigh), strict=False):
            if place == hips:
                break
            found -= _arm(plan, turned, place, carrier) / len(thighs)
    return found


def positions(plan: TransferPlan, turned: np.ndarray, hips: np.ndarray) -> np.ndarray:
    """World positions (N, K, 3) of the driven bones' heads.

    Args:
        plan: the plan.
        turned: (N, K, 3, 3) their world rotations.
        hips: (N, 3) the hips bone's head.
    """
    rig = plan.target.rig
    # One bone after the other in memory: that is how they are computed.
    heads = np.repeat(rig.heads[plan.bones][:, None], len(turned), axis=1)
    root = plan.driven("hips")
    heads[root] = hips
    for place in _from_the_hips(plan, root):
        carrier = int(plan.carrying[place])
        np.add(heads[carrier], _arm(plan, turned, place, carrier), out=heads[place])
    return heads.transpose(1, 0, 2)


def basis_quaternions(plan: TransferPlan, turned: np.ndarray) -> np.ndarray:
    """Quaternions (N, K, 4) of the driven pose bones, without sign flips, from world rotations (N, K, 3, 3)."""
    axes = plan.target.rig.axes[plan.bones]
    parents = np.maximum(plan.turning, 0)
    free = np.flatnonzero(plan.turning < 0)
    # What a bone inherits is its parent's rotation times what does not change.
    behind = np.stack([_both_sides(np.eye(3), axes[one].T @ own).T for one, own in zip(parents, axes, strict=True)])
    rows = np.ascontiguousarray(turned).reshape(*turned.shape[:2], 9)
    found = np.empty((*turned.shape[:2], 4))
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        own = rows[block].transpose(1, 2, 0).copy()
        inherited = behind @ own[parents]
        inherited[free] = axes[free].reshape(-1, 9, 1)
        basis = _transposed_times(inherited.transpose(1, 0, 2), own.transpose(1, 0, 2))
        found[block] = _quaternions(basis).transpose(1, 0, 2)
    return rotations.make_continuous(found)


def bone_location(rig: Rig, bone: int, heads: np.ndarray) -> np.ndarray:
    """Locations (N, 3) of a pose bone that put its head at ``heads`` (N, 3) in the world; its parents are at rest."""
    moved = rig.to_armature(heads) - rig.rest[bone, :3, 3]
    # Without locations along its own axes Blender takes the parent's.
    axes = bone if rig.local_location[bone] else int(rig.parents[bone])
    return moved @ rotations.project(rig.rest[axes, :3, :3]) if axes >= 0 else moved


def _body_frame(rig: Rig, bones: Indices, thighs: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(3, 3) left, front and up of the body at rest, in the world."""
    heads = rig.heads
    highest = next((bones[slot][-1] for slot in ("head", "neck", "spine", "left_upper_arm") if slot in bones), None)
    if highest is not None and np.linalg.norm(heads[highest] - centre) > 1e-6:
        up = heads[highest] - centre
    else:
        up = centre - np.mean([heads[bones[f"{side}_foot"][0]] for side in SIDES], axis=0)
    up = up / np.linalg.norm(up)
    # Spines lean, rigs stand: where an axis of the armature is near, it is meant.
    nearest = rig.turn[:, np.argmax(np.abs(up @ rig.turn))]
    if abs(up @ nearest) > _UPRIGHT:
        up = nearest * np.sign(up @ nearest)
    left = thighs[0] - thighs[1]
    left = left - (left @ up) * up
    left /= np.linalg.norm(left)
    nearest = rig.turn[:, np.argmax(np.abs(left @ rig.turn))]
    if abs(left @ nearest) > _SQUARE and abs(up @ nearest) < 1e-6:
        left = nearest * np.sign(left @ nearest)
    return np.stack([left, np.cross(left, up), up], axis=-1)


def _facing(source: RestBody, target: RestBody) -> np.ndarray:
    """The turn about the world's z axis from one front to another.

    A rest pose that does not stand square in its armature has no front worth the name; the objects' turn counts then.
    """
    if source.is_square and target.is_square:
        ends = [np.arctan2(body.frame[1, 1], body.frame[0, 1]) for body in (source, target)]
        return rotations.axis_angle_to_matrix(np.array([0.0, 0.0, ends[1] - ends[0]]))
    turn = rotations.matrix_to_quaternion(target.rig.turn @ source.rig.turn.T)
    return rotations.quaternion_to_matrix(rotations.swing_twist(turn, np.array([0.0, 0.0, 1.0]))[1])


def _counterparts(slot: str, count: int, source: Indices) -> list[tuple[int, int, float]]:
    """For ``count`` bones of a slot the source's bones below and above, and how far between them; none if unmapped.

    Spines and necks bend alike from end to end. A phalanx does what the source's finger does at the same share of its
    length; the palm bends it where the source has fewer.
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
    found = []
    for step in steps:
        below = min(int(step + 1e-9), len(points) - 1)
        fraction = step - below if step - below > 1e-6 else 0.0
        found.append((points[below], points[min(below + 1, len(points) - 1)] if fraction else points[below], fraction))
    return found


def _align(source: RestBody, target: RestBody, turn: np.ndarray) -> dict[int, np.ndarray]:
    """The alignment X (3, 3) of every mapped bone of the target (index), in the world."""
    body = turn @ source.frame @ target.frame.T
    alignment = dict.fromkeys(target.bones, body)
    for side in SIDES:
        for part, end in _LIMBS:
            slot, next_slot = f"{side}_{part}", f"{side}_{end}"
            if slot not in target.bones:
                continue
            above = {"forearm": "upper_arm", "shin": "thigh"}.get(part, "")
            start = alignment.get(f"{side}_{above}", body)
            alignment[slot] = start
            if {slot, next_slot} <= source.bones.keys() & target.bones.keys():
                ends = [_direction(one, slot, next_slot) for one in (source, target)]
                alignment[slot] = _lay(start, ends[1], turn @ ends[0])
        hand, foot, toe = f"{side}_hand", f"{side}_foot", f"{side}_toe"
        alignment[hand] = _align_hand(source, target, turn, side, alignment.get(f"{side}_forearm", body))
        if {foot, toe} <= source.bones.keys() & target.bones.keys():
            ends = [_direction(one, foot, toe) for one in (source, target)]
            alignment[foot] = _align_foot(body, turn @ source.frame[:, 2], turn @ ends[0], ends[1])
        if toe in target.bones:
            alignment[toe] = alignment.get(foot, body)
    found = {bone: alignment[slot] for slot, chain in target.bones.items() for bone in chain}
    for side in SIDES:
        for slot in (f"{side}_{finger}" for finger in FINGERS):
            if slot in target.bones:
                found.update(_align_finger(source, target, turn, slot, alignment[f"{side}_hand"]))
    return found


def _align_hand(source: RestBody, target: RestBody, turn: np.ndarray, side: str, start: np.ndarray) -> np.ndarray:
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
    along = turn @ ends[0]
    laid = _lay(start, ends[1], along)
    if len(knuckles) < 2:
        return laid
    across = [_direction(one, knuckles[0], knuckles[-1]) for one in (source, target)]
    now, wanted = (vector - (vector @ along) * along for vector in (laid @ across[1], turn @ across[0]))
    if min(np.linalg.norm(now), np.linalg.norm(wanted)) < 0.3:
        return laid
    angle = np.arctan2(np.cross(now, wanted) @ along, now @ wanted)
    return laid if abs(angle) > _ROLLED else rotations.axis_angle_to_matrix(angle * along) @ laid


def _align_finger(
    source: RestBody, target: RestBody, turn: np.ndarray, slot: str, start: np.ndarray
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
        onto, now = turn @ onto, start @ own
        lengths = np.linalg.norm(onto) * np.linalg.norm(now)
        if lengths > 1e-12 and onto @ now > np.cos(_RELAXED) * lengths:
            start = _lay(start, own, onto)
        found[bone] = start
    return found


def _phalanges(body: RestBody, slot: str) -> np.ndarray:
    """The vectors (C, 3) along a finger's bones at rest, zero for a last one that no bone beyond tells."""
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
    """The unit vector (3,) along a hand at rest, to the knuckles of fingers; None where no bone beyond it tells."""
    bone = body.bones[hand][0]
    side = hand.partition("_")[0]
    own = [f"{side}_{name}" for name in FINGERS[1:] if f"{side}_{name}" in body.bones]
    # Whatever else hangs on a hand, such as a sword, tells nothing where there are fingers.
    beyond = [body.bones[finger][0] for finger in knuckles or own] or body.rig.descendants(bone)
    if not beyond:
        return None
    vector = body.rig.heads[beyond].mean(axis=0) - body.rig.heads[bone]
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0.02 * body.leg else None


def _floor(body: RestBody, ankles: np.ndarray | None) -> float:
    """The world's height of the floor under a body.

    Where the rest pose does not tell, ``ankles`` (N, 2, 3) of its motion do.
    """
    origin = float(body.rig.world[2, 3])
    if body.floor_at_origin:
        return origin
    if ankles is not None:
        return float(np.percentile(ankles[..., 2].min(axis=1), 5.0)) - body.ankle
    hips = float((body.centre - body.rig.world[:3, 3]) @ body.frame[:, 2])
    if abs(origin + body.sole) < _AT_SOLE * body.leg:
        return 0.0
    # BVH files and bare skeletons have their origin in the hips and stand on it.
    if abs(hips) < _IN_HIPS * body.leg or body.frame[2, 2] < 0.9:
        return origin
    return origin + body.sole


def _inherits_from(rig: Rig, bone: int, order: dict[int, int]) -> int:
    """The place of the driven bone that a bone turns with, -1 for none."""
    while rig.inherits_rotation[bone] and rig.parents[bone] >= 0:
        bone = int(rig.parents[bone])
        if bone in order:
            return order[bone]
    return -1


def _from_the_hips(plan: TransferPlan, root: int) -> list[int]:
    """The driven bones that move with the hips, carriers first."""
    reached, found, waiting = {root}, [], [place for place in range(len(plan.bones)) if place != root]
    while True:
        ready = [place for place in waiting if plan.carrying[place] in reached]
        if not ready:
            return found
        found.extend(ready)
        reached.update(ready)
        waiting = [place for place in waiting if place not in reached]


def _carriers(plan: TransferPlan, place: int) -> list[int]:
    """The driven bones that carry one, nearest first."""
    found = []
    while plan.carrying[place] >= 0:
        place = int(plan.carrying[place])
        found.append(place)
    return found


def _arm(plan: TransferPlan, turned: np.ndarray, place: int, carrier: int) -> np.ndarray:
    """The vectors (N, 3) from a carrier's head to that of the driven bone it carries."""
    rig = plan.target.rig
    arm = rig.axes[plan.bones[carrier]].T @ (rig.heads[plan.bones[place]] - rig.heads[plan.bones[carrier]])
    return turned[:, carrier].reshape(-1, 9) @ np.kron(np.eye(3), arm[:, None])


def _both_sides(before: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """What (9, 9) takes the rows of M to those of ``before · M · behind``: for rows (N, 9) one product for all."""
    return np.kron(before.T, behind)


def _transposed_times(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """firstᵀ · second (9, ...) of rotations given by their nine numbers (9, ...), row by row."""
    product = np.empty(second.shape)
    for row in range(3):
        for column in range(3):
            total = product[3 * row + column]
            np.multiply(first[row], second[column], out=total)
            total += first[3 + row] * second[3 + column]
            total += first[6 + row] * second[6 + column]
    return product


def _quaternions(numbers: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), w ≥ 0, of rotations given by their nine numbers (9, ...), row by row."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = numbers
    square = 1.0 + xx + yy + zz
    found = np.empty((*square.shape, 4))
    scale = 0.5 / np.sqrt(np.maximum(square, 1e-12))
    for part, value in enumerate((square, zy - yz, xz - zx, yx - xy)):
        np.multiply(scale, value, out=found[..., part])
    # Near half turns other components are the ones to divide by.
    far = square < _FAR
    if far.any():
        found[far] = rotations.matrix_to_quaternion(numbers[:, far].T.reshape(-1, 3, 3))
    return found
