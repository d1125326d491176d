"""How surely limbs were seen is kept with the captured action."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from video_motion.addon.scene.confidence import LIMBS, confidence_at, confidence_in, next_doubt
from video_motion.addon.scene.layers import captured_action
from video_motion.addon.scene.take import build_scene
from video_motion.inference.body.skeleton import JOINT_NAMES

pytestmark = pytest.mark.interface

ARM = list(LIMBS).index("Left Arm")


@pytest.fixture
def armature(extension, body, make_motion):
    """Somebody whose left wrist and elbow are unsure from frame 5 to 7; the middle frame of twelve is bridged."""
    bpy.context.scene.render.fps = 25
    motion = make_motion(frame_rate=25.0)
    motion.scores[4:7, [JOINT_NAMES.index("left_elbow"), JOINT_NAMES.index("left_wrist")]] = [0.2, 0.4]
    return build_scene([motion], body).characters[0].armature


def test_each_limb_has_its_own(armature):
    frames, values = confidence_in(captured_action(armature))
    np.testing.assert_allclose(frames, np.arange(1, 13))
    np.testing.assert_allclose(values[4:6, ARM], 0.3, atol=0.003)
    np.testing.assert_allclose(values[6], 0.0, err_msg="nobody was seen there")
    np.testing.assert_allclose(np.delete(values, ARM, axis=1)[[0, 4, 5, 8]], 1.0)


def test_it_survives_a_file_and_corrections(armature, tmp_path):
    name = armature.name
    file = tmp_path / "take.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    bpy.ops.wm.open_mainfile(filepath=str(file))
    known = confidence_in(captured_action(bpy.data.objects[name]))
    np.testing.assert_allclose(known[1][4, ARM], 0.3, atol=0.003)


def test_values_between_and_beyond_frames():
    known = np.array([1.0, 2.0, 4.0]), np.array([[0.1], [0.2], [0.4]])
    found = confidence_at(known, np.array([-3.0, 1.2, 1.8, 3.5, 9.0]))[:, 0]
    np.testing.assert_allclose(found, [np.nan, 0.1, 0.2, 0.4, np.nan])


def test_doubts_are_found_forwards_and_backwards(armature):
    known = confidence_in(captured_action(armature))
    assert next_doubt(known, 1.0, 1, 0.5) == 5.0
    assert next_doubt(known, 5.0, 1, 0.5) is None
    assert next_doubt(known, 12.0, -1, 0.5) == 5.0
    bpy.context.view_layer.objects.active = armature
    bpy.context.scene.frame_set(1)
    assert bpy.ops.video_motion.go_to_doubt(step=1) == {"FINISHED"}
    assert bpy.context.scene.frame_current == 5
    assert bpy.ops.video_motion.go_to_doubt(step=1) == {"CANCELLED"}
