"""`train all`: from motion capture to the networks that ship, in the steps that `whole_training.toml` lists."""

from __future__ import annotations

import argparse
import json
import shutil
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import console
from ..atomic import write_json
from ..estimators import TRAINABLE

RECIPE = Path(__file__).with_name("whole_training.toml")
_DONE = "done.json"
_REPORT = "report.json"
_MEASURES = ("MPJPE", "PA-MPJPE", "PVE", "Accel")


def run(options: argparse.Namespace, train: Callable[[Sequence[str]], int]) -> int:
    """Perform the steps with the options of `train all`; return the exit status.

    Each step has a folder in OUT. Those that are done, which `OUT/done.json` names with their seconds, are left out,
    and trainings that were interrupted go on. Networks for use are written into OUT/weights.

    Args:
        options: those of `train all`.
        train: runs `train` with further words of a command line, and returns its exit status.
    """
    out: Path = options.out
    steps = tomllib.loads((options.recipe or RECIPE).read_text(encoding="utf-8"))["step"]
    record = out / _DONE
    done: dict[str, float] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for number, step in enumerate(steps, 1):
        name = step["name"]
        if name in done:
            continue
        if name == "embedding":
            # It can't go on where it was interrupted.
            shutil.rmtree(out / name, ignore_errors=True)
        words = _words(step, options)
        console.say(f"step {number} of {len(steps)}: train {' '.join(words)}")
        began = time.monotonic()
        if (status := train(words)) or (status := _publish(step, out, train)):
            return status
        done[name] = round(time.monotonic() - began, 1)
        write_json(record, done)
    print(_table(out, done), end="", flush=True)
    return 0


def _publish(step: dict[str, Any], out: Path, train: Callable[[Sequence[str]], int]) -> int:
    """Write a step's network into OUT/weights, if it has one; return the exit status."""
    name, weights = step["name"], out / "weights"
    if step["command"][0] in TRAINABLE:
        return train(["export", "--checkpoint", str(out / name / "checkpoint.pt"), "--out", str(weights)])
    if (made := out / name / f"{name}.npz").exists():
        weights.mkdir(exist_ok=True)
        shutil.copy(made, weights)
    return 0


def _words(step: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """A step's command line."""
    out: Path = options.out
    folder, data, what = out / step["name"], out / "data", step["command"][0]
    words = [word.format(lifter=out / "lifter", embedding=out / "embedding") for word in step["command"]]
    words += ["--out", str(folder), "--seed", str(options.seed)]
    minutes = step["minutes"] * options.minutes
    workers = ["--jobs", str(options.jobs), *(["--scheduler", options.scheduler] if options.scheduler else [])]
    if what == "data":
        words += ["--minutes", f"{minutes:g}", *workers]
        if options.mocap and not (data / "library.npz").exists():
            words += ["--mocap", *map(str, options.mocap)]
        if options.looks and not (data / "looks.npz").exists():
            words += ["--looks", str(options.looks)]
        return words
    words += ["--data", str(data)]
    words += ["--threads", str(options.threads)] if options.threads else []
    if what == "footing":
        # Posing takes most of it.
        words += ["--data-minutes", f"{0.75 * minutes:g}", "--minutes", f"{0.25 * minutes:g}"]
        return [*words, *workers]
    words += ["--minutes", f"{minutes:g}"]
    if what in TRAINABLE:
        words += ["--device", options.device, "--check", f"{max(minutes / 4, 0.5):g}"]
        words += ["--uncommitted"] if options.uncommitted else []
        words += ["--resume"] if (folder / "checkpoint.pt").exists() else []
    return words


def _table(out: Path, done: dict[str, float]) -> str:
    """Seconds of the steps, and what networks alone reach on the validation split."""
    lines = ["| step | seconds | " + " | ".join(_MEASURES) + " |", "|---|---:|" + "---:|" * len(_MEASURES)]
    baseline: dict[str, float] = {}
    for name, seconds in done.items():
        report = out / name / _REPORT
        content = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        measured = content.get("validation", {})
        baseline = measured.get("BlazePose", baseline)
        lines.append(_row(name, f"{seconds:.0f}", measured.get("network", {})))
    return "\n".join([*lines, _row("BlazePose's world landmarks", "", baseline), ""])


def _row(name: str, seconds: str, measured: dict[str, float]) -> str:
    cells = [f"{measured[measure]:.1f}" if measure in measured else "" for measure in _MEASURES]
    return f"| {name} | {seconds} | " + " | ".join(cells) + " |"
