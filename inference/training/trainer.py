"""Trains a network: time-boxed, seeded, and from a checkpoint on where it was cut off."""

from __future__ import annotations

import json
import math
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Queue

import numpy as np
import torch
from torch import Tensor, nn

from .. import report
from ..body.smpl import Body
from ..networks.figure import Figure, sixd_to_matrix
from . import curve, losses
from .dataset import Batch, Dataset, Drawing
from .validation import rows_to_check, validate, validate_blazepose

_ROOT = Path(__file__).resolve().parents[2]


class TrainingError(Exception):
    """Training can't go on; the message is one sentence for the user."""


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Attributes:
        minutes: of training altogether, over all resumed runs.
        batch: windows a step.
        rate: Adam's highest learning rate.
        warm_up: share of the minutes in which the rate rises.
        clip: largest norm of the gradient.
        average: decay of the averaged weights (EMA).
        seed: of everything drawn.
        check: minutes between validations.
        check_sequences: sequences that a validation looks at; the last one looks at all.
        weights: of the losses, by name.
        drawing: how windows are drawn.
    """

    minutes: float = 60.0
    batch: int = 64
    rate: float = 1e-4
    warm_up: float = 0.02
    clip: float = 4.0
    average: float = 0.999
    seed: int = 0
    check: float = 5.0
    check_sequences: int = 64
    weights: Mapping[str, float] = field(default_factory=lambda: dict(losses.TAR_WEIGHTS))
    drawing: Drawing = field(default_factory=Drawing)


class Trainer:
    """One network, its averaged twin, its data, and the file that it can be resumed from.

    Args:
        network: called with frames, box and maps it gives a list of estimates, the best last.
        body: of the data.
        train: data to train on.
        check: data to validate on.
        schedule: how.
        folder: for checkpoint, log, curve and report.
        device: `cpu` or `cuda`.
        description: what the report says of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        body: Body,
        train: Dataset,
        check: Dataset,
        schedule: Schedule,
        folder: Path,
        device: str,
        description: Mapping[str, object],
    ):
        self.network, self.body, self.train_data, self.check_data = network.to(device), body, train, check
        self.schedule, self.folder, self.device, self.description = schedule, folder, device, dict(description)
        from ..networks.tar import marker_points

        self.figure = Figure(body, marker_points(body)).to(device)
        self.averaged = torch.optim.swa_utils.AveragedModel(self.network, multi_avg_fn=self._average)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=schedule.rate)
        self.scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
        self.step, self.elapsed = 0, 0.0
        self.history: list[dict[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        """The file that training resumes from."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            TrainingError: the file is damaged, or of another network.
        """
        if not self.checkpoint.exists():
            return
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            torch.set_rng_state(state["random"].cpu())
            self.step, self.elapsed, self.history = state["step"], state["elapsed"], state["history"]
        except Exception as error:  # torch.load raises many kinds on damaged files
            raise TrainingError(
                f"{self.checkpoint} can't be resumed from; train into another folder ({error})."
            ) from error

    def save(self) -> None:
        """Write the checkpoint; a half-written one never stands under its name."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "elapsed": self.elapsed,
            "history": self.history,
        }
        temporary = self.checkpoint.with_suffix(f".{os.getpid()}.part")
        try:
            torch.save(state, temporary)
            os.replace(temporary, self.checkpoint)
        finally:
            temporary.unlink(missing_ok=True)

    def run(self) -> dict[str, object]:
        """Train until the time is over or the user interrupts; returns the report, which is also written."""
        torch.manual_seed(self.schedule.seed + self.step)
        baseline = validate_blazepose(self.check_data, self.body, rows_to_check(self.check_data))
        checked = self.elapsed
        began, before = time.monotonic(), self.elapsed
        batches = self._batches()
        seen: dict[str, float] = {}
        try:
            while self.elapsed < 60 * self.schedule.minutes:
                self._learn(next(batches), seen)
                self.elapsed = before + time.monotonic() - began
                if self.elapsed - checked > 60 * self.schedule.check:
                    checked = self.elapsed
                    self._check(seen, baseline, self.schedule.check_sequences)
                    self.save()
        except KeyboardInterrupt:
            report.say("interrupted; checkpoint and report are written")
        finally:
            batches.close()
        final = self._check(seen, baseline, None)
        self.save()
        return self._report(final, baseline)

    def _batches(self) -> Iterator[Batch]:
        """Batches, drawn one ahead in a thread: unpacking maps frees the interpreter's lock."""
        ready: Queue[Batch] = Queue(maxsize=2)
        over = threading.Event()

        def draw(step: int) -> None:
            while not over.is_set():
                rng = np.random.default_rng([self.schedule.seed, step])
                ready.put(self.train_data.draw(self.schedule.batch, self.schedule.drawing, rng))
                step += 1

        worker = threading.Thread(target=draw, args=(self.step,), daemon=True)
        worker.start()
        try:
            while True:
                yield ready.get()
        finally:
            over.set()
            while worker.is_alive():
                while not ready.empty():
                    ready.get_nowait()
                worker.join(0.05)

    def _average(self, averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        # A long memory would hold on to the random beginning.
        decay = min(self.schedule.average, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def rate(self) -> float:
        """The learning rate of this moment: up in a straight line, down in a cosine."""
        share = min(self.elapsed / max(60 * self.schedule.minutes, 1e-9), 1.0)
        rise = self.schedule.warm_up
        if share < rise:
            return self.schedule.rate * max(share / rise, 0.01)
        return self.schedule.rate * max(0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise))), 0.01)

    def tensor(self, values: np.ndarray) -> Tensor:
        """An array on the network's device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _learn(self, batch: Batch, seen: dict[str, float]) -> None:
        self.network.train()
        box = self.tensor(batch.box)
        truth = losses.Truth.of(
            self.figure,
            self.tensor(batch.rotations),
            self.tensor(batch.betas),
            self.tensor(batch.pelvis),
            self.tensor(batch.true_box),
            box,
            self.tensor(batch.weights),
        )
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            estimates = self.network(
                self.tensor(batch.frames), box, None if batch.maps is None else self.tensor(batch.maps)
            )
        estimates = [type(estimate)(*(part.float() for part in estimate)) for estimate in estimates]
        loss, told = losses.total(estimates, truth, self.figure, self.schedule.weights)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.averaged.update_parameters(self.network)
        self.step += 1
        for name, value in {"loss": float(loss.detach()), **told}.items():
            seen[name] = value if name not in seen else 0.99 * seen[name] + 0.01 * value

    def estimate(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """What the averaged network says: local rotations (B, 24, 3, 3) in the rolled camera and betas (B, 10)."""
        network = self.averaged.module
        network.eval()
        with torch.no_grad():
            last = network(
                self.tensor(batch.frames),
                self.tensor(batch.box),
                None if batch.maps is None else self.tensor(batch.maps),
            )[-1]
            return sixd_to_matrix(last.sixd).cpu().numpy().astype(float), last.betas.cpu().numpy()

    def _check(
        self, seen: Mapping[str, float], baseline: Mapping[str, float], sequences: int | None
    ) -> dict[str, float]:
        rows = rows_to_check(self.check_data, sequences)
        measured = validate(self.estimate, self.check_data, self.body, rows)
        line = {"minutes": self.elapsed / 60, "step": self.step, **seen, **measured}
        self.history.append(line)
        report.say(
            f"{line['minutes']:.1f} min, step {self.step}, loss {seen.get('loss', float('nan')):.3f}: "
            + ", ".join(f"{name} {value:.1f}" for name, value in measured.items())
        )
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        series = {
            name: [(item["minutes"], item[name]) for item in self.history if name in item]
            for name in ("MPJPE", "PA-MPJPE")
        }
        levels = {f"BlazePose {name}": baseline[name] for name in series}
        curve.draw(series, levels, "validation, mm", self.folder / "curve.png")
        return measured

    def _report(self, final: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, object]:
        content: dict[str, object] = {
            **self.description,
            "parameters": sum(part.numel() for part in self.network.parameters()),
            "minutes": round(self.elapsed / 60, 1),
            "steps": self.step,
            "device": torch.cuda.get_device_name()
            if self.device == "cuda"
            else f"cpu, {torch.get_num_threads()} threads",
            "commit": _commit(),
            "training_frames": len(self.train_data),
            "training_sequences": len(self.train_data.sequences),
            "validation_frames": len(self.check_data),
            "schedule": asdict(self.schedule),
            "validation": {"network": dict(final), "BlazePose": dict(baseline)},
        }
        report.write_json(self.folder / "report.json", content)
        return content


def _commit() -> str:
    try:
        told = subprocess.run(
            ["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()
