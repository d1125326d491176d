"""The style of the code: lint, format, types, and what may import what."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAYS = ("addon.research", "inference.cli", "inference.research")
"""Packages that no zip holds, see blender_manifest.toml."""


@pytest.mark.parametrize(
    "tool",
    ["ruff check", "ruff format --check", f"pyrefly check --python-interpreter-path {sys.executable}"],
    ids=["lint", "format", "types"],
)
def test_style(tool: str):
    name, *arguments = tool.split(" ")
    command = [sys.executable, "-m", pytest.importorskip(name).__name__, *arguments]
    # Pyrefly takes what is on Python's path for somebody else's.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_users_path_needs_no_training_library():
    code = (
        "import sys\n"
        "from video_motion.inference import conversion\n"
        "from video_motion.inference.cli import overlay, __main__\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy', 'mediapipe', 'bpy')))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def imported(file: Path) -> Iterator[str]:
    """Names of the project's modules, or of what is in them, that a file imports anywhere."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("video_motion.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}".removeprefix("video_motion.") for alias in node.names)


def test_what_ships_imports_nothing_that_does_not():
    wrong = []
    for file in [file for folder in ("addon", "inference") for file in sorted((ROOT / folder).rglob("*.py"))]:
        if ".".join(file.relative_to(ROOT).parts).startswith(STAYS):
            continue
        wrong += [f"{file.relative_to(ROOT)}: {name}" for name in imported(file) if name.startswith(STAYS)]
    assert not wrong
