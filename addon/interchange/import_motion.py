"""Import Motion File: characters from motion files of Video Motion and of other tools."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import bpy
import numpy as np
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...inference.body.smpl import Body
from ...inference.motion.formats import ENDINGS, read_motions
from ...inference.motion.motion import Motion, MotionFileError
from .. import preferences
from ..capture.looking import look_at
from ..interface import is_over_3d_view, menu_entry, reports_errors, select_only, use_two_columns
from ..properties import property_for
from ..scene.resample import standard_rate
from ..scene.take import SceneOptions, Take, build_scene, footage_frame_rate, set_frame_range
from ..takes.record import record_file


@dataclass
class ImportedMotions:
    """The result of importing motion files.

    Attributes:
        takes: one for each file that could be read.
        errors: one sentence for each file that could not.
        warnings: sentences on what had to be assumed.
        places: (..., 3) where the people's joints are over time, in the world.
    """

    takes: list[Take]
    errors: list[str]
    warnings: list[str]
    places: np.ndarray


def import_motions(
    paths: Sequence[Path],
    body: Body,
    options: SceneOptions | None = None,
    use_file_rate: bool = False,
    scene: bpy.types.Scene | None = None,
    frame_rate: float | None = None,
) -> ImportedMotions:
    """Make a take from each motion file; unreadable files do not affect the others.

    Args:
        paths: of the files; see `read_motions` for the formats.
        body: the body that gets the motions.
        frame_rate: hertz, of files that do not state theirs; None for the default.
        options: what to make. The frame range becomes that of all files together.
        use_file_rate: give the scene the frame rate of the first file that can be read, in place of
            ``options.frame_rate``.
        scene: where to make it, the current scene by default.
    """
    options = options or SceneOptions()
    scene = scene or bpy.context.scene
    files: list[list[Motion]] = []
    errors = []
    for path in paths:
        try:
            files.append(read_motions(path, body, frame_rate))
        except MotionFileError as error:
            errors.append(str(error))
    if files and use_file_rate:
        rate = footage_frame_rate(files[0])
        options = replace(options, frame_rate=standard_rate(rate) if options.whole_frames else rate)
    each = replace(options, frame_range=False)
    takes = [build_scene(people, body, None, each, scene) for people in files]
    for take, people in zip(takes, files, strict=True):
        record_file(take.collection, scene, people, options.whole_frames)
    motions = [motion for people in files for motion in people]
    if motions and options.frame_range:
        set_frame_range(scene, motions, options.whole_frames)
    warnings = [str(warning) for motion in motions for warning in motion.provenance.get("warnings") or ()]
    places = np.concatenate([motion.joints_world for motion in motions] or [np.empty((0, 24, 3))])
    return ImportedMotions(takes, errors, list(dict.fromkeys(warnings)), places)


class ImportMotion(bpy.types.Operator, ImportHelper):
    """Make animated characters from motion files of Video Motion, AMASS, VIBE, WHAM, GVHMR and others"""

    bl_idname = "video_motion.import_motion"
    bl_label = "Import Motion File"
    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default=";".join(f"*{ending}" for ending in ENDINGS), options={"HIDDEN"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})

    mesh: BoolProperty(name="Body", description="Make the skinned body", default=True)
    clothes: property_for("clothes")
    correctives: BoolProperty(
        name="Pose Correctives",
        description="Shape keys that mend the skin at bent joints; only bodies that have them, such as SMPL",
    )
    camera: BoolProperty(name="Camera", description="Make the camera that filmed the motion, where the file has it")
    floor: BoolProperty(name="Floor", description="Make the floor that people stand on", default=True)
    rate: EnumProperty(
        name="Frame Rate",
        description="The motion keeps its true speed either way",
        items=(
            ("KEEP", "Keep", "Leave the scene's frame rate as it is"),
            ("FILE", "Use the File's", "Set the scene to the file's frame rate; other animation will change speed"),
        ),
    )
    frame_rate: FloatProperty(
        name="Assumed Rate",
        description="Frames per second of files that do not state theirs",
        default=30.0,
        min=1.0,
        soft_max=120.0,
    )
    whole_frames: property_for("whole_frames")
    look: property_for("look")
    frame_range: BoolProperty(name="Set Frame Range", description="Let the scene play exactly the motion", default=True)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In object mode only, as other modes have an undo of their own."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
        return context.mode == "OBJECT"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for files, or for the options alone where files were dropped."""
        if self.directory and self.files:
            return context.window_manager.invoke_props_dialog(self)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context: bpy.types.Context) -> None:
        """Show the options."""
        layout = self.layout
        use_two_columns(layout)
        column = layout.column(heading="Character")
        column.prop(self, "mesh")
        skin = column.column()
        skin.enabled = self.mesh
        skin.prop(self, "clothes")
        skin.prop(self, "correctives")
        column = layout.column(heading="Scene")
        column.prop(self, "camera")
        column.prop(self, "floor")
        column = layout.column()
        column.prop(self, "rate")
        column.prop(self, "frame_rate")
        column = layout.column(heading="Keys and View")
        for name in ("whole_frames", "frame_range", "look"):
            column.prop(self, name)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Import what was chosen and select it."""
        body = Body.load(preferences.body_path())
        options = SceneOptions(
            mesh=self.mesh,
            clothes=self.clothes,
            correctives=self.correctives,
            camera=self.camera,
            floor=self.floor,
            lights=False,
            resolution=self.camera,
            whole_frames=self.whole_frames,
            frame_range=self.frame_range,
        )
        names = [file.name for file in self.files if file.name]
        paths = [Path(self.directory) / name for name in names] or [Path(self.filepath)]
        imported = import_motions(paths, body, options, self.rate == "FILE", context.scene, self.frame_rate)
        for warning in imported.warnings:
            self.report({"WARNING"}, warning)
        for error in imported.errors:
            self.report({"ERROR"}, error)
        if not imported.takes:
            return {"CANCELLED"}
        select_only(context, [character.armature for take in imported.takes for character in take.characters])
        if self.look:
            look_at(context, imported.takes, imported.places)
        return {"FINISHED"}


class MotionFileHandler(bpy.types.FileHandler):
    """Imports motion files that are dropped into a 3D view"""

    bl_idname = "VIDEO_MOTION_FH_motion"
    bl_label = "Motion File"
    bl_import_operator = ImportMotion.bl_idname
    bl_file_extensions = ";".join(ENDINGS)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        """In 3D views."""
        return is_over_3d_view(context)


classes: tuple[type, ...] = (ImportMotion, MotionFileHandler)
menu_entries = (
    ("TOPBAR_MT_file_import", menu_entry(ImportMotion.bl_idname, "Motion of Video Motion, AMASS, … (.npz/.pkl/.pt)")),
)
