"""The extension as a user meets it: its panel in the sidebar, and the job behind that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .session import Blender, descendants, parents_by_pid

TAB = "Video Motion"
IMPORT = "bpy.ops.video_motion.import_video("
IMPORT_QUEUE, LEAVE_OUT = "bpy.ops.video_motion.import_queue(", "bpy.ops.video_motion.leave_out("
FIND_PEOPLE, CHOOSE_PERSON = "bpy.ops.video_motion.find_people(", "bpy.ops.video_motion.choose_person("
CANCEL = "bpy.ops.video_motion.cancel("
FILEPATH = ".video_motion.filepath"
LENS, HEIGHT = ".video_motion.focal_mm", ".video_motion.height"
KNOWS_LENS, KNOWS_HEIGHT, END = ".video_motion.knows_focal_mm", ".video_motion.knows_height", ".video_motion.end"
PREVIEW, TRIM_HERE = ".video_motion_preview", "bpy.ops.video_motion.trim_here("
IMAGE_RATE, CAMERA = ".video_motion.image_rate", ".video_motion.solved_camera"
TAKE_HEIGHT = ".video_motion_take.height"
SOURCE = ".video_motion_retarget.source"
TARGET = ".video_motion_retarget.target"
SAMPLE = Path("/repo/tests/sample/sample.mp4")
IMPORT_SECONDS = 120.0

JOBS = "sys.modules['bl_ext.user_default.video_motion.addon.capture.jobs']"
_SETTINGS = "bpy.context.scene.video_motion"


class Panel:
    """The panel "Import Video Motion", open in a Blender's sidebar."""

    def __init__(self, blender: Blender):
        self.blender = blender
        blender.open_sidebar(TAB)

    def choose(self, video: Path, **settings: object) -> None:
        """Choose a video and other settings, by default the video's rate and the quality that takes the least time."""
        for name, value in {"filepath": str(video), "quality": "fast", "rate": "VIDEO", **settings}.items():
            self.blender.do(f"{_SETTINGS}.{name} = {value!r}")

    def type_number(self, what: str, value: str) -> None:
        """Type a number into its field, with a unit where it has one."""
        # Its ends have arrows.
        where = self.blender.find_button(what, across=_FIELD)
        # The first click only brings the mouse to the field.
        self.blender.click(*where)
        self.blender.click(*where)
        self.blender.key("ctrl+a")
        self.blender.type(value)
        self.blender.key("Return")

    def forget_results(self) -> None:
        """Let the next job see the video anew, which leaves a test time to meet it running."""
        self.blender.do("bpy.ops.video_motion.clear_cache()")

    def start(self) -> None:
        """Run the button's operator as the button would."""
        # What an operator reports as an error, Python raises; users meet it in the panel.
        self.blender.do("try:\n    bpy.ops.video_motion.import_video('INVOKE_DEFAULT')\nexcept RuntimeError:\n    pass")

    def update(self) -> None:
        """Run the operator of the button "Update Motion", which may lie below the window, as the button would."""
        self.blender.do("bpy.ops.video_motion.update_motion('INVOKE_DEFAULT')")

    def wait_until_seen(self) -> None:
        """Until the panel shows what the video is like, or why it can't be read."""
        self.blender.wait_until(f"{JOBS}.probe_job is None and bool({JOBS}.video_info)", 60)

    def wait_until_working(self) -> None:
        """Until the job tells of progress."""
        self.blender.wait_until(f"{JOBS}.is_busy() and {JOBS}.current.done > 3", 60)

    def wait_until_ended(self) -> None:
        """Until no job runs, and what waited for it is done."""
        self.blender.wait_until(f"not {JOBS}.is_busy() and not {_WAITING}", IMPORT_SECONDS)
        self.show_footage(False)

    def wait_until_queue_ended(self) -> None:
        """Until no video of the queue waits or is worked on."""
        queue = "bpy.context.window_manager.video_motion_queue"
        self.blender.wait_until(f"not {queue}.running() and not {queue}.waiting()", IMPORT_SECONDS)
        self.wait_until_ended()

    def show_footage(self, on: bool) -> None:
        """Show the footage behind cameras or not: software takes a second for each drawing of it."""
        self.blender.do(f"for one in bpy.data.cameras:\n    one.show_background_images = {on}")

    def close(self) -> None:
        """Close it, so that the take's is in sight."""
        left, top, _, _ = self.blender.region("UI")
        self.blender.click(left + _HEADER_LEFT, top + _HEADER)

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self.blender.ask(f"{JOBS}.is_busy()")

    @property
    def share(self) -> float:
        """How far the progress bar is, 0 to 1."""
        return self.blender.ask(f"{JOBS}.current.share")

    @property
    def stage(self) -> str:
        """What the job is at."""
        return self.blender.ask(f"{JOBS}.current.stage")

    @property
    def problem(self) -> str | None:
        """The message in the panel."""
        return self.blender.ask(f"{JOBS}.problem")

    @property
    def seen(self) -> dict[str, Any]:
        """What the panel says about the video: its measures, or a `message`."""
        return self.blender.ask(f"{JOBS}.video_info")

    @property
    def worker(self) -> int:
        """Number of the job's process."""
        return self.blender.ask(f"{JOBS}.current.process.pid")

    def processes(self) -> set[int]:
        """The job's process and those below it."""
        return {self.worker} | descendants(self.worker)


class RetargetPanel:
    """The panel "Retarget", open alone in a Blender's sidebar, below those for videos and for takes."""

    def __init__(self, blender: Blender):
        self.blender = blender
        blender.open_sidebar(TAB)
        left, top, _, _ = blender.region("UI")
        # The first two close, the one below them opens.
        for header in range(3):
            blender.click(left + _HEADER_LEFT, top + _HEADER + header * _NEXT_HEADER)
        self.top = blender.find_button(SOURCE, top + _HEADER + 3 * _NEXT_HEADER)[1]

    def find(self, what: str, below: int, across: float | None = None) -> tuple[int, int]:
        """Where a button is, which should be that many pixels below the panel's first."""
        left, _, right, _ = self.blender.region("UI")
        where = round(left + (across or _MIDDLE) * (right - left)), self.top + below
        self.blender.point(*where)
        # Feeling its way takes the mouse seconds, and Blender a drawing.
        return where if what in self.blender.ask("under_mouse()") else self.blender.find_button(what, where[1], across)

    def choose(self, what: str, below: int, name: str, across: float | None = None) -> None:
        """Choose an object or a bone from the menu of names that a field opens."""
        self.blender.click(*self.find(what, below, across))
        # What is looked for is the field's text at first, where it has one.
        self.blender.key("ctrl+a")
        self.blender.type(name)
        self.blender.key("Return")
        self.blender.redraw_sidebar()

    def choose_rigs(self, source: str, target: str) -> None:
        """Choose both by hand."""
        self.choose(SOURCE, 0, source)
        self.choose(TARGET, _ROW, target)

    def set_number(self, what: str, below: int, value: str) -> None:
        """Type a number into its field."""
        where = self.find(what, below)
        self.blender.click(*where)
        self.blender.click(*where)
        self.blender.key("ctrl+a")
        self.blender.type(value)
        self.blender.key("Return")

    def open_bones(self) -> None:
        """Open the list of bones, whose header follows the target."""
        self.open_section(2 * _ROW + _BUTTONS)
        self.find("rows[0].bone", _FIRST_BONE)

    def open_section(self, below: int) -> None:
        """Open the section whose header is that many pixels below the panel's first button."""
        left, top, _, _ = self.blender.region("UI")
        self.blender.click(left + _HEADER_LEFT, self.top + below)
        # Blender itself crashes where a script opens another file while the mouse rests on the header of any panel that
        # it clicked, also without this extension.
        self.blender.point(left - _HEADER_LEFT, top + _HEADER_LEFT)


_HEADER, _NEXT_HEADER, _HEADER_LEFT, _ROW, _BUTTONS, _FIRST_BONE = 16, 28, 60, 26, 37, 125
"""Pixels at Blender's usual size of the interface."""

_MIDDLE, _FIELD = 0.5, 0.72

_WAITING = "sys.modules['bl_ext.user_default.video_motion.addon.capture.worker_operator']._waiting"


_LOOK = """
def curves(action):
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]

def characters():
    found = [one for one in bpy.data.objects if one.type == "ARMATURE" and one.animation_data is not None]
    return {one.name: len(curves(one.animation_data.action)[0].keyframe_points) for one in found}

def key_frames(name):
    return [[key.co.x for key in curve.keyframe_points] for curve in curves(bpy.data.actions[name])]

def contents():
    kinds = ("objects", "collections", "armatures", "meshes", "cameras", "lights", "actions", "materials", "movieclips")
    return {kind: sorted(one.name for one in getattr(bpy.data, kind) if one.users) for kind in kinds}
"""


def characters(blender: Blender) -> dict[str, int]:
    """The armatures that have an action, each with how many keys its first curve has."""
    blender.do(_LOOK)
    return blender.ask("characters()")


def contents(blender: Blender) -> dict[str, list[str]]:
    """The names of what the file would keep."""
    blender.do(_LOOK)
    return blender.ask("contents()")


def key_frames(blender: Blender, action: str) -> list[list[float]]:
    """The frames of the keys of each of an action's curves."""
    blender.do(_LOOK)
    return blender.ask(f"key_frames({action!r})")


def living(pids: set[int]) -> set[int]:
    """Those of some processes that still run."""
    return pids & set(parents_by_pid())
