"""The process that works for Blender."""
