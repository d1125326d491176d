"""Size and speed of all estimators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ... import registry
from ...body.smpl import Body
from ...estimators import NETWORKS
from ...runtime.session import Session
from . import runs


def measure(video: Path) -> Iterator[str]:
    """Yield each estimator's parameters, GFLOPs a frame, and frames per second: of its network, and of `estimate`."""
    # They need torch, which the other measurements do without.
    from ..networks import configurations, counting

    body = Body.load(registry.body_path())
    yield f"| {video.name} | M parameters | GFLOPs a frame | network, frames/s | `estimate`, frames/s |"
    yield "|---|---:|---:|---:|---:|"
    for name, weights in NETWORKS.items():
        run = runs.column(name, runs.run("estimate", video, "--network", name))
        cells = ["–"] * 3
        if weights:
            settings = json.loads(Session(registry.path(weights[0]), "cpu").properties["settings"])
            shipped = configurations.Configuration(name, name, configurations.settings_from(name, settings), {})
            parameters, gflops = counting.size(shipped, body)
            cells = [f"{parameters:.1f}", f"{gflops:.3f}", f"{run.frames / run.stages['network']:.0f}"]
        yield f"| {name} | {' | '.join(cells)} | {run.frames / run.after_load:.1f} |"
