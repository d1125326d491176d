import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.research.training.mocap.amass import read_amass
from video_motion.inference.research.training.mocap.recording import MocapError

from .made_up import sequence


@pytest.mark.parametrize(
    ("width", "rate"), [(66, "mocap_framerate"), (72, "mocap_frame_rate"), (165, "mocap_frame_rate")]
)
def test_turned_upright_and_put_on_the_floor(tmp_path, body, width, rate):
    folder = tmp_path / "Set" / "subject"
    folder.mkdir(parents=True)
    np.savez(folder / "walk.npz", allow_pickle=False, **{rate: np.array(100.0)}, **sequence(width))
    clip = read_amass(folder / "walk.npz", body)
    assert (clip.name, clip.group, clip.frame_rate) == ("walk", "Set/subject", 100)
    expected = np.zeros((4, 24, 3))
    expected[:, 18, 1] = -1.0
    np.testing.assert_allclose(clip.poses, expected, atol=1e-12)
    # It faced −y and walked there: that is z now.
    np.testing.assert_allclose(np.diff(clip.trans, axis=0), np.tile([0, 0, 0.01], (3, 1)), atol=1e-12)
    assert body.vertices(clip.poses, trans=clip.trans)[..., 1].min() == pytest.approx(0, abs=0.02)


def test_the_pelvis_stays_where_it_was(tmp_path, body):
    rng = np.random.default_rng(4)
    arrays = sequence()
    arrays["poses"][:, :3], arrays["trans"] = rng.normal(0, 1, (4, 3)), rng.normal(0, 1, (4, 3))
    np.savez(tmp_path / "wild.npz", allow_pickle=False, mocap_framerate=np.array(60), **arrays)
    clip = read_amass(tmp_path / "wild.npz", body)
    pelvis = body.joints(clip.poses, trans=clip.trans)[:, 0]
    before = arrays["trans"] + body.joint_template[0]
    np.testing.assert_allclose(np.diff(pelvis[:, 0]), np.diff(before[:, 0]), atol=1e-12)
    np.testing.assert_allclose(np.diff(pelvis[:, 1]), np.diff(before[:, 2]), atol=1e-12)
    np.testing.assert_allclose(np.diff(pelvis[:, 2]), -np.diff(before[:, 1]), atol=1e-12)
    upright = rotations.axis_angle_to_matrix(np.array([-np.pi / 2, 0, 0]))
    turned = upright @ rotations.axis_angle_to_matrix(arrays["poses"][:, :3])
    np.testing.assert_allclose(rotations.axis_angle_to_matrix(clip.poses[:, 0]), turned, atol=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"poses": np.zeros((4, 50))},
        {"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))},
        {"trans": np.zeros((3, 3))},
        {"trans": np.full((4, 3), np.nan)},
        {"mocap_framerate": np.array(0.0)},
        {"mocap_framerate": np.array([])},
        {"poses": np.array([{}], dtype=object)},
        {"poses": np.array(["a"])},
    ],
)
def test_broken_files(tmp_path, body, change):
    np.savez(tmp_path / "x.npz", allow_pickle=True, **{"mocap_framerate": np.array(60.0), **sequence(), **change})
    with pytest.raises(MocapError, match=r"^x\.npz .*: .*\.$"):
        read_amass(tmp_path / "x.npz", body)


def test_files_that_are_none(tmp_path, body):
    np.savez(tmp_path / "shape.npz", allow_pickle=False, betas=np.zeros(10))
    (tmp_path / "text.npz").write_text("nothing")
    for name in ("shape.npz", "text.npz", "none.npz"):
        with pytest.raises(MocapError, match=name):
            read_amass(tmp_path / name, body)
