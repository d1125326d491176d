"""The lifter, and the guess in closed form that it begins with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from video_motion.inference.body import rotations
from video_motion.inference.body.smpl import Body
from video_motion.inference.pose import features
from video_motion.inference.research.networks import skeleton
from video_motion.inference.research.networks.base import SIZE
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.inputs import example
from video_motion.inference.research.networks.lifter import Lifter
from video_motion.inference.research.networks.torch_body import TorchBody, marker_points, sixd_to_matrix, to_global
from video_motion.inference.research.training import losses

PEOPLE = 60


@pytest.fixture(scope="module")
def lifter(body: Body) -> Lifter:
    torch.manual_seed(0)
    return Lifter(replace(configuration("lifter-compact").settings, width=32, feedforward=32, layers=1), body).eval()


def posed(body: Body, bend: float) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Local rotations (n, 24, 3, 3) and landmarks (n, 33, 3) of people in any orientation, and their betas."""
    rng = np.random.default_rng(0)
    poses = rng.normal(0, bend, (PEOPLE, 24, 3))
    poses[:, 0] = rng.normal(0, 1, (PEOPLE, 3))
    betas = rng.normal(0, 1, (PEOPLE, 10))
    return (
        rotations.axis_angle_to_matrix(poses),
        body.landmark_positions(poses, betas, np.zeros((PEOPLE, 3))),
        torch.from_numpy(betas).float(),
    )


@pytest.mark.parametrize(("bend", "centimetres"), [(0.0, 3.0), (0.2, 5.0)])
def test_a_guess_from_true_landmarks_puts_joints_nearly_right(body: Body, bend: float, centimetres: float):
    local, landmarks, betas = posed(body, bend)
    model = TorchBody(body, marker_points(body))
    true = model.joints(to_global(torch.from_numpy(local).float()), betas)
    guess = sixd_to_matrix(skeleton.guess(torch.from_numpy(landmarks).float()))
    torch.testing.assert_close(torch.linalg.det(guess), torch.ones(PEOPLE, 24), atol=1e-4, rtol=0)
    off = 100 * (model.joints(guess, betas) - true).norm(dim=-1)
    assert off.mean() < centimetres
    assert off.max() < 15


def test_a_guess_turns_with_the_landmarks(body: Body):
    _, landmarks, _ = posed(body, 0.2)
    turn = torch.from_numpy(rotations.axis_angle_to_matrix(np.array([0.3, -1.0, 0.5]))).float()
    plain = torch.from_numpy(landmarks).float()
    first, turned = (sixd_to_matrix(skeleton.guess(points)) for points in (plain, plain @ turn.T))
    torch.testing.assert_close(turned, turn @ first, atol=1e-4, rtol=0)


def test_a_guess_survives_landmarks_in_one_point():
    points = torch.zeros(2, 33, 3, requires_grad=True)
    guess = skeleton.guess(points)
    guess.sum().backward()
    assert guess.isfinite().all()
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_before_training_it_says_what_the_guess_says(lifter: Lifter, body: Body):
    """Of somebody who does not move, so that averaging over time changes nothing."""
    _, landmarks, _ = posed(body, 0.2)
    frames = example(("frames",), lifter.settings, PEOPLE, 0)["frames"][:, :1].repeat(1, lifter.settings.frames, 1)
    frames[..., features.WORLD] = torch.from_numpy(landmarks).float().flatten(1)[:, None]
    with torch.no_grad():
        sixd = lifter(frames).estimates[0].sixd.unflatten(0, (PEOPLE, -1))
    guess = skeleton.guess(torch.from_numpy(landmarks).float())
    torch.testing.assert_close(sixd, guess[:, None].expand_as(sixd), atol=0.15, rtol=0)


def test_every_frame_has_an_estimate_and_people_one_shape(lifter: Lifter):
    inputs = example(lifter.needs, lifter.settings, 3, 1)
    frames = lifter.settings.frames
    with torch.no_grad():
        output = lifter(**inputs)
        alone = lifter(inputs["frames"][1:2])
        described = lifter.describe(inputs["frames"])
    (estimate,) = output.estimates
    assert [tuple(part.shape) for part in estimate] == [(3 * frames, 24, 6), (3 * frames, 10), (3 * frames, 3)]
    betas = estimate.betas.unflatten(0, (3, frames))
    torch.testing.assert_close(betas, betas[:, :1].expand_as(betas))
    torch.testing.assert_close(alone.estimates[0].flat(), estimate.flat()[frames : 2 * frames], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.extra["gravity"].norm(dim=-1), torch.ones(3 * frames))
    assert output.extra["sigma"].min() > 0
    # Other networks see the estimate at the end of the features.
    torch.testing.assert_close(described[..., -SIZE:].flatten(0, 1), estimate.flat(), atol=1e-5, rtol=1e-5)


def test_everything_learns(lifter: Lifter):
    network = lifter.train()
    inputs = example((*network.needs, *network.training_needs), network.settings, 2, 1)
    inputs["frames"].requires_grad_()
    output = network(**inputs)
    parts = [*(estimate.flat() for estimate in output.estimates), *output.extra.values()]
    torch.stack([part.square().sum() + part.sum() for part in parts]).sum().backward()
    for key, part in network.named_parameters():
        assert part.grad is not None, key
        assert part.grad.isfinite().all(), key
    assert inputs["frames"].grad is not None
    assert (inputs["frames"].grad.abs().amax(dim=(0, 2)) > 0).all(), "all frames count"
    network.eval()


def test_its_own_losses_are_least_for_the_truth(lifter: Lifter, body: Body):
    model = TorchBody(body, marker_points(body))
    inputs = example((*lifter.needs, *lifter.training_needs), lifter.settings, 2, 3)
    inputs["gravity"] = torch.nn.functional.normalize(inputs["gravity"], dim=-1)
    with torch.no_grad():
        output = lifter(**inputs)
        box = torch.tensor([[0.0, 0.0, 0.5]]).expand(len(output.estimates[0].betas), 3)
        posed = losses.PosedEstimate.from_estimate(model, output.estimates[0], box)
        moved = replace(posed, joints=posed.joints + 0.1 * torch.randn_like(posed.joints))
        right = {
            **output.extra,
            "gravity": output.extra["true_gravity"],
            "contacts": 20 * (2 * output.extra["true_contacts"] - 1),
        }
        best = lifter.compute_losses(output._replace(extra=right), posed, posed)
        other = lifter.compute_losses(output, moved, posed)
    assert set(best) == set(lifter.own_losses)
    assert best["gravity"].abs().max() < 1e-5
    assert best["contacts"].abs().max() < 1e-5
    assert best["velocity"].abs().max() < 1e-3
    for name, values in best.items():
        assert other[name].mean() > values.mean() + 1e-3, name


@pytest.mark.parametrize(("sigma", "better"), [(0.05, 0.1), (0.3, 0.1)])
def test_certainty_is_best_where_it_is_as_large_as_the_errors(lifter: Lifter, body: Body, sigma: float, better: float):
    model = TorchBody(body, marker_points(body))
    inputs = example((*lifter.needs, *lifter.training_needs), lifter.settings, 4, 3)
    torch.manual_seed(1)
    with torch.no_grad():
        output = lifter(**inputs)
        box = torch.tensor([[0.0, 0.0, 0.5]]).expand(len(output.estimates[0].betas), 3)
        posed = losses.PosedEstimate.from_estimate(model, output.estimates[0], box)
        moved = replace(posed, joints=posed.joints + better * torch.randn_like(posed.joints))

        def certainty(size: float) -> torch.Tensor:
            extra = {**output.extra, "sigma": torch.full_like(output.extra["sigma"], size)}
            return lifter.compute_losses(output._replace(extra=extra), moved, posed)["certainty"].mean()

        assert certainty(better) < certainty(sigma)
