"""Mutated files of every reader: a sentence or a result, no crash, no hang, no memory that the valid file hasn't."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import FILES
from .readers import READERS
from .reading import CARELESS
from .trial import HANG_SECONDS, ReadingProcess

pytest.importorskip("onnxruntime")

SHOWN = 5


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingProcess]:
    with ReadingProcess(tmp_path_factory.mktemp("reading")) as process:
        yield process


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_or_refused_in_a_sentence(name: str, process: ReadingProcess, tmp_path: Path, tell):
    reader = READERS[name]
    if reader.in_blender:
        pytest.importorskip("bpy")
    valid = process.make(name, tmp_path)
    trial = process.try_mutated(name, reader.inside, valid, range(max(8, round(FILES * reader.weight))))
    tell(trial.figures())
    shown = [f"file {one.number}: {one.kind}: {one.said}" for one in itertools.islice(trial.faults, SHOWN)]
    assert not trial.faults, "\n".join([trial.figures(), *shown])


NOTICED = {
    "without limits": ("motion", "memory", (102, 160), HANG_SECONDS),
    "without looking": ("settings", "fault", range(20), HANG_SECONDS),
    "endless": ("camera.json", "hang", (0,), 0.5),
    "crashing": ("request", "crash", range(2), HANG_SECONDS),
}
"""The reader that each carelessness spoils, what shows it, files that do, and the seconds that one may take."""


@pytest.mark.parametrize("careless", CARELESS)
def test_a_careless_reader_is_noticed(careless: str, tmp_path: Path):
    name, kind, numbers, seconds = NOTICED[careless]
    folder = tmp_path / "files"
    folder.mkdir()
    with ReadingProcess(tmp_path, careless, seconds) as process:
        trial = process.try_mutated(name, READERS[name].inside, process.make(name, folder), numbers)
    assert kind in {one.kind for one in trial.faults}, trial.figures()
