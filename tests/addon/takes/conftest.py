"""Takes as an import makes them, from motions made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
from video_motion.addon.takes.making import make_takes
from video_motion.inference.options import Options


@pytest.fixture
def make(extension, body, make_motion) -> Callable[..., bpy.types.Collection]:
    """Make a take of people seen at 25 frames per second by a camera, without a video behind it, and select it."""

    def make(name: str = "walk", people: int = 1, options: Options | None = None, **more) -> bpy.types.Collection:
        motions = [
            make_motion(person=person, seed=person, **{"frame_rate": 25.0, "count": 40} | more)
            for person in range(1, people + 1)
        ]
        for motion in motions:
            motion.provenance = {"video": f"{name}.mp4"}
        scene = bpy.context.scene
        report = {"warnings": [], "people": []}
        return make_takes(scene, motions, body, Path(f"{name}.mp4"), options or Options(), report)[0][0].collection

    return make
