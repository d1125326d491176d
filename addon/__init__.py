"""The only code that knows `bpy`: turns a `Motion` into Blender's objects."""

from __future__ import annotations


def register() -> None:
    """Register the extension's classes."""


def unregister() -> None:
    """Unregister them in mirror order."""
