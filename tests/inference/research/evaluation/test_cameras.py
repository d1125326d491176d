"""Scores on calibrated cameras, from flawless and from spoilt estimates of someone known."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.motion.estimate import as_seen
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.evaluation import cameras, metrics
from video_motion.inference.research.evaluation.cameras import MEAN, View
from video_motion.inference.research.evaluation.scores import evaluate
from video_motion.inference.research.evaluation.truth import EvaluationError

from . import rig

FILE_ORDER = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
"""Left arm, right arm, left leg, right leg among the limb joints."""


@pytest.fixture
def filmed(true_motion: Motion) -> Callable[..., Motion]:
    """Makes the flawless estimate of `rig.someone` by a camera."""

    def make(number: int, estimator: str = "landmarks") -> Motion:
        camera, world = rig.around()[number], rig.someone(len(true_motion))
        limbs, pixels = camera.to_camera(world), camera.pixels(world)
        joints = true_motion.joints_cam.copy()
        joints[:, metrics.LIMB_JOINTS] = limbs
        landmarks, local = np.zeros((len(limbs), 33, 3)), np.zeros((len(limbs), 33, 3))
        landmarks[:, metrics.LIMB_LANDMARKS] = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], axis=-1)
        local[:, metrics.LIMB_LANDMARKS] = metrics.align_root(limbs, metrics.HIPS)
        return replace(
            true_motion,
            joints_cam=joints,
            landmarks=landmarks,
            world_landmarks=local,
            boxes=np.concatenate([pixels.min(1), np.ptp(pixels, axis=1)], axis=1),
            estimator=estimator,
            provenance={"video": f"{camera.name}.mp4"},
        )

    return make


@pytest.fixture
def views(filmed: Callable[..., Motion]) -> list[View]:
    return [View(camera, [filmed(number)]) for number, camera in enumerate(rig.around())]


def test_flawless_estimates(views: list[View], body: Body):
    joints = rig.someone(len(views[0].motions[0]))
    np.testing.assert_allclose(cameras.triangulate_people(views).joints, joints, atol=1e-6)
    results, mean = cameras.score(views, joints, body)
    assert list(mean) == ["BlazePose", "landmarks"]
    for scores in (*mean.values(), *(table for result in results.values() for table in result.table.values())):
        for measure in ("MPJPE", "PA-MPJPE", "Accel", "disagreement", "error x", "error y", "error z"):
            assert scores[measure] == pytest.approx(0, abs=1e-6), measure
        assert scores["limb lengths"] == pytest.approx(100)
        assert scores["sides exchanged"] == scores["sides exchanged, image"] == 0
    assert mean["BlazePose"]["reprojection"] == pytest.approx(0, abs=1e-6)
    # The estimators' camera has no lens, so theirs is not.
    assert mean["landmarks"]["frames"] == 4 * len(joints)


def test_a_spoilt_camera_is_told_from_the_others(views: list[View], body: Body):
    motion = views[2].motions[0]
    n = len(motion)
    motion.joints_cam[:, metrics.LIMB_JOINTS[metrics.LIMB_NAMES.index("left_wrist")], 2] += 0.12
    exchanged = metrics.LIMB_LANDMARKS
    mirrored = [exchanged[other] for other in metrics.LIMB_MIRROR]
    motion.world_landmarks[:3, exchanged] = motion.world_landmarks[:3, mirrored]
    motion.landmarks[:3, exchanged] = motion.landmarks[:3, mirrored]
    results, mean = cameras.score(views, rig.someone(n), body)
    tables = {name: result.table["landmarks"] for name, result in results.items()}
    assert tables["cam03"]["MPJPE"] == pytest.approx(10)
    assert tables["cam03"]["error z"] == pytest.approx(10)
    assert tables["cam03"]["error x"] == pytest.approx(0, abs=1e-6)
    assert mean["landmarks"]["MPJPE"] == pytest.approx(2.5)
    # Three of six pairs have the camera; each other camera has one pair of three with it.
    assert tables["cam03"]["disagreement"] == pytest.approx(10)
    assert tables["cam01"]["disagreement"] == pytest.approx(10 / 3)
    assert mean["landmarks"]["disagreement"] == pytest.approx(5)
    theirs = results["cam03"].table["BlazePose"]
    assert theirs["sides exchanged"] == theirs["sides exchanged, image"] == pytest.approx(300 / n)


def test_a_turned_and_shrunk_estimate(views: list[View], body: Body):
    turn, _ = cv2.Rodrigues(np.radians([0.0, 12.0, 0.0]))
    for view in views:
        motion = view.motions[0]
        hips = motion.joints_cam[:, [1, 2]].mean(axis=1, keepdims=True)
        motion.joints_cam[:] = 0.9 * (motion.joints_cam - hips) @ turn.T + hips
    _, mean = cameras.score(views, rig.someone(len(views[0].motions[0])), body)
    found = mean["landmarks"]
    assert found["limb lengths"] == pytest.approx(90)
    assert found["PA-MPJPE"] == pytest.approx(0, abs=1e-6)
    aligned = metrics.align_root(rig.someone(len(views[0].motions[0])), metrics.HIPS)
    assert found["MPJPE, clip turned"] == pytest.approx(100 * np.linalg.norm(aligned, axis=-1).mean())
    assert found["MPJPE"] > found["MPJPE, clip turned"] + 10


def test_true_landmarks_are_compared_with_the_body_s_landmarks_too(true_motion: Motion, body: Body):
    """Whose joints lie elsewhere: hips of people in clothes are seen lower."""
    limbs = as_seen(body).landmark_positions(true_motion.poses_cam, true_motion.betas, true_motion.trans_cam)
    camera = replace(rig.around()[0], rotation=np.eye(3), translation=np.zeros(3), K=true_motion.camera_K)
    truth = cameras.truth_of(camera, limbs[:, metrics.LIMB_LANDMARKS], true_motion.frame_rate)
    truth = replace(truth, frames=true_motion.frames)
    scores = evaluate([true_motion], truth, body).table[true_motion.estimator]
    for measure in ("MPJPE", "PA-MPJPE"):
        assert scores[f"{measure}, landmarks"] == pytest.approx(0, abs=1e-4)
        assert scores[measure] > 10


def test_a_camera_that_found_nobody(views: list[View], body: Body):
    results, mean = cameras.score([*views[:3], View(views[3].camera, [])], rig.someone(12), body)
    assert results["cam04"].table["landmarks"]["frames"] == 0
    assert np.isnan(results["cam04"].table["landmarks"]["disagreement"])
    assert mean["landmarks"]["disagreement"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(EvaluationError, match="at least two"):
        cameras.triangulate_people([views[0], *(View(view.camera, []) for view in views[1:])])


def write_videos(folder: Path) -> None:
    folder.mkdir()
    for camera in rig.around():
        writer = cv2.VideoWriter(str(folder / f"{camera.name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, rig.SIZE)
        for _ in range(3):
            writer.write(np.zeros((rig.SIZE[1], rig.SIZE[0], 3), np.uint8))
        writer.release()


def test_command(filmed: Callable[..., Motion], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, out = tmp_path / "rig", tmp_path / "out"
    write_videos(folder)
    rig.write_qca(rig.around(), folder / "Calib.qca.txt")
    files = []
    for number in range(4):
        for estimator in ("landmarks", "network"):
            files.append(str(tmp_path / f"{number}.{estimator}.motion.npz"))
            filmed(number, estimator).save(Path(files[-1]))
    truth = tmp_path / "truth.npz"
    np.savez(truth, joints=rig.someone(12)[:, FILE_ORDER].astype(np.float32))
    for given in ([], ["--truth", str(truth)]):
        command = ["evaluate", "--cameras", str(folder), "--motion", *files, "--out", str(out), *given]
        assert cli.main(command) == 0
        text = capsys.readouterr().out
        assert text == (out / "rig.scores.md").read_text(encoding="utf-8")
        rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
        places = ["cam01", "cam02", "cam03", "cam04", MEAN]
        names = ("BlazePose", "landmarks", "network")
        assert [row[:2] for row in rows[1:]] == [[f"| {name}", place] for name in names for place in places]
        written = json.loads((out / "rig.scores.json").read_text(encoding="utf-8"))
        for name in names:
            assert written["scores"][name]["MPJPE"] == pytest.approx(0, abs=1e-2)
            assert written["by camera"]["cam02"][name]["disagreement"] == pytest.approx(0, abs=1e-2)
    assert written["truth"] == f"The truth is that of {truth}."


def test_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_videos(tmp_path / "rig")
    rig.write_toml(rig.around(), tmp_path / "rig" / "Calib.toml")
    np.savez(tmp_path / "few.npz", joints=np.zeros((5, 11, 3)))
    for given, said in (
        (["--cameras", "none"], "none is not a folder"),
        (["--cameras", "rig", "--no-truth"], "leave out CLIP and --no-truth"),
        (["--cameras", "rig", "--truth", "few.npz"], "(frames, 12, 3)"),
        (["--cameras", "rig", "--truth", "rig/cam01.mp4"], "no joints that can be read"),
        (["--cameras", "rig", "--network", "landmarks"], "Nobody was found in at least two videos"),
    ):
        paths = [str(tmp_path / one) if one[0] in "nrf" else one for one in given]
        assert cli.main(["evaluate", *paths]) == 1
        assert said in capsys.readouterr().err
