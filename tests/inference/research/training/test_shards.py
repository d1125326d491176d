import dataclasses
import zipfile

import numpy as np
import pytest
from video_motion.inference.body.skeleton import LANDMARK_MIRROR
from video_motion.inference.people import maps as local_maps
from video_motion.inference.people import pictures
from video_motion.inference.research.training import shards


@pytest.fixture
def shard():
    rng = np.random.default_rng(0)
    n = 6
    maps = np.zeros((n, *local_maps.SHAPE), np.uint8)
    maps[:, 3, 10:14, 20:24] = rng.integers(1, 255, (n, 4, 4))
    packed = [local_maps.pack(one) for one in maps]
    packed[2] = b""
    maps[2] = 0
    drawn = [pictures.pack(np.full(pictures.SHAPE, 40 * row, np.uint8)) for row in range(n)]
    drawn[2] = b""
    made = shards.Shard(
        sequence_starts=np.array([0, 3, 6]),
        names=np.array(["walk", "jump"]),
        detectors=np.array(["fast", "best"]),
        betas=rng.normal(size=(2, 10)),
        camera_K=np.tile(np.eye(3), (2, 1, 1)),
        image_size=np.full((2, 2), 480),
        frame_rate=np.full(2, 30.0),
        timestamps=np.arange(n) / 30,
        poses=rng.normal(size=(n, 24, 3)),
        trans=rng.normal(size=(n, 3)),
        camera_turns=np.tile(np.eye(3), (n, 1, 1)),
        camera_moves=np.zeros((n, 3)),
        gravity=rng.normal(size=(n, 3)),
        contacts=rng.random((n, 4)) < 0.5,
        found=np.arange(n) != 2,
        landmarks=rng.normal(size=(n, 33, 2)),
        visibility=rng.random((n, 33)),
        presence=rng.random((n, 33)),
        world_landmarks=rng.normal(size=(n, 33, 3)),
        crops=rng.random((n, 4)),
        boxes=rng.random((n, 4)),
        scores=rng.random(n),
        heatmap_starts=np.cumsum([0, *(len(item) for item in packed)]),
        heatmaps=np.frombuffer(b"".join(packed), np.uint8),
        picture_starts=np.cumsum([0, *map(len, drawn)]),
        pictures=np.frombuffer(b"".join(drawn), np.uint8),
    )
    return made, maps


def test_a_shard_comes_back_as_it_was(shard, tmp_path):
    made, maps = shard
    path = tmp_path / "train" / "000001.npz"
    shards.write_shard(path, made)
    read = shards.read_shard(path)
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    for row, one in enumerate(maps):
        np.testing.assert_array_equal(read.maps(row), one)
    assert read.has_maps.tolist() == [True, True, False, True, True, True]
    assert [item.name for item in path.parent.iterdir()] == ["000001.npz"]
    assert isinstance(read.heatmaps, np.memmap)
    assert read.has_pictures.tolist() == read.has_maps.tolist()
    np.testing.assert_allclose(read.picture(5), np.full(pictures.SHAPE, 200), atol=1)


def test_shards_made_without_pictures_can_be_read(shard, tmp_path):
    made = dataclasses.replace(shard[0], picture_starts=np.zeros(0, int), pictures=np.zeros(0, np.uint8))
    shards.write_shard(tmp_path / "a.npz", made)
    with np.load(tmp_path / "a.npz") as archive:
        old = {name: archive[name] for name in archive.files if not name.startswith("picture")}
    np.savez(tmp_path / "old.npz", allow_pickle=False, **old)
    for name in ("a", "old"):
        assert not shards.read_shard(tmp_path / f"{name}.npz").has_pictures.any()


def test_broken_shards_are_named(shard, tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(shards.ShardError, match="does not exist"):
        shards.read_shard(path)
    shards.write_shard(path, shard[0])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(shards.ShardError, match="generate it again"):
        shards.read_shard(path)
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more", b"")
    assert len(shards.read_shard(path)) == 6


def test_another_version_is_refused(shard, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    monkeypatch.setattr(shards, "VERSION", 99)
    shards.write_shard(path, shard[0])
    monkeypatch.undo()
    with pytest.raises(shards.ShardError, match="version 99"):
        shards.read_shard(path)


def test_exchanged_sides_are_undone_as_in_use(shard):
    """Somebody whose left is seen at the right twice within ten seconds."""
    made, _ = shard
    rng, n = np.random.default_rng(1), 240
    there = rng.normal(size=(33, 3)) * [0.2, 0.6, 0.1]
    there[11:13], there[23:25] = [[0.2, -0.5, 0], [-0.2, -0.5, 0]], [[0.1, 0, 0], [-0.1, 0, 0]]
    still = np.tile(there, (n, 1, 1)) + 0.002 * rng.normal(size=(n, 33, 3))
    wrong = np.isin(np.arange(n), [*range(40, 60), *range(100, 130)])
    found = np.arange(n) != 110
    seen = np.where(wrong[:, None, None], still[:, LANDMARK_MIRROR], still)
    seen[..., 2] = still[..., 2]
    visibility = rng.uniform(0.8, 1, (n, 33))

    def of_sequences(world: np.ndarray, visible: np.ndarray, image: np.ndarray) -> shards.Shard:
        crops = np.tile([300.0, 300.0, 400.0, 0.0], (2 * n, 1))
        twice = {name: np.tile(values, (2, 1)) for name, values in (("visibility", visible), ("presence", visible))}
        return dataclasses.replace(
            made,
            sequence_starts=np.array([0, n, 2 * n]),
            found=np.tile(found, 2),
            timestamps=np.tile(np.arange(n) / 24, 2),
            landmarks=np.tile(300 + 200 * image[..., :2], (2, 1, 1)),
            world_landmarks=np.tile(world, (2, 1, 1)),
            crops=crops,
            boxes=crops,
            scores=np.ones(2 * n),
            **twice,
        )

    exchanged = np.where(wrong[:, None], visibility[:, LANDMARK_MIRROR], visibility)
    mended = shards.mended(of_sequences(seen, exchanged, seen))
    true = of_sequences(still, visibility, still)
    rows = true.found
    for name in ("landmarks", "world_landmarks", "visibility", "presence"):
        np.testing.assert_array_equal(getattr(mended, name)[rows], getattr(true, name)[rows])
