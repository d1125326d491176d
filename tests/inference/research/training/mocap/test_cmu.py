from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.research.training.mocap.cmu import NAMES, read_cmu
from video_motion.inference.research.training.mocap.recording import MocapError

from .made_up import PARENTS


@pytest.fixture
def arrays(offsets) -> dict[str, np.ndarray]:
    """Two clips of three frames and two; x, y and z of the root, then 38 times an exponential map."""
    frames = np.zeros((5, 117), dtype=np.float32)
    frames[:, 1] = 20
    return {
        "frames": frames,
        "clip_names": np.array(["train_walking_extra/walking_9", "test_jumping/jumping_1"]),
        "clip_lengths": np.array([3, 2]),
        "parents": np.array(PARENTS),
        "offsets_m": offsets.astype(np.float32),
        "expmap_index": np.arange(3, 117).reshape(38, 3),
        "fps": np.array(120.0),
        "root_unit_m": np.array(0.05),
    }


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, allow_pickle=False, **arrays)
    return path


def test_clips_names_and_the_first_frame(tmp_path, arrays):
    walking, jumping = read_cmu(write(tmp_path / "actions.npz", arrays))
    assert (walking.name, walking.group, len(walking)) == ("train_walking_extra/walking_9", "walking", 2)
    assert (jumping.name, jumping.group, len(jumping)) == ("test_jumping/jumping_1", "jumping", 1)
    assert walking.frame_rate == 120
    np.testing.assert_allclose(walking.positions[0, 0], [0, 1, 0])


def test_positions_worked_out_by_hand(tmp_path, arrays):
    # Row vectors: exp(90° about z) takes (x, y) to (y, −x), so the left thigh, straightened here, points to −x.
    femur, tibia, foot = (NAMES.index(name) for name in ("lfemur", "ltibia", "lfoot"))
    arrays["offsets_m"][tibia] = arrays["offsets_m"][foot] = (0, -0.4, 0)
    arrays["frames"][:, 3 + 3 * femur + 2] = np.pi / 2
    # Then the knee about x, in axes that the thigh has turned: −x stays where it is, so the shin leaves it upwards.
    arrays["frames"][:, 3 + 3 * tibia] = np.pi / 2
    recording = next(read_cmu(write(tmp_path / "actions.npz", arrays)))
    hip = np.array([0.09, 1 - 0.1, 0.03])
    np.testing.assert_allclose(recording.positions[0, femur], hip, atol=1e-6)
    np.testing.assert_allclose(recording.positions[0, tibia], hip + np.array([-0.4, 0, 0]), atol=1e-6)
    # exp(90° about x) takes the row (0, −0.4, 0) to (0, 0, 0.4); the thigh leaves z alone.
    np.testing.assert_allclose(recording.positions[0, foot], hip + np.array([-0.4, 0, 0.4]), atol=1e-6)


@pytest.mark.parametrize("start", [-2.6, 0.3])
def test_the_roots_angles_are_put_together_as_the_original_does(tmp_path, arrays, start):
    """A person who leans by 10° and turns once around: what the file makes of the original's angles is undone."""

    def about(axis: int, angle: np.ndarray) -> np.ndarray:
        return rotations.axis_angle_to_matrix(angle[:, None] * np.eye(3)[axis])

    count = 400
    true = about(1, start + np.linspace(0, 2 * np.pi, count)) @ about(0, np.full(count, np.radians(10.0)))
    y = np.arcsin(-true[:, 2, 0])
    z, x = np.arctan2(true[:, 1, 0], true[:, 0, 0]), np.arctan2(true[:, 2, 1], true[:, 2, 2])
    np.testing.assert_allclose(about(2, z) @ about(1, y) @ about(0, x), true, atol=1e-6)
    arrays["frames"] = np.zeros((count + 1, 117))
    # The file turns row vectors.
    arrays["frames"][1:, 3:6] = -rotations.matrix_to_axis_angle(about(2, z) @ about(0, x) @ about(1, y))
    arrays["clip_names"], arrays["clip_lengths"] = np.array(["walking/walking_1"]), np.array([count + 1])
    (recording,) = read_cmu(write(tmp_path / "actions.npz", arrays))
    np.testing.assert_allclose(recording.rotations[:, 0], true, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": None}, "has no array fps"),
        ({"clip_lengths": np.array([3, 3])}, "has other frames"),
        ({"frames": np.zeros((5, 50))}, "has other frames"),
        ({"frames": np.full((5, 117), np.nan)}, "not finite in train_walking_extra/walking_9"),
        ({"clip_names": np.array([{}, {}], dtype=object)}, "can't be read"),
    ],
)
def test_broken_files(tmp_path, arrays, change, message):
    changed = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    np.savez(tmp_path / "actions.npz", allow_pickle=True, **changed)
    with pytest.raises(MocapError, match=rf"^actions\.npz .*{message}.*\.$|^actions\.npz {message}.*\.$"):
        list(read_cmu(tmp_path / "actions.npz"))


def test_a_missing_file_and_one_that_is_no_archive(tmp_path):
    with pytest.raises(MocapError, match=r"none\.npz"):
        list(read_cmu(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(MocapError, match=r"text\.npz"):
        list(read_cmu(tmp_path / "text.npz"))
