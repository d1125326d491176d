"""The process that works for Blender: one job on standard input, JSON lines on standard output.

It is started as a file, by Blender's own Python, and ends when its standard input does, so that no Blender that is
gone leaves one behind. The job is one line of JSON with what `tasks.Job` holds, and `packages`: folders of Python
packages beside this Python's own. Each line that it writes has an `event`:

    progress  stage, done, total (null: nobody knows)
    result    value, what the task gave
    error     message, one sentence for the user

There is exactly one result or error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Do the job on standard input; return the exit status."""
    # Libraries print as they like; the lines on the real standard output are only ours.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_blender, daemon=True).start()
    sys.path[:0] = [str(ROOT)]
    sys.path += [folder for folder in job.pop("packages") if folder not in sys.path]
    # The fit multiplies many small matrices, which OpenBLAS slows down when it shares them out.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    tasks = importlib.import_module("video_motion.inference.tasks")
    return tasks.serve(tasks.Job(**job), lines)


def _end_with_blender() -> None:
    while sys.stdin.buffer.read(1 << 16):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
