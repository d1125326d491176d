"""The command `train` and what belongs to it."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from ..estimators import TRAINABLE
from .types import Commands, command, count, not_negative, positive, whole


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
        "film training data",
        "Film people who move, let BlazePose follow them, and write what it saw beside the truth: shards in OUT/train"
        " and OUT/validation. What is there already stays, so that a run that was cut off goes on.",
    )
    _add_data(data)
    imitate = command(
        networks,
        "imitate",
        "multiply training data",
        "Put the detector's errors on filmed people upon others who are only posed: shards without local maps in"
        " DATA/imitated, a hundred times faster than filming. What is there already stays.",
    )
    _add_error_transfer(imitate)
    likeness = command(
        networks,
        "likeness",
        "compare rendered people with real ones",
        "Measure, by what can be told without the truth, how the detector fares on training data and on footage.",
    )
    likeness.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    likeness.add_argument("--shards", type=count, default=20, metavar="N", help="look at so many (default: 20)")
    likeness.add_argument("videos", type=Path, nargs="*", metavar="VIDEO", help="footage of real people")
    for name, what in TRAINABLE.items():
        training = command(
            networks,
            name,
            f"train the {what}",
            f"Train the {what} on the shards in DATA/train, and measure it beside BlazePose on those in"
            " DATA/validation. Writes checkpoint.pt, log.jsonl, curve.png, report.json and report.md. An interruption"
            " (Ctrl-C) ends training in good order, to go on later with --resume.",
        )
        training.set_defaults(network=name)
        _add_training(training)
    embedding = command(
        networks,
        "embedding",
        "train the pose embedding that part_dynamics begins with",
        "Train Pr-VIPE on the motion library in DATA: writes OUT/checkpoint.pt, for --from of `train part_dynamics`,"
        " and OUT/report.json with how often it finds held-out poses again from another view.",
    )
    _add_embedding(embedding)
    ablate = command(
        networks,
        "ablate",
        "train variants of a network, each without a part",
        "Train the variants of a paper's ablations, each into a folder of OUT, and print a table of what the"
        " validation split says of them. Variants that are done stay.",
    )
    ablate.add_argument("network", choices=TRAINABLE, help="whose variants")
    _add_training(ablate)
    export = command(
        networks,
        "export",
        "write a trained network for use",
        "Write a trained network as the ONNX files that the estimators run on, and compare the two.",
    )
    export.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="checkpoint.pt of a training")
    export.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    export.add_argument("--name", metavar="NAME", help="of the files (default: the network's configuration)")
    export.add_argument(
        "--data", type=Path, metavar="FOLDER", help="measure on its validation split what rounding to float16 changed"
    )
    export.add_argument("--full", action="store_true", help="keep weights in float32, twice as large")


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--mocap",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="motion capture: CMU's .npz or .asf/.amc, AMASS; needed once, OUT/library.npz keeps it",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument("--minutes", type=not_negative, default=60.0, metavar="N", help="stop then (default: 60)")
    command.add_argument("--jobs", type=count, default=2, metavar="N", help="processes (default: 2)")
    command.add_argument("--seed", type=whole, default=0, metavar="N", help="others make other data (default: 0)")
    command.add_argument(
        "--look", action="store_true", help="look at people's other regions of interest too, for multi_roi"
    )
    command.add_argument(
        "--sheet", type=Path, metavar="FILE", help="only draw a picture of what it would make into this file"
    )


def _add_error_transfer(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="filmed training data")
    command.add_argument("--shards", type=count, default=200, metavar="N", help="6,144 frames each (default: 200)")
    command.add_argument("--jobs", type=count, default=2, metavar="N", help="processes (default: 2)")
    command.add_argument("--seed", type=whole, default=0, metavar="N", help="others make other data (default: 0)")


def _add_embedding(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument("--minutes", type=not_negative, default=6.0, metavar="N", help="of training (default: 6)")
    command.add_argument("--hidden", type=count, default=256, metavar="N", help="units of a layer (default: 256)")
    command.add_argument("--batch", type=count, default=96, metavar="N", help="poses a step (default: 96)")
    command.add_argument("--rate", type=positive, default=1e-3, metavar="X", help="highest rate (default: 0.001)")
    command.add_argument("--seed", type=whole, default=0, metavar="N", help="of everything drawn (default: 0)")
    command.add_argument("--threads", type=count, metavar="N", help="of the CPU (default: all)")


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument(
        "--minutes",
        type=not_negative,
        default=60.0,
        metavar="N",
        help="minutes of training, those before --resume included; the last validation comes on top (default: 60)",
    )
    command.add_argument("--steps", type=count, metavar="N", help="end after so many steps, if that is sooner")
    command.add_argument(
        "--configuration", metavar="NAME", help="the network's sizes (default: the compact ones, as shipped)"
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one of the sizes (refine=false, local_window=3), or how training goes (noise.jitter=0,"
        " drawing.still=0, schedule.clip=1)",
    )
    command.add_argument(
        "--loss", action="append", default=[], metavar="NAME=WEIGHT", help="change a loss's weight; 0 for none"
    )
    command.add_argument("--batch", type=count, default=64, metavar="N", help="windows a step (default: 64)")
    command.add_argument(
        "--rate", type=positive, default=1e-4, metavar="X", help="highest learning rate (default: 0.0001)"
    )
    command.add_argument("--seed", type=whole, default=0, metavar="N", help="of everything drawn (default: 0)")
    command.add_argument(
        "--from",
        dest="start",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="begin with the weights of another training's checkpoint; what it lacks comes from further ones",
    )
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if there is one")
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train (default: auto)"
    )
    command.add_argument("--threads", type=count, metavar="N", help="threads of the CPU (default: all)")
    command.add_argument(
        "--check", type=positive, default=5.0, metavar="N", help="minutes between validations (default: 5)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or make and measure training data; return the exit status."""
    if arguments.what == "likeness":
        return _compare_realism(arguments)
    if arguments.what == "data":
        from ..research.training.synthesis import generate

        return generate.run(arguments)
    if arguments.what == "imitate":
        from ..research.training.synthesis import error_transfer

        return error_transfer.run(arguments)
    if arguments.what == "embedding":
        from ..research.training import embedding

        shares = ", ".join(f"{name} {share:.1%}" for name, share in embedding.run(arguments).items())
        print(f"held-out poses found again from another view: {shares}", flush=True)
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
    return 128 + signal.SIGINT if report["interrupted"] else 0


def _compare_realism(arguments: argparse.Namespace) -> int:
    from ..research.training.synthesis import realism

    columns = {"rendered": realism.measure(realism.of_data(arguments.data, arguments.shards))}
    for video in arguments.videos:
        columns[video.name] = realism.measure(realism.of_footage([video]))
    print(realism.table(columns), end="")
    return 0
