"""Which bone of a rig is which part of the canonical human: a mapping that users edit, save and load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...inference.atomic import atomic_write
from .bones import BODY_SLOTS, CENTRAL, CHAINS, NEEDED, PAIRED, SIDES, SLOTS, RetargetError, Rig

SURE = 0.9
"""Bones with less confidence are guesses."""

_WISHED = ("spine", "head", "left_upper_arm", "left_forearm", "right_upper_arm", "right_forearm")

_FORMAT, _VERSION = "video-motion bone mapping", 1

# Partners may be this far from mirror images of each other, as a fraction of the rig's size.
_LOPSIDED = 0.03


@dataclass
class BoneMapping:
    """The bones of a rig for the parts of the canonical human.

    Attributes:
        bones: for each slot that is filled its bones' names, upwards or outwards; more than one only in `CHAINS`.
        confidence: for each filled slot the confidence of recognition, 0 to 1; 1 for a user's choice.
        family: the name of the rig family, empty where recognised by structure.
        switches: custom properties of bones that must have a value for ``bones`` to move the rig, such as the switch
            from IK to FK of a control rig: by bone, then by property.
        neutral: unmapped bones of a control rig that would affect the mapped ones, and so are kept at rest.
        offsets: by bone what is added to its motion about its own axes, Euler angles XYZ in radians.
        rest: by bone the quaternion by which it is turned where the rest pose is mended, so that it corresponds better
            to other rigs' rest poses.
        rig: `digest` of the rig that it is for, empty if unknown.
    """

    bones: dict[str, tuple[str, ...]] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    family: str = ""
    switches: dict[str, dict[str, float]] = field(default_factory=dict)
    neutral: tuple[str, ...] = ()
    offsets: dict[str, tuple[float, ...]] = field(default_factory=dict)
    rest: dict[str, tuple[float, ...]] = field(default_factory=dict)
    rig: str = ""

    def indices(self, rig: Rig) -> dict[str, tuple[int, ...]]:
        """The indices of the bones by slot.

        Raises:
            RetargetError: the rig lacks a bone, one is used twice, or a slot is empty that must not be.
        """
        used: dict[str, str] = {}
        for slot, names in self.bones.items():
            if slot not in SLOTS:
                raise RetargetError(f"A human has no part called {slot}.")
            if len(names) > 1 and slot not in CHAINS:
                raise RetargetError(f"Only one bone can be the {_words(slot)}.")
            for name in names:
                if name not in rig.number:
                    raise RetargetError(f"The armature has no bone {name}, which the mapping has as {_words(slot)}.")
                if name in used:
                    raise RetargetError(f"The bone {name} can't be {_words(used[name])} and {_words(slot)} at once.")
                used[name] = slot
        missing = [slot for slot in NEEDED if not self.bones.get(slot)]
        if missing:
            raise RetargetError(f"No bone is chosen as {' nor as '.join(_words(slot) for slot in missing)}.")
        return {slot: tuple(rig.number[name] for name in names) for slot, names in self.bones.items() if names}

    @property
    def is_guess(self) -> bool:
        """Whether most of the body's bones are guesses."""
        sure = [self.confidence.get(slot, 1.0) >= SURE for slot in self.bones if slot in BODY_SLOTS]
        return 2 * sum(sure) < len(sure)

    def put(self, slot: str, *names: str) -> None:
        """Set a user's choice for a part; no name empties the slot."""
        if names:
            self.bones[slot], self.confidence[slot] = names, 1.0
        else:
            self.bones.pop(slot, None)
            self.confidence.pop(slot, None)

    def unmirrored(self, rig: Rig) -> list[str]:
        """The paired parts, such as ``thigh``, whose bones of the two sides are not each other's mirror images."""
        partners = mirror_partners(rig)
        found = []
        for part in PAIRED:
            left, right = (
                [rig.number.get(name, -1) for name in self.bones.get(f"{side}_{part}", ())] for side in SIDES
            )
            if [partners[bone] if bone >= 0 else -1 for bone in left] != right:
                found.append(part)
        return found

    def mirror(self, rig: Rig, side: str) -> None:
        """Fill the other side with the mirror images of the bones of ``side``, where the rig has them."""
        partners = mirror_partners(rig)
        other = SIDES[1 - SIDES.index(side)]
        for part in PAIRED:
            names = self.bones.get(f"{side}_{part}", ())
            images = [int(partners[rig.number[name]]) if name in rig.number else -1 for name in names]
            if all(image >= 0 and rig.names[image] != name for image, name in zip(images, names, strict=True)):
                self.put(f"{other}_{part}", *(rig.names[image] for image in images))
                if names:
                    # A mirrored bone is as uncertain as the original.
                    self.confidence[f"{other}_{part}"] = self.confidence.get(f"{side}_{part}", 1.0)

    def save(self, path: Path) -> None:
        """Write the mapping as JSON."""
        with atomic_write(path) as temporary:
            temporary.write_text(self.dumps() + "\n", encoding="utf-8")

    def dumps(self) -> str:
        """The mapping as JSON."""
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "family": self.family,
            "bones": {slot: list(self.bones[slot]) for slot in SLOTS if self.bones.get(slot)},
            "confidence": {slot: round(self.confidence.get(slot, 1.0), 3) for slot in SLOTS if self.bones.get(slot)},
            "switches": self.switches,
            "neutral": list(self.neutral),
            "offsets": {bone: list(angles) for bone, angles in self.offsets.items() if any(angles)},
            "rest": {bone: list(turn) for bone, turn in self.rest.items()},
            "rig": self.rig,
        }
        return json.dumps(content, indent=2)

    @classmethod
    def load(cls, path: Path) -> BoneMapping:
        """Read what `save` wrote.

        Raises:
            RetargetError: the file can't be read or is something else.
        """
        try:
            return cls.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RetargetError(f"{path.name} can't be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise RetargetError(f"{path.name} is no bone mapping of Video Motion.") from error

    @classmethod
    def loads(cls, text: str) -> BoneMapping:
        """Read what `dumps` gave.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, OverflowError: it is something else.
        """
        content = json.loads(text)
        if not all(isinstance(names, list) for names in content["bones"].values()):
            raise ValueError
        if content["format"] != _FORMAT or content["version"] > _VERSION:
            raise ValueError
        bones = {str(slot): tuple(map(str, names)) for slot, names in content["bones"].items()}
        if set(bones) - set(SLOTS):
            raise ValueError
        confidence = {slot: float(content.get("confidence", {}).get(slot, 1.0)) for slot in bones}
        switches = {
            str(bone): {str(name): float(value) for name, value in values.items()}
            for bone, values in content.get("switches", {}).items()
        }
        neutral = tuple(map(str, content.get("neutral", ())))
        offsets = {str(bone): _floats(angles, 3) for bone, angles in content.get("offsets", {}).items()}
        rest = {str(bone): _floats(turn, 4) for bone, turn in content.get("rest", {}).items()}
        family, rig = str(content.get("family", "")), str(content.get("rig", ""))
        return cls(bones, confidence, family, switches, neutral, offsets, rest, rig)


def digest(rig: Rig) -> str:
    """What tells rigs apart: of the names of their bones."""
    return hashlib.sha256("\n".join(sorted(rig.names)).encode()).hexdigest()[:16]


def _floats(values: list[float], count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError
    return numbers


def missing_parts(mapping: BoneMapping, name: str) -> list[str]:
    """A sentence on the parts that a motion should have but a mapping lacks; none where it has all."""
    missing = [_words(slot) for slot in _WISHED if not mapping.bones.get(slot)]
    if not missing:
        return []
    return [f"No bone of {name} is chosen as {' nor as '.join(missing)}, which will not move: choose them in the list."]


def mirror_partners(rig: Rig) -> np.ndarray:
    """For each bone (B,) the index of its mirror image at rest, its own in the middle, -1 where there is none.

    The plane is the one across an axis of armature space in which the rig is most symmetrical.
    """
    heads = rig.rest[:, :3, 3]
    if not len(heads):
        return np.empty(0, dtype=np.int64)
    size = float(np.ptp(heads, axis=0).max(initial=1e-6))
    depth = np.array([len(rig.ancestors(bone)) for bone in range(len(rig.names))])
    below = [rig.descendants(bone) for bone in range(len(rig.names))]
    # Bones may share a joint: their descendants distinguish them. Tails, which importers invent, are less reliable.
    centres = np.array([heads[own].mean(axis=0) if own else rig.tails[bone] for bone, own in enumerate(below)])
    weights = np.where([bool(own) for own in below], 0.2, 0.02)
    best, most = np.full(len(heads), -1), -1
    for axis in range(3):
        flip = np.where(np.arange(3) == axis, -1.0, 1.0)
        middle = np.where(np.arange(3) == axis, 2.0 * np.median(heads[:, axis]), 0.0)
        distance = np.linalg.norm(heads[:, None] - (heads * flip + middle), axis=-1)
        distance += weights[:, None] * np.linalg.norm(centres[:, None] - (centres * flip + middle), axis=-1)
        distance += size * (depth[:, None] != depth)
        partner = np.argmin(distance, axis=1)
        partner = np.where(distance.min(axis=1, initial=np.inf) < _LOPSIDED * size, partner, -1)
        paired = int(np.sum((partner >= 0) & (partner != np.arange(len(heads)))))
        if paired > most:
            best, most = partner, paired
    return best


def _words(slot: str) -> str:
    return slot.replace("_", " ") if slot in SLOTS and slot not in CENTRAL else slot
