"""A worker that converts many videos, and a folder of very many: neither takes more and more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from video_motion.inference import registry

from .conftest import WHOLE
from .processes import marked, memory, open_files
from .readers import DATA, SAMPLE
from .reading import ROOT

pytest.importorskip("onnxruntime")

WARM, END = 0.2, 0.95
"""The share of a batch after which nothing may grow any more, and the one after which that is looked at."""

WARM_LEAST = 5
"""Videos until networks and buffers have the memory that they need."""

MORE_BYTES = 40_000_000
MORE_FILES = 2
"""The video that is read at that moment."""

MOST_TEMPORARY = 20
FAST = ("--quality", "fast", "--no-hands", "--no-face")


@dataclass(frozen=True)
class Batch:
    """Many videos that are one file.

    Attributes:
        video: that file.
        count: how many.
        options: of `estimate`.
        done: how the lines begin that tell of a video that is done.
    """

    video: Path
    count: int
    options: tuple[str, ...]
    done: str


BATCHES = {
    "conversions in one worker": Batch(SAMPLE, 500 if WHOLE else 12, (*FAST, "--end", "0.6"), r"\d+ of \d+: "),
    # Nobody is in them; they are opened, decoded, searched and reported all the same.
    "videos in a folder": Batch(DATA / "rotated.mp4", 2_000 if WHOLE else 40, FAST, r"video-motion: .*\.mp4"),
}


@dataclass
class Held:
    """What a batch and its worker hold at a moment: bytes of memory, open files, and temporary files."""

    batch: int
    worker: int
    files: int
    temporary: int


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Needs the /proc of Linux.")
@pytest.mark.timeout(5000)
@pytest.mark.parametrize("name", BATCHES)
def test_a_long_batch_holds_no_more_at_its_end(name: str, tmp_path: Path, tell):
    batch = BATCHES[name]
    videos, out, temporary = (tmp_path / one for one in ("videos", "out", "temporary"))
    videos.mkdir()
    temporary.mkdir()
    copy = tmp_path / "video.mp4"
    copy.write_bytes(batch.video.read_bytes())
    for number in range(batch.count):
        os.link(copy, videos / f"{number:05}.mp4")
    command = [sys.executable, "-P", "-m", "video_motion.inference.cli", "estimate", *batch.options, str(videos)]
    variables = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(temporary),
        registry.CACHE_VARIABLE: str(registry.cache_folder()),
    }
    running = subprocess.Popen(
        [*command, "--out", str(out)], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    # Before the last of them is done, after which the worker may be gone; the summary then repeats what failed.
    moments = (max(round(WARM * batch.count), WARM_LEAST), min(round(END * batch.count), batch.count - 1))
    held, done, workers = [], 0, set()
    assert running.stdout is not None
    for line in running.stdout:
        if not re.match(batch.done, line):
            continue
        done += 1
        if done in moments:
            (worker,) = (one for one, words in marked(temporary).items() if "serve.py" in words)
            workers.add(worker)
            left = sum(file.is_file() for file in temporary.rglob("*"))
            held.append(Held(memory(running.pid), memory(worker), open_files(worker), left))
    running.wait()
    assert done >= batch.count
    (report,) = out.glob("batch.json")
    assert report.stat().st_size > 100 * batch.count
    warm, end = held
    assert len(workers) == 1
    assert end.files <= warm.files + MORE_FILES
    assert max(warm.temporary, end.temporary) < MOST_TEMPORARY
    assert end.batch - warm.batch < MORE_BYTES
    assert end.worker - warm.worker < MORE_BYTES
    figures = [
        f"{one.worker / 1e6:.0f} MB and {one.files} open files of the worker, {one.batch / 1e6:.0f} MB of the batch"
        for one in held
    ]
    tell(f"{batch.count:,} {name}: after {moments[0]:,} of them {figures[0]}; at the end {figures[1]}")
