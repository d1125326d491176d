"""A body's materials, and its clothes: materials for regions of the skin, which a shape key draws out to cloth."""

from __future__ import annotations

import colorsys

import bpy
import numpy as np

from ...inference.body.smpl import Body

CLOTHES = "clothes"
"""Name of the shape key, and of the mesh object's property that keeps the materials of both, dressed and plain."""

_SKIN = "skin"
_PLAIN = "plain"

# Colours (linear RGB) and roughness of parts and regions that have the same on everyone.
_LOOKS = {
    _SKIN: ((0.45, 0.25, 0.17), 0.55),
    "left_eye": ((0.7, 0.7, 0.68), 0.2),
    "right_eye": ((0.7, 0.7, 0.68), 0.2),
    "tongue": ((0.45, 0.12, 0.11), 0.4),
    "iris": ((0.05, 0.03, 0.02), 0.2),
    "hair": ((0.035, 0.022, 0.015), 0.6),
    "trousers": ((0.045, 0.05, 0.07), 0.85),
    "shoes": ((0.06, 0.045, 0.035), 0.6),
    "soles": ((0.42, 0.4, 0.36), 0.7),
}
_OF_EYES = "iris"

# Of the first person's clay, and of their shirt.
_CLAY_HUE, _SHIRT_HUE = 0.06, 0.58


def write_materials(mesh: bpy.types.Object, body: Body, person: int) -> None:
    """Give each part and region of a plain body a material; one without parts is all skin."""
    data = mesh.data
    parts = body.part_names if body.parts is not None and body.part_names else (_SKIN,)
    regions = body.region_names[1:] if body.regions is not None and body.quads is not None else ()
    plain = _material(f"{data.name} {_SKIN}", _own(person, _CLAY_HUE, 0.45, 0.6), 0.55)
    for name in (*parts, *regions):
        own = name in _LOOKS and name != _SKIN and (name in parts or name == _OF_EYES)
        data.materials.append(_material(f"{data.name} {name}", *_LOOKS[name]) if own else plain)
    if body.parts is None:
        return
    numbers = body.parts[body.polygons[:, 0]]
    if regions and body.regions is not None:
        numbers = np.where(body.regions > 0, len(parts) - 1 + body.regions, numbers)
        mesh[CLOTHES] = {_PLAIN: plain, "regions": ",".join(["", *[""] * (len(parts) - 1), *regions]), "person": person}
    data.polygons.foreach_set("material_index", numbers.astype(np.int32))


def can_dress(mesh: bpy.types.Object) -> bool:
    """Whether a mesh object is a body's that has clothes."""
    keys = mesh.data.shape_keys if mesh.type == "MESH" else None
    return CLOTHES in mesh and keys is not None and CLOTHES in keys.key_blocks


def is_dressed(mesh: bpy.types.Object) -> bool:
    """Whether a body wears its clothes."""
    return can_dress(mesh) and mesh.data.shape_keys.key_blocks[CLOTHES].value > 0.0


def dress(mesh: bpy.types.Object, on: bool) -> None:
    """Put the clothes of a body on or off; those that were put off come back as they were."""
    if not can_dress(mesh) or is_dressed(mesh) == on:
        return
    kept, data = mesh[CLOTHES], mesh.data
    data.shape_keys.key_blocks[CLOTHES].value = float(on)
    for number, name in enumerate(kept["regions"].split(",")):
        name = _SKIN if number == 0 else name
        if not name or name == _OF_EYES or number >= len(data.materials):
            continue
        if on:
            if kept.get(name) is None:
                look = (_own(kept["person"], _SHIRT_HUE, 0.7, 0.4), 0.85) if name not in _LOOKS else _LOOKS[name]
                kept[name] = _material(f"{data.name} {'bare ' if name == _SKIN else ''}{name}", *look)
            data.materials[number] = kept[name]
        else:
            kept[name] = data.materials[number]
            data.materials[number] = kept[_PLAIN]


def materials_of(mesh: bpy.types.Object) -> list[bpy.types.Material]:
    """The materials that a mesh object keeps for the other state of its clothes."""
    kept = mesh.get(CLOTHES)
    return [value for value in kept.values() if isinstance(value, bpy.types.Material)] if kept is not None else []


def _own(person: int, hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """A colour of the person's own, so that the people of a take look different."""
    return colorsys.hsv_to_rgb((hue + 0.382 * (person - 1)) % 1.0, saturation, value)


def _material(name: str, colour: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")  # pyrefly: ignore[missing-attribute]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    material.diffuse_color = (*colour, 1.0)
    material.roughness = roughness
    return material
