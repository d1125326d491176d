"""The commands and their arguments. Standard library only, so that `--help` needs no setup."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..paths import IS_CHECKOUT, user_cache
from . import benchmarks, convert, evaluation, training, types

PLATFORMS = ("linux-x64", "windows-x64", "macos-arm64")
"""Blender's names for them."""

FLAVOURS = ("cpu", "cuda")

DESCRIPTION = """\
Turn ordinary video of people into animated, skinned characters in Blender files.

  video-motion convert clip.mp4 --out result/

writes result/clip.blend (opens in Blender 4.2 and later: the character moving, the camera matched, the footage behind
it), result/clip.motion.npz (the first person's motion, readable as AMASS/SMPL motion; further people's are
clip.person-2.motion.npz and so on, those of a film's further shots clip.shot-2.motion.npz and so on) and
result/clip.json (who was found and left out, timings, warnings). Without --out they are written next to the video.
"""

SET_UP = """\
The first run of a command makes a virtual environment next to the code and fetches what it needs (about 500 MB; the
progress lines say) through your own pip configuration; later runs start at once. Needs Python 3.11.

"""

EPILOG = """\
environment variables:
  VIDEO_MOTION_CACHE   folder for the weight files and the body (default: {folder})

`video-motion COMMAND --help` explains a command's options.
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

    convert.add_commands(commands)
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
        "--add", type=Path, nargs="+", default=[], metavar="FILE", help="a file that would be fetched otherwise"
    )

    extension = types.command(
        commands,
        "build-extension",
        "build the zips that install in Blender",
        "Build a zip for each platform, OUT/cpu/NAME.zip and OUT/cuda/NAME.zip, that installs in Blender 4.2 and later"
        " and needs no network, and next to them the index.json of a repository to serve.",
    )
    release = types.command(
        commands,
        "release",
        "make a release of the commit that is checked out",
        "Write the extension's zips with their index, the Python package, the changelog's entry (release-notes.md),"
        " what ships, with licences (sbom.cdx.json, CycloneDX), and checksums (SHA256SUMS). The same commit gives the"
        " same bytes.",
    )
    for one in (extension, release):
        _add_builds(one)

    training.add_commands(commands)

    test = types.command(
        commands,
        "test",
        "run the project's tests",
        "Run every test, then those that touch Blender's interface under a second Blender. A first argument `main` or "
        "`bpy-5.0.1` chooses one of the two runs; `faults` tries damaged files and killed programs at"
        " length.",
    )
    test.add_argument("pytest_arguments", nargs="*", metavar="ARGUMENT", help="all arguments go to pytest")
    return top


def _add_builds(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    command.add_argument(
        "--platform", nargs="+", choices=PLATFORMS, default=PLATFORMS, help="for these systems (default: all)"
    )
    command.add_argument(
        "--flavour",
        nargs="+",
        choices=FLAVOURS,
        default=["cpu"],
        help="to run on the CPU only, or on NVIDIA's GPUs too, where those exist (default: cpu)",
    )
    command.add_argument(
        "--bundle-cuda",
        action="store_true",
        help="put CUDA's and cuDNN's libraries into the zips for cuda, which grow by 1.2 GB",
    )


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the command and its options; exits with a message if they are invalid."""
    if argv[:1] == ["test"] and not {"-h", "--help"} & set(argv):
        # argparse would interpret pytest's options as its own.
        return argparse.Namespace(command="test", pytest_arguments=list(argv[1:]))
    return parser().parse_args(argv)
