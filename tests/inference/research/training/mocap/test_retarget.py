import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_MIRROR, JOINT_NAMES
from video_motion.inference.motion.limits import LIMITS
from video_motion.inference.research.training.mocap.cmu import NAMES
from video_motion.inference.research.training.mocap.grounding import sole_vertices
from video_motion.inference.research.training.mocap.recording import MocapError, Recording
from video_motion.inference.research.training.mocap.retarget import retarget

OURS, THEIRS = JOINT_NAMES.index, NAMES.index
SEGMENTS = (
    ("hip", "knee", "femur", "tibia"),
    ("knee", "ankle", "tibia", "foot"),
    ("shoulder", "elbow", "humerus", "radius"),
    ("elbow", "wrist", "radius", "wrist"),
)
LEGS_DOWN: dict[str, tuple[float, float, float]] = {"lfemur": (0, 0, -20), "rfemur": (0, 0, 20)}


def pose(still: np.ndarray, degrees: dict[str, tuple[float, float, float]]) -> np.ndarray:
    local = still.copy()
    for name, turn in degrees.items():
        local[:, THEIRS(name)] = rotations.axis_angle_to_matrix(np.radians(np.array(turn, dtype=float)))
    return local


def wild(rng: np.random.Generator, count: int) -> np.ndarray:
    return rotations.axis_angle_to_matrix(rng.normal(0, 0.5, (count, len(NAMES), 3)))


def angles(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def limb_angles(body, source: Recording) -> np.ndarray:
    """(8, N) degrees between each limb's segments and the source's."""
    clip = retarget(source, body)
    joints = body.joints(clip.poses, trans=clip.trans)
    return np.stack(
        [
            angles(
                joints[:, OURS(f"{side}_{end}")] - joints[:, OURS(f"{side}_{start}")],
                source.positions[:, source.joint(side[0] + below)] - source.positions[:, source.joint(side[0] + above)],
            )
            for side in ("left", "right")
            for start, end, above, below in SEGMENTS
        ]
    )


def between_sides(points: np.ndarray, left: int, right: int) -> np.ndarray:
    return (points[:, left] + points[:, right]) / 2


def trunk_angles(body, source: Recording) -> np.ndarray:
    """(N,) degrees between the lines from the hips to the shoulders."""
    clip = retarget(source, body)
    ours, theirs = body.joints(clip.poses, trans=clip.trans), source.positions
    return angles(
        between_sides(ours, OURS("left_shoulder"), OURS("right_shoulder"))
        - between_sides(ours, OURS("left_hip"), OURS("right_hip")),
        between_sides(theirs, source.joint("lhumerus"), source.joint("rhumerus"))
        - between_sides(theirs, source.joint("lfemur"), source.joint("rfemur")),
    )


def test_limbs_point_where_the_sources_do(body, recording):
    source = recording(wild(np.random.default_rng(1), 50))
    assert limb_angles(body, source).max() < 0.01


def test_a_person_who_stands_is_our_body_at_rest(body, recording, still):
    clip = retarget(recording(pose(still, LEGS_DOWN)), body)
    turn = np.degrees(np.linalg.norm(clip.poses[0], axis=-1))
    # The arms keep the different rest of the elbow's axis and, with it, of the forearm; the back and the neck undo
    # between them what our shoulders are farther in front at rest.
    free = [OURS(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "elbow", "wrist")]
    assert np.delete(turn, [*free, *(OURS(name) for name in ("spine1", "neck", "head"))]).max() < 6
    assert -15 < np.degrees(clip.poses[0, OURS("spine1"), 0]) < 0
    joints = body.joints(clip.poses)[0]
    np.testing.assert_allclose((joints[OURS("left_wrist")] - joints[OURS("left_shoulder")])[1:], 0, atol=0.02)


def test_shoulders_are_above_the_hips_as_the_sources(body, recording, still):
    bent = pose(still, {**LEGS_DOWN, "root": (30, 50, 0)})
    for local in (pose(still, LEGS_DOWN), bent):
        assert trunk_angles(body, recording(local)).max() < 2


def test_elbows_and_knees_bend_about_their_own_axis(body, recording, still):
    hinge = np.radians(90) * np.array([0, -np.cos(np.pi / 6), np.sin(np.pi / 6)])
    # The knee's axis is across the leg, which at rest is 20° off the vertical.
    across = 70 * np.array([np.cos(np.radians(20)), np.sin(np.radians(20)), 0])
    local = pose(still, {**LEGS_DOWN, "ltibia": tuple(across)})
    local[:, THEIRS("lradius")] = rotations.axis_angle_to_matrix(hinge)
    # The forearm turned to where the hand lies in line with it, so that nothing of a twist is left to share.
    local[:, THEIRS("lwrist")] = rotations.axis_angle_to_matrix(np.radians([-30.0, 0, 0]))
    poses = np.degrees(retarget(recording(local), body).poses[0])
    np.testing.assert_allclose(poses[OURS("left_elbow")], [0, -90, 0], atol=0.1)
    np.testing.assert_allclose(poses[OURS("left_wrist")], 0, atol=0.1)
    np.testing.assert_allclose(poses[OURS("left_knee")], [70, 0, 0], atol=4)


def test_forearm_and_hand_share_a_twist(body, recording, still):
    local = pose(still, {"lwrist": (-90, 0, 0)})
    poses = np.degrees(retarget(recording(local), body).poses[0])
    np.testing.assert_allclose(poses[OURS("left_elbow")], [-30, 0, 0], atol=0.1)
    np.testing.assert_allclose(poses[OURS("left_wrist")], [-30, 0, 0], atol=0.1)


def test_a_hand_that_is_turned_far_does_not_flip_the_forearm(body, recording, still):
    clips = [
        retarget(recording(pose(still, {"lwrist": (turn, 0, 0), "rwrist": (turn, 0, 0)})), body)
        for turn in (-200.0, -215.0)
    ]
    turns = np.degrees(clips[0].poses[0] - clips[1].poses[0])
    for side in ("left", "right"):
        np.testing.assert_allclose(turns[OURS(f"{side}_elbow")], [7.5, 0, 0], atol=0.1)


def test_the_head_turns_as_the_sources(body, recording, still):
    clip = retarget(recording(pose(still, {"upperneck": (0, 40, 0)})), body)
    ahead = body.global_rotations(clip.poses)[0, OURS("head")] @ [0.0, 0.0, 1.0]
    assert np.degrees(np.arctan2(ahead[0], ahead[2])) == pytest.approx(40, abs=0.1)
    np.testing.assert_allclose(clip.poses[0, OURS("neck")], clip.poses[0, OURS("head")], atol=1e-6)


def test_a_mirrored_recording_gives_the_mirrored_clip(body, recording):
    rng = np.random.default_rng(2)
    turns, root = rng.normal(0, 0.4, (20, len(NAMES), 3)), rng.normal(0, 1, (20, 3))
    other = [
        THEIRS({"l": "r", "r": "l"}[name[0]] + name[1:])
        if name[0] in "lr" and not name.startswith(("root", "lower"))
        else THEIRS(name)
        for name in NAMES
    ]
    mirrored = turns[:, other] * (1, -1, -1)
    clip = retarget(recording(rotations.axis_angle_to_matrix(turns), root), body)
    twin = retarget(recording(rotations.axis_angle_to_matrix(mirrored), root * (-1, 1, 1)), body)
    expected = rotations.axis_angle_to_matrix(clip.poses[:, list(JOINT_MIRROR)] * (1, -1, -1))
    difference = rotations.relative_angle(rotations.axis_angle_to_matrix(twin.poses), expected)
    # Our body is as good as symmetric.
    assert np.degrees(difference).max() < 0.5
    np.testing.assert_allclose(twin.trans, clip.trans * (-1, 1, 1), atol=0.01)


def test_feet_stand_on_the_floor_and_a_leap_does_not_lift_it(body, recording, still):
    local = np.tile(pose(still, LEGS_DOWN)[:1], (120, 1, 1, 1))
    root = np.tile([2.0, 7.0, 1.0], (120, 1))
    leap = np.arange(40, 80)
    root[leap, 1] += 0.5 * np.sin(np.pi * (leap - 40) / 40)
    clip = retarget(recording(local, root), body)
    heights = body.vertices_subset(sole_vertices(body), clip.poses, trans=clip.trans)[..., 1].min(axis=1)
    np.testing.assert_allclose(heights[:40], 0, atol=0.01)
    assert heights[60] > 0.3


def test_the_root_moves_in_proportion_to_the_legs(body, recording, still, offsets):
    local = pose(still, LEGS_DOWN)
    clip = retarget(recording(local, np.array([[0, 1, 0], [1, 1, 0], [1, 1, 2.0]])), body)
    rest = body.joint_template
    leg = np.linalg.norm(np.diff(rest[[OURS("left_hip"), OURS("left_knee"), OURS("left_ankle")]], axis=0), axis=1).sum()
    theirs = np.linalg.norm(offsets[[THEIRS("ltibia"), THEIRS("lfoot")]], axis=1).sum()
    np.testing.assert_allclose(np.diff(clip.trans, axis=0), [[leg / theirs, 0, 0], [0, 0, 2 * leg / theirs]], atol=1e-3)


def test_natural_poses_are_within_anatomical_limits(body, recording, still):
    walking = {
        **LEGS_DOWN,
        "lfemur": (-30, 0, -20),
        "ltibia": (20, 0, 0),
        "lhumerus": (0, 0, -75),
        "lwrist": (-70, 0, 0),
    }
    poses = retarget(recording(pose(still, walking)), body).poses[0]
    beyond = np.maximum(poses - LIMITS[..., 1], LIMITS[..., 0] - poses)
    assert np.degrees(beyond[OURS("neck") :].max()) < 15
    assert np.degrees(beyond.max()) < 15


def test_another_skeleton_is_refused_in_one_sentence(body, recording, still):
    made = recording(still)
    other = Recording(
        "a_horse", "horses", 60.0, ("root",), (-1,), made.offsets[:1], made.rotations[:, :1], made.positions[:, :1]
    )
    with pytest.raises(MocapError, match=r"^a_horse has no joint \w+: .*\.$"):
        retarget(other, body)
