"""Training of the network that says which heels and toes stand."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.estimators import LIFTER
from video_motion.inference.motion.footing import Footing
from video_motion.inference.pose.temporal import TemporalNetwork
from video_motion.inference.research.training import footing, shards
from video_motion.inference.research.training.mocap.library import Library


@pytest.fixture(scope="module")
def walks(data_folder: Path, body: Body) -> list[footing.Walk]:
    network = TemporalNetwork(registry.path(LIFTER), registry.path("cosegmentation"), device="cpu")
    shard = shards.read_shard(data_folder / "train" / "000000.npz")
    return list(footing.walks(shard, body, network, np.random.default_rng(0)))


def test_walks_of_a_shard_come_with_their_mirror_images(walks: list[footing.Walk]):
    assert len(walks) == 6, "three sequences"
    for walk, mirrored in zip(walks[::2], walks[1::2], strict=True):
        assert walk.inputs.shape == mirrored.inputs.shape
        np.testing.assert_array_equal(walk.stands, mirrored.stands[:, [1, 0, 3, 2]])
        assert np.abs(walk.inputs - mirrored.inputs).max() > 0.1


def test_walks_are_kept_in_a_file(walks: list[footing.Walk], tmp_path: Path):
    footing.write_walks(tmp_path / "walks.npz", walks)
    for walk, read in zip(walks, footing.read_walks(tmp_path / "walks.npz"), strict=True):
        np.testing.assert_array_equal(walk.inputs, read.inputs)
        np.testing.assert_array_equal(walk.stands, read.stands)


def test_what_is_trained_is_what_runs(walks: list[footing.Walk]):
    torch.manual_seed(0)
    network = footing.FootingNetwork(walks[0].inputs.shape[1]).eval()
    network.mean.normal_(), network.spread.uniform_(0.5, 2)
    inputs = torch.from_numpy(walks[0].inputs)
    with torch.no_grad():
        expected = network(inputs[None], torch.ones(1, len(inputs)))[0].numpy()
    np.testing.assert_allclose(Footing(footing.weights_of(network)).logits(walks[0].inputs), expected, atol=1e-4)


def test_it_learns_and_writes_what_the_product_reads(walks: list[footing.Walk], data_folder: Path, tmp_path: Path):
    for split in footing.SPLITS:
        footing.write_walks(tmp_path / "walks" / split / "000000.npz", walks)
    data = tmp_path / "data"
    data.mkdir()
    (data / "train").symlink_to(data_folder / "train")
    names = np.array(["nobody"])
    Library(np.zeros((2, 24, 3)), np.zeros((2, 3)), np.array([0, 2]), names, names, np.ones(1), 60.0).save(
        data / "library.npz"
    )
    options = argparse.Namespace(
        data=data, out=tmp_path, files=0, data_minutes=0.0, jobs=0, minutes=0.2, rate=5e-3, seed=0, threads=1
    )
    found = footing.run(options, lambda calls: len(list(calls)))
    trained = Footing.load(tmp_path / "footing.npz")
    said = np.concatenate([trained.logits(walk.inputs) > 0 for walk in walks])
    stands = np.concatenate([walk.stands for walk in walks])
    assert (said == stands).mean() > 0.85, "it knows by heart what it has seen"
    assert found["cross entropy"] < 0.5
    assert (tmp_path / "report.json").exists()
