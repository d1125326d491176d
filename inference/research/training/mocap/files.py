"""Text files of motion, from a folder or directly from a tar archive."""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .recording import MocapError

_SUFFIXES = (".asf", ".amc", ".bvh")
_MAX_SIZE = 64 * 2**20


def read_texts(path: str | Path) -> dict[PurePosixPath, str]:
    """Contents of all ``.asf``, ``.amc`` and ``.bvh`` files of a folder, with its subfolders, of a tar archive,
    compressed or not, or of one such file.

    Archives are read in memory; nothing is unpacked.

    Returns:
        Texts by path, from the folder's name on or within the archive, sorted.

    Raises:
        MocapError: something is missing or damaged.
    """
    path = Path(path)
    if path.is_dir():
        found = _folder(path)
    elif path.suffix.lower() in _SUFFIXES:
        found = iter([(PurePosixPath(path.resolve().parent.name, path.name), _file(path))])
    else:
        found = _archive(path)
    return dict(sorted(found))


def _folder(path: Path) -> Iterator[tuple[PurePosixPath, str]]:
    for file in path.rglob("*"):
        if file.suffix.lower() in _SUFFIXES and file.is_file():
            yield PurePosixPath(path.resolve().name, file.relative_to(path).as_posix()), _file(file)


def _file(path: Path) -> str:
    try:
        return _text(path.read_bytes(), path.name)
    except FileNotFoundError as error:
        raise MocapError(f"{path.name} is not there: check the path.") from error
    except OSError as error:
        raise MocapError(f"{path.name} can't be read ({error.strerror}): check its permissions.") from error


def _archive(path: Path) -> Iterator[tuple[PurePosixPath, str]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.suffix.lower() not in _SUFFIXES or not member.isfile():
                    continue
                if member.size > _MAX_SIZE:
                    raise MocapError(f"{name.name} in {path.name} is larger than 64 MiB: leave it out.")
                file = archive.extractfile(member)
                if file is not None:
                    yield name, _text(file.read(), name.name)
    except FileNotFoundError as error:
        raise MocapError(f"{path.name} is not there: check the path.") from error
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise MocapError(f"{path.name} can't be read as a tar archive of motions: copy it again.") from error


def _text(data: bytes, name: str) -> str:
    if b"\0" in data:
        raise MocapError(f"{name} is not a text file: copy it again.")
    return data.decode("latin-1")
