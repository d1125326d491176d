from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from video_motion.inference import registry


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The panel's choices in a scene whose extension is enabled, with a cache of its own; fast, and without mesh."""
    # Tests of the worker need no Blender.
    import bpy
    import video_motion.addon
    from video_motion.addon import preferences

    monkeypatch.setattr(preferences, "weights_folder", registry.cache_folder)
    monkeypatch.setattr(preferences, "cache_folder", lambda: tmp_path / "cache")
    video_motion.addon.register()
    chosen = bpy.context.scene.video_motion
    chosen.mesh, chosen.quality = False, "fast"
    yield chosen
    video_motion.addon.unregister()
