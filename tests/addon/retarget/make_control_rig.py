"""Write Rigify's generated control rig to the file that is the last argument; runs in a process of its own."""

import sys
from pathlib import Path

import bpy

# Distributions may leave Rigify out.
NO_RIGIFY = 7

if __name__ == "__main__":
    # Blender's own modules can be found once Blender is there.
    import addon_utils

    if "rigify" not in {module.__name__ for module in addon_utils.modules()}:
        sys.exit(NO_RIGIFY)
    sys.path.insert(0, str(Path(__file__).parents[3]))
    from video_motion.addon.research.retargeting import rigify_controls

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.data.libraries.write(sys.argv[-1], {rigify_controls()}, fake_user=True)
