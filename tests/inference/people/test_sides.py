"""Left and right over a track: exchanges put into a walk are all found, and nothing else is changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from video_motion.inference.footage.reader import Footage
from video_motion.inference.people import sides
from video_motion.inference.people.blazepose import BlazePose
from video_motion.inference.people.track import Track
from video_motion.inference.people.tracker import Tracker

from .conftest import REAL, SAMPLE

BODY, ARMS, LEGS = range(3)
PLACES = {
    "shoulder": (0.18, -0.5), "elbow": (0.22, -0.22), "wrist": (0.24, 0.03), "pinky": (0.25, 0.1),
    "index": (0.24, 0.11), "thumb": (0.23, 0.06), "hip": (0.1, 0.0), "knee": (0.1, 0.42), "ankle": (0.1, 0.82),
    "heel": (0.1, 0.86), "foot": (0.1, 0.88), "ear": (0.08, -0.68), "eye": (0.03, -0.7), "mouth": (0.02, -0.62),
}  # fmt: skip
SWING = {"elbow": 0.1, "wrist": 0.22, "pinky": 0.24, "index": 0.24, "thumb": 0.22, "knee": -0.18, "ankle": -0.3}
SWING |= {"heel": -0.3, "foot": -0.3}


def walk(rate: float, turning: float, frames: int = 80) -> Track:
    """Someone who walks at two steps a second, 3 m away, and turns by some degrees a second; noise as of landmarks."""
    time = np.arange(frames) / rate
    points = np.zeros((frames, 33, 3))
    for number, name in enumerate(LANDMARK_NAMES):
        words = name.split("_")
        side = 1.0 if "left" in words else -1.0 if "right" in words else 0.0
        part = next((word for word in words if word in PLACES), "mouth")
        across, down = PLACES[part]
        points[:, number] = [side * across, down, 0.0]
        points[:, number, 2] += side * SWING.get(part, 0.0) * np.sin(2 * np.pi * time)
    angle = np.radians(20 + turning * time)
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    points[..., [0, 2]] = points[..., [0, 2]] @ turn
    generator = np.random.default_rng(0)
    pixels = 300 + 200 * (points[..., :2] + 0.5 * time[:, None, None]) / (1 + points[..., 2:] / 3)
    sure = np.ones((frames, 33))
    crops = np.tile([300.0, 300.0, 450.0, 0.0], (frames, 1))
    return Track(
        number=1,
        frames=np.arange(frames),
        timestamps=time,
        landmarks=pixels + 3 * generator.normal(size=pixels.shape),
        visibility=sure,
        presence=sure,
        world_landmarks=points + 0.02 * generator.normal(size=points.shape),
        crops=crops,
        boxes=crops,
        scores=np.ones(frames),
        maps=np.full(frames, -1),
    )


def exchange(n: int, runs: dict[tuple[int, int], list[int]]) -> np.ndarray:
    exchanged = np.zeros((n, 3), bool)
    for (first, last), groups in runs.items():
        exchanged[first : last + 1, groups] = True
    return exchanged


@pytest.mark.parametrize("rate", [12.0, 25.0, 60.0])
@pytest.mark.parametrize("turning", [0.0, 60.0, -120.0])
def test_clean_walks_stay_as_they_are(rate: float, turning: float):
    assert not sides.exchanged_sides(walk(rate, turning)).any()


@pytest.mark.parametrize("rate", [12.0, 25.0, 60.0])
@pytest.mark.parametrize("turning", [0.0, 15.0])
def test_exchanges_of_the_whole_body_are_all_found(rate: float, turning: float):
    track = walk(rate, turning)
    true = exchange(len(track), {(5, 5): [0, 1, 2], (20, 31): [0, 1, 2], (33, 34): [0, 1, 2], (70, 79): [0, 1, 2]})
    seen = sides.with_sides_exchanged(track, true)
    found = sides.exchanged_sides(seen)
    np.testing.assert_array_equal(found, true)
    mended = sides.with_sides_exchanged(seen, found)
    np.testing.assert_array_equal(mended.landmarks, track.landmarks)
    np.testing.assert_array_equal(mended.world_landmarks, track.world_landmarks)


def test_legs_alone_are_found():
    track = walk(25.0, 0.0)
    true = exchange(len(track), {(41, 44): [LEGS]})
    found = sides.exchanged_sides(sides.with_sides_exchanged(track, true))
    np.testing.assert_array_equal(found, true)


def test_groups_take_their_landmarks_along():
    track = walk(25.0, 0.0, 2)
    changed = sides.with_sides_exchanged(track, exchange(2, {(1, 1): [ARMS]}))
    np.testing.assert_array_equal(changed.landmarks[0], track.landmarks[0])
    moved = (changed.world_landmarks[1] != track.world_landmarks[1]).any(axis=-1)
    arms = [
        number
        for number, name in enumerate(LANDMARK_NAMES)
        if name.split("_")[1:] in (["elbow"], ["wrist"], ["pinky"], ["thumb"], ["index"])
    ]
    assert np.flatnonzero(moved).tolist() == arms
    left, right = LANDMARK_NAMES.index("left_wrist"), LANDMARK_NAMES.index("right_wrist")
    np.testing.assert_array_equal(changed.world_landmarks[1, left, :2], track.world_landmarks[1, right, :2])
    # Who takes a back for a front takes near for far: both are undone.
    np.testing.assert_array_equal(changed.world_landmarks[1, left, 2], track.world_landmarks[1, left, 2])


@pytest.mark.parametrize("turning", [0.0, 60.0])
def test_frames_that_were_seen_badly_do_not_hide_what_came_before(turning: float):
    track = walk(25.0, turning)
    between = [LANDMARK_NAMES.index(name) for name in LANDMARK_NAMES if name.split("_")[0] in ("left", "right")]
    for points in (track.landmarks, track.world_landmarks):
        middle = points[[12, 40, 41]].mean(axis=1, keepdims=True)
        points[[12, 40, 41]] = middle + 0.3 * (points[[12, 40, 41]] - middle)
        points[26, between] = points[26, [LANDMARK_MIRROR[number] for number in between]]
    found = sides.exchanged_sides(track)
    found[[12, 26, 40, 41]] = False
    assert not found.any()


def test_what_is_not_seen_has_no_say():
    track = walk(25.0, 0.0)
    hidden = replace(track, visibility=np.zeros_like(track.visibility))
    seen = sides.with_sides_exchanged(hidden, exchange(len(track), {(20, 31): [0, 1, 2]}))
    assert not sides.exchanged_sides(seen).any()


@pytest.mark.parametrize("video", [REAL, SAMPLE])
def test_people_who_were_seen_right_stay_as_they_are(blazepose: BlazePose, video: Path):
    tracker = Tracker(blazepose)
    for _ in tracker.steps(list(Footage(video))):
        pass
    (track,) = tracker.tracks()
    assert not sides.exchanged_sides(track).any()
    true = exchange(len(track), {(20, 27): [0, 1, 2], (30, 30): [0, 1, 2]})
    np.testing.assert_array_equal(sides.exchanged_sides(sides.with_sides_exchanged(track, true)), true)


def test_short_tracks():
    for n in (0, 1, 2, 3):
        assert sides.exchanged_sides(walk(25.0, 0.0, n)).tolist() == [[False] * 3] * n
