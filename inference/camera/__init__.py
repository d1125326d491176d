"""Cameras: their intrinsics, and how they move."""
