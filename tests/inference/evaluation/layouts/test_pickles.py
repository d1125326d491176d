"""Pickles give arrays and plain containers, and run nothing."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_motion.inference.evaluation.layouts.pickles import load_table

TABLE: dict[str, Any] = {
    "floats": np.arange(6.0).reshape(2, 3),
    "singles": np.linspace(0, 1, 5, dtype=np.float32),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">i4"),
    "truths": np.array([True, False]),
    "names": np.array(["m", "female"]),
    "empty": np.zeros((0, 3)),
    "nothing": np.float64(2.5),
    "number": np.int64(7),
    "nested": {"list": [np.ones(2), (1, "a")], "none": None},
}


def write(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def check(found: object, wanted: object) -> None:
    if isinstance(wanted, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    elif isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert list(found) == list(wanted)
        for name in wanted:
            check(found[name], wanted[name])
    elif isinstance(wanted, list | tuple):
        assert isinstance(found, type(wanted))
        for one, other in zip(found, wanted, strict=True):
            check(one, other)
    else:
        assert type(found) is type(wanted)
        assert found == wanted


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back(tmp_path: Path, protocol: int):
    check(load_table(write(tmp_path / "a.pkl", TABLE, protocol)), TABLE)


def test_arrays_of_arrays_come_back(tmp_path: Path):
    ragged = np.empty(2, object)
    ragged[:] = [np.arange(2.0), np.arange(3.0)]
    (found,) = load_table(write(tmp_path / "a.pkl", {"ragged": ragged})).values()
    assert found.shape == (2,)
    for one, other in zip(found, ragged, strict=True):
        check(one, other)


def test_pickle_of_python_2(tmp_path: Path):
    kind = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    values = np.array([1.5, -2.0])
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01K\x02\x85" + kind + b"\x89U\x10" + values.tobytes() + b"tb"
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02}(U\x05poses]" + array + b"aU\x07gendersU\x01mu.")
    check(load_table(path), {"poses": [values], "genders": "m"})


class Hostile:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.made = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.made


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_nothing_is_run(tmp_path: Path, protocol: int):
    mark = tmp_path / "mark"
    for content in (
        Hostile(os.system, f"touch {mark}"),
        Hostile(eval, f"open({str(mark)!r}, 'w')"),
        Hostile(getattr, "text", "upper"),
        Hostile(np.save, str(mark), 1),
        Hostile(np.frombuffer, b"12345678"),
        Path(mark),
    ):
        with pytest.raises(pickle.UnpicklingError, match="neither an array nor a plain container"):
            load_table(write(tmp_path / "a.pkl", {"poses": [content]}, protocol))
    assert not mark.exists()


def test_forged_arrays_are_refused(tmp_path: Path):
    """Bytes that claim to be objects, fields, or more numbers than there are."""
    path = write(tmp_path / "a.pkl", {"poses": np.zeros(2)})
    plain = path.read_bytes()
    forged = [
        plain.replace(b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8"),
        plain.replace(b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00V8"),
        plain.replace(b"X\x02\x00\x00\x00f8", b"X\x05\x00\x00\x00f8,O8"),
        plain.replace(b"K\x02\x85", b"K\x09\x85"),
    ]
    for content in forged:
        assert content != plain
        path.write_bytes(content)
        with pytest.raises((pickle.UnpicklingError, ValueError, TypeError)):
            load_table(path)


def test_only_tables_are_taken(tmp_path: Path):
    with pytest.raises(pickle.UnpicklingError, match="no table"):
        load_table(write(tmp_path / "a.pkl", [1, 2]))
