"""A screen, and Blenders on it that tests can talk to and point at; runs in the system's Python, outside Blender."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("driver.py")
OUTPUT = Path("/output")
WIDTH, HEIGHT = 1280, 800
START_SECONDS = 90.0
ANSWER_SECONDS = 60.0
REPOSITORY = "user_default"
"""Where Blender puts extensions from files."""

_STEP_PIXELS = 12
_TAB_PIXELS = 8
_RIGHT_BUTTONS_PIXELS = 49
"""From the right side of the sidebar: its tabs, then the small buttons at the end of a row."""

_SETTLE_SECONDS = 0.02
_DRAG_STEPS = 6
_DRAG_BEGINS = (0.005, 0.01, 0.02)
"""Shares of a drag's way."""

_POLL_SECONDS = 0.05


class BlenderError(Exception):
    """A snippet raised an exception in Blender; the message is its traceback."""


class BlenderEndedError(Exception):
    """Blender is not there any more; the message is the end of what it wrote."""


class Display:
    """An X server without a screen, with a mouse and a keyboard."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        size = f"{WIDTH}x{HEIGHT}x24"
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", size, "-nolisten", "tcp"],
            pass_fds=[writer],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(writer)
        with open(reader) as stream:
            number = stream.readline().strip()
        if not number:
            raise RuntimeError("Xvfb does not start.")
        self.name = f":{number}"

    def close(self) -> None:
        """End the X server."""
        self.process.terminate()
        self.process.wait()

    def run(self, *command: str) -> str:
        """Run a program on this display and return what it writes."""
        environment = {**os.environ, "DISPLAY": self.name}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def point(self, x: float, y: float) -> None:
        """Put the mouse there; pixels from the screen's left top."""
        self.run("xdotool", "mousemove", str(round(x)), str(round(y)))

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the whole screen among the output."""
        path = OUTPUT / f"{name}.png"
        self.run("import", "-window", "root", str(path))
        return path

    def statistics(self, picture: Path) -> tuple[float, float, int]:
        """Mean and standard deviation of a picture's grey, 0 to 1, and how many colours it has."""
        told = self.run("identify", "-format", "%[fx:mean] %[fx:standard_deviation] %k", str(picture))
        mean, deviation, colours = told.split()
        return float(mean), float(deviation), int(colours)

    def share_of(self, picture: Path, colour: str, fuzz: str) -> float:
        """How much of a picture has a colour or one near it, 0 to 1."""
        marks = ("-fill", "white", "-fuzz", fuzz, "-opaque", colour, "-fuzz", "0", "-fill", "black", "+opaque", "white")
        told = self.run("convert", str(picture), "-alpha", "off", *marks, "-format", "%[fx:mean]", "info:")
        return float(told)


class Blender:
    """A Blender with its window, of a user who has just installed it.

    Args:
        display: where its window is.
        home: folder of a user who has used Blender before; a new one that goes with this Blender if none is given.
    """

    def __init__(self, display: Display, home: Path | None = None):
        self.display = display
        self._folder = tempfile.TemporaryDirectory(prefix="blender-", ignore_cleanup_errors=True)
        own = Path(self._folder.name)
        self.home = home or own
        self._log = own / "blender.log"
        path = own / "driver"
        ours = ("PYTHON", "XDG_", "VIDEO_MOTION_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment |= {
            "DISPLAY": display.name,
            "HOME": str(self.home),
            "BLENDER_USER_RESOURCES": str(self.home / "resources"),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "VIDEO_MOTION_DRIVER": str(path),
        }
        geometry = ["-p", "0", "0", str(WIDTH), str(HEIGHT)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["blender", *geometry, "--python-exit-code", "1", "--python", str(DRIVER)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._socket = socket.socket(socket.AF_UNIX)
        self._heard = b""
        self._found: dict[str, tuple[int, int]] = {}
        self._connect(path)
        self.ask("True", START_SECONDS)

    def __enter__(self) -> Blender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End Blender, whatever it is doing, and remove its user's folder."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._folder.cleanup()

    def lives(self) -> bool:
        """Whether Blender is there and answers."""
        try:
            return self.ask("True")
        except (BlenderEndedError, TimeoutError):
            return False

    @property
    def log(self) -> str:
        """What Blender has written so far."""
        return self._log.read_text(errors="replace")

    def ask(self, expression: str, seconds: float = ANSWER_SECONDS, area: str | None = "VIEW_3D") -> Any:
        """The value of an expression in Blender's main thread, as JSON gives it back.

        Raises:
            BlenderError: it raised an exception.
            BlenderEndedError: Blender ended.
            TimeoutError: Blender does not answer.
        """
        return self._command(expression, True, seconds, area)

    def do(self, code: str, seconds: float = ANSWER_SECONDS, area: str | None = "VIEW_3D") -> None:
        """Run statements in Blender's main thread; names they bind stay for the next. Raises what `ask` does."""
        self._command(code, False, seconds, area)

    def wait_until(self, expression: str, seconds: float) -> Any:
        """Ask until the answer is true, and return it."""
        return wait_until(lambda: self.ask(expression), seconds, expression)

    def start_anew(self) -> None:
        """Leave the file for the one that Blender starts with; preferences and extensions stay."""
        self.do("bpy.ops.wm.read_homefile()", area=None)

    def install(self, extension: Path) -> None:
        """Install an extension from a file and enable it, as the menu "Install from Disk" does."""
        self.do(
            f"bpy.ops.extensions.package_install_files("
            f"filepath={str(extension)!r}, repo={REPOSITORY!r}, enable_on_install=True)",
            120,
        )

    def open_sidebar(self, tab: str) -> None:
        """Show the 3D view's sidebar at a tab, with the mouse where scripts can't choose it."""
        self.do("bpy.context.space_data.show_region_ui = True")
        chosen = f"getattr({_SIDEBAR}, 'active_panel_category', '') == {tab!r}"
        wait_until(lambda: self.ask(f"{_SIDEBAR}.width > 20"), 5, "the sidebar opens")
        with contextlib.suppress(BlenderError):
            self.do(f"{_SIDEBAR}.active_panel_category = {tab!r}")
        _, top, right, bottom = self.region("UI")
        for y in range(top + _STEP_PIXELS, bottom, 2 * _STEP_PIXELS):
            if self.ask(chosen):
                break
            self.click(right - _TAB_PIXELS, y)
        self.wait_until(chosen, 5)
        self.redraw_sidebar()

    def point(self, x: float, y: float) -> None:
        """Put the mouse there; pixels from the screen's left top."""
        self.display.point(x, y)
        self._settle()

    def click(self, x: float, y: float) -> None:
        """Click there."""
        self.point(x, y)
        for action in ("mousedown", "mouseup"):
            self._act(action, "1")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button."""
        self.point(*start)
        self._act("mousedown", "1")
        # What is dragged must be under the mouse when Blender sees that it moves.
        for part in (*_DRAG_BEGINS, *(step / _DRAG_STEPS for step in range(1, _DRAG_STEPS + 1))):
            self.point(start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
        self._act("mouseup", "1")

    def key(self, keys: str) -> None:
        """Press keys together, such as ``ctrl+z``."""
        self._act("key", "--clearmodifiers", keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._act("type", "--delay", "20", text)

    def region(self, region_type: str) -> tuple[int, int, int, int]:
        """Where a region of the 3D view is on the screen: left, top, right, bottom."""
        x, y, width, height = self.ask(
            "next((one.x, one.y, one.width, one.height)"
            f" for one in bpy.context.area.regions if one.type == {region_type!r})"
        )
        return x, HEIGHT - y - height, x + width, HEIGHT - y

    def find_button(self, what: str, near: int | None = None, across: float | None = None) -> tuple[int, int]:
        """Where in the sidebar a button is, in pixels from the screen's left top.

        ``what`` is part of the Python that it would run (``bpy.ops.…``) or change (``bpy.data.…``). The mouse feels its
        way down, or away from the height ``near``, in the middle and where small buttons are at the end of a row, or
        where ``across`` says, as a share of the sidebar's width.
        """
        left, top, right, bottom = self.region("UI")
        self.redraw_sidebar()
        heights = list(range(top + _STEP_PIXELS, bottom, _STEP_PIXELS))
        known = self._found.get(what)
        start = near if near is not None else known[1] if known is not None else None
        if start is not None:
            heights.sort(key=lambda y: abs(y - start))
        columns = [(left + right) // 2, right - _RIGHT_BUTTONS_PIXELS]
        if across is not None:
            columns = [round(left + across * (right - left))]
        places = [(x, y) for y in heights for x in columns]
        if known is not None and across is None:
            # Feeling its way takes the mouse seconds; most buttons are where they were.
            places.insert(0, known)
        seen = set()
        for place in places:
            self.point(*place)
            under = self.ask("under_mouse()")
            if what in under:
                self._found[what] = place
                return place
            seen.add(under)
        raise AssertionError(f"There is no button with {what} in the sidebar, but {sorted(seen)}.")

    def click_button(self, what: str) -> None:
        """Click on a button in the sidebar; see `find_button`."""
        self.click(*self.find_button(what))

    def redraw_sidebar(self) -> None:
        """Let Blender draw the sidebar, and not the view beside it, which takes long where software draws."""
        self.do(f"{_SIDEBAR}.tag_redraw()")
        self._settle()

    def redraw(self) -> None:
        """Let Blender draw everything that has changed."""
        self.do("bpy.ops.wm.redraw_timer(type='DRAW_WIN_SWAP', iterations=1)")

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the screen as Blender would draw it now."""
        self.redraw()
        return self.display.screenshot(name)

    def children(self) -> set[int]:
        """Numbers of the processes that Blender has started, and of those that they started."""
        return descendants(self.process.pid)

    def _act(self, *command: str) -> None:
        self.display.run("xdotool", *command)
        self._settle()

    def _settle(self) -> None:
        """Wait until Blender has taken in what the mouse or the keyboard did, as a person does who sees the window."""
        time.sleep(_SETTLE_SECONDS)
        # The first answer may come before that, in the same turn of Blender's loop.
        for _ in range(2):
            self.ask("True")

    def _connect(self, path: Path) -> None:
        def connected() -> bool:
            self._check_alive()
            try:
                self._socket.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            return True

        try:
            wait_until(connected, START_SECONDS, "Blender's driver listens")
        except BaseException:
            self.close()
            raise

    def _command(self, code: str, ask: bool, seconds: float, area: str | None) -> Any:
        self._check_alive()
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(json.dumps({"code": code, "ask": ask, "area": area}).encode() + b"\n")
            while b"\n" not in self._heard:
                part = self._socket.recv(1 << 20)
                if not part:
                    raise ConnectionResetError
                self._heard += part
        except TimeoutError as error:
            raise TimeoutError(f"Blender does not answer within {seconds:g} s: {code}") from error
        except ConnectionError as error:
            self.process.wait()
            raise BlenderEndedError(f"{code}\n{self.log[-3000:]}") from error
        line, _, self._heard = self._heard.partition(b"\n")
        told = json.loads(line)
        if "error" in told:
            raise BlenderError(f"{code}\n{told['error']}")
        return told["value"]

    def _check_alive(self) -> None:
        if self.process.poll() is not None:
            raise BlenderEndedError(f"Blender has ended with {self.process.returncode}.\n{self.log[-3000:]}")


_SIDEBAR = "next(one for one in bpy.context.area.regions if one.type == 'UI')"


def wait_until(what: Callable[[], Any], seconds: float, name: str) -> Any:
    """Ask again and again until the answer is true, and return it.

    Raises:
        AssertionError: it is not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"Not within {seconds:g} s: {name}")
        time.sleep(_POLL_SECONDS)


def descendants(pid: int) -> set[int]:
    """Numbers of the living processes below one."""
    parents = parents_by_pid()
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def parents_by_pid() -> dict[int, int]:
    """The parent of each living process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = re.sub(r"^.*\)", "", stat.read_text(), flags=re.DOTALL).split()[:2]
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    return parents


def name_of(pid: int) -> str:
    """What a process is called; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
