"""Size and speed of all estimators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ... import registry
from ...body.smpl import Body
from ...estimators import LIFTER, NETWORKS
from ...pose.lifting import WINDOW
from ...runtime.session import Session
from . import runs


def measure(video: Path) -> Iterator[str]:
    """Yield each estimator's parameters, GFLOPs a frame, and frames per second: of its network, and of `estimate`."""
    # They need torch, which the other measurements do without.
    from ..networks import configurations, counting

    body = Body.load(registry.body_path())
    yield f"| {video.name} | M parameters | GFLOPs a frame | network, frames/s | `estimate`, frames/s |"
    yield "|---|---:|---:|---:|---:|"

    def size(name: str, item: str) -> tuple[float, float]:
        settings = json.loads(Session(registry.path(item), "cpu").properties["settings"])
        shipped = configurations.Configuration(name, name, configurations.settings_from(name, settings), {})
        return counting.size(shipped, body)

    # Its windows overlap by half.
    parameters, gflops = size(LIFTER, LIFTER)
    yield f"| {LIFTER}, of all networks | {parameters:.1f} | {2 * gflops / WINDOW:.3f} | – | – |"
    for name, weights in NETWORKS.items():
        run = runs.column(name, runs.run("estimate", video, "--network", name))
        cells = ["–"] * 3
        if weights:
            parameters, gflops = size(name, weights[1])
            cells = [f"{parameters:.1f}", f"{gflops:.3f}", f"{run.frames / run.stages['network']:.0f}"]
        yield f"| {name} | {' | '.join(cells)} | {run.frames / run.after_load:.1f} |"
