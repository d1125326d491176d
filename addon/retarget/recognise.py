"""Recognising a rig: by the bone names of known families, or else by its structure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .bones import BODY_SLOTS, CENTRAL, CHAINS, FINGER_SLOTS, FINGERS, LIMBS, NEEDED, SIDES, Rig
from .mapping import BoneMapping
from .structure import find_bones, find_fingers

_FOLDER = Path(__file__).with_name("families")

# Names with separators and case as in the family's own; without them.
_EXACT, _LOOSE = 1.0, 0.9

# Confidence of a bone whose parent is not as expected: most likely its name is a coincidence.
_MISPLACED = 0.5

# A number that an exporter or importer has added to a name, such as Sketchfab's ``_015`` or Blender's ``.001``.
_ADDED_NUMBER = re.compile(r"[._ ]\d+$")

# A hand or foot that is not below its limb, but a control of it, begins this far from the limb's middle joint, as a
# multiple of the upper bone's length.
_NEAR_LIMB = (0.4, 1.8)

# A family is accepted from this fraction of the body's slots on.
_ENOUGH = 0.6

# Fraction of the height from hips to collar bones: a bone that begins further below these is the chest, whatever its
# name.
_BELOW_COLLAR = 0.1

# The ancestor that each part must have; spine and neck may be missing.
_ANCESTOR = {
    "head": "hips",
    **{
        f"{side}_{part}": "hips" if on == "hips" else f"{side}_{on}"
        for side in SIDES
        for part, on in (
            ("upper_arm", "hips"),
            ("forearm", "upper_arm"),
            ("hand", "forearm"),
            ("thigh", "hips"),
            ("shin", "thigh"),
            ("foot", "shin"),
            ("toe", "foot"),
        )
    },
}


@dataclass(frozen=True)
class Family:
    """The names that the bones of one kind of rig have.

    Attributes:
        name: of the family.
        prefixes: regular expressions of what may stand before every name.
        names: for each slot of the body the possible names, the likelier first.
        fingers: for each finger the possible chains of names, from the palm outwards.
        needs: bones without which a rig is not of this family.
        forbids: bones with which it is not.
        bonus: bones that distinguish it from families with the same names.
        switches: custom properties that its controls need; see `BoneMapping`.
        neutral: controls that must be at rest; see `BoneMapping`.
    """

    name: str
    prefixes: tuple[str, ...]
    names: dict[str, tuple[str, ...]]
    fingers: dict[str, tuple[tuple[str, ...], ...]]
    needs: tuple[str, ...]
    forbids: tuple[str, ...]
    bonus: tuple[str, ...]
    switches: dict[str, dict[str, float]]
    neutral: tuple[str, ...]


def recognise(rig: Rig) -> BoneMapping:
    """Find which bone of a rig is which part.

    Returns:
        The mapping by the family that matches best, or by structure. It is incomplete where both fail.
    """
    matches = [match(rig, family) for family in families()]
    # Bodies may match several families: then the fingers decide.
    score, mapping = max(
        matches, key=lambda scored: (round(scored[0], 6), _fingers(scored[1])), default=(0.0, BoneMapping())
    )
    if score >= _ENOUGH and all(slot in mapping.bones for slot in NEEDED):
        return mapping
    by_structure = find_bones(rig)
    return by_structure if len(_body(by_structure)) >= len(_body(mapping)) else mapping


def match(rig: Rig, family: Family) -> tuple[float, BoneMapping]:
    """How well a family matches a rig's body (0 to a little over 1), and the mapping by its names.

    Fingers with other names are found by the structure of the hands.
    """
    own = {*rig.names, *_without_numbers(rig.names).values()}
    if any(name not in own for name in family.needs) or any(name in own for name in family.forbids):
        return 0.0, BoneMapping()
    find = _Names(rig, family)
    chosen: dict[str, list[int]] = {}
    confidence: dict[str, float] = {}
    for slot in BODY_SLOTS:
        hits = find.all_of(family.names.get(slot, ()), only_first=slot not in CHAINS)
        if hits:
            chosen[slot] = sorted(hits, key=lambda bone: len(rig.ancestors(bone)))
            confidence[slot] = min(hits.values())
    if not family.switches:
        _settle_trunk(rig, find, family, chosen, confidence)
        for slot, below in _ANCESTOR.items():
            if (
                slot in chosen
                and below in chosen
                and chosen[below][0] not in rig.ancestors(chosen[slot][0])
                and not _ends_limb(rig, chosen, slot)
            ):
                confidence[slot] = min(confidence[slot], _MISPLACED)
    score = sum(confidence.values()) / len(BODY_SLOTS)
    score += 0.02 * sum(len(bones) for slot, bones in chosen.items() if slot in CHAINS)
    score += 0.05 * sum(name in rig.number for name in family.bonus)
    if family.prefixes and sum(bool(re.match(family.prefixes[0], name, re.IGNORECASE)) for name in rig.names) > 5:
        score += 0.05
    for slot in FINGER_SLOTS:
        hits = find.longest(family.fingers.get(slot, ()))
        hand = chosen.get(f"{slot.partition('_')[0]}_hand")
        if hits and (family.switches or (hand and all(hand[0] in rig.ancestors(bone) for bone in hits))):
            chosen[slot] = sorted(hits, key=lambda bone: len(rig.ancestors(bone)))
            confidence[slot] = min(hits.values())
    bones = {slot: tuple(rig.names[bone] for bone in own) for slot, own in chosen.items()}
    if not family.switches and not any(slot in bones for slot in FINGER_SLOTS):
        for side in SIDES:
            if f"{side}_hand" in chosen:
                for finger, (own, sure) in find_fingers(rig, chosen[f"{side}_hand"][0]).items():
                    bones[f"{side}_{finger}"] = tuple(rig.names[bone] for bone in own)
                    confidence[f"{side}_{finger}"] = sure
    switches = {bone: dict(values) for bone, values in family.switches.items() if bone in rig.number}
    neutral = tuple(name for name in family.neutral if name in rig.number)
    return score, BoneMapping(bones, confidence, family.name, switches, neutral)


def _ends_limb(rig: Rig, chosen: dict[str, list[int]], slot: str) -> bool:
    """Whether a hand or foot lies where its limb ends, as controls of limbs do that hang on nothing."""
    side, _, part = slot.partition("_")
    limb = {"hand": ("upper_arm", "forearm"), "foot": ("thigh", "shin")}.get(part, ())
    if not limb or any(f"{side}_{one}" not in chosen for one in limb):
        return False
    upper, middle = (rig.heads[chosen[f"{side}_{one}"][0]] for one in limb)
    distance = np.linalg.norm(rig.heads[chosen[slot][0]] - middle) / max(float(np.linalg.norm(middle - upper)), 1e-9)
    return bool(_NEAR_LIMB[0] < distance < _NEAR_LIMB[1])


def _without_numbers(names: Iterable[str]) -> dict[str, str]:
    """Names without a number that was added, where nothing else is called like that."""
    bare = {name: _ADDED_NUMBER.sub("", name) for name in names}
    count = Counter(one.lower() for one in bare.values())
    return {name: one for name, one in bare.items() if one != name and count[one.lower()] == 1}


class _Names:
    """Finds a rig's bones by name; each only once."""

    def __init__(self, rig: Rig, family: Family) -> None:
        strip = re.compile("|".join((*family.prefixes, _common_prefix(rig.names))) or "(?!)", re.IGNORECASE)
        self._own = rig.number
        self._exact: dict[str, int] = {}
        self._loose: dict[str, int] = {}
        self._bare: dict[str, int] = {}
        self._taken: set[int] = set()
        without = _without_numbers(rig.names)
        for index, name in enumerate(rig.names):
            # Namespaces of FBX files and duplicated armatures.
            plain, *bare = (
                strip.sub("", one if strip.match(one) else re.split(r"[|:]", one)[-1], count=1)
                for one in (name, without.get(name, name))
            )
            for candidate in (name, plain):
                self._exact.setdefault(candidate.lower(), index)
                self._loose.setdefault(_simple(candidate), index)
            self._bare.setdefault(_simple(bare[0]), index)

    def look_up(self, name: str) -> tuple[int, float]:
        """The bone that a name refers to, -1 for none that is free, and the confidence."""
        index, sure = self._own.get(name, self._exact.get(name.lower())), _EXACT
        if index is None:
            index, sure = self._loose.get(_simple(name), self._bare.get(_simple(name))), _LOOSE
        return (index, sure) if index is not None and index not in self._taken else (-1, 0.0)

    def all_of(self, names: tuple[str, ...], only_first: bool) -> dict[int, float]:
        """The bones that names refer to, or the first of them, with confidences; they are then taken."""
        hits: dict[int, float] = {}
        for name in names:
            index, sure = self.look_up(name)
            if index >= 0:
                hits.setdefault(index, sure)
            if hits and only_first:
                break
        self._taken.update(hits)
        return hits

    def longest(self, chains: tuple[tuple[str, ...], ...]) -> dict[int, float]:
        """The bones of the chain of names with the most bones; they are then taken."""
        found = [{index: sure for index, sure in map(self.look_up, names) if index >= 0} for names in chains]
        hits = max(found, key=len, default={})
        self._taken.update(hits)
        return hits


def _settle_trunk(
    rig: Rig, find: _Names, family: Family, chosen: dict[str, list[int]], confidence: dict[str, float]
) -> None:
    """Correct matches by name using the bones' descendants.

    The hips are an ancestor of both legs and the spine: Daz and Character Creator split them, so that a bone called
    pelvis has only the legs. An ancestor of the legs is no spine: Biped's thighs are children of its lowest. A neck
    that is an ancestor of the arms and begins far below the collar bones is the chest.
    """
    legs = [chosen[slot][0] for slot in ("left_thigh", "right_thigh") if slot in chosen]
    arms = [
        chosen[slot][0]
        for side in SIDES
        for slot in (f"{side}_clavicle", f"{side}_upper_arm")
        if slot in chosen and not (slot.endswith("arm") and f"{side}_clavicle" in chosen)
    ]
    top = next((chosen[slot][-1:] for slot in ("spine", "neck", "head") if slot in chosen), [])
    carried = [set(rig.ancestors(bone)) for bone in (*legs, *top)]
    if "hips" in chosen and len(legs) == 2 and any(chosen["hips"][0] not in above for above in carried):
        names = (find.look_up(name) for name in family.names["hips"])
        better = [(bone, sure) for bone, sure in names if bone >= 0 and all(bone in above for above in carried)]
        shared = sorted(set.intersection(*carried), key=lambda bone: -len(rig.ancestors(bone)))
        better += [(bone, _MISPLACED) for bone in shared[:1]]
        if better:
            chosen["hips"], confidence["hips"] = [better[0][0]], better[0][1]
    if legs and "spine" in chosen:
        above_legs = {above for leg in legs for above in rig.ancestors(leg)}
        chosen["spine"] = [bone for bone in chosen["spine"] if bone not in above_legs]
    if arms and "neck" in chosen and "hips" in chosen:
        upwards = rig.heads[arms].mean(axis=0) - rig.heads[chosen["hips"][0]]
        height = (rig.heads - rig.heads[chosen["hips"][0]]) @ upwards / max(float(upwards @ upwards), 1e-12)
        carrying = set(rig.ancestors(arms[0])) & set(rig.ancestors(arms[-1]))
        low = [bone for bone in chosen["neck"] if bone in carrying and height[bone] < 1.0 - _BELOW_COLLAR]
        chosen["neck"] = [bone for bone in chosen["neck"] if bone not in low]
        chosen["spine"] = [*chosen.get("spine", ()), *low]
        confidence.setdefault("spine", _LOOSE)
    for slot in ("spine", "neck"):
        if slot in chosen and not chosen[slot]:
            del chosen[slot]
            confidence.pop(slot, None)


def _fingers(mapping: BoneMapping) -> int:
    """How many bones of fingers are recognised by name."""
    return sum(len(mapping.bones[slot]) for slot in FINGER_SLOTS if mapping.confidence.get(slot, 0.0) >= _LOOSE)


def _body(mapping: BoneMapping) -> list[str]:
    return [slot for slot in mapping.bones if slot in BODY_SLOTS]


@cache
def families() -> tuple[Family, ...]:
    """All families known."""
    return tuple(_read(path) for path in sorted(_FOLDER.glob("*.json")))


def _read(path: Path) -> Family:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, tuple[str, ...]] = {slot: tuple(data["central"].get(slot, ())) for slot in CENTRAL}
    for part in LIMBS:
        for number, side in enumerate(SIDES):
            names[f"{side}_{part}"] = tuple(_sided(data["paired"].get(part, ()), data["sides"], number))
    fingers = {
        f"{side}_{finger}": tuple(
            tuple(_in_braces(name)) for name in _sided(data.get("fingers", {}).get(finger, ()), data["sides"], number)
        )
        for number, side in enumerate(SIDES)
        for finger in FINGERS
    }
    return Family(
        data["name"],
        tuple(data.get("prefixes", ())),
        names,
        fingers,
        tuple(data.get("needs", ())),
        tuple(data.get("forbids", ())),
        tuple(data.get("bonus", ())),
        data.get("switches", {}),
        tuple(data.get("neutral", ())),
    )


def _sided(patterns: list[str], sides: list[list[str]], number: int) -> list[str]:
    """Patterns filled in for the left (0) or the right side in every notation."""
    return [
        pattern.replace("{side}", pair[number]).replace("{l}", "lr"[number]) for pattern in patterns for pair in sides
    ]


def _in_braces(pattern: str) -> list[str]:
    """A pattern once for each of the alternatives in its braces, such as ``Index{1,2,3}``."""
    before, opened, rest = pattern.partition("{")
    inside, _, after = rest.partition("}")
    return [before + alternative + after for alternative in inside.split(",")] if opened else [pattern]


def _simple(name: str) -> str:
    """A name without case and separators; ``_01`` and ``1`` stay different, as chains are numbered both ways."""
    return re.sub(r"[\s._\-]", "", name).lower()


def _common_prefix(names: tuple[str, ...]) -> str:
    """A regular expression of what nearly all names begin with, up to a separator; of nothing where they do not."""
    count: dict[str, int] = {}
    for name in names:
        for end in (found.end() for found in re.finditer(r"[:|_.\s\-]", name)):
            count[name[:end]] = count.get(name[:end], 0) + 1
    common = [prefix for prefix, times in count.items() if times >= 0.9 * len(names) and len(names) > 5]
    return "^" + re.escape(max(common, key=len)) if common else "(?!)"
