"""Rendered data agrees with its truth."""

import os
import signal
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.batch.calls import CallQueue
from video_motion.inference.batch.local import LocalRunner
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.people import crops
from video_motion.inference.research.evaluation import metrics
from video_motion.inference.research.training import detection, shards
from video_motion.inference.research.training.detection import Detectors
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.synthesis import filming, generate, motions

FRAMES = 6
LIMBS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return Detectors.load()


@pytest.fixture(scope="module")
def library() -> Library:
    """Eight clips of people who swing arms and legs, in four groups."""
    n, clips = 240, 8
    seconds = np.arange(n) / 60
    poses = np.zeros((clips, n, 24, 3), np.float32)
    for clip in range(clips):
        swing = np.sin(seconds * (3 + clip))
        for side, sign in (("left", 1), ("right", -1)):
            poses[clip, :, JOINT_NAMES.index(f"{side}_shoulder"), 2] = -sign * (1.1 + 0.2 * swing)
            poses[clip, :, JOINT_NAMES.index(f"{side}_elbow"), 1] = -sign * (0.4 + 0.3 * swing)
            poses[clip, :, JOINT_NAMES.index(f"{side}_hip"), 0] = -0.4 * sign * swing
            poses[clip, :, JOINT_NAMES.index(f"{side}_knee"), 0] = 0.4 + 0.4 * sign * swing
    return Library(
        poses=poses.reshape(-1, 24, 3),
        trans=np.zeros((clips * n, 3), np.float32),
        starts=np.arange(0, clips * n + 1, n),
        names=np.array([f"clip {clip}" for clip in range(clips)]),
        groups=np.array([f"group {clip // 2}" for clip in range(clips)]),
        weights=np.full(clips, 1 / clips),
        frame_rate=60.0,
    )


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "FRAMES", FRAMES)
    monkeypatch.setattr(generate, "SEQUENCES", 2)


def test_groups_are_held_out_whole(library: Library):
    train, validation = (generate.split_clips(library, split) for split in ("train", "validation"))
    assert sorted([*train, *validation]) == list(range(8))
    assert len(validation) == 2
    assert not set(library.groups[train]) & set(library.groups[validation])


def test_truth_in_the_camera_is_the_world_seen_by_it(body: Body, library: Library):
    rng = np.random.default_rng(4)
    betas = rng.normal(0, 1, 10)
    made = motions.perform(library, np.arange(8), body, betas, FRAMES, 30.0, rng)
    joints = body.joints(made.rotations, betas, made.trans)
    shot = filming.film(joints, 30.0, "train", rng)
    true = generate.truth(body, betas, made, shot, 30.0)
    np.testing.assert_allclose(
        body.joints(true["poses"], betas, true["trans"]), shot.world_to_camera(joints), atol=1e-6
    )


def test_performances_stay_on_the_floor_and_are_valid(body: Body, library: Library):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        made = motions.perform(library, np.arange(8), body, np.zeros(10), 32, 30.0, rng)
        assert made.rotations.shape == (32, 24, 3, 3)
        assert np.isfinite(made.trans).all()
        np.testing.assert_allclose(np.linalg.det(made.rotations), 1, atol=1e-6)
        lowest = body.landmark_positions(made.rotations, np.zeros(10), made.trans)[..., 1].min(1)
        assert lowest.min() > -0.25
        assert np.quantile(lowest, 0.1) < 0.03


def test_a_mirrored_motion_is_the_mirror_image(body: Body, library: Library):
    local = rotations.axis_angle_to_matrix(library.poses[:5].astype(float))
    there, mirrored = body.joints(local), body.joints(motions.mirror(local))
    from video_motion.inference.body.skeleton import JOINT_MIRROR

    np.testing.assert_allclose(mirrored, there[:, list(JOINT_MIRROR)] * [-1, 1, 1], atol=0.012)


def test_the_detector_finds_people_where_the_truth_says(body: Body, library: Library, detectors: Detectors):
    """Picture and truth are made separately: BlazePose connects them."""
    off = []
    for seed in range(6):
        rng = np.random.default_rng([11, seed])
        take = generate.film_sequence(body, library, np.arange(8), "train", rng)
        marks = body.landmark_positions(take.truth["poses"], take.betas, take.truth["trans"])
        pixels = metrics.project(marks[0], take.camera_K)
        np.testing.assert_allclose(take.pixels[0], pixels, atol=1e-6)
        crop = crops.around(*detection.first_crop_points(pixels, rng))
        picture = take.scene.draw(0, crop)
        assert picture.shape == (256, 256, 3)
        (pose,) = detectors.first.read([picture], crop[None])
        off.append(np.linalg.norm(pose.landmarks - pixels, axis=1)[LIMBS] / crop[2])
    assert np.median(off) < 0.035


def test_a_person_fills_the_same_pixels_in_every_crop(body: Body, library: Library):
    """What is drawn in one crop lies where it does in another: a sharper one half the size shows its middle."""
    rng = np.random.default_rng(5)
    take = generate.film_sequence(body, library, np.arange(8), "train", rng)
    take.scene._quality = replace(take.scene._quality, noise=0.0, jpeg=100, blur=0.0, shutter=0.0)
    take.scene._grain[:] = 0
    middle = take.pixels[0].mean(0)
    side = 1.5 * np.ptp(take.pixels[0], axis=0).max()
    whole = take.scene.draw(0, np.array([*middle, side, 0.0]))
    part = take.scene.draw(0, np.array([*middle, side / 2, 0.0]))
    shrunk = cv2.resize(part, (128, 128), interpolation=cv2.INTER_AREA).astype(float)
    difference = np.abs(whole[64:192, 64:192] - shrunk).mean()
    assert difference < 0.25 * np.abs(whole[64:192, 64:192] - shrunk[:, ::-1]).mean()


def test_who_looks_again_sees_the_same_grain(body: Body, library: Library):
    take = generate.film_sequence(body, library, np.arange(8), "train", np.random.default_rng(5))
    take.scene._grain[:] = np.random.default_rng(0).normal(0, 20, take.scene._grain.shape)
    crop = np.array([*take.pixels[0].mean(0), 320.0, 0.0])
    first = take.scene.draw(0, crop).astype(float)
    # 20 pixels of a crop 320 wide are 16 of the 256 that are seen.
    beside, elsewhere = np.array([20.0, 0, 0, 0]), np.array([200.0, 0, 0, 0])
    again = take.scene.draw(0, crop + beside).astype(float)
    assert np.abs(first[:, 16:] - again[:, :-16]).mean() < 0.5
    assert np.abs(first[:, 16:] - take.scene.draw(0, crop + elsewhere)[:, :-16]).mean() > 5


def test_people_beside_are_not_inside(body: Body, library: Library):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        joints = rng.normal([0.5, 1, 0], 0.2, (FRAMES, 24, 3))
        others = rng.normal([-3, 1, 2], 0.2, (FRAMES, 24, 3))
        shot = filming.film(joints, 30.0, "train", rng)
        moved = others + filming.beside(joints, others, shot, rng)
        apart = (moved - joints)[FRAMES // 2, 0] * [1, 0, 1]
        assert 0.3 < np.linalg.norm(apart) < 7
        assert np.linalg.norm((moved[FRAMES // 2, 0] - shot.positions[FRAMES // 2]) * [1, 0, 1]) > 0.5


def test_gravity_is_what_plumb_lines_show(body: Body, library: Library):
    take = generate.film_sequence(body, library, np.arange(8), "train", np.random.default_rng(3))
    shot = take.scene.shot
    plumb = np.tile([[0.0, 2, 0], [0, 1, 0]], (FRAMES, 1, 1))
    top, bob = np.moveaxis(shot.world_to_camera(plumb), 1, 0)
    np.testing.assert_allclose(take.truth["gravity"], bob - top, atol=1e-9)


@pytest.fixture(scope="module")
def shard(body: Body, library: Library, detectors: Detectors) -> shards.Shard:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "FRAMES", FRAMES)
        patch.setattr(generate, "SEQUENCES", 2)
        return generate.make_shard(5, "train", 0, body, library, detectors)


def test_a_shard_depends_only_on_its_number(body: Body, library: Library, detectors: Detectors, shard: shards.Shard):
    again = generate.make_shard(5, "train", 0, body, library, detectors)
    other = generate.make_shard(6, "train", 0, body, library, detectors, with_maps=False)
    for name in ("poses", "trans", "camera_K", "timestamps", "names", "contacts"):
        np.testing.assert_array_equal(getattr(shard, name), getattr(again, name))
    # The detectors' threads may round differently, and no more.
    np.testing.assert_allclose(shard.landmarks, again.landmarks, atol=0.5)
    assert not np.array_equal(shard.poses, other.poses)
    assert not other.has_maps.any()


def test_each_sequence_is_seen_by_both_detectors(shard: shards.Shard):
    assert shard.detectors.tolist() == ["fast", "best"] * 2
    assert shard.names[0] == shard.names[1]
    light, heavy = (np.arange(start, start + FRAMES) for start in (0, FRAMES))
    for name in ("poses", "trans", "gravity", "contacts", "timestamps"):
        np.testing.assert_array_equal(getattr(shard, name)[light], getattr(shard, name)[heavy])
    for row in np.flatnonzero(shard.found):
        assert shard.has_maps[row] == (row % (2 * FRAMES) < FRAMES)
        assert not shard.has_maps[row] or shard.maps(int(row)).max() > 100


def test_the_second_pass_looks_where_the_person_is(shard: shards.Shard):
    """Crops follow the person without lag, as they do in the product's second pass."""
    heavy = np.arange(FRAMES, 2 * FRAMES)
    assert shard.found[heavy].all()
    hips = shard.landmarks[heavy][:, [23, 24]].mean(1)
    assert (np.linalg.norm(hips - shard.crops[heavy, :2], axis=1) < 0.05 * shard.crops[heavy, 2]).all()
    off = np.linalg.norm(shard.landmarks[heavy] - shard.landmarks[heavy - FRAMES], axis=-1)
    assert 0 < np.median(off) < 0.03 * shard.crops[heavy, 2].mean()


def plan(out: Path, library: Library, seconds: float = 1000.0) -> generate.GenerationPlan:
    """Small shards."""
    out.mkdir(parents=True, exist_ok=True)
    library.save(out / "library.npz")
    until = time.monotonic() + seconds
    return generate.GenerationPlan(out / "library.npz", out, 0, until, with_maps=False, sequences=1)


def test_existing_shards_are_kept(library: Library, tmp_path, shard: shards.Shard):
    made = plan(tmp_path, library)
    shards.write_shard(tmp_path / "validation" / "000000.npz", shard)
    names = [str(one.video.relative_to(tmp_path)) for one in islice(generate.calls(made), 4)]
    assert names == [f"validation/{number:06d}.npz" for number in (1, 2)] + [
        f"train/{number:06d}.npz" for number in (3, 4)
    ]
    assert list(generate.calls(replace(made, until=time.monotonic()))) == [], "the time is over"


def test_processes_make_the_shards_of_their_numbers(library: Library, body, detectors, tmp_path, monkeypatch, capfd):
    """Also where one is killed."""
    # Other processes make whole sequences.
    monkeypatch.undo()
    made, numbers = plan(tmp_path, library), (2, 3)
    calls = (one for one in islice(generate.calls(made), 4) if int(one.target.name) in numbers)
    runner, killed = LocalRunner({}, registry.cache_folder(), None, None, 2), []
    plain = runner.step

    def step() -> list:
        process = runner._slots[1].process
        if not killed and process is not None:
            killed.append(process.process.pid)
            os.killpg(killed[0], signal.SIGKILL)
        return plain()

    runner.step = step  # pyrefly: ignore[bad-assignment]
    assert CallQueue(calls, runner).run() == (False, False)
    assert killed
    said = capfd.readouterr().err
    assert "is begun anew once, as its process ended" in said
    assert "2 done, 0 skipped, 0 failed" in said
    for number, split in zip(numbers, ("validation", "train"), strict=True):
        file = tmp_path / split / f"{number:06d}.npz"
        assert os.listdir(file.parent) == [file.name]
        again = generate.make_shard(number, split, 0, body, library, detectors, with_maps=False, sequences=1)
        for name, array in vars(shards.read_shard(file)).items():
            if isinstance(array, np.ndarray):
                np.testing.assert_array_equal(array, getattr(again, name), err_msg=name)


def test_roi_views_show_the_same_person(body: Body, library: Library, detectors: Detectors, tmp_path):
    shard = generate.make_shard(5, "train", 0, body, library, detectors, roi_views=True)
    shards.write_shard(tmp_path / "views.npz", shard)
    shard = shards.read_shard(tmp_path / "views.npz")
    rows = np.flatnonzero(shard.looked)
    assert set(rows % FRAMES) == {0, 5}
    assert set(rows // FRAMES) == {0, 1, 2, 3}
    np.testing.assert_allclose(shard.look_crops[rows[0]], crops.roi_crops(shard.crops[rows[0]]), rtol=1e-5)
    views, crop = shard.look_landmarks[rows][:, :, LIMBS], shard.landmarks[rows][:, None, LIMBS]
    off = np.linalg.norm(views - crop, axis=-1)
    # In the smallest region hands and feet may be cut off.
    assert np.median(off / shard.crops[rows, 2, None, None]) < 0.04
    assert not shard.look_landmarks[~shard.looked].any()


def test_pictures_are_what_the_detector_saw(body: Body, library: Library, detectors: Detectors, tmp_path):
    made = generate.make_shard(5, "train", 0, body, library, detectors, with_maps=False, pictures=True, sequences=1)
    shards.write_shard(tmp_path / "pictures.npz", made)
    shard = shards.read_shard(tmp_path / "pictures.npz")
    assert isinstance(shard.pictures, np.memmap)
    np.testing.assert_array_equal(shard.has_pictures, shard.found)
    for rows, landmarker in ((range(FRAMES), detectors.first), (range(FRAMES, 2 * FRAMES), detectors.second)):
        seen = [row for row in rows if shard.found[row]]
        again = landmarker.read([shard.picture(row) for row in seen], shard.crops[seen].astype(float))
        off = np.stack([pose.landmarks for pose in again]) - shard.landmarks[seen]
        # JPEG changes a little.
        assert np.median(np.linalg.norm(off, axis=-1) / shard.crops[seen, 2, None]) < 0.004
    without = generate.make_shard(5, "train", 0, body, library, detectors, with_maps=False, sequences=1)
    assert not without.has_pictures.any()
    np.testing.assert_array_equal(without.landmarks, shard.landmarks)
