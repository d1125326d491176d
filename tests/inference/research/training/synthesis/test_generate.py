"""Rendered data agrees with its truth."""

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.models import load_people
from video_motion.inference.people import crops
from video_motion.inference.people.landmarker import Landmarker, decode
from video_motion.inference.research.evaluation import metrics
from video_motion.inference.research.training import shards
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.synthesis import filming, generate, motions

FRAMES = 6
LIMBS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return load_people("fast")[0].landmarker


@pytest.fixture(scope="module")
def library() -> Library:
    """Eight clips of people who swing arms and legs, in four groups."""
    n, clips = 240, 8
    time = np.arange(n) / 60
    poses = np.zeros((clips, n, 24, 3), np.float32)
    for clip in range(clips):
        swing = np.sin(time * (3 + clip))
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
        frame_rate=60.0,
    )


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "FRAMES", {"train": FRAMES, "validation": FRAMES})
    monkeypatch.setattr(generate, "SEQUENCES", {"train": 2, "validation": 2})


def test_groups_are_held_out_whole(library: Library, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generate, "_LARGE", 0.5)
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
    scene = generate.Scene(
        body,
        betas,
        made.rotations,
        made.trans,
        generate.appearance.dress(body, betas, "train", rng),
        shot,
        "train",
        rng,
    )
    poses, trans = scene.truth_in_camera()
    np.testing.assert_allclose(body.joints(poses, betas, trans), shot.world_to_camera(joints), atol=1e-6)


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


def test_the_detector_finds_people_where_the_truth_says(body: Body, library: Library, landmarker: Landmarker):
    """Picture and truth are made separately: BlazePose connects them."""
    off = []
    for seed in range(6):
        rng = np.random.default_rng([11, seed])
        scene, _, betas, _ = generate.film_sequence(body, library, np.arange(8), "train", rng)
        poses, trans = scene.truth_in_camera()
        pixels = metrics.project(body.landmark_positions(poses, betas, trans)[0], scene.shot.K)
        crop = crops.around(*generate._detected(pixels, rng))
        picture = scene.draw(0, crop)
        assert picture.shape == (256, 256, 3)
        pose = decode(landmarker.run([picture])[0], crop)
        off.append(np.linalg.norm(pose.landmarks - pixels, axis=1)[LIMBS] / crop[2])
    assert np.median(off) < 0.035


def test_a_shard_depends_only_on_its_number(body: Body, library: Library, landmarker: Landmarker):
    first = generate.make_shard(5, "train", 0, body, library, landmarker)
    again = generate.make_shard(5, "train", 0, body, library, landmarker)
    other = generate.make_shard(6, "train", 0, body, library, landmarker)
    assert len(first) == 2 * FRAMES
    for name in ("poses", "trans", "camera_K", "timestamps", "names"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    # The detector's threads may round differently, and no more.
    np.testing.assert_allclose(first.landmarks, again.landmarks, atol=0.5)
    assert not np.array_equal(first.poses, other.poses)
    for row in np.flatnonzero(first.found):
        assert first.maps(int(row)).max() > 100


def test_existing_shards_are_kept(
    body: Body, library: Library, tmp_path, monkeypatch: pytest.MonkeyPatch, landmarker: Landmarker
):
    shard = generate.make_shard(0, "train", 0, body, library, landmarker)
    path = tmp_path / "train" / "000000.npz"
    shards.write_shard(path, shard)
    before = path.stat().st_mtime_ns
    made = []
    clock = iter([0.0, 0.0])
    monkeypatch.setattr(generate.time, "monotonic", lambda: next(clock, 99.0))
    monkeypatch.setattr(generate, "make_shard", lambda number, *_: made.append(number) or shard)
    monkeypatch.setattr(generate.Library, "load", lambda _: library)
    generate._work(0, 1, generate.GenerationPlan(tmp_path / "library.npz", tmp_path, 0, 50.0))
    assert path.stat().st_mtime_ns == before
    assert made == [1]
    assert (tmp_path / "validation" / "000001.npz").exists()


def test_roi_views_show_the_same_person(body: Body, library: Library, landmarker: Landmarker, tmp_path):
    shard = generate.make_shard(5, "train", 0, body, library, landmarker, roi_views=True)
    shards.write_shard(tmp_path / "views.npz", shard)
    shard = shards.read_shard(tmp_path / "views.npz")
    rows = np.flatnonzero(shard.looked)
    assert set(rows % FRAMES) == {0, 5}
    np.testing.assert_allclose(shard.look_crops[rows[0]], crops.roi_crops(shard.crops[rows[0]]), rtol=1e-5)
    views, crop = shard.look_landmarks[rows][:, :, LIMBS], shard.landmarks[rows][:, None, LIMBS]
    off = np.linalg.norm(views - crop, axis=-1)
    # In the smallest region hands and feet may be cut off.
    assert np.median(off / shard.crops[rows, 2, None, None]) < 0.04
    assert not shard.look_landmarks[~shard.looked].any()
