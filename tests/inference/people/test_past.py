"""Who is found late, and what was seen of them before."""

from __future__ import annotations

import cv2
import numpy as np
from video_motion.inference.footage.reader import Frame
from video_motion.inference.people import crops
from video_motion.inference.people.past import SIDE, Moment, Past
from video_motion.inference.people.track import RoiViews
from video_motion.inference.people.tracker import Tracker, track_people

RATE = 25.0
HIPS = [23, 24]
FOUND = 20


class LateDetector:
    """The real networks, whose detector looks away for some frames: as if it searched elsewhere."""

    def __init__(self, blazepose, away: range):
        self._blazepose, self._away, self.frame = blazepose, away, -1
        self.input_size = blazepose.input_size

    def read(self, cuts, where):
        return self._blazepose.read(cuts, where)

    def detect(self, image, regions=None):
        if self.frame in self._away:
            image = np.zeros_like(image)
        return self._blazepose.detect(image, regions)

    def film(self, images):
        for self.frame, image in enumerate(images):
            yield Frame(self.frame, self.frame / RATE, image)


def follow(blazepose, images, away: range, **keywords):
    model = LateDetector(blazepose, away)
    tracker = Tracker(model, **keywords)
    for frame in model.film(images):
        list(tracker.steps([frame]))
    return tracker.tracks()


def test_who_is_found_late_is_there_from_the_beginning(blazepose, stage):
    x = np.linspace(200, 760, 40)
    (track,) = follow(blazepose, [stage(place) for place in x], range(FOUND))
    np.testing.assert_array_equal(track.frames, np.arange(40))
    np.testing.assert_allclose(track.timestamps, np.arange(40) / RATE)
    assert np.abs(track.landmarks[:, HIPS, 0].mean(axis=1) - x).max() < 25


def test_nobody_is_followed_back_to_before_they_came(blazepose, stage):
    images = [stage()] * 10 + [stage(400)] * 30
    (track,) = follow(blazepose, images, range(FOUND))
    assert track.frames[0] == 10


def test_who_was_lost_is_followed_back_to_when_it_was(blazepose, stage):
    """A man walks behind a wall; when he comes out nobody looks for a while."""
    x = np.linspace(150, 810, 66)

    def image(number: int) -> np.ndarray:
        drawn = stage(x[number])
        drawn[:, 380:560] = 90
        return drawn

    (track,) = follow(blazepose, [image(number) for number in range(66)], range(30, 58))
    seen = set(track.frames.tolist())
    free = [number for number in range(66) if x[number] < 290 or x[number] > 670]
    assert {number for number in free if number > 58 - RATE} <= seen
    assert not any(430 < x[number] < 510 for number in seen)


def test_nobody_is_followed_back_into_somebody_else(blazepose, stage):
    """Where one appears, another, who looks the same and is followed, has just been."""
    out_of_sight = -500
    walker = [200 + 12 * number for number in range(50)]
    images = [stage(x) if number < 22 else stage(x, out_of_sight, 400) for number, x in enumerate(walker)]
    tracks = track_people((Frame(n, n / RATE, image) for n, image in enumerate(images)), blazepose)
    assert len(tracks) == 2
    standing, walking = sorted(tracks, key=lambda track: np.ptp(track.landmarks[:, HIPS, 0]))
    assert standing.frames[0] >= 22
    assert walking.frames[0] <= 1


def test_earlier_rows_have_the_other_regions_of_interest(blazepose, stage):
    (track,) = follow(blazepose, [stage(400)] * 24, range(FOUND), roi_views=True)
    assert isinstance(track.roi_views, RoiViews)
    assert track.roi_views.landmarks.shape == (24, crops.ROI_VIEWS, 33, 2)
    # The same picture in every frame.
    early, late = track.roi_views.landmarks[[2, -1]]
    assert np.median(np.abs(early - late)) < 2


def test_a_moment_is_small_and_cut_like_its_frame(clip):
    frame = clip[0]
    large = cv2.resize(frame.image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    moment = Moment.of(Frame(0, 0.0, large)).smaller()
    assert min(moment.image.shape[:2]) == SIDE
    assert moment.shape == large.shape[:2]
    crop = np.array([700.0, 1000.0, 1300.0, 0.3])
    difference = moment.cut(crop, 256).astype(float) - crops.cut(large, crop, 256)
    assert np.abs(difference).mean() < 3
    kept = Moment.of(Frame(0, 0.0, large[:300, :400]))
    assert kept.smaller() is kept


def test_only_a_second_is_kept(stage):
    past = Past()
    for number in range(100):
        past.add(Frame(number, number / RATE, stage()))
    numbers = [moment.number for moment in past.back()]
    assert numbers == list(range(99, 73, -1))
