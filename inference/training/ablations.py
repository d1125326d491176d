"""The papers' ablations in miniature: the same training, something left out or changed, beside the paper's figures."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import report
from . import train

MEASURES = ("MPJPE", "PA-MPJPE", "PVE", "Accel")


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        name: of its folder.
        what: for the table.
        changes: to the settings, as `--set` takes them.
        paper: its figures in the paper, by measure, as far as they are told.
    """

    name: str
    what: str
    changes: tuple[str, ...] = ()
    paper: Mapping[str, float] = field(default_factory=dict)


def _figures(*values: float) -> dict[str, float]:
    return dict(zip(MEASURES, values, strict=True))


# TAR on 3DPW.
TAR = (
    Row("whole", "whole network (L = 5, S = 16)", (), _figures(62.7, 40.6, 74.4, 7.7)),
    Row("no_refinement", "without RRM", ("refine=false",), _figures(73.7, 45.8, 86.5, 6.8)),
    Row("only_global", "only GTE", ("local_temporal=false",), _figures(66.7, 41.8, 78.5, 16.0)),
    Row("only_local", "only LTE", ("global_temporal=false",), _figures(65.4, 41.1, 76.4, 19.7)),
    Row("window_3", "L = 3", ("local_window=3",), {"Accel": 9.0}),
    Row("window_7", "L = 7", ("local_window=7",), {"Accel": 7.2}),
    Row("window_9", "L = 9", ("local_window=9",), {"Accel": 7.3}),
    Row("size_32", "S = 32", ("hidden_size=32",)),
    Row("size_8", "S = 8", ("hidden_size=8",)),
)


def run(options: argparse.Namespace) -> str:
    """Train each variant into a folder under `options.out`; variants that are done stay. Returns the table.

    Args:
        options: what `arguments.add_training` describes.

    Raises:
        TrainingError: an option does not fit.
        ShardError: the data can't be read.
    """
    for row in TAR:
        folder: Path = options.out / row.name
        if _done(folder):
            continue
        report.say(f"{row.what}:")
        chosen = copy.copy(options)
        chosen.out, chosen.set, chosen.resume = folder, [*options.set, *row.changes], True
        if train.run(chosen)["interrupted"]:
            break
    text = table(options.out)
    (options.out / "ablations.md").write_text(text, encoding="utf-8")
    return text


def table(folder: Path) -> str:
    """The variants that are done, as a Markdown table: ours on the validation split, the paper's in brackets."""
    lines = [f"| variant | {' | '.join(MEASURES)} |", f"|---|{'---:|' * len(MEASURES)}"]
    for row in TAR:
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
