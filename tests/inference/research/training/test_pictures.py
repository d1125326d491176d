"""Networks with an image encoder, from pictures in training data to use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.models import load_models
from video_motion.inference.options import Options
from video_motion.inference.research.networks import encoders
from video_motion.inference.research.networks.tar import Tar, TarSettings
from video_motion.inference.research.training import train
from video_motion.inference.research.training.batches import Sampling
from video_motion.inference.research.training.sequences import FilmedFootage, WindowSource
from video_motion.inference.research.training.shards import write_shard
from video_motion.inference.research.training.trainer import Schedule, Trainer
from video_motion.inference.research.training.validation import SequenceCheck
from video_motion.inference.runtime.session import NetworkError

from tests.inference.body.conftest import licensed_like, licensed_like_file  # noqa: F401  fixtures

from .conftest import SMALL, make_shard, with_pictures
from .test_train import assert_refused, command, words

SIZES = ("static_width=32", "width=32", "feedforward=32", "layers=1", "heads=2", "state_layer=32", "local_channels=4")
SIZES += ("iterations=1", "hidden_size=16")


@pytest.fixture(scope="module")
def folder(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training data that have pictures and nothing else that networks with an image encoder don't need."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed, split in enumerate(("train", "validation")):
        write_shard(folder / split / "000000.npz", with_pictures(make_shard(body, seed)))
    return folder


@pytest.fixture(params=encoders.ENCODERS)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An encoder, small."""
    monkeypatch.setitem(encoders.ENCODERS, request.param, SMALL[request.param])
    return request.param


@pytest.fixture
def given(name: str, folder: Path) -> Callable[..., list[str]]:
    """The command to train a small TAR."""
    encoder = SMALL[name]()
    sizes = words((*SIZES, f"features={encoder.features}", f"maps={encoder.channels}"))

    def given(out: Path, *more: str, data: Path = folder) -> list[str]:
        chosen = ["--configuration", f"tar-64-{name}", "--batch", "2", *sizes, "--set", "sampling.targets=2"]
        return command("tar", data, out, *chosen, *more)

    return given


def test_it_learns_from_public_weights_which_stay_as_they_are(name, given, tmp_path, capsys):
    public = SMALL[name]()
    with torch.no_grad():
        for part in public.parameters():
            part.mul_(1.1)
    torch.save(public.state_dict(), tmp_path / "public.pth")
    out = tmp_path / "out"
    assert cli.main(given(out, "--steps", "2", "--encoder", str(tmp_path / "public.pth"))) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["encoder"] == "public.pth"
    assert report["data"]["filmed"]["sequences"] == 3
    assert np.isfinite(report["validation"]["network"]["MPJPE"])
    network, _ = train.load_trained(out / "checkpoint.pt")
    state = network.images.state_dict()
    for key, part in public.state_dict().items():
        if not key.startswith(public.trained_here):
            torch.testing.assert_close(state[key], part, msg=key)
    # With its own weights it goes on, and then learns where it is told to.
    again = given(out, "--steps", "3", "--encoder", str(tmp_path / "public.pth"), "--resume")
    assert cli.main(again) == 0
    free = tmp_path / "free"
    start = ["--from", str(out / "checkpoint.pt"), "--set", "schedule.encoder_rate=0.5", "--rate", "0.1"]
    assert cli.main(given(free, "--steps", "2", *start)) == 0
    learnt = train.load_trained(free / "checkpoint.pt")[0].images.state_dict()
    assert (learnt["layer1.0.conv1.weight"] - state["layer1.0.conv1.weight"]).abs().max() > 1e-3
    assert "tensors begin with those of" in capsys.readouterr().err


def test_what_it_learns_is_in_the_pictures(folder, body, tmp_path, monkeypatch):
    """The same windows with each other's pictures are estimated worse."""
    monkeypatch.setitem(encoders.ENCODERS, "resnet50", SMALL["resnet50"])
    sizes = {"static_width": 64, "width": 32, "feedforward": 32, "layers": 1, "heads": 2, "state_layer": 32}
    settings = TarSettings(encoder="resnet50", features=128, dropout=0.0, refine=False, **sizes)
    torch.manual_seed(0)
    network = Tar(settings, body)
    footage = FilmedFootage(folder / "train", body, with_pictures=True)
    source = WindowSource(None, footage, None, settings, network.sees)
    schedule = Schedule(rate=3e-3, warm_up=0.0, steps=60, weights={"pose": 60.0}, encoder_rate=1.0)
    check = SequenceCheck(footage, body, source.frames, source)
    trainer = Trainer(network, body, source, check, schedule, tmp_path, "cpu", {"network": "tar"})
    batch = source.draw(6, Sampling(targets=2), np.random.default_rng(1))
    with torch.no_grad():
        network.standardise(network.encode({key: torch.from_numpy(part) for key, part in batch.inputs.items()}))

    def error(shift: int) -> float:
        rows = np.roll(batch.inputs["picture_rows"], shift, axis=0)
        shown = replace(batch, inputs={**batch.inputs, "picture_rows": rows})
        return float(np.abs(trainer.estimate(shown)[0] - batch.rotations).mean())

    for _ in range(60):
        trainer._train_step(batch)
    assert error(0) < 0.5 * error(2)


def test_what_does_not_fit_is_one_sentence(name, given, tmp_path, capsys, body):
    out = tmp_path / "out"
    assert_refused(given(out), f"{name} is not trained and would not learn", capsys)
    state = SMALL[name]().state_dict()
    lacking = {key: part for key, part in state.items() if not key.startswith("layer1")}
    torch.save(lacking, tmp_path / "lacking.pth")
    torch.save({**state, "conv1.weight": torch.zeros(3)}, tmp_path / "shape.pth")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    for file, sentence in (
        ("lacking", f"lacking.pth is not of {name}: the state dict lacks layer1.0"),
        ("shape", f"shape.pth can't be read as weights of {name}"),
        ("broken", f"broken.pth can't be read as weights of {name}"),
        ("missing", f"missing.pth can't be read as weights of {name}"),
    ):
        assert_refused(given(out, "--encoder", str(tmp_path / f"{file}.pth")), sentence, capsys)
    write_shard(tmp_path / "plain" / "train" / "000000.npz", make_shard(body, 0))
    learning = ["--set", "schedule.encoder_rate=1"]
    assert_refused(given(out, *learning, data=tmp_path / "plain"), "with `train data --pictures`", capsys)
    assert_refused(given(out, *learning, "--set", "features=5"), f"features=5 where {name} gives", capsys)
    assert_refused(given(out, *learning, "--set", "maps=5"), f"maps=5 where {name} gives", capsys)


def test_networks_that_can_not_use_pictures_say_so(folder, tmp_path, capsys):
    wanted = command("multi_roi", folder, tmp_path / "out", "--set", "encoder=resnet50")
    assert_refused(wanted, "multi_roi can't see by resnet50", capsys)
    wanted = command("tar", folder, tmp_path / "out", "--encoder", "some.pth")
    assert_refused(wanted, "--encoder has weights of an image encoder", capsys)


@pytest.mark.parametrize("name", ["resnet50"], indirect=True)
def test_a_licensed_body_is_named_from_training_to_use(name, given, body, licensed_like_file, tmp_path, capsys):  # noqa: F811
    smpl, out, data = licensed_like_file, tmp_path / "out", tmp_path / "data"
    learning = ["--set", "schedule.encoder_rate=1", "--set", "refine=false", "--steps", "1"]
    more = [*learning, "--smpl", str(smpl)]
    assert_refused(given(out, *more), "has poses and shapes of the free body: leave out --smpl", capsys)
    for seed, split in enumerate(("train", "validation")):
        write_shard(data / split / "a.npz", replace(with_pictures(make_shard(body, seed)), licensed=np.array(True)))
    assert_refused(
        given(out, *learning, data=data), "has poses and shapes of a licensed body: give it by --smpl", capsys
    )
    assert cli.main(given(out, *more, data=data)) == 0
    assert json.loads((out / "report.json").read_text())["licensed"]
    export = ["train", "export", "--checkpoint", str(out / "checkpoint.pt"), "--out", str(tmp_path / "mine")]
    assert_refused([*export, "--name", "own"], "was trained with a licensed body: add --smpl FILE", capsys)
    assert cli.main([*export, "--name", "own", "--smpl", str(smpl)]) == 0
    own = Options(network="tar", weights=tmp_path / "mine" / "own.onnx", device="cpu", quality="fast")
    with pytest.raises(NetworkError, match="was trained with a licensed body: give that one, too, by --smpl"):
        load_models(own)
    assert load_models(replace(own, smpl=smpl)).network is not None
