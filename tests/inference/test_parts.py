"""Long films that are worked on in parts give what they give undivided."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from video_motion.inference import registry
from video_motion.inference.batch import interruption, queue
from video_motion.inference.batch.inputs import VideoInput
from video_motion.inference.batch.local import LocalRunner
from video_motion.inference.batch.queue import VideoBatch
from video_motion.inference.batch.request import Request
from video_motion.inference.footage.parts import Part, PartError, find_parts
from video_motion.inference.footage.reader import Footage
from video_motion.inference.options import Options, Who

from tests.films import SHOTS, assert_same, write_film

FAST = Options(quality="fast", format=())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.avi")


def progress(stage: str, done: int, total: int | None) -> None:
    """Nobody looks."""


def test_parts_begin_at_cuts(film: Path):
    with Footage(film) as footage:
        assert find_parts(footage, 2.1, progress) == [], "it lasts less than two"
        whole = find_parts(footage, 0.1, progress)
        parts = find_parts(footage, 1.0, progress)
    assert [(part.first_shot, part.starts, part.span.end) for part in whole] == [
        (number, (start,), end) for number, (start, end) in enumerate(zip(SHOTS, [*SHOTS[1:], None], strict=True), 1)
    ]
    assert [(part.first_shot, part.starts, part.span.end) for part in parts] == [
        (1, (0, 20), 30),
        (3, (30, 50), 75),
        (5, (75,), None),
    ]
    assert all(part.has_cuts for part in parts)
    assert [Part.from_json(json.loads(json.dumps(part.to_json()))) for part in parts] == parts
    for wrong in ({}, {"starts": [1]}, parts[0].to_json() | {"span": None}, parts[0].to_json() | {"starts": []}):
        with pytest.raises(PartError, match="no part of a film"):
            Part.from_json(wrong)
    for part in parts:
        with Footage(film, span=part.span) as footage:
            numbers = [(number, frame.number) for number, frame in part.in_shots(footage)]
        end = part.span.end or 100
        assert numbers == [(sum(start <= one for start in SHOTS), one) for one in range(part.starts[0], end)]


def run(video: Path, out: Path, options: Options) -> int:
    return VideoBatch(Request([video], out, options, registry.cache_folder())).run()


@pytest.fixture(scope="module")
def undivided(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undivided")
    assert run(film, out, FAST) == 0
    return out


def test_parts_are_joined_to_the_undivided_result(film, undivided, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(queue, "PART_SECONDS", 0.5)
    report = json.loads((undivided / "film.json").read_text())
    assert [(one["shot"], one["person"]) for one in report["people"]] == [(1, 1), (3, 1), (4, 1), (5, 1)]
    assert run(film, tmp_path, Options(**(vars(FAST) | {"jobs": 2}))) == 0
    assert "film.avi: 4 of 4 parts" in capfd.readouterr().err
    assert_same(tmp_path, undivided)


def test_a_part_whose_process_is_killed_is_done_again(film, undivided, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(queue, "PART_SECONDS", 0.5)
    plain, killed = LocalRunner.step, []

    def step(runner: LocalRunner) -> list:
        busy = [one for one in runner._slots if one.job is not None and one.job.input.part is not None]
        if not killed and busy and busy[0].process is not None and busy[0].process.stage:
            killed.append(busy[0].process.process.pid)
            os.killpg(killed[0], signal.SIGKILL)
        return plain(runner)

    monkeypatch.setattr(LocalRunner, "step", step)
    assert run(film, tmp_path, Options(**(vars(FAST) | {"jobs": 2}))) == 0
    assert killed
    assert "film.avi is begun anew once, as its process ended: The system ended" in capfd.readouterr().err
    assert_same(tmp_path, undivided)


def test_what_an_interrupted_run_has_done_of_a_film_is_kept(film, undivided, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(queue, "PART_SECONDS", 0.5)
    parts, out = tmp_path / "out" / ".film.parts", tmp_path / "out"
    with monkeypatch.context() as patched:
        # As Ctrl-C does.
        patched.setattr(interruption, "requested", lambda: (parts / "2.json").exists())
        assert run(film, out, Options(**(vars(FAST) | {"jobs": 2}))) == interruption.STATUS
    assert set(os.listdir(out)) == {".film.parts"}
    kept = {file.name: file.stat().st_mtime_ns for file in parts.glob("*.motion.npz")}
    assert "2.motion.npz" in kept
    said = capfd.readouterr().err
    assert "0 done, 0 skipped, 0 failed, 1 left" in said

    done: dict[str, int] = {}
    monkeypatch.setattr(VideoInput, "remove_parts", lambda one: done.update(_times(parts)))
    assert run(film, out, Options(**(vars(FAST) | {"jobs": 2, "resume": True}))) == 0
    assert {name: done[name] for name in kept} == kept
    shutil.rmtree(parts)
    assert_same(out, undivided)


def _times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.motion.npz")}


def test_a_film_fails_as_undivided(film, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(queue, "PART_SECONDS", 0.5)
    said = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        assert run(film, out, Options(**(vars(FAST) | {"jobs": jobs, "person": (Who(7),)}))) == 1
        assert os.listdir(out) == ["film.json"]
        report = json.loads((out / "film.json").read_text())
        said.append((report["message"], report["left_out"], report["frames"]))
        assert report["message"] in capfd.readouterr().err
    assert said[0] == said[1]
    assert said[0][0].startswith("There is no person 7 in")


def test_who_is_in_no_part_is_named_once(film, tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "PART_SECONDS", 0.5)
    chosen = {"person": (Who(1, 1), Who(1, 5), Who(2, 3)), "hands": False, "face": False}
    reports = []
    for jobs in (1, 2):
        assert run(film, tmp_path / str(jobs), Options(**(vars(FAST) | chosen | {"jobs": jobs}))) == 0
        reports.append(json.loads((tmp_path / str(jobs) / "film.json").read_text()))
    assert [(row["shot"], row["person"]) for row in reports[0]["people"]] == [(1, 1), (5, 1)]
    for name in ("people", "left_out", "motions"):
        assert reports[0][name] == reports[1][name]
    for report in reports:
        assert "There is no person 3:2: the others' motion was taken." in report["warnings"]
