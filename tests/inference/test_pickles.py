"""Pickles give arrays and plain containers, and run nothing."""

import collections
import contextlib
import io
import os
import pickle
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_motion.inference import pickles
from video_motion.inference.pickles import load_table

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


def load(content: bytes) -> Any:
    return pickles.load(pickles.ByteSource(content), len(content))


def test_dictionaries_of_other_kinds_become_plain_ones():
    table = collections.defaultdict(dict, {1: collections.OrderedDict(a=np.ones(2))})
    found = load(pickle.dumps({"table": table, "sets": [{1}, frozenset({2})], (1, 2): "not text"}, protocol=4))
    assert list(found) == ["table", "sets"]
    assert type(found["table"]) is dict
    check(found["table"], {1: {"a": np.ones(2)}})
    assert found["sets"][0] == [1]


def test_arrays_that_share_their_numbers_are_apart():
    array = np.zeros(3)
    one, other = load(pickle.dumps([array, array]))
    one += 1.0
    assert not other.any()


@pytest.mark.parametrize("as_zip", [True, False])
def test_tensors_come_back(as_zip: bool):
    torch = pytest.importorskip("torch")
    numbers = torch.arange(24).reshape(2, 3, 4)
    content = {
        "whole": numbers,
        "turned": numbers.transpose(0, 2)[1:],
        "spread": torch.tensor([1.0, 2.0]).expand(3, 2),
        "one": torch.tensor(7.5, dtype=torch.float64),
        "none": torch.zeros(0, 3),
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
        "truth": torch.tensor([True, False]),
        "weight": torch.nn.Parameter(torch.ones(2)),
    }
    # A plain pickle of tensors has files of torch of the old kind inside.
    file = io.BytesIO()
    if as_zip:
        found = load(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=False)
        assert pickles.is_torch(file.getvalue())
        found = pickles.load_torch(pickles.ByteSource(file.getvalue()), len(file.getvalue()))
    for name, tensor in content.items():
        np.testing.assert_array_equal(found[name], tensor.detach().float().numpy())
    assert found["whole"].dtype == np.int64


def memo(*items: bytes) -> bytes:
    return b"\x80\x02" + b"".join(items) + b"."


def test_no_opcode_takes_memory_that_the_file_has_not():
    huge = struct.pack("<Q", 2**62)
    for content in (
        memo(b"\x8e", huge),
        memo(b"\x96", huge),
        memo(b"\x8d", huge),
        memo(b"\x95", huge),
        memo(b"]r\xff\xff\xff\xff"),
        memo(b"\x8b\xff\xff\xff\x7f"),
    ):
        tracemalloc.start()
        with contextlib.suppress(pickle.UnpicklingError, EOFError, OverflowError, IndexError):
            load(content)
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()


def test_what_unfolds_is_refused():
    """Lists of lists of lists, each named ten times; bytes and tensors that are copied for every mention."""
    nested: list[Any] = []
    for _ in range(40):
        nested = [nested] * 10
    started = time.monotonic()
    load(pickle.dumps({"a": nested}))
    assert time.monotonic() - started < 5

    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(pickle.UnpicklingError, match="nested too deeply"):
        load(pickle.dumps({"a": deep}))
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(pickle.UnpicklingError, match="nested too deeply"):
        load(pickle.dumps({"a": itself}))

    text = b"X" + struct.pack("<I", 2**20) + b"a" * 2**20 + b"q\x00"
    many = b"c_codecs\nencode\nq\x010(" + text + b"h\x01h\x00\x85R" * 200 + b"l"
    with pytest.raises(pickle.UnpicklingError, match="much more"):
        load(memo(many))


def test_tensors_keep_within_their_numbers():
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"a": torch.zeros(4, 5)}, file, _use_new_zipfile_serialization=False)
    content = file.getvalue()
    for was, becomes in ((b"K\x04K\x05\x86", b"K\x05K\x05\x86"), (b"K\x05K\x01\x86", b"K\x07K\x01\x86")):
        forged = content.replace(was, becomes)
        assert forged != content
        with pytest.raises(pickle.UnpicklingError, match="larger than its numbers"):
            pickles.load_torch(pickles.ByteSource(forged), len(forged))


def test_stand_ins_are_not_changed():
    """BUILD gives objects their state; a hostile pickle tries it on functions and classes that stay."""
    for name in (b"_reconstruct", b"scalar"):
        content = b"\x80\x02cnumpy.core.multiarray\n" + name + b"\n}X\x01\x00\x00\x00aK\x01sb."
        with pytest.raises(pickle.UnpicklingError, match="neither an array"):
            load(content)
    assert not vars(pickles._reconstruct)
