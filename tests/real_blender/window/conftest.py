"""What the tests in Blender's window share. They run in the systems that `tests/real_blender/run` makes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .session import REPOSITORY, Blender, Display, name_of, parents_by_pid, wait_until

_INSIDE = "VIDEO_MOTION_EXTENSION" in os.environ and Path("/output").is_dir()
if not _INSIDE:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def display() -> Iterator[Display]:
    display = Display()
    yield display
    display.close()


@pytest.fixture(scope="session")
def extension() -> Path:
    """The zip as a user would download it."""
    return Path(os.environ["VIDEO_MOTION_EXTENSION"])


@pytest.fixture(scope="session")
def blenders(display: Display, extension: Path) -> Iterator[list[Blender]]:
    """The Blender that all tests use, which is only another one when it has ended."""
    started: list[Blender] = []
    yield started
    for one in started:
        one.close()


@pytest.fixture
def blender(display: Display, extension: Path, blenders: list[Blender]) -> Iterator[Blender]:
    """Blender with the extension, the preferences and the file that it starts with."""
    if not blenders or not blenders[-1].lives():
        blenders.append(Blender(display))
        blenders[-1].install(extension)
        # Software draws the window here: smooth edges take most of the time.
        blenders[-1].do("bpy.context.preferences.system.viewport_aa = 'OFF'")
    blenders[-1].start_anew()
    one = blenders[-1]
    before = len(one.log)
    yield one
    # What fails in a panel's drawing, a timer or a handler is told nowhere but in the console, as are Rigify's faults.
    if one.lives():
        one.redraw()
    told = [part for part in one.log[before:].split("Traceback ")[1:] if f"{REPOSITORY}/video_motion" in part]
    assert not told, told[0]


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left(display: Display) -> Iterator[None]:
    """When Blender has ended, so has everything that it started."""
    before = set(parents_by_pid())
    yield
    left: dict[int, str] = {}

    def gone() -> bool:
        left.clear()
        left.update({pid: name_of(pid) for pid in set(parents_by_pid()) - before})
        return not left

    try:
        wait_until(gone, 3, "every process ends")
    except AssertionError:
        pytest.fail(f"Left running: {', '.join(left.values())}")
