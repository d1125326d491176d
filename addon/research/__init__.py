"""Benchmarks and pictures that need Blender. Nothing here ships."""
