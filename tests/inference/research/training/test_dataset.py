import dataclasses

import numpy as np
import pytest
import torch
from video_motion.inference.body import rotations
from video_motion.inference.body.smpl import Body
from video_motion.inference.people import maps
from video_motion.inference.research.evaluation.metrics import LIMB_LANDMARKS
from video_motion.inference.research.networks.multi_roi import MultiRoiSettings
from video_motion.inference.research.networks.part_dynamics import PartDynamicsSettings
from video_motion.inference.research.networks.tar import TarSettings
from video_motion.inference.research.networks.torch_body import matrix_to_sixd, to_global
from video_motion.inference.research.training.dataset import (
    BLANK,
    Dataset,
    WindowSampling,
    augment_maps,
    mirror_window,
    shrink,
)
from video_motion.inference.research.training.noise import Noise
from video_motion.inference.research.training.shards import ShardError, read_shard, write_shard

from .conftest import FOCAL, FRAMES, HEIGHT, LOST, WIDTH, with_roi_views

PLAIN = WindowSampling(still=0, strides=(1,), mirrored=0, assumed_focal=0, noise=Noise().scaled(0))
FULL, NEEDS = TarSettings(), ("frames", "box", "maps")
KNOWN, OFFSETS = -2, -1
"""Indices of a frame's features: whether it is known, and its time offset."""


@pytest.fixture(scope="module")
def data(data_folder, body) -> Dataset:
    return Dataset(data_folder, "train", body, FULL, NEEDS)


def draw(data: Dataset, count: int = 48, seed: int = 0, **changes):
    return data.draw(count, dataclasses.replace(PLAIN, **changes), np.random.default_rng(seed))


def points_2d(batch) -> np.ndarray:
    """(B, T, 33, 2) landmarks in the middle crops, from their centres."""
    return batch.inputs["frames"][..., :66].reshape(*batch.inputs["frames"].shape[:2], 33, 2)


def projected(body: Body, batch) -> np.ndarray:
    """(B, 33, 2) where the truth's landmarks show in the crops."""
    axis_angle = rotations.matrix_to_axis_angle(batch.rotations.astype(float))
    root = body.rest_joints(batch.betas.astype(float))[:, 0]
    marks = body.landmark_positions(axis_angle, batch.betas.astype(float), batch.pelvis - root)
    centre, size = batch.true_box[:, None, :2] / 2.8, 0.06 * batch.true_box[:, None, 2:] + 0.24
    return (marks[..., :2] / marks[..., 2:] - centre) / size


def test_truth_projects_onto_a_perfect_detectors_landmarks(data, body):
    batch = draw(data)
    np.testing.assert_allclose(projected(body, batch), points_2d(batch)[:, 4], atol=2e-5)
    assert not set(batch.rows) & set(LOST)
    np.testing.assert_allclose(batch.weights, 1, atol=1e-3)


def test_a_mirrored_truth_projects_onto_the_mirrored_landmarks(data, body):
    batch = draw(data, mirrored=1.0)
    # The body's own two sides differ by a few millimetres.
    np.testing.assert_allclose(projected(body, batch), points_2d(batch)[:, 4], atol=4e-3)
    plain = draw(data)
    assert np.abs(points_2d(batch) - points_2d(plain)).max() > 0.1
    np.testing.assert_allclose(batch.pelvis[:, 2], plain.pelvis[:, 2], atol=1e-6)


def test_mirrored_maps_show_landmarks_where_they_are(data):
    for mirrored in (0.0, 1.0):
        batch = draw(data, mirrored=mirrored)
        bright = batch.inputs["maps"][:, 2, :33].reshape(len(batch.inputs["maps"]), 33, -1)
        assert (np.sort(bright, axis=-1)[..., -2:] == [0, 255]).all()
        cells = np.stack(np.unravel_index(bright.argmax(-1), (64, 64)), -1)[..., ::-1]
        np.testing.assert_allclose((cells + 0.5) / 64 - 0.5, points_2d(batch)[:, 4], atol=0.5 / 64 + 1e-6)


def test_maps_follow_crops_that_move(data):
    batch = draw(data, noise=dataclasses.replace(PLAIN.noise, box=0.03), mirrored=0.5)
    bright = batch.inputs["maps"][:, 2, :33].reshape(-1, 33, 4096)
    cells = np.stack(np.unravel_index(bright.argmax(-1), (64, 64)), -1)[..., ::-1]
    off = np.abs((cells + 0.5) / 64 - 0.5 - points_2d(batch)[:, 4])
    assert off[bright.max(-1) > 0].max() < 0.5 / 64 + 1e-6


def test_mirroring_twice_changes_nothing():
    rng = np.random.default_rng(0)
    window = {
        "landmarks": rng.uniform(0, 600, (4, 9, 33, 2)),
        "visibility": rng.random((4, 9, 33)),
        "presence": rng.random((4, 9, 33)),
        "world_landmarks": rng.normal(0, 1, (4, 9, 33, 3)),
        "crops": rng.uniform(0, 3, (4, 9, 4)),
        "channels": np.tile(np.arange(40), (4, 9, 1)),
    }
    before = {key: values.copy() for key, values in window.items()}
    which = np.array([True, False, True, True])
    mirror_window(window, np.full(4, WIDTH), which)
    assert np.abs(window["landmarks"] - before["landmarks"])[which].max() > 1
    np.testing.assert_array_equal(window["landmarks"][1], before["landmarks"][1])
    mirror_window(window, np.full(4, WIDTH), which)
    for key, values in before.items():
        np.testing.assert_allclose(window[key], values, atol=1e-12, err_msg=key)


def test_windows_repeat_the_edge_and_frames_next_to_lost_ones(data, data_folder):
    shard = read_shard(data_folder / "train" / "000000.npz")
    middle = 14
    batch = data.at(np.array([middle]))
    # The second sequence begins at row 12 and lost rows 17 and 18.
    rows = [12, 12, 12, 13, 14, 15, 16, 16, 16]
    np.testing.assert_array_equal(batch.inputs["frames"][0, :, KNOWN], [0, 0, 1, 1, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(batch.inputs["frames"][0, :, 66:99], shard.visibility[rows], atol=1e-6)
    np.testing.assert_array_equal(points_2d(batch)[0, [0, 1, 7, 8]], points_2d(batch)[0, [2, 2, 6, 6]])
    np.testing.assert_allclose(batch.inputs["frames"][0, :, OFFSETS], (np.arange(9) - 4) / 30, atol=1e-6)


def test_a_still_window_repeats_its_middle(data):
    batch = draw(data, still=1.0)
    without_time = np.delete(batch.inputs["frames"], OFFSETS % batch.inputs["frames"].shape[-1], axis=-1)
    np.testing.assert_array_equal(without_time, np.repeat(without_time[:, 4:5], 9, axis=1))
    np.testing.assert_array_equal(batch.inputs["maps"], np.repeat(batch.inputs["maps"][:, :1], 5, axis=1))
    assert (batch.inputs["frames"][..., KNOWN] == 1).all()


def test_strides_are_times(data):
    batch = draw(data, strides=(2,))
    rate = np.array([25.0, 30.0, 60.0])[batch.rows // FRAMES]
    np.testing.assert_allclose(batch.inputs["frames"][:, 5, OFFSETS], 2 / rate, rtol=1e-6)


def test_an_assumed_focal_changes_the_network_input_and_not_the_truth(data):
    assumed, true = draw(data, assumed_focal=1.0), draw(data)
    factor = np.hypot(WIDTH, HEIGHT) / FOCAL
    np.testing.assert_allclose(assumed.box[:, :2] * factor, true.box[:, :2], atol=1e-5)
    np.testing.assert_array_equal(assumed.true_box, true.box)
    np.testing.assert_array_equal(assumed.rotations, true.rotations)
    np.testing.assert_array_equal(assumed.pelvis, true.pelvis)


def test_a_seed_gives_the_same_windows(data):
    usual = WindowSampling()
    first, second = (data.draw(16, usual, np.random.default_rng([3, 7])) for _ in range(2))
    for name, values in {**vars(first), **first.inputs}.items():
        if name != "inputs":
            np.testing.assert_array_equal(values, {**vars(second), **second.inputs}[name], name)
    other = data.draw(16, usual, np.random.default_rng([3, 8]))
    assert (other.inputs["frames"] != first.inputs["frames"]).any()


def test_frames_with_detector_errors_count_less(data_folder, body, tmp_path):
    from video_motion.inference.research.training import shards

    shard = read_shard(data_folder / "train" / "000000.npz")
    side = shard.crops[5, 2]
    shard.landmarks[5, LIMB_LANDMARKS] += np.array([0.05, 0]) * side
    shard.landmarks[6] += 10 * side
    shards.write_shard(tmp_path / "train" / "000000.npz", shard)
    weights = Dataset(tmp_path, "train", body, FULL, NEEDS).weights
    assert weights[5] == pytest.approx(0.5, abs=0.01)
    assert weights[6] < 0.02
    assert weights[7] == pytest.approx(1, abs=1e-3)
    assert (weights[list(LOST)] == 0).all()


def test_maps_stay_in_their_file_and_are_left_out_if_not_asked_for(data, data_folder, body):
    assert all(isinstance(packed, np.memmap) for packed, _ in data._packed)
    assert "maps" not in draw(Dataset(data_folder, "train", body, FULL, ("frames", "box"))).inputs
    shrunk = TarSettings(local_window=3, local_size=32)
    small = draw(Dataset(data_folder, "train", body, shrunk, NEEDS)).inputs["maps"]
    large = draw(data).inputs["maps"]
    assert small.shape[1:] == (3, 40, 32, 32)
    pooled = torch.nn.functional.max_pool2d(torch.from_numpy(large[:, 1:4].astype(np.float32)).flatten(0, 1), 2)
    np.testing.assert_array_equal(small.reshape(-1, 40, 32, 32), pooled.numpy())


def test_shrinking_keeps_the_brightest_cell():
    full = np.zeros(maps.SHAPE, np.uint8)
    full[3, 17, 40] = 200
    full[3, 16, 41] = 90
    small = shrink(full, 16)
    assert small.shape == (40, 16, 16)
    assert small[3, 4, 10] == 200
    assert small.astype(int).sum() == 200
    np.testing.assert_array_equal(shrink(full, 64), full)


def test_augmented_maps_move_and_go_blank():
    full = np.zeros(maps.SHAPE, np.uint8)
    full[3, 10, 20], full[4, 63, 0], full[5] = 200, 100, 50
    channels = np.arange(40)
    channels[[3, 5]] = 4, BLANK
    made = augment_maps(full, channels, np.array([-2, 3]))
    assert made[3, 60, 2] == 100
    assert made[4, 60, 2] == 100
    assert made.astype(int).sum() == 200
    np.testing.assert_array_equal(augment_maps(full, np.arange(40), np.zeros(2, int)), full)
    assert not augment_maps(full, np.arange(40), np.array([64, 0])).any()


def test_missing_data_is_one_sentence(body, tmp_path):
    with pytest.raises(ShardError, match="no training data in"):
        Dataset(tmp_path, "train", body, FULL, NEEDS)


def test_true_motion_ends_in_the_truth_of_its_target(data_folder, body):
    settings = PartDynamicsSettings()
    data = Dataset(data_folder, "train", body, settings, ("frames", "box", "flow", "motion"))
    batch = draw(data, mirrored=0.5)
    assert batch.inputs["motion"].shape == (48, 16, 24, 6)
    global_rotations = to_global(torch.from_numpy(batch.rotations))
    np.testing.assert_allclose(batch.inputs["motion"][:, -1], matrix_to_sixd(global_rotations).numpy(), atol=1e-5)
    # The fixture's camera stands still.
    assert np.abs(batch.inputs["flow"]).max() < 1e-6


def test_flow_is_how_the_camera_turned_up_to_the_target(data_folder, body, tmp_path):
    shard = read_shard(data_folder / "train" / "000000.npz")
    angle = np.zeros((FRAMES, 3))
    angle[:, 1] = 0.02 * np.arange(FRAMES) ** 1.5
    turns = np.tile(rotations.axis_angle_to_matrix(angle), (3, 1, 1)).astype(np.float32)
    write_shard(tmp_path / "train" / "000000.npz", dataclasses.replace(shard, camera_turns=turns))
    data = Dataset(tmp_path, "train", body, PartDynamicsSettings(), ("frames", "box", "flow"))
    batch = draw(data, count=24)
    frame = batch.rows % FRAMES
    diagonal = np.hypot(WIDTH, HEIGHT)
    for number in range(24):
        flow = batch.inputs["flow"][number].reshape(15, 3, 3) + np.eye(3)
        assert (np.abs(flow[: 15 - frame[number]] - np.eye(3)) < 1e-6).all()
        if not frame[number]:
            continue
        # The middle of the image goes where the camera no longer looks, rolled with the crop.
        turn = angle[frame[number], 1] - angle[frame[number] - 1, 1]
        moved = flow[-1, :2, 2] / flow[-1, 2, 2]
        assert np.linalg.norm(moved) == pytest.approx(FOCAL / diagonal * np.tan(turn), rel=1e-3)


def test_regions_have_features_of_their_own_and_the_crop_is_first(data_folder, body, tmp_path):
    shard = with_roi_views(read_shard(data_folder / "train" / "000000.npz"), np.random.default_rng(0))
    write_shard(tmp_path / "train" / "000000.npz", shard)
    needs = ("regions", "region_boxes", "places")
    data = Dataset(tmp_path, "train", body, MultiRoiSettings(), needs)
    batch = draw(data, count=30)
    assert shard.looked[batch.rows].all()
    assert {name: values.shape for name, values in batch.inputs.items()} == {
        "box": (30, 3),
        "regions": (30, 5, 243),
        "region_boxes": (30, 5, 3),
        "places": (30, 5, 195),
    }
    np.testing.assert_allclose(batch.inputs["region_boxes"][:, 0], batch.box, atol=1e-6)
    seen = batch.inputs["regions"][:, 0, :66].reshape(30, 33, 2)
    np.testing.assert_allclose(seen, projected(body, batch), atol=2e-5)
    # Regions are wider and narrower than the crop.
    width = 0.06 * batch.inputs["region_boxes"][..., 2] + 0.24
    np.testing.assert_allclose(width / width[:, :1], np.tile([1, 1.5, 1.25, 0.8, 0.65], (30, 1)), rtol=1e-4)
    with pytest.raises(ShardError, match="--roi-views"):
        Dataset(data_folder, "train", body, MultiRoiSettings(), needs)


def test_networks_that_need_maps_get_rows_that_have_them(data_folder, body, tmp_path):
    shard = read_shard(data_folder / "train" / "000000.npz")
    middle = shard.heatmap_starts[FRAMES]
    without = np.minimum(shard.heatmap_starts, middle)
    write_shard(tmp_path / "train" / "000000.npz", dataclasses.replace(shard, heatmap_starts=without))
    needing, other = (
        Dataset(tmp_path, "train", body, TarSettings(), needs) for needs in (("frames", "maps"), ("frames",))
    )
    assert np.flatnonzero(needing.usable).max() == FRAMES - 1
    assert other.usable.sum() == shard.found.sum()
    write_shard(tmp_path / "train" / "000000.npz", dataclasses.replace(shard, heatmap_starts=0 * without))
    with pytest.raises(ShardError, match="no local maps"):
        Dataset(tmp_path, "train", body, TarSettings(), ("frames", "maps"))
