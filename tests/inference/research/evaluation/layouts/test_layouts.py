"""The sample, written in each layout and read again, is the sample."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.cli import arguments
from video_motion.inference.footage.reader import Footage
from video_motion.inference.research.evaluation import metrics
from video_motion.inference.research.evaluation.layouts import LAYOUTS
from video_motion.inference.research.evaluation.layouts.clip import DatasetClip, clips
from video_motion.inference.research.evaluation.truth import Bodies, EvaluationError, Truth

from . import layouts
from .conftest import FRAMES, Sample

ROOT = Path(__file__).parents[5]
Write = Callable[[Sample, Path], None]
MAKERS: dict[str, tuple[Write, str | None]] = {
    "3dpw": (layouts.write_threedpw, None),
    "emdb": (layouts.write_emdb, None),
    "mpi_inf_3dhp": (layouts.write_mpi_inf_3dhp, "h5py"),
    "human36m": (layouts.write_human36m, "cdflib"),
}


def made(layout: str, sample: Sample, root: Path, bodies: Bodies) -> list[DatasetClip]:
    write, library = MAKERS[layout]
    if library:
        pytest.importorskip(library)
    write(sample, root)
    return list(clips(layout, root, bodies))


def check_limbs(truth: Truth, sample: Sample, frames: list[int], scale: float = 1.0, atol: float = 1e-9) -> None:
    motion = sample.motion
    np.testing.assert_array_equal(truth.frames, frames)
    limbs = motion.joints_cam[frames][:, metrics.LIMB_JOINTS]
    np.testing.assert_allclose(truth.limbs, scale * limbs, atol=atol)
    np.testing.assert_allclose(truth.pixels, metrics.project(limbs, motion.camera_K), atol=1e3 * atol)
    np.testing.assert_allclose(truth.camera_K, motion.camera_K, atol=1e3 * max(atol, 1e-6))
    centre = truth.boxes[:, :2] + truth.boxes[:, 2:] / 2
    assert np.abs(centre - motion.boxes[frames][:, :2] - motion.boxes[frames][:, 2:] / 2).max() < 30


def check_smpl(truth: Truth, sample: Sample, frames: list[int]) -> None:
    motion = sample.motion
    assert truth.joints is not None
    assert truth.poses is not None
    np.testing.assert_allclose(truth.joints, motion.joints_cam[frames], atol=1e-6)
    actual, expected = (rotations.axis_angle_to_matrix(of) for of in (truth.poses, motion.poses_cam[frames]))
    np.testing.assert_allclose(actual, expected, atol=1e-9)
    np.testing.assert_array_equal(truth.betas, motion.betas)


def test_every_layout_is_tested():
    assert set(MAKERS) == set(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_can_be_asked_for(layout: str, tmp_path: Path, bodies: Bodies):
    assert arguments.parse(["evaluate", "--layout", layout]).layout == layout
    with pytest.raises(EvaluationError, match=f"nothing of {layout}"):
        list(clips(layout, tmp_path, bodies))


def test_3dpw(sample: Sample, tmp_path: Path, bodies: Bodies):
    (clip,) = made("3dpw", sample, tmp_path, bodies)
    assert clip.name == "walk_00"
    first, second = clip.truths
    for truth, frames in ((first, [*range(7), *range(8, FRAMES)]), (second, list(range(4, FRAMES)))):
        check_limbs(truth, sample, frames)
        check_smpl(truth, sample, frames)
        assert truth.frame_rate == 30
    assert first.body is bodies.load("male")
    assert second.body is bodies.load("female")
    assert next(clips("3dpw", tmp_path, Bodies())).truths[0].body is None


def test_emdb(sample: Sample, tmp_path: Path, bodies: Bodies):
    (clip,) = made("emdb", sample, tmp_path, bodies)
    assert clip.name == "P0_09_walk"
    (truth,) = clip.truths
    frames = [1, 2, 3, 4, *range(6, FRAMES)]
    check_limbs(truth, sample, frames, atol=1e-6)
    check_smpl(truth, sample, frames)
    assert truth.body is bodies.load("female")
    with pytest.raises(EvaluationError, match="SMPL_FEMALE"):
        list(clips("emdb", tmp_path, Bodies()))


def test_mpi_inf_3dhp(sample: Sample, tmp_path: Path, bodies: Bodies):
    (clip,) = made("mpi_inf_3dhp", sample, tmp_path, bodies)
    assert clip.name == "TS1"
    (truth,) = clip.truths
    check_limbs(truth, sample, [n for n in range(FRAMES) if n != layouts.INVALID], layouts.UNIVERSAL)
    assert (truth.joints, truth.poses, truth.pelvis) == (None, None, None)
    assert [one.name for one in clips("mpi_inf_3dhp", tmp_path / "mpi_inf_3dhp_test_set", bodies)] == ["TS1"]


def test_human36m(sample: Sample, tmp_path: Path, bodies: Bodies):
    (clip,) = made("human36m", sample, tmp_path, bodies)
    assert clip.name == "S9 Walking 1.54138969"
    assert clip.footage == tmp_path / "S9" / "Videos" / "Walking 1.54138969.mp4"
    (truth,) = clip.truths
    check_limbs(truth, sample, list(range(FRAMES)), atol=1e-5)
    assert truth.pelvis is not None
    np.testing.assert_allclose(truth.pelvis, sample.motion.joints_cam[:, 0], atol=1e-5)
    assert truth.frame_rate == 50


@pytest.mark.parametrize("layout", [name for name in MAKERS if name != "human36m"])
def test_footage_is_the_images(sample: Sample, tmp_path: Path, bodies: Bodies, layout: str):
    (clip,) = made(layout, sample, tmp_path, bodies)
    with Footage(clip.footage) as footage:
        frames = list(footage)
    assert [frame.number for frame in frames] == list(range(FRAMES))
    for frame, image in zip(frames, sample.images, strict=True):
        assert np.abs(frame.image.astype(float) - image).mean() < 3


@pytest.mark.parametrize("layout", MAKERS)
def test_damaged_files_are_named(sample: Sample, tmp_path: Path, bodies: Bodies, layout: str):
    made(layout, sample, tmp_path, bodies)
    for file in [file for ending in ("pkl", "mat", "cdf") for file in tmp_path.rglob(f"*.{ending}")]:
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(EvaluationError, match="is damaged or not of this data set") as caught:
        list(clips(layout, tmp_path, bodies))
    assert "\n" not in str(caught.value)


def test_arrays_of_another_shape_are_refused(sample: Sample, tmp_path: Path, bodies: Bodies):
    made("3dpw", sample, tmp_path, bodies)
    file = tmp_path / "sequenceFiles" / "test" / "walk_00.pkl"
    for change in ({"cam_poses": np.zeros((3, 4, 4))}, {"cam_intrinsics": "none"}, {"poses": []}):
        file.write_bytes(pickle.dumps(layouts.threedpw_table(sample) | change))
        with pytest.raises(EvaluationError, match="walk_00"):
            next(clips("3dpw", tmp_path, bodies))


def test_missing_images_are_reported(sample: Sample, tmp_path: Path, bodies: Bodies):
    made("3dpw", sample, tmp_path, bodies)
    (tmp_path / "imageFiles" / "walk_00" / "image_00003.jpg").unlink()
    with pytest.raises(EvaluationError, match=f"has {FRAMES - 1} images for {FRAMES} frames"):
        list(clips("3dpw", tmp_path, bodies))


@pytest.mark.parametrize("layout", ["mpi_inf_3dhp", "human36m"])
def test_missing_library_is_reported(
    sample: Sample, tmp_path: Path, bodies: Bodies, layout: str, monkeypatch: pytest.MonkeyPatch
):
    made(layout, sample, tmp_path, bodies)
    monkeypatch.setitem(sys.modules, str(MAKERS[layout][1]), None)
    with pytest.raises(EvaluationError, match=r"is missing: install requirements/layouts\.txt"):
        list(clips(layout, tmp_path, bodies))
    assert (ROOT / "requirements" / "layouts.txt").is_file()


def test_users_path_needs_no_library_of_layouts():
    code = (
        "import sys\n"
        "from video_motion.inference import conversion\n"
        "from video_motion.inference.cli import __main__\n"
        "from video_motion.inference.research.evaluation import evaluate\n"
        "from video_motion.inference.research.evaluation.layouts import clip, emdb, human36m, mpi_inf_3dhp, threedpw\n"
        "sys.exit(any(name in sys.modules for name in ('h5py', 'cdflib', 'scipy', 'torch')))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_footage_that_shows_nobody_gives_no_table(
    sample: Sample, tmp_path: Path, bodies: Bodies, capsys: pytest.CaptureFixture[str]
):
    made("human36m", sample, tmp_path, bodies)
    given = ["--layout", "human36m", "--root", str(tmp_path), "--network", "landmarks"]
    assert cli.main(["evaluate", *given]) == 1
    output = capsys.readouterr()
    assert "Walking 1.54138969.mp4 does not exist" in output.err
    assert "Nobody was found where the true people" in output.err
    assert output.out == ""


def test_whole_command(sample: Sample, tmp_path: Path, bodies: Bodies, capsys: pytest.CaptureFixture[str]):
    """On two people who are the same one, and on a clip that shows nobody."""
    root, out = tmp_path / "data", tmp_path / "out"
    layouts.write_threedpw(sample, root)
    empty = Sample(sample.motion, [np.full_like(image, 90) for image in sample.images], sample.to_camera)
    empty.write_images(root / "imageFiles" / "zoo_00", "image_{:05}.jpg", 0)
    table = layouts.threedpw_table(sample)
    (root / "sequenceFiles" / "test" / "zoo_00.pkl").write_bytes(pickle.dumps(table, protocol=2))
    assert bodies.neutral is not None
    regressor = bodies.neutral.with_name("J_regressor_h36m.npy")
    given = ["--layout", "3dpw", "--root", str(root), "--network", "landmarks", "--true-focal", "--quality", "fast"]
    smpl = ["--smpl", str(bodies.neutral.parent), "--out", str(out)]
    np.save(regressor, np.full((17, 5), 0.2))
    assert cli.main(["evaluate", *given, *smpl]) == 1
    assert f"{regressor} does not fit the bodies beside it" in capsys.readouterr().err
    np.save(regressor, np.random.default_rng(0).dirichlet(np.ones(len(bodies.load("neutral").v_template)), 17))
    assert cli.main(["evaluate", *given, *smpl]) == 0
    regressor.unlink()
    output = capsys.readouterr()
    assert "Nobody was found" in output.err
    assert output.out.splitlines()[0] == "| measure | BlazePose | landmarks |"

    written = json.loads((out / "3dpw.scores.json").read_text(encoding="utf-8"))
    ours, theirs = written["scores"]["landmarks"], written["scores"]["BlazePose"]
    assert ours["true frames"] == theirs["true frames"] == 2 * (FRAMES - 1 + FRAMES - 4)
    assert ours["frames"] == theirs["frames"] == FRAMES - 1 + FRAMES - 4
    assert 0 < ours["PA-MPJPE"] < ours["MPJPE"] < 150
    assert 0 < ours["EMDB MVE"] < 200
    assert 0 < ours["PA-MPJPE, 14 joints"] < ours["MPJPE, 14 joints"] < 200
    assert set(written["clips"]) == {f"{clip}, person {n}" for clip in ("walk_00", "zoo_00") for n in (1, 2)}
    assert written["clips"]["zoo_00, person 2"]["landmarks"]["frames"] == 0
    assert sorted(file.name for file in out.iterdir()) == [
        "3dpw.per_joint.png",
        "3dpw.scores.json",
        "3dpw.scores.md",
        "walk_00, person 1.over_time.png",
        "walk_00, person 2.over_time.png",
    ]
    given.remove("--true-focal")
    assert cli.main(["evaluate", *given, "--clips", "1", "--out", str(out)]) == 0
    again = json.loads((out / "3dpw.scores.json").read_text(encoding="utf-8"))["scores"]["landmarks"]
    assert again["true frames"] == FRAMES - 1 + FRAMES - 4
    assert "PVE" not in again
    assert again["root depth"] > ours["root depth"] + 100
