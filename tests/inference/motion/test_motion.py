"""A motion in camera space and in the world, and its file."""

from __future__ import annotations

import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference import zips
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.motion import Motion, MotionFileError

from . import scenes


@pytest.fixture(scope="module")
def motion(body: Body) -> Motion:
    """A walk of twelve unevenly timed frames seen by a camera that turns; every field has values of its own."""
    random = np.random.default_rng(1)
    n = 12
    timestamps = 4.2 + np.cumsum(random.choice([1 / 60, 1 / 30, 1 / 15], n))
    turns = Rotation.from_euler("yx", np.linspace([0, 0], [25, 4], n), degrees=True).as_matrix()
    scene = scenes.walk(body, timestamps, random.normal(size=10), turns=turns)
    pixels = scenes.project(scene.landmarks, scene.camera.K)
    return Motion(
        timestamps=timestamps,
        poses_cam=scene.poses,
        trans_cam=scene.trans,
        betas=scene.betas,
        rest_pelvis=body.rest_joints(scene.betas)[0],
        joints_cam=scene.joints,
        camera_K=scene.camera.K,
        camera_to_world=scene.to_world,
        image_size=np.array(scenes.SIZE),
        frames=np.arange(100, 100 + n),
        boxes=np.concatenate([pixels.min(1), np.ptp(pixels, axis=1)], axis=1),
        scores=random.uniform(size=(n, 24)),
        bridged=random.uniform(size=n) < 0.4,
        contacts=random.uniform(size=(n, 2)),
        landmarks=np.concatenate([pixels, random.uniform(size=(n, 33, 1))], axis=-1),
        world_landmarks=random.normal(size=(n, 33, 3)),
        fingers=random.normal(scale=0.3, size=(n, 30, 3)),
        hand_landmarks=random.uniform(size=(n, 2, 21, 3)),
        face=random.uniform(size=(n, 52)),
        face_scores=random.uniform(size=n),
        estimator="by hand",
        person=3,
        gender="female",
        provenance={"video": "Füße 1.mp4", "options": {"smoothing": 0.5, "end": None}},
    )


@pytest.fixture
def saved(motion: Motion, tmp_path: Path) -> Path:
    path = tmp_path / "a b.motion.npz"
    motion.save(path)
    return path


def test_everything_comes_back(motion: Motion, saved: Path):
    again = Motion.load(saved)
    for entry in fields(Motion):
        stored, true = getattr(again, entry.name), getattr(motion, entry.name)
        if not isinstance(true, np.ndarray):
            assert stored == true, entry.name
            continue
        assert stored.shape == true.shape, entry.name
        assert stored.dtype == true.dtype, entry.name
        # Pixels come to 1280, metres to 8: single precision is far below what anyone can see.
        np.testing.assert_allclose(stored, true, rtol=1e-6, atol=1e-6, err_msg=entry.name)
    np.testing.assert_array_equal(again.timestamps, motion.timestamps, "times are kept to the last digit")
    assert list(saved.parent.iterdir()) == [saved]


def test_file_is_read_like_one_of_amass(motion: Motion, saved: Path):
    with np.load(saved, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    n = len(motion)
    shapes = {
        "poses": (n, 72),
        "trans": (n, 3),
        "betas": (10,),
        "gender": (),
        "mocap_framerate": (),
        "timestamps": (n,),
        "joints_cam": (n, 24, 3),
        "camera_K": (3, 3),
        "boxes": (n, 4),
        "scores": (n, 24),
        "poses_smplh": (n, 156),
        "estimator": (),
    }
    assert {key: arrays[key].shape for key in shapes} == shapes
    assert str(arrays["gender"]) == "female"
    assert str(arrays["estimator"]) == "by hand"
    seconds = motion.timestamps[-1] - motion.timestamps[0]
    assert float(arrays["mocap_framerate"]) == pytest.approx((n - 1) / seconds)
    assert all(np.isfinite(array).all() for array in arrays.values() if array.dtype.kind == "f")


def test_files_without_fingers_and_face(motion: Motion, tmp_path: Path):
    path = tmp_path / "bare.motion.npz"
    replace(motion, fingers=None, hand_landmarks=None, face=None, face_scores=None).save(path)
    with np.load(path) as archive:
        assert not {"poses_smplh", "hand_landmarks", "face", "face_scores", "face_names"} & set(archive.files)
    again = Motion.load(path)
    assert again.fingers is None
    assert again.hand_landmarks is None
    assert again.face is None


def test_what_a_face_does_is_named(motion: Motion, saved: Path):
    with np.load(saved, allow_pickle=False) as archive:
        assert archive["face"].shape == (len(motion), 52)
        column = archive["face_names"].tolist().index("mouthSmileLeft")
        np.testing.assert_allclose(archive["face"][:, column], motion.face[:, column], atol=1e-6)


def test_file_poses_the_body_in_the_world(motion: Motion, saved: Path, body: Body):
    with np.load(saved) as archive:
        placed = body.joints(archive["poses"], archive["betas"], archive["trans"])
        camera = archive["joints_cam"].astype(float)
        to_world = archive["camera_to_world"].astype(float)
    homogeneous = np.concatenate([camera, np.ones((*camera.shape[:2], 1))], axis=-1)
    moved = np.stack([points @ matrix.T for points, matrix in zip(homogeneous, to_world, strict=True)])[..., :3]
    np.testing.assert_allclose(placed, moved, atol=5e-6)
    np.testing.assert_allclose(motion.joints_world, moved, atol=5e-6)
    assert np.abs(motion.rest_pelvis).max() > 0.01, "a body whose pelvis is at its origin would hide a mistake"


def test_world_has_its_floor_below(motion: Motion, saved: Path, body: Body):
    with np.load(saved) as archive:
        vertices = body.vertices(archive["poses"], archive["betas"], archive["trans"])
    assert vertices[..., 2].min() == pytest.approx(0, abs=0.03), "one foot always stands on z = 0"
    heads = motion.joints_world[:, 15] - motion.joints_world[:, [7, 8]].mean(1)
    assert (heads[:, 2] > 1.2).all(), "z is up"


def test_file_poses_the_body_in_the_camera(motion: Motion, saved: Path, body: Body):
    again = Motion.load(saved)
    np.testing.assert_allclose(body.joints(again.poses_cam, again.betas, again.trans_cam), motion.joints_cam, atol=5e-6)
    pixels = scenes.project(again.joints_cam[0], again.camera_K)
    assert (pixels > 0).all()
    assert (pixels < again.image_size).all()


def test_turning_camera_is_reported(motion: Motion):
    still = replace(motion, camera_to_world=np.repeat(motion.camera_to_world[:1], len(motion), 0))
    assert motion.camera_moves
    assert not still.camera_moves


def test_a_camera_is_known_by_its_picture(motion: Motion):
    assert motion.has_camera
    assert not replace(motion, image_size=np.zeros(2, dtype=int)).has_camera


def test_single_frame(motion: Motion, tmp_path: Path):
    one = motion.trimmed(np.arange(len(motion)) == 4)
    one.save(tmp_path / "one.npz")
    again = Motion.load(tmp_path / "one.npz")
    assert len(again) == 1
    assert np.isfinite(again.frame_rate)
    assert not again.camera_moves
    np.testing.assert_allclose(again.poses, motion.poses[4:5], atol=1e-5)


def test_trimmed_keeps_the_chosen_rows(motion: Motion):
    # As many rows as K has, so that its three rows must not be taken for frames.
    three = motion.trimmed(np.arange(len(motion)) < 3)
    again = three.trimmed(np.array([True, False, True]))
    assert again.frames.tolist() == [100, 102]
    np.testing.assert_array_equal(again.trans, motion.trans[[0, 2]])
    np.testing.assert_array_equal(again.landmarks, motion.landmarks[[0, 2]])
    for name in ("camera_K", "betas", "rest_pelvis", "image_size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(motion, name), name)


def test_interrupted_write_leaves_the_old_file(motion: Motion, saved: Path, monkeypatch: pytest.MonkeyPatch):
    before = saved.read_bytes()

    def give_up(archive: zipfile.ZipFile, *_args, **_options):
        archive.writestr("half.npy", b"of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(zips, "write_array", give_up)
    with pytest.raises(KeyboardInterrupt):
        replace(motion, person=9).save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved], "nothing half-written stays behind"


def test_new_file_takes_the_old_ones_place_at_once(motion: Motion, saved: Path):
    before = saved.read_bytes()
    with saved.open("rb") as reader:
        replace(motion, person=9).save(saved)
        assert reader.read() == before, "whoever is reading the old file reads it to its end"
    assert Motion.load(saved).person == 9


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200:3000] = bytes(2800)
    path.write_bytes(data)


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, array)


def _pickled(path: Path) -> None:
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["scores"] = np.array([{"a": 1}], dtype=object)
    _write(path, arrays)


def _shorter(path: Path) -> None:
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["trans_cam"] = arrays["trans_cam"][:5]
    _write(path, arrays)


def _without_provenance(path: Path) -> None:
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    del arrays["provenance"]
    _write(path, arrays)


SPOILED = {
    "cut off": _cut_off,
    "overwritten": _overwritten,
    "pickled": _pickled,
    "shorter": _shorter,
    "without provenance": _without_provenance,
    "of AMASS": lambda path: np.savez(path, poses=np.zeros((4, 156)), trans=np.zeros((4, 3))),
    "array": lambda path: np.save(path.open("wb"), np.zeros(4)),
    "text": lambda path: path.write_text("no motion\nat all"),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", SPOILED)
def test_other_files_are_refused_in_a_sentence(saved: Path, how: str):
    SPOILED[how](saved)
    with pytest.raises(MotionFileError) as caught:
        Motion.load(saved)
    message = str(caught.value)
    assert message.startswith(str(saved))
    assert message.endswith(".")
    assert "\n" not in message
