"""Imagined detections: the truth where nothing is wrong, and each error by itself where it belongs."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from video_motion.inference.body.skeleton import LANDMARK_MIRROR, LANDMARK_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.people.crops import ROI_VIEWS, roi_crops
from video_motion.inference.pose import features
from video_motion.inference.research.training import imagined
from video_motion.inference.research.training.imagined import Severity, detect
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.staging import Director, Stage

COUNT, FRAMES = 80, 40
NONE = Severity(**{item.name: 0.0 for item in fields(Severity)})
HIPS = [LANDMARK_NAMES.index(f"{side}_hip") for side in ("left", "right")]


@pytest.fixture(scope="module")
def filmed(body: Body, performers: Library) -> tuple[Stage, np.ndarray]:
    director = Director(performers, np.arange(6), body, "train")
    return director.stage(COUNT, FRAMES, np.random.default_rng(0))


@pytest.fixture(scope="module")
def flawless(filmed: tuple[Stage, np.ndarray]) -> dict[str, np.ndarray]:
    return detect(*filmed, NONE, np.random.default_rng(1))


def seen(filmed: tuple[Stage, np.ndarray], **severity: float) -> dict[str, np.ndarray]:
    """What is detected with some of the errors."""
    return detect(*filmed, replace(NONE, **severity), np.random.default_rng(1))


def projected(filmed: tuple[Stage, np.ndarray]) -> np.ndarray:
    stage, landmarks = filmed
    K = stage.camera_K[:, None, None]
    return landmarks[..., :2] / landmarks[..., 2:] * K[..., 0, :1] + K[..., :2, 2]


def off(detected: dict[str, np.ndarray], filmed: tuple[Stage, np.ndarray]) -> np.ndarray:
    """(B, T, 33, 2) errors of landmarks in sides of the crop."""
    return (detected["landmarks"] - projected(filmed)) / detected["crops"][..., None, 2:3]


def in_crop_axes(detected: dict[str, np.ndarray]) -> np.ndarray:
    """(B, T, 33, 3) world landmarks as the detector sees them in its crop."""
    count, frames = detected["scores"].shape
    turn = features.roll(detected["crops"].reshape(-1, 4)).reshape(count, frames, 3, 3)
    return detected["world_landmarks"] @ np.swapaxes(turn, -1, -2)


def true_in_crop_axes(detected: dict[str, np.ndarray], filmed: tuple[Stage, np.ndarray]) -> np.ndarray:
    stage, landmarks = filmed
    axes = features.crop_axes(detected["crops"], stage.camera_K[:, None])
    return (landmarks - landmarks[:, :, HIPS].mean(2, keepdims=True)) @ np.swapaxes(axes, -1, -2)


def test_without_errors_the_truth_is_seen(flawless: dict[str, np.ndarray], filmed: tuple[Stage, np.ndarray]):
    assert flawless["known"].all()
    assert np.abs(off(flawless, filmed)).max() < 1e-4
    np.testing.assert_allclose(in_crop_axes(flawless), true_in_crop_axes(flawless, filmed), atol=1e-4)
    for name in ("visibility", "presence", "scores"):
        assert flawless[name].min() >= 0
        assert flawless[name].max() <= 1


def test_crops_hold_people_upright_as_the_trackers_do(
    flawless: dict[str, np.ndarray], filmed: tuple[Stage, np.ndarray]
):
    points = projected(filmed)
    turn = flawless["crops"][..., 3]
    inside = (points - flawless["crops"][..., None, :2]) / flawless["crops"][..., None, 2:3]
    cos, sin = np.cos(turn)[..., None], np.sin(turn)[..., None]
    across, down = inside[..., 0] * cos + inside[..., 1] * sin, inside[..., 1] * cos - inside[..., 0] * sin
    assert ((np.abs(across) < 0.5) & (np.abs(down) < 0.5)).mean() > 0.98
    chest = [LANDMARK_NAMES.index(f"{side}_shoulder") for side in ("left", "right")]
    assert (down[..., chest].mean(-1) < 0).mean() > 0.95
    # The tracker follows people closely, not exactly.
    hips = np.hypot(across, down)[..., HIPS].mean(-1)
    assert 0.005 < hips.mean() < 0.08


@pytest.mark.parametrize(
    ("error", "constant"), [("bias", True), ("drift", False), ("jitter", False)], ids=["bias", "drift", "jitter"]
)
def test_landmarks_err_by_shares_of_the_crop(filmed: tuple[Stage, np.ndarray], error: str, constant: bool):
    """Most are seen well, and err as much as the severity says; a bias stays over the sequence."""
    found = off(seen(filmed, **{error: 0.01}), filmed)
    assert 0.5 < np.median(np.abs(found[..., 11:17, :])) / (0.6745 * 0.01) < 2.0
    changes = np.abs(np.diff(np.linalg.norm(found, axis=-1), axis=1))
    same = np.median(changes)
    assert (same < 1e-3) == (error != "jitter")
    swing = np.median(np.ptp(np.linalg.norm(found[:, :, 11:17], axis=-1), axis=1))
    assert (swing < 1e-2) == constant or not constant


def test_depth_errs_more_than_what_the_picture_shows(filmed: tuple[Stage, np.ndarray]):
    found = seen(filmed, depth_bias=0.04, depth_drift=0.03, depth_jitter=0.006)
    assert np.abs(off(found, filmed)).max() < 1e-4
    error = np.abs(in_crop_axes(found) - true_in_crop_axes(found, filmed)).mean((0, 1, 2))
    assert error[2] > 1.8 * error[:2].max()
    assert 0.02 < error[2] < 0.1
    np.testing.assert_allclose(found["world_landmarks"][:, :, HIPS].mean(2), 0, atol=1e-6)


def test_a_turned_body_keeps_its_form(filmed: tuple[Stage, np.ndarray]):
    found = seen(filmed, turn=6.0)
    mine, true = in_crop_axes(found), true_in_crop_axes(found, filmed)
    np.testing.assert_allclose(np.linalg.norm(mine, axis=-1), np.linalg.norm(true, axis=-1), atol=1e-4)
    cosine = (mine * true).sum(-1) / np.maximum(np.linalg.norm(mine, axis=-1) * np.linalg.norm(true, axis=-1), 1e-9)
    degrees = np.degrees(np.arccos(np.clip(cosine[..., 15:17], -1, 1)))
    assert 2 < degrees.mean() < 15


def test_a_resized_body_stays_the_same_all_along(filmed: tuple[Stage, np.ndarray]):
    found = seen(filmed, resized=0.07, flattened=0.15)
    mine, true = in_crop_axes(found), true_in_crop_axes(found, filmed)
    factor = (mine * true).sum((1, 2)) / np.square(true).sum((1, 2))
    np.testing.assert_allclose(mine, factor[:, None, None] * true, atol=1e-3)
    np.testing.assert_allclose(factor[:, 0], factor[:, 1], rtol=1e-3)
    assert 0.03 < factor[:, 0].std() < 0.12
    assert 0.08 < (factor[:, 2] / factor[:, 0]).std() < 0.25


def test_exchanged_sides_are_exchanged_in_everything_but_depth(
    filmed: tuple[Stage, np.ndarray], flawless: dict[str, np.ndarray]
):
    found = seen(filmed, exchanged=1.0)
    moved = np.abs(found["landmarks"] - flawless["landmarks"]).max(-1) > 1e-6
    legs, arms = moved[:, :, 25:].any(2), moved[:, :, 13:23].any(2)
    # Most of what comes back within the sequence is undone, as in use.
    assert 0.01 < legs.mean() < 0.4
    assert (legs != arms).any()
    for name in ("landmarks", "world_landmarks", "visibility", "presence"):
        flat = (..., slice(2)) if name == "world_landmarks" else ...
        was, now = flawless[name][:, :, LANDMARK_MIRROR][flat], found[name][flat]
        for wrong, points in ((legs, slice(25, 33)), (arms, slice(13, 23))):
            np.testing.assert_allclose(now[wrong][:, points], was[wrong][:, points], atol=1e-6, err_msg=name)
            right = flawless[name][flat][~wrong][:, points]
            np.testing.assert_allclose(now[~wrong][:, points], right, atol=1e-6, err_msg=name)


def test_what_limbs_say_of_depth_suffers_where_sides_were_exchanged(
    filmed: tuple[Stage, np.ndarray], flawless: dict[str, np.ndarray]
):
    depth, true = (one["world_landmarks"][..., 2] for one in (seen(filmed, exchanged=1.0), flawless))
    wrists = [LANDMARK_NAMES.index(f"{side}_wrist") for side in ("left", "right")]
    for points in (HIPS, wrists):
        np.testing.assert_allclose(depth[..., points].mean(-1), true[..., points].mean(-1), atol=1e-6)
    np.testing.assert_allclose(depth[..., HIPS], true[..., HIPS], atol=1e-6)
    apart, truly = (np.subtract(*np.moveaxis(one[..., wrists], -1, 0)) for one in (depth, true))
    suffered = np.abs(apart - truly) > 1e-6
    assert 0.3 < suffered.mean() < 0.95
    assert (apart * truly)[suffered].sum() < 0.5 * np.square(truly[suffered]).sum()


def test_a_folded_limb_looks_the_same_from_the_camera(filmed: tuple[Stage, np.ndarray]):
    found = seen(filmed, folded=1.0)
    mine, true = in_crop_axes(found), true_in_crop_axes(found, filmed)
    np.testing.assert_allclose(mine[..., :2], true[..., :2], atol=1e-4)
    shoulder, wrist = LANDMARK_NAMES.index("left_shoulder"), LANDMARK_NAMES.index("left_wrist")
    was, now = (points[..., wrist, 2] - points[..., shoulder, 2] for points in (true, mine))
    folded = np.abs(was - now) > 1e-3
    assert folded.any()
    np.testing.assert_allclose(now, np.where(folded, -was, was), atol=2e-3)


def test_missed_frames_repeat_the_one_before(filmed: tuple[Stage, np.ndarray]):
    found = seen(filmed, missed=1.0, short=0.5)
    known = found["known"]
    assert 0.4 < known.mean() < 0.95
    assert known.any(1).all()
    for row, frame in np.argwhere(~known):
        earlier = np.flatnonzero(known[row, :frame])
        source = earlier[-1] if len(earlier) else np.flatnonzero(known[row])[0]
        for name in features.DETECTOR_FIELDS:
            np.testing.assert_array_equal(found[name][row, frame], found[name][row, source])
    assert np.abs(off(found, filmed)[known]).max() < 1e-4
    # Some end early, down to a single frame.
    assert known.sum(1).min() < 10


def test_hidden_limbs_are_seen_badly_and_known_to_be(filmed: tuple[Stage, np.ndarray]):
    plain, hidden = seen(filmed, jitter=0.002), seen(filmed, jitter=0.002, hidden=1.0)
    less = hidden["visibility"] < 0.75
    assert less.mean() > (plain["visibility"] < 0.75).mean() + 0.02
    errors = np.linalg.norm(off(hidden, filmed), axis=-1)
    assert errors[less].mean() > 1.5 * errors[~less].mean()


def test_a_seed_gives_the_same_errors(filmed: tuple[Stage, np.ndarray]):
    first, again, other = (detect(*filmed, Severity(), np.random.default_rng(seed)) for seed in (4, 4, 5))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
    assert np.abs(first["landmarks"] - other["landmarks"]).mean() > 0.1


def test_regions_are_those_of_the_crop_with_errors_of_their_own(flawless: dict[str, np.ndarray]):
    rng = np.random.default_rng(0)
    frame = {name: flawless[name][:, 0] for name in features.DETECTOR_FIELDS}
    made = imagined.regions(frame, replace(NONE, drift=0.005, depth_drift=0.02), rng)
    for name, values in made.items():
        assert values.shape == (COUNT, 1 + ROI_VIEWS, *frame[name].shape[1:]), name
        np.testing.assert_array_equal(values[:, 0], frame[name])
    np.testing.assert_allclose(made["crops"][3, 1:], roi_crops(frame["crops"][3]))
    apart = (made["landmarks"][:, 1:] - made["landmarks"][:, :1]) / frame["crops"][:, None, None, 2:3]
    assert 0.003 < apart.std() < 0.01
    assert 0.01 < (made["world_landmarks"][:, 1:] - made["world_landmarks"][:, :1]).std() < 0.04
    still = imagined.regions(frame, NONE, rng)
    np.testing.assert_array_equal(still["landmarks"], np.repeat(frame["landmarks"][:, None], 1 + ROI_VIEWS, 1))


def test_disturbed_flow_moves_the_border_of_the_image_a_little():
    still = np.tile(np.eye(3), (400, 15, 1, 1))
    after = still.copy()
    imagined.disturb_flow(after, np.random.default_rng(0))
    unmoved = (after == still).all(axis=(2, 3))
    assert 0.01 < unmoved.mean() < 0.06
    corner = after[~unmoved] @ [0.4, 0.3, 1.0]
    moved = corner[:, :2] / corner[:, 2:] - [0.4, 0.3]
    assert 0.5e-4 < moved.std() < 3e-4
