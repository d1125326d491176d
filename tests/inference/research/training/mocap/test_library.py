from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.training.mocap.cleaning import clean
from video_motion.inference.research.training.mocap.library import Library, build, clip_weights
from video_motion.inference.research.training.mocap.recording import MocapError, MotionClip

from .made_up import sequence

SAMPLE = Path(__file__).resolve().parents[4] / "sample" / "sample.truth.npz"
RATE = 100.0


def swinging(count: int = 300) -> MotionClip:
    """A person who swings one arm slowly."""
    poses = np.zeros((count, 24, 3))
    poses[:, 16, 2] = 0.5 * np.sin(np.arange(count) / 30)
    trans = np.zeros((count, 3))
    trans[:, 0] = np.arange(count) / RATE
    return MotionClip("swing", "someone", RATE, poses, trans)


def test_a_sound_clip_stays_as_it_is():
    (kept,) = clean(swinging())
    assert kept.name == "swing"
    np.testing.assert_array_equal(kept.poses, swinging().poses)


def test_a_joint_that_flips_for_a_moment_is_bridged():
    clip = swinging()
    clip.poses[100:103, 16] = (0, 0, -3.0)
    (kept,) = clean(clip)
    np.testing.assert_allclose(kept.poses, swinging().poses, atol=0.01)


def test_a_joint_that_is_wrong_for_long_is_cut_out():
    clip = swinging(500)
    clip.poses[150:180, 7] = (0, 0, 2.8)
    first, second = clean(clip)
    assert (first.name, second.name, first.group) == ("swing.1", "swing.2", "someone")
    assert 140 < len(first) <= 150
    assert 310 < len(second) <= 320
    np.testing.assert_allclose(second.poses[-1], clip.poses[-1])


def test_a_clip_is_cut_where_the_body_leaps_and_short_pieces_go():
    clip = swinging()
    clip.trans[250:, 2] = 3.0
    (kept,) = clean(clip)
    np.testing.assert_array_equal(kept.trans, clip.trans[:250])


def test_a_clip_is_cut_where_the_pelvis_flips():
    clip = swinging()
    clip.poses[150:, 0] = (0, 1.5, 0)
    first, second = clean(clip)
    assert (len(first), len(second)) == (149, 149)


def test_toes_are_held_within_their_limits():
    clip = swinging()
    clip.poses[:, 10, 0] = 1.0
    assert np.degrees(clean(clip)[0].poses[:, 10, 0]) == pytest.approx(20)


def test_another_frame_rate():
    clip = swinging(301)
    half = clip.at(50)
    np.testing.assert_allclose(half.poses, clip.poses[::2], atol=1e-12)
    np.testing.assert_allclose(half.trans, clip.trans[::2], atol=1e-12)
    other = clip.at(60)
    assert len(other) == 181
    np.testing.assert_allclose(other.trans[:, 0], np.arange(181) / 60, atol=1e-12)
    turned = rotations.axis_angle_to_matrix(other.poses[:, 16])
    expected = rotations.axis_angle_to_matrix(
        np.stack([np.zeros(181), np.zeros(181), 0.5 * np.sin(np.arange(181) / 18)], 1)
    )
    assert rotations.relative_angle(turned, expected).max() < 1e-3


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a"):
        (tmp_path / "Set" / name).mkdir(parents=True)
        np.savez(
            tmp_path / "Set" / name / "walk.npz",
            allow_pickle=False,
            mocap_framerate=np.array(120.0),
            **sequence(count=241),
        )
    return tmp_path / "Set"


def test_built_written_and_loaded(tmp_path, body, folder):
    out = tmp_path / "made" / "library.npz"
    built = build([folder], body)
    built.save(out)
    assert [path.name for path in out.parent.iterdir()] == ["library.npz"]
    loaded = Library.load(out)
    assert len(loaded) == 2
    assert loaded.groups.tolist() == ["Set/a", "Set/b"]
    assert loaded.starts.tolist() == [0, 121, 242]
    assert loaded.frame_rate == 60
    assert (loaded.poses.shape, loaded.poses.dtype) == ((242, 24, 3), np.float32)
    for name in ("poses", "trans", "starts", "names", "groups", "weights"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(built, name))


def test_broken_libraries(tmp_path):
    with pytest.raises(MocapError, match=r"none\.npz is not a library"):
        Library.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", allow_pickle=False, poses=np.zeros(3))
    with pytest.raises(MocapError, match=r"other\.npz is not a library"):
        Library.load(tmp_path / "other.npz")
    empty = {name: np.zeros(0) for name in ("poses", "trans", "starts", "names", "groups", "weights")}
    np.savez(tmp_path / "old.npz", allow_pickle=False, version=0, frame_rate=60.0, **empty)
    with pytest.raises(MocapError, match=r"old\.npz has version 0"):
        Library.load(tmp_path / "old.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"trans": np.zeros((241, 3))},
        {"poses": np.zeros((242, 22, 3))},
        {"starts": np.array([0, 242])},
        {"starts": np.array([0, 121, 300])},
        {"starts": np.array([0, 0, 242])},
        {"groups": np.array(["one"])},
        {"weights": np.array([1.0])},
        {"weights": np.array([0.0, 1.0])},
        {"frame_rate": 0.0},
    ],
)
def test_libraries_whose_arrays_do_not_fit_together(tmp_path, body, folder, change):
    arrays = {**vars(build([folder], body)), **change}
    np.savez(tmp_path / "odd.npz", allow_pickle=False, version=2, **arrays)
    with pytest.raises(MocapError, match=r"^odd\.npz is damaged, .*\.$"):
        Library.load(tmp_path / "odd.npz")


def test_what_many_clips_show_counts_less(body):
    """An hour of standing, and a minute of ten different poses."""
    rng = np.random.default_rng(0)
    still = np.zeros((6000, 24, 3))
    still[:, 0, 1] = np.linspace(0, 6, 6000)
    varied = np.repeat(rng.normal(0, 0.6, (10, 24, 3)), 10, axis=0)
    poses = np.concatenate([still, still, varied])
    weights = clip_weights(body, poses, np.array([0, 6000, 12000, 12100]), 30.0)
    assert weights.sum() == pytest.approx(1)
    # 600 looks each, all 1,200 alike, whichever way they face; and ten of their own.
    seen = np.array([600 / 1200**0.5, 600 / 1200**0.5, 10])
    np.testing.assert_allclose(weights, seen / seen.sum(), rtol=1e-6)


def test_the_frame_rate_can_be_chosen(folder, body):
    assert build([folder], body, frame_rate=30).starts.tolist() == [0, 61, 122]


def test_the_command_line(tmp_path, folder, capsys):
    out = tmp_path / "made"

    def make(source, out):
        return cli.main(["train", "data", "--mocap", str(source), "--out", str(out), "--minutes", "0"])

    assert make(folder, out) == 0
    assert Library.load(out / "library.npz").groups.tolist() == ["Set/a", "Set/b"]
    before = (out / "library.npz").read_bytes()
    assert make(tmp_path / "none.tar", out) == 1
    assert "video-motion: none.tar is not there" in capsys.readouterr().err
    assert (out / "library.npz").read_bytes() == before
    (tmp_path / "a_file").touch()
    assert make(folder, tmp_path / "a_file") == 1
    assert "a_file" in capsys.readouterr().err


def test_motions_too_short_to_keep(tmp_path, body):
    np.savez(tmp_path / "short.npz", allow_pickle=False, mocap_framerate=np.array(60.0), **sequence(count=4))
    with pytest.raises(MocapError, match="no motion of a second"):
        build([tmp_path / "short.npz"], body)


def test_motion_of_a_whole_clip_is_sound(tmp_path, body):
    """Who walks, squats, boxes and kicks in the sample, as a sequence of AMASS."""
    motion = Motion.load(SAMPLE)
    poses = np.zeros((len(motion), 156))
    poses[:, :66] = motion.poses[:, :22].reshape(-1, 66)
    np.savez(tmp_path / "sample.npz", mocap_framerate=np.array(motion.frame_rate), poses=poses, trans=motion.trans)
    library = build([tmp_path / "sample.npz"], body, frame_rate=25)
    assert len(library.poses) > 0.9 * len(motion)
    assert np.isfinite(library.poses).all()
    assert np.isfinite(library.trans).all()
    knees = np.degrees(library.poses[:, 4:6, 0])
    assert knees.min() > -15
    head = library.trans[:, 1] + body.joint_template[15, 1]
    assert np.percentile(head, 50) == pytest.approx(1.5, abs=0.2)
    lowest = body.joints(library.poses, trans=library.trans)[..., 1].min(axis=1)
    assert np.abs(np.percentile(lowest, 10)) < 0.1
