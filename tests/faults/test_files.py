"""Mutated files of every reader: a sentence or a result, no crash, no hang, no memory that the valid file hasn't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import FILES, WHOLE
from .readers import READERS
from .trial import HANG_SECONDS, ReadingProcess

pytest.importorskip("onnxruntime")

SHOWN = 5
MOST_TRIED = 60
"""Files until a careless reader is to be noticed."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingProcess]:
    with ReadingProcess(tmp_path_factory.mktemp("reading")) as process:
        yield process


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_or_refused_in_a_sentence(
    name: str, process: ReadingProcess, tmp_path: Path, tell, record_property
):
    reader = READERS[name]
    if reader.in_blender:
        pytest.importorskip("bpy")
    valid = process.make(name, tmp_path)
    trial = process.try_mutated(name, reader.inside, valid, range(FILES))
    tell(trial.figures())
    record_property("row", trial.row())
    crashes = [one for one in trial.faults if one.kind == "crash"]
    others = [one for one in trial.faults if one.kind != "crash"]
    if len(crashes) > reader.crashes:
        others += crashes
    shown = [f"file {one.number}: {one.kind}: {one.said}" for one in others[:SHOWN]]
    assert not others, "\n".join([trial.figures(), *shown])


NOTICED = {
    "without limits": ("AMASS", "memory", (102, 160), HANG_SECONDS),
    "without looking": ("settings", "fault", range(20), HANG_SECONDS),
    "endless": ("camera.json", "hang", (0,), 0.5),
    "crashing": ("request", "crash", range(2), HANG_SECONDS),
}
"""The reader that each carelessness spoils, what shows it, files that do, and the seconds that one may take."""


@pytest.mark.parametrize("careless", NOTICED)
def test_a_careless_reader_is_noticed(careless: str, tmp_path: Path):
    name, kind, numbers, seconds = NOTICED[careless]
    folder = tmp_path / "files"
    folder.mkdir()
    with ReadingProcess(tmp_path, careless, seconds) as process:
        trial = process.try_mutated(name, READERS[name].inside, process.make(name, folder), numbers)
    assert kind in {one.kind for one in trial.faults}, trial.figures()


BELIEVERS = {
    "without hashes": ("cache", "weights", "added weights"),
    "without checks": ("report", "paces", "job", "video.mp4", "video.mkv", "video.avi", "video.mov", "images"),
}
"""Readers that catch nothing, or nothing that damage makes others raise, by what makes them careless."""


@pytest.fixture(scope="module")
def careless_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ReadingProcess]]:
    """A process for each carelessness that spoils several readers."""
    with contextlib.ExitStack() as stack:
        yield {
            careless: stack.enter_context(ReadingProcess(tmp_path_factory.mktemp("careless"), careless))
            for careless in ("without catching", *BELIEVERS)
        }


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", READERS if WHOLE else ("SMPL body", "weights", "report"))
def test_every_reader_is_noticed_when_it_is_careless(
    name: str, careless_processes: dict[str, ReadingProcess], tmp_path: Path
):
    reader = READERS[name]
    if reader.in_blender:
        pytest.importorskip("bpy")
    careless = next((one for one, names in BELIEVERS.items() if name in names), "without catching")
    process = careless_processes[careless]
    valid = process.make(name, tmp_path)
    assert any(process.try_mutated(name, reader.inside, valid, (number,)).faults for number in range(MOST_TRIED))
