"""Scores of estimators against a true motion."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.estimators import NETWORKS
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.evaluation import metrics, scores
from video_motion.inference.research.evaluation.truth import EvaluationError, Truth
from video_motion.inference.research.training import shards

from ..training.conftest import make_shard, with_roi_views

Make = Callable[..., Motion]
NOT_ERRORS = {"frames", "true frames", "jitter", "true jitter", "world jitter", "foot sliding", "EMDB jitter"}
NOT_ERRORS |= {"limb lengths"}
LEARNT = [name for name, weights in NETWORKS.items() if weights]


def test_flawless_estimate_has_no_error(estimated: Make, truth: Truth, body: Body):
    result = scores.evaluate([estimated()], truth, body)
    assert list(result.table) == list(result.errors) == [scores.BLAZEPOSE, "landmarks"]
    assert set(result.table["landmarks"]) == {
        measure
        for measure in scores.UNITS
        if measure not in ("disagreement", "worlds apart", "standing knees")
        and "landmarks" not in measure
        and "14 joints" not in measure
    }
    for found in result.table.values():
        assert found["frames"] == found["true frames"] == len(truth)
        assert found["jitter"] == pytest.approx(found["true jitter"])
        assert found["limb lengths"] == pytest.approx(100)
        for measure in set(found) - NOT_ERRORS:
            assert found[measure] == pytest.approx(0, abs=1e-4), measure


def test_errors_land_where_they_belong(estimated: Make, true_motion: Motion, truth: Truth, body: Body):
    joints = true_motion.joints_cam.copy()
    joints[:, 20] += [0.0, 0.0, 0.12]  # the left wrist, one of twelve limb joints and of SMPL's 24
    joints[:, :, 2] += 0.5
    world = estimated().world_landmarks.copy()
    world[:, 16] += [0.0, 0.24, 0.0]  # the right wrist
    result = scores.evaluate([estimated(joints_cam=joints, world_landmarks=world)], truth, body)
    ours, theirs = result.table["landmarks"], result.table[scores.BLAZEPOSE]
    assert ours["MPJPE"] == ours["error z"] == pytest.approx(10)
    assert ours["error x"] == ours["error y"] == pytest.approx(0, abs=1e-9)
    assert ours["EMDB MPJPE"] == pytest.approx(5)
    assert ours["root depth"] == pytest.approx(500)
    assert theirs["MPJPE"] == pytest.approx(20)
    assert theirs["reprojection"] == pytest.approx(0, abs=1e-9)
    assert result.errors["landmarks"][:, metrics.LIMB_NAMES.index("left_wrist")] == pytest.approx(120)
    assert result.errors["landmarks"].sum(axis=1) == pytest.approx(120)


def test_a_turned_body_by_emdbs_measures(estimated: Make, true_motion: Motion, truth: Truth, body: Body):
    turn = rotations.axis_angle_to_matrix(np.radians([0.0, 40.0, 0.0]))
    poses = true_motion.poses_cam.copy()
    poses[:, 0] = rotations.matrix_to_axis_angle(turn @ rotations.axis_angle_to_matrix(poses[:, 0]))
    poses[:, 16, 0] += 0.5
    trans = true_motion.trans_cam + 1.0
    made = estimated(poses_cam=poses, trans_cam=trans, joints_cam=body.joints(poses, truth.betas, trans))
    found = scores.evaluate([made], truth, body).table["landmarks"]

    estimated_rotations, true_rotations = (
        body.global_rotations(of)[:, metrics.EMDB_ROTATION_JOINTS] for of in (poses, true_motion.poses_cam)
    )
    assert found["EMDB MPJAE"] == pytest.approx(metrics.mpjae(estimated_rotations, true_rotations))
    # The alignment undoes the turn, but for the little that the raised arm changes it.
    assert found["EMDB PA-MPJAE"] < found["EMDB MPJAE"] - 25
    surface = body.vertices(poses, truth.betas, trans)
    true_surface = body.vertices(true_motion.poses_cam, truth.betas, true_motion.trans_cam)
    hips, true_hips = made.joints_cam[:, [1, 2]].mean(1), true_motion.joints_cam[:, [1, 2]].mean(1)
    off = (surface - hips[:, None]) - (true_surface - true_hips[:, None])
    assert found["EMDB MVE"] == pytest.approx(1000 * np.linalg.norm(off, axis=-1).mean())
    assert found["PVE"] != pytest.approx(found["EMDB MVE"])


def test_a_body_that_only_turned_is_the_same_after_alignment(estimated: Make, truth: Truth, body: Body):
    turn = rotations.axis_angle_to_matrix(np.radians([0.0, 40.0, 0.0]))
    poses = estimated().poses_cam.copy()
    poses[:, 0] = rotations.matrix_to_axis_angle(turn @ rotations.axis_angle_to_matrix(poses[:, 0]))
    made = estimated(poses_cam=poses, joints_cam=body.joints(poses, truth.betas, estimated().trans_cam))
    found = scores.evaluate([made], truth, body).table["landmarks"]
    assert found["EMDB MPJAE"] == pytest.approx(40)
    assert found["EMDB PA-MPJAE"] == pytest.approx(0, abs=1e-4)
    assert found["EMDB PA-MPJPE"] == pytest.approx(0, abs=1e-4)


def test_frames_are_matched_by_number_and_bridged_ones_left_out(estimated: Make, truth: Truth, body: Body):
    keep = np.arange(len(truth)) >= 3
    late = estimated().trimmed(keep)
    late.joints_cam[4, 20] += 5.0
    late.bridged[4] = True
    result = scores.evaluate([late], truth, body)
    np.testing.assert_array_equal(result.frames, [3, 4, 5, 6, *range(8, len(truth))])
    for found in result.table.values():
        assert (found["frames"], found["true frames"]) == (len(truth) - 4, len(truth))
        assert found["MPJPE"] == pytest.approx(0, abs=1e-6)


def test_every_estimator_is_scored_on_the_same_frames(estimated: Make, truth: Truth, body: Body):
    early, late = estimated(), estimated(estimator="network").trimmed(np.arange(len(truth)) >= 3)
    early.joints_cam = early.joints_cam.copy()
    early.joints_cam[1, 20] += 5.0
    result = scores.evaluate([early, late], truth, body)
    assert list(result.table) == [scores.BLAZEPOSE, "landmarks", "network"]
    assert {found["frames"] for found in result.table.values()} == {len(truth) - 3}
    assert result.table["landmarks"]["MPJPE"] == pytest.approx(0, abs=1e-6)


def test_the_person_is_found_among_others(estimated: Make, true_motion: Motion, truth: Truth, body: Body):
    elsewhere = estimated(boxes=true_motion.boxes + np.array([900.0, 0, 0, 0]), person=1)
    found = scores.find_person([elsewhere, estimated(person=2)], truth)
    assert found is not None
    assert found.person == 2
    for motions in ([elsewhere], [], [estimated(), replace(elsewhere, estimator="network")]):
        with pytest.raises(EvaluationError):
            scores.evaluate(motions, truth, body)


def test_surface_is_not_compared_across_bodies(estimated: Make, true_motion: Motion, body: Body):
    part = true_motion.trimmed(true_motion.frames < 9)
    assert "PVE" in scores.evaluate([estimated()], Truth.from_motion(part, body), body).table["landmarks"]
    part.joints_cam[:, 5] += 0.01
    assert "PVE" not in scores.evaluate([estimated()], Truth.from_motion(part, body), body).table["landmarks"]


def test_the_papers_joints_are_those_of_the_surface(estimated: Make, truth: Truth, body: Body):
    """A regressor that takes a vertex for each of Human3.6M's joints: one knee's is moved."""
    vertices = np.linspace(0, len(body.v_template) - 1, 17).astype(int)
    regressor = np.eye(len(body.v_template))[vertices]
    other = replace(body, v_template=body.v_template.copy())
    other.v_template[vertices[5]] += [0.0, 0.14, 0.0]
    result = scores.evaluate([estimated()], replace(truth, body=other), body, regressor).table["landmarks"]
    # One of 14 joints is 14 cm off; shapes and poses move vertices a little on their way.
    assert result["MPJPE, 14 joints"] == pytest.approx(10, rel=0.1)
    assert 5 < result["PA-MPJPE, 14 joints"] < 40
    other.v_template[vertices[9]] += 1.0
    again = scores.evaluate([estimated()], replace(truth, body=other), body, regressor).table["landmarks"]
    assert again["MPJPE, 14 joints"] == pytest.approx(result["MPJPE, 14 joints"]), "the nose's neck is not compared"


def test_joints_alone_give_fewer_measures(estimated: Make, truth: Truth, body: Body):
    bare = replace(truth, joints=None, poses=None, betas=None, body=None, contacts=None, pelvis=None)
    found = scores.evaluate([estimated()], bare, body).table["landmarks"]
    assert {"MPJPE", "PA-MPJPE", "Accel", "jitter"} < set(found)
    assert not {"PVE", "foot sliding", "root depth"} & set(found)
    assert not [measure for measure in found if measure.startswith("EMDB")]


def test_clips_count_by_their_frames():
    def result(frames: float, error: float, jitter: float) -> scores.Evaluation:
        table = {"tar": {"frames": frames, "true frames": 10.0, "MPJPE": error, "EMDB jitter": jitter}}
        return scores.Evaluation(table, np.arange(int(frames)), 30.0, {})

    nobody = scores.Evaluation({"tar": {"frames": 0.0, "true frames": 10.0}}, np.zeros(0, int), 30.0, {})
    table = scores.pool([result(1.0, 50.0, 2.0), result(3.0, 90.0, 4.0), nobody, result(0.0, math.nan, math.nan)])
    assert table == {"tar": {"frames": 4.0, "true frames": 40.0, "MPJPE": 80.0, "EMDB jitter": 3.0}}


def test_without_truth(estimated: Make):
    motion = estimated()
    landmarks = motion.landmarks.copy()
    landmarks[..., 0] += 6
    landmarks[:, 11, 0] += 1000
    landmarks[:, 11, 2] = 0  # unseen, so it doesn't count
    table = scores.evaluate_without_truth([estimated(landmarks=landmarks)])
    found = table["landmarks, person 1"]
    assert found["reprojection"] == pytest.approx(6)
    assert "MPJPE" not in found
    assert table["BlazePose, person 1"]["jitter"] == pytest.approx(found["jitter"])


def test_table_shows_what_was_measured():
    text = scores.markdown({"a": {"frames": 12.0, "MPJPE": 123.456}, "b": {"frames": 12.0, "Accel": math.nan}})
    assert text.splitlines() == [
        "| measure | a | b |",
        "|---|---:|---:|",
        "| frames | 12 | 12 |",
        "| MPJPE (mm) | 123.5 | – |",
        "| Accel (mm/frame²) | – | – |",
    ]


def test_command_writes_scores_and_pictures(
    estimated: Make, true_motion: Motion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    motions, truth = [tmp_path / "a.motion.npz", tmp_path / "b.motion.npz"], tmp_path / "a.truth.npz"
    for motion, name in zip(motions, ("landmarks", "network"), strict=True):
        estimated(estimator=name).save(motion)
    true_motion.save(truth)
    clip, out = str(tmp_path / "a.mp4"), tmp_path / "out"
    given = [str(motion) for motion in motions]
    assert cli.main(["evaluate", clip, str(truth), "--motion", *given, "--out", str(out)]) == 0
    table = capsys.readouterr().out
    assert table == (out / "a.scores.md").read_text(encoding="utf-8")
    assert table.startswith("| measure | BlazePose | landmarks | network |")
    written = json.loads((out / "a.scores.json").read_text(encoding="utf-8"))
    assert written["scores"]["landmarks"]["MPJPE"] == pytest.approx(0, abs=1e-3)
    assert written["units"]["PVE"] == "mm"
    names = ["a.over_time.png", "a.per_joint.png", "a.scores.json", "a.scores.md"]
    assert sorted(file.name for file in out.iterdir()) == names
    assert cli.main(["evaluate", clip, "--no-truth", "--motion", *given]) == 0


def test_data_get_columns_for_each_estimator(body: Body, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """On people detected without errors, in unnatural poses, which networks estimate as more likely ones."""
    shard = with_roi_views(make_shard(body, 1), np.random.default_rng(0), every=1)
    shards.write_shard(tmp_path / "data" / "validation" / "000000.npz", shard)
    command = ["--data", str(tmp_path / "data"), "--device", "cpu", "--network", *NETWORKS, "--out", str(tmp_path)]
    assert cli.main(["evaluate", *command]) == 0
    columns = ["BlazePose", *(column for name in LEARNT for column in (f"{name}, network alone", name)), "landmarks"]
    assert capsys.readouterr().out.splitlines()[0] == f"| measure | {' | '.join(columns)} |"
    written = json.loads((tmp_path / "data.scores.json").read_text(encoding="utf-8"))["scores"]
    assert {written[column]["frames"] for column in columns} == {float(shard.found.sum())}
    for column in columns:
        assert written[column]["PA-MPJPE"] < 190, column
    assert written["landmarks"]["MPJPE"] < 105
    # The fit and smoothing after a network reduce jitter.
    for name in LEARNT:
        assert written[name]["Accel"] < written[f"{name}, network alone"]["Accel"]


def test_several_processes_score_as_one(body: Body, tmp_path: Path):
    for number in range(3):
        shards.write_shard(tmp_path / "data" / "validation" / f"{number:06d}.npz", make_shard(body, number))
    command = ["evaluate", "--data", str(tmp_path / "data"), "--device", "cpu", "--network", "landmarks"]
    tables = []
    for jobs, most in ((1, []), (2, []), (2, ["--sequences", "4"])):
        out = tmp_path / str(len(tables))
        assert cli.main([*command, "--jobs", str(jobs), *most, "--out", str(out)]) == 0
        tables.append(json.loads((out / "data.scores.json").read_text(encoding="utf-8"))["scores"])
    assert tables[0] == tables[1]
    assert tables[0]["landmarks"]["frames"] > tables[2]["landmarks"]["frames"]
    assert os.listdir(tmp_path / "data") == ["validation"]


def test_command_reports_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["evaluate", str(tmp_path / "a.mp4")]) == 1
    assert "--no-truth" in capsys.readouterr().err
    assert cli.main(["evaluate", str(tmp_path / "a.mp4"), str(tmp_path / "a.npz")]) == 1


def test_layout_needs_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["evaluate", "--layout", "emdb", "--network", "landmarks"]) == 1
    assert "--root" in capsys.readouterr().err
    assert cli.main(["evaluate", "--layout", "emdb", "--network", "landmarks", "--root", str(tmp_path / "none")]) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert cli.main(["evaluate", "--layout", "emdb", "--network", "landmarks", "--root", str(tmp_path)]) == 1
    assert "nothing of emdb" in capsys.readouterr().err
    assert cli.main(["evaluate", "a.mp4", "--layout", "emdb", "--network", "landmarks", "--root", str(tmp_path)]) == 1
    assert "leave out CLIP" in capsys.readouterr().err
    assert cli.main(["evaluate", "--network", "landmarks", "--smpl", str(tmp_path)]) == 1
    assert "SMPL_NEUTRAL" in capsys.readouterr().err
