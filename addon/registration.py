"""Everything that Blender registers when the extension is enabled, in order."""

from __future__ import annotations

from types import ModuleType

import bpy

from . import preferences_panel
from .capture import jobs, looking, settings, solved_camera, video_queue, worker_operator
from .capture import operators as capture_operators
from .capture import panel as capture_panel
from .interchange import assets, import_motion, vrm
from .interchange.export import menu as export_menu
from .retarget import operators as retarget_operators
from .retarget import panel as retarget_panel
from .retarget import preview, properties
from .takes import activation, cleanup, confidence, figures, record, update
from .takes import operators as take_operators
from .takes import panel as take_panel

MODULES: tuple[ModuleType, ...] = (
    preferences_panel,
    settings,
    cleanup,
    record,
    activation,
    confidence,
    figures,
    jobs,
    video_queue,
    worker_operator,
    looking,
    capture_operators,
    update,
    take_operators,
    solved_camera,
    import_motion,
    export_menu,
    assets,
    capture_panel,
    take_panel,
    properties,
    preview,
    retarget_operators,
    retarget_panel,
    vrm,
)
"""Each may have `classes`, `menu_entries` (pairs of a menu and a function that draws in it), and `register` and
`unregister` for everything else."""


def register() -> None:
    """Register every module's classes, menu entries, and the rest."""
    for module in MODULES:
        for cls in getattr(module, "classes", ()):
            bpy.utils.register_class(cls)
        for menu, draw in getattr(module, "menu_entries", ()):
            getattr(bpy.types, menu).append(draw)
        if hasattr(module, "register"):
            module.register()


def unregister() -> None:
    """Undo `register` in reverse order."""
    for module in reversed(MODULES):
        if hasattr(module, "unregister"):
            module.unregister()
        for menu, draw in getattr(module, "menu_entries", ()):
            getattr(bpy.types, menu).remove(draw)
        for cls in reversed(getattr(module, "classes", ())):
            bpy.utils.unregister_class(cls)
