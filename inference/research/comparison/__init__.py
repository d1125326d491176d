"""Runs MediaPipe itself for comparisons."""
