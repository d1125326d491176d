import dataclasses

import numpy as np
import pytest
from video_motion.inference.body.skeleton import LANDMARK_MIRROR
from video_motion.inference.people import crops
from video_motion.inference.research.training.noise import BLANK, Noise, augment, augment_flow

NONE = Noise().scaled(0)
B, T = 40, 9


def window() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    crop = np.concatenate(
        [rng.uniform(200, 400, (B, T, 2)), rng.uniform(100, 300, (B, T, 1)), rng.normal(0, 1, (B, T, 1))], -1
    )
    return {
        "landmarks": rng.uniform(0, 600, (B, T, 33, 2)),
        "visibility": rng.random((B, T, 33)),
        "presence": rng.random((B, T, 33)),
        "world_landmarks": rng.normal(0, 1, (B, T, 33, 3)),
        "scores": rng.random((B, T)),
        "crops": crop,
        "known": np.ones((B, T), bool),
        "offsets": np.tile(np.arange(T) / 30, (B, 1)),
        "rows": np.arange(B * T).reshape(B, T),
        "channels": np.tile(np.arange(40), (B, T, 1)),
        "cells": np.zeros((B, T, 2), int),
    }


def augmented(**strength: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    before, after = window(), window()
    augment(after, dataclasses.replace(NONE, **strength), np.random.default_rng(1), T // 2)
    return before, after


def test_no_noise_changes_nothing():
    before, after = augmented()
    assert before.keys() == after.keys()
    for key, values in before.items():
        np.testing.assert_array_equal(values, after[key], key)


def test_jitter_is_in_units_of_the_crop():
    before, after = augmented(jitter=0.01)
    side = before["crops"][:, T // 2, 2]
    off = (after["landmarks"] - before["landmarks"]).std(axis=(1, 2, 3)) / side
    np.testing.assert_allclose(off, 0.01, rtol=0.2)


def test_bias_stays_over_the_window():
    before, after = augmented(world_bias=0.02)
    off = after["world_landmarks"] - before["world_landmarks"]
    np.testing.assert_allclose(off, np.repeat(off[:, :1], T, axis=1), atol=1e-12)
    assert off.std() == pytest.approx(0.02, rel=0.1)


def test_missed_frames_repeat_their_neighbour_towards_the_middle():
    before, after = augmented(miss=0.5)
    assert after["known"][:, T // 2].all()
    assert 0.4 < after["known"].mean() < 0.7
    for number in range(B):
        for slot in range(T):
            source = slot
            while not after["known"][number, source]:
                source += 1 if source < T // 2 else -1
            for key in ("landmarks", "scores", "crops", "rows"):
                np.testing.assert_array_equal(after[key][number, slot], before[key][number, source])
    np.testing.assert_array_equal(after["offsets"], before["offsets"])


def test_a_frame_that_replaces_others_has_the_same_errors():
    still = window()
    for key in ("landmarks", "visibility", "presence", "world_landmarks", "scores", "crops", "rows"):
        still[key][:] = still[key][:, T // 2 : T // 2 + 1]
    augment(still, Noise().scaled(3), np.random.default_rng(1), T // 2)
    for key in ("landmarks", "visibility", "world_landmarks", "crops", "channels", "cells"):
        np.testing.assert_array_equal(still[key], np.repeat(still[key][:, :1], T, axis=1), key)


def test_swapped_limbs_change_sides_on_the_maps_too():
    before, after = augmented(swap=1.0)
    legs, arms = (after["channels"][:, :, part] != part for part in (27, 15))
    assert legs.any()
    assert arms.any()
    assert not (legs & arms).all()
    for number, frame in np.argwhere(legs):
        other = LANDMARK_MIRROR[27]
        assert after["channels"][number, frame, 27] == other
        np.testing.assert_array_equal(after["landmarks"][number, frame, 27], before["landmarks"][number, frame, other])
    np.testing.assert_array_equal(after["channels"][:, :, :11], before["channels"][:, :, :11])
    np.testing.assert_array_equal(after["channels"][:, :, 33:], before["channels"][:, :, 33:])


def test_dropped_landmarks_have_low_visibility_and_no_heatmap():
    before, after = augmented(drop=0.2)
    dropped = after["channels"][:, :, :33] == BLANK
    assert 0.1 < dropped.mean() < 0.18
    assert (after["visibility"][dropped] <= 0.6 * before["visibility"][dropped]).all()
    np.testing.assert_array_equal(after["landmarks"][~dropped], before["landmarks"][~dropped])


def test_a_crop_moves_by_cells_of_its_maps():
    before, after = augmented(box=0.02)
    assert (after["cells"] != 0).any()
    for number, frame in np.ndindex(B, T):
        point = before["landmarks"][number, frame, 0]
        was = crops.from_image(point, before["crops"][number, frame]) * 64
        now = crops.from_image(point, after["crops"][number, frame]) * 64
        np.testing.assert_allclose(was - now, after["cells"][number, frame], atol=1e-9)


def test_augmented_flow_moves_the_border_of_the_image_a_little():
    still = np.tile(np.eye(3), (400, 15, 1, 1))
    after = still.copy()
    augment_flow(after, NONE, np.random.default_rng(0))
    np.testing.assert_array_equal(after, still)
    augment_flow(after, dataclasses.replace(NONE, flow=1e-3, still=0.25), np.random.default_rng(0))
    unmoved = (after == still).all(axis=(2, 3))
    assert unmoved.mean() == pytest.approx(0.25, abs=0.02)
    corner = after[~unmoved] @ [0.4, 0.3, 1.0]
    off = corner[:, :2] / corner[:, 2:] - [0.4, 0.3]
    assert 0.5e-3 < off.std() < 3e-3
