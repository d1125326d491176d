"""Takes and rigs for the tests of retargeting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon.research import retargeting as benchmark
from video_motion.addon.scene.take import SceneOptions, build_scene
from video_motion.inference import locks
from video_motion.inference.motion.motion import Motion

from . import make_control_rig

BARE = SceneOptions(mesh=False, camera=False, floor=False, lights=False, resolution=False)
SAMPLE = Path(__file__).parents[2] / "sample" / "sample.truth.npz"


@pytest.fixture(scope="session")
def real_motion() -> Motion:
    return Motion.load(SAMPLE)


@pytest.fixture
def take(body, real_motion) -> Callable[..., bpy.types.Object]:
    """Make the armature of the sample's person, moving, from one frame to another."""

    def make(first: int = 0, last: int = 60) -> bpy.types.Object:
        rows = np.zeros(len(real_motion), dtype=bool)
        rows[first:last] = True
        return build_scene([real_motion.trimmed(rows)], body, None, BARE).characters[0].armature

    return make


@pytest.fixture(scope="session")
def make_rig() -> Callable[[str], bpy.types.Object]:
    return benchmark.makehuman_rig


@pytest.fixture(scope="session")
def control_rig_file(tmp_path_factory) -> Path:
    """Rigify's generated control rig, which takes half a minute, in a file.

    It is made in another process: after Rigify has run in Blender 4.2's module, the exporter of glTF may crash.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # All processes of a run share the folder above.
        folder = folder.parent
    path = folder / "rig.blend"
    program = bpy.app.binary_path
    command = [program, "-b", "--factory-startup", "--python"] if program else [sys.executable]
    command += [make_control_rig.__file__, "--", str(path)]
    with locks.hold(folder / "rig.lock"):
        if not path.exists():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == make_control_rig.NO_RIGIFY:
                pytest.skip("no Rigify")
            assert path.exists(), (done.stdout + done.stderr)[-2000:]
    return path


@pytest.fixture
def control_rig(control_rig_file, empty_scene) -> bpy.types.Object:
    with bpy.data.libraries.load(str(control_rig_file)) as (there, here):
        here.objects = [name for name in there.objects if name == "rig"]
    rig = here.objects[0]
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.update()
    return rig
