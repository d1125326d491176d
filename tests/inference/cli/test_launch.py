"""The launcher: set-up that fails, is cut off, or runs twice at once; on copies of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from video_motion.inference.cli import environment

ROOT = Path(__file__).parents[3]
COMMANDS = ("convert", "estimate", "overlay", "evaluate", "bench", "weights", "build-extension", "train", "test")


def launch(*given: str | Path, root: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "video-motion", *given],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )


def _children_cpu_seconds() -> float:
    """CPU time of the processes that have ended, which other programs do not slow down; 0 under Windows."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The launcher and what it needs, in a folder with spaces, without any environment."""
    root = tmp_path / "a folder with spaces"
    shutil.copytree(ROOT / "inference", root / "inference", ignore=shutil.ignore_patterns("__pycache__", "research"))
    for name in ("video-motion", "video_motion.py"):
        shutil.copy(ROOT / name, root)
    (root / "requirements").mkdir()
    (root / "requirements" / "convert.txt").write_text("video-motion-no-such-package==1.0\n")
    return root


def test_help_names_every_command_without_set_up(copy: Path):
    result = launch("--help", root=copy)
    assert result.returncode == 0
    assert set(COMMANDS) <= {line.split()[0] for line in result.stdout.splitlines() if line.startswith("    ")}
    assert "VIDEO_MOTION_CACHE" in result.stdout
    for command in COMMANDS:
        assert launch(command, "--help", root=copy).returncode == 0
    assert not (copy / ".venv").exists()


def test_failed_set_up_is_reported_and_tried_again(copy: Path):
    for _ in range(2):
        result = launch("weights", root=copy, PIP_NO_INDEX="1")
        assert result.returncode == 1
        assert "The packages of convert.txt can't be installed" in result.stderr
        assert "video-motion-no-such-package" in result.stderr
        assert "Traceback" not in result.stderr


def test_interrupted_set_up_is_repaired(copy: Path):
    (copy / "requirements" / "convert.txt").write_text("")
    child = subprocess.Popen([sys.executable, copy / "video-motion", "weights"], stderr=subprocess.PIPE, text=True)
    while not (copy / ".venv").exists():
        time.sleep(0.02)
    child.kill()
    child.communicate()
    (copy / ".venv" / "unfinished").touch()
    (copy / "weights").mkdir()
    (copy / "weights" / "registry.json").write_text("[]")
    result = launch("weights", root=copy)
    assert result.returncode == 0, result.stderr
    assert (copy / ".venv" / "ready-convert").exists()

    began = _children_cpu_seconds()
    again = launch("weights", root=copy)
    assert (again.returncode, again.stderr) == (0, "")
    assert _children_cpu_seconds() - began < 3


def test_two_at_once(copy: Path):
    (copy / "requirements" / "convert.txt").write_text("")
    (copy / "weights").mkdir()
    (copy / "weights" / "registry.json").write_text("[]")
    command = [sys.executable, copy / "video-motion", "weights"]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], errors
    assert sum("Making the virtual environment" in error for error in errors) == 1


def test_ready_environment_is_quick():
    if not environment.CONVERT.stamp_file.exists():
        pytest.skip("not run by the launcher")
    began = time.monotonic()
    assert launch("weights").returncode == 0
    assert time.monotonic() - began < 5


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins are scripts")
def test_the_needed_python_is_found_past_a_shim_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    loader = SourceFileLoader("launcher", str(ROOT / "video-motion"))
    launcher = ModuleType("launcher")
    loader.exec_module(launcher)
    for name, script in (("shim", "exit 127"), ("real", f'exec "{sys.executable}" "$@"')):
        program = tmp_path / name / f"python{launcher.VERSION}"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "shim"))
    assert launcher.find_python() is None
    monkeypatch.setenv("PATH", f"{tmp_path / 'shim'}:{tmp_path / 'real'}")
    assert launcher.find_python() == sys.executable
