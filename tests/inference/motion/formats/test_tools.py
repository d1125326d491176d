"""Each tool's file, written from one known dance, gives the dance back."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.formats import ENDINGS, read_motions
from video_motion.inference.motion.formats.conventions import is_smpl
from video_motion.inference.motion.motion import Motion, MotionFileError

from . import known, writers
from .known import FRAMES, SIZE, TOOLS, Y_UP, Dancer, Tool, dancers

MILLIMETRE = 1e-3
PIXEL = 0.5


@pytest.fixture(params=["SMPL's body", "our body"])
def dancing(request, smpl: Body, body: Body) -> Body:
    return smpl if request.param == "SMPL's body" else body


def danced(tool: Tool, body: Body) -> list[Dancer]:
    return dancers(body, tool.moving, hands=not tool.smplx)


def expected(tool: Tool, who: Dancer) -> np.ndarray:
    """Joints (N, 24, 3) in our world, but for the floor's height."""
    return who.joints(who.betas if is_smpl(who.body) and not tool.smplx else np.zeros(10))


def lift(motion: Motion, joints: np.ndarray) -> np.ndarray:
    """How the motion's seen joints lie to ``joints``, which must be the same everywhere."""
    away = motion.joints_world[~motion.bridged] - joints
    np.testing.assert_allclose(away, np.broadcast_to(away[0, 0], away.shape), atol=MILLIMETRE)
    return away[0, 0]


@pytest.mark.parametrize("name", TOOLS)
def test_the_dance_comes_back(tmp_path: Path, dancing: Body, name: str):
    tool = TOOLS[name]
    people = danced(tool, dancing)
    motions = read_motions(tool.write(tmp_path / "x", people), dancing, fps=25)
    people = sorted(people, key=lambda who: -who.n)[: 1 if tool.alone else 2]
    assert [motion.person for motion in motions] == list(range(1, len(people) + 1))
    lifts = []
    for motion, who in zip(motions, people, strict=True):
        np.testing.assert_array_equal(motion.frames, np.arange(who.frames[0], who.frames[-1] + 1))
        np.testing.assert_array_equal(motion.frames[~motion.bridged], who.frames)
        np.testing.assert_allclose(motion.timestamps, motion.frames / 25)
        joints = expected(tool, who)
        lifts.append(lift(motion, joints))
        np.testing.assert_allclose(lifts[-1][:2], 0, atol=MILLIMETRE)
        skin = dancing.joints(motion.poses, motion.betas, motion.trans)
        np.testing.assert_allclose(skin, motion.joints_world, atol=MILLIMETRE)
        own_shape = is_smpl(dancing) and not tool.smplx
        np.testing.assert_allclose(motion.betas, who.betas if own_shape else 0, atol=1e-6)
        assert motion.provenance["format"] == tool.name
        assert motion.has_camera == tool.filmed
        if not tool.filmed:
            continue
        assert motion.image_size.tolist() == list(SIZE)
        np.testing.assert_allclose(np.diag(motion.camera_K)[:2], tool.focal, rtol=1e-3)
        place = motion.camera_to_world - who.cameras[motion.frames]
        np.testing.assert_allclose(place[~motion.bridged, :3, :3], 0, atol=1e-4)
        np.testing.assert_allclose(place[~motion.bridged, :3, 3] - lifts[-1], 0, atol=MILLIMETRE)
        truth = np.einsum("nij,nkj->nki", who.to_camera, joints - who.cameras[who.frames, None, :3, 3])
        for axis in range(2):
            seen = motion.joints_cam[~motion.bridged] @ motion.camera_K[axis] / motion.joints_cam[~motion.bridged, :, 2]
            image = tool.focal * truth[..., axis] / truth[..., 2] + SIZE[axis] / 2
            near = truth[..., 2] > 1.0
            np.testing.assert_allclose(seen[near], image[near], atol=PIXEL * tool.focal / 1000)
    np.testing.assert_allclose(lifts, np.broadcast_to(lifts[0], (len(lifts), 3)), atol=2 * MILLIMETRE)
    if name == "PromptHMR" and is_smpl(dancing):
        np.testing.assert_allclose(lifts[0], 0, atol=MILLIMETRE)


@pytest.mark.parametrize("name", TOOLS)
def test_smplx_agrees(tmp_path: Path, smpl: Body, smpl_arrays: dict[str, np.ndarray], name: str):
    """The joints that smplx makes of θ, β and translation are the dance's, which this page's truth is taken from."""
    torch = pytest.importorskip("torch")
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    tool = TOOLS[name]
    people = danced(tool, smpl)
    motion = read_motions(tool.write(tmp_path / "x", people), smpl)[0]
    model = smplx.SMPL(
        model_path="",
        data_struct=Struct(**smpl_arrays),
        vertex_ids=dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0),
        batch_size=FRAMES,
    )
    poses, betas, trans = (
        torch.tensor(array, dtype=torch.float32)
        for array in (motion.poses.reshape(FRAMES, 72), np.tile(motion.betas, (FRAMES, 1)), motion.trans)
    )
    found = model(betas=betas, global_orient=poses[:, :3], body_pose=poses[:, 3:], transl=trans)
    joints = found.joints[:, :24].detach().numpy()
    away = joints - expected(tool, people[1])
    np.testing.assert_allclose(away, np.broadcast_to(away[0, 0], away.shape), atol=MILLIMETRE)
    np.testing.assert_allclose(away[..., :2], 0, atol=MILLIMETRE)


def test_people_stand_on_the_floor(tmp_path: Path, body: Body):
    """Our body has soles; those of the dancer who comes lowest touch z = 0."""
    motions = read_motions(known.vibe(tmp_path / "x", danced(TOOLS["VIBE"], body)), body)
    lowest = [body.vertices(motion.poses, motion.betas, motion.trans)[..., 2].min() for motion in motions]
    assert min(lowest) > -0.25
    assert min(lowest) < 0.15


def test_gaps_are_bridged_between_what_is_known(tmp_path: Path, smpl: Body):
    _, motion = read_motions(known.vibe(tmp_path / "x", danced(TOOLS["VIBE"], smpl)), smpl)
    assert motion.frames.tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert motion.bridged.tolist() == [False, False, False, True, True, False, False]
    roots = motion.joints_world[:, 0]
    np.testing.assert_allclose(roots[3], roots[2] + (roots[5] - roots[2]) / 3, atol=1e-9)
    np.testing.assert_allclose(roots[4], roots[2] + (roots[5] - roots[2]) * 2 / 3, atol=1e-9)
    assert (motion.scores[motion.bridged] == 0).all()
    assert (motion.scores[~motion.bridged] == 1).all()


def test_long_gaps_stay_gaps(tmp_path: Path, smpl: Body):
    people = danced(TOOLS["VIBE"], smpl)[:1]
    path = known.vibe(tmp_path / "x", people)
    people[0].cameras = np.tile(people[0].cameras[:1], (5009, 1, 1))
    people[0].frames = np.array([2, 3, 4, 5007, 5008])
    (motion,) = read_motions(known.vibe(path, people), smpl, fps=30)
    assert motion.frames.tolist() == [2, 3, 4, 5007, 5008]
    assert motion.timestamps[-1] == pytest.approx(5008 / 30)


def test_frames_in_disorder_and_twice(tmp_path: Path, smpl: Body):
    people = danced(TOOLS["WHAM"], smpl)[1:]
    order = np.array([3, 1, 2, 2, 5, 4])
    for name in ("frames", "turns", "roots"):
        setattr(people[0], name, getattr(people[0], name)[order])
    (motion,) = read_motions(known.wham(tmp_path / "x", people), smpl)
    assert motion.frames.tolist() == [1, 2, 3, 4, 5]
    joints = expected(TOOLS["WHAM"], people[0])[[1, 2, 0, 5, 4]]
    lift(motion, joints)


def test_an_unknown_frame_rate_is_reported(tmp_path: Path, smpl: Body):
    path = known.vibe(tmp_path / "x.pkl", danced(TOOLS["VIBE"], smpl))
    assumed, given = read_motions(path, smpl)[0], read_motions(path, smpl, fps=50)[0]
    assert assumed.frame_rate == pytest.approx(30)
    assert "30 frames per second" in assumed.provenance["warnings"][0]
    assert given.frame_rate == pytest.approx(50)
    assert given.provenance["warnings"] == []


def test_another_bodys_shape_is_reported(tmp_path: Path, body: Body, smpl: Body):
    for tool, who in ((TOOLS["WHAM"], body), (TOOLS["PromptHMR"], smpl)):
        motion = read_motions(tool.write(tmp_path / "x", danced(tool, who)), who, fps=30)[0]
        assert any("mean shape" in warning for warning in motion.provenance["warnings"])


def test_several_worlds_of_wham_are_reported(tmp_path: Path, smpl: Body):
    motion = read_motions(known.wham(tmp_path / "x", danced(TOOLS["WHAM"], smpl)), smpl, fps=30)[0]
    assert "world of its own" in motion.provenance["warnings"][0]


def test_wham_without_a_world(tmp_path: Path, smpl: Body):
    people = danced(TOOLS["VIBE"], smpl)
    path = known.wham(tmp_path / "x", people, without=("pose_world", "trans_world"))
    lift(read_motions(path, smpl)[0], expected(TOOLS["WHAM"], people[1]))


def test_gvhmr_in_camera_space_alone(tmp_path: Path, smpl: Body):
    people = dancers(smpl, moving=False, hands=False)
    path = known.gvhmr(tmp_path / "x", people, without=("smpl_params_global",))
    (motion,) = read_motions(path, smpl)
    lift(motion, expected(TOOLS["GVHMR"], people[1]))
    assert motion.has_camera


def test_gvhmr_in_the_world_alone(tmp_path: Path, smpl: Body):
    people = danced(TOOLS["GVHMR"], smpl)
    (motion,) = read_motions(known.gvhmr(tmp_path / "x", people, without=("smpl_params_incam",)), smpl)
    lift(motion, expected(TOOLS["GVHMR"], people[1]))
    assert not motion.has_camera


def test_aists_dance_is_in_metres_at_its_own_rate(tmp_path: Path, dancing: Body):
    people = dancers(dancing, moving=False, hands=True)
    (motion,) = read_motions(known.aist(tmp_path / "x.pkl", people), dancing)
    assert motion.provenance["format"] == "AIST++"
    assert motion.provenance["warnings"] == []
    assert motion.frame_rate == pytest.approx(60)
    assert not motion.has_camera
    np.testing.assert_allclose(lift(motion, people[1].joints(np.zeros(10)))[:2], 0, atol=MILLIMETRE)
    with pytest.raises(MotionFileError, match="smpl_scaling is -1"):
        read_motions(known.aist(tmp_path / "x.pkl", people, scaling=-1.0), dancing)


def test_gvhmrs_world_gets_the_size_of_this_bodys_legs(tmp_path: Path, body: Body):
    """A walk whose feet stand still on our body, written by somebody whose legs are longer by a tenth."""
    frames = np.arange(60)
    turns = np.tile(np.eye(3), (60, 24, 1, 1))
    turns[:, 0] = Y_UP.T
    swing = 0.5 * np.sin(frames * 0.25)
    for joint, sign in ((1, 1.0), (2, -1.0)):
        turns[:, joint] = Rotation.from_rotvec(np.outer(sign * swing, [1.0, 0.0, 0.0])).as_matrix()
    rest = body.rest_joints(np.zeros(10))[0]
    feet = body.joints(turns, np.zeros(10), -rest)[:, [10, 11]]
    # Whoever's foot moves backwards under the body stands and pushes it.
    pushed = np.min(np.diff(-feet[..., 1], axis=0), axis=1)
    roots = np.zeros((60, 3))
    roots[1:, 1] = -np.cumsum(-pushed)
    roots[:, 2] = 0.9
    cameras = np.tile(np.eye(4), (60, 1, 1))
    cameras[:, :3, :3], cameras[:, :3, 3] = known.UPRIGHT, (0.0, -5.0, 1.0)
    walker = Dancer(1, frames, turns, 1.1 * roots, np.zeros(10), cameras, body)
    known_frames, known.FRAMES = known.FRAMES, 60  # pyrefly: ignore[bad-assignment]
    try:
        path = known.gvhmr(tmp_path / "x.pt", [walker])
    finally:
        known.FRAMES = known_frames
    (motion,) = read_motions(path, body, fps=30)
    travelled = np.ptp(motion.joints_world[:, 0, 1])
    assert travelled > 1.0
    assert travelled == pytest.approx(np.ptp(roots[:, 1]), rel=0.02)
    np.testing.assert_allclose(motion.camera_to_world[:, 1, 3], -5.0 / 1.1, rtol=0.02)


def test_prompthmr_in_camera_space_alone(tmp_path: Path, smpl: Body):
    people = dancers(smpl, moving=False, hands=False)
    path = known.prompthmr(tmp_path / "x", people, without=("smplx_world",))
    lift(read_motions(path, smpl)[0], expected(TOOLS["PromptHMR"], people[1]))


def test_tram_without_its_camera(tmp_path: Path, smpl: Body):
    people = dancers(smpl, moving=False, hands=True)
    (motion,) = read_motions(known.tram(tmp_path / "x", people, camera=False), smpl)
    lift(motion, expected(TOOLS["TRAM"], people[1]))
    assert not motion.has_camera
    assert any("camera.npy" in warning for warning in motion.provenance["warnings"])


def test_trams_camera_is_no_person(tmp_path: Path, smpl: Body):
    track = known.tram(tmp_path / "x", danced(TOOLS["TRAM"], smpl))
    with pytest.raises(MotionFileError, match="TRAM's camera: choose"):
        read_motions(track.parent.parent / "camera.npy", smpl)
    writers.write_npy(track.parent.parent / "camera.npy", {"other": 1})
    with pytest.raises(MotionFileError, match="not TRAM's camera"):
        read_motions(track, smpl)


def test_vibe_without_the_images_size(tmp_path: Path, smpl: Body):
    people = danced(TOOLS["VIBE"], smpl)
    motion = read_motions(known.vibe(tmp_path / "x", people, without=("bboxes",)), smpl, fps=30)[0]
    assert not motion.has_camera
    assert "one distance" in motion.provenance["warnings"][0]
    away = motion.joints_world - expected(TOOLS["VIBE"], people[1])
    np.testing.assert_allclose(away[..., 0], 0, atol=MILLIMETRE)
    np.testing.assert_allclose(away[..., 2], away[0, 0, 2], atol=MILLIMETRE)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress, None])
def test_joblibs_compressions(tmp_path: Path, smpl: Body, pack: writers.Pack | None):
    people = danced(TOOLS["VIBE"], smpl)
    lift(read_motions(known.vibe(tmp_path / "x", people, pack), smpl)[0], expected(TOOLS["VIBE"], people[1]))


def test_joblibs_older_lzma(tmp_path: Path, smpl: Body):
    path = known.vibe(
        tmp_path / "x", danced(TOOLS["VIBE"], smpl), lambda raw: lzma.compress(raw, format=lzma.FORMAT_ALONE)
    )
    assert len(read_motions(path, smpl)) == 2


def test_plain_pickles_and_old_torch_files(tmp_path: Path, smpl: Body):
    import pickle

    from video_motion.inference.motion.formats import archive

    people = danced(TOOLS["VIBE"], smpl)
    content = archive.read(known.vibe(tmp_path / "x", people))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "y").write_bytes(pickle.dumps(content, protocol=protocol))
        lift(read_motions(tmp_path / "y", smpl)[0], expected(TOOLS["VIBE"], people[1]))
    people = danced(TOOLS["GVHMR"], smpl)
    path = known.gvhmr(tmp_path / "z", people, as_zip=False)
    lift(read_motions(path, smpl)[0], expected(TOOLS["GVHMR"], people[1]))


def test_amass_and_our_own_files(tmp_path: Path, smpl: Body):
    rng = np.random.default_rng(1)
    arrays = {"poses": rng.normal(size=(9, 156)), "trans": rng.normal(size=(9, 3)), "betas": rng.normal(size=16)}
    np.savez(tmp_path / "x.npz", allow_pickle=False, **arrays)
    (motion,) = read_motions(tmp_path / "x.npz", smpl, fps=24)
    assert motion.frame_rate == pytest.approx(24)
    assert motion.provenance["warnings"] == []
    np.testing.assert_allclose(motion.trans, arrays["trans"], atol=1e-12)
    first = read_motions(known.prompthmr(tmp_path / "y", danced(TOOLS["PromptHMR"], smpl)), smpl)[0]
    first.save(tmp_path / "own")
    (again,) = read_motions(tmp_path / "own", smpl)
    np.testing.assert_allclose(again.joints_world, first.joints_world, atol=1e-5)
    assert again.provenance == first.provenance


def test_endings_are_what_tools_write():
    assert {".npz", ".pkl", ".pt", ".npy"} == set(ENDINGS)
