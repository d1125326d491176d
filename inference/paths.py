"""Where the files of a checkout, an installed extension or an installed package are, and the user's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `addon/` and `inference/`."""

IS_CHECKOUT = (ROOT / "video-motion").exists()
"""Whether the launcher is here, which neither the extension nor the installed package has."""


def user_cache() -> Path:
    """Return the user's folder for weights and results, outside of what an update replaces."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Video Motion"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "Video Motion"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "video-motion"
