"""Train a network on a folder of training data."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ... import console, registry
from ...body.smpl import Body
from ...pose import features
from ..networks import configurations
from ..networks.base import Network
from ..networks.configurations import Configuration, ConfigurationError
from ..networks.settings import Settings
from .dataset import Dataset, WindowSampling
from .losses import LOSSES
from .noise import Noise
from .shards import ShardError
from .trainer import Schedule, Trainer, TrainingError, read_checkpoint
from .validation import rows_to_check

__all__ = ["ShardError", "TrainingError"]

_SETTINGS = "settings"
_TO_STANDARDISE = 512
_SOME = 4
_Settings = TypeVar("_Settings", Settings, Schedule, WindowSampling, Noise)


def settings_of(name: str, changes: Sequence[str], schedule: Schedule | None = None) -> tuple[Configuration, Schedule]:
    """A configuration by name, and a schedule, with changes.

    Args:
        name: among the configurations.
        changes: such as `refine=false` and `local_window=3`, or `noise.jitter=0`, `drawing.still=0.2` and
            `schedule.clip=1`.
        schedule: what the changes are made to; None for the usual one.

    Raises:
        TrainingError: there is no such configuration or setting, or the value does not fit.
    """
    try:
        usual = configurations.configuration(name)
    except ConfigurationError as error:
        raise TrainingError(str(error)) from error
    schedule = schedule or Schedule()
    groups: dict[str, dict[str, str]] = {_SETTINGS: {}, "schedule": {}, "drawing": {}, "noise": {}}
    for change in changes:
        key, sign, text = change.partition("=")
        group, dot, field = key.partition(".")
        if not dot:
            group, field = _SETTINGS, key
        if not sign or group not in groups:
            raise TrainingError(f"{change} does not fit: write NAME=VALUE, or noise., drawing. or schedule.NAME=VALUE.")
        groups[group][field] = text
    noise = _changed(schedule.drawing.noise, groups["noise"])
    drawing = dataclasses.replace(_changed(schedule.drawing, groups["drawing"]), noise=noise)
    schedule = dataclasses.replace(_changed(schedule, groups["schedule"]), drawing=drawing)
    return dataclasses.replace(usual, settings=_changed(usual.settings, groups[_SETTINGS])), schedule


def _changed(settings: _Settings, changes: Mapping[str, str]) -> _Settings:
    usual = {
        item.name: getattr(settings, item.name)
        for item in dataclasses.fields(settings)
        if isinstance(getattr(settings, item.name), (bool, int, float, str, tuple))
    }
    values: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in usual:
            raise TrainingError(f"{name}={text} does not fit: there are {', '.join(usual)}.")
        try:
            values[name] = text if isinstance(usual[name], str) else _like(usual[name], json.loads(text))
        except ValueError as error:
            raise TrainingError(
                f"{name}={text} does not fit: write it like {name}={json.dumps(usual[name])}."
            ) from error
    return dataclasses.replace(settings, **values)


def _like(usual: object, value: object) -> object:
    """The value in the type of the usual one; raises ValueError if it is of another kind."""
    if isinstance(usual, tuple) and isinstance(value, list) and value:
        return tuple(_like(usual[0], item) for item in value)
    if isinstance(usual, float) and type(value) is int:
        return float(value)
    if type(value) is not type(usual):
        raise ValueError
    return value


def weights_of(usual: Mapping[str, float], changes: Sequence[str]) -> dict[str, float]:
    """Weights of the losses, with changes such as `joint_distance=60`; 0 leaves a loss out.

    Raises:
        TrainingError: there is no such loss, or its weight is no number.
    """
    weights, known = dict(usual), dict.fromkeys((*LOSSES, *usual))
    for change in changes:
        name, _, text = change.partition("=")
        if name not in known:
            raise TrainingError(f"{change} does not fit: the losses are {', '.join(known)}.")
        try:
            weights[name] = float(text)
        except ValueError:
            weights[name] = math.nan
        if not 0 <= weights[name] < math.inf:
            raise TrainingError(f"{change} does not fit: write a weight from 0, like {name}=60.")
    return {name: weight for name, weight in weights.items() if weight}


def begin_from(network: nn.Module, checkpoints: Sequence[Path]) -> int:
    """Take over the averaged weights of other trainings, as far as names and sizes agree; returns their number.

    What the first one lacks comes from the second, and so on.

    Raises:
        TrainingError: a file is no checkpoint, or nothing of it fits.
    """
    mine = network.state_dict()
    taken: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        state = read_checkpoint(checkpoint)["averaged"]
        fitting = {
            name: state[f"module.{name}"]
            for name in mine
            if f"module.{name}" in state and state[f"module.{name}"].shape == mine[name].shape
        }
        if not fitting:
            raise TrainingError(f"{checkpoint} is of another network: nothing of it fits.")
        taken = fitting | taken
    network.load_state_dict(taken, strict=False)
    return len(taken)


def run(options: argparse.Namespace) -> dict[str, object]:
    """Train with the options of `train NETWORK`; returns the report.

    Raises:
        TrainingError: an option does not fit.
        ShardError: the data can't be read.
    """
    schedule = Schedule(
        minutes=options.minutes,
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        seed=options.seed,
        check=options.check,
    )
    name = options.configuration or f"{options.network}-compact"
    chosen, schedule = settings_of(name, options.set, schedule)
    if chosen.network != options.network:
        raise TrainingError(f"{name} is a configuration of {chosen.network}, not of {options.network}.")
    schedule = dataclasses.replace(schedule, weights=weights_of(chosen.losses, options.loss))
    settings = chosen.settings
    if settings.features != features.SIZE:
        raise TrainingError(f"{name} looks at pictures, which training data do not hold.")
    if options.threads:
        torch.set_num_threads(options.threads)
    has_cuda = torch.cuda.is_available()
    if options.device == "cuda" and not has_cuda:
        raise TrainingError("This computer has no GPU that PyTorch can use: leave --device cuda away.")
    device = "cuda" if has_cuda and options.device != "cpu" else "cpu"
    if (options.out / "checkpoint.pt").exists() and not options.resume:
        raise TrainingError(f"{options.out} holds another training: add --resume to go on, or name another folder.")

    torch.manual_seed(schedule.seed)
    body = Body.load(registry.body_path())
    try:
        network = chosen.build(body)
    except ValueError as error:
        raise TrainingError(f"The settings of {name} do not fit: {error}.") from error
    train = Dataset(options.data, "train", body, settings, network.needs + network.training_needs)
    check = Dataset(options.data, "validation", body, settings, network.needs)
    description = {
        "network": chosen.network,
        "configuration": name,
        _SETTINGS: dataclasses.asdict(settings),
        "features": features.VERSION,
        "begun_from": [path.absolute().parent.name for path in options.start],
    }
    if not options.start and not options.resume:
        some = train.draw(_TO_STANDARDISE, schedule.drawing, np.random.default_rng(schedule.seed)).inputs
        network.standardise({key: torch.from_numpy(values) for key, values in some.items()})
    if options.start:
        taken = begin_from(network, options.start)
        console.say(
            f"{taken} of {len(network.state_dict())} tensors begin with those of {', '.join(map(str, options.start))}"
        )
    # A GPU leaves the CPU free to draw; without one, drawing takes little beside the network.
    workers = max(1, torch.get_num_threads() - 1) if device == "cuda" else 1
    trainer = Trainer(network, body, train, check, schedule, options.out, device, description, workers=workers)
    if options.resume:
        trainer.resume()
    return trainer.run()


def trained(checkpoint: Path) -> tuple[Network, str]:
    """The averaged network of a checkpoint, and its configuration's name.

    Raises:
        TrainingError: the file is no checkpoint of a training, or of other features or networks than today's.
    """
    state = read_checkpoint(checkpoint)
    try:
        told = json.loads(state["description"])
        settings = configurations.settings_from(told["network"], told[_SETTINGS])
        configuration = Configuration(str(told["configuration"]), told["network"], settings, {})
        network = configuration.build(Body.load(registry.body_path()))
        prefix = "module."
        weights = {key.removeprefix(prefix): part for key, part in state["averaged"].items() if key.startswith(prefix)}
        network.load_state_dict(weights)
    except (ConfigurationError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(f"{checkpoint} does not fit today's networks: train it again ({reason}).") from error
    if told.get("features") != features.VERSION:
        raise TrainingError(f"{checkpoint} was trained on features that have changed since: train it again.")
    return network.eval(), configuration.name


def export_weights(options: argparse.Namespace) -> str:
    """Write a trained network as `train export`'s options say; returns a sentence on what was written.

    Raises:
        TrainingError: the checkpoint can't be used.
    """
    # ONNX is for this command alone.
    from ..networks import export

    network, configuration = trained(options.checkpoint)
    name = options.name or configuration
    files = export.export(network, options.out, name, half=not options.full)
    difference = export.check_parity(network, options.out, name)
    written = ", ".join(f"{file} ({console.megabytes(file.stat().st_size)})" for file in files)
    told = f"{written}: at most {difference:.1e} from PyTorch"
    if options.data and "maps" not in network.needs:
        body = Body.load(registry.body_path())
        data = Dataset(options.data, "validation", body, network.settings, network.needs)
        inputs = data.at(rows_to_check(data)[::_SOME]).inputs
        degrees, betas = export.rounding(network, files[-1], {key: inputs[key] for key in network.needs})
        told += f"; rounding its weights turns joints by {degrees:.2f}° and moves betas by {betas:.4f} at most"
    return told
