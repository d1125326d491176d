"""The user's own camera: exported to a file, for `--camera-file` and other scenes."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper

from ...inference.cache import hash_of_content
from ..interface import menu_entry, reports_errors
from ..scene.solved_camera import write_camera


def keep_camera(camera: bpy.types.Object, scene: bpy.types.Scene, folder: Path) -> Path:
    """Write a camera of a scene into a folder and return its file, whose name is another where it sees otherwise.

    Raises:
        SolvedCameraError, OSError: as `write_camera`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"camera-{os.getpid()}.npz"
    write_camera(camera, scene, new)
    return new.replace(folder / f"camera-{hash_of_content(new)[:16]}.npz")


class ExportCamera(bpy.types.Operator, ExportHelper):
    """Write the lens and the way of the scene's camera, over its frame range, so that people can stand in its world"""

    bl_idname = "video_motion.export_camera"
    bl_label = "Export Solved Camera"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json;*.npz", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a camera."""
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the file."""
        write_camera(context.scene.camera, context.scene, Path(self.filepath))
        return {"FINISHED"}


classes = (ExportCamera,)
menu_entries = (("TOPBAR_MT_file_export", menu_entry(ExportCamera.bl_idname, "Video Motion (solved camera)")),)
