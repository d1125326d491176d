"""Measures of a training: 0 for the truth, and errors by their size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.networks.tar import TarSettings
from video_motion.inference.research.training.batches import Batch
from video_motion.inference.research.training.sequences import FilmedFootage, StagedFootage, WindowSource
from video_motion.inference.research.training.validation import SequenceCheck

from .conftest import FRAMES, TINY, tiny_lifter
from .test_sequences import SEEN

MEASURES = {"MPJPE", "PA-MPJPE", "PVE", "Accel", "reprojection"}
Estimate = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def filmed(data_folder: Path, body: Body) -> FilmedFootage:
    return FilmedFootage(data_folder / "validation", body)


def truth(batch: Batch) -> Estimate:
    """Where the focal length is not the true one, the camera is that which shows the pelvis in its place and size."""
    given, true = (0.06 * box[:, 2] + 0.24 for box in (batch.box, batch.true_box))
    depth = batch.pelvis[:, 2] * true / given
    camera = np.stack([2 / (given * depth), batch.pelvis[:, 0], batch.pelvis[:, 1]], axis=1)
    return batch.rotations.astype(float), batch.betas, camera


def worst(measured: dict[str, float]) -> float:
    """The largest error, but for reprojection: perspective depends on the focal length."""
    assert measured["reprojection"] < 1
    return max(value for name, value in measured.items() if name != "reprojection")


def turned(batch: Batch) -> Estimate:
    """The truth, all of it turned by a quarter about the vertical."""
    local, betas, camera = truth(batch)
    local[:, 0] = Rotation.from_rotvec([0, np.pi / 2, 0]).as_matrix() @ local[:, 0]
    return local, betas, camera


def test_the_truth_has_no_error(filmed: FilmedFootage, body: Body):
    measured = SequenceCheck(filmed, body, FRAMES).measure(truth, None)
    assert set(measured) == MEASURES
    assert worst(measured) < 1e-2


def test_neither_has_it_for_a_network_of_windows(filmed: FilmedFootage, body: Body):
    source = WindowSource(None, filmed, tiny_lifter(body), TarSettings(features=SEEN), ("frames", "box"))
    measured = SequenceCheck(filmed, body, TINY.frames, source).measure(truth, None)
    assert worst(measured) < 1e-2


def test_nor_on_staged_people(performers, body: Body):
    measured = SequenceCheck(StagedFootage(performers, "validation", body), body, 6).measure(truth, 16)
    assert worst(measured) < 1e-2


def test_frames_without_a_detection_do_not_count(filmed: FilmedFootage, body: Body):
    def careless(batch: Batch) -> Estimate:
        local, betas, camera = truth(batch)
        wrong = turned(batch)[0]
        return np.where((batch.weights > 0)[:, None, None, None], local, wrong), betas, camera

    check = SequenceCheck(filmed, body, FRAMES)
    assert worst(check.measure(careless, None)) < 1e-2


def test_a_turned_body_is_wrong_but_well_formed(filmed: FilmedFootage, body: Body):
    measured = SequenceCheck(filmed, body, FRAMES).measure(turned, None)
    assert measured["PA-MPJPE"] < 1e-2
    assert 100 < measured["MPJPE"] < 1000
    assert measured["PVE"] > 50


def test_another_shape_is_seen_on_the_surface(filmed: FilmedFootage, body: Body):
    check = SequenceCheck(filmed, body, FRAMES)
    measured = check.measure(lambda batch: (truth(batch)[0], batch.betas + 1.0, truth(batch)[2]), None)
    assert measured["PVE"] > 2
    assert measured["MPJPE"] > 1


def test_a_shaking_estimate_shows_in_the_acceleration_alone(filmed: FilmedFootage, body: Body):
    def shaking(batch: Batch) -> Estimate:
        local, betas, camera = truth(batch)
        sign = np.where(np.arange(len(local)) % 2, 1.0, -1.0)
        local[:, 16] = local[:, 16] @ Rotation.from_rotvec(0.03 * sign[:, None] * [0, 0, 1]).as_matrix()
        return local, betas, camera

    measured = SequenceCheck(filmed, body, FRAMES).measure(shaking, None)
    assert measured["Accel"] > measured["MPJPE"] > 0.5


def test_some_sequences_are_chosen_evenly(filmed: FilmedFootage, body: Body):
    check = SequenceCheck(filmed, body, FRAMES)
    asked = []

    def counting(batch: Batch) -> Estimate:
        asked.append(len(batch.inputs["frames"]))
        return truth(batch)

    check.measure(counting, 2)
    assert sum(asked) == 2
    asked.clear()
    check.measure(counting, 1000)
    assert sum(asked) == len(filmed)


def test_a_perfect_detector_differs_as_landmarks_from_joints(filmed: FilmedFootage, body: Body):
    """BlazePose's hips and shoulders lie elsewhere than SMPL's."""
    baseline = SequenceCheck(filmed, body, FRAMES).baseline()
    assert set(baseline) == MEASURES - {"PVE", "reprojection"}
    assert 5 < baseline["PA-MPJPE"] < 60
    assert 5 < baseline["MPJPE"] < 60


def test_the_networks_focal_length_is_the_usual_one(filmed: FilmedFootage, body: Body):
    """Nobody knows the true one of footage: a network is measured without it, whatever it is trained with."""
    boxes = []

    def remember(batch: Batch) -> Estimate:
        boxes.append(np.abs(batch.box - batch.true_box).max())
        return truth(batch)

    check = SequenceCheck(filmed, body, FRAMES)
    check.measure(remember, None)
    source = WindowSource(None, filmed, tiny_lifter(body), TarSettings(features=SEEN), ("frames", "box"))
    SequenceCheck(filmed, body, TINY.frames, source).measure(remember, None)
    assert min(boxes) > 0.1


def test_who_is_taken_to_be_elsewhere_is_so_in_the_image(filmed: FilmedFootage, body: Body):
    """Moving somebody by a tenth of the crop's width where they are moves every joint about as far in the image."""

    def moved(batch: Batch) -> Estimate:
        local, betas, camera = truth(batch)
        camera[:, 1] += 0.1 * 2 / camera[:, 0]
        return local, betas, camera

    measured = SequenceCheck(filmed, body, FRAMES).measure(moved, None)
    assert measured["reprojection"] == pytest.approx(10, abs=1.5)
    assert measured["MPJPE"] < 1e-2
