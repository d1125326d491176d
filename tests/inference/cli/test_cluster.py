"""A batch on a real Dask cluster: a scheduler and workers as processes of this machine, some of which fail."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")
pytest.importorskip("onnxruntime")

import cv2
import psutil
from video_motion.inference import registry
from video_motion.inference.batch.calls import CallQueue
from video_motion.inference.batch.local import LocalRunner
from video_motion.inference.batch.queue import VideoBatch
from video_motion.inference.batch.request import Request
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import cluster as runners
from video_motion.inference.cli.cluster import ClusterRunner
from video_motion.inference.cli.cluster_worker import Identity, Sight
from video_motion.inference.errors import VideoMotionError
from video_motion.inference.options import Options
from video_motion.inference.research.benchmarks.cluster_processes import LocalCluster
from video_motion.inference.research.evaluation import data_set
from video_motion.inference.research.training import shards

from tests.faults.processes import is_alive
from tests.films import assert_same, write_film

from ..research.training.conftest import make_shard

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "tests" / "sample" / "sample.mp4"
QUICK = Options(quality="fast", network="landmarks", hands=False, face=False, format=())
CLIPS = 5

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "clips"
    folder.mkdir()
    source = cv2.VideoCapture(str(SAMPLE))
    frames = [cv2.resize(source.read()[1], (320, 240)) for _ in range(60)]
    # Every third picture, for they take time.
    for number in range(CLIPS):
        file = str(folder / f"clip {number}.mp4")
        writer = cv2.VideoWriter(file, cv2.VideoWriter.fourcc(*"mp4v"), 25 / 3, (320, 240))
        for frame in frames[9 * number : 9 * number + 21 : 3]:
            writer.write(frame)
        writer.release()
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.start_worker("good")
        yield cluster


@contextlib.contextmanager
def another(cluster: LocalCluster, name: str, shell: str = "", **variables: str) -> Iterator[psutil.Process]:
    """A second worker for a test."""
    worker = psutil.Process(cluster.start_worker(name, shell, **variables).pid)
    try:
        cluster.wait(len(cluster.workers))
        yield worker
    finally:
        if name in cluster.workers:
            cluster.kill(name)
        cluster.wait(len(cluster.workers))


def run(cluster: LocalCluster, videos: list[Path], out: Path, options: Options = QUICK, **more: float) -> int:
    runner = ClusterRunner(cluster.address, options, **more)
    try:
        return VideoBatch(Request(videos, out, options, registry.cache_folder()), runner=runner).run()
    finally:
        runner.close()


def processes(cluster: LocalCluster) -> set[int]:
    """What the good worker has started."""
    return {process.pid for process in psutil.Process(cluster.workers["good"].pid).children(recursive=True)}


def summary(out: Path) -> dict:
    return json.loads((out / "batch.json").read_text(encoding="utf-8"))


def names(count: int = CLIPS) -> set[str]:
    """The files of a complete batch."""
    return {f"clip {number}{end}" for number in range(count) for end in (".json", ".motion.npz")} | {"batch.json"}


def test_a_cluster_gives_what_one_machine_gives(cluster, clips, tmp_path):
    broken = clips.parent / "empty.mp4"
    broken.touch()
    out, alone = tmp_path / "out", tmp_path / "alone"
    arguments = ["--quality", "fast", "--network", "landmarks", "--no-hands", "--no-face", "--out", out]
    command = [sys.executable, "-P", "-m", "video_motion.inference.cli", "estimate", clips, broken, *arguments]
    result = subprocess.run(
        [*command, "--scheduler", cluster.address],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert set(os.listdir(out)) == names()
    assert "empty.mp4 is empty" in result.stderr
    assert f"{CLIPS} done, 0 skipped, 1 failed" in result.stderr
    assert sum(f" of {CLIPS + 1}: " in line for line in result.stdout.splitlines()) == CLIPS
    loaded = processes(cluster)
    assert len(loaded) == 2, "one that serves, and its networks'"

    videos = [clips / "clip 0.mp4", clips / "clip 4.mp4"]
    assert VideoBatch(Request(videos, alone, QUICK, registry.cache_folder())).run() == 0
    for name in ("clip 0", "clip 4"):
        one, other = (np.load(folder / f"{name}.motion.npz") for folder in (out, alone))
        for key in one.files:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)
        ours, theirs = (json.loads((folder / f"{name}.json").read_text()) for folder in (out, alone))
        assert ours["made"] == theirs["made"]
        assert ours["video"] == theirs["video"]

    # It goes on where a machine alone or another cluster stopped.
    (out / "clip 3.motion.npz").unlink()
    assert run(cluster, [clips], out, Options(**(vars(QUICK) | {"resume": True}))) == 0
    states = [row["state"] for row in summary(out)["videos"]]
    assert states == ["skipped"] * 3 + ["done"] + ["skipped"] * (CLIPS - 4)
    assert set(os.listdir(out)) == names()
    assert processes(cluster) == loaded, "networks are loaded once"


def test_a_worker_that_is_killed_costs_a_sentence(cluster, clips, tmp_path, monkeypatch):
    with another(cluster, "killed") as worker:
        plain, left = ClusterRunner.step, [worker]

        def step(runner: ClusterRunner) -> list:
            # In the midst of a video.
            if left and worker.children():
                time.sleep(0.3)
                cluster.kill("killed")
                left.clear()
            return plain(runner)

        monkeypatch.setattr(ClusterRunner, "step", step)
        assert run(cluster, [clips], tmp_path) == 0
        assert not left
    assert set(os.listdir(tmp_path)) == names()
    (note,) = summary(tmp_path)["notes"]
    assert "was lost with" in note
    assert ".mp4" in note


def test_a_long_film_is_done_in_parts(cluster, tmp_path, monkeypatch, capfd):
    """By workers that see its folder, one of which is killed, and by one that does not."""
    film, options = write_film(tmp_path / "film.avi"), Options(quality="fast", hands=False, face=False, format=())
    out, sent, undivided = (tmp_path / name for name in ("out", "sent", "undivided"))
    assert VideoBatch(Request([film], undivided, options, registry.cache_folder())).run() == 0
    with another(cluster, "killed"):
        plain, begun = ClusterRunner.step, []

        def step(runner: ClusterRunner) -> list:
            # In the midst of a part: both have some.
            if sum(job.input.part is not None for job in runner._jobs.values()) > 2:
                begun.append(time.monotonic())
                if time.monotonic() > begun[0] + 0.5 and "killed" in cluster.workers:
                    cluster.kill("killed")
            return plain(runner)

        monkeypatch.setattr(ClusterRunner, "step", step)
        assert run(cluster, [film], out, options, part_seconds=0.5) == 0
        assert "killed" not in cluster.workers
    said = capfd.readouterr().err
    assert "was lost with film.avi, which go to others" in said
    assert "film.avi: 4 of 4 parts" in said
    assert_same(out, undivided)
    monkeypatch.undo()
    if os.geteuid():
        return
    sent.mkdir()
    with LocalCluster(tmp_path / "far") as far:
        far.start_worker("far", f"mount -t tmpfs tmpfs '{sent}'")
        far.wait(1)
        assert run(far, [film], sent, options, part_seconds=0.5) == 0
    assert_same(sent, undivided)


def test_work_that_hangs_is_done_elsewhere(cluster, clips, tmp_path, monkeypatch):
    with another(cluster, "hangs") as worker:
        plain, stopped = ClusterRunner.step, []

        def step(runner: ClusterRunner) -> list:
            # Both that serves and its networks', so that it has begun a video.
            if not stopped and len(begun := worker.children(recursive=True)) == 2:
                stopped.extend(begun)
                for process in stopped:
                    process.suspend()
            return plain(runner)

        monkeypatch.setattr(ClusterRunner, "step", step)
        assert run(cluster, [clips], tmp_path, patience=6.0) == 0
        assert stopped
        # Whoever takes in orphans may be slow to bury them.
        ends = time.monotonic() + 30
        while any(is_alive(process.pid) for process in stopped):
            assert time.monotonic() < ends
            time.sleep(0.05)
    assert set(os.listdir(tmp_path)) == names()
    assert any("nothing went on for 6 seconds" in note for note in summary(tmp_path)["notes"])


def test_workers_in_bad_order(cluster, clips, tmp_path):
    """One whose disk is full, one of another version, one that sees neither videos nor the folder of results."""
    if os.geteuid():
        pytest.skip("Needs a small disk, which only root can make.")
    other, out = tmp_path / "other", tmp_path / "out"
    for name in ("addon", "inference"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns("__pycache__", "research"))
    for name in ("__init__.py", "video_motion.py"):
        shutil.copyfile(ROOT / name, other / name)
    (other / "weights").symlink_to(ROOT / "weights")
    with (other / "inference" / "motion" / "floor.py").open("a") as code:
        code.write("\n")
    out.mkdir()
    hidden = f"mount -t tmpfs tmpfs '{clips}' && mount -t tmpfs tmpfs '{out}'"
    variables = {"PYTHONPATH": str(other), registry.CACHE_VARIABLE: str(registry.cache_folder())}
    with (
        another(cluster, "full", "mount -t tmpfs -o size=32k tmpfs $1"),
        another(cluster, "other", **variables),
        another(cluster, "far", hidden) as far,
    ):
        assert run(cluster, [clips], out) == 0
        assert far.children(), "it has worked"
    assert set(os.listdir(out)) == names()
    notes = summary(out)["notes"]
    assert any("No space left on device" in note for note in notes)
    assert any("another version of Video Motion than the client" in note for note in notes)
    videos = {json.loads((out / f"clip {number}.json").read_text())["video"] for number in range(CLIPS)}
    assert videos == {str(clips / f"clip {number}.mp4") for number in range(CLIPS)}


def test_weights_of_ones_own_go_to_who_does_not_see_them(clips, tmp_path):
    """With what lies beside them: the shipped files under other names give what they give."""
    if os.geteuid():
        pytest.skip("Needs a hidden folder, which only root can make.")
    mine, far, here = (tmp_path / name for name in ("mine", "far", "here"))
    for folder in (mine, tmp_path / "cluster"):
        folder.mkdir()
    for item, name in (("cosegmentation", "own.onnx"), ("lifter", "own.lifter.onnx")):
        shutil.copyfile(registry.path(item), mine / name)
    shipped = replace(QUICK, network="cosegmentation")
    with LocalCluster(tmp_path / "cluster") as cluster:
        cluster.start_worker("far", f"mount -t tmpfs tmpfs '{mine}'")
        own = replace(shipped, weights=mine / "own.onnx")
        assert run(cluster, [clips / "clip 0.mp4"], far, own) == 0
        sent = [file.name for file in (tmp_path / "cluster").rglob("own*.onnx")]
    assert sorted(sent) == ["own.lifter.onnx", "own.onnx"]
    assert json.loads((far / "clip 0.json").read_text())["weights"] == "own.onnx"
    request = Request([clips / "clip 0.mp4"], here, shipped, registry.cache_folder())
    assert VideoBatch(request).run() == 0
    one, other = (np.load(folder / "clip 0.motion.npz") for folder in (far, here))
    for key in set(one.files) - {"provenance"}:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_training_and_evaluation_use_the_same_workers(cluster, tmp_path, capfd):
    """With the same figures; who doesn't see the data gets nothing."""
    data, out, body = tmp_path / "data", tmp_path / "out", Body.load(registry.body_path())
    for number in range(3):
        shards.write_shard(data / "validation" / f"{number:06d}.npz", make_shard(body, number))
    alone = data_set.calls(data, tmp_path / "alone", ["landmarks"], "cpu")
    assert CallQueue(iter(alone), LocalRunner({}, registry.cache_folder(), None, None)).run() == (False, False)
    hidden = f"mount -t tmpfs tmpfs '{data}'" if not os.geteuid() else ""
    with another(cluster, "far", hidden):
        calls = data_set.calls(data, out, ["landmarks"], "cpu")
        runner = ClusterRunner(cluster.address, Options(format=()), research=True)
        assert CallQueue(iter(calls), runner).run() == (False, False)
    assert data_set.pooled(calls) == data_set.pooled(alone)
    assert set(os.listdir(out)) == {f"{number:06d}{end}" for number in range(3) for end in (".json", ".npz")}
    said = capfd.readouterr().err
    assert "3 done, 0 skipped, 0 failed" in said
    if hidden:
        assert f"it does not see {data}" in said


def test_where_no_worker_can_do_it_the_batch_ends(cluster, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(Identity, "of", lambda options, research=False, fetch=False: Identity("another", "the same"))
    with pytest.raises(VideoMotionError, match=r"None of the workers at .* another version of Video Motion"):
        run(cluster, [clips], tmp_path)
    assert set(os.listdir(tmp_path)) == {"batch.json"}


def test_without_a_scheduler(tmp_path, monkeypatch):
    monkeypatch.setattr(runners, "TIMEOUT", "0.5s")
    with pytest.raises(VideoMotionError, match=r"No scheduler answers at tcp://127\.0\.0\.1:9 "):
        ClusterRunner("tcp://127.0.0.1:9", QUICK)


def test_the_same_path_may_be_another_file(tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"here")
    sight = Sight.of(file)
    assert sight.is_seen
    file.write_bytes(b"elsewhere")
    assert not sight.is_seen
    file.unlink()
    assert not sight.is_seen
