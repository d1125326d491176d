"""Errors transferred from one person to another are those of the detector."""

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.research.networks.tar import TarSettings
from video_motion.inference.research.training.dataset import Dataset, WindowSampling
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.shards import Shard, read_shard
from video_motion.inference.research.training.synthesis import error_transfer, generate

from ..conftest import with_roi_views

FRAMES = 12
SEEN = ("landmarks", "visibility", "presence", "world_landmarks", "crops", "boxes", "scores")


@pytest.fixture
def shard(data_folder) -> Shard:
    return read_shard(data_folder / "train" / "000000.npz")


def true_landmarks(shard: Shard, body: Body) -> error_transfer.TrueLandmarks:
    betas = np.repeat(shard.betas.astype(float), FRAMES, axis=0)
    marks = body.landmark_positions(shard.poses.astype(float), betas, shard.trans.astype(float))
    return error_transfer.TrueLandmarks.from_camera(marks.reshape(-1, FRAMES, 33, 3), shard.camera_K)


def test_on_the_same_people_they_give_the_detectors_output(shard, body):
    errors = error_transfer.DetectorErrors.from_shards([shard], body)
    again = errors.apply(true_landmarks(shard, body), np.arange(len(shard.betas)))
    for name in SEEN:
        was = getattr(shard, name)
        np.testing.assert_allclose(again[name].reshape(was.shape), was, atol=1e-3, err_msg=name)


def test_errors_in_other_regions_are_transferred_too(shard, body):
    shard = with_roi_views(shard, np.random.default_rng(0))
    again = error_transfer.DetectorErrors.from_shards([shard], body).apply(
        true_landmarks(shard, body), np.arange(len(shard.betas))
    )
    assert again["looked"].ravel().tolist() == shard.looked.tolist()
    assert shard.looked.any()
    for name in (*SEEN, *(f"look_{name}" for name in SEEN if name != "boxes")):
        was = getattr(shard, name)
        np.testing.assert_allclose(again[name].reshape(was.shape), was, atol=1e-3, err_msg=name)


def test_errors_follow_the_crop_and_the_camera(shard, body):
    """An error of a tenth of the crop stays one on a person twice as near, who leans."""
    errors = error_transfer.DetectorErrors.from_shards([shard], body)
    errors.landmarks[:] = 0
    errors.landmarks[0, :, :, 15, 0] = 0.1
    errors.world_landmarks[:] = 0
    errors.world_landmarks[0, :, :, 15, 0] = 0.2
    true = true_landmarks(shard, body)
    roll = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    hips = true.from_hips @ roll.T + [0, 0, 2.0]
    leaning = error_transfer.TrueLandmarks.from_camera(hips, shard.camera_K)
    output = errors.apply(leaning, np.array([0, 0, 0]))
    # The person was not detected in the first frame of the first sequence.
    off = (output["landmarks"] - leaning.pixels)[0, 1:]
    side, turn = output["crops"][0, 1:, 2], output["crops"][0, 1:, 3]
    np.testing.assert_allclose(off[:, 15], 0.1 * side[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1), atol=1e-6)
    assert np.abs(np.delete(off, 15, axis=1)).max() < 1e-6
    world = (output["world_landmarks"] - leaning.from_hips)[0, 1:, 15]
    np.testing.assert_allclose(world[:, :2], 0.2 * np.stack([np.cos(turn), np.sin(turn)], 1), atol=1e-6)
    straight = error_transfer.TrueLandmarks.from_camera(true.from_hips + np.array([0, 0, 2.0]), shard.camera_K)
    upright = errors.apply(straight, np.array([0, 0, 0]))["crops"][0, 1:, 3]
    np.testing.assert_allclose((turn - upright + np.pi) % (2 * np.pi) - np.pi, np.pi / 2, atol=1e-6)


def test_long_sequences_count_as_several(shard, body, monkeypatch):
    monkeypatch.setattr(error_transfer, "FRAMES", 5)
    halves = error_transfer.DetectorErrors.from_shards([shard], body)
    monkeypatch.setattr(error_transfer, "FRAMES", FRAMES)
    whole = error_transfer.DetectorErrors.from_shards([shard], body)
    assert len(halves.pose) == 2 * len(whole.pose)
    np.testing.assert_array_equal(halves.landmarks[3], whole.landmarks[1, 5:10])


def test_a_mirrored_error_is_the_mirror_image(shard, body):
    errors = error_transfer.DetectorErrors.from_shards([shard], body)
    count = len(shard.betas)
    assert len(errors.pose) == 2 * count
    np.testing.assert_allclose(errors.landmarks[count:, :, :, 15], errors.landmarks[:count, :, :, 16] * [-1, 1])
    np.testing.assert_allclose(errors.pose[count:, :, 27], errors.pose[:count, :, 28] * [-1, 1, 1])
    np.testing.assert_array_equal(errors.visibility[count:, ..., 25], errors.visibility[:count, ..., 26])


@pytest.fixture
def library() -> Library:
    rng = np.random.default_rng(0)
    poses = np.cumsum(rng.normal(0, 0.01, (4, 200, 24, 3)), axis=1).reshape(-1, 24, 3).astype(np.float32)
    names = np.array(["a", "b", "c", "d"])
    return Library(poses, np.zeros((800, 3), np.float32), np.arange(0, 801, 200), names, names, np.full(4, 0.25), 60.0)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(error_transfer, "FRAMES", FRAMES)
    monkeypatch.setattr(generate, "FRAMES", FRAMES)


@pytest.mark.parametrize("spelling", ["transferred", "imitated"])
def test_a_transferred_shard_is_complete_and_trained_on(spelling, data_folder, shard, body, library, tmp_path):
    errors = error_transfer.DetectorErrors.from_shards([shard], body)
    made, again = (
        error_transfer.transfer(np.random.default_rng(3), body, library, np.arange(4), errors, 5) for _ in range(2)
    )
    for name, value in vars(made).items():
        np.testing.assert_array_equal(value, getattr(again, name))
    assert len(made) == 5 * FRAMES
    assert set(made.detectors) <= set(shard.detectors)
    np.testing.assert_allclose(np.linalg.norm(made.gravity, axis=1), 1, atol=1e-6)
    assert not made.maps(0).any()
    marks = body.landmark_positions(
        made.poses.astype(float), np.repeat(made.betas.astype(float), FRAMES, axis=0), made.trans.astype(float)
    )
    K = np.repeat(made.camera_K, FRAMES, axis=0)
    pixels = marks[..., :2] / marks[..., 2:] * K[:, None, [0], [0]] + K[:, None, :2, 2]
    off = np.linalg.norm(made.landmarks - pixels, axis=-1)[made.found] / made.crops[made.found, None, 2]
    # The detector in the fixture has no errors.
    assert np.median(off) < 1e-3

    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train").symlink_to(data_folder / "train")
    error_transfer.write_shard(folder / spelling / "000000.npz", made)
    both, filmed = (Dataset(folder, "train", body, TarSettings(), needs) for needs in (("frames",), ("frames", "maps")))
    assert len(both) == len(filmed) + len(made)
    rng = np.random.default_rng(0)
    rows = both.draw(400, WindowSampling(transferred=0.25), rng).rows
    assert np.mean(rows >= len(filmed)) == pytest.approx(0.25, abs=0.07)
    assert (filmed.draw(50, WindowSampling(transferred=0.25), rng).rows < len(filmed)).all()


def test_the_command_line(tmp_path, library, capsys):
    assert cli.main(["train", "transfer-errors", "--data", str(tmp_path)]) == 1
    assert "library.npz" in capsys.readouterr().err
    library.save(tmp_path / "library.npz")
    assert cli.main(["train", "imitate", "--data", str(tmp_path)]) == 1
    assert "no rendered data in" in capsys.readouterr().err
