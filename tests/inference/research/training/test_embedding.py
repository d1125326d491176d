import json
import math

import numpy as np
import pytest
import torch
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.research.networks.embedding import KEYPOINTS, Embedding
from video_motion.inference.research.training import embedding as training
from video_motion.inference.research.training.mocap.library import Library


@pytest.fixture
def library() -> Library:
    """Four clips of people who swing their limbs, each in a group of its own."""
    rng = np.random.default_rng(0)
    n, clips = 120, 8
    swing = np.sin(np.linspace(0, 9, n))[:, None, None]
    poses = np.concatenate([swing * rng.normal(0, 0.7, (1, 24, 3)) for _ in range(clips)])
    return Library(
        poses=poses.astype(np.float32),
        trans=np.zeros((clips * n, 3), np.float32),
        starts=np.arange(0, clips * n + 1, n),
        names=np.array([f"clip {clip}" for clip in range(clips)]),
        groups=np.array([f"group {clip}" for clip in range(clips)]),
        weights=np.full(clips, 1 / clips),
        frame_rate=60.0,
    )


def poses(count: int) -> torch.Tensor:
    return torch.randn(count, len(KEYPOINTS), 3, generator=torch.Generator().manual_seed(3))


def test_poses_are_compared_regardless_of_position_size_and_rotation():
    ours = poses(6)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    turn = turn * torch.linalg.det(turn)
    torch.testing.assert_close(training.distances(ours, 2.5 * ours @ turn + 1), torch.zeros(6), atol=1e-4, rtol=0)
    mirrored = training.distances(ours, ours * torch.tensor([-1.0, 1, 1]))
    assert mirrored.min() > 0.05
    # One keypoint off by a tenth of the mean distance from the hips, or a little less after the best alignment.
    off = ours.clone()
    size = (ours - ours[:, [7, 8]].mean(1, keepdim=True)).norm(dim=-1).mean(1)
    off[:, 2, 0] += 0.1 * size
    assert ((training.distances(off, ours) > 0.005) & (training.distances(off, ours) < 0.25 / len(KEYPOINTS))).all()


def test_views_turn_the_pose_and_keep_up_roughly_up():
    pole = torch.zeros(500, len(KEYPOINTS), 3)
    pole[:, 0, 1] = 0.5
    pole[:, 1, 0] = 0.5
    seen = training.random_views(pole, torch.Generator().manual_seed(0))
    angle = torch.atan2(seen[:, 0, 0], seen[:, 0, 1]).abs()
    assert angle.max() <= math.radians(30) + 1e-3
    assert seen[:, 1, 0].min() < -0.1
    assert seen[:, 1, 0].max() > 0.1


def test_matching_worked_by_hand():
    """Two Gaussians without spread: the probability is the sigmoid of b - a times their distance."""
    embedding = Embedding(8)
    mean, sure = torch.zeros(1, 32), torch.zeros(1, 32)
    other = mean.clone()
    other[0, :2] = torch.tensor([3.0, 4.0])
    a, b = math.log(2), 1.0
    logarithms = training.matching(embedding, (mean, sure), (torch.cat([mean, other]), torch.zeros(2, 32)))
    expected = [math.log(1 / (1 + math.exp(-b))), math.log(1 / (1 + math.exp(5 * a - b)))]
    np.testing.assert_allclose(logarithms.detach().numpy()[0], expected, rtol=1e-4)


def test_losses_fall_when_views_of_a_pose_come_together():
    """A perfect embedding separates views of the same pose from all others; a constant one pays the margin."""

    class Constant(Embedding):
        def forward(self, keypoints):
            return torch.zeros(len(keypoints), 32), torch.full((len(keypoints), 32), 1e-3)

    class Perfect(Embedding):
        def forward(self, keypoints):
            mean = torch.zeros(len(keypoints), 32)
            mean[:, 0] = 20.0 * torch.arange(len(keypoints))
            return mean, torch.full((len(keypoints), 32), 1e-3)

    rng = torch.Generator().manual_seed(0)
    constant = training.objective(Constant(8), poses(8), rng)
    perfect = training.objective(Perfect(8), poses(8), rng)
    assert constant["ratio"].item() == pytest.approx(math.log(training.RATIO), abs=0.05)
    assert perfect["ratio"].item() == 0.0
    assert perfect["positive"].item() == pytest.approx(-math.log(1 / (1 + math.exp(-1.0))), rel=0.02)


def test_retrieval_finds_every_pose_again_if_views_do_not_differ(monkeypatch):
    monkeypatch.setattr(training, "random_views", lambda keypoints, rng: keypoints[..., :2])
    shares = training.retrieval(Embedding(16), poses(40), torch.Generator())
    assert shares == {"embedding": 1.0, "2D pose": 1.0}


def test_the_command_leaves_what_part_dynamics_begins_with(library, tmp_path, capsys):
    library.save(tmp_path / "data" / "library.npz")
    out = tmp_path / "out"
    command = ["train", "embedding", "--data", str(tmp_path / "data"), "--out", str(out), "--hidden", "16"]
    threads = torch.get_num_threads()
    try:
        assert cli.main([*command, "--minutes", "0.02", "--batch", "8", "--threads", "1"]) == 0
        assert "found from another view: embedding" in capsys.readouterr().out
        assert set(json.loads((out / "report.json").read_text())["retrieval"]) == {"embedding", "2D pose"}
        state = torch.load(out / "checkpoint.pt", weights_only=True)["averaged"]
        assert set(state) == {f"module.embedding.{name}" for name in Embedding(16).state_dict()}
        assert cli.main(command) == 1
        assert "another training" in capsys.readouterr().err
    finally:
        torch.set_num_threads(threads)
