"""The values of the extension's preferences: folders, default device, licensed body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ..inference import registry
from ..inference.paths import user_cache

if TYPE_CHECKING:
    from .preferences_panel import VideoMotionPreferences

PACKAGE = (__package__ or "").rpartition(".")[0]
"""The extension's package, under which Blender keeps its preferences."""


def chosen() -> VideoMotionPreferences | None:
    """The user's preferences; None where the extension is not installed but imported as a package."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None else None


def weights_folder() -> Path:
    """Where weight files are kept."""
    return _folder("weights_folder", "weights")


def cache_folder() -> Path:
    """Where intermediate results are kept."""
    return _folder("cache_folder", "results")


def _folder(name: str, default: str) -> Path:
    preferences = chosen()
    path = getattr(preferences, name) if preferences is not None else ""
    return Path(bpy.path.abspath(path)) if path else user_cache() / default


def unwritable(error: OSError) -> str:
    """Return the message for a folder that the worker can't use."""
    return (
        f"{error.filename or cache_folder()} can't be used ({error.strerror or error}):"
        " choose another cache folder in the preferences, or make room on its disk."
    )


def licensed_body() -> Path | None:
    """The user's own SMPL file."""
    preferences = chosen()
    return Path(bpy.path.abspath(preferences.body)) if preferences is not None and preferences.body else None


def body_path() -> Path:
    """The body's file: the user's own, else the free one.

    Raises:
        RegistryError: the free body is missing and can't be built.
    """
    registry.use_folder(weights_folder())
    return licensed_body() or registry.body_path(fetch=False)


def device(choice: str) -> str:
    """The device for a ``choice`` in the panel, which may be the preferences' device."""
    if choice != "default":
        return choice or "auto"
    preferences = chosen()
    return preferences.device if preferences is not None else "auto"
