"""The whole job without a window: `blender -b --python addon/batch.py -- clip.mp4 --out result/`.

Also runs under the `bpy` module: `python addon/batch.py -- --motion A.motion.npz --body BODY.npz --blend OUT.blend`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "video-motion"

EPILOG = """\
With videos, every option that is not listed here goes to `video-motion estimate`, whose --help explains it (--person,
--start, --end, --smpl and more). Exit status: 0 if every video gave a Blender file, 1 if not, 2 for wrong arguments.
"""


class BatchError(Exception):
    """A scene that cannot be made; the message is one sentence for the user."""


def main(argv: Sequence[str]) -> int:
    """Run the job that ``argv`` asks for and return the exit status."""
    options, rest = _parse(argv)
    try:
        if options.motion:
            _write_blend(options.motion, options.body, options.video, options.blend, options.fps)
            return 0
        return _convert(options, rest)
    except BatchError as error:
        _complain(error)
        return 1


def _complain(error: Exception) -> None:
    """Say on one line what went wrong; Blender's and Python's own messages may have several."""
    print(f"video-motion: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="blender -b --python batch.py --",
        description="Turn videos, or motion files, into Blender files with animated characters.",
        usage="%(prog)s VIDEO… [--out FOLDER] [--fps RATE] …\n       "
        "%(prog)s --motion FILE… --blend FILE [--video FILE] [--body FILE] [--fps RATE]",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--fps",
        type=_frame_rate,
        default="video",
        metavar="RATE",
        help="the scene's frames per second: a number, `video` for the video's (default), or `keep` for Blender's own",
    )
    parser.add_argument("--body", type=Path, metavar="FILE", help="the body that the motion was made for")
    files = parser.add_argument_group("from motion files")
    files.add_argument("--motion", type=Path, nargs="+", metavar="FILE", help="the people of one video")
    files.add_argument("--video", type=Path, metavar="FILE", help="the footage to show behind them")
    files.add_argument("--blend", type=Path, metavar="FILE", help="the file to write")
    options, rest = parser.parse_known_args(argv)
    if options.motion and options.blend is None:
        parser.error("--motion needs --blend FILE")
    if options.motion and rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if not options.motion and (options.video or options.blend or not rest):
        parser.error("name videos, or motion files with --motion")
    return options, rest


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


def _convert(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Estimate the motion of videos in a process of its own, then build a scene for each that gave one."""
    from video_motion.inference import arguments, report

    chosen = arguments.parse(["estimate", *rest])
    folders = {chosen.out} if chosen.out else {path if path.is_dir() else path.parent for path in chosen.videos}
    before = _reports(folders)
    status = _estimate(rest)
    for file, changed in sorted(_reports(folders).items()):
        if before.get(file) == changed:
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            motions = [file.parent / name for name in content["motions"]]
            video = Path(content["video"])
            blend = file.with_name(file.name.removesuffix(".json") + ".blend")
        except (OSError, ValueError, KeyError, TypeError):
            # Somebody else's JSON.
            continue
        try:
            began = time.perf_counter()
            _write_blend(motions, chosen.smpl or options.body, video, blend, options.fps)
            content["blend"] = blend.name
            content["timings"] = {**content.get("timings", {}), "scene": round(time.perf_counter() - began, 3)}
            report.write_json(file, content)
            print(f"{blend}: done", flush=True)
        except (BatchError, OSError) as error:
            _complain(error)
            status = status or 1
    return status


def _reports(folders: set[Path]) -> dict[Path, int]:
    """The JSON files in ``folders`` and when they changed, in nanoseconds."""
    return {file: file.stat().st_mtime_ns for folder in folders for file in folder.glob("*.json")}


def _estimate(rest: Sequence[str]) -> int:
    """Run the launcher's `estimate` and return its exit status."""
    command = [str(LAUNCHER), "estimate", *rest]
    if os.name == "nt":
        command.insert(0, sys.executable)
    # Blender points its own Python's variables at itself; another Python would not start with them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, env=environment, check=False).returncode
    except OSError as error:
        raise BatchError(f"{LAUNCHER} can't be started ({error.strerror}): is the installation whole?") from error


def _write_blend(
    motion_files: Sequence[Path], body_file: Path | None, video: Path | None, blend: Path, fps: str | float
) -> None:
    """Build the scene of one video in an empty file and save it."""
    import bpy
    from video_motion.addon import footage as footages
    from video_motion.addon import scene as scenes
    from video_motion.inference import registry
    from video_motion.inference.body.smpl import Body, BodyError
    from video_motion.inference.motion.motion import Motion, MotionFileError

    try:
        motions = [Motion.load(file) for file in motion_files]
        body = Body.load(body_file or registry.body_path())
    except (MotionFileError, BodyError, registry.RegistryError) as error:
        raise BatchError(str(error)) from error
    if video is not None and not video.is_file():
        raise BatchError(f"{video} does not exist, so it can't be shown behind the character.")
    empty = [str(file) for file, motion in zip(motion_files, motions, strict=True) if not len(motion)]
    if empty:
        raise BatchError(f"{empty[0]} holds no frames.")

    bpy.ops.wm.read_factory_settings(use_empty=True)
    rate = scenes.footage_frame_rate(motions) if fps == "video" else None if fps == "keep" else float(fps)
    try:
        take = scenes.build_scene(motions, body, video, scenes.Options(frame_rate=rate))
    except footages.FootageError as error:
        # A codec that OpenCV knows and this Blender does not must not cost the user the animation.
        print(f"warning: {error} The scene is made without it.", file=sys.stderr)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        take = scenes.build_scene(motions, body, None, scenes.Options(frame_rate=rate))
    scenes.prepare_viewports(bpy.context.scene)
    if take.footage is not None and video is not None:
        take.footage.filepath = _relative(video.resolve(), blend.resolve().parent)
    _save(blend.resolve())


def _relative(file: Path, folder: Path) -> str:
    """Blender's way to write ``file`` as seen from ``folder``; absolute where they share no drive."""
    try:
        return "//" + os.path.relpath(file, folder).replace(os.sep, "/")
    except ValueError:
        return str(file)


def _save(blend: Path) -> None:
    """Save the open file as ``blend``, which is there whole or not at all."""
    import bpy

    temporary = blend.with_name(f".{blend.stem}.{os.getpid()}.blend")
    try:
        blend.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(temporary), compress=True, relative_remap=False, copy=True)
        os.replace(temporary, blend)
    except (OSError, RuntimeError) as error:
        raise BatchError(f"{blend} can't be written: {str(error).strip()}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _arguments() -> list[str]:
    """What stands after `--`; Blender keeps what is before for itself."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
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
    sys.exit(STATUS)
