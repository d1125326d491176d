"""The worker process's main program: jobs on standard input, JSON lines on standard output.

It is started as a file, by Blender's own Python, and ends when its standard input does, so that it never outlives its
Blender. A job is one line of JSON with the fields of `tasks.Job`, and

    packages  folders of Python packages in addition to this Python's own; only the first job's are used
    more      whether to wait for another job after this one; networks stay loaded

Jobs run one after another. Each output line has an `event`:

    progress  stage, done, total (null: unknown)
    result    value, the task's result
    error     message, one sentence for the user; report, that of a video in which nobody was found, else null

There is exactly one result or error for each job.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the jobs from standard input; return the exit status of the last."""
    # Libraries may print anything; only our events go to the real standard output.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    job = read_job(jobs.get())
    sys.path[:0] = [str(ROOT)]
    packages = job.get("packages")
    sys.path += [folder for folder in packages if folder not in sys.path] if isinstance(packages, list) else []
    # The fit multiplies many small matrices, for which OpenBLAS is slower with several threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    tasks = importlib.import_module("video_motion.inference.worker.tasks")
    while True:
        status = tasks.serve(job, lines)
        if not job.get("more", False):
            return status
        job = read_job(jobs.get())


def read_job(line: bytes) -> dict[str, Any]:
    """Return the fields of the job on a line; none where it is no job, which the tasks report."""
    try:
        job = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return job if isinstance(job, dict) else {}


def _listen(jobs: queue.SimpleQueue[bytes]) -> None:
    """Queue each line of standard input; at its end, end the process."""
    rest = b""
    # Not through `sys.stdin`: ending the process would wait for its lock.
    while block := os.read(0, 1 << 16):
        *complete, rest = (rest + block).split(b"\n")
        for line in complete:
            jobs.put(line)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
