"""Errors transferred from one person to another are those of the detector."""

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.pose import features
from video_motion.inference.research.training.batches import Sampling
from video_motion.inference.research.training.imagined import Severity
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.sequences import StagedFootage
from video_motion.inference.research.training.shards import Shard, read_shard
from video_motion.inference.research.training.synthesis import error_transfer

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
    errors = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
    again = errors.apply(true_landmarks(shard, body), np.arange(len(shard.betas)))
    for name in SEEN:
        was = getattr(shard, name)
        np.testing.assert_allclose(again[name].reshape(was.shape), was, atol=1e-3, err_msg=name)


def test_errors_in_other_regions_are_transferred_too(shard, body):
    shard = with_roi_views(shard, np.random.default_rng(0))
    again = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES).apply(
        true_landmarks(shard, body), np.arange(len(shard.betas))
    )
    assert again["looked"].ravel().tolist() == shard.looked.tolist()
    assert shard.looked.any()
    for name in (*SEEN, *(f"look_{name}" for name in SEEN if name != "boxes")):
        was = getattr(shard, name)
        np.testing.assert_allclose(again[name].reshape(was.shape), was, atol=1e-3, err_msg=name)


def test_errors_follow_the_crop_and_the_camera(shard, body):
    """An error of a tenth of the crop stays one on a person twice as near, who leans."""
    errors = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
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


def test_long_sequences_count_as_several(shard, body):
    halves = error_transfer.DetectorErrors.from_shards([shard], body, 5)
    whole = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
    assert len(halves.pose) == 2 * len(whole.pose)
    np.testing.assert_array_equal(halves.landmarks[3], whole.landmarks[1, 5:10])


def test_short_sequences_are_left_out(shard, body):
    assert error_transfer.DetectorErrors.from_shards([shard], body, FRAMES + 1) is None
    assert error_transfer.DetectorErrors.from_shards([], body, FRAMES) is None


def test_a_mirrored_error_is_the_mirror_image(shard, body):
    errors = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
    count = len(shard.betas)
    assert len(errors.pose) == 2 * count
    np.testing.assert_allclose(errors.landmarks[count:, :, :, 15], errors.landmarks[:count, :, :, 16] * [-1, 1])
    np.testing.assert_allclose(errors.pose[count:, :, 27], errors.pose[:count, :, 28] * [-1, 1, 1])
    np.testing.assert_array_equal(errors.visibility[count:, ..., 25], errors.visibility[:count, ..., 26])


def test_errors_come_from_the_most_similar_pose(shard, body, monkeypatch):
    monkeypatch.setattr(error_transfer, "_SIMILAR", 1)
    errors = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
    betas = np.repeat(shard.betas.astype(float), FRAMES, axis=0)
    marks = body.landmark_positions(shard.poses.astype(float), betas, shard.trans.astype(float))
    output = errors.transfer(marks.reshape(-1, FRAMES, 33, 3), shard.camera_K, np.random.default_rng(0))
    for name in SEEN:
        was = getattr(shard, name)
        np.testing.assert_allclose(output[name].reshape(was.shape), was, atol=1e-3, err_msg=name)


def test_nobody_gets_no_errors(shard, body):
    """By chance none of a batch's sequences is chosen."""
    errors = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
    output = errors.transfer(np.zeros((0, FRAMES, 33, 3)), np.zeros((0, 3, 3)), np.random.default_rng(0))
    assert output["found"].shape == (0, FRAMES)


def test_staged_footage_takes_them(shard, body):
    """The detector in the fixture has no errors, but loses the person in the first frame of a sequence."""
    rng = np.random.default_rng(0)
    poses = np.cumsum(rng.normal(0, 0.01, (4, 200, 24, 3)), axis=1).reshape(-1, 24, 3).astype(np.float32)
    names = np.array(["a", "b", "c", "d"])
    library = Library(
        poses, np.zeros((800, 3), np.float32), np.arange(0, 801, 200), names, names, np.full(4, 0.25), 60.0
    )
    errors = error_transfer.DetectorErrors.from_shards([shard], body, FRAMES)
    staged = StagedFootage(library, "train", body, errors)
    observed = staged.draw(16, FRAMES, Sampling(transferred=1.0, severity=Severity(places=0.0)), rng)
    stage, seen = observed.stage, observed.detected
    betas = np.repeat(stage.betas, FRAMES, axis=0)
    trans = stage.pelvis.reshape(-1, 3) - body.rest_joints(betas)[:, 0]
    marks = body.landmark_positions(stage.local.reshape(-1, 24, 3, 3).astype(float), betas, trans)
    marks = marks.reshape(16, FRAMES, 33, 3)
    K = stage.camera_K[:, None, None]
    pixels = marks[..., :2] / marks[..., 2:] * K[..., 0, :1] + K[..., :2, 2]
    off = np.linalg.norm(seen["landmarks"] - pixels, axis=-1) / seen["crops"][..., 2:3]
    assert np.median(off[seen["known"]]) < 1e-3
    assert not seen["known"].all()
    # Seen in their crops, people are as they are seen there, wherever in the image those are.
    axes, turn = features.crop_axes(seen["crops"], stage.camera_K[:, None]), features.roll(seen["crops"].reshape(-1, 4))
    from_hips = (marks - marks[:, :, [23, 24]].mean(2, keepdims=True)) @ np.swapaxes(axes, -1, -2)
    in_crop = seen["world_landmarks"] @ np.swapaxes(turn.reshape(axes.shape), -1, -2)
    np.testing.assert_allclose(in_crop[seen["known"]], from_hips[seen["known"]], atol=2e-3)
    first = np.flatnonzero(~seen["known"][:, 0])
    np.testing.assert_array_equal(seen["landmarks"][first, 0], seen["landmarks"][first, 1])
