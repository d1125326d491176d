"""The command line's words and their explanation. Standard library only, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
import glob
import math
from collections.abc import Sequence
from pathlib import Path

from ..estimators import DEFAULT, DEVICES, NETWORKS, TRAINABLE

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"}
    | {".ogv", ".ts", ".vob", ".webm", ".wmv"}
)

PLATFORMS = ("linux-x64", "windows-x64", "macos-arm64")
"""By Blender's names."""

FLAVOURS = ("cpu", "cuda")

FORMATS = ("blend", "fbx", "glb", "usd", "bvh", "amass")
ENGINES = ("unreal", "unity")

OVERLAY_MARK = ".overlay"
"""How the names of the videos end that `overlay` draws, which are no footage."""

DESCRIPTION = """\
Turn ordinary video of people into animated, skinned characters in Blender files.

  video-motion convert clip.mp4 --out result/

writes result/clip.blend (opens in Blender 4.2 and later: the character moving, the camera matched, the footage behind
it), result/clip.motion.npz (the first person's motion, readable as AMASS/SMPL motion; further people's are
clip.person-2.motion.npz and so on) and result/clip.json (what was found and skipped, timings, warnings). Without --out
they are written beside the video.
"""

EPILOG = """\
The first run of a command makes a virtual environment beside the code and fetches what it needs (about 500 MB; the
progress lines tell) through your own pip configuration; later runs start at once. Needs Python 3.11.

environment variables:
  VIDEO_MOTION_CACHE   folder for the weight files and the body (default: .cache/weights beside the code)

`video-motion COMMAND --help` explains a command's options.
"""

CONVERT = """\
Convert videos, every video in folders, or those that a pattern finds ('takes/**/*.mp4'), to Blender files or others. A
video that can't be converted is named with one sentence and the rest go on. Of several videos OUT/batch.json tells what
became of each. Files are there whole or not at all; --resume goes on after an interruption.
"""

CONVERT_STATUS = """\
Exit status: 0 if every video gave a result, 1 if some did not, 2 for wrong arguments, 130 after an interruption.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    top = argparse.ArgumentParser(
        prog="video-motion",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    convert = commands.add_parser(
        "convert",
        help="video to Blender file, and to FBX, glTF, USD, BVH, AMASS",
        description=CONVERT,
        epilog=CONVERT_STATUS,
    )
    _add_videos(convert)
    add_conversion(convert)
    convert.add_argument(
        "--blender",
        type=Path,
        metavar="PROGRAM",
        help="an installed Blender that writes the file (default: Blender 4.2's module, which every later one reads)",
    )

    estimate = _command(
        commands,
        "estimate",
        "video to motion files, without Blender",
        "Write the .motion.npz and .json files of `convert` and no Blender file.",
    )
    _add_videos(estimate)
    _add_estimation(estimate)

    overlay = _command(
        commands,
        "overlay",
        "draw the character over its footage",
        "Draw the character over its footage, to judge a result by eye: NAME.overlay.mp4, and NAME.overlay.jpg with"
        " several moments side by side (footage with landmarks, character over it, character from its left).",
    )
    overlay.add_argument("video", type=Path, metavar="VIDEO", help="the footage")
    overlay.add_argument(
        "--motion",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="draw these motion files of the video instead of estimating anew",
    )
    overlay.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write (default: beside the motion files, else the video)"
    )
    overlay.add_argument("--columns", type=_count, default=8, metavar="N", help="moments on the picture (default: 8)")
    overlay.add_argument(
        "--height", type=_count, default=360, metavar="PIXELS", help="height of each of its three rows (default: 360)"
    )
    _add_estimation(overlay)

    evaluate = _command(
        commands,
        "evaluate",
        "score the motion of a clip",
        "Score the estimated motion against the true one, beside BlazePose's own world landmarks.",
    )
    add_evaluation(evaluate)

    bench = _command(
        commands, "bench", "measure speed or memory", "Measure on the sample clip, or on a video of yours."
    )
    measures = bench.add_subparsers(dest="what", required=True, metavar="WHAT", title="what to measure")
    speed = _command(measures, "speed", "frames per second of each stage", "Time the stages of a `convert`.")
    speed.add_argument(
        "--mediapipe", action="store_true", help="time MediaPipe's own pipeline on the same frames after it"
    )
    people = _command(
        measures,
        "people",
        "the people station beside MediaPipe",
        "Time the people station beside MediaPipe itself, on the same frames in alternation. The first run fetches"
        " MediaPipe into an environment of its own.",
    )
    people.add_argument(
        "--max-people",
        type=_count,
        default=6,
        metavar="N",
        help="people we may follow; MediaPipe follows 1 (default: 6, as `convert`)",
    )
    people.add_argument("--threads", type=_count, default=2, metavar="N", help="threads of our networks (default: 2)")
    people.add_argument("--limit", type=_count, metavar="N", help="use no more frames than this")
    memory = _command(
        measures,
        "memory",
        "peak memory of a short and a long video",
        "Measure the peak memory of `estimate` on 300 and on 3,000 frames of the video, repeated as often as that"
        " takes.",
    )
    estimators = _command(
        measures,
        "networks",
        "size and speed of all estimators",
        "Count the parameters and operations of each network, and time it and `estimate` with it on the video.",
    )
    for measure in (speed, people, memory, estimators):
        measure.add_argument("video", type=Path, nargs="?", metavar="VIDEO", help="footage (default: the sample clip)")

    weights = _command(
        commands,
        "weights",
        "list the weight files, or add one that you have",
        "List the files that the estimators run on, with licence and state; fetch those that are missing, or take them"
        " from files that you have (useful without a network).",
    )
    weights.add_argument("--fetch", action="store_true", help="fetch what is missing and build the body")
    weights.add_argument(
        "--add", type=Path, nargs="+", default=[], metavar="FILE", help="a weight file, or the wheel it comes in"
    )

    extension = _command(
        commands,
        "build-extension",
        "build the zips that install in Blender",
        "Build a zip for each platform, OUT/cpu/NAME.zip and OUT/cuda/NAME.zip, that installs in Blender 4.2 and later"
        " and needs no network, and beside them the index.json of a repository to serve.",
    )
    extension.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    extension.add_argument(
        "--platform", nargs="+", choices=PLATFORMS, default=PLATFORMS, help="for these systems (default: all)"
    )
    extension.add_argument(
        "--flavour",
        nargs="+",
        choices=FLAVOURS,
        default=["cpu"],
        help="to run on the CPU only, or on NVIDIA's GPUs too, where those exist (default: cpu)",
    )
    extension.add_argument(
        "--bundle-cuda",
        action="store_true",
        help="put CUDA's and cuDNN's libraries into the zips for cuda, which grow by 1.2 GB",
    )

    train = _command(
        commands,
        "train",
        "train a network on training data",
        "Train a network. The first run fetches PyTorch (350 MB).",
    )
    networks = train.add_subparsers(dest="what", required=True, metavar="WHAT", title="what to do")
    data = _command(
        networks,
        "data",
        "film training data",
        "Film people who move, let BlazePose follow them, and write what it saw beside the truth: shards in OUT/train"
        " and OUT/validation. What is there already stays, so that a run that was cut off goes on.",
    )
    add_data(data)
    imitate = _command(
        networks,
        "imitate",
        "multiply training data",
        "Put the detector's errors on filmed people upon others who are only posed: shards without local maps in"
        " DATA/imitated, a hundred times faster than filming. What is there already stays.",
    )
    add_imitation(imitate)
    likeness = _command(
        networks,
        "likeness",
        "compare rendered people with real ones",
        "Measure, by what can be told without the truth, how the detector fares on training data and on footage.",
    )
    likeness.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    likeness.add_argument("--shards", type=_count, default=20, metavar="N", help="look at so many (default: 20)")
    likeness.add_argument("videos", type=Path, nargs="*", metavar="VIDEO", help="footage of real people")
    for name, what in TRAINABLE.items():
        training = _command(
            networks,
            name,
            f"train the {what}",
            f"Train the {what} on the shards in DATA/train, and measure it beside BlazePose on those in"
            " DATA/validation. Writes checkpoint.pt, log.jsonl, curve.png, report.json and report.md. An interruption"
            " (Ctrl-C) ends training in good order, to go on later with --resume.",
        )
        training.set_defaults(network=name)
        add_training(training)
    embedding = _command(
        networks,
        "embedding",
        "train the pose embedding that part_dynamics begins with",
        "Train Pr-VIPE on the motion library in DATA: writes OUT/checkpoint.pt, for --from of `train part_dynamics`,"
        " and OUT/report.json with how often it finds held-out poses again from another view.",
    )
    add_embedding(embedding)
    ablate = _command(
        networks,
        "ablate",
        "train variants of a network, each without a part",
        "Train the variants of a paper's ablations, each into a folder of OUT, and print a table of what the"
        " validation split says of them. Variants that are done stay.",
    )
    ablate.add_argument("network", choices=TRAINABLE, help="whose variants")
    add_training(ablate)
    export = _command(
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

    test = _command(
        commands,
        "test",
        "run the project's tests",
        "Run every test, then the add-on's under a second Blender.",
    )
    test.add_argument("pytest_arguments", nargs="*", metavar="ARGUMENT", help="all arguments go to pytest")
    return top


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the command and its options; exits with a message if they make no sense."""
    if argv[:1] == ["test"] and not {"-h", "--help"} & set(argv):
        # argparse would take pytest's options for its own.
        return argparse.Namespace(command="test", pytest_arguments=list(argv[1:]))
    return parser().parse_args(argv)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=description)


def add_evaluation(command: argparse.ArgumentParser) -> None:
    """Describe what `evaluate` takes."""
    command.add_argument("clip", type=Path, nargs="?", metavar="CLIP", help="a video (default: the sample clip)")
    command.add_argument("truth", type=Path, nargs="?", metavar="TRUTH", help="the motion file that it was made from")
    command.add_argument("--no-truth", action="store_true", help="measure what can be measured without a true motion")
    command.add_argument(
        "--motion",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="score these motion files of the clip instead of estimating anew",
    )
    command.add_argument(
        "--layout",
        choices=("3dpw", "emdb", "human36m", "mpi_inf_3dhp"),
        help="score on the test set of this data set instead",
    )
    command.add_argument("--root", type=Path, metavar="FOLDER", help="where the data set of --layout is")
    command.add_argument("--clips", type=_count, metavar="N", help="of the data set, no more than these")
    command.add_argument(
        "--smpl",
        type=Path,
        metavar="FOLDER",
        help="SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE, .npz or .pkl, for data sets whose truth is SMPL",
    )
    command.add_argument(
        "--data", type=Path, metavar="FOLDER", help="score on the validation split of these training data instead"
    )
    command.add_argument("--sequences", type=_count, metavar="N", help="of the training data, no more than these")
    command.add_argument(
        "--network",
        choices=NETWORKS,
        nargs="+",
        default=[DEFAULT, "landmarks"],
        metavar="NAME",
        help=f"what estimates the motion, after CLIP and TRUTH: {', '.join(NETWORKS)} (default: {DEFAULT} landmarks)",
    )
    command.add_argument("--true-focal", action="store_true", help="tell the estimators the true focal length")
    _add_device(command)
    command.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write the table as JSON and Markdown there, and pictures"
    )


def add_data(command: argparse.ArgumentParser) -> None:
    """Describe what `train data` takes."""
    command.add_argument(
        "--mocap",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="motion capture: CMU's .npz or .asf/.amc, AMASS; needed once, OUT/library.npz keeps it",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument("--minutes", type=_not_negative, default=60.0, metavar="N", help="stop then (default: 60)")
    command.add_argument("--jobs", type=_count, default=2, metavar="N", help="processes (default: 2)")
    command.add_argument("--seed", type=_whole, default=0, metavar="N", help="others make other data (default: 0)")
    command.add_argument(
        "--look", action="store_true", help="look at people's other regions of interest too, for multi_roi"
    )
    command.add_argument(
        "--sheet", type=Path, metavar="FILE", help="only draw a picture of what it would make into this file"
    )


def add_imitation(command: argparse.ArgumentParser) -> None:
    """Describe what `train imitate` takes."""
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="filmed training data")
    command.add_argument("--shards", type=_count, default=200, metavar="N", help="6,144 frames each (default: 200)")
    command.add_argument("--jobs", type=_count, default=2, metavar="N", help="processes (default: 2)")
    command.add_argument("--seed", type=_whole, default=0, metavar="N", help="others make other data (default: 0)")


def add_embedding(command: argparse.ArgumentParser) -> None:
    """Describe what `train embedding` takes."""
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument("--minutes", type=_not_negative, default=6.0, metavar="N", help="of training (default: 6)")
    command.add_argument("--hidden", type=_count, default=256, metavar="N", help="units of a layer (default: 256)")
    command.add_argument("--batch", type=_count, default=96, metavar="N", help="poses a step (default: 96)")
    command.add_argument("--rate", type=_positive, default=1e-3, metavar="X", help="highest rate (default: 0.001)")
    command.add_argument("--seed", type=_whole, default=0, metavar="N", help="of everything drawn (default: 0)")
    command.add_argument("--threads", type=_count, metavar="N", help="of the CPU (default: all)")


def add_training(command: argparse.ArgumentParser) -> None:
    """Describe what `train NETWORK` takes."""
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the training data")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument(
        "--minutes",
        type=_not_negative,
        default=60.0,
        metavar="N",
        help="minutes of training, those before --resume included; the last validation comes on top (default: 60)",
    )
    command.add_argument("--steps", type=_count, metavar="N", help="end after so many steps, if that is sooner")
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
    command.add_argument("--batch", type=_count, default=64, metavar="N", help="windows a step (default: 64)")
    command.add_argument(
        "--rate", type=_positive, default=1e-4, metavar="X", help="highest learning rate (default: 0.0001)"
    )
    command.add_argument("--seed", type=_whole, default=0, metavar="N", help="of everything drawn (default: 0)")
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
    command.add_argument("--threads", type=_count, metavar="N", help="threads of the CPU (default: all)")
    command.add_argument(
        "--check", type=_positive, default=5.0, metavar="N", help="minutes between validations (default: 5)"
    )


def _add_videos(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "videos",
        type=Path,
        nargs="+",
        metavar="VIDEO",
        help="a video, a folder whose videos are all taken, or a pattern in quotes",
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: beside each video)")


def add_conversion(command: argparse.ArgumentParser) -> None:
    """Describe what `convert` takes beside videos and --out, as `addon/batch.py` does."""
    _add_estimation(command)
    command.add_argument(
        "--format",
        type=_formats,
        default=("blend",),
        metavar="LIST",
        help=f"what to write, with commas between: {', '.join(FORMATS)} (default: blend)",
    )
    command.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0], help=f"whose axes FBX files have (default: {ENGINES[0]})"
    )
    command.add_argument(
        "--rig",
        type=Path,
        metavar="FILE",
        help="a character (.blend, .fbx, .glb, .vrm) that gets each person's motion, in place of the body",
    )
    command.add_argument(
        "--fps",
        type=_frame_rate,
        default="video",
        metavar="RATE",
        help="the scene's frames per second: a number, `video` for the video's (default), or `keep` for Blender's own",
    )
    command.add_argument("--jobs", type=_count, default=1, metavar="N", help="videos to work on at once (default: 1)")
    command.add_argument(
        "--resume",
        action="store_true",
        help="skip videos whose results are there, whole and of the same video, options and version",
    )


def expand(inputs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The videos that are meant, each once, and a sentence for each folder or pattern that has none."""
    videos: dict[Path, Path] = {}
    failures = []
    for given in inputs:
        found = [given]
        if not given.exists() and glob.has_magic(str(given)):
            found = sorted(file for name in glob.glob(str(given), recursive=True) if is_video(file := Path(name)))
            if not found:
                failures.append(f"No video is found by {given}: check the pattern.")
        elif given.is_dir():
            try:
                found = sorted(file for file in given.iterdir() if is_video(file))
            except OSError as error:
                failures.append(f"{given} can't be listed ({error.strerror}): check its permissions.")
                continue
            if not found:
                failures.append(f"{given} is a folder without a video: name a video, or a folder that holds some.")
        for file in found:
            videos.setdefault(file.resolve(), file)
    return list(videos.values()), failures


def is_video(file: Path) -> bool:
    """Whether a file among others is footage, by its name."""
    return (
        file.suffix.lower() in VIDEO_SUFFIXES
        and not file.name.startswith(".")
        and not file.stem.endswith(OVERLAY_MARK)
        and file.is_file()
    )


def output_names(videos: Sequence[Path], out: Path | None) -> list[Path]:
    """Return where each video's results go, as paths without suffix, no two alike on any file system."""
    plain = [(out or video.parent) / video.stem for video in videos]
    keys = [_key(target) for target in plain]
    taken = {key for key in keys if keys.count(key) == 1}
    targets = []
    for video, target, key in zip(videos, plain, keys, strict=True):
        if keys.count(key) > 1:
            base = target.with_name(f"{video.stem}_{video.suffix[1:]}" if video.suffix else video.stem)
            target, number = base, 2
            while _key(target) in taken:
                target, number = base.with_name(f"{base.name}_{number}"), number + 1
            taken.add(_key(target))
        targets.append(target)
    return targets


def _key(target: Path) -> str:
    return str(target.resolve()).casefold()


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    unknown = [part for part in chosen if part not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0] or 'nothing'} is none of {', '.join(FORMATS)}")
    return chosen


def _frame_rate(text: str) -> str | float:
    if text in ("keep", "video"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text} is not keep, video or a number of frames per second up to 1000")
    return value


def _add_estimation(command: argparse.ArgumentParser) -> None:
    command.add_argument("--start", type=_seconds, metavar="SECONDS", help="skip what comes before (default: 0)")
    command.add_argument("--end", type=_seconds, metavar="SECONDS", help="stop there (default: the end)")
    command.add_argument(
        "--person",
        type=_person,
        default="all",
        metavar="N",
        help="only this person, numbered from 1 by time on screen, or all (default: all who are there long enough)",
    )
    focal = command.add_mutually_exclusive_group()
    focal.add_argument("--focal", type=_positive, metavar="PIXELS", help="focal length, if known, in pixels")
    focal.add_argument(
        "--focal-mm", type=_positive, metavar="MM", help="focal length, if known, in mm for 35 mm film (phones: 24–28)"
    )
    command.add_argument(
        "--smpl", type=Path, metavar="FILE", help="a licensed SMPL file (.npz, .pkl) in place of the free body"
    )
    command.add_argument(
        "--smoothing",
        type=_not_negative,
        default=1.0,
        metavar="X",
        help="1 is the usual amount, 0 none, 2 twice as much (default: 1)",
    )
    command.add_argument(
        "--feet",
        type=_not_negative,
        default=1.0,
        metavar="X",
        help="1 is the usual hold on standing feet, 0 none (default: 1)",
    )
    command.add_argument(
        "--network",
        choices=NETWORKS,
        default=DEFAULT,
        help=f"what estimates the motion: {', '.join(NETWORKS)} (default: {DEFAULT})",
    )
    _add_device(command)


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        metavar="DEVICE",
        help="where networks run: cpu, cuda, cuda:N for the GPU of number N, or auto, the first GPU if it works and"
        " else the CPU (default: auto)",
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return value


def _not_negative(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


_seconds = _not_negative


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0")
    return int(text)


def _person(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return _count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error} and not all") from error
