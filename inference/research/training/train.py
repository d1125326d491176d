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
from torch import Tensor

from ... import console, registry
from ...body.smpl import Body
from ...errors import reason
from ...pose import features
from ..networks import configurations
from ..networks.base import SIZE as ESTIMATE
from ..networks.base import Network
from ..networks.configurations import Configuration, ConfigurationError
from ..networks.encoders import load_public_weights
from ..networks.export import read_weights
from ..networks.lifter import Lifter
from ..networks.settings import Settings
from .batches import Sampling
from .imagined import Severity
from .losses import LOSSES
from .sequences import (
    LIBRARY,
    FilmedFootage,
    Footage,
    SequenceSource,
    StagedFootage,
    WindowSource,
    load_library,
)
from .shards import ShardError
from .synthesis.error_transfer import DetectorErrors
from .trainer import Schedule, Source, Trainer, TrainingError, read_checkpoint, uncommitted
from .validation import Check, SequenceCheck

_SETTINGS = "settings"
_STANDARDISED_ON = 512
# The same of an image encoder, each window of which takes several pictures.
_PICTURED = 16
_ROUNDED = 64
_Settings = TypeVar("_Settings", Settings, Schedule, Sampling, Severity)


def changed_settings(
    name: str, changes: Sequence[str], schedule: Schedule | None = None
) -> tuple[Configuration, Schedule]:
    """A configuration by name, and a schedule, with changes.

    Args:
        name: among the configurations.
        changes: such as `refine=false` and `local_window=3`, or `severity.jitter=0`, `sampling.filmed=0.2` and
            `schedule.clip=1`.
        schedule: to change; None for the default one.

    Raises:
        TrainingError: there is no such configuration or setting, or the value does not fit.
    """
    try:
        default = configurations.configuration(name)
    except ConfigurationError as error:
        raise TrainingError(str(error)) from error
    schedule = schedule or Schedule()
    groups: dict[str, dict[str, str]] = {_SETTINGS: {}, "schedule": {}, "sampling": {}, "severity": {}}
    for change in changes:
        key, sign, text = change.partition("=")
        group, dot, field = key.partition(".")
        if not dot:
            group, field = _SETTINGS, key
        if not sign or group not in groups:
            raise TrainingError(
                f"{change} does not fit: write NAME=VALUE, or severity., sampling. or schedule.NAME=VALUE."
            )
        groups[group][field] = text
    severity = _changed(schedule.sampling.severity, groups["severity"])
    sampling = dataclasses.replace(_changed(schedule.sampling, groups["sampling"]), severity=severity)
    schedule = dataclasses.replace(_changed(schedule, groups["schedule"]), sampling=sampling)
    return dataclasses.replace(default, settings=_changed(default.settings, groups[_SETTINGS])), schedule


def _changed(settings: _Settings, changes: Mapping[str, str]) -> _Settings:
    defaults = {
        item.name: getattr(settings, item.name)
        for item in dataclasses.fields(settings)
        if isinstance(getattr(settings, item.name), (bool, int, float, str, tuple))
    }
    values: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in defaults:
            raise TrainingError(f"{name}={text} does not fit: there are {', '.join(defaults)}.")
        try:
            values[name] = text if isinstance(defaults[name], str) else _typed_like(defaults[name], json.loads(text))
        except ValueError as error:
            raise TrainingError(
                f"{name}={text} does not fit: write it like {name}={json.dumps(defaults[name])}."
            ) from error
    return dataclasses.replace(settings, **values)


def _typed_like(default: object, value: object) -> object:
    """The value in the type of the default; raises ValueError if it is of another kind."""
    if isinstance(default, tuple) and isinstance(value, list) and value:
        return tuple(_typed_like(default[0], item) for item in value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ValueError
    return value


def loss_weights(defaults: Mapping[str, float], changes: Sequence[str]) -> dict[str, float]:
    """Weights of the losses, with changes such as `joint_distance=60`; 0 removes a loss.

    Raises:
        TrainingError: there is no such loss, or its weight is not a number from 0.
    """
    weights, known = dict(defaults), dict.fromkeys((*LOSSES, *defaults))
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


def initialise_from(network: Network, checkpoints: Sequence[Path]) -> int:
    """Load the averaged weights of other trainings where names and sizes agree; returns how many tensors were loaded.

    Args:
        network: to be trained.
        checkpoints: of trainings, or exported networks (`.onnx`). Earlier ones take precedence.

    Raises:
        TrainingError: a file is not a checkpoint, or nothing in it fits.
        ExportError: an exported network is of another kind or size.
    """
    mine = network.state_dict()
    loaded: dict[str, Tensor] = {}
    for checkpoint in checkpoints:
        if checkpoint.suffix == ".onnx":
            state = read_weights(checkpoint, network)
        else:
            averaged = read_checkpoint(checkpoint)["averaged"]
            state = {name.removeprefix("module."): values for name, values in averaged.items()}
        fitting = {name: state[name] for name in mine if name in state and state[name].shape == mine[name].shape}
        if not fitting:
            raise TrainingError(f"{checkpoint} is of another network: nothing in it fits.")
        loaded = fitting | loaded
    network.load_state_dict(loaded, strict=False)
    return len(loaded)


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
    chosen, schedule = changed_settings(name, options.set, schedule)
    if chosen.network != options.network:
        raise TrainingError(f"{name} is a configuration of {chosen.network}, not of {options.network}.")
    schedule = dataclasses.replace(schedule, weights=loss_weights(chosen.losses, options.loss))
    settings = chosen.settings
    if options.threads:
        torch.set_num_threads(options.threads)
    has_cuda = torch.cuda.is_available()
    if options.device == "cuda" and not has_cuda:
        raise TrainingError("This computer has no GPU that PyTorch can use: leave out --device cuda.")
    device = "cuda" if has_cuda and options.device != "cpu" else "cpu"
    if (options.out / "checkpoint.pt").exists() and not options.resume:
        raise TrainingError(f"{options.out} holds another training: add --resume to go on, or name another folder.")

    if uncommitted() and not options.uncommitted:
        raise TrainingError(
            "The code has changes that are not committed, so nobody could train this again: commit first."
        )
    torch.manual_seed(schedule.seed)
    body = Body.load(options.smpl or registry.body_path())
    try:
        network = chosen.build(body)
    except ValueError as error:
        raise TrainingError(f"The settings of {name} do not fit: {error}.") from error
    _prepare_encoder(network, options, schedule)
    train, check = _data(network, options.data, options.lifter, options.smpl, device)
    description = {
        "network": chosen.network,
        "configuration": name,
        _SETTINGS: dataclasses.asdict(settings),
        "features": features.VERSION,
        "begun_from": [path.absolute().parent.name for path in options.start],
    }
    if options.encoder is not None:
        description["encoder"] = options.encoder.name
    if network.licensed:
        description["licensed"] = True
    if not options.start and not options.resume:
        count = _STANDARDISED_ON if network.images is None else _PICTURED
        some = train.draw(count, schedule.sampling, np.random.default_rng(schedule.seed)).inputs
        with torch.no_grad():
            network.standardise(network.encode({key: torch.from_numpy(values) for key, values in some.items()}))
    if options.start:
        loaded = initialise_from(network, options.start)
        console.say(
            f"{loaded} of {len(network.state_dict())} tensors begin with those of {', '.join(map(str, options.start))}"
        )
    # A GPU leaves the CPU free for sampling; without one, sampling costs little compared with the network.
    workers = max(1, torch.get_num_threads() - 1) if device == "cuda" else 1
    trainer = Trainer(network, body, train, check, schedule, options.out, device, description, workers=workers)
    if options.resume:
        trainer.resume()
    return trainer.run()


def _prepare_encoder(network: Network, options: argparse.Namespace, schedule: Schedule) -> None:
    """Give an image encoder its public weights, and keep it as it is unless it is to learn.

    Raises:
        TrainingError: the weights are not those of the encoder, or not told although it does not learn.
    """
    encoder, name = network.images, network.settings.encoder
    if encoder is None:
        if name != "blazepose":
            raise TrainingError(f"{options.network} can't see by {name}: choose another network, or leave the encoder.")
        if options.encoder is not None:
            raise TrainingError("--encoder has weights of an image encoder, which this configuration does not have.")
        return
    if not (schedule.encoder_rate or options.encoder or options.start or options.resume):
        raise TrainingError(
            f"{name} is not trained and would not learn: name its public weights with --encoder FILE, or let it learn"
            " with --set schedule.encoder_rate=1."
        )
    if options.encoder is not None:
        try:
            state = torch.load(options.encoder, map_location="cpu", weights_only=True)
            load_public_weights(encoder, state.get("state_dict", state))
        except KeyError as error:
            raise TrainingError(f"{options.encoder} is not of {name}: {error.args[0]}.") from error
        except Exception as error:  # torch.load raises many kinds on damaged files
            raise TrainingError(f"{options.encoder} can't be read as weights of {name} ({reason(error)}).") from error
    if not schedule.encoder_rate:
        encoder.freeze()


def _data(
    network: Network, folder: Path, lifter_checkpoint: Path | None, smpl: Path | None, device: str
) -> tuple[Source, Check]:
    """What a network is trained and measured on."""
    body_path = smpl or registry.body_path()
    body = Body.load(body_path)
    if network.images is not None:
        # Neither the lifter's features nor posed people, who can't be seen.
        train, held_out = (FilmedFootage(folder / split, body, with_pictures=True) for split in ("train", "validation"))
        source, windows = (
            WindowSource(None, footage, None, network.settings, network.sees, targets)
            for footage, targets in ((train, network.targets), (held_out, 1))
        )
        return source, SequenceCheck(held_out, body, windows.frames, windows)
    paths = sorted((folder / "train").glob("*.npz"))
    # A data set's people need no others who are posed.
    library = None if paths and not (folder / LIBRARY).exists() else load_library(folder)
    lifter = network if isinstance(network, Lifter) else _lifter(network, lifter_checkpoint, smpl).to(device)
    frames = lifter.settings.frames

    def filmed(split: str) -> FilmedFootage | None:
        if library is not None and not any((folder / split).glob("*.npz")):
            return None
        # For training the detector looks at regions of interest in few frames only: there they are imagined.
        with_regions = "regions" in network.needs and split == "validation"
        try:
            return FilmedFootage(folder / split, body, "maps" in network.needs, with_regions)
        except ShardError as error:
            if not with_regions or library is None:
                raise
            console.say(f"{error} Meanwhile the network is measured on posed people.")
            return None

    train, held_out = filmed("train"), filmed("validation")
    staged = staged_check = None
    if library is not None:
        quick_body = Body.load(body_path, np.float32)
        errors = DetectorErrors.from_shards([] if train is None else train.shards, body, frames)
        staged = StagedFootage(library, "train", quick_body, errors)
        staged_check = StagedFootage(library, "validation", quick_body)
    if network is lifter:
        return SequenceSource(staged, train, frames), SequenceCheck(_either(held_out, staged_check), body, frames)
    sources = [
        WindowSource(own, footage, lifter, network.settings, network.needs, targets)
        for own, footage, targets in ((staged, train, network.targets), (staged_check, held_out, 1))
    ]
    if "maps" in network.needs and any(source.footage[1] is None for source in sources):
        raise TrainingError(
            f"{folder} lacks rendered people, whose local maps this network needs: make some with `train data`."
        )
    return sources[0], SequenceCheck(_either(held_out, staged_check), body, frames, sources[1])


def _either(filmed: Footage | None, staged: Footage | None) -> Footage:
    """The held-out people: filmed ones if there are any."""
    held_out = filmed or staged
    assert held_out is not None
    return held_out


def _lifter(network: Network, checkpoint: Path | None, smpl: Path | None) -> Lifter:
    """The lifter whose features a network sees."""
    if checkpoint is None:
        raise TrainingError("Other networks than the lifter see its features: name its checkpoint with --lifter FILE.")
    lifter = load_trained(checkpoint, smpl)[0]
    if not isinstance(lifter, Lifter):
        raise TrainingError(f"{checkpoint} is of another network than the lifter.")
    seen = features.SIZE + lifter.settings.width + ESTIMATE
    if seen != network.settings.features:
        raise TrainingError(f"{checkpoint} describes frames by {seen} numbers: add --set features={seen}.")
    return lifter


def load_trained(checkpoint: Path, smpl: Path | None = None) -> tuple[Network, str]:
    """The averaged network of a checkpoint, and its configuration's name.

    Args:
        checkpoint: of a training.
        smpl: the licensed body that it was trained with; None for the free one.

    Raises:
        TrainingError: the file is not a checkpoint of a training, or is of other features or networks than the current.
    """
    state = read_checkpoint(checkpoint)
    try:
        description = json.loads(state["description"])
        settings = configurations.settings_from(description["network"], description[_SETTINGS])
        configuration = Configuration(str(description["configuration"]), description["network"], settings, {})
        network = configuration.build(Body.load(smpl or registry.body_path()))
        prefix = "module."
        weights = {key.removeprefix(prefix): part for key, part in state["averaged"].items() if key.startswith(prefix)}
        network.load_state_dict(weights)
    except (ConfigurationError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(f"{checkpoint} does not fit the current networks: train it again ({reason}).") from error
    if description.get("features") != features.VERSION:
        raise TrainingError(f"{checkpoint} was trained on features that have changed since: train it again.")
    if description.get("licensed", False) != network.licensed:
        trained, how = ("the free", "leave out --smpl") if network.licensed else ("a licensed", "add --smpl FILE")
        raise TrainingError(f"{checkpoint} was trained with {trained} body: {how}.")
    return network.eval(), configuration.name


def export_weights(options: argparse.Namespace) -> str:
    """Write a trained network with the options of `train export`; returns a sentence about the files.

    Raises:
        TrainingError: the checkpoint can't be used.
    """
    # Only this command needs ONNX.
    from ..networks import export

    network, configuration = load_trained(options.checkpoint, options.smpl)
    name = options.name or configuration
    files = export.export(network, options.out, name, half=not options.full)
    difference = export.check_parity(network, options.out, name)
    written = ", ".join(f"{file} ({console.megabytes(file.stat().st_size)})" for file in files)
    summary = f"{written}: at most {difference:.1e} from PyTorch"
    if options.data and "maps" not in network.needs and network.images is None:
        source, _ = _data(network, options.data, options.lifter, options.smpl, "cpu")
        inputs = source.draw(_ROUNDED, Sampling(), np.random.default_rng(0)).inputs
        degrees, betas = export.rounding(network, files[-1], {key: inputs[key] for key in network.needs})
        summary += f"; rounding its weights changes rotations by {degrees:.2f}° and betas by {betas:.4f} at most"
    return summary
