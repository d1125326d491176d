from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.cli import arguments, whole_training
from video_motion.inference.estimators import TRAINABLE
from video_motion.inference.research import networks
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.training import ablations, train
from video_motion.inference.research.training.shards import read_shard, write_shard
from video_motion.inference.research.training.trainer import Schedule, TrainingError

from .conftest import with_roi_views
from .test_sequences import SEEN

SMALL = ("static_width=32", "width=32", "feedforward=32", "layers=1", "heads=2", "state_layer=32", "local_channels=4")
LIFTER = ("static_width=16", "width=16", "feedforward=32", "layers=1", "frame_layers=1", "heads=2", "kernel=3")


def words(sizes: Sequence[str]) -> list[str]:
    return [word for size in sizes for word in ("--set", size)]


def command(network: str, data: Path, out: Path, *more: str) -> list[str]:
    options = ["--data", str(data), "--out", str(out), "--device", "cpu", "--threads", "1", "--uncommitted"]
    return ["train", network, *options, *more]


def lifter_command(data: Path, out: Path, *more: str) -> list[str]:
    return command("lifter", data, out, "--batch", "4", *words((*LIFTER, "frames=8", "target=4")), *more)


@pytest.fixture(scope="module")
def lifter(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint."""
    out = tmp_path_factory.mktemp("lifter")
    assert cli.main(lifter_command(data_folder, out, "--steps", "1")) == 0
    return out / "checkpoint.pt"


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def given(lifter: Path):
    """The command to train a small TAR."""

    def given(data: Path, out: Path, *more: str) -> list[str]:
        sizes = words((*SMALL, f"features={SEEN}"))
        return command("tar", data, out, "--batch", "4", "--lifter", str(lifter), *sizes, *more)

    return given


def test_settings_change():
    chosen, schedule = train.changed_settings(
        "tar-compact",
        [
            "refine=false",
            "local_window=3",
            "dropout=0",
            "severity.jitter=0.5",
            "sampling.targets=3",
            "schedule.clip=1",
        ],
    )
    default = configuration("tar-compact").settings
    assert chosen.settings == dataclasses.replace(default, refine=False, local_window=3, dropout=0.0)
    assert schedule.sampling.severity == dataclasses.replace(Schedule().sampling.severity, jitter=0.5)
    assert schedule.sampling.targets == 3
    assert schedule.sampling.filmed == Schedule().sampling.filmed
    assert schedule.clip == 1.0


@pytest.mark.parametrize(
    "change",
    [
        "refine",
        "refine=no",
        "refine=1",
        "local_window=1.5",
        "beauty=1",
        "severity.beauty=1",
        "music.jitter=1",
        "sampling.targets=2.5",
        "sampling.severity=1",
        "schedule.weights=1",
    ],
)
def test_settings_that_do_not_fit_are_named(change):
    with pytest.raises(TrainingError, match="does not fit"):
        train.changed_settings("tar-compact", [change])


def test_an_unknown_configuration_is_named():
    with pytest.raises(TrainingError, match="no configuration tar-9: choose one of tar-64"):
        train.changed_settings("tar-9", [])


DEFAULTS = {"joints": 300.0, "shape": 0.06}


def test_loss_weights_change():
    weights = train.loss_weights(DEFAULTS, ["shape=0", "joint_distance=60"])
    assert "shape" not in weights
    assert weights["joint_distance"] == 60
    for change in ("beauty=1", "shape", "shape=-1", "shape=nan"):
        with pytest.raises(TrainingError, match="does not fit"):
            train.loss_weights(DEFAULTS, [change])


def test_the_command_trains_resumes_and_begins_from_another(data_folder, tmp_path, capsys):
    out = tmp_path / "out"
    options = lifter_command(data_folder, out)
    assert cli.main([*options, "--steps", "2"]) == 0
    assert "2 steps" in capsys.readouterr().out
    assert cli.main([*options, "--steps", "2"]) == 1
    assert "holds another training: add --resume" in capsys.readouterr().err
    assert cli.main([*options, "--steps", "3", "--resume"]) == 0
    assert "3 steps" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert set(report["data"]) == {"staged", "filmed"}
    assert set(report["schedule"]["weights"]) >= {"velocity", "certainty", "gravity", "contacts"}
    wider = lifter_command(data_folder, tmp_path / "wider", "--set", "feedforward=48", "--steps", "1")
    assert cli.main([*wider, "--from", str(out / "checkpoint.pt")]) == 0
    assert "tensors begin with those of" in capsys.readouterr().err


def test_a_lifter_needs_no_rendered_people(performers, tmp_path):
    performers.save(tmp_path / "library.npz")
    assert cli.main(lifter_command(tmp_path, tmp_path / "out", "--steps", "1")) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(report["data"]) == {"staged"}
    assert np.isfinite(report["validation"]["network"]["MPJPE"])


def test_what_a_checkpoint_lacks_comes_from_the_next(data_folder, tmp_path, given):
    for name, more in (("plain", ["--set", "refine=false"]), ("whole", [])):
        assert cli.main([*given(data_folder, tmp_path / name, "--steps", "1"), *more]) == 0
    plain, whole = (train.load_trained(tmp_path / name / "checkpoint.pt")[0] for name in ("plain", "whole"))
    network = train.load_trained(tmp_path / "whole" / "checkpoint.pt")[0]
    for part in network.parameters():
        part.data.zero_()
    train.initialise_from(network, [tmp_path / name / "checkpoint.pt" for name in ("plain", "whole")])
    torch.testing.assert_close(network.encoder.state_dict(), plain.encoder.state_dict())
    torch.testing.assert_close(network.refinement.state_dict(), whole.refinement.state_dict())


def test_ablations_are_trained_once_and_reported(data_folder, tmp_path, capsys, monkeypatch, given):
    rows = (
        ablations.ABLATIONS["tar"][0],
        ablations.Variant("plain", "without RRM", ("refine=false",), ("pose=0",), {"MPJPE": 73.7}),
    )
    monkeypatch.setitem(ablations.ABLATIONS, "tar", rows)
    options = given(data_folder, tmp_path / "out", "--steps", "1", "--seeds", "2")
    options.insert(1, "ablate")
    assert cli.main(options) == 0
    table = capsys.readouterr().out
    assert table == (tmp_path / "out" / "ablations.md").read_text()
    first, second = table.splitlines()[2:]
    measured = [json.loads((tmp_path / "out" / "plain" / f"seed-{n}" / "report.json").read_text()) for n in (0, 1)]
    assert all(one["settings"]["refine"] is False for one in measured)
    assert "pose" not in measured[0]["schedule"]["weights"]
    assert [one["schedule"]["seed"] for one in measured] == [0, 1]
    found = np.array([[one["validation"]["network"][name] for name in ("MPJPE", "reprojection")] for one in measured])
    mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
    assert f"| 2 | {mean[0]:.1f} ± {spread[0]:.1f} (73.7) |" in second
    assert second.endswith(f"| {mean[1]:.1f} ± {spread[1]:.1f} |")
    assert "(67.3)" in first
    written = (tmp_path / "out" / "whole" / "seed-0" / "report.json").stat().st_mtime_ns
    assert cli.main(options) == 0
    assert capsys.readouterr().out == table
    assert (tmp_path / "out" / "whole" / "seed-0" / "report.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--configuration", "tar-9"], "no configuration tar-9"),
        (["--loss", "beauty=1"], "the losses are"),
        (["--set", "target=9"], "target=9 is none of 9 frames"),
        (["--set", "local_window=4"], "local_window=4 has no middle among 9 frames"),
        (["--set", "frames=3", "--set", "target=1"], "local_window=5 has no middle among 3 frames"),
        (["--from", "nothing.pt"], "nothing.pt can't be read as a checkpoint"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(data_folder, tmp_path, capsys, given, more, message):
    assert_refused(given(data_folder, tmp_path / "out", *more), message, capsys)


def assert_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(options) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("video-motion: ")
    assert error.count("\n") == 1


def test_a_missing_or_wrong_lifter_is_one_sentence(data_folder, tmp_path, capsys, given):
    options = given(data_folder, tmp_path / "out", "--steps", "1", "--set", "refine=false")
    at = options.index("--lifter")
    assert_refused(options[:at] + options[at + 2 :], "name its checkpoint with --lifter FILE", capsys)
    assert_refused([*options, "--lifter", str(tmp_path / "none.pt")], "none.pt can't be read", capsys)
    assert_refused([*options, "--set", "features=300"], f"add --set features={SEEN}", capsys)
    assert cli.main(options) == 0
    again = [*given(data_folder, tmp_path / "again"), "--lifter", str(tmp_path / "out" / "checkpoint.pt")]
    assert_refused(again, "is of another network than the lifter", capsys)


def test_missing_data_is_one_sentence(performers, tmp_path, capsys, given):
    assert_refused(given(tmp_path / "nothing", tmp_path / "out"), "library.npz", capsys)
    performers.save(tmp_path / "library.npz")
    assert_refused(given(tmp_path, tmp_path / "out"), "lacks rendered people, whose local maps", capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_sentence(data_folder, tmp_path, capsys, given):
    assert cli.main([*given(data_folder, tmp_path / "out"), "--device", "cuda"]) == 1
    assert "no GPU" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--minutes", "-1"], ["--batch", "0"], ["--seed", "x"], ["--rate", "0"]])
def test_senseless_numbers_are_refused(data_folder, tmp_path, given, more):
    with pytest.raises(SystemExit):
        arguments.parse(given(data_folder, tmp_path, *more))


def test_a_trained_network_is_exported(data_folder, tmp_path, capsys, monkeypatch, given, lifter):
    def export(network, folder: Path, name: str, half: bool) -> list[Path]:
        assert not network.training
        assert network.settings.width == 32
        folder.mkdir()
        (folder / f"{name}.onnx").write_bytes(bytes(200_000 if half else 400_000))
        return [folder / f"{name}.onnx"]

    fake = SimpleNamespace(export=export, check_parity=lambda *_: 1e-4, rounding=lambda *_: (0.25, 0.001))
    monkeypatch.setitem(sys.modules, f"{networks.__name__}.export", fake)
    monkeypatch.setattr(networks, "export", fake, raising=False)
    out = tmp_path / "out"
    assert cli.main(given(data_folder, out, "--steps", "1")) == 0
    capsys.readouterr()
    options = ["train", "export", "--out", str(tmp_path / "weights"), "--checkpoint"]
    assert cli.main([*options, str(out / "checkpoint.pt"), "--name", "mine"]) == 0
    output = capsys.readouterr().out
    assert output == f"{tmp_path / 'weights' / 'mine.onnx'} (0.2 MB): at most 1.0e-04 from PyTorch\n"

    plain = tmp_path / "plain"
    assert cli.main([*given(data_folder, plain, "--steps", "1"), "--set", "refine=false"]) == 0
    capsys.readouterr()
    options[3] = str(tmp_path / "others")
    of_data = ["--data", str(data_folder), "--lifter", str(lifter)]
    assert cli.main([*options, str(plain / "checkpoint.pt"), *of_data]) == 0
    assert "changes rotations by 0.25° and betas by 0.0010 at most" in capsys.readouterr().out

    assert cli.main([*options, str(tmp_path / "nothing.pt")]) == 1
    assert "nothing.pt can't be read" in capsys.readouterr().err
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    description = json.loads(state["description"])
    for change, sentence in (
        ({"features": 0}, "features that have changed"),
        ({"settings": {}}, "does not fit the current"),
    ):
        torch.save({**state, "description": json.dumps({**description, **change})}, out / "old.pt")
        assert cli.main([*options, str(out / "old.pt")]) == 1
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", ablations.ABLATIONS)
def test_every_ablation_can_be_asked_for(name):
    default = configuration(f"{name}-compact")
    for variant in ablations.ABLATIONS[name]:
        chosen, _ = train.changed_settings(f"{name}-compact", variant.changes)
        weights = train.loss_weights(default.losses, variant.losses)
        assert variant.changes == () or chosen.settings != default.settings
        assert variant.losses == () or weights != dict(default.losses)
    assert len({variant.name for variant in ablations.ABLATIONS[name]}) == len(ablations.ABLATIONS[name])


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cosegmentation", ("static_width=64", "hidden=32", "integrated=16")),
        ("part_dynamics", ("static_width=32", "recurrent=32", "share=16", "critic=16")),
        ("multi_roi", ("static_width=32", "hidden=32", "attention=16")),
    ],
)
def test_the_other_networks_train_too(data_folder, tmp_path, lifter, name, sizes):
    """Also on rendered people who were seen in other regions in all frames for validation, in few for training."""
    for split, every in (("train", 3), ("validation", 1)):
        shard = with_roi_views(read_shard(data_folder / split / "000000.npz"), np.random.default_rng(0), every)
        write_shard(tmp_path / "data" / split / "000000.npz", shard)
    shutil.copy(data_folder / "library.npz", tmp_path / "data")
    out = tmp_path / "out"
    more = ["--batch", "6", "--steps", "2", "--lifter", str(lifter), *words((*sizes, f"features={SEEN}"))]
    assert cli.main(command(name, tmp_path / "data", out, *more)) == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["network"], report["configuration"], report["steps"]) == (name, f"{name}-compact", 2)
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    for loss in report["schedule"]["weights"]:
        assert np.isfinite(last[loss]), loss
    network, _ = train.load_trained(out / "checkpoint.pt")
    assert type(network).__name__.lower() == name.replace("_", "")


def test_without_other_regions_multi_roi_is_measured_on_posed_people(data_folder, tmp_path, lifter, capsys):
    sizes = words(("static_width=32", "hidden=32", "attention=16", f"features={SEEN}"))
    more = ["--batch", "4", "--steps", "1", "--lifter", str(lifter), *sizes]
    assert cli.main(command("multi_roi", data_folder, tmp_path / "out", *more)) == 0
    assert "Meanwhile the network is measured on posed people" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "report.json").read_text())["validation"]["network"]["MPJPE"] > 0


def test_a_configuration_of_another_network_is_refused(data_folder, tmp_path, capsys):
    assert cli.main(command("multi_roi", data_folder, tmp_path / "out", "--configuration", "tar-compact")) == 1
    assert "tar-compact is a configuration of tar, not of multi_roi" in capsys.readouterr().err


def test_changed_code_is_not_trained_with(data_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "uncommitted", lambda: True)
    words = [word for word in lifter_command(data_folder, tmp_path / "out") if word != "--uncommitted"]
    assert cli.main(words) == 1
    assert "commit first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_everything_is_trained_in_steps(data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What is done is not done again; a step that failed is tried again."""
    out = tmp_path / "out"
    shutil.copytree(data_folder, out / "data")
    sizes = {"lifter": (*LIFTER, "frames=8", "target=4"), "cosegmentation": ("hidden=32", f"features={SEEN}")}
    steps = {name: ["--steps", "1", "--batch", "4", *words(size)] for name, size in sizes.items()}
    steps["cosegmentation"] += ["--lifter", "{lifter}/checkpoint.pt"]
    steps["embedding"] = ["--hidden", "8", "--batch", "8"]
    recipe = tmp_path / "recipe.toml"

    def write(order: Sequence[str]) -> None:
        rows = [{"name": name, "minutes": 0.001, "command": [name, *steps[name]]} for name in order]
        lines = [
            f"[[step]]\n{''.join(f'{key} = {json.dumps(value)}' + chr(10) for key, value in row.items())}"
            for row in rows
        ]
        recipe.write_text("\n".join(lines))

    command = ["train", "all", "--out", str(out), "--minutes", "1", "--threads", "1", "--device", "cpu"]
    command += ["--uncommitted", "--recipe", str(recipe)]
    steps["cosegmentation"].append("--set=hidden=nonsense")
    write(["lifter", "embedding", "cosegmentation"])
    assert cli.main(command) == 1
    assert "hidden=nonsense does not fit" in capsys.readouterr().err
    assert list(json.loads((out / "done.json").read_text())) == ["lifter", "embedding"]
    first = (out / "lifter" / "checkpoint.pt").stat().st_mtime_ns

    steps["cosegmentation"].pop()
    write(["lifter", "embedding", "cosegmentation"])
    assert cli.main(command) == 0
    assert (out / "lifter" / "checkpoint.pt").stat().st_mtime_ns == first
    written = {file.name for file in (out / "weights").iterdir()}
    assert written == {"lifter-compact.onnx", "cosegmentation-compact.onnx"}
    table = capsys.readouterr().out.splitlines()[-4:]
    assert [row.split(" | ")[0] for row in table] == [
        "| lifter",
        "| embedding",
        "| cosegmentation",
        "| BlazePose's world landmarks",
    ]


def test_all_steps_are_commands_that_exist():
    """With a share of the time each, all of which make one."""
    steps = tomllib.loads(whole_training.RECIPE.read_text())["step"]
    for step in steps:
        more = ["--out", "out"] + (["--data", "data"] if step["name"] != "data" else [])
        chosen = arguments.parse(["train", *step["command"], *more])
        assert chosen.what == step["name"]
    assert sum(step["minutes"] for step in steps) == pytest.approx(1)
    assert {step["name"] for step in steps} >= set(TRAINABLE)
