import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
from video_motion.inference.body.rotations import axis_angle_to_matrix
from video_motion.inference.body.skeleton import JOINT_NAMES, LANDMARK_NAMES, PARENTS
from video_motion.inference.body.smpl import Body, BodyError


@pytest.fixture(scope="module")
def random_pose():
    rng = np.random.default_rng(0)
    return rng.normal(scale=0.6, size=(9, 24, 3)), 1.5 * rng.normal(size=10), 3.0 * rng.normal(size=(9, 3))


@pytest.mark.parametrize("file_fixture", ["body_file", "licensed_like_file"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_smplx(file_fixture, dtype, random_pose, request):
    torch = pytest.importorskip("torch")
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    path = request.getfixturevalue(file_fixture)
    poses, betas, trans = random_pose
    with np.load(path) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    names = smplx.vertex_ids.vertex_ids["smplh"]
    model = smplx.SMPL(
        model_path="", data_struct=Struct(**data), vertex_ids=dict.fromkeys(names, 0), batch_size=len(poses)
    )

    def tensor(array):
        return torch.tensor(array, dtype=torch.float32)

    out = model(
        betas=tensor(np.tile(betas, (len(poses), 1))),
        global_orient=tensor(poses[:, 0]),
        body_pose=tensor(poses[:, 1:].reshape(len(poses), -1)),
        transl=tensor(trans),
    )
    body = Body.load(path, dtype)
    np.testing.assert_allclose(body.vertices(poses, betas, trans), out.vertices.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(body.joints(poses, betas, trans), out.joints[:, :24].detach().numpy(), atol=1e-5)


def test_forms_of_a_pose_agree(body, random_pose):
    poses, betas, trans = random_pose
    joints = body.joints(poses, betas, trans)
    np.testing.assert_allclose(body.joints(poses.reshape(-1, 72), betas, trans), joints, atol=1e-12)
    np.testing.assert_allclose(body.joints(axis_angle_to_matrix(poses), betas, trans), joints, atol=1e-12)
    np.testing.assert_allclose(body.joints(poses, np.tile(betas, (9, 1)), trans), joints, atol=1e-12)
    with pytest.raises(ValueError, match="expected poses"):
        body.joints(np.zeros((2, 23, 3)))
    with pytest.raises(ValueError, match="shape coefficients"):
        body.shape(np.zeros(11))


def test_chunks_and_subsets_agree(licensed_like_file, random_pose):
    body = Body.load(licensed_like_file)
    poses, betas, trans = random_pose
    whole = body.vertices(poses, betas, trans)
    np.testing.assert_allclose(body.vertices(poses, betas, trans, chunk=2), whole, atol=1e-12)
    np.testing.assert_allclose(body.vertices(poses, np.tile(betas, (9, 1)), trans, chunk=2), whole, atol=1e-12)
    chosen = [5, 17, 6889]
    np.testing.assert_allclose(body.vertices_subset(chosen, poses, betas, trans), whole[:, chosen], atol=1e-12)
    rotations, joints = body.kinematics(poses, betas, trans)
    again = body.skin(body.points(chosen), rotations, joints, betas, axis_angle_to_matrix(poses))
    np.testing.assert_allclose(again, whole[:, chosen], atol=1e-12)


def test_root_turns_about_the_pelvis(body):
    turn = np.zeros((1, 24, 3))
    turn[0, 0] = [0.3, -1.2, 0.4]
    trans = np.array([[1.0, 2.0, 3.0]])
    vertices, joints = body.shape(None)
    expected = (vertices - joints[0]) @ axis_angle_to_matrix(turn[0, 0]).T + joints[0] + trans
    # The stored float32 weights do not sum to one exactly.
    np.testing.assert_allclose(body.vertices(turn, None, trans)[0], expected, atol=2e-6)


def test_no_frames(body):
    assert body.vertices(np.zeros((0, 72))).shape == (0, len(body.v_template), 3)
    assert body.landmark_positions(np.zeros((0, 24, 3))).shape == (0, 33, 3)


def test_landmarks_move_with_their_bones(body, random_pose):
    poses, betas, trans = random_pose
    landmarks = body.landmark_positions(poses, betas, trans)
    joints = body.joints(poses, betas, trans)
    # Away from the joint only as far as BlazePose puts them.
    for part, reach in {
        "elbow": 1e-6,
        "shoulder": 0.02,
        "wrist": 0.035,
        "hip": 0.035,
        "knee": 0.025,
        "ankle": 0.03,
    }.items():
        for side in ("left", "right"):
            name = f"{side}_{part}"
            away = landmarks[:, LANDMARK_NAMES.index(name)] - joints[:, JOINT_NAMES.index(name)]
            assert np.linalg.norm(away, axis=1).max() < reach
    rotations = body.global_rotations(poses)
    rest, rest_joints = body.rest_landmarks(betas), body.rest_joints(betas)
    carried = (rotations[:, None] @ (rest[:, None] - rest_joints)[None, ..., None])[..., 0] + joints[:, None]
    expected = np.einsum("kj,nkjd->nkd", body.landmarks.weights, carried)
    np.testing.assert_allclose(landmarks, expected, atol=1e-6)


def test_a_licensed_body_has_landmarks(licensed_like_file):
    body = Body.load(licensed_like_file)
    assert body.name == "SMPL_NEUTRAL"
    assert body.posedirs is not None
    np.testing.assert_allclose(body.rest_landmarks()[LANDMARK_NAMES.index("nose")], body.v_template[332])
    np.testing.assert_allclose(body.landmark_weights.sum(axis=1), 1)
    np.testing.assert_allclose(body.landmark_bones.sum(axis=1), 1)


def test_an_unknown_topology_has_no_landmarks(licensed_like, tmp_path):
    few = {name: licensed_like[name][:100] for name in ("v_template", "shapedirs", "posedirs", "weights")}
    few |= {"J_regressor": licensed_like["J_regressor"][:, :100], "kintree_table": licensed_like["kintree_table"]}
    np.savez(tmp_path / "other.npz", **few, f=np.zeros((1, 3), dtype=np.int64))
    body = Body.load(tmp_path / "other.npz")
    assert body.joints(np.zeros((1, 72))).shape == (1, 24, 3)
    with pytest.raises(BodyError, match="landmarks are not defined"):
        body.rest_landmarks()


class FakeChumpy:
    """Pickles like chumpy.ch.Ch: a module's class with the value in its state."""

    def __init__(self, x):
        self.x = x


@pytest.fixture
def chumpy(monkeypatch):
    module = types.ModuleType("chumpy.ch")
    monkeypatch.setattr(module, "Ch", type("Ch", (FakeChumpy,), {"__module__": "chumpy.ch"}), raising=False)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return module


@pytest.fixture
def licensed_like_pickle(licensed_like, tmp_path, chumpy):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    table = dict(licensed_like)
    table["shapedirs"] = chumpy.Ch(table["shapedirs"])
    table["J_regressor"] = scipy_sparse.csc_matrix(table["J_regressor"])
    table["bs_style"] = "lbs"
    path = tmp_path / "basicModel_neutral.pkl"
    path.write_bytes(pickle.dumps(table, protocol=2))
    return path


def test_a_pickle_reads_like_the_archive(licensed_like_pickle, licensed_like_file, random_pose):
    poses, betas, trans = random_pose
    from_pickle, from_archive = Body.load(licensed_like_pickle), Body.load(licensed_like_file)
    np.testing.assert_allclose(
        from_pickle.vertices(poses, betas, trans), from_archive.vertices(poses, betas, trans), atol=1e-12
    )


@pytest.mark.parametrize("protocol", [0, 1, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "csc_array"])
def test_pickles_of_every_protocol(protocol, kind, tmp_path, chumpy):
    """Protocols 0 and 1 make objects by copy_reg, as files of Python 2 do."""
    scipy_sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(2)
    template, regressor = rng.normal(size=(30, 3)), rng.uniform(size=(24, 30)) * (rng.random((24, 30)) < 0.2)
    table = {
        "v_template": chumpy.Ch(template),
        "shapedirs": rng.normal(size=(30, 3, 2)),
        "J_regressor": getattr(scipy_sparse, kind)(regressor),
        "weights": np.full((30, 24), 1 / 24),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], dtype=np.uint32),
        "f": np.arange(9, dtype=np.uint32).reshape(3, 3),
    }
    path = tmp_path / "small.pkl"
    path.write_bytes(pickle.dumps(table, protocol))
    body = Body.load(path)
    np.testing.assert_array_equal(body.v_template, template)
    np.testing.assert_array_equal(body.joint_regressor, regressor)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("payload", [Harmful(), {"v_template": Harmful()}, [1, 2], "text"])
def test_a_pickle_runs_nothing(payload, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "body.pkl"
    path.write_bytes(pickle.dumps(payload))
    with pytest.raises(BodyError):
        Body.load(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v_template": None}, "no v_template"),
        ({"weights": np.zeros((10, 24))}, "weights is"),
        ({"v_template": np.full((6890, 3), np.nan)}, "v_template has values"),
        ({"f": np.full((4, 3), 9999)}, "f points outside"),
        ({"kintree_table": np.array([[0] + [23] * 23, range(24)])}, "before its parent"),
        ({"shapedirs": np.array(["a"])}, "shapedirs is not an array of numbers"),
        ({"shapedirs": np.array([{}], dtype=object)}, "shapedirs is not an array of numbers"),
    ],
)
def test_damaged_files_are_named(licensed_like, change, words, tmp_path):
    arrays = {name: array for name, array in {**licensed_like, **change}.items() if array is not None}
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(BodyError, match=words) as caught:
        Body.load(tmp_path / "mine.npz")
    assert "mine.npz" in str(caught.value)


def test_what_is_no_body_file_at_all(tmp_path, body_file):
    with pytest.raises(BodyError, match="does not exist"):
        Body.load(tmp_path / "missing.npz")
    for name, content in {"empty.npz": b"", "text.pkl": b"hello", "video.npz": os.urandom(1000)}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BodyError, match=name):
            Body.load(tmp_path / name)
    (tmp_path / "cut.npz").write_bytes(body_file.read_bytes()[:100_000])
    with pytest.raises(BodyError, match=r"cut\.npz"):
        Body.load(tmp_path / "cut.npz")
    holder = io.BytesIO()
    with zipfile.ZipFile(holder, "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "other.npz").write_bytes(holder.getvalue())
    with pytest.raises(BodyError, match="no v_template"):
        Body.load(tmp_path / "other.npz")
    with pytest.raises(BodyError, match="cannot be read"):
        Body.load(tmp_path)


def test_parents_are_the_files(body):
    assert body.parents == PARENTS
