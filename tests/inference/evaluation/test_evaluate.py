"""Scores of estimators against a true motion."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.evaluation import evaluate
from video_motion.inference.motion.motion import Motion

Make = Callable[..., Motion]
NOT_ERRORS = {"frames", "jitter", "true jitter", "world jitter", "foot sliding"}


def test_flawless_estimate_has_no_error(estimated: Make, true_motion: Motion, body: Body):
    table = evaluate.evaluate([estimated()], true_motion, body)
    assert list(table) == [evaluate.BLAZEPOSE, "landmarks"]
    assert set(table["landmarks"]) == set(evaluate.UNITS)
    for scores in table.values():
        assert scores["frames"] == len(true_motion)
        assert scores["jitter"] == pytest.approx(scores["true jitter"])
        for measure in set(scores) - NOT_ERRORS:
            assert scores[measure] == pytest.approx(0, abs=1e-4), measure


def test_errors_land_where_they_belong(estimated: Make, true_motion: Motion, body: Body):
    joints = true_motion.joints_cam.copy()
    joints[:, 20] += [0.0, 0.0, 0.12]  # the left wrist, one of twelve
    joints[:, :, 2] += 0.5
    world = estimated().world_landmarks.copy()
    world[:, 16] += [0.0, 0.24, 0.0]  # the right wrist
    table = evaluate.evaluate([estimated(joints_cam=joints, world_landmarks=world)], true_motion, body)
    assert table["landmarks"]["MPJPE"] == pytest.approx(10)
    assert table["landmarks"]["root depth"] == pytest.approx(500)
    assert table[evaluate.BLAZEPOSE]["MPJPE"] == pytest.approx(20)
    assert table[evaluate.BLAZEPOSE]["reprojection"] == pytest.approx(0, abs=1e-9)


def test_frames_are_matched_by_number_and_bridged_ones_left_out(estimated: Make, true_motion: Motion, body: Body):
    keep = np.arange(len(true_motion)) >= 3
    late = estimated().trimmed(keep)
    late.joints_cam[4, 20] += 5.0
    late.bridged[4] = True
    table = evaluate.evaluate([late], true_motion, body)
    for scores in table.values():
        assert scores["frames"] == len(true_motion) - 4
        assert scores["MPJPE"] == pytest.approx(0, abs=1e-6)


def test_the_person_is_found_among_others(estimated: Make, true_motion: Motion, body: Body):
    elsewhere = estimated(boxes=true_motion.boxes + np.array([900.0, 0, 0, 0]), person=1)
    found = evaluate.find_person([elsewhere, estimated(person=2)], true_motion)
    assert found is not None
    assert found.person == 2
    with pytest.raises(evaluate.EvaluationError):
        evaluate.evaluate([elsewhere], true_motion, body)
    with pytest.raises(evaluate.EvaluationError):
        evaluate.evaluate([], true_motion, body)


def test_other_estimators_get_their_own_column(estimated: Make, true_motion: Motion, body: Body):
    table = evaluate.evaluate([estimated(), estimated(estimator="network")], true_motion, body)
    assert list(table) == [evaluate.BLAZEPOSE, "landmarks", "network"]


def test_surface_is_not_compared_across_bodies(estimated: Make, true_motion: Motion, body: Body):
    other = evaluate.score_motion(estimated(), true_motion.trimmed(true_motion.frames < 9), body)
    assert "PVE" in other
    foreign = true_motion.trimmed(true_motion.frames < 9)
    foreign.joints_cam[:, 5] += 0.01
    assert "PVE" not in evaluate.score_motion(estimated(), foreign, body)


def test_without_truth(estimated: Make):
    motion = estimated()
    landmarks = motion.landmarks.copy()
    landmarks[..., 0] += 6
    landmarks[:, 11, 0] += 1000
    landmarks[:, 11, 2] = 0  # unseen, so it doesn't count
    table = evaluate.evaluate_without_truth([estimated(landmarks=landmarks)])
    scores = table["landmarks, person 1"]
    assert scores["reprojection"] == pytest.approx(6)
    assert "MPJPE" not in scores
    assert table["BlazePose, person 1"]["jitter"] == pytest.approx(scores["jitter"])


def test_table_shows_what_was_measured():
    text = evaluate.markdown({"a": {"frames": 12.0, "MPJPE": 123.456}, "b": {"frames": 12.0, "Accel": math.nan}})
    assert text.splitlines() == [
        "| measure | a | b |",
        "|---|---:|---:|",
        "| frames | 12 | 12 |",
        "| MPJPE (mm) | 123.5 | – |",
        "| Accel (mm/frame²) | – | – |",
    ]


def test_command_writes_scores(
    estimated: Make, true_motion: Motion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    motion, truth = tmp_path / "a.motion.npz", tmp_path / "a.truth.npz"
    estimated().save(motion)
    true_motion.save(truth)
    clip = str(tmp_path / "a.mp4")
    assert evaluate.main([clip, str(truth), "--motion", str(motion), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == (tmp_path / "out" / "a.scores.md").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "out" / "a.scores.json").read_text(encoding="utf-8"))
    assert written["scores"]["landmarks"]["MPJPE"] == pytest.approx(0, abs=1e-3)
    assert written["units"]["PVE"] == "mm"
    assert evaluate.main([clip, "--no-truth", "--motion", str(motion)]) == 0


def test_command_tells_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert evaluate.main([str(tmp_path / "a.mp4")]) == 1
    assert "--no-truth" in capsys.readouterr().err
    assert evaluate.main([str(tmp_path / "a.mp4"), str(tmp_path / "a.npz")]) == 1
