from __future__ import annotations

import json
import os
import pickle
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.lifter import Lifter
from video_motion.inference.research.networks.tar import Tar, TarSettings
from video_motion.inference.research.training import trainer as training
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.sequences import (
    FilmedFootage,
    SequenceSource,
    StagedFootage,
    WindowSource,
)
from video_motion.inference.research.training.trainer import Schedule, Trainer, TrainingError
from video_motion.inference.research.training.validation import SequenceCheck

from .conftest import TINY, tiny_lifter
from .test_sequences import SEEN

WEIGHTS = configuration("lifter-compact").losses


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make(body: Body, performers: Library, data_folder: Path):
    def make(folder: Path, description: dict | None = None, workers: int = 1, **changes) -> Trainer:
        schedule = Schedule(**{"minutes": 60, "batch": 4, "rate": 1e-3, "weights": WEIGHTS, **changes})
        torch.manual_seed(schedule.seed)
        train, held_out = (FilmedFootage(data_folder / split, body) for split in ("train", "validation"))
        source = SequenceSource(StagedFootage(performers, "train", body), train, TINY.frames)
        check = SequenceCheck(held_out, body, TINY.frames)
        description = {"network": "lifter"} if description is None else description
        return Trainer(Lifter(TINY, body), body, source, check, schedule, folder, "cpu", description, workers=workers)

    return make


def flat(trainer: Trainer) -> torch.Tensor:
    return torch.cat([part.flatten() for part in trainer.averaged.state_dict().values()])


def test_the_rate_rises_and_falls():
    schedule = Schedule(minutes=10, rate=1.0, warm_up=0.1)
    rates = [schedule.rate_at(share) for share in (0, 0.05, 0.1, 0.55, 1)]
    np.testing.assert_allclose(rates, [0.01, 0.5, 1, 0.5, 0.01], atol=1e-9)
    assert schedule.share(300, 0) == 0.5
    assert schedule.share(900, 0) == 1
    assert Schedule(minutes=10, steps=100).share(60, 75) == 0.75


def test_training_leaves_its_files(make, tmp_path):
    content = make(tmp_path, steps=3).run()
    assert {file.name for file in tmp_path.iterdir()} == {
        "checkpoint.pt",
        "log.jsonl",
        "curve.png",
        "report.json",
        "report.md",
    }
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == json.loads(json.dumps(content))
    assert (report["steps"], report["interrupted"], report["schedule"]["seed"]) == (3, False, 0)
    assert report["data"]["filmed"] == {"shards": 1, "sequences": 3, "frames": 36}
    assert report["data"]["staged"]["clips"] == 4
    measured = report["validation"]["network"]
    assert set(measured) == {"MPJPE", "PA-MPJPE", "PVE", "Accel", "reprojection"}
    assert all(np.isfinite(list(measured.values())))
    # The detector has no errors except that BlazePose's and SMPL's joints differ.
    assert report["validation"]["BlazePose"]["MPJPE"] < 60
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["MPJPE"] == measured["MPJPE"]
    assert "| MPJPE |" in (tmp_path / "report.md").read_text()


def test_resumed_training_is_the_same_as_uninterrupted(make, tmp_path):
    whole = make(tmp_path / "whole", steps=6)
    whole.run()

    halves = tmp_path / "halves"
    first = make(halves, steps=6, workers=3)
    train_step = first._train_step

    def interrupted(batch):
        train_step(batch)
        first._stopped = first.step == 3

    first._train_step = interrupted
    assert first.run()["interrupted"]
    second = make(halves, steps=6)
    torch.rand(5)
    second.resume()
    assert second.step == 3
    assert second.run()["steps"] == 6
    torch.testing.assert_close(flat(second), flat(whole), rtol=0, atol=0)
    steps = [json.loads(line)["step"] for line in second.log.read_text().splitlines()]
    assert steps == [3, 6]


def test_the_log_is_cut_at_the_checkpoint(make, tmp_path):
    trainer = make(tmp_path, steps=2)
    trainer.run()
    with trainer.log.open("a") as log:
        log.write(json.dumps({"step": 9, "minutes": 1.0}) + "\n")
    make(tmp_path, steps=4).resume()
    assert all(json.loads(line)["step"] <= 2 for line in trainer.log.read_text().splitlines())


@pytest.mark.parametrize("name", ["lifter", "tar"])
def test_learning_reduces_the_loss(make, body, data_folder, tmp_path, name):
    trainer = make(tmp_path, steps=40, batch=8, rate=3e-3)
    if name == "tar":
        settings = TarSettings(
            features=SEEN,
            static_width=32,
            width=32,
            feedforward=32,
            layers=1,
            heads=2,
            dropout=0.0,
            state_layer=32,
            state_width=16,
            local_channels=4,
            local_size=32,
            hidden_size=16,
            local_window=3,
            iterations=2,
        )
        network = Tar(settings, body)
        source = WindowSource(
            None, FilmedFootage(data_folder / "train", body, True), tiny_lifter(body), settings, network.needs
        )
        schedule = replace(trainer.schedule, weights=configuration("tar-compact").losses)
        trainer = Trainer(network, body, source, trainer.check, schedule, tmp_path, "cpu", {"network": "tar"})
    trainer.check = SequenceCheck(
        FilmedFootage(data_folder / "validation", body, True),
        body,
        TINY.frames,
        trainer.train_data if name == "tar" else None,
    )
    same, train_step, recorded = trainer._sample(0), trainer._train_step, []
    trainer._sample = lambda _: same

    def remembered(batch):
        trainer._recent = {}
        train_step(batch)
        recorded.append(trainer._recent["loss"])

    trainer._train_step = remembered
    trainer.run()
    assert recorded[-1] < 0.5 * recorded[0]


def test_time_is_kept(make, tmp_path):
    began = time.monotonic()
    trainer = make(tmp_path, minutes=5 / 60, check=0.5 / 60)
    report = trainer.run()
    # Setting up, the checks that were begun in time and the last one come on top.
    assert time.monotonic() - began < 25
    assert trainer.step > 0
    assert trainer.elapsed >= 5
    assert not report["interrupted"]
    assert len(trainer.history) >= 2
    again = make(tmp_path, minutes=5 / 60)
    again.resume()
    again.run()
    assert again.step == trainer.step


def test_an_interruption_leaves_checkpoint_and_report(make, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    trainer = make(tmp_path)
    train_step = trainer._train_step

    def train_and_stop(batch):
        train_step(batch)
        os.kill(os.getpid(), signal.SIGTERM)

    trainer._train_step = train_and_stop
    report = trainer.run()
    assert report["interrupted"]
    assert report["steps"] == 1
    assert trainer.checkpoint.exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_while_sampling_ends_training(make, tmp_path):
    trainer = make(tmp_path)

    def fail(*_):
        raise ValueError("a damaged map")

    trainer.train_data.draw = fail
    with pytest.raises(ValueError, match="damaged map"):
        trainer.run()


def test_a_batch_that_overflows_changes_nothing(make, tmp_path):
    trainer = make(tmp_path)
    before = flat(trainer)
    batch = trainer._sample(0)
    batch.rotations[0] = np.inf
    trainer._train_step(batch)
    torch.testing.assert_close(flat(trainer), before, rtol=0, atol=0)


def test_the_average_follows_closely_at_first():
    update = training.moving_average(0.999)
    averaged, current = [torch.zeros(3)], [torch.ones(3)]
    update(averaged, current, torch.tensor(1))
    torch.testing.assert_close(averaged[0], torch.full((3,), 9 / 11))
    update(averaged, current, torch.tensor(100_000))
    torch.testing.assert_close(averaged[0], torch.full((3,), 9 / 11 + 0.001 * 2 / 11))


class _Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_a_checkpoint_can_not_run_code(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = make(tmp_path / "out")
    for save in (torch.save, lambda value, file: file.write_bytes(pickle.dumps(value, 2))):
        save({"averaged": _Evil()}, trainer.checkpoint)
        with pytest.raises(TrainingError, match="can't be read as a checkpoint"):
            trainer.resume()
    assert not (tmp_path / "evil").exists()


def test_checkpoints_of_other_trainings_are_refused(make, tmp_path):
    trainer = make(tmp_path, steps=1)
    torch.save({"weights": torch.zeros(3)}, trainer.checkpoint)
    with pytest.raises(TrainingError, match="not a checkpoint"):
        trainer.resume()
    trainer.save()
    with pytest.raises(TrainingError, match="other settings"):
        make(tmp_path, {"network": "other"}).resume()
    state = training.read_checkpoint(trainer.checkpoint)
    state["network"].popitem()
    torch.save(state, trainer.checkpoint)
    with pytest.raises(TrainingError, match="does not fit this network"):
        trainer.resume()
