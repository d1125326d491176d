"""Batches: truth and inputs describe the same person in the same axes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.body.smpl import Body
from video_motion.inference.pose import features
from video_motion.inference.research.networks.multi_roi import MultiRoiSettings
from video_motion.inference.research.networks.part_dynamics import PartDynamicsSettings
from video_motion.inference.research.training.batches import Batch, Observed, sequence_batch, window_batch
from video_motion.inference.research.training.imagined import detect
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.staging import Director

from .test_imagined import NONE

COUNT, FRAMES, LIFTED = 12, 24, 5
TRUE, ASSUMED = np.zeros(COUNT, bool), np.ones(COUNT, bool)


@pytest.fixture(scope="module")
def observed(body: Body, performers: Library) -> Observed:
    """Sequences without errors, but with missing frames."""
    director = Director(performers, np.arange(6), body, "train")
    rng = np.random.default_rng(0)
    stage, landmarks = director.stage(COUNT, FRAMES, rng)
    return Observed(stage, detect(stage, landmarks, replace(NONE, missed=0.5), rng))


def projected(body: Body, batch: Batch) -> np.ndarray:
    """(N, 33, 2) where the truth's landmarks show in the crops, from their centres."""
    betas = batch.betas.astype(float)
    trans = batch.pelvis - body.rest_joints(betas)[:, 0]
    marks = body.landmark_positions(batch.rotations.astype(float), betas, trans)
    centre, size = batch.true_box[:, None, :2] / 2.8, 0.06 * batch.true_box[:, None, 2:] + 0.24
    return (marks[..., :2] / marks[..., 2:] - centre) / size


def points_2d(described: np.ndarray) -> np.ndarray:
    """(..., 33, 2) landmarks among features."""
    return described[..., :66].reshape(*described.shape[:-1], 33, 2)


def test_truth_projects_onto_a_perfect_detectors_landmarks(observed: Observed, body: Body):
    batch = sequence_batch(observed, TRUE)
    assert batch.inputs["frames"].shape == (COUNT, FRAMES, features.SIZE)
    assert batch.rotations.shape == (COUNT * FRAMES, 24, 3, 3)
    known = observed.detected["known"].ravel()
    seen = points_2d(batch.inputs["frames"]).reshape(-1, 33, 2)
    np.testing.assert_allclose(projected(body, batch)[known], seen[known], atol=2e-4)
    np.testing.assert_array_equal(batch.weights, known)
    np.testing.assert_array_equal(batch.inputs["frames"][..., features.KNOWN].ravel(), known)
    np.testing.assert_allclose(batch.inputs["frames"][..., -1], np.repeat(1 / observed.stage.rate[:, None], FRAMES, 1))


def test_world_landmarks_and_truth_have_the_same_axes(observed: Observed, body: Body):
    batch = sequence_batch(observed, TRUE)
    betas = batch.betas.astype(float)
    marks = body.landmark_positions(batch.rotations.astype(float), betas, 0 * batch.pelvis)
    marks -= marks[:, [23, 24]].mean(1, keepdims=True)
    known = observed.detected["known"].ravel()
    seen = batch.inputs["frames"][..., features.WORLD].reshape(-1, 33, 3)
    np.testing.assert_allclose(seen[known], marks[known], atol=2e-4)


def test_gravity_is_turned_with_the_body(observed: Observed, body: Body):
    """How far a body leans does not depend on who looks."""
    batch = sequence_batch(observed, TRUE)
    stage = observed.stage
    betas = np.repeat(stage.betas, FRAMES, axis=0)
    spine = body.joints(stage.local.reshape(-1, 24, 3, 3).astype(float), betas)
    in_crop = body.joints(batch.rotations.astype(float), betas)
    leaning, seen = (joints[:, 12] - joints[:, 0] for joints in (spine, in_crop))
    expected = (leaning * stage.gravity.reshape(-1, 3)).sum(1)
    np.testing.assert_allclose((seen * batch.inputs["gravity"].reshape(-1, 3)).sum(1), expected, atol=1e-5)
    np.testing.assert_array_equal(batch.inputs["contacts"], stage.contacts)
    np.testing.assert_array_equal(batch.inputs["contacts_known"][:, 3], stage.contacts_known)


def test_an_assumed_focal_changes_the_input_and_not_the_truth(observed: Observed):
    true, assumed = sequence_batch(observed, TRUE), sequence_batch(observed, ASSUMED)
    for name in ("rotations", "betas", "pelvis", "true_box", "weights"):
        np.testing.assert_array_equal(getattr(true, name), getattr(assumed, name))
    np.testing.assert_array_equal(true.box, true.true_box)
    stage = observed.stage
    longer = np.repeat(np.hypot(*stage.size.T) / stage.camera_K[:, 0, 0], FRAMES)
    size = 0.06 * assumed.box[:, 2] + 0.24
    true_size = 0.06 * true.box[:, 2] + 0.24
    middle = np.linalg.norm(true.inputs["frames"][..., -4:-2].reshape(-1, 2), axis=1) < 0.05
    assert middle.any()
    np.testing.assert_allclose((size * longer / true_size)[middle], 1, atol=0.01)
    direction = [batch.inputs["frames"][..., -4:-2].reshape(-1, 2) for batch in (assumed, true)]
    np.testing.assert_allclose(direction[0] * longer[:, None], direction[1], atol=1e-5)


def windows(
    observed: Observed, place: tuple[np.ndarray, np.ndarray], settings, needs, lifted: np.ndarray, targets: int = 1
) -> Batch:
    batch = sequence_batch(observed, TRUE)
    rng = np.random.default_rng(2)
    return window_batch(observed, batch, lifted, place, TRUE, settings, needs, NONE, rng, targets)


@pytest.fixture
def lifted() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (COUNT, FRAMES, LIFTED)).astype(np.float32)


PLACE = (np.array([0, 3, 3, 7]), np.array([0, 10, 11, FRAMES - 1]))


def test_windows_are_the_frames_around_their_targets(observed: Observed, lifted: np.ndarray, body: Body):
    settings = PartDynamicsSettings(features=features.SIZE + LIFTED)
    made = windows(observed, PLACE, settings, ("frames", "box"), lifted)
    whole = sequence_batch(observed, TRUE)
    assert made.inputs["frames"].shape == (4, settings.frames, features.SIZE + LIFTED)
    for number, (sequence, target) in enumerate(zip(*PLACE, strict=True)):
        wanted = target + np.arange(settings.frames) - settings.target
        inside = np.clip(wanted, 0, FRAMES - 1)
        expected = np.concatenate([whole.inputs["frames"], lifted], axis=-1)[sequence, inside]
        expected[wanted != inside, features.KNOWN] = 0
        np.testing.assert_array_equal(made.inputs["frames"][number], expected)
        np.testing.assert_array_equal(made.rotations[number], whole.rotations[sequence * FRAMES + target])
    np.testing.assert_array_equal(made.inputs["box"], made.box)
    known = observed.detected["known"][PLACE]
    np.testing.assert_allclose(
        projected(body, made)[known], points_2d(made.inputs["frames"][:, settings.target])[known], atol=2e-4
    )


def test_the_last_frames_of_a_window_can_all_be_targets(observed: Observed, lifted: np.ndarray):
    """Those before the sequence's beginning count for nothing."""
    settings = PartDynamicsSettings(features=features.SIZE + LIFTED)
    one, many = (windows(observed, PLACE, settings, ("frames", "box"), lifted, targets) for targets in (1, 3))
    np.testing.assert_array_equal(many.inputs["frames"], one.inputs["frames"])
    for name in ("rotations", "pelvis", "box", "betas", "weights"):
        np.testing.assert_array_equal(getattr(many, name)[2::3], getattr(one, name))
    whole = sequence_batch(observed, TRUE)
    before = PLACE[0] * FRAMES + PLACE[1] - 1
    np.testing.assert_array_equal(many.rotations[4::3], whole.rotations[before[1:]])
    np.testing.assert_array_equal(many.weights[4::3], whole.weights[before[1:]])
    np.testing.assert_array_equal(many.weights[:2], 0)


def test_flow_is_how_the_camera_turned_up_to_the_target(
    observed: Observed, lifted: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("video_motion.inference.research.training.imagined.disturb_flow", lambda *_: None)
    stage = replace(observed.stage, camera_turns=observed.stage.camera_turns.copy())
    angle = 0.02 * np.arange(FRAMES) ** 1.5
    stage.camera_turns[3] = rotations.axis_angle_to_matrix(np.stack([0 * angle, angle, 0 * angle], axis=1))
    settings = PartDynamicsSettings(features=features.SIZE + LIFTED)
    made = windows(replace(observed, stage=stage), PLACE, settings, ("frames", "flow"), lifted)
    flow = made.inputs["flow"].reshape(4, 15, 3, 3) + np.eye(3)
    np.testing.assert_allclose(flow[0], np.broadcast_to(np.eye(3), (15, 3, 3)), atol=1e-6)
    for number, target in ((1, 10), (2, 11)):
        np.testing.assert_allclose(
            flow[number, : 15 - target], np.broadcast_to(np.eye(3), (15 - target, 3, 3)), atol=1e-6
        )
        # The middle of the image goes where the camera no longer looks.
        focal = stage.camera_K[3, 0, 0] / np.hypot(*stage.size[3])
        moved = np.linalg.norm(flow[number, -1, :2, 2] / flow[number, -1, 2, 2])
        assert moved == pytest.approx(focal * np.tan(angle[target] - angle[target - 1]), rel=1e-3)


def test_regions_are_imagined_where_the_detector_did_not_look(observed: Observed, lifted: np.ndarray, body: Body):
    settings = MultiRoiSettings(features=features.SIZE + LIFTED)
    made = windows(observed, PLACE, settings, ("regions", "region_boxes", "places"), lifted)
    assert set(made.inputs) == {"box", "regions", "region_boxes", "places"}
    assert made.inputs["regions"].shape == (4, 5, features.SIZE + LIFTED)
    np.testing.assert_allclose(made.inputs["region_boxes"][:, 0], made.box, atol=1e-6)
    known = observed.detected["known"][PLACE]
    np.testing.assert_allclose(projected(body, made)[known], points_2d(made.inputs["regions"][known, 0]), atol=2e-4)
    for region in range(5):
        np.testing.assert_array_equal(made.inputs["regions"][:, region, features.SIZE :], lifted[PLACE])
    # Regions are wider and narrower than the crop.
    width = 0.06 * made.inputs["region_boxes"][..., 2] + 0.24
    np.testing.assert_allclose(width / width[:, :1], np.tile([1, 1.5, 1.25, 0.8, 0.65], (4, 1)), rtol=1e-4)


def test_regions_where_the_detector_looked_are_taken(observed: Observed, lifted: np.ndarray):
    given = {
        name: np.repeat(np.asarray(observed.detected[name])[:, :, None], 5, axis=2) for name in features.DETECTOR_FIELDS
    }
    given["visibility"] = given["visibility"] * np.arange(1, 6)[:, None] / 5
    settings = MultiRoiSettings(features=features.SIZE + LIFTED, regions=3)
    made = windows(replace(observed, regions=given), PLACE, settings, ("regions", "region_boxes", "places"), lifted)
    assert made.inputs["regions"].shape[1] == 3
    for region in range(3):
        expected = given["visibility"][PLACE][:, region]
        np.testing.assert_allclose(made.inputs["regions"][:, region, 66:99], expected, atol=1e-6)


def test_rows_choose_windows_and_their_targets(observed: Observed):
    batch = sequence_batch(observed, TRUE)
    some = batch.rows(slice(1, 3), slice(FRAMES, 3 * FRAMES))
    np.testing.assert_array_equal(some.inputs["frames"], batch.inputs["frames"][1:3])
    np.testing.assert_array_equal(some.rotations, batch.rotations[FRAMES : 3 * FRAMES])
    assert len(some.weights) == 2 * FRAMES
