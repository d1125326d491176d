"""Everything that Blender learns of when the extension is enabled, in order."""

from __future__ import annotations

import bpy

from . import preferences_panel
from .capture import jobs, panel, settings
from .capture import operators as import_video
from .interchange import assets, export, vrm
from .interchange import import_motion as motion_file
from .retarget import operators as retargeting

MODULES = (preferences_panel, settings, jobs, import_video, motion_file, export, assets, panel, retargeting, vrm)
"""Each has its `classes`, and `register` and `unregister` if there is more to it."""


def register() -> None:
    """Register every module's classes, then what else it has."""
    for module in MODULES:
        for cls in module.classes:
            bpy.utils.register_class(cls)
        if hasattr(module, "register"):
            module.register()


def unregister() -> None:
    """The same backwards."""
    for module in reversed(MODULES):
        if hasattr(module, "unregister"):
            module.unregister()
        for cls in reversed(module.classes):
            bpy.utils.unregister_class(cls)
