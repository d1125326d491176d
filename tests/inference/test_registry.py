from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import socketserver
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from video_motion.inference import registry
from video_motion.inference.registry import RegistryError

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 100


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in a folder with a space in its name."""
    folder = tmp_path / "my cache"
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a web server whose folder holds `whole.bin`, `half.bin` and `other.bin`."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "whole.bin").write_bytes(CONTENT)
    (folder / "half.bin").write_bytes(CONTENT[:1000])
    (folder / "other.bin").write_bytes(CONTENT[::-1] * 2)
    handler = functools.partial(_Quiet, directory=str(folder))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put one item with the given sources into a registry of its own."""

    def put(*sources: dict[str, object]) -> None:
        item = {
            "id": "thing",
            "what": "A thing",
            "licence": "CC0-1.0",
            "file": "thing.bin",
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "sources": list(sources),
        }
        file = tmp_path / "registry.json"
        file.write_text(json.dumps([item]))
        listed = registry.items(file)
        monkeypatch.setattr(registry, "items", lambda: listed)

    return put


def no_leftovers(cache: Path) -> bool:
    return not list(cache.glob(".fetch-*"))


def test_every_item_is_described():
    for item in registry.items().values():
        assert item.what
        assert item.licence
        assert len(item.sha256) == 64
        assert item.size > 0
        assert item.sources
        assert all(source.kind in ("package", "url", "local", "shipped") for source in item.sources)


def test_shipped_items_are_here_and_whole():
    shipped = [item for item in registry.items().values() if item.shipped]
    assert shipped
    for item in shipped:
        assert registry.path(item.id).parent == ROOT / "weights"
        assert item.path.stat().st_size == item.size <= 20e6


def test_a_damaged_shipped_item_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "REGISTRY_FILE", tmp_path / "registry.json")
    with pytest.raises(registry.RegistryError, match=r"tar-compact\.onnx is missing or damaged: install"):
        registry.path("tar")


def test_real_item_is_fetched_once_with_its_siblings(cache: Path, capfd: pytest.CaptureFixture[str]):
    detector = registry.path("blazepose_detector")
    assert hashlib.sha256(detector.read_bytes()).hexdigest() == registry.items()["blazepose_detector"].sha256
    assert "Fetching mediapipe 0.10.21 (36 MB)" in capfd.readouterr().err
    landmark = registry.path("blazepose_landmark_full")
    assert landmark.stat().st_size == 6440512
    assert capfd.readouterr().err == ""
    assert no_leftovers(cache)
    assert {state.item.id for state in registry.status() if state.present and not state.item.shipped} == {
        "blazepose_detector",
        "blazepose_landmark_full",
    }

    damaged = bytearray(detector.read_bytes())
    damaged[1000] ^= 1
    detector.write_bytes(damaged)
    assert not next(state.present for state in registry.status() if state.item.id == "blazepose_detector")
    assert registry.path("blazepose_detector").read_bytes() != damaged


def test_url(cache: Path, register, served: str):
    register({"kind": "url", "url": f"{served}/whole.bin"})
    file = registry.path("thing")
    assert file.read_bytes() == CONTENT
    file.write_bytes(CONTENT[:-1])
    assert registry.path("thing").read_bytes() == CONTENT
    assert no_leftovers(cache)


@pytest.mark.parametrize("name", ["half.bin", "other.bin", "missing.bin"])
def test_wrong_or_missing_download_is_refused(cache: Path, register, served: str, name: str):
    register({"kind": "url", "url": f"{served}/{name}"})
    with pytest.raises(
        RegistryError, match=r"A thing is missing and could not be fetched .*: check the network"
    ) as error:
        registry.path("thing")
    assert "\n" not in str(error.value)
    assert not (cache / "thing" / "thing.bin").exists()
    assert no_leftovers(cache)


def test_next_source_is_tried(cache: Path, register, served: str):
    register({"kind": "url", "url": f"{served}/half.bin"}, {"kind": "url", "url": f"{served}/whole.bin"})
    assert registry.path("thing").read_bytes() == CONTENT


def test_package_that_is_not_there(cache: Path, register):
    source = {"kind": "package", "name": "video-motion-no-such-package", "version": "1.0", "platform": "any"}
    register({**source, "python": "3.11", "wheel": "a.whl", "sha256": "0" * 64})
    with pytest.raises(RegistryError, match=r"pip download video-motion-no-such-package==1\.0 failed: ERROR"):
        registry.path("thing")
    assert no_leftovers(cache)


def test_interrupted_fetch_leaves_nothing_under_the_name(cache: Path, tmp_path: Path):
    code = (
        "import os, sys, time\n"
        "from video_motion.inference import registry\n"
        "with registry._working_folder() as folder:\n"
        "    (folder / 'half').write_bytes(b'half')\n"
        "    print('fetching', flush=True)\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    left = next(cache.glob(".fetch-*"))
    assert not any(state.present for state in registry.status() if not state.item.shipped)
    os.utime(left, (0, 0))
    with registry._working_folder():
        assert not left.exists()


def test_local_files(cache: Path, register, tmp_path: Path):
    wheel_sum = {"kind": "package", "name": "a", "version": "1", "member": "in/side.bin"}
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("in/side.bin", CONTENT)
    register({**wheel_sum, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}, {"kind": "local"})
    (item,) = registry.add_local(wheel)
    assert item.path.read_bytes() == CONTENT
    item.path.unlink()

    given = tmp_path / "given.bin"
    given.write_bytes(CONTENT)
    registry.add_local(given)
    assert item.path.read_bytes() == given.read_bytes() == CONTENT

    given.write_bytes(CONTENT[1:])
    with pytest.raises(RegistryError, match="none of the files in the registry"):
        registry.add_local(given)
    with pytest.raises(RegistryError, match="can't be read"):
        registry.add_local(tmp_path / "missing")


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, register, served: str):
    (tmp_path / "file").touch()
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(tmp_path / "file"))
    register({"kind": "url", "url": f"{served}/whole.bin"})
    with pytest.raises(RegistryError, match="set VIDEO_MOTION_CACHE to a folder that can"):
        registry.path("thing")


def test_damaged_body_is_noticed(cache: Path):
    body = registry._body_file()
    body.parent.mkdir(parents=True)
    body.write_bytes(b"body")
    assert not registry._body_intact(body)
    registry._hash_file(body).write_text(hashlib.sha256(b"body").hexdigest())
    assert registry.body_path() == body
    body.write_bytes(b"bodx")
    assert not registry._body_intact(body)
