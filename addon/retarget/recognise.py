"""Recognising a rig: by the bone names of known families, and where names say nothing by its structure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .bones import CENTRAL, CHAINS, NEEDED, PAIRED, SIDES, SLOTS, Rig
from .mapping import Mapping
from .structure import guess_bones

_FOLDER = Path(__file__).with_name("families")

# Names with separators and case as in the family's own; without them.
_EXACT, _LOOSE = 1.0, 0.9

# A bone that does not hang where its part does is likely another's namesake.
_MISPLACED = 0.5

# A family is believed from this share of the slots on.
_ENOUGH = 0.6

# Of a part that hangs on another, which one; spine and neck may be missing.
_HANGS_ON = {
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
        names: for each slot the possible names, the likelier first.
        needs: bones without which a rig is not of this family.
        forbids: bones with which it is not.
        bonus: bones that tell it from families with the same names.
        switches: custom properties that its controls need; see `Mapping`.
        neutral: controls that must be at rest; see `Mapping`.
    """

    name: str
    prefixes: tuple[str, ...]
    names: dict[str, tuple[str, ...]]
    needs: tuple[str, ...]
    forbids: tuple[str, ...]
    bonus: tuple[str, ...]
    switches: dict[str, dict[str, float]]
    neutral: tuple[str, ...]


def recognise(rig: Rig) -> Mapping:
    """Find which bone of a rig plays which part.

    Returns:
        The mapping by the family that explains most, or by structure. It is incomplete where neither tells.
    """
    found = [match(rig, family) for family in families()]
    score, mapping = max(found, key=lambda scored: scored[0], default=(0.0, Mapping()))
    if score >= _ENOUGH and all(slot in mapping.bones for slot in NEEDED):
        return mapping
    guessed = guess_bones(rig)
    return guessed if len(guessed.bones) >= len(mapping.bones) else mapping


def match(rig: Rig, family: Family) -> tuple[float, Mapping]:
    """How well a family explains a rig (0 to a little over 1), and the mapping by its names."""
    if any(name not in rig.number for name in family.needs) or any(name in rig.number for name in family.forbids):
        return 0.0, Mapping()
    strip = re.compile("|".join((*family.prefixes, _common_prefix(rig.names))) or "(?!)", re.IGNORECASE)
    exact: dict[str, int] = {}
    loose: dict[str, int] = {}
    for index, name in enumerate(rig.names):
        # Namespaces of FBX files and duplicated armatures.
        plain = strip.sub("", re.split(r"[|:]", name)[-1] if not strip.match(name) else name, count=1)
        for candidate in (name, plain):
            exact.setdefault(candidate.lower(), index)
            loose.setdefault(_simple(candidate), index)
    bones: dict[str, tuple[str, ...]] = {}
    confidence: dict[str, float] = {}
    taken: set[int] = set()
    for slot in SLOTS:
        hits: dict[int, float] = {}
        for name in family.names.get(slot, ()):
            index, sure = exact.get(name.lower()), _EXACT
            if index is None:
                index, sure = loose.get(_simple(name)), _LOOSE
            if index is not None and index not in taken:
                hits.setdefault(index, sure)
            if hits and slot not in CHAINS:
                break
        if hits:
            taken.update(hits)
            upwards = sorted(hits, key=lambda bone: len(rig.ancestors(bone)))
            bones[slot] = tuple(rig.names[bone] for bone in upwards)
            confidence[slot] = min(hits.values())
    for slot, below in _HANGS_ON.items():
        if slot in bones and below in bones and not family.switches:
            above = rig.ancestors(rig.number[bones[slot][0]])
            if rig.number[bones[below][0]] not in above:
                confidence[slot] = min(confidence[slot], _MISPLACED)
    score = sum(confidence.values()) / len(SLOTS)
    score += 0.02 * sum(len(names) for slot, names in bones.items() if slot in CHAINS)
    score += 0.05 * sum(name in rig.number for name in family.bonus)
    if family.prefixes and sum(bool(re.match(family.prefixes[0], name, re.IGNORECASE)) for name in rig.names) > 5:
        score += 0.05
    switches = {bone: dict(values) for bone, values in family.switches.items() if bone in rig.number}
    neutral = tuple(name for name in family.neutral if name in rig.number)
    return score, Mapping(bones, confidence, family.name, switches, neutral)


@cache
def families() -> tuple[Family, ...]:
    """All families known."""
    return tuple(_read(path) for path in sorted(_FOLDER.glob("*.json")))


def _read(path: Path) -> Family:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, tuple[str, ...]] = {slot: tuple(data["central"].get(slot, ())) for slot in CENTRAL}
    for part in PAIRED:
        for number, side in enumerate(SIDES):
            names[f"{side}_{part}"] = tuple(
                pattern.replace("{side}", pair[number])
                for pattern in data["paired"].get(part, ())
                for pair in data["sides"]
            )
    return Family(
        data["name"],
        tuple(data.get("prefixes", ())),
        names,
        tuple(data.get("needs", ())),
        tuple(data.get("forbids", ())),
        tuple(data.get("bonus", ())),
        data.get("switches", {}),
        tuple(data.get("neutral", ())),
    )


def _simple(name: str) -> str:
    """A name without case and separators; ``_01`` and ``1`` stay apart, as chains count in both ways."""
    return re.sub(r"[\s._\-]", "", name).lower()


def _common_prefix(names: tuple[str, ...]) -> str:
    """A regular expression of what nearly all names begin with, up to a separator; of nothing where they do not."""
    count: dict[str, int] = {}
    for name in names:
        for end in (found.end() for found in re.finditer(r"[:|_.\s\-]", name)):
            count[name[:end]] = count.get(name[:end], 0) + 1
    common = [prefix for prefix, times in count.items() if times >= 0.9 * len(names) and len(names) > 5]
    return "^" + re.escape(max(common, key=len)) if common else "(?!)"
