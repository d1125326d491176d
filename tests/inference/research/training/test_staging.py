"""Staged sequences agree with their truth, which is posed again here."""

from __future__ import annotations

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.training import staging
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.staging import Director, Stage, slow_curves
from video_motion.inference.research.training.synthesis.contact import SOLES
from video_motion.inference.research.training.synthesis.filming import FORMATS

COUNT, FRAMES = 60, 40
STANDING, JUMPING = np.array([0, 2, 4]), np.array([1, 3, 5])


def posed(stage: Stage, body: Body) -> np.ndarray:
    """(B, T, 33, 3) landmarks of the true bodies, in camera axes."""
    count, frames = stage.pelvis.shape[:2]
    betas = np.repeat(stage.betas, frames, axis=0)
    trans = stage.pelvis.reshape(-1, 3) - body.rest_joints(betas)[:, 0]
    marks = body.landmark_positions(stage.local.reshape(-1, 24, 3, 3).astype(float), betas, trans)
    return marks.reshape(count, frames, 33, 3)


def heights(stage: Stage, points: np.ndarray) -> np.ndarray:
    """(B, T, ...) of points (B, T, ..., 3) above the camera."""
    return -np.einsum("bt...i,bti->bt...", points, stage.gravity)


@pytest.fixture(scope="module")
def filmed(body: Body, performers: Library) -> tuple[Stage, np.ndarray]:
    director = Director(performers, np.arange(6), body, "train")
    return director.stage(COUNT, FRAMES, np.random.default_rng(0))


def test_landmarks_are_those_of_the_posed_body(filmed: tuple[Stage, np.ndarray], body: Body):
    stage, landmarks = filmed
    np.testing.assert_allclose(landmarks, posed(stage, body), atol=1e-4)
    np.testing.assert_allclose(np.linalg.det(stage.local), 1, atol=1e-4)


def test_a_director_repeats_nothing_and_a_seed_everything(body: Body, performers: Library):
    director = Director(performers, np.arange(6), body, "train")
    first, again, other = (director.stage(8, FRAMES, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, getattr(again, name), name)
    assert (np.abs(first.local - other.local).max((2, 3, 4)) > 1e-3).all()


def test_people_are_in_the_picture(filmed: tuple[Stage, np.ndarray]):
    stage, landmarks = filmed
    assert {tuple(size) for size in stage.size.astype(int).tolist()} <= set(FORMATS["train"])
    assert (stage.pelvis[..., 2] > 0.5).all()
    pixels = landmarks[..., :2] / landmarks[..., 2:] * stage.camera_K[:, None, None, 0, :1]
    pixels += stage.camera_K[:, None, None, :2, 2]
    inside = ((pixels > 0) & (pixels < stage.size[:, None, None])).all(-1)
    assert inside.mean() > 0.8
    assert (inside.mean((1, 2)) > 0.3).mean() > 0.95


def test_gravity_is_the_same_wherever_the_camera_turns(filmed: tuple[Stage, np.ndarray]):
    stage, _ = filmed
    np.testing.assert_allclose(np.linalg.norm(stage.gravity, axis=-1), 1, atol=1e-6)
    in_first = np.einsum("btij,btj->bti", stage.camera_turns, stage.gravity)
    np.testing.assert_allclose(in_first, np.broadcast_to(stage.gravity[:, :1], in_first.shape), atol=1e-5)
    np.testing.assert_allclose(stage.camera_turns[:, 0], np.broadcast_to(np.eye(3), (COUNT, 3, 3)), atol=1e-6)
    assert (np.abs(stage.camera_turns[:, -1] - np.eye(3)).max((1, 2)) > 1e-3).mean() > 0.4


def recorded(performers: Library, clips: np.ndarray, body: Body, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Performances of clips as recorded, undisturbed, for a camera that may turn but stands still."""
    monkeypatch.setattr(staging, "_movement", lambda count, frames, *_: np.zeros((2, count, frames, 3)))
    monkeypatch.setattr(staging.motions, "DISTURBANCE", 0 * staging.motions.DISTURBANCE)
    stage, _ = Director(performers, clips, body, "train").stage(COUNT, FRAMES, np.random.default_rng(3))
    rows = stage.contacts_known
    assert 0.35 < rows.mean() < 0.75
    return Stage(**{name: values[rows] for name, values in vars(stage).items()})


def test_gravity_points_from_head_to_feet_of_people_who_stand(
    performers: Library, body: Body, monkeypatch: pytest.MonkeyPatch
):
    stage = recorded(performers, STANDING, body, monkeypatch)
    joints = posed(stage, body)
    down = joints[:, :, SOLES].mean(2) - joints[:, :, 0]
    down /= np.linalg.norm(down, axis=-1, keepdims=True)
    assert (np.einsum("bti,bti->bt", down, stage.gravity) > 0.98).all()


def test_feet_that_stand_are_in_contact(performers: Library, body: Body, monkeypatch: pytest.MonkeyPatch):
    stage = recorded(performers, STANDING, body, monkeypatch)
    assert stage.contacts.all()


def test_feet_that_fly_are_not_in_contact(performers: Library, body: Body, monkeypatch: pytest.MonkeyPatch):
    stage = recorded(performers, JUMPING, body, monkeypatch)
    soles = heights(stage, posed(stage, body)[:, :, SOLES])
    above = soles - soles.min((1, 2), keepdims=True)
    assert np.ptp(above, axis=(1, 2)).min() > 0.2
    assert not stage.contacts[above > 0.1].any()
    assert 0.02 < stage.contacts.mean() < 0.4
    standing = np.flatnonzero(stage.contacts.all(-1).any(1))
    assert len(standing) > 0.3 * len(above)


def test_contacts_are_unknown_where_there_is_no_floor(filmed: tuple[Stage, np.ndarray]):
    """Made-up motions have none; about half are recorded."""
    assert 0.35 < filmed[0].contacts_known.mean() < 0.75


def test_what_is_mirrored_is_the_mirror_image(body: Body, performers: Library, monkeypatch: pytest.MonkeyPatch):
    """Everybody who waves only the right arm waves the left one once mirrored."""
    poses = np.zeros_like(performers.poses)
    poses[:, JOINT_NAMES.index("right_shoulder"), 2] = 1.2
    poses[:, JOINT_NAMES.index("left_shoulder"), 2] = -0.4
    still = Library(**{**vars(performers), "poses": poses, "trans": 0 * performers.trans})
    stage = recorded(still, STANDING, body, monkeypatch)
    angles = rotations.matrix_to_axis_angle(stage.local.astype(float))
    left, right = (angles[:, 0, JOINT_NAMES.index(f"{side}_shoulder"), 2] for side in ("left", "right"))
    plain = left > -0.8
    assert 0.3 < plain.mean() < 0.7
    np.testing.assert_allclose(left, np.where(plain, -0.4, -1.2), atol=1e-4)
    np.testing.assert_allclose(right, np.where(plain, 1.2, 0.4), atol=1e-4)


def test_recorded_motion_runs_at_its_own_speed(body: Body, performers: Library, monkeypatch: pytest.MonkeyPatch):
    """Jumpers of the performers leave the floor twice a second, at whatever rate they are filmed, give or take."""
    stage = recorded(performers, JUMPING, body, monkeypatch)
    soles = heights(stage, posed(stage, body)[:, :, SOLES]).min(-1)
    airborne = soles - soles.min(1, keepdims=True) > 0.2
    landings = (np.diff(airborne.astype(int), axis=1) < 0).sum(1) / (FRAMES / stage.rate)
    assert 1.2 < landings.mean() < 2.6


def test_curves_are_smooth_random_and_of_unit_size():
    rate = np.full(400, 30.0)
    curves = slow_curves(400, 60, rate, (3,), (0.5, 0.5), np.random.default_rng(0))
    assert curves.shape == (400, 60, 3)
    assert curves.std() == pytest.approx(1, abs=0.3)
    assert abs(curves.mean()) < 0.1
    # Over half a second, that is 15 frames, they change; from one frame to the next hardly.
    assert np.abs(curves[:, 15:] - curves[:, :-15]).mean() > 0.5
    assert np.abs(np.diff(curves, axis=1)).max() < 0.5
    assert np.abs(np.diff(curves, 2, axis=1)).max() < 0.15
