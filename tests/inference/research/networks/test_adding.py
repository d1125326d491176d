"""The example of `adding.md`, from its text alone, is a network like the others."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference.people.track import Track
from video_motion.inference.pose.temporal import TemporalNetwork, VideoContext
from video_motion.inference.research import networks
from video_motion.inference.research.networks import configurations
from video_motion.inference.research.networks.export import check_parity, export
from video_motion.inference.research.training import train
from video_motion.inference.research.training.losses import LOSSES

PAGE = Path(networks.__file__).with_name("adding.md")
IMPORTS = """\
from dataclasses import dataclass
from torch import Tensor
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.networks.settings import Settings
from video_motion.inference.research.networks.base import IterativeRegressor, Network, NetworkOutput
"""


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return re.sub(r"^   ", "", found, flags=re.MULTILINE)


@pytest.fixture
def added(monkeypatch, tmp_path) -> str:
    """The network of the page; its configuration is added to the others."""
    name = f"{networks.__name__}.mean"
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(IMPORTS + block("python"), module.__dict__)
    file = tmp_path / "configurations.toml"
    file.write_text(configurations.FILE.read_text(encoding="utf-8") + block("toml"), encoding="utf-8")
    monkeypatch.setattr(configurations, "FILE", file)
    return "mean-compact"


def test_it_has_losses_that_exist(added):
    assert set(configurations.configuration(added).losses) <= set(LOSSES)


def test_it_is_trained_exported_and_run(added, body, tmp_path):
    chosen, _ = train.changed_settings(added, ["hidden=64"])
    torch.manual_seed(0)
    network = chosen.build(body)
    export(network, tmp_path, added)
    assert check_parity(network, tmp_path, added) < 1e-4
    rng = np.random.default_rng(0)
    n = 30
    track = Track(
        number=1,
        frames=np.arange(n),
        timestamps=np.arange(n) / 30,
        landmarks=rng.uniform(0, 500, (n, 33, 2)),
        visibility=rng.random((n, 33)),
        presence=rng.random((n, 33)),
        world_landmarks=rng.normal(0, 0.3, (n, 33, 3)),
        crops=np.tile([250.0, 250, 400, 0.1], (n, 1)),
        boxes=np.zeros((n, 4)),
        scores=np.ones(n),
        maps=np.zeros(n, int),
    )
    (lifter,) = export(configurations.configuration("lifter-compact").build(body), tmp_path, "lifter")
    K = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
    estimate = TemporalNetwork(lifter, tmp_path / f"{added}.onnx", device="cpu").estimate(track, VideoContext(K))
    assert estimate.rotations.shape == (n, 24, 3, 3)
    np.testing.assert_allclose(np.linalg.det(estimate.rotations), 1, atol=1e-4)
