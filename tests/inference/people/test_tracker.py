from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.footage.reader import Frame
from video_motion.inference.people.target import CropSmoother, agreement
from video_motion.inference.people.tracker import Tracker, track_people

RATE = 25.0
HIPS = [23, 24]
REFLECT = cv2.BORDER_REFLECT


def film(images) -> Iterator[Frame]:
    for number, image in enumerate(images):
        yield Frame(number, number / RATE, image)


def places(track) -> dict[int, float]:
    return {int(f): float(x) for f, x in zip(track.frames, track.landmarks[:, HIPS, 0].mean(axis=1), strict=True)}


def test_no_frames_and_empty_frames_give_nobody(blazepose, stage):
    assert track_people([], blazepose) == []
    noise = np.random.default_rng(0).integers(0, 256, (360, 480, 3), np.uint8)
    assert track_people(film([stage(), stage(), noise, noise, np.zeros((64, 64, 3), np.uint8)]), blazepose) == []


@pytest.mark.parametrize(("zoom", "pan", "mirrored"), [(1, 0, False), (1, 4, True), (1.6, -4, False), (2, -6, False)])
def test_furniture_is_nobody(blazepose, room, zoom, pan, mirrored):
    height, width = room.shape[:2]
    rng = np.random.default_rng(7)
    shake = np.cumsum(rng.normal(0, 1, (30, 2)), axis=0)

    def view(number: int) -> np.ndarray:
        x, y = (1 - zoom) * np.array([width, height]) / 2 + shake[number] + (pan * number, 0)
        image = room[:, ::-1] if mirrored else room
        image = cv2.warpAffine(image, np.array([[zoom, 0, x], [0, zoom, y]]), (width, height), borderMode=REFLECT)
        return np.clip(image + rng.normal(0, 3, (height, width, 1)), 0, 255).astype(np.uint8)

    assert track_people(film(view(n) for n in range(30)), blazepose, min_duration=0.3) == []


def test_someone_cut_off_by_the_edge_of_the_image_is_somebody(blazepose, clip):
    frames = [Frame(f.number, f.timestamp, f.image[240:560]) for f in clip[:20]]
    # A woman stands behind, on the left.
    track, *_ = track_people(frames, blazepose, min_duration=0.3)
    assert len(track) >= 16


def portrait(name: str) -> np.ndarray:
    image = cv2.imread(str(Path(__file__).parents[2] / "data" / "faces" / f"{name}.jpg"))
    assert image is not None
    return image


@pytest.mark.parametrize("name", ["astronaut", "admiral"])
def test_who_shows_little_but_a_face_is_somebody(blazepose, name):
    image = portrait(name)
    height, width = image.shape[:2]

    def view(number: int) -> np.ndarray:
        moved = np.array([[1.0, 0.0, 3 * np.sin(number / 4)], [0.0, 1.0, 2 * np.cos(number / 5)]])
        return cv2.warpAffine(image, moved, (width, height), borderMode=cv2.BORDER_REPLICATE)

    (track,) = track_people(film(view(number) for number in range(24)), blazepose)
    assert len(track) == 24


@pytest.mark.parametrize("name", ["astronaut", "admiral"])
def test_a_portrait_on_the_wall_is_nobody(blazepose, name):
    image, rng = portrait(name), np.random.default_rng(0)
    height = 260
    picture = cv2.resize(image, (image.shape[1] * height // image.shape[0], height))
    wall = np.full((720, 1280, 3), 150, np.uint8)
    wall[500:] = 90
    wall[120 : 120 + height, 500 : 500 + picture.shape[1]] = picture
    views = (np.clip(wall + rng.normal(0, 3, wall.shape), 0, 255).astype(np.uint8) for _ in range(24))
    assert track_people(film(views), blazepose) == []


def test_progress_is_reported_after_every_frame(blazepose, stage):
    reported = []
    track_people(film([stage()] * 4), blazepose, progress=reported.append)
    assert reported == [1, 2, 3, 4]


def test_nobody_to_follow_is_refused(blazepose):
    with pytest.raises(ValueError, match="At least one person"):
        Tracker(blazepose, 0)


def test_one_person_standing(blazepose, stage):
    tracks = track_people(film([stage(400)] * 20), blazepose)
    assert [t.number for t in tracks] == [1]
    (track,) = tracks
    np.testing.assert_array_equal(track.frames, np.arange(20))
    np.testing.assert_allclose(track.timestamps, np.arange(20) / RATE)
    shapes = [(20, 33, 2), (20, 33), (20, 33), (20, 33, 3), (20, 4), (20, 4), (20,)]
    values = [track.landmarks, track.visibility, track.presence, track.world_landmarks]
    assert [v.shape for v in [*values, track.crops, track.boxes, track.scores]] == shapes
    assert abs(places(track)[10] - 400) < 25
    # A standing picture gives a standing pose.
    assert np.abs(track.landmarks[-1] - track.landmarks[-2]).max() < 2
    low, high = track.landmarks[5].min(axis=0), track.landmarks[5].max(axis=0)
    np.testing.assert_allclose(track.boxes[5], [*low, *(high - low)], rtol=1e-5)


def test_too_short_an_appearance_is_left_out(blazepose, stage):
    images = [stage(400)] * 6 + [stage()] * 10
    assert track_people(film(images), blazepose) == []
    assert len(track_people(film(images), blazepose, min_duration=0.1)) == 1


def test_numbers_stay_through_a_crossing_and_nobody_is_there_twice(blazepose, stage):
    steps = np.linspace(0, 1, 50)
    left, right = 180 + 600 * steps, 780 - 600 * steps
    tracks = track_people(film(stage(a, b) for a, b in zip(left, right, strict=True)), blazepose)
    assert len(tracks) == 2
    one, other = sorted((places(t) for t in tracks), key=lambda p: p[min(p)])
    for track, truth in ((one, left), (other, right)):
        error = np.array([abs(x - truth[f]) for f, x in track.items()])
        assert len(track) >= 30
        assert min(track) <= 5
        assert max(track) == 49
        assert np.percentile(error, 90) < 40
    by_frame = [{int(f): p for f, p in zip(t.frames, t.landmarks, strict=True)} for t in tracks]
    for frame in by_frame[0].keys() & by_frame[1].keys():
        assert agreement(by_frame[0][frame], by_frame[1][frame], 600) < 0.5


def test_who_leaves_and_returns_keeps_the_number(blazepose, stage):
    # At a walk: 1.2 m/s for a man of 1.8 m.
    out = np.concatenate([np.linspace(840, 1120, 24), np.full(12, 1120.0), np.linspace(1120, 840, 24)])
    tracks = track_people(film(stage(x, 200) for x in out), blazepose)
    assert len(tracks) == 2
    leaver = max((places(t) for t in tracks), key=lambda p: p[min(p)])
    assert not any(out[f] > 1080 for f in leaver)
    assert min(leaver) <= 2
    assert max(leaver) == len(out) - 1
    stayer = min((places(t) for t in tracks), key=lambda p: p[min(p)])
    assert max(abs(x - 200) for x in stayer.values()) < 40


def test_the_person_seen_longest_is_number_one_and_no_more_are_returned_than_wanted(blazepose, stage):
    images = [stage(250)] * 15 + [stage(250, 700)] * 50
    tracks = track_people(film(images), blazepose)
    assert [t.number for t in tracks] == [1, 2]
    assert abs(tracks[0].landmarks[0, HIPS, 0].mean() - 250) < 40
    assert len(tracks[0]) > len(tracks[1])
    assert len(track_people(film(images), blazepose, max_people=1)) == 1


def test_finds_the_prominent_people_of_a_crowd(blazepose, stage):
    """Four men near and far, two of whom overlap, seen by a camera that is held by hand."""
    men = [(560, 0.55), (640, 0.7), (140, 0.6), (330, 1.0)]
    shake = np.random.default_rng(4).normal(0, 2, (30, 2))
    images = [
        cv2.warpAffine(stage(*men), np.array([[1, 0, x], [0, 1, y]]), (960, 540), borderMode=REFLECT) for x, y in shake
    ]
    tracks = track_people(film(images), blazepose, min_duration=0.2)
    numbers = {}
    for x, size in men:
        for track in tracks:
            row = np.flatnonzero(track.frames == 25)
            if len(row) and abs(track.landmarks[row[0], HIPS, 0].mean() - x - shake[25, 0]) < 40 * size:
                numbers.setdefault(x, track.number)
    assert numbers.keys() == dict(men).keys()
    assert len(set(numbers.values())) == len(men)
    assert numbers[330] == 1


def test_crop_smoother_calms_a_standing_person_and_follows_a_running_one():
    rng = np.random.default_rng(1)
    still = np.array([[300.0, 300.0], [300.0, 100.0]])
    smoother = CropSmoother()
    calmed = np.array([smoother(still + rng.normal(0, 1, (2, 2)), i / 30) for i in range(90)])
    assert calmed[30:].std(axis=0).max() < 0.5
    smoother = CropSmoother()
    speed = 2 * 400 / 30
    places = still + speed * np.arange(60)[:, None, None] * [1, 0]
    followed = np.array([smoother(place, i / 30) for i, place in enumerate(places)])
    assert abs(followed[-1] - places[-1]).max() < speed


def test_finds_small_people_beside_each_other(blazepose, stage):
    """Men about 90 pixels high in a picture of 720, far apart."""
    men = [(130, 0.24), (380, 0.22), (600, 0.24), (830, 0.22)]
    image = cv2.copyMakeBorder(stage(*men), 90, 90, 160, 160, cv2.BORDER_REPLICATE)
    shake = np.random.default_rng(4).normal(0, 1, (40, 2))
    images = [
        cv2.warpAffine(image, np.array([[1, 0, x], [0, 1, y]]), (1280, 720), borderMode=REFLECT) for x, y in shake
    ]
    tracks = track_people(film(images), blazepose, min_duration=0.2)
    found = [min(men, key=lambda man: abs(man[0] + 160 - x))[0] for x in (places(track)[39] for track in tracks)]
    assert sorted(found) == [x for x, _ in men]
