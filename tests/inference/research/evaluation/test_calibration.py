"""Calibrated cameras and their files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.research.evaluation import calibration
from video_motion.inference.research.evaluation.truth import EvaluationError

from . import rig


@pytest.mark.parametrize("write", [rig.write_toml, rig.write_qca])
def test_files_of_other_programs(write: Callable, tmp_path: Path):
    cameras = rig.around()
    file = tmp_path / "calibration.txt"
    write(cameras[::-1], file)
    read = calibration.read_calibration(file)
    assert [camera.name for camera in read] == [camera.name for camera in cameras]
    for found, camera in zip(read, cameras, strict=True):
        assert found.size == camera.size
        np.testing.assert_allclose(found.K, camera.K)
        np.testing.assert_allclose(found.distortion, camera.distortion[: len(found.distortion)])
        np.testing.assert_allclose(found.rotation, camera.rotation, atol=1e-9)
        np.testing.assert_allclose(found.translation, camera.translation, atol=1e-9)


def test_qca_by_hand(tmp_path: Path):
    """A camera on the x axis that looks at the origin, with the axes of Qualisys' manual: x right, y up, z backward."""
    file = tmp_path / "a.qca.txt"
    rig.write_qca(rig.around(2), file)
    text = file.read_text(encoding="utf-8")
    first = text.index("<transform"), text.index("/>", text.index("<transform"))
    rows = 'r11="0" r12="1" r13="0" r21="0" r22="0" r23="1" r31="1" r32="0" r33="0" x="3000" y="0" z="0"'
    file.write_text(f"{text[: first[0]]}<transform {rows}{text[first[1] :]}", encoding="utf-8")
    camera, _ = calibration.read_calibration(file)
    np.testing.assert_allclose(camera.position, [3, 0, 0], atol=1e-12)
    # Ahead of it, to its right, above.
    np.testing.assert_allclose(camera.to_camera(np.eye(3)), [[0, 0, 2], [1, 0, 3], [0, -1, 3]], atol=1e-12)


def test_pixels_by_hand():
    camera = calibration.CalibratedCamera(
        "a", (640, 480), np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), np.array([0.1, 0, 0, 0]), np.eye(3),
        np.zeros(3),
    )  # fmt: skip
    # At x / z = 0.5 the radius grows by 0.1 · 0.5².
    pixels = camera.pixels(np.array([[[1.0, 0, 2]]]))
    np.testing.assert_allclose(pixels, [[[320 + 600 * 0.5 * 1.025, 240]]])
    np.testing.assert_allclose(camera.rays(pixels), [[[0.5, 0]]], atol=1e-6)


def test_video_of_another_size():
    camera = rig.around()[0]
    half = camera.filming((320, 240), Path("a.mp4"))
    points = rig.someone()
    np.testing.assert_allclose(half.pixels(points), camera.pixels(points) / 2)
    cut = camera.filming((632, 480), Path("a.mp4"))
    np.testing.assert_allclose(cut.pixels(points), camera.pixels(points))
    with pytest.raises(EvaluationError, match=r"a\.mp4 is 480×640 and its camera cam01 was calibrated at 640×480"):
        camera.filming((480, 640), Path("a.mp4"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("size = [", "size = [["), "is damaged or no calibration"),
        (lambda text: "", "fewer than two cameras"),
        (lambda text: text.split("[cam_1]")[0], "fewer than two cameras"),
        (lambda text: text.replace("distortions", "lens"), "lacks 'distortions'"),
        (lambda text: text.replace("fisheye = false", "fisheye = true"), "fisheye"),
        (lambda text: text.replace("cam02", "cam01"), "same name"),
        (lambda text: text.replace("rotation = [", "rotation = [nan, "), "is damaged"),
        (lambda text: text.replace("matrix = [[", "matrix = [[-"), "no focal length"),
        (lambda text: text.replace("[640.0", "[0.0").replace("[ 640.0", "[ 0.0"), "no size"),
    ],
)
def test_damaged_files_are_told_in_a_sentence(change: Callable[[str], str], said: str, tmp_path: Path):
    file = tmp_path / "Calib.toml"
    rig.write_toml(rig.around(2), file)
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(EvaluationError, match=said) as raised:
        calibration.read_calibration(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_damaged_qca(tmp_path: Path):
    file = tmp_path / "a.qca.txt"
    rig.write_qca(rig.around(2), file)
    text = file.read_text(encoding="utf-8")
    for bad in (text[:-40], text.replace("<transform", "<place"), text.replace('x="', 'x="far')):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(EvaluationError, match="is damaged or no calibration"):
            calibration.read_calibration(file)
    with pytest.raises(EvaluationError, match="can't be read"):
        calibration.read_calibration(tmp_path / "none.toml")


def test_millimetres_are_noticed(tmp_path: Path):
    file = tmp_path / "Calib.toml"
    rig.write_toml(rig.around(2, radius=4000.0), file)
    with pytest.raises(EvaluationError, match="in metres"):
        calibration.read_calibration(file)


def test_calibration_is_found_among_other_files(tmp_path: Path):
    (tmp_path / "Config.toml").write_text("[project]\nframes = 'all'\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no calibration", encoding="utf-8")
    with pytest.raises(EvaluationError, match="no calibration in"):
        calibration.find_calibration(tmp_path)
    (tmp_path / "calibration").mkdir()
    file = tmp_path / "calibration" / "Calib.qca.txt"
    rig.write_qca(rig.around(), file)
    assert calibration.find_calibration(tmp_path) == file
    rig.write_toml(rig.around(), tmp_path / "Calib.toml")
    with pytest.raises(EvaluationError, match="several calibrations"):
        calibration.find_calibration(tmp_path)


def test_videos_are_paired_by_name_or_order(tmp_path: Path):
    cameras = rig.around(3)
    for name in ("cam02.mp4", "cam01.mov", "cam02.overlay.mp4"):
        (tmp_path / name).touch()
    pairs = calibration.pair_with_videos(cameras, tmp_path)
    assert [(camera.name, video.name) for camera, video in pairs] == [("cam01", "cam01.mov"), ("cam02", "cam02.mp4")]
    other = tmp_path / "other"
    other.mkdir()
    for name in ("view10.mp4", "view9.mp4"):
        (other / name).touch()
    with pytest.raises(EvaluationError, match="2 videos for 3 cameras"):
        calibration.pair_with_videos(cameras, other)
    pairs = calibration.pair_with_videos(cameras[:2], other)
    assert [video.name for _, video in pairs] == ["view9.mp4", "view10.mp4"]
