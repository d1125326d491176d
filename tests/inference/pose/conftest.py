"""A track, and tiny networks to run along it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.people.track import Track
from video_motion.inference.research.networks.export import export
from video_motion.inference.research.networks.lifter import Lifter, LifterSettings

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])


@pytest.fixture(scope="session")
def lifter() -> Lifter:
    torch.manual_seed(1)
    sizes = LifterSettings(static_width=16, width=16, feedforward=32, layers=1, frame_layers=1, heads=2, kernel=3)
    made = Lifter(sizes, Body.load(registry.body_path())).eval()
    with torch.no_grad():
        # Large enough that every frame shows in the output.
        for name, part in made.named_parameters():
            if name.endswith("weight") and part.dim() > 1:
                part.mul_(1.5)
        made.pose[-1].weight.mul_(30)
    return made


@pytest.fixture(scope="session")
def lifter_file(lifter: Lifter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(lifter, tmp_path_factory.mktemp("lifter"), "tiny", half=False)[0]


def track_of(frames: np.ndarray, rate: float, maps: np.ndarray | None = None) -> Track:
    """Random landmarks of somebody who walks through the picture, in frames (n,) of footage at a rate."""
    rng = np.random.default_rng(5)
    n = len(frames)
    middle = np.stack([600 + 2.0 * frames, 300 + 0 * frames, 400 + frames, 0.01 * frames], axis=1)
    return Track(
        number=1,
        frames=frames,
        timestamps=frames / rate,
        landmarks=middle[:, None, :2] + rng.normal(0, 80, (n, 33, 2)),
        visibility=rng.uniform(0.2, 1, (n, 33)),
        presence=rng.uniform(0.2, 1, (n, 33)),
        world_landmarks=rng.normal(0, 0.4, (n, 33, 3)),
        crops=middle,
        boxes=np.zeros((n, 4)),
        scores=rng.uniform(0.8, 1, n),
        maps=np.zeros(n, int) if maps is None else maps,
    )
