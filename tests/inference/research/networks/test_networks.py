"""What holds for every network."""

from dataclasses import replace

import pytest
import torch
from video_motion.inference.estimators import LIFTER, TRAINABLE
from video_motion.inference.research.networks import export
from video_motion.inference.research.networks.base import SIZE, Estimate
from video_motion.inference.research.networks.configurations import configuration, names, settings_from
from video_motion.inference.research.networks.inputs import example
from video_motion.inference.research.networks.torch_body import TorchBody, sixd_to_matrix

OTHERS = [name for name in TRAINABLE if name not in ("tar", LIFTER)]


def build(name, body, **changes):
    chosen = configuration(f"{name}-compact")
    torch.manual_seed(0)
    return replace(chosen, settings=replace(chosen.settings, **changes)).build(body)


def flat(output) -> torch.Tensor:
    return output.estimates[-1].flat()


def test_each_network_has_its_compact_and_its_full_size(body):
    for name in TRAINABLE:
        assert configuration(f"{name}-compact").network == name
        assert any(configuration(other).network == name for other in names() if "compact" not in other)


def test_settings_survive_saving():
    for name in names():
        chosen = configuration(name)
        assert settings_from(chosen.network, vars(chosen.settings)) == chosen.settings


@pytest.mark.parametrize("name", OTHERS)
def test_everything_learns_and_the_result_depends_on_every_input(name, body):
    network = build(name, body).train()
    given = example(network.needs, network.settings, 4, 1, network.targets)
    inputs = {key: value.requires_grad_() for key, value in given.items()}
    output = network(**inputs)
    assert len(output.shares) == len(output.estimates) > 1
    values = [*(estimate.flat() for estimate in output.estimates), *output.extra.values()]
    torch.stack([value.square().sum() + value.sum() for value in values]).sum().backward()
    for key, part in network.named_parameters():
        assert not part.requires_grad or (part.grad is not None and part.grad.isfinite().all()), key
    for key, value in inputs.items():
        assert value.grad is not None, key
        assert value.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", OTHERS)
def test_in_use_there_is_one_estimate_which_no_other_window_changes(name, body):
    network = build(name, body).eval()
    inputs = example(network.needs, network.settings, 3, 1)
    with torch.no_grad():
        output = network(**inputs)
        alone = network(**{key: value[1:2] for key, value in inputs.items()})
    assert len(output.estimates) == 1
    assert [tuple(part.shape) for part in output.estimates[0]] == [(3, 24, 6), (3, 10), (3, 3)]
    torch.testing.assert_close(flat(alone), flat(output)[1:2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_before_training_they_say_what_the_lifter_says(name, body):
    network = build(name, body).eval()
    inputs = example(network.needs, network.settings, 8, 0)
    lifted = inputs["frames"][:, network.settings.target] if "frames" in inputs else inputs["regions"][:, 0]
    with torch.no_grad():
        torch.testing.assert_close(flat(network(**inputs)), lifted[:, -SIZE:], atol=0.35, rtol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_image_encoders_begin_at_somebody_who_stands_upright(name, body):
    network = build(name, body, encoder="resnet50", features=2048)
    start = network.start(torch.zeros(2, network.settings.features))
    rotations = sixd_to_matrix(Estimate.from_flat(start).sixd)
    joints = TorchBody(body, body.landmarks).joints(rotations, torch.zeros(2, 10))[0]
    assert joints[15, 1] < -0.4
    assert joints[7, 1] > 0.6
    assert joints[22, 1] > joints[18, 1] > joints[16, 1]


@pytest.mark.parametrize("name", OTHERS)
def test_onnx_runtime_agrees_with_torch(name, body, tmp_path):
    network = build(name, body)
    with torch.no_grad():
        for key, part in network.named_parameters():
            # Large enough that every weight shows in what is output.
            if key.endswith("weight") and part.dim() > 1:
                part.mul_(1.3)
    (path,) = export.export(network, tmp_path, "small")
    assert export.check_parity(network, tmp_path, "small") < 1e-4
    inputs = {key: value.numpy() for key, value in example(network.needs, network.settings, 4, 9).items()}
    degrees, betas = export.rounding(network, path, inputs)
    assert 0 < degrees < 1.5
    assert 0 < betas < 1e-2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cosegmentation", {"excitation": "single"}),
        ("cosegmentation", {"excitation": "channel"}),
        ("cosegmentation", {"superposition": "both"}),
        ("cosegmentation", {"superposition": "neither"}),
        ("part_dynamics", {"embedding": False}),
        ("part_dynamics", {"dynamics": False}),
        ("part_dynamics", {"recombine": False}),
        *(("multi_roi", {"regions": count}) for count in (1, 2, 3, 4)),
        ("multi_roi", {"relation": "none"}),
        ("multi_roi", {"relation": "absolute"}),
        ("multi_roi", {"octaves": 0}),
        ("multi_roi", {"octaves": 64}),
    ],
    ids=str,
)
def test_variants_differ(name, change, body):
    whole, variant = build(name, body).eval(), build(name, body, **change)
    shared = whole.state_dict()
    mine = variant.state_dict()
    variant.load_state_dict(
        {key: shared[key] for key in mine if key in shared and shared[key].shape == mine[key].shape}, strict=False
    )
    variant.train()(**example(variant.needs, variant.settings, 2, 1, variant.targets))
    with torch.no_grad():
        given = flat(whole(**example(whole.needs, whole.settings, 2, 1)))
        assert (flat(variant.eval()(**example(variant.needs, variant.settings, 2, 1))) - given).abs().max() > 1e-6


def test_regions_that_do_not_exist_are_refused(body):
    for count in (0, 6):
        with pytest.raises(ValueError, match=f"regions={count} is not from 1 to 5"):
            build("multi_roi", body, regions=count)


def test_options_that_do_not_exist_are_refused(body):
    for name, change in (
        ("cosegmentation", "excitation"),
        ("cosegmentation", "superposition"),
        ("multi_roi", "relation"),
    ):
        with pytest.raises(ValueError, match=f"{change} is one of"):
            build(name, body, **{change: "beauty"})
