import numpy as np
import pytest
from video_motion.inference.body import fingers
from video_motion.inference.body.rotations import axis_angle_to_matrix
from video_motion.inference.body.skeleton import (
    FINGER_TIP_NAMES,
    JOINT_NAMES,
    SMPLH_JOINT_NAMES,
    SMPLH_PARENTS,
)
from video_motion.inference.body.smpl import Body

MILLIMETRE = 1e-3


@pytest.fixture(scope="module")
def handed(body) -> Body:
    return body.with_fingers


def joint(name: str) -> int:
    return SMPLH_JOINT_NAMES.index(name)


def test_joints_are_smplhs(handed):
    """The order of AMASS's poses: 22 of the body, then 15 of each hand, index to thumb."""
    assert SMPLH_JOINT_NAMES[:22] == JOINT_NAMES[:22]
    assert len(SMPLH_JOINT_NAMES) == 52
    assert [joint(name) for name in ("left_index1", "left_pinky1", "left_thumb3", "right_index1")] == [22, 28, 36, 37]
    assert [SMPLH_JOINT_NAMES[SMPLH_PARENTS[joint(name)]] for name in ("left_ring1", "right_thumb2")] == [
        "left_wrist",
        "right_thumb1",
    ]
    assert handed.joint_names == SMPLH_JOINT_NAMES


def test_fingers_of_a_flat_hand_are_straight_and_parallel(handed):
    for betas in (None, np.linspace(-2, 2, 10)):
        rest, tips = handed.rest_joints(betas), dict(zip(FINGER_TIP_NAMES, handed.rest_tips(betas), strict=True))
        for side, sign in (("left", 1.0), ("right", -1.0)):
            for finger in ("index", "middle", "ring", "pinky"):
                points = [*(rest[joint(f"{side}_{finger}{part}")] for part in (1, 2, 3)), tips[f"{side}_{finger}_tip"]]
                bones = np.diff(points, axis=0)
                bones /= np.linalg.norm(bones, axis=1, keepdims=True)
                assert (bones @ [sign, 0, 0] > np.cos(np.radians(14))).all()
                assert np.allclose(bones, bones[0], atol=0.05)


def test_relaxed_fingers_are_the_hands_of_smpls_body(body, handed):
    rng = np.random.default_rng(1)
    poses = rng.normal(0.0, 0.3, (3, 24, 3))
    poses[:, 22:] = 0.0
    both = np.concatenate([poses[:, :22], np.broadcast_to(body.fingers.relaxed, (3, 30, 3))], axis=1)
    betas = np.linspace(-1, 2, 10)
    away = np.linalg.norm(handed.vertices(both, betas) - body.vertices(poses, betas), axis=2)
    assert away.max() < MILLIMETRE
    np.testing.assert_allclose(handed.joints(both, betas)[:, :22], body.joints(poses, betas)[:, :22], atol=1e-9)


def test_hands_are_not_splayed(body):
    """The tips of a relaxed hand are about as far from each other as the knuckles, and below them."""
    points = body.fingers.regressor @ body.v_template
    names = [f"left_{finger}_tip" for finger in ("index", "pinky")]
    index, pinky = (points[30 + FINGER_TIP_NAMES.index(name)] for name in names)
    knuckles = points[[joint("left_index1") - 22, joint("left_pinky1") - 22]]
    assert np.linalg.norm(index - pinky) < 1.25 * np.linalg.norm(np.diff(knuckles, axis=0))
    assert index[1] < knuckles[0, 1] - 0.02
    assert pinky[1] < knuckles[1, 1] - 0.02


def test_a_bent_finger_moves_its_own_skin_alone(handed):
    pose = np.zeros((1, 52, 3))
    pose[0, joint("left_index2")] = 0.8 * fingers.BEND_AXES[0, 0]
    before, after = handed.surface.rest(), handed.vertices(pose)[0]
    moved = np.linalg.norm(after - before, axis=1) > MILLIMETRE
    number = FINGER_TIP_NAMES.index("left_index_tip")
    assert 50 < moved.sum() < 600
    assert np.linalg.norm(before[moved] - handed.rest_tips()[number], axis=1).max() < 0.08
    # Towards the palm, by as much as a bone of the finger's length does.
    assert (after - before)[moved, 1].min() == pytest.approx(-0.035, abs=0.02)


def test_skin_weights_add_up(body, handed):
    np.testing.assert_allclose(handed.weights.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(handed.weights[:, :20], body.weights[:, :20])
    assert (handed.weights > 1e-6).sum(axis=1).max() <= 5


def test_angles_and_rotations_agree():
    rng = np.random.default_rng(2)
    angles = rng.uniform(fingers.LIMITS[..., 0], fingers.LIMITS[..., 1], (6, 2, 5, 4))
    np.testing.assert_allclose(fingers.angles_of(fingers.rotations_of(angles)), angles, atol=1e-9)
    relaxed = axis_angle_to_matrix(fingers.RELAXED_HANDS).reshape(2, 15, 3, 3)
    np.testing.assert_allclose(fingers.angles_of(relaxed), np.stack([fingers.RELAXED] * 2), atol=1e-9)


def test_smpls_files_have_no_fingers(licensed_like_file):
    body = Body.load(licensed_like_file)
    assert body.fingers is None
    assert body.with_fingers is None
