"""Pictures of tracked people, cut out of footage."""

import cv2
import numpy as np
from video_motion.inference import spill
from video_motion.inference.footage.reader import Frame
from video_motion.inference.people import crops, pictures

from ..pose.conftest import track_of


def test_each_row_gets_the_picture_of_its_frame_and_crop():
    frames = np.array([2, 3, 5])
    track = track_of(frames, 30)
    store = spill.Pieces()
    people = [pictures.TrackPictures(track, store), pictures.TrackPictures(track_of(frames[1:], 30), store)]
    rng = np.random.default_rng(0)
    # Smooth, or JPEG would lose much.
    images = [cv2.resize(rng.integers(0, 256, (8, 14, 3), dtype=np.uint8), (1280, 720)) for _ in range(7)]
    footage = [Frame(number, number / 30, image) for number, image in enumerate(images)]
    assert people[0].span == (2, 5)
    assert list(pictures.cut_out(iter(footage), people)) == footage
    for one, row, frame in ((people[0], 0, 2), (people[0], 2, 5), (people[1], 0, 3)):
        (picture,) = one.read([row])
        expected = crops.cut(images[frame], track.crops[frames.tolist().index(frame)], 256)
        assert picture.shape == pictures.SHAPE
        assert np.abs(picture.astype(int) - expected).mean() < 3
    assert np.abs(people[0].read([0]).astype(int) - people[0].read([2])).mean() > 20
    assert people[0].read([1, 2]).shape == (2, *pictures.SHAPE)
    late = pictures.TrackPictures(track, store)
    list(pictures.cut_out(iter(footage[4:]), [late]))
    assert not late.read([0]).any(), "of a frame that did not come"
    assert late.read([2]).any()
