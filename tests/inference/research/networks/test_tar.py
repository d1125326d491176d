from dataclasses import replace

import numpy as np
import pytest
import torch
from video_motion.inference.people import maps
from video_motion.inference.pose import features
from video_motion.inference.research.networks.base import SIZE
from video_motion.inference.research.networks.configurations import configuration, names
from video_motion.inference.research.networks.counting import gflops, millions, size
from video_motion.inference.research.networks.settings import LIFTED
from video_motion.inference.research.networks.tar import DISCOUNT, RecurrentRefinement, Tar
from video_motion.inference.research.networks.torch_body import MARKERS

COMPACT = configuration("tar-compact").settings

PAPER = {"tar-64": (25.0, 184.6), "tar-32": (29.9, 72.4), "tar-16": (34.3, 43.5), "tar-8": (38.5, 36.3)}
"""Parameters in millions and GFLOPs of table S3."""


def inputs(settings, batch=2, seed=0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shape = (batch, settings.local_window, settings.maps, 64, 64)
    return {
        "frames": torch.randn(batch, settings.frames, settings.features, generator=rng),
        "box": 0.5 * torch.randn(batch, 3, generator=rng),
        "maps": torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8),
    }


@pytest.fixture(scope="module")
def compact(body) -> Tar:
    torch.manual_seed(0)
    return Tar(COMPACT, body).eval()


@pytest.mark.parametrize("name", PAPER)
def test_counts_are_the_papers(name, body):
    """Parameters and operations of T = 9, L = 5 without the backbone's replacement (`encoder` and `stem`).

    Counted are two operations per multiplication and addition of convolutions, linear layers, matrix products and
    attention; not activations, normalisations, sampling. The strided convolutions before smaller hidden maps are
    counted once for each of the five frames.
    """
    settings = configuration(name).settings
    with torch.device("meta"):
        network = Tar(settings, body)
        backbone = millions(network.encoder, network.stem)
        frames = torch.empty(1, settings.frames, settings.features)
        size, channels = settings.hidden_size, settings.local_channels
        local = torch.empty(1, settings.local_window, channels, size, size)
        full = torch.empty(settings.local_window, channels, settings.local_size, settings.local_size)
        operations = gflops(lambda: (network.locals.down(full), network(frames, torch.empty(1, 3), local=local)))
        operations -= gflops(lambda: network.encoder(frames))
    assert (millions(network) - backbone, operations) == pytest.approx(PAPER[name], rel=0.03)


def test_the_compact_one_is_cheap(body):
    parameters, operations = size(configuration("tar-compact"), body)
    assert parameters < 7
    # A window and a new frame's local maps.
    assert operations < 0.2


def test_sizes_fit_the_frame_features():
    for name in names():
        settings = configuration(name).settings
        if settings.encoder == "blazepose":
            lifted = 0 if name.startswith("lifter") else LIFTED
            assert settings.features == features.SIZE + lifted
            assert getattr(settings, "maps", maps.COUNT) == maps.COUNT


def test_it_begins_at_the_lifters_estimate(body):
    torch.manual_seed(0)
    network = Tar(replace(COMPACT, refine=False), body).eval()
    with torch.no_grad():
        given = inputs(COMPACT, batch=8)
        (estimate,) = network(given["frames"], given["box"]).estimates
    torch.testing.assert_close(estimate.flat(), given["frames"][:, COMPACT.target, -SIZE:], atol=0.2, rtol=0)


def test_estimates(compact):
    given = inputs(COMPACT, batch=3)
    with torch.no_grad():
        estimates = compact(**given).estimates
        local = compact.encode_local(given["maps"].flatten(0, 1)).unflatten(0, (3, COMPACT.local_window))
        again = compact(given["frames"], given["box"], local=local).estimates
        shares = compact(given["frames"], given["box"], given["maps"].float() / 255).estimates
        alone = compact(given["frames"][1:2], given["box"][1:2], given["maps"][1:2]).estimates
    assert len(estimates) == 1 + COMPACT.iterations
    assert [tuple(part.shape) for part in estimates[-1]] == [(3, 24, 6), (3, 10), (3, 3)]
    for other, rows in ((again, slice(None)), (shares, slice(None)), (alone, slice(1, 2))):
        for have, want in zip(other, estimates, strict=True):
            torch.testing.assert_close(have.flat(), want.flat()[rows], atol=1e-5, rtol=1e-5)


def test_needs_maps_to_refine(compact):
    given = inputs(COMPACT)
    with pytest.raises(ValueError, match="needs maps"):
        compact(given["frames"], given["box"])


def test_later_estimates_count_more(compact):
    shares = compact(**inputs(COMPACT)).shares
    assert shares[-1] == 1.0
    assert shares[-2] == DISCOUNT == 0.85
    assert shares[0] == pytest.approx(0.85**COMPACT.iterations)


def test_each_iteration_learns_alone(compact):
    estimates = compact(**inputs(COMPACT)).estimates
    (before,) = torch.autograd.grad(estimates[-1].flat().sum(), [estimates[0].sixd], allow_unused=True)
    assert before is None


@pytest.mark.parametrize(
    "change",
    [
        {"refine": False},
        {"global_temporal": False},
        {"local_temporal": False},
        {"local_window": 3},
        {"local_window": 7},
        {"local_window": 9},
        {"hidden_size": 32},
        {"hidden_size": 8},
        {"local_size": 64},
    ],
    ids=str,
)
def test_parts_can_be_left_out(change, body):
    settings = replace(COMPACT, iterations=2, **change)
    torch.manual_seed(0)
    network = Tar(settings, body)
    estimates = network(**inputs(settings)).estimates
    assert len(estimates) == (3 if settings.refine else 1)
    torch.stack([estimate.flat() for estimate in estimates]).square().sum().backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in network.parameters())


def test_without_time_only_the_middle_counts(body):
    settings = replace(COMPACT, global_temporal=False, local_temporal=False)
    network = Tar(settings, body).eval()
    given = inputs(settings)
    other = inputs(settings, seed=1)
    other["frames"][:, 4], other["maps"][:, 2], other["box"] = given["frames"][:, 4], given["maps"][:, 2], given["box"]
    with torch.no_grad():
        torch.testing.assert_close(network(**given).estimates[-1].flat(), network(**other).estimates[-1].flat())


def test_samples_lie_around_the_marker():
    settings = configuration("tar-64").settings
    network = RecurrentRefinement(replace(settings, local_channels=1)).eval()
    channels = torch.zeros(1, 26, 64, 64)
    # The centre of cell (row, column) is at ((column + 0.5) / 64, (row + 0.5) / 64) of the crop.
    row, column = 20, 41
    channels[0, 5, row, column] = 1.0
    channels[0, 6, row, column] = 1.0
    points_2d = torch.zeros(1, 26, 2)
    points_2d[0, 5] = torch.tensor([(column + 0.5) / 64 - 0.5, (row + 0.5) / 64 - 0.5])
    points_2d[0, 6] = points_2d[0, 5] - torch.tensor([2 / 64, -1 / 64])
    sampled = network.sample(channels, points_2d).view(26, 7, 7)
    assert sampled.sum() == pytest.approx(2.0, abs=1e-4)
    assert sampled[5, 3, 3] == pytest.approx(1.0, abs=1e-4)
    assert sampled[6, 2, 5] == pytest.approx(1.0, abs=1e-4)


def test_whole_markers_are_dropped_while_training():
    network = RecurrentRefinement(COMPACT).train()
    torch.manual_seed(0)
    channels = torch.ones(64, len(MARKERS), 32, 32)
    sampled = network.sample(channels, torch.zeros(64, len(MARKERS), 2)).view(64 * 26, 49)
    kept = sampled.mean(1).numpy()
    assert set(np.unique(kept.round(3))) == {0.0, 1.0}
    assert kept.mean() == pytest.approx(0.75, abs=0.05)
