"""The only code that knows `bpy`: turns a `Motion` into Blender's objects, and offers that in Blender's interface."""

from __future__ import annotations


def register() -> None:
    """Register the extension's classes and properties."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Remove them in mirror order; ends what still runs."""
    from . import registration

    registration.unregister()
