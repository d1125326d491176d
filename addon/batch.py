"""The whole conversion without a window: `blender -b --python addon/batch.py -- clip.mp4 --out result/`.

Also runs under the `bpy` module: `python addon/batch.py -- --motion A.motion.npz --body BODY.npz --blend OUT.blend`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..inference.batch.request import Request
    from ..inference.options import Options

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "video-motion"
PACKAGES = ("cv2", "onnxruntime")
"""Packages that the networks need."""

REQUEST = "--request"
"""The only argument when `convert` starts this file: the request is a line of JSON on standard input, kept open."""

SERVE = "--serve"
"""The only argument when a cluster's worker starts this file: tasks are on standard input, see `batch.serving`."""

EPILOG = """\
From videos it writes, for each one, NAME.motion.npz (further people's are NAME.person-2.motion.npz and so on, those of
a film's further shots NAME.shot-2.motion.npz and so on), NAME.json, and a file of each format: NAME.blend, .fbx, .glb,
.usd, .bvh, and .amass.npz. Of several videos batch.json lists the outcome of each. Files are written completely or not
at all.

Exit status: 0 if every video gave a result, 1 if some did not, 2 for wrong arguments, 130 after an interruption.
"""


def main(argv: Sequence[str]) -> int:
    """Run the conversion that ``argv`` describes and return the exit status."""
    from video_motion.inference.batch import interruption
    from video_motion.inference.batch.request import Request
    from video_motion.inference.batch.summary import print_error
    from video_motion.inference.errors import VideoMotionError, sentence
    from video_motion.inference.options import Options
    from video_motion.inference.paths import IS_CHECKOUT

    if list(argv) == [SERVE]:
        return _serve()
    interruption.listen()
    try:
        if list(argv) == [REQUEST]:
            return _convert(Request.from_json(interruption.first_line()))
        chosen = _parse(argv)
        options = Options.from_arguments(chosen)
        if chosen.motion:
            _convert_motions(chosen, options)
            return 0
        if chosen.python is None and IS_CHECKOUT and not all(map(importlib.util.find_spec, PACKAGES)):
            return _launch(argv)
        return _convert(Request(chosen.videos, chosen.out, options, _weights(), chosen.python))
    except (VideoMotionError, OSError) as error:
        print_error(sentence(error))
        return 1
    except KeyboardInterrupt:
        print("video-motion: interrupted.", file=sys.stderr, flush=True)
        return interruption.STATUS


def _convert(request: Request) -> int:
    from video_motion.inference import temporary

    # Blender as a module, or where it is killed, never removes its folder of temporary files.
    with temporary.own_folder("video-motion-batch-"):
        from video_motion.addon.headless.writer import SceneWriter
        from video_motion.inference.batch.queue import VideoBatch

        return VideoBatch(request, SceneWriter(request.options)).run()


def _serve() -> int:
    from video_motion.addon.headless.writer import SceneWriter
    from video_motion.inference.batch import serving

    # Blender prints on standard output; only our answers go to the real one.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serving.serve(SceneWriter, out)
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    from video_motion.inference.options import EVERYTHING, add_arguments

    parser = argparse.ArgumentParser(
        prog="blender -b --python batch.py --",
        description="Turn videos, or motion files, into Blender files with animated characters, and others.",
        usage="%(prog)s VIDEO… [--out FOLDER] [--format LIST] [--jobs N] [--resume] …\n       "
        "%(prog)s --motion FILE… --blend FILE [--video FILE] [--body FILE] [--fps RATE]",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "videos",
        type=Path,
        nargs="*",
        metavar="VIDEO",
        help="a video, a folder of videos or of numbered images, or a pattern in quotes",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: next to each video)")
    add_arguments(parser, EVERYTHING)
    parser.add_argument(
        "--python", type=Path, metavar="PROGRAM", help="the Python that runs the networks (default: Blender's own)"
    )
    files = parser.add_argument_group("from motion files")
    files.add_argument("--motion", type=Path, nargs="+", metavar="FILE", help="of Video Motion or AMASS; one scene")
    files.add_argument("--body", type=Path, metavar="FILE", help="the body that the motion was made for")
    files.add_argument("--video", type=Path, metavar="FILE", help="the footage to show behind them")
    files.add_argument("--blend", type=Path, metavar="FILE", help="the file to write")
    chosen = parser.parse_args(argv)
    if chosen.motion and chosen.blend is None:
        parser.error("--motion needs --blend FILE")
    if chosen.motion and chosen.videos:
        parser.error(f"--motion makes one scene: {chosen.videos[0]} goes to --video")
    if not chosen.motion and (chosen.video or chosen.blend or chosen.body or not chosen.videos):
        parser.error("name videos, or motion files with --motion")
    return chosen


def _launch(argv: Sequence[str]) -> int:
    """Run the launcher's `convert`, which makes the environment that this Python lacks and starts this file again."""
    import bpy
    from video_motion.inference.batch.inputs import BatchError

    command = [str(LAUNCHER), "convert", *argv]
    if bpy.app.binary_path:
        command += ["--blender", bpy.app.binary_path]
    if os.name == "nt":
        command.insert(0, sys.executable)
    # Blender points its own Python's variables at itself; another Python would not start with them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, env=environment, check=False).returncode
    except OSError as error:
        raise BatchError(f"{LAUNCHER} can't be started ({error.strerror}): is the installation complete?") from error


def _weights() -> Path:
    """The folder of weight files: the checkout's, or the one in the preferences of the extension."""
    from video_motion.inference import registry
    from video_motion.inference.paths import IS_CHECKOUT

    if IS_CHECKOUT or os.environ.get(registry.CACHE_VARIABLE):
        return registry.cache_folder()
    import bpy
    from video_motion.addon import preferences

    for name, addon in bpy.context.preferences.addons.items():
        if name.rpartition(".")[2] == "video_motion" and getattr(addon.preferences, "weights_folder", ""):
            return Path(bpy.path.abspath(addon.preferences.weights_folder))
    return preferences.weights_folder()


def _convert_motions(chosen: argparse.Namespace, options: Options) -> None:
    """Make one scene of motion files and save it."""
    from video_motion.inference import registry
    from video_motion.inference.batch.inputs import BatchError, blender_path
    from video_motion.inference.batch.summary import print_warning
    from video_motion.inference.body.smpl import Body
    from video_motion.inference.motion.formats import read_motion

    body = Body.load(chosen.body or registry.body_path())
    motions = [read_motion(file, body) for file in chosen.motion]
    if chosen.video is not None and not chosen.video.is_file():
        raise BatchError(f"{chosen.video} does not exist, so it can't be shown behind the character.")
    empty = [str(file) for file, motion in zip(chosen.motion, motions, strict=True) if not len(motion)]
    if empty:
        raise BatchError(f"{empty[0]} holds no frames.")
    from video_motion.addon.headless import scenes

    with scenes.quiet():
        takes, warnings = scenes.build(motions, body, chosen.video, options)
        footage = None if chosen.video is None else blender_path(chosen.video, chosen.blend.parent)
        scenes.save(chosen.blend, takes, footage)
    for warning in [*warnings, *(text for motion in motions for text in motion.provenance.get("warnings") or ())]:
        print_warning(warning)


def _arguments() -> list[str]:
    """The arguments after `--`; those before are Blender's."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    # What a scene needs multiplied is small; starting OpenBLAS's threads would take longer.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        STATUS: Any = main(_arguments())
    except SystemExit as stop:
        STATUS = stop.code
    except BaseException:
        # Blender would print it and exit with 0.
        traceback.print_exc()
        print("video-motion: the Blender file could not be made because of a fault in Video Motion.", file=sys.stderr)
        STATUS = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if "bpy" in sys.modules and not sys.modules["bpy"].app.binary_path:
        # Blender as a module may crash while Python shuts down; everything is written already.
        os._exit(STATUS if isinstance(STATUS, int) else 0 if STATUS is None else 1)
    sys.exit(STATUS)
