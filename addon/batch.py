"""The whole job without a window: `blender -b --python addon/batch.py -- clip.mp4 --out result/`.

Also runs under the `bpy` module: `python addon/batch.py -- --motion A.motion.npz --body BODY.npz --blend OUT.blend`.
Networks run in processes of their own, which load them once; scenes are built and exported here, one at a time.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import glob
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..inference.body.smpl import Body
    from ..inference.console import Progress
    from ..inference.motion.motion import Motion
    from .capture.worker_process import WorkerProcess
    from .interchange.vrm import ImportedCharacter
    from .retarget.mapping import BoneMapping
    from .scene.take import Take

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "video-motion"
PACKAGES = ("ai_edge_litert", "cv2", "onnxruntime")
"""What the networks need of a Python."""

SUMMARY = "batch.json"
INTERRUPTED = 128 + signal.SIGINT
POLL_SECONDS = 0.02

# Changes of these make results anew where --resume would take those that are there.
_CODE = (
    *("estimators.py", "conversion.py"),
    *("body/*.py", "camera/*.py", "footage/*.py", "motion/*.py", "people/*.py", "pose/*.py"),
    *("../addon/batch.py", "../addon/compatibility.py", "../addon/interchange/*.py", "../addon/scene/*.py"),
    *("../addon/retarget/*.py", "../addon/retarget/families/*.json"),
)

EPILOG = """\
From videos it writes, for each one, NAME.motion.npz (further people's are NAME.person-2.motion.npz and so on),
NAME.json, and a file of each format: NAME.blend, .fbx, .glb, .usd, .bvh, and .amass.npz. Of several videos batch.json
tells what became of each. Files are there whole or not at all.

Exit status: 0 if every video gave a result, 1 if some did not, 2 for wrong arguments, 130 after an interruption.
"""


class BatchError(Exception):
    """A result that cannot be made; the message is one sentence for the user."""


def main(argv: Sequence[str]) -> int:
    """Run the job that ``argv`` asks for and return the exit status."""
    chosen = _parse(argv)
    try:
        if chosen.motion:
            _convert_motions(chosen)
            return 0
        if chosen.python is None and LAUNCHER.exists() and not all(map(importlib.util.find_spec, PACKAGES)):
            return _launch(argv)
        return _Batch(chosen).run()
    except BatchError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        print("video-motion: interrupted.", file=sys.stderr, flush=True)
        return INTERRUPTED


def _complain(error: Exception | str) -> None:
    """Say on one line what went wrong; Blender's and Python's own messages may have several."""
    print(f"video-motion: {_one_line(error)}", file=sys.stderr, flush=True)


def _one_line(error: Exception | str) -> str:
    return " ".join(str(error).split())


def _warn(warning: str) -> None:
    print(f"warning: {warning}", file=sys.stderr, flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    from video_motion.inference.cli import arguments

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
        "videos", type=Path, nargs="*", metavar="VIDEO", help="a video, a folder of videos, or a pattern in quotes"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: beside each video)")
    arguments.add_conversion(parser)
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
    """Run the launcher's `convert`, which makes the environment that this Python lacks and comes back to this file."""
    import bpy

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
        raise BatchError(f"{LAUNCHER} can't be started ({error.strerror}): is the installation whole?") from error


@dataclass
class _Input:
    """One video and what becomes of it.

    Attributes:
        video: the footage.
        target: where its results go, without suffix.
        state: `waiting`, `done`, `skipped` or `failed`.
        message: why it failed, in a sentence.
        files: names of the results, in the target's folder.
        people: how many were found.
        seconds: that it took.
    """

    video: Path
    target: Path
    state: str = "waiting"
    message: str = ""
    files: list[str] = field(default_factory=list)
    people: int = 0
    seconds: float = 0.0

    def file(self, suffix: str) -> Path:
        # Not `with_suffix`: in "walk.take2" the dot is part of the name.
        return self.target.with_name(self.target.name + suffix)


@dataclass
class _Seat:
    """A place where one video at a time is worked on."""

    process: WorkerProcess | None = None
    input: _Input | None = None
    progress: Progress | None = None
    began: float = 0.0
    count: int = 0


class _Batch:
    """Videos on their way to results.

    Args:
        chosen: the options of the command line.
    """

    def __init__(self, chosen: argparse.Namespace):
        from video_motion.inference.cli import arguments

        self._chosen = chosen
        if chosen.out is not None and chosen.out.exists() and not chosen.out.is_dir():
            raise BatchError(f"{chosen.out} is a file: give a folder to --out.")
        if chosen.rig is not None:
            _check_rig(chosen.rig)
        if chosen.out is not None:
            _make_folder(chosen.out)
        videos, self._failures = arguments.expand(chosen.videos)
        targets = arguments.output_names(videos, chosen.out)
        self._inputs = [_Input(video, target) for video, target in zip(videos, targets, strict=True)]
        self._options = self._estimation()
        self._began = time.perf_counter()

    def run(self) -> int:
        """Do them all; return the exit status."""
        for failure in self._failures:
            _complain(failure)
        waiting: collections.deque[_Input] = collections.deque()
        unwritable = functools.cache(_unwritable)
        for one in self._inputs:
            _clear(one)
            if self._chosen.resume and self._is_done(one):
                one.state = "skipped"
                self._tell(one, "is done already")
                continue
            # Who is not there is told of by the process that would read it.
            if one.video.exists() and (why := unwritable(one.target.parent)):
                one.state = "failed"
                one.message = f"{one.video} gave no result: {one.target.parent} can't be written ({why})."
                _complain(one.message)
                continue
            waiting.append(one)
        self._summarise()
        seats = [_Seat() for _ in range(min(self._chosen.jobs, len(waiting)))]
        status = 0
        try:
            while waiting or any(seat.input is not None for seat in seats):
                if _interrupted:
                    raise KeyboardInterrupt
                busy = False
                for seat in seats:
                    if seat.input is None:
                        if waiting:
                            self._begin(seat, waiting.popleft())
                        continue
                    process = seat.process
                    assert process is not None
                    if process.poll() and seat.progress is not None and process.stage:
                        seat.progress(process.stage, process.done, process.total)
                    if not process.answered:
                        continue
                    busy = True
                    if seat.progress is not None:
                        seat.progress.close()
                    self._take(seat, waiting)
                    if _interrupted:
                        break
                if not busy:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            status = INTERRUPTED
        finally:
            for seat in seats:
                if seat.process is not None:
                    seat.process.forget()
        self._summarise()
        if len(self._inputs) + len(self._failures) > 1 or status:
            self._tell_all(status)
        if status:
            return status
        return 1 if self._failures or any(one.state == "failed" for one in self._inputs) else 0

    def _begin(self, seat: _Seat, one: _Input) -> None:
        """Hand a video to a process, a new one where the last has ended."""
        from video_motion.addon.capture.worker_process import WorkerProcess
        from video_motion.inference.console import Progress

        # The lines of several at once would only mix.
        seat.progress = Progress(one.video.name) if self._chosen.jobs == 1 else None
        if seat.process is not None and seat.process.ended:
            seat.process.forget()
            seat.process = None
        seat.input, seat.began, seat.count = one, time.perf_counter(), seat.count + 1
        content = {"video": str(one.video), "options": self._options, "reuse": False}
        try:
            if seat.process is None:
                seat.process = WorkerProcess(
                    "convert", _weights(), Path(tempfile.gettempdir()), python=self._chosen.python, more=True, **content
                )
            else:
                # The one before is still to be read from the process's own folder.
                folder = seat.process.folder / str(seat.count)
                folder.mkdir()
                seat.process.begin("convert", out=str(folder), **content)
        except OSError as error:
            raise BatchError(
                f"The work on {one.video} can't be started ({error.strerror or error}): make room in"
                f" {tempfile.gettempdir()}."
            ) from error

    def _take(self, seat: _Seat, waiting: collections.deque[_Input]) -> None:
        """Make of an answer what was asked for, while the process goes on with the next video."""
        process, one, began = seat.process, seat.input, seat.began
        assert process is not None
        assert one is not None
        value, message = process.value, process.message
        seat.input = None
        if waiting:
            self._begin(seat, waiting.popleft())
        if value is None:
            one.state, one.message = "failed", _one_line(message or "")
        else:
            self._finish(one, value, began)
        one.seconds = time.perf_counter() - began
        if one.state == "failed":
            _complain(one.message)
        self._summarise()

    def _finish(self, one: _Input, value: dict[str, Any], began: float) -> None:
        from video_motion.inference.body.bodyfile import BodyError
        from video_motion.inference.motion.motion import MotionFileError

        try:
            with _quiet():
                content = self._write(one, value)
        except (BatchError, MotionFileError, BodyError) as error:
            one.state, one.message = "failed", _one_line(error)
            return
        except OSError as error:
            name = error.filename or one.target.parent
            one.state = "failed"
            one.message = f"{one.video} gave no result: {name} can't be written ({error.strerror or error})."
            return
        except Exception as error:
            one.state, one.message = "failed", _fault(one, error)
            return
        one.state, one.people = "done", len(content["motions"])
        for warning in content["warnings"]:
            _warn(warning)
        people = "1 person" if one.people == 1 else f"{one.people} people"
        where = "CUDA" if content["device"] == "cuda" else "the CPU"
        seconds = time.perf_counter() - began
        self._tell(one, f"{people}, {seconds:.1f} s, {content['estimator']} on {where}")

    def _write(self, one: _Input, value: dict[str, Any]) -> dict[str, Any]:
        """Write a video's files, NAME.json last of all; return what that holds."""
        from video_motion.inference.atomic import atomic_write, write_json
        from video_motion.inference.body.smpl import Body
        from video_motion.inference.motion.motion import Motion

        chosen = self._chosen
        one.target.parent.mkdir(parents=True, exist_ok=True)
        motions, files = [], []
        for given in value["motions"]:
            motions.append(Motion.load(Path(given)))
            number = f".person-{motions[-1].person}" if files else ""
            files.append(one.file(f"{number}.motion.npz"))
            with atomic_write(files[-1]) as temporary:
                shutil.copyfile(given, temporary)
        content = {**value["report"], "motions": [file.name for file in files]}
        began = time.perf_counter()
        body = Body.load(value["body"])
        take, warnings = _build(motions, body, one.video, chosen.fps)
        armatures = [character.armature for character in take.characters]
        moved = armatures
        if chosen.rig is not None:
            moved, more = _retarget(take, chosen.rig, one.target.name, motions)
            warnings += more
        content["warnings"] = [*content["warnings"], *warnings]
        content["timings"] = {**content["timings"]}
        if "blend" in chosen.format:
            files.append(one.file(".blend"))
            _save(files[-1], take, one.video)
            content["blend"] = files[-1].name
        content["timings"]["scene"] = round(time.perf_counter() - began, 3)
        began = time.perf_counter()
        if exported := self._export(one, armatures, moved, body):
            content["exports"] = [file.name for file in exported]
            content["timings"]["export"] = round(time.perf_counter() - began, 3)
        files += exported
        content["made"] = {**self._made(one), "files": {file.name: file.stat().st_size for file in files}}
        write_json(one.file(".json"), content)
        one.files = [*(file.name for file in files), one.file(".json").name]
        return content

    def _export(self, one: _Input, armatures: list[Any], moved: list[Any], body: Body) -> list[Path]:
        formats = [format for format in self._chosen.format if format != "blend"]
        if not formats:
            return []
        from video_motion.addon.interchange import export

        files = []
        for format in formats:
            path = one.file(f".amass{export.ENDINGS[format]}" if format == "amass" else export.ENDINGS[format])
            options = export.ExportOptions(self._chosen.engine, body=body)
            try:
                # AMASS knows SMPL's bones only.
                files += export.export_take(armatures if format == "amass" else moved, path, format, options)
            except export.ExportError as error:
                raise BatchError(str(error)) from error
        return files

    def _estimation(self) -> dict[str, Any]:
        """What the command line says of the estimation, by the names of the worker's options."""
        chosen = self._chosen
        names = ("start", "end", "person", "focal", "focal_mm", "smoothing", "feet", "network", "device")
        given = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
        if given.get("person") == "all":
            del given["person"]
        if chosen.smpl is not None:
            given["body"] = str(chosen.smpl.resolve())
        return given

    def _made(self, one: _Input) -> dict[str, Any]:
        """What a result depends on: options, code and video."""
        from video_motion.inference.cache import hash_of_code

        chosen = self._chosen
        options = {**self._options, "format": list(chosen.format), "engine": chosen.engine, "fps": chosen.fps}
        if chosen.rig is not None:
            options |= {"rig": str(chosen.rig.resolve()), "rig_modified": chosen.rig.stat().st_mtime_ns}
        state = one.video.stat()
        return {
            "options": options,
            "code": hash_of_code(*_CODE),
            "video": {"bytes": state.st_size, "modified": state.st_mtime_ns},
        }

    def _is_done(self, one: _Input) -> bool:
        """Whether an earlier run's results are all there, whole, and what this one would give."""
        try:
            content = json.loads(one.file(".json").read_text(encoding="utf-8"))
            made = content["made"]
            sizes = made.pop("files")
            whole = all((one.target.parent / name).stat().st_size == size for name, size in sizes.items())
            if not whole or made != self._made(one):
                return False
            one.files, one.people = [*sizes, one.file(".json").name], len(content["motions"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def _tell(self, one: _Input, what: str) -> None:
        number = f"{self._inputs.index(one) + 1} of {len(self._inputs)}: " if len(self._inputs) > 1 else ""
        suffixes = {"blend": ".blend", "amass": ".amass.npz"}
        first = self._chosen.format[0]
        print(f"{number}{one.file(suffixes.get(first, f'.{first}'))}: {what}", flush=True)

    def _states(self) -> dict[str, int]:
        found = {state: sum(one.state == state for one in self._inputs) for state in ("done", "skipped", "failed")}
        return {**found, "failed": found["failed"] + len(self._failures)}

    def _summarise(self) -> None:
        """Write what became of every input so far, where there are several."""
        from video_motion.inference.atomic import write_json

        if len(self._inputs) < 2:
            return
        rows = [
            {
                "video": str(one.video),
                "state": one.state,
                "folder": str(one.target.parent),
                "files": one.files,
                "people": one.people,
                "seconds": round(one.seconds, 3),
                "message": one.message,
            }
            for one in self._inputs
        ]
        content = {
            **self._states(),
            "seconds": round(time.perf_counter() - self._began, 3),
            "options": {**self._options, "format": list(self._chosen.format)},
            "unusable": self._failures,
            "videos": rows,
        }
        file = self._summary_file()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, content)
        except OSError as error:
            raise BatchError(f"{file} can't be written ({error.strerror}): choose another folder for --out.") from error

    def _summary_file(self) -> Path:
        folder = self._chosen.out
        if folder is None:
            folder = Path(os.path.commonpath([one.target.parent.resolve() for one in self._inputs]))
        taken = {one.target.name.casefold() for one in self._inputs}
        return folder / (SUMMARY if Path(SUMMARY).stem not in taken else "batch.summary.json")

    def _tell_all(self, status: int) -> None:
        states = self._states()
        left = sum(one.state == "waiting" for one in self._inputs)
        words = [f"{count} {state}" for state, count in states.items()] + ([f"{left} left"] if left else [])
        seconds = time.perf_counter() - self._began
        where = f"; {self._summary_file()} tells of each" if len(self._inputs) > 1 else ""
        print(f"video-motion: {', '.join(words)}, {seconds:.1f} s{where}.", file=sys.stderr)
        if states["failed"]:
            print(f"video-motion: {states['failed']} of the inputs gave no result:", file=sys.stderr)
            for message in [*self._failures, *(one.message for one in self._inputs if one.state == "failed")]:
                print(f"  {message}", file=sys.stderr)
        if status:
            print("video-motion: interrupted; the same command with --resume goes on.", file=sys.stderr)
        sys.stderr.flush()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Blender says on standard output for itself; its errors come as exceptions."""
    sys.stdout.flush()
    real, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)
        os.close(nowhere)


def _fault(one: _Input, error: Exception) -> str:
    log = one.file(".error.log")
    what = f"{one.video} gave no result because of a fault in Video Motion ({type(error).__name__}: {error})"
    try:
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return _one_line(f"{what}.")
    return _one_line(f"{what}: please report it with {log}.")


def _make_folder(out: Path) -> None:
    """Make the folder of --out, where there is none, and try whether it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        why = _unwritable(out)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise BatchError(f"{out} can't be written ({why}): choose another folder for --out.")


def _unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, in the system's words; empty where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _clear(one: _Input) -> None:
    """Remove what an earlier run that was killed has left half-written."""
    folder = one.target.parent
    for left in folder.glob(f".{glob.escape(one.target.name)}.*"):
        if re.search(r"\.part$|\.\d+\.blend1?$", left.name) is None:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            # What can't be removed is told of where something is to be written.
            with contextlib.suppress(OSError):
                left.unlink()


def _weights() -> Path:
    """The folder of weight files: the checkout's, or the one in the preferences of the extension."""
    from video_motion.inference import registry

    if LAUNCHER.exists() or os.environ.get(registry.CACHE_VARIABLE):
        return registry.cache_folder()
    import bpy
    from video_motion.addon import preferences

    for name, addon in bpy.context.preferences.addons.items():
        if name.rpartition(".")[2] == "video_motion" and getattr(addon.preferences, "weights_folder", ""):
            return Path(bpy.path.abspath(addon.preferences.weights_folder))
    return preferences.weights_folder()


def _convert_motions(chosen: argparse.Namespace) -> None:
    """Make one scene of motion files and save it."""
    from video_motion.inference import registry
    from video_motion.inference.body.smpl import Body, BodyError
    from video_motion.inference.motion.formats import read_motion
    from video_motion.inference.motion.motion import MotionFileError

    try:
        body = Body.load(chosen.body or registry.body_path())
        motions = [read_motion(file, body) for file in chosen.motion]
    except (MotionFileError, BodyError, registry.RegistryError) as error:
        raise BatchError(str(error)) from error
    if chosen.video is not None and not chosen.video.is_file():
        raise BatchError(f"{chosen.video} does not exist, so it can't be shown behind the character.")
    empty = [str(file) for file, motion in zip(chosen.motion, motions, strict=True) if not len(motion)]
    if empty:
        raise BatchError(f"{empty[0]} holds no frames.")
    with _quiet():
        take, warnings = _build(motions, body, chosen.video, chosen.fps)
        _save(chosen.blend, take, chosen.video)
    for warning in [*warnings, *(told for motion in motions for told in motion.provenance.get("warnings") or ())]:
        _warn(warning)


def _build(motions: Sequence[Motion], body: Body, video: Path | None, fps: str | float) -> tuple[Take, list[str]]:
    """Build the scene of one video in an empty file; return it and what could not be had, in sentences."""
    import bpy
    from video_motion.addon.scene.backdrop import BackdropError
    from video_motion.addon.scene.take import SceneOptions, build_scene, footage_frame_rate, prepare_viewports

    bpy.ops.wm.read_factory_settings(use_empty=True)
    rate = footage_frame_rate(motions) if fps == "video" else None if fps == "keep" else float(fps)
    warnings = []
    try:
        take = build_scene(motions, body, video, SceneOptions(frame_rate=rate))
    except BackdropError as error:
        # A codec that OpenCV knows and this Blender does not must not cost the user the animation.
        warnings.append(f"{error} The scene is made without it.")
        bpy.ops.wm.read_factory_settings(use_empty=True)
        take = build_scene(motions, body, None, SceneOptions(frame_rate=rate))
    prepare_viewports(bpy.context.scene)
    return take, warnings


def _save(blend: Path, take: Take, video: Path | None) -> None:
    """Save the open file as ``blend``, which is there whole or not at all."""
    import bpy

    blend = blend.resolve()
    if take.footage is not None and video is not None:
        take.footage.filepath = _relative(video.resolve(), blend.parent)
    temporary = blend.with_name(f".{blend.stem}.{os.getpid()}.blend")
    try:
        blend.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(temporary), compress=True, relative_remap=False, copy=True)
        os.replace(temporary, blend)
    except (OSError, RuntimeError) as error:
        said = _one_line(error).removeprefix("Error: ")
        raise BatchError(f"{blend} can't be written ({said}): check the folder and its disk.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _relative(file: Path, folder: Path) -> str:
    """Blender's way to write ``file`` as seen from ``folder``; absolute where they share no drive."""
    try:
        return "//" + os.path.relpath(file, folder).replace(os.sep, "/")
    except ValueError:
        return str(file)


def _check_rig(rig: Path) -> None:
    if rig.suffix.lower() not in _RIG_READERS:
        raise BatchError(f"{rig} is no character file: give one that ends in {', '.join(_RIG_READERS)}.")
    if not rig.is_file():
        raise BatchError(f"{rig} does not exist: give a character file to --rig.")
    import bpy
    from video_motion.addon.retarget.bones import RetargetError, read_rig
    from video_motion.addon.retarget.recognise import recognise

    # Before hours of work on videos: the same would go wrong for each.
    with _quiet():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        target, mapping, _ = _append_rig(rig, bpy.context.scene.collection)
    try:
        bones = read_rig(target)
        (mapping or recognise(bones)).indices(bones)
    except RetargetError as error:
        raise BatchError(f"{rig} can't have a motion: {error}") from error


def _retarget(take: Take, rig: Path, name: str, motions: Sequence[Motion]) -> tuple[list[Any], list[str]]:
    """Give each person's motion to a character of its own from a file, and hide the body; return their armatures."""
    from video_motion.addon.retarget.action import RetargetOptions, retarget
    from video_motion.addon.retarget.bones import RetargetError

    armatures, warnings = [], []
    for character, motion in zip(take.characters, motions, strict=True):
        target, mapping, told = _append_rig(rig, take.collection)
        warnings += told
        target.name = f"{name} {rig.stem} {motion.person}"
        try:
            made = retarget(character.armature, target, mapping, RetargetOptions(match_world=True))
        except RetargetError as error:
            raise BatchError(f"{rig} can't have the motion: {error}") from error
        warnings += made.warnings
        armatures.append(target)
        for one in (character.armature, character.mesh):
            if one is not None:
                one.hide_render = True
                one.hide_set(True)
    return armatures, list(dict.fromkeys(warnings))


def _append_rig(rig: Path, collection: Any) -> tuple[Any, BoneMapping | None, list[str]]:
    """Bring the objects of a character file into a collection.

    Returns:
        The armature of the character, which bones are the human's where the file tells, and sentences for the user.
    """
    import bpy
    from video_motion.addon.interchange.vrm import VrmError
    from video_motion.addon.interface import operator_message

    before = set(bpy.data.objects)
    rate = (bpy.context.scene.render.fps, bpy.context.scene.render.fps_base)
    span = (bpy.context.scene.frame_start, bpy.context.scene.frame_end)
    try:
        imported = _RIG_READERS[rig.suffix.lower()](rig)
    except VrmError as error:
        raise BatchError(str(error)) from error
    except (RuntimeError, OSError) as error:
        raise BatchError(f"{rig} can't be read: {operator_message(error)}") from error
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = rate
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = span
    new = [one for one in bpy.data.objects if one not in before]
    found = [one for one in new if one.type == "ARMATURE"]
    if not found:
        # Objects that a .blend links from another file are not among its own.
        raise BatchError(f"{rig} holds no armature of its own: give the file of a character with bones.")
    for one in new:
        for other in list(one.users_collection):
            other.objects.unlink(one)
        collection.objects.link(one)
    if imported is not None:
        return imported.armature, imported.mapping, imported.warnings
    target = max(found, key=lambda one: len(one.data.bones))
    several = f"{rig} holds {len(found)} armatures: {target.name}, which has most bones, gets the motion."
    return target, None, [several] if len(found) > 1 else []


def _read_blend(rig: Path) -> None:
    import bpy

    with bpy.data.libraries.load(str(rig)) as (there, wanted):
        wanted.objects = list(there.objects)
    for one in wanted.objects:
        if one is not None and one.type in ("ARMATURE", "MESH", "EMPTY"):
            bpy.context.scene.collection.objects.link(one)
        elif one is not None:
            bpy.data.objects.remove(one)


def _read_fbx(rig: Path) -> None:
    import bpy

    bpy.ops.import_scene.fbx(filepath=str(rig), use_anim=False)


def _read_gltf(rig: Path) -> None:
    import bpy

    bpy.ops.import_scene.gltf(filepath=str(rig), disable_bone_shape=True)


def _read_vrm(rig: Path) -> ImportedCharacter:
    from video_motion.addon.interchange.vrm import import_vrm

    return import_vrm(rig)


_RIG_READERS: dict[str, Callable[[Path], ImportedCharacter | None]] = {
    ".blend": _read_blend,
    ".fbx": _read_fbx,
    ".glb": _read_gltf,
    ".gltf": _read_gltf,
    ".vrm": _read_vrm,
}


_interrupted = False


def _listen_for_interruptions() -> None:
    """Note Ctrl-C and the system's wish to end for when Blender is through with what it does at present.

    As exceptions they would be lost where Blender calls Python, and Blender's own handler would end it half-way.
    """
    global _interrupted
    _interrupted = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _note_interruption)


def _note_interruption(*_: object) -> None:
    global _interrupted
    _interrupted = True
    # Who asks twice does not want to wait.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _arguments() -> list[str]:
    """What stands after `--`; Blender keeps what is before for itself."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    _listen_for_interruptions()
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
        # Blender as a module may crash while Python tidies up; everything is done and written.
        os._exit(STATUS if isinstance(STATUS, int) else 0 if STATUS is None else 1)
    sys.exit(STATUS)
