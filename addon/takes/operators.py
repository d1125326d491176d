"""The operators on the selected take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import bpy

from ..interface import select_only
from ..scene.layers import captured_action, corrections_of, remove_corrections, start_corrections
from . import activation
from .placement import ensure_handle
from .record import characters_in, take_of, takes_in
from .removal import remove_take


class _TakeOperator:
    """Base of the operators on the selected take."""

    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    if TYPE_CHECKING:
        report: Any
        poll_message_set: Any

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a take."""
        if take_of(context) is None:
            cls.poll_message_set("There is no take in the scene")
            return False
        return True


class RemoveTake(_TakeOperator, bpy.types.Operator):
    """Delete the selected take and all that is its: characters, camera, floor, actions, corrections, footage"""

    bl_idname = "video_motion.remove_take"
    bl_label = "Delete Take"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Delete it and select another."""
        take: Any = take_of(context)
        name, index = take.name, takes_in(context.scene).index(take)
        remove_take(take)
        left = takes_in(context.scene)
        if left:
            activation.activate(context, left[min(index, len(left) - 1)])
        self.report({"INFO"}, f"{name} is deleted.")
        return {"FINISHED"}


class AddHandle(_TakeOperator, bpy.types.Operator):
    """Add or select the handle on the take's floor: moved, turned or tilted, it takes characters and camera along"""

    bl_idname = "video_motion.add_handle"
    bl_label = "Add Floor Handle"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make it where it is missing, and select it."""
        take: Any = take_of(context)
        activation.show(context.view_layer, take, True)
        handle = ensure_handle(take)
        context.view_layer.update()
        select_only(context, [handle])
        return {"FINISHED"}


class StartCorrections(_TakeOperator, bpy.types.Operator):
    """Put a layer for your own keys above the captured motion; Update Motion and clean-up leave it alone"""

    bl_idname = "video_motion.start_corrections"
    bl_label = "Start Corrections"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a character that has none."""
        if not super().poll(context):
            return False
        take: Any = take_of(context)
        return any(corrections_of(one) is None for one in characters_in(take).values())

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start a layer for every character of the take that has none."""
        take: Any = take_of(context)
        captured = [one for one in characters_in(take).values() if captured_action(one) is not None]
        tweaked = [one.name for one in captured if one.animation_data.use_tweak_mode]
        if tweaked:
            self.report({"ERROR"}, f"{', '.join(tweaked)} is being edited in the NLA: leave tweak mode first.")
            return {"CANCELLED"}
        for armature in captured:
            start_corrections(armature)
        self.report({"INFO"}, "Pose and key as usual: keys change the captured motion and survive Update Motion.")
        return {"FINISHED"}


class RemoveCorrections(_TakeOperator, bpy.types.Operator):
    """Delete your keys on this take and leave the captured motion alone"""

    bl_idname = "video_motion.remove_corrections"
    bl_label = "Delete Corrections"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a character that has some."""
        if not super().poll(context):
            return False
        take: Any = take_of(context)
        return any(corrections_of(one) is not None for one in characters_in(take).values())

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Delete them."""
        take: Any = take_of(context)
        for armature in characters_in(take).values():
            remove_corrections(armature)
        return {"FINISHED"}


classes = (RemoveTake, AddHandle, StartCorrections, RemoveCorrections)
