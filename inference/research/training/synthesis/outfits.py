"""People dressed from a wardrobe: skins, suits whose halves are mixed and dyed anew, shoes, hair, hats."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ....body.skeleton import JOINT_NAMES
from ....body.smpl import Body
from .appearance import (
    HAIR_COLOURS,
    PATTERNS,
    DressedBody,
    blend,
    cloth,
    hair_of,
    normals_of,
    paint_face,
    patches,
    simplified,
)
from .wardrobe import HAIR, HAT, SHOES, SUIT, Item, Wardrobe

# Hair is drawn where its picture is at least so opaque.
_OPAQUE = 110
# Halves of two suits overlap by so many metres, the upper one so far outside the lower one.
_OVERLAP, _OUTSIDE = 0.035, 0.005


@dataclass
class _Layers:
    """Meshes that are put on one another."""

    rest: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    colours: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    normals: list[np.ndarray] = field(default_factory=list)

    def add(
        self, rest: np.ndarray, weights: np.ndarray, colours: np.ndarray, faces: np.ndarray, two_sided: bool = False
    ) -> None:
        """Add a mesh, perhaps one that is seen from behind, too."""
        # Vertices that are there twice along the seams of textures become one, too.
        rest, weights, colours, faces = simplified(rest, weights, colours, faces)
        self.normals.append(normals_of(rest, faces))
        first = sum(map(len, self.rest))
        self.faces += [faces + first, faces[:, ::-1] + first] if two_sided else [faces + first]
        self.rest.append(rest)
        self.weights.append(weights)
        self.colours.append(colours)

    def dressed(self, shine: float) -> DressedBody:
        """All of them as one."""
        parts = (self.rest, self.normals, self.weights, self.colours, self.faces)
        rest, normals, weights, colours, faces = map(np.concatenate, parts)
        return DressedBody(rest, normals, weights, np.clip(colours, 0, 1), faces, shine)


def dress(body: Body, betas: np.ndarray, split: str, wardrobe: Wardrobe, rng: np.random.Generator) -> DressedBody:
    """A person of shape `betas` (10,) in random clothes of a wardrobe."""
    rest, bone = body.surface.rest(betas), body.weights.argmax(1)
    joints = body.rest_joints(betas)
    waist = joints[JOINT_NAMES.index("spine1"), 1] + rng.uniform(-0.07, 0.04)
    layers, hidden = _Layers(), np.zeros(len(rest), bool)

    def choose(kind: str) -> Item:
        items = wardrobe.of_kind(kind, split)
        return items[rng.integers(len(items))]

    def put_on(item: Item, colours: np.ndarray, placed: np.ndarray, faces: np.ndarray, two_sided: bool = False):
        weights = np.einsum("vk,vkj->vj", item.shares, body.weights[item.near])
        layers.add(placed, weights, colours, faces, two_sided)

    upper = choose(SUIT)
    lower = upper if rng.random() < 0.35 else choose(SUIT)
    for item in {upper.name: upper, lower.name: lower}.values():
        placed = wardrobe.put_on(item, rest, bone)
        heights = placed[item.faces, 1].mean(1)
        faces, under = item.faces, np.ones(len(item.hides), bool)
        if lower is not upper:
            above = item is upper
            faces = faces[heights > waist - _OVERLAP] if above else faces[heights < waist + _OVERLAP]
            under = (rest[item.hides, 1] > waist) == above
        hidden[item.hides[under]] = True
        normals = normals_of(placed, item.faces)
        loose = rng.choice([0.0, rng.uniform(0.003, 0.012)]) * np.clip(1 + patches(placed, 6, rng)[:, :1], 0, 2)
        placed = placed + normals * (loose + (_OUTSIDE if item is upper and lower is not upper else 0))
        put_on(item, _dyed(item, placed, waist, split, rng), placed, faces)
    if rng.random() < 0.9:
        shoes = choose(SHOES)
        hidden[shoes.hides] = True
        put_on(shoes, _tinted(shoes, rng), wardrobe.put_on(shoes, rest, bone), shoes.faces)

    skins = wardrobe.skins_of(split)
    skin = skins[rng.integers(len(skins))] / 255 * rng.uniform(0.8, 1.15) * rng.uniform(0.95, 1.05, 3)
    shade = blend(HAIR_COLOURS, rng) * rng.uniform(0.6, 1.2)
    with_hair, with_hat = rng.random() < 0.88, rng.random() < 0.07
    if with_hair:
        scalp = hair_of(body, betas, rest, bone, rng)
        skin[scalp] = shade
    paint_face(body, betas, rest, bone, skin, shade, lips_too=False)
    if with_hair and not with_hat:
        hair = choose(HAIR)
        opacity = hair.colours[0, :, 3]
        visible = hair.faces[opacity[hair.faces].mean(1) > _OPAQUE]
        light = _lightness(hair.colours[0])
        put_on(hair, shade * (0.35 + 0.65 * light) ** 1.5, wardrobe.put_on(hair, rest, bone), visible, two_sided=True)
    if with_hat:
        hat = choose(HAT)
        put_on(hat, _tinted(hat, rng), wardrobe.put_on(hat, rest, bone), hat.faces)
    layers.add(rest, body.weights, skin, body.faces[~hidden[body.faces].all(axis=1)])
    return layers.dressed(float(rng.choice([0.0, rng.uniform(0.05, 0.25)])))


def _lightness(colours: np.ndarray) -> np.ndarray:
    """(V, 1) of colours (V, ≥ 3), relative to their mean."""
    light = colours[:, :3].mean(1, keepdims=True)
    return light / max(float(light.mean()), 1.0)


def _tinted(item: Item, rng: np.random.Generator) -> np.ndarray:
    """(V, 3) colours of an item, sometimes dyed plainly."""
    colours = item.colours[rng.integers(len(item.colours))]
    if rng.random() < 0.5:
        return colours[:, :3] / 255 * rng.uniform(0.7, 1.3)
    return cloth(np.zeros((1, 3)), ("plain",), rng) * _lightness(colours)


def _dyed(item: Item, placed: np.ndarray, waist: float, split: str, rng: np.random.Generator) -> np.ndarray:
    """(V, 3) colours of a suit with its vertices at (V, 3): as it is, or folds and seams kept and both halves dyed."""
    colours = item.colours[rng.integers(len(item.colours))]
    result = colours[:, :3] / 255 * rng.uniform(0.7, 1.3)
    light = _lightness(colours)
    for half in (placed[:, 1] >= waist, placed[:, 1] < waist):
        if rng.random() < 0.65:
            result[half] = (cloth(placed, PATTERNS[split], rng) * light ** rng.uniform(0.6, 1.2))[half]
    return result
