"""The command `test`: pytest in the environments that the launcher makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .. import console
from . import environment

NO_TESTS = 5
"""pytest's exit status when it has collected nothing."""


def run(arguments: Sequence[str]) -> int:
    """Run the tests that pytest's arguments choose, those of the add-on under a second Blender too.

    Returns:
        pytest's exit status, the first that is not zero.
    """
    tests = [file for file in arguments if not file.startswith("-") and Path(file.split("::")[0]).exists()]
    status = _pytest(environment.TEST, arguments)
    if tests or status not in (0, 1, NO_TESTS):
        return status
    second = _pytest(environment.TEST_BPY, [*arguments, str(environment.ROOT / "tests" / "addon")])
    # A choice of tests (-k) may leave none for the add-on.
    return status or (0 if second == NO_TESTS and arguments else second)


def _pytest(place: environment.Environment, arguments: Sequence[str]) -> int:
    console.say(f"Tests in {place.folder}")
    return subprocess.run(
        [place.python, "-P", "-m", "pytest", "--rootdir", environment.ROOT, *arguments],
        cwd=environment.ROOT,
        env=os.environ | {"PYTHONPATH": str(environment.ROOT)},
        check=False,
    ).returncode
