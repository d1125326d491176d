"""Enabling and disabling the extension leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .panel import SAMPLE, Panel, living
from .session import Blender, wait_until

MODULE = "bl_ext.user_default.video_motion"
TIMES = 5

_TRACES = """
import addon_utils
import threading

def traces():
    handlers = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    kinds = ("Operator", "Panel", "PropertyGroup", "AddonPreferences", "FileHandler")
    classes = {one for kind in kinds for one in getattr(bpy.types, kind).__subclasses__() if one.is_registered}
    return {
        "handlers": {name: len(one) for name, one in handlers.items() if isinstance(one, list)},
        "types": sorted(name for name in dir(bpy.types) if "video_motion" in name.lower()),
        "classes": sorted(one.__name__ for one in classes if one.__module__.startswith("bl_ext.user_default.")),
        "scene": hasattr(bpy.types.Scene, "video_motion"),
        "menu": len(bpy.types.TOPBAR_MT_file_import.draw._draw_funcs),
        "threads": threading.active_count(),
    }
"""


@pytest.fixture(autouse=True)
def _enabled_again(blender: Blender) -> Iterator[None]:
    yield
    _enable(blender)


@pytest.mark.interface
def test_several_times(blender: Blender):
    blender.do(_TRACES)
    enabled = _traces(blender)
    _disable(blender)
    disabled = _traces(blender)
    assert enabled["types"]
    assert enabled["classes"]
    assert not disabled["types"]
    assert not disabled["classes"]
    assert enabled["scene"]
    assert not disabled["scene"]
    assert disabled["menu"] < enabled["menu"]
    # The operators do the same, but unpack the packages inside the extension each time.
    for _ in range(TIMES):
        blender.do(f"addon_utils.enable({MODULE!r}, default_set=True, refresh_handled=True)")
        assert _traces(blender) == enabled
        blender.do(f"addon_utils.disable({MODULE!r}, default_set=True, refresh_handled=True)")
        assert _traces(blender) == disabled
    assert not blender.children()


def test_disabling_ends_a_job(blender: Blender):
    blender.do(_TRACES)
    panel = Panel(blender)
    panel.forget_results()
    panel.choose(SAMPLE)
    panel.start()
    panel.wait_until_working()
    processes = panel.processes()
    assert living(processes) == processes
    _disable(blender)
    wait_until(lambda: not living(processes), 1, "the processes end")
    blender.redraw()
    assert _traces(blender)["threads"] == 1


def _traces(blender: Blender) -> dict[str, Any]:
    return blender.ask("traces()")


def _enable(blender: Blender) -> None:
    blender.do(f"bpy.ops.preferences.addon_enable(module={MODULE!r})")


def _disable(blender: Blender) -> None:
    blender.do(f"bpy.ops.preferences.addon_disable(module={MODULE!r})")
