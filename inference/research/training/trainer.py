"""Trains a network: within a given time, seeded, and resumable from a checkpoint."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ...atomic import atomic_write, write_json
from ...body.smpl import Body
from ...errors import VideoMotionError
from ...paths import ROOT
from ..networks.base import Estimate, Network, NetworkOutput
from ..networks.torch_body import TorchBody, marker_points, sixd_to_matrix, to_local
from . import curve, losses, progress
from .batches import Batch, Sampling
from .validation import Check

_LOG_SECONDS = 15.0
# Weight of a step in the running means of the losses.
_RECENT = 0.01
_MIN_RATE = 0.01
# Whose pictures an image encoder sees at once in validation.
_WINDOWS = 32
CURVES = ("MPJPE", "PA-MPJPE")


class TrainingError(VideoMotionError):
    """Training can't go on; the message is one sentence for the user."""


class Source(Protocol):
    """What a training draws from."""

    def draw(self, count: int, sampling: Sampling, rng: np.random.Generator) -> Batch:
        """Random windows."""
        ...

    def describe(self) -> dict[str, object]:
        """For the report."""
        ...


Objective = Callable[
    [Network, NetworkOutput, losses.PosedTruth, TorchBody, Mapping[str, float]], tuple[Tensor, dict[str, Tensor]]
]
"""From a network, its output, truth, body and weights to what is minimised, and the losses to report by name."""


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Attributes:
        minutes: of training and the validations in between, over all resumed runs; the last validation is not included.
        steps: maximum number, over all resumed runs; None for as many as the minutes allow.
        batch: windows a step.
        rate: Adam's highest learning rate.
        warm_up: share of the minutes, or of the steps if they end sooner, in which the rate rises.
        clip: largest norm of the gradient.
        average: decay of the averaged weights (EMA); lower in the first steps.
        seed: of all random numbers.
        check: minutes between validations, after each of which a checkpoint is written.
        check_sequences: number of sequences in a validation.
        last_check_sequences: in the last one; 0 for all.
        encoder_rate: how fast an image encoder learns, in relation to the rest; at 0 what public weights have of it
            stays as it is.
        weights: of the losses, by name.
        sampling: how windows are sampled.
    """

    minutes: float = 60.0
    steps: int | None = None
    batch: int = 64
    rate: float = 1e-4
    warm_up: float = 0.02
    clip: float = 4.0
    average: float = 0.999
    seed: int = 0
    check: float = 5.0
    check_sequences: int = 32
    last_check_sequences: int = 0
    encoder_rate: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)

    def share(self, elapsed: float, step: int) -> float:
        """The share of training that is done after so many seconds and steps, from 0 to 1."""
        shares = [elapsed / (60 * self.minutes)] if self.minutes > 0 else [1.0]
        if self.steps is not None:
            shares.append(step / self.steps if self.steps else 1.0)
        return min(max(shares), 1.0)

    def rate_at(self, share: float) -> float:
        """The learning rate when this share is done: a linear rise, then a cosine."""
        if share < self.warm_up:
            return self.rate * max(share / self.warm_up, _MIN_RATE)
        decayed = (share - self.warm_up) / (1 - self.warm_up)
        return self.rate * max(0.5 * (1 + math.cos(math.pi * decayed)), _MIN_RATE)


class Trainer:
    """Trains one network and its averaged copy, with checkpoints.

    Args:
        network: to train.
        body: of the data.
        train: what to train on.
        check: what to measure on.
        schedule: of the training.
        folder: for checkpoint, log, curve and report.
        device: `cpu` or `cuda`.
        description: of the network, for the report; a checkpoint is resumed only with the same one.
        objective: to minimise.
        workers: threads that sample batches; the batches do not depend on their number.
    """

    def __init__(
        self,
        network: Network,
        body: Body,
        train: Source,
        check: Check,
        schedule: Schedule,
        folder: Path,
        device: str,
        description: Mapping[str, object],
        objective: Objective = losses.total,
        workers: int = 1,
    ):
        self.network, self.train_data, self.check = network.to(device), train, check
        self.schedule, self.folder, self.device, self.description = schedule, folder, device, dict(description)
        self.objective, self.workers = objective, workers
        self.torch_body = TorchBody(body, marker_points(body)).to(device)
        self.averaged = AveragedModel(self.network, multi_avg_fn=moving_average(schedule.average))
        self.optimizer = torch.optim.Adam(_groups(self.network, schedule.encoder_rate), lr=schedule.rate)
        self.step, self.elapsed = 0, 0.0
        self.history: list[dict[str, float]] = []
        self._recent: dict[str, float] = {}
        self._stopped = False
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        """The file that training resumes from."""
        return self.folder / "checkpoint.pt"

    @property
    def log(self) -> Path:
        """One JSON object per line: running means of the losses, and the results of validations."""
        return self.folder / "log.jsonl"

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one.

        Raises:
            TrainingError: the file is damaged, or of another network.
        """
        if not self.checkpoint.exists():
            return
        state = read_checkpoint(self.checkpoint)
        described = json.loads(state.get("description", "{}"))
        if described and described != json.loads(json.dumps(self.description)):
            raise TrainingError(
                f"{self.checkpoint} was trained with other settings: resume with those, or train into another folder."
            )
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["random"])
            if self.device == "cuda" and state.get("random_cuda") is not None:
                torch.cuda.set_rng_state(state["random_cuda"])
            self.step, self.elapsed, self.history = state["step"], state["elapsed"], state["history"]
            self._recent = state.get("recent", {})
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise TrainingError(
                f"{self.checkpoint} does not fit this network: train into another folder ({reason})."
            ) from error
        if self.log.exists():
            lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True)
            self.log.write_text("".join(line for line in lines if json.loads(line)["step"] <= self.step), "utf-8")

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self.device == "cuda" else None,
            "step": self.step,
            "elapsed": self.elapsed,
            "history": self.history,
            "recent": self._recent,
            "description": json.dumps(self.description),
        }
        save_checkpoint(state, self.checkpoint)

    def run(self) -> dict[str, object]:
        """Train until time or steps are over or the user interrupts; returns and writes the report."""
        if not self.step:
            torch.manual_seed(self.schedule.seed)
            self.log.unlink(missing_ok=True)
        if self.device == "cuda":
            torch.set_float32_matmul_precision("high")
        baseline = self.check.baseline()
        began, before = time.monotonic(), self.elapsed
        checked = logged = self.elapsed
        logged_step, check_seconds = self.step, 0.0
        share = self.schedule.share(self.elapsed, self.step)
        shown = progress.share_bar("training", share)
        with self._stoppable(), closing(self._batches()) as batches, shown:
            while not self._stopped and share < 1:
                self._train_step(next(batches))
                self.elapsed = before + time.monotonic() - began
                if self.elapsed - logged > _LOG_SECONDS:
                    self._log_progress((self.step - logged_step) * self.schedule.batch / (self.elapsed - logged))
                    logged, logged_step = self.elapsed, self.step
                due = self.elapsed - checked > 60 * self.schedule.check
                if due and self.elapsed + check_seconds < 60 * self.schedule.minutes:
                    self._check(baseline, self.schedule.check_sequences)
                    self.save()
                    now = before + time.monotonic() - began
                    check_seconds, self.elapsed = now - self.elapsed, now
                    checked = logged = now
                    logged_step = self.step
                share = self.schedule.share(self.elapsed, self.step)
                progress.advance(shown, share, step=self.step, loss=self._recent.get("loss", math.nan))
        # The last validation may take long: save before it.
        self.save()
        whole = self.schedule.last_check_sequences or None
        final = self._check(baseline, self.schedule.check_sequences if self._stopped else whole)
        self.save()
        return self._report(final, baseline)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """The first interruption ends training with checkpoint and report; the second one raises KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: object) -> None:
            if self._stopped:
                raise KeyboardInterrupt
            self._stopped = True
            tqdm.write("interrupted: writing checkpoint and report", sys.stderr)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _batches(self) -> Generator[Batch]:
        """The batches of the next steps, sampled ahead in threads: unpacking maps releases the interpreter's lock."""
        ahead: deque[Future[Batch]] = deque()
        step = self.step
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while True:
                    while len(ahead) <= self.workers:
                        ahead.append(pool.submit(self._sample, step))
                        step += 1
                    yield ahead.popleft().result()
            finally:
                for batch in ahead:
                    batch.cancel()

    def _sample(self, step: int) -> Batch:
        rng = np.random.default_rng([self.schedule.seed, step])
        return self.train_data.draw(self.schedule.batch, self.schedule.sampling, rng)

    def tensor(self, values: np.ndarray) -> Tensor:
        """An array on the network's device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _forward(self, network: Network, batch: Batch) -> NetworkOutput:
        names = network.sees + (network.training_needs if network.training else ())
        return network(**network.encode({name: self.tensor(batch.inputs[name]) for name in names}))

    def _train_step(self, batch: Batch) -> None:
        self.network.train()
        truth = losses.PosedTruth.from_smpl(
            self.torch_body,
            self.tensor(batch.rotations),
            self.tensor(batch.betas),
            self.tensor(batch.pelvis),
            self.tensor(batch.true_box),
            self.tensor(batch.box),
            self.tensor(batch.weights),
        )
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            output = self._forward(self.network, batch)
        estimates = [Estimate(*(part.float() for part in estimate)) for estimate in output.estimates]
        output = NetworkOutput(estimates, output.shares, {name: part.float() for name, part in output.extra.items()})
        loss, parts = self.objective(self.network, output, truth, self.torch_body, self.schedule.weights)
        for group in self.optimizer.param_groups:
            rate = self.schedule.rate_at(self.schedule.share(self.elapsed, self.step))
            group["lr"] = group.get("share", 1.0) * rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        # A batch that overflows must not destroy the weights.
        if norm.isfinite():
            self.optimizer.step()
            self.averaged.update_parameters(self.network)
            for name, part in {"loss": loss.detach(), **parts}.items():
                value = float(part)
                self._recent[name] = value + (1 - _RECENT) * (self._recent.get(name, value) - value)
        self.step += 1

    def estimate(self, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The averaged network's local rotations (B, 24, 3, 3) in crop axes, betas (B, 10), and crop cameras (B, 3)."""
        network = self.averaged.module
        assert isinstance(network, Network)
        network.eval()
        # Pictures of all windows, and what is made of them, would fill the memory.
        size = _WINDOWS if "pictures" in batch.inputs else len(batch.box)
        rotations, betas, cameras = [], [], []
        with torch.no_grad():
            for start in range(0, len(batch.box), size):
                windows = slice(start, start + size)
                part = batch.rows(windows, windows) if "pictures" in batch.inputs else batch
                last = self._forward(network, part).estimates[-1]
                rotations.append(to_local(sixd_to_matrix(last.sixd)).cpu().numpy().astype(float))
                betas.append(last.betas.cpu().numpy())
                cameras.append(last.camera.cpu().numpy().astype(float))
        return np.concatenate(rotations), np.concatenate(betas), np.concatenate(cameras)

    def _log_progress(self, windows_per_second: float) -> None:
        self._write({"rate": self.optimizer.param_groups[0]["lr"], "windows_per_second": windows_per_second})

    def _write(self, values: Mapping[str, float]) -> dict[str, float]:
        line = {"minutes": self.elapsed / 60, "step": self.step, **self._recent, **values}
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        return line

    def _check(self, baseline: Mapping[str, float], sequences: int | None) -> dict[str, float]:
        measured = self.check.measure(self.estimate, sequences)
        self.history.append(self._write(measured))
        tqdm.write(
            f"{self.elapsed / 60:.1f} min, step {self.step}, loss {self._recent.get('loss', math.nan):.3f}: "
            + ", ".join(f"{name} {value:.1f}" for name, value in measured.items()),
            sys.stderr,
        )
        series = {name: [(line["minutes"], line[name]) for line in self.history] for name in CURVES}
        levels = {f"BlazePose {name}": baseline[name] for name in CURVES}
        curve.draw(series, levels, "validation, mm", self.folder / "curve.png")
        return measured

    def _report(self, final: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, object]:
        content: dict[str, object] = {
            **self.description,
            "parameters": sum(part.numel() for part in self.network.parameters()),
            "minutes": round(self.elapsed / 60, 1),
            "steps": self.step,
            "interrupted": self._stopped,
            "device": torch.cuda.get_device_name()
            if self.device == "cuda"
            else f"cpu, {torch.get_num_threads()} threads",
            "commit": _commit(),
            "data": self.train_data.describe(),
            "schedule": asdict(self.schedule),
            "validation": {"network": dict(final), "BlazePose": dict(baseline)},
        }
        write_json(self.folder / "report.json", content)
        (self.folder / "report.md").write_text(_summary(content, final, baseline), encoding="utf-8")
        return content


def _groups(network: Network, encoder_rate: float) -> list[dict[str, Any]]:
    """What learns, by how fast."""
    if network.images is None:
        return [{"params": [part for part in network.parameters() if part.requires_grad]}]
    learning = [(name, part) for name, part in network.named_parameters() if part.requires_grad]
    new = tuple(f"images.{name}" for name in network.images.trained_here)
    known = [name.startswith("images.") and not name.startswith(new) for name, _ in learning]
    return [
        {"params": [part for (_, part), one in zip(learning, known, strict=True) if one == group], "share": share}
        for group, share in ((False, 1.0), (True, encoder_rate))
    ]


def save_checkpoint(state: Mapping[str, object], path: Path) -> None:
    """Write a checkpoint; the file appears only when it is complete."""
    with atomic_write(path) as temporary:
        torch.save(dict(state), temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in the file is executed.

    Raises:
        TrainingError: the file is missing or not a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds on damaged files
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise TrainingError(f"{path} can't be read as a checkpoint; name another one ({reason}).") from error
    if not (isinstance(state, dict) and "averaged" in state):
        raise TrainingError(f"{path} is not a checkpoint of a training; name another one.")
    return state


def moving_average(decay: float) -> Callable[..., None]:
    """An exponential moving average with a lower decay in the first steps, when weights change fast."""

    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        current_decay = min(decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(current_decay)(averaged, current, count)

    return update


def _summary(content: Mapping[str, object], final: Mapping[str, float], baseline: Mapping[str, float]) -> str:
    shown = ("network", "configuration", "parameters", "minutes", "steps", "device", "commit", "data")
    lines = [f"- {name}: {content[name]}" for name in shown if name in content]
    schedule = content["schedule"]
    assert isinstance(schedule, dict)
    lines += [f"- {name}: {schedule[name]}" for name in ("seed", "batch", "rate", "weights")]
    rows = [
        f"| {name} | {value:.1f} | {f'{baseline[name]:.1f}' if name in baseline else ''} |"
        for name, value in final.items()
    ]
    table = ["| validation | network | BlazePose |", "|---|---:|---:|", *rows]
    return "\n".join(["# Training", "", *lines, "", *table, "", "![Learning curve](curve.png)", ""])


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def uncommitted() -> bool:
    """Whether the code is another than that of its commit."""
    return bool(_git("status", "--porcelain", "--", "inference"))


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    return "unknown" if commit is None else f"{commit}, with changes" if uncommitted() else commit
