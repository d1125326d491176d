"""The `landmarks` estimator on people whose motion is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference import estimators, registry, spill
from video_motion.inference.body.skeleton import JOINT_NAMES, LANDMARK_NAMES, PARENTS
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion import estimate as landmarks
from video_motion.inference.motion import subject
from video_motion.inference.motion.estimate import as_seen
from video_motion.inference.motion.fit import Fit
from video_motion.inference.motion.footing import Footing
from video_motion.inference.motion.motion import Motion
from video_motion.inference.people import sides
from video_motion.inference.people.track import Track
from video_motion.inference.pose.pose_estimate import PoseEstimate

from . import scenes

GAP = slice(60, 70)


def estimate(body: Body, scene: scenes.Scene, *tracks, **options) -> list[Motion]:
    frames = np.arange(len(scene.timestamps))
    footing = Footing.load(registry.path(estimators.FOOTING))
    return landmarks.estimate(list(tracks), frames, scene.timestamps, scene.camera, body, footing, **options)


def joint_errors(motion: Motion, scene: scenes.Scene) -> np.ndarray:
    """(N, 24) metres, the pelvis being in its place."""
    seen, true = motion.joints_cam - motion.joints_cam[:, :1], scene.joints - scene.joints[:, :1]
    return np.linalg.norm(seen - true, axis=-1)


def world_soles(motion: Motion, body: Body) -> np.ndarray:
    """(N, 4, 3) heels and toes where the file's reader finds them."""
    points = body.landmark_positions(motion.poses, motion.betas, motion.trans)
    return points[:, scenes.SOLES]


def sliding(motion: Motion, scene: scenes.Scene, body: Body) -> float:
    """Mean speed of sole points that stand, metres per second."""
    standing = np.tile(scene.standing, 2)
    moves = np.linalg.norm(np.diff(world_soles(motion, body)[..., :2], axis=0), axis=-1)
    speed = moves / np.diff(scene.timestamps)[:, None]
    return float(speed[standing[1:] & standing[:-1]].mean())


def steps(poses: np.ndarray) -> np.ndarray:
    """(N − 1, 24) degrees by which joints turn from one frame to the next."""
    rotations = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    turns = np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:]
    return np.degrees(Rotation.from_matrix(turns.reshape(-1, 3, 3)).magnitude()).reshape(-1, 24)


def shaking(motion: Motion) -> float:
    return float(np.abs(np.diff(motion.joints_world, 3, axis=0)).mean())


def world_errors(motion: Motion, scene: scenes.Scene) -> np.ndarray:
    """(N, 24) metres; only where the world's origin lies on the floor is free."""
    away = motion.joints_world - scene.world(scene.joints)
    away[..., :2] -= away[0, 0, :2]
    return np.linalg.norm(away, axis=-1)


@pytest.fixture(scope="module")
def lap(body: Body) -> scenes.Scene:
    """Somebody who turns once round."""
    return scenes.walk(as_seen(body), np.arange(150) / 25)


@pytest.fixture(scope="module")
def lap_motion(body: Body, lap: scenes.Scene) -> Motion:
    """As estimated from noisy landmarks, one in ten hidden, nobody seen for ten frames."""
    track = scenes.film(lap, np.random.default_rng(0), hidden=0.1, missing=GAP, number=4)
    return estimate(body, lap, track)[0]


@pytest.fixture(scope="module")
def stroll(body: Body) -> scenes.Scene:
    return scenes.walk(as_seen(body), np.arange(60) / 20)


@pytest.fixture(scope="module")
def stroll_motion(body: Body, stroll: scenes.Scene) -> Motion:
    return estimate(body, stroll, scenes.film(stroll, np.random.default_rng(1), hidden=0.05))[0]


def test_joints_are_near_the_truth(lap: scenes.Scene, lap_motion: Motion):
    errors = joint_errors(lap_motion, lap)
    seen = ~lap_motion.bridged
    assert errors[seen].mean() < 0.027
    assert errors[GAP].mean() < 0.045, "ten frames without anybody"
    assert np.linalg.norm(lap_motion.joints_cam - lap.joints, axis=-1).mean() < 0.10


def test_smaller_errors_than_the_world_landmarks(body: Body, stroll: scenes.Scene, stroll_motion: Motion):
    track = scenes.film(stroll, np.random.default_rng(1), hidden=0.05)
    limbs = [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("knee", "wrist")]
    points = [LANDMARK_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("knee", "wrist")]
    centred = stroll.landmarks - stroll.landmarks[:, scenes.HIPS].mean(1, keepdims=True)
    raw = np.linalg.norm(track.world_landmarks - centred, axis=-1)[:, points].mean()
    assert joint_errors(stroll_motion, stroll)[:, limbs].mean() < 0.7 * raw


def true_estimate(scene: scenes.Scene, sigma: float) -> PoseEstimate:
    """What a network that is right says, and how far off it takes itself to be, metres."""
    n = len(scene.poses)
    return PoseEstimate(
        rotations=Rotation.from_rotvec(scene.poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3),
        pelvis=scene.joints[:, 0],
        betas=np.tile(scene.betas, (n, 1)),
        sigma=np.full((n, 24, 2), sigma),
        gravity=-scene.to_world[:, 2, :3],
        contacts=np.repeat(scene.standing, 2, axis=1).astype(float),
    )


def test_a_network_is_believed_as_far_as_it_is_sure(body: Body, stroll: scenes.Scene):
    """Landmarks show that its arm is wrong: the less sure it was, the more they count."""
    track = scenes.film(stroll, np.random.default_rng(3))
    elbow, wrist = JOINT_NAMES.index("left_elbow"), JOINT_NAMES.index("left_wrist")
    off = []
    for sigma in (0.02, 0.2):
        wrong = true_estimate(stroll, sigma)
        wrong.rotations[:, elbow] = wrong.rotations[:, elbow] @ Rotation.from_rotvec([0, 0, 0.8]).as_matrix()
        (motion,) = estimate(body, stroll, track, pose_estimates=[wrong], estimator="wrong")
        off.append(joint_errors(motion, stroll)[:, wrist].mean())
    assert off[1] < 0.8 * off[0]


def test_a_true_estimate_of_someone_at_the_edge_of_the_picture_stays_true(body: Body):
    """Networks give the root's orientation in the camera's axes, not along the line of sight."""
    scene = scenes.walk(as_seen(body), np.arange(60) / 30, centre=(1.6, 0.0))
    track = scenes.film(scene, np.random.default_rng(3))
    true = true_estimate(scene, 0.03)
    (motion,) = estimate(body, scene, track, pose_estimates=[true], estimator="true")
    assert joint_errors(motion, scene).mean() < 0.02


def test_rows_are_the_frames_of_the_footage(lap: scenes.Scene, lap_motion: Motion):
    np.testing.assert_array_equal(lap_motion.frames, np.arange(150))
    np.testing.assert_array_equal(lap_motion.timestamps, lap.timestamps)
    assert lap_motion.person == 4
    assert lap_motion.estimator == "landmarks"
    np.testing.assert_array_equal(lap_motion.image_size, scenes.SIZE)


def test_gap_is_bridged_and_marked(lap_motion: Motion):
    assert np.flatnonzero(lap_motion.bridged).tolist() == list(range(150))[GAP]
    np.testing.assert_array_equal(lap_motion.scores[GAP], 0)
    np.testing.assert_array_equal(lap_motion.landmarks[GAP], 0)
    assert lap_motion.scores[~lap_motion.bridged].mean() == pytest.approx(0.9, abs=0.03), (
        "one landmark in ten was hidden"
    )
    boxes = lap_motion.boxes[GAP.start - 1 : GAP.stop + 1]
    np.testing.assert_allclose(np.diff(boxes, 2, axis=0), 0, atol=1e-9, err_msg="boxes go straight across the gap")


def test_fields_agree_with_each_other(lap_motion: Motion, body: Body):
    m = lap_motion
    np.testing.assert_allclose(body.joints(m.poses_cam, m.betas, m.trans_cam), m.joints_cam, atol=1e-9)
    np.testing.assert_allclose(body.joints(m.poses, m.betas, m.trans), m.joints_world, atol=1e-9)
    np.testing.assert_allclose(m.rest_pelvis, body.rest_joints(m.betas)[0], atol=1e-12)
    lengths = np.linalg.norm(m.joints_cam[:, 1:] - m.joints_cam[:, PARENTS[1:]], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-9, "bones keep their length"
    assert ((m.scores >= 0) & (m.scores <= 1)).all()
    assert ((m.contacts >= 0) & (m.contacts <= 1)).all()


def test_joints_lie_over_the_person_in_the_image(lap_motion: Motion, lap: scenes.Scene):
    pixels = scenes.project(lap_motion.joints_cam, lap_motion.camera_K)
    true = scenes.project(lap.joints, lap.camera.K)
    height = np.ptp(true[..., 1], axis=1).mean()
    assert np.linalg.norm(pixels - true, axis=-1)[~lap_motion.bridged].mean() < 0.02 * height
    assert ((pixels > 0) & (pixels < scenes.SIZE)).all()


def test_nothing_jumps(lap: scenes.Scene, lap_motion: Motion):
    usual = steps(lap.poses).max(0)
    assert (steps(lap_motion.poses_cam).max(0) < usual + 12).all(), "no flip, not even where the lap passes ±180°"
    assert (steps(lap_motion.poses).max(0) < usual + 12).all()
    path = np.linalg.norm(np.diff(lap_motion.trans, axis=0), axis=1)
    assert path.max() < np.linalg.norm(np.diff(lap.trans, axis=0), axis=1).max() + 0.05


def test_floor_is_under_standing_feet(lap: scenes.Scene, lap_motion: Motion, body: Body):
    true = lap.world(lap.landmarks)[:, scenes.SOLES, 2]
    height = world_soles(lap_motion, body)[..., 2]
    standing = np.tile(lap.standing, 2)
    assert abs((height - true)[standing].mean()) < 0.02
    assert np.quantile(np.abs(height)[standing], 0.9) < 0.06
    assert np.median(np.abs(height)[standing]) < 0.03
    tilt = lap_motion.camera_to_world[0, 2, :3] @ lap.to_world[0, 2, :3]
    assert np.degrees(np.arccos(tilt)) < 3


@pytest.mark.parametrize("pitch", [0, 25])
def test_up_is_found_for_other_cameras(body: Body, pitch: float):
    scene = scenes.walk(as_seen(body), np.arange(40) / 10, pitch=pitch)
    motion = estimate(body, scene, scenes.film(scene, np.random.default_rng(5)))[0]
    tilt = motion.camera_to_world[0, 2, :3] @ scene.to_world[0, 2, :3]
    assert np.degrees(np.arccos(tilt)) < 3
    camera = motion.camera_to_world[0, 2, 3]
    assert camera == pytest.approx(1.5, rel=0.08), "the camera's height above the floor"


def test_contacts_tell_which_foot_stands(lap: scenes.Scene, lap_motion: Motion):
    contacts = lap_motion.contacts > 0.5
    seen = ~lap_motion.bridged
    assert (contacts == lap.standing)[seen].mean() > 0.85
    both = lap.standing.all(1)
    assert contacts[seen & both].mean() > contacts[seen & ~both].mean()


def test_planted_feet_slide_less(body: Body, stroll: scenes.Scene, stroll_motion: Motion):
    track = scenes.film(stroll, np.random.default_rng(1), hidden=0.05)
    free, firm = (estimate(body, stroll, track, feet=strength)[0] for strength in (0.0, 3.0))
    assert sliding(firm, stroll, body) < 0.3 * sliding(free, stroll, body)
    assert sliding(stroll_motion, stroll, body) < 0.3 * sliding(free, stroll, body)
    assert sliding(stroll_motion, stroll, body) < 0.03
    assert joint_errors(stroll_motion, stroll).mean() < joint_errors(free, stroll).mean() + 0.003


def test_smoothing_option(body: Body, stroll: scenes.Scene, stroll_motion: Motion):
    track = scenes.film(stroll, np.random.default_rng(1), hidden=0.05)
    none, calm = (estimate(body, stroll, track, smoothing=strength)[0] for strength in (0.0, 4.0))
    assert shaking(calm) < 0.8 * shaking(stroll_motion)
    assert shaking(stroll_motion) < 0.6 * shaking(none)
    assert joint_errors(stroll_motion, stroll).mean() < joint_errors(none, stroll).mean()


def test_a_long_track_in_windows_moves_as_it_does_whole(body: Body, lap: scenes.Scene, monkeypatch: pytest.MonkeyPatch):
    track = scenes.film(lap, np.random.default_rng(0), hidden=0.1, missing=GAP)
    (whole,) = estimate(body, lap, track)
    monkeypatch.setattr(spill, "_WINDOW", 40)
    monkeypatch.setattr(subject, "MARGIN", 100)
    (cut,) = estimate(body, lap, track)
    np.testing.assert_allclose(cut.joints_world, whole.joints_world, atol=1e-5)
    np.testing.assert_allclose(cut.poses, whole.poses, atol=1e-4)
    np.testing.assert_allclose(cut.contacts, whole.contacts, atol=1e-4)


def test_the_distance_of_who_points_at_the_camera_is_trusted_less(body: Body, stroll: scenes.Scene):
    """Somebody in rest pose, seen upright, half turned towards the camera, and lying with the feet to it."""
    frames = np.arange(len(stroll.timestamps))
    track = scenes.film(stroll, np.random.default_rng(1))
    (person,), _ = landmarks.stand([track], frames, stroll.timestamps, stroll.camera, body)
    tilts = np.repeat([0.0, 45.0, 80.0], len(frames) // 3)
    turns = np.tile(np.eye(3), (len(tilts), 24, 1, 1))
    turns[:, 0] = Rotation.from_euler("x", 180 - tilts[:, None], degrees=True).as_matrix().reshape(-1, 3, 3)
    person.fit = Fit(turns, np.tile([0.0, 0.0, 6.0], (len(tilts), 1)), np.ones((len(tilts), 24)))
    upright, half, lying = person.distance_trust(slice(0, len(tilts))).reshape(3, -1).mean(1)
    assert upright > 0.8
    assert half < 0.02
    assert lying < half / 2


def test_motion_is_not_late(stroll: scenes.Scene, stroll_motion: Motion):
    # The wrists swing; a frame too late or too early fits worse.
    seen, true = (joints[:, [20, 21]] - joints[:, :1] for joints in (stroll_motion.joints_cam, stroll.joints))
    shifted = {lag: np.abs(seen[2 + lag : 58 + lag] - true[2:58]).mean() for lag in (-1, 0, 1)}
    assert shifted[0] < min(shifted[-1], shifted[1])
    assert abs(shifted[-1] - shifted[1]) < 0.4 * max(shifted.values())


def test_turning_camera_and_uneven_times(body: Body):
    random = np.random.default_rng(2)
    times = np.cumsum(random.choice([1 / 40, 1 / 20, 1 / 12], 60))
    shake = np.stack([12 * np.sin(2 * times), 4 * np.sin(3 * times)], axis=1)
    scene = scenes.walk(as_seen(body), times, turns=Rotation.from_euler("yx", shake, degrees=True).as_matrix())
    track = scenes.film(scene, random)
    motion = estimate(body, scene, track)[0]
    np.testing.assert_array_equal(motion.timestamps, times)
    assert motion.camera_moves
    assert world_errors(motion, scene).mean() < 0.08
    assert sliding(motion, scene, body) < 0.25
    without_rotation = replace(scene, camera=replace(scene.camera, rotations=np.tile(np.eye(3), (60, 1, 1))))
    assert world_errors(estimate(body, without_rotation, track)[0], scene).mean() > 0.3, "the rotations matter"


PASSES = {
    "aside": lambda s: np.stack([1.2 * s, 0.02 * np.sin(9 * s), 0 * s], axis=1),
    "nearer": lambda s: np.stack([0.03 * np.sin(8 * s), 0.02 * np.sin(9 * s), 0.6 * s], axis=1),
    "around": lambda s: np.stack([5 * np.sin(0.3 * s), 0 * s, 5 - 5 * np.cos(0.3 * s)], axis=1),
}


@pytest.mark.parametrize("way", PASSES)
def test_people_walk_in_the_world_although_the_camera_walks_too(body: Body, way: str):
    """The size of the camera's travel is not given: it is what lets feet stand."""
    times = np.arange(100) / 25
    turns = Rotation.from_euler("y", np.outer(times, [-0.3 if way == "around" else 0.0])).as_matrix()
    scene = scenes.walk(as_seen(body), times, turns=turns, travel=PASSES[way](times))
    motion = estimate(body, scene, scenes.film(scene, np.random.default_rng(2), hidden=0.05))[0]
    camera, true = motion.camera_to_world[:, :3, 3], scene.to_world[:, :3, 3]
    length, truly = (np.linalg.norm(path[-1] - path[0]) for path in (camera, true))
    assert length == pytest.approx(truly, rel=0.2)
    assert sliding(motion, scene, body) < 0.1
    pelvis = motion.joints_world[:, 0, :2]
    assert np.linalg.norm(np.diff(pelvis, axis=0), axis=1).sum() == pytest.approx(
        np.linalg.norm(np.diff(scene.world(scene.joints)[:, 0, :2], axis=0), axis=1).sum(), rel=0.2
    )


def test_two_people_share_one_world(body: Body):
    times = np.arange(50) / 20
    tall = np.array([1.5, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    one = scenes.walk(as_seen(body), times, centre=(-1.0, 0.0))
    other = scenes.walk(as_seen(body), times, tall, centre=(1.0, 1.2), late=1.3)
    tracks = [
        scenes.film(one, np.random.default_rng(3)),
        scenes.film(other, np.random.default_rng(4), missing=slice(0, 7), number=2),
    ]
    first, second = estimate(body, one, *tracks)
    assert (first.person, second.person) == (1, 2)
    assert second.frames.tolist() == list(range(7, 50))
    np.testing.assert_array_equal(second.timestamps, times[7:])
    np.testing.assert_allclose(first.camera_to_world[7:], second.camera_to_world, atol=1e-12)
    apart = second.joints_world[:, 0] - first.joints_world[7:, 0]
    truly = (other.world(other.joints) - one.world(one.joints))[7:, 0]
    assert np.linalg.norm(apart - truly, axis=1).mean() < 0.25, "2 m apart, 5 m from the camera"
    for motion, scene, start in ((first, one, 0), (second, other, 7)):
        standing = np.tile(scene.standing[start:], 2)
        assert np.median(np.abs(world_soles(motion, body)[..., 2][standing])) < 0.03
    assert second.joints_world[:, 15, 2].mean() > first.joints_world[:, 15, 2].mean() + 0.05


def test_who_stands_on_a_stage_keeps_their_size_and_others_their_floor(body: Body):
    times, stage = np.arange(50) / 20, 0.8
    places = [(-1.2, 0.0), (1.2, 1.0), (0.0, 2.5)]
    walks = [
        scenes.walk(as_seen(body), times, centre=centre, late=0.7 * number) for number, centre in enumerate(places)
    ]
    raised = walks[2].to_world[0, :3, :3].T @ np.array([0, 0, stage])
    walks[2] = replace(
        walks[2], trans=walks[2].trans + raised, joints=walks[2].joints + raised, landmarks=walks[2].landmarks + raised
    )
    tracks = [scenes.film(walk, np.random.default_rng(number), number=number + 1) for number, walk in enumerate(walks)]
    motions = estimate(body, walks[0], *tracks)
    for motion, walk, height in zip(motions, walks, (0.0, 0.0, stage), strict=True):
        soles = world_soles(motion, body)[..., 2][np.tile(walk.standing, 2)]
        assert np.median(soles) == pytest.approx(height, abs=0.12)
        assert body.height(motion.betas) == pytest.approx(body.height(walk.betas), rel=0.06)


def test_beside_somebody_who_climbs_others_stand_on_the_floor(body: Body):
    times = np.arange(80) / 20
    walker = scenes.walk(as_seen(body), times, centre=(-1.2, 0.0))
    climber = scenes.walk(as_seen(body), times, centre=(1.0, 1.0), late=0.7)
    # Comes down from 0.8 m; what is seen of them is a tenth too large, and with it how high they stand.
    above = 0.8 * np.clip((2.2 - times) / 0.3, 0, 1)
    raised = climber.to_world[0, :3, :3].T @ np.array([0, 0, 1]) * above[:, None]
    climber = replace(
        climber,
        trans=climber.trans + raised,
        joints=climber.joints + raised[:, None],
        landmarks=climber.landmarks + raised[:, None],
    )
    tracks = [scenes.film(one, np.random.default_rng(n), number=n + 1) for n, one in enumerate((walker, climber))]
    tracks[1] = replace(tracks[1], world_landmarks=tracks[1].world_landmarks * 1.1)
    motions = estimate(body, walker, *tracks)
    after = np.arange(len(times)) > 50
    for motion, scene, when in ((motions[0], walker, after | True), (motions[1], climber, after)):
        soles = world_soles(motion, body)[..., 2]
        assert np.median(soles[np.tile(scene.standing & when[:, None], 2)]) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_short_tracks(body: Body, n: int):
    scene = scenes.walk(as_seen(body), np.arange(10) / 25)
    track = scenes.film(scene, np.random.default_rng(6), missing=slice(n, None))
    motion = estimate(body, scene, track)[0]
    assert len(motion) == n
    assert np.linalg.norm(motion.joints_cam[:, 16] - scene.joints[:n, 16], axis=-1).max() < 0.4
    short = replace(scene, joints=scene.joints[:n])
    assert joint_errors(motion, short).mean() < 0.05
    assert np.isfinite(motion.poses).all()
    assert np.isfinite(motion.trans).all()


def test_wholly_hidden_person_stays_finite(body: Body):
    scene = scenes.walk(as_seen(body), np.arange(8) / 25)
    motion = estimate(body, scene, scenes.film(scene, np.random.default_rng(7), hidden=1.0))[0]
    for name in ("poses", "trans", "joints_cam", "camera_to_world"):
        assert np.isfinite(getattr(motion, name)).all(), name


def test_progress_is_reported(body: Body):
    reported = []
    scene = scenes.walk(as_seen(body), np.arange(4) / 25)
    estimate(
        body,
        scene,
        scenes.film(scene, np.random.default_rng(8)),
        progress=lambda done, total: reported.append((done, total)),
    )
    done, totals = zip(*reported, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == sorted(set(done))
    assert done[-1] == totals[0]


def test_known_shape_is_kept(body: Body):
    scene = scenes.walk(as_seen(body), np.linspace(0, 1.9, 20))
    track = scenes.film(scene, np.random.default_rng(8))
    known = np.array([0.7, -0.4, 0, 0, 0.2, 0, 0, 0, 0, 0])
    motion = estimate(body, scene, track, shapes={track.number: known})[0]
    np.testing.assert_array_equal(motion.betas, known)
    other = estimate(body, scene, track, shapes={track.number + 1: known})[0]
    assert np.abs(other.betas - known).max() > 0.1


@pytest.fixture(scope="module")
def tall_walk(body: Body) -> tuple[scenes.Scene, Track]:
    """Somebody of 1.93 m as BlazePose sees everybody: of average size, so that nothing in the picture tells it."""
    betas = np.array([2.3, -0.5, 0.4, 0, 0, 0, 0, 0, 0, 0])
    scene = scenes.walk(as_seen(body), np.arange(60) / 20, betas)
    track = scenes.film(scene, np.random.default_rng(11))
    return scene, replace(track, world_landmarks=track.world_landmarks * 0.87)


def stature(body: Body, betas: np.ndarray) -> float:
    vertices, _ = body.shape(betas)
    return float(vertices[:, 1].max() - vertices[:, 1].min())


def depth_error(motion: Motion, scene: scenes.Scene) -> float:
    """Mean of the pelvis's, metres."""
    return float(np.abs(motion.joints_cam[:, 0, 2] - scene.joints[:, 0, 2]).mean())


@pytest.mark.parametrize("network", [False, True], ids=["landmarks", "network"])
def test_the_height_of_a_person_tells_how_far_away_they_are(
    body: Body, tall_walk: tuple[scenes.Scene, Track], network: bool
):
    scene, track = tall_walk
    seen_as_average = replace(true_estimate(scene, 0.03), betas=np.zeros((len(scene.poses), 10)))
    estimates = {"pose_estimates": [seen_as_average], "estimator": "average"} if network else {}
    true = stature(body, scene.betas)
    (without,) = estimate(body, scene, track, **estimates)
    (known,) = estimate(body, scene, track, height=true, **estimates)
    assert abs(stature(body, without.betas) - true) > 0.15, "the picture alone does not tell"
    assert stature(body, known.betas) == pytest.approx(true, abs=0.01)
    assert depth_error(without, scene) > 0.5
    assert depth_error(known, scene) < 0.2 * depth_error(without, scene)
    assert joint_errors(known, scene).mean() < 0.7 * joint_errors(without, scene).mean()
    camera = known.camera_to_world[0, 2, 3]
    assert camera == pytest.approx(1.5, rel=0.08), "the camera's height above the floor"
    (again,) = estimate(body, scene, track, height=true, shapes={track.number: known.betas}, **estimates)
    np.testing.assert_allclose(again.joints_world, known.joints_world, atol=1e-9)


def test_the_body_comes_as_near_to_a_height_as_it_can(body: Body, tall_walk: tuple[scenes.Scene, Track]):
    _, track = tall_walk
    betas = landmarks.shape_of_height(body, track.world_landmarks, track.visibility, 2.6)
    assert np.abs(betas).max() <= 3
    assert 1.95 < stature(body, betas) < 2.3


@pytest.mark.parametrize("height", [2.5, -2.0], ids=["tall", "short"])
def test_limbs_of_tall_and_short_people(body: Body, height: float):
    betas = np.zeros(10)
    betas[0] = height
    scene = scenes.walk(body, np.linspace(0, 5.9, 60), betas)
    track = scenes.film(scene, np.random.default_rng(9), world_noise=(0.01, 0.01), hidden=0.1)
    found = landmarks.shape_from_limbs(body, track.world_landmarks, track.visibility)
    assert np.abs(found).max() <= 3
    for bone in ("knee", "ankle", "elbow", "wrist"):
        joint = JOINT_NAMES.index(f"left_{bone}")
        lengths = [
            np.linalg.norm(body.rest_joints(shape)[joint] - body.rest_joints(shape)[PARENTS[joint]])
            for shape in (betas, found, np.zeros(10))
        ]
        assert lengths[1] == pytest.approx(lengths[0], abs=0.012), bone
        assert abs(lengths[2] - lengths[0]) > 0.012, "somebody of average size would not do"


def test_hidden_limbs_do_not_shape_the_body(body: Body):
    betas = np.array([1.5, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    scene = scenes.walk(body, np.linspace(0, 5.9, 30), betas)
    track = scenes.film(scene, np.random.default_rng(10), world_noise=(0, 0))
    plain = landmarks.shape_from_limbs(body, track.world_landmarks, track.visibility)
    wrist = LANDMARK_NAMES.index("left_wrist")
    track.world_landmarks[:20, wrist] += 1.0
    track.visibility[:20, wrist] = 0
    np.testing.assert_allclose(
        landmarks.shape_from_limbs(body, track.world_landmarks, track.visibility), plain, atol=0.15
    )


@pytest.mark.parametrize("missing", [slice(0, 0), slice(10, 50, 10)], ids=["always found", "with gaps"])
def test_feet_that_nobody_sees_do_not_pull_at_the_body(body: Body, stroll: scenes.Scene, missing: slice):
    track = scenes.film(stroll, np.random.default_rng(1), missing=missing)
    # Somebody filmed to the hips: the legs that BlazePose guesses stay as they were at first.
    legs, hips = slice(25, 33), track.landmarks[:, scenes.HIPS].mean(1, keepdims=True)
    track.visibility[:, legs] = 0.01
    track.landmarks[:, legs] = track.landmarks[:1, legs] + hips - hips[:1]
    track.world_landmarks[:, legs] = track.world_landmarks[:1, legs]
    (motion,) = estimate(body, stroll, track)
    above = [JOINT_NAMES.index(name) for name in ("neck", "head", *sorted(n for n in JOINT_NAMES if "shoulder" in n))]
    across = np.linalg.norm((motion.joints_cam - stroll.joints)[:, above, :2], axis=-1)
    assert across.mean() < 0.008


def test_a_portrait_is_as_near_as_the_head_is_large(body: Body, stroll: scenes.Scene):
    track = scenes.film(stroll, np.random.default_rng(1), pixel_noise=1.0)
    head = slice(0, 11)
    chin = track.landmarks[:, head, 1].max() + 5
    # Below the image BlazePose guesses, and draws all of it towards what it sees.
    middle = np.stack([track.landmarks[:, 0, 0], np.full(len(track), chin)], axis=1)[:, None]
    drawn_in = middle + [0.6, 0.3] * (track.landmarks - middle)
    track.landmarks[:, 11:] = drawn_in[:, 11:]
    track.visibility[:, 13:] = 0.05
    cut = replace(stroll, camera=replace(stroll.camera, size=(scenes.SIZE[0], int(chin))))
    (motion,) = estimate(body, cut, track)
    joint = JOINT_NAMES.index("head")
    distance = motion.joints_cam[:, joint, 2] / stroll.joints[:, joint, 2]
    np.testing.assert_allclose(np.median(distance), 1, atol=0.08)


def estimated(scene: scenes.Scene) -> PoseEstimate:
    """A network's estimate without errors."""
    n = len(scene.timestamps)
    local = Rotation.from_rotvec(scene.poses.reshape(-1, 3)).as_matrix().reshape(n, 24, 3, 3)
    return PoseEstimate(
        rotations=local,
        pelvis=scene.joints[:, 0],
        betas=np.tile(scene.betas, (n, 1)),
        sigma=np.full((n, 24, 2), 0.05),
        gravity=scene.to_world[:, 2, :3] * [-1, -1, -1],
        contacts=np.repeat(scene.standing, 2, axis=1).astype(float),
    )


def test_a_network_that_takes_a_back_for_a_front_for_a_while_is_not_followed(body: Body, stroll: scenes.Scene):
    track, network = scenes.film(stroll, np.random.default_rng(1)), estimated(stroll)
    (right,) = estimate(body, stroll, track, pose_estimates=[network])
    behind = Rotation.from_rotvec([0, np.pi, 0]).as_matrix()
    network.rotations[20:32, 0] = network.rotations[20:32, 0] @ behind
    (motion,) = estimate(body, stroll, track, pose_estimates=[network])
    assert joint_errors(motion, stroll).mean() < joint_errors(right, stroll).mean() + 0.015
    assert joint_errors(motion, stroll)[18:34].max() < 0.25


def test_landmarks_whose_sides_change_while_the_body_does_not_are_not_followed(body: Body, stroll: scenes.Scene):
    track, network = scenes.film(stroll, np.random.default_rng(1)), estimated(stroll)
    (right,) = estimate(body, stroll, track, pose_estimates=[network])
    wrong = np.zeros((len(track), len(sides.GROUPS)), bool)
    wrong[8:20] = True
    exchanged = sides.with_sides_exchanged(track, wrong)
    (motion,) = estimate(body, stroll, exchanged, pose_estimates=[network])
    np.testing.assert_allclose(motion.joints_world, right.joints_world, atol=0.01)
