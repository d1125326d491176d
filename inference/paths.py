"""Where the files of a checkout, or of an installed extension, are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `addon/` and `inference/`."""
