"""The commands `convert`, `estimate` and `overlay`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

from .. import console, options, registry
from ..batch import interruption
from ..batch.inputs import check_folder
from ..batch.request import Request
from ..footage.naming import OVERLAY_MARK, output_names
from ..options import Options
from . import environment
from .preparation import CommandError, prepare
from .types import Commands, command, count
from .working import SCHEDULER_HELP

DESCRIPTION = """\
Convert videos, every video in folders, or those that a pattern finds ('takes/**/*.mp4'), to Blender files or others. A
video that can't be converted is reported in one sentence and the others continue. For several videos OUT/batch.json
lists the outcome of each. Files are written completely or not at all; --resume continues after an interruption.
"""

EPILOG = """\
Exit status: 0 if every video gave a result, 1 if some did not, 2 for wrong arguments, 130 after an interruption.
"""


def add_commands(commands: Commands) -> None:
    """Describe the commands."""
    convert = command(commands, "convert", "video to Blender file, and to FBX, glTF, USD, BVH, AMASS", DESCRIPTION)
    convert.epilog = EPILOG
    _add_videos(convert)
    options.add_arguments(convert, options.EVERYTHING)
    convert.add_argument(
        "--blender",
        type=Path,
        metavar="PROGRAM",
        help="an installed Blender that writes the file (default: Blender 4.2's module, which every later one reads)",
    )
    estimate = command(
        commands,
        "estimate",
        "video to motion files, without Blender",
        "Write the .motion.npz and .json files of `convert` (of several videos batch.json too) and no Blender file.",
    )
    _add_videos(estimate)
    options.add_arguments(estimate, (*options.ESTIMATION, options.BATCH))
    overlay = command(
        commands,
        "overlay",
        "draw the character over its footage",
        "Draw the character over its footage, to judge a result by eye: NAME.overlay.mp4, and NAME.overlay.jpg with"
        " several moments side by side (footage with landmarks, character over it, from its left, from above), and"
        " NAME.overlay.close.jpg where hands or a face were seen.",
    )
    overlay.add_argument("video", type=Path, metavar="VIDEO", help="the footage")
    overlay.add_argument(
        "--motion",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="draw these motion files of the video instead of estimating again",
    )
    overlay.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write (default: next to the motion files, else the video)"
    )
    overlay.add_argument("--columns", type=count, default=8, metavar="N", help="moments on the picture (default: 8)")
    overlay.add_argument(
        "--row-height", type=count, default=360, metavar="PIXELS", help="of each of its four rows (default: 360)"
    )
    options.add_arguments(overlay, options.ESTIMATION)


def convert(chosen: argparse.Namespace) -> int:
    """Fetch what is needed, then let `addon/batch.py` do the work in Blender, with this Python for the networks."""
    wanted = Options.from_arguments(chosen)
    check_folder(chosen.out)
    if chosen.blender is None and chosen.scheduler is None and importlib.util.find_spec("bpy") is None:
        raise CommandError(
            "Blender's module (bpy) is not installed here: install it with `pip install bpy==4.2.*` under Python 3.11,"
            " or name an installed Blender with --blender PROGRAM."
        )
    prepare(wanted)
    if chosen.scheduler is not None:
        return _on_cluster(chosen, wanted)
    python = Path(sys.executable) if chosen.blender is not None else None
    request = Request(chosen.videos, chosen.out, wanted, registry.cache_folder(), python)
    command, variables = environment.batch_command(chosen.blender, "--request")
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=variables)
    except OSError as error:
        raise CommandError(f"{command[0]} can't be started ({error.strerror}): check --blender.") from error
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{request.to_json()}\n".encode())
            process.stdin.flush()
        # Its input stays open until this process ends, however it does.
        status = process.wait()
    except KeyboardInterrupt:
        # A terminal interrupts both processes, `kill` only one. Either way the child has to clean up.
        if os.name != "nt":
            process.send_signal(signal.SIGINT)
        process.wait()
        return interruption.STATUS
    if status not in (0, 1, interruption.STATUS):
        # Blender's own reader of .blend files, for one, crashes on some that are damaged.
        rig = f"; if it does so again, save {wanted.rig} again" if wanted.rig is not None else ""
        raise CommandError(f"Blender ended unexpectedly (status {status}): go on with --resume{rig}.")
    return status


def estimate(chosen: argparse.Namespace) -> int:
    """Do as `convert` does, without formats and so without Blender."""
    from ..batch.queue import VideoBatch

    wanted = dataclasses.replace(Options.from_arguments(chosen), format=())
    check_folder(chosen.out)
    prepare(wanted)
    if chosen.scheduler is not None:
        return _on_cluster(chosen, wanted)
    interruption.listen()
    return VideoBatch(Request(chosen.videos, chosen.out, wanted, registry.cache_folder())).run()


def _on_cluster(chosen: argparse.Namespace, wanted: Options) -> int:
    """Let the workers of a Dask cluster do the work."""
    from ..batch.queue import VideoBatch
    from .cluster import ClusterRunner

    if wanted.jobs != options.default("jobs"):
        raise CommandError("--jobs is for this machine: a cluster works on as many videos as its workers have threads.")
    interruption.listen()
    runner = ClusterRunner(chosen.scheduler, wanted, getattr(chosen, "blender", None))
    try:
        return VideoBatch(Request(chosen.videos, chosen.out, wanted, registry.cache_folder()), runner=runner).run()
    finally:
        runner.close()


def overlay(chosen: argparse.Namespace) -> int:
    """Draw a video and a contact sheet."""
    from ..body.smpl import Body
    from ..conversion import convert_footage
    from ..footage.reader import IMAGES_FRAME_RATE, Footage
    from ..models import load_models
    from ..motion.motion import Motion
    from . import overlay

    check_folder(chosen.out)
    wanted = Options.from_arguments(chosen)
    folder = chosen.out or (chosen.motion or [chosen.video])[0].parent
    name = output_names([chosen.video], folder)[0].name
    video, picture, close = (folder / f"{name}{OVERLAY_MARK}{suffix}" for suffix in (".mp4", ".jpg", ".close.jpg"))
    footage = Footage(chosen.video, wanted.start, wanted.end, wanted.frame_rate or IMAGES_FRAME_RATE)
    if chosen.motion:
        motions = [Motion.load(file) for file in chosen.motion]
        body = Body.load(wanted.smpl or registry.body_path())
    else:
        models = load_models(wanted)
        progress = console.Progress(chosen.video.name)
        try:
            motions = convert_footage(chosen.video, wanted, models, progress).motions
        finally:
            progress.close()
        body = models.body
    folder.mkdir(parents=True, exist_ok=True)
    with console.step(f"Drawing {picture}"):
        overlay.write_contact_sheet(footage, motions, body, picture, chosen.columns, chosen.row_height)
        with_close = overlay.write_close_pictures(footage, motions, body, close, chosen.columns)
    with console.step(f"Drawing {video}"):
        overlay.write_video(footage, motions, body, video)
    print(video, picture, *([close] if with_close else []), sep="\n")
    return 0


def _add_videos(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "videos",
        type=Path,
        nargs="+",
        metavar="VIDEO",
        help="a video, a folder of numbered images, a folder whose videos are all taken, or a pattern in quotes",
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: next to each video)")
    command.add_argument("--scheduler", metavar="ADDRESS", help=SCHEDULER_HELP)
