"""A film of two rendered people, written in 3DPW's layout, gives training data whose truth lies on them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.cli import arguments
from video_motion.inference.cli.types import LAYOUTS
from video_motion.inference.motion.motion import Motion
from video_motion.inference.people import crops
from video_motion.inference.people.landmarker import Pose
from video_motion.inference.research.evaluation import layouts as readers
from video_motion.inference.research.evaluation import metrics
from video_motion.inference.research.evaluation.scenes import film
from video_motion.inference.research.evaluation.scenes.recipes import read_recipes
from video_motion.inference.research.networks import encoders
from video_motion.inference.research.training import data_sets, detection, shards
from video_motion.inference.research.training.mocap.library import Library

from tests.inference.research.evaluation.layouts.layouts import threedpw_people

from .conftest import SMALL
from .test_pictures import SIZES
from .test_train import LIFTER, assert_refused, command, words

FRAMES, VALIDATION_FRAMES, UNSURE = 70, 34, slice(20, 30)
NAMES = ("validation", "train")
TOML = f"""
seed = 8
size = [480, 360]
frame_rate = 30
[cameras.walking]
height = 1.5
roll = 3.0
shake = 1.0
travel = [0.5, 0.0, 0.2]
[scenes.talk]
frames = {FRAMES}
place = "indoors"
people = [{{ clip = "idle", facing = 20 }}, {{ clip = "idle", at = [1.1, 0.3], facing = -20 }}]
"""


@dataclass
class DataSet:
    """What is on the disk, and what was written there.

    Attributes:
        root: of the data set, whose clip for training and that for validation show the same.
        smpl: folder of three bodies with different templates and shape directions.
        people: true motions, their betas the neutral body's.
        footage: folder of the images as filmed.
        to_camera: (N, 4, 4) extrinsics.
    """

    root: Path
    smpl: Path
    people: list[Motion]
    footage: Path
    to_camera: np.ndarray

    @property
    def neutral(self) -> Path:
        return self.smpl / "SMPL_NEUTRAL.npz"

    def file(self, split: str) -> Path:
        return self.root / "sequenceFiles" / split / f"talk_{split}.pkl"


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory, body: Body) -> DataSet:
    folder = tmp_path_factory.mktemp("3dpw")
    poses = np.zeros((240, 24, 3), np.float32)
    swing = np.sin(np.arange(240) / 20)
    poses[:, 16, 2], poses[:, 17, 2] = -0.9 + 0.3 * swing, 1.1 + 0.2 * swing
    library = Library(
        poses=poses,
        trans=np.tile(np.array([0, -body.v_template[:, 1].min(), 0], np.float32), (240, 1)),
        starts=np.array([0, 240]),
        names=np.array(["idle"]),
        groups=np.array(["people"]),
        weights=np.ones(1),
        frame_rate=60.0,
    )
    library.save(folder / "library.npz")
    (folder / "recipes.toml").write_text(TOML)
    (scene,) = film.film(read_recipes(folder / "recipes.toml"), folder, body)
    to_camera = np.linalg.inv(scene.people[0].camera_to_world)
    genders = ["f", "m"]
    shift = write_bodies(folder / "smpl")
    other = {"f": lambda betas: 2 * betas, "m": lambda betas: betas - shift}
    # Joints are where they were: `in_world` tells them apart from betas, as the data set does.
    gendered = [
        replace(person, betas=other[gender](person.betas)) for person, gender in zip(scene.people, genders, strict=True)
    ]
    root = folder / "data"
    for split, frames in zip(NAMES, (VALIDATION_FRAMES, FRAMES), strict=True):
        write_split(root, split, scene.footage, gendered, genders, to_camera[:frames])
    return DataSet(root, folder / "smpl", scene.people, scene.footage, to_camera)


def write_split(
    root: Path, split: str, footage: Path, people: list[Motion], genders: list[str], to_camera: np.ndarray
) -> None:
    """The first frames of a film as the only clip of a split."""
    name, count = f"talk_{split}", len(to_camera)
    table = threedpw_people(name, [one.trimmed(one.frames < count) for one in people], genders, to_camera)
    table["campose_valid"][1][UNSURE] = 0
    images = root / "imageFiles" / name
    images.mkdir(parents=True)
    for number, file in enumerate(sorted(footage.iterdir())[:count]):
        shutil.copy(file, images / f"image_{number:05}.jpg")
    file = root / "sequenceFiles" / split / f"{name}.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps(table, protocol=2))


def write_bodies(folder: Path) -> np.ndarray:
    """Three bodies like SMPL's, which know no figures; returns the neutral betas (10,) of the male's template."""
    folder.mkdir()
    with np.load(registry.body_path()) as free:
        arrays = {name: free[name] for name in free.files if not name.removeprefix("has_").startswith("figure")}
    shift = np.linspace(-1, 1, 10)
    template, directions = arrays["v_template"], arrays["shapedirs"]
    np.savez(folder / "SMPL_NEUTRAL.npz", **arrays)
    # Neither do their origins lie at the same place.
    np.savez(folder / "SMPL_MALE.npz", **arrays | {"v_template": template + directions @ shift + [0, 0.02, 0.01]})
    np.savez(folder / "SMPL_FEMALE.npz", **arrays | {"shapedirs": 0.5 * directions})
    return shift


def wanted(data_set: DataSet, out: Path, *more: str) -> list[str]:
    given = ["--layout", "3dpw", "--root", str(data_set.root), "--smpl", str(data_set.smpl), "--out", str(out)]
    return ["train", "data", *given, "--jobs", "1", *more]


@pytest.fixture(scope="module")
def made(data_set: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training data that the command makes of it."""
    out = tmp_path_factory.mktemp("made")
    assert cli.main(wanted(data_set, out, "--pictures", "--no-maps")) == 0
    return out


@pytest.fixture
def shard(made: Path) -> shards.Shard:
    return shards.read_shard(made / "train" / "talk_train.npz")


def rows_of(shard: shards.Shard, sequence: int) -> np.ndarray:
    return np.arange(*shard.sequence_starts[sequence : sequence + 2])


def who(shard: shards.Shard, sequence: int) -> int:
    return int(shard.names[sequence][-1]) - 1


def test_everybody_is_seen_in_both_qualities(shard: shards.Shard, made: Path):
    assert sorted(str(file.relative_to(made)) for file in made.rglob("*.npz")) == [
        "train/talk_train.npz",
        "validation/talk_validation.npz",
    ]
    # The last six frames are too few.
    assert shard.names.tolist() == [f"talk_train, person {number}" for number in (1, 1, 2, 2)]
    assert shard.detectors.tolist() == ["fast", "best"] * 2
    assert np.diff(shard.sequence_starts).tolist() == [64] * 4
    assert shard.licensed
    assert not shard.contacts_known.any()
    assert not shard.gravity.any()
    np.testing.assert_array_equal(shard.frame_rate, 30)
    np.testing.assert_array_equal(shard.image_size, [[480, 360]] * 4)
    # Whoever's camera is unsure does not count there.
    for sequence in range(4):
        found = shard.found[rows_of(shard, sequence)]
        assert found[: UNSURE.start].mean() > 0.9
        assert found[UNSURE].any() == (who(shard, sequence) == 0)


def test_the_truth_is_what_was_rendered(shard: shards.Shard, data_set: DataSet):
    neutral = Body.load(data_set.neutral)
    for sequence in range(4):
        person, rows = data_set.people[who(shard, sequence)], rows_of(shard, sequence)
        np.testing.assert_allclose(shard.betas[sequence], person.betas, atol=1e-4)
        np.testing.assert_allclose(shard.camera_K[sequence], person.camera_K)
        joints = neutral.joints(shard.poses[rows], shard.betas[sequence], shard.trans[rows])
        counts = np.ones(64, bool)
        counts[UNSURE] = who(shard, sequence) == 0
        true = person.joints_cam[:64]
        # A tenth of a millimetre, and of a pixel.
        np.testing.assert_allclose(joints[counts], true[counts], atol=1e-4)
        pixels = metrics.project(joints, shard.camera_K[sequence])
        np.testing.assert_allclose(pixels[counts], metrics.project(true, person.camera_K)[counts], atol=0.1)
        # The first camera's axes, in which the world stands still.
        fixed = np.einsum("nij,nkj->nki", shard.camera_turns[rows], joints) + shard.camera_moves[rows, None]
        world = person.joints_world[:64]
        first = data_set.to_camera[0]
        np.testing.assert_allclose(fixed[counts], (world @ first[:3, :3].T + first[:3, 3])[counts], atol=1e-4)
        assert np.abs(shard.camera_moves[rows]).max() > 0.3


def test_the_detector_finds_people_where_the_truth_says(shard: shards.Shard, data_set: DataSet):
    neutral = Body.load(data_set.neutral)
    limbs = metrics.LIMB_LANDMARKS
    for sequence in range(4):
        rows = rows_of(shard, sequence)[shard.found[rows_of(shard, sequence)]]
        marks = neutral.landmark_positions(shard.poses[rows], shard.betas[sequence], shard.trans[rows])
        pixels = metrics.project(marks, shard.camera_K[sequence])
        off = np.linalg.norm(shard.landmarks[rows] - pixels, axis=-1)[:, limbs] / shard.crops[rows, 2, None]
        assert np.median(off) < 0.04
        # The detector saw what the images show there.
        for row in rows[::20]:
            image = cv2.imread(str(data_set.footage / f"{row - shard.sequence_starts[sequence]:06d}.jpg"))
            seen = crops.cut(image, shard.crops[row].astype(float), 256)
            assert np.abs(shard.picture(int(row)).astype(float) - seen).mean() < 3


def test_existing_shards_are_kept(made: Path, data_set: DataSet, tmp_path: Path, capsys):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    kept, lost = out / "validation" / "talk_validation.npz", out / "train" / "talk_train.npz"
    before = os.stat(kept).st_mtime_ns
    lost.unlink()
    assert cli.main(wanted(data_set, out, "--no-maps", "--minutes", "0")) == 0
    assert not lost.exists(), "the time is over"
    assert cli.main(wanted(data_set, out, "--no-maps", "--pictures")) == 0
    assert os.stat(kept).st_mtime_ns == before
    ours, theirs = (shards.read_shard(folder / "train" / "talk_train.npz") for folder in (out, made))
    for name in ("found", "poses", "trans", "pictures"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert [file.name for file in lost.parent.iterdir()] == [lost.name]
    assert capsys.readouterr().err.count("talk_") == 1


@pytest.fixture
def tar(monkeypatch: pytest.MonkeyPatch, made: Path) -> Callable[..., list[str]]:
    """The command to train a TAR with a small image encoder."""
    monkeypatch.setitem(encoders.ENCODERS, "resnet50", SMALL["resnet50"])
    encoder = SMALL["resnet50"]()
    sizes = words((*SIZES, f"features={encoder.features}", f"maps={encoder.channels}", "sampling.targets=2"))
    learning = ["--set", "schedule.encoder_rate=1", "--steps", "3", "--batch", "2"]

    def tar(out: Path, *more: str) -> list[str]:
        return command("tar", made, out, "--configuration", "tar-64-resnet50", *sizes, *learning, *more)

    return tar


def check_finite(out: Path, losses: set[str]) -> dict[str, Any]:
    report = json.loads((out / "report.json").read_text())
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert losses <= set(report["schedule"]["weights"])
    for loss in ("loss", *report["schedule"]["weights"]):
        assert np.isfinite(last[loss]), loss
    assert np.isfinite(report["validation"]["network"]["MPJPE"])
    assert report["data"]["filmed"]["sequences"] == 4
    return last


def test_a_network_with_an_image_encoder_learns_from_it(tar, data_set: DataSet, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert_refused(tar(out), "has poses and shapes of a licensed body: give it by --smpl", capsys)
    assert cli.main(tar(out, "--smpl", str(data_set.neutral))) == 0
    check_finite(out, {"joints", "pose", "shape"})


def test_the_lifter_learns_from_it_without_a_library(made: Path, data_set: DataSet, tmp_path: Path):
    out = tmp_path / "out"
    sizes = words((*LIFTER, "frames=16", "target=8"))
    more = ["--steps", "3", "--batch", "4", "--smpl", str(data_set.neutral)]
    assert cli.main(command("lifter", made, out, *sizes, *more)) == 0
    last = check_finite(out, {"gravity", "contacts"})
    # Nothing is known of either, so nothing can be wrong.
    assert last["gravity"] == last["contacts"] == 0


def test_estimators_are_scored_on_its_validation_split(made: Path, data_set: DataSet, tmp_path: Path, capsys):
    scoring = ["evaluate", "--data", str(made), "--network", "landmarks", "--device", "cpu", "--jobs", "1"]
    assert cli.main(scoring) == 1
    assert "has poses and shapes of a licensed body: give it by --smpl" in capsys.readouterr().err
    assert cli.main([*scoring, "--smpl", str(data_set.smpl), "--out", str(tmp_path)]) == 0
    (scores,) = (json.loads(file.read_text())["scores"] for file in tmp_path.glob("*.json"))
    found = shards.read_shard(made / "validation" / "talk_validation.npz").found.sum()
    assert scores["landmarks"]["frames"] == scores["BlazePose"]["frames"] == found
    assert 20 < scores["landmarks"]["MPJPE"] < 150


def test_somebody_else_is_nobody():
    """Whom the detector has come to while it followed a person."""
    marks = np.zeros((2, 3, 33, 2))
    marks[0] += [100, 200]
    marks[1] += [160, 200]
    # The second one does not count in the last frame.
    marks[1, 2] = np.inf

    def seen(x: float) -> detection.FrameDetection:
        place, none = np.array([x, 200.0]), np.zeros(33)
        crop = np.array([x, 200, 400, 0])
        return detection.FrameDetection(
            Pose(crop, np.tile(place, (33, 1)), none, none, np.zeros((33, 3)), 1.0, place, place)
        )

    def kept(person: int, *places: float | None) -> list[bool]:
        found = [None if place is None else seen(place) for place in places]
        return [one is not None for one in data_sets._theirs(found, marks, person)]

    assert kept(0, 110, 155, 155) == [True, False, True]
    assert kept(1, 110, 155, 155) == [False, True, False]
    assert kept(0, None, 90, 250) == [False, True, False]


def test_nobody_gives_no_shard(data_set: DataSet, tmp_path: Path, capsys):
    """One sentence, and the other clips are made."""
    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data_set.root, root)
    for image in (root / "imageFiles" / "talk_train").iterdir():
        cv2.imwrite(str(image), np.full((360, 480, 3), 90, np.uint8))
    assert cli.main(wanted(replace(data_set, root=root), out, "--no-maps")) == 1
    said = capsys.readouterr().err
    assert "Nobody could be followed in" in said
    assert "1 done" in said
    assert [file.name for file in out.rglob("*.npz")] == ["talk_validation.npz"]


def test_what_is_missing_is_one_sentence(data_set: DataSet, tmp_path: Path, capsys):
    out, smpl = tmp_path / "out", tmp_path / "smpl"
    smpl.mkdir()
    plain = wanted(data_set, out)
    shutil.copy(data_set.neutral, smpl / "SMPL_NEUTRAL.npz")
    half = tmp_path / "half" / "sequenceFiles"
    shutil.copytree(data_set.file("train").parent, half / "train")

    def changed(name: str, value: Path | None) -> list[str]:
        at = plain.index(name)
        return plain[:at] + ([] if value is None else [name, str(value)]) + plain[at + 2 :]

    for options, sentence in (
        (changed("--root", None), "The folder of 3dpw is missing: give it to --root."),
        (changed("--root", tmp_path / "nothing"), "nothing is not a folder: give --root the folder of the data set."),
        (changed("--root", tmp_path), "There is nothing of 3dpw's validation split in"),
        (changed("--root", half.parent), "There is nothing of 3dpw's validation split in"),
        (changed("--smpl", None), "SMPL's neutral body is missing: give --smpl a folder"),
        (changed("--smpl", smpl), "SMPL's male body is missing: give --smpl a folder"),
        ([*plain, "--mocap", "a.bvh"], "--layout has its own people: leave out --mocap and --looks."),
        (["train", "data", "--out", str(out), "--root", "a"], "--root and --smpl belong to --layout: add it."),
    ):
        assert_refused(options, sentence, capsys)
    for name, why in readers.NOT_FOR_TRAINING.items():
        assert_refused([*plain, "--layout", name], f"Networks can't learn from {name}, {why}: choose 3dpw.", capsys)
    assert not out.exists()


def test_hostile_and_damaged_files_are_one_sentence(data_set: DataSet, tmp_path: Path, capsys):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data_set.root, root)
    files = {split: root / "sequenceFiles" / split / f"talk_{split}.pkl" for split in NAMES}
    files["train"].write_bytes(pickle.dumps({"poses": Hostile()}, protocol=2))
    files["validation"].write_bytes(files["validation"].read_bytes()[:200])
    assert cli.main(wanted(replace(data_set, root=root), out)) == 1
    said = capsys.readouterr().err
    for file in files.values():
        assert f"video-motion: {file} is damaged or not of this data set" in said
    assert not (tmp_path / "made").exists()
    assert not list(out.rglob("*.npz"))


def test_bodies_of_different_models_are_refused(body: Body):
    with pytest.raises(shards.ShardError, match="give --smpl the bodies of one model"):
        data_sets.shape_like(body, replace(body, v_template=body.v_template[:100]), np.zeros(10))


def test_every_layout_can_be_asked_for(tmp_path: Path):
    assert set(LAYOUTS) == set(readers.LAYOUTS)
    for layout in LAYOUTS:
        assert arguments.parse(["train", "data", "--layout", layout, "--out", str(tmp_path)]).layout == layout


def test_a_sheet_shows_examples(data_set: DataSet, tmp_path: Path):
    sheet = tmp_path / "sheet.png"
    assert cli.main(wanted(data_set, tmp_path / "out", "--sheet", str(sheet))) == 0
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape == (512, 8 * 256, 3)
    # Red and green dots, of two people.
    for tile in (drawn[256:, :256], drawn[256:, 256:512]):
        for channel, other in ((2, 1), (1, 2)):
            assert ((tile[..., channel] > 200) & (tile[..., other] < 80) & (tile[..., 0] < 80)).sum() > 20
