"""Programs that are killed leave no half-written result, no process and no folder."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from video_motion.inference import registry
from video_motion.inference.atomic import remove_left
from video_motion.inference.cli import environment
from video_motion.inference.motion.motion import Motion
from video_motion.inference.worker.process import WorkerProcess

from tests.serving import Quiet, served_by

from . import real_blender
from .conftest import KILLS, WHOLE
from .processes import is_alive, marked
from .readers import SAMPLE
from .reading import ROOT

pytest.importorskip("onnxruntime")

WAIT_SECONDS = 60.0
LONGEST_STEP = 300.0
"""Seconds until a program notices that its caller was killed, on a machine that is busy with other suites."""

VARIABLES = os.environ | {"PYTHONPATH": str(ROOT)}


def start_and_die(cache: Path) -> int:
    """The worker of a program that was killed while it waited for it."""
    code = (
        "import os, sys; from pathlib import Path;"
        "from video_motion.inference.worker.process import WorkerProcess;"
        "p = WorkerProcess('look', Path(sys.argv[1]), Path(sys.argv[1]), video='none.mp4', more=True);"
        "print(p.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-P", "-c", code, str(cache)]
    return int(subprocess.run(command, capture_output=True, text=True, env=VARIABLES, check=False).stdout)


def wait_until_dead(process: int) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while is_alive(process):
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_folders_of_killed_programs_are_gone_at_the_next_start(tmp_path: Path):
    wait_until_dead(start_and_die(tmp_path))
    (left,) = tmp_path.glob("video-motion-job-*")
    living = WorkerProcess("look", tmp_path, tmp_path, video="none.mp4", more=True)
    try:
        # One day in the future: the clock was set back since.
        for folder in (left, living.folder):
            os.utime(folder, (time.time() + 86400, time.time() + 86400))
        WorkerProcess("look", tmp_path, tmp_path, video="none.mp4").close()
        assert not left.exists()
        assert living.folder.exists(), "somebody works in it, however old it is"
    finally:
        living.close()
    assert not list(tmp_path.glob("video-motion-job-*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_a_worker_that_is_sent_no_job_says_so_and_ends(tmp_path: Path):
    """A line that is no job once ended the thread that notices when its Blender is gone."""
    serve = ROOT / "inference" / "worker" / "serve.py"
    worker = subprocess.Popen(
        [sys.executable, "-I", serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    said, _ = worker.communicate(b"{no job\n", timeout=WAIT_SECONDS)
    assert worker.returncode == 1
    # Its input may end before it has answered.
    assert not said or json.loads(said)["event"] == "error"


@dataclass(frozen=True)
class Program:
    """A command that is killed.

    Attributes:
        command: `convert` or `estimate`, with its own options.
        victim: part of the command of the process that is killed; empty for the one that was started.
        clips: how many videos it has.
    """

    command: tuple[str, ...]
    victim: str = ""
    clips: int = 1

    @property
    def ends(self) -> tuple[str, ...]:
        """The endings of a video's results."""
        return (".json", ".motion.npz", ".blend")[: 3 if self.command[0] == "convert" else 2]


CONVERT = ("convert", "--no-hands", "--no-face")
PROGRAMS = {
    "worker": Program(("estimate", "--no-hands", "--no-face"), "serve.py"),
    "convert": Program(CONVERT),
    "batch": Program((*CONVERT, "--jobs", "2"), clips=3),
    "Blender": Program(CONVERT, "batch.py"),
    "real Blender": Program(CONVERT),
}
ENDED = "video-motion: Blender ended unexpectedly (status -9): go on with --resume."
SEEK_TABLE = bytes.fromhex("b1ea928f")
"""What a whole compressed Blender file ends with."""


def kill_at(
    seconds: float, command: list[str], victim: str, variables: dict[str, str], source: random.Random, log: Path
) -> None:
    """Run a command, kill one of its processes at a moment, and wait until all have ended; `log` gets what it says."""
    mark = Path(variables["TMPDIR"])
    with log.open("wb") as said:
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=variables)
    time.sleep(seconds)
    while running.poll() is None:
        chosen = [one for one, words in marked(mark).items() if victim in words] if victim else [running.pid]
        if chosen:
            os.kill(source.choice(chosen), signal.SIGKILL)
            break
        time.sleep(0.01)
    running.wait(LONGEST_STEP)
    ends = time.monotonic() + LONGEST_STEP
    while left := marked(mark):
        assert time.monotonic() < ends, f"left running: {left}"
        time.sleep(0.02)


def assert_whole(file: Path) -> None:
    """A result that is there is complete."""
    if file.suffix == ".npz":
        assert len(Motion.load(file)) == 15
    elif file.suffix == ".json":
        assert isinstance(json.loads(file.read_text()), dict)
    else:
        assert file.read_bytes()[-len(SEEK_TABLE) :] == SEEK_TABLE


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Needs the /proc of Linux.")
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", list(PROGRAMS) if WHOLE else ["worker"])
def test_killed_at_any_moment_results_are_whole_or_absent_and_resume_completes(name: str, tmp_path: Path, tell):
    program = PROGRAMS[name]
    if name == "real Blender":
        if why := real_blender.why_not():
            pytest.skip(why)
    elif program.command[0] == "convert" and importlib.util.find_spec("bpy") is None:
        pytest.skip("needs 'bpy'")
    videos, out, temporary = (tmp_path / one for one in ("videos", "out", "temporary"))
    videos.mkdir()
    temporary.mkdir()
    for number in range(program.clips):
        shutil.copy(SAMPLE, videos / f"{number}.mp4")
    command = [sys.executable, "-P", "-m", "video_motion.inference.cli", *program.command, str(videos)]
    if name == "real Blender":
        command, _ = environment.batch_command(real_blender.program(tmp_path), str(videos), *program.command[1:])
        command += ["--python", sys.executable]
    command += ["--out", str(out), "--end", "0.6", "--quality", "fast", "--resume"]
    variables = VARIABLES | {"TMPDIR": str(temporary), registry.CACHE_VARIABLE: str(registry.cache_folder())}
    wanted = {f"{number}{end}" for number in range(program.clips) for end in program.ends}
    wanted |= {"batch.json"} if program.clips > 1 else set()
    began = time.monotonic()
    first = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert first.returncode == 0, first.stderr
    source, seconds = random.Random(7), time.monotonic() - began
    for _ in range(KILLS):
        # A program that is killed early has not made the folder again.
        if {file.name for file in out.glob("*")} >= wanted:
            shutil.rmtree(out)
        kill_at(source.uniform(0, seconds), command, program.victim, variables, source, log := tmp_path / "log")
        if name == "Blender" and not {file.name for file in out.glob("*")} >= wanted:
            assert ENDED in log.read_text(), "its end is told in a sentence"
        for file in out.glob("[!.]*"):
            assert_whole(file)
    # As if the next start were later; the clock was set back since.
    for left in (*temporary.iterdir(), *out.glob(".*")):
        os.utime(left, (time.time() + 86400, time.time() + 86400))
    last = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert last.returncode == 0, last.stderr
    assert {file.name for file in out.iterdir()} == wanted
    for file in out.iterdir():
        assert_whole(file)
    # Blender's own are not ours to remove.
    ours = [left.name for left in temporary.iterdir() if not left.name.startswith(("blender_", "pulse-"))]
    assert set(ours) <= {"paces.json"}
    tell(f"{name} killed at {KILLS} moments: every result whole or absent, nothing is left, --resume completes")


SERVED = bytes(range(256)) * 2000
BLOCKS = 40
FETCH = """
import sys
from pathlib import Path
from video_motion.inference import registry
listed = registry.items(Path(sys.argv[1]))
registry.items = lambda: listed
registry.path("thing")
"""


class _Slow(Quiet, http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(SERVED) - start))
        self.end_headers()
        size = len(SERVED) // BLOCKS
        for place in range(start, len(SERVED), size):
            self.wfile.write(SERVED[place : place + size])
            time.sleep(0.02)


@pytest.fixture
def slow_server() -> Iterator[str]:
    """The address of a server that takes a while for SERVED."""
    with served_by(_Slow) as address:
        yield f"{address}/thing.bin"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.timeout(3000)
def test_killed_at_any_moment_a_download_is_whole_or_absent_and_goes_on(tmp_path: Path, slow_server: str, tell):
    listed, cache = tmp_path / "registry.json", tmp_path / "cache"
    item = {"id": "thing", "what": "A thing", "licence": "CC0-1.0", "file": "thing.bin", "size": len(SERVED)}
    item |= {"sha256": hashlib.sha256(SERVED).hexdigest(), "sources": [{"kind": "url", "url": slow_server}]}
    listed.write_text(json.dumps([item]))
    command, fetched = [sys.executable, "-P", "-c", FETCH, str(listed)], cache / "thing" / "thing.bin"
    variables = VARIABLES | {"TMPDIR": str(tmp_path), registry.CACHE_VARIABLE: str(cache)}
    began = time.monotonic()
    subprocess.run(command, env=variables, check=True)
    source, seconds, broken = random.Random(7), time.monotonic() - began, 0
    for _ in range(KILLS):
        fetched.unlink(missing_ok=True)
        kill_at(source.uniform(0, seconds), command, "", variables, source, tmp_path / "log")
        broken += bool(list(cache.glob("thing/.*.part")))
        assert not fetched.exists() or fetched.read_bytes() == SERVED
    subprocess.run(command, env=variables, check=True)
    assert fetched.read_bytes() == SERVED
    assert {file.name for file in cache.rglob("*")} == {"thing", "thing.bin", ".thing.bin.lock"}
    tell(f"download killed at {KILLS} moments, {broken} of them in its middle: whole or absent, and the next goes on")


def test_files_of_killed_writers_are_removed_later(tmp_path: Path):
    left = [tmp_path / f".found-{number}.npz.{number}.part" for number in range(3)]
    other = tmp_path / ".mine.npz.1.part"
    for file in (*left, other):
        file.touch()
    for file, days in zip(left, (-1, 1), strict=False):
        os.utime(file, (time.time() + 86400 * days,) * 2)
    remove_left(tmp_path, "found-*.npz")
    assert {file.name for file in tmp_path.iterdir()} == {left[2].name, other.name}, "it may be written just now"
