"""Blender's window itself, and the mouse and keyboard that the other tests use in it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from .session import Blender, BlenderError, Display

# The other tests of every version rely on these.
pytestmark = pytest.mark.interface


def test_blender_shows_its_window(blender: Blender, display: Display):
    mean, deviation, colours = display.statistics(blender.screenshot("start"))
    assert 0.1 < mean < 0.9
    assert deviation > 0.05
    assert colours > 500
    assert blender.ask("bpy.app.background") is False


def test_what_fails_in_blender_is_told(blender: Blender):
    with pytest.raises(BlenderError, match="ZeroDivisionError"):
        blender.ask("1 / 0")
    assert blender.ask("[1, (2, 3), {4}]") == [1, [2, 3], [4]]


def test_the_driver_outlives_opening_files(blender: Blender, tmp_path: Path):
    file = tmp_path / "a file.blend"
    blender.do("bpy.data.objects['Cube'].name = 'Kept'")
    blender.do(f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})")
    blender.start_anew()
    assert not blender.ask("'Kept' in bpy.data.objects")
    blender.do(f"bpy.ops.wm.open_mainfile(filepath={str(file)!r})", area=None)
    assert blender.ask("'Kept' in bpy.data.objects")


def test_mouse_and_keyboard_reach_blender(blender: Blender):
    left, top, right, bottom = blender.region("WINDOW")
    middle = ((left + right) / 2, (top + bottom) / 2)
    blender.point(*middle)
    for key in ("g", "x", "2", "Return"):
        blender.key(key)
    blender.wait_until("bpy.data.objects['Cube'].location.x == 2", 5)
    blender.key("ctrl+z")
    blender.wait_until("bpy.data.objects['Cube'].location.x == 0", 5)
    blender.click(left + 200, bottom - 100)
    blender.wait_until("not bpy.context.selected_objects", 5)
    blender.drag((left + 120, top + 90), (right - 120, bottom - 100))
    blender.wait_until("len(bpy.context.selected_objects) == 3", 5)


def test_extension_is_installed_and_enabled(blender: Blender):
    enabled = blender.ask("[one.module for one in bpy.context.preferences.addons]")
    assert "bl_ext.user_default.video_motion" in enabled
    assert blender.ask("hasattr(bpy.types, 'VIDEO_MOTION_PT_import')")


def test_there_is_no_network():
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
