"""The papers' ablations on a small scale: short trainings of variants, compared with the papers' figures."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from ... import console
from . import train

MEASURES = ("MPJPE", "PA-MPJPE", "PVE", "Accel")
"""Of the papers, in the table's order."""

REPROJECTION = "reprojection"
"""Follows in the table; the papers do not have it."""


@dataclass(frozen=True)
class Variant:
    """One variant.

    Attributes:
        name: of its folder.
        what: its description in the table.
        changes: to the settings, as for `--set`.
        losses: changes of their weights, as for `--loss`.
        paper: figures from the paper by measure, if it has any.
    """

    name: str
    what: str
    changes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    paper: Mapping[str, float] = field(default_factory=dict)


def _figures(*values: float) -> dict[str, float]:
    return dict(zip(MEASURES, values, strict=True))


# On 3DPW. The paper's other rows, but for the sizes, are variants of its S = 64, which has 62.7, 40.6, 74.4 and 7.7.
_TAR = (
    Variant("whole", "whole network (L = 5, S = 16)", paper=_figures(67.3, 44.3, 81.0, 8.5)),
    Variant("no_refinement", "without RRM", ("refine=false",), paper=_figures(73.7, 45.8, 86.5, 6.8)),
    Variant("only_global", "only GTE", ("local_temporal=false",), paper=_figures(66.7, 41.8, 78.5, 16.0)),
    Variant("only_local", "only LTE", ("global_temporal=false",), paper=_figures(65.4, 41.1, 76.4, 19.7)),
    Variant("window_3", "L = 3", ("local_window=3",), paper={"Accel": 9.0}),
    Variant("window_7", "L = 7", ("local_window=7",), paper={"Accel": 7.2}),
    Variant("window_9", "L = 9", ("local_window=9",), paper={"Accel": 7.3}),
    Variant("size_32", "S = 32", ("hidden_size=32",), paper={"MPJPE": 65.1}),
    Variant("size_8", "S = 8", ("hidden_size=8",), paper={"MPJPE": 66.9}),
)

# On MPI-INF-3DHP.
_COSEGMENTATION = (
    Variant("dual", "dual excitation, one superposition", paper={"PA-MPJPE": 61.4, "Accel": 8.5}),
    Variant("single", "single excitation", ("excitation=single",), paper={"PA-MPJPE": 62.2, "Accel": 8.8}),
    Variant("channel", "channel excitation", ("excitation=channel",), paper={"PA-MPJPE": 61.7, "Accel": 9.0}),
    Variant("both", "superposition in both branches", ("superposition=both",), paper={"PA-MPJPE": 62.0, "Accel": 8.5}),
    Variant(
        "neither", "superposition in neither branch", ("superposition=neither",), paper={"PA-MPJPE": 62.5, "Accel": 8.6}
    ),
)

# The paper has no ablations; these are its whole network's figures on 3DPW.
_PART_DYNAMICS = (
    Variant("whole", "whole network", paper=_figures(92.8, 52.2, 106.1, 6.8)),
    Variant("no_embedding", "without u_t", ("embedding=false",), ("agreement=0",)),
    Variant("no_dynamics", "without d_t", ("dynamics=false",)),
    Variant("no_recombination", "without recombination", ("recombine=false",)),
)

# On 3DPW, with ResNet-50.
_MULTI_ROI = (
    Variant("five", "5 RoIs, relative, L = 32", paper={"MPJPE": 80.8, "PA-MPJPE": 51.9}),
    Variant("four", "4 RoIs", ("regions=4",), paper={"MPJPE": 82.2}),
    Variant("three", "3 RoIs", ("regions=3",), paper={"MPJPE": 81.2}),
    Variant("two", "2 RoIs", ("regions=2",), paper={"MPJPE": 82.9}),
    Variant("one", "1 RoI", ("regions=1",), paper={"MPJPE": 84.6}),
    Variant("no_consistency", "without L_cam", losses=("camera_consistency=0",)),
    Variant("no_contrast", "without L_cont", losses=("contrast=0",)),
    Variant("no_relation", "no relation", ("relation=none",), paper={"MPJPE": 98.7, "PA-MPJPE": 56.9}),
    Variant("absolute", "absolute positions", ("relation=absolute",), paper={"MPJPE": 87.6, "PA-MPJPE": 55.0}),
    Variant("octaves_0", "L = 0", ("octaves=0",), paper={"MPJPE": 81.6, "PA-MPJPE": 52.9}),
    Variant("octaves_64", "L = 64", ("octaves=64",), paper={"MPJPE": 81.1, "PA-MPJPE": 52.3}),
)

ABLATIONS: dict[str, tuple[Variant, ...]] = {
    "tar": _TAR,
    "cosegmentation": _COSEGMENTATION,
    "part_dynamics": _PART_DYNAMICS,
    "multi_roi": _MULTI_ROI,
}


def run(options: argparse.Namespace) -> str:
    """Train each variant into a folder under `options.out`; finished variants are kept. Returns the table.

    Args:
        options: those of `train NETWORK`, and `seeds`: how many trainings of each, from `seed` on.

    Raises:
        TrainingError: an option does not fit.
        ShardError: the data can't be read.
    """
    # All variants once before any of them again, so that what there is can be compared.
    for number, variant in product(range(options.seeds), ABLATIONS[options.network]):
        folder: Path = options.out / variant.name / f"seed-{options.seed + number}"
        if _done(folder):
            continue
        console.say(f"{variant.what}, seed {options.seed + number}:")
        chosen = copy.copy(options)
        chosen.out, chosen.resume, chosen.seed = folder, True, options.seed + number
        chosen.set, chosen.loss = [*options.set, *variant.changes], [*options.loss, *variant.losses]
        if train.run(chosen)["interrupted"]:
            break
    text = table(options.network, options.out)
    (options.out / "ablations.md").write_text(text, encoding="utf-8")
    return text


def table(network: str, folder: Path) -> str:
    """The finished variants as a Markdown table: ours on the validation split, the paper's in brackets.

    Of a variant that was trained several times, means with the standard deviation of one training.
    """
    columns = (*MEASURES, REPROJECTION)
    lines = [f"| variant | seeds | {' | '.join(columns)} |", f"|---|---:|{'---:|' * len(columns)}"]
    for variant in ABLATIONS[network]:
        reports = [path / "report.json" for path in sorted((folder / variant.name).glob("seed-*")) if _done(path)]
        if reports:
            found = [json.loads(path.read_text(encoding="utf-8"))["validation"]["network"] for path in reports]
            cells = [_cell([one[name] for one in found], variant.paper.get(name)) for name in columns]
            lines.append(f"| {variant.what} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float], paper: float | None) -> str:
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{spread}" + (f" ({paper:g})" if paper is not None else "")


def _done(folder: Path) -> bool:
    file = folder / "report.json"
    return file.exists() and not json.loads(file.read_text(encoding="utf-8"))["interrupted"]
