"""Entry point when this folder is installed as a Blender extension."""


def register() -> None:
    """Register the extension's classes with Blender."""
    from .addon import register as register_addon

    register_addon()


def unregister() -> None:
    """Remove everything that `register` added."""
    from .addon import unregister as unregister_addon

    unregister_addon()
