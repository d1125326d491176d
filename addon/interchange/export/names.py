"""Names in exported files: what formats allow, and the user's own names for copies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import bpy

from .samples import CharacterSamples

_PLACEHOLDER = "video motion export"


def rename_bones(armature: bpy.types.Object, clean: Callable[[str], str]) -> None:
    """Rename bones, along with their curves and vertex groups, to names that a format allows."""
    bones = list(armature.data.bones)
    for bone, name in zip(bones, distinct([bone.name for bone in bones], clean), strict=True):
        if bone.name != name:
            bone.name = name


def distinct(names: Sequence[str], clean: Callable[[str], str]) -> list[str]:
    """Return cleaned names without duplicates; names that are clean already stay."""
    taken = {name for name in names if clean(name) == name}
    unique_names = []
    for name in names:
        unique, number = clean(name), 2
        while unique != name and unique in taken:
            unique, number = f"{clean(name)}_{number}", number + 1
        taken.add(unique)
        unique_names.append(unique)
    return unique_names


def usd_identifier(name: str) -> str:
    """Return a name that USD allows: letters of any script, digits and underscores."""
    allowed = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in name)
    return allowed if allowed.isidentifier() else f"_{allowed}"


def bvh_name(name: str) -> str:
    """Return a name that BVH allows: without spaces."""
    return "_".join(name.split()) or "_"


CLEAN: dict[str, Callable[[str], str]] = {"usd": usd_identifier, "bvh": bvh_name}
"""Makes a name valid in a format; formats that are missing allow any name."""


@contextlib.contextmanager
def original_names(samples: Sequence[CharacterSamples]) -> Iterator[dict[bpy.types.ID, str]]:
    """Rename the user's objects and data meanwhile, so that copies can have the names that belong in the file.

    Yields:
        The original name of each.
    """
    objects = [one for sample in samples for one in (sample.armature, *sample.meshes)]
    names = {block: block.name for block in (*objects, *(one.data for one in objects))}
    for index, block in enumerate(names):
        if block.library is None:
            block.name = f"{_PLACEHOLDER} {index}"
    try:
        yield names
    finally:
        for block, name in names.items():
            if block.library is None:
                block.name = name
