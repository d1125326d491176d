"""The command `train` and its subcommands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..batch import interruption
from ..estimators import LANDMARKS, TRAINABLE
from .types import LAYOUTS, Commands, command, count, non_negative, non_negative_int, positive
from .working import add_workers, work


def add_commands(commands: Commands) -> None:
    """Describe `train` and what it does."""
    train = command(
        commands,
        "train",
        "train a network on training data",
        "Train a network. The first run fetches PyTorch (350 MB).",
    )
    networks = train.add_subparsers(dest="what", required=True, metavar="WHAT", title="what to do")
    data = command(
        networks,
        "data",
        "make training data: of rendered people, or of a data set that you have",
        "Render moving people, or read those of a data set (--layout), run BlazePose on them in both qualities, and"
        " write its output with the truth: shards in OUT/train and OUT/validation. Existing shards are kept, so that an"
        " interrupted run can continue.",
    )
    _add_data(data)
    whole = command(
        networks,
        "all",
        "make data, train every network, and write them for use",
        "From motion capture to the networks that ship: render data, train the lifter, what it needs and what needs it,"
        " and write them into OUT/weights. Each step has a folder in OUT; steps that are done are left out, so that an"
        " interrupted run can continue.",
    )
    _add_whole(whole)
    realism = command(
        networks,
        "realism",
        "compare rendered people with real ones",
        "Compare the detector's output on training data and on footage, by measures that need no truth.",
    )
    google = command(
        networks,
        "google",
        "translate Google's networks into ONNX",
        "Write the ONNX file of each of Google's networks whose .tflite file is in FOLDER, record LiteRT's own outputs"
        " for the tests, and print how far both differ.",
    )
    google.add_argument("folder", type=Path, metavar="FOLDER", help="holds .tflite files")
    _add_realism(realism)
    for name, what in TRAINABLE.items():
        training = command(
            networks,
            name,
            f"train the {what}",
            f"Train the {what} on the motions in DATA/library.npz and the shards in DATA/train, and compare it with"
            " BlazePose on held-out ones. Writes checkpoint.pt, log.jsonl, curve.png, report.json and report.md. After"
            " an interruption (Ctrl-C) training can be continued with --resume.",
        )
        training.set_defaults(network=name)
        _add_training(training)
    embedding = command(
        networks,
        "embedding",
        "train the pose embedding that part_dynamics starts from",
        "Train Pr-VIPE on the motion library in DATA: writes OUT/checkpoint.pt, for --from of `train part_dynamics`,"
        " and OUT/report.json with how often it finds held-out poses from another view.",
    )
    _add_embedding(embedding)
    footing = command(
        networks,
        "footing",
        "train the network that says which heels and toes stand",
        "Pose recorded people with errors of the rendered ones in DATA/train, estimate their motion, and train a small"
        " network to say where their feet truly stand: writes OUT/footing.npz and OUT/report.json. What was posed is"
        " kept, so that an interrupted run can continue.",
    )
    _add_footing(footing)
    ablate = command(
        networks,
        "ablate",
        "train variants of a network, each without a part",
        "Train the variants of a paper's ablations, each into a folder of OUT, and print a table of their measures on"
        " the validation split. Finished variants are kept.",
    )
    ablate.add_argument("network", choices=TRAINABLE, help="whose variants")
    ablate.add_argument("--seeds", type=count, default=1, metavar="N", help="trainings of each (default: 1)")
    _add_training(ablate)
    export = command(
        networks,
        "export",
        "write a trained network for use",
        "Write a trained network as the ONNX files that the estimators use, and compare the two.",
    )
    export.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="checkpoint.pt of a training")
    export.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    export.add_argument("--name", metavar="NAME", help="of the files (default: the network's configuration)")
    export.add_argument(
        "--data", type=Path, metavar="FOLDER", help="measure the effect of rounding to float16 on these training data"
    )
    _add_lifter(export)
    _add_body(export)
    export.add_argument("--full", action="store_true", help="store weights in float32, twice as large")


def _add_whole(command: argparse.ArgumentParser) -> None:
    _add_sources(command)
    command.add_argument(
        "--minutes",
        type=non_negative,
        default=120.0,
        metavar="N",
        help="of all steps, without setting up and the last validation of each (default: 120)",
    )
    command.add_argument("--threads", type=count, metavar="N", help="threads of the CPU in training (default: all)")
    command.add_argument(
        "--recipe", type=Path, metavar="FILE", help="steps in a file like inference/cli/whole_training.toml"
    )
    _add_machine(command)


def _add_sources(command: argparse.ArgumentParser) -> None:
    """What data are made of."""
    command.add_argument(
        "--mocap",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="motion capture: .bvh, .asf/.amc, CMU's .npz, AMASS; needed once, then a library of it is kept",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    add_workers(command, 2)
    command.add_argument(
        "--seed", type=non_negative_int, default=0, metavar="N", help="of all random numbers (default: 0)"
    )
    command.add_argument(
        "--looks",
        type=Path,
        metavar="FILE",
        help="archive of MakeHuman's clothes and skins; needed once, then they are kept (default: clothes are painted"
        " onto the body)",
    )


def _add_data(command: argparse.ArgumentParser) -> None:
    _add_sources(command)
    command.add_argument("--layout", choices=LAYOUTS, help="read the people of this data set instead of rendering")
    command.add_argument("--root", type=Path, metavar="FOLDER", help="folder of the data set of --layout")
    command.add_argument(
        "--smpl",
        type=Path,
        metavar="FOLDER",
        help="SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE, .npz or .pkl, for --layout",
    )
    command.add_argument(
        "--minutes",
        type=non_negative,
        metavar="N",
        help="begin no shard after this time (default: 60; of a data set all are made)",
    )
    command.add_argument(
        "--no-maps",
        action="store_false",
        dest="maps",
        help="leave out local maps, which are most of the data; networks that refine need them",
    )
    command.add_argument(
        "--roi-views",
        action="store_true",
        help="run the detector on the other regions of interest too, for multi_roi",
    )
    command.add_argument("--look", action="store_true", dest="roi_views", help=argparse.SUPPRESS)
    command.add_argument(
        "--pictures",
        action="store_true",
        help="keep what the detector sees, for networks with an image encoder: 25 MB a shard",
    )
    command.add_argument("--sheet", type=Path, metavar="FILE", help="only draw a picture with examples into this file")


def _add_realism(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    command.add_argument("--shards", type=count, default=20, metavar="N", help="measure on so many (default: 20)")
    command.add_argument(
        "--quality", choices=LANDMARKS, default="fast", help="in which people are seen (default: fast)"
    )
    command.add_argument("videos", type=Path, nargs="*", metavar="VIDEO", help="footage of real people")


def _add_run(command: argparse.ArgumentParser) -> None:
    """What all trainings have in common."""
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument(
        "--seed", type=non_negative_int, default=0, metavar="N", help="of all random numbers (default: 0)"
    )
    command.add_argument("--threads", type=count, metavar="N", help="threads of the CPU (default: all)")


def _add_embedding(command: argparse.ArgumentParser) -> None:
    _add_run(command)
    command.add_argument("--minutes", type=non_negative, default=6.0, metavar="N", help="of training (default: 6)")
    command.add_argument("--hidden", type=count, default=256, metavar="N", help="units of a layer (default: 256)")
    command.add_argument("--batch", type=count, default=96, metavar="N", help="poses per step (default: 96)")
    command.add_argument("--rate", type=positive, default=1e-3, metavar="X", help="highest rate (default: 0.001)")


def _add_footing(command: argparse.ArgumentParser) -> None:
    _add_run(command)
    command.add_argument("--files", type=count, default=120, metavar="N", help="of 32 people each (default: 120)")
    command.add_argument(
        "--data-minutes", type=positive, default=30.0, metavar="N", help="stop posing after this time (default: 30)"
    )
    add_workers(command, 2)
    command.add_argument("--minutes", type=positive, default=8.0, metavar="N", help="of training (default: 8)")
    command.add_argument("--rate", type=positive, default=2e-3, metavar="X", help="highest rate (default: 0.002)")


def _add_training(command: argparse.ArgumentParser) -> None:
    _add_run(command)
    command.add_argument(
        "--minutes",
        type=non_negative,
        default=60.0,
        metavar="N",
        help="minutes of training, including those before --resume, without the last validation (default: 60)",
    )
    command.add_argument("--steps", type=count, metavar="N", help="end after this many steps, if that is sooner")
    command.add_argument(
        "--configuration", metavar="NAME", help="the network's sizes (default: the compact ones, as shipped)"
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one of the sizes (refine=false, local_window=3), or a setting of the training (severity.jitter=0,"
        " sampling.filmed=0, schedule.clip=1)",
    )
    command.add_argument(
        "--loss", action="append", default=[], metavar="NAME=WEIGHT", help="change a loss's weight; 0 for none"
    )
    command.add_argument("--batch", type=count, default=64, metavar="N", help="windows per step (default: 64)")
    command.add_argument(
        "--rate", type=positive, default=1e-4, metavar="X", help="highest learning rate (default: 0.0001)"
    )
    command.add_argument(
        "--from",
        dest="start",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="start from the weights of another training's checkpoint, or of an exported network such as"
        " weights/lifter-compact.onnx; what it lacks is taken from further ones",
    )
    _add_lifter(command)
    _add_body(command)
    command.add_argument(
        "--encoder",
        type=Path,
        metavar="FILE",
        help="public weights of the configuration's image encoder: torchvision's state dict of ResNet-50, HRNet's of"
        " its authors",
    )
    command.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out, if there is one")
    _add_machine(command)
    command.add_argument(
        "--check", type=positive, default=5.0, metavar="N", help="minutes between validations (default: 5)"
    )


def _add_machine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--uncommitted", action="store_true", help="train although the code has changes; the report says so"
    )
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train (default: auto)"
    )


def _add_body(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--smpl",
        type=Path,
        metavar="FILE",
        help="the licensed SMPL file whose poses and shapes the data have (default: the free body)",
    )


def _add_lifter(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--lifter", type=Path, metavar="FILE", help="checkpoint of the lifter, whose features other networks see"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or make and measure training data; return the exit status."""
    if arguments.what == "all":
        from . import whole_training

        return whole_training.run(arguments, _train)
    if arguments.what == "realism":
        return _compare_realism(arguments)
    if arguments.what == "google":
        from ..research.google_networks import networks

        for line in networks.convert(arguments.folder):
            print(line, flush=True)
        return 0
    if arguments.what == "data" and arguments.layout is not None:
        from ..research.training import data_sets

        return data_sets.run(arguments, partial(work, chosen=arguments))
    if arguments.what == "data":
        from ..research.training.synthesis import generate

        return generate.run(arguments, partial(work, chosen=arguments))
    if arguments.what == "embedding":
        from ..research.training import embedding

        shares = ", ".join(f"{name} {share:.1%}" for name, share in embedding.run(arguments).items())
        print(f"held-out poses found from another view: {shares}", flush=True)
        return 0
    if arguments.what == "footing":
        from ..research.training import footing

        shares = ", ".join(
            f"{name} {value:.3f}" for name, value in footing.run(arguments, partial(work, chosen=arguments)).items()
        )
        print(f"held-out recordings: {shares}", flush=True)
        return 0
    if arguments.what == "ablate":
        from ..research.training import ablations

        print(ablations.run(arguments), end="", flush=True)
        return 0
    from ..research.training import train

    if arguments.what == "export":
        print(train.export_weights(arguments), flush=True)
        return 0
    report = train.run(arguments)
    print(f"{arguments.out / 'report.md'}: {report['steps']} steps, {report['minutes']} minutes", flush=True)
    return interruption.STATUS if report["interrupted"] else 0


def _train(words: Sequence[str]) -> int:
    """Run `train` with further words of a command line; return the exit status."""
    top = argparse.ArgumentParser()
    add_commands(top.add_subparsers())
    return run(top.parse_args(["train", *words]))


def _compare_realism(arguments: argparse.Namespace) -> int:
    from ..research.training.synthesis import realism

    quality = arguments.quality
    columns = {"rendered": realism.measure(realism.segments_from_data(arguments.data, arguments.shards, quality))}
    for video in arguments.videos:
        columns[video.name] = realism.measure(realism.segments_from_footage([video], quality))
    print(realism.table(columns), end="")
    return 0
