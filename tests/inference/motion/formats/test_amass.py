"""Motion files of AMASS and the SMPL add-ons, against smplx."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body.skeleton import FINGER_JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.formats import read_motion
from video_motion.inference.motion.formats.conventions import SMPL_PELVIS, SMPLX_PELVIS, is_smpl
from video_motion.inference.motion.motion import Motion, MotionFileError

COUNT = 9


def sequence(width: int = 156, seed: int = 2) -> dict[str, np.ndarray]:
    """A wild dance, in the arrays of AMASS."""
    rng = np.random.default_rng(seed)
    return {
        "poses": rng.normal(scale=0.5, size=(COUNT, width)),
        "trans": rng.normal(size=(COUNT, 3)),
        "betas": rng.normal(size=16),
    }


def standing(width: int = 156) -> dict[str, np.ndarray]:
    """A person upright in a world whose z points up, facing −y and sliding that way, two metres above the floor."""
    arrays = {"poses": np.zeros((COUNT, width)), "trans": np.zeros((COUNT, 3)), "betas": np.ones(10)}
    arrays["poses"][:, 0] = np.pi / 2
    arrays["trans"][:, 1], arrays["trans"][:, 2] = -0.01 * np.arange(COUNT), 2.0
    return arrays


def write(path: Path, **arrays) -> Path:
    np.savez(path, allow_pickle=True, **arrays)
    return path


def in_parts(arrays):
    """As newer files of SMPL-X have it next to `poses`, and as others have it alone."""
    rest = {name: array for name, array in arrays.items() if name != "poses"}
    return rest | {"root_orient": arrays["poses"][:, :3], "pose_body": arrays["poses"][:, 3:66]}


LAYOUTS = {
    "SMPL": (72, lambda a: a | {"mocap_framerate": np.array(120.0), "gender": np.array("female")}),
    "SMPL with fps": (72, lambda a: a | {"fps": 120, "gender": np.array(b"female"), "betas": a["betas"][:10]}),
    "SMPL in joints": (72, lambda a: a | {"poses": a["poses"].reshape(COUNT, 24, 3), "fps": np.array([120])}),
    "SMPL-H": (156, lambda a: a | {"mocap_framerate": 120.0, "gender": "female", "dmpls": np.zeros((COUNT, 8))}),
    "SMPL-H in parts": (156, lambda a: in_parts(a) | {"mocap_frame_rate": 120.0, "gender": "female"}),
    "SMPL-H of betas by frame": (156, lambda a: a | {"fps": 120.0, "betas": np.tile(a["betas"], (COUNT, 1))}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_smpls_own_body_does_what_smplx_does(smpl, smpl_arrays, tmp_path, layout):
    torch = pytest.importorskip("torch")
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    width, lay_out = LAYOUTS[layout]
    arrays = sequence(width)
    written = lay_out(arrays)
    motion = read_motion(write(tmp_path / "x.npz", **written), smpl)

    model = smplx.SMPL(
        model_path="",
        data_struct=Struct(**smpl_arrays),
        vertex_ids=dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0),
        batch_size=COUNT,
    )
    body_pose = np.zeros((COUNT, 69))
    taken = 69 if width == 72 else 63
    body_pose[:, :taken] = arrays["poses"][:, 3 : 3 + taken]

    def tensor(array):
        return torch.tensor(array, dtype=torch.float32)

    out = model(
        betas=tensor(np.tile(arrays["betas"][:10], (COUNT, 1))),
        global_orient=tensor(arrays["poses"][:, :3]),
        body_pose=tensor(body_pose),
        transl=tensor(arrays["trans"]),
    )
    skin = smpl.vertices(motion.poses, motion.betas, motion.trans)
    np.testing.assert_allclose(skin, out.vertices.detach().numpy(), atol=2e-5)
    np.testing.assert_allclose(motion.joints_world, out.joints[:, :24].detach().numpy(), atol=2e-5)
    np.testing.assert_allclose(motion.trans, arrays["trans"], atol=1e-12)
    np.testing.assert_array_equal(motion.betas, arrays["betas"][:10])
    assert motion.frame_rate == pytest.approx(120)
    assert motion.gender == ("female" if "gender" in written else "neutral")
    assert not motion.has_camera
    assert motion.provenance["warnings"] == []


def test_content_decides_not_the_name(smpl, tmp_path):
    path = tmp_path / "clip.motion.pkl"
    write(tmp_path / "x.npz", fps=60, **sequence()).rename(path)
    assert read_motion(path, smpl).frame_rate == pytest.approx(60)
    assert is_smpl(smpl)


@pytest.mark.parametrize(("width", "parts"), [(165, False), (165, True), (156, False), (66, False)])
def test_another_body_keeps_the_path_of_the_hips(body, tmp_path, width, parts):
    arrays = sequence(width)
    written = in_parts(arrays) | {"surface_model_type": "smplx"} if parts else arrays
    motion = read_motion(write(tmp_path / "x.npz", mocap_frame_rate=60, **written), body)
    pelvis = SMPLX_PELVIS if width == 165 else SMPL_PELVIS
    moved = motion.joints_world[:, 0] - (arrays["trans"] + pelvis)
    np.testing.assert_allclose(moved[:, :2], 0, atol=1e-12)
    np.testing.assert_allclose(moved[:, 2], moved[0, 2], atol=1e-12)
    turned = Rotation.from_rotvec(arrays["poses"][:, :3]).as_matrix()
    np.testing.assert_allclose(body.global_rotations(motion.poses)[:, 0], turned, atol=1e-9)
    np.testing.assert_allclose(motion.poses[:, 1:22].reshape(COUNT, -1), arrays["poses"][:, 3:66])
    assert not motion.poses[:, 22:].any()
    assert not motion.betas.any()
    assert len(motion.provenance["warnings"]) == 1
    assert "shape" in motion.provenance["warnings"][0]


@pytest.mark.parametrize("layout", ["SMPL-H", "SMPL-X", "in parts"])
def test_fingers_are_read(body, tmp_path, layout):
    random = np.random.default_rng(6)
    hands = random.normal(scale=0.3, size=(COUNT, 90))
    arrays = sequence(165 if layout == "SMPL-X" else 156)
    arrays["poses"][:, -90:] = hands
    if layout == "in parts":
        arrays = in_parts(arrays) | {"pose_hand": hands}
    motion = read_motion(write(tmp_path / "x.npz", fps=30, **arrays), body)
    np.testing.assert_array_equal(motion.fingers.reshape(COUNT, 90), hands)
    np.testing.assert_allclose(motion.poses_smplh.reshape(COUNT, -1)[:, 66:], hands)


@pytest.mark.parametrize("model", ["smplh", "smplx"])
def test_fingers_of_smplx_have_our_names(body, tmp_path, model):
    """Of a file as AMASS lays it out, with joints where the package smplx has them, each finger joint moves alone."""
    names = pytest.importorskip("smplx.joint_names")
    joints = list(
        (names.SMPLH_JOINT_NAMES if model == "smplh" else names.JOINT_NAMES)[: 52 if model == "smplh" else 55]
    )
    poses = np.zeros((len(FINGER_JOINT_NAMES), len(joints), 3))
    for frame, name in enumerate(FINGER_JOINT_NAMES):
        poses[frame, joints.index(name), 2] = 0.1 * (1 + frame)
    arrays = {
        "trans": np.zeros((len(poses), 3)),
        "poses": poses.reshape(len(poses), -1),
        "betas": np.zeros(16),
        "gender": np.str_("neutral"),
        "surface_model_type": np.str_(model),
        "mocap_frame_rate": np.float64(30.0),
        "root_orient": poses[:, 0],
        "pose_body": poses[:, 1:22].reshape(len(poses), -1),
        "pose_hand": poses[:, -30:].reshape(len(poses), -1),
    }
    whole = {name: value for name, value in arrays.items() if not name.startswith(("root_", "pose_"))}
    in_parts = {name: value for name, value in arrays.items() if name != "poses"}
    # All that AMASS's own files hold, of which one array can't be read without running what a pickle says.
    released = arrays | {
        "mocap_time_length": np.float64(len(poses) / 30.0),
        "markers_latent": np.zeros((67, 3)),
        "latent_labels": np.array(["ARIEL", "C7", "CLAV"]),
        "markers_latent_vids": np.array({"ARIEL": 3}, dtype=object),
        "num_betas": np.int64(16),
        "pose_jaw": np.zeros((len(poses), 3)),
        "pose_eye": np.zeros((len(poses), 6)),
    }
    for number, written in enumerate((arrays, whole, in_parts, *([released] if model == "smplx" else ()))):
        motion = read_motion(write(tmp_path / f"{number}.npz", **written), body)
        for frame, name in enumerate(FINGER_JOINT_NAMES):
            moving = np.argwhere(motion.fingers[frame].any(axis=1)).ravel()
            assert [FINGER_JOINT_NAMES[joint] for joint in moving] == [name]
            assert motion.fingers[frame, moving[0], 2] == pytest.approx(0.1 * (1 + frame))


def test_hands_that_nobody_measured_stay_relaxed(body, tmp_path):
    arrays = sequence(156)
    arrays["poses"][:, -90:] = 0.0
    assert read_motion(write(tmp_path / "x.npz", fps=30, **arrays), body).fingers is None


def test_another_body_stands_on_the_floor(body, tmp_path):
    motion = read_motion(write(tmp_path / "x.npz", fps=30, **standing()), body)
    skin = body.vertices(motion.poses, motion.betas, motion.trans)
    assert skin[..., 2].min() == pytest.approx(0, abs=0.005)
    assert skin[..., 2].max() > 1.5, "z is up"
    feet = motion.joints_world[:, [10, 11]] - motion.joints_world[:, [7, 8]]
    assert (feet[..., 1] < -0.05).all(), "it faces −y"
    np.testing.assert_allclose(np.diff(motion.trans, axis=0), np.tile([0, -0.01, 0], (COUNT - 1, 1)), atol=1e-9)


def test_a_jump_stays_one(body, tmp_path):
    arrays = standing()
    arrays["trans"][4, 2] += 0.5
    motion = read_motion(write(tmp_path / "x.npz", fps=30, **arrays), body)
    heights = body.vertices(motion.poses, motion.betas, motion.trans)[..., 2].min(axis=1)
    assert heights[4] == pytest.approx(0.5, abs=0.01)


def test_smplx_on_smpls_body_keeps_the_hips_not_the_shape(smpl, tmp_path):
    arrays = sequence(165)
    motion = read_motion(write(tmp_path / "x.npz", mocap_frame_rate=60, **arrays), smpl)
    np.testing.assert_allclose(motion.joints_world[:, 0], arrays["trans"] + SMPLX_PELVIS, atol=1e-12)
    assert not motion.betas.any()


def test_a_missing_frame_rate_is_assumed_and_reported(smpl, tmp_path):
    motion = read_motion(write(tmp_path / "x.npz", **sequence()), smpl)
    assert motion.frame_rate == pytest.approx(30)
    assert "30 frames per second" in motion.provenance["warnings"][0]


def test_our_own_files_come_back(body, tmp_path):
    motion = read_motion(write(tmp_path / "x.npz", fps=30, **standing()), body)
    motion.save(tmp_path / "again.npz")
    again = read_motion(tmp_path / "again.npz", body)
    np.testing.assert_allclose(again.joints_world, motion.joints_world, atol=1e-6)
    assert again.provenance == motion.provenance
    assert not again.has_camera


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def _overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60:3000] = bytes(2940)
    path.write_bytes(data)


def _changed(**changes):
    def change(path: Path) -> None:
        arrays = {"mocap_framerate": np.array(60.0), **sequence(), **changes}
        write(path, **{name: array for name, array in arrays.items() if array is not None})

    return change


def _huge(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("poses", "trans"):
            header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**15}, 72), }}".ljust(117) + "\n"
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())


SPOILED = {
    "cut off": _cut_off,
    "overwritten": _overwritten,
    "huge": _huge,
    "width": _changed(poses=np.zeros((COUNT, 50))),
    "numbers of joints": _changed(poses=np.zeros((COUNT, 10, 3))),
    "no frames": _changed(poses=np.zeros((0, 156)), trans=np.zeros((0, 3))),
    "frames": _changed(trans=np.zeros((3, 3))),
    "no trans": _changed(trans=None),
    "NaN": _changed(trans=np.full((COUNT, 3), np.nan)),
    "rate": _changed(mocap_framerate=np.array(0.0)),
    "endless rate": _changed(mocap_framerate=np.array(np.inf)),
    "two rates": _changed(mocap_framerate=np.array([30.0, 60.0])),
    "objects": _changed(poses=np.array([{}], dtype=object)),
    "words": _changed(poses=np.array(["a"])),
    "scalar": _changed(poses=np.array(1.0)),
    "parts": _changed(poses=None, root_orient=np.zeros((COUNT, 3)), pose_body=np.zeros((4, 63))),
    "shape alone": lambda path: write(path, betas=np.zeros(10)),
    "array": lambda path: np.save(path.open("wb"), np.zeros(4)),
    "zip": lambda path: zipfile.ZipFile(path, "w").close(),
    "text": lambda path: path.write_text("no motion\nat all"),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


def _refused(path: Path, body: Body) -> str:
    with pytest.raises(MotionFileError) as caught:
        read_motion(path, body)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("how", SPOILED)
def test_other_files_are_refused_in_a_sentence(smpl, tmp_path, how):
    path = write(tmp_path / "a b.npz", fps=60, **sequence())
    SPOILED[how](path)
    _refused(path, smpl)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trans_cam", np.nan),
        ("timestamps", 1.0),
        ("poses_cam", "x"),
        ("provenance", "[1]"),
        ("provenance", "{"),
        ("betas", 0.0),
    ],
)
def test_damaged_files_of_our_own(body, tmp_path, name, value):
    path = tmp_path / "x.npz"
    read_motion(write(path, fps=30, **standing()), body).save(path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = np.array(value) if name in ("provenance", "betas") else np.full(arrays[name].shape, value)
    write(path, **arrays)
    _refused(path, body)


def test_no_frames_of_our_own(body, tmp_path):
    motion = read_motion(write(tmp_path / "x.npz", fps=30, **standing()), body)
    motion.trimmed(np.zeros(COUNT, dtype=bool)).save(tmp_path / "x.npz")
    assert len(Motion.load(tmp_path / "x.npz")) == 0
    assert "no frames" in _refused(tmp_path / "x.npz", body)


def test_odd_but_harmless_files_are_read(smpl, tmp_path):
    # Older files of SMPL-X pickle their gender, which is not opened.
    motion = read_motion(write(tmp_path / "x.npz", fps=30, gender=np.array([{}], dtype=object), **sequence()), smpl)
    assert motion.gender == "neutral"
    one = {name: array[:1] if name != "betas" else array for name, array in sequence().items()}
    assert len(read_motion(write(tmp_path / "one.npz", fps=30, **one), smpl)) == 1
