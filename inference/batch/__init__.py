"""Conversion of many videos in one queue."""
