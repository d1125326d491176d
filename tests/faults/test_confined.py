"""The worker reaches no network and writes only where it was told, as the system saw it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from video_motion.inference import registry

from .readers import SAMPLE
from .reading import ROOT

pytest.importorskip("onnxruntime")

CALLS = "%network,open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,unlink,unlinkat,rmdir"
CALLS += ",link,linkat,symlink,symlinkat,truncate,chmod,fchmodat,chown,fchownat,execve"
PLACES = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
TASKS = """
import sys, time
from pathlib import Path
from video_motion.inference.worker.process import WorkerProcess
weights, cache, video = map(Path, sys.argv[1:])
options = {"end": 0.6, "quality": "fast"}
worker = WorkerProcess("look", weights, cache, more=True, video=str(video))
for task in ("look", "peek", "find", "convert"):
    if task != "look":
        worker.begin(task, video=str(video), options=options)
    while not worker.answered:
        worker.poll()
        time.sleep(0.01)
    assert worker.value, worker.message
worker.close()
"""


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    program = shutil.which("strace")
    # Containers may forbid it.
    if program is None or subprocess.run([program, "-qq", "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("Needs strace, and to be allowed to use it.")


def traced(command: list[str], trace: Path, **variables: str) -> Iterator[tuple[str, str]]:
    """Run a command; yield the calls that it and its children made, and the rest of each line."""
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", trace]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    result = subprocess.run([*strace, *command], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for line in trace.read_text(errors="replace").splitlines():
        if found := re.match(r"\d+ +(\w+)\((.*)", line):
            yield found[1], found[2]


def assert_confined(calls: Iterator[tuple[str, str]], *folders: Path) -> None:
    """No address of a network, and nothing written outside of folders but Python's compiled code."""
    count = 0
    for call, rest in calls:
        paths = [Path(os.path.normpath(os.path.join(*place))) for place in PLACES.findall(rest)]
        count += 1
        if call == "socket":
            assert rest.startswith(("AF_UNIX", "AF_NETLINK")), f"{call}({rest}"
        elif call in ("connect", "bind", "sendto") and "sa_family" in rest:
            assert re.search(r"AF_(UNIX|NETLINK)", rest), f"{call}({rest}"
        elif call == "execve":
            assert paths[0].name.startswith(("python", Path(sys.executable).name)), f"{call}({rest}"
        elif (call.startswith("open") and WRITES.search(rest)) or not call.startswith(("open", "recv", "send", "get")):
            for path in paths if call.startswith(("rename", "link")) else paths[-1:]:
                compiled = path.name == "__pycache__" or path.parent.name == "__pycache__"
                within = any(path.is_relative_to(one) for one in folders)
                assert within or compiled or path == Path(os.devnull), f"{call}({rest}"
    assert count > 100, "the system told nothing"


def test_the_worker_reaches_no_network_and_writes_only_where_it_was_told(tmp_path: Path, tell):
    cache, elsewhere = tmp_path / "cache", tmp_path / "temporary"
    elsewhere.mkdir()
    command = [sys.executable, "-P", "-c", TASKS, str(registry.cache_folder()), str(cache), str(SAMPLE)]
    calls = list(traced(command, tmp_path / "trace", TMPDIR=str(elsewhere), HOME=str(elsewhere)))
    assert_confined(iter(calls), cache)
    assert not list(elsewhere.iterdir())
    tell(f"worker: {len(calls)} calls of the system that open, write or send; none outside of its folder")
