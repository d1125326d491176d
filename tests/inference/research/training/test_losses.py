from typing import ClassVar

import pytest
import torch
from video_motion.inference.research.networks.base import Estimate, Network, NetworkOutput
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.settings import Settings
from video_motion.inference.research.networks.torch_body import TorchBody, marker_points, matrix_to_sixd
from video_motion.inference.research.training import losses


@pytest.fixture(scope="module")
def torch_body(body):
    return TorchBody(body, marker_points(body))


def rotated(angle: float, count: int) -> torch.Tensor:
    """(count, 24, 3, 3) rotations about z."""
    cos, sin = float(torch.cos(torch.tensor(angle))), float(torch.sin(torch.tensor(angle)))
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).expand(count, 24, 3, 3).clone()


def estimate_of(rotations: torch.Tensor, beta: float = 0.0, scale: float = 0.9) -> Estimate:
    count = len(rotations)
    camera = torch.tensor([[scale, 0.05, -0.1]]).expand(count, 3).clone()
    return Estimate(matrix_to_sixd(rotations), torch.full((count, 10), beta), camera)


def truth_of(torch_body: TorchBody, estimate: Estimate, weights: torch.Tensor | None = None) -> losses.PosedTruth:
    """The truth under which an estimate is perfect."""
    count = len(estimate.betas)
    box = torch.tensor([[0.1, -0.2, 0.5]]).expand(count, 3)
    posed = losses.PosedEstimate.from_estimate(torch_body, estimate, box)
    return losses.PosedTruth(
        posed.rotations,
        estimate.betas,
        posed.joints,
        posed.points,
        posed.points_2d,
        box,
        torch.ones(count) if weights is None else weights,
    )


def test_losses_of_the_truth_are_zero(torch_body):
    estimate = estimate_of(rotated(0.3, 2))
    truth = truth_of(torch_body, estimate)
    posed = losses.PosedEstimate.from_estimate(torch_body, estimate, truth.box)
    for name, loss in losses.LOSSES.items():
        assert loss(posed, truth).abs().max() <= (1e-3 if name == "joint_distance" else 0), name


def test_reprojection_is_squared_inside_the_crop_and_linear_outside(torch_body):
    estimate = estimate_of(rotated(0.0, 3))
    truth = truth_of(torch_body, estimate)
    posed = losses.PosedEstimate.from_estimate(torch_body, estimate, truth.box)
    posed.points_2d = truth.points_2d + torch.tensor([[0.3, 0.4], [0.6, 0.8], [3.0, 4.0]])[:, None]
    loss = losses.LOSSES["reprojection"](posed, truth)
    torch.testing.assert_close(loss, torch.tensor([0.25, 1.0, 9.0]))


def test_joints_count_squared_metres_and_their_distance_metres(torch_body):
    estimate = estimate_of(rotated(0.0, 1))
    truth = truth_of(torch_body, estimate)
    posed = losses.PosedEstimate.from_estimate(torch_body, estimate, truth.box)
    posed.joints = truth.joints + torch.tensor([0.0, 0.3, 0.4])
    joints, points = 24, truth.points.shape[1]
    share = joints / (joints + points)
    torch.testing.assert_close(losses.LOSSES["joints"](posed, truth), torch.tensor([0.25 * share]))
    torch.testing.assert_close(
        losses.LOSSES["joint_distance"](posed, truth), torch.tensor([0.5 * share]), atol=1e-3, rtol=0
    )


def test_pose_compares_matrices_and_shape_betas(torch_body):
    truth = truth_of(torch_body, estimate_of(rotated(0.0, 1)))
    posed = losses.PosedEstimate.from_estimate(torch_body, estimate_of(rotated(torch.pi / 2, 1), beta=2.0), truth.box)
    # Four of nine entries differ by one.
    torch.testing.assert_close(losses.LOSSES["pose"](posed, truth), torch.tensor([4 / 9]))
    torch.testing.assert_close(losses.LOSSES["shape"](posed, truth), torch.tensor([4.0]))


@pytest.fixture(scope="module")
def network(body):
    return Network(Settings(static_width=8), body)


def output_of(*estimates: Estimate) -> NetworkOutput:
    """Estimates of which the last has share 1, and those before it 0.85 each."""
    return NetworkOutput(list(estimates), [*[0.85] * (len(estimates) - 1), 1.0], {})


def test_total_goes_by_shares_and_weighs_windows(torch_body, network):
    good, bad = estimate_of(rotated(0.0, 2)), estimate_of(rotated(0.0, 2), beta=1.0)
    weights = {"shape": 10.0}
    truth = truth_of(torch_body, good)
    last, by_name = losses.total(network, output_of(good, bad), truth, torch_body, weights)
    first, _ = losses.total(network, output_of(bad, good), truth, torch_body, weights)
    assert float(last) == pytest.approx(10.0)
    assert float(by_name["shape"]) == pytest.approx(1.0)
    assert float(first) == pytest.approx(0.85 * 10.0)

    mixed = Estimate(good.sixd, torch.stack([good.betas[0], bad.betas[1]]), good.camera)
    truth.weights = torch.tensor([1.0, 0.0])
    assert float(losses.total(network, output_of(mixed), truth, torch_body, weights)[0]) == 0.0
    truth.weights = torch.tensor([1.0, 3.0])
    assert float(losses.total(network, output_of(mixed), truth, torch_body, weights)[0]) == pytest.approx(7.5)


def test_a_networks_own_losses_count_with_its_weights(torch_body, body):
    class Proud(Network):
        own_losses: ClassVar = {"pride": "how large its numbers are"}

        def compute_losses(self, output, posed, truth):
            assert posed.points_2d.shape == truth.points_2d.shape
            return {"pride": output.extra["pride"]}

    estimate = estimate_of(rotated(0.0, 2))
    truth = truth_of(torch_body, estimate, torch.tensor([1.0, 3.0]))
    output = NetworkOutput([estimate], [1.0], {"pride": torch.tensor([4.0, 8.0])})
    proud = Proud(Settings(static_width=8), body)
    loss, by_name = losses.total(proud, output, truth, torch_body, {"shape": 1.0, "pride": 0.5})
    assert float(by_name["pride"]) == pytest.approx(7.0)
    assert float(loss) == pytest.approx(3.5)


@pytest.mark.parametrize("angle", [0.0, 0.2, 2.5])
def test_gradients_are_finite_and_reach_all_of_an_estimate(torch_body, network, angle):
    truth = truth_of(torch_body, estimate_of(rotated(0.0, 2)))
    near = 0.02 if angle == 2.5 else 0.9
    estimate = Estimate(*(part.requires_grad_() for part in estimate_of(rotated(angle, 2), beta=angle, scale=near)))
    losses.total(network, output_of(estimate), truth, torch_body, configuration("tar-compact").losses)[0].backward()
    for part in estimate:
        assert part.grad is not None
        assert part.grad.isfinite().all()
        assert angle == 0.0 or (part.grad != 0).any()


def test_an_unknown_loss_is_refused(torch_body, network):
    estimate = estimate_of(rotated(0.0, 1))
    with pytest.raises(KeyError):
        losses.total(network, output_of(estimate), truth_of(torch_body, estimate), torch_body, {"beauty": 1.0})
