"""Trains the network that says which points of the feet stand (`motion/footing.py`).

Its input is what the product makes of a detector's landmarks, up to bodies on a floor, so that it learns how feet look
that truly stand. Recorded people are posed before cameras and get errors of rendered ones.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ... import console, registry
from ...atomic import atomic_write, write_json
from ...batch.inputs import Call, VideoInput
from ...body.smpl import Body
from ...camera.intrinsics import Camera, intrinsics
from ...estimators import LIFTER
from ...motion import footing, standing
from ...motion.estimate import stand
from ...people import sides
from ...pose.temporal import TemporalNetwork, VideoContext
from ..evaluation.scenes.recipes import RECIPES, read_recipes
from . import shards
from .mocap.library import Library
from .synthesis.error_transfer import DetectorErrors, recorded_shard, rendered_shards
from .synthesis.generate import FRAMES, split_clips
from .trainer import moving_average

SPLITS = ("validation", "train")

_SEQUENCES, _VALIDATION_FILES = 32, 6
_NETWORK = "cosegmentation"
_FOUND, _LEAST_FRAMES = 0.5, 8
# Footage seldom tells its focal length: in half of the sequences it is the assumed one.
_KNOWN_LENS = 0.5
# From a shard's left heel, left toe, right heel, right toe to heels, then toes.
_FROM_SHARD = [0, 2, 1, 3]
_BATCH, _DROPOUT, _WEIGHT_DECAY, _WARM_UP, _CLIP, _AVERAGE = 32, 0.2, 3e-2, 100, 1.0, 0.998
# How wrong inputs are made, in their standard deviations.
_WRONG_ALWAYS, _WRONG = 0.15, 0.15
# A missed stand slides, while one too many shows when the foot moves away: so much more is the former worth.
_MISSED = 1.6
_CHECK_SECONDS = 30.0
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Walk:
    """Somebody over n frames, as the network sees them.

    Attributes:
        inputs: (n, 65) `footing.features`.
        stands: (n, 4) which points of `contacts.SOLE_LANDMARKS` truly stand.
    """

    inputs: np.ndarray
    stands: np.ndarray


class FootingNetwork(nn.Module):
    """The network of `motion.footing` in torch; its weights have the same names."""

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int):
        super().__init__()
        width, taps, dilations = footing.WIDTH, footing.TAPS, footing.DILATIONS
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.first = nn.Linear(inputs, width)
        self.wide = nn.ModuleList(
            nn.Conv1d(width, width, taps, dilation=dilation, padding=dilation * (taps // 2)) for dilation in dilations
        )
        self.mixed = nn.ModuleList(nn.Linear(width, width) for _ in dilations)
        self.last = nn.Linear(width, len(footing.MIRROR))
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, inputs: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, n, 4) of inputs (B, n, C); ``inside`` (B, n) is 0 beyond the end of a shorter walk."""
        within = inside[..., None]
        hidden = torch.relu(self.first(self.dropout((inputs - self.mean) / self.spread))) * within
        for wide, mixed in zip(self.wide, self.mixed, strict=True):
            seen = torch.relu(wide(hidden.transpose(1, 2))).transpose(1, 2)
            hidden = (hidden + mixed(self.dropout(seen))) * within
        return self.last(self.dropout(hidden))


def walks(shard: shards.Shard, body: Body, network: TemporalNetwork, rng: np.random.Generator) -> Iterator[Walk]:
    """The sequences of a shard in which somebody is seen for long enough, and their mirror images."""
    for number, (start, end) in enumerate(pairwise(shard.sequence_starts)):
        if shard.found[start:end].sum() < max(_FOUND * (end - start), _LEAST_FRAMES):
            continue
        width, height = map(int, shard.image_size[number])
        K = shard.camera_K[number].astype(float) if rng.random() < _KNOWN_LENS else intrinsics((width, height))
        turns, moves = shard.camera_turns[start:end].astype(float), shard.camera_moves[start:end].astype(float)
        timestamps = shard.timestamps[start:end].astype(float)
        track = sides.mended(shards.track_from_shard(shard, number))
        (subject,), transform = stand(
            [track],
            np.arange(end - start),
            timestamps,
            Camera((width, height), K, turns, moves),
            body,
            pose_estimates=[network.estimate(track, VideoContext(K))],
        )
        steps = standing.steps(subject, transform)
        times = footing.even_times(steps.timestamps)
        nearest = np.abs(times[:, None] - timestamps).argmin(axis=1)
        stands = shard.contacts[start:end][nearest][:, _FROM_SHARD]
        evenly = steps.at(times)
        yield Walk(footing.features(evenly).astype(np.float32), stands)
        yield Walk(footing.features(evenly.mirrored()).astype(np.float32), stands[:, footing.MIRROR])


def write_walks(path: Path, some: Sequence[Walk]) -> None:
    """Write walks to a file; it appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            allow_pickle=False,
            starts=np.cumsum([0, *(len(walk.inputs) for walk in some)]),
            inputs=np.concatenate([walk.inputs for walk in some]),
            stands=np.concatenate([walk.stands for walk in some]),
        )


def read_walks(path: Path) -> list[Walk]:
    """The walks of a file that `write_walks` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        starts, inputs, stands = archive["starts"], archive["inputs"], archive["stands"]
    return [Walk(inputs[start:end], stands[start:end]) for start, end in pairwise(starts)]


def calls(options: argparse.Namespace) -> Iterator[VideoInput]:
    """The files of walks that are not there, until the time of `train footing` is over."""
    until = time.monotonic() + 60 * options.data_minutes
    data = options.data.absolute()
    read = [str(file) for file in (data / "library.npz", *rendered_shards(data))]
    for split, count in zip(SPLITS, (_VALIDATION_FILES, options.files), strict=True):
        for number in range(count):
            target = options.out / "walks" / split / f"{number:06d}"
            file = target.with_suffix(".npz")
            # A first file of each kind is made however short the time is: there is no training without.
            if file.exists() or (number and time.monotonic() > until):
                continue
            arguments = {"data": str(data), "split": split, "number": number, "seed": options.seed}
            yield VideoInput(file, target, call=Call("training.footing:make", arguments, read))


def make(
    out: Path, tell: Callable[[str, int, int | None], None], data: str, split: str, number: int, seed: int
) -> None:
    """Make a file of walks in a folder; see `calls`."""
    body, library, errors, network = _tools(data)
    # The scenes that motions are evaluated on are no training.
    scenes = {person.clip for scene in read_recipes(RECIPES).scenes.values() for person in scene.people}
    rng = np.random.default_rng([seed, 13, SPLITS.index(split), number])
    clips = np.array([clip for clip in split_clips(library, split) if library.names[clip] not in scenes])
    made = recorded_shard(rng, body, library, clips, errors, _SEQUENCES)
    seen = []
    for walk in walks(made, body, network, rng):
        seen.append(walk)
        tell("walks", len(seen), None)
    write_walks(out / f"{number:06d}.npz", seen)


@lru_cache(1)
def _tools(data: str) -> tuple[Body, Library, DetectorErrors, TemporalNetwork]:
    """What all walks are made with, loaded once."""
    body = Body.load(registry.body_path())
    rendered = shards.read_shards(rendered_shards(Path(data)), licensed=False)
    errors = DetectorErrors.from_shards(rendered, body, FRAMES)
    if errors is None:
        raise shards.ShardError(f"Sequences in {Path(data) / 'train'} are shorter than {FRAMES} frames: make others.")
    network = TemporalNetwork(registry.path(LIFTER), registry.path(_NETWORK), device="cpu")
    return body, Library.load(Path(data) / "library.npz"), errors, network


def _batch(some: Sequence[Walk]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, whether points stand, and whether frames exist, of walks of different lengths."""
    longest = max(len(walk.inputs) for walk in some)
    inputs = np.zeros((len(some), longest, some[0].inputs.shape[1]), np.float32)
    stands, inside = np.zeros((len(some), longest, 4), np.float32), np.zeros((len(some), longest), np.float32)
    for row, walk in enumerate(some):
        length = len(walk.inputs)
        inputs[row, :length], stands[row, :length], inside[row, :length] = walk.inputs, walk.stands, 1
    return torch.from_numpy(inputs), torch.from_numpy(stands), torch.from_numpy(inside)


def _disturbed(inputs: Tensor, spread: Tensor) -> Tensor:
    """Inputs (B, n, C) that are a little wrong, some of it all the time."""
    always = _WRONG_ALWAYS * torch.randn(len(inputs), 1, inputs.shape[2])
    return inputs + spread * (always + _WRONG * torch.randn(inputs.shape))


def _loss(logits: Tensor, stands: Tensor, inside: Tensor) -> Tensor:
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, stands, reduction="none", pos_weight=torch.tensor(_MISSED)
    )
    return (each.mean(-1) * inside).sum() / inside.sum()


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """The arrays that `motion.footing.Footing` reads."""
    return {name: values.numpy() for name, values in network.state_dict().items()}


def scores(trained: footing.Footing, some: Sequence[Walk]) -> dict[str, float]:
    """Cross entropy, and precision and recall of standing heels and toes."""
    logits = np.concatenate([trained.logits(walk.inputs) for walk in some])
    stands = np.concatenate([walk.stands for walk in some])
    said = logits > 0
    entropy = np.logaddexp(0, np.where(stands, -logits, logits)).mean()
    result = {"cross entropy": float(entropy)}
    for name, columns in (("heels", slice(0, 2)), ("toes", slice(2, 4))):
        right = float((said & stands)[:, columns].sum())
        result[f"{name}, precision"] = right / max(float(said[:, columns].sum()), 1.0)
        result[f"{name}, recall"] = right / max(float(stands[:, columns].sum()), 1.0)
    return result


def run(options: argparse.Namespace, work: Callable[[Iterator[VideoInput]], int]) -> dict[str, float]:
    """Make walks and train with the options of `train footing`; returns the scores on held-out recordings.

    Writes OUT/footing.npz and OUT/report.json.

    Raises:
        MocapError: the data's library is missing.
        ShardError: there is no rendered data, or it can't be read.
    """
    Library.load(options.data / "library.npz")
    rendered_shards(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    if work(calls(options)):
        raise shards.ShardError(
            f"Not all files of {options.out / 'walks'} are there: the same command goes on with them."
        )
    validation, train = (
        [walk for path in sorted((options.out / "walks" / split).glob("*.npz")) for walk in read_walks(path)]
        for split in SPLITS
    )
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    network = FootingNetwork(train[0].inputs.shape[1])
    every = np.concatenate([walk.inputs for walk in train])
    network.mean.copy_(torch.from_numpy(every.mean(axis=0)))
    network.spread.copy_(torch.from_numpy(every.std(axis=0) + _LEAST_SPREAD))
    averaged = AveragedModel(network, multi_avg_fn=moving_average(_AVERAGE))
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=_WEIGHT_DECAY)
    rng = np.random.default_rng(options.seed)
    begun = checked = time.monotonic()
    step = 0
    while (share := (time.monotonic() - begun) / (60 * options.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))
        inputs, stands, inside = _batch([train[row] for row in rng.integers(0, len(train), _BATCH)])
        loss = _loss(network(_disturbed(inputs, network.spread), inside), stands, inside)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        averaged.update_parameters(network)
        step += 1
        if time.monotonic() - checked > _CHECK_SECONDS:
            checked = time.monotonic()
            found = scores(footing.Footing(weights_of(averaged.module)), validation)
            console.say(f"{step} steps, loss {loss.item():.3f}; " + _in_words(found))
    arrays = {name: values.astype(np.float16) for name, values in weights_of(averaged.module).items()}
    path = options.out / "footing.npz"
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    found = scores(footing.Footing.load(path), validation)
    write_json(
        options.out / "report.json",
        {
            "walks": len(train),
            "frames": len(every),
            "minutes": options.minutes,
            "steps": step,
            "seed": options.seed,
            "held-out recordings": {name: round(value, 4) for name, value in found.items()},
            "training": {
                name: round(value, 4) for name, value in scores(footing.Footing.load(path), train[::10]).items()
            },
        },
    )
    return found


def _in_words(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in found.items())
