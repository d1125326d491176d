"""Programs that are killed leave no half-written result, no process and no folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from video_motion.inference.worker.process import WorkerProcess

from .reading import ROOT

pytest.importorskip("onnxruntime")

WAIT_SECONDS = 60.0
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


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


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
