"""The operators of the panel "Retarget"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..interface import reports_errors
from .bones import SIDES, RetargetError, read_rig
from .mapping import BoneMapping
from .preview import end_preview, messages, retarget_as_chosen, show_preview
from .properties import choose_mapping
from .recognise import recognise
from .rows import chosen_mapping

_FILTER = "*.json"


class _WithTarget:
    """Operators that need a target."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a target."""
        return context.scene.video_motion_retarget.target is not None


class Recognise(_WithTarget, bpy.types.Operator):
    """Recognise the target's bones again, by their names or else by the structure of the rig"""

    bl_idname = "video_motion.recognise_bones"
    bl_label = "Recognise Bones"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Fill the list."""
        settings = context.scene.video_motion_retarget
        choose_mapping(settings, context, recognise(read_rig(settings.target)))
        return {"FINISHED"}


class MirrorBones(_WithTarget, bpy.types.Operator):
    """Fill one side of the list with the mirror images of the other side's bones"""

    bl_idname = "video_motion.mirror_bones"
    bl_label = "Mirror"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    side: EnumProperty(
        name="From",
        items=[
            (side, f"{side} to {other}".capitalize(), f"Take the {side} side's bones for the {other} side")
            for side, other in (SIDES, SIDES[::-1])
        ],
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the list."""
        settings = context.scene.video_motion_retarget
        mapping = chosen_mapping(settings)
        mapping.mirror(read_rig(settings.target), self.side)
        choose_mapping(settings, context, mapping)
        return {"FINISHED"}


class SaveMapping(_WithTarget, bpy.types.Operator, ExportHelper):
    """Save the list as a file, for characters with the same rig"""

    bl_idname = "video_motion.save_bone_mapping"
    bl_label = "Save Mapping…"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    filename_ext = ".json"
    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the file."""
        chosen_mapping(context.scene.video_motion_retarget).save(Path(self.filepath))
        return {"FINISHED"}


class LoadMapping(_WithTarget, bpy.types.Operator, ImportHelper):
    """Fill the list from a file"""

    bl_idname = "video_motion.load_bone_mapping"
    bl_label = "Load Mapping…"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read the file."""
        choose_mapping(context.scene.video_motion_retarget, context, BoneMapping.load(Path(self.filepath)))
        return {"FINISHED"}


class Preview(_WithTarget, bpy.types.Operator):
    """Show the motion on the target, following every setting, until it is baked or turned off"""

    bl_idname = "video_motion.preview_retarget"
    bl_label = "Preview"
    bl_options: ClassVar[set[str]] = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Show it, or end it."""
        settings = context.scene.video_motion_retarget
        if settings.preview is not None:
            end_preview(settings)
            return {"FINISHED"}
        return _report(self, lambda: show_preview(settings))


class Bake(_WithTarget, bpy.types.Operator):
    """Give the target a new action with the motion; its old action is kept"""

    bl_idname = "video_motion.retarget"
    bl_label = "Bake"
    bl_options: ClassVar[set[str]] = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the action."""
        settings = context.scene.video_motion_retarget

        def bake() -> None:
            if settings.preview is not None:
                end_preview(settings)
            made = retarget_as_chosen(settings)
            error = f", at most {made.rotation_error:.2f}° off" if settings.simplify else ""
            self.report({"INFO"}, f"{made.action.name}: {made.keys} keys{error}.")

        return _report(self, bake)


def _report(operator: bpy.types.Operator, work: Callable[[], None]) -> set[str]:
    try:
        work()
    except RetargetError as error:
        messages[:] = [(str(error), "ERROR")]
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


classes = (Recognise, MirrorBones, SaveMapping, LoadMapping, Preview, Bake)
