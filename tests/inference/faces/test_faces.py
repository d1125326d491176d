"""Faces: the networks on real portraits, and search and fit against faces that do what is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import registry, spill
from video_motion.inference.body import rotations
from video_motion.inference.body.face import COEFFICIENTS
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.faces import fit
from video_motion.inference.faces.fit import move_face
from video_motion.inference.faces.landmarker import next_crop
from video_motion.inference.faces.search import MIN_PIXELS, FaceSearch, expected_face
from video_motion.inference.faces.track import FaceTrack
from video_motion.inference.faces.turn import turns
from video_motion.inference.hands.search import HandSearch
from video_motion.inference.models import load_faces, load_hands
from video_motion.inference.motion.limits import LIMITS
from video_motion.inference.research.evaluation import drawn
from video_motion.inference.research.evaluation import faces as scores

PORTRAITS = Path(__file__).parents[2] / "data" / "faces"
NECK, HEAD = JOINT_NAMES.index("neck"), JOINT_NAMES.index("head")
SIZE = (drawn.SIZE, drawn.SIZE)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="module")
def models():
    return load_faces("cpu")


@pytest.fixture(scope="module")
def acted(body):
    return scores.acted(body, np.random.default_rng(1), scores.DISTANCES[0], frames=30)


@pytest.fixture(scope="module")
def pictures(body, acted):
    random = np.random.default_rng(1)
    return list(drawn.pictures(acted, body, scores.painted(body, acted.betas, random), random))


@pytest.fixture(scope="module")
def looked_at(models, acted, pictures):
    return seen_in(pictures, FaceSearch(models, [drawn.track(acted)], SIZE, drawn.RATE))


def seen_in(pictures, search):
    for _ in search.see(pictures):
        pass
    return search.tracks()[0]


def heads(motion, body) -> np.ndarray:
    return body.global_rotations(motion.poses_cam)[:, HEAD]


def truly_seen(motion, body, hidden=()) -> FaceTrack:
    """What would be seen by networks without error."""
    place = motion.joints_cam[:, HEAD]
    centers = drawn.FOCAL * place[:, :2] / place[:, 2:] + drawn.SIZE / 2
    sight = np.concatenate([(centers - drawn.SIZE / 2) / drawn.FOCAL, np.ones((len(motion), 1))], axis=1)
    facing = rotations.between(np.broadcast_to([0.0, 0.0, 1.0], sight.shape), sight)
    track = FaceTrack(
        motion.frames, motion.face, np.swapaxes(facing, -1, -2) @ heads(motion, body), centers, np.ones(len(motion))
    )
    track.scores[list(hidden)] = 0.0
    return track


def worst_angle(first, second) -> float:
    return float(np.degrees(rotations.relative_angle(first, second)).max())


@pytest.mark.parametrize("name", ["astronaut", "admiral"])
def test_real_faces_are_read_as_mediapipe_reads_them(models, name):
    image = cv2.imread(str(PORTRAITS / f"{name}.jpg"))
    with np.load(PORTRAITS / "mediapipe.npz") as record:
        landmarks, names = record[f"{name}.landmarks"], record[f"{name}.names"].tolist()
        coefficients = record[f"{name}.coefficients"]
    (face,) = models.landmarker.read([image], next_crop(landmarks)[None])
    assert face.score > 0.99
    # MediaPipe's own crop is from its detector, a little different.
    width = np.ptp(landmarks[:, 0])
    assert np.linalg.norm(face.landmarks[:, :2] - landmarks[:, :2], axis=1).mean() < 0.01 * width
    assert np.abs(face.landmarks[:, 2] - landmarks[:, 2]).mean() < 0.02 * width
    theirs = np.array([coefficients[names.index(one)] if one in names else 0.0 for one in COEFFICIENTS])
    assert np.abs(face.coefficients - theirs).mean() < 0.02
    assert np.abs(face.coefficients - theirs).max() < 0.2
    if name == "astronaut":
        assert face.coefficients[COEFFICIENTS.index("mouthSmileLeft")] > 0.7


def test_heads_turn_between_portraits_as_mediapipe_says():
    with np.load(PORTRAITS / "mediapipe.npz") as record:
        ours = turns(np.stack([record[f"{name}.landmarks"] for name in ("astronaut", "admiral")]).astype(float))
        theirs = np.stack([record[f"{name}.head"][:3, :3] for name in ("astronaut", "admiral")]).astype(float)
    # Their camera looks along −z with y up.
    theirs = np.array([1.0, -1.0, -1.0])[:, None] * theirs
    between = [rotations.matrix_to_axis_angle(one[0].T @ one[1]) for one in (ours, theirs)]
    assert np.degrees(np.linalg.norm(between[1])) > 8
    assert np.degrees(np.linalg.norm(between[0] - between[1])) < 4


def test_nothing_is_read_where_no_face_is(models, pictures):
    (face,) = models.landmarker.read([pictures[0].image], np.array([[120.0, 120.0, 200.0, 0.0]]))
    assert face.score < 0.1


def test_crops_are_turned_with_the_face():
    landmarks = np.random.default_rng(0).uniform(-50, 50, (478, 3))
    landmarks[[33, 263], :2] = [[0.0, -40.0], [0.0, 40.0]]
    crop = next_crop(landmarks)
    assert crop[3] == pytest.approx(np.pi / 2)
    assert crop[2] == pytest.approx(1.5 * np.ptp(landmarks[:, :2], axis=0).max())


def test_drawn_faces_do_what_they_truly_do(acted, body, looked_at):
    start = scores.as_estimated(acted, np.random.default_rng(3))
    moved = move_face(start, looked_at, body)
    # The first looks are at a face that no one has seen yet.
    assert (moved.face_scores > 0).mean() > 0.9
    for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp"):
        column = COEFFICIENTS.index(name)
        if np.ptp(acted.face[:, column]):
            assert np.corrcoef(moved.face[:, column], acted.face[:, column])[0, 1] > 0.75, name
    away = [np.degrees(rotations.relative_angle(heads(one, body), heads(acted, body))).mean() for one in (start, moved)]
    assert away[0] > 10
    assert away[1] < 7


def test_slow_motion_is_looked_at_as_what_it_shows(models, acted, body, pictures):
    """Of a film that plays four times slower as much is seen, of hands, too."""
    slow = [replace(picture, timestamp=4 * picture.timestamp) for picture in pictures[:8]]
    hands = load_hands("cpu")
    for search, of in ((FaceSearch, models), (HandSearch, hands)):
        tracks = [
            seen_in(pictures[:8], search(of, [drawn.track(acted)], SIZE, drawn.RATE)),
            seen_in(slow, search(of, [drawn.track(acted)], SIZE, drawn.RATE / 4, slow_motion=4.0)),
        ]
        for name, array in tracks[0].arrays().items():
            np.testing.assert_array_equal(array, tracks[1].arrays()[name], err_msg=name)


def test_true_faces_give_true_motions(acted, body):
    start = scores.as_estimated(acted, np.random.default_rng(3))
    moved = move_face(start, truly_seen(acted, body), body, smoothing=0.1)
    assert np.abs(moved.face - acted.face).mean() < 0.01
    assert (moved.face_scores == 1).all()
    assert worst_angle(heads(moved, body), heads(acted, body)) < 3
    np.testing.assert_allclose(moved.joints_cam, body.joints(moved.poses_cam, moved.betas, moved.trans_cam))
    others = [joint for joint in range(24) if joint not in (NECK, HEAD)]
    np.testing.assert_array_equal(moved.poses_cam[:, others], start.poses_cam[:, others])
    low, high = LIMITS[[NECK, HEAD], :, 0], LIMITS[[NECK, HEAD], :, 1]
    own = start.poses_cam[:, [NECK, HEAD]]
    assert (moved.poses_cam[:, [NECK, HEAD]] >= np.minimum(low, own) - 1e-9).all()
    assert (moved.poses_cam[:, [NECK, HEAD]] <= np.maximum(high, own) + 1e-9).all()


def test_a_long_motion_in_windows_has_the_face_that_it_has_whole(acted, body, monkeypatch: pytest.MonkeyPatch):
    start = scores.as_estimated(acted, np.random.default_rng(3))
    face = truly_seen(acted, body, hidden=range(12, 18))
    whole = move_face(start, face, body)
    monkeypatch.setattr(spill, "_WINDOW", 10)
    monkeypatch.setattr(fit, "MARGIN", 40)
    cut = move_face(start, face, body)
    for name in ("poses_cam", "joints_cam", "face", "face_scores"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), atol=1e-5, err_msg=name)


def test_hidden_faces_come_to_rest_without_a_jump(acted, body):
    face = np.tile(0.0, acted.face.shape)
    face[:, COEFFICIENTS.index("mouthSmileLeft")] = 0.8
    acted = replace(acted, face=face)
    start = scores.as_estimated(acted, np.random.default_rng(3))
    moved = move_face(start, truly_seen(acted, body, hidden=range(12, 30)), body)
    assert moved.face[5, COEFFICIENTS.index("mouthSmileLeft")] > 0.7
    assert moved.face[-1].max() < 0.1
    assert np.abs(np.diff(moved.face, axis=0)).max() < 0.12
    assert moved.face_scores[-1] == 0
    assert worst_angle(heads(moved, body)[-1:], heads(start, body)[-1:]) < 3


def test_nothing_is_run_for_small_faces(models, acted):
    track = drawn.track(acted)
    scale = float(np.median(expected_face(track, SIZE).scale))
    track.landmarks = track.landmarks * (0.9 * MIN_PIXELS / (0.18 * scale))
    search = FaceSearch(models, [track], SIZE, drawn.RATE)
    assert not search.worthwhile
    assert len(search.tracks()[0]) == 0


def test_close_faces_are_looked_at_more_often_than_small_ones(models, acted, pictures):
    looks = []
    for factor in (1.0, 0.5, 0.28):
        side = round(factor * drawn.SIZE)
        track = drawn.track(acted)
        track.landmarks = track.landmarks * factor
        small = [
            replace(picture, image=cv2.resize(picture.image, (side, side), interpolation=cv2.INTER_AREA))
            for picture in pictures
        ]
        seen = seen_in(small, FaceSearch(models, [track], (side, side), drawn.RATE))
        assert (seen.scores > 0).all()
        looks.append(len(seen))
    # Of 30 frames in a second; until a face is seen it is looked for less often.
    assert looks[0] in (14, 15)
    assert looks[1] in (9, 10)
    assert looks[2] in (5, 6)


def test_faces_that_look_away_are_not_looked_at(models, acted, body):
    away = acted.poses_cam.copy()
    away[:, 0] = [0.0, 0.0, np.pi]
    turned = drawn.acted(body, away, acted.betas, acted.trans_cam)
    assert not FaceSearch(models, [drawn.track(turned)], SIZE, drawn.RATE).worthwhile


def test_motions_of_which_no_face_was_seen_stay_as_they_are(acted, body):
    start = replace(acted, face=None)
    assert move_face(start, truly_seen(acted, body, hidden=range(len(acted))), body) is start


def test_the_bodys_face_moves_by_its_own_names(body):
    """An open jaw lowers the chin, a smile raises its own corner of the mouth, a blink closes its own eye."""
    units = body.face_units
    assert units is not None
    rest = body.v_template[units.vertices]
    moves = dict(zip(COEFFICIENTS, units.moves, strict=True))
    head = body.joint_template[HEAD]
    chin = rest[:, 1] < head[1]
    assert moves["jawOpen"][chin, 1].min() < -0.02
    for name in ("mouthSmile", "eyeBlink", "browDown"):
        for side, sign in (("Left", 1), ("Right", -1)):
            size = np.linalg.norm(moves[name + side], axis=1)
            # The body's left is +x.
            assert np.average(sign * rest[:, 0], weights=size) > 0.01, name + side
    corner = np.linalg.norm(moves["mouthSmileLeft"], axis=1).argmax()
    assert moves["mouthSmileLeft"][corner, 1] > 0.005
    turned = rotations.axis_angle_to_matrix([0.0, np.pi / 2, 0.0])
    coefficients = np.zeros((1, 52))
    coefficients[0, COEFFICIENTS.index("jawOpen")] = 0.5
    moved = body.face_moves(coefficients, np.tile(turned, (1, 24, 1, 1)))
    np.testing.assert_allclose(moved[0], 0.5 * moves["jawOpen"] @ turned.T, atol=1e-6)
