"""The operators of the panel "Retarget"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..interface import reports_errors
from . import presets
from .action import retarget
from .bones import SIDES, RetargetError, read_rig, read_turns
from .mapping import BoneMapping, digest
from .preview import end_preview, is_person, messages, options_of, retarget_as_chosen, show_preview, source_of
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


class UseBones(_WithTarget, bpy.types.Operator):
    """Take the list of bones as it is: you have looked through it"""

    bl_idname = "video_motion.use_bones"
    bl_label = "Use These Bones"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make every bone sure."""
        settings = context.scene.video_motion_retarget
        mapping = chosen_mapping(settings)
        mapping.confidence = dict.fromkeys(mapping.bones, 1.0)
        messages.clear()
        choose_mapping(settings, context, mapping)
        return {"FINISHED"}


class MendRest(_WithTarget, bpy.types.Operator):
    """Take the target's present pose as the one that corresponds to the source's rest pose, a T-pose for takes.
    The rig's own rest pose stays as it is"""

    bl_idname = "video_motion.mend_rest"
    bl_label = "Use Present Pose"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    clear: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context: bpy.types.Context, properties: MendRest) -> str:
        """Tell what the button at hand does."""
        return "Use the rig's own rest pose again" if properties.clear else cls.__doc__ or ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Keep the pose with the mapping, or drop it."""
        settings = context.scene.video_motion_retarget
        if settings.preview is not None:
            self.report({"ERROR"}, "The preview poses the character: end it, pose the character, then try again.")
            return {"CANCELLED"}
        mapping = chosen_mapping(settings)
        mapping.rest = {} if self.clear else read_turns(settings.target)
        choose_mapping(settings, context, mapping)
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
    """Save the list, offsets and mended rest pose as a file; rigs with the same bones find it again in the folder
    of presets, or beside a character's file as NAME.bones.json"""

    bl_idname = "video_motion.save_bone_mapping"
    bl_label = "Save Mapping…"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    filename_ext = ".json"
    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begin in the folder of presets."""
        if not self.filepath:
            target = bpy.path.clean_name(context.scene.video_motion_retarget.target.name)
            presets.folder().mkdir(parents=True, exist_ok=True)
            self.filepath = str(presets.folder() / f"{target}.json")
        return super().invoke(context, event)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the file."""
        settings = context.scene.video_motion_retarget
        mapping = chosen_mapping(settings)
        mapping.rig = digest(read_rig(settings.target))
        mapping.save(Path(self.filepath))
        return {"FINISHED"}


class LoadMapping(_WithTarget, bpy.types.Operator, ImportHelper):
    """Fill the list from a file"""

    bl_idname = "video_motion.load_bone_mapping"
    bl_label = "Load Mapping…"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begin in the folder of presets, where there is one."""
        if not self.filepath and presets.folder().is_dir():
            self.filepath = f"{presets.folder()}/"
        return super().invoke(context, event)

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


class BakeSelected(bpy.types.Operator):
    """Give each selected character the motion, or each the motion of one of as many selected people, by their names.
    Each gets its own preset or recognised bones"""

    bl_idname = "video_motion.retarget_selected"
    bl_label = "Bake to Selected"
    bl_options: ClassVar[set[str]] = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs characters."""
        return bool(selected_characters(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the actions; a character that can't have one does not affect the others."""
        settings = context.scene.video_motion_retarget
        if settings.preview is not None:
            end_preview(settings)
        characters = selected_characters(context)
        people = sorted((one for one in context.selected_objects if is_person(one)), key=lambda one: one.name)
        sources = people if len(people) == len(characters) else [source_of(settings)] * len(characters)
        messages.clear()
        done = 0
        for source, character in zip(sources, characters, strict=True):
            try:
                own = character == settings.target
                mapping = chosen_mapping(settings) if own else presets.find_mapping(read_rig(character))
                if mapping.is_guess:
                    raise RetargetError(f"Most bones of {character.name} are guesses: choose it as To and check them.")
                made = retarget(source, character, mapping, options_of(settings))
            except RetargetError as error:
                messages.append((str(error), "ERROR"))
            else:
                messages.extend((warning, "INFO") for warning in made.warnings)
                done += 1
        if not done:
            self.report({"ERROR"}, messages[0][0])
            return {"CANCELLED"}
        self.report({"INFO"} if done == len(characters) else {"WARNING"}, f"{done} of {len(characters)} characters.")
        return {"FINISHED"}


def selected_characters(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected armatures that nobody in a take has and no motion is taken from, by name."""
    source = context.scene.video_motion_retarget.source
    found = [one for one in context.selected_objects if one.type == "ARMATURE" and not is_person(one) and one != source]
    return sorted(found, key=lambda one: one.name)


def _report(operator: bpy.types.Operator, work: Callable[[], None]) -> set[str]:
    try:
        work()
    except RetargetError as error:
        messages[:] = [(str(error), "ERROR")]
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


classes = (Recognise, UseBones, MendRest, MirrorBones, SaveMapping, LoadMapping, Preview, Bake, BakeSelected)
