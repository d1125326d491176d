"""The way from footage to motion, without Blender."""
