"""Makes a release of a commit: the zips and their index, the wheel, what is in them, and their checksums.

Everything is made from the commit, not from files that were changed since, and the same commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesParser
from pathlib import Path, PurePosixPath
from typing import Any

from .. import registry
from ..atomic import write_json
from ..cache import hash_of_content
from ..errors import VideoMotionError
from ..registry import ROOT, Source
from . import extension

CHANGELOG = "CHANGELOG.md"
NOTES, SBOM, SUMS = "release-notes.md", "sbom.cdx.json", "SHA256SUMS"
OWN_LICENCE = "GPL-3.0-or-later"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "video-motion")
_IDENTIFIERS: Mapping[str, str] = {"Apache 2.0": "Apache-2.0", "MIT License": "MIT"}
"""SPDX's identifier for what packages write."""

_LIBRARIES = re.compile(r"\.(libs|dylibs)/[^/]+$|\.(dll|dylib)$|\.so(\.\d+)+$")
"""Files of wheels that are libraries of others."""


class ReleaseError(VideoMotionError):
    """A release can't be made; the message is one sentence for the user."""


@dataclass(frozen=True)
class Commit:
    """What a release is made of: hash and time (in seconds) of the commit, and the version that it has."""

    hash: str
    time: int
    version: str

    @classmethod
    def head(cls, root: Path = ROOT) -> Commit:
        """Return the commit that is checked out.

        Raises:
            ReleaseError: the folder is no clone, or holds changes that are not committed.
        """
        if changed := _git(root, "status", "--porcelain").strip():
            raise ReleaseError(
                f"{changed.splitlines()[0].split(maxsplit=1)[1]} is not committed: a release is made of a commit."
            )
        manifest = tomllib.loads((root / extension.MANIFEST).read_text(encoding="utf-8"))
        commit, time = _git(root, "log", "-1", "--format=%H %ct").split()
        return cls(commit, int(time), manifest["version"])


def make(out: Path, platforms: Sequence[str], flavours: Sequence[str], bundle_cuda: bool = False) -> Iterator[Path]:
    """Make a release of the commit that is checked out; yield its files as they are done.

    Args:
        out: folder to write to, which must not hold anything.
        platforms: see `extension.build`.
        flavours: see `extension.build`.
        bundle_cuda: see `extension.build`.

    Raises:
        ReleaseError, RegistryError, OSError: it can't be made.
    """
    commit = Commit.head()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ReleaseError(f"{out} is not empty: give a new folder to --out.")
    yield write_notes(out, commit)
    with tempfile.TemporaryDirectory(prefix="video-motion-release-") as name:
        source = Path(name) / "source"
        with tarfile.open(fileobj=io.BytesIO(_git_bytes(ROOT, "archive", commit.hash))) as archive:
            archive.extractall(source, filter="data")
        yield build_wheel(out, source, commit)
        given = ["--platform", *platforms, "--flavour", *flavours, *(["--bundle-cuda"] if bundle_cuda else [])]
        words = ["-P", "-m", "video_motion.inference.cli", "build-extension", "--out", out.absolute(), *given]
        _run(source, words, {registry.CACHE_VARIABLE: str(registry.cache_folder())})
    yield from sorted(out.glob("*/*"))
    yield write_sbom(out, commit, platforms, flavours, bundle_cuda)
    yield write_sums(out)


def write_notes(out: Path, commit: Commit) -> Path:
    """Write what the changelog says about the version.

    Raises:
        ReleaseError: it says nothing.
    """
    text = (ROOT / CHANGELOG).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(commit.version)}\b[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ReleaseError(f"{CHANGELOG} says nothing about {commit.version}: write its entry first.")
    target = out / NOTES
    day = datetime.fromtimestamp(commit.time, UTC).date()
    target.write_text(f"# Video Motion {commit.version}, {day}\n\n{found[1].strip()}\n", "utf-8", newline="\n")
    return target


def build_wheel(out: Path, source: Path, commit: Commit) -> Path:
    """Build the Python package from the commit's files in a folder."""
    # Zips hold no earlier time than that of 1980.
    _run(
        source,
        ["-m", "hatchling", "build", "-t", "wheel", "-d", out.absolute()],
        {"SOURCE_DATE_EPOCH": str(commit.time)},
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def write_sbom(
    out: Path, commit: Commit, platforms: Sequence[str], flavours: Sequence[str], bundle_cuda: bool = False
) -> Path:
    """Write what ships, with licences and hashes, as CycloneDX 1.6.

    Args:
        out: the folder of the release, whose zips and wheel are described.
        commit: what it is made of.
        platforms: of the zips.
        flavours: of the zips.
        bundle_cuda: whether the zips for CUDA hold CUDA's libraries.
    """
    models = [_model(item) for item in registry.used_items() if item.shipped]
    body, data = registry.body_path(), registry.items()[extension.BODY_DATA]
    models.append(
        _component(
            "data",
            "body",
            commit.version,
            body.name,
            hash_of_content(body),
            data.licence,
            f"made from {extension.origin(data)}",
        )
    )
    zips = {
        f"{flavour}/{extension.zip_name(platform, flavour)}": extension.choose(platform, flavour, bundle_cuda)
        for flavour in flavours
        for platform in platforms
    }
    packages: dict[str, dict[str, Any]] = {}
    artifacts, dependencies = [], []
    for file in sorted((*out.glob("*.whl"), *out.glob("*/*.zip"))):
        reference = file.relative_to(out).as_posix()
        artifacts.append(
            _component(
                "file", reference, commit.version, reference, hash_of_content(file), OWN_LICENCE, "part of this release"
            )
        )
        # The wheel's weights are those that come with the code; its packages are pip's to fetch.
        held = [model["bom-ref"] for model in models if reference in zips or model["name"] != "body"]
        for source in zips.get(reference, ()):
            if source.wheel not in packages:
                packages[source.wheel] = _package(source)
            held.append(source.wheel)
        dependencies.append({"ref": reference, "dependsOn": sorted(held)})
    main = {
        "type": "application",
        "bom-ref": "video-motion",
        "name": "video-motion",
        "version": commit.version,
        "licenses": [{"license": {"id": OWN_LICENCE}}],
        "purl": f"pkg:pypi/video-motion@{commit.version}",
    }
    dependencies.append({"ref": "video-motion", "dependsOn": [artifact["bom-ref"] for artifact in artifacts]})
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, commit.hash)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(commit.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": main,
            "properties": [{"name": "video-motion:commit", "value": commit.hash}],
        },
        "components": [*artifacts, *models, *(packages[name] for name in sorted(packages))],
        "dependencies": sorted(dependencies, key=lambda entry: entry["ref"]),
    }
    write_json(out / SBOM, content)
    return out / SBOM


def write_sums(out: Path) -> Path:
    """Write the SHA-256 of every file, as `sha256sum --check` reads them."""
    files = sorted(file for file in out.rglob("*") if file.is_file() and file.name != SUMS)
    lines = [f"{hash_of_content(file)}  {file.relative_to(out).as_posix()}\n" for file in files]
    (out / SUMS).write_text("".join(lines), "utf-8", newline="\n")
    return out / SUMS


def _model(item: registry.Item) -> dict[str, Any]:
    return _component(
        "machine-learning-model", item.id, None, item.id, item.sha256, item.licence, item.origin or "of Video Motion"
    ) | {"description": item.what}


def _package(source: Source) -> dict[str, Any]:
    """A wheel in a zip, with the libraries of others in it."""
    with zipfile.ZipFile(registry.wheel(source)) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        fields = BytesParser().parsebytes(wheel.read(metadata))
        licence = fields["License-Expression"] or fields["License"] or "unknown"
        notices = [name for name in names if re.search(r"licen[cs]e|notice", PurePosixPath(name).name, re.IGNORECASE)]
        libraries = [
            {
                "type": "library",
                "bom-ref": f"{source.wheel}/{name}",
                "name": PurePosixPath(name).name,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read(name)).hexdigest()}],
            }
            for name in sorted(names)
            if _LIBRARIES.search(name)
        ]
    where = f"unchanged; licences of what is in it: {', '.join(sorted(notices)) or 'none'}"
    package = _component("library", source.name, source.version, source.wheel, source.sha256, licence.strip(), where)
    package["purl"] = f"pkg:pypi/{source.name}@{source.version}?file_name={source.wheel}"
    if libraries:
        package["components"] = libraries
    return package


def _component(
    kind: str, name: str, version: str | None, reference: str, sha256: str, licence: str, origin: str
) -> dict[str, Any]:
    return {
        "type": kind,
        "bom-ref": reference,
        "name": name,
        **({} if version is None else {"version": version}),
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "licenses": _licences(licence),
        "properties": [{"name": "video-motion:origin", "value": origin}],
    }


def _licences(text: str) -> list[dict[str, Any]]:
    """CycloneDX's form of what a package or the registry says."""
    text = _IDENTIFIERS.get(text, text)
    words = re.findall(r"(?:Apache|CC0|GPL|MIT|BSD|LGPL|MPL)(?:-[\w.]+)*", text)
    if len(words) > 1:
        return [{"expression": " AND ".join(words)}]
    return [{"license": {"id": text} if words == [text] else {"name": text}}]


def _run(source: Path, words: Sequence[object], variables: Mapping[str, str]) -> None:
    """Run this Python on the commit's files."""
    result = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=source,
        env=os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        last = (result.stdout.strip() or "no message").splitlines()[-1]
        raise ReleaseError(f"The release can't be made: {last.removeprefix('video-motion: ')}")


def _git(root: Path, *words: str) -> str:
    return _git_bytes(root, *words).decode()


def _git_bytes(root: Path, *words: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", root, *words], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", b"").decode(errors="replace").strip() or str(error)
        raise ReleaseError(f"{root} is not a clone with its history ({why}): clone the repository with git.") from error
