"""Hostile and damaged files are refused in one sentence, and nothing in them is run."""

from __future__ import annotations

import builtins
import contextlib
import gzip
import io
import os
import pickle
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.formats import read_motions
from video_motion.inference.motion.motion import MotionFileError

from . import known, writers
from .known import TOOLS, dancers


class Call:
    """Pickles to a call."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.made = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.made


CALLS: dict[str, Callable[[Path], object]] = {
    "a command": lambda mark: Call(os.system, f"touch {mark}"),
    "eval": lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Call(builtins.exec, f"open({str(mark)!r}, 'w')"),
    "a process": lambda mark: Call(subprocess.Popen, ["touch", str(mark)]),
    "np.load": lambda mark: Call(np.load, str(mark), None, True),
    "np.save": lambda mark: Call(np.save, str(mark), 1),
    "getattr": lambda mark: Call(getattr, "text", "upper"),
    "a path": lambda mark: Path(mark),
}


def with_call(call: object) -> dict:
    """A track of VIBE's with a call in it."""
    return {1: {"pose": call, "betas": call, "frame_ids": np.arange(3), "orig_cam": np.ones((3, 4))}}


def _torch_zip(path: Path, content: object) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"smpl_params_global": content}, protocol=2))
        archive.writestr("x/version", "3\n")


def _old_torch(path: Path, content: object) -> None:
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"smpl_params_global": content}, [])
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))


def _object_array(path: Path, content: object) -> None:
    array = np.empty(2, object)
    array[:] = [content, content]
    writers.write_joblib(path, {1: {"pose": array}})


def _npz(path: Path, content: object) -> None:
    np.savez(path.open("wb"), allow_pickle=True, poses=np.array([content], dtype=object), trans=np.zeros((1, 3)))


def _nested_storage(path: Path, content: object) -> None:
    """A tensor whose storage is a pickle of its own, as torch's are in pickles."""
    inside = b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, content))
    encoded = inside.decode("latin1").encode()
    stored = b"c_codecs\nencode\nX" + len(encoded).to_bytes(4, "little") + encoded + b"X\x06\x00\x00\x00latin1\x86R"
    path.write_bytes(b"\x80\x02}q\x00X\x01\x00\x00\x00actorch.storage\n_load_from_bytes\n" + stored + b"\x85Rs.")


CONTAINERS: dict[str, Callable[[Path, object], object]] = {
    "pickle 0": lambda path, call: path.write_bytes(pickle.dumps(with_call(call), protocol=0)),
    "pickle 2": lambda path, call: path.write_bytes(pickle.dumps(with_call(call), protocol=2)),
    "pickle 5": lambda path, call: path.write_bytes(pickle.dumps(with_call(call), protocol=5)),
    "bare pickle": lambda path, call: path.write_bytes(pickle.dumps(call)),
    "joblib": lambda path, call: writers.write_joblib(path, with_call(call)),
    "joblib zlib": lambda path, call: writers.write_joblib(path, with_call(call), zlib.compress),
    "joblib objects": _object_array,
    "npy": lambda path, call: writers.write_npy(path.with_suffix(".npy"), with_call(call)).rename(path),
    "npz": _npz,
    "torch": _torch_zip,
    "old torch": _old_torch,
    "torch in a pickle": _nested_storage,
}


def refused(path: Path, body: Body) -> str:
    with pytest.raises(MotionFileError) as caught:
        read_motions(path, body)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_run(tmp_path: Path, smpl: Body, container: str, call: str):
    mark, path = tmp_path / "mark", tmp_path / "a b.pkl"
    CONTAINERS[container](path, CALLS[call](mark))
    message = refused(path, smpl)
    assert not list(tmp_path.glob("mark*"))
    if container != "npz":
        assert "neither an array nor a plain container" in message


def test_the_calls_would_do_harm(tmp_path: Path):
    """Or else the test above would prove nothing."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(CALLS["a command"](mark)))
    assert mark.exists()


def test_trams_camera_is_read_as_carefully(tmp_path: Path, smpl: Body):
    track = known.tram(tmp_path / "x", dancers(smpl, moving=True, hands=True))
    camera, mark = track.parent.parent / "camera.npy", tmp_path / "mark"
    writers.write_npy(camera, {"pred_cam_R": CALLS["a command"](mark)})
    with pytest.raises(MotionFileError, match=r"camera\.npy can't be read: posix\.system is neither"):
        read_motions(track, smpl)
    assert not mark.exists()


@pytest.mark.parametrize("name", TOOLS)
def test_cut_off_files(tmp_path: Path, smpl: Body, name: str):
    tool = TOOLS[name]
    path = tool.write(tmp_path / "x", dancers(smpl, tool.moving, hands=not tool.smplx))
    content = path.read_bytes()
    for part in (0.02, 0.3, 0.6, 0.97):
        path.write_bytes(content[: int(part * len(content))])
        refused(path, smpl)


@pytest.mark.parametrize("name", TOOLS)
def test_overwritten_files_give_a_motion_or_a_sentence(tmp_path: Path, smpl: Body, name: str):
    tool, rng = TOOLS[name], np.random.default_rng(3)
    path = tool.write(tmp_path / "x", dancers(smpl, tool.moving, hands=not tool.smplx))
    content = path.read_bytes()
    for _ in range(30):
        spoiled = bytearray(content)
        for place in rng.integers(0, len(content), 5):
            spoiled[place] = rng.integers(256)
        path.write_bytes(spoiled)
        motions = []
        with contextlib.suppress(MotionFileError):
            motions = read_motions(path, smpl)
        for motion in motions:
            assert np.isfinite(motion.joints_cam).all()
            assert np.isfinite(motion.joints_world).all()


def track(**changes: object) -> dict[str, Any]:
    """A person of VIBE's."""
    arrays: dict[str, Any] = {
        "pose": np.zeros((4, 72)),
        "betas": np.zeros((4, 10)),
        "frame_ids": np.arange(4),
        "pred_cam": np.ones((4, 3)),
        "orig_cam": np.ones((4, 4)),
        "bboxes": np.tile([10.0, 10, 500, 500], (4, 1)),
    }
    return arrays | changes


WRONG: dict[str, object] = {
    "width": {1: track(pose=np.zeros((4, 71)))},
    "frames": {1: track(betas=np.zeros((3, 10)))},
    "words": {1: track(pose=np.array([["a"] * 72] * 4))},
    "NaN": {1: track(pose=np.full((4, 72), np.nan))},
    "enormous": {1: track(orig_cam=np.full((4, 4), 1e300))},
    "no frames": {1: track(**{name: array[:0] for name, array in track().items()})},
    "before the first frame": {1: track(frame_ids=np.array([-2, 0, 1, 2]))},
    "endless": {1: track(frame_ids=np.array([0, 1, 2, 10**17]))},
    "objects": {1: track(pose=[{}])},
    "number": {1: track(pose=3)},
    "nothing": {1: track(pose=None)},
    "no people": {},
    "another table": {"weights": np.zeros(3)},
    "list": [1, 2],
    "text": "motion",
    "people without frames": {"people": {}},
    "people without bodies": {"people": {1: {"frames": np.arange(3)}}},
    "people with halves": {"people": {1: {"frames": np.arange(3), "smplx_world": {"pose": np.zeros((3, 165))}}}},
    "few joints": {
        "people": {1: {"frames": [0], "smplx_world": {"pose": np.zeros((1, 9)), "trans": np.zeros((1, 3))}}}
    },
    "lists that do not fit": {"a.jpg": {"tid": [1, 2], "smpl": [{}], "camera": []}},
    "smpl without parts": {"a.jpg": {"tid": [1], "smpl": [{}], "camera": [np.zeros(3)]}},
    "nobody": {"a.jpg": {"tid": [], "smpl": [], "camera": []}},
    "no lists": {"a.jpg": {"tid": 1, "smpl": 2, "camera": 3}},
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_contents(tmp_path: Path, smpl: Body, what: str):
    path = writers.write_joblib(tmp_path / "a b.pkl", WRONG[what])
    refused(path, smpl)


def test_a_camera_of_fewer_frames(tmp_path: Path, smpl: Body):
    people = dancers(smpl, moving=True, hands=True)
    path = known.tram(tmp_path / "x", people)
    short = people[0]
    short.cameras = short.cameras[:5]
    content = {
        "pred_cam_R": short.cameras[:, :3, :3],
        "pred_cam_T": short.cameras[:, :3, 3],
        "img_focal": 1000.0,
        "img_center": np.array([640.0, 360.0]),
    }
    writers.write_npy(path.parent.parent / "camera.npy", content)
    assert "other frames" in refused(path, smpl)
    writers.write_npy(path.parent.parent / "camera.npy", content | {"img_center": np.array([-1.0, 3.0])})
    refused(path, smpl)


@pytest.mark.parametrize("content", [b"", b"no motion\nat all", b"\x80", b"\x80\x04.", b"PK", b"\x93NUMPY", b"x\x9c"])
def test_other_files(tmp_path: Path, smpl: Body, content: bytes):
    path = tmp_path / "a b.pkl"
    path.write_bytes(content)
    refused(path, smpl)


def test_missing_files_and_folders(tmp_path: Path, smpl: Body):
    assert "does not exist" in refused(tmp_path / "x.pkl", smpl)
    assert "does not exist" in refused(tmp_path, smpl)


def _npz_bomb(path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000, 72), }".ljust(117) + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("poses.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(start)
        for _ in range(300):
            entry.write(bytes(10**6))


def _torch_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(3 * 10**8))


def _packed_bomb(pack: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(pack(bytes(3 * 10**8)))


def _npy_bomb(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 72), }".ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def _joblib_bomb(path: Path) -> None:
    small = writers.joblib_bytes({"pose": np.zeros((2, 72))})
    path.write_bytes(small.replace(b"K\x02KH\x86", b"J\xff\xff\xff\x7fKH\x86"))
    assert path.read_bytes() != small


def _tensor_bomb(path: Path) -> None:
    import torch

    torch.save({"smpl_params_global": {"transl": torch.zeros(1).expand(10**9)}}, path)


def _deep(path: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".")


def _deep_joblib(path: Path) -> None:
    """Arrays of objects, each in the one before."""
    array = np.zeros(1)
    for _ in range(2000):
        outer = np.empty(1, object)
        outer[0] = array
        array = outer
    content = io.BytesIO()
    pickler = pickle._Pickler(content, protocol=2)
    try:
        pickler.dump({"a": array})
    except RecursionError:
        content.write(b"\x80\x02" + b"(" * 10**5 + b".")
    path.write_bytes(content.getvalue())


BOMBS: dict[str, Callable[[Path], object]] = {
    "npz": _npz_bomb,
    "torch": _torch_bomb,
    "zlib": _packed_bomb(zlib.compress),
    "gzip": _packed_bomb(gzip.compress),
    "npy": _npy_bomb,
    "joblib": _joblib_bomb,
    "tensor": _tensor_bomb,
    "deep": _deep,
    "deep arrays": _deep_joblib,
    "memo": lambda path: path.write_bytes(b"\x80\x02]r\xff\xff\xff\xff."),
    "bytes": lambda path: path.write_bytes(b"\x80\x05\x8e" + (2**50).to_bytes(8, "little") + b"."),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path: Path, smpl: Body, bomb: str):
    path = tmp_path / "a b.pkl"
    BOMBS[bomb](path)
    tracemalloc.start()
    try:
        refused(path, smpl)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_lz4_is_reported(tmp_path: Path, smpl: Body):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x04\x22\x4d\x18" + bytes(40))
    assert "LZ4" in refused(path, smpl)
