"""Hands: the networks on real pictures, and the fit against hands whose pose is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import registry, spill
from video_motion.inference.body import fingers, rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.footage.reader import Footage
from video_motion.inference.hands import fit
from video_motion.inference.hands.fit import finger_angles, move_hands
from video_motion.inference.hands.landmarker import decode, next_crop
from video_motion.inference.hands.search import MIN_PIXELS, HandSearch, expected_hands
from video_motion.inference.hands.solve import CHAINS, SeenHands, solve
from video_motion.inference.hands.track import FIRST, WRIST, HandTrack
from video_motion.inference.models import load_hands
from video_motion.inference.research.evaluation import drawn
from video_motion.inference.research.evaluation import hands as scores
from video_motion.inference.research.google_networks.networks import CLIP, pictures, recorded

MEDIAPIPE = Path(__file__).parents[2] / "data" / "hands" / "mediapipe.npz"
WRISTS = [JOINT_NAMES.index("left_wrist"), JOINT_NAMES.index("right_wrist")]


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="module")
def acted(body):
    return scores.acted(body, np.random.default_rng(1))


def landmarks_of(motion, body) -> np.ndarray:
    """(n, 2, 21, 3) in camera space: where MediaPipe's points of the hands truly are."""
    turns, inside, _ = scores._hands(motion, body)
    wrists = motion.joints_cam[:, WRISTS]
    chains = np.concatenate([inside[:, :, :15].reshape(-1, 2, 5, 3, 3), inside[:, :, 15:, None]], axis=3)
    points = np.zeros((len(motion), 2, 21, 3))
    points[:, :, CHAINS] = chains
    return wrists[:, :, None] + points @ np.swapaxes(turns, -1, -2)


def seen(motion, body, noise=0.0, hidden=()) -> HandTrack:
    points = landmarks_of(motion, body)
    pixels = drawn.FOCAL * points[..., :2] / points[..., 2:] + drawn.SIZE / 2
    random = np.random.default_rng(2)
    world = points - points.mean(axis=2, keepdims=True)
    # As if the camera looked straight at the hand.
    centre = (pixels.mean(axis=2) - drawn.SIZE / 2) / drawn.FOCAL
    sight = np.concatenate([centre, np.ones((*centre.shape[:2], 1))], axis=-1)
    world = world @ rotations.between(np.broadcast_to([0.0, 0.0, 1.0], sight.shape), sight)
    track = HandTrack(
        motion.frames,
        pixels + random.normal(scale=noise, size=pixels.shape),
        0.8 * world + random.normal(scale=0.004 * noise, size=world.shape),
        np.ones((len(motion), 2)),
    )
    track.scores[list(hidden)] = 0.0
    return track


def test_crops_hold_the_hand():
    """A hand whose fingers point right is turned upright, and held with its fingertips."""
    flat = np.zeros((21, 2))
    flat[1:, 0] = np.tile([40.0, 60.0, 75.0, 90.0], 5)
    flat[:, 1] = [0, *np.repeat([-20.0, -10.0, 0.0, 10.0, 20.0], 4)]
    crop = next_crop(flat + np.array([300.0, 200.0]))
    assert crop[3] == pytest.approx(np.pi / 2)
    assert crop[2] > 100
    assert abs(crop[0] - 345) < 20
    hand = decode(np.full((21, 3), 112.0), np.zeros((21, 3)), 1.0, 0.0, crop)
    np.testing.assert_allclose(hand.landmarks, np.tile(crop[:2], (21, 1)), atol=1e-9)
    assert hand.left == 1.0


def test_networks_give_what_litert_gives():
    """Both of MediaPipe's networks, on crops of a real man, against LiteRT's recorded outputs."""
    models = load_hands("cpu")
    for name, network, size in (
        ("hand_landmark", models.landmarker._network, 224),
        ("palm_detector", models.detector._network, 192),
    ):
        record = recorded(name)
        outputs = [np.stack(values) for values in zip(*network.each(list(pictures(size))), strict=True)]
        for output, values in zip(network.outputs, outputs, strict=True):
            flat = values.reshape(len(values), -1)
            thin = flat[:, :: max(1, flat.shape[1] // 1000)]
            np.testing.assert_allclose(thin, record[output], atol=0.01 * max(1.0, np.abs(record[output]).max()))


def test_real_hands_are_read_as_mediapipe_reads_them():
    """MediaPipe's own pipeline on the same parts of frames of a real man, whose hands are 35 to 60 pixels long."""
    models = load_hands("cpu")
    with Footage(CLIP) as footage:
        images = [frame.image for frame in footage]
    with np.load(MEDIAPIPE) as record:
        theirs = {name: record[name] for name in record.files}
    images = [images[number] for number in theirs["frames"]]
    palms = models.detector.find(images, theirs["regions"])
    hands = models.landmarker.read(images, np.array([found[0] for found in palms]))
    assert len(hands) == 5
    for hand, landmarks, world, left in zip(
        hands, theirs["landmarks"], theirs["world_landmarks"], theirs["left"], strict=True
    ):
        palm = np.linalg.norm(landmarks[FIRST["middle"]] - landmarks[WRIST])
        assert np.linalg.norm(hand.landmarks - landmarks, axis=1).mean() < 0.04 * palm
        assert np.linalg.norm(hand.world_landmarks - world, axis=1).mean() < 0.003
        # It takes pictures for mirrored ones.
        assert (hand.left < 0.5) == left


def test_true_landmarks_give_true_hands(body, acted):
    start = scores._as_estimated(acted, body, np.random.default_rng(3))
    moved = move_hands(start, seen(acted, body), body, smoothing=0.1)
    away = rotations.relative_angle(*map(rotations.axis_angle_to_matrix, (moved.fingers, acted.fingers)))
    assert np.degrees(np.median(away)) < 6
    turns, true = (scores._hands(motion, body)[0] for motion in (moved, acted))
    assert np.degrees(np.median(rotations.relative_angle(turns, true))) < 4
    assert (moved.hand_landmarks[..., 2] == 1).all()
    np.testing.assert_allclose(moved.joints_cam, body.joints(moved.poses_cam, moved.betas, moved.trans_cam))
    others = [joint for joint in range(24) if joint not in WRISTS]
    np.testing.assert_array_equal(moved.poses_cam[:, others], start.poses_cam[:, others])


def test_a_long_motion_in_windows_has_the_hands_that_it_has_whole(body, acted, monkeypatch: pytest.MonkeyPatch):
    start = scores._as_estimated(acted, body, np.random.default_rng(3))
    hands = seen(acted, body, noise=1.0, hidden=range(15, 20))
    whole = move_hands(start, hands, body)
    monkeypatch.setattr(spill, "_WINDOW", 10)
    monkeypatch.setattr(fit, "_TOGETHER", 7)
    monkeypatch.setattr(fit, "MARGIN", 40)
    cut = move_hands(start, hands, body)
    for name in ("poses_cam", "joints_cam", "fingers", "hand_landmarks"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), atol=1e-5, err_msg=name)


def test_hidden_hands_relax_without_a_jump(body, acted):
    start = scores._as_estimated(acted, body, np.random.default_rng(3))
    moved = move_hands(start, seen(acted, body, noise=1.0, hidden=range(15, 45)), body)
    angles = fingers.angles_of(rotations.axis_angle_to_matrix(moved.fingers).reshape(-1, 2, 15, 3, 3))
    assert np.degrees(np.abs(angles[-1] - fingers.RELAXED)).max() < 6
    speeds = np.degrees(np.abs(np.diff(angles, axis=0))) * 30
    assert speeds.max() < 900
    np.testing.assert_allclose(moved.poses_cam[-1, WRISTS], start.poses_cam[-1, WRISTS], atol=np.radians(4))


def test_angles_keep_to_the_limits(body, acted):
    random = np.random.default_rng(4)
    points = random.normal(size=(20, 2, 21, 3))
    angles = finger_angles(points)
    assert (angles >= fingers.LIMITS[..., 0]).all()
    assert (angles <= fingers.LIMITS[..., 1]).all()
    n = len(points)
    straight = np.tile(np.eye(3), (n, 2, 1, 1))
    hands = SeenHands(random.normal(size=(n, 2, 21, 2)), random.normal(size=(n, 2, 21)), np.ones((n, 2)), straight)
    offsets, bones = random.normal(size=(2, 5, 3)), random.normal(size=(2, 5, 3, 3))
    palms, solved = solve(hands, offsets, bones, hands.wrists, angles)
    assert (solved >= fingers.LIMITS[..., 0]).all()
    assert (solved <= fingers.LIMITS[..., 1]).all()
    np.testing.assert_allclose(palms @ np.swapaxes(palms, -1, -2), np.tile(np.eye(3), (n, 2, 1, 1)), atol=1e-9)


def test_nothing_is_run_for_small_hands(body, acted):
    track = drawn.track(acted)
    scale = float(np.median(expected_hands(track, (drawn.SIZE, drawn.SIZE)).scale))
    small = 0.9 * MIN_PIXELS / (0.18 * scale)
    track.landmarks = track.landmarks * small
    search = HandSearch(load_hands("cpu"), [track], (drawn.SIZE, drawn.SIZE), 9.0)
    assert not search.worthwhile
    assert len(search.tracks()[0]) == 0


def test_drawn_hands_are_seen_where_they_are(body, acted):
    """Of a drawn person the landmarks are near the true joints, the left hand's on the left hand."""
    random = np.random.default_rng(1)
    search = HandSearch(load_hands("cpu"), [drawn.track(acted)], (drawn.SIZE, drawn.SIZE), 30.0)
    for _ in search.see(drawn.pictures(acted, body, scores._colours(body, random), random)):
        pass
    hands = search.tracks()[0]
    looked = hands.scores > 0
    assert looked.mean() > 0.4
    points = landmarks_of(acted, body)[hands.frames]
    true = drawn.FOCAL * points[..., :2] / points[..., 2:] + drawn.SIZE / 2
    away = np.linalg.norm(hands.landmarks - true, axis=-1)[looked]
    size = np.linalg.norm(true[:, :, WRIST] - true[:, :, [FIRST["index"], FIRST["pinky"]]].mean(axis=2), axis=-1).max()
    assert np.median(away) < 0.12 * size


def test_bodies_without_fingers_stay_as_they_are(acted, body):
    from dataclasses import replace

    bare = replace(body, fingers=None)
    start = replace(acted, fingers=None)
    assert move_hands(start, seen(acted, body), bare) is start
