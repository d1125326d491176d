"""The style of the code: lint, format, types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "tool",
    [["ruff", "check"], ["ruff", "format", "--check"], ["basedpyright", "--level", "error"]],
    ids=" ".join,
)
def test_style(tool: list[str]):
    module = pytest.importorskip(tool[0])
    command = [sys.executable, "-m", module.__name__, *tool[1:]]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_users_path_needs_no_training_library():
    code = (
        "import sys\n"
        "from video_motion.inference import conversion\n"
        "from video_motion.inference.cli import overlay, __main__\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy', 'mediapipe', 'bpy')))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
