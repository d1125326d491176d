"""Runs MediaPipe itself for comparisons, or reads its recorded answers."""
