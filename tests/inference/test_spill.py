"""Long arrays in files: they behave as any others, and neither memory nor disk keep anything of them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import spill

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spill, "_WINDOW", 10)
    monkeypatch.setattr(spill, "_SMALLEST", 1000)


def run(code: str, folder: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def test_an_array_in_a_file_holds_what_is_put_into_it():
    array = spill.zeros((50, 3, 7), np.float32)
    assert not array.any()
    values = np.random.default_rng(0).normal(size=array.shape).astype(np.float32)
    for window in spill.windows(len(array)):
        array[window] = values[window]
    np.testing.assert_array_equal(array, values)
    np.testing.assert_array_equal(array[::3].sum(axis=2), values[::3].sum(axis=2))


def test_its_file_goes_with_it():
    gc.collect()
    before = len(spill._files)
    array = spill.zeros((500,))
    part = array[100:200]
    del array
    gc.collect()
    part += 1
    assert len(spill._files) == before + 1, "a part of it is still used"
    del part
    gc.collect()
    assert len(spill._files) == before


def test_what_windows_give_is_joined():
    values = np.random.default_rng(1).normal(size=(47, 5))
    kernel = np.ones(9)

    def summed(window: slice) -> tuple[np.ndarray, np.ndarray]:
        part = values[window]
        return np.stack([np.convolve(one, kernel, "same") for one in part.T], axis=1), part > 0

    sums, positive = spill.collect(len(values), summed, margin=4)
    np.testing.assert_allclose(sums, summed(slice(0, 47))[0], atol=1e-12)
    np.testing.assert_array_equal(positive, values > 0)
    assert positive.dtype == bool
    assert [len(part) for part in spill.collect(0, lambda window: (values[window], kernel[window]))] == [0, 0]


def test_arrays_one_after_the_other():
    parts = [np.arange(3 * n, dtype=np.int32).reshape(n, 3) for n in (31, 0, 5)]
    np.testing.assert_array_equal(spill.concatenate(parts), np.concatenate(parts))
    assert spill.concatenate(parts[:1]) is parts[0]


def test_columns_grow_and_shrink_as_lists_do():
    columns, rows = spill.Columns(), []
    random = np.random.default_rng(2)
    for number in range(300):
        row = {"number": number, "second": number / 25, "places": random.normal(size=(4, 2)).astype(np.float32)}
        columns.append(row)
        rows.append(row)
        if number % 70 == 69:
            columns.cut(len(columns) - 20)
            del rows[-20:]
    more = {"number": np.arange(5), "second": np.zeros(5), "places": np.ones((5, 4, 2), np.float32)}
    columns.extend(more)
    rows += [{name: values[number] for name, values in more.items()} for number in range(5)]
    assert len(columns) == len(rows)
    for name, values in columns.arrays().items():
        expected = np.array([row[name] for row in rows])
        np.testing.assert_array_equal(values, expected)
        assert values.dtype == expected.dtype
    np.testing.assert_array_equal(columns.row(17)["places"], rows[17]["places"])


@pytest.mark.skipif(os.name == "nt", reason="Needs POSIX's signals.")
def test_nothing_stays_on_disk_when_its_program_is_killed(tmp_path: Path):
    code = (
        "import time; from video_motion.inference import spill; array = spill.zeros((10**6,)); array[:] = 1;"
        "assert len(spill._files) == 1; print('there', flush=True); time.sleep(60)"
    )
    with run(code, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Needs POSIX's limits.")
def test_what_finds_no_room_on_disk_is_in_memory(tmp_path: Path):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6));"
        "from video_motion.inference import spill; array = spill.zeros((10**6,)); array[:] = 1;"
        "print(array.sum(), len(spill._files))"
    )
    with run(code, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.read().split() == ["1000000.0", "0"]
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Needs Linux's /proc.")
def test_memory_is_given_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spill, "_WINDOW", 10_000)

    def megabytes() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before = megabytes()
    array = spill.zeros((1_000_000, 20))
    for window in spill.windows(len(array)):
        array[window] = 1.0
    assert megabytes() - before < 20, "of 160 MB"
    assert array[-1, -1] == 1.0


def test_pieces_come_back_by_number_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pieces = spill.Pieces()
    contents = [bytes([number]) * number for number in (3, 0, 5)]
    assert [pieces.add(one) for one in contents] == [0, 1, 2]
    assert [pieces.read(number) for number in (2, 0, 1)] == [contents[number] for number in (2, 0, 1)]
    assert pieces.add(b"more") == 3
    assert pieces.read(3) == b"more"
    assert not list(tmp_path.iterdir()), "the file has no name"
