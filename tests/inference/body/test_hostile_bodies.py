"""Body files from outside: none runs anything, takes memory that it has not, or fails without a sentence."""

import contextlib
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body, BodyError

MOST_MEMORY = 100e6


def refused(path: Path) -> str:
    with pytest.raises(BodyError) as caught:
        Body.load(path)
    message = str(caught.value)
    assert path.name in message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 300
    return message


def name(module: str, of: str) -> bytes:
    return b"c" + module.encode() + b"\n" + of.encode() + b"\n"


def table(*values: bytes) -> bytes:
    """A pickled dictionary with these values."""
    items = b"".join(b"U\x01" + bytes([97 + number]) + value for number, value in enumerate(values))
    return b"\x80\x02}(" + items + b"u."


def huge(size: int) -> bytes:
    return struct.pack("<Q", size)


def stated(module: str, of: str, **state: bytes) -> bytes:
    """An object with a state."""
    items = b"".join(b"U" + bytes([len(key)]) + key.encode() + value for key, value in state.items())
    return name(module, of) + b")\x81}(" + items + b"ub"


def array(values: np.ndarray) -> bytes:
    return pickle.dumps(values, protocol=2)[2:-1]


def doubled(close: bytes) -> bytes:
    """The start of a pickle whose object 59 is ten times object 58, and so on."""
    return b"\x80\x02)q\x00" + b"".join(b"0(" + b"h%c" % n * 10 + close + b"q%c" % (n + 1) for n in range(59)) + b"0"


RECONSTRUCT = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray")
SPARSE_PARTS = {"data": array(np.ones(1)), "indices": array(np.zeros(1, int))}
SIDE = b"J" + struct.pack("<i", 2**30)

PICKLES: dict[str, bytes] = {
    # NumPy's own function reserves 537 MB for these 63 bytes.
    "reserved array": RECONSTRUCT + b"J\x00\x00\x00\x04\x85U\x01d\x87R.",
    "array larger than its bytes": table(array(np.zeros(2)).replace(b"K\x02\x85", SIDE + b"\x85")),
    "zeros": table(name("numpy", "zeros") + SIDE + b"\x85R"),
    "bytes": table(name("builtins", "bytes") + SIDE + b"\x85R"),
    "bytearray": table(name("builtins", "bytearray") + SIDE + b"\x85R"),
    "range": table(name("builtins", "list") + name("builtins", "range") + SIDE + b"\x85R\x85R"),
    "binbytes": table(b"B\xff\xff\xff\xff"),
    "binbytes8": table(b"\x8e" + huge(2**40)),
    "bytearray8": table(b"\x96" + huge(2**40)),
    "binunicode8": table(b"\x8d" + huge(2**40)),
    "frame": b"\x80\x04\x95" + huge(2**40) + b"}.",
    "long": table(b"\x8b\xff\xff\xff\x7f"),
    "long in digits": table(b"L" + b"9" * 100_000 + b"L\n"),
    "memo": b"\x80\x02]r\x00\x00\x00\x02.",
    "text memo": b"}p99999999999\n.",
    "duplicates": b"\x80\x02]" + b"2" * 200_000 + b".",
    "doubled lists": doubled(b"l") + table(b"h\x3b")[2:],
    "doubled tuples as a type": doubled(b"t") + table(name("numpy", "dtype") + b"h\x3b\x85R")[2:],
    "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "one array many times": table(array(np.zeros(20_000)) + b"q\xc80" + b"(" + b"h\xc8" * 20_000 + b"l"),
    "wide sparse matrix": table(
        stated(
            "scipy.sparse.csc", "csc_matrix", shape=SIDE * 2 + b"\x86", indptr=array(np.array([0, 1])), **SPARSE_PARTS
        )
    ),
    "long sparse matrix": table(
        stated(
            "scipy.sparse.csc",
            "csc_matrix",
            shape=b"K\x01K\x01\x86",
            indptr=array(np.array([0, 2**40])),
            **SPARSE_PARTS,
        )
    ),
    "nested chumpy": table(stated("chumpy.ch", "Ch", x=b"(" * 70 + b"l" * 70)),
    "chumpy of itself": table(name("chumpy.ch", "Ch") + b")\x81q\x00}U\x01xh\x00sb"),
    "other functions": table(name("os", "getcwd") + b")R"),
    "a function's state": table(name("copy_reg", "_reconstructor") + b"}U\x01aK\x01sb"),
    "an object of nothing": table(name("copy_reg", "_reconstructor") + name("__builtin__", "object") * 2 + b"N\x87R"),
    "text": b"V" + b"\\u0100" * 10_000 + b"\n.",
    "nothing": b"\x80\x02N.",
    "a list": b"\x80\x02].",
    "cut off": b"\x80\x02}(U\x05ab",
    "only the start": b"\x80",
    "an unknown opcode": b"\x80\x02\xffname\n\n.",
}

MANY: dict[str, bytes] = {
    "many lists": table(b"(" + b"]" * 60_000 + b"l"),
    "many dictionaries": table(b"(" + b"}" * 60_000 + b"l"),
    "many sets": b"\x80\x04}U\x01a(" + b"\x8f" * 60_000 + b"ls.",
    "many tuples": table(b"(" + b")\x85" * 30_000 + b"l"),
    "many stand-ins": table(RECONSTRUCT + b"q\x010q\x000(" + b"h\x00h\x01\x85R" * 15_000 + b"l"),
    "many empty arrays": b"\x80\x02" + array(np.zeros(0)) + b"q\xc80" + table(b"(" + b"h\xc8" * 30_000 + b"l")[2:],
}


@pytest.mark.parametrize("case", PICKLES)
def test_small_pickles_take_little(tmp_path: Path, case: str):
    path = tmp_path / "body.pkl"
    path.write_bytes(PICKLES[case])
    started = time.process_time()
    tracemalloc.start()
    try:
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 10


@pytest.mark.parametrize("case", MANY)
def test_small_objects_take_in_proportion(tmp_path: Path, case: str):
    path = tmp_path / "body.pkl"
    path.write_bytes(MANY[case])
    tracemalloc.start()
    try:
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < 200 * len(MANY[case])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("keys", [b")" + b"\x85" * 10**6, b"(" + b")" + b"\x85" * 10**6 + b"\x91"])
def test_deep_keys_do_not_crash(tmp_path: Path, keys: bytes):
    """Python follows a nested tuple to its end to hash it, and its process ends where that is too deep."""
    path = tmp_path / "body.pkl"
    path.write_bytes(b"\x80\x04}" + keys + b"K\x01s.")
    code = (
        "import sys\nfrom pathlib import Path\nfrom video_motion.inference.body.smpl import Body, BodyError\n"
        "try:\n    Body.load(Path(sys.argv[1]))\nexcept BodyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("body.pkl is not a SMPL body file")


def _claim(path: Path, shape: str, descr: str = "<f4", content: int = 0) -> None:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("v_template.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for _ in range(content):
            entry.write(bytes(10**6))


ARCHIVES: dict[str, Callable[[Path], None]] = {
    "unfolds": lambda path: _claim(path, "(25000000, 3)", content=300),
    "claims": lambda path: _claim(path, "(100000000, 3)"),
    "claims more than there is": lambda path: _claim(path, "(10**9,)".replace("10**9", str(10**15))),
    "claims less than nothing": lambda path: _claim(path, "(-3, 3)"),
    "bytes that become doubles": lambda path: _claim(path, "(10000000, 3)", "|i1", content=30),
    "long text": lambda path: _claim(path, "(1,)", "<U500000000"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_small_archives_take_little(tmp_path: Path, case: str):
    path = tmp_path / "body.npz"
    ARCHIVES[case](path)
    tracemalloc.start()
    try:
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def small_body(count: int = 30) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {
        "v_template": rng.normal(size=(count, 3)),
        "shapedirs": rng.normal(size=(count, 3, 2)),
        "J_regressor": np.full((24, count), 1 / count),
        "weights": np.full((count, 24), 1 / 24),
        "kintree_table": np.array([[2**32 - 1, *range(23)], range(24)], dtype=np.uint32),
        "f": np.arange(9, dtype=np.uint32).reshape(3, 3),
        "bs_style": "lbs",
    }


@pytest.mark.parametrize("ending", ["pkl 0", "pkl 2", "pkl 4", "npz"])
def test_overwritten_files_give_a_body_or_a_sentence(tmp_path: Path, ending: str):
    path = tmp_path / f"body.{ending[:3]}"
    if ending == "npz":
        np.savez_compressed(path, **small_body())
    else:
        path.write_bytes(pickle.dumps(small_body(), protocol=int(ending[-1])))
    Body.load(path)
    content = path.read_bytes()
    rng = np.random.default_rng(8)
    # The opcodes and headers rather than the numbers, most of the time.
    places = [place for place in range(len(content)) if rng.random() < 0.2 or 32 <= content[place] < 127]
    tracemalloc.start()
    try:
        for _ in range(200):
            damaged = bytearray(content)
            for place in rng.choice(places, 3):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            body = None
            with contextlib.suppress(BodyError):
                body = Body.load(path)
            if body is None:
                refused(path)
            else:
                assert np.isfinite(body.joint_template).all()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
