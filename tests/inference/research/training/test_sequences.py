"""Footage and what trainings draw from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference.body.skeleton import LANDMARK_MIRROR
from video_motion.inference.body.smpl import Body
from video_motion.inference.people import crops, maps
from video_motion.inference.pose import features
from video_motion.inference.research.networks.cosegmentation import CosegmentationSettings
from video_motion.inference.research.networks.multi_roi import MultiRoiSettings
from video_motion.inference.research.networks.settings import Settings
from video_motion.inference.research.networks.tar import TarSettings
from video_motion.inference.research.training.batches import Observed, Sampling, sequence_batch
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.sequences import (
    FilmedFootage,
    SequenceSource,
    StagedFootage,
    WindowSource,
    load_library,
    shrink,
)
from video_motion.inference.research.training.shards import Shard, ShardError, write_shard
from video_motion.inference.research.training.synthesis.generate import split_clips

from .conftest import (
    FRAMES,
    LOST,
    MARK,
    SEQUENCES,
    TINY,
    WIDTH,
    make_shard,
    tiny_lifter,
    with_pictures,
    with_roi_views,
)
from .test_batches import points_2d, projected

ALL = np.arange(SEQUENCES)
SEEN = features.SIZE + TINY.width + 157
PLAIN = Sampling(assumed_focal=0, targets=4)


@pytest.fixture(scope="module")
def shard(body: Body) -> Shard:
    """Seen by a camera that turns, on a floor that is not level."""
    made = make_shard(body, 0)
    rng = np.random.default_rng(7)
    gravity = rng.normal(0, 1, (len(made), 3))
    turns = np.linalg.qr(rng.normal(0, 1, (len(made), 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    return dataclasses.replace(
        made,
        gravity=(gravity / np.linalg.norm(gravity, axis=1, keepdims=True)).astype(np.float32),
        camera_turns=turns.astype(np.float32),
    )


@pytest.fixture(scope="module")
def folder(shard: Shard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filmed")
    write_shard(folder / "000000.npz", shard)
    return folder


@pytest.fixture(scope="module")
def filmed(folder: Path, body: Body) -> FilmedFootage:
    return FilmedFootage(folder, body, with_maps=True)


def taken(filmed: FilmedFootage, mirrored: bool = False, begin: int = 0, frames: int = FRAMES) -> Observed:
    return filmed.take(ALL, np.full(SEQUENCES, begin), frames, np.full(SEQUENCES, mirrored))


def test_a_missing_frame_repeats_the_one_before_and_says_so(filmed: FilmedFootage, shard: Shard):
    observed = taken(filmed)
    known = observed.detected["known"]
    assert np.flatnonzero(~known).tolist() == list(LOST)
    # The first one has none before it.
    sources = np.arange(SEQUENCES * FRAMES)
    sources[list(LOST)] = 1, 16, 16
    for name in features.DETECTOR_FIELDS:
        expected = getattr(shard, name)[sources]
        np.testing.assert_array_equal(observed.detected[name].reshape(expected.shape), expected, name)
    assert not sequence_batch(observed, np.zeros(SEQUENCES, bool)).weights[list(LOST)].any()


def test_frames_beyond_the_end_repeat_the_last(filmed: FilmedFootage, shard: Shard):
    observed = taken(filmed, begin=9, frames=6)
    np.testing.assert_array_equal(observed.detected["known"], np.tile(np.arange(6) < 3, (SEQUENCES, 1)))
    last = shard.landmarks[FRAMES - 1 :: FRAMES]
    np.testing.assert_array_equal(observed.detected["landmarks"][:, 2:], np.repeat(last[:, None], 4, axis=1))


@pytest.mark.parametrize("mirrored", [False, True])
def test_truth_projects_onto_the_landmarks(filmed: FilmedFootage, body: Body, mirrored: bool):
    batch = sequence_batch(taken(filmed, mirrored), np.zeros(SEQUENCES, bool))
    known = batch.weights > 0
    seen = points_2d(batch.inputs["frames"]).reshape(-1, 33, 2)
    # The body's own two sides differ by a few millimetres.
    np.testing.assert_allclose(projected(body, batch)[known], seen[known], atol=4e-3 if mirrored else 5e-5)


def test_mirrored_sequences_are_the_mirror_image(filmed: FilmedFootage, body: Body):
    plain, mirrored = taken(filmed), taken(filmed, mirrored=True)
    flip = np.array([-1.0, 1, 1])

    def posed(observed: Observed) -> np.ndarray:
        stage = observed.stage
        betas = np.repeat(stage.betas.astype(float), FRAMES, axis=0)
        trans = stage.pelvis.reshape(-1, 3) - body.rest_joints(betas)[:, 0]
        return body.landmark_positions(stage.local.reshape(-1, 24, 3, 3).astype(float), betas, trans)

    expected = posed(plain)[:, LANDMARK_MIRROR] * flip
    np.testing.assert_allclose(posed(mirrored), expected, atol=0.012)
    was, now = plain.detected, mirrored.detected
    across = was["landmarks"][:, :, LANDMARK_MIRROR] * [-1, 1] + [WIDTH, 0]
    np.testing.assert_allclose(now["landmarks"], across, atol=1e-4)
    np.testing.assert_allclose(now["world_landmarks"], was["world_landmarks"][:, :, LANDMARK_MIRROR] * flip, atol=1e-6)
    for name in ("visibility", "presence"):
        np.testing.assert_array_equal(now[name], was[name][:, :, LANDMARK_MIRROR])
    np.testing.assert_allclose(now["crops"], was["crops"] * [-1, 1, 1, -1] + [WIDTH, 0, 0, 0], atol=1e-4)
    # Heels and toes change feet, and a turning camera turns the other way: what stood still before it does so again.
    np.testing.assert_array_equal(mirrored.stage.contacts, plain.stage.contacts[..., [2, 3, 0, 1]])
    np.testing.assert_allclose(mirrored.stage.gravity, plain.stage.gravity * flip, atol=1e-6)
    fixed, turned = (np.einsum("btij,btj->bti", one.stage.camera_turns, one.stage.gravity) for one in (plain, mirrored))
    np.testing.assert_allclose(turned, fixed * flip, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(mirrored.stage.camera_turns), 1, atol=1e-5)


def test_only_those_that_are_asked_for_are_mirrored(filmed: FilmedFootage):
    some = filmed.take(ALL, 0 * ALL, FRAMES, np.array([False, True, False]))
    plain, mirrored = taken(filmed), taken(filmed, mirrored=True)
    for name in features.DETECTOR_FIELDS:
        np.testing.assert_array_equal(some.detected[name][[0, 2]], plain.detected[name][[0, 2]])
        np.testing.assert_array_equal(some.detected[name][1], mirrored.detected[name][1])
    np.testing.assert_array_equal(some.stage.local[1], mirrored.stage.local[1])
    np.testing.assert_array_equal(some.stage.local[0], plain.stage.local[0])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [64, 32])
def test_local_maps_show_landmarks_where_they_are(filmed: FilmedFootage, mirrored: bool, size: int):
    observed = taken(filmed, mirrored)
    assert observed.maps is not None
    drawn = filmed.maps(observed.maps, size)
    assert drawn.shape == (SEQUENCES, FRAMES, maps.COUNT, size, size)
    bright = drawn[:, :, :33].reshape(-1, 33, size * size)
    assert (bright.max(-1) == 255).all()
    cells = np.stack(np.unravel_index(bright.argmax(-1), (size, size)), -1)[..., ::-1]
    for number, (row, frame) in enumerate(np.ndindex(SEQUENCES, FRAMES)):
        inside = crops.from_image(observed.detected["landmarks"][row, frame], observed.detected["crops"][row, frame])
        np.testing.assert_allclose((cells[number] + 0.5) / size, inside, atol=0.5 / size + 1e-5)


def test_maps_stay_in_their_file(filmed: FilmedFootage):
    assert all(isinstance(shard.heatmaps, np.memmap) for shard in filmed.shards)


@pytest.fixture(scope="module")
def pictured(shard: Shard, body: Body, tmp_path_factory: pytest.TempPathFactory) -> FilmedFootage:
    folder = tmp_path_factory.mktemp("pictured")
    write_shard(folder / "000000.npz", with_pictures(shard))
    return FilmedFootage(folder, body, with_pictures=True)


@pytest.mark.parametrize("mirrored", [False, True])
def test_pictures_show_landmarks_where_they_are(pictured: FilmedFootage, mirrored: bool):
    observed = taken(pictured, mirrored)
    assert observed.maps is not None
    seen = pictured.pictures(observed.maps.reshape(-1, 3)).astype(float)
    assert seen.shape == (SEQUENCES * FRAMES, 256, 256, 3)
    mark = LANDMARK_MIRROR[MARK] if mirrored else MARK
    inside = [
        crops.from_image(observed.detected["landmarks"][place][mark], observed.detected["crops"][place])
        for place in np.ndindex(SEQUENCES, FRAMES)
    ]
    for picture, place in zip(seen, inside, strict=True):
        red = (picture[..., 2] - picture[..., 0]).clip(60) - 60
        y, x = (np.average(axis, weights=red) for axis in np.indices(red.shape))
        # A mirrored picture's columns begin with the last.
        np.testing.assert_allclose([x, y], 256 * place, atol=1.5)


def test_windows_share_the_pictures_of_their_frames(pictured: FilmedFootage, body: Body):
    settings = TarSettings(encoder="resnet50", frames=5, target=2, refine=False)
    source = WindowSource(None, pictured, None, settings, ("pictures", "picture_rows", "box"))
    observed = taken(pictured, frames=8)
    place = np.array([0, 0, 2]), np.array([3, 1, 7])
    made = source.windows(observed, place, np.ones(SEQUENCES), PLAIN, np.random.default_rng(0))
    rows, seen = made.inputs["picture_rows"], made.inputs["pictures"]
    assert rows.shape == (3, 5)
    # Frame 0 has no detection: the first one that has stands for it.
    for window, (row, frames) in enumerate(((0, [1, 2, 3, 4, 5]), (0, [1, 1, 1, 2, 3]), (2, [5, 6, 7, 7, 7]))):
        assert observed.maps is not None
        np.testing.assert_array_equal(seen[rows[window]], pictured.pictures(observed.maps[row, frames]))
    assert len(seen) == 5 + 3
    some = made.rows(slice(1, 3), slice(1, 3))
    np.testing.assert_array_equal(some.inputs["pictures"][some.inputs["picture_rows"]], seen[rows[1:]])
    assert len(some.inputs["pictures"]) == 3 + 3
    drawn = source.draw(8, PLAIN, np.random.default_rng(0)).inputs
    assert drawn["picture_rows"].max() + 1 == len(drawn["pictures"])
    assert set(drawn) == {"pictures", "picture_rows", "box"}


def test_networks_that_see_pictures_get_sequences_that_have_them(shard: Shard, body: Body, tmp_path: Path):
    write_shard(tmp_path / "000000.npz", shard)
    with pytest.raises(ShardError, match=r"make some with `train data --pictures`"):
        FilmedFootage(tmp_path, body, with_pictures=True)


def test_shrinking_keeps_the_brightest_cell():
    full = np.zeros(maps.SHAPE, np.uint8)
    full[3, 17, 40] = 200
    full[3, 16, 41] = 90
    small = shrink(full, 16)
    assert small.shape == (40, 16, 16)
    assert small[3, 4, 10] == 200
    assert small.astype(int).sum() == 200
    np.testing.assert_array_equal(shrink(full, 64), full)


def test_networks_that_need_maps_get_sequences_that_have_them(shard: Shard, body: Body, tmp_path: Path):
    without = np.minimum(shard.heatmap_starts, shard.heatmap_starts[FRAMES])
    write_shard(tmp_path / "some" / "000000.npz", dataclasses.replace(shard, heatmap_starts=without))
    assert FilmedFootage(tmp_path / "some", body, with_maps=True).spans[:, 1].tolist() == [0]
    assert len(FilmedFootage(tmp_path / "some", body)) == SEQUENCES
    write_shard(tmp_path / "none" / "000000.npz", dataclasses.replace(shard, heatmap_starts=0 * without))
    with pytest.raises(ShardError, match=r"No sequence in .* has what this network needs"):
        FilmedFootage(tmp_path / "none", body, with_maps=True)


def test_regions_are_mirrored_with_their_frames(shard: Shard, body: Body, tmp_path: Path):
    looked = with_roi_views(shard, np.random.default_rng(0), every=1)
    write_shard(tmp_path / "000000.npz", looked)
    footage = FilmedFootage(tmp_path, body, with_regions=True)
    plain, mirrored = taken(footage).regions, taken(footage, mirrored=True).regions
    assert plain is not None
    assert mirrored is not None
    assert plain["landmarks"].shape == (SEQUENCES, FRAMES, 5, 33, 2)
    np.testing.assert_array_equal(plain["scores"][0, 3, 1:], looked.look_scores[3])
    across = plain["landmarks"][..., LANDMARK_MIRROR, :] * [-1, 1] + [WIDTH, 0]
    np.testing.assert_allclose(mirrored["landmarks"], across, atol=1e-3)
    np.testing.assert_allclose(mirrored["crops"], plain["crops"] * [-1, 1, 1, -1] + [WIDTH, 0, 0, 0], atol=1e-3)
    write_shard(tmp_path / "seldom" / "000000.npz", with_roi_views(shard, np.random.default_rng(0)))
    with pytest.raises(ShardError, match="--roi-views"):
        FilmedFootage(tmp_path / "seldom", body, with_regions=True)


def test_missing_data_is_one_sentence(body: Body, tmp_path: Path):
    with pytest.raises(ShardError, match="no training data in"):
        FilmedFootage(tmp_path, body)


def test_drawn_sequences_begin_anywhere_and_half_are_mirrored(filmed: FilmedFootage, shard: Shard):
    observed = filmed.draw(200, 5, PLAIN, np.random.default_rng(0))
    assert observed.maps is not None
    rows = observed.maps[:, -1, 1]
    assert len(set(rows % FRAMES)) == FRAMES - 4
    assert set(rows // FRAMES) == set(ALL)
    mirrored = observed.maps[:, 0, 2].astype(bool)
    assert 0.35 < mirrored.mean() < 0.65
    plain = ~mirrored & observed.detected["known"][:, -1]
    np.testing.assert_array_equal(observed.detected["landmarks"][plain, -1], shard.landmarks[rows[plain]])


def test_staged_footage_holds_clips_out(performers: Library, body: Body, data_folder: Path):
    stored = load_library(data_folder)
    np.testing.assert_array_equal(stored.poses, performers.poses)
    described = [StagedFootage(stored, split, body).describe() for split in ("train", "validation")]
    clips = [split_clips(performers, split) for split in ("train", "validation")]
    assert [what["clips"] for what in described] == [len(part) for part in clips] == [4, 2]
    assert not set(clips[0]) & set(clips[1])


@pytest.fixture(scope="module")
def staged(body: Body, performers: Library) -> StagedFootage:
    return StagedFootage(performers, "train", body)


def test_the_lifter_draws_from_both_kinds(staged: StagedFootage, filmed: FilmedFootage):
    source = SequenceSource(staged, filmed, TINY.frames)
    batch = source.draw(10, dataclasses.replace(PLAIN, filmed=0.3), np.random.default_rng(0))
    assert batch.inputs["frames"].shape == (10, TINY.frames, features.SIZE)
    assert batch.rotations.shape == (10 * TINY.frames, 24, 3, 3)
    # Rendered ones are at the end; the fixture's are in a picture whose diagonal is 800 pixels.
    rates = 1 / batch.inputs["frames"][:, 0, -1]
    assert np.isin(rates[7:].round(), [25, 30, 60]).all()
    assert set(source.describe()) == {"staged", "filmed"}
    only = SequenceSource(staged, None, TINY.frames)
    assert set(only.describe()) == {"staged"}
    assert only.draw(4, PLAIN, np.random.default_rng(0)).inputs["frames"].shape[0] == 4


def test_a_seed_gives_the_same_windows(staged: StagedFootage, filmed: FilmedFootage, body: Body):
    settings, needs = TarSettings(features=SEEN), ("frames", "box")
    for source in (
        SequenceSource(staged, filmed, TINY.frames),
        WindowSource(staged, filmed, tiny_lifter(body), settings, needs),
    ):
        first, again, other = (source.draw(16, PLAIN, np.random.default_rng([3, seed])) for seed in (7, 7, 8))
        for name, values in {**vars(first), **first.inputs}.items():
            if name != "inputs":
                np.testing.assert_array_equal(values, {**vars(again), **again.inputs}[name], name)
        assert not np.array_equal(other.inputs["frames"], first.inputs["frames"])


def source_of(filmed: FilmedFootage | None, body: Body, settings: Settings, needs, staged=None) -> WindowSource:
    return WindowSource(staged, filmed, tiny_lifter(body), settings, needs)


def test_other_networks_see_what_the_lifter_says_of_each_frame(filmed: FilmedFootage, body: Body):
    settings = CosegmentationSettings(features=SEEN)
    source = source_of(filmed, body, settings, ("frames", "box"))
    observed = taken(filmed, frames=TINY.frames)
    place = np.array([0, 1, 2]), np.array([2, 5, 7])
    made = source.windows(observed, place, np.ones(SEQUENCES), PLAIN, np.random.default_rng(0))
    alone = sequence_batch(observed, np.zeros(SEQUENCES, bool)).inputs["frames"]
    with torch.no_grad():
        lifted = tiny_lifter(body).eval().describe(torch.from_numpy(alone)).numpy()
    at_target = made.inputs["frames"][:, settings.target]
    np.testing.assert_array_equal(at_target[:, : features.SIZE], alone[place])
    np.testing.assert_allclose(at_target[:, features.SIZE :], lifted[place], atol=1e-5)


def test_targets_are_frames_with_a_detection(filmed: FilmedFootage, body: Body):
    source = source_of(filmed, body, TarSettings(features=SEEN), ("frames", "box"))
    made = source.draw(200, dataclasses.replace(PLAIN, targets=8), np.random.default_rng(0))
    assert (made.weights == 1).all()
    assert (made.inputs["frames"][:, 4, features.KNOWN] == 1).all()
    assert len(made.weights) > 150


def test_maps_go_with_the_frames_around_their_target(filmed: FilmedFootage, body: Body):
    settings = TarSettings(features=SEEN, local_window=3, local_size=32)
    source = source_of(filmed, body, settings, ("frames", "box", "maps"))
    observed = taken(filmed, frames=TINY.frames)
    place = np.array([0, 1, 2]), np.array([3, 0, 7])
    made = source.windows(observed, place, np.ones(SEQUENCES), PLAIN, np.random.default_rng(0)).inputs["maps"]
    assert made.shape == (3, 3, maps.COUNT, 32, 32)
    assert observed.maps is not None
    for number, (row, around) in enumerate(((0, [2, 3, 4]), (1, [0, 0, 1]), (2, [6, 7, 7]))):
        np.testing.assert_array_equal(made[number], filmed.maps(observed.maps[row, around][None], 32)[0])
    # Imagined people have none.
    assert source.footage[0] is None


def test_multi_roi_trains_on_staged_people_alone(staged: StagedFootage, body: Body):
    needs = ("regions", "region_boxes", "places")
    made = source_of(None, body, MultiRoiSettings(features=SEEN), needs, staged).draw(
        16, PLAIN, np.random.default_rng(0)
    )
    assert made.inputs["regions"].shape[1:] == (5, SEEN)
    assert len(made.inputs["places"]) == len(made.weights)
