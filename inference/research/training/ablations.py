"""The papers' ablations in miniature: the same training, something left out or changed, beside the paper's figures."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ... import console
from . import train

MEASURES = ("MPJPE", "PA-MPJPE", "PVE", "Accel")


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        name: of its folder.
        what: for the table.
        changes: to the settings, as `--set` takes them.
        losses: changes to their weights, as `--loss` takes them.
        paper: its figures in the paper, by measure, as far as they are told.
    """

    name: str
    what: str
    changes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    paper: Mapping[str, float] = field(default_factory=dict)


def _figures(*values: float) -> dict[str, float]:
    return dict(zip(MEASURES, values, strict=True))


# On 3DPW.
_TAR = (
    Row("whole", "whole network (L = 5, S = 16)", paper=_figures(62.7, 40.6, 74.4, 7.7)),
    Row("no_refinement", "without RRM", ("refine=false",), paper=_figures(73.7, 45.8, 86.5, 6.8)),
    Row("only_global", "only GTE", ("local_temporal=false",), paper=_figures(66.7, 41.8, 78.5, 16.0)),
    Row("only_local", "only LTE", ("global_temporal=false",), paper=_figures(65.4, 41.1, 76.4, 19.7)),
    Row("window_3", "L = 3", ("local_window=3",), paper={"Accel": 9.0}),
    Row("window_7", "L = 7", ("local_window=7",), paper={"Accel": 7.2}),
    Row("window_9", "L = 9", ("local_window=9",), paper={"Accel": 7.3}),
    Row("size_32", "S = 32", ("hidden_size=32",)),
    Row("size_8", "S = 8", ("hidden_size=8",)),
)

# On MPI-INF-3DHP.
_COSEGMENTATION = (
    Row("dual", "dual excitation, one superposition", paper={"PA-MPJPE": 61.4, "Accel": 8.5}),
    Row("single", "single excitation", ("excitation=single",), paper={"PA-MPJPE": 62.2, "Accel": 8.8}),
    Row("channel", "channel excitation", ("excitation=channel",), paper={"PA-MPJPE": 61.7, "Accel": 9.0}),
    Row("both", "superposition in both branches", ("superposition=both",), paper={"PA-MPJPE": 62.0, "Accel": 8.5}),
    Row(
        "neither", "superposition in neither branch", ("superposition=neither",), paper={"PA-MPJPE": 62.5, "Accel": 8.6}
    ),
)

# The paper tells none of these; its whole network on 3DPW.
_PART_DYNAMICS = (
    Row("whole", "whole network", paper=_figures(92.8, 52.2, 106.1, 6.8)),
    Row("no_embedding", "without u_t", ("embedding=false",), ("agreement=0",)),
    Row("no_dynamics", "without d_t", ("dynamics=false",)),
    Row("no_recombination", "without recombination", ("recombine=false",)),
)

# On 3DPW, with ResNet-50.
_MULTI_ROI = (
    Row("five", "5 RoIs, relative, L = 32", paper={"MPJPE": 80.8, "PA-MPJPE": 51.9}),
    Row("four", "4 RoIs", ("regions=4",), paper={"MPJPE": 82.2}),
    Row("three", "3 RoIs", ("regions=3",), paper={"MPJPE": 81.2}),
    Row("two", "2 RoIs", ("regions=2",), paper={"MPJPE": 82.9}),
    Row("one", "1 RoI", ("regions=1",), paper={"MPJPE": 84.6}),
    Row("no_consistency", "without L_cam", losses=("camera_consistency=0",)),
    Row("no_contrast", "without L_cont", losses=("contrast=0",)),
    Row("no_relation", "no relation", ("relation=none",), paper={"MPJPE": 98.7, "PA-MPJPE": 56.9}),
    Row("absolute", "absolute places", ("relation=absolute",), paper={"MPJPE": 87.6, "PA-MPJPE": 55.0}),
    Row("octaves_0", "L = 0", ("octaves=0",)),
    Row("octaves_64", "L = 64", ("octaves=64",)),
)

ABLATIONS: dict[str, tuple[Row, ...]] = {
    "tar": _TAR,
    "cosegmentation": _COSEGMENTATION,
    "part_dynamics": _PART_DYNAMICS,
    "multi_roi": _MULTI_ROI,
}


def run(options: argparse.Namespace) -> str:
    """Train each variant into a folder under `options.out`; variants that are done stay. Returns the table.

    Args:
        options: those of `train NETWORK`.

    Raises:
        TrainingError: an option does not fit.
        ShardError: the data can't be read.
    """
    for row in ABLATIONS[options.network]:
        folder: Path = options.out / row.name
        if _done(folder):
            continue
        console.say(f"{row.what}:")
        chosen = copy.copy(options)
        chosen.out, chosen.resume = folder, True
        chosen.set, chosen.loss = [*options.set, *row.changes], [*options.loss, *row.losses]
        if train.run(chosen)["interrupted"]:
            break
    text = table(options.network, options.out)
    (options.out / "ablations.md").write_text(text, encoding="utf-8")
    return text


def table(network: str, folder: Path) -> str:
    """The variants that are done, as a Markdown table: ours on the validation split, the paper's in brackets."""
    lines = [f"| variant | {' | '.join(MEASURES)} |", f"|---|{'---:|' * len(MEASURES)}"]
    for row in ABLATIONS[network]:
        if _done(folder / row.name):
            told = (folder / row.name / "report.json").read_text(encoding="utf-8")
            measured = json.loads(told)["validation"]["network"]
            cells = [
                f"{measured[name]:.1f}" + (f" ({row.paper[name]:g})" if name in row.paper else "") for name in MEASURES
            ]
            lines.append(f"| {row.what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _done(folder: Path) -> bool:
    file = folder / "report.json"
    return file.exists() and not json.loads(file.read_text(encoding="utf-8"))["interrupted"]
