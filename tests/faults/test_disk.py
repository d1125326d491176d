"""Full, read-only and vanishing disks, a clock that was set back, a shared cache: a sentence or a result.

Interrupted downloads and wrong hashes are in `tests/inference/test_registry.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.cache import Cache
from video_motion.inference.motion.motion import Motion
from video_motion.inference.worker.process import WorkerProcess

from .conftest import WHOLE
from .readers import SAMPLE
from .reading import FAULTS, ROOT

pytest.importorskip("onnxruntime")

ESTIMATE = [
    sys.executable,
    "-P",
    "-m",
    "video_motion.inference.cli",
    "estimate",
    "--end",
    "0.6",
    "--no-hands",
    "--no-face",
]
FAST = ("--quality", "fast")
FRAMES = 15
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Disk:
    """A folder of a run that is a disk of its own.

    Attributes:
        folder: `out`, `temporary` or `weights`.
        mounted: mount's options.
        told: part of the sentence; empty where there is a result nevertheless.
    """

    folder: str
    mounted: str
    told: str = ""


DISKS = {
    "full results": Disk("out", "size=16k", "No space left"),
    "read-only results": Disk("out", "ro", "can't be written"),
    "full temporary folder": Disk("temporary", "size=16k", "No space left"),
    # Python then takes another one.
    "read-only temporary folder": Disk("temporary", "ro"),
    "read-only weights": Disk("weights", "bind"),
}


def run(folder: Path, *options: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`estimate` of a copy of the sample in a folder, after a script in a space of mounts of its own."""
    shutil.copy(SAMPLE, folder / "clip.mp4")
    command = ["unshare", "--mount", "bash", "-c", f'set -e; {before} exec "$@"', "run"] if before else []
    command += [*ESTIMATE, *options, str(folder / "clip.mp4"), "--out", str(folder / "out")]
    return subprocess.run(
        command, capture_output=True, text=True, env=variables(folder), check=False, timeout=10 * WAIT_SECONDS
    )


def variables(folder: Path) -> dict[str, str]:
    """The variables of a run whose folders are in one."""
    folders = {"TMPDIR": str(folder / "temporary"), registry.CACHE_VARIABLE: str(registry.cache_folder())}
    return os.environ | {"PYTHONPATH": str(ROOT)} | folders


def assert_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """It failed in a sentence with some words, and without a traceback."""
    assert result.returncode == 1, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.endswith("."), last
    assert all(word in last for word in words), last
    assert not any(one in result.stderr for one in FAULTS if one != "\n"), result.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="Needs a small disk, which only root can make.")
@pytest.mark.parametrize("name", list(DISKS) if WHOLE else ["full results"])
def test_a_disk_that_cannot_take_more_is_a_sentence(name: str, tmp_path: Path):
    disk, at = DISKS[name], tmp_path / DISKS[name].folder
    for one in ("out", "temporary"):
        (tmp_path / one).mkdir()
    if disk.folder == "weights":
        at = registry.cache_folder()
        script = f'mount --bind "{at}" "{at}"; mount -o remount,ro,bind "{at}";'
    else:
        script = f'mount -t tmpfs -o {disk.mounted} tmpfs "{at}";'
    result = run(tmp_path, *FAST, before=script)
    if not disk.told:
        assert result.returncode == 0, result.stderr
        assert len(Motion.load(tmp_path / "out" / "clip.motion.npz")) == FRAMES
        return
    assert_refused(result, disk.told, str(at))
    assert not list((tmp_path / "out").iterdir())


def start_until(folder: Path, stage: str, *options: str) -> subprocess.Popen[str]:
    """Start `estimate` and wait for a stage."""
    (folder / "temporary").mkdir(exist_ok=True)
    shutil.copy(SAMPLE, folder / "clip.mp4")
    command = [*ESTIMATE, *options, str(folder / "clip.mp4"), "--out", str(folder / "out")]
    running = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=variables(folder)
    )
    assert running.stderr is not None
    while stage not in (line := running.stderr.readline()):
        assert line, "it ended before"
    return running


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_results_of_which_the_folder_vanishes_in_mid_run_are_a_sentence(tmp_path: Path):
    running = start_until(tmp_path, "people", *FAST)
    (tmp_path / "out").rmdir()
    # Where a drive was, there is something else.
    (tmp_path / "out").touch()
    _, said = running.communicate()
    assert_refused(subprocess.CompletedProcess(running.args, running.returncode, "", said), str(tmp_path / "out"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_a_video_that_vanishes_in_mid_run_is_a_sentence(tmp_path: Path):
    running = start_until(tmp_path, "people", "--quality", "best")
    (tmp_path / "clip.mp4").unlink()
    _, said = running.communicate()
    refused = subprocess.CompletedProcess(running.args, running.returncode, "", said)
    assert_refused(refused, str(tmp_path / "clip.mp4"), "does not exist")


def test_after_a_clock_was_set_back_the_newest_results_are_kept(tmp_path: Path):
    cache = Cache(tmp_path, limit=3 * 9200)
    for key in "abc":
        cache.keep(key, {"x": np.zeros(1000)})
    for days, file in enumerate(sorted(tmp_path.iterdir()), 1):
        os.utime(file, (time.time() + 86400 * days,) * 2)
    assert cache.load("a") is not None, "used just now"
    cache.keep("d", {"x": np.zeros(1000)})
    assert cache.load("d") is not None
    assert cache.load("a") is not None
    assert cache.size() <= 3 * 9200


def convert(cache: Path) -> WorkerProcess:
    """A worker that converts the sample's beginning with a cache."""
    options = {"end": 0.6, "quality": "fast", "hands": False, "face": False}
    return WorkerProcess("convert", registry.cache_folder(), cache, video=str(SAMPLE), options=options)


def result_of(worker: WorkerProcess) -> tuple[np.ndarray, list[str]]:
    """The poses that a worker made, and what it took from the cache."""
    ends = time.monotonic() + 4 * WAIT_SECONDS
    while not worker.answered:
        worker.poll()
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert worker.value, worker.message
    poses = Motion.load(Path(worker.value["motions"][0])).poses
    worker.close()
    return poses, worker.value["report"]["reused"]


def test_two_processes_and_a_newer_version_share_a_cache(tmp_path: Path):
    """A newer version has other keys, as they hold a hash of the code, and may have other files."""
    newer = Cache(tmp_path)
    newer.keep("0" * 32, {"unknown": np.zeros(3), "header": np.str_('{"version": 99}')})
    (tmp_path / "paces.json").write_text('{"version": 99, "fast  auto": {"passes": {"people": [1, 2]}}}')
    (tmp_path / "found-of-the-future.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    both = [result_of(worker) for worker in (convert(tmp_path), convert(tmp_path))]
    again, reused = result_of(convert(tmp_path))
    assert "people" in reused
    for poses, _ in both:
        np.testing.assert_array_equal(poses, again)
    assert newer.load("0" * 32) is not None
    assert (tmp_path / "found-of-the-future.zst").exists()
    assert not list(tmp_path.glob(".*"))
