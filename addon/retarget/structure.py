"""Recognising bones by structure alone: topology, symmetry and rest positions. NumPy only."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np

from .bones import FINGERS, SIDES, Rig
from .mapping import BoneMapping, mirror_partners
from .words import contradicts, said_finger

# Confidences of recognition by structure.
_LEGS, _ARMS, _SPINE, _ENDS, _FINGERS = 0.7, 0.7, 0.6, 0.5, 0.5

# Phalanges of a finger.
_PHALANGES = 3

# Sides in names: as a word, or as a separate letter.
_SIDE = re.compile(r"(left|right|Left|Right|LEFT|RIGHT)|(?:^|[ ._\-])([lrLR])(?:$|[ ._\-])")

# Factor for the score of a limb that includes the last joint of a chain.
_TIP = 0.85

# Of the leg's length: how far from each other bones are that begin in the hips.
_IN_HIPS = 0.1

# Weight of a limb's length compared with its reach to the side.
_WAY = 0.2

# Of the way from the ankle down to the toes: how far down the ball of the foot is at least.
_BALL = 0.6

# Of the way from the hips to the collar bones: how far below these a neck may begin, and how far above them heads end.
_COLLAR, _CROWN = 0.1, 0.45

# Of the rig's height: how far above the lowest joint toes may be.
_SOLE = 0.05


def find_bones(rig: Rig) -> BoneMapping:
    """Find legs, arms, spine, head and fingers of a rig; an empty mapping where there are no two legs.

    No bone is taken for a part that its own name contradicts. The legs are the pair of mirrored chains that reach
    lowest, the arms the pair from further up that reaches furthest to the sides. Up is the armature's axis
    with which most bones are found, of several the one nearest to the world's z axis.
    """
    if len(rig.names) < 7:
        return BoneMapping()
    partners = mirror_partners(rig)
    axes = sorted((sign * axis for axis in rig.rotation.T for sign in (1.0, -1.0)), key=lambda axis: -axis[2])
    found = [_with_up(rig, partners, rig.heads, axis) for axis in axes]
    return max(
        (_without_contradictions(one) for one in found if one is not None),
        key=lambda one: len(one.bones),
        default=BoneMapping(),
    )


def _without_contradictions(mapping: BoneMapping) -> BoneMapping:
    """The mapping without bones whose names say that they are something else."""
    bones = {}
    for slot, names in mapping.bones.items():
        kept = tuple(name for name in names if not contradicts(name, slot))
        # A finger is one or it is none.
        if kept and (kept == names or slot in ("spine", "neck")):
            bones[slot] = kept
    return BoneMapping(bones, {slot: mapping.confidence[slot] for slot in bones})


def _with_up(rig: Rig, partners: np.ndarray, heads: np.ndarray, up: np.ndarray) -> BoneMapping | None:
    height = heads @ up
    size = float(np.ptp(heads, axis=0).max(initial=0.0))
    paired = np.flatnonzero((partners >= 0) & (partners != np.arange(len(heads))))
    if len(paired) < 4 or np.ptp(height) < 0.4 * size:
        return None
    low = paired[height[paired] < height[paired].min() + _SOLE * np.ptp(height)]
    # Toes rather than heels: the longest chain, then the longest bone before its end.
    tip = int(
        max(low, key=lambda bone: (len(rig.ancestors(bone)), np.linalg.norm(heads[bone] - heads[rig.parents[bone]])))
    )
    chain = _chain_to_partner(rig, partners, tip)
    leg = _two_bones(rig, chain)
    if leg is None:
        return None
    hips = int(rig.parents[chain[0]])
    if hips < 0 or height[hips] < height[tip] + 0.25 * np.ptp(height):
        return None
    thigh, shin, foot = leg
    toe = _ball(height, foot, chain[chain.index(foot) + 1 :])
    names: dict[str, tuple[int, float]] = {}

    legs = {bone for root in (chain[0], int(partners[chain[0]])) for bone in (root, *rig.descendants(root))}
    shared = {int(bone): _shared(rig, int(bone), int(partners[bone])) for bone in paired if int(bone) not in legs}
    others = [bone for bone, above in shared.items() if above >= 0 and height[above] > height[hips]]
    arm_chain: list[int] = []
    arm = None
    if others:
        left_axis = heads[thigh] - heads[partners[thigh]]
        reach_of_leg = float(np.linalg.norm(left_axis)) / 2.0
        left_axis = left_axis / max(2.0 * reach_of_leg, 1e-9)
        middle = heads[hips] @ left_axis
        # Arms may hang down: then the distance from where they part decides.
        furthest = max(
            others,
            key=lambda bone: (
                abs(heads[bone] @ left_axis - middle) + _WAY * np.linalg.norm(heads[bone] - heads[shared[bone]])
            ),
        )
        arm_chain = _chain_to_partner(rig, partners, furthest)
        # Collar bones begin in the middle, arms outside the trunk.
        reach = [abs(heads[bone] @ left_axis - middle) for bone in arm_chain]
        outside = [bone for bone, far in zip(arm_chain, reach, strict=True) if far > 0.75 * reach_of_leg]
        arm = _two_bones(rig, _up_to_the_palm(rig, outside))
    chest = int(rig.parents[arm_chain[0]]) if arm_chain else -1
    if chest >= 0 and rig.parents[chest] >= 0 and _is_neck(rig, partners, height, chest, arm_chain[0], hips):
        chest = int(rig.parents[chest])
    if chest >= 0 and chest != hips and hips not in rig.ancestors(chest):
        # Where a pelvis has only the legs, the hips are above it.
        hips = _shared(rig, hips, chest)
        if hips < 0:
            return None

    across = heads[thigh] - heads[partners[thigh]]
    mirrored = _is_right(rig, thigh, int(partners[thigh]))
    if mirrored is None:
        mirrored = bool(across @ np.cross(up, _front(rig, leg, toe)) < 0.0)
    left = -across if mirrored else across
    for part, bone, sure in (
        ("thigh", thigh, _LEGS),
        ("shin", shin, _LEGS),
        ("foot", foot, _LEGS),
        ("toe", toe, _ENDS),
    ):
        _pair(names, partners, part, bone, sure, mirrored)
    if arm is not None:
        arm_mirrored = bool((heads[arm[0]] - heads[partners[arm[0]]]) @ left < 0)
        before = arm_chain[: arm_chain.index(arm[0])]
        _pair(names, partners, "clavicle", before[0] if before else -1, _ENDS, arm_mirrored)
        for part, bone in zip(("upper_arm", "forearm", "hand"), arm, strict=True):
            _pair(names, partners, part, bone, _ARMS, arm_mirrored)
    bones: dict[str, tuple[str, ...]] = {slot: (rig.names[bone],) for slot, (bone, _) in names.items()}
    confidence = {slot: sure for slot, (_, sure) in names.items()}
    bones["hips"], confidence["hips"] = (rig.names[_topmost(rig, hips, leg)],), _LEGS
    if chest >= 0 and hips in rig.ancestors(chest):
        path = [chest, *rig.ancestors(chest)]
        spine = path[: path.index(hips)][::-1]
        bones["spine"], confidence["spine"] = tuple(rig.names[bone] for bone in spine), _SPINE
        neck = _neck(rig, partners, height, chest, arm_chain[0], hips)
        if neck:
            bones["head"], confidence["head"] = (rig.names[neck[-1]],), _ENDS
            if neck[:-1]:
                bones["neck"], confidence["neck"] = tuple(rig.names[bone] for bone in neck[:-1]), _ENDS
    for side in SIDES:
        if f"{side}_hand" in names:
            for finger, (chain, sure) in find_fingers(rig, names[f"{side}_hand"][0]).items():
                bones[f"{side}_{finger}"] = tuple(rig.names[bone] for bone in chain)
                confidence[f"{side}_{finger}"] = sure
    return BoneMapping(bones, confidence)


def find_fingers(rig: Rig, hand: int) -> dict[str, tuple[tuple[int, ...], float]]:
    """Find the fingers of a hand: for each its bones, outwards, and the confidence; none where they are unclear.

    Fingers are what their bones' names say, where any says so. Otherwise the thumb is the one that leaves the palm
    nearest to the wrist, and the others follow in order across the palm.
    """
    whole = _chains_below(rig, hand)
    if all(len(chain) == 1 for chain in whole):
        # Helpers and sockets alone.
        return {}
    chains = [_phalanges(rig, hand, chain) for chain in whole]
    if sum(len(chain) > 1 for chain in chains) >= 2:
        # Single bones are not fingers then either.
        chains = [chain for chain in chains if len(chain) > 1]
    said = [{said_finger(rig.names[bone]) for bone in chain} - {""} for chain in chains]
    if any(said):
        named = [(one.pop(), chain) for one, chain in zip(said, chains, strict=True) if len(one) == 1]
        return {
            finger: (tuple(chain), _FINGERS) for finger, chain in named if [one for one, _ in named].count(finger) == 1
        }
    if not 2 <= len(chains) <= len(FINGERS):
        return {}
    roots = rig.heads[[chain[0] for chain in chains]]
    thumb = int(np.argmin(np.linalg.norm(roots - rig.heads[hand], axis=-1)))
    others = [place for place in range(len(chains)) if place != thumb]
    knuckles = roots[others]
    across = np.linalg.svd(knuckles - knuckles.mean(axis=0))[2][0] if len(others) > 1 else np.zeros(3)
    if (roots[thumb] - knuckles.mean(axis=0)) @ across > 0.0:
        across = -across
    order = [others[place] for place in np.argsort(knuckles @ across)]
    names = {1: ("index",), 2: ("index", "middle"), 3: ("index", "middle", "pinky")}.get(len(others), FINGERS[1:])
    found = {"thumb": chains[thumb], **{name: chains[place] for name, place in zip(names, order, strict=True)}}
    return {name: (tuple(chain), _FINGERS) for name, chain in found.items()}


def _chains_below(rig: Rig, bone: int) -> list[list[int]]:
    """The chains of bones below a bone, from where each separates; with several tips the longest is used."""
    chains = []
    for child in rig.children[bone]:
        chain = [child]
        while True:
            longer = [below for below in rig.children[chain[-1]] if rig.children[below]]
            if len(longer) > 1:
                # A palm's bone with several fingers on it.
                chains.extend(_chains_below(rig, chain[-1]))
                break
            following = longer or rig.children[chain[-1]][:1]
            if not following:
                chains.append(chain)
                break
            chain.append(following[0])
    return chains


def _phalanges(rig: Rig, hand: int, chain: list[int]) -> list[int]:
    """A finger's bones without its metacarpal, which begins nearer to the wrist than it is long, and without tips."""
    heads = rig.heads
    if len(chain) > 1:
        length = np.linalg.norm(heads[chain[1]] - heads[chain[0]])
        if np.linalg.norm(heads[chain[0]] - heads[hand]) < length:
            chain = chain[1:]
    return chain[:_PHALANGES]


def _pair(
    names: dict[str, tuple[int, float]], partners: np.ndarray, part: str, bone: int, sure: float, mirrored: bool
) -> None:
    if bone < 0 or partners[bone] < 0 or partners[bone] == bone:
        return
    pair = (int(partners[bone]), bone) if mirrored else (bone, int(partners[bone]))
    names[f"left_{part}"], names[f"right_{part}"] = (pair[0], sure), (pair[1], sure)


def _shared(rig: Rig, bone: int, other: int) -> int:
    """The nearest common ancestor of two bones, -1 for none."""
    above = {other, *rig.ancestors(other)}
    return next((one for one in (bone, *rig.ancestors(bone)) if one in above), -1)


def _topmost(rig: Rig, hips: int, leg: tuple[int, int, int]) -> int:
    """The highest of the bones that begin in the hips: skin of any of them must move along."""
    length = np.linalg.norm(np.diff(rig.heads[list(leg)], axis=0), axis=-1).sum()
    top = hips
    while rig.parents[top] >= 0 and np.linalg.norm(rig.heads[rig.parents[top]] - rig.heads[hips]) < _IN_HIPS * length:
        top = int(rig.parents[top])
    return top


def _ball(height: np.ndarray, foot: int, toes: list[int]) -> int:
    """Which of the bones beyond a foot begins at its ball, -1 for none; metatarsals begin higher."""
    if not toes:
        return -1
    drop = height[foot] - height[toes]
    return toes[int(np.argmax(drop >= _BALL * drop.max()))] if drop.max() > 0.0 else toes[0]


def _front(rig: Rig, leg: tuple[int, int, int], toe: int) -> np.ndarray:
    """A vector (3,) to the front, by toes, or else by feet and knees."""
    thigh, shin, foot = rig.heads[list(leg)]
    if toe >= 0:
        return rig.heads[toe] - foot
    tail = rig.to_world(rig.tails[leg[2]]) - foot
    knee = shin - thigh
    along = foot - thigh
    # Tails may be invented, along the shin or upwards; knees may be straight.
    return tail - (tail @ along) / (along @ along) * along + knee - (knee @ along) / (along @ along) * along


def _is_right(rig: Rig, bone: int, partner: int) -> bool | None:
    """Whether a bone is the right one of two by their names, None where these have no side."""
    sides = [_SIDE.search(rig.names[one]) for one in (bone, partner)]
    letters = [next(part for part in side.groups() if part)[0].lower() if side else "" for side in sides]
    return letters[0] == "r" if sorted(letters) == ["l", "r"] else None


def _chain_to_partner(rig: Rig, partners: np.ndarray, tip: int) -> list[int]:
    """The bones from where the chains of a bone and its mirror image part, down to the bone."""
    partner = int(partners[tip])
    shared = set(rig.ancestors(partner))
    path = [tip]
    for bone in rig.ancestors(tip):
        if bone in shared:
            return path[::-1]
        path.append(bone)
    return []


def _two_bones(rig: Rig, chain: list[int]) -> tuple[int, int, int] | None:
    """The three joints of a chain that make the longest limb of two straight, about equally long bones."""
    heads, chain = rig.heads, chain[:12]
    steps = np.linalg.norm(np.diff(heads[chain], axis=0), axis=-1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    best: tuple[int, int, int] | None = None
    most = 0.0
    for places in combinations(range(len(chain)), 3):
        joints = heads[[chain[place] for place in places]]
        lengths = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
        # Twist bones lie on the line, hip sockets and toes off it.
        detour = way[places[2]] - way[places[0]] - lengths.sum()
        score = lengths.min() - 0.5 * abs(lengths[0] - lengths[1]) - 2.0 * detour
        if not rig.children[chain[places[2]]]:
            # Where hands have a single bone for all fingers, that is not the hand.
            score *= _TIP
        if score > most * 1.02:
            best, most = (chain[places[0]], chain[places[1]], chain[places[2]]), score
    return best


def _up_to_the_palm(rig: Rig, chain: list[int]) -> list[int]:
    """A chain up to the bone that has several fingers."""
    for place, bone in enumerate(chain):
        if place >= 1 and sum(bool(rig.descendants(child)) for child in rig.children[bone]) >= 3:
            return chain[: place + 1]
    return chain


def _is_neck(rig: Rig, partners: np.ndarray, height: np.ndarray, bone: int, arm: int, hips: int) -> bool:
    """Whether the bone that carries the arms is the neck, as Biped's: at the collar bones, with the head on it."""
    if height[bone] < height[arm] - _COLLAR * (height[arm] - height[hips]):
        return False
    return len([above for above in _neck(rig, partners, height, bone, arm, hips) if rig.children[above]]) <= 1


def _neck(rig: Rig, partners: np.ndarray, height: np.ndarray, chest: int, arm: int, hips: int) -> list[int]:
    """The bones in the middle from above the chest, which carries the bone ``arm``, up to the head."""
    path: list[int] = []
    bone = chest
    carrying = rig.ancestors(arm)
    while True:
        middle = [child for child in rig.children[bone] if partners[child] == child]
        middle = [child for child in middle if height[child] >= height[bone] - 1e-6]
        if path and bone not in carrying and len(rig.children[bone]) - len(middle) >= 2:
            # The head has eyes or ears.
            break
        if not middle:
            break
        bone = max(middle, key=lambda child: (len(rig.descendants(child)) > 0, height[child]))
        path.append(bone)
    if len(path) > 1 and np.linalg.norm(rig.heads[path[-1]] - rig.heads[path[-2]]) < 0.02 * np.ptp(height):
        # A bone for the face, in the head's joint.
        path = path[:-1]
    if len(path) > 2:
        # A long last bone to high above the shoulders is the crown of the head, where exporters mark its end.
        steps = np.diff(height[path])
        torso = height[arm] - height[hips]
        if steps[-1] > 1.2 * steps[:-1].max() and height[path[-1]] > height[arm] + _CROWN * torso:
            path = path[:-1]
    return path
