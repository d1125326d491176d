"""Fixtures of the tests that run inside Blender; NumPy, pytest and bpy are all they need."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.motion import Motion

from . import motions

_status = 0


def pytest_sessionfinish(exitstatus: int) -> None:
    global _status
    _status = exitstatus


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    # Blender 4.2 as a module crashes at the interpreter's end once a property with a Python callback was registered.
    # A process of pytest-xdist has reported all its results by now.
    bpy = sys.modules.get("bpy")
    if bpy is not None and not bpy.app.binary_path and bpy.app.version < (4, 5):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)


@pytest.fixture(autouse=True)
def empty_scene() -> None:
    bpy = pytest.importorskip("bpy")
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture(scope="session")
def body_file() -> Path:
    return registry.body_path()


@pytest.fixture(scope="session")
def body(body_file: Path) -> Body:
    return Body.load(body_file)


@pytest.fixture
def make_motion(body: Body) -> Callable[..., Motion]:
    return partial(motions.make_motion, body)


@pytest.fixture
def extension(monkeypatch, body_file: Path) -> Iterator[None]:
    """The extension enabled."""
    import video_motion.addon
    from video_motion.addon import preferences

    monkeypatch.setattr(preferences, "body_path", lambda: body_file)
    video_motion.addon.register()
    yield
    video_motion.addon.unregister()
