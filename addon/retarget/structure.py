"""Which bone is what by structure alone: topology, symmetry and rest positions. NumPy only."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .bones import Rig
from .mapping import Mapping, mirror_partners

# What structure alone can be sure of.
_LEGS, _ARMS, _SPINE, _ENDS = 0.7, 0.7, 0.6, 0.5

# How much less a limb that takes in the last joint of a chain counts.
_TIP = 0.85

# Of the rig's height: how far above the lowest joint toes may be.
_SOLE = 0.05


def guess_bones(rig: Rig) -> Mapping:
    """Find legs, arms, spine and head of a rig; an empty mapping where there are no two legs.

    The legs are the pair of mirrored chains that reach lowest, the arms the pair from further up that reaches furthest
    to the sides. Up is the armature's axis that tells most, the one nearest to the world's z axis where several do.
    """
    if len(rig.names) < 7:
        return Mapping()
    partners = mirror_partners(rig)
    axes = sorted((sign * axis for axis in rig.turn.T for sign in (1.0, -1.0)), key=lambda axis: -axis[2])
    found = [_with_up(rig, partners, rig.heads, axis) for axis in axes]
    return max((one for one in found if one is not None), key=lambda one: len(one.bones), default=Mapping())


def _with_up(rig: Rig, partners: np.ndarray, heads: np.ndarray, up: np.ndarray) -> Mapping | None:
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
    toes = chain[chain.index(foot) + 1 :]
    toe = toes[0] if toes else -1
    names: dict[str, tuple[int, float]] = {}

    others = [bone for bone in paired if bone not in rig.descendants(chain[0]) and bone != chain[0]]
    others = [bone for bone in others if height[bone] > height[hips] and partners[chain[0]] != bone]
    arm_chain: list[int] = []
    arm = None
    if others:
        left_axis = heads[thigh] - heads[partners[thigh]]
        reach_of_leg = float(np.linalg.norm(left_axis)) / 2.0
        left_axis = left_axis / max(2.0 * reach_of_leg, 1e-9)
        middle = heads[hips] @ left_axis
        furthest = int(max(others, key=lambda bone: abs(heads[bone] @ left_axis - middle)))
        arm_chain = _chain_to_partner(rig, partners, furthest)
        # Collar bones begin in the middle, arms beside the trunk.
        reach = [abs(heads[bone] @ left_axis - middle) for bone in arm_chain]
        beside = [bone for bone, far in zip(arm_chain, reach, strict=True) if far > 0.75 * reach_of_leg]
        arm = _two_bones(rig, _up_to_the_palm(rig, beside))
    chest = int(rig.parents[arm_chain[0]]) if arm_chain else -1

    front = heads[toe] - heads[foot] if toe >= 0 else np.cross(up, heads[thigh] - heads[partners[thigh]])
    left = np.cross(up, front)
    mirrored = (heads[thigh] - heads[partners[thigh]]) @ left < 0
    for part, bone, sure in (
        ("thigh", thigh, _LEGS),
        ("shin", shin, _LEGS),
        ("foot", foot, _LEGS),
        ("toe", toe, _ENDS),
    ):
        _pair(names, partners, part, bone, sure, bool(mirrored))
    if arm is not None:
        arm_mirrored = bool((heads[arm[0]] - heads[partners[arm[0]]]) @ left < 0)
        before = arm_chain[: arm_chain.index(arm[0])]
        _pair(names, partners, "clavicle", before[0] if before else -1, _ENDS, arm_mirrored)
        for part, bone in zip(("upper_arm", "forearm", "hand"), arm, strict=True):
            _pair(names, partners, part, bone, _ARMS, arm_mirrored)
    bones: dict[str, tuple[str, ...]] = {slot: (rig.names[bone],) for slot, (bone, _) in names.items()}
    confidence = {slot: sure for slot, (_, sure) in names.items()}
    bones["hips"], confidence["hips"] = (rig.names[hips],), _LEGS
    if chest >= 0 and hips in rig.ancestors(chest):
        path = [chest, *rig.ancestors(chest)]
        spine = path[: path.index(hips)][::-1]
        bones["spine"], confidence["spine"] = tuple(rig.names[bone] for bone in spine), _SPINE
        neck = _neck(rig, partners, height, chest)
        if neck:
            bones["head"], confidence["head"] = (rig.names[neck[-1]],), _ENDS
            if neck[:-1]:
                bones["neck"], confidence["neck"] = tuple(rig.names[bone] for bone in neck[:-1]), _ENDS
    return Mapping(bones, confidence)


def _pair(
    names: dict[str, tuple[int, float]], partners: np.ndarray, part: str, bone: int, sure: float, mirrored: bool
) -> None:
    if bone < 0 or partners[bone] < 0 or partners[bone] == bone:
        return
    pair = (int(partners[bone]), bone) if mirrored else (bone, int(partners[bone]))
    names[f"left_{part}"], names[f"right_{part}"] = (pair[0], sure), (pair[1], sure)


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
        # Twist bones lie on the way, hip sockets and toes beside it.
        detour = way[places[2]] - way[places[0]] - lengths.sum()
        score = lengths.min() - 0.5 * abs(lengths[0] - lengths[1]) - 2.0 * detour
        if not rig.children[chain[places[2]]]:
            # Where hands have a single bone for all fingers, that is not the hand.
            score *= _TIP
        if score > most * 1.02:
            best, most = (chain[places[0]], chain[places[1]], chain[places[2]]), score
    return best


def _up_to_the_palm(rig: Rig, chain: list[int]) -> list[int]:
    """A chain as far as the bone on which several fingers hang."""
    for place, bone in enumerate(chain):
        if place >= 1 and sum(bool(rig.descendants(child)) for child in rig.children[bone]) >= 3:
            return chain[: place + 1]
    return chain


def _neck(rig: Rig, partners: np.ndarray, height: np.ndarray, chest: int) -> list[int]:
    """The bones in the middle from above the chest up to the head."""
    path: list[int] = []
    bone = chest
    while True:
        middle = [child for child in rig.children[bone] if partners[child] == child]
        middle = [child for child in middle if height[child] >= height[bone] - 1e-6]
        if path and len(rig.children[bone]) - len(middle) >= 2:
            # Eyes or ears hang on the head.
            break
        if not middle:
            break
        bone = max(middle, key=lambda child: (len(rig.descendants(child)) > 0, height[child]))
        path.append(bone)
    if len(path) > 1 and np.linalg.norm(rig.heads[path[-1]] - rig.heads[path[-2]]) < 0.02 * np.ptp(height):
        # A bone for the face, in the head's joint.
        path = path[:-1]
    if len(path) > 2:
        # A long last bone is the crown of the head, where exporters mark its end.
        steps = np.diff(height[path])
        if steps[-1] > 1.2 * steps[:-1].max():
            path = path[:-1]
    return path
