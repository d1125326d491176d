"""A camera that the user gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.camera.given import CameraFileError, GivenCamera
from video_motion.inference.camera.intrinsics import focal_from_film

K = np.array([[1100.0, 0, 630], [0, 1090, 370], [0, 0, 1]])
LOOKS_ALONG_Y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def pan(seconds: np.ndarray) -> np.ndarray:
    """A camera at eye level that pans by 30° and walks 2 m in a second."""
    matrices = np.tile(np.eye(4), (len(seconds), 1, 1))
    turns = Rotation.from_euler("z", 30 * seconds[:, None], degrees=True).as_matrix()
    matrices[:, :3, :3] = turns @ LOOKS_ALONG_Y
    matrices[:, :3, 3] = np.stack([2 * seconds, 0 * seconds, 0 * seconds + 1.6], axis=1)
    return matrices


def world_of(camera) -> np.ndarray:
    local = np.tile(np.eye(4), (len(camera.rotations), 1, 1))
    local[:, :3, :3], local[:, :3, 3] = camera.rotations, camera.positions
    return camera.world @ local


@pytest.mark.parametrize("name", ["camera.json", "camera.npz"])
def test_a_file_gives_the_camera_at_the_videos_times(tmp_path: Path, name: str):
    keys = np.array([0.0, 0.1, 0.15, 0.4, 1.0])
    GivenCamera(tmp_path / name, (1280, 720), K, pan(keys), keys).save()
    times = np.linspace(0.05, 0.95, 23)
    # A copy of half the size has half the focal length.
    camera, warnings = GivenCamera.load(tmp_path / name).at((640, 360), np.arange(23), times)
    assert warnings == []
    np.testing.assert_allclose(world_of(camera), pan(times), atol=1e-9)
    np.testing.assert_allclose(camera.K[:2], K[:2] / 2)
    np.testing.assert_allclose(camera.rotations[0], np.eye(3), atol=1e-12)
    (warning,) = GivenCamera.load(tmp_path / name).at((640, 360), np.arange(23), times + 0.5)[1]
    assert "0.00 to 1.00 s only" in warning


def test_a_file_may_be_written_by_hand(tmp_path: Path):
    file = tmp_path / "camera.json"
    still = {"size": [1920, 1080], "focal_mm": 26, "camera_to_world": pan(np.zeros(1))[0].tolist()}
    file.write_text(json.dumps(still))
    camera, _ = GivenCamera.load(file).at((1920, 1080), np.arange(5), np.arange(5) / 25)
    np.testing.assert_allclose(world_of(camera), pan(np.zeros(5)), atol=1e-12)
    assert camera.K[0].tolist() == [focal_from_film((1920, 1080), 26), 0, 960]
    # One matrix for each frame of the video, of which a part is wanted.
    matrices = pan(np.arange(20) / 25)
    file.write_text(json.dumps(still | {"camera_to_world": matrices.tolist()}))
    camera, _ = GivenCamera.load(file).at((1920, 1080), np.arange(7, 20), np.arange(7, 20) / 24)
    np.testing.assert_allclose(world_of(camera), matrices[7:], atol=1e-12)
    with pytest.raises(CameraFileError, match="has 20 matrices, and the video a frame 20"):
        GivenCamera.load(file).at((1920, 1080), np.arange(21), np.arange(21) / 25)
    with pytest.raises(CameraFileError, match="1920×1080 pixels, and the video has 1080×1920"):
        GivenCamera.load(file).at((1080, 1920), np.arange(20), np.arange(20) / 25)


SCALED = np.diag([2.0, 2, 2, 1])
MIRRORED = np.diag([-1.0, 1, 1, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": None}, "can't be read"),
        ({"K": [[1, 0, 0]]}, "intrinsics"),
        ({"K": None, "focal_mm": "wide"}, "can't be read"),
        ({"camera_to_world": SCALED.tolist()}, "rigid"),
        ({"camera_to_world": MIRRORED.tolist()}, "rigid"),
        ({"camera_to_world": [[[float("nan")] * 4] * 4]}, "rigid"),
        ({"seconds": [0.0, 0.1]}, "seconds"),
        ({"seconds": [0.0, 0.2, 0.1]}, "seconds"),
        ({"camera_to_world": ...}, "lacks 'camera_to_world'"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, change: dict, words: str):
    file = tmp_path / "camera.json"
    content = {"size": [1280, 720], "K": K.tolist(), "camera_to_world": pan(np.arange(3) / 25).tolist()} | change
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))
    with pytest.raises(CameraFileError, match=words) as caught:
        GivenCamera.load(file)
    assert str(caught.value).startswith(str(file))
    assert str(caught.value).count("\n") == 0


def test_what_is_no_camera_is_refused(tmp_path: Path):
    with pytest.raises(CameraFileError, match="does not exist"):
        GivenCamera.load(tmp_path / "none.json")
    for name, content in (("list.json", b"[1]"), ("text.json", b"hello"), ("zip.npz", b"PK\3\4")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CameraFileError, match="can't be read"):
            GivenCamera.load(tmp_path / name)
