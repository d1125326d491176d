from dataclasses import replace
from types import SimpleNamespace

import torch
from video_motion.inference.research.networks.base import NetworkOutput
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.discriminator import MotionDiscriminator
from video_motion.inference.research.networks.embedding import KEYPOINTS, Embedding, normalised
from video_motion.inference.research.networks.inputs import example
from video_motion.inference.research.networks.part_dynamics import PARTS, PartDynamicsSettings, SplitAndRecombine
from video_motion.inference.research.networks.torch_body import matrix_to_sixd, sixd_to_matrix


def test_parts_are_the_whole_body():
    assert sorted(joint for part in PARTS for joint in part) == list(range(24))


def test_parts_exchange_messages_only_with_recombination():
    torch.manual_seed(0)
    shares = torch.randn(1, 5, len(PARTS), 8)
    other = shares.clone()
    other[:, :, 3] += 1
    for recombine in (False, True):
        layer = SplitAndRecombine(PartDynamicsSettings(share=8, context=2, recombine=recombine))
        with torch.no_grad():
            changed = (layer(other) - layer(shares)).abs().amax(dim=(0, 1, 3)) > 1e-6
        assert changed.tolist() == [recombine, recombine, recombine, True, recombine]


def test_each_joint_comes_from_its_own_part(body):
    torch.manual_seed(0)
    network = configuration("part_dynamics-compact").build(body).eval()
    inputs = example(network.needs, network.settings, 1, 0)
    with torch.no_grad():
        before = network(**inputs).estimates[-1].sixd
        network.turn.weight[4] += 0.1
        after = network(**inputs).estimates[-1].sixd
    changed = (after - before).abs().amax(dim=(0, 2)) > 1e-6
    assert tuple(changed.nonzero().flatten().tolist()) == PARTS[4]


def test_a_change_is_carried_over_from_the_frame_before(body):
    """With changes of a quarter turn about z."""
    torch.manual_seed(0)
    network = configuration("part_dynamics-compact").build(body).train()
    inputs = example(network.needs, network.settings, 2, 0, network.targets)
    with torch.no_grad():
        network.change.weight.zero_()
        network.change.bias.copy_(torch.tensor([0.0, 1, 0, -1, 0, 0]).repeat(5, 6))
        changed, estimate = (sixd_to_matrix(one.sixd).unflatten(0, (2, 12)) for one in network(**inputs).estimates)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    torch.testing.assert_close(changed[:, 1:], quarter @ estimate[:, :-1], atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[:, 0], estimate[:, 0], atol=1e-5, rtol=0)


def test_the_pose_embedding_stays_fixed(body):
    network = configuration("part_dynamics-compact").build(body).train()
    before = {key: part.clone() for key, part in network.embedding.state_dict().items()}
    network(**example(network.needs, network.settings, 8, 0, network.targets))
    torch.testing.assert_close(network.embedding.state_dict(), before)
    assert not any(part.requires_grad for part in network.embedding.parameters())


def test_position_and_size_of_a_2d_pose_do_not_matter():
    torch.manual_seed(0)
    pose = torch.randn(4, len(KEYPOINTS), 2)
    embedding = Embedding(32).eval()
    moved = 3.7 * pose + torch.tensor([0.4, -2.0])
    torch.testing.assert_close(normalised(moved), normalised(pose), atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(embedding.describe(moved), embedding.describe(pose), atol=1e-4, rtol=1e-4)
        assert (embedding(pose)[1] > 0).all()


def test_a_correct_2d_pose_agrees_with_the_truth(body):
    torch.manual_seed(0)
    network = configuration("part_dynamics-compact").build(body)

    class Posed:
        def __init__(self, points_2d):
            self.points_2d = points_2d

    points_2d = torch.randn(3, 24 + 26, 2)
    output = NetworkOutput([], [], {})
    same = network.compute_losses(output, Posed(points_2d), Posed(points_2d + 0.3))["agreement"]
    torch.testing.assert_close(same, torch.zeros(3), atol=1e-8, rtol=0)
    other = points_2d.clone()
    other[1, 24:] += torch.randn(26, 2)
    off = network.compute_losses(output, Posed(other), Posed(points_2d))["agreement"]
    assert off[1] > 1e-4
    assert off[[0, 2]].max() < 1e-8


def test_the_discriminator_learns_from_its_own_loss_alone():
    torch.manual_seed(0)
    critic = MotionDiscriminator(16)
    generated = torch.randn(4, 12, 24, 6, requires_grad=True)
    losses = critic.losses(generated, torch.randn(4, 12, 24, 6))
    losses["realism"].sum().backward()
    assert all(part.grad is None for part in critic.parameters())
    assert generated.grad is not None
    assert generated.grad.abs().max() > 0
    generated.grad = None
    losses["critic"].sum().backward()
    assert all(part.grad is not None for part in critic.parameters())
    assert generated.grad is None


def test_the_discriminator_distinguishes_shaking_from_smooth_motion():
    torch.manual_seed(0)
    critic = MotionDiscriminator(16)
    optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3)

    def motions(shake: float) -> torch.Tensor:
        start, end = torch.randn(2, 32, 1, 24, 6)
        return start + (end - start) * torch.linspace(0, 1, 12)[:, None, None] + shake * torch.randn(32, 12, 24, 6)

    for _ in range(60):
        optimizer.zero_grad()
        critic.losses(motions(1.0), motions(0.0))["critic"].mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert critic(motions(0.0)).mean() > critic(motions(1.0)).mean() + 0.5


def test_all_frames_are_estimated_in_training_and_the_last_in_use(body):
    """Those that have four frames before them; each as if it were the last of a window of its own."""
    torch.manual_seed(0)
    network = configuration("part_dynamics-compact").build(body).train()
    inputs = example(network.needs, network.settings, 3, 0, network.targets)
    estimate = network(**inputs).estimates[-1]
    assert estimate.sixd.shape == (3 * 12, 24, 6)
    inputs["box"] = inputs["box"].unflatten(0, (3, 12))[:, -1]
    (last,) = network.eval()(**inputs).estimates
    for ours, alone in zip(estimate, last, strict=True):
        torch.testing.assert_close(ours.unflatten(0, (3, 12))[:, -1], alone)


def test_the_discriminator_rates_whole_motions(body):
    chosen = configuration("part_dynamics-compact")
    torch.manual_seed(0)
    network = replace(chosen, settings=replace(chosen.settings, critic=16)).build(body)
    rotations = torch.linalg.qr(torch.randn(2 * 12, 24, 3, 3))[0]
    posed = SimpleNamespace(points_2d=torch.randn(24, 24 + 26, 2), rotations=rotations)
    losses = network.compute_losses(NetworkOutput([], [], {}), posed, posed)
    motions = matrix_to_sixd(rotations).unflatten(0, (2, 12))
    rated = (network.critic(motions) - 1).square()
    torch.testing.assert_close(losses["realism"], rated.repeat_interleave(12))
