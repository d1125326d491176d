"""The command `test`: pytest in the environments that the launcher makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .. import console
from . import environment

MAIN, SECOND_BLENDER, FAULTS = "main", "bpy-5.0.1", "faults"
NO_TESTS = 5
"""pytest's exit status when it has collected nothing."""
MOST_PROCESSES = 4
WHOLE_FAULTS = "VIDEO_MOTION_FAULTS"
"""Variable that makes the tests of faults try everything."""


def run(arguments: Sequence[str]) -> int:
    """Run the tests that pytest's arguments choose, and under a second Blender those that touch Blender's interface.

    Args:
        arguments: pytest's; before them, the name of a suite (`MAIN`, `SECOND_BLENDER` or `FAULTS`) chooses that one
            alone. `FAULTS` is part of `MAIN` in a short form.

    Returns:
        pytest's exit status, the first that is not zero.

    Raises:
        SetupError: the second Blender's packages can't be installed.
    """
    given = list(arguments)
    suite = given.pop(0) if given and given[0] in (MAIN, SECOND_BLENDER, FAULTS) else None
    if suite == FAULTS:
        os.environ[WHOLE_FAULTS] = "all"
        return _run_main(["-n", str(_processes()), *given, str(environment.ROOT / "tests" / "faults")])
    if suite == MAIN:
        return _run_main(given)
    if suite == SECOND_BLENDER:
        return _run_second_blender(given)
    status = _run_main(given)
    if _names_tests(given) or status not in (0, 1, NO_TESTS):
        return status
    second = _run_second_blender(given)
    # A choice of tests (-k) may leave none for the add-on.
    return status or (0 if second == NO_TESTS and given else second)


def _run_main(arguments: Sequence[str]) -> int:
    given = list(arguments) or ["-n", str(_processes())]
    if "-n" in given:
        # By file, because tests of a file share fixtures; in the order of collection, in which slow files come first.
        given = ["--dist", "loadfile", "--no-loadscope-reorder", *given]
    return _pytest(environment.TEST, given)


def _processes() -> int:
    return min(os.cpu_count() or 1, MOST_PROCESSES)


def _run_second_blender(arguments: Sequence[str]) -> int:
    environment.ensure(environment.TEST_BPY)
    tests = [] if _names_tests(arguments) else [str(environment.ROOT / "tests" / "addon")]
    return _pytest(environment.TEST_BPY, ["-m", "interface", *arguments, *tests])


def _names_tests(arguments: Sequence[str]) -> bool:
    return any(not word.startswith("-") and Path(word.split("::")[0]).exists() for word in arguments)


def _pytest(place: environment.Environment, arguments: Sequence[str]) -> int:
    console.say(f"Tests in {place.folder}")
    return subprocess.run(
        [place.python, "-P", "-m", "pytest", "--rootdir", environment.ROOT, *arguments],
        cwd=environment.ROOT,
        env=os.environ | {"PYTHONPATH": str(environment.ROOT)},
        check=False,
    ).returncode
