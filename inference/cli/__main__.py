"""The command line, as it runs inside a virtual environment that has what it needs."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import console, estimators, registry
from ..atomic import write_json
from ..errors import VideoMotionError
from ..paths import IS_CHECKOUT
from . import arguments, benchmarks, environment, evaluation, testing, training
from .preparation import CommandError, check_folder, prepare

if TYPE_CHECKING:
    from ..conversion import Options
    from ..motion.motion import Motion

WARNED = "warning: "
BATCH = environment.ROOT / "addon" / "batch.py"
FOR_CHECKOUTS = ("evaluate", "bench", "build-extension", "train", "test")
"""Commands that use what the installed package leaves out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = arguments.parse(words)
    chosen.words = words
    # The fit multiplies many small matrices, which OpenBLAS slows down when it shares them out; NumPy is loaded later.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    commands = {
        "convert": _convert,
        "estimate": _estimate,
        "overlay": _overlay,
        "evaluate": evaluation.run,
        "bench": benchmarks.run,
        "weights": _weights,
        "build-extension": _build_extension,
        "train": training.run,
        "test": _test,
    }
    try:
        if chosen.command in FOR_CHECKOUTS and not IS_CHECKOUT:
            raise CommandError(
                f"{chosen.command} is not part of the installed package: get the source code and run ./video-motion"
                f" {chosen.command} there."
            )
        return commands[chosen.command](chosen)
    except (VideoMotionError, OSError) as error:
        console.say(f"video-motion: {error}")
        return 1
    except KeyboardInterrupt:
        console.say("video-motion: interrupted.")
        return 128 + signal.SIGINT


def _convert(chosen: argparse.Namespace) -> int:
    """Fetch what is needed, then let `addon/batch.py` do the work in Blender, with this Python for the networks."""
    check_folder(chosen.out)
    if chosen.blender is None and importlib.util.find_spec("bpy") is None:
        raise CommandError(
            "Blender's module (bpy) is not installed here: install it with `pip install bpy==4.2.*` under Python 3.11,"
            " or name an installed Blender with --blender PROGRAM."
        )
    prepare(chosen.smpl, chosen.network)
    # What that does not know of is --blender.
    mine = argparse.ArgumentParser(add_help=False)
    mine.add_argument("--blender")
    _, words = mine.parse_known_args(chosen.words[1:])
    if chosen.blender is None:
        command, variables = [sys.executable, BATCH], dict(os.environ)
    else:
        variables = environment.foreign_variables()
        command = [chosen.blender, "--background", "--factory-startup", "--python-exit-code", "1", "--python", BATCH]
    variables[registry.CACHE_VARIABLE] = str(registry.cache_folder())
    command += ["--", "--python", sys.executable, *words]
    try:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, env=variables)
    except OSError as error:
        raise CommandError(f"{command[0]} can't be started ({error.strerror}): check --blender.") from error
    try:
        return process.wait()
    except KeyboardInterrupt:
        # A terminal interrupts both, `kill` only one. Either way it has something to tidy up.
        if os.name != "nt":
            process.send_signal(signal.SIGINT)
        process.wait()
        return 128 + signal.SIGINT


def _estimate(chosen: argparse.Namespace) -> int:
    check_folder(chosen.out)
    videos, failures = arguments.expand(chosen.videos)
    for failure in failures:
        console.say(f"video-motion: {failure}")
    if videos:
        prepare(chosen.smpl, chosen.network)
    for video, target in zip(videos, arguments.output_names(videos, chosen.out), strict=True):
        try:
            _estimate_one(video, target, chosen)
        except CommandError as error:
            console.say(f"video-motion: {error}")
            failures.append(str(error))
    if len(videos) + len(failures) > 1 and failures:
        console.say(f"video-motion: {len(failures)} of the inputs gave no result.")
    return 1 if failures else 0


def _estimate_one(video: Path, target: Path, chosen: argparse.Namespace) -> None:
    from ..body.bodyfile import BodyError
    from ..conversion import NobodyFoundError, convert_footage
    from ..footage.reader import FootageError
    from ..pose.session import NetworkError

    began = time.perf_counter()
    progress = console.Progress(video.name)
    try:
        result = convert_footage(video, _options(video, chosen), progress)
        progress.close()
        target.parent.mkdir(parents=True, exist_ok=True)
        motions = _save(result.motions, target)
        content = {**result.report, "motions": [file.name for file in motions]}
        write_json(_add_suffix(target, ".json"), content)
    except (FootageError, NobodyFoundError, BodyError, NetworkError, registry.RegistryError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{video} gave no result: {error}.") from error
    except Exception as error:
        raise CommandError(_fault(video, target, error)) from error
    finally:
        progress.close()
    warnings = result.report["warnings"]
    assert isinstance(warnings, list)
    for warning in warnings:
        console.say(f"{WARNED}{warning}")
    people = "1 person" if len(motions) == 1 else f"{len(motions)} people"
    where = "CUDA" if result.report["device"] == "cuda" else "the CPU"
    print(f"{motions[0]}: {people}, {time.perf_counter() - began:.1f} s, {chosen.network} on {where}", flush=True)


def _options(video: Path, chosen: argparse.Namespace) -> Options:
    from ..conversion import Options
    from ..worker.tasks import focal_pixels

    return Options(
        start=chosen.start,
        end=chosen.end,
        person=chosen.person,
        focal=chosen.focal if chosen.focal_mm is None else focal_pixels(video, chosen.focal_mm),
        smoothing=chosen.smoothing,
        feet=chosen.feet,
        body=chosen.smpl,
        network=chosen.network,
        device=chosen.device,
    )


def _save(motions: Sequence[Motion], target: Path) -> list[Path]:
    """Write NAME.motion.npz for the first person, NAME.person-2.motion.npz and so on for the others."""
    files = []
    for motion in motions:
        number = f".person-{motion.person}" if files else ""
        file = _add_suffix(target, f"{number}.motion.npz")
        motion.save(file)
        files.append(file)
    return files


def _fault(video: Path, target: Path, error: Exception) -> str:
    log = _add_suffix(target, ".error.log")
    what = f"{video} gave no result because of a fault in Video Motion ({type(error).__name__}: {error})"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return f"{what}."
    return f"{what}: please report it with {log}."


def _add_suffix(target: Path, suffix: str) -> Path:
    # Not `with_suffix`: in "walk.take2" the dot is part of the name.
    return target.with_name(target.name + suffix)


def _overlay(chosen: argparse.Namespace) -> int:
    from ..body.smpl import Body
    from ..conversion import convert_footage
    from ..footage.reader import Footage
    from ..motion.motion import Motion
    from . import overlay

    check_folder(chosen.out)
    folder = chosen.out or (chosen.motion or [chosen.video])[0].parent
    video, picture = (folder / f"{chosen.video.stem}{arguments.OVERLAY_MARK}{suffix}" for suffix in (".mp4", ".jpg"))
    footage = Footage(chosen.video, chosen.start, chosen.end)
    if chosen.motion:
        motions = [Motion.load(file) for file in chosen.motion]
        body = Body.load(chosen.smpl or registry.body_path())
    else:
        prepare(chosen.smpl, chosen.network)
        progress = console.Progress(chosen.video.name)
        try:
            result = convert_footage(chosen.video, _options(chosen.video, chosen), progress)
        finally:
            progress.close()
        motions, body = result.motions, result.body
    folder.mkdir(parents=True, exist_ok=True)
    with console.step(f"Drawing {picture}"):
        overlay.write_contact_sheet(footage, motions, body, picture, chosen.columns, chosen.height)
    with console.step(f"Drawing {video}"):
        overlay.write_video(footage, motions, body, video)
    print(video, picture, sep="\n")
    return 0


def _weights(chosen: argparse.Namespace) -> int:
    for file in chosen.add:
        for item in registry.add_local(file):
            print(f"added {item.id}")
    if chosen.fetch:
        for item in registry.items():
            registry.path(item)
        registry.body_path()
    for state in registry.status():
        item = state.item
        print(f"{item.id}: {item.what}; {item.licence}; {console.megabytes(item.size)}; ", end="")
        print({"present": item.find(), "missing": "not here yet", "damaged": f"damaged: {item.path}"}[state.state])
    return 0


def _build_extension(chosen: argparse.Namespace) -> int:
    from . import extension

    check_folder(chosen.out)
    try:
        for file in extension.build(chosen.out, chosen.platform, chosen.flavour, chosen.bundle_cuda):
            print(f"{file}: {console.megabytes(file.stat().st_size)}", flush=True)
    except (extension.ExtensionError, OSError) as error:
        raise CommandError(str(error)) from error
    return 0


def _test(chosen: argparse.Namespace) -> int:
    prepare(None, estimators.DEFAULT)
    return testing.run(chosen.pytest_arguments)


if __name__ == "__main__":
    sys.exit(main())
