"""File > Export > Video Motion."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ....inference.body.smpl import Body
from ... import preferences
from ...interface import menu_entry, reports_errors, use_two_columns
from ...takes.record import take_of
from .options import ENDINGS, ONE_EACH, ExportOptions
from .take import characters_of, export_take

# Some Blenders are built without USD.
_FORMATS = [
    (format, name, what)
    for format, name, what in (
        ("fbx", "FBX", "Unreal, Unity and most other programs"),
        ("glb", "glTF", "The web, Godot and others; one binary file"),
        ("usd", "USD", "Omniverse, Houdini, Unreal and others"),
        ("bvh", "BVH", "Only bones, a file for each character"),
        ("amass", "AMASS", "SMPL's pose and translation of each frame, a file for each character"),
    )
    if format != "usd" or bpy.app.build_options.usd
]
_SUFFIXES = "/".join(ENDINGS[format] for format, _, _ in _FORMATS)


class ExportTake(bpy.types.Operator, ExportHelper):
    """Write the characters with their motion for game engines and other programs"""

    bl_idname = "video_motion.export_take"
    bl_label = "Export Video Motion"

    filename_ext = ENDINGS["fbx"]
    filter_glob: StringProperty(default=";".join(f"*{ending}" for ending in ENDINGS.values()), options={"HIDDEN"})

    format: EnumProperty(
        name="Format",
        items=_FORMATS,
        update=lambda self, context: self.check(context),
    )
    engine: EnumProperty(
        name="For",
        description="Whose axes the file uses; either has centimetres and no scaled or rotated nodes",
        items=(("unreal", "Unreal", "Z up, characters face −Y"), ("unity", "Unity", "Y up, characters face Z")),
    )
    frames: EnumProperty(
        name="Frames",
        items=(
            ("TAKE", "Take", "All frames in which the characters move"),
            ("SCENE", "Scene", "The frames that the scene plays"),
            ("CHOSEN", "Chosen", "The frames chosen here"),
        ),
    )
    first: IntProperty(name="First", default=1)
    last: IntProperty(name="Last", default=250)
    mesh: BoolProperty(name="Body", description="Write the skin with the bones", default=True)
    shape_keys: BoolProperty(name="Shape Keys", description="Write the skin's shape keys with it")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a character."""
        found = bool(characters_of(context))
        if not found:
            cls.poll_message_set("Select the armature of a character")
        return found

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for a file, by the take's name at first."""
        take = take_of(context)
        name = bpy.path.clean_name(take.name if take is not None else characters_of(context)[0].name)
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path()
        self.filepath = str(folder / f"{name}{ENDINGS[self.format]}")
        return super().invoke(context, event)

    def check(self, context: bpy.types.Context) -> bool:
        """Give the file name the format's suffix."""
        self.filename_ext = ENDINGS[self.format]
        if self.filepath:
            stem = Path(self.filepath)
            stem = stem.with_suffix("") if stem.suffix in ENDINGS.values() else stem
            self.filepath = str(stem.with_name(stem.name + self.filename_ext))
        return True

    def draw(self, context: bpy.types.Context) -> None:
        """Show the options that the format has."""
        layout = self.layout
        use_two_columns(layout)
        layout.prop(self, "format")
        if self.format == "fbx":
            layout.prop(self, "engine")
        layout.prop(self, "frames")
        if self.frames == "CHOSEN":
            layout.prop(self, "first")
            layout.prop(self, "last")
        if self.format not in ONE_EACH:
            layout.prop(self, "mesh")
            keys = layout.column()
            keys.enabled = self.mesh
            keys.prop(self, "shape_keys")

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Export the selected characters, or all that Video Motion made."""
        scene = context.scene
        ranges = {"SCENE": (scene.frame_start, scene.frame_end), "CHOSEN": (self.first, self.last)}
        body = Body.load(preferences.body_path()) if self.format == "amass" else None
        options = ExportOptions(self.engine, ranges.get(self.frames), self.mesh, self.shape_keys, body)
        files = export_take(characters_of(context), Path(self.filepath), self.format, options, scene)
        self.report({"INFO"}, f"Written: {', '.join(file.name for file in files)}.")
        return {"FINISHED"}


classes: tuple[type, ...] = (ExportTake,)
menu_entries = (("TOPBAR_MT_file_export", menu_entry(ExportTake.bl_idname, f"Video Motion ({_SUFFIXES})")),)
