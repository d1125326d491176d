"""The command line's words and their explanation. Standard library only, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
import glob
import math
from collections.abc import Sequence
from pathlib import Path

from ..estimators import DEFAULT, NETWORKS
from ..paths import IS_CHECKOUT, user_cache
from . import benchmarks, evaluation, training, types

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

SET_UP = """\
The first run of a command makes a virtual environment next to the code and fetches what it needs (about 500 MB; the
progress lines tell) through your own pip configuration; later runs start at once. Needs Python 3.11.

"""

EPILOG = """\
environment variables:
  VIDEO_MOTION_CACHE   folder for the weight files and the body (default: {folder})

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
        epilog=(SET_UP if IS_CHECKOUT else "")
        + EPILOG.format(folder=".cache/weights next to the code" if IS_CHECKOUT else user_cache() / "weights"),
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

    estimate = types.command(
        commands,
        "estimate",
        "video to motion files, without Blender",
        "Write the .motion.npz and .json files of `convert` and no Blender file.",
    )
    _add_videos(estimate)
    _add_estimation(estimate)

    overlay = types.command(
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
    overlay.add_argument(
        "--columns", type=types.count, default=8, metavar="N", help="moments on the picture (default: 8)"
    )
    overlay.add_argument(
        "--height",
        type=types.count,
        default=360,
        metavar="PIXELS",
        help="height of each of its three rows (default: 360)",
    )
    _add_estimation(overlay)

    evaluation.add_commands(commands)
    benchmarks.add_commands(commands)

    weights = types.command(
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

    extension = types.command(
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

    training.add_commands(commands)

    test = types.command(
        commands,
        "test",
        "run the project's tests",
        "Run every test, then those that touch Blender's interface under a second Blender. A first argument `main` or "
        "`bpy-5.0.1` chooses one of the two runs.",
    )
    test.add_argument("pytest_arguments", nargs="*", metavar="ARGUMENT", help="all arguments go to pytest")
    return top


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the command and its options; exits with a message if they make no sense."""
    if argv[:1] == ["test"] and not {"-h", "--help"} & set(argv):
        # argparse would take pytest's options for its own.
        return argparse.Namespace(command="test", pytest_arguments=list(argv[1:]))
    return parser().parse_args(argv)


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
    command.add_argument(
        "--jobs", type=types.count, default=1, metavar="N", help="videos to work on at once (default: 1)"
    )
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
    command.add_argument(
        "--start", type=types.not_negative, metavar="SECONDS", help="skip what comes before (default: 0)"
    )
    command.add_argument("--end", type=types.not_negative, metavar="SECONDS", help="stop there (default: the end)")
    command.add_argument(
        "--person",
        type=_person,
        default="all",
        metavar="N",
        help="only this person, numbered from 1 by time on screen, or all (default: all who are there long enough)",
    )
    focal = command.add_mutually_exclusive_group()
    focal.add_argument("--focal", type=types.positive, metavar="PIXELS", help="focal length, if known, in pixels")
    focal.add_argument(
        "--focal-mm",
        type=types.positive,
        metavar="MM",
        help="focal length, if known, in mm for 35 mm film (phones: 24–28)",
    )
    command.add_argument(
        "--smpl", type=Path, metavar="FILE", help="a licensed SMPL file (.npz, .pkl) in place of the free body"
    )
    command.add_argument(
        "--smoothing",
        type=types.not_negative,
        default=1.0,
        metavar="X",
        help="1 is the usual amount, 0 none, 2 twice as much (default: 1)",
    )
    command.add_argument(
        "--feet",
        type=types.not_negative,
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
    types.add_device(command)


def _person(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return types.count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error} and not all") from error
