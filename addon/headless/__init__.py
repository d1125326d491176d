"""Scenes and exports without a window, for `batch.py`."""
