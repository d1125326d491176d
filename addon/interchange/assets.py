"""Assets: actions and poses for the asset browser and the pose library."""

from collections.abc import Sequence
from typing import ClassVar

import bpy
import numpy as np
from bpy.props import StringProperty

from ...inference.errors import VideoMotionError
from ..compatibility import unassigned_channels
from ..interface import reports_errors
from ..scene.keyframes import FIRST_FRAME, OURS, write_curve
from ..scene.layers import captured_action, captured_channels

AUTHOR = "Video Motion"
"""Who the asset browser says made an asset."""


class AssetError(VideoMotionError):
    """An asset can't be made."""


def mark_action(action: bpy.types.Action, description: str = "", tags: Sequence[str] = ()) -> None:
    """Mark an action as an asset by Video Motion, or change its asset data.

    A preview is drawn where Blender has a window.
    """
    action.asset_mark()
    action.asset_data.author = AUTHOR
    action.asset_data.description = description
    for tag in tags:
        action.asset_data.tags.new(tag, skip_if_exists=True)
    if not bpy.app.background:
        action.asset_generate_preview()


def make_pose_asset(armature: bpy.types.Object, frame: float, name: str) -> bpy.types.Action:
    """Make a pose asset from the action of an armature, which stays unchanged.

    Args:
        armature: a character with an action.
        frame: the moment of the action, in frames of the scene, whole or not.
        name: of the asset.

    Returns:
        An action with one key for each channel of a bone, marked as an asset.

    Raises:
        AssetError: no bone of the armature is animated by an action.
    """
    channels = captured_channels(armature)
    curves = [curve for curve in channels.fcurves if curve.data_path.startswith("pose.bones[")] if channels else []
    if not curves:
        raise AssetError(f"{armature.name} has no action that moves its bones: choose a character with a motion.")
    values: dict[str, dict[int, float]] = {}
    for curve in curves:
        values.setdefault(curve.data_path, {})[curve.array_index] = curve.evaluate(frame)
    action, _, pose = unassigned_channels(armature, name)
    groups = {}
    for path, parts in values.items():
        numbers = np.array(list(parts.values()))
        if path.endswith(".rotation_quaternion"):
            # Interpolated quaternions are not unit, and pose libraries blend them with others.
            numbers = numbers / max(float(np.linalg.norm(numbers)), 1e-9)
        bone = path.split('"')[1]
        if bone not in groups:
            groups[bone] = pose.groups.new(bone)
        for index, number in zip(parts, numbers, strict=True):
            write_curve(pose, path, index, np.array([FIRST_FRAME]), np.array([number]), groups[bone])
    mark_action(action, tags=("pose",))
    return action


def has_motion(armature: bpy.types.Object | None) -> bool:
    """Whether an object is a character of this add-on with an action."""
    return (
        armature is not None
        and armature.type == "ARMATURE"
        and OURS in armature
        and captured_action(armature) is not None
    )


class _CharacterOperator:
    """Base of the operators on the active character."""

    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only on a character with an action."""
        if not has_motion(context.active_object):
            cls.poll_message_set("Select a character of Video Motion that has an action")  # pyrefly: ignore[missing-attribute]
            return False
        return True


class MarkActionAsset(_CharacterOperator, bpy.types.Operator):
    """Put the character's whole action into the asset browser"""

    bl_idname = "video_motion.mark_action_asset"
    bl_label = "Mark Action as Asset"

    text: StringProperty(name="Description", description="Shown with the action in the asset browser")
    tags: StringProperty(name="Tags", description="Words to find the action by, with commas between them")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Mark the action."""
        action = captured_action(context.active_object)
        tags = [tag.strip() for tag in self.tags.split(",") if tag.strip()]
        mark_action(action, self.text, tags)
        self.report({"INFO"}, f"{action.name} is in the asset browser under Current File.")  # pyrefly: ignore[missing-attribute]
        return {"FINISHED"}


class MakePoseAsset(_CharacterOperator, bpy.types.Operator):
    """Put the character's pose at the current frame into the asset browser"""

    bl_idname = "video_motion.make_pose_asset"
    bl_label = "Make Pose Asset"

    pose: StringProperty(name="Name", description="Of the pose; without one it is named after the action and frame")

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the asset."""
        armature, scene = context.active_object, context.scene
        name = self.pose or f"{captured_action(armature).name} pose {scene.frame_current}"  # pyrefly: ignore[missing-attribute]
        action = make_pose_asset(armature, scene.frame_current_final, name)
        self.report({"INFO"}, f"{action.name} is in the asset browser under Current File.")
        return {"FINISHED"}


classes: tuple[type, ...] = (MarkActionAsset, MakePoseAsset)
