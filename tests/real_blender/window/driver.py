"""Runs inside Blender: takes snippets of Python from a socket and runs them on the main thread, one by one.

Each command is a line of JSON with `code`, whether it is an expression (`ask`) and the area that it wants to be in
(`area`, null for no context at all, which opening files needs). The answer is a line with `value` or `error`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import bpy

TICK_SECONDS = 0.005


def under_mouse() -> str:
    """What the button that the mouse is over in the sidebar would run or change, as Python; empty where there is none.

    Blender has no list of its buttons, but entries in their menus that copy this.
    """
    region = next(one for one in bpy.context.area.regions if one.type == "UI")
    with bpy.context.temp_override(region=region):
        if bpy.ops.ui.copy_python_command_button.poll():
            bpy.ops.ui.copy_python_command_button()
        elif bpy.ops.ui.copy_data_path_button.poll():
            bpy.ops.ui.copy_data_path_button(full_path=True)
        else:
            return ""
        return bpy.context.window_manager.clipboard


_names: dict[str, Any] = {"bpy": bpy, "sys": sys, "under_mouse": under_mouse}


def context_of(area_type: str | None) -> contextlib.AbstractContextManager[Any]:
    """The window's context, in an area of that type if there is one."""
    if area_type is None:
        return contextlib.nullcontext()
    window = bpy.context.window_manager.windows[0]
    for area in window.screen.areas:
        if area.type == area_type:
            region = next(one for one in area.regions if one.type == "WINDOW")
            return bpy.context.temp_override(window=window, area=area, region=region)
    return bpy.context.temp_override(window=window)


def answer(line: bytes) -> bytes:
    """Run a command and tell what came of it."""
    command = json.loads(line)
    try:
        with context_of(command["area"]):
            if command["ask"]:
                value = eval(command["code"], _names)
            else:
                value = None
                exec(command["code"], _names)
        told = json.dumps({"value": value}, default=list)
    # A snippet may end in anything, which is then the test's to judge.
    except BaseException:
        told = json.dumps({"error": traceback.format_exc()})
    return told.encode() + b"\n"


class Driver:
    """Listens on a socket without waiting for it."""

    def __init__(self, path: Path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._listener.bind(str(path))
        self._listener.listen()
        self._peer: socket.socket | None = None
        self._heard = b""

    def tick(self) -> float:
        """Answer what was asked; called by Blender's timer."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self._hear()
        return TICK_SECONDS

    def _hear(self) -> None:
        if self._peer is None:
            self._peer = self._listener.accept()[0]
            self._peer.setblocking(False)
        self._heard += self._peer.recv(1 << 20)
        while b"\n" in self._heard:
            line, _, self._heard = self._heard.partition(b"\n")
            told = answer(line)
            self._peer.setblocking(True)
            self._peer.sendall(told)
            self._peer.setblocking(False)


bpy.context.preferences.view.show_splash = False
driver = Driver(Path(os.environ["VIDEO_MOTION_DRIVER"]))
bpy.app.timers.register(driver.tick, persistent=True)
