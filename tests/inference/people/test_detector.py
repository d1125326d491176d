import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.people import detector
from video_motion.inference.people.detector import Detections, Detector
from video_motion.inference.runtime.session import NetworkError


def test_anchors_worked_by_hand():
    # 28 x 28 cells with 2 anchors, 14 x 14 with 2, 7 x 7 with 2 for each of three layers.
    anchors = detector.anchors()
    assert len(anchors) == 28 * 28 * 2 + 14 * 14 * 2 + 7 * 7 * 6 == 2254
    expected = {
        0: (0.5 / 28, 0.5 / 28),
        1: (0.5 / 28, 0.5 / 28),
        2: (1.5 / 28, 0.5 / 28),
        56: (0.5 / 28, 1.5 / 28),
        1567: (27.5 / 28, 27.5 / 28),
        1568: (0.5 / 14, 0.5 / 14),
        1960: (0.5 / 7, 0.5 / 7),
        1965: (0.5 / 7, 0.5 / 7),
        1966: (1.5 / 7, 0.5 / 7),
        2253: (6.5 / 7, 6.5 / 7),
    }
    for index, center in expected.items():
        np.testing.assert_allclose(anchors[index], center)


def test_decode_measures_from_the_anchor():
    coordinates, logits = np.zeros((2254, 12), np.float32), np.full(2254, -9, np.float32)
    coordinates[1966] = [11.2, -22.4, 56, 112, 0, 0, 22.4, 0, 0, 44.8, -11.2, -11.2]
    logits[1966] = np.log(3)
    found = detector.decode(coordinates, logits)
    x, y = 1.5 / 7, 0.5 / 7
    np.testing.assert_allclose(found.scores, [0.75])
    np.testing.assert_allclose(found.boxes, [[x + 0.05 - 0.125, y - 0.1 - 0.25, 0.25, 0.5]], atol=1e-7)
    np.testing.assert_allclose(found.points, [[[x, y], [x + 0.1, y], [x, y + 0.2], [x - 0.05, y - 0.05]]], atol=1e-7)


def test_suppression_weighs_overlapping_boxes_by_score():
    boxes = np.array([[10.0, 0, 10, 10], [100, 100, 10, 10], [12, 0, 10, 10], [15, 0, 10, 10]])
    points = np.repeat(boxes[:, None, :2], 4, axis=1)
    found = detector.suppress(Detections(np.array([0.6, 0.7, 0.9, 0.5]), boxes, points))
    # 0 and 3 share 8 and 7 of 12 and 13 columns with 2, the best: all three are one.
    x = (0.6 * 10 + 0.9 * 12 + 0.5 * 15) / 2.0
    np.testing.assert_allclose(found.scores, [0.9, 0.7])
    np.testing.assert_allclose(found.boxes, [[x, 0, 10, 10], [100, 100, 10, 10]])
    np.testing.assert_allclose(found.points[0], [[x, 0]] * 4)


def test_suppression_keeps_boxes_that_barely_touch():
    boxes = np.array([[0.0, 0, 10, 10], [6, 0, 10, 10]])
    found = detector.suppress(Detections(np.array([0.8, 0.9]), boxes, np.zeros((2, 4, 2))))
    np.testing.assert_allclose(found.boxes, boxes[::-1])


def test_overlap_worked_by_hand():
    others = np.array([[0.0, 0, 10, 10], [5, 5, 10, 10], [20, 0, 5, 5], [3, 3, 0, 0]])
    np.testing.assert_allclose(detector.box_overlap(others[0], others), [1, 25 / 175, 0, 0])


def test_finds_a_man_who_leans_and_kicks_once(blazepose, clip):
    found = blazepose.detect(clip[25].image)
    assert len(found) == 1
    hips, rim, shoulders, _ = found.points[0]
    # Read off the picture: hips near (297, 520), shoulders near (425, 408).
    assert np.hypot(*(hips - [297, 520])) < 40
    assert np.hypot(*(shoulders - [425, 408])) < 40
    assert rim[1] < shoulders[1]


def test_finds_people_that_are_small_in_the_image_by_regions(blazepose, stage):
    image = np.full((1080, 1920, 3), 150, np.uint8)
    image[700:970, 1300:1780] = stage(480)[::2, ::2]
    region = np.array([[1540.0, 830.0, 400.0, 0.0]])
    assert len(blazepose.detect(image)) == 0
    found = blazepose.detect(image, region)
    assert len(found) == 1
    assert np.hypot(*(found.points[0, 0] - [1540, 835])) < 25


def test_a_wrong_file_is_reported_in_one_sentence(tmp_path):
    with pytest.raises(NetworkError, match="does not exist"):
        Detector(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network at all")
    with pytest.raises(NetworkError, match="can't be run as a network"):
        Detector(tmp_path / "broken.onnx")
    with pytest.raises(NetworkError, match="is not BlazePose's detector"):
        Detector(registry.path("blazepose_landmark_full"))
