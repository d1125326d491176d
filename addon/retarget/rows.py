"""The panel's rows of bones as a `BoneMapping`, and the other way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bones import CHAINS, FINGER_SLOTS, SLOTS
from .mapping import BoneMapping

if TYPE_CHECKING:
    from .properties import RetargetSettings

_PHALANGES = 3


def fill_rows(settings: RetargetSettings, mapping: BoneMapping) -> None:
    """Show a mapping in the panel's lists; chains that may have more bones end in an empty row."""
    settings.rows.clear()
    settings.family = mapping.family
    settings.mapping = mapping.dumps()
    for slot in SLOTS:
        names = list(mapping.bones.get(slot, ()))
        extensible = slot in CHAINS and (slot not in FINGER_SLOTS or len(names) < _PHALANGES)
        for name in [*names, ""] if extensible or not names else names:
            row = settings.rows.add()
            row.slot = slot
            row["bone"] = name
            row["offset"] = mapping.offsets.get(name, (0.0, 0.0, 0.0))
            row.confidence = mapping.confidence.get(slot, 0.0) if name else 0.0


def chosen_mapping(settings: RetargetSettings) -> BoneMapping:
    """Return the mapping as the user sees it, with the switches of the recognised rig and the mended rest pose."""
    mapping = BoneMapping.loads(settings.mapping)
    bones: dict[str, list[str]] = {}
    confidence: dict[str, float] = {}
    for row in settings.rows:
        if row.bone:
            bones.setdefault(row.slot, []).append(row.bone)
            confidence[row.slot] = min(row.confidence, confidence.get(row.slot, 1.0))
    mapping.bones = {slot: tuple(names) for slot, names in bones.items()}
    mapping.confidence = confidence
    mapping.offsets = {row.bone: tuple(row.offset) for row in settings.rows if row.bone and any(row.offset)}
    return mapping
