"""Files of other tools through the operator that imports motion files."""

from __future__ import annotations

import pickle
from pathlib import Path

import bpy
import numpy as np
import pytest

from ..blender import bone_heads, go_to

pytestmark = pytest.mark.interface


def wham(path: Path, people: int) -> Path:
    """Write what WHAM would of people who stand, raise an arm and travel, in a world with y up."""
    count = 12
    content = {}
    for number in range(people):
        pose = np.zeros((count, 72), np.float32)
        pose[:, 3 * 16 + 2] = np.linspace(0, -1.2, count)
        trans = np.stack([np.linspace(0, 0.5, count) + number, np.full(count, 0.2), np.zeros(count)], axis=-1)
        content[number] = {
            "pose": pose,
            "trans": trans.astype(np.float32),
            "pose_world": pose,
            "trans_world": trans.astype(np.float32),
            "betas": np.zeros((count, 10), np.float32),
            "frame_ids": np.arange(count),
            "verts": np.zeros((count, 4, 3), np.float32),
        }
    path.write_bytes(pickle.dumps(content))
    return path


def test_people_of_one_file_are_one_take(extension, tmp_path):
    file = wham(tmp_path / "wham_output.pkl", people=2)
    operator = bpy.ops.video_motion.import_motion
    assert operator(filepath=str(file), mesh=False, frame_rate=24.0, floor=False) == {"FINISHED"}
    armatures = [one for one in bpy.data.objects if one.type == "ARMATURE"]
    assert sorted(one.name for one in armatures) == ["wham_output person 1", "wham_output person 2"]
    assert len({one.users_collection[0].name for one in armatures}) == 1
    for armature in armatures:
        first, last = (bone_heads(armature, go_to(frame)).copy() for frame in (1, 12))
        assert first[15, 2] - first[7, 2] > 1.0, "the head is above the feet"
        assert np.linalg.norm(last[0] - first[0]) == pytest.approx(0.5, abs=0.01)
        assert abs((last[0] - first[0])[2]) < 0.01, "it travels over the floor"


def test_a_pickle_that_runs_code_does_not(extension, tmp_path):
    class Evil:
        def __reduce__(self):
            return (eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    file = tmp_path / "wham_output.pkl"
    file.write_bytes(pickle.dumps({0: Evil()}))
    with pytest.raises(RuntimeError, match=r"wham_output\.pkl"):
        bpy.ops.video_motion.import_motion(filepath=str(file))
    assert not (tmp_path / "ran").exists()
    assert not bpy.data.objects
