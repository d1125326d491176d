"""Mappings that users keep as files: they are found again for every rig with the same bones."""

from __future__ import annotations

from pathlib import Path

import bpy

from .bones import RetargetError, Rig
from .mapping import BoneMapping, digest
from .recognise import recognise

ENDING = ".bones.json"
"""A file of this ending beside a character's, such as ``hero.bones.json`` beside ``hero.fbx``, is that one's."""


def folder() -> Path:
    """The folder of the user's presets, which need not exist."""
    return Path(bpy.utils.user_resource("SCRIPTS", path="presets")) / "video_motion" / "bones"


def find_mapping(rig: Rig, beside: Path | None = None) -> BoneMapping:
    """The mapping for a rig: the file beside its own, the user's newest preset for its bones, or what is recognised.

    Args:
        rig: the rig.
        beside: the character's own file.

    Raises:
        RetargetError: the file beside the character's is no mapping, or not for its bones.
    """
    if beside is not None and (own := beside.with_name(beside.stem + ENDING)).is_file():
        mapping = BoneMapping.load(own)
        mapping.indices(rig)
        return mapping
    kept = [path for path in folder().glob("*.json") if path.is_file()]
    for path in sorted(kept, key=lambda one: -one.stat().st_mtime):
        try:
            mapping = BoneMapping.load(path)
            if mapping.rig == digest(rig):
                mapping.indices(rig)
                return mapping
        except RetargetError:
            # Somebody else's file; a preset is never needed.
            continue
    return recognise(rig)
