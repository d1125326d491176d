"""Write `from_4_2.blend` and `from_4_2.npy` with Blender 4.2's module: `python make_from_4_2.py BODY`."""

import sys
from pathlib import Path

import bpy
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parent)]

from motions import make_motion  # noqa: E402  # pyrefly: ignore[missing-import]
from video_motion.addon.scene.take import SceneOptions, build_scene, footage_frame_rate  # noqa: E402
from video_motion.inference.body.smpl import Body  # noqa: E402

body = Body.load(sys.argv[-1])
motion = make_motion(body, count=40, size=(64, 48), frame_rate=30000 / 1001)
rate = 2 * footage_frame_rate([motion])
bpy.ops.wm.read_factory_settings(use_empty=True)
take = build_scene([motion], body, HERE / "steady.mp4", SceneOptions(frame_rate=rate, mesh=False))
take.footage.filepath = "//steady.mp4"
bpy.ops.wm.save_as_mainfile(filepath=str(HERE / "from_4_2.blend"), compress=True, relative_remap=False)
np.save(HERE / "from_4_2.npy", motion.joints_world.astype(np.float32))
