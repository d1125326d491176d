"""The worker reaches no network and writes only where it was told, as the system saw it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from video_motion.inference import registry

from .readers import SAMPLE
from .strace import needs_strace, traced

pytest.importorskip("onnxruntime")

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
        worker.begin(task, video=str(video), options=options, moments={"start": 0.2})
    while not worker.answered:
        worker.poll()
        time.sleep(0.01)
    assert worker.value, worker.message
worker.close()
"""


def assert_confined(calls: list[tuple[str, str]], *folders: Path) -> None:
    """No address of a network, and nothing written outside of folders but Python's compiled code."""
    assert len(calls) > 100, "the system told nothing"
    for call, rest in calls:
        paths = [Path(os.path.normpath(os.path.join(*place))) for place in PLACES.findall(rest)]
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


@needs_strace
def test_the_worker_reaches_no_network_and_writes_only_where_it_was_told(tmp_path: Path, tell):
    cache, elsewhere = tmp_path / "cache", tmp_path / "temporary"
    elsewhere.mkdir()
    command = [sys.executable, "-P", "-c", TASKS, str(registry.cache_folder()), str(cache), str(SAMPLE)]
    calls, _ = traced(command, tmp_path / "trace", TMPDIR=str(elsewhere), HOME=str(elsewhere))
    assert_confined(calls, cache)
    assert not list(elsewhere.iterdir())
    tell(f"worker: {len(calls)} calls of the system that open, write or send; none outside of its folder")
