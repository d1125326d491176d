"""Train a network on a folder of training data."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from .. import registry, report
from ..body.smpl import Body
from ..networks.configurations import CONFIGURATIONS, TarConfiguration
from ..networks.tar import Tar
from .dataset import Dataset
from .losses import TAR_WEIGHTS
from .synthesis.records import ShardError
from .trainer import Schedule, Trainer, TrainingError


def settings_of(name: str, changes: Sequence[str]) -> TarConfiguration:
    """A configuration by name, with changes such as `refine=false` or `local_window=3`.

    Raises:
        TrainingError: there is no such configuration or setting, or the value does not fit.
    """
    if name not in CONFIGURATIONS:
        raise TrainingError(f"There is no configuration {name}; choose one of {', '.join(CONFIGURATIONS)}.")
    settings = CONFIGURATIONS[name]
    for change in changes:
        key, _, text = change.partition("=")
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise TrainingError(f"{change} is not NAME=VALUE with a number, true or false.") from error
        if not hasattr(settings, key) or not isinstance(value, type(getattr(settings, key)) | int):
            raise TrainingError(f"{change} does not fit: {name} has {', '.join(dataclasses.asdict(settings))}.")
        settings = dataclasses.replace(settings, **{key: value})
    return settings


def begin_from(network: nn.Module, checkpoint: Path) -> int:
    """Take over the averaged weights of another training, as far as names and sizes agree; returns their number.

    Raises:
        TrainingError: the file is no checkpoint, or nothing of it fits.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
    except Exception as error:  # torch.load raises many kinds on damaged files
        raise TrainingError(f"{checkpoint} can't be read as a checkpoint ({error}).") from error
    mine = network.state_dict()
    fitting = {
        name: state[f"module.{name}"]
        for name in mine
        if f"module.{name}" in state and state[f"module.{name}"].shape == mine[name].shape
    }
    if not fitting:
        raise TrainingError(f"{checkpoint} is of another network: nothing of it fits.")
    network.load_state_dict(fitting, strict=False)
    return len(fitting)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `train tar`."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, curve, log and report")
    parser.add_argument("--minutes", type=float, default=60.0, help="training time altogether (default: 60)")
    parser.add_argument("--configuration", default="tar-compact", help="sizes (default: tar-compact)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one of the sizes")
    parser.add_argument("--loss", action="append", default=[], metavar="NAME=WEIGHT", help="change a loss's weight")
    parser.add_argument("--batch", type=int, default=64, help="windows a step (default: 64)")
    parser.add_argument("--rate", type=float, default=1e-4, help="highest learning rate (default: 1e-4)")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default: 0)")
    parser.add_argument("--from", dest="start", type=Path, help="begin with another training's checkpoint")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where (default: auto)")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--check", type=float, default=5.0, help="minutes between validations (default: 5)")


def run(options: argparse.Namespace) -> None:
    """Train as the options say.

    Raises:
        TrainingError: an option does not fit.
        ShardError: the data can't be read.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = settings_of(options.configuration, options.set)
    weights = dict(TAR_WEIGHTS)
    for change in options.loss:
        name, _, weight = change.partition("=")
        weights[name] = float(weight)
    schedule = Schedule(
        minutes=options.minutes,
        batch=options.batch,
        rate=options.rate,
        seed=options.seed,
        check=options.check,
        weights={name: weight for name, weight in weights.items() if weight},
    )
    torch.manual_seed(options.seed)
    body = Body.load(registry.body_path())
    window = settings.local_window if settings.refine else 0
    data = [
        Dataset(options.data, split, body, settings.frames, window, settings.local_size)
        for split in ("train", "validation")
    ]
    network = Tar(settings, body)
    description = {"network": "tar", "configuration": options.configuration, "settings": dataclasses.asdict(settings)}
    if options.start is not None:
        taken = begin_from(network, options.start)
        description["begun_from"] = options.start.parent.name
        report.say(f"{taken} of {len(network.state_dict())} tensors begin with those of {options.start}")
    trainer = Trainer(network, body, data[0], data[1], schedule, options.out, device, description)
    if options.resume:
        trainer.resume()
    trainer.run()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="video-motion train tar", description=__doc__)
    add_options(parser)
    try:
        run(parser.parse_args(argv))
    except (TrainingError, ShardError) as error:
        report.say(f"video-motion: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
